"""Results in, matplotlib figures out. A row has one colour and one marker, the same in every figure."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latentlab.params import Params
from latentlab.styles import styles

# how matplotlib calls the shapes
MARKERS = {
    "circle": "o", "square": "s", "triangle-up": "^", "diamond": "D",
    "triangle-down": "v", "cross": "P", "triangle-left": "<", "triangle-right": ">",
}  # fmt: skip

mpl.rcParams.update(
    {
        "figure.dpi": 120,
        "font.size": 9,
        "axes.grid": True,
        "grid.color": "#E0E0E0",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
)


def loss_curves(study: Params, experiment: str, curves: pd.DataFrame) -> Figure:
    """Losses by epoch of an experiment's rows: the loss itself where all have the same, and the validation MSE."""
    rows, drawn = study.experiments[experiment].rows, styles(study)
    losses = {str(study.variants[name].architecture.get("loss")) for name in rows}
    figure = Figure(figsize=(9 if len(losses) == 1 else 5.5, 3.6), layout="constrained")
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
        panel.set_yscale("log")
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        panel.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%.3g"))
        panel.yaxis.set_minor_formatter(mpl.ticker.FormatStrFormatter("%.3g"))
        panel.tick_params(axis="y", which="minor", labelsize=7)
        panel.legend(fontsize=7)
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
    rows, drawn = table.set_index("row").loc[list(study.variants)], styles(study)
    figure = Figure(figsize=(7.5, 0.8 + 0.23 * len(rows)), layout="constrained")
    panel = figure.subplots()
    bars = panel.barh(list(rows.index), rows["num_parameters"], color=[drawn[name].colour for name in rows.index])
    panel.bar_label(bars, labels=[f"{count:,.0f}" for count in rows["num_parameters"]], padding=3, fontsize=7)
    panel.set_xscale("log")
    panel.set_xlabel("trainable parameters (logarithmic)")
    panel.invert_yaxis()
    panel.margins(x=0.12)
    panel.grid(axis="y", visible=False)
    panel.set_title("How many parameters")
    return figure


def published_bars(study: Params, table: pd.DataFrame) -> Figure:
    """Test MSE of every row with a published one, over it: left of the line is better than the source."""
    rows, drawn = table.set_index("row").reindex(list(study.variants)).dropna(subset=["mse_ratio"]), styles(study)
    figure = Figure(figsize=(7.5, 1 + 0.23 * len(rows)), layout="constrained")
    panel = figure.subplots()
    bars = panel.barh(list(rows.index), rows["mse_ratio"], color=[drawn[name].colour for name in rows.index])
    panel.bar_label(bars, labels=[f"{ratio:.2f}" for ratio in rows["mse_ratio"]], padding=3, fontsize=7)
    panel.axvline(1, color="#444444", linewidth=1, linestyle="--")
    panel.set_xlabel("test MSE over the source's published test MSE")
    panel.invert_yaxis()
    panel.grid(axis="y", visible=False)
    panel.set_title("Against the published figures")
    return figure


def _scatter(panel: Axes, study: Params, table: pd.DataFrame, x: str, y: str) -> None:
    rows = table.set_index("row")
    for name, style in styles(study).items():
        point = rows.loc[name]
        panel.scatter(point[x], point[y], color=style.colour, marker=MARKERS[style.marker], s=36, label=name, zorder=3)


def _with_legend(panel: Axes) -> None:
    panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7, ncols=1)


def error_against_code_size(study: Params, table: pd.DataFrame) -> Figure:
    """Test MSE against the numbers in the code, with the curve of PCA."""
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    panel = figure.subplots()
    pca = table[(table["source"] == "baseline") & table["test_mse"].notna()].sort_values("code_size")
    panel.plot(pca["code_size"], pca["test_mse"], color="#777777", marker=".", label="PCA", zorder=2)
    _scatter(panel, study, table, "code_size", "test_mse")
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%d"))
    panel.set_xlabel("code size (numbers per image)")
    panel.set_ylabel("test mean squared error per pixel")
    panel.set_title("How small can the code be, and what does it cost?")
    _with_legend(panel)
    return figure


def error_against_parameters(study: Params, table: pd.DataFrame) -> Figure:
    """Test MSE against the parameters of encoder and decoder."""
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    panel = figure.subplots()
    _scatter(panel, study, table, "num_parameters", "test_mse")
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("trainable parameters")
    panel.set_ylabel("test mean squared error per pixel")
    panel.set_title("Error against parameters")
    _with_legend(panel)
    return figure


def accuracy_against_code_size(study: Params, table: pd.DataFrame) -> Figure:
    """Error rate of the RBF probe against the numbers in the code, with PCA and the raw pixels."""
    figure = Figure(figsize=(8, 5.2), layout="constrained")
    panel = figure.subplots()
    errors = table.assign(error_percent=100 * (1 - table["svm_rbf_accuracy"]))
    linear = errors[errors["source"] == "baseline"].sort_values("code_size")
    panel.plot(linear["code_size"], linear["error_percent"], color="#777777", marker=".", label="PCA, pixels", zorder=2)
    _scatter(panel, study, errors, "code_size", "error_percent")
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%d"))
    panel.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    panel.set_xlabel("code size (numbers per image)")
    panel.set_ylabel("test error of the RBF probe (%)")
    panel.set_title("What the code knows about the digit")
    _with_legend(panel)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG, the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
