"""What a tracking server does not take waits in files, and is sent once it answers again.

The store on this machine, in mlruns/, is no server: where it cannot be written that is an error, and nothing waits.
"""

import json
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock, Timeout
from mlflow.tracking.context.registry import resolve_tags

from latentlab.errors import UserError
from latentlab.processes import is_gone, process_tags
from latentlab.secrets import without_passwords
from latentlab.tracking.calls import CALLS, create
from latentlab.wholefiles import settle, write_text

# The id of an experiment in a store that does not answer.
LATER = "later"
# by which a run is found again when the answer to its making was lost
_MARK = "latentlab.run"
_PATIENCE_SECONDS = 120
# what a line of a file that waits has at least, and its first line
_LINE = {"call"}
_START = {"call", "run_id", "store", "process", "experiment", "run_name", "tags", "start_time"}


class TrackingError(UserError):
    """The store cannot be used; the message does not hold its password."""


class _Present:
    """What this process writes to."""

    experiment = ""
    folder: Path | None = None
    lock: Path | None = None
    trouble: Exception = ConnectionError("no store has been opened")


def use(experiment: str, folder: Path | None, lock: Path | None) -> None:
    """Says of which experiment the runs of this process are from now on, and where those that no server takes wait.

    Args:
        experiment: Its name.
        folder: None with the store on this machine.
        lock: A file, for `one_at_a_time`.
    """
    _Present.experiment, _Present.folder, _Present.lock = experiment, folder, lock


def one_at_a_time() -> AbstractContextManager[object]:
    """Keeps other processes of this project out that look whether a run is whole, to add what it lacks."""
    if _Present.lock is None:
        return nullcontext()
    _Present.lock.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(_Present.lock)


def is_server() -> bool:
    """Whether the present store is a server, so that what it does not take can wait."""
    return _Present.folder is not None


def away(trouble: Exception) -> str:
    """Notes that the present store does not answer, and why; LATER."""
    _Present.trouble = trouble
    return LATER


def answered(experiment_id: str) -> str:
    """The id of the experiment, unless it is LATER.

    Raises:
        Exception: Why the store did not answer.
    """
    if experiment_id == LATER:
        raise _Present.trouble
    return experiment_id


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


