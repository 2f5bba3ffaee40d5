"""Figures of the analyses are drawn from tables with and without spread, with missing variants, and with one alone."""

from dataclasses import replace

import made_up
import numpy as np
import pandas as pd
import pytest
from made_up import BASELINES, BITS, SIGMAS, VARIANTS
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from conftest import PROJECT
from latentlab.report import findings
from latentlab.report.content import Content
from latentlab.report.figures import analyses, panels, pictures
from latentlab.report.sections import drawn, of_analyses

DRAW = {
    "denoising": analyses.denoising,
    "interpolation": analyses.interpolation,
    "generation": analyses.generation,
    "compression": analyses.rate_distortion,
    "checkerboard": analyses.checkerboard,
    "few_labels": analyses.few_labels,
}


def words(figure: Figure) -> set[str]:
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    found = {text.get_text() for legend in legends for text in legend.get_texts()}
    return found | {tick.get_text() for axes in figure.axes for tick in axes.get_yticklabels()}


def curve(panel: Axes, name: str) -> np.ndarray:
    """What is drawn under that name, (N, 2)."""
    (found,) = (container for container in panel.containers if container.get_label() == name)
    return found.lines[0].get_xydata()


def has_error_bars(figure: Figure) -> bool:
    bars = [each for axes in figure.axes for each in axes.collections if isinstance(each, LineCollection)]
    return any(np.ptp(ends, axis=0).max() > 0 for bar in bars for ends in bar.get_segments() if len(ends) == 2)


def means(content: Content, analysis: str) -> pd.Series:
    return content.table(analysis).set_index("name")["mean"]


@pytest.mark.parametrize("analysis", DRAW)
@pytest.mark.parametrize("spread", [True, False])
def test_every_variant_is_named_and_every_axis_has_its_unit(analysis, spread):
    figure = DRAW[analysis](made_up.of_analyses(spread=spread))
    assert words(figure) >= set(VARIANTS)
    assert all(axes.get_xlabel() and axes.get_title() for axes in figure.axes)
    if analysis != "few_labels":  # its spread is that of the draws
        assert has_error_bars(figure) == spread


@pytest.mark.parametrize("analysis", DRAW)
def test_one_variant_alone(analysis):
    figure = DRAW[analysis](made_up.of_analyses(["vae_2"], spread=False))
    assert "vae_2" in words(figure)
    assert not {"mlp_8", "pca_8"} & words(figure)


def test_baselines_are_grey_and_variants_keep_their_colour_and_no_two_look_alike():
    made = panels.looks(PROJECT, [*PROJECT.baselines, *PROJECT.variants])
    assert {made[name]["color"] for name in PROJECT.baselines} == {panels.GREY}
    assert len({(made[name]["color"], made[name]["marker"]) for name in PROJECT.variants}) == len(PROJECT.variants)
    alone = panels.looks(PROJECT, ["vae_2"])["vae_2"]
    assert alone["linestyle"] == "-"
    assert (alone["color"], alone["marker"]) == (made["vae_2"]["color"], made["vae_2"]["marker"])


def test_denoising_shows_the_noisy_input():
    content = made_up.of_analyses(["vae_2"], spread=False)
    left, _ = analyses.denoising(content).axes
    (noisy,) = (line for line in left.get_lines() if line.get_label() == "noisy input")
    assert noisy.get_ydata().tolist() == means(content, "denoising")[[f"{sigma}/psnr_in" for sigma in SIGMAS]].tolist()
    assert curve(left, "vae_2")[:, 0].tolist() == list(SIGMAS)


def test_gains_below_zero_are_seen():
    data = made_up.table("denoising", VARIANTS, spread=False)
    data.loc[(data["variant"] == "mlp_8") & data["name"].str.endswith("gain_db"), "mean"] = -3.0
    panel = analyses.denoising(made_up.of_analyses(denoising=data)).axes[1]
    assert panel.get_ylim()[0] < -3
    assert panel.get_ylim()[1] > 0
    assert [0, 0] in [list(line.get_ydata()) for line in panel.get_lines()]


