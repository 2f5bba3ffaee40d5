"""Processes: tags by which a later start can tell whether their writer is still alive, and signals that ask one to stop."""

import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psutil


def process_tags() -> dict[str, str]:
    """Tags of this process."""
    process = psutil.Process()
    return {
        "process.host": socket.gethostname(),
        "process.pid": str(process.pid),
        "process.started": f"{process.create_time():.3f}",
    }


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process with those tags, of this machine, still runs."""
    try:
        process = psutil.Process(int(tags["process.pid"]))
        # a number that the system has given to another process since is not the same process
        same = abs(process.create_time() - float(tags["process.started"])) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process with those tags was of this machine, and runs no more; of another one nobody here can know."""
    return tags.get("process.host") == socket.gethostname() and not is_alive(tags)


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """The signals to stop that came in the meantime; after the first of them, another one ends this process at once."""
    received: list[int] = []
    former: dict[signal.Signals, Any] = {}

    def note(number: int, _frame: object) -> None:
        received.append(number)
        for each, handler in former.items():
            signal.signal(each, handler)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        former[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
