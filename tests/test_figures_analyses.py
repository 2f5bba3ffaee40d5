"""Figures of the analyses are drawn from tables with and without spread, with missing rows, and with one row alone."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from conftest import STUDY
from latentlab.figures import analyses, panels, pictures, style

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
    """As results/baselines/codecs.csv: formats without loss have no quality, and a PSNR that stands for infinity."""
    lossy = [
        {"codec": codec, "quality": quality, "layout": layout, "bytes_per_image": 10 * quality, "psnr": quality / 10}
        for codec in ("jpeg", "webp")
        for layout in ("single", "sheet")
        for quality in (40, 20, 60, 900)
    ]
    lossless = [
        {"codec": codec, "quality": np.nan, "layout": layout, "bytes_per_image": size, "psnr": 120.0}
        for codec, size in (("png", 250), ("webp_lossless", 200))
        for layout in ("single", "sheet")
    ]
    return pd.DataFrame(lossy + lossless)


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


def digest(figure: Figure, folder) -> str:
    style.save(figure, folder / "figure.png")
    return hashlib.sha256((folder / "figure.png").read_bytes()).hexdigest()


def curve(panel: Axes, name: str) -> np.ndarray:
    """What is drawn under that name, (N, 2)."""
    (found,) = (container for container in panel.containers if container.get_label() == name)
    return found.lines[0].get_xydata()


def has_error_bars(figure: Figure) -> bool:
    bars = [each for axes in figure.axes for each in axes.collections if isinstance(each, LineCollection)]
    return any(np.ptp(ends, axis=0).max() > 0 for bar in bars for ends in bar.get_segments() if len(ends) == 2)


@pytest.mark.parametrize("section", DRAW)
@pytest.mark.parametrize("with_spread", [True, False])
def test_every_row_is_named_and_every_axis_has_its_unit(section, with_spread, tmp_path):
    data = table(section, [*ROWS, *BASELINES], with_spread)
    figure = DRAW[section](data)
    assert words(figure) >= set(ROWS)
    assert all(axes.get_xlabel() and axes.get_title() for axes in figure.axes)
    if section != "few_labels":  # its spread is that of the draws
        assert has_error_bars(figure) == with_spread
    assert digest(figure, tmp_path) == digest(DRAW[section](data), tmp_path)


@pytest.mark.parametrize("section", DRAW)
def test_one_row_alone(section, tmp_path):
    figure = DRAW[section](table(section, ["vae_2"], False))
    assert "vae_2" in words(figure)
    assert not {"mlp_8", "pca_8"} & words(figure)
    assert digest(figure, tmp_path)


def test_baselines_are_grey_and_rows_keep_their_colour_and_no_two_look_alike():
    made = panels.looks(STUDY, [*STUDY.baselines, *STUDY.variants])
    assert {made[name]["color"] for name in STUDY.baselines} == {panels.GREY}
    assert len({(made[name]["color"], made[name]["marker"]) for name in STUDY.variants}) == len(STUDY.variants)
    alone = panels.looks(STUDY, ["vae_2"])["vae_2"]
    assert alone["linestyle"] == "-"
    assert (alone["color"], alone["marker"]) == (made["vae_2"]["color"], made["vae_2"]["marker"])


def test_denoising_shows_the_noisy_input_also_where_the_first_row_is_missing():
    data = table("denoising", ["vae_2"], False)
    left, _ = analyses.denoising_curves(STUDY, data, ROWS, []).axes
    (noisy,) = (line for line in left.get_lines() if line.get_label() == "noisy input")
    expected = data.set_index("name").loc[[f"{sigma}/psnr_in" for sigma in SIGMAS], "mean"]
    assert noisy.get_ydata().tolist() == expected.tolist()
    assert curve(left, "vae_2")[:, 0].tolist() == list(SIGMAS)


def test_gains_below_zero_are_seen():
    data = table("denoising", ROWS, False)
    data.loc[(data["row"] == "mlp_8") & data["name"].str.endswith("gain_db"), "mean"] = -3.0
    panel = analyses.denoising_curves(STUDY, data, ROWS, []).axes[1]
    assert panel.get_ylim()[0] < -3
    assert panel.get_ylim()[1] > 0
    assert [0, 0] in [list(line.get_ydata()) for line in panel.get_lines()]


def test_generation_shows_nothing_where_a_row_has_no_such_samples():
    data = table("generation", ["vae_2", "mlp_8"], True)
    data = data[~((data["row"] == "vae_2") & data["name"].str.startswith("mixture/"))]
    precision, _, frechet = analyses.generation_bars(STUDY, data).axes
    places = [tick.get_text() for tick in precision.get_yticklabels()]
    mixture = precision.containers[2]  # bars, error bars, and both of the next kind
    assert dict(zip(places, (bar.get_width() > 0 for bar in mixture), strict=True)) == {"mlp_8": True, "vae_2": False}
    assert np.isfinite(frechet.containers[1].lines[0].get_xdata()).tolist() == [True, False]
    assert frechet.get_xscale() == "log"


def test_bars_start_where_nothing_is_wrong():
    data = table("checkerboard", ["mlp_8"], False)
    (panel,) = analyses.checkerboard_bars(STUDY, data).axes
    numbers = data.set_index("name")["mean"]
    expected = [numbers["energy_ratio"], numbers["block_ratio"] / numbers["real_block_ratio"]]
    assert [bar.get_x() for bar in panel.patches] == [1, 1]
    assert [bar.get_x() + bar.get_width() for bar in panel.patches] == pytest.approx(expected)


def test_image_formats_stand_in_the_panel_of_their_layout_and_end_a_little_above_the_codes():
    data, formats = table("compression", ["mlp_8"], False), codecs()
    formats.loc[formats["layout"] == "sheet", "bytes_per_image"] /= 2
    for panel, factor in zip(analyses.rate_distortion(STUDY, data, formats, ROWS, []).axes, (1, 2), strict=True):
        lines = {line.get_label(): line for line in panel.get_lines()}
        assert lines["jpeg"].get_xdata().tolist() == [size / factor for size in (200, 400, 600)]
        assert lines["png, lossless"].get_xdata()[0] == 250 / factor
        assert lines["webp, lossless"].get_xdata()[0] == 200 / factor
        assert panel.get_xscale() == "log"
    single, sheet = analyses.rate_distortion(STUDY, data, formats.iloc[:0], ROWS, []).axes
    numbers = data.set_index("name")["mean"]
    for panel, name in ((single, "bytes_alone"), (sheet, "bytes_amortised_with_tables")):
        assert curve(panel, "mlp_8")[:, 0].tolist() == numbers[[f"{bits}/{name}" for bits in BITS]].tolist()


def test_kl_is_sorted_and_the_used_numbers_are_counted():
    (panel,) = analyses.kl_per_dimension(STUDY, {"vae_16": [0.5, 2.0, 0.0], "vae_2": [1.0, 3.0]}).axes
    assert [bar.get_height() for bar in panel.patches] == [2.0, 0.5, 0.0, 3.0, 1.0]
    assert words(panel.figure) >= {"vae_16: 2 of 3 used", "vae_2: 2 of 2 used"}


def test_probe_dots():
    accuracies = {"svm": [0.9, 0.8, 0.95, 0.98], "untrained_svm": [0.5, 0.4, 0.6, None]}
    data = pd.DataFrame({"row": [*ROWS, "raw_pixels"]} | accuracies)
    (panel,) = analyses.probe_dots(STUDY, data, {"svm": "SVM", "untrained_svm": "untrained"}).axes
    lines = {line.get_label(): line for line in panel.get_lines()}
    full, hollow = lines["SVM"], lines["untrained"]
    assert sorted(full.get_xdata()) == pytest.approx([2, 5, 10, 20])
    assert (full.get_color(), full.get_marker()) == (hollow.get_color(), hollow.get_marker())
    assert (full.get_markerfacecolor(), hollow.get_markerfacecolor()) == (full.get_color(), "none")
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["cae_baseline", "mlp_8", "vae_2", "raw_pixels"]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 28, 28), dtype=np.uint8)


def test_strips():
    figure = pictures.strips({"a": images(10), "b": images(10)}, "Title")
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "b"]
    assert figure.axes[0].images[0].get_array().shape == (28, 280)
    assert np.array_equal(figure.axes[0].images[0].get_array()[:, 28:56], images(10)[1])


def test_a_long_name_is_not_cut_off():
    figure = pictures.strips({"a_name_of_thirty_two_characters_": images(3), "b": images(3)}, "Title")
    figure.draw_without_rendering()
    assert figure.axes[0].yaxis.label.get_window_extent().x0 >= 0


def test_mosaics():
    grid = pictures.mosaics({"vae_2": images(225)}, "Title", 3.0).axes[0]
    shown = grid.images[0].get_array()
    assert shown.shape == (420, 420)
    assert np.array_equal(shown[28:56, :28], images(225)[15])
    assert [tick.get_text() for tick in grid.get_yticklabels()] == ["3", "0", "-3"]
    assert [tick.get_text() for tick in grid.get_xticklabels()] == ["-3", "0", "3"]
    assert [axes.get_title() for axes in pictures.mosaics({name: images(100) for name in "abcd"}, "Title").axes] == [
        *"abcd"
    ]


def test_maps_name_the_digits():
    random = np.random.default_rng(0)
    digits = np.arange(50) % 10
    apart = np.stack([10.0 * digits, random.normal(size=50)], axis=1)
    figure = pictures.maps({"apart": (apart, digits), "together": (np.zeros((50, 2)), digits)}, "Title", 3.0)
    names = [str(digit) for digit in range(10)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
    assert [text.get_text() for text in figure.axes[0].texts] == names
    assert len(figure.axes[1].texts) == 1
    assert figure.axes[0].patches[0].get_extents().width > 0
    assert not pictures.maps({"apart": (apart, digits)}, "Title").axes[0].patches


def test_spectra_share_a_scale_and_have_the_period_of_two_pixels_on_its_line():
    line = np.full((28, 28), 2.0)
    line[:, 0] = 0.0  # the frequency of -0.5 along rows: two pixels
    panel, *_ = pictures.spectra({"a": line, "b": np.full((28, 28), 200.0)}, "Title").axes
    shown = panel.images[0]
    assert (shown.norm.vmin, shown.norm.vmax) == (2, 200)
    left, right, _, _ = shown.get_extent()
    assert left + 0.5 * (right - left) / 28 == pytest.approx(-0.5)
    assert left + 14.5 * (right - left) / 28 == pytest.approx(0)
    assert -0.5 in [drawn.get_xdata()[0] for drawn in panel.get_lines()]


def test_distances_are_over_their_mean():
    distances = [[abs(a - b) for b in range(10)] for a in range(10)]
    shown = pictures.distance_tables({"a": distances}, "Title").axes[0].images[0].get_array()
    assert float(shown[~np.eye(10, dtype=bool)].mean()) == pytest.approx(1)
    assert np.ma.getmaskarray(shown)[np.eye(10, dtype=bool)].all()


@pytest.mark.parametrize("count", range(1, 12))
def test_at_most_one_place_is_empty_and_all_are_drawn(count):
    figure = pictures.mosaics({str(index): images(4) for index in range(count)}, "Title")
    assert len(figure.axes) == count
    grid = figure.axes[0].get_gridspec()
    assert grid.ncols <= 3
    assert 0 <= grid.nrows * grid.ncols - count <= 1


def test_pictures_are_the_same_each_time(tmp_path):
    random = np.random.default_rng(0)
    points = (random.normal(size=(50, 2)), np.arange(50) % 10)
    for draw in (
        lambda: pictures.strips({"a": images(10)}, "Title"),
        lambda: pictures.mosaics({"a": images(100)}, "Title", 3.0),
        lambda: pictures.maps({"a": points}, "Title", 3.0),
        lambda: pictures.spectra({"a": 1 + images(1)[0].astype(np.float32)}, "Title"),
        lambda: pictures.distance_tables({"a": random.uniform(size=(10, 10)) * 0 + 1}, "Title"),
    ):
        assert digest(draw(), tmp_path) == digest(draw(), tmp_path)
