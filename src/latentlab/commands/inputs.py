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
from latentlab.data import drawing, own, sheets
from latentlab.data import images as data
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
    """Images (N, C, H, W) in [0, 1], what each is, and what was done to the user's own."""

    images: Tensor
    names: list[str]
    notes: list[str]


def read_inputs(sources: Sequence[Source], how: Preparation, model: TrainedModel) -> Inputs:
    """Test images of a model's data set and the user's own pictures, as the model takes them.

    Raises:
        UserError: There are none, too many, or one of them cannot be read.
    """
    if not sources:
        raise UserError("no image is given: --index N for a test image, or --image FILE for a picture of yours")
    if len(sources) > MOST_IMAGES:
        raise UserError(f"more than {MOST_IMAGES:,} images")
    test, classes = data.Images(torch.empty(0), None), list[str]()
    if any(isinstance(source, int) for source in sources):
        test, classes = read_dataset(dataset_of(model), "t10k")
    images: list[Tensor] = []
    names: list[str] = []
    notes: list[str] = []
    for source in sources:
        if isinstance(source, Path):
            image, done = prepare(source, how, model)
            images.append(image)
            names.append(str(source))
            notes += done
        elif 0 <= source < len(test):
            images.append(test.images[source])
            label = "" if test.labels is None else f", class {classes[int(test.labels[source])]}"
            names.append(f"test image {source}{label}")
        else:
            raise UserError(f"there is no test image {source}: choose from 0 to {len(test) - 1}")
    return Inputs(torch.stack(images), names, notes)


def prepare(path: Path, how: Preparation, model: TrainedModel) -> tuple[Tensor, list[str]]:
    """A user's picture as an image (C, H, W) in [0, 1] of a model's data set, and what was done to it, for people.

    Raises:
        UserError: It cannot be read, no character is in it, or `how` does not suit the data set.
    """
    form = model.description["images"]
    if form.get("kind") in (*drawing.CHARACTERS, "fashion_mnist"):
        image, notes = _bright_on_dark(path, how, model.shape[1], form["kind"])
        return torch.from_numpy(image).unsqueeze(0), notes
    if how.ink:
        raise UserError(f"{path}: --ink is for models of characters, and {model.name} is none")
    try:
        pixels = own.read_picture(path, model.shape, "stretch" if how.as_is else form.get("fit", "crop"))
    except own.OwnImagesError as error:
        raise UserError(f"{path}: {error}") from None
    return torch.from_numpy(pixels).reshape(*model.shape[1:], model.shape[0]).permute(2, 0, 1) / 255, []


def _bright_on_dark(path: Path, how: Preparation, size: int, kind: str) -> tuple[Array, list[str]]:
    """The picture as the images of MNIST and of Fashion-MNIST are, (size, size), and what was done to it."""
    grey = drawing.read(path)
    notes = []
    is_framed = kind in drawing.CHARACTERS and not (how.as_is or how.is_noisy)
    if is_framed and (sheet := sheets.cut_out(grey)) is not grey:
        grey = sheet
        notes.append(f"{path}: the sheet is cut out of what is around it")
    is_dark = how.ink == "dark" or (how.ink is None and drawing.has_dark_ink(grey))
    if is_dark and how.as_is and how.ink is None:
        notes.append(f"{path}: looks dark on light, and stays so (--as-is)")
    elif is_dark:
        grey = 1 - grey
        notes.append(f"{path}: dark on light: inverted")
    if not is_framed:
        return drawing.resized(grey if how.as_is or how.is_noisy else drawing.padded(grey), size), notes
    try:
        image, is_widened = drawing.framed(grey)
    except UserError as error:
        raise UserError(f"{path}: {error} (--as-is takes it as it is)") from None
    if is_widened:
        notes.append(f"{path}: thin strokes: widened to those of MNIST")
    if kind in ("mnist", "qmnist"):
        notes += [f"{path}: {doubt}" for doubt in drawing.doubts(image)]
    return drawing.resized(image, size), notes


def dataset_of(model: TrainedModel) -> str:
    """The data set that a model was trained on, whose test images are meant."""
    return str(model.description.get("dataset", "mnist"))


def read_dataset(name: str, part: Literal["train", "t10k"]) -> tuple[data.Images, list[str]]:
    """All training or test images of a data set, and the names of its classes.

    Raises:
        UserError: They are not there, or damaged.
    """
    folder = paths.data(name)
    try:
        images = data.part(folder, part)
        return images, data.class_names(folder, images.labels)
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
