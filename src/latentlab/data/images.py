"""MNIST as tensors in memory: reading, the split, and the degradation of inputs."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentlab.data.sources import FILES
from latentlab.params.datasets import Split


@dataclass(frozen=True)
class Images:
    """Images (N, 1, 28, 28), float32 in [0, 1], and their digits (N,), int64."""

    images: Tensor
    digits: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "Images":
        """The same on another device."""
        return Images(self.images.to(device), self.digits.to(device))


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set."""

    train: Images
    validation: Images
    test: Images

    def training_images(self) -> Images:
        """Training and validation images together, the 60,000 of a full study; for probes and PCA, never for `fit`."""
        return Images(
            torch.cat([self.train.images, self.validation.images]),
            torch.cat([self.train.digits, self.validation.digits]),
        )


def load(folder: Path, split: Split) -> Splits:
    """Reads the four decoded files and splits the training images, stratified by digit.

    Args:
        folder: Holds the files as the download stage leaves them.
        split: How many images each part has, and the seed that chooses them. The test part is a prefix of the official
            test images; all of them in a full study.
    """
    images = _images(folder / "train-images-idx3-ubyte")
    digits = _digits(folder / "train-labels-idx1-ubyte")
    train, validation = stratified_split(digits.numpy(), [split.train, split.validation], split.seed)
    test_images = _images(folder / "t10k-images-idx3-ubyte")[: split.test]
    test_digits = _digits(folder / "t10k-labels-idx1-ubyte")[: split.test]
    return Splits(
        train=Images(images[train], digits[train]),
        validation=Images(images[validation], digits[validation]),
        test=Images(test_images, test_digits),
    )


def digest(folder: Path) -> str:
    """Fingerprint of the four files, 32 hexadecimal digits."""
    total = hashlib.sha256()
    for name in FILES:
        total.update((folder / name).read_bytes())
    return total.hexdigest()[:32]


def stratified_split(digits: np.ndarray, sizes: list[int], seed: int) -> list[Tensor]:
    """Disjoint index sets of the given sizes in which each digit has its share to within one image.

    Args:
        digits: (N,) labels.
        sizes: How many indices each part gets; together at most N.
        seed: Of the shuffle.

    Returns:
        Ascending indices, int64, one tensor per size.
    """
    from sklearn.model_selection import train_test_split

    rest = np.arange(len(digits))
    parts = []
    for size in sizes:
        if size < len(rest):
            chosen, rest = train_test_split(rest, train_size=size, stratify=digits[rest], random_state=seed)
        else:
            chosen, rest = rest, rest[:0]
        parts.append(torch.from_numpy(np.sort(chosen)))
    return parts


def degrade(images: Tensor, input_size: int) -> Tensor:
    """What a variant's encoder sees: the images, or the images downsampled bilinearly.

    Args:
        images: (N, 1, 28, 28).
        input_size: 28 for the images as they are (the same tensor), less for (N, 1, input_size, input_size).
    """
    if input_size == images.shape[-1]:
        return images
    size = (input_size, input_size)
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False)


def add_noise(images: Tensor, sigma: float | Tensor, generator: torch.Generator) -> Tensor:
    """Images with Gaussian noise, clamped to [0, 1].

    Args:
        images: (N, 1, H, W) in [0, 1].
        sigma: Standard deviation of the noise before the clamp, in units of the full range; one for all, or (N, 1, 1, 1).
        generator: On the images' device. Generators of the same seed give the same noise up to the factor sigma.
    """
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return (images + sigma * noise).clamp_(0, 1)


def _images(path: Path) -> Tensor:
    pixels = np.frombuffer(path.read_bytes(), np.uint8, offset=16)  # behind magic number, count, height, width
    return torch.from_numpy(pixels.reshape(-1, 1, 28, 28).astype(np.float32)).div_(255)


def _digits(path: Path) -> Tensor:
    return torch.from_numpy(np.frombuffer(path.read_bytes(), np.uint8, offset=8).astype(np.int64))
