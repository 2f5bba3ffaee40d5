"""What do ordinary image formats make of the same images, in bytes and in quality?"""

import io
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from latentlab.evaluation.reconstruction import similarity

# Pillow's arguments for a format at a quality; lossless ones have none
LOSSLESS = {"png": {"format": "PNG", "optimize": True}, "webp_lossless": {"format": "WEBP", "lossless": True, "method": 4}}
LOSSY = {"jpeg": {"format": "JPEG", "optimize": True}, "webp": {"format": "WEBP", "method": 4}}
QUALITIES = range(1, 101)


def codec_curve(images: Tensor, num_images: int, qualities: Sequence[int] = QUALITIES) -> Iterator[dict[str, object]]:
    """Bytes and quality of PNG and lossless WebP, and of JPEG and WebP at all qualities.

    Args:
        images: (N, 1, 28, 28), multiples of 1/255 in [0, 1].
        num_images: How many of them are stored each by itself ("single"); all N are tiled into one picture ("sheet"), so
            that the headers do not decide.
        qualities: Of the lossy formats.

    Yields:
        "codec", "quality" (None for a lossless one), "layout" ("single" or "sheet"), "bytes_per_image", headers included,
        and "mse", "psnr", "ssim" of the images as they come back.
    """
    singles = images[:num_images]
    for layout, targets, pictures in (
        ("single", singles, [_bytes(image) for image in singles[:, 0]]),
        ("sheet", images, [_bytes(sheet(images))]),
    ):
        for codec, quality, arguments in _settings(qualities):
            stored = [_store(picture, arguments) for picture in pictures]
            back = [torch.from_numpy(np.array(Image.open(io.BytesIO(each)).convert("L"))) for each in stored]
            outputs = (tiles(back[0], len(images)) if layout == "sheet" else torch.stack(back).unsqueeze(1)) / 255
            yield {
                "codec": codec,
                "quality": quality,
                "layout": layout,
                "bytes_per_image": sum(len(each) for each in stored) / len(targets),
                **similarity(outputs, targets),
            }


def sheet(images: Tensor) -> Tensor:
    """All images side by side in one nearly square picture, black where there are too few: (N, 1, 28, 28) -> (H, W)."""
    columns = int(np.ceil(len(images) ** 0.5))
    rows = -(-len(images) // columns)
    padded = torch.cat([images[:, 0], images.new_zeros(rows * columns - len(images), 28, 28)])
    return padded.reshape(rows, columns, 28, 28).transpose(1, 2).reshape(rows * 28, columns * 28)


def tiles(picture: Tensor, num_images: int) -> Tensor:
    """The images of a `sheet`, (H, W) -> (N, 1, 28, 28)."""
    rows, columns = picture.shape[0] // 28, picture.shape[1] // 28
    return picture.reshape(rows, 28, columns, 28).transpose(1, 2).reshape(-1, 1, 28, 28)[:num_images]


def _settings(qualities: Sequence[int]) -> Iterator[tuple[str, int | None, dict[str, object]]]:
    for codec, arguments in LOSSLESS.items():
        yield codec, None, dict(arguments)
    for codec, arguments in LOSSY.items():
        for quality in qualities:
            yield codec, quality, arguments | {"quality": quality}


def _bytes(image: Tensor) -> np.ndarray:
    return image.mul(255).round().byte().numpy()


def _store(picture: np.ndarray, arguments: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, **arguments)  # type: ignore[arg-type]
    return buffer.getvalue()
