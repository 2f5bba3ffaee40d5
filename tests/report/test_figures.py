"""Figures of the core are drawn, hold what they should, and are the same each time. How they look, people must judge."""

import made_up
import numpy as np
import pytest
from matplotlib.figure import Figure

from conftest import PROJECT
from latentlab.report.content import Content
from latentlab.report.figures import core, panels
from latentlab.report.sections import of_core
from latentlab.report.styles import styles

FIGURES = {name: draw for section in of_core(PROJECT) for name, draw in section.figures.items()}


@pytest.fixture(scope="module")
def content() -> Content:
    return made_up.of_core(made_up.runs())


def test_every_variant_has_a_style_of_its_own():
    drawn = styles(PROJECT)
    assert list(drawn) == list(PROJECT.variants)
    assert len(set(drawn.values())) == len(PROJECT.variants)
    for comparison in PROJECT.comparisons.values():
        assert len({drawn[name].colour for name in comparison.variants}) == len(comparison.variants)


def test_a_new_variant_changes_no_other_style():
    more = PROJECT.model_copy(update={"variants": PROJECT.variants | {"new": PROJECT.variant("mlp_8")}})
    assert {name: style for name, style in styles(more).items() if name != "new"} == styles(PROJECT)


@pytest.mark.parametrize("key", PROJECT.comparisons)
def test_loss_curves(key, content):
    comparison = PROJECT.comparisons[key]
    figure = core.losses(content, comparison)
    assert {line.get_label() for line in figure.axes[-1].get_lines()} == set(comparison.variants)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)


def test_a_figure_is_the_same_each_time(content, tmp_path):
    first, second = (made_up.png(FIGURES["error_against_latent_dim"](content), tmp_path) for _ in range(2))
    assert first == second


def test_losses_of_all_variants_and_of_those_that_were_run(content):
    assert len(core.losses(content).axes[0].get_lines()) == len(PROJECT.variants)
    few = made_up.of_core(made_up.runs(["cae_baseline"]))
    comparison = next(each for each in PROJECT.comparisons.values() if "cae_baseline" in each.variants)
    assert {line.get_label() for line in core.losses(few, comparison).axes[-1].get_lines()} == {"cae_baseline"}


@pytest.mark.parametrize("name", ["error_against_latent_dim", "error_against_parameters", "accuracy_against_latent_dim"])
def test_scatters_show_every_variant_and_name_those_that_nothing_beats(name, content):
    figure = FIGURES[name](content)
    (axes,), (legend,) = figure.axes, figure.legends
    labels = {text.get_text() for text in legend.get_texts()}
    assert labels <= {*PROJECT.sources.values(), "PCA", "raw pixels"}
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    points = np.concatenate([each.get_offsets() for each in axes.collections])
    assert len(points) >= len(PROJECT.variants)
    drawn = {text.get_text(): text.xy for text in axes.texts}
    for variant, (x, y) in drawn.items():
        assert variant in PROJECT.variants
        of_variants = points[: len(points) - len(labels & {"raw pixels"})]
        assert not any((px < x and py <= y) or (px <= x and py < y) for px, py in of_variants)


@pytest.mark.parametrize("num_names", [3, 60])
def test_a_legend_beside_is_whole_and_covers_nothing(num_names):
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    panel = figure.subplots()
    for number in range(num_names):
        panel.scatter(number, number, label=f"variant {number}")
    panels.legend_beside(figure)
    figure.draw_without_rendering()
    box, around = figure.legends[0].get_window_extent(), figure.bbox
    assert around.x0 <= box.x0 < box.x1 <= around.x1
    assert around.y0 <= box.y0 < box.y1 <= around.y1
    assert panel.get_tightbbox().x1 <= box.x0


def test_bars(content):
    (axes,) = FIGURES["parameters"](content).axes
    assert [bar.get_width() for bar in axes.patches] == [3] * len(PROJECT.variants)
    (axes,) = FIGURES["published"](content).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.9 * 1.005] * len(PROJECT.published))


def test_probes_of_untrained_encoders_are_hollow_and_baselines_stand_below():
    content = made_up.of_analyses()
    (panel,) = core.probes(content, untrained=True).axes
    lines = {line.get_label(): line for line in panel.get_lines()}
    full, hollow = lines["nearest neighbours"], lines["untrained encoder, nearest neighbours"]
    assert full.get_xdata()[:3].tolist() == pytest.approx([5, 5, 5])
    assert (full.get_color(), full.get_marker()) == (hollow.get_color(), hollow.get_marker())
    assert (full.get_markerfacecolor(), hollow.get_markerfacecolor()) == (full.get_color(), "none")
    assert "untrained encoder, SVM, linear" in lines
    names = [tick.get_text() for tick in panel.get_yticklabels()]
    in_order = [name for name in PROJECT.variants if name in made_up.VARIANTS]
    assert names == [*in_order, *PROJECT.baselines, "raw_pixels"]
    assert not any("untrained" in str(line.get_label()) for line in core.probes(content).axes[0].get_lines())


def test_reconstructions_show_the_original_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = made_up.of_core(made_up.runs(["mlp_2", "mlp_4"]))
    for result in content.shown.values():
        result.run.reconstructions.mkdir(parents=True)
        np.savez(result.run.reconstructions / "arrays.npz", reconstructions=np.zeros((2, 10, 1, 28, 28), np.uint8))
    figure = core.reconstructions(content)
    assert [axes.get_ylabel() for axes in figure.axes] == ["original", "mlp_2", "mlp_4"]
