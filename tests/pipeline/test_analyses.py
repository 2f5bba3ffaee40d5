"""The analyses of the small project, for real; and an analysis that is new, which touches three files beside its test."""

import hashlib
import json

import mlflow
import numpy as np
import pandas as pd
import pytest

from small import stages_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

VARIANT, MORE = "vae_2", "ae_2"
ANALYSES = [
    "denoising", "interpolation", "latent_space", "generation", "compression", "checkerboard", "few_labels", "untrained",
    "geometry", "anomalies", "likelihood",
]  # fmt: skip
OF_BASELINES = ["denoising", "generation", "compression", "few_labels", "geometry", "anomalies"]
TABLES = {f"analyses/dvc.yaml:{stage}@mnist" for stage in ("tables", "claims", "plot", "report")}
TABLES |= {"analyses/dvc.yaml:claims_side_by_side"}
NEW = '''"""How bright are the reconstructions?"""

from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.params.strict import Section


class Settings(Section):
    """Brightness that counts as one."""

    unit: float


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Mean of all pixels, in units."""
    outputs = subject.decode(subject.encode(subject.data.test.images))
    return Analysis({"mean": float(outputs.mean()) / settings.unit})
'''


def named(stage: str, *ends: str) -> set[str]:
    return {f"analyses/dvc.yaml:{stage}@{end}" for end in ends}


def test_every_analysis_is_a_stage_of_its_own_and_the_main_pipeline_depends_on_none(small_project):
    content = small_project.params()
    content["run"]["variants"] = [VARIANT]
    small_project.write_params(content)
    assert small_project.repro("analyses/dvc.yaml") == (
        {"plan", "analyses/dvc.yaml:plan_analyses", "analyses/dvc.yaml:classifier@mnist"}
        | stages_of(f"{MORE}-mnist-fast-0", pipeline="analyses/dvc.yaml:")
        | named("analyse", *(f"{VARIANT}-mnist-fast-0-{analysis}" for analysis in ANALYSES))
        | named("analyse_more", *(f"{MORE}-mnist-fast-0-{analysis}" for analysis in ANALYSES))
        | named("analyse_baseline", *(f"pca_8-mnist-{analysis}" for analysis in OF_BASELINES))
        | named("raw_pixels", *(f"mnist-{analysis}" for analysis in ("probes", "few_labels", "geometry", "anomalies")))
        | named("classical", "mnist")
        | named("codecs", "mnist")
        | TABLES
    )
    assert small_project.repro("compare") == {"compare@mnist"}
    assert "up to date" in small_project.run("latentlab", "repro", "analyses/dvc.yaml")


