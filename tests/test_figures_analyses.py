"""Figures of the analyses are drawn from tables with and without spread, with missing rows, and with one row alone."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from conftest import STUDY
from latentlab.figures import analyses, pictures, style

ROWS = ["mlp_8", "vae_2", "cae_baseline"]
BASELINES = ["pca_8", "raw_pixels"]
SIGMAS, BITS, LABELS = (0.1, 0.2, 0.5), (2, 4, 8), (10, 100)
WAYS = [f"linear/{kind}/{name}" for kind in ("equal_digits", "different_digits") for name in
        ("step_ratio", "midpoint_distance", "crossfade_distance")]  # fmt: skip
NAMES = {
    "denoising": [f"{sigma}/{name}" for sigma in SIGMAS for name in ("psnr_in", "psnr", "gain_db")],
    "interpolation": [*WAYS, "real_distance"],
    "generation": [
        f"{kind}/{name}"
        for kind in ("standard_normal", "mixture")
        for name in ("precision", "recall", "frechet_distance")
    ] + ["real_frechet_distance"],
    "compression": [
        f"{bits}/{name}" for bits in BITS for name in ("bytes_alone", "bytes_amortised_with_tables", "psnr")
    ],
    "checkerboard": ["energy_ratio", "block_ratio", "real_block_ratio"],
    "few_labels": [
        f"{probe}/{count}/{name}"
        for probe in ("knn", "logistic", "svm_rbf")
        for count in LABELS
        for name in ("mean", "std")
    ],
}  # fmt: skip


def table(section: str, rows: list[str], with_spread: bool) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {"row": row, "recipe": "fast", "name": name, "num_seeds": 3, "mean": random.uniform(1.1, 2)}
            | {"sd": 0.1 if with_spread else np.nan}
            for row in rows
            for name in NAMES[section]
        ]
    )


def codecs() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"codec": codec, "quality": quality, "layout": layout, "bytes_per_image": 10 * quality, "psnr": quality}
            for codec in ("jpeg", "webp", "png", "webp_lossless")
            for layout in ("single", "sheet")
            for quality in (20, 30, 40)
        ]
    )


DRAW = {
    "denoising": lambda data: analyses.denoising_curves(STUDY, data, ROWS, BASELINES),
    "interpolation": lambda data: analyses.interpolation_bars(STUDY, data),
    "generation": lambda data: analyses.generation_bars(STUDY, data),
    "compression": lambda data: analyses.rate_distortion(STUDY, data, codecs(), ROWS, BASELINES),
    "checkerboard": lambda data: analyses.checkerboard_bars(STUDY, data),
    "few_labels": lambda data: analyses.few_label_curves(STUDY, data, ROWS, BASELINES),
}


def words(figure: Figure) -> set[str]:
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    found = {text.get_text() for legend in legends for text in legend.get_texts()}
    return found | {tick.get_text() for axes in figure.axes for tick in axes.get_yticklabels()}


@pytest.mark.parametrize("section", DRAW)
@pytest.mark.parametrize("with_spread", [True, False])
def test_every_row_is_named_and_every_axis_has_its_unit(section, with_spread, tmp_path):
    data = table(section, [*ROWS, *BASELINES], with_spread)
    figure = DRAW[section](data)
    assert words(figure) >= set(ROWS)
    assert all(axes.get_xlabel() for axes in figure.axes)
    digests = set()
    for _ in range(2):
        style.save(DRAW[section](data), tmp_path / "figure.png")
        digests.add(hashlib.sha256((tmp_path / "figure.png").read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("section", DRAW)
def test_one_row_alone(section):
    figure = DRAW[section](table(section, ["vae_2"], False))
    assert "vae_2" in words(figure)
    assert "mlp_8" not in words(figure)


def test_gains_below_zero_are_seen():
    data = table("denoising", ROWS, False)
    data.loc[(data["row"] == "mlp_8") & data["name"].str.endswith("gain_db"), "mean"] = -3.0
    panel = analyses.denoising_curves(STUDY, data, ROWS, []).axes[1]
    assert panel.get_ylim()[0] < -3
    assert panel.get_ylim()[1] > 0


def test_kl_is_sorted():
    (panel,) = analyses.kl_per_dimension(STUDY, {"vae_16": [0.5, 2.0, 0.0]}).axes
    drawn = [line.get_ydata() for line in panel.get_lines() if len(line.get_ydata()) == 3]
    assert drawn[0].tolist() == [2.0, 0.5, 0.0]


def test_probe_dots():
    accuracies = {"svm": [0.9, 0.8, 0.95, 0.98], "untrained_svm": [0.5, 0.4, 0.6, None]}
    data = pd.DataFrame({"row": [*ROWS, "raw_pixels"]} | accuracies)
    (panel,) = analyses.probe_dots(STUDY, data, {"svm": "SVM", "untrained_svm": "untrained"}).axes
    full, hollow = panel.get_lines()
    assert sorted(full.get_xdata()) == pytest.approx([2, 5, 10, 20])
    assert hollow.get_markerfacecolor() == "none"


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 28, 28), dtype=np.uint8)


def test_pictures():
    figure = pictures.strips({"a": images(10), "b": images(10)}, "Title")
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "b"]
    assert figure.axes[0].images[0].get_array().shape == (28, 280)
    grid = pictures.mosaics({"vae_2": images(225)}, "Title", 3.0).axes[0]
    shown = grid.images[0].get_array()
    assert shown.shape == (420, 420)
    assert np.array_equal(shown[28:56, :28], images(225)[15])
    assert [tick.get_text() for tick in grid.get_yticklabels()] == ["3", "0", "-3"]
    assert len(pictures.mosaics({str(index): images(100) for index in range(4)}, "Title").axes) == 6


def test_maps_have_a_legend_of_all_digits():
    random = np.random.default_rng(0)
    points = {name: (random.normal(size=(50, 2)), np.arange(50) % 10) for name in "abcde"}
    figure = pictures.maps(points, "Title")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [str(digit) for digit in range(10)]


def test_spectra_and_distances():
    figure = pictures.spectra({"a": np.full((28, 28), 2.0), "b": np.full((28, 28), 200.0)}, "Title")
    assert figure.axes[0].images[0].norm.vmax == 200
    distances = [[abs(a - b) for b in range(10)] for a in range(10)]
    shown = pictures.distance_tables({"a": distances}, "Title").axes[0].images[0].get_array()
    off_diagonal = shown[~np.eye(10, dtype=bool)]
    assert float(off_diagonal.mean()) == pytest.approx(1)
