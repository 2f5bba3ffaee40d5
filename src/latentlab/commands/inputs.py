"""What does the user put in? Test images by index, pictures of their own, and codes.

Legend: N images.
"""

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from latentlab import paths
from latentlab.data import drawing
from latentlab.errors import UserError
from latentlab.models.trained import TrainedModel

Array = np.ndarray
Source = int | Path  # a test image by its index, or a picture of the user's

MOST_IMAGES = 10_000  # that one command reads or makes


@dataclass(frozen=True)
class Preparation:
    """How a user's own picture is brought to the form of the data set's images.

    `as_is`: it is resized, and no more. `ink`: "dark" or "light" if the user says it; None, and it is found out.
    `is_noisy`: it is not cleaned, since its noise is what matters.
    """

    as_is: bool
    ink: str | None
    is_noisy: bool = False


@dataclass(frozen=True)
class Inputs:
    """Images (N, 1, 28, 28) in [0, 1], what each is, and what was done to the user's own."""

    images: Tensor
    names: list[str]
    notes: list[str]


def read_inputs(sources: Sequence[Source], how: Preparation, dataset: str) -> Inputs:
    """Test images of a data set and the user's own pictures, as the models take them.

    Raises:
        UserError: There are none, too many, or one of them cannot be read.
    """
    if not sources:
        raise UserError("no image is given: --index N for a test image, or --image FILE for a picture of yours")
    if len(sources) > MOST_IMAGES:
        raise UserError(f"more than {MOST_IMAGES:,} images")
    test_images, classes = np.empty((0, 28, 28)), np.empty(0)
    if any(isinstance(source, int) for source in sources):
        test_images, classes = read_dataset(dataset, "t10k")
    images: list[Array] = []
    names: list[str] = []
    notes: list[str] = []
    for source in sources:
        if isinstance(source, Path):
            image, done = prepare(source, how)
            images.append(image)
            names.append(str(source))
            notes += done
        elif 0 <= source < len(test_images):
            images.append(test_images[source])
            names.append(f"test image {source}, digit {classes[source]}")
        else:
            raise UserError(f"there is no test image {source}: choose from 0 to {len(test_images) - 1}")
    return Inputs(torch.from_numpy(np.stack(images)).unsqueeze(1), names, notes)


def prepare(path: Path, how: Preparation) -> tuple[Array, list[str]]:
    """A user's picture as an image (28, 28) in [0, 1], and what was done to it, for people.

    Raises:
        UserError: It cannot be read, or no digit is in it.
    """
    grey = drawing.read(path)
    notes = []
    is_dark = how.ink == "dark" or (how.ink is None and drawing.has_dark_ink(grey))
    if is_dark and how.as_is and how.ink is None:
        notes.append(f"{path}: looks dark on light, and stays so (--as-is)")
    elif is_dark:
        grey = 1 - grey
        notes.append(f"{path}: dark on light: inverted")
    if how.as_is or how.is_noisy:
        return drawing.resized(grey), notes
    try:
        image, is_widened = drawing.framed(grey)
    except UserError as error:
        raise UserError(f"{path}: {error} (--as-is takes it as it is)") from None
    if is_widened:
        notes.append(f"{path}: thin strokes: widened to those of MNIST")
    return image, notes


def dataset_of(model: TrainedModel) -> str:
    """The data set that a model was trained on, whose test images are meant."""
    return str(model.description.get("dataset", "mnist"))


def read_dataset(name: str, part: Literal["train", "t10k"]) -> tuple[Array, Array]:
    """All training or test images of a data set (N, 28, 28), float32 in [0, 1], and their classes (N,).

    Raises:
        UserError: They are not there, or damaged.
    """
    folder = paths.data(name)
    try:
        # behind magic number and sizes
        classes = np.frombuffer((folder / f"{part}-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
        pixels = np.frombuffer((folder / f"{part}-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
        return pixels.reshape(len(classes), 28, 28) / np.float32(255), classes
    except FileNotFoundError as error:
        remedy = (
            f"dvc repro download@{name}" if paths.PARAMS.exists() else "go to the project's folder, or give an image file"
        )
        raise UserError(f"{error.filename}: the data set is not here: {remedy}") from None
    except ValueError:
        raise UserError(f"{folder}: the data set is damaged: dvc repro --force download@{name}") from None


def read_codes(path: Path, code_shape: Sequence[int]) -> tuple[Array, str]:
    """The codes of an NPZ file, (N, ...) float32, and the name of the model that made them, empty if it says none.

    Args:
        path: A file that `latentlab encode` wrote, or any with an array `codes` of numbers, (N, ...) or one code (...).
        code_shape: Of one code of the model that is to decode them.

    Raises:
        UserError: There is no such file, it is damaged, or holds no codes of that shape.
    """
    if not path.is_file():
        raise UserError(f"{path}: is not a file" if path.exists() else f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > 16 * MOST_IMAGES * math.prod(code_shape) + 10_000_000:
            raise UserError(f"{path}: holds {size:,} bytes, more than {MOST_IMAGES:,} codes take")
        with np.load(path, allow_pickle=False) as arrays:
            if "codes" not in arrays:
                raise UserError(f"{path}: has no array `codes`: it has {', '.join(arrays.files[:10]) or 'none'}")
            codes, model = arrays["codes"], str(arrays["model"]) if "model" in arrays else ""
            if not isinstance(codes, np.ndarray):  # NumPy gives the bytes of what is no array
                raise UserError(f"{path}: `codes` is no array of NumPy's")
    except UserError:
        raise
    except Exception as error:  # what NumPy, zipfile and the decompressors raise depends on where the damage is
        raise UserError(f"{path}: is not an NPZ file of numbers: {error or type(error).__name__}") from None
    shape = tuple(code_shape)
    if codes.dtype.kind not in "fiu":
        raise UserError(f"{path}: `codes` holds {codes.dtype}, not numbers")
    if codes.shape == shape:
        codes = codes[None]
    if codes.shape[1:] != shape or not 1 <= len(codes) <= MOST_IMAGES:
        wanted = ", ".join(("N", *map(str, shape)))
        raise UserError(
            f"{path}: `codes` is {codes.shape}, and the model's codes are ({wanted}), N from 1 to {MOST_IMAGES:,}"
        )
    with np.errstate(over="ignore"):
        codes = codes.astype(np.float32)
    if not np.isfinite(codes).all():
        raise UserError(f"{path}: `codes` has numbers that are not finite")
    return codes, model
