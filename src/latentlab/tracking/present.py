"""The store that the runs of this process go to, and whether it answers."""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import mlflow
from filelock import FileLock

from latentlab.errors import UserError
from latentlab.secrets import without_passwords

# The id of an experiment in a store that does not answer.
LATER = "later"


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


def experiment() -> str:
    """The name of the present experiment."""
    return _Present.experiment


def spool_folder() -> Path | None:
    """Where things wait; None with the store on this machine, for which nothing waits."""
    return _Present.folder


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


def url() -> str:
    """The URL of the present store, without its password."""
    uri = mlflow.get_tracking_uri()
    return without_passwords(uri, uri)


def reason(error: Exception) -> str:
    """What went wrong between us and a store, in a line without passwords."""
    text = without_passwords(str(error), os.environ.get("MLFLOW_TRACKING_URI", ""))
    text = next(iter(text.splitlines()), "") or type(error).__name__
    return text.rpartition("Caused by ")[2].rstrip(")")[:300]
