"""`latentlab doctor`: is everything here that the project needs, is it whole, and what is to be done if not?

It changes nothing, and what it proposes deletes nothing but objects of DVC's cache that are broken.
"""

import importlib.metadata
import os
import re
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from latentlab import paths
from latentlab.errors import UserError, without_passwords

REQUIREMENTS = Path("requirements.lock")
DATABASE = Path("mlruns/mlflow.db")
# what the default job leaves behind, models, pictures and runs, and as much again for what it makes on the way
GIGABYTES_NEEDED = 2.0


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was seen, and what to do about it (empty if nothing)."""

    level: Literal["ok", "note", "problem"]
    about: str
    seen: str
    remedy: str = ""

    def __str__(self) -> str:
        """For people."""
        text = f"{self.level:<8}{self.about}: {self.seen}"
        return f"{text}\n{'':8}-> {self.remedy}" if self.remedy else text


def report() -> int:
    """Looks at everything, and prints a finding after the other; a check that cannot be made is a finding too.

    Returns:
        The exit code: 1 if there is a problem, else 0.
    """
    code = 0
    for check in CHECKS:
        found: Iterable[Finding]
        try:
            found = list(check())
        except Exception as error:  # one broken thing must not hide the others
            about = f"cannot be checked: {type(error).__name__}: {error}".split("\n")[0]
            found = [Finding("problem", check.__name__.removeprefix("_"), about)]
        for finding in found:
            print(finding, flush=True)
            code = max(code, int(finding.level == "problem"))
    return code


def _python() -> Iterator[Finding]:
    yield Finding("ok", "Python", f"{sys.version.split()[0]}, {sys.executable}")
    if not REQUIREMENTS.exists():
        return
    wanted: dict[str, set[str]] = {}  # one version for older Pythons, another for newer ones
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    for name, version in pins:
        wanted.setdefault(name, set()).add(version)
    here = {each.metadata["Name"].lower().replace("_", "-"): each.version for each in importlib.metadata.distributions()}
    # what is not installed is of another platform
    other = [f"{name} {here[name]}" for name, versions in wanted.items() if here.get(name, "") not in {"", *versions}]
    if other:
        about = f"{len(other)} are not those of {REQUIREMENTS}: {', '.join(other[:5])}"
        yield Finding(
            "note",
            "packages",
            about,
            f"pip install --require-hashes --requirement {REQUIREMENTS}, or results may not come out the same",
        )
    else:
        yield Finding("ok", "packages", f"as in {REQUIREMENTS}")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free / 1e9
    if free > GIGABYTES_NEEDED:
        yield Finding("ok", "disk", f"{free:.1f} GB free")
    else:
        yield Finding("problem", "disk", f"{free:.1f} GB free", f"free some: `make repro` needs {GIGABYTES_NEEDED:g} GB")
    for folder in (Path(), paths.DATA, paths.REPORTS, DATABASE.parent):
        if folder.exists() and not os.access(folder, os.W_OK):
            yield Finding("problem", "disk", f"{folder.absolute()} cannot be written", "chmod u+w, or another folder")


def _params() -> Iterator[Finding]:
    from latentlab import stages
    from latentlab.params import analyses, study
    from latentlab.study import space

    try:
        project = stages.read_params()
        analyses.load()
        space.check(project, study.load(Path(), project))
    except UserError as error:
        for line in str(error).split("\n"):
            yield Finding("problem", "parameters", line, "mend that line")
    else:
        yield Finding("ok", "parameters", f"{len(project.variants)} variants, {len(project.runs())} runs are selected")


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


def _data() -> Iterator[Finding]:
    from latentlab.data.sources import FILES, is_right
    from latentlab.params import project

    for name in project.load().run.datasets:
        folder, remedy = paths.data(name), f"latentlab repro download@{name}"
        wrong = [file for file in FILES if not is_right(folder / file, file)]
        if not folder.is_dir():
            yield Finding("note", "data", f"{name} is not here yet", remedy)
        elif wrong:
            yield Finding("problem", "data", f"{name}: missing or altered: {', '.join(wrong)}", remedy)
        else:
            yield Finding("ok", "data", f"{name}: its files have the right SHA-256")


def _dvc() -> Iterator[Finding]:
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError

    from latentlab.pipeline.dvc import other_process

    try:
        with Repo() as repo:
            try:
                broken = _broken_objects(Path(repo.cache.local.path))  # first: DVC deletes those that it comes across
                stale = repo.status(targets=["dvc.yaml"])
            except (LockError, RWLockFileCorruptedError, RWLockFileFormatError):
                if who := other_process(repo):
                    yield Finding("note", "DVC", f"is at work: {who}", "ask again when it is done")
                else:
                    yield Finding("problem", "DVC", "a killed process has left its locks", "latentlab repro clears them")
                return
    except DvcException as error:
        about = f"cannot be used: {str(error).splitlines()[0]}"
        yield Finding(
            "problem", "DVC", about, "go to the project's folder, or mend what it names: git diff shows what has changed"
        )
        return
    if stale:
        names = ", ".join(sorted(stale)[:6]) + (", ..." if len(stale) > 6 else "")
        yield Finding("note", "DVC", f"{len(stale)} stages are not up to date: {names}", "latentlab repro")
    else:
        yield Finding("ok", "DVC", "all stages are up to date")
    if broken:
        about = f"{len(broken)} objects are not what their name says: {', '.join(map(str, broken[:3]))}"
        remedy = f"rm -f {shlex.join(map(str, broken))}; latentlab repro makes again what is needed"
        yield Finding("problem", "DVC's cache", about, remedy)
    else:
        yield Finding("ok", "DVC's cache", "every object is what its name says")


def _broken_objects(cache: Path) -> list[Path]:
    """Objects whose content does not have the MD5 that they are named after."""
    from latentlab.commands.verify import digest_of

    objects = sorted(cache.glob("[0-9a-f][0-9a-f]/*"))
    return [path for path in objects if digest_of(path) != path.parent.name + path.name.removesuffix(".dir")]


def _mlflow() -> Iterator[Finding]:
    import mlflow

    from latentlab.tracking.artifacts import lacks_files
    from latentlab.tracking.store import check_server

    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        try:
            check_server(uri)
        except UserError as error:
            yield Finding("problem", "MLflow", str(error))
            return
        place = without_passwords(uri, uri)
    else:
        if not DATABASE.exists():
            yield Finding("ok", "MLflow", "no store yet: the first run makes it")
            return
        if (state := _state_of(DATABASE)) != "ok":
            yield _about_database("MLflow", DATABASE, state, "latentlab sync fills a new one")
            return
        mlflow.set_tracking_uri(f"sqlite:///{DATABASE.resolve()}")
        place = f"{DATABASE} is whole"
    client = mlflow.MlflowClient()
    experiments = [each.experiment_id for each in client.search_experiments() if each.name.startswith("latentlab")]
    trained = client.search_runs(experiments, "tags.trained = 'true'", max_results=10_000) if experiments else []
    yield Finding("ok", "MLflow", f"{place}, {len(trained)} trained runs")
    if bare := [run.info.run_name for run in trained if lacks_files(run)]:
        about = f"runs without their model, or with files that are cut: {', '.join(bare[:5])}"
        yield Finding("problem", "MLflow", about, "latentlab sync")


def _state_of(database: Path) -> str:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return str(connection.execute("PRAGMA quick_check").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()


def _about_database(about: str, database: Path, trouble: str, after: str) -> Finding:
    """What is wrong with a file of SQLite; only one that is certainly no database any more is to be put aside."""
    if any(words in trouble for words in ("not a database", "malformed")):
        return Finding("problem", about, f"{database} is damaged: {trouble}", f"mv {database} {database}.damaged; {after}")
    return Finding("problem", about, f"{database} cannot be read now: {trouble}", "ask again when nothing else uses it")


def _study() -> Iterator[Finding]:
    import optuna

    from latentlab.params import project, study
    from latentlab.study import trials
    from latentlab.study.storage import StorageError, is_there, open_storage

    settings = study.load(Path(), project.load())
    if not is_there(settings.storage):
        yield Finding("ok", "study", "none yet: make study")
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        found = optuna.load_study(study_name=settings.name, storage=open_storage(settings.storage)).get_trials(
            deepcopy=False
        )
    except KeyError:
        yield Finding("ok", "study", f"no {settings.name} yet: make study")
    except StorageError as error:
        file = settings.storage.removeprefix("sqlite:///")
        if file != settings.storage:
            yield _about_database("study", Path(file), str(error), "latentlab study run begins anew")
        else:
            yield Finding("problem", "study", str(error), "start it, or mend `storage` in study/params.yaml")
    else:
        place = without_passwords(settings.storage, settings.storage)
        yield Finding("ok", "study", f"{settings.name} in {place}: {trials.counts(found)}")


CHECKS = (_python, _disk, _params, _device, _data, _dvc, _mlflow, _study)
