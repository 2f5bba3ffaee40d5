"""The whole pipeline, for real: a git clone with two variants and a few hundred images, `latentlab repro`, what it leaves.

The tests share one project and leave it as the next one needs it.
"""

import json
import re
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest

from latentlab.tracking import describe
from small import ALL, RUNS, TABLES, VARIANTS, Project, stages_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_what_the_stages_leave(small_project):
    run = small_project.folder / "results/mnist/fast/mlp_8/seed_0"
    metrics, probes = (json.loads((run / name).read_text(encoding="utf-8")) for name in ("metrics.json", "probes.json"))
    for part in ("test", "validation"):
        assert all(metrics[f"{part}_{error}"] > 0 for error in ("mse", "bce", "mae", "psnr", "ssim"))
    assert list(metrics["mse_per_class"]) == [str(digit) for digit in range(10)]
    assert metrics["num_parameters"] == {"encoder": 310864, "decoder": 311640, "total": 622504}
    assert metrics["num_macs"]["total"] == 2 * (784 * 392 + 392 * 8)
    assert (metrics["latent_dim"], metrics["compression_ratio"]) == (8, 98.0)
    for name in ("svm_rbf", "svm_linear", "knn", "logistic"):
        assert 0.1 < probes[f"{name}_accuracy"] <= 1
    # each says all that determines its numbers
    for content, settings in ((metrics, {}), (probes, {"neighbours": 5})):
        provenance = content["provenance"]
        assert provenance["settings"] == settings
        assert provenance["device"] in ("cpu", "cuda", "mps")
        assert {"code", "num_threads", "torch", "numpy"} <= set(provenance)
        training = provenance["training"]
        assert [training[key] for key in ("name", "dataset", "recipe", "seed")] == ["mlp_8", "mnist", "fast", 0]
        assert training["split"] == {"seed": 0, "train": 400, "validation": 100, "test": 200}
        assert training["variant"]["latent_dim"] == 8
        assert {"code", "data_digest", "precision", "fingerprint"} <= set(training)
    assert pd.read_csv(run / "confusion.csv")["count"].sum() == 200
    assert np.load(run / "reconstructions/arrays.npz")["reconstructions"].shape == (2, 10, 1, 28, 28)
    assert len(pd.read_csv(run / "curve.csv")) == 2


def test_tables_figures_and_report(small_project):
    reports = small_project.folder / "reports/mnist"
    table = leaderboard(small_project)
    assert set(table.index) == {*VARIANTS, "pca_8"}
    assert table.loc[VARIANTS, ["test_mse", "svm_rbf_accuracy", "num_parameters"]].notna().all(axis=None)
    assert "mse_to_first" in (reports / "comparisons/README.md").read_text(encoding="utf-8")
    assert json.loads((reports / "summary.json").read_text(encoding="utf-8"))["fast"]["num_variants"] == 2
    figures = {path.stem for path in (reports / "figures").glob("*.png")}
    assert {"error_against_latent_dim", "loss_all", "reconstructions", "reconstructions_all"} <= figures
    text = (reports / "report.md").read_text(encoding="utf-8")
    assert all(name in text for name in VARIANTS)
    assert set(re.findall(r"figures/(\w+)\.png", text)) == figures
    page = (reports / "report.html").read_text(encoding="utf-8")
    charts = {path.stem for path in (reports / "charts").glob("*.json")}
    assert charts >= {"error_against_latent_dim", "losses", "probes"}
    assert page.count('<img loading="lazy" src="data:image/png;base64,') == len(figures - charts)
    assert page.count("Plotly.newPlot(") == len(charts)
    # what it names as a stage is one
    known = small_project.run("dvc", "stage", "list", "--name-only").split()
    assert set(re.findall(r"dvc repro ([\w@-]+)", text)) <= {*known, *(name.split("@")[0] for name in known)}


def test_each_run_is_in_mlflow_once_with_everything(small_project):
    runs = small_project.runs()
    assert sorted(runs) == sorted(RUNS)
    run = runs["vae_2-mnist-fast-0"]
    assert run.info.status == "FINISHED"
    assert {"test/mse", "probe/svm_rbf_accuracy", "curve/train_kl", "speed/images_per_second"} <= set(run.data.metrics)
    assert len(run.data.metrics.keys() | {*describe.HEADLINES.values()}) <= 30  # with all analyses, more hide what matters
    assert run.data.params["latent_dim"] == "2"
    assert run.data.tags["variant"] == "vae_2"
    assert run.inputs.dataset_inputs[0].dataset.name == "mnist"
    client = mlflow.MlflowClient()
    files = {each.path for each in client.list_artifacts(run.info.run_id)}
    assert {"checkpoint", "curve.csv", "metrics.json", "probes.json"} <= files
    history = client.get_metric_history(run.info.run_id, "curve/validation_loss")
    assert [point.step for point in history] == list(range(1, 11))
    means = {run.info.run_name: run for run in small_project.search("tags.seeds LIKE '%'")}
    assert sorted(means) == sorted(name.removesuffix("-0") for name in RUNS)
    assert {each.data.tags["mlflow.parentRunId"] for each in runs.values()} == {each.info.run_id for each in means.values()}
    assert means["vae_2-mnist-fast"].data.metrics["test/mse"] == run.data.metrics["test/mse"]


def test_dvc_has_nothing_to_do_and_gives_the_same_bytes_and_the_same_lock_one_after_the_other(small_project):
    assert "up to date" in small_project.run("latentlab", "repro")
    assert "Data and pipelines are up to date." in small_project.run("dvc", "status", "dvc.yaml")
    before = small_project.made()
    output = small_project.run("dvc", "repro", "--force", "--pull")
    assert set(re.findall(r"Running stage '(.+)'", output)) == ALL
    assert small_project.made() == before
    assert sorted(small_project.runs()) == sorted(RUNS)
    assert "up to date" in small_project.run("dvc", "repro")


