"""The whole pipeline, for real: a git clone with three rows and a few hundred images, `latentlab repro`, what it leaves."""

import hashlib
import json
import re
import subprocess

import mlflow
import numpy as np
import pandas as pd
import pytest

from small import ALL, ROWS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

RUNS = [f"{row}-fast-0" for row in ROWS]


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


def test_no_times_and_no_paths_in_tracked_outputs(project, shared_folder):
    for path in [*(project.folder / "results").rglob("*.*"), *(project.folder / "reports").rglob("*.csv")]:
        if path.suffix in (".json", ".csv", ".md", ".html"):
            text = path.read_text(encoding="utf-8")
            assert str(shared_folder) not in text  # where it was made, and was copied to
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
    # as another processor would have made the one, and another model the other
    run, lock = project.folder / "results/runs/fast/mlp_8/seed_0", project.folder / "dvc.lock"
    kept = {path: path.read_bytes() for path in (lock, run / "metrics.json", run / "probes.json")}
    locked = kept[lock].decode()
    for path, key, factor in ((run / "metrics.json", "test_mse", 1.001), (run / "probes.json", "knn_accuracy", 2)):
        other = json.loads(kept[path])
        other[key] *= factor
        path.write_text(json.dumps(other), encoding="utf-8")
        locked = locked.replace(hashlib.md5(kept[path]).hexdigest(), "0" * 32)
    lock.write_text(locked, encoding="utf-8")
    code, output = project.attempt("latentlab", "verify", "mlp_8")
    assert code == 1
    for name, key, side in (("metrics", "test_mse", "within"), ("probes", "knn_accuracy", "beyond")):
        path = f"results/runs/fast/mlp_8/seed_0/{name}.json"
        assert re.search(rf"other bytes than in dvc.lock: .*{path}", output)
        assert re.search(rf"{path}: 1 numbers differ, most of all {key}: .* {side} the tolerance", output)
    for path, content in kept.items():
        path.write_bytes(content)
    assert "error: no row 'mlp_9'" in project.run("latentlab", "verify", "mlp_9", check=False)


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
