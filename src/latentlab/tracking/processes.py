"""Tags of a process, by which a later one can tell whether it is still alive, or that nobody here can tell."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

# the PID namespace that Linux begins with, which sees the processes of all containers
_FIRST = "pid:[4026531836]"


def process_tags() -> dict[str, str]:
    """Tags of this process."""
    number = os.getpid()
    return {
        "process.host": socket.gethostname(),
        "process.namespace": _namespace(),
        "process.pid": str(number),
        "process.started": _started(number),
    }


def is_here(tags: Mapping[str, str]) -> bool:
    """Whether it can be known from here if the process with those tags still runs.

    Within one start of a machine it can from the container (the PID namespace) of the process, and from outside of all
    containers. After another start all that ran on the machine is gone; the name of the host is proof of being that machine
    only for what ran outside of containers, as these share names and change them.
    """
    if not tags.get("process.pid", "").isdecimal():
        return False
    namespace, here = tags.get("process.namespace", ""), _namespace()
    boot, own_boot = (text.rpartition(" ")[0] for text in (tags.get("process.started", ""), _started(os.getpid())))
    if boot and boot == own_boot:
        return here in (namespace, _FIRST)
    return tags.get("process.host") == socket.gethostname() and namespace in ("", _FIRST)


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process with those tags still runs, where `is_here`."""
    number = int(tags["process.pid"])
    from_outside = tags.get("process.namespace", "") not in ("", _namespace())
    # a number that the system has given to another process since is not the same process
    return any(
        tags.get("process.started") == _started_if_it_runs(each)
        for each in ((each for each in psutil.pids() if _number_inside(each) == number) if from_outside else [number])
    )


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether it is certain that the process with those tags runs no more."""
    return is_here(tags) and not is_alive(tags)


def _started_if_it_runs(number: int) -> str | None:
    try:
        return _started(number) if psutil.Process(number).status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _started(number: int) -> str:
    """When a process began, told so that it stays the same when somebody sets the clock.

    Linux counts ticks since the machine was started, and has a name for that start; elsewhere it is the time of day.
    """
    try:
        ticks = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()} {ticks}"
    except OSError:
        return f"{psutil.Process(number).create_time():.3f}"


def _namespace() -> str:
    """The PID namespace of this process, which a container has of its own; empty where the system has none."""
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def _number_inside(number: int) -> int | None:
    """The number that a process has in its own PID namespace."""
    with suppress(OSError):
        for line in Path(f"/proc/{number}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return None