def test_logging_can_be_replayed_into_a_new_store(small_project):
    (small_project.folder / "mlruns").rename(small_project.folder / "mlruns.old")
    assert small_project.run("latentlab", "sync").count("logged from the output files") == len(RUNS)
    replayed = small_project.runs()
    assert sorted(replayed) == sorted(RUNS)
    assert all("test/mse" in run.data.metrics for run in replayed.values())
    assert small_project.run("latentlab", "sync").count("up to date") == len(RUNS)
    shutil.rmtree(small_project.folder / "mlruns")
    (small_project.folder / "mlruns.old").rename(small_project.folder / "mlruns")


def test_dvc_commands_that_people_use(small_project):
    metrics = json.loads(small_project.run("dvc", "metrics", "show", "--json"))
    assert {*metrics[""]["data"]} == {"reports/mnist/summary.json"}
    assert {*metrics[""]["data"]["reports/mnist/summary.json"]["data"]["fast"]["test_mse"]} == {*VARIANTS}
    small_project.run("dvc", "plots", "show", "--out", "page")
    page = (small_project.folder / "page/index.html").read_text(encoding="utf-8")
    assert all(name in page for name in VARIANTS)
    assert "loss_all.png" in page
    assert '<script src="http' not in page  # the charts show without the internet


def test_an_experiment_of_another_selection_keeps_the_results_of_the_others(small_project):
    kept = small_project.folder / "results/mnist/fast/vae_2/seed_0/metrics.json"
    before = kept.read_bytes()
    output = small_project.run(
        "dvc", "exp", "run", "-S", "run.variants=[mlp_8]", "-S", "variants.mlp_8.latent_dim=4", "compare@mnist"
    )
    assert "Running stage 'train@mlp_8-mnist-fast-0'" in output
    assert "train@vae_2" not in output
    assert kept.read_bytes() == before
    assert "latent_dim" in small_project.run("dvc", "params", "diff", "HEAD")
    assert "fast.test_mse.mlp_8" in small_project.run("dvc", "metrics", "diff", "HEAD")
    shown = small_project.run("dvc", "exp", "show", "--only-changed", "--csv").splitlines()[0].split(",")
    assert "fast.test_mse.mlp_8" in shown
    assert not any(name.startswith("results/") for name in shown)
    small_project.run("git", "checkout", "--force", ".")
    small_project.run("dvc", "checkout", "dvc.yaml")


def test_bad_input_is_one_clear_error_before_any_work(small_project):
    content = small_project.params()
    content["variants"]["vae_2"]["hidden_size"] = 16
    small_project.write_params(content)
    output = small_project.run("dvc", "repro", check=False)
    assert "variants.vae_2: hidden_size: unknown key" in output
    assert "the keys of conv_vae are channels, hidden_dim, latent_dim, beta" in output
    assert "Traceback" not in output
    small_project.run("git", "checkout", "--force", "params.yaml")


def leaderboard(project: Project) -> pd.DataFrame:
    return pd.read_csv(project.folder / "reports/mnist/leaderboard.csv").set_index("variant")


def test_a_new_variant_touches_params_alone(small_project):
    content = small_project.params()
    content["variants"]["mlp_new"] = content["variants"]["mlp_8"] | {"latent_dim": 5}
    content["run"]["variants"] = [*VARIANTS, "mlp_new"]
    small_project.write_params(content)
    assert small_project.repro() == {"plan"} | stages_of("mlp_new-mnist-fast-0") | TABLES
    assert "mlp_new" in leaderboard(small_project).index
    small_project.run("git", "checkout", "--force", "params.yaml")


def test_a_second_seed_trains_each_variant_once_more_and_gives_a_spread(small_project):
    content = small_project.params()
    content["run"]["seeds"] = [0, 1]
    small_project.write_params(content)
    assert small_project.repro("compare") == {"plan", "compare@mnist"} | stages_of(
        *(f"{name}-mnist-fast-1" for name in VARIANTS)
    )
    table = leaderboard(small_project)
    assert "mlp_new" not in table.index  # no trace of the variant that has gone
    assert (table.loc[VARIANTS, "num_seeds"] == 2).all()
    assert (table.loc[VARIANTS, "test_mse_sd"] > 0).all()


def test_a_seed_that_is_no_longer_selected_counts_and_a_comment_runs_nothing(small_project):
    small_project.run("git", "checkout", "--force", "params.yaml")
    path = small_project.folder / "src/latentlab/models/mlp.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# a comment\n", encoding="utf-8")
    assert small_project.repro("compare") == {"plan", "compare@mnist"}
    assert (leaderboard(small_project).loc[VARIANTS, "num_seeds"] == 2).all()


def test_a_changed_number_of_a_variant_runs_that_variant_and_what_compares_it(small_project):
    content = small_project.params()
    content["variants"]["mlp_8"]["latent_dim"] = 6
    small_project.write_params(content)
    assert small_project.repro("compare") == {"plan", "compare@mnist"} | stages_of("mlp_8-mnist-fast-0")
    # the other seed was made by another plan
    assert list(leaderboard(small_project).loc[["mlp_8", "vae_2"], "num_seeds"]) == [1, 2]


def test_an_edit_of_a_family_runs_that_family(small_project):
    path = small_project.folder / "src/latentlab/models/mlp.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nOTHER = 1\n", encoding="utf-8")
    assert small_project.repro("compare") == {"plan", "compare@mnist"} | stages_of("mlp_8-mnist-fast-0")
