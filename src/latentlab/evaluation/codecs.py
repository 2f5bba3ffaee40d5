"""What do ordinary image formats make of the same images, in bytes and in quality?"""

import gzip
import io
from collections.abc import Iterator, Sequence

import numpy as np
import pillow_jxl  # noqa: F401  # makes Pillow read and write JPEG XL
import torch
from PIL import Image
from torch import Tensor

from latentlab.evaluation import pictures
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.reconstruction import similarity
from latentlab.params.strict import Count, Section

Array = np.ndarray

# Pillow's arguments for a format at a quality; lossless ones have none
LOSSLESS = {
    "png": {"format": "PNG", "optimize": True},
    "webp_lossless": {"format": "WEBP", "lossless": True, "method": 4},
    "jpeg_xl_lossless": {"format": "JXL", "lossless": True, "effort": 9},
}
LOSSY = {"jpeg": {"format": "JPEG", "optimize": True}, "webp": {"format": "WEBP", "method": 4}}
QUALITIES = range(1, 101)


class Settings(Section):
    """How many test images are stored each by itself; the sheet holds all of them."""

    num_images: Count


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """The curve of the test images, whatever is done with them otherwise."""
    return Analysis({"curve": list(codec_curve(subject.data.test.images, settings.num_images))})


def codec_curve(images: Tensor, num_images: int, qualities: Sequence[int] = QUALITIES) -> Iterator[dict[str, object]]:
    """Bytes and quality of PNG, lossless WebP, lossless JPEG XL and gzip, and of JPEG and WebP at all qualities.

    Args:
        images: (N, C, H, W), multiples of 1/255 in [0, 1].
        num_images: How many of them are stored each by itself ("single"); all N are tiled into one picture ("sheet"), so
            that the headers do not decide. gzip, which is no image format, gets the pixels of all N one after the other
            (as "sheet").
        qualities: Of the lossy formats.

    Yields:
        "codec", "quality" (None for a lossless one), "layout" ("single" or "sheet"), "bytes_per_image", headers included,
        and "mse", "psnr", "ssim" of the images as they come back.
    """
    stored = pictures.as_bytes(images.numpy())  # (N, C, H, W)
    for layout, targets, wholes in (
        ("single", images[:num_images], [sheet(image[None]) for image in stored[:num_images]]),
        ("sheet", images, [sheet(stored)]),
    ):
        for codec, quality, arguments in _settings(qualities):
            files = [_store(whole, arguments) for whole in wholes]
            mode = "L" if images.shape[1] == 1 else "RGB"
            back = [np.array(Image.open(io.BytesIO(file)).convert(mode)) for file in files]
            outputs = torch.from_numpy(np.concatenate([tiles(each, images.shape) for each in back])[: len(targets)]) / 255
            yield {
                "codec": codec,
                "quality": quality,
                "layout": layout,
                "bytes_per_image": sum(len(file) for file in files) / len(targets),
                **similarity(outputs, targets),
            }
    packed = gzip.compress(stored.tobytes())
    outputs = torch.from_numpy(np.frombuffer(gzip.decompress(packed), np.uint8).reshape(stored.shape).copy()) / 255
    yield {
        "codec": "gzip",
        "quality": None,
        "layout": "sheet",
        "bytes_per_image": len(packed) / len(images),
        **similarity(outputs, images),
    }


def sheet(images: Array) -> Array:
    """All images side by side in one nearly square picture, black where there are too few: (N, C, H, W) to pixels."""
    return pictures.tile(pictures.grid(images, int(np.ceil(len(images) ** 0.5)), empty=0))


def tiles(picture: Array, shape: Sequence[int]) -> Array:
    """The images of a `sheet`, the black ones at its end too: pixels to (R K, C, H, W), the last three as in `shape`."""
    channels, height, width = shape[1:]
    parts = picture.reshape(picture.shape[0] // height, height, picture.shape[1] // width, width, channels)
    return parts.transpose(0, 2, 4, 1, 3).reshape(-1, channels, height, width)


def _settings(qualities: Sequence[int]) -> Iterator[tuple[str, int | None, dict[str, object]]]:
    for codec, arguments in LOSSLESS.items():
        yield codec, None, dict(arguments)
    for codec, arguments in LOSSY.items():
        for quality in qualities:
            yield codec, quality, arguments | {"quality": quality}


def _store(picture: Array, arguments: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, **arguments)  # type: ignore[arg-type]
    return buffer.getvalue()
