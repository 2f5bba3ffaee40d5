"""A small copy of the project: two variants, few images, few epochs."""

import contextlib
import io
import os
import random
import re
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import mlflow
import psutil
import pytest
import yaml
from filelock import FileLock

from conftest import ROOT
from latentlab.pipeline import runner, workers

# Every Python process notes what it has waited for to be on the disk: the rest is what a power loss may take.
NOTE_SYNCS = """
import os

def fsync(file, before=os.fsync):
    before(file)
    about = os.stat(file)
    with open(os.environ["NOTED_SYNCS"], "a") as notes:
        notes.write(f"{about.st_ino} {about.st_mtime_ns}\\n")

os.fsync = fsync
"""
VARIANTS = ["mlp_8", "vae_2"]
RUNS = [f"{variant}-mnist-fast-0" for variant in VARIANTS]
TABLES = {"compare@mnist", "plot@mnist", "report@mnist", "explore@mnist", "compare_datasets"}
NOTHING_FOUND = {"recipes": [], "seeds": [], "variants": {}, "training": {}}


def stages_of(*runs: str, pipeline: str = "") -> set[str]:
    return {f"{pipeline}{stage}@{run}" for stage in ("train", "evaluate", "probe") for run in runs}


ALL = {"download@mnist", "plan", "baseline@pca_8-mnist"} | TABLES | stages_of(*RUNS)


