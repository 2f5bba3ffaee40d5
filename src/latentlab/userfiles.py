"""Which files does the user read and write? Codes as NPZ, pictures as PNG, and MNIST's test images by their index.

Legend: N images, D numbers in the code.
"""

import math
import os
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from latentlab import layout
from latentlab.errors import UserError
from latentlab.wholefiles import replacing

Array = np.ndarray

MOST_IMAGES = 10_000  # that one command reads or makes


def check_output(path: Path, suffix: str, inputs: Sequence[Path] = ()) -> None:
    """Says before any work that a file cannot be written.

    Args:
        path: The file to write.
        suffix: That it must have, such as ".png".
        inputs: Files of the user's that it must not replace.

    Raises:
        UserError: It has another suffix, is an input or a folder, or its folder does not exist or cannot be written to.
    """
    if path.suffix.lower() != suffix:
        raise UserError(
            f"{path}: the output is {'a PNG' if suffix == '.png' else 'an NPZ'} file: let its name end in {suffix}"
        )
    if path.is_dir():
        raise UserError(f"{path}: is a folder")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"{path}: cannot be written: permission denied")
    if any(each.exists() and path.exists() and path.samefile(each) for each in inputs):
        raise UserError(f"{path}: is the input: give the output another name")


def write(content: bytes, path: Path) -> None:
    """Writes a file whole or not at all.

    Raises:
        UserError: It cannot be written.
    """
    try:
        # a folder of our own for what is not whole yet: any name beside the file may be one of the user's
        with TemporaryDirectory(dir=path.parent, prefix=".partial-") as folder, replacing(path, Path(folder)) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def codes_npz(codes: Array, model: str, names: Sequence[str]) -> bytes:
    """Codes as an NPZ file: `codes` (N, ...) float32, `images`, what each is of, and `model`, whose they are."""
    buffer = BytesIO()
    np.savez(buffer, codes=codes, images=np.array(names), model=np.array(model))
    return buffer.getvalue()


def read_codes(path: Path, code_shape: Sequence[int]) -> tuple[Array, str]:
    """The codes of an NPZ file, (N, ...) float32, and the name of the model that made them, empty if it says none.

    Args:
        path: A file as `codes_npz` makes them, or any with an array `codes` of numbers, (N, ...) or one code (...).
        code_shape: Of one code of the model that is to decode them.

    Raises:
        UserError: There is no such file, it is damaged, or holds no codes of that shape.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(f"{path}: is not a file")
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


def mnist(part: Literal["train", "t10k"]) -> tuple[Array, Array]:
    """MNIST's training or test images (N, 28, 28), float32 in [0, 1], and their digits (N,), as they lie in the files.

    Raises:
        UserError: They are not there, or damaged.
    """
    images, digits = (layout.DATA / f"{part}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
    try:
        # behind magic number and sizes
        labels = np.frombuffer(digits.read_bytes(), np.uint8, offset=8)
        pixels = np.frombuffer(images.read_bytes(), np.uint8, offset=16).reshape(len(labels), 28, 28)
    except FileNotFoundError as error:
        where = "dvc repro download" if layout.PARAMS.exists() else "go to the project's folder, or give an image file"
        raise UserError(f"{error.filename}: MNIST is not here: {where}") from None
    except ValueError:
        raise UserError(f"{layout.DATA}: MNIST is damaged: dvc repro --force download") from None
    return pixels / np.float32(255), labels
