"""DVC's files: params.yaml is read once, and dvc.lock has the order that `dvc repro` gives it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from dvc.dependency import param
from dvc.fs import LocalFileSystem
from dvc.utils.serialize import load_path, load_yaml, modify_yaml


def stage_names(path: str) -> list[str]:
    """The stages in a dvc.lock, in its order; none if there is no such file."""
    return list(load_yaml(path).get("stages", {})) if Path(path).exists() else []


def put_in_order(path: str, before: Sequence[str], order: Sequence[str]) -> None:
    """Puts stages that are new in a dvc.lock where `dvc repro` would have put them, which runs one after the other.

    Args:
        path: Of the dvc.lock.
        before: The stages that it had; they stay where they are.
        order: The stages as `dvc repro` takes them.
    """
    names = stage_names(path)
    wanted = [*before, *sorted(set(names) - set(before), key=list(order).index)]
    if names != wanted:
        with modify_yaml(path) as lock:
            entries = {name: lock["stages"].pop(name) for name in wanted}
            lock["stages"].update(entries)


@contextmanager
def parameters_read_once() -> Iterator[None]:
    """DVC reads params.yaml anew for each stage, which is most of the time that a study takes in which nothing changed."""
    kept: dict[tuple[str, int, int], Any] = {}

    def load(path: str, fs: Any, **settings: Any) -> Any:
        about = os.stat(path)  # noqa: PTH116
        key = str(path), about.st_mtime_ns, about.st_size
        if settings or not isinstance(fs, LocalFileSystem):
            return load_path(path, fs, **settings)
        if key not in kept:
            kept[key] = load_path(path, fs)
        return deepcopy(kept[key])

    param.load_path = load
    try:
        yield
    finally:
        param.load_path = load_path
