"""`latentlab verify`: does a run come out the same, byte for byte, when it is made from nothing twice?"""

import hashlib
import json
import math
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from latentlab import layout, params, stages, workers
from latentlab.errors import UserError
from latentlab.layout import Run

STAGES = ("train", "evaluate", "probe")
LOCK = Path("dvc.lock")
# Another processor adds in another order, and a training enlarges what comes of it: so far may a number be from the
# committed one, as a share of it, and still be the same result. A share of right answers moves in steps of one image.
TOLERANCE = 0.05


class VerifyError(UserError):
    """A run cannot be made from nothing here."""


@dataclass(frozen=True)
class Difference:
    """A number that is not the same: where it stands, as it was and as it is."""

    key: str
    expected: float
    found: float

    @property
    def relative(self) -> float:
        """How far it is off, as a share of the larger of the two."""
        if math.isnan(self.expected) or math.isnan(self.found):
            return math.inf
        largest = max(abs(self.expected), abs(self.found))
        return abs(self.expected - self.found) / largest if largest else 0.0


def verify(names: Sequence[str]) -> int:
    """Makes runs from nothing, each twice, and prints what is the same.

    Args:
        names: Rows; all of them if there are none.

    Returns:
        0 if each run came out the same twice, and as in dvc.lock or within `TOLERANCE` of it; else 1.

    Raises:
        UserError: A row is unknown, the data are not there, or a stage failed.
    """
    project = stages.read_params()
    for name in names:
        project.row(name)
    if not layout.DATA.is_dir():
        raise VerifyError("MNIST is not here: latentlab repro download")
    lock = _locked_stages()
    runs = [
        Run(name, recipe, seed)
        for name in names or project.variants
        for recipe in project.recipes_of(name)
        for seed in project.seeds_of(name)
    ]
    good = True
    for run in runs:
        suffix = "_found" if run.row in project.found.variants else ""
        locked = {
            output["path"]: output["md5"]
            for stage in STAGES
            for output in lock.get(f"{stage}{suffix}@{run}", {}).get("outs", [])
        }
        with TemporaryDirectory(prefix="latentlab-verify-") as scratch:
            folders = [Path(scratch) / name for name in ("first", "second")]
            _make_both(run, folders)
            good &= _report(run, folders, locked)
    return 0 if good else 1


def _locked_stages() -> dict[str, Any]:
    try:
        lock = yaml.safe_load(LOCK.read_text(encoding="utf-8")) if LOCK.exists() else {"stages": {}}
        return dict(lock["stages"])
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError, KeyError):
        raise VerifyError(f"{LOCK} is damaged: git checkout {LOCK}") from None


def _make_both(run: Run, folders: Sequence[Path]) -> None:
    """Makes a run in two empty folders at the same time; when one fails, or this is interrupted, both end at once."""
    workers.preload([workers.module_of(stage) for stage in ("plan", *STAGES)], os.environ)
    stop = folders[0].parent / "stop"
    with (
        ProcessPoolExecutor(len(folders), mp_context=workers.start_method()) as processes,
        ThreadPoolExecutor(len(folders)) as pool,
    ):
        making = [pool.submit(_make, run, folder, stop, processes) for folder in folders]
        try:
            for each in as_completed(making):
                each.result()
        finally:
            stop.touch()


def _make(run: Run, folder: Path, stop: Path, processes: ProcessPoolExecutor) -> None:
    """Makes a run in an empty folder, by the commands of its stages, until it is told to stop."""
    (folder / layout.DATA).parent.mkdir(parents=True)
    (folder / layout.DATA).symlink_to(layout.DATA.resolve(), target_is_directory=True)
    for name in (layout.PARAMS, Path(params.FOUND)):
        if name.exists():
            shutil.copy(name, folder / name)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= {"TQDM_DISABLE": "1"}
    for stage in ("plan", *STAGES):
        arguments = [] if stage == "plan" else [run.row, run.recipe, str(run.seed)]
        module, said = workers.module_of(stage), folder / f"{stage}.said"
        job = workers.Job(
            [shlex.join(["python", "-m", module, *arguments])],
            [[sys.executable, "-m", module, *arguments]],
            str(folder),
            environment,
            said,
            stop,
            [module],
        )
        with workers.errors_of_workers():
            code = processes.submit(workers.serve, job).result()
        if stop.exists():
            return
        if code != 0:
            output = said.read_text(encoding="utf-8", errors="replace")
            raise VerifyError(f"{stage}@{run}: {workers.reason(code, output)}")


