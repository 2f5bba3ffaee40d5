"""MLflow for real: SQLite stores in temporary folders, real processes that are killed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import mlflow
import pytest
import torch
from mlflow.entities import ViewType

from conftest import ROOT, STUDY
from latentlab import checkpoint, models
from latentlab.tracking import checkup, present, runs, spool, store
from latentlab.tracking.present import TrackingError
from latentlab.tracking.writer import RunWriter

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # mlflow, sqlalchemy and torch.export warn of their own affairs
]


@pytest.fixture(autouse=True)
def no_store_from_outside(monkeypatch):
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "DVC_STAGE"):
        monkeypatch.delenv(variable, raising=False)
    yield
    mlflow.set_tracking_uri(None)


RECORDS = [
    {"epoch": 1.0, "train_loss": 0.3, "validation_loss": 0.25, "validation_mse": 0.05, "lr": 0.02}
    | {"epoch_seconds": 2.0, "images_per_second": 100.0},
    {"epoch": 2.0, "train_loss": 0.2, "validation_loss": 0.15, "validation_mse": 0.04, "lr": 0.01}
    | {"epoch_seconds": 2.0, "images_per_second": 110.0},
]


def outputs(folder: Path, test_mse: float | None, name: str = "mlp_2", seed: int = 0) -> runs.RowOutputs:
    row = STUDY.row(name)
    model = models.build(row, seed)
    description = {
        "name": name,
        "row": row.model_dump(),
        "training": STUDY.training_of(name, "fast").model_dump(),
        "recipe": "fast",
        "seed": seed,
        "split": STUDY.split.model_dump(),
        "device": "cpu",
        "num_threads": 1,
        "torch": torch.__version__,
        "data_digest": "d" * 32,
        "fingerprint": f"{name}-{seed}",
    }
    folder.mkdir(exist_ok=True)
    checkpoint.save(model, description, folder / "model.safetensors")
    (folder / "curve.csv").write_text("epoch\n1\n2\n", encoding="utf-8")
    evaluation = None
    if test_mse is not None:
        (folder / "metrics.json").write_text(json.dumps({"test_mse": test_mse}), encoding="utf-8")
        evaluation = runs.Evaluation({"test/mse": test_mse}, [folder / "metrics.json"])
    return runs.RowOutputs(
        description=description,
        note="what it is",
        tags={"experiments": "bottleneck"},
        model=model,
        example=torch.zeros(2, 1, 28, 28),
        checkpoint=folder / "model.safetensors",
        curve=[{key: record[key] for key in record if "seconds" not in key and "second" not in key} for record in RECORDS],
        curve_file=folder / "curve.csv",
        evaluation=evaluation,
    )


def train(experiment_id: str, trained: runs.RowOutputs) -> str:
    with runs.training_run(experiment_id, trained.description, trained.note, trained.tags) as run:
        for record in RECORDS:
            run.log_epoch(record)
        run.log_trained(trained)
    return run.writer.run_id


def everything(experiment_id: str) -> list[mlflow.entities.Run]:
    return mlflow.MlflowClient().search_runs([experiment_id])


def history(run_id: str, metric: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in mlflow.MlflowClient().get_metric_history(run_id, metric)]


def test_a_run_holds_training_and_evaluation(tmp_path):
    experiment_id = store.open_store(tmp_path)
    assert (tmp_path / "mlruns/mlflow.db").exists()
    run_id = train(experiment_id, outputs(tmp_path / "row", None))
    assert runs.log_row(experiment_id, outputs(tmp_path / "row", None)) == "up to date"
    assert runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "evaluation added"
    (run,) = everything(experiment_id)
    assert run.info.run_id == run_id
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "mlp_2-fast-0"
    assert history(run_id, "curve/train_loss") == [(1, 0.3), (2, 0.2)]
    assert history(run_id, "speed/images_per_second") == [(1, 100.0), (2, 110.0)]
    assert history(run_id, "test/mse") == [(0, 0.03)]
    assert run.data.params["latent_dim"] == "2"
    assert run.data.params["optimizer.name"] == "muon"
    wanted = {"source": "B", "family": "mlp", "recipe": "fast", "seed": "0", "device": "cpu", "experiments": "bottleneck"}
    assert run.data.tags.items() >= wanted.items()
    assert run.data.tags["mlflow.note.content"] == "what it is"
    assert run.inputs.dataset_inputs[0].dataset.digest == "d" * 32
    names = {artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run_id)}
    assert names >= {"checkpoint", "curve.csv", "metrics.json"}


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*/artifacts/checkpoint/*", None),
        ("*/artifacts/checkpoint/*", 500),
        ("models/*/*/MLmodel", None),
        ("models/*/*/data/*", 0),
    ],
)
def test_a_run_whose_files_are_gone_or_cut_is_logged_again(tmp_path, pattern, left):
    experiment_id = store.open_store(tmp_path)
    row = outputs(tmp_path / "row", 0.03)
    runs.log_row(experiment_id, row)
    assert runs.log_row(experiment_id, row) == "up to date"
    path = next((tmp_path / "mlruns/artifacts").glob(pattern))
    if left is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:left])
    assert checkup.check_up(tmp_path).bare == ["mlp_2-fast-0"]
    assert runs.log_row(experiment_id, row) == "logged from the output files"
    assert checkup.check_up(tmp_path).bare == []
    assert len(everything(experiment_id)) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"[1]", b'{"call": "start"}', b"\xff\xfe", b'{"call": "start", "run_id": "", "sto', b"[" * 100_000],
)
def test_what_waits_in_a_damaged_file_is_set_aside_and_stops_nothing(tmp_path, content, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/another.db")
    folder = tmp_path / store.SPOOL
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_bytes(content)
    assert spool.waiting(folder) == [f"{folder / 'a.jsonl'} (damaged)"]
    assert store.open_store(tmp_path) != present.LATER
    assert "does not say which run it is of: now a.damaged" in capsys.readouterr().err
    assert (folder / "a.damaged").read_bytes() == content
    assert spool.waiting(folder) == []


@pytest.mark.parametrize(
    ("uri", "words"), [("sqlite://", "gone with the process"), ("postgresql+nothing://a:hush@h/db", r"a:\*\*\*@h")]
)
def test_a_store_that_cannot_be_one_is_said(uri, words):
    with pytest.raises(TrackingError, match=words) as caught:
        store.check_server(uri)
    assert "hush" not in str(caught.value)


def test_the_model_loads_without_our_classes(tmp_path):
    experiment_id = store.open_store(tmp_path)
    trained = outputs(tmp_path / "row", 0.03)
    runs.log_row(experiment_id, trained)
    x = torch.rand(5, 1, 28, 28)
    torch.save(x, tmp_path / "x.pt")
    code = f"""
        import sys, torch, mlflow
        mlflow.set_tracking_uri("sqlite:///{tmp_path}/mlruns/mlflow.db")
        (run,) = mlflow.MlflowClient().search_runs(["{experiment_id}"])
        uri = "models:/" + run.outputs.model_outputs[0].model_id
        info = mlflow.models.get_model_info(uri)
        assert info.signature is not None and info.saved_input_example_info is not None
        torch.save(mlflow.pytorch.load_model(uri)(torch.load("{tmp_path}/x.pt")), "{tmp_path}/y.pt")
        assert "latentlab" not in sys.modules
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], check=True, cwd=tmp_path)
    with torch.inference_mode():
        assert torch.allclose(torch.load(tmp_path / "y.pt"), trained.model.eval()(x), atol=1e-6)


