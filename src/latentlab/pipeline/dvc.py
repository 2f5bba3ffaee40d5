"""DVC's files: who else uses them, what is whole in its cache, params.yaml read once, dvc.lock written atomically."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import psutil
from dvc.dependency import param
from dvc.fs import LocalFileSystem
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotFoundError, _can_hash, _get_stage_hash
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import load_path, modify_yaml, parse_yaml
from dvc_data.hashfile.tree import Tree

from latentlab.errors import MachineError, UserError, no_space
from latentlab.files import replacing, settle

Stage = Any  # DVC's own has no types
# what git writes where two branches have changed the same lines
_CONFLICT = re.compile(r"^<{7} .*?^={7}$.*?^>{7} ", re.DOTALL | re.MULTILINE)


def other_process(repo: Repo) -> str:
    """Another process that works with this project's DVC, as "PID 12: dvc repro"; empty if none can be found.

    It holds the project's lock, or runs a stage and keeps its files for itself, while nobody has that lock.
    """
    for number in (*_users(repo), *_holder(repo)):
        with suppress(psutil.Error):
            words = psutil.Process(number).cmdline()
            # after a restart of the machine, and in each new container, old numbers are those of other processes
            if number != os.getpid() and {"dvc", "latentlab"} & {Path(word).name for word in words}:
                return f"PID {number}: {' '.join(words)}"
    return ""


def _users(repo: Repo) -> Iterator[int]:
    """The processes on DVC's list of who uses which files; none where it is not a whole one."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        users = json.loads((Path(repo.tmp_dir) / "rwlock").read_text(encoding="utf-8"))
        readers = [reader for readers in users.get("read", {}).values() for reader in readers]
        for entry in [*users.get("write", {}).values(), *readers]:
            yield int(entry["pid"])


def _holder(repo: Repo) -> Iterator[int]:
    """The last process that had the project's lock."""
    with suppress(OSError, ValueError):
        yield int((Path(repo.tmp_dir) / "lock").read_text(encoding="utf-8"))


def forget_users(repo: Repo) -> None:
    """Removes DVC's list of who uses which files, with the project locked and no other process at work.

    DVC writes it in place, several times for each stage, and asks for none but the number of a process. So a kill can leave
    half a list, with which DVC does nothing any more, or the number of a process that is another one's by now.
    """
    (Path(repo.tmp_dir) / "rwlock").unlink(missing_ok=True)


@contextmanager
def parameters_read_once() -> Iterator[None]:
    """DVC reads params.yaml anew for each stage, which is most of the time that a call takes in which nothing changed."""
    known: dict[tuple[str, int, int], Any] = {}

    def load(path: str, fs: Any) -> Any:
        if not isinstance(fs, LocalFileSystem):
            return load_path(path, fs)
        about = Path(path).stat()
        key = path, about.st_mtime_ns, about.st_size
        if key not in known:
            known[key] = load_path(path, fs)
        return deepcopy(known[key])  # or dvc.lock would have aliases where stages share values

    param.load_path = load
    try:
        yield
    finally:
        param.load_path = load_path


def check_out(stage: Stage) -> tuple[bool, list[str]]:
    """Makes up for outputs that are missing here or in DVC's cache, each from the other: for a stage that has not changed.

    Returns and raises what `restore` does.
    """
    missing = [out for out in stage.outs if not out.exists]
    # DVC looks at what is here only where its cache has what it should be
    if any(out.exists and out.workspace_status() for out in stage.outs) or any(out.changed_cache() for out in missing):
        return False, []
    for out in missing:
        out.checkout()
    damaged = _take(stage)
    return not damaged, damaged


def restore(stage: Stage) -> tuple[bool, list[str]]:
    """Takes the outputs of a stage from DVC's cache, if it has run with the same dependencies before.

    DVC takes an entry that power loss has cut for a run without some of its outputs, and trusts any object that is
    read-only. So what cannot be used is removed.

    Returns:
        Whether the outputs are there now, and kept as `save` does; the objects of DVC's cache that were damaged.

    Raises:
        MachineError: As for `save`.
    """
    damaged: list[str] = []
    with suppress(RunCacheNotFoundError, KeyError):
        stage.repo.stage_cache.restore(stage)
        if all(out.exists for out in stage.outs):
            damaged = _take(stage)
            if not damaged:
                return True, damaged
    stage.save_deps()
    if _can_hash(stage):
        shutil.rmtree(_run_cache(stage), ignore_errors=True)
    return False, damaged


def _take(stage: Stage) -> list[str]:
    """Keeps outputs that are there without a run; removes them if DVC's cache had damaged objects, and returns these."""
    stage.save(run_cache=False)
    damaged = _remove_damaged(stage)
    if damaged:
        stage.remove_outs(ignore_remove=False, force=False)
    else:
        _keep(stage)
    return damaged


def _run_cache(stage: Stage) -> Path:
    """Where DVC keeps what a stage made of its present dependencies."""
    return Path(stage.repo.stage_cache._get_cache_dir(_get_stage_hash(stage)))


