"""Writes one MLflow run, to the store or, when a server does not take it, to a file that waits."""

import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from mlflow.tracking.context.registry import resolve_tags

from latentlab.tracking import present, spool
from latentlab.tracking.calls import CALLS, create


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
            "experiment": present.experiment(),
            "run_name": run_name,
            "tags": tags,
            "start_time": _milliseconds(),
        }
        self._folder = present.spool_folder() if waits else None
        self._file: Path | None = None
        self._lock = threading.Lock()

    @classmethod
    def begin(cls, experiment_id: str, run_name: str, tags: dict[str, str], *, waits: bool = True) -> "RunWriter":
        """The writer of a new run in the present experiment, whose id may be LATER."""
        all_tags = {str(key): str(value) for key, value in resolve_tags(tags).items()} | {spool.MARK: uuid.uuid4().hex}
        writer = cls(run_name, all_tags, waits=waits)
        try:
            writer.run_id = create(present.answered(experiment_id), run_name, all_tags, writer._start["start_time"])
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
            assert self._file is not None
            spool.append(self._file, {"call": call} | values)

    def _wait(self, error: Exception) -> None:
        """From now on into a file; with the store on this machine the error goes on."""
        if self._folder is None:
            raise error
        self._file = spool.keep(self._folder, {"run_id": self.run_id} | self._start)
        print(
            f"MLflow at {present.url()} does not take the run {self._start['run_name']} ({present.reason(error)}): "
            f"the work goes on, and what is to be logged waits in {self._folder}; it is sent when the server answers, or "
            "by `latentlab sync`",
            file=sys.stderr,
        )


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