def test_logging_again_leaves_one_run_with_each_value_once(tmp_path):
    experiment_id = store.open_store(tmp_path)
    for _ in range(2):
        train(experiment_id, outputs(tmp_path / "row", 0.03))
        runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03))
        assert runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "up to date"
    (run,) = everything(experiment_id)
    assert history(run.info.run_id, "curve/validation_mse") == [(1, 0.05), (2, 0.04)]
    assert history(run.info.run_id, "test/mse") == [(0, 0.03)]


def test_a_store_without_the_run_gets_it_from_the_files(tmp_path):
    experiment_id = store.open_store(tmp_path)
    assert runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "logged from the output files"
    (run,) = everything(experiment_id)
    assert history(run.info.run_id, "curve/train_loss") == [(1, 0.3), (2, 0.2)]
    assert history(run.info.run_id, "test/mse") == [(0, 0.03)]
    assert run.data.tags["replayed"] == "true"
    assert runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "up to date"
    assert runs.log_row(experiment_id, outputs(tmp_path / "other", 0.03, seed=1)) == "logged from the output files"
    assert len(everything(experiment_id)) == 2


def test_a_new_evaluation_replaces_the_old_one_and_keeps_what_only_the_training_knew(tmp_path):
    experiment_id = store.open_store(tmp_path)
    train(experiment_id, outputs(tmp_path / "row", None))
    runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03))
    assert runs.log_row(experiment_id, outputs(tmp_path / "row", 0.02)) == "logged from the output files"
    (run,) = everything(experiment_id)
    assert history(run.info.run_id, "test/mse") == [(0, 0.02)]
    assert history(run.info.run_id, "speed/images_per_second") == [(1, 100.0), (2, 110.0)]


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_training_that_does_not_end_well(tmp_path, error, status):
    experiment_id = store.open_store(tmp_path)
    trained = outputs(tmp_path / "row", None)

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
    assert runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "logged from the output files"