def save(stage: Stage) -> list[str]:
    """Does what DVC does after a stage has run, and makes sure that power loss takes nothing of it.

    DVC would leave a damaged object where it is. Where it cannot put something into its cache, it prints so and goes on.

    Returns:
        The objects of DVC's cache that were damaged, and are made anew.

    Raises:
        MachineError: DVC's cache does not have all outputs.
    """
    # DVC's own condition, in Stage.run
    stage.save(run_cache=all(out.use_cache or out.is_metric or out.is_plot for out in stage.outs))
    damaged = _remove_damaged(stage)
    _keep(stage)
    return damaged


def _keep(stage: Stage) -> None:
    """Puts the outputs of a saved stage into DVC's cache, and makes sure that power loss takes nothing of them."""
    stage.commit()
    objects = list(_objects(stage))
    missing = [path for out, path in objects if out.use_cache and not path.exists()]
    if missing:
        cache = Path(stage.repo.cache.local.path)
        largest = max(out.meta.size or 0 for out in stage.outs)
        if shutil.disk_usage(cache).free < largest + 2**20:
            raise MachineError(no_space(cache))
        raise MachineError(f"DVC could not put {len(missing)} files into its cache, {cache}: see above")
    entries = [_run_cache(stage)] if _can_hash(stage) else []
    settle(*(Path(out.fs_path) for out in stage.outs), *(path for _, path in objects), *entries)


def _remove_damaged(stage: Stage) -> list[str]:
    """Removes the objects of a stage's outputs whose bytes are not what their names say; these names."""
    damaged = [path for _, path in _objects(stage) if path.is_file() and _md5(path) != path.parent.name + path.stem]
    for path in damaged:
        path.unlink()
    return [path.parent.name + path.name for path in damaged]


def _objects(stage: Stage) -> Iterator[tuple[Any, Path]]:
    """Outputs of a stage with the paths of their objects in DVC's cache.

    They need not be there: those of outputs that git keeps are there only for DVC's run cache.
    """
    for out in stage.outs:
        if out.obj is not None:
            within = [entry.value for _, _, entry in out.obj] if isinstance(out.obj, Tree) else []
            for name in (out.obj.hash_info.value, *within):
                yield out, Path(out.cache.oid_to_path(name))


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def has_conflict(path: Path) -> bool:
    """Whether a file is there and has the marks of git's around lines that two branches have changed."""
    return path.is_file() and _CONFLICT.search(path.read_text(encoding="utf-8", errors="replace")) is not None


def keep_both_sides(path: Path, scratch: Path) -> None:
    """Makes a whole dvc.lock of one with git's marks of a conflict: it has the stages of both sides.

    Git merges the lines of a stage one by one, to what nobody has made; so the sides are taken as they were. Of a stage of
    both it takes ours: if that does not fit the files and parameters of now, the stage is stale, as always.

    Raises:
        UserError: Git does not have the two sides any more.
        DvcException: A side of it is no YAML.
    """
    ours, theirs = _side(path, 2), _side(path, 3)
    with replacing(path, scratch) as copy:
        copy.write_text(ours, encoding="utf-8")
        with modify_yaml(copy) as lock:
            lock["stages"] = (parse_yaml(theirs, path).get("stages") or {}) | (lock.get("stages") or {})


def _side(path: Path, number: int) -> str:
    """What git has of a file of a merge: 2 is ours, 3 theirs."""
    shown = subprocess.run(
        ["git", "show", f":{number}:./{path.as_posix()}"], capture_output=True, text=True, encoding="utf-8", check=False
    )
    if shown.returncode:
        raise UserError(
            f"{path} has the marks of a merge that git knows nothing of any more: take the file of a commit before it, "
            f"git restore --source=COMMIT {path}"
        )
    return shown.stdout


class Locks:
    """The dvc.lock of each pipeline; however a write ends, power loss included, the file is whole.

    Args:
        planned: All stages, as `dvc repro` takes them, one after the other.
        scratch: A folder on the same disk, for files that become those.
    """

    def __init__(self, planned: Sequence[Stage], scratch: Path) -> None:
        self._place = {stage: place for place, stage in enumerate(planned)}
        self._scratch = scratch
        self._places: dict[Path, dict[str, int]] = {}  # of the stages of each file, by their names

    def write(self, stages: Sequence[Stage]) -> None:
        """Writes stages that are done; new ones come where `dvc repro` would have put them."""
        by_file: dict[Path, list[Stage]] = {}
        for stage in stages:
            if isinstance(stage, PipelineStage):
                by_file.setdefault(Path(stage.dvcfile._lockfile.path), []).append(stage)
            else:  # a .dvc file
                stage.dump(update_pipeline=False)
        for path, done in by_file.items():
            with replacing(path, self._scratch) as copy:
                if path.exists():
                    shutil.copyfile(path, copy)
                self._rewrite(path, copy, done)

    def _rewrite(self, path: Path, copy: Path, stages: Sequence[Stage]) -> None:
        with modify_yaml(copy) as lock:
            lock.setdefault("schema", "2.0")
            entries = lock.setdefault("stages", {})
            # those that were there before stay where they are
            places = self._places.setdefault(path, dict.fromkeys(entries, -1))
            for stage in stages:
                entries.update(to_lockfile(stage))
                places.setdefault(stage.name, self._place[stage])
            ordered = {name: entries.pop(name) for name in sorted(places, key=places.__getitem__)}
            entries.update(ordered)
