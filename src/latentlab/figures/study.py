"""Figures of the study as a whole: losses, reconstructions, errors against cost."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from latentlab.figures.panels import legend_beside
from latentlab.figures.style import MARKERS, logarithmic_y
from latentlab.params import Params
from latentlab.styles import styles


def loss_curves(study: Params, experiment: str, curves: pd.DataFrame) -> Figure:
    """Losses by epoch of an experiment's rows: the loss itself where all have the same, and the validation MSE."""
    rows, drawn = study.experiments[experiment].rows, styles(study)
    losses = {str(study.variants[name].architecture.get("loss")) for name in rows}
    figure = Figure(figsize=(9 if len(losses) == 1 else 5.5, 4.2), layout="constrained")
    panels = figure.subplots(1, 2 if len(losses) == 1 else 1, squeeze=False)[0]
    for name in rows:
        curve, style = curves[curves["row"] == name], drawn[name]
        look = {"color": style.colour, "marker": MARKERS[style.marker], "markersize": 4}
        panels[-1].plot(curve["epoch"], curve["validation_mse"], label=name, **look)
        if len(losses) == 1:
            panels[0].plot(curve["epoch"], curve["validation_loss"], label=f"{name}, validation", **look)
            panels[0].plot(curve["epoch"], curve["train_loss"], label=f"{name}, training", linestyle=":", alpha=0.7, **look)
    if len(losses) == 1:
        unit = {"bce": "binary cross entropy per pixel (nats)", "mse": "squared error per pixel"}
        panels[0].set_ylabel(unit.get(losses.pop(), "loss"))
        panels[0].set_title("Loss")
    panels[-1].set_ylabel("mean squared error per pixel")
    panels[-1].set_title("Validation error")
    for panel in panels:
        logarithmic_y(panel)
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        # below the panel, where no curve is
        panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    figure.suptitle(study.experiments[experiment].title)
    return figure


def reconstructions(images: dict[str, np.ndarray], title: str) -> Figure:
    """The same ten digits, original on top, and what each row makes of them.

    Args:
        images: By row: uint8 (2, 10, 28, 28), originals and reconstructions.
        title: Of the figure.
    """
    strips = {"original": next(iter(images.values()))[0]} | {name: both[1] for name, both in images.items()}
    figure = Figure(figsize=(7.5, 0.3 + 0.56 * len(strips)), layout="constrained")
    for panel, (name, strip) in zip(figure.subplots(len(strips), 1, squeeze=False)[:, 0], strips.items(), strict=True):
        panel.imshow(np.concatenate(list(strip), axis=1), cmap="gray", vmin=0, vmax=255)
        panel.set_ylabel(name, rotation=0, horizontalalignment="right", verticalalignment="center")
        panel.set_xticks([])
        panel.set_yticks([])
        panel.grid(visible=False)
    figure.suptitle(title)
    return figure


def parameter_bars(study: Params, table: pd.DataFrame) -> Figure:
    """Parameters of every row, in the order of params.yaml."""
    figure = _bars(study, table, "num_parameters", "{:,.0f}", "trainable parameters (logarithmic)")
    (panel,) = figure.axes
    panel.set_xscale("log")
    panel.margins(x=0.12)
    panel.set_title("How many parameters")
    return figure


def published_bars(study: Params, table: pd.DataFrame) -> Figure:
    """Test MSE of every row with a published one, over it: left of the line is better than the source."""
    figure = _bars(study, table, "mse_ratio", "{:.2f}", "test MSE over the source's published test MSE")
    (panel,) = figure.axes
    panel.axvline(1, color="#444444", linewidth=1, linestyle="--")
    panel.set_title("Against the published figures")
    return figure


def _bars(study: Params, table: pd.DataFrame, column: str, label: str, unit: str) -> Figure:
    values, drawn = table.set_index("row")[column].reindex(list(study.variants)).dropna(), styles(study)
    figure = Figure(figsize=(7.5, 0.9 + 0.23 * len(values)), layout="constrained")
    panel = figure.subplots()
    bars = panel.barh(list(values.index), values, color=[drawn[str(name)].colour for name in values.index])
    panel.bar_label(bars, labels=[label.format(value) for value in values], padding=3, fontsize=7)
    panel.set_xlabel(unit)
    panel.invert_yaxis()
    panel.grid(axis="y", visible=False)
    return figure


def error_against_code_size(study: Params, table: pd.DataFrame) -> Figure:
    """Test MSE against the numbers in the code, with the curve of PCA."""
    title = "How small can the code be, and what does it cost?"
    return _scatter(study, table, "code_size", "test_mse", "test mean squared error per pixel", title)


def error_against_parameters(study: Params, table: pd.DataFrame) -> Figure:
    """Test MSE against the parameters of encoder and decoder."""
    unit = "test mean squared error per pixel"
    return _scatter(study, table, "num_parameters", "test_mse", unit, "Error against parameters")


def accuracy_against_code_size(study: Params, table: pd.DataFrame) -> Figure:
    """Error rate of the RBF probe against the numbers in the code, with PCA and the raw pixels."""
    errors = table.assign(error_percent=100 * (1 - table["svm_rbf_accuracy"]))
    unit = "test error of the RBF probe (%)"
    return _scatter(study, errors, "code_size", "error_percent", unit, "What the code knows about the digit")


def _scatter(study: Params, table: pd.DataFrame, x: str, y: str, y_label: str, title: str) -> Figure:
    """A point for each row, both axes logarithmic; baselines, where they have both values, are joined by a line."""
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    panel = figure.subplots()
    baselines = table[(table["source"] == "baseline")].dropna(subset=[x, y]).sort_values(x)
    if len(baselines):
        panel.plot(baselines[x], baselines[y], color="#777777", marker=".", label="PCA", zorder=2)
    pixels = baselines[baselines["row"] == "raw_pixels"]
    if len(pixels):
        place = (pixels[x].iloc[0], pixels[y].iloc[0])
        panel.annotate("pixels", place, (0, 8), textcoords="offset points", color="#777777", horizontalalignment="center")
    points = table.set_index("row")
    for name, style in styles(study).items():
        if name not in points.index:
            continue
        point = points.loc[name]
        panel.scatter(point[x], point[y], color=style.colour, marker=MARKERS[style.marker], s=36, label=name, zorder=3)
    panel.set_xscale("log", base=2 if x == "code_size" else 10)
    logarithmic_y(panel)
    if x == "code_size":
        panel.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%d"))
    panel.set_xlabel({"code_size": "code size (numbers per image)", "num_parameters": "trainable parameters"}[x])
    panel.set_ylabel(y_label)
    panel.set_title(title)
    legend_beside(figure)
    return figure
