"""What do the analyses show? Curves and bars from their tables.

A table has one line per row and name of a number, with mean and standard deviation over seeds (none for one seed); all are
of one recipe, and of the baselines. Error bars are one standard deviation.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from latentlab.figures.panels import GREY, column, first_keys, legend_below, list_rows, looks, rows_of, twin_bars, values_of
from latentlab.figures.style import logarithmic_x
from latentlab.params import Params
from latentlab.styles import styles

BLUE, RED, YELLOW = "#4477AA", "#EE6677", "#CCBB44"
# of figures with panels side by side, in inches; a page shows them at three quarters
WIDTH = 9.5
# a number of a VAE's code that carries less is not used
USED_NATS = 0.01
# how far above the best code the image formats are still drawn
HEADROOM_DB = 8


def denoising_curves(study: Params, table: pd.DataFrame, rows: Sequence[str], baselines: Sequence[str]) -> Figure:
    """What comes out against the noise that went in, and the gain: below zero the way through the code does harm."""
    figure = Figure(figsize=(WIDTH, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    sigmas, drawn = first_keys(table), looks(study, [*baselines, *rows])
    noise = np.array(sigmas, float)
    noisy, _ = values_of(table, str(table["row"].iloc[0]), [f"{sigma}/psnr_in" for sigma in sigmas])
    left.plot(noise, noisy, color="black", linestyle="--", label="noisy input")
    for panel, name in ((left, "psnr"), (right, "gain_db")):
        for row, look in drawn.items():
            means, spreads = values_of(table, row, [f"{sigma}/{name}" for sigma in sigmas])
            if not np.isnan(means).all():
                panel.errorbar(noise, means, yerr=spreads, label=row, **look)
        panel.set_xticks(noise, sigmas)
        panel.set_xlabel("standard deviation of the noise (black 0, white 1)")
    left.set_ylabel("PSNR against the clean image (dB)")
    left.set_title("What comes out")
    right.set_ylabel("gain over the noisy input (dB)")
    right.axhline(0, color="black", linewidth=1.5, linestyle="--")
    right.set_title("What it gains: below zero it does harm")
    legend_below(figure)
    return figure


def interpolation_bars(study: Params, table: pd.DataFrame) -> Figure:
    """How even the steps are, and how far the image halfway is from the nearest training image."""
    rows = rows_of(study, table)
    figure = Figure(figsize=(WIDTH, 1.6 + 0.24 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    kinds = {"equal_digits": BLUE, "different_digits": RED}
    for panel, number, start in ((left, "step_ratio", 1), (right, "midpoint_distance", 0)):
        columns = [column(table, rows, f"linear/{kind}/{number}") for kind in kinds]
        twin_bars(panel, rows, columns, list(kinds.values()), [kind.replace("_", " ") for kind in kinds], start)
    # the same for all rows, whose pairs are the same
    right.axvline(column(table, rows, "real_distance")[0][0], color="black", linestyle="--", label="real test images")
    for kind, colour in kinds.items():
        distance = column(table, rows, f"linear/{kind}/crossfade_distance")[0][0]
        label = f"cross-fade of the pixels, {kind.replace('_', ' ')}"
        right.axvline(distance, color=colour, linestyle=":", linewidth=2, label=label)
    left.set_xlabel("largest step over mean step")
    left.set_title("Evenness (1: all steps are equal)")
    right.set_xlabel("root mean squared difference per pixel")
    right.set_title("From the midpoint to the nearest training image")
    legend_below(figure, columns=3)
    return figure


def generation_bars(study: Params, table: pd.DataFrame) -> Figure:
    """Precision and recall of samples, and their Frechet distance to real images."""
    rows = rows_of(study, table)
    figure = Figure(figsize=(WIDTH, 1.6 + 0.24 * len(rows)), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    kinds, colours = ("standard_normal", "mixture"), (RED, BLUE)
    labels = ("codes from the standard normal", "codes from a mixture fitted to the codes (not for VAEs)")
    for panel, number, title in (
        (panels[0], "precision", "Precision: do they look real?"),
        (panels[1], "recall", "Recall: is all there?"),
    ):
        twin_bars(panel, rows, [column(table, rows, f"{kind}/{number}") for kind in kinds], colours, labels)
        panel.set_xlim(0, 1.03)
        panel.set_xlabel(f"{number} (share of images)")
        panel.set_title(title)
    # points, for a bar has no foot on a logarithmic axis
    for place, kind, colour in zip((-0.2, 0.2), kinds, colours, strict=True):
        means, spreads = column(table, rows, f"{kind}/frechet_distance")
        panels[2].errorbar(means, np.arange(len(rows)) + place, xerr=spreads, color=colour, fmt="o", markersize=4)
    real = column(table, rows, "real_frechet_distance")[0][0]
    panels[2].axvline(real, color="black", linestyle="--", label="training images against test images")
    logarithmic_x(panels[2])
    panels[2].set_xlabel("Frechet distance (logarithmic)")
    panels[2].set_title("Frechet distance: less is better")
    legend_below(figure, columns=3)
    return figure


def kl_per_dimension(study: Params, divergences: dict[str, Sequence[float]]) -> Figure:
    """How many nats each number of a VAE's code carries, largest first, and how many of them are used."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    panel = figure.subplots()
    width, drawn = 0.8 / max(1, len(divergences)), styles(study)
    for index, (row, values) in enumerate(divergences.items()):
        places = np.arange(1, len(values) + 1) + (index - (len(divergences) - 1) / 2) * width
        label = f"{row}: {sum(value > USED_NATS for value in values)} of {len(values)} used"
        panel.bar(places, sorted(values, reverse=True), width, color=drawn[row].colour, label=label)
    panel.axhline(USED_NATS, color="black", linewidth=1, linestyle="--", label=f"used: more than {USED_NATS:g} nats")
    panel.set_xlabel("numbers of the code, largest first")
    panel.set_ylabel("KL divergence from the prior (nats)")
    panel.set_xticks(range(1, max(len(values) for values in divergences.values()) + 1))
    panel.grid(axis="x", visible=False)
    panel.set_title("What the numbers of a VAE's code carry")
    panel.legend()
    return figure


