"""Files that are whole or not there, however their writing ends, power loss included."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path, scratch: Path | None = None) -> Iterator[Path]:
    """Another file to write to, which takes the place of this one when it is whole; if it is not written, nothing does.

    Args:
        path: Of the file; it need not be there.
        scratch: A folder on the same disk for the other file; None is the folder of the first.
    """
    partial = (scratch or path.parent) / f"{path.name}.partial"
    try:
        yield partial
        if partial.exists():
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def settle(*paths: Path) -> None:
    """Waits until files, and all that is in folders, are on the disk, so that power loss takes nothing of them.

    Args:
        paths: Of files and folders; what is not there is left out.
    """
    if os.name != "posix":  # nothing that is open for reading can be asked for it there, and no folder
        return
    within = {each for path in paths for each in (path, *path.rglob("*"))}
    for path in sorted({*within, *(each.parent for each in within)}):
        if path.exists():
            number = os.open(path, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)


def write_text(content: str, path: Path) -> None:
    """Writes a text in UTF-8."""
    with replacing(path) as partial:
        partial.write_text(content, encoding="utf-8")


def write_json(content: Any, path: Path) -> None:
    """Writes what a run has measured, or anything else that JSON can hold, to be read by people too."""
    write_text(json.dumps(content, indent=2) + "\n", path)
