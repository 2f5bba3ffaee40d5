"""Figures of the analyses, from their tables: one line per row and name of a number, with mean and spread over seeds.

All tables are of one recipe, and of the baselines.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latentlab.figures.style import DASHES, MARKERS, logarithmic_x
from latentlab.params import Params
from latentlab.styles import styles

GREY = "#777777"


def denoising_curves(study: Params, table: pd.DataFrame, rows: Sequence[str], baselines: Sequence[str]) -> Figure:
    """What comes out against the noise that went in, and the gain: below zero the way through the code does harm."""
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    sigmas = _first_keys(table)
    noisy = _values(table, next(iter([*rows, *baselines])), [f"{sigma}/psnr_in" for sigma in sigmas])
    left.plot(np.array(sigmas, float), noisy[0], color="black", linestyle="--", label="noisy input")
    for panel, name in ((left, "psnr"), (right, "gain_db")):
        for row in [*baselines, *rows]:
            means, spreads = _values(table, row, [f"{sigma}/{name}" for sigma in sigmas])
            if np.isnan(means).all():
                continue
            panel.errorbar(np.array(sigmas, float), means, yerr=spreads, label=row, **_look(study, row))
        panel.set_xlabel("standard deviation of the noise")
    left.set_ylabel("PSNR against the clean image (dB)")
    right.set_ylabel("gain over the noisy image (dB)")
    right.axhline(0, color="black", linewidth=1, linestyle="--")
    _legend_below(figure, left)
    figure.suptitle("Denoising")
    return figure


def interpolation_bars(study: Params, table: pd.DataFrame) -> Figure:
    """How even the steps are, and how far the image halfway is from the nearest training image."""
    rows = _rows(study, table)
    figure = Figure(figsize=(10, 0.9 + 0.24 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(rows))
    for offset, kind, colour in ((-0.2, "equal_digits", "#4477AA"), (0.2, "different_digits", "#EE6677")):
        for panel, number in ((left, "step_ratio"), (right, "midpoint_distance")):
            pairs = [_values(table, row, [f"linear/{kind}/{number}"]) for row in rows]
            means, spreads = (np.array([pair[index][0] for pair in pairs]) for index in (0, 1))
            label = kind.replace("_", " ")
            panel.barh(places + offset, means, 0.38, xerr=np.nan_to_num(spreads), color=colour, label=label)
        crossfade = _values(table, rows[0], [f"linear/{kind}/crossfade_distance"])[0][0]
        right.axvline(crossfade, color=colour, linestyle=":", label=f"cross-fade, {kind.replace('_', ' ')}")
    right.axvline(_values(table, rows[0], ["real_distance"])[0][0], color="black", linestyle="--", label="real test images")
    left.set_yticks(places, rows)
    left.invert_yaxis()
    left.set_xlim(left=1)
    left.set_xlabel("largest step over mean step (1: even)")
    right.set_xlabel("distance of the midpoint to the nearest training image")
    for panel in (left, right):
        panel.grid(axis="y", visible=False)
    _legend_below(figure, right)
    figure.suptitle("Interpolation between random pairs of test images")
    return figure


def generation_bars(study: Params, table: pd.DataFrame) -> Figure:
    """Precision and recall of samples, and their Frechet distance to real images."""
    rows = _rows(study, table)
    figure = Figure(figsize=(10.5, 0.9 + 0.24 * len(rows)), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    places = np.arange(len(rows))
    kinds = (
        ("standard_normal", "#EE6677", "from the standard normal"),
        ("mixture", "#4477AA", "from a mixture fitted to the codes"),
    )
    for panel, number in zip(panels, ("precision", "recall", "frechet_distance"), strict=True):
        for offset, (kind, colour, label) in zip((-0.2, 0.2), kinds, strict=True):
            pairs = [_values(table, row, [f"{kind}/{number}"]) for row in rows]
            means, spreads = (np.array([pair[index][0] for pair in pairs]) for index in (0, 1))
            panel.barh(places + offset, np.nan_to_num(means), 0.38, xerr=np.nan_to_num(spreads), color=colour, label=label)
        panel.set_xlabel(number.replace("_", " "))
        panel.grid(axis="y", visible=False)
    reference = _values(table, rows[0], ["real_frechet_distance"])[0][0]
    panels[2].axvline(reference, color="black", linestyle="--", label="real images")
    logarithmic_x(panels[2])
    panels[0].set_yticks(places, rows)
    panels[0].invert_yaxis()
    _legend_below(figure, panels[2])
    figure.suptitle("Samples against real images")
    return figure


def kl_per_dimension(study: Params, divergences: dict[str, Sequence[float]]) -> Figure:
    """How many nats each number of a VAE's code carries, largest first; at zero a number is not used."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    panel = figure.subplots()
    for row, values in divergences.items():
        ordered = sorted(values, reverse=True)
        panel.errorbar(range(1, len(ordered) + 1), ordered, label=row, **_look(study, row))
    panel.set_xlabel("numbers of the code, largest first")
    panel.set_ylabel("KL divergence from the prior (nats)")
    panel.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    panel.set_title("What the numbers of a VAE's code carry")
    panel.legend()
    return figure


