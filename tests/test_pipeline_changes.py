"""What a change of the whole pipeline runs again, the study that adds a row to it, and the doctor, for real."""

import hashlib
import json
import re

import mlflow
import pandas as pd
import pytest

from latentlab.processes import process_tags
from small import NOTHING_FOUND, ROWS, TABLES, stages_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_the_doctor_sees_what_is_broken_and_says_what_to_do(project):
    # a copy's store is mended when it is opened
    assert "the project's folder was moved" in project.run("latentlab", "sync")
    output = project.run("latentlab", "doctor")
    for line in (
        "MNIST: four files",
        "DVC: all stages are up to date",
        "DVC's cache: every object",
        "MLflow: mlruns/mlflow.db is whole",
    ):
        assert f"ok      {line}" in output
    assert "problem" not in output

    def orphans(output: str) -> int:  # other tests leave some, of runs that were replaced
        found = re.search(r"(\d+) folders of artifacts belong to no run", output)
        return int(found[1]) if found else 0

    before = orphans(output)
    # an object of DVC's cache with another byte
    run = project.folder / "models/fast/mlp_8/seed_0/model.safetensors"
    name = hashlib.md5(run.read_bytes()).hexdigest()
    cached = project.folder / ".dvc/cache/files/md5" / name[:2] / name[2:]
    kept = cached.read_bytes()
    cached.chmod(0o644)
    cached.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    # a run whose process is gone
    mlflow.set_tracking_uri(f"sqlite:///{project.folder / 'mlruns/mlflow.db'}")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("latentlab").experiment_id
    gone = process_tags() | {"process.started": "1000.0"}
    left = client.create_run(experiment, tags=gone, run_name="left").info.run_id
    # a folder that belongs to nothing, one of a run of somebody else's, and a line of params.yaml that is wrong
    (project.folder / "mlruns/artifacts/0123").mkdir()
    other = client.create_experiment("theirs", artifact_location=(project.folder / "mlruns/artifacts").as_uri())
    theirs = client.create_run(other).info.run_id
    client.log_artifact(theirs, str(project.folder / "params.yaml"))
    content = project.params()
    project.write_params(content | {"device": "tpu"})
    output = project.run("latentlab", "doctor", check=False)
    assert "problem params.yaml: params.yaml: device: Input should be 'auto', 'cpu', 'cuda' or 'mps', found 'tpu'" in output
    assert "problem DVC's cache: 1 objects are not what their name says" in output
    assert "1 runs are RUNNING, but their process is gone: left" in output
    assert orphans(output) == before + 1
    assert "rm -r " in output
    assert theirs not in output
    assert "Traceback" not in output
    project.write_params(content)
    client.delete_run(left)
    (project.folder / "mlruns/artifacts/0123").rmdir()
    # DVC repairs the object when it is needed: what is broken is not used
    cached.unlink(missing_ok=True)
    cached.write_bytes(kept)
    cached.chmod(0o444)
    # data that somebody cut, a database that is none, a server that is not there
    data, database = project.folder / "data/mnist/t10k-labels-idx1-ubyte", project.folder / "mlruns/mlflow.db"
    kept, database_kept = data.read_bytes(), database.read_bytes()
    data.chmod(0o644)
    data.unlink()
    data.write_bytes(kept[:100])
    database.write_bytes(b"x" * 5000)
    output = project.run("latentlab", "doctor", check=False)
    assert "problem MNIST: missing or altered: t10k-labels-idx1-ubyte" in output
    assert "problem MLflow: mlruns/mlflow.db is damaged: file is not a database" in output
    project.environment["MLFLOW_TRACKING_URI"] = "http://me:secret@127.0.0.1:9"
    output = project.run("latentlab", "doctor", check=False)
    del project.environment["MLFLOW_TRACKING_URI"]
    assert "problem MLflow: MLflow at http://me:***@127.0.0.1:9 cannot be used" in output
    assert "secret" not in output
    data.write_bytes(kept)
    database.write_bytes(database_kept)
    # files of MLflow's store, what waits for a server, a training that was stopped, a study's file
    artifacts, aside = project.folder / "mlruns/artifacts", project.folder / "mlruns/aside"
    artifacts.rename(aside)
    start = dict.fromkeys(("store", "process", "experiment", "tags", "start_time", "run_id"), "") | {"run_name": "left"}
    written = {
        "mlruns/spool/a.jsonl": json.dumps({"call": "start"} | start).encode(),
        "mlruns/spool/b.damaged": b"",
        ".dvc/tmp/epochs/mlp_8-fast-7.pt": b"",
        "study/study.db": b"x" * 5000,
    }
    for name, content in written.items():
        (project.folder / name).parent.mkdir(exist_ok=True)
        (project.folder / name).write_bytes(content)
    output = project.run("latentlab", "doctor", check=False)
    for name in written:
        (project.folder / name).unlink()
    aside.rename(artifacts)
    assert "problem MLflow: runs without their model, or whose files are cut: " in output
    assert "problem MLflow: these runs wait to be sent: left" in output
    assert "1 files in mlruns/spool do not say which run they are of" in output
    assert "1 trainings go on after their last epoch: mlp_8-fast-7" in output
    assert "mv study/study.db study/study.db.damaged; latentlab study run begins anew" in output
    assert "cannot be checked" not in output
    assert "problem" not in project.run("latentlab", "doctor")


