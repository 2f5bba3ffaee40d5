"""DVC's files: what is not whole is not used, params.yaml is read once, and dvc.lock has the order of `dvc repro`."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from dvc.dependency import param
from dvc.fs import LocalFileSystem
from dvc.stage.cache import _can_hash, _get_cache_hash, _get_stage_hash
from dvc.utils.serialize import load_path, load_yaml, modify_yaml
from dvc_data.hashfile.tree import Tree

from latentlab.faults import MachineError, no_space
from latentlab.wholefiles import replacing, settle


@contextmanager
def rewritten(path: Path, scratch: Path) -> Iterator[Path]:
    """A copy of a file, which takes its place at the end: however this ends, power loss included, the file is whole.

    Args:
        path: Of the file; it need not be there.
        scratch: A folder on the same disk, for the copy.
    """
    with replacing(path, scratch) as copy:
        if path.exists():
            shutil.copyfile(path, copy)
        yield copy


def drop_corrupted(stage: Any) -> list[str]:
    """Removes objects of DVC's cache that should hold the present outputs of a stage, and do not.

    DVC notices such an object when it is to be used, and runs the stage again; but it would leave the object there.

    Args:
        stage: Of DVC, just saved.

    Returns:
        The names of the objects that were removed.
    """
    dropped = []
    for _, name, path in _objects(stage):
        if path.is_file() and _md5(path) != name.removesuffix(".dir"):
            path.unlink()
            dropped.append(name)
    return dropped


def use_whole_runs_only(run_cache: Any) -> None:
    """Makes DVC remove entries of its run cache that are cut.

    It notices those that are no YAML any more, but takes one that has lost some of its outputs for a run without them.

    Args:
        run_cache: A `dvc.stage.cache.StageCache`.
    """
    load = run_cache._load_cache

    def load_whole(key: str, value: str) -> Any:
        content = load(key, value)
        if content is not None and _get_cache_hash(content) != value:  # its name
            Path(run_cache._get_cache_path(key, value)).unlink()
            return None
        return content

    run_cache._load_cache = load_whole


def check_cached(stage: Any) -> None:
    """Makes sure that DVC's cache has the outputs of a stage, and that power loss takes nothing of them.

    Where DVC cannot put something into its cache, it prints so and goes on; and it waits for no disk.

    Args:
        stage: Of DVC, just committed.

    Raises:
        MachineError: It has not.
    """
    missing = [path for out, _, path in _objects(stage) if out.use_cache and not path.exists()]
    if missing:
        cache = Path(stage.repo.cache.local.path)
        largest = max(out.meta.size or 0 for out in stage.outs)
        if shutil.disk_usage(cache).free < largest + 2**20:
            raise MachineError(no_space(cache))
        raise MachineError(f"DVC could not put {len(missing)} files into its cache, {cache}: see above")
    entries = [Path(stage.repo.stage_cache._get_cache_dir(_get_stage_hash(stage)))] if _can_hash(stage) else []
    settle(*(Path(out.fs_path) for out in stage.outs), *(path for *_, path in _objects(stage)), *entries)


def _objects(stage: Any) -> Iterator[tuple[Any, str, Path]]:
    """Outputs of a stage with the names and paths of their objects in DVC's cache.

    They need not be there: those of outputs that git keeps are there only for DVC's run cache.
    """
    for out in stage.outs:
        if out.obj is not None:
            within = [entry.value for _, _, entry in out.obj] if isinstance(out.obj, Tree) else []
            for name in (out.obj.hash_info.value, *within):
                yield out, name, Path(out.cache.oid_to_path(name))


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def stage_names(path: Path) -> list[str]:
    """The stages in a dvc.lock, in its order; none if there is no such file."""
    return list(load_yaml(path).get("stages", {})) if path.exists() else []


def put_in_order(path: Path, before: Sequence[str], order: Sequence[str], scratch: Path) -> None:
    """Puts stages that are new in a dvc.lock where `dvc repro` would have put them, which runs one after the other.

    Args:
        path: Of the dvc.lock.
        before: The stages that it had; they stay where they are.
        order: The stages as `dvc repro` takes them.
        scratch: A folder on the same disk.
    """
    names = stage_names(path)
    wanted = [*before, *sorted(set(names) - set(before), key=list(order).index)]
    if names != wanted:
        with rewritten(path, scratch) as copy, modify_yaml(copy) as lock:
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
