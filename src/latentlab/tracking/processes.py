"""Tags of a process, by which a later one can tell whether it is still alive."""

import socket
from collections.abc import Mapping
from pathlib import Path

import psutil


def process_tags() -> dict[str, str]:
    """Tags of this process."""
    process = psutil.Process()
    return {
        "process.host": socket.gethostname(),
        "process.pid": str(process.pid),
        "process.started": _started(process.pid),
    }


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process with those tags, of this machine, still runs."""
    try:
        process = psutil.Process(int(tags["process.pid"]))
        # a number that the system has given to another process since is not the same process
        return tags["process.started"] == _started(process.pid) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _started(number: int) -> str:
    """When a process began, told so that it stays the same when somebody sets the clock.

    Linux counts ticks since the machine was started, and has a name for that start; elsewhere it is the time of day.
    """
    try:
        ticks = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()} {ticks}"
    except OSError:
        return f"{psutil.Process(number).create_time():.3f}"


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process with those tags was of this machine, and runs no more; of another one nobody here can know."""
    return tags.get("process.host") == socket.gethostname() and not is_alive(tags)