def test_changing_a_row_runs_that_row_and_what_compares_it(project):
    content = project.params()
    content["variants"]["mlp_8"]["latent_dim"] = 6
    project.write_params(content)
    assert project.repro() == {"plan"} | stages_of("mlp_8-fast-0") | TABLES


def test_adding_a_row_adds_its_stages_and_removing_it_leaves_no_trace_in_the_tables(project):
    content = project.params()
    content["variants"]["mlp_new"] = content["variants"]["mlp_8"] | {"latent_dim": 5}
    project.write_params(content)
    assert project.repro() == {"plan"} | stages_of("mlp_new-fast-0") | TABLES
    assert "mlp_new" in (project.folder / "reports/leaderboard.csv").read_text(encoding="utf-8")
    del content["variants"]["mlp_new"]
    project.write_params(content)
    # the plan of these rows was made before, and may come from DVC's cache
    assert project.repro() - {"plan"} == TABLES
    assert "mlp_new" not in (project.folder / "reports/leaderboard.csv").read_text(encoding="utf-8")


def test_a_second_seed_trains_each_row_once_more_and_gives_a_spread(project):
    content = project.params()
    content["seeds"] = [0, 1]
    project.write_params(content)
    assert project.repro() == stages_of(*(f"{row}-fast-1" for row in ROWS)) | TABLES
    table = pd.read_csv(project.folder / "reports/leaderboard.csv").set_index("row")
    assert (table.loc[ROWS, "num_seeds"] == 2).all()
    assert (table.loc[ROWS, "test_mse_sd"] > 0).all()
    assert sorted(run.info.run_name for run in project.search("tags.seed = '1'")) == sorted(f"{row}-fast-1" for row in ROWS)
    # a seed that is no longer asked for still counts, until its plan changes
    content["seeds"] = [0]
    project.write_params(content)
    assert not any(stage.startswith("train") for stage in project.repro())
    assert (pd.read_csv(project.folder / "reports/leaderboard.csv").set_index("row").loc[ROWS, "num_seeds"] == 2).all()


def test_touching_a_family_runs_that_family_alone(project):
    with (project.folder / "src/latentlab/models/mlp.py").open("a", encoding="utf-8") as file:
        file.write("# a touch\n")
    # the numbers stay the same, so there is nothing new to report
    assert project.repro() - {"report"} == {"plan"} | stages_of("mlp_8-fast-0") | TABLES - {"report"}


def test_the_study_finds_a_row_which_is_trained_as_any_other_and_registered(project):
    output = project.run("latentlab", "repro", "study/dvc.yaml")
    assert "study tradeoff in sqlite:///study/study.db: " in output
    table = pd.read_csv(project.folder / "results/study/trials.csv")
    assert (table["epochs"] > 0).sum() == 3
    assert table.loc[0, "known_row"] == "cae_tradeoff"
    assert {path.name for path in (project.folder / "results/study").iterdir()} >= {
        "trials.csv", "front.csv", "hypervolume.csv", "winners.json", "front_code_size.png", "front_parameters.png",
    }  # fmt: skip
    mlflow.set_tracking_uri(f"sqlite:///{project.folder / 'mlruns/mlflow.db'}")
    client = mlflow.MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name("latentlab-study").experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert (len(children), len(runs)) == (3, 4)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all({"objective/validation_mse", "size/num_macs"} <= set(run.data.metrics) for run in children)
    assert {"trials.csv", "front.csv", "front_parameters.png"} <= {
        each.path for each in client.list_artifacts(parent.info.run_id)
    }
    found = [f"tradeoff_found-fast-{seed}" for seed in (0, 3)]
    expected = {f"{stage}_found@{run}" for stage in ("train", "evaluate", "probe") for run in found}
    assert "is not trained yet: latentlab repro" in project.run("latentlab", "study", "register", check=False)
    # the tables may be as they were, where a row of the study is one that was there before
    assert project.repro() - TABLES == expected | {"plan"}
    leaderboard = pd.read_csv(project.folder / "reports/leaderboard.csv").set_index("row")
    assert leaderboard.loc["tradeoff_found", "num_seeds"] == 2
    for _ in range(2):
        output = project.run("latentlab", "study", "register")
        assert "champion: tradeoff_found-fast-0 is models:/latentlab/1" in output
        assert "reference: cae_tradeoff-fast-0 is models:/latentlab/2" in output
    assert "MSE" in project.run("latentlab", "reconstruct", "models:/latentlab@champion", "--index", "0")
    assert "up to date" in project.run("dvc", "repro")
    assert "tradeoff" in project.run("optuna", "--storage", "sqlite:///study/study.db", "studies")
    project.run("latentlab", "study", "run", "--trials", "4")
    parent = client.get_run(parent.info.run_id)
    assert "4 trials of sampler tpe" in parent.data.tags["mlflow.note.content"]
    assert parent.data.metrics["finished"] + parent.data.metrics["stopped"] == 4
    project.write_found(NOTHING_FOUND)
    assert project.repro() - {"plan"} == TABLES
    assert "tradeoff_found" not in (project.folder / "reports/leaderboard.csv").read_text(encoding="utf-8")
