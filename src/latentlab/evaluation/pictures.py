"""How do images become a picture for people? Enlarged, side by side, under their names.

Legend: N images, R rows, K columns, C channels (1 or 3), H and W height and width.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Array = np.ndarray

_WIDTH = 1200  # pixels that a picture fills but does not pass, where it can
_LARGEST = 8  # times
_TEXT = 18  # height of the letters, pixels


def as_bytes(images: Array) -> Array:
    """Images in [0, 1] as they are stored, uint8; what is beyond is cut off."""
    stored: Array = (images.clip(0, 1) * 255).round().astype(np.uint8)
    return stored


def grid(images: Array, num_columns: int, empty: float = np.nan) -> Array:
    """Images (N, C, H, W) in rows, (R, K, C, H, W); the places that are left over are filled with one number."""
    num_rows = -(-len(images) // num_columns)
    filled = np.full((num_rows * num_columns, *images.shape[1:]), empty, images.dtype)
    filled[: len(images)] = images
    return filled.reshape(num_rows, num_columns, *images.shape[1:])


def tile(images: Array, frame: int | None = None, scale: int = 1) -> Array:
    """Images side by side as one, each pixel a square of whole pixels, so that none is lost.

    Args:
        images: (R, K, C, H, W).
        frame: What each image gets around it, a pixel wide; None for no frame.
        scale: Side of a square.

    Returns:
        (R H scale, K W scale) of grey images, the same with a third axis of 3 of coloured ones.
    """
    if frame is not None:
        images = np.pad(images, [(0, 0), (0, 0), (0, 0), (1, 1), (1, 1)], constant_values=frame)
    num_rows, num_columns, channels, height, width = images.shape
    flat = images.transpose(0, 3, 1, 4, 2).reshape(num_rows * height, num_columns * width, channels)
    large = flat.repeat(scale, axis=0).repeat(scale, axis=1)
    return large[:, :, 0] if channels == 1 else large


def framed(images: Array) -> bytes:
    """Images (R, K, C, H, W), uint8, in grey frames, as a PNG."""
    return png(Image.fromarray(tile(images, 128, 3)))


def sheet(images: Array, titles: Sequence[str] = ()) -> Image.Image:
    """Images on white, as large as fits.

    Args:
        images: (R, K, C, H, W) in [0, 1], and what is beyond is cut off; NaN is left white.
        titles: Of the columns; none if empty.
    """
    step = images.shape[4] + 2  # with the frame
    # the letters of a title need two pixels for each of the image
    scale = max(2 if titles else 1, min(_LARGEST, _WIDTH // (step * images.shape[1])))
    tiled = tile(as_bytes(np.nan_to_num(images, nan=1)), 255, scale)
    head = 2 * _TEXT if titles else 0
    picture = Image.fromarray(tiled)
    page = Image.new(picture.mode, (picture.width, picture.height + head), "white")
    page.paste(picture, (0, head))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(_TEXT)
    for column, title in enumerate(titles):
        draw.text(((column + 0.5) * step * scale, head / 2), title, fill="black", font=font, anchor="mm")
    return page


def plain(images: Array) -> Image.Image:
    """Images (N, C, H, W) in [0, 1] under each other, pixel by pixel, without anything else."""
    return Image.fromarray(tile(as_bytes(images)[:, None]))


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG, the same bytes each time."""
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def scatter(
    points: Array, labels: Array | None, classes: Sequence[str], marked: Sequence[tuple[str, Array]], title: str
) -> bytes:
    """Points in the plane in the colours of their classes, as a PNG.

    Args:
        points: (N, 2).
        labels: (N,); None for images without classes.
        classes: Names of the labels; of more than ten, colours come again.
        marked: Names and places (2,) of further points, which get a star.
        title: Of the picture.
    """
    from matplotlib import colormaps, style
    from matplotlib.figure import Figure

    # the same picture whatever style the program has set for its other figures
    with style.context("default"):
        figure = Figure(figsize=(8, 7), dpi=120, layout="constrained")
        panel = figure.subplots()
        if labels is None:
            panel.scatter(points[:, 0], points[:, 1], s=12, linewidths=0)
        for label, name in enumerate(classes):
            chosen = points[labels == label]
            panel.scatter(chosen[:, 0], chosen[:, 1], s=12, color=colormaps["tab10"](label % 10), label=name, linewidths=0)
        for name, point in marked:
            panel.scatter(point[0], point[1], s=320, marker="*", color="black", edgecolors="white", zorder=3)
            panel.annotate(name, (point[0], point[1]), xytext=(10, 6), textcoords="offset points", fontsize=11, zorder=4)
        panel.set_title(title)
        panel.set_aspect("equal", adjustable="datalim")
        if classes:
            entries = panel.get_legend_handles_labels()
            figure.legend(*entries, loc="outside right center", title="class", markerscale=2, frameon=False)
        buffer = BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
