"""Which results count, and what the report says of them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from conftest import STUDY
from latentlab import layout, plans, results
from latentlab.comparison import analysis, leaderboard
from latentlab.layout import Run
from latentlab.report.content import Content
from latentlab.report.page import write_html, write_markdown
from latentlab.stages import compare
from test_comparison import made_up


def leave(run: Run, **metrics: object) -> None:
    """What the stages leave of a run."""
    plans.write(plans.make(STUDY, run.row, run.recipe), run.plan)
    run.folder.mkdir(parents=True)
    content = {"plan": plans.digest(run), "test_mse": 0.01} | metrics
    run.metrics.write_text(json.dumps(content), encoding="utf-8")
    run.probes.write_text(json.dumps({"svm_rbf_accuracy": 0.9}), encoding="utf-8")
    run.curve.write_text("epoch,train_loss\n1,0.5\n", encoding="utf-8")


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_all_runs_count_that_are_what_params_describes():
    runs = [Run("mlp_8", "fast", 0), Run("mlp_8", "fast", 7), Run("vae_2", "published", 0)]
    for run in runs:
        leave(run)
    found = results.read(STUDY)
    assert {result.run for result in found.runs} == set(runs)
    assert found.recipes == ["fast", "published"]
    assert [result.run.seed for result in found.of("mlp_8", "fast")] == [0, 7]
    assert found.of("mlp_8", "published") == []
    assert found.of("mlp_8", "fast")[0].metrics["svm_rbf_accuracy"] == 0.9
    assert list(found.shown(STUDY)) == ["mlp_8"]
    assert found.stale == []


def test_a_run_of_another_plan_is_stale_and_one_half_done_or_unknown_is_not_there():
    leave(Run("mlp_8", "fast", 0))
    leave(Run("mlp_4", "fast", 0), plan="0123456789abcdef")
    leave(Run("mlp_2", "fast", 0))
    Run("mlp_2", "fast", 0).probes.unlink()
    (layout.RUNS / "fast/former/seed_0").mkdir(parents=True)
    (layout.RUNS / "fast/former/seed_0/probes.json").write_text("{}", encoding="utf-8")
    found = results.read(STUDY)
    assert [result.run for result in found.runs] == [Run("mlp_8", "fast", 0)]
    assert found.stale == [Run("mlp_4", "fast", 0)]


def test_a_plan_changes_with_what_the_training_depends_on_and_with_nothing_else():
    plan = plans.make(STUDY, "mlp_8", "fast")
    assert plan["row"]["latent_dim"] == 8
    assert plan["training"] == STUDY.training_of("mlp_8", "fast").model_dump()
    assert plan != plans.make(STUDY, "mlp_8", "published")
    assert plan["model_code"] == plans.make(STUDY, "mlp_2", "fast")["model_code"]
    assert plan["model_code"] != plans.make(STUDY, "vae_2", "fast")["model_code"]
    run = Run("mlp_8", "fast", 0)
    plans.write(plan, run.plan)
    row, training = plans.read(run)
    assert row == STUDY.row("mlp_8")
    assert training == STUDY.training_of("mlp_8", "fast")
    assert plans.digest(run) == plans.digest(Run("mlp_8", "fast", 5))


def content(figures: list[str]) -> Content:
    found = made_up((0, 1))
    codecs = pd.DataFrame({"codec": ["png"], "layout": ["sheet"], "bytes_per_image": [200.0]})
    tables = {section: analysis(found, section) for section in compare.SECTIONS}
    return Content(STUDY, "fast", leaderboard(STUDY, found), tables, codecs, "# Claims\n\nNone.\n", figures)


def test_the_report_has_a_section_for_every_experiment_and_only_the_figures_that_were_drawn():
    text = write_markdown(content(["denoising", "loss_filters"]))
    for experiment in STUDY.experiments.values():
        assert f"## {experiment.title}\n" in text
    assert text.count("![") == 2
    assert "## Claims" in text
    assert "17 of the 17 rows with a published figure are as good or better" in text
    # the made-up gain at sigma 0.2 is 3 dB for all rows
    assert "29 of the 29 rows trained on clean images bring the image closer" in text
    assert "the best row is" in text
    # `cae_filters_wide` has the smallest published error, and the made-up ones follow those
    assert "`cae_filters_wide` has the smallest test MSE" in text


def test_the_page_needs_no_other_file(tmp_path):
    picture = bytes.fromhex("89504e470d0a1a0a")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/denoising.png").write_bytes(picture)
    page = write_html(write_markdown(content(["denoising"])), tmp_path)
    assert 'src="data:image/png;base64,iVBORw0KGgo="' in page
    assert 'src="figures' not in page
    assert '<h2 id="number-of-filters">' in page
    assert 'href="#number-of-filters"' in page
    assert '<div class="table"><table>' in page
    assert 'name="viewport"' in page