def test_what_the_analyses_leave(small_project):
    folder = small_project.folder / "analyses"
    run = folder / f"results/mnist/fast/{VARIANT}/seed_0"
    for analysis in ANALYSES:
        content = json.loads((run / f"{analysis}.json").read_text(encoding="utf-8"))
        assert {"training", "settings", "code", "device", "torch"} <= set(content["provenance"]), analysis
        assert len(content) > 1, analysis
    assert np.load(run / "generation/arrays.npz")["grid"].dtype == np.uint8
    generation = json.loads((run / "generation.json").read_text(encoding="utf-8"))
    weights = (folder / "classifiers/mnist/weights.safetensors").read_bytes()
    assert generation["provenance"]["classifier"] == hashlib.sha256(weights).hexdigest()
    assert sum(generation["mixture"]["classifier"]["class_shares"]) == pytest.approx(1)
    assert (run / "denoising/denoising.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(folder / "reports/mnist/tables/denoising.csv")
    assert {VARIANT, MORE, "pca_8", "classical"} == set(table["variant"])
    assert {"raw_pixels", MORE} <= set(pd.read_csv(folder / "reports/mnist/leaderboard.csv")["variant"])
    verdicts = json.loads((folder / "reports/mnist/claims.json").read_text(encoding="utf-8"))
    assert {entry["source"] for entry in verdicts} == set("ABCDEP")
    report = (folder / "reports/mnist/report.md").read_text(encoding="utf-8")
    assert all(f"## {title}" in report for title in ("Denoising", "Generation", "Checkerboards"))
    run = small_project.runs()[f"{VARIANT}-mnist-fast-0"]
    assert "denoising/mse_at_0.2" in run.data.metrics


def test_a_new_analysis_touches_its_module_its_numbers_and_its_section(small_project):
    (small_project.folder / "src/latentlab/evaluation/brightness.py").write_text(NEW, encoding="utf-8")
    content = small_project.params("analyses/params.yaml")
    content["analyses"]["names"].append("brightness")
    content["analyses"]["settings"]["brightness"] = {"unit": 0.5}
    small_project.write_params(content, "analyses/params.yaml")
    path = small_project.folder / "src/latentlab/report/sections.py"
    text = path.read_text(encoding="utf-8")
    section = (
        '\n\nSECTIONS.append(Section("Brightness", {"brightness": partial(bars, path="brightness/mean", title="Brightness",'
        ' unit="mean pixel")}, partial(between, words="Brightness", path="brightness/mean"), "brightness"))\n'
    )
    path.write_text(text + section, encoding="utf-8")
    ran = small_project.repro("analyses/dvc.yaml")
    assert {stage for stage in ran if "fast-0" in stage} == (
        named("analyse", f"{VARIANT}-mnist-fast-0-brightness") | named("analyse_more", f"{MORE}-mnist-fast-0-brightness")
    )
    report = (small_project.folder / "analyses/reports/mnist/report.md").read_text(encoding="utf-8")
    assert "## Brightness" in report
    assert "figures/brightness.png" in report


def test_one_class_is_a_pipeline_of_its_own(small_project):
    content = small_project.params("analyses/oneclass/params.yaml")
    content["oneclass"] |= {"seeds": [0, 1]}
    content["oneclass"]["training"] |= {"epochs": 2}
    small_project.write_params(content, "analyses/oneclass/params.yaml")
    stages = ("plan_oneclass", "oneclass@mnist-0", "oneclass@mnist-1", "table@mnist")
    ran = small_project.repro("analyses/oneclass/dvc.yaml")
    assert {stage for stage in ran if "oneclass" in stage} == {f"analyses/oneclass/dvc.yaml:{stage}" for stage in stages}
    folder = small_project.folder / "analyses/oneclass"
    found = [json.loads((folder / f"results/mnist/seed_{seed}.json").read_text(encoding="utf-8")) for seed in (0, 1)]
    for each in found:
        assert list(each["model"]) == [*map(str, range(10)), "mean"]
        assert {"code", "split", "training", "torch", "variant"} <= set(each["provenance"])
        aurocs = [each["model"][str(label)]["activations_nap"]["auroc"] for label in range(10)]
        assert each["model"]["mean"]["activations_nap"]["auroc"] == pytest.approx(np.mean(aurocs))
    table = pd.read_csv(folder / "reports/mnist.csv")
    means = table[(table["class"] == "mean") & (table["score"] == "model: activations nap")]
    assert means["auroc"].tolist() == pytest.approx([each["model"]["mean"]["activations_nap"]["auroc"] for each in found])
    page = (folder / "reports/mnist.md").read_text(encoding="utf-8")
    assert "| mean |" in page
    assert "mean of 2 seeds" in page
    client = mlflow.MlflowClient(f"sqlite:///{small_project.folder / 'mlruns/mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("latentlab-oneclass").experiment_id])
    logged = {run.info.run_name: run.data.metrics["auroc/activations_nap"] for run in runs}
    assert logged == pytest.approx({f"oneclass-mnist-{seed}": value for seed, value in enumerate(means["auroc"])})


def test_the_frontier_is_a_pipeline_of_its_own(small_project):
    chosen = {
        "variants": ["mlp_8", "vae_2"],
        "recipes": ["fast"],
        "seeds": [0, 1],
        "analyses": ["compression", "likelihood"],
    }
    small_project.write_params({"frontier": chosen}, "analyses/frontier/params.yaml")
    runs = [f"{name}-mnist-fast-{seed}" for name in chosen["variants"] for seed in (0, 1)]
    analysed = {f"analyse@{run}-{analysis}" for run in runs for analysis in chosen["analyses"]}
    ran = small_project.repro("analyses/frontier/dvc.yaml")
    assert {stage.partition(":")[2] for stage in ran if "frontier" in stage} == (
        stages_of(*runs) | analysed | {"plan_frontier", "table@mnist"}
    )
    folder = small_project.folder / "analyses/frontier"
    table = pd.read_csv(folder / "reports/mnist.csv")
    assert table[["variant", "num_seeds", "latent_dim"]].to_numpy().tolist() == [["vae_2", 2, 2], ["mlp_8", 2, 8]]
    line = table[table["variant"] == "mlp_8"].iloc[0]
    files = [folder / f"results/mnist/fast/mlp_8/seed_{seed}" for seed in (0, 1)]
    for column, file, keys in (
        ("test_mse", "metrics", ["test_mse"]),
        ("knn_accuracy", "probes", ["knn_accuracy"]),
        ("bytes_at_4_bits", "compression", ["4", "bytes_amortised"]),
        ("mse_at_8_bits", "compression", ["8", "mse"]),
    ):
        values = []
        for each in files:
            value = json.loads((each / f"{file}.json").read_text(encoding="utf-8"))
            for key in keys:
                value = value[key]
            values.append(value)
        assert line[column] == pytest.approx(np.mean(values)), column
    assert np.isnan(line["nll"])
    assert table["nll"][0] > 0
    assert "| vae_2 | 2 | 2 |" in (folder / "reports/mnist.md").read_text(encoding="utf-8")
    # what the main pipeline trained with the same numbers has the same errors
    here, there = (
        json.loads((root / "results/mnist/fast" / "mlp_8" / "seed_0/metrics.json").read_text(encoding="utf-8"))["test_mse"]
        for root in (small_project.folder, folder)
    )
    assert here == there
