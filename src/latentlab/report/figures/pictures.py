"""What do the models draw, and where do they put the classes? Figures made of images, and maps of codes."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from latentlab.evaluation.pictures import tile
from latentlab.report.figures.style import plain_numbers, side_by_side

Array = np.ndarray

# of the classes: Paul Tol's "muted" scheme and black (personal.sron.nl/~pault)
CLASSES = (
    "#332288", "#CC6677", "#117733", "#88CCEE", "#000000", "#DDCC77", "#882255", "#44AA99", "#999933", "#AA4499",
)  # fmt: skip


def strips(images: dict[str, Array], title: str) -> Figure:
    """Strips of images one below the other, each with its name at the left.

    Args:
        images: By name, uint8 (N, C, H, W); all of the same shape.
        title: Of the figure.
    """
    count = len(next(iter(images.values())))
    names = 0.3 + 0.08 * max(len(name) for name in images)  # inches
    figure = Figure(figsize=(names + 0.56 * count, 0.5 + 0.6 * len(images)), layout="compressed")
    for panel, (name, strip) in zip(figure.subplots(len(images), 1, squeeze=False)[:, 0], images.items(), strict=True):
        _show(panel, tile(strip[None]))
        panel.set_ylabel(name, rotation=0, horizontalalignment="right", verticalalignment="center")
    figure.suptitle(title)
    return figure


def mosaics(images: dict[str, Array], title: str, extent: float | None = None) -> Figure:
    """Squares of images side by side, such as samples or a grid of decodings.

    Args:
        images: By name, uint8 (N, C, H, W), in the order in which a page is read; what is over the largest square is left
            out.
        title: Of the figure.
        extent: Of the codes that the grid decodes, along both axes; None for samples, which have no axes.
    """
    # a grid has more and smaller images than a page of samples
    figure, panels = _panels(title, list(images), most=3 if extent is None else 2, width=3.2 if extent is None else 4.6)
    for panel, tiles in zip(panels, images.values(), strict=True):
        (height, width), side = tiles.shape[2:], int(len(tiles) ** 0.5)
        _show(panel, tile(tiles[: side * side].reshape(side, side, *tiles.shape[1:])))
        if extent is not None:
            across, down = (np.linspace(size / 2, (side - 0.5) * size, 3) for size in (width, height))
            panel.set_xticks(across, [f"{-extent:g}", "0", f"{extent:g}"])
            panel.set_yticks(down, [f"{extent:g}", "0", f"{-extent:g}"])
            panel.set(xlabel="first number", ylabel="second number")
    return figure


def maps(
    points: dict[str, tuple[Array, Array | None]], classes: Sequence[str], title: str, extent: float | None = None
) -> Figure:
    """Points of images in the plane in the colours of their classes; a class is named at its middle where there is room.

    Args:
        points: By name, coordinates (N, 2) and labels (N,), a panel for each; None for images without classes.
        classes: Their names, by label; of more than ten, colours come again.
        title: Of the figure.
        extent: A square over [-extent, extent] along both axes is outlined, such as the one a grid decodes; None for none.
    """
    figure, panels = _panels(title, list(points), most=3, width=3.2, below=0.5)
    palette = np.array(CLASSES)
    for panel, (places, labels) in zip(panels, points.values(), strict=True):
        # all classes in one drawing, so that none lies over all others
        size = 12 if len(places) < 1000 else 3
        panel.scatter(
            places[:, 0], places[:, 1], s=size, c=palette[0 if labels is None else labels % len(palette)], linewidths=0
        )
        named: list[Array] = []
        for each in [] if labels is None else np.unique(labels):
            middle = np.median(places[labels == each], axis=0)
            # a name over another could not be read
            if all(np.linalg.norm(middle - other) > 0.05 * np.ptp(places) for other in named):
                named.append(middle)
                label = panel.text(
                    middle[0], middle[1], classes[each], fontsize=10, fontweight="bold", ha="center", va="center"
                )
                label.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        if extent is not None:
            square = Rectangle((-extent, -extent), 2 * extent, 2 * extent, fill=False, linestyle="--", linewidth=1)
            panel.add_patch(square)
        panel.set_aspect("equal", adjustable="datalim")
        panel.tick_params(labelsize=7)
    if len(classes):
        colours = [CLASSES[index % len(CLASSES)] for index in range(len(classes))]
        keys = [mpl.lines.Line2D([], [], marker="o", linestyle="none", color=colour) for colour in colours]
        figure.legend(keys, classes, loc="outside lower center", ncols=10, title="class", handletextpad=0)
    return figure


def spectra(power: dict[str, Array], title: str) -> Figure | None:
    """Power spectra of the residuals, on one logarithmic scale; dashes mark the periods of two and of four pixels.

    None where no residual has any power.

    Args:
        power: By name, (H, H), frequency zero in the middle, at [H / 2, H / 2].
        title: Of the figure.
    """
    positive = np.concatenate([values[values > 0] for values in power.values()])
    if not len(positive):
        return None
    figure, panels = side_by_side(2.9 * len(power) + 0.8, 3.8, len(power), layout="compressed")
    scale = mpl.colors.LogNorm(positive.min(), positive.max())
    for panel, (name, values) in zip(panels, power.items(), strict=True):
        half = 0.5 / len(values)  # of a frequency step, so that each frequency is in the middle of its square
        low, high = -0.5 - half, 0.5 - half
        shown = panel.imshow(values, cmap="viridis", norm=scale, extent=(low, high, high, low))
        for frequency in (-0.5, -0.25, 0.25):
            look: dict[str, Any] = {"color": "white", "linestyle": "--", "linewidth": 0.8}
            panel.axvline(frequency, **look)
            panel.axhline(frequency, **look)
        ticks = (-0.5, -0.25, 0, 0.25)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("cycles per pixel, along rows")
        panel.grid(visible=False)
    panels[0].set_ylabel("cycles per pixel, along columns")
    bar = figure.colorbar(shown, ax=panels, label="power of the residual (logarithmic)", shrink=0.8)
    plain_numbers(bar.ax.yaxis, (1, 2, 5))
    figure.suptitle(f"{title}\ndashes: periods of 2 pixels (edge) and 4 (inside)", fontsize=10)
    return figure


def distance_tables(tables: dict[str, Sequence[Sequence[float]]], title: str) -> Figure:
    """Distances between the centres of the classes, each panel over its own mean.

    Args:
        tables: By name, square.
        title: Of the figure.
    """
    figure, panels = _panels(title, list(tables), most=4, width=2.5, beside=0.9)
    for panel, table in zip(panels, tables.values(), strict=True):
        distances = np.array(table, float)
        np.fill_diagonal(distances, np.nan)
        known = distances[np.isfinite(distances)]
        # centres that are all in one place, or one alone, have no distances to compare with
        shown = panel.imshow(distances / (known.mean() if known.any() else 1), cmap="viridis", vmin=0, vmax=2)
        panel.set(xticks=range(len(table)), yticks=range(len(table)))
        panel.tick_params(labelsize=7)
        panel.set_ylabel("class", fontsize=7)
        panel.grid(visible=False)
    label = "distance over the mean of the panel's distances"
    figure.colorbar(shown, ax=panels, label=label, shrink=0.8, extend="max")
    return figure


def _panels(
    title: str, names: Sequence[str], most: int, width: float, below: float = 0, beside: float = 0
) -> tuple[Figure, list[Axes]]:
    """Square panels with their names, up to `most` in a row, with at most one place empty and with room for a legend."""
    count = len(names)
    columns = min(range(1, min(most, count) + 1), key=lambda each: (-count % each > 1, -each))
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns + 0.4 + beside, 0.5 + below + (width + 0.2) * rows), layout="compressed")
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for panel in panels[count:]:
        panel.remove()
    for panel, name in zip(panels, names, strict=False):
        panel.set_title(name, fontsize=9)
    figure.suptitle(title)
    return figure, panels[:count]


def _show(panel: Axes, picture: Array) -> None:
    panel.imshow(picture, cmap="gray", vmin=0, vmax=255)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    panel.grid(visible=False)
