"""Faults of the machine: a full disk, a folder that is read-only. They get one line, as what a user did wrong does."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from latentlab.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT)
# what libraries say that do not raise an OSError: safetensors and SQLite
_FULL_WORDS = re.compile("No space left on device|database or disk is full|disk quota exceeded", re.IGNORECASE)
_READ_ONLY_WORDS = re.compile("readonly database")


class MachineError(UserError):
    """The machine cannot do it; the message names the path."""


def explain(error: BaseException, folder: Path) -> str | None:
    """One line for a fault of the machine.

    Args:
        error: Any exception; those that it came from are looked at too.
        folder: Where the work goes on, for a fault whose exception names no path.

    Returns:
        What is wrong, where, and what to do; None if the exception is of something else.
    """
    for each in _chain(error):
        named = [Path(name) for name in (each.filename, each.filename2) if name] if isinstance(each, OSError) else []
        text = str(each)
        if (isinstance(each, OSError) and each.errno in _FULL) or _FULL_WORDS.search(text):
            # of a copy from here to there both are named
            return no_space(min(named, key=_free) if named else _fullest(folder))
        if _READ_ONLY_WORDS.search(text):
            return f"the database in {folder / 'mlruns'} is read-only: make it writable, and run the same again"
        if isinstance(each, OSError) and each.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and named:
            return f"{named[-1]} cannot be used: {each.strerror}; mend that, and run the same again"
    return None


def no_space(path: Path) -> str:
    """The line for a full disk."""
    return (
        f"no space is left on the disk of {path} ({_free(path) / 1e6:.1f} MB free): free some, and run the same again; "
        "what was finished before is kept"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _free(path: Path) -> int:
    """Free bytes on the disk of a path, which need not be there yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def _fullest(folder: Path) -> Path:
    """Of the disks that the work writes to, the one with the least space: where it begins, seen from the folder."""
    disks = {folder.stat().st_dev: folder}
    for path, names, _ in os.walk(folder):
        names[:] = [name for name in names if name not in (".git", ".venv")]
        with suppress(OSError):  # another process has just removed it
            disks.setdefault(Path(path).stat().st_dev, Path(path))
    return min((*disks.values(), Path(tempfile.gettempdir())), key=_free)