def rate_distortion(
    study: Params, table: pd.DataFrame, codecs: pd.DataFrame, rows: Sequence[str], baselines: Sequence[str]
) -> Figure:
    """Quality against bytes: codes of all bit depths, PCA codes, and image formats at all qualities near those."""
    figure = Figure(figsize=(WIDTH, 6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    depths, drawn = first_keys(table), looks(study, [*baselines, *rows])
    best = table.loc[table["name"].str.endswith("/psnr") & table["row"].isin(list(drawn)), "mean"].max()
    for panel, layout, bytes_name, title in (
        (panels[0], "single", "bytes_alone", "Each image stored alone"),
        (panels[1], "sheet", "bytes_amortised_with_tables", "Many images together, side tables included"),
    ):
        formats = codecs[codecs["layout"] == layout].sort_values("bytes_per_image")
        for codec, dash in (("jpeg", "-"), ("webp", "--")):
            curve = formats[(formats["codec"] == codec) & (formats["psnr"] < best + HEADROOM_DB)]
            if len(curve):
                panel.plot(curve["bytes_per_image"], curve["psnr"], color="#CC6600", linestyle=dash, label=codec)
        for codec, dash in (("png", "-"), ("webp_lossless", "--")):
            for size in formats.loc[formats["codec"] == codec, "bytes_per_image"]:
                label = f"{codec.removesuffix('_lossless')}, lossless"
                panel.axvline(size, color="black", linestyle=dash, linewidth=1, label=label)
        for row, look in drawn.items():
            sizes, _ = values_of(table, row, [f"{depth}/{bytes_name}" for depth in depths])
            quality, spreads = values_of(table, row, [f"{depth}/psnr" for depth in depths])
            if not np.isnan(quality).all():
                panel.errorbar(sizes, quality, yerr=spreads, label=row, **look)
        logarithmic_x(panel)
        panel.set_xlabel("bytes per image (logarithmic)")
        panel.set_title(title)
    panels[0].set_ylabel("PSNR (dB)")
    legend_below(figure)
    figure.suptitle(f"{depths[0]} to {depths[-1]} bits for each number of the code; the decoder's weights are not counted")
    return figure


def checkerboard_bars(study: Params, table: pd.DataFrame) -> Figure:
    """A grid over the whole picture, by the spectrum of the residual; blocks in the strokes, by steps at their edges."""
    rows = rows_of(study, table)
    figure = Figure(figsize=(8, 1.6 + 0.24 * len(rows)), layout="constrained")
    panel = figure.subplots()
    real, _ = column(table, rows, "real_block_ratio")
    steps, spreads = column(table, rows, "block_ratio")
    columns = [column(table, rows, "energy_ratio"), (steps / real, spreads / real)]
    labels = (
        "energy of the residual at a period of 2 pixels, over that beside it",
        "steps at the edges of 2x2 blocks, against those of real images",
    )
    twin_bars(panel, rows, columns, (BLUE, YELLOW), labels, start=1)
    panel.axvline(1, color="black", linewidth=1)
    panel.set_xlabel("ratio; above 1: a grid, or blocks, that the images do not have")
    panel.set_title("Checkerboards")
    legend_below(figure, columns=1)
    return figure


def probe_dots(study: Params, table: pd.DataFrame, probes: dict[str, str]) -> Figure:
    """Test error of every probe on the codes of every row and baseline.

    Args:
        study: The parameters.
        table: One line per row, a column per probe with its accuracy.
        probes: Columns and what people call them; `untrained_` before a column is the same probe on the codes of the
            encoder before training, and drawn hollow.
    """
    table = table.dropna(subset=list(probes), how="all").set_index("row")
    names = [name for name in (*study.variants, *study.baselines) if name in table.index]
    figure = Figure(figsize=(8, 1.6 + 0.22 * len(names)), layout="constrained")
    panel = figure.subplots()
    kinds = list(dict.fromkeys(probe.removeprefix("untrained_") for probe in probes))
    styled = dict(zip(kinds, zip((BLUE, RED, "#228833", "#AA3377"), "osD^", strict=True), strict=False))
    for probe, label in probes.items():
        colour, marker = styled[probe.removeprefix("untrained_")]
        errors = 100 * (1 - table.loc[names, probe].to_numpy(float))
        face = "none" if probe.startswith("untrained_") else colour
        panel.plot(
            errors, range(len(names)), marker, color=colour, markerfacecolor=face, label=label, markersize=5, alpha=0.85
        )
    list_rows(panel, names)
    panel.grid(axis="y", visible=True)
    panel.axhline(sum(name in study.variants for name in names) - 0.5, color=GREY, linewidth=1)
    logarithmic_x(panel)
    panel.set_xlabel("test error (%, logarithmic)")
    panel.set_title("What the codes know about the digits")
    legend_below(figure, columns=3)
    return figure


def few_label_curves(study: Params, table: pd.DataFrame, rows: Sequence[str], baselines: Sequence[str]) -> Figure:
    """Accuracy of each probe against the number of labelled images; bars are the spread over the draws of the labels."""
    probes = {"knn": "Nearest neighbours", "logistic": "Logistic regression", "svm_rbf": "SVM, RBF kernel"}
    figure = Figure(figsize=(WIDTH, 5), layout="constrained")
    drawn = looks(study, [name for name in (*baselines, *rows) if name in set(table["row"])])
    for panel, (probe, title) in zip(figure.subplots(1, 3, sharey=True), probes.items(), strict=True):
        names = table.loc[table["name"].str.startswith(f"{probe}/"), "name"]
        counts = np.array(sorted({int(name.split("/")[1]) for name in names}))
        for index, (row, look) in enumerate(drawn.items()):
            means, _ = values_of(table, row, [f"{probe}/{count}/mean" for count in counts])
            spreads, _ = values_of(table, row, [f"{probe}/{count}/std" for count in counts])
            # side by side, that the error bars can be told apart
            aside = 1.03 ** (index - (len(drawn) - 1) / 2)
            panel.errorbar(counts * aside, 100 * means, yerr=100 * spreads, label=row, **look)
        panel.set_xscale("log")
        panel.set_xticks(counts, [f"{count:,}" for count in counts])
        panel.minorticks_off()
        panel.set_xlabel("labelled images")
        panel.set_title(title)
    figure.axes[0].set_ylabel("test accuracy (%)")
    legend_below(figure)
    return figure