class RunWriter:
    """Writes one MLflow run: to the store, or, from the first call on that a server does not take, to a file.

    Args:
        run_name: Of the run.
        tags: Of the run, beside those that MLflow gives each run.
        waits: Whether to let things wait; if not, an error of the server goes on too.
    """

    def __init__(self, run_name: str, tags: dict[str, str], *, waits: bool) -> None:
        self.run_id = ""
        self._start: dict[str, Any] = {
            "experiment": _Present.experiment,
            "run_name": run_name,
            "tags": tags,
            "start_time": _milliseconds(),
        }
        self._folder = _Present.folder if waits else None
        self._file: Path | None = None
        self._lock = threading.Lock()

    @classmethod
    def begin(cls, experiment_id: str, run_name: str, tags: dict[str, str], *, waits: bool = True) -> "RunWriter":
        """The writer of a new run in the present experiment, whose id may be LATER."""
        all_tags = {str(key): str(value) for key, value in resolve_tags(tags).items()} | {_MARK: uuid.uuid4().hex}
        writer = cls(run_name, all_tags, waits=waits)
        try:
            writer.run_id = create(answered(experiment_id), run_name, all_tags, writer._start["start_time"])
        except Exception as error:
            writer._wait(error)
        return writer

    @classmethod
    def of(cls, run_id: str, run_name: str, *, waits: bool = True) -> "RunWriter":
        """The writer of a run that is there already."""
        writer = cls(run_name, {}, waits=waits)
        writer.run_id = run_id
        return writer

    @property
    def is_waiting(self) -> bool:
        """Whether something is in a file that the server has not got."""
        return self._file is not None

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Values at a step, with the time of now."""
        now = _milliseconds()
        self.values([(name, value, now, step) for name, value in values.items()])

    def values(self, values: list[tuple[str, float, int, int]]) -> None:
        """Metrics: name, value, time in milliseconds, step."""
        self._say("metrics", values=values)

    def params(self, values: dict[str, Any]) -> None:
        """Parameters."""
        self._say("params", values=values)

    def tags(self, values: dict[str, str]) -> None:
        """Tags."""
        self._say("tags", values=values)

    def trained_on(self, digest: str) -> None:
        """The data set, MNIST, by its digest."""
        self._say("trained_on", digest=digest)

    def artifact(self, path: Path) -> None:
        """A file; what waits is its path."""
        self._say("artifact", path=str(path.resolve()))

    def end(self, status: str) -> None:
        """FINISHED, FAILED or KILLED, now."""
        self._say("end", status=status, end_time=_milliseconds())

    def _say(self, call: str, **values: Any) -> None:
        with self._lock:
            if self._file is None:
                try:
                    CALLS[call](self.run_id, **values)
                    return
                except Exception as error:
                    self._wait(error)
            self._append({"call": call} | values)

    def _wait(self, error: Exception) -> None:
        """From now on into a file; with the store on this machine the error goes on."""
        if self._folder is None:
            raise error
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._folder / f"{uuid.uuid4().hex}.jsonl"
        store = present_store()
        start = {"call": "start", "run_id": self.run_id, "store": store, "process": process_tags()} | self._start
        write_text(json.dumps(start) + "\n", self._file)
        print(
            f"MLflow at {store} does not take the run {self._start['run_name']} ({reason(error)}): the work goes on, and "
            f"what is to be logged waits in {self._folder}; it is sent when the server answers, or by `latentlab sync`",
            file=sys.stderr,
        )

    def _append(self, line: dict[str, Any]) -> None:
        assert self._file is not None
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        settle(self._file)


def reason(error: Exception) -> str:
    """What went wrong between us and a store, in a line without passwords."""
    text = without_passwords(str(error), os.environ.get("MLFLOW_TRACKING_URI", ""))
    text = next(iter(text.splitlines()), "") or type(error).__name__
    return text.rpartition("Caused by ")[2].rstrip(")")[:300]


def send() -> list[str]:
    """Sends all that waits for the present store, but for runs that are still being written.

    Each value arrives once, also if this is stopped and called again: what the store has already is not sent.

    Returns:
        The names of the runs that were sent.

    Raises:
        TrackingError: The store does not take it; what has not been sent goes on waiting.
    """
    folder = _Present.folder
    if folder is None or not any(folder.glob("*.jsonl")):
        return []
    sent = []
    try:
        with FileLock(folder / ".lock", timeout=_PATIENCE_SECONDS):
            for path in sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime):
                lines = _read(path)
                if not lines:
                    aside = path.rename(path.with_suffix(".damaged"))
                    print(
                        f"MLflow: {path.name} in {folder} does not say which run it is of: now {aside.name}",
                        file=sys.stderr,
                    )
                    continue
                start = lines[0]
                if _place(start["store"]) != _place(present_store()):
                    continue
                if lines[-1]["call"] != "end":
                    if not is_gone(start["process"]):
                        continue
                    lines.append({"call": "end", "status": "KILLED", "end_time": int(path.stat().st_mtime * 1000)})
                try:
                    _replay(start, lines[1:])
                except Exception as error:
                    raise TrackingError(
                        f"MLflow at {start['store']} does not take the run {start['run_name']}, which waits in {path}: "
                        f"{reason(error)}"
                    ) from error
                path.unlink()
                sent.append(str(start["run_name"]))
    except Timeout:
        raise TrackingError(f"another process has been sending what waits in {folder} for {_PATIENCE_SECONDS} s") from None
    return sent


def waiting(folder: Path) -> list[str]:
    """Names of the runs that wait in a folder."""
    names = []
    for path in folder.glob("*.jsonl"):
        with suppress(FileNotFoundError):  # another process has just sent it
            lines = _read(path)
            names.append(str(lines[0]["run_name"]) if lines else f"{path} (damaged)")
    return sorted(names)


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file: the first is the start of a run, or there are none.

    The last one is left out if its writer was killed in the middle of it.
    """
    lines: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(content, dict) or not (_LINE if lines else _START) <= content.keys():
            break
        lines.append(content)
    return lines


def _place(store: str) -> str:
    """A store's URL without who asks: a name or a password that was missing or wrong makes it no other store."""
    return re.sub(r"(?<=://)[^/]*@", "", store).partition("?")[0].rstrip("/")


def present_store() -> str:
    """The URL of the present store, without its password."""
    uri = mlflow.get_tracking_uri()
    return without_passwords(uri, uri)


def _replay(start: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    client = mlflow.MlflowClient()
    run_id = start["run_id"]
    if not run_id:
        experiment = client.get_experiment_by_name(start["experiment"])
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(start["experiment"])
        found = client.search_runs([experiment_id], f"tags.`{_MARK}` = '{start['tags'][_MARK]}'")
        for twin in found[1:]:  # made when the first request to make it was repeated
            client.delete_run(twin.info.run_id)
        if found:
            run_id = found[0].info.run_id
        else:
            run_id = create(experiment_id, start["run_name"], start["tags"], start["start_time"])
    known: dict[str, set[tuple[int, int]]] = {}
    for line in lines:
        values = {key: value for key, value in line.items() if key != "call"}
        if line["call"] == "artifact" and not Path(line["path"]).is_file():
            print(f"MLflow: {line['path']} of the run {start['run_name']} is gone, and not sent", file=sys.stderr)
            continue
        if line["call"] == "metrics":
            values["values"] = [each for each in values["values"] if _is_new(run_id, each, known)]
        CALLS[line["call"]](run_id, **values)


def _is_new(run_id: str, value: Sequence[Any], known: dict[str, set[tuple[int, int]]]) -> bool:
    name, _, timestamp, step = value
    if name not in known:
        history = mlflow.MlflowClient().get_metric_history(run_id, name)
        known[name] = {(point.timestamp, point.step) for point in history}
    return (timestamp, step) not in known[name]