class Project:
    """A small copy of the project, with git and DVC as a user has them."""

    def __init__(self, folder: Path, mnist: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),  # the copy's code, not the installed one
            "LATENTLAB_MNIST": str(mnist),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@example.com",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.com",
        }
        # each of its many processes would compile the sources
        for variable in (
            "MLFLOW_TRACKING_URI",
            "MLFLOW_EXPERIMENT_NAME",
            "DVC_ROOT",
            "DVC_STAGE",
            "PYTHONDONTWRITEBYTECODE",
        ):
            self.environment.pop(variable, None)

    def run(self, *command: str, check: bool = True) -> str:
        code, output = self.attempt(*command)
        assert not check or code == 0, f"{command} gave {code}:\n{output}"
        return output

    def attempt(self, *command: str, below: str = ".") -> tuple[int, str]:
        """Runs a command in a folder of the project; its exit code and its output."""
        done = subprocess.run(
            command,
            cwd=self.folder / below,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
            timeout=1800,
        )
        return done.returncode, done.stdout + done.stderr

    def start(self, *command: str, said: Path, **environment: str) -> "subprocess.Popen[bytes]":
        """Begins a command in a session of its own, so that it can be killed with all that it has started."""
        with said.open("wb") as file:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment | environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def note_syncs(self, folder: Path) -> None:
        """From now on `lose_power` knows what is on the disk; the notes are put into a folder of their own."""
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(NOTE_SYNCS, encoding="utf-8")
        self.environment["PYTHONPATH"] += f"{os.pathsep}{folder}"
        self.environment["NOTED_SYNCS"] = str(folder / "syncs")
        self.written_since = time.time_ns()

    def lose_power(self, process: "subprocess.Popen[bytes]", draw: random.Random) -> list[str]:
        """Ends a process and all that it has started at once, and takes what was not yet on the disk; the files cut.

        What a file system may leave of such a file is its beginning, or nothing. SQLite waits for the disk by itself.
        """
        for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()
        notes = Path(self.environment["NOTED_SYNCS"])
        synced = set(notes.read_text(encoding="ascii").split("\n")) if notes.exists() else set()
        cut = []
        for path in sorted(self.folder.rglob("*")):
            about = path.lstat()
            if (
                path.is_file()
                and not path.is_symlink()
                and about.st_mtime_ns > self.written_since
                and about.st_size
                and f"{about.st_ino} {about.st_mtime_ns}" not in synced
                and path.parent.name != "__pycache__"
                and not path.read_bytes().startswith(b"SQLite format 3")
                and not path.name.endswith("-journal")
            ):
                path.chmod(0o644)
                os.truncate(path, draw.choice([0, about.st_size // 2]))
                path.chmod(about.st_mode)
                os.utime(path, ns=(about.st_mtime_ns, about.st_mtime_ns))
                cut.append(str(path.relative_to(self.folder)))
        return cut

    def repro(self, *targets: str, jobs: int = 1) -> set[str]:
        """What `latentlab repro` does, in this process and by workers that stay; the stages that ran."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            patch.setattr(workers, "stopped_in_the_end", nullcontext)
            patch.setattr(workers, "IDLE_SECONDS", 600)
            code = runner.reproduce(targets, jobs)
        assert code == 0, said.getvalue()
        return {*stages_that_ran(said.getvalue())}

    def params(self, file: str = "params.yaml") -> dict:
        return yaml.safe_load((self.folder / file).read_text(encoding="utf-8"))

    def write_params(self, content: dict, file: str = "params.yaml") -> None:
        (self.folder / file).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "a step", "--allow-empty")

    def runs(self) -> dict[str, mlflow.entities.Run]:
        """Those of trainings, by name; not the means above them."""
        found = [run for run in self.search("") if "seeds" not in run.data.tags]
        assert len(found) == len({run.info.run_name for run in found})
        return {run.info.run_name: run for run in found}

    def search(self, condition: str) -> list[mlflow.entities.Run]:
        mlflow.set_tracking_uri(f"sqlite:///{self.folder / 'mlruns/mlflow.db'}")
        client = mlflow.MlflowClient()
        return list(client.search_runs([client.get_experiment_by_name("latentlab").experiment_id], condition))

    def finished(self) -> list[str]:
        """Names of the MLflow runs of trainings that have ended well."""
        ended = self.search("attributes.status = 'FINISHED'")
        return sorted(str(run.info.run_name) for run in ended if "seeds" not in run.data.tags)

    def made(self) -> dict[str, bytes]:
        """The bytes of all that the stages of the default job made, and of dvc.lock, by their paths."""
        return self.files("data", "plans", "models", "results", "reports", "dvc.lock")

    def files(self, *names: str) -> dict[str, bytes]:
        """The bytes of files, and of all files in folders, by their paths in the project."""
        found = [
            path for name in names for path in (self.folder / name, *(self.folder / name).rglob("*")) if path.is_file()
        ]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}


def stages_that_ran(output: str) -> list[str]:
    """The stages that `latentlab repro` says it ran, as they ended; neither up to date nor taken from DVC's cache."""
    return re.findall(r"^\[\d+/\d+\] (\S+)  [\d.]+ s$", output, re.MULTILINE)


def same(made: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    """All that was made in one project is what was made in another; the other may have more."""
    locks = [yaml.safe_load(each["dvc.lock"])["stages"] for each in (made, wanted)]  # in any order
    assert locks[0]
    assert locks[0] == {stage: locks[1][stage] for stage in locks[0]}
    files = made.keys() - {"dvc.lock"}
    assert {path: made[path] for path in files} == {path: wanted[path] for path in files}


def whole(project: Project, before: dict[str, bytes]) -> str:
    """One call more, and the project is as it was before the fault; what the call says."""
    said = project.run("latentlab", "repro", "--jobs", "1")  # DVC in this process would remember what was before the fault
    assert project.made() == before
    return said


def is_source(name: str) -> bool:
    """Whether a file in git is no result, which those of the whole project are not of the small one."""
    parts = name.split("/")
    return parts[-1] != "dvc.lock" and not {"results", "reports", "search"} & set(parts[:3])


def make(folder: Path, mnist: Path) -> Project:
    """A copy in a folder that is not there yet, with nothing run.

    Args:
        folder: Of the copy.
        mnist: With the four official files.
    """
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    for name in files.stdout.splitlines():
        if (ROOT / name).is_symlink() or ((ROOT / name).is_file() and is_source(name)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    project = Project(folder, mnist)
    content = project.params()
    content["run"]["variants"] = [*VARIANTS]
    content["published"] = {name: content["published"][name] for name in VARIANTS if name in content["published"]}
    content["comparisons"] = {"all": {"title": "All", "variants": VARIANTS}}
    content["baselines"] = {"pca_8": content["baselines"]["pca_8"]}
    content["datasets"]["mnist"]["split"] |= {"train": 400, "validation": 100, "test": 200}
    for training in content["recipes"]["fast"].values():
        training |= {"epochs": 2, "batch_size": 200}
    content["recipes"]["fast"]["vae"] |= {"epochs": 10, "batch_size": 400}  # long enough to be killed in the middle
    project.write_params(content)
    content = project.params("analyses/params.yaml")
    content["analyses"] |= {"more_variants": ["ae_2"]}
    settings = content["analyses"]["settings"]
    settings["codecs"] |= {"num_images": 2}
    settings["interpolation"] |= {"first": 12, "second": 34, "num_pairs": 10}
    settings["latent_space"] |= {"num_large": 150}
    settings["generation"] |= {"num_samples": 100, "num_fitted": 300}
    settings["compression"] |= {"bits": [4, 8], "num_fitted": 300, "num_alone": 2}
    settings["likelihood"] |= {"num_samples": 20}
    project.write_params(content, "analyses/params.yaml")
    content = project.params("study/params.yaml")
    content["study"] |= {"known_variants": ["cae_tradeoff"], "reference": "mlp_8", "num_trials": 3}
    content["study"]["training"] |= {"epochs": 2}
    content["study"]["final"] = {"epochs": 1, "seeds": [0, 3]}
    content["study"]["winners"] = {"tradeoff_found": {"rule": "knee"}}
    project.write_params(content, "study/params.yaml")
    project.write_params({"found": NOTHING_FOUND}, "study/found.yaml")
    project.run("git", "init", "--quiet")
    project.commit()
    return project


def make_whole(folder: Path, mnist: Path, shared: Path) -> Project:
    """A copy of what `make` gives, with everything run and committed: made by the first process that asks for one.

    Args:
        folder: Of the copy, which is not there yet.
        mnist: With the four official files.
        shared: A folder that all processes of this call of pytest have in common.
    """
    origin, done = shared / "eine Übung 試し/project", shared / "done"
    with FileLock(shared / "lock"):
        if not done.exists():
            shutil.rmtree(origin, ignore_errors=True)
            project = make(origin, mnist)
            assert project.repro(jobs=2) == ALL
            project.commit()
            done.touch()
    return copy_of(origin, folder, mnist)


def copy_of(origin: Path, folder: Path, mnist: Path) -> Project:
    shutil.copytree(origin, folder, symlinks=True)
    return Project(folder, mnist)
