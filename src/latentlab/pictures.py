"""How do images become a picture for people? Enlarged, side by side, under their names.

Legend: R rows, C columns.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Array = np.ndarray

_WIDTH = 1200  # pixels that a picture fills but does not pass, where it can
_LARGEST = 8  # times
_TEXT = 18  # height of the letters, pixels


def grid(images: Array, num_columns: int) -> Array:
    """Images (N, 28, 28) in rows, (R, C, 28, 28); the places that are left over are NaN."""
    num_rows = -(-len(images) // num_columns)
    filled = np.full((num_rows * num_columns, 28, 28), np.nan, np.float32)
    filled[: len(images)] = images
    return filled.reshape(num_rows, num_columns, 28, 28)


def sheet(images: Array, titles: Sequence[str] = ()) -> Image.Image:
    """Images on white, each pixel a square of whole pixels, so that none is lost.

    Args:
        images: (R, C, 28, 28) in [0, 1], and what is beyond is cut off; NaN is left white.
        titles: Of the columns; none if empty.
    """
    num_rows, num_columns = images.shape[:2]
    # the letters of a title need two pixels for each of the image
    scale = max(2 if titles else 1, min(_LARGEST, _WIDTH // (30 * num_columns)))
    pixels = np.nan_to_num(images, nan=1).clip(0, 1) * 255  # (R, C, 28, 28)
    tiles = np.pad(pixels.round().astype(np.uint8), [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=255)
    flat = tiles.transpose(0, 2, 1, 3).reshape(30 * num_rows, 30 * num_columns)
    enlarged = flat.repeat(scale, axis=0).repeat(scale, axis=1)
    head = 2 * _TEXT if titles else 0
    page = Image.new("L", (enlarged.shape[1], enlarged.shape[0] + head), 255)
    page.paste(Image.fromarray(enlarged), (0, head))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(_TEXT)
    for column, title in enumerate(titles):
        draw.text(((column + 0.5) * 30 * scale, head / 2), title, fill=0, font=font, anchor="mm")
    return page


def plain(images: Array) -> Image.Image:
    """Images (N, 28, 28) in [0, 1] under each other, pixel by pixel, without anything else."""
    return Image.fromarray((images.clip(0, 1) * 255).round().astype(np.uint8).reshape(-1, 28))


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG, the same bytes each time."""
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def scatter(points: Array, digits: Array, marked: Sequence[tuple[str, Array]], title: str) -> bytes:
    """Points in the plane in the colours of their digits, as a PNG.

    Args:
        points: (N, 2).
        digits: (N,).
        marked: Names and places (2,) of further points, which get a star.
        title: Of the picture.
    """
    from matplotlib import colormaps, style
    from matplotlib.figure import Figure

    # the same picture whatever style the program has set for its other figures
    with style.context("default"):
        figure = Figure(figsize=(8, 7), dpi=120, layout="constrained")
        panel = figure.subplots()
        for digit in range(10):
            chosen = points[digits == digit]
            panel.scatter(chosen[:, 0], chosen[:, 1], s=12, color=colormaps["tab10"](digit), label=str(digit), linewidths=0)
        for name, point in marked:
            panel.scatter(point[0], point[1], s=320, marker="*", color="black", edgecolors="white", zorder=3)
            panel.annotate(name, (point[0], point[1]), xytext=(10, 6), textcoords="offset points", fontsize=11, zorder=4)
        panel.set_title(title)
        panel.set_aspect("equal", adjustable="datalim")
        figure.legend(
            *panel.get_legend_handles_labels(), loc="outside right center", title="digit", markerscale=2, frameon=False
        )
        buffer = BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