def start_and_wait(tmp_path: Path) -> subprocess.Popen[str]:
    code = f"""
        import sys, time
        sys.path.insert(0, {str(ROOT / "tests")!r})
        from pathlib import Path
        from test_tracking import outputs, RECORDS
        from latentlab import stages
        from latentlab.tracking import runs, store
        def main():
            trained = outputs(Path({str(tmp_path)!r}) / "row", None)
            experiment_id = store.open_store(Path({str(tmp_path)!r}))
            with runs.training_run(experiment_id, trained.description, "", {{}}) as run:
                run.log_epoch(RECORDS[0])
                print("started", flush=True)
                time.sleep(60)
        stages.start(main, [])
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]

    def hear_interrupts() -> None:
        # a job in the background of a shell inherits that it ignores them
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, preexec_fn=hear_interrupts)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def test_a_run_left_behind_by_a_killed_process_is_closed_by_the_next_start(tmp_path):
    process = start_and_wait(tmp_path)
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
    process = start_and_wait(tmp_path)
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    experiment_id = store.open_store(tmp_path)
    assert [run.info.status for run in everything(experiment_id)] == ["KILLED"]


def test_a_fresh_store_opened_by_four_processes_at_once(tmp_path):
    code = (
        f"from latentlab.tracking import store; from pathlib import Path; print(store.open_store(Path({str(tmp_path)!r})))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert len(set(answers)) == 1


@pytest.mark.slow
def test_four_processes_that_log_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from test_tracking import outputs, train\n"
        "from latentlab.tracking import runs, store\n"
        "number, folder = int(sys.argv[1]), Path(sys.argv[2])\n"
        "for seed in range(2):\n"
        "    trained = outputs(folder / f'row_{number}_{seed}', 0.01 * number, seed=10 * number + seed)\n"
        "    experiment_id = store.open_store(folder)\n"
        "    train(experiment_id, trained)\n"
        "    print(runs.log_row(experiment_id, trained))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
    processes = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(number), str(tmp_path)], env=environment)
        for number in range(4)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0, 0, 0, 0]
    found = everything(store.open_store(tmp_path))
    names = [f"mlp_2-fast-{10 * number + seed}" for number in range(4) for seed in range(2)]
    assert sorted(str(run.info.run_name) for run in found) == sorted(names)
    for run in found:
        assert run.info.status == "FINISHED"
        assert history(run.info.run_id, "curve/train_loss") == [(1, 0.3), (2, 0.2)]
        assert len(history(run.info.run_id, "test/mse")) == 1
        assert mlflow.MlflowClient().list_artifacts(run.info.run_id, "checkpoint")


def test_a_moved_folder_is_mended(tmp_path, capsys):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    runs.log_row(store.open_store(old), outputs(tmp_path / "row", 0.03))
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


def test_another_store_and_experiment_by_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.chdir(tmp_path)
    experiment_id = store.open_store(tmp_path / "project")
    assert mlflow.MlflowClient().get_experiment(experiment_id).name == "mine"
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "project").exists()


def test_deleted_runs_are_out_of_sight_but_not_lost(tmp_path):
    experiment_id = store.open_store(tmp_path)
    first = train(experiment_id, outputs(tmp_path / "row", None))
    train(experiment_id, outputs(tmp_path / "row", None))
    runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03))
    deleted = mlflow.MlflowClient().search_runs([experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert [run.info.run_id for run in deleted] == [first]


def test_a_server_that_does_not_answer_is_said_at_once_and_without_its_password(tmp_path, monkeypatch):
    for uri in ("http://me:hush@127.0.0.1:9", "postgresql://me:hush@127.0.0.1:9/x", "nonsense://me:hush@x"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(TrackingError, match=r"cannot be used: .*unset MLFLOW_TRACKING_URI") as caught:
            store.open_store(tmp_path, needed=True)
        assert "hush" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_waited_is_sent_once_also_if_the_store_has_half_of_it_and_a_file_is_gone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/server.db")
    experiment_id = store.open_store(tmp_path)
    writer = RunWriter.begin(experiment_id, "a run", {"fingerprint": "x"})
    writer.metrics({"loss": 3.0}, 1)
    writer._wait(ConnectionError("gone"))
    for step, value in ((2, 2.0), (3, 1.0)):
        writer.metrics({"loss": value}, step)
    (path,) = (tmp_path / store.SPOOL).glob("*.jsonl")
    assert path.read_text(encoding="utf-8").count('"call": "metrics"') == 2
    # its process is alive and not at its end: it is left alone
    assert spool.send() == []
    writer.artifact(tmp_path / "nowhere.txt")
    lines = path.read_text(encoding="utf-8")
    writer.end("FINISHED")
    assert spool.send() == ["a run"]
    assert "nowhere.txt of the run a run is gone, and not sent" in capsys.readouterr().err
    # a sender that was killed before it could remove the file; the writer was killed in the middle of a line
    path.write_text(lines.replace(f'"process.pid": "{os.getpid()}"', '"process.pid": "999999999"') + '{"call": "en')
    assert spool.waiting(tmp_path / store.SPOOL) == ["a run"]
    assert spool.send() == ["a run"]
    (run,) = everything(experiment_id)
    assert run.info.status == "KILLED"
    assert history(run.info.run_id, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert spool.waiting(tmp_path / store.SPOOL) == []
