"""MLflow for real: SQLite stores in temporary folders, real processes that are killed."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
import requests
import torch
from mlflow.entities import ViewType

from conftest import PROJECT, ROOT
from latentlab.cli import main
from latentlab.commands.runs import show_pages
from latentlab.errors import UserError
from latentlab.params.recipes import Training
from latentlab.paths import Run
from latentlab.tracking import describe, registry, replicates, runs, store, view
from latentlab.tracking.artifacts import lacks_files
from latentlab.tracking.store import TrackingError
from tracked import RECORDS, TRAINING, VARIANT, everything, history, outputs, the_whole_run, train

# mlflow, sqlalchemy and torch.export warn of their own affairs
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def no_store_from_outside(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "DVC_STAGE"):
        monkeypatch.delenv(variable, raising=False)
    yield
    mlflow.set_tracking_uri(None)


@pytest.fixture
def experiment_id(tmp_path, tmp_path_factory) -> str:
    """Of a new store in the folder of the test: a copy of the first one, as MLflow takes seconds to make one."""
    first = tmp_path_factory.getbasetemp() / "empty_store"
    if first.exists():
        shutil.copytree(first, tmp_path / "mlruns")
    found = store.open_store(tmp_path, needed=True)
    if not first.exists():
        shutil.copytree(tmp_path / "mlruns", first)
    return found


def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process of its own, which can import the helpers of the tests."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}

    def hear_interrupts() -> None:
        # a job in the background of a shell inherits that it ignores them
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=hear_interrupts)


def test_a_run_holds_training_and_evaluation(tmp_path, experiment_id):
    assert (tmp_path / "mlruns/mlflow.db").exists()
    train(experiment_id, outputs(tmp_path / "variant", None))
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", None)) == "up to date"
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "evaluation added"
    run = the_whole_run(experiment_id)
    run_id = run.info.run_id
    assert run.info.run_name == "mlp_2-mnist-fast-0"
    assert history(run_id, "speed/images_per_second") == [(1, 100.0), (2, 110.0)]
    assert history(run_id, "test/mse") == [(0, 0.03)]
    assert run.data.params["optimizer.name"] == "muon"
    assert run.data.params["split.train"] == "55000"
    wanted = {"variant": "mlp_2", "dataset": "mnist", "recipe": "fast", "seed": "0"}
    wanted |= {"source": "B", "family": "mlp", "device": "cpu", "comparisons": "bottleneck"}
    assert run.data.tags.items() >= wanted.items()
    assert run.data.tags["mlflow.note.content"] == "what it is"
    assert run.inputs.dataset_inputs[0].dataset.name == "mnist"
    assert "metrics.json" in {artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run_id)}


def test_the_table_that_mlflow_shows_names_metrics_that_runs_have_and_is_the_users_to_change(tmp_path, experiment_id):
    client = mlflow.MlflowClient()
    tags = client.get_experiment(experiment_id).tags
    assert tags.items() >= view.TAGS.items()
    state = json.loads(tags["mlflow.sharedViewState.headline"])
    known = {*describe.HEADLINES.values(), *(f"{name}_sd" for name in replicates.SPREAD)}
    assert {*re.findall(r"metrics\.`([^`]+)`", " ".join(state["selectedColumns"]))} <= known
    charts = state["compareRunCharts"]
    assert {axis["key"] for chart in charts for axis in (chart.get("xaxis"), chart.get("yaxis")) if axis} <= known
    assert {chart["metricSectionId"] for chart in charts} == {section["uuid"] for section in state["compareRunSections"]}
    assert state["orderByKey"] == "metrics.`test/mse`"
    client.set_experiment_tag(experiment_id, "mlflow.sharedViewState.headline", "{}")
    assert store.open_store(tmp_path) == experiment_id
    assert client.get_experiment(experiment_id).tags["mlflow.sharedViewState.headline"] == "{}"
    trials = store.open_store(tmp_path, "-study")
    assert not client.get_experiment(trials).tags.keys() & view.TAGS.keys()


def parent_of(experiment_id: str) -> mlflow.entities.Run:
    (parent,) = mlflow.MlflowClient().search_runs([experiment_id], "tags.seeds LIKE '%'")
    return parent


def test_the_means_of_a_variant_are_a_run_above_those_of_its_seeds(tmp_path, experiment_id, monkeypatch):
    monkeypatch.chdir(tmp_path)
    errors = [0.01, 0.02, 0.06]
    for seed, error in enumerate(errors):
        train(experiment_id, trained := outputs(tmp_path / f"seed_{seed}", error, seed))
        runs.log_run(experiment_id, trained)
    counting = {Run("mlp_2", "mnist", "fast", seed): f"mlp_2-{seed}" for seed in (2, 1, 0)}
    arrays = Run("mlp_2", "mnist", "fast", 1).reconstructions / "arrays.npz"
    arrays.parent.mkdir(parents=True)
    np.savez(arrays, reconstructions=np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 1, 2, 2))

    # what is not there, or of another training, does not count
    replicates.log_parents(experiment_id, counting | {Run("mlp_2", "mnist", "fast", 3): "mlp_2-3"})
    parent = parent_of(experiment_id)
    assert parent.info.run_name == "mlp_2-mnist-fast"
    assert (parent.info.status, parent.data.tags["seeds"]) == ("FINISHED", "0 1 2")
    expected = {"test/mse": 0.03, "test/mse_sd": float(np.std(errors, ddof=1)), "num_seeds": 3}
    assert parent.data.metrics == pytest.approx(expected)
    assert parent.data.params == {"dataset": "mnist", "family": "mlp", "recipe": "fast", "source": "B"}
    assert {artifact.path for artifact in mlflow.MlflowClient().list_artifacts(parent.info.run_id)} == {"images"}
    children = [run for run in everything(experiment_id) if "seed" in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert [runs.log_run(experiment_id, outputs(tmp_path / "again", errors[0], 0))] == ["up to date"]

    replicates.log_parents(experiment_id, counting)
    assert parent_of(experiment_id).info.run_id == parent.info.run_id
    del counting[Run("mlp_2", "mnist", "fast", 2)]
    replicates.log_parents(experiment_id, counting)
    newer = parent_of(experiment_id)
    assert newer.data.metrics["test/mse"] == pytest.approx(0.015)
    assert sorted(newer.data.tags["seeds"].split()) == ["0", "1"]


def test_the_page_that_compares_means_opens_on_the_test_mse_the_latent_dimension_and_the_parameters(
    tmp_path, experiment_id
):
    client = mlflow.MlflowClient()
    train(experiment_id, trained := outputs(tmp_path / "variant", 0.03))
    runs.log_run(experiment_id, trained)
    child = the_whole_run(experiment_id).info.run_id
    for name in describe.HEADLINES.values():
        client.log_metric(child, name, 2.0)
    replicates.log_parents(experiment_id, {Run("mlp_2", "mnist", "fast", 0): "mlp_2-0"})
    parent = parent_of(experiment_id)
    assert len(parent.data.metrics) <= 30
    assert next(iter(parent.data.metrics)) == "test/mse"
    # the first three that differ between variants of a data set and recipe
    assert sorted(parent.data.params) == ["dataset", "family", "latent_dim", "num_parameters", "recipe", "source"]


def test_the_duration_of_a_run_is_that_of_its_training(tmp_path, experiment_id):
    def times() -> tuple[int, int]:
        (run,) = everything(experiment_id)
        return run.info.start_time, run.info.end_time

    train(experiment_id, outputs(tmp_path / "variant", None))
    started, ended = times()
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "evaluation added"
    assert times() == (started, ended)
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.04)) == "logged from the output files"
    assert times() == (started + 1, ended)  # newer than the one that it replaces
    client = mlflow.MlflowClient()
    client.delete_run(everything(experiment_id)[0].info.run_id)
    runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03))  # of a training that this store has not seen
    assert times()[0] == times()[1] > ended


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*/artifacts/checkpoint/*", None),
        ("*/artifacts/checkpoint/*", 500),
        ("models/*/*/MLmodel", None),
        ("models/*/*/data/*", 0),
    ],
)
def test_a_run_whose_files_are_gone_or_cut_is_logged_again(tmp_path, experiment_id, pattern, left):
    row = outputs(tmp_path / "variant", 0.03)
    runs.log_run(experiment_id, row)
    assert runs.log_run(experiment_id, row) == "up to date"
    path = next((tmp_path / "mlruns/artifacts").glob(pattern))
    if left is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:left])
    assert [lacks_files(run) for run in everything(experiment_id)] == [True]
    assert runs.log_run(experiment_id, row) == "logged from the output files"
    assert [lacks_files(run) for run in everything(experiment_id)] == [False]


def test_what_a_desktop_puts_beside_the_files_of_a_run_is_none_of_them(tmp_path, experiment_id):
    runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03))
    for path in list((tmp_path / "mlruns/artifacts").rglob("*")):
        if path.is_dir():
            (path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
            (path / ".localized").touch()
    assert [lacks_files(run) for run in everything(experiment_id)] == [False]


def test_the_model_loads_without_our_classes(tmp_path, experiment_id):
    trained = outputs(tmp_path / "variant", 0.03)
    runs.log_run(experiment_id, trained)
    x = torch.rand(5, 1, 28, 28)
    torch.save(x, tmp_path / "x.pt")
    code = """
        import sys, torch, mlflow
        experiment_id, folder = sys.argv[1:]
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
        (run,) = mlflow.MlflowClient().search_runs([experiment_id])
        uri = "models:/" + run.outputs.model_outputs[0].model_id
        info = mlflow.models.get_model_info(uri)
        assert info.signature is not None and info.saved_input_example_info is not None
        torch.save(mlflow.pytorch.load_model(uri)(torch.load(f"{folder}/x.pt")), f"{folder}/y.pt")
        assert "latentlab" not in sys.modules
    """
    assert start(code, experiment_id, tmp_path).wait(timeout=120) == 0
    with torch.inference_mode():
        assert torch.allclose(torch.load(tmp_path / "y.pt"), trained.model.eval()(x), atol=1e-6)


def test_mlflow_serves_the_model(tmp_path, experiment_id):
    trained = outputs(tmp_path / "variant", 0.03)
    runs.log_run(experiment_id, trained)
    uri = f"models:/{the_whole_run(experiment_id).outputs.model_outputs[0].model_id}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = ["mlflow", "models", "serve", "--model-uri", uri, "--env-manager", "local", "--host", "127.0.0.1"]
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlruns/mlflow.db"}
    server = subprocess.Popen([*command, "--port", port], env=environment, start_new_session=True)
    x = torch.rand(2, 1, 28, 28)
    try:
        for _ in range(600):
            with contextlib.suppress(requests.ConnectionError):
                answer = requests.post(f"http://127.0.0.1:{port}/invocations", json={"inputs": x.tolist()}, timeout=60)
                break
            assert server.poll() is None
            time.sleep(0.2)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)
    assert answer.status_code == 200, answer.text
    with torch.inference_mode():
        assert torch.allclose(torch.tensor(answer.json()["predictions"]), trained.model.eval()(x), atol=1e-5)


def test_logging_again_leaves_one_run_with_each_value_once(tmp_path, experiment_id):
    for _ in range(2):
        train(experiment_id, outputs(tmp_path / "variant", 0.03))
        runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03))
        assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "up to date"
    (run,) = everything(experiment_id)
    assert history(run.info.run_id, "curve/validation_mse") == [(1, 0.05), (2, 0.04)]
    assert history(run.info.run_id, "test/mse") == [(0, 0.03)]


def test_a_store_without_the_run_gets_it_from_the_files(tmp_path, experiment_id):
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "logged from the output files"
    (run,) = everything(experiment_id)
    assert history(run.info.run_id, "curve/train_loss") == [(1, 0.3), (2, 0.2)]
    assert history(run.info.run_id, "test/mse") == [(0, 0.03)]
    assert run.data.tags["replayed"] == "true"
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "up to date"
    assert runs.log_run(experiment_id, outputs(tmp_path / "other", 0.03, seed=1)) == "logged from the output files"
    assert len(everything(experiment_id)) == 2


def test_a_new_evaluation_replaces_the_old_one_and_keeps_what_only_the_training_knew(tmp_path, experiment_id):
    train(experiment_id, outputs(tmp_path / "variant", None))
    runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03))
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.02)) == "logged from the output files"
    (run,) = everything(experiment_id)
    assert history(run.info.run_id, "test/mse") == [(0, 0.02)]
    assert history(run.info.run_id, "speed/images_per_second") == [(1, 100.0), (2, 110.0)]


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_training_that_does_not_end_well(tmp_path, experiment_id, error, status):
    trained = outputs(tmp_path / "variant", None)

    def train_and_fail() -> None:
        with runs.training_run(experiment_id, trained.description, trained.note, trained.tags) as run:
            run.log_epoch(RECORDS[0])
            raise error

    with pytest.raises(type(error)):
        train_and_fail()
    (found,) = everything(experiment_id)
    assert found.info.status == status
    assert type(error).__name__ in found.data.tags["failure"]
    # it is no trained run: the next one does not add to it
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "logged from the output files"


def start_training(folder: Path) -> "subprocess.Popen[str]":
    """A process that has logged one epoch and is at the next."""
    code = """
        import sys, time
        from pathlib import Path
        from tracked import outputs, RECORDS
        from latentlab import stages
        from latentlab.tracking import runs, store
        def main():
            folder = Path(sys.argv[1])
            trained, experiment_id = outputs(folder / "variant", None), store.open_store(folder)
            with runs.training_run(experiment_id, trained.description, "", {}) as run:
                run.log_epoch(RECORDS[0])
                print("started", flush=True)
                time.sleep(60)
        stages.start(main, [])
    """
    process = start(code, folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def test_a_run_left_behind_by_a_killed_process_is_closed_by_the_next_start(tmp_path):
    process = start_training(tmp_path)
    # another start while it lives leaves it alone
    experiment_id = store.open_store(tmp_path)
    assert [run.info.status for run in everything(experiment_id)] == ["RUNNING"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [run.info.status for run in everything(experiment_id)] == ["RUNNING"]
    store.open_store(tmp_path)
    assert [run.info.status for run in everything(experiment_id)] == ["KILLED"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_stop_is_killed(tmp_path, number):
    process = start_training(tmp_path)
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    experiment_id = store.open_store(tmp_path)
    assert [run.info.status for run in everything(experiment_id)] == ["KILLED"]


def test_a_fresh_store_opened_by_four_processes_at_once(tmp_path):
    code = """
        import sys
        from pathlib import Path
        from latentlab.tracking import store
        print(store.open_store(Path(sys.argv[1])))
    """
    processes = [start(code, tmp_path) for _ in range(4)]
    answers = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert len(answers) == 1


def test_four_trainings_that_begin_at_the_same_moment_with_a_new_store(tmp_path):
    code = """
        import sys, time
        from pathlib import Path
        from latentlab.tracking import runs, store
        from tracked import outputs
        number, folder = int(sys.argv[1]), Path(sys.argv[2])
        trained, experiment_id = outputs(folder / f"row_{number}", None, seed=number), store.open_store(folder)
        (folder / f"ready_{number}").touch()
        while len([*folder.glob("ready_*")]) < 4:
            time.sleep(0.001)
        with runs.training_run(experiment_id, trained.description, "", {}) as run:
            run.log_epoch({"epoch": 1.0, "train_loss": 0.3, "epoch_seconds": 2.0, "images_per_second": 100.0})
    """
    processes = [start(code, number, tmp_path) for number in range(4)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0, 0, 0]
    found = everything(store.open_store(tmp_path))
    assert [run.info.status for run in found] == ["FINISHED"] * 4
    assert {run.inputs.dataset_inputs[0].dataset.digest for run in found} == {"d" * 32}


def test_four_processes_that_log_at_once(tmp_path):
    code = """
        import sys
        from pathlib import Path
        from latentlab.tracking import runs, store
        from tracked import outputs, train
        number, folder = int(sys.argv[1]), Path(sys.argv[2])
        for seed in range(2):
            trained = outputs(folder / f"row_{number}_{seed}", 0.01 * number, seed=10 * number + seed)
            experiment_id = store.open_store(folder)
            train(experiment_id, trained)
            print(runs.log_run(experiment_id, trained))
    """
    processes = [start(code, number, tmp_path) for number in range(4)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0, 0, 0]
    found = everything(store.open_store(tmp_path))
    names = [f"mlp_2-mnist-fast-{10 * number + seed}" for number in range(4) for seed in range(2)]
    assert sorted(str(run.info.run_name) for run in found) == sorted(names)
    for run in found:
        assert run.info.status == "FINISHED"
        assert history(run.info.run_id, "curve/train_loss") == [(1, 0.3), (2, 0.2)]
        assert len(history(run.info.run_id, "test/mse")) == 1
        assert mlflow.MlflowClient().list_artifacts(run.info.run_id, "checkpoint")


def test_a_moved_folder_is_mended(tmp_path, capsys):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    runs.log_run(store.open_store(old), outputs(tmp_path / "variant", 0.03))
    old.rename(new)
    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    experiment_id = store.open_store(new)
    assert "mended" in capsys.readouterr().err
    (run,) = everything(experiment_id)
    names = {artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert "metrics.json" in names
    model = mlflow.pytorch.load_model(f"models:/{run.outputs.model_outputs[0].model_id}")
    assert model(torch.zeros(1, 1, 28, 28)).shape == (1, 1, 28, 28)


def test_an_experiment_with_another_place_for_its_files_keeps_it(tmp_path, experiment_id, capsys):
    client = mlflow.MlflowClient()
    client.rename_experiment(experiment_id, "before")
    elsewhere = (tmp_path / "elsewhere").as_uri()
    client.create_experiment("latentlab", artifact_location=elsewhere)
    for _ in range(2):
        runs.log_run(store.open_store(tmp_path, needed=True), outputs(tmp_path / "variant", 0.03))
    run = the_whole_run(store.open_store(tmp_path, needed=True))
    assert run.info.artifact_uri.startswith(elsewhere)
    assert "moved" not in capsys.readouterr().err


def test_what_was_logged_by_the_link_for_mlflow_itself_stays_in_view(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlflow.db").symlink_to("mlruns/mlflow.db")
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    by_hand = mlflow.MlflowClient().create_experiment("by hand")  # MLflow puts its files into mlruns/1
    run = mlflow.MlflowClient().create_run(by_hand)
    mlflow.MlflowClient().log_text(run.info.run_id, "text", "a.txt")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    runs.log_run(store.open_store(tmp_path, needed=True), outputs(tmp_path / "variant", 0.03))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    the_whole_run(store.open_store(tmp_path, needed=True))
    assert [each.path for each in mlflow.MlflowClient().list_artifacts(run.info.run_id)] == ["a.txt"]
    # and goes along when the folder is moved
    (tmp_path / "mlruns").rename(tmp_path / "other")
    (tmp_path / "new").mkdir()
    (tmp_path / "other").rename(tmp_path / "new/mlruns")
    the_whole_run(store.open_store(tmp_path / "new", needed=True))
    assert [each.path for each in mlflow.MlflowClient().list_artifacts(run.info.run_id)] == ["a.txt"]


def test_an_experiment_whose_files_only_a_server_has_is_left_as_it_is(tmp_path, experiment_id, monkeypatch):
    client = mlflow.MlflowClient()
    client.rename_experiment(experiment_id, "before")
    client.create_experiment("latentlab", artifact_location="mlflow-artifacts:/7")
    with pytest.raises(TrackingError, match=r"'latentlab' was made through a server, .*: set MLFLOW_TRACKING_URI to it"):
        store.open_store(tmp_path)
    assert client.get_experiment_by_name("latentlab").artifact_location == "mlflow-artifacts:/7"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    train(store.open_store(tmp_path), outputs(tmp_path / "variant", None))


def remedy(error: BaseException, begin: str) -> list[str]:
    """The command in an error that begins so."""
    return re.split("[,;]", begin + str(error).partition(begin)[2])[0].split()


def test_a_deleted_experiment_is_said_and_comes_back_with_all_its_runs(tmp_path, experiment_id, monkeypatch):
    runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03))
    mlflow.MlflowClient().delete_experiment(experiment_id)
    with pytest.raises(TrackingError, match=r"the experiment 'latentlab' in .* is deleted: ") as caught:
        store.open_store(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "mlflow.db").symlink_to("mlruns/mlflow.db")
    subprocess.run(remedy(caught.value, "mlflow experiments"), check=True, capture_output=True)
    the_whole_run(store.open_store(tmp_path, needed=True))


def test_the_database_of_another_version_is_said_in_a_line(tmp_path, experiment_id, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "mlruns", other / "mlruns")
    with sqlite3.connect(other / "mlruns/mlflow.db") as database:
        (version,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        database.execute("UPDATE alembic_version SET version_num = 'of tomorrow'")
    with pytest.raises(TrackingError, match="has the tables of another MLflow than ") as caught:
        store.open_store(other)
    assert "\n" not in str(caught.value)
    with sqlite3.connect(other / "mlruns/mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (version,))
    subprocess.run(remedy(caught.value, "mlflow db upgrade"), check=True, capture_output=True)
    assert store.open_store(other) == experiment_id


def test_a_run_that_is_deleted_while_it_is_trained_stops_no_training_and_is_logged_again(tmp_path, experiment_id, capsys):
    trained = outputs(tmp_path / "variant", 0.03)

    def delete() -> None:
        mlflow.MlflowClient().delete_run(everything(experiment_id)[0].info.run_id)

    train(experiment_id, trained, delete)
    assert "does not take the run mlp_2-mnist-fast-0" in capsys.readouterr().err
    assert runs.log_run(experiment_id, trained) == "logged from the output files"
    the_whole_run(experiment_id)


def test_a_run_whose_model_is_deleted_is_logged_again(tmp_path, experiment_id):
    runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03))
    (run,) = everything(experiment_id)
    mlflow.MlflowClient().delete_logged_model(run.outputs.model_outputs[0].model_id)
    assert lacks_files(run)
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "logged from the output files"
    assert not lacks_files(the_whole_run(experiment_id))


def test_tags_that_somebody_has_edited_or_deleted_are_no_error(tmp_path, experiment_id):
    row, client = outputs(tmp_path / "variant", 0.03), mlflow.MlflowClient()
    runs.log_run(experiment_id, row)
    client.set_tag(everything(experiment_id)[0].info.run_id, "evaluation", "good!")
    assert runs.log_run(experiment_id, row) == "logged from the output files"
    run_id = the_whole_run(experiment_id).info.run_id
    for name in ("evaluation", "replayed", "trained"):
        client.delete_tag(run_id, name)
    assert runs.log_run(experiment_id, row) == "logged from the output files"
    assert all(history(run.info.run_id, "test/mse") == [(0, 0.03)] for run in everything(experiment_id))


def test_what_the_registry_refers_to_outlives_a_new_training_and_mlflow_gc(tmp_path, experiment_id):
    trained = outputs(tmp_path / "variant", 0.03)
    runs.log_run(experiment_id, trained)
    registry.register("mlp_2-0", "champion", "what it is")
    train(experiment_id, trained)
    runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.02))
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.02)) == "up to date"
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    command = ["mlflow", "gc", "--tracking-uri", uri, "--backend-store-uri", uri]
    subprocess.run(command, check=True, capture_output=True)
    assert mlflow.MlflowClient().get_model_version_by_alias("latentlab", "champion").description == "what it is"
    assert registry.fetch_checkpoint("models:/latentlab@champion", tmp_path, tmp_path / "fetched").is_file()
    assert mlflow.pytorch.load_model("models:/latentlab@champion")(torch.zeros(1, 1, 28, 28)).shape == (1, 1, 28, 28)


def test_another_store_and_experiment_by_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.chdir(tmp_path)
    experiment_id = store.open_store(tmp_path / "project")
    assert mlflow.MlflowClient().get_experiment(experiment_id).name == "mine"
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "project").exists()


def test_deleted_runs_are_out_of_sight_but_not_lost(tmp_path, experiment_id):
    train(experiment_id, outputs(tmp_path / "variant", None))
    (first,) = everything(experiment_id)
    train(experiment_id, outputs(tmp_path / "variant", None))
    runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03))
    deleted = mlflow.MlflowClient().search_runs([experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert [run.info.run_id for run in deleted] == [first.info.run_id]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sqlite://", "gone with the process"),
        ("postgresql+nothing://me:hush@h/db", r"me:\*\*\*@h"),
        *(
            (uri, r"cannot be used: .*unset MLFLOW_TRACKING_URI")
            for uri in ("http://me:hush@127.0.0.1:9", "postgresql://me:hush@127.0.0.1:9/x", "nonsense://me:hush@x")
        ),
    ],
)
def test_a_store_that_cannot_be_used_is_said_at_once_and_without_its_password(tmp_path, monkeypatch, uri, words):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    # where a driver of PostgreSQL is installed MLflow would go on for minutes, in a thread that outlives this test
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
    with pytest.raises(TrackingError, match=words) as caught:
        store.open_store(tmp_path, needed=True)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_away_stops_no_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hush@127.0.0.1:9")
    experiment_id = store.open_store(tmp_path)
    assert experiment_id is None
    train(experiment_id, outputs(tmp_path / "variant", None))
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "not logged"
    said = capsys.readouterr().err
    assert said.count("the work goes on, and `latentlab sync` logs") == 1
    assert said.count("\n") == 1
    assert "hush" not in said


def test_what_is_measured_later_is_added_and_what_was_cut_off_in_between_is_logged_anew(tmp_path, experiment_id):
    train(experiment_id, outputs(tmp_path / "variant", 0.03))
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "evaluation added"
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03, denoising=0.1)) == "evaluation added"
    run = the_whole_run(experiment_id)
    assert history(run.info.run_id, "test/mse") == [(0, 0.03)]
    assert history(run.info.run_id, "denoising/denoising") == [(0, 0.1)]
    # another process was killed while it added
    mlflow.MlflowClient().update_run(run.info.run_id, status="KILLED")
    mlflow.MlflowClient().log_metric(run.info.run_id, "untrained/untrained", 0.5, step=0)
    last = outputs(tmp_path / "variant", 0.03, denoising=0.1, untrained=0.5)
    assert runs.log_run(experiment_id, last) == "logged from the output files"
    run = the_whole_run(experiment_id)
    assert history(run.info.run_id, "untrained/untrained") == [(0, 0.5)]
    assert history(run.info.run_id, "speed/images_per_second") == [(1, 100.0), (2, 110.0)]


def test_a_store_on_this_machine_that_cannot_be_written_is_an_error(tmp_path, experiment_id):
    trained = outputs(tmp_path / "variant", None)

    def lose() -> None:
        (tmp_path / "mlruns/mlflow.db").write_bytes(b"")

    with pytest.raises(mlflow.MlflowException):
        train(experiment_id, trained, lose)


def test_the_files_of_a_run_are_read_by_their_names_and_those_of_another_training_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run("mlp_2", "mnist", "fast", 0)
    made = outputs(tmp_path / "made", None)
    for path in (run.checkpoint, run.curve, run.analysis("denoising"), run.arrays("denoising") / "a.png", run.confusion):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    made.checkpoint.replace(run.checkpoint)
    run.reconstructions.mkdir()
    run.curve.write_text("epoch,train_loss\n1,0.5\n", encoding="utf-8")

    def write(path: Path, fingerprint: str, numbers: dict[str, object]) -> None:
        provenance = {"training": {"fingerprint": fingerprint}}
        path.write_text(json.dumps({"provenance": provenance} | numbers), encoding="utf-8")

    measures = {
        "latent_dim": 2,
        "test_mse": 0.5,
        "validation_mae": 0.4,
        "mse_per_class": {"T-shirt/top": 0.1, "été (2)": 0.2},
        "test_psnr": "no number",
    }
    write(run.metrics, "mlp_2-0", measures | {"num_macs": {"encoder": 7, "total": 9}})
    write(run.probes, "mlp_2-0", {"knn_accuracy": 0.9})
    write(run.analysis("denoising"), "mlp_2-0", {"0.2": {"mse": 0.3}, "sizes": [4], "table": [[1.0]]})
    write(run.analysis("generation"), "another", {"a": 1.0})
    project = SimpleNamespace(
        sources={"B": "the-second"},
        comparisons={"bottleneck": SimpleNamespace(title="Bottleneck", variants=["mlp_2"])},
    )
    for path in (run.metrics, run.arrays("denoising") / "a.png"):  # as a Mac leaves them on a disk of Windows
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    found = describe.outputs(project, run)
    assert {name: part.metrics for name, part in found.measured.items()} == {
        "metrics": {"size/latent_dim": 2.0, "test/mse": 0.5, "size/num_macs": 9.0},
        "probes": {"probe/knn_accuracy": 0.9},
        "denoising": {"denoising/mse_at_0.2": 0.3},
    }
    assert [*found.measured["probes"].files] == [run.probes, run.confusion]
    assert [*found.measured["denoising"].files] == [run.analysis("denoising"), run.arrays("denoising") / "a.png"]
    assert found.curve == [{"epoch": 1.0, "train_loss": 0.5}]
    note, tags = describe.about(project, run, VARIANT, Training.model_validate(TRAINING))
    assert sorted(found.note.splitlines()) == sorted(note.splitlines())
    assert found.tags == tags == {"comparisons": "bottleneck"}
    assert "trained on `mnist` with the recipe `fast` and seed 0: 2 epochs of muon" in found.note
    (run.arrays("denoising") / "a.png").unlink()  # its stage begins again beside this one
    assert runs.log_run(store.open_store(tmp_path), found) == "logged from the output files"
    (logged,) = everything(store.open_store(tmp_path))
    assert [each.path for each in mlflow.MlflowClient().list_artifacts(logged.info.run_id, "denoising")] == [
        "denoising/a.png"
    ]


def test_every_run_that_is_selected_has_a_note_and_tags():
    for run in PROJECT.runs():
        training = PROJECT.training_of(run.variant, run.recipe)
        note, tags = describe.about(PROJECT, run, PROJECT.variant(run.variant), training)
        assert note.startswith(f"### {run.variant}\n")
        assert note.endswith(f"Again: `dvc repro --force train@{run}`.")
        assert all(run.variant in PROJECT.comparisons[key].variants for key in tags["comparisons"].split())


def test_a_damaged_checkpoint_keeps_no_other_run_from_the_store(tmp_path, monkeypatch, capsys):
    """`latentlab sync` names it, goes on with the runs behind it, and exits with 2."""
    for file in ("params.yaml", "analyses/params.yaml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    monkeypatch.chdir(tmp_path)
    for variant in ("mlp_2", "mlp_4", "mlp_8"):
        run = Run(variant, "mnist", "fast", 0)
        run.checkpoint.parent.mkdir(parents=True)
        outputs(run.checkpoint.parent, None, seed=int(variant[-1]))
    damaged = Run("mlp_4", "mnist", "fast", 0)
    damaged.checkpoint.write_bytes(damaged.checkpoint.read_bytes()[:500])
    with pytest.raises(SystemExit) as caught:
        main(["sync", "mlp_2", "mlp_4", "mlp_8"])
    said = capsys.readouterr()
    assert caught.value.code == 2
    assert said.out.splitlines() == [f"{name}-mnist-fast-0: logged from the output files" for name in ("mlp_2", "mlp_8")]
    (line, last) = said.err.splitlines()
    assert line.startswith(f"mlp_4-mnist-fast-0: {damaged.checkpoint}: is not a checkpoint, or is damaged: ")
    assert line.endswith("; dvc repro train@mlp_4-mnist-fast-0")
    assert last == "error: 1 of 3 runs cannot be sent, see above"
    assert len(everything(store.open_store(tmp_path))) == 2


def test_the_pages_of_mlflow_are_served_with_the_links_to_table_and_charts(tmp_path, experiment_id, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    started: list[list[str]] = []
    monkeypatch.setattr("latentlab.commands.runs.os.execvp", lambda _, command: started.append(command))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"something listens at 127.0.0.1:{port} already"):
            show_pages(port)
    show_pages(port)
    link = f"http://127.0.0.1:{port}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    table, charts = f"{link}&viewStateShareKey=headline", f"{link}&compareRunsMode=CHART&viewStateShareKey=headline"
    assert capsys.readouterr().out == f"table: {table}\ncharts: {charts}\n"
    assert started == [["mlflow", "ui", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]]
