"""Figures of the core: losses, reconstructions, errors against cost, probes.

A figure is None where there is nothing to show. Error bars are one standard deviation over the seeds.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from latentlab.comparison.results import Result
from latentlab.params.variants import Comparison
from latentlab.report.content import Content
from latentlab.report.figures.panels import BLUE, GREY, RED, legend_below, legend_beside, list_names
from latentlab.report.figures.pictures import strips
from latentlab.report.figures.style import logarithmic_x, logarithmic_y, side_by_side
from latentlab.report.styles import source_styles, styles
from latentlab.training.plan import RAW_PIXELS

LOSSES = {"bce": "binary cross entropy per pixel (nats)", "mse": "squared error per pixel"}
# by their names in probes.json: what people call them, colour and marker
PROBES = {
    "svm_rbf_accuracy": ("SVM, RBF kernel", BLUE, "o"),
    "svm_linear_accuracy": ("SVM, linear", RED, "s"),
    "knn_accuracy": ("nearest neighbours", "#228833", "D"),
    "logistic_accuracy": ("logistic regression", "#AA3377", "^"),
}
# of columns of the leaderboard
UNITS = {
    "latent_dim": "latent dimension (numbers per image)",
    "num_parameters": "trainable parameters",
    "test_mse": "test mean squared error per pixel",
    "svm_rbf_error": "test error of the RBF probe (%)",
}


def losses(content: Content, comparison: Comparison | None = None) -> Figure | None:
    """Losses by epoch of those compared: the loss itself where all have the same, and the error; or of all, by source."""
    runs = _shown(content, comparison)
    if not runs:
        return None
    kinds = {str(content.project.variants[name].architecture.get("loss")) for name in runs}
    both = comparison is not None and len(kinds) == 1
    figure, panels = side_by_side(9, 4.2, 2) if both else side_by_side(8, 4.2)
    drawn, project = styles(content.project), content.project
    if not comparison:
        by_source = source_styles(project)
        drawn = {name: by_source[project.variants[name].source] for name in runs}
    for name, result in runs.items():
        curve, look = result.curve, {**drawn[name].look, "markersize": 4}
        label = name if comparison else project.sources[project.variants[name].source]
        panels[-1].plot(curve["epoch"], curve["validation_mse"], label=label, **look)
        if both:
            panels[0].plot(curve["epoch"], curve["validation_loss"], label=f"{name}, validation", **look)
            panels[0].plot(curve["epoch"], curve["train_loss"], label=f"{name}, training", linestyle=":", alpha=0.7, **look)
    panels[0].set(ylabel=LOSSES.get(kinds.pop(), "loss"), title="Loss")
    panels[-1].set(ylabel="mean squared error per pixel", title="Validation error")
    for panel in panels:
        logarithmic_y(panel)
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        if both:  # below the panel, where no curve is
            panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    if not both:
        legend_beside(figure)
    figure.suptitle(comparison.title if comparison else "Learning curves")
    return figure


def reconstructions(content: Content, comparison: Comparison | None = None) -> Figure | None:
    """The same test images, the originals on top, and what all variants, or those compared, make of them."""
    files = {name: result.run.reconstructions / "arrays.npz" for name, result in _shown(content, comparison).items()}
    # a fresh clone has the numbers of the runs that are not selected, and not their images
    images = {name: np.load(path)["reconstructions"] for name, path in files.items() if path.exists()}
    if not images:
        return None
    original = {"original": next(iter(images.values()))[0]}
    title = comparison.title if comparison else "One test image of each class"
    return strips(original | {name: both[1] for name, both in images.items()}, title)


def _shown(content: Content, comparison: Comparison | None) -> dict[str, Result]:
    names = comparison.variants if comparison else content.shown
    return {name: content.shown[name] for name in names if name in content.shown}


def bars(
    content: Content,
    path: str,
    title: str,
    unit: str,
    form: str = "{:.3g}",
    scale: str = "linear",
    line: float | None = None,
) -> Figure | None:
    """One number, as `Content.means` takes it, a bar for each variant; `line` is the value to compare with."""
    values, drawn = content.numbers(path), styles(content.project)
    if values.empty:
        return None
    figure, (panel,) = side_by_side(7.5, 0.9 + 0.23 * len(values))
    names = list(values.index)
    made = panel.barh(names, values, color=[drawn[name].colour for name in names])
    panel.bar_label(made, labels=[form.format(value) for value in values], padding=3, fontsize=7)
    list_names(panel, names)
    panel.set(title=title, xlabel=unit, xscale=scale)
    panel.margins(x=0.12)
    if line is not None:
        panel.axvline(line, color="#444444", linewidth=1, linestyle="--")
    return figure


def scatter(content: Content, x: str, y: str, title: str) -> Figure | None:
    """A point for each variant, at two columns of the leaderboard, axes logarithmic if they can be; a line joins PCA's.

    Named are the variants that no other one beats in both, the rest are pale. Colour and shape are those of the source.
    """
    points = points_of(content, x, y)
    if not set(points.index) & set(content.project.variants):
        return None
    figure, (panel,) = side_by_side(8, 5.2)
    pca, pixels = (points[points.index.isin(names)] for names in (content.project.baselines, [RAW_PIXELS]))
    if len(pca):
        panel.plot(pca[x], pca[y], color=GREY, marker=".", label="PCA", zorder=2)
    if len(pixels):
        panel.scatter(pixels[x], pixels[y], color=GREY, marker="x", label="raw pixels", zorder=2)
    variants = points[points.index.isin(content.project.variants)]
    named = unbeaten(variants, x, y)
    sources = variants.index.map(lambda name: content.project.variants[name].source)
    for source, style in source_styles(content.project).items():
        own = variants[sources == source]
        is_named = own.index.isin(named.index)
        for lines, opacity in ((own[~is_named], 0.3), (own[is_named], 1.0)):
            panel.scatter(lines[x], lines[y], s=36, alpha=opacity, linewidth=0, zorder=3, **style.look)
        if len(own):
            panel.scatter([], [], s=36, linewidth=0, label=content.project.sources[source], **style.look)
    for name in named.index:
        side, shift = ("right", -6) if points[x][name] == points[x].max() else ("left", 6)
        panel.annotate(  # below, where no better one can be
            name, (points[x][name], points[y][name]), (shift, -3), textcoords="offset points", ha=side, va="top",
            fontsize=8, zorder=4,
        )  # fmt: skip
    panel.set_xscale("log", base=2 if x == "latent_dim" else 10)
    logarithmic_y(panel)
    if x == "latent_dim":
        panel.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%d"))
    panel.set(xlabel=UNITS[x], ylabel=UNITS[y], title=title)
    legend_beside(figure)
    return figure


def points_of(content: Content, x: str, y: str) -> pd.DataFrame:
    """The lines of the leaderboard that have both columns, by variant, in the order of the first."""
    table = content.lines(content.leaderboard)
    table = table.assign(svm_rbf_error=100 * (1 - table["svm_rbf_accuracy"])).dropna(subset=[x, y])
    return table.set_index("variant").sort_values(x)


def unbeaten(variants: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Those that no other one beats or equals in both columns, the smaller the better."""
    least = variants.groupby(x)[y].min().cummin()
    others = variants[x].map(least.shift(fill_value=np.inf))  # the least of what is smaller
    return variants[(variants[y] == variants[x].map(least)) & (variants[y] < others)]


