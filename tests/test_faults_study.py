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
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import mlflow
import optuna
import pytest

from small import Project, copy_of, make, same, whole

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore")]


# a virtual environment that is whole already, and one worker on one core: the same trials in the same order
MAKE_STUDY = ["make", "--assume-old=.venv/.study", "study"]
ONE_WORKER = {"LOKY_MAX_CPU_COUNT": "1"}


def test_make_study_is_killed_again_and_again_at_any_moment(project, tmp_path, mnist_gz_folder):
    """However often it is killed or the power fails: as many trials as asked for, the same rows, results and versions."""
    seed = int(os.environ.get("LATENTLAB_TEST_SEED", time.time()))
    print(f"LATENTLAB_TEST_SEED={seed}")
    draw = random.Random(seed)
    spared, victim = (
        copy_of(project.folder, tmp_path / name / "project", mnist_gz_folder) for name in ("spared", "victim")
    )
    content = project.params()
    for each in (spared, victim):
        each.write_params(content | {"study": content["study"] | {"final": {"epochs": 1, "seeds": [0]}}})
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

    assert "tradeoff_found" in (victim.folder / "found.yaml").read_text(encoding="utf-8")
    assert (victim.folder / "found.yaml").read_bytes() == (spared.folder / "found.yaml").read_bytes()
    assert trained(victim) == trained(spared)
    assert len(trained(victim)) == 3
    states = {trial.state for trial in optuna.load_study(study_name="tradeoff", storage=database(victim)).trials}
    assert states <= {optuna.trial.TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL")}
    made, wanted = victim.made(), spared.made()
    for each in (made, wanted):  # a trial that was tried again has another number
        for path in [path for path in each if path.startswith("results/study/")]:
            del each[path]
    same(made, wanted)
    same(wanted, made)
    for pipeline in ("dvc.yaml", "study/dvc.yaml"):
        assert "Data and pipelines are up to date." in victim.run("dvc", "status", pipeline)
    assert victim.finished() == spared.finished()
    assert registered(victim) == registered(spared)
    assert not victim.search("attributes.status = 'RUNNING'")


def database(project: Project) -> str:
    return f"sqlite:///{project.folder / 'study/study.db'}"


def trained(project: Project) -> list[tuple[str, ...]]:
    """What came of each trial that was trained, in their order."""
    with (project.folder / "results/study/trials.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["state"] in ("finished", "stopped")]
    return [tuple(value for key, value in row.items() if key not in ("number", "same_as")) for row in rows]


def registered(project: Project) -> dict[str, str]:
    """The row of each alias in MLflow's registry."""
    mlflow.set_tracking_uri(f"sqlite:///{project.folder / 'mlruns/mlflow.db'}")
    client = mlflow.MlflowClient()
    (model,) = client.search_registered_models()
    versions = client.search_model_versions(f"name = '{model.name}'")
    assert len(versions) == len({version.run_id for version in versions})
    return {
        alias: client.get_run(client.get_model_version_by_alias(model.name, alias).run_id).info.run_name
        for alias in model.aliases
    }


def test_a_loss_that_explodes_fails_its_row_only(project):
    before, content, wrong = project.tracked(), project.params(), project.params()
    wrong["training"]["fast"]["mlp_8"]["optimizer"]["lr"] = 1e30
    project.write_params(wrong)
    shutil.rmtree(project.folder / "models/fast/cae_tradeoff")  # another row that is to be trained
    try:
        code, output = project.attempt("latentlab", "repro", "train@mlp_8-fast-0", "train@cae_tradeoff-fast-0")
        assert code == 2, output
        assert re.search(r"error: train@mlp_8-fast-0: the training loss is (nan|inf) in epoch \d+, step \d+", output), (
            output
        )
        assert re.search(r"train@cae_tradeoff-fast-0  [\d.]+ s", output), output
        failed = project.search("attributes.status = 'FAILED' AND tags.row = 'mlp_8'")[0]  # the newest
        assert "TrainingError" in failed.data.tags["failure"]
    finally:
        project.write_params(content)
    whole(project, before)


CLOCK = importlib.util.find_spec("libfaketime")
JUMPS = ("-1y", "+10y", "+0", "+3600s", "-3600s")  # against the true time


@pytest.mark.skipif(CLOCK is None or platform.machine() != "x86_64", reason="libfaketime's wheel is for Linux on x86-64")
def test_a_clock_that_is_set_again_and_again_while_all_is_made(project, tmp_path, mnist_gz_folder):
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
        victim.repro("evaluate", "probe")
        made = victim.made()
        assert "Data and pipelines are up to date." in victim.run("latentlab", "repro", "evaluate", "probe")
        victim.run("latentlab", "sync")
        output = victim.run("latentlab", "study", "run", "--workers", "2")
    finally:
        stop.set()
        setting.join()
    assert "Traceback" not in output, output
    assert not list((victim.folder / "mlruns").rglob("*.jsonl"))
    assert len(trained(victim)) == 3
    study = optuna.load_study(study_name="tradeoff", storage=database(victim))
    assert not study.get_trials(states=(optuna.trial.TrialState.RUNNING, optuna.trial.TrialState.FAIL))
    same(made, project.made())
    assert victim.finished() == project.finished()
    assert not victim.search("attributes.status != 'FINISHED'")


def test_ten_workers_on_one_study(project):
    content = project.params()
    project.write_params(content | {"study": content["study"] | {"num_trials": 12, "name": "ten"}})
    try:
        output = project.run("latentlab", "study", "run", "--workers", "10")
        assert "Traceback" not in output, output
        rows = list(csv.DictReader((project.folder / "results/study/trials.csv").open(encoding="utf-8")))
        trained = [row for row in rows if row["epochs"] not in ("", "0")]
        assert len(trained) == 12
        assert len({(row["family"], row["architecture"], row["training"]) for row in trained}) == 12
        assert {row["state"] for row in trained} <= {"finished", "stopped"}
    finally:
        project.write_params(content)
        project.run("git", "checkout", "--quiet", ".")


PROXY = """
import sys
import optuna
storage = optuna.storages.RDBStorage(f"sqlite:///{sys.argv[1]}")
optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=int(sys.argv[2]))
"""


def test_the_server_of_a_study_is_killed(project, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [sys.executable, "-W", "ignore", "-c", PROXY, str(tmp_path / "study.db"), str(port)]
    study = ["latentlab", "study", "run", "--workers", "1", "--storage", f"grpc://127.0.0.1:{port}"]
    content, said = project.params(), tmp_path / "said"
    project.write_params(content | {"study": content["study"] | {"num_trials": 3, "name": "remote"}})
    server = project.start(*serve, said=tmp_path / "server")
    try:
        process = project.start(*study, said=said)
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
        server = project.start(*serve, said=tmp_path / "server")
        project.run(*study)
        rows = list(csv.DictReader((project.folder / "results/study/trials.csv").open(encoding="utf-8")))
        assert len([row for row in rows if row["state"] == "finished" or row["reason"] == "halving"]) == 3
    finally:
        server.kill()
        server.wait()
        project.write_params(content)
        project.run("git", "checkout", "--quiet", ".")