def rate_distortion(
    study: Params, table: pd.DataFrame, codecs: pd.DataFrame, rows: Sequence[str], baselines: Sequence[str]
) -> Figure:
    """Quality against bytes: codes of all bit depths, PCA codes, and image formats at all qualities."""
    figure = Figure(figsize=(11, 5.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    titles = {"single": "each image stored by itself", "sheet": "all images together, side tables included"}
    names = {"single": "bytes_alone", "sheet": "bytes_amortised_with_tables"}
    dashes = {"jpeg": "-", "webp": "--"}
    depths = _first_keys(table)
    for panel, layout in zip(panels, ("single", "sheet"), strict=True):
        for codec, dash in dashes.items():
            curve = codecs[(codecs["codec"] == codec) & (codecs["layout"] == layout)].sort_values("quality")
            panel.plot(curve["bytes_per_image"], curve["psnr"], color="#CC6600", linestyle=dash, label=codec.upper())
        for codec, dash in (("png", "-"), ("webp_lossless", "--")):
            found = codecs[(codecs["codec"] == codec) & (codecs["layout"] == layout)]["bytes_per_image"]
            panel.axvline(
                found.iloc[0], color="black", linestyle=dash, linewidth=1, label=f"{codec.replace('_', ' ')}, no loss"
            )
        for row in [*baselines, *rows]:
            sizes, _ = _values(table, row, [f"{depth}/{names[layout]}" for depth in depths])
            quality, spreads = _values(table, row, [f"{depth}/psnr" for depth in depths])
            if np.isnan(quality).all():
                continue
            look = _look(study, row)
            panel.errorbar(sizes, quality, yerr=spreads, label=row, **look)
            panel.annotate(
                row, (sizes[-1], quality[-1]), (4, 3), textcoords="offset points", fontsize=6, color=look["color"]
            )
        logarithmic_x(panel)
        panel.set_xlabel("bytes per image")
        panel.set_title(titles[layout])
    panels[0].set_ylabel("PSNR (dB)")
    _legend_below(figure, panels[0])
    figure.suptitle("Rate and distortion, 2 to 8 bits per number of the code; the decoder's weights are not counted")
    return figure


def checkerboard_bars(study: Params, table: pd.DataFrame) -> Figure:
    """A grid over the whole picture, by the spectrum of the residual; blocks in the strokes, by steps at their edges."""
    rows = _rows(study, table)
    figure = Figure(figsize=(8, 0.9 + 0.24 * len(rows)), layout="constrained")
    panel = figure.subplots()
    places = np.arange(len(rows))
    energy = np.array([_values(table, row, ["energy_ratio"])[0][0] for row in rows])
    steps = np.array([_values(table, row, ["block_ratio", "real_block_ratio"])[0] for row in rows])
    for offset, values, colour, label in (
        (-0.2, energy, "#4477AA", "energy of the residual at a period of 2 pixels, over that beside it"),
        (0.2, steps[:, 0] / steps[:, 1], "#CCBB44", "steps at the edges of 2x2 blocks, against those of real images"),
    ):
        panel.barh(places + offset, values, 0.38, color=colour, label=label)
    panel.axvline(1, color="black", linestyle="--", linewidth=1)
    panel.set_yticks(places, rows)
    panel.invert_yaxis()
    panel.set_xlabel("above 1: a grid, or blocks, that the images do not have")
    panel.grid(axis="y", visible=False)
    panel.set_title("Checkerboards")
    _legend_below(figure, panel, columns=1)
    return figure


def probe_dots(study: Params, table: pd.DataFrame, probes: dict[str, str]) -> Figure:
    """Test error of every probe on the codes of every row and baseline.

    Args:
        study: The parameters.
        table: One line per row, a column per probe with its accuracy.
        probes: Columns and what people call them.
    """
    table = table.dropna(subset=list(probes), how="all").set_index("row")
    names = [name for name in (*study.variants, *study.baselines) if name in table.index]
    figure = Figure(figsize=(8, 0.9 + 0.22 * len(names)), layout="constrained")
    panel = figure.subplots()
    for (column, label), marker in zip(probes.items(), ("o", "s", "^", "D", "v", "P"), strict=False):
        hollow = column.startswith("untrained")
        errors = 100 * (1 - table.loc[names, column].to_numpy(float))
        face = "none" if hollow else None
        panel.plot(errors, names, marker, markerfacecolor=face, label=label, markersize=5, linestyle="none")
    logarithmic_x(panel)
    panel.invert_yaxis()
    panel.set_xlabel("test error (%)")
    panel.set_title("What the codes know about the digits")
    _legend_below(figure, panel, columns=3)
    return figure


def few_label_curves(study: Params, table: pd.DataFrame, rows: Sequence[str], baselines: Sequence[str]) -> Figure:
    """Accuracy of each probe against the number of labelled images; bars are the spread over the draws of the labels."""
    probes = {"knn": "nearest neighbours", "logistic": "logistic regression", "svm_rbf": "SVM, RBF kernel"}
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for panel, (probe, title) in zip(panels, probes.items(), strict=True):
        names = table.loc[table["name"].str.startswith(f"{probe}/"), "name"]
        counts = sorted({int(name.split("/")[1]) for name in names})
        for row in [*baselines, *rows]:
            means, _ = _values(table, row, [f"{probe}/{count}/mean" for count in counts])
            if np.isnan(means).all():
                continue
            spreads, _ = _values(table, row, [f"{probe}/{count}/std" for count in counts])
            panel.errorbar(counts, 100 * means, yerr=100 * spreads, label=row, **_look(study, row))
        panel.set_xscale("log")
        panel.set_xticks(counts, [f"{count:,}" for count in counts])
        panel.minorticks_off()
        panel.set_xlabel("labelled images")
        panel.set_title(title, fontsize=9)
    panels[0].set_ylabel("test accuracy (%)")
    _legend_below(figure, panels[0])
    figure.suptitle("With few labels")
    return figure


def _values(table: pd.DataFrame, row: str, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Means and spreads of a row's numbers; NaN where there is none."""
    found = table[table["row"] == row].drop_duplicates("name").set_index("name")[["mean", "sd"]].reindex(list(names))
    return found["mean"].to_numpy(float), found["sd"].to_numpy(float)


def _rows(study: Params, table: pd.DataFrame) -> list[str]:
    """The rows that the table has, in the order of params.yaml."""
    present = set(table["row"])
    return [name for name in study.variants if name in present]


def _first_keys(table: pd.DataFrame) -> list[str]:
    """What the names in a table begin with, as numbers ascending: noise levels, bit depths."""
    return sorted({name.split("/")[0] for name in table["name"]}, key=float)


def _look(study: Params, row: str) -> dict[str, Any]:
    drawn = styles(study)
    if row not in drawn:
        dashes = {"classical": (0, (1, 1)), "raw_pixels": (0, (4, 2))}
        return {"color": GREY, "linestyle": dashes.get(row, "-"), "marker": ".", "linewidth": 1}
    style = drawn[row]
    # two rows of one colour have different shapes, and so different dashes
    look = {"color": style.colour, "marker": MARKERS[style.marker], "linestyle": DASHES[style.marker]}
    return look | {"markersize": 4, "linewidth": 1.3, "capsize": 2}


def _legend_below(figure: Figure, panel: Axes, columns: int = 5) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=7)