def probes(content: Content, *, untrained: bool = False) -> Figure | None:
    """Test error of every probe on the codes of each variant and baseline; hollow: on those from before the training."""
    table = content.lines(content.leaderboard).set_index("variant")[list(PROBES)].dropna(how="all")
    known = [*content.project.variants, *content.project.baselines, RAW_PIXELS]
    names = [name for name in known if name in table.index]
    num_variants = sum(name in content.project.variants for name in names)
    if num_variants == 0:
        return None
    figure, (panel,) = side_by_side(8, 1.6 + 0.22 * len(names))
    places = range(len(names))
    for probe, (label, colour, marker) in PROBES.items():
        look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 5, "alpha": 0.85}
        panel.plot(100 * (1 - table.loc[names, probe]), places, label=label, **look)
        before = content.means(f"untrained/{probe}").reindex(names)
        if untrained and before.notna().any():
            panel.plot(100 * (1 - before), places, label=f"untrained encoder, {label}", markerfacecolor="none", **look)
    list_names(panel, names)
    panel.grid(axis="y", visible=True)
    panel.axhline(num_variants - 0.5, color=GREY, linewidth=1)
    panel.set(xlabel=f"test error (%, {logarithmic_x(panel)})", title="What the codes know about the classes")
    legend_below(figure, columns=3)
    return figure
