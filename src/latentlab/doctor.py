"""`latentlab doctor`: is everything here that a study needs, is it whole, and what is to be done if not?"""

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from latentlab import layout, storechecks
from latentlab.errors import UserError
from latentlab.findings import Finding, Level

REQUIREMENTS = Path("requirements.lock")
# what a default study leaves behind, models, pictures and runs, and as much again for what it makes on the way
GIGABYTES_NEEDED = 2.0


def diagnose() -> Iterator[Finding]:
    """Looks at everything, one finding after the other; a check that cannot be made is a finding too."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # one broken thing must not hide the others
            name = check.__name__.removeprefix("_")
            yield Finding("problem", name, f"cannot be checked: {type(error).__name__}: {error}".split("\n")[0])


def _python() -> Iterator[Finding]:
    version = ".".join(str(number) for number in sys.version_info[:3])
    yield Finding("ok", "Python", f"{version}, {sys.executable}")
    if not REQUIREMENTS.exists():
        return
    wanted: dict[str, set[str]] = {}  # one version for older Pythons, another for newer ones
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    for name, version in pins:
        wanted.setdefault(name, set()).add(version)
    other = []
    for name, versions in wanted.items():
        try:
            here = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        if here not in versions:
            other.append(f"{name} {here} instead of {' or '.join(sorted(versions))}")
    if other:
        remedy = "make (it installs what requirements.lock says), or results may not come out the same"
        yield Finding("note", "packages", f"{len(other)} are not those of {REQUIREMENTS}: {', '.join(other[:5])}", remedy)
    else:
        yield Finding("ok", "packages", f"as in {REQUIREMENTS}")


def _git() -> Iterator[Finding]:
    if shutil.which("git") is None:
        yield Finding("note", "git", "is not installed", "runs in MLflow then do not say of which commit they are")
    elif not Path(".git").exists():
        yield Finding("note", "git", "this folder is no git repository", "runs in MLflow then do not say their commit")
    else:
        yield Finding("ok", "git", "there")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free / 1e9
    level: Level = "ok" if free > GIGABYTES_NEEDED else "problem"
    remedy = (
        "" if level == "ok" else f"free some: a study needs about {GIGABYTES_NEEDED:g} GB; `dvc gc -w` clears its cache"
    )
    yield Finding(level, "disk", f"{free:.1f} GB free", remedy)
    for folder in (Path(), *(path for path in (layout.DATA, layout.RESULTS, Path("mlruns")) if path.exists())):
        if not os.access(folder, os.W_OK):
            yield Finding("problem", "disk", f"{folder.absolute()} cannot be written", "chmod u+w, or another folder")


def _params() -> Iterator[Finding]:
    from latentlab import stages
    from latentlab.study import space

    try:
        project = stages.read_params()
        space.check(project)
    except UserError as error:
        for line in str(error).split("\n"):
            yield Finding("problem", "params.yaml", line, "mend that line")
        return
    yield Finding("ok", "params.yaml", f"{len(project.variants)} rows, seeds {project.seeds}, {', '.join(project.recipes)}")


def _device() -> Iterator[Finding]:
    import torch

    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("ok", "CPU", f"{num_cores} cores, torch {torch.__version__}")
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        yield Finding("ok", "GPU", f"{torch.cuda.get_device_name()}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free")
    elif shutil.which("nvidia-smi"):
        remedy = "a driver that is too old for this torch is the usual reason: compare nvidia-smi with torch.version.cuda"
        yield Finding("problem", "GPU", "there is an NVIDIA driver, but torch cannot use it", remedy)
    else:
        yield Finding("ok", "GPU", "none, so the CPU is used")


def _data() -> Iterator[Finding]:
    from latentlab.download import FILES, is_right

    if not layout.DATA.is_dir():
        yield Finding("note", "MNIST", "not here yet", "latentlab repro download")
        return
    wrong = [name for name in FILES if not is_right(layout.DATA / name, name)]
    if wrong:
        yield Finding(
            "problem", "MNIST", f"missing or altered: {', '.join(wrong)}", "dvc checkout --force, or dvc repro download"
        )
    else:
        yield Finding("ok", "MNIST", "four files with the right SHA-256")


def _dvc() -> Iterator[Finding]:
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError
    from dvc.scm import SCMError

    from latentlab.holder import lock_holder, stage_runner

    try:
        repo = Repo()
    except NotDvcRepoError as error:
        yield Finding(
            "problem", "DVC", f"this folder is no DVC repository: {error}", "go to the project's folder, or dvc init"
        )
        return
    except SCMError as error:
        yield Finding("problem", "DVC", str(error), "git init, or dvc config core.no_scm true to do without")
        return
    with repo:
        try:
            broken = _broken_objects(Path(repo.cache.local.path))  # first: DVC deletes those that it comes across
            stale = repo.status(targets=["dvc.yaml"])
        except (LockError, RWLockFileCorruptedError, RWLockFileFormatError):
            if who := stage_runner(repo) or lock_holder(repo):
                yield Finding("note", "DVC", f"is at work: {who}", "ask again when it is done")
            else:
                about = "its list of who uses which files was left behind by a process that was killed"
                yield Finding("problem", "DVC", about, "latentlab repro, which clears it")
            return
        except DvcException as error:
            first = str(error).splitlines()[0]
            yield Finding(
                "problem", "DVC", f"cannot read its files: {first}", "mend them, or git checkout dvc.yaml dvc.lock"
            )
            return
    yield from _states()
    if stale:
        names = ", ".join(sorted(stale)[:6]) + (", ..." if len(stale) > 6 else "")
        yield Finding("note", "DVC", f"{len(stale)} stages are not up to date: {names}", "latentlab repro")
    else:
        yield Finding("ok", "DVC", "all stages are up to date")
    if broken:
        shown = ", ".join(str(path) for path in broken[:3])
        remedy = f"rm -f {' '.join(str(path) for path in broken)}; latentlab repro makes again what is needed"
        yield Finding("problem", "DVC's cache", f"{len(broken)} objects are not what their name says: {shown}", remedy)
    else:
        yield Finding("ok", "DVC's cache", "every object is what its name says")


def _states() -> Iterator[Finding]:
    """Of trainings that were stopped."""
    if states := sorted(layout.EPOCHS.glob("*.pt")):
        about = f"{len(states)} trainings go on after their last epoch: {', '.join(path.stem for path in states[:5])}"
        yield Finding("note", "training", about, f"latentlab repro; or rm {layout.EPOCHS}/*.pt to begin anew")


def _broken_objects(cache: Path) -> list[Path]:
    """Objects whose content does not have the MD5 that they are named after."""
    from latentlab.verify import digest_of

    return [
        path
        for path in sorted(cache.glob("[0-9a-f][0-9a-f]/*"))
        if digest_of(path) != path.parent.name + path.name.removesuffix(".dir")
    ]


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python, _git, _disk, _params, _device, _data, _dvc, storechecks.mlflow, storechecks.study,
)  # fmt: skip
