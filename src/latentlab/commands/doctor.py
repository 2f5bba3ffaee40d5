"""`latentlab doctor`: is everything here that the project needs, is it whole, and what is to be done if not?

It changes nothing, and what it proposes deletes nothing: what is broken is put aside. Large libraries are imported by the
checks that need them, so that one that is broken hides no other check.
"""

import importlib.metadata
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import joblib

import latentlab
from latentlab import paths, stages
from latentlab.data import idx
from latentlab.data.sources import is_right
from latentlab.errors import UserError, without_passwords
from latentlab.params import analyses, project, study
from latentlab.params.datasets import Official

REQUIREMENTS = Path("requirements.lock")
DATABASE = Path("mlruns/mlflow.db")
# objects of DVC's cache that are put aside
DAMAGED = Path(".dvc/tmp/damaged")
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
    for about, check in CHECKS.items():
        try:
            found = list(check())
        except UserError as error:
            found = [Finding("problem", about, line) for line in str(error).split("\n")]
        except Exception as error:  # one broken thing must not hide the others
            found = [Finding("problem", about, f"cannot be checked: {type(error).__name__}: {error}".split("\n")[0])]
        for finding in found:
            print(finding, flush=True)
            code = max(code, int(finding.level == "problem"))
    return code


def _python() -> Iterator[Finding]:
    yield Finding("ok", "Python", f"{sys.version.split()[0]}, {sys.executable}")
    yield Finding("ok", "latentlab", f"the sources in {Path(latentlab.__file__).parent}")
    if not REQUIREMENTS.exists():
        return
    # a package may have two versions there, one for older Pythons; what is not installed is of another platform
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    here = {each.metadata["Name"].lower().replace("_", "-"): each.version for each in importlib.metadata.distributions()}
    other = [f"{name} {here[name]}" for name in dict(pins) if name in here and (name, here[name]) not in pins]
    if other:
        seen = f"{len(other)} are not those of {REQUIREMENTS}: {', '.join(other[:5])}"
        remedy = f"pip install --require-hashes --requirement {REQUIREMENTS}, or results may not come out the same"
        yield Finding("note", "packages", seen, remedy)
    else:
        yield Finding("ok", "packages", f"as in {REQUIREMENTS}")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free / 1e9
    if free > GIGABYTES_NEEDED:
        yield Finding("ok", "disk", f"{free:.1f} GB free")
    else:
        yield Finding("problem", "disk", f"{free:.1f} GB free", f"free some: `make repro` needs {GIGABYTES_NEEDED:g} GB")


def _folder() -> Iterator[Finding]:
    """Whether the files here can be written, and are those of git to the byte."""
    places = [Path(), *filter(Path.is_dir, Path().iterdir()), *filter(Path.exists, [DATABASE])]
    if closed := sorted(str(path) for path in places if not os.access(path, os.W_OK)):
        seen = f"you may not write to {', '.join(closed[:5])}"
        yield Finding("problem", "folder", seen, "let the owner give you the right, or become it: sudo chown -R $(id -u) .")
    if not Path(".git").exists() or not shutil.which("git"):
        return
    listed = subprocess.run(["git", "ls-files", "--eol"], capture_output=True, text=True, errors="replace", check=False)
    if listed.returncode:
        first = listed.stderr.split("\n")[0].removeprefix("fatal: ")
        remedy = f"git config --global --add safe.directory {shlex.quote(str(Path.cwd()))}" if "ownership" in first else ""
        yield Finding("problem", "git", f"takes nothing of this folder: {first}", remedy or "mend what it names")
        return
    # DVC has the digests of files as they are in git
    if other := [line.partition("\t")[2] for line in listed.stdout.splitlines() if re.search(r"\bw/(crlf|mixed)\b", line)]:
        seen = (
            f"{len(other)} files have the line ends of Windows, so their stages are not up to date: {', '.join(other[:3])}"
        )
        remedy = r"git grep -lIz $'\r$' | xargs -0 perl -pi -e 's/\r$//'; git add --renormalize ."
        yield Finding("problem", "line ends", seen, remedy)
    else:
        yield Finding("ok", "git", "has these files with the same line ends")


def _params() -> Iterator[Finding]:
    from latentlab.study import space

    params = stages.read_params()
    analyses.load()
    space.check(params, study.load(Path(), params))
    yield Finding("ok", "parameters", f"{len(params.variants)} variants, {len(params.runs())} runs are selected")


