"""Which other process works with this project's DVC?"""

import json
import os
from pathlib import Path
from typing import Any

import psutil


def holder(repo: Any, *, locked: bool) -> str:
    """The process that keeps us out, as "PID 12: dvc repro"; empty if it cannot be found.

    Args:
        repo: DVC's.
        locked: Whether it holds the lock of the whole project; else it runs a stage, whose files alone it keeps.
    """
    folder = Path(repo.tmp_dir)
    try:
        if locked:
            numbers = [int((folder / "lock").read_text(encoding="utf-8"))]
        else:
            kept = json.loads((folder / "rwlock").read_text(encoding="utf-8"))
            readers = [reader for readers in kept.get("read", {}).values() for reader in readers]
            numbers = [int(entry["pid"]) for entry in [*kept.get("write", {}).values(), *readers]]
    except (OSError, ValueError):
        return ""
    for number in numbers:
        if number != os.getpid():
            try:
                return f"PID {number}: {' '.join(psutil.Process(number).cmdline())}"
            except psutil.Error:
                continue  # it has gone
    return ""
