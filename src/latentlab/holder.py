"""Which other process works with this project's DVC? And what is left of those that were killed?"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil


def lock_holder(repo: Any) -> str:
    """The process that holds the lock of DVC's whole project, as "PID 12: dvc repro"; empty if it cannot be found.

    Args:
        repo: DVC's.
    """
    with suppress(OSError, ValueError, psutil.Error):
        number = int((Path(repo.tmp_dir) / "lock").read_text(encoding="utf-8"))
        if number != os.getpid():
            return f"PID {number}: {' '.join(psutil.Process(number).cmdline())}"
    return ""


def stage_runner(repo: Any) -> str:
    """The process that runs a stage and keeps its files for itself, while nobody has the project's lock; empty if none.

    Args:
        repo: DVC's.
    """
    for number, command in _users(repo):
        with suppress(psutil.Error):
            words = psutil.Process(number).cmdline()
            # After a restart of the machine, and in each new container, old numbers are those of other processes.
            by_name = " ".join(words).endswith(command)
            by_module = "-m" in words and words[-1].split()[-1:] == command.split()[-1:]
            if (by_name or by_module) and number != os.getpid():
                return f"PID {number}: {' '.join(words)}"
    return ""


def forget_users(repo: Any) -> None:
    """Removes DVC's list of who uses which files, with the project locked and `stage_runner` empty.

    DVC writes it in place, several times for each stage, and asks for none but the number of a process. So a kill can leave
    half a list, with which DVC does nothing any more, or the number of a process that is another one's by now.
    """
    _list_of_users(repo).unlink(missing_ok=True)


def _list_of_users(repo: Any) -> Path:
    return Path(repo.tmp_dir) / "rwlock"


def _users(repo: Any) -> Iterator[tuple[int, str]]:
    """Number and command of each process on the list; none where it is not a whole one."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = json.loads(_list_of_users(repo).read_text(encoding="utf-8"))
        readers = [reader for readers in kept.get("read", {}).values() for reader in readers]
        for entry in [*kept.get("write", {}).values(), *readers]:
            yield int(entry["pid"]), str(entry["cmd"])