def _device() -> Iterator[Finding]:
    import torch

    yield Finding("ok", "CPU", f"{joblib.cpu_count()} cores, torch {torch.__version__}")
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        yield Finding("ok", "GPU", f"{torch.cuda.get_device_name()}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free")
    elif shutil.which("nvidia-smi"):
        remedy = "a driver that is too old for this torch is the usual reason: compare nvidia-smi with torch.version.cuda"
        yield Finding("problem", "GPU", "there is an NVIDIA driver, but torch cannot use it", remedy)


def _data() -> Iterator[Finding]:
    found = project.load()
    for name in found.run.datasets:
        settings, folder, remedy = found.datasets[name], paths.data(name), f"latentlab repro download@{name}"
        is_official = isinstance(settings, Official)
        if not folder.is_dir():
            yield Finding("note", "data", f"{name} is not here yet", remedy)
        elif is_official and not is_right(folder, settings.kind):
            yield Finding("problem", "data", f"{name}: a file is missing or altered", remedy)
        elif is_official:
            yield Finding("ok", "data", f"{name}: its files are the official ones")
        else:
            yield Finding("ok", "data", f"{name}: {len(idx.files(folder))} files")


def _dvc() -> Iterator[Finding]:
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError

    from latentlab.pipeline.dvc import other_process
    from latentlab.pipeline.runner import conflicts

    if found := conflicts():
        seen = f"a merge has left both sides in {', '.join(map(str, found))}"
        yield Finding("problem", "DVC", seen, "latentlab repro keeps the stages of both, and makes the tables anew")
        return
    try:
        with Repo() as repo:
            broken = _broken_objects(Path(repo.cache.local.path))  # first: DVC deletes those that it comes across
            stale = repo.status(targets=["dvc.yaml"])
    except (LockError, RWLockFileCorruptedError, RWLockFileFormatError):
        if who := other_process(repo):
            yield Finding("note", "DVC", f"is at work: {who}", "ask again when it is done")
        else:
            yield Finding("problem", "DVC", "a killed process has left its locks", "latentlab repro clears them")
        return
    except DvcException as error:
        seen = f"cannot be used: {str(error).splitlines()[0]}"
        remedy = "go to the project's folder, or mend what it names: git diff shows what has changed"
        yield Finding("problem", "DVC", seen, remedy)
        return
    if stale:
        names = ", ".join(sorted(stale)[:6]) + (", ..." if len(stale) > 6 else "")
        yield Finding("note", "DVC", f"{len(stale)} stages are not up to date: {names}", "latentlab repro")
    else:
        yield Finding("ok", "DVC", "all stages are up to date")
    if broken:
        seen = f"{len(broken)} objects are not what their name says: {', '.join(map(str, broken[:3]))}"
        remedy = "latentlab repro makes again what is needed"
        left = [path for path in broken if path.exists()]
        if not all(path.resolve().is_relative_to(Path().resolve()) for path in left):
            remedy += "; other projects may share that cache: let its owner put them aside"
        elif left:
            remedy = f"mkdir -p {DAMAGED}; mv {shlex.join(map(str, left))} {DAMAGED}; {remedy}"
        yield Finding("problem", "DVC's cache", seen, remedy)
    else:
        yield Finding("ok", "DVC's cache", "every object is what its name says")


def _broken_objects(cache: Path) -> list[Path]:
    """Objects whose content does not have the MD5 that they are named after."""
    from latentlab.commands.verify import digest_of

    objects = sorted(cache.glob("[0-9a-f][0-9a-f]/[!.]*"))
    return [path for path in objects if digest_of(path) != path.parent.name + path.name.removesuffix(".dir")]


