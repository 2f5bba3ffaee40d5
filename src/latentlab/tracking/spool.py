"""What a tracking server does not take waits in files, and is sent once it answers again.

The store on this machine, in mlruns/, is no server: where it cannot be written that is an error, and nothing waits.
"""

import json
import re
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock, Timeout

from latentlab.processes import is_gone, process_tags
from latentlab.tracking import present
from latentlab.tracking.calls import CALLS, create
from latentlab.tracking.present import TrackingError
from latentlab.wholefiles import settle, write_text

# by which a run is found again when the answer to its making was lost
MARK = "latentlab.run"
_PATIENCE_SECONDS = 120
# what a line of a file that waits has at least, and its first line
_LINE = {"call"}
_START = {"call", "run_id", "store", "process", "experiment", "run_name", "tags", "start_time"}


def keep(folder: Path, run: dict[str, Any]) -> Path:
    """Begins a file of what waits of one run; the file.

    Args:
        folder: Where it waits.
        run: How it was begun: `run_id`, empty if no server has made it yet, `experiment`, `run_name`, `tags`, `start_time`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{uuid.uuid4().hex}.jsonl"
    start = {"call": "start", "store": present.url(), "process": process_tags()} | run
    write_text(json.dumps(start) + "\n", file)
    return file


def append(file: Path, line: dict[str, Any]) -> None:
    """Adds one of `latentlab.tracking.calls.CALLS` with its values to what waits, and sees it onto the disk."""
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(line) + "\n")
    settle(file)


def send() -> list[str]:
    """Sends all that waits for the present store, but for runs that are still being written.

    Each value arrives once, also if this is stopped and called again: what the store has already is not sent.

    Returns:
        The names of the runs that were sent.

    Raises:
        TrackingError: The store does not take it; what has not been sent goes on waiting.
    """
    folder = present.spool_folder()
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
                if _place(start["store"]) != _place(present.url()):
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
                        f"{present.reason(error)}"
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


def _replay(start: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    client = mlflow.MlflowClient()
    run_id = start["run_id"]
    if not run_id:
        experiment = client.get_experiment_by_name(start["experiment"])
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(start["experiment"])
        found = client.search_runs([experiment_id], f"tags.`{MARK}` = '{start['tags'][MARK]}'")
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
