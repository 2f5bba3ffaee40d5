"""The whole pipeline, for real: a git clone with three rows and a few hundred images, `latentlab repro`, what it leaves."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from latentlab.processes import process_tags
from small import NOTHING_FOUND, ROWS, Project, make

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

RUNS = [f"{row}-fast-0" for row in ROWS]
TABLES = {"compare", "claims", "plot", "report"}


def stages_of(*runs: str) -> set[str]:
    return {f"{stage}@{run}" for stage in ("train", "evaluate", "probe") for run in runs}


ALL = {"download", "plan", "baseline@pca_8", "baseline@raw_pixels", "denoiser", "codecs"} | TABLES | stages_of(*RUNS)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, mnist_gz_folder: Path) -> Project:
    project = make(tmp_path_factory.mktemp("a small study") / "project", mnist_gz_folder)  # a path with spaces
    assert project.repro() == ALL
    project.commit()
    return project


def test_outputs(project):
    run = project.folder / "results/runs/fast/mlp_8/seed_0"
    metrics, probes = (json.loads((run / name).read_text(encoding="utf-8")) for name in ("metrics.json", "probes.json"))
    for part in ("test", "validation"):
        assert all(metrics[f"{part}_{error}"] > 0 for error in ("mse", "bce", "mae", "psnr", "ssim"))
    assert list(metrics["mse_per_digit"]) == [str(digit) for digit in range(10)]
    assert metrics["num_parameters"] == {"encoder": 310864, "decoder": 311640, "total": 622504}
    assert metrics["num_macs"]["total"] == 2 * (784 * 392 + 392 * 8)
    assert (metrics["latent_dim"], metrics["compression_ratio"]) == (8, 98.0)
    assert (metrics["row"], metrics["recipe"], metrics["seed"]) == ("mlp_8", "fast", 0)
    assert metrics["device"] in ("cpu", "cuda", "mps")
    assert list(metrics["denoising"]) == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    assert set(metrics["interpolation"]) == {"linear", "real_distance"}
    assert {"standard_normal", "mixture"} <= set(metrics["generation"])
    assert list(metrics["compression"]) == ["2", "3", "4", "5", "6", "7", "8"]
    assert metrics["checkerboard"]["energy_ratio"] > 0
    for name in ("svm_rbf", "svm_linear", "knn", "logistic"):
        assert 0.1 < probes[f"{name}_accuracy"] <= 1
    assert list(probes["few_labels"]["knn"]) == ["10", "100"]  # there are 500 training images
    assert 0.1 < probes["untrained"]["knn_accuracy"] <= 1
    assert len(probes["latent_space"]["centroid_distances"]) == 10
    confusion = pd.read_csv(run / "confusion.csv")
    assert confusion["count"].sum() == 200
    right = confusion.loc[confusion["actual"] == confusion["predicted"], "count"].sum()
    assert right / 200 == pytest.approx(probes["svm_rbf_accuracy"])
    variational = run.parents[1] / "vae_2/seed_0"
    curve = pd.read_csv(variational / "curve.csv")
    assert curve["epoch"].tolist() == list(range(1, 11))
    assert {"train_loss", "train_kl", "validation_loss", "validation_mse"} <= set(curve.columns)
    generation = json.loads((variational / "metrics.json").read_text(encoding="utf-8"))["generation"]
    assert len(generation["kl_per_dimension"]) == 2
    assert "mixture" not in generation
    images = np.load(variational / "images.npz")
    assert images["reconstructions"].shape == (2, 10, 28, 28)
    assert images["grid"].shape == (225, 28, 28)
    assert images["interpolation_spherical"].shape == (10, 28, 28)
    assert np.load(variational / "embedding.npz")["codes"].shape[1] == 2
    leaderboard = pd.read_csv(project.folder / "reports/leaderboard.csv")
    assert set(leaderboard["row"]) == {*ROWS, "pca_8", "raw_pixels", "classical"}
    figures = {path.name for path in (project.folder / "reports/figures").glob("*.png")}
    assert figures >= {"loss_all.png", "denoising.png", "rate_distortion.png", "tsne_150.png", "grids.png", "probes.png"}


def test_report_and_claims(project):
    claims = json.loads((project.folder / "results/claims.json").read_text(encoding="utf-8"))
    assert len(claims["claims"] if isinstance(claims, dict) else claims) > 30
    page = (project.folder / "reports/report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") > 15
    assert 'src="figures' not in page
    text = (project.folder / "reports/report.md").read_text(encoding="utf-8")
    assert all(row in text for row in ROWS)
    for name in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (project.folder / "reports" / name).exists()


def test_no_times_and_no_paths_in_tracked_outputs(project):
    for path in [*(project.folder / "results").rglob("*.*"), *(project.folder / "reports").rglob("*.csv")]:
        if path.suffix in (".json", ".csv", ".md", ".html"):
            text = path.read_text(encoding="utf-8")
            assert str(project.folder) not in text
            assert "seconds" not in text


def test_mlflow_holds_one_complete_run_per_row_and_seed(project):
    runs = project.runs()
    assert sorted(runs) == sorted(RUNS)
    client = mlflow.MlflowClient()
    for name, run in runs.items():
        assert run.info.status == "FINISHED"
        folder = project.folder / f"results/runs/fast/{name.split('-')[0]}/seed_0"
        metrics, probes = (
            json.loads((folder / file).read_text(encoding="utf-8")) for file in ("metrics.json", "probes.json")
        )
        assert run.data.metrics["test/mse"] == metrics["test_mse"]
        assert run.data.metrics["probe/svm_rbf_accuracy"] == probes["svm_rbf_accuracy"]
        assert run.data.metrics["denoising/0.2.gain_db"] == metrics["denoising"]["0.2"]["gain_db"]
        assert run.data.metrics["latent_space/knn10_accuracy"] == probes["latent_space"]["knn10_accuracy"]
        assert run.data.tags["fingerprint"] == metrics["fingerprint"] == probes["fingerprint"]
        assert run.data.tags["dvc.stage"] == f"train@{name}"
        assert re.fullmatch(r"[0-9a-f]{40}", run.data.tags["git.commit"])
        assert run.data.tags["git.dirty"] == "false"
        epochs = list(range(1, 11 if name.startswith("vae") else 3))
        assert [point.step for point in client.get_metric_history(run.info.run_id, "curve/train_loss")] == epochs
        artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
        wanted = {"checkpoint", "curve.csv", "metrics.json", "probes.json", "confusion.csv", "reconstructions.png"}
        assert artifacts >= wanted | {"denoising.png", "interpolation_linear.png", "embedding.png"}
        assert len(run.outputs.model_outputs) == 1


def test_a_plain_mlflow_finds_the_store(project):
    code = "import mlflow; print(sorted(mlflow.search_runs(experiment_names=['latentlab'])['tags.row']))"
    assert str(sorted(ROWS)) in project.run("python", "-W", "ignore", "-c", code)


def test_a_second_time_all_is_up_to_date(project):
    for command in (("latentlab", "repro"), ("dvc", "repro"), ("dvc", "status", "dvc.yaml")):
        assert "Data and pipelines are up to date." in project.run(*command)


def test_dvc_makes_the_same_bytes_and_the_same_lock_one_after_the_other(project):
    before = project.tracked()
    output = project.run("dvc", "repro", "--force")
    assert set(re.findall(r"Running stage '(.+)'", output)) == ALL
    assert project.tracked() == before
    assert sorted(project.runs()) == sorted(RUNS)
    assert all("evaluation" in run.data.tags for run in project.runs().values())


def test_logging_can_be_replayed_into_a_new_store(project):
    (project.folder / "mlruns").rename(project.folder / "mlruns.old")
    assert project.run("latentlab", "sync").count("logged from the output files") == 3
    replayed = project.runs()
    assert sorted(replayed) == sorted(RUNS)
    assert all("test/mse" in run.data.metrics for run in replayed.values())
    assert project.run("latentlab", "sync").count("up to date") == 3
    subprocess.run(["rm", "-rf", str(project.folder / "mlruns")], check=True)
    (project.folder / "mlruns.old").rename(project.folder / "mlruns")


def test_a_run_made_from_nothing_twice_is_the_same_and_as_in_the_lock(project):
    output = project.run("latentlab", "verify", "mlp_8")
    assert re.search(
        r"mlp_8-fast-0: \d+ files, the same bytes twice\n  and the same as in dvc.lock, (\d) of \1 outputs", output
    )
    lock, metrics = project.folder / "dvc.lock", project.folder / "results/runs/fast/mlp_8/seed_0/metrics.json"
    kept = lock.read_bytes(), metrics.read_bytes()
    content = yaml.safe_load(kept[0])
    for output in content["stages"]["evaluate@mlp_8-fast-0"]["outs"]:
        if output["path"].endswith("metrics.json"):
            output["md5"] = "0" * 32
    lock.write_text(yaml.safe_dump(content), encoding="utf-8")
    for factor, words in ((1.001, "within"), (2, "beyond")):  # as another processor, or another model, would have made it
        other = json.loads(kept[1])
        other["test_mse"] *= factor
        metrics.write_text(json.dumps(other), encoding="utf-8")
        output = project.run("latentlab", "verify", "mlp_8", check=False)
        assert "other bytes than in dvc.lock: results/runs/fast/mlp_8/seed_0/metrics.json" in output
        assert "1 numbers differ, most of all test_mse" in output
        assert f"{words} the tolerance" in output
    lock.write_bytes(kept[0])
    metrics.write_bytes(kept[1])
    assert "error: no row 'mlp_9'" in project.run("latentlab", "verify", "mlp_9", check=False)


def test_the_doctor_sees_what_is_broken_and_says_what_to_do(project):
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


def test_dvc_commands_that_people_use(project):
    metrics = json.loads(project.run("dvc", "metrics", "show", "--json"))
    assert "results/runs/fast/mlp_8/seed_0/metrics.json" in metrics[""]["data"]
    assert "reports/summary.json" in metrics[""]["data"]
    project.run("dvc", "plots", "show", "--out", "page")
    page = (project.folder / "page/index.html").read_text(encoding="utf-8")
    assert all(row in page for row in ROWS)
    assert "loss_all.png" in page
    assert '<script src="http' not in page  # the charts show without the internet
    output = project.run("dvc", "exp", "run", "--set-param", "variants.mlp_8.latent_dim=4", "evaluate@mlp_8-fast-0")
    assert "Running stage 'train@mlp_8-fast-0'" in output
    assert "Running stage 'train@vae_2" not in output
    assert project.params()["variants"]["mlp_8"]["latent_dim"] == 4
    assert "latent_dim" in project.run("dvc", "params", "diff", "HEAD")
    assert "test_mse" in project.run("dvc", "metrics", "diff", "HEAD")
    assert "variants.mlp_8" in project.run("dvc", "exp", "show", "--only-changed", "--csv")
    project.run("git", "checkout", "--force", ".")
    project.run("dvc", "checkout")


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


def test_bad_input_is_one_clear_error_before_any_work(project):
    content = project.params()
    content["variants"]["vae_2"]["hidden_size"] = 16
    project.write_params(content)
    output = project.run("dvc", "repro", check=False)
    assert "variants.vae_2: hidden_size: unknown key" in output
    assert "the keys of conv_vae are channels, hidden_dim, latent_dim, beta" in output
    assert "Traceback" not in output
    project.run("git", "checkout", "--force", "params.yaml")
    assert "no row 'mlp_9'" in project.run("latentlab", "sync", "mlp_9", check=False)