def test_anomalies_of_each_kind_by_each_score():
    figure = analyses.anomalies(made_up.of_analyses())
    assert words(figure) >= {*VARIANTS, "pca_8", "raw_pixels"}
    for axes in figure.axes:
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["other", "noise", "mean"]
    protocol = figure.get_suptitle()
    assert all(number in protocol for number in ("40 test", "90 training"))
    data = made_up.table("anomalies", ["vae_2"], spread=False)
    areas = data.set_index("name")["mean"]
    few = made_up.of_analyses(["vae_2"], anomalies=data[~data["name"].str.startswith("untrained/")])
    shown = [axes.images[0].get_array() for axes in analyses.anomalies(few).axes]
    assert shown[1][0, 1] == areas["noise/code_neighbours/auroc"]
    assert shown[2].mask.all()
    sentence = findings.anomalies(few)
    assert f"{areas['mean/reconstruction/auroc']:.3f} (`vae_2`)" in sentence
    assert "before their training" not in sentence


def test_generation_shows_nothing_where_a_variant_has_no_such_samples():
    data = made_up.table("generation", ["vae_2", "mlp_8"], spread=True)
    data = data[~((data["variant"] == "vae_2") & data["name"].str.startswith("mixture/"))]
    precision, _, frechet = analyses.generation(made_up.of_analyses(generation=data)).axes
    places = [tick.get_text() for tick in precision.get_yticklabels()]
    mixture = precision.containers[2]  # bars, error bars, and both of the next kind
    assert dict(zip(places, (bar.get_width() > 0 for bar in mixture), strict=True)) == {"mlp_8": True, "vae_2": False}
    assert np.isfinite(frechet.containers[1].lines[0].get_xdata()).tolist() == [True, False]
    assert frechet.get_xscale() == "log"


def test_bars_start_where_nothing_is_wrong():
    content = made_up.of_analyses(["mlp_8"])
    (panel,) = analyses.checkerboard(content).axes
    numbers = means(content, "checkerboard")
    expected = [numbers["energy_ratio"], numbers["block_ratio"] / numbers["real_block_ratio"]]
    assert [bar.get_x() for bar in panel.patches] == [1, 1]
    assert [bar.get_x() + bar.get_width() for bar in panel.patches] == pytest.approx(expected)


def test_image_formats_stand_in_the_panel_of_their_layout_and_end_a_little_above_the_codes():
    content, formats = made_up.of_analyses(["mlp_8"]), made_up.codecs()
    formats.loc[formats["layout"] == "sheet", "bytes_per_image"] /= 2
    for panel, factor in zip(analyses.rate_distortion(replace(content, codecs=formats)).axes, (1, 2), strict=True):
        lines = {line.get_label(): line for line in panel.get_lines()}
        assert lines["jpeg"].get_xdata().tolist() == [size / factor for size in (200, 400, 600)]
        assert lines["png, lossless"].get_xdata()[0] == 250 / factor
        assert lines["webp, lossless"].get_xdata()[0] == 200 / factor
        assert panel.get_xscale() == "log"
    single, sheet = analyses.rate_distortion(replace(content, codecs=formats.iloc[:0])).axes
    numbers = means(content, "compression")
    for panel, name in ((single, "bytes_alone"), (sheet, "bytes_amortised_with_tables")):
        assert curve(panel, "mlp_8")[:, 0].tolist() == numbers[[f"{bits}/{name}" for bits in BITS]].tolist()


def test_kl_is_sorted_and_the_used_numbers_are_counted():
    content = made_up.of_analyses(["vae_16", "vae_2"])
    content.shown["vae_16"].metrics["generation"] = {"kl_per_dimension": [0.5, 2.0, 0.0]}
    content.shown["vae_2"].metrics["generation"] = {"kl_per_dimension": [1.0, 3.0]}
    (panel,) = analyses.kl(content).axes
    heights = {"vae_16": [2.0, 0.5, 0.0], "vae_2": [3.0, 1.0]}
    assert [bar.get_height() for bar in panel.patches] == [height for name in content.shown for height in heights[name]]
    assert words(panel.figure) >= {"vae_16: 2 of 3 used", "vae_2: 2 of 2 used"}
    assert analyses.kl(made_up.of_analyses(["mlp_8"])) is None


def test_few_names_are_all_shown_and_of_many_those_that_are_compared():
    content, many = made_up.of_analyses(), list(PROJECT.variants)
    assert content.chosen(["cae_leaky_01", "vae_2"], "ae_vs_vae") == ["cae_leaky_01", "vae_2"]
    assert content.chosen(many, "upsampling", "nothing") == PROJECT.comparisons["upsampling"].variants
    assert content.chosen(many, "nothing") == many[:8]
    assert content.baselines("denoising", 32) == ["raw_pixels"]
    assert content.baselines("denoising", 8, 32) == BASELINES


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 1, 28, 28), dtype=np.uint8)


