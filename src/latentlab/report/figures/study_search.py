"""Figures of the trade-off study: its front beside the variants and PCA, how it grew, and what mattered."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from latentlab.params.project import Params
from latentlab.report.figures.panels import BLUE, GREY, RED, legend_beside
from latentlab.report.figures.style import logarithmic_x, logarithmic_y, side_by_side
from latentlab.report.styles import source_styles

FRONT = RED
LABELS = {
    "latent_dim": "latent_dim (numbers per image)",
    "num_parameters": "trainable parameters",
    "num_macs": "MACs per image",
}


def front(
    project: Params, trials: pd.DataFrame, on_front: Sequence[int], winners: Mapping[str, int], beside: pd.DataFrame, x: str
) -> Figure:
    """Validation error of all finished trials against one of their sizes, the front joined by a line.

    Args:
        project: For the sources of the variants, which are told apart by colour and shape.
        trials: Content of trials.csv.
        on_front: Numbers of the trials on the front.
        winners: Number of the trial by the name of the variant that it becomes.
        beside: "variant", "error" and the sizes of what is compared: variants by their validation error, and PCA, whose
            "variant" begins with "pca", by its test error, as it has no other.
        x: Column of the size.
    """
    figure, (panel,) = side_by_side(8, 5.2)
    finished = trials[(trials["state"] == "finished") & (trials["reason"] != "repeated")]
    panel.scatter(finished[x], finished["validation_mse"], s=12, color="#BBBBBB", label="trials", zorder=2)
    chosen = finished[finished["number"].isin(on_front)].sort_values([x, "validation_mse"])
    label = "front (of all three objectives)"
    panel.scatter(chosen[x], chosen["validation_mse"], s=22, facecolor="none", edgecolor=FRONT, label=label, zorder=4)
    best = chosen[chosen["validation_mse"] == chosen["validation_mse"].cummin()]
    panel.step(best[x], best["validation_mse"], where="post", color=FRONT, linewidth=1.2, zorder=3)
    is_pca = beside["variant"].str.startswith("pca")
    baselines = beside[is_pca].dropna(subset=[x, "error"]).sort_values(x)
    if len(baselines):
        label = "PCA (test images)"
        panel.plot(baselines[x], baselines["error"], color=GREY, marker=".", linewidth=1, label=label, zorder=1)
    variants = beside[~is_pca]
    of = variants["variant"].map(lambda name: project.variants[name].source)
    for source, style in source_styles(project).items():
        if len(own := variants[of == source]):
            label = f"{source}: {project.sources[source]}"
            panel.scatter(own[x], own["error"], s=30, label=label, alpha=0.8, zorder=3, **style.look)
    places = finished.set_index("number").loc[list(winners.values()), [x, "validation_mse"]].itertuples(index=False)
    # from the smallest error up: the lowest label below its star, the others above theirs
    for index, (name, place) in enumerate(sorted(zip(winners, places, strict=True), key=lambda item: item[1][1])):
        panel.scatter(place[0], place[1], marker="*", s=140, color=FRONT, edgecolor="black", linewidth=0.6, zorder=6)
        panel.annotate(name, place, (8, 6 if index else -12), textcoords="offset points", fontsize=8, zorder=7)
    logarithmic_x(panel)
    panel.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))
    logarithmic_y(panel)
    panel.set(xlabel=LABELS[x], ylabel="validation mean squared error per pixel")
    panel.set_title("The front of the study, and what was there before")
    legend_beside(figure)
    return figure


def growth(table: pd.DataFrame) -> Figure:
    """Hypervolume of the front after each trained trial; content of hypervolume.csv."""
    figure, (panel,) = side_by_side(6.5, 3.6)
    panel.step(table["trained"], table["hypervolume"], where="post", color=FRONT)
    panel.set(xlabel="trained trials", ylabel="share of the box to the reference point")
    panel.set_title("Hypervolume that the front dominates")
    return figure


def importances(found: Mapping[str, Mapping[str, float]]) -> Figure:
    """Importance of what was drawn for the validation error, by family; shares of one."""
    heights = [max(len(shares), 1) for shares in found.values()]
    figure = Figure(figsize=(6.5, 1.2 + 0.28 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
    for panel, (family, shares) in zip(panels, found.items(), strict=True):
        ordered = sorted(shares.items(), key=lambda item: item[1])
        names = [name.removeprefix(f"{family}.") for name, _ in ordered]
        panel.barh(names, [share for _, share in ordered], color=BLUE)
        panel.set_title(family, loc="left")
        panel.grid(axis="y", visible=False)
    panels[-1].set_xlabel("importance for the validation error (PED-ANOVA)")
    return figure
