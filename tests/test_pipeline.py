"""The whole pipeline, for real: a git clone with three rows and a few hundred images, `dvc repro`, and what it leaves."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROWS = ["cae_tradeoff", "mlp_8", "vae_2"]


class Project:
    """A small copy of the project, with git and DVC as a user has them."""

    def __init__(self, folder: Path, mnist: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),  # the copy's code, not the installed one
            "LATENTLAB_MNIST": str(mnist),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@example.com",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.com",
        }
        for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_ROOT", "DVC_STAGE"):
            self.environment.pop(variable, None)

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False, timeout=600
        )
        output = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{command} gave {done.returncode}:\n{output}"
        return output

    def repro(self, *arguments: str) -> set[str]:
        """Runs `dvc repro`; the stages that ran."""
        return set(re.findall(r"Running stage '(.+)'", self.run("dvc", "repro", *arguments)))

    def params(self) -> dict:
        return yaml.safe_load((self.folder / "params.yaml").read_text(encoding="utf-8"))

    def write_params(self, content: dict) -> None:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "a step", "--allow-empty")

    def runs(self) -> dict[str, mlflow.entities.Run]:
        mlflow.set_tracking_uri(f"sqlite:///{self.folder / 'mlruns/mlflow.db'}")
        client = mlflow.MlflowClient()
        found = client.search_runs([client.get_experiment_by_name("latentlab").experiment_id])
        assert len(found) == len({run.info.run_name for run in found})
        return {run.info.run_name: run for run in found}

    def tracked(self, *rows: str) -> dict[str, bytes]:
        """The bytes of all outputs of rows."""
        folders = [self.folder / kind / row for kind in ("models", "results") for row in rows]
        return {str(path): path.read_bytes() for folder in folders for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, mnist_gz_folder: Path) -> Project:
    folder = tmp_path_factory.mktemp("a small study") / "project"  # a path with spaces
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    for name in files.stdout.splitlines():
        # results of the whole study are not those of the small one
        if (ROOT / name).is_symlink():
            (folder / name).symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file() and name != "dvc.lock" and name.split("/")[0] not in ("results", "reports"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
            (folder / name).chmod((ROOT / name).stat().st_mode)
    project = Project(folder, mnist_gz_folder)
    content = project.params()
    content["variants"] = {name: content["variants"][name] for name in ROWS}
    content["published"] = {name: content["published"][name] for name in ROWS if name in content["published"]}
    content["experiments"] = {"all": {"title": "All", "rows": ROWS}}
    content["baselines"] = {name: content["baselines"][name] for name in ("pca_8", "raw_pixels")}
    content["split"] |= {"train": 400, "validation": 100, "test": 200}
    for training in content["recipes"]["fast"].values():
        training |= {"epochs": 2, "batch_size": 64}
    project.write_params(content)
    project.run("git", "init", "--quiet")
    project.commit()
    ran = project.repro()
    assert ran == {
        "download",
        *(f"{stage}@{row}" for stage in ("train", "evaluate") for row in ROWS),
        "baseline@pca_8",
        "baseline@raw_pixels",
        "compare",
        "plot",
    }
    project.commit()
    return project


def test_outputs(project):
    metrics = json.loads((project.folder / "results/mlp_8/metrics.json").read_text(encoding="utf-8"))
    for part in ("test", "validation"):
        assert all(metrics[f"{part}_{error}"] > 0 for error in ("mse", "bce", "mae", "psnr", "ssim"))
    assert list(metrics["mse_per_digit"]) == [str(digit) for digit in range(10)]
    assert metrics["num_parameters"] == {"encoder": 310864, "decoder": 311640, "total": 622504}
    assert metrics["num_macs"]["total"] == 2 * (784 * 392 + 392 * 8)
    assert (metrics["latent_dim"], metrics["compression_ratio"]) == (8, 98.0)
    assert 0.1 < metrics["svm_linear_accuracy"] <= 1
    assert 0.1 < metrics["svm_rbf_accuracy"] <= 1
    assert metrics["device"] in ("cpu", "cuda", "mps")
    confusion = pd.read_csv(project.folder / "results/mlp_8/confusion.csv")
    assert confusion["count"].sum() == 200
    right = confusion.loc[confusion["actual"] == confusion["predicted"], "count"].sum()
    assert right / 200 == pytest.approx(metrics["svm_rbf_accuracy"])
    curve = pd.read_csv(project.folder / "results/vae_2/curve.csv")
    assert curve["epoch"].tolist() == [1, 2]
    assert {"train_loss", "train_kl", "validation_loss", "validation_mse"} <= set(curve.columns)
    assert np.load(project.folder / "results/vae_2/reconstructions.npy").shape == (2, 10, 28, 28)
    leaderboard = pd.read_csv(project.folder / "reports/leaderboard.csv")
    assert set(leaderboard["row"]) == {*ROWS, "pca_8", "raw_pixels"}
    assert (project.folder / "reports/figures/loss_all.png").exists()


def test_no_times_and_no_paths_in_tracked_outputs(project):
    for path in [*(project.folder / "results").rglob("*.*"), *(project.folder / "reports").rglob("*.csv")]:
        if path.suffix in (".json", ".csv", ".md"):
            text = path.read_text(encoding="utf-8")
            assert str(project.folder) not in text
            assert "seconds" not in text


def test_mlflow_holds_one_complete_run_per_row(project):
    runs = project.runs()
    assert sorted(runs) == sorted(ROWS)
    client = mlflow.MlflowClient()
    for name, run in runs.items():
        assert run.info.status == "FINISHED"
        metrics = json.loads((project.folder / f"results/{name}/metrics.json").read_text(encoding="utf-8"))
        assert run.data.metrics["test/mse"] == metrics["test_mse"]
        assert run.data.metrics["probe/svm_rbf_accuracy"] == metrics["svm_rbf_accuracy"]
        assert run.data.tags["fingerprint"] == metrics["fingerprint"]
        assert run.data.tags["dvc.stage"] == f"train@{name}"
        assert re.fullmatch(r"[0-9a-f]{40}", run.data.tags["git.commit"])
        assert run.data.tags["git.dirty"] == "false"
        assert [point.step for point in client.get_metric_history(run.info.run_id, "curve/train_loss")] == [1, 2]
        artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
        assert artifacts >= {"checkpoint", "curve.csv", "metrics.json", "confusion.csv", "reconstructions.png"}
        assert len(run.outputs.model_outputs) == 1


def test_a_plain_mlflow_finds_the_store(project):
    code = "import mlflow; print(sorted(mlflow.search_runs(experiment_names=['latentlab'])['tags.row']))"
    assert str(sorted(ROWS)) in project.run("python", "-W", "ignore", "-c", code)


def test_a_second_time_all_is_up_to_date(project):
    assert "Data and pipelines are up to date." in project.run("dvc", "repro")
    assert "up to date" in project.run("dvc", "status")


def test_forced_again_gives_the_same_bytes_and_the_same_lock(project):
    before, lock = project.tracked(*ROWS), (project.folder / "dvc.lock").read_bytes()
    for row in ROWS:
        assert project.repro("--force", "--single-item", f"train@{row}") == {f"train@{row}"}
        assert project.repro("--force", "--single-item", f"evaluate@{row}") == {f"evaluate@{row}"}
    assert project.tracked(*ROWS) == before
    assert (project.folder / "dvc.lock").read_bytes() == lock
    assert all("evaluation" in run.data.tags for run in project.runs().values())


def test_logging_can_be_replayed_into_a_new_store(project):
    (project.folder / "mlruns").rename(project.folder / "mlruns.old")
    assert project.run("latentlab", "log").count("logged from the output files") == 3
    replayed = project.runs()
    assert sorted(replayed) == sorted(ROWS)
    assert all("test/mse" in run.data.metrics for run in replayed.values())
    assert project.run("latentlab", "log").count("up to date") == 3
    subprocess.run(["rm", "-rf", str(project.folder / "mlruns")], check=True)
    (project.folder / "mlruns.old").rename(project.folder / "mlruns")


def test_dvc_commands_that_people_use(project):
    metrics = json.loads(project.run("dvc", "metrics", "show", "--json"))
    assert "results/mlp_8/metrics.json" in metrics[""]["data"]
    assert "reports/summary.json" in metrics[""]["data"]
    project.run("dvc", "plots", "show", "--out", "page")
    page = (project.folder / "page/index.html").read_text(encoding="utf-8")
    assert all(row in page for row in ROWS)
    assert "loss_all.png" in page
    assert '<script src="http' not in page  # the charts show without the internet
    output = project.run("dvc", "exp", "run", "--set-param", "variants.mlp_8.latent_dim=4", "evaluate@mlp_8")
    assert "train@mlp_8" in output
    assert "train@vae_2'" not in output.replace("Stage 'train@vae_2' didn't", "")
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
    assert project.repro() == {"train@mlp_8", "evaluate@mlp_8", "compare", "plot"}


def test_adding_a_row_adds_two_stages_and_removing_it_leaves_no_trace_in_the_tables(project):
    content = project.params()
    content["variants"]["mlp_new"] = content["variants"]["mlp_8"] | {"latent_dim": 5}
    project.write_params(content)
    assert project.repro() == {"train@mlp_new", "evaluate@mlp_new", "compare", "plot"}
    assert "mlp_new" in (project.folder / "reports/leaderboard.csv").read_text(encoding="utf-8")
    del content["variants"]["mlp_new"]
    project.write_params(content)
    assert project.repro() == {"compare", "plot"}
    assert "mlp_new" not in (project.folder / "reports/leaderboard.csv").read_text(encoding="utf-8")


def test_touching_a_family_runs_that_family_alone(project):
    with (project.folder / "src/latentlab/models/mlp.py").open("a", encoding="utf-8") as file:
        file.write("# a touch\n")
    assert project.repro() == {"train@mlp_8", "evaluate@mlp_8", "compare", "plot"}


def test_bad_input_is_one_clear_error_before_any_work(project):
    content = project.params()
    content["variants"]["vae_2"]["hidden_size"] = 16
    project.write_params(content)
    output = project.run("dvc", "repro", check=False)
    assert "variants.vae_2: hidden_size: unknown key" in output
    assert "the keys of conv_vae are channels, hidden_dim, latent_dim, beta" in output
    assert "Traceback" not in output
    project.run("git", "checkout", "--force", "params.yaml")
    assert "no row 'mlp_9'" in project.run("latentlab", "log", "mlp_9", check=False)
