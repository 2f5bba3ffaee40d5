"""`latentlab verify`: does a run come out the same, byte for byte, when it is made from nothing twice?"""

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from latentlab import paths, stages
from latentlab.commands.runs import chosen
from latentlab.comparison.tables import numbers
from latentlab.errors import UserError
from latentlab.params.strict import read_yaml
from latentlab.paths import Run

SAID = "said"  # the file with what a stage prints
LOCKS = [Path("dvc.lock"), Path("analyses/dvc.lock"), Path("study/dvc.lock")]
# Another processor adds in another order, and a training enlarges what comes of it: so far may a number be from the
# committed one, as a share of the larger, and still be the same result. A share of right answers moves by whole images.
TOLERANCE = 0.05


class VerifyError(UserError):
    """A run cannot be made from nothing here."""


def verify(variants: Sequence[str]) -> int:
    """Makes runs from nothing, each twice, and prints what is the same.

    Args:
        variants: Whose runs; all that are selected if empty.

    Returns:
        0 if each run came out the same twice, and as in dvc.lock or within `TOLERANCE` of it; else 1.

    Raises:
        UserError: A variant is unknown, the data are not there, or a stage failed.
    """
    runs = chosen(stages.read_params(), variants)
    for dataset in sorted({run.dataset for run in runs}):
        if not paths.data(dataset).is_dir():
            raise VerifyError(f"{paths.data(dataset)} is not here: latentlab repro download@{dataset}")
    locked = locked_outputs()
    good = True
    for run in runs:
        with TemporaryDirectory(prefix="latentlab-verify-") as scratch:
            folders = [Path(scratch, name) for name in ("first", "second")]
            _make_both(run, folders)
            good &= _report(run, folders, locked.get(str(run), {}))
    return 0 if good else 1


def locked_outputs() -> dict[str, dict[str, str]]:
    """MD5 of each output, by its path, of each run that the lock files hold, by its name."""
    found: dict[str, dict[str, str]] = {}
    for lock in filter(Path.exists, LOCKS):
        for stage, content in read_yaml(lock)["stages"].items():
            outputs = {output["path"]: output["md5"] for output in content.get("outs", [])}
            found.setdefault(stage.partition("@")[2], {}).update(outputs)
    return found


def _make_both(run: Run, folders: Sequence[Path]) -> None:
    """Makes a run in two empty folders at the same time, stage by stage, by the commands of its stages."""
    for folder in folders:
        folder.mkdir()
        (folder / paths.DATA).symlink_to(paths.DATA.resolve(), target_is_directory=True)
        read = (paths.PARAMS, paths.ANALYSES_PARAMS, paths.FRONTIER_PARAMS, paths.STUDY_PARAMS, paths.FOUND)
        for path in filter(Path.exists, read):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path)
    for stage in ("plan", "train", "evaluate", "probe"):
        with ExitStack() as both:
            processes = [both.enter_context(_started(run, stage, folder)) for folder in folders]
            for process, folder in zip(processes, folders, strict=True):
                if code := process.wait():
                    said = (folder / SAID).read_text(encoding="utf-8", errors="replace").splitlines()
                    last = said[-1] if said else "it says nothing"
                    raise VerifyError(f"{run.stage(stage)}: exit code {code}: {last}")


@contextmanager
def _started(run: Run, stage: str, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The process of a stage, in a folder, where it leaves what it says; it ends with the context."""
    arguments = [] if stage == "plan" else [run.variant, run.dataset, run.recipe, str(run.seed), run.home]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= {"TQDM_DISABLE": "1"}
    command = [sys.executable, "-m", f"latentlab.stages.{stage}", *arguments]
    with (folder / SAID).open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()  # does nothing where it has ended
        process.wait()  # `with` would not after a Ctrl-C


def _report(run: Run, folders: Sequence[Path], locked: Mapping[str, str]) -> bool:
    """Prints what is the same; whether all of it is, or near enough to what was committed."""
    first, second = (_digests(folder, run) for folder in folders)
    differing = [path for path in {**first, **second} if first.get(path) != second.get(path)]
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
    near = [_is_near(path, folders[0] / path) for path in (run.metrics, run.probes) if str(path) in changed]
    return all(near)


def _is_near(committed: Path, made: Path) -> bool:
    """Prints how far the numbers are from the committed ones; whether all are within the tolerance."""
    if not committed.exists():
        print(f"  {committed} is not here to be compared: git restore --source=HEAD {committed}")
        return False
    expected, found = (dict(numbers(json.loads(path.read_text(encoding="utf-8")))) for path in (committed, made))
    off = differences(expected, found)
    if not off:
        print(f"  {committed}: the same numbers")
        return True
    worst = max(off, key=off.__getitem__)
    side = "within" if off[worst] <= TOLERANCE else "beyond"
    print(
        f"  {committed}: {len(off)} numbers differ, most of all {worst}: {expected.get(worst, math.nan):.6g} there, "
        f"{found.get(worst, math.nan):.6g} here, {off[worst]:.2%}, {side} the tolerance of {TOLERANCE:.0%}"
    )
    return off[worst] <= TOLERANCE


def differences(expected: Mapping[str, float], found: Mapping[str, float]) -> dict[str, float]:
    """How far numbers are off, as a share of the larger of the two; infinite where one is missing or not a number."""
    off = {}
    for key in {**expected, **found}:
        one, other = expected.get(key, math.nan), found.get(key, math.nan)
        if one != other:
            share = abs(one - other) / max(abs(one), abs(other))
            off[key] = math.inf if math.isnan(share) else share
    return off


def _digests(folder: Path, run: Run) -> dict[str, str]:
    """MD5 of each file of the run, by its path in the folder."""
    files = [path for root in (run.checkpoint.parent, run.folder) for path in sorted((folder / root).rglob("*"))]
    return {path.relative_to(folder).as_posix(): digest_of(path) for path in files if path.is_file()}


def digest_of(path: Path) -> str:
    """MD5 of a file, or of a folder, as DVC writes them into dvc.lock; empty if there is nothing."""
    if path.is_dir():
        inside = {inner.relative_to(path).as_posix(): inner for inner in path.rglob("*") if inner.is_file()}
        entries = [{"md5": digest_of(inside[name]), "relpath": name} for name in sorted(inside)]
        return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"
    return hashlib.md5(path.read_bytes()).hexdigest() if path.exists() else ""
