"""Faults that are caused for real, in a small copy of the project: `make test-faults`, see docs/reliability.md."""

import hashlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from small import Project, make

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]

RUN = "mlp_8-fast-0"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, mnist_gz_folder: Path) -> Project:
    project = make(tmp_path_factory.mktemp("eine Übung 試し") / "project", mnist_gz_folder)
    project.repro()
    project.commit()
    return project


def whole(project: Project, before: dict[str, bytes]) -> None:
    """The project is as it was before the fault, and nothing is left to do."""
    project.repro()
    assert project.tracked() == before
    assert "Data and pipelines are up to date." in project.run("dvc", "status", "dvc.yaml")


def start(project: Project, *command: str, said: Path) -> subprocess.Popen[bytes]:
    with said.open("wb") as file:
        return subprocess.Popen(
            command, cwd=project.folder, env=project.environment, stdout=file, stderr=file, start_new_session=True
        )


def namespaces() -> bool:
    """Whether a process may mount something for itself, as a full disk needs it."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


needs_namespaces = pytest.mark.skipif(not namespaces(), reason="no unprivileged mount namespaces here to mount anything in")


def mounted(project: Project, mount: str, *command: str) -> tuple[int, str]:
    """Runs a command that alone sees a mount."""
    own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{mount} && "$@"', "sh"]
    return project.attempt(*own, *command)


@contextmanager
def nothing_cached(project: Project) -> Iterator[None]:
    """DVC does not know what a stage made before, so that it has to run."""
    runs, kept = project.folder / ".dvc/cache/runs", project.folder / ".dvc/cache/runs.kept"
    runs.rename(kept)
    yield
    shutil.rmtree(runs, ignore_errors=True)
    kept.rename(runs)


@needs_namespaces
@pytest.mark.parametrize(
    ("folder", "size", "stage"),
    [
        ("models", "400k", f"train@{RUN}"),
        ("results/runs", "8k", f"evaluate@{RUN}"),
        ("mlruns", "100k", f"train@{RUN}"),
        (".dvc/cache", "100k", f"train@{RUN}"),
        ("data", "100k", "download"),
    ],
)
def test_a_full_disk(project, folder, size, stage):
    before = project.tracked()
    with nothing_cached(project):
        if folder == "mlruns":
            shutil.rmtree(project.folder / "models/fast/mlp_8")
        code, output = mounted(project, f"mount -t tmpfs -o size={size} none {folder}", "latentlab", "repro", stage)
    assert code == 2, output
    assert re.search(rf"no space is left on the disk of \S.*{folder}", output), output
    assert "free some, and run the same again" in output
    assert "Traceback" not in output
    whole(project, before)


@needs_namespaces
def test_a_folder_that_is_read_only(project):
    before = project.tracked()
    shutil.rmtree(project.folder / "models/fast/mlp_8")
    read_only = "mount --bind {0} {0} && mount -o remount,bind,ro {0}"
    for folder in ("models", "mlruns", "."):
        code, output = mounted(project, read_only.format(folder) + " && cd .", "latentlab", "repro", f"train@{RUN}")
        assert code == 2, output
        assert "ead-only" in output, output
        assert "Traceback" not in output
    whole(project, before)


def test_a_training_that_is_killed_is_called_so(project, tmp_path):
    before = project.tracked()
    said = tmp_path / "said"
    shutil.rmtree(project.folder / "models/fast/mlp_8")
    with nothing_cached(project):
        process = start(project, "latentlab", "repro", f"train@{RUN}", said=said)
        over = time.monotonic() + 120
        while not project.search("attributes.status = 'RUNNING'"):
            assert time.monotonic() < over, said.read_text(encoding="utf-8")
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(2)  # the stage hears of it from the system
    whole(project, before)
    assert project.search("attributes.status = 'KILLED'")
    assert not project.search("attributes.status = 'RUNNING'")


def object_of(project: Project, path: Path) -> Path:
    name = hashlib.md5(path.read_bytes()).hexdigest()
    return project.folder / ".dvc/cache/files/md5" / name[:2] / name[2:]


@pytest.mark.parametrize("fault", ["another byte", "cut", "missing"])
def test_an_object_of_the_cache(project, fault):
    before = project.tracked()
    model = project.folder / "models/fast/mlp_8/seed_0/model.safetensors"
    cached = object_of(project, model)
    content = cached.read_bytes()
    cached.chmod(0o644)
    if fault == "missing":
        cached.unlink()
    else:
        cached.write_bytes(content[:1000] if fault == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
        cached.chmod(0o444)
    shutil.rmtree(model.parent)
    whole(project, before)
    assert cached.read_bytes() == content


def test_a_database_that_is_cut_is_named(project):
    database = project.folder / "mlruns/mlflow.db"
    kept = database.read_bytes()
    database.write_bytes(kept[: len(kept) // 2])
    code, output = project.attempt("latentlab", "doctor")
    assert code == 1
    assert "is damaged" in output or "cannot be checked" in output
    database.write_bytes(kept)
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    connection.close()
