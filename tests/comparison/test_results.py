"""Which results count, and what is said of those that do not."""

import json
from pathlib import Path

import pytest

from conftest import PROJECT
from latentlab import paths
from latentlab.comparison import results
from latentlab.data import images
from latentlab.paths import Baseline, Run
from latentlab.training import plan

RUNS = [Run("mlp_8", "mnist", "fast", 0), Run("mlp_8", "mnist", "fast", 7), Run("vae_2", "mnist", "published", 0)]


def changed(key: str, value: object) -> object:
    """The project with another value at a place."""
    content = PROJECT.model_dump()
    *path, last = key.split(".")
    section = content
    for each in path:
        section = section[each]
    section[last] = value
    return type(PROJECT).model_validate(content)


def write_plans(project: object) -> None:
    for path, content in plan.of_project(project):
        plan.write(content, path)


def provenance(run: Run, stage: str, **training: str) -> plan.Plan:
    """Of what the present plans make of a run, but for what is given of its training."""
    machine = {"device": "cpu", "precision": "float32", "fingerprint": "0"} | training
    planned = plan.read(run.plan(stage))
    return planned | {"training": plan.read(run.plan("train")) | machine, "device": machine["device"]}


def write(path: Path, made_with: plan.Plan, **numbers: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"provenance": made_with} | numbers), encoding="utf-8")


def leave(run: Run, test_mse: float = 0.01, **training: str) -> None:
    """What the stages leave of a run."""
    write(run.metrics, provenance(run, "evaluate", **training), test_mse=test_mse)
    write(run.probes, provenance(run, "probe", **training), svm_rbf_accuracy=0.9)
    run.shown_curve.write_text("epoch,train_loss\n1,0.5\n", encoding="utf-8")


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(images, "digest", lambda _folder: "0123")
    write_plans(PROJECT)


def test_all_runs_count_that_are_what_params_describes():
    for run in RUNS:
        leave(run)
    found = results.read(PROJECT, "mnist")
    assert {result.run for result in found.runs} == set(RUNS)
    assert found.recipes == ["fast", "published"]
    assert [result.run.seed for result in found.of("mlp_8", "fast")] == [0, 7]
    assert found.of("mlp_8", "published") == []
    measured = {"device": "cpu", "precision": "float32", "fingerprint": "0", "test_mse": 0.01, "svm_rbf_accuracy": 0.9}
    assert found.of("mlp_8", "fast")[0].metrics == measured
    assert list(found.shown(PROJECT)) == ["mlp_8"]
    assert found.left_out == {}


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("datasets.mnist.split.train", 5000, "split"),
        ("recipes.fast.mlp_8.epochs", 9, "training"),
        ("variants.mlp_8.latent_dim", 9, "variant"),
        ("probes.neighbours", 7, "settings"),
        ("device", "cuda", "device"),
    ],
)
def test_a_run_of_other_settings_counts_for_nothing_and_is_named_with_the_reason(key, value, reason):
    for run in RUNS[:2]:
        leave(run)
    project = changed(key, value)
    write_plans(project)
    found = results.read(project, "mnist")
    assert found.runs == []
    assert list(found.report()) == [f"left out, as they were made with another {reason}: {RUNS[0]}, {RUNS[1]}"]


def test_a_run_of_other_images_or_code_counts_for_nothing(monkeypatch):
    leave(RUNS[0])
    monkeypatch.setattr(images, "digest", lambda _folder: "4567")
    write_plans(PROJECT)
    assert list(results.read(PROJECT, "mnist").report()) == [f"left out, as they were made with another images: {RUNS[0]}"]


def test_a_run_that_is_half_done_is_not_there_and_one_that_params_does_not_describe_is_named():
    leave(RUNS[0])
    leave(RUNS[1])
    RUNS[1].probes.unlink()
    former = Run("former", "mnist", "fast", 0)
    write(former.metrics, {})
    write(former.probes, {})
    found = results.read(PROJECT, "mnist")
    assert [result.run for result in found.runs] == [RUNS[0]]
    assert list(found.report()) == [f"left out, as params.yaml does not describe them: {former}"]