def test_strips_have_their_names_beside_them_which_are_not_cut_off():
    names = ["a_name_of_thirty_two_characters_", "b"]
    figure = pictures.strips({name: images(10) for name in names}, "Title")
    assert [axes.get_ylabel() for axes in figure.axes] == names
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (28, 280)
    assert np.array_equal(shown[:, 28:56], images(10)[1, 0])
    figure.draw_without_rendering()
    assert figure.axes[0].yaxis.label.get_window_extent().x0 >= 0


def test_mosaics():
    grid = pictures.mosaics({"vae_2": images(225)}, "Title", 3.0).axes[0]
    shown = grid.images[0].get_array()
    assert shown.shape == (420, 420)
    assert np.array_equal(shown[28:56, :28], images(225)[15, 0])
    assert [tick.get_text() for tick in grid.get_yticklabels()] == ["3", "0", "-3"]
    assert [tick.get_text() for tick in grid.get_xticklabels()] == ["-3", "0", "3"]


def test_maps_name_the_classes():
    random = np.random.default_rng(0)
    labels = np.arange(50) % 10
    apart = np.stack([10.0 * labels, random.normal(size=50)], axis=1)
    figure = pictures.maps(
        {"apart": (apart, labels), "together": (np.zeros((50, 2)), labels)}, [*"0123456789"], "Title", 3.0
    )
    names = [str(digit) for digit in range(10)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
    assert [text.get_text() for text in figure.axes[0].texts] == names
    assert len(figure.axes[1].texts) == 1
    assert figure.axes[0].patches[0].get_extents().width > 0
    assert not pictures.maps({"apart": (apart, None)}, [], "Title").axes[0].patches


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
    names = [str(index) for index in range(count)]
    figure = pictures.mosaics({name: images(4) for name in names}, "Title")
    assert [axes.get_title() for axes in figure.axes] == names
    grid = figure.axes[0].get_gridspec()
    assert grid.ncols <= 3
    assert 0 <= grid.nrows * grid.ncols - count <= 1


def arrays() -> dict[str, dict[str, np.ndarray]]:
    """What the analyses leave of a VAE with two numbers in the code."""
    random = np.random.default_rng(0)
    maps = {f"tsne_{count}": random.normal(size=(count, 2)) for count in (20, 50)}
    maps |= {f"labels_{count}": np.arange(count) % 10 for count in (20, 50)}
    return {
        "denoising": {"denoising": np.stack([np.stack([images(10)] * 2)] * len(SIGMAS))},
        "interpolation": {"interpolation_linear": images(10), "interpolation_spherical": images(10)},
        "latent_space": maps
        | {"codes": random.normal(size=(50, 2)), "labels": np.arange(50) % 10, "classes": np.array([*"0123456789"])},
        "generation": {"samples_standard_normal": images(100), "grid": images(225), "stochastic": images(11)},
        "checkerboard": {"spectrum": random.uniform(1, 2, (28, 28))},
    }


@pytest.mark.slow
def test_every_figure_of_a_vae_is_drawn_the_same_each_time_and_what_was_not_measured_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = made_up.of_analyses()
    result = content.shown["vae_2"]
    for name, each in arrays().items():
        result.metrics[name] = {"centroid_distances": np.ones((10, 10)).tolist(), "kl_per_dimension": [1.0, 2.0]}
        result.run.arrays(name).mkdir(parents=True)
        np.savez(result.run.arrays(name) / "arrays.npz", **each)
    figures = dict(drawn(of_analyses(), content))
    assert set(figures) == {name for section in of_analyses() for name in section.figures}
    for name, again in drawn(of_analyses(), content):
        assert made_up.png(figures[name], tmp_path) == made_up.png(again, tmp_path), name
    assert [axes.get_ylabel() for axes in figures["interpolation"].axes] == ["vae_2", "vae_2, on the arc"]
    assert [axes.get_ylabel() for axes in figures["denoising_pictures"].axes] == ["sigma 0.2", "vae_2"]
    assert [axes.get_title() for axes in figures["samples"].axes] == ["vae_2, normal"]
    assert figures["tsne_large"].get_suptitle() == "t-SNE of 50 test codes"
    nothing = made_up.of_analyses(["mlp_8"], denoising=made_up.table("denoising", ["pca_8"], spread=False))
    without = dict(drawn(of_analyses(), nothing))
    assert not set(without) & {"denoising", "denoising_pictures", "samples", "grids", "kl", "codes_in_two_dimensions"}
    assert set(without) >= {"generation", "checkerboard", "untrained"}
