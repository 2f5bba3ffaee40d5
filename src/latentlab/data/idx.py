"""The files of a data set: images and labels in the format of MNIST, `idx`, for any number of channels.

A data set has `train-images-idx3-ubyte` and `t10k-images-idx3-ubyte` (idx4 with three channels). Where it has classes it
has the same with `labels-idx1`, and where these have names, a file of them, a line each.
"""

import struct
from pathlib import Path

import numpy as np

PARTS = ("train", "t10k")
CLASSES = "classes.txt"


def encode(array: np.ndarray) -> bytes:
    """An array of unsigned bytes as an idx file: magic number and sizes big-endian, then the values."""
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + np.ascontiguousarray(array, np.uint8).tobytes()


def decode(data: bytes) -> np.ndarray:
    """The array of an idx file of unsigned bytes.

    Raises:
        ValueError: It is no such file, or is cut off.
    """
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise ValueError("it is no idx file of unsigned bytes")
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    if values.size != np.prod(shape, dtype=np.int64):
        raise ValueError(f"it has {values.size} values, not those of {shape}")
    return values.reshape(shape)


def files(folder: Path) -> list[Path]:
    """The files of a data set, in the order in which its digest takes them."""
    named = [next(iter(folder.glob(f"{part}-{what}-idx?-ubyte")), None) for part in PARTS for what in ("images", "labels")]
    return [path for path in (*named, folder / CLASSES) if path is not None and path.exists()]


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels (N, C, H, W) and labels (N,), both uint8, of a part; no labels where there are no classes.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: A file of it is damaged.
    """
    images = next(folder.glob(f"{part}-images-idx?-ubyte"), folder / f"{part}-images-idx3-ubyte")
    labels = folder / f"{part}-labels-idx1-ubyte"
    pixels = decode(images.read_bytes())
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    return pixels, decode(labels.read_bytes()) if labels.exists() else None


def write(folder: Path, part: str, pixels: np.ndarray, labels: np.ndarray | None) -> None:
    """Writes a part: pixels (N, H, W) or (N, H, W, 3), and labels (N,), uint8."""
    (folder / f"{part}-images-idx{pixels.ndim}-ubyte").write_bytes(encode(pixels))
    if labels is not None:
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(encode(labels))
