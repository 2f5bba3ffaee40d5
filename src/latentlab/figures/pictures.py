"""Figures made of images, and maps of codes."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Array = np.ndarray


def strips(images: dict[str, Array], title: str) -> Figure:
    """Rows of images, each with its name at the left.

    Args:
        images: By name, uint8 (N, 28, 28); all of the same N.
        title: Of the figure.
    """
    count = len(next(iter(images.values())))
    figure = Figure(figsize=(2.2 + 0.54 * count, 0.4 + 0.56 * len(images)), layout="constrained")
    for panel, (name, strip) in zip(figure.subplots(len(images), 1, squeeze=False)[:, 0], images.items(), strict=True):
        _show(panel, np.concatenate(list(strip), axis=1))
        panel.set_ylabel(name, rotation=0, horizontalalignment="right", verticalalignment="center")
    figure.suptitle(title)
    return figure


def mosaics(images: dict[str, Array], title: str, extent: float | None = None) -> Figure:
    """Squares of images side by side, such as samples or a grid of decodings.

    Args:
        images: By name, uint8 (n * n, 28, 28), in the order in which a page is read; what is over the largest square is
            left out.
        title: Of the figure.
        extent: Of the codes that the grid decodes, along both axes; None for samples, which have no axes.
    """
    columns = min(3, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(3.4 * columns, 0.4 + 3.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(images) :]:
        panel.set_axis_off()
    for panel, (name, tiles) in zip(panels, images.items(), strict=False):
        side = int(len(tiles) ** 0.5)
        tiled = tiles[: side * side].reshape(side, side, 28, 28).transpose(0, 2, 1, 3).reshape(side * 28, side * 28)
        _show(panel, tiled)
        panel.set_title(name, fontsize=9)
        if extent is not None:
            ends = np.linspace(14, side * 28 - 14, 3)
            panel.set_xticks(ends, [f"{-extent:g}", "0", f"{extent:g}"])
            panel.set_yticks(ends, [f"{extent:g}", "0", f"{-extent:g}"])
            panel.set_xlabel("first number")
            panel.set_ylabel("second number")
    figure.suptitle(title)
    return figure


def maps(points: dict[str, tuple[Array, Array]], title: str) -> Figure:
    """Points of images in the plane in the colours of their digits, a panel for each name.

    Args:
        points: By name, coordinates (N, 2) and digits (N,).
        title: Of the figure.
    """
    columns = min(4, len(points))
    rows = -(-len(points) // columns)
    figure = Figure(figsize=(2.8 * columns, 0.7 + 2.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(points) :]:
        panel.set_axis_off()
    for panel, (name, (places, digits)) in zip(panels, points.items(), strict=False):
        for digit in range(10):
            chosen = places[digits == digit]
            size = 10 if len(places) < 1000 else 2
            panel.scatter(
                chosen[:, 0], chosen[:, 1], s=size, color=mpl.colormaps["tab10"](digit), label=str(digit), linewidths=0
            )
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=6)
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=10, title="digit")
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_sizes([30])  # type: ignore[attr-defined]
    figure.suptitle(title)
    return figure


def spectra(power: dict[str, Array], title: str) -> Figure:
    """Power spectra of the residuals, on one logarithmic scale; the frequencies with a period of two pixels are the edges.

    Args:
        power: By name, (28, 28), frequency zero in the middle.
        title: Of the figure.
    """
    figure = Figure(figsize=(2.9 * len(power) + 0.8, 3.4), layout="constrained")
    panels = figure.subplots(1, len(power), squeeze=False)[0]
    scale = mpl.colors.LogNorm(min(each.min() for each in power.values()), max(each.max() for each in power.values()))
    for panel, (name, values) in zip(panels, power.items(), strict=True):
        shown = panel.imshow(values, cmap="viridis", norm=scale, extent=(-0.5, 0.5, 0.5, -0.5))
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("cycles per pixel, along rows")
        panel.grid(visible=False)
    panels[0].set_ylabel("cycles per pixel, along columns")
    figure.colorbar(shown, ax=list(panels), label="power of the residual")
    figure.suptitle(title)
    return figure


def distance_tables(tables: dict[str, Sequence[Sequence[float]]], title: str) -> Figure:
    """Distances between the centres of the digits, each panel over its own mean."""
    columns = min(4, len(tables))
    rows = -(-len(tables) // columns)
    figure = Figure(figsize=(2.7 * columns + 0.8, 0.6 + 2.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(tables) :]:
        panel.set_axis_off()
    for panel, (name, table) in zip(panels, tables.items(), strict=False):
        distances = np.array(table, float)
        np.fill_diagonal(distances, np.nan)
        shown = panel.imshow(distances / np.nanmean(distances), cmap="viridis", vmin=0, vmax=2)
        panel.set_xticks(range(10))
        panel.set_yticks(range(10))
        panel.tick_params(labelsize=7)
        panel.set_title(name, fontsize=9)
        panel.grid(visible=False)
    figure.colorbar(shown, ax=list(panels), label="distance over the mean distance", shrink=0.8)
    figure.suptitle(title)
    return figure


def _show(panel: Axes, picture: Array) -> None:
    panel.imshow(picture, cmap="gray", vmin=0, vmax=255)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.grid(visible=False)