def _mlflow() -> Iterator[Finding]:
    import mlflow
    from mlflow.entities import ViewType

    from latentlab.tracking import store
    from latentlab.tracking.artifacts import lacks_files
    from latentlab.tracking.processes import is_gone, is_here

    if uri := store.other_store(Path()):
        store.check_server(uri)
        place = without_passwords(uri, uri)
    elif not DATABASE.exists():
        yield Finding("ok", "MLflow", "no store yet: the first run makes it")
        return
    elif (state := _state_of(DATABASE)) != "ok":
        yield _about_database("MLflow", DATABASE, state, "latentlab sync fills a new one")
        return
    else:
        mlflow.set_tracking_uri(f"sqlite:///{DATABASE.resolve()}")
        place = f"{DATABASE} is whole"
    with store.errors_of_version(DATABASE):
        client = mlflow.MlflowClient()
        known = client.search_experiments(ViewType.ALL)
    if not uri and (old := sorted(map(str, store.moved_from(DATABASE.parent.resolve())))):
        seen = f"the locations of its files are in {', '.join(old)}: this folder was moved or copied"
        remedy = "latentlab sync mends them; until then MLflow's own commands use, and delete, the files there"
        yield Finding("note", "MLflow", seen, remedy)
        return
    own = [each for each in known if each.name.startswith(store.experiment_name())]
    for each in own:
        try:
            store.check_experiment(each.name)
        except store.TrackingError as error:
            seen, _, remedy = str(error).partition(": ")
            yield Finding("problem", "MLflow", seen, remedy)
    experiments = [each.experiment_id for each in own]
    trained = client.search_runs(experiments, "tags.trained = 'true'", max_results=10_000) if experiments else []
    yield Finding("ok", "MLflow", f"{place}, {len(trained)} trained runs")
    for run in client.search_runs(experiments, "attributes.status = 'RUNNING'") if experiments else []:
        tags, name = run.data.tags, f"the run {run.info.run_name}"
        if is_gone(tags):
            seen = f"{name} was left behind by a killed process"
            remedy = "latentlab study run" if "study" in tags else "latentlab sync"
            yield Finding("note", "MLflow", seen, f"{remedy} marks it as KILLED")
        elif not is_here(tags):
            where = f"PID {tags.get('process.pid', '?')} on {tags.get('process.host', '?')}"
            seen = f"{name} is RUNNING ({where}): nobody can look from here into that machine or container"
            call = f"import mlflow; mlflow.MlflowClient().set_terminated('{run.info.run_id}', 'KILLED')"
            yield Finding("note", "MLflow", seen, f'if it runs no more: python -c "{call}"')
    if bare := [run.info.run_name for run in trained if lacks_files(run)]:
        seen = f"runs without their model, or with files that are cut: {', '.join(bare[:5])}"
        yield Finding("problem", "MLflow", seen, "latentlab sync")


def _state_of(database: Path) -> str:
    """What SQLite says of a database: "ok", or what is wrong."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return str(connection.execute("PRAGMA quick_check").fetchone()[0])
        except sqlite3.DatabaseError as error:
            return str(error)


def _about_database(about: str, database: Path, trouble: str, after: str) -> Finding:
    """What is wrong with a file of SQLite; only one that is certainly no database any more is to be put aside."""
    if any(words in trouble for words in ("not a database", "malformed")):
        names = (f"{database}.damaged{number or ''}" for number in count())
        aside = next(name for name in names if not Path(name).exists())
        remedy = f"mv {shlex.join([str(database), aside])}; {after}"
        return Finding("problem", about, f"{database} is damaged: {trouble}", remedy)
    return Finding("problem", about, f"{database} cannot be read now: {trouble}", "ask again when nothing else uses it")


def _study() -> Iterator[Finding]:
    import optuna

    from latentlab.study import trials
    from latentlab.study.standing import STORAGE, url_of
    from latentlab.study.storage import StorageError, is_there, open_storage

    settings = study.load(Path(), project.load())
    url = url_of(settings, None)
    if not is_there(url):
        yield Finding("ok", "study", "none yet: make study")
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        found = optuna.load_study(study_name=settings.name, storage=open_storage(url)).get_trials(deepcopy=False)
    except KeyError:
        yield Finding("ok", "study", f"no {settings.name} yet: make study")
    except StorageError as error:
        if url.startswith("sqlite:///"):
            file = Path(url.removeprefix("sqlite:///"))
            if (state := _state_of(file)) != "ok":
                yield _about_database("study", file, state, "latentlab study run begins anew")
            else:  # of another version of Optuna, which says what to do
                yield Finding("problem", "study", str(error))
        else:
            given = STORAGE if os.environ.get(STORAGE) else "`storage` in study/params.yaml"
            yield Finding("problem", "study", str(error), f"start it, or mend {given}")
    else:
        yield Finding("ok", "study", f"{settings.name} in {without_passwords(url, url)}: {trials.counts(found)}")
        for trial in filter(trials.runs_elsewhere, found):
            seen = (
                f"nobody can look from here whether trial {trial.number} still runs, on another machine or in a container"
            )
            remedy = f"latentlab study run tries it again if it says nothing for {settings.stale_after_seconds:.0f} s"
            yield Finding("note", "study", seen, remedy)


CHECKS = {
    "Python": _python, "disk": _disk, "folder": _folder, "parameters": _params, "device": _device, "data": _data,
    "DVC": _dvc, "MLflow": _mlflow, "study": _study,
}  # fmt: skip
