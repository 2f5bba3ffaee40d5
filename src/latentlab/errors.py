"""What a user is told: one line, without secrets. What a user can mend gets exit code 2, all else a traceback."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LONGEST = 2000  # letters of one line


def printable(text: str) -> str:
    """A text for one line of a terminal: line ends, escapes and the like as Python writes them, and cut if it is long."""
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text[: _LONGEST + 1])
    return shown if len(text) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(text):,} letters)"


class UserError(Exception):
    """Something that the user gave cannot be used; the message says what, and what would be right."""


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


# From the :// to the last @ before a space or a quote; a number behind the colon and a slash is a port, and no password.
_HOST = r"(?:\[[^\]\s]*\]|[^/\s\"'@:]*)(?::\d+)?/"
_AUTHORITY = re.compile(rf"(?<=://)(?!{_HOST})([^/\s\"':@]*)(:?)[^\s\"'<>]*@")
# of the servers that take a token in the place of a name
_TOKEN = re.compile(r"(?<=http://|grpc://)[^/\s\"':@]+(?=@)|(?<=https://)[^/\s\"':@]+(?=@)")
_PARAMETER = re.compile(r"(?<=[?&;])([\w.-]*(?:pass|pwd|token|secret|key|credential)[\w.-]*)=[^&;\s\"'#]*", re.IGNORECASE)


def without_passwords(text: str, url: str = "") -> str:
    """The text with `***` in the place of passwords, tokens and keys.

    Args:
        text: Anything that is to be shown.
        url: One that it may hold, which somebody has typed: what is wrong with it must not hide where its password is.
    """
    if url:
        text = text.replace(url, _typed(url)).replace(repr(url)[1:-1], _typed(url))
    text = _AUTHORITY.sub(lambda found: f"{found[1]}:***@" if found[2] else found[0], text)
    return _PARAMETER.sub(r"\1=***", _TOKEN.sub("***", text))


def _typed(url: str) -> str:
    """A URL as somebody has typed it, without its password, or all that may be one."""
    shown = without_passwords(re.sub(r"\s", "", url))
    return shown if "://" in shown else re.sub(r".*@", "***@", shown)
