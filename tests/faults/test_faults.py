"""Faults that are caused for real, in a small copy of the project: `make test-faults`, see docs/reliability.md."""

import hashlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import mlflow
import psutil
import pytest
import yaml

from small import RUNS, VARIANTS, Project, make, same, stages_that_ran, whole

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]

RUN = "mlp_8-mnist-fast-0"


@pytest.fixture
def project(small_project: Project) -> Project:
    return small_project


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


def object_of(project: Project, path: Path) -> Path:
    name = hashlib.md5(path.read_bytes()).hexdigest()
    return project.folder / ".dvc/cache/files/md5" / name[:2] / name[2:]


def forget(project: Project, output: str) -> None:
    """Removes a file or folder that a stage has made, from DVC's cache too: from there it would come back without a run."""
    path = project.folder / output
    for file in [path, *path.rglob("*")]:
        if file.is_file():
            object_of(project, file).unlink(missing_ok=True)
    project.run("rm", "-r", output)


@needs_namespaces
@pytest.mark.parametrize(
    ("folder", "size", "stage", "output"),
    [
        ("models", "400k", f"train@{RUN}", "models/mnist/fast/mlp_8"),
        ("results", "8k", f"evaluate@{RUN}", "results/mnist/fast/mlp_8/seed_0/metrics.json"),
        ("mlruns", "100k", f"train@{RUN}", "models/mnist/fast/mlp_8"),  # its database
        ("mlruns", "2m", f"train@{RUN}", "models/mnist/fast/mlp_8"),  # its artifacts
        (".dvc/cache", "100k", "download@mnist", "data/mnist"),
        ("data", "100k", "download@mnist", "data/mnist"),
    ],
)
def test_a_full_disk(project, folder, size, stage, output):
    before = project.made()
    forget(project, output)
    mount = f"mount -t tmpfs -o size={size} none {folder} && mkdir -p data/sources/mnist"
    code, output = mounted(project, mount, "latentlab", "repro", stage)
    assert code == 2, output
    assert re.search(rf"no space is left on the disk of \S.*{folder}", output), output
    assert "free some, and run the same again" in output
    assert "Traceback" not in output
    whole(project, before)


@needs_namespaces
def test_a_folder_that_is_read_only(project):
    before = project.made()
    forget(project, "models/mnist/fast/mlp_8")
    read_only = "mount --bind {0} {0} && mount -o remount,bind,ro {0}"
    for folder in ("models", "mlruns", "."):
        code, output = mounted(project, read_only.format(folder) + " && cd .", "latentlab", "repro", f"train@{RUN}")
        assert code == 2, output
        assert "ead-only" in output, output
        assert "Traceback" not in output
    whole(project, before)


def test_killed_again_and_again_at_any_moment(project, tmp_path, mnist_gz_folder):
    """However often it is killed, or the power fails, in the end everything is as if it had never been."""
    seed = int(os.environ.get("LATENTLAB_TEST_SEED", time.time()))
    print(f"LATENTLAB_TEST_SEED={seed}")
    draw = random.Random(seed)
    victim = make(tmp_path / "victim", mnist_gz_folder)
    said = tmp_path / "said"
    victim.note_syncs(tmp_path / "syncs")
    most = 4
    lost: list[str] = []
    for attempt in range(most):
        lock = victim.folder / "dvc.lock"
        kept = set(yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]) if lock.exists() else set()
        process = victim.start("latentlab", "repro", "compare@mnist", said=said)
        code = None
        try:
            code = process.wait(timeout=draw.uniform(3, 30) if attempt < most - 1 else 600)
        except subprocess.TimeoutExpired:
            if attempt % 2:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            else:
                lost += victim.lose_power(process, draw)
        output = said.read_text(encoding="utf-8")
        assert code in (None, 0), output
        assert not kept.intersection(stages_that_ran(output)), output
        if code == 0:
            break
    assert attempt >= 1
    assert lost
    print(sorted(lost))
    same(victim.made(), project.made())
    assert "Data and pipelines are up to date." in victim.run("dvc", "status", "--with-deps", "compare@mnist")
    victim.run("latentlab", "sync")
    assert victim.finished() == sorted(RUNS)
    assert {run.info.status for run in victim.search("")} <= {"FINISHED", "KILLED"}
    assert "problem" not in victim.run("latentlab", "doctor")


def test_a_long_training_that_is_killed_is_called_so_goes_on_and_ends_with_the_same_bits(project, tmp_path):
    before = project.made()
    running = "attributes.status = 'RUNNING' AND tags.variant = 'vae_2'"
    state = project.folder / ".dvc/tmp/epochs/vae_2-mnist-fast-0.pt"
    forget(project, "models/mnist/fast/vae_2")
    process = project.start("latentlab", "repro", "train@vae_2-mnist-fast-0", said=tmp_path / "said")
    over = time.monotonic() + 120
    while not any("speed/epoch_seconds" in run.data.metrics for run in project.search(running)):
        assert time.monotonic() < over, (tmp_path / "said").read_text(encoding="utf-8")
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert state.exists()
    time.sleep(2)  # the stage hears of it from the system
    whole(project, before)
    assert not state.exists()
    newest, killed = project.search("tags.variant = 'vae_2'")[:2]
    assert (newest.info.status, killed.info.status) == ("FINISHED", "KILLED")
    assert not project.search("attributes.status = 'RUNNING'")
    # how fast the first epoch was is of the process that was killed: so it was not trained again
    client = mlflow.MlflowClient()
    speeds = [client.get_metric_history(run.info.run_id, "speed/epoch_seconds") for run in (newest, killed)]
    assert speeds[0][0].value == speeds[1][0].value
    assert [point.step for point in speeds[0]] == list(range(1, 11))