def test_an_analysis_counts_by_itself():
    leave(RUNS[0])
    training = provenance(RUNS[0], "evaluate")["training"]
    for name, measured_with in (("denoising", {"sigmas": [0.1]}), ("untrained", {"sigmas": [0.2]})):
        planned = plan.of_analysis(PROJECT, "mlp_8", name, {"sigmas": [0.1]})
        plan.write(planned, RUNS[0].analysis_plan(name))
        made_with = planned | {"settings": measured_with, "training": training, "device": "cpu"}
        write(RUNS[0].analysis(name), made_with, gain=1)
    found = results.read(PROJECT, "mnist", ["denoising", "untrained", "compression"])
    assert found.runs[0].metrics["denoising"] == {"gain": 1}
    assert "untrained" not in found.runs[0].metrics
    assert list(found.report()) == [f"left out, as they were made with another settings: untrained of {RUNS[0]}"]


def test_runs_are_taken_from_the_homes_that_are_named_and_the_first_counts():
    more = Run("mlp_8", "mnist", "fast", 0, paths.MORE)
    leave(more, test_mse=0.5)
    assert results.read(PROJECT, "mnist").runs == []
    assert results.read(PROJECT, "mnist", homes=(paths.MAIN, paths.MORE)).runs[0].metrics["test_mse"] == 0.5
    leave(RUNS[0])
    (result,) = results.read(PROJECT, "mnist", homes=(paths.MAIN, paths.MORE)).runs
    assert result.metrics["test_mse"] == 0.01


def test_baselines_count_by_their_plans():
    baseline = Baseline("pca_8", "mnist")
    write(baseline.metrics, plan.read(baseline.plan), test_mse=0.02)
    write(baseline.probes, plan.read(baseline.plan) | {"code": "other"}, knn_accuracy=0.8)
    found = results.read(PROJECT, "mnist")
    assert found.baselines == {"pca_8": {"test_mse": 0.02}}
    assert list(found.report()) == ["left out, as they were made with another code of the measurement: probes of pca_8"]


@pytest.mark.parametrize("other", [{"device": "cuda"}, {"precision": "bfloat16"}])
def test_no_mean_is_taken_over_devices_or_precisions(other):
    leave(RUNS[0])
    leave(RUNS[1], **other)
    found = results.read(PROJECT, "mnist")
    assert [result.run for result in found.runs] == [RUNS[0]]
    reason = "they were computed on another device or in another precision than the first seed"
    assert list(found.report()) == [f"left out, as {reason}: {RUNS[1]}"]


def test_what_was_measured_of_another_training_does_not_count():
    leave(RUNS[0])
    write(RUNS[0].probes, provenance(RUNS[0], "probe", fingerprint="1"))
    assert list(results.read(PROJECT, "mnist").report()) == [
        f"left out, as they were measured of another training than the evaluation: {RUNS[0]}"
    ]


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_a_file_that_cannot_be_read_is_named_and_stops_nothing(text):
    for run in RUNS[:2]:
        leave(run)
    RUNS[1].probes.write_text(text, encoding="utf-8")
    found = results.read(PROJECT, "mnist")
    assert [result.run for result in found.runs] == [RUNS[0]]
    assert str(RUNS[1]) in found.left_out


def test_image_formats_count_if_they_were_measured_as_planned():
    baseline = Baseline("codecs", "mnist")
    assert results.codecs("mnist").empty
    planned = {"settings": {"num_images": 5}, "code": "c"}
    for path, content in (
        (baseline.analysis_plan("codecs"), planned),
        (baseline.analysis("codecs"), {"provenance": planned | {"torch": "2"}, "curve": [{"codec": "png", "psnr": 120.0}]}),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    assert results.codecs("mnist")[["codec", "psnr"]].to_numpy().tolist() == [["png", 120.0]]
    baseline.analysis_plan("codecs").write_text(json.dumps(planned | {"code": "other"}), encoding="utf-8")
    assert results.codecs("mnist").empty
    assert "codec" in results.codecs("mnist")


def test_a_stale_run_of_one_home_does_not_hide_the_fresh_one_of_another():
    leave(RUNS[0], test_mse=0.5)
    more = Run("mlp_8", "mnist", "fast", 0, paths.MORE)
    leave(more)
    write(RUNS[0].metrics, provenance(RUNS[0], "evaluate") | {"code": "other"})
    found = results.read(PROJECT, "mnist", homes=(paths.MAIN, paths.MORE))
    assert [result.run for result in found.runs] == [more]
    assert found.left_out == {}
