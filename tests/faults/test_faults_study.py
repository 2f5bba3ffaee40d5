"""Faults of the trade-off study, of the clock and of a loss, caused for real: `make test-faults`, see docs/reliability.md.

A file of its own, so that a second process can run it beside `test_faults.py`.
"""

import csv
import importlib.util
import itertools
import os
import platform
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytest

from small import RUNS, Project, copy_of, make, same, whole

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]


# a virtual environment that is whole already, and one worker on one core: the same trials in the same order
MAKE_STUDY = ["make", "--assume-old=.venv/.study", "study"]
ONE_WORKER = {"LOKY_MAX_CPU_COUNT": "1"}


def test_make_study_is_killed_again_and_again_at_any_moment(small_project, tmp_path, mnist_gz_folder):
    """However often it is killed or the power fails: as many trials as asked for, and the same results and versions."""
    seed = int(os.environ.get("LATENTLAB_TEST_SEED", time.time()))
    print(f"LATENTLAB_TEST_SEED={seed}")
    draw = random.Random(seed)
    spared, victim = (
        copy_of(small_project.folder, tmp_path / name / "project", mnist_gz_folder) for name in ("spared", "victim")
    )
    for each in (spared, victim):
        change(each, final={"epochs": 1, "seeds": [0]})
    beside = spared.start(*MAKE_STUDY, said=tmp_path / "said_spared", **ONE_WORKER)
    victim.note_syncs(tmp_path / "syncs")
    kills = 0
    while True:
        process = victim.start(*MAKE_STUDY, said=tmp_path / "said", **ONE_WORKER)
        try:
            code = process.wait(timeout=draw.uniform(3, 30) if kills < 3 else 600)
            break
        except subprocess.TimeoutExpired:
            if kills % 2:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            else:
                print(victim.lose_power(process, draw))
            kills += 1
    assert code == 0, (tmp_path / "said").read_text(encoding="utf-8")
    assert kills >= 2
    assert beside.wait(timeout=600) == 0, (tmp_path / "said_spared").read_text(encoding="utf-8")

    assert "tradeoff_found" in victim.params("study/found.yaml")["found"]["variants"]
    assert trained(victim) == trained(spared)
    assert len(trained(victim)) == 3
    states = {trial.state for trial in optuna.load_study(study_name="tradeoff", storage=database(victim)).trials}
    assert states <= {optuna.trial.TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL")}
    same(victim.made(), spared.made())
    same(spared.made(), victim.made())
    assert found_by(victim) == found_by(spared)
    assert "Data and pipelines are up to date." in victim.run("dvc", "status", "study/dvc.yaml")
    assert victim.finished() == spared.finished()
    assert registered(victim) == registered(spared)
    assert not victim.search("attributes.status = 'RUNNING'")


def change(project: Project, **changes: Any) -> None:
    """Changes keys of study/params.yaml."""
    content = project.params("study/params.yaml")
    project.write_params({"study": content["study"] | changes}, "study/params.yaml")


def database(project: Project) -> str:
    return f"sqlite:///{project.folder / 'study/study.db'}"


def found_by(project: Project) -> dict[str, bytes]:
    """The bytes of all that is kept of the winners."""
    return project.files("study/models", "study/results", "study/found.yaml")


def lines(project: Project) -> list[dict[str, str]]:
    with (project.folder / "study/search/trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def trained(project: Project) -> list[tuple[str, ...]]:
    """What came of each trial that was trained, in their order; one that was tried again has another number."""
    return [
        tuple(value for key, value in line.items() if key not in ("number", "same_as"))
        for line in lines(project)
        if line["state"] in ("finished", "stopped") and int(line["epochs"])
    ]


def registered(project: Project) -> dict[str, str]:
    """The run of each alias in MLflow's registry."""
    mlflow.set_tracking_uri(f"sqlite:///{project.folder / 'mlruns/mlflow.db'}")
    client = mlflow.MlflowClient()
    (model,) = client.search_registered_models()
    versions = client.search_model_versions(f"name = '{model.name}'")
    assert len(versions) == len({version.run_id for version in versions})
    return {
        alias: client.get_run(client.get_model_version_by_alias(model.name, alias).run_id).info.run_name
        for alias in model.aliases
    }


def test_a_loss_that_explodes_fails_its_run_only(small_project):
    before, content, wrong = small_project.made(), small_project.params(), small_project.params()
    wrong["recipes"]["fast"]["mlp_8"]["optimizer"]["lr"] = 1e30
    wrong["recipes"]["fast"]["vae"]["epochs"] = 2  # another run that is to be trained
    small_project.write_params(wrong)
    broken, other = "train@mlp_8-mnist-fast-0", "train@vae_2-mnist-fast-0"
    try:
        code, output = small_project.attempt("latentlab", "repro", broken, other)
        assert code == 2, output
        assert re.search(rf"error: {broken}: the training loss is (nan|inf) in epoch \d+, step \d+", output), output
        assert re.search(rf"{other}  [\d.]+ s", output), output
        failed = small_project.search("attributes.status = 'FAILED' AND tags.variant = 'mlp_8'")[0]  # the newest
        assert "TrainingError" in failed.data.tags["failure"]
    finally:
        small_project.write_params(content)
    whole(small_project, before)


CLOCK = importlib.util.find_spec("libfaketime")
JUMPS = ("-1y", "+10y", "+0", "+3600s", "-3600s")  # against the true time


@pytest.mark.skipif(CLOCK is None or platform.machine() != "x86_64", reason="libfaketime's wheel is for Linux on x86-64")
def test_a_clock_that_is_set_again_and_again_while_all_is_made(small_project, tmp_path, mnist_gz_folder):
    """Every process reads a clock that somebody sets every other second, back and ahead."""
    victim = make(tmp_path / "victim", mnist_gz_folder)
    assert CLOCK is not None
    assert CLOCK.origin is not None
    told = tmp_path / "clock"
    victim.environment |= {
        "LD_PRELOAD": str(Path(CLOCK.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"),
        "FAKETIME_TIMESTAMP_FILE": str(told),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",  # that clock nobody can set
        "NO_FAKE_STAT": "1",  # files keep the times that they were written at
    }

    def set_clock(jump: str) -> None:
        (tmp_path / "next").write_text(f"{jump}\n", encoding="ascii")
        (tmp_path / "next").replace(told)

    set_clock(JUMPS[1])
    ahead = float(victim.run(sys.executable, "-c", "import time; print(time.time())")) - time.time()
    assert ahead > 9 * 365 * 86400
    stop = threading.Event()

    def keep_setting() -> None:
        for jump in itertools.cycle(JUMPS):
            set_clock(jump)
            if stop.wait(2):
                return

    setting = threading.Thread(target=keep_setting)
    setting.start()
    try:
        victim.run("latentlab", "repro", "--jobs", "2", "evaluate", "probe")
        made = victim.made()
        assert "Data and pipelines are up to date." in victim.run("latentlab", "repro", "evaluate", "probe")
        victim.run("latentlab", "sync")
        output = victim.run("latentlab", "study", "run", "--workers", "2")
    finally:
        stop.set()
        setting.join()
    assert "Traceback" not in output, output
    assert len(trained(victim)) == 3
    study = optuna.load_study(study_name="tradeoff", storage=database(victim))
    assert not study.get_trials(states=(optuna.trial.TrialState.RUNNING, optuna.trial.TrialState.FAIL))
    same(made, small_project.made())
    assert victim.finished() == sorted(RUNS)
    assert not victim.search("attributes.status != 'FINISHED'")


def test_ten_workers_on_one_study(small_project):
    change(small_project, num_trials=12, name="ten")
    try:
        output = small_project.run("latentlab", "study", "run", "--workers", "10")
        assert "Traceback" not in output, output
        done = [line for line in lines(small_project) if int(line["epochs"])]
        assert len(done) == 12
        assert len({(line["family"], line["architecture"], line["training"]) for line in done}) == 12
        assert {line["state"] for line in done} <= {"finished", "stopped"}
    finally:
        small_project.run("git", "checkout", "--quiet", ".")


PROXY = """
import sys
import optuna
storage = optuna.storages.RDBStorage(f"sqlite:///{sys.argv[1]}")
optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=int(sys.argv[2]))
"""


def test_the_server_of_a_study_is_killed(small_project, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [sys.executable, "-W", "ignore", "-c", PROXY, str(tmp_path / "study.db"), str(port)]
    study = ["latentlab", "study", "run", "--workers", "1", "--storage", f"grpc://127.0.0.1:{port}"]
    said = tmp_path / "said"
    change(small_project, num_trials=3, name="remote")
    server = small_project.start(*serve, said=tmp_path / "server")
    try:
        process = small_project.start(*study, said=said)
        over = time.monotonic() + 300
        while not re.search(r"\b[12] finished", said.read_text(encoding="utf-8")):
            assert time.monotonic() < over, said.read_text(encoding="utf-8")
            assert process.poll() is None, said.read_text(encoding="utf-8")
            time.sleep(0.1)
        server.kill()
        server.wait()
        assert process.wait(timeout=300) == 2, said.read_text(encoding="utf-8")
        output = said.read_text(encoding="utf-8")
        assert re.search(rf"^error: study.storage: grpc://127.0.0.1:{port} does not answer any more", output, re.MULTILINE)
        assert "Traceback" not in output
        server = small_project.start(*serve, said=tmp_path / "server")
        small_project.run(*study)
        assert len(trained(small_project)) == 3
    finally:
        server.kill()
        server.wait()
        small_project.run("git", "checkout", "--quiet", ".")