class Slow(SimpleHTTPRequestHandler):
    """Serves a folder; of the second file only its beginning, until it is told to go on."""

    begun, go_on = threading.Event(), threading.Event()

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:
        if self.path.endswith("labels-idx1-ubyte.gz") and not self.go_on.is_set():
            outputfile.write(source.read(1000))
            outputfile.flush()
            self.begun.set()
            self.go_on.wait(60)
        super().copyfile(source, outputfile)

    def log_message(self, *_: object) -> None:
        pass


def test_a_download_that_is_killed(project, tmp_path, mnist_gz_folder):
    before = project.made()
    forget(project, "data/mnist")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Slow, directory=str(mnist_gz_folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = {"LATENTLAB_MNIST": f"http://127.0.0.1:{server.server_port}/", "no_proxy": "*"}
    try:
        process = project.start("latentlab", "repro", "download@mnist", said=tmp_path / "said", **address)
        assert Slow.begun.wait(60), (tmp_path / "said").read_text(encoding="utf-8")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        Slow.go_on.set()
        time.sleep(2)  # the stage hears of it from the system
        assert not list((project.folder / "data/mnist").glob("*ubyte"))
        assert project.repro("download@mnist") == {"download@mnist"}
        whole(project, before)
    finally:
        server.shutdown()
        server.server_close()


def test_objects_of_the_cache_with_another_byte_cut_or_missing(project):
    before = project.made()
    pictures = project.folder / f"results/mnist/fast/{VARIANTS[0]}/seed_0/reconstructions"
    models = [project.folder / f"models/mnist/fast/{name}/seed_0/model.safetensors" for name in VARIANTS]
    another, cut, missing = cached = [object_of(project, path) for path in (*models, pictures / "arrays.npz")]
    contents = [path.read_bytes() for path in cached]
    missing.unlink()
    for path, wrong in ((another, contents[0][:-1] + bytes([contents[0][-1] ^ 1])), (cut, contents[1][:1000])):
        path.chmod(0o644)
        path.write_bytes(wrong)
        path.chmod(0o444)
    shutil.rmtree(project.folder / "models/mnist/fast")
    shutil.rmtree(pictures)
    said = whole(project, before)
    assert [path.read_bytes() for path in cached] == contents
    for path in (another, cut):
        assert f"the object {path.parent.name}{path.name} in DVC's cache was damaged: made anew" in said, said


def test_two_at_once(project, tmp_path):
    before, runs = project.made(), project.finished()
    forget(project, "models/mnist/fast/mlp_8")
    processes = [project.start("latentlab", "repro", said=tmp_path / f"said_{number}") for number in range(2)]
    codes = [process.wait(timeout=600) for process in processes]
    assert sorted(codes) == [0, 2]
    said = (tmp_path / f"said_{codes.index(2)}").read_text(encoding="utf-8")
    other = processes[codes.index(0)].pid
    assert re.search(rf"another DVC process is at work here: .*\b{other}\b", said), said
    whole(project, before)
    assert project.finished() == runs


def test_clocks_that_jump(project):
    """The times of files say nothing: what counts is what is in them."""
    for seconds in (0, 4_102_444_800):  # 1970, 2100
        for folder in ("src", "data", "models", "results", "plans"):
            for path in (project.folder / folder).rglob("*"):
                if path.is_file():
                    os.utime(path, (seconds, seconds))
        assert "Data and pipelines are up to date." in project.run("latentlab", "repro")


def test_another_working_directory(project):
    code, output = project.attempt("latentlab", "repro", below="src")
    assert code == 0, output
    assert "up to date" in output
    code, output = project.attempt("latentlab", "reconstruct", "mlp_8", "--index", "3", "--output", "x.png", below="src")
    assert code == 0, output
    (project.folder / "src/x.png").unlink()


def test_a_verification_ends_when_it_is_asked_to(project, tmp_path):
    process = project.start("latentlab", "verify", "mlp_8", said=tmp_path / "said", TMPDIR=str(tmp_path))
    over = time.monotonic() + 120
    while not list(tmp_path.glob("latentlab-verify-*/*/plans")):
        assert time.monotonic() < over, (tmp_path / "said").read_text(encoding="utf-8")
        time.sleep(0.1)
    process.terminate()
    assert process.wait(timeout=120) == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("latentlab-verify-*"))
    left = [
        each for each in psutil.process_iter(["environ"]) if (each.info["environ"] or {}).get("TMPDIR") == str(tmp_path)
    ]
    assert not psutil.wait_procs(left, timeout=30)[1]  # the one that has loaded the libraries ends behind the others


def test_without_git(project, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(project.folder, copy, symlinks=True)
    shutil.rmtree(copy / ".git")
    without = Project(copy, Path(project.environment["LATENTLAB_MNIST"]))
    code, output = without.attempt("latentlab", "repro")
    assert code == 2
    assert "dvc config core.no_scm true" in output
    without.run("dvc", "config", "core.no_scm", "true")
    assert "up to date" in without.run("latentlab", "repro")


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