def _report(run: Run, folders: Sequence[Path], locked: Mapping[str, str]) -> bool:
    """Prints what is the same; whether all of it is, or near enough to what was committed."""
    first, second = (_files(folder) for folder in folders)
    differing = [path for path in first if first[path] != second.get(path)]
    if differing:
        print(f"{run}: two runs on this machine differ in {', '.join(differing)}")
        return False
    print(f"{run}: {len(first)} files, the same bytes twice")
    if not locked:
        print("  dvc.lock does not have this run")
        return True
    changed = [path for path, digest in locked.items() if digest_of(folders[0] / path) != digest]
    if not changed:
        print(f"  and the same as in dvc.lock, {len(locked)} of {len(locked)} outputs")
        return True
    print(f"  other bytes than in dvc.lock: {', '.join(changed)}")
    good = True
    for path in (str(run.metrics), str(run.probes)):
        if path in changed:
            good &= _print_numbers(path, Path(path), folders[0] / path)
    return good


def _print_numbers(name: str, committed: Path, made: Path) -> bool:
    """Prints how far the numbers are from the committed ones; whether all are within the tolerance."""
    if not committed.exists():
        print(f"  {name} is not here to be compared: dvc checkout, or git checkout {committed}")
        return False
    found = differences(json.loads(committed.read_text(encoding="utf-8")), json.loads(made.read_text(encoding="utf-8")))
    found.sort(key=lambda difference: -difference.relative)
    if not found:
        print(f"  {name}: the same numbers")
        return True
    worst = found[0]
    side = "within" if worst.relative <= TOLERANCE else "beyond"
    print(
        f"  {name}: {len(found)} numbers differ, most of all {worst.key}: {worst.expected:.6g} there, {worst.found:.6g} "
        f"here, {worst.relative:.2%}, {side} the tolerance of {TOLERANCE:.0%}"
    )
    return worst.relative <= TOLERANCE


def differences(expected: Any, found: Any, key: str = "") -> list[Difference]:
    """Numbers of two JSON contents that are not equal; one that only one of them has counts as NaN in the other."""
    one, other = dict(_numbers(expected, key)), dict(_numbers(found, key))
    return [
        Difference(name, one.get(name, math.nan), other.get(name, math.nan))
        for name in {**one, **other}
        if one.get(name, math.nan) != other.get(name, math.nan)
    ]


def _numbers(content: Any, key: str) -> Iterator[tuple[str, float]]:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in items:
        inner = f"{key}.{name}" if key else str(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield inner, float(value)
        else:
            yield from _numbers(value, inner)


def _files(folder: Path) -> dict[str, str]:
    """MD5 of each file that the stages made, by its path in the folder."""
    roots = [folder / root for root in (layout.MODELS, layout.RUNS)]
    files = [path for root in roots for path in sorted(root.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): digest_of(path) for path in files}


def digest_of(path: Path) -> str:
    """MD5 of a file, or of a folder, as DVC writes them into dvc.lock; empty if there is nothing."""
    if path.is_dir():
        entries = [
            {"md5": digest_of(inner), "relpath": inner.relative_to(path).as_posix()}
            for inner in path.rglob("*")
            if inner.is_file()
        ]
        entries.sort(key=lambda entry: entry["relpath"])
        return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"
    return hashlib.md5(path.read_bytes()).hexdigest() if path.exists() else ""
