"""Figures are drawn, hold what they should, and are the same each time. How they look, people must judge."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from conftest import STUDY
from latentlab import comparison
from latentlab.figures import panels, style
from latentlab.figures import study as figures
from latentlab.styles import SHAPES, styles
from test_comparison import made_up


@pytest.fixture
def table() -> pd.DataFrame:
    return comparison.leaderboard(STUDY, made_up())


def test_every_row_has_a_style_of_its_own():
    drawn = styles(STUDY)
    assert list(drawn) == list(STUDY.variants)
    assert len(set(drawn.values())) == 32
    assert set(style.MARKERS) == set(SHAPES)
    for experiment in STUDY.experiments.values():
        assert len({drawn[name].colour for name in experiment.rows}) == len(experiment.rows)


def test_a_new_row_changes_no_other_style():
    more = STUDY.model_copy(update={"variants": STUDY.variants | {"new": STUDY.row("mlp_8")}})
    assert {name: style for name, style in styles(more).items() if name != "new"} == styles(STUDY)


@pytest.mark.parametrize("experiment", STUDY.experiments)
def test_loss_curves(experiment, tmp_path):
    rows = STUDY.experiments[experiment].rows
    curves = pd.DataFrame(
        [
            {
                "row": name,
                "epoch": epoch,
                "train_loss": 1 / epoch,
                "validation_loss": 1.1 / epoch,
                "validation_mse": 0.1 / epoch,
            }
            for name in rows
            for epoch in (1, 2, 3)
        ]
    )
    figure = figures.loss_curves(STUDY, experiment, curves)
    assert {line.get_label() for line in figure.axes[-1].get_lines()} == set(rows)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    digests = set()
    for _ in range(2):
        style.save(figures.loss_curves(STUDY, experiment, curves), tmp_path / "figure.png")
        digests.add(hashlib.sha256((tmp_path / "figure.png").read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    "draw",
    [figures.error_against_code_size, figures.error_against_parameters, figures.accuracy_against_code_size],
)
def test_scatters_show_every_row(draw, table):
    figure = draw(STUDY, table)
    (axes,), (legend,) = figure.axes, figure.legends
    labels = {text.get_text() for text in legend.get_texts()}
    assert labels >= set(STUDY.variants)
    assert axes.get_xlabel()
    assert axes.get_ylabel()


@pytest.mark.parametrize("num_rows", [3, 60])
def test_a_legend_beside_is_whole_and_covers_nothing(num_rows):
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    panel = figure.subplots()
    for number in range(num_rows):
        panel.scatter(number, number, label=f"row {number}")
    panels.legend_beside(figure)
    figure.draw_without_rendering()
    box, around = figure.legends[0].get_window_extent(), figure.bbox
    assert around.x0 <= box.x0 < box.x1 <= around.x1
    assert around.y0 <= box.y0 < box.y1 <= around.y1
    assert panel.get_tightbbox().x1 <= box.x0


def test_bars(table):
    (axes,) = figures.parameter_bars(STUDY, table).axes
    assert [bar.get_width() for bar in axes.patches] == [3] * 32
    (axes,) = figures.published_bars(STUDY, table).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.9] * 17)


def test_reconstructions_show_the_original_once():
    images = {name: np.zeros((2, 10, 28, 28), np.uint8) for name in ("mlp_2", "mlp_4")}
    figure = figures.reconstructions(images, "Title")
    assert [axes.get_ylabel() for axes in figure.axes] == ["original", "mlp_2", "mlp_4"]
