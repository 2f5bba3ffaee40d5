"""Images as tensors in memory: reading, the split, and the degradation of inputs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentlab.data import idx
from latentlab.params.datasets import Shares, Split


@dataclass(frozen=True)
class Images:
    """Images (N, C, H, W), float32 in [0, 1], and their labels (N,), int64; None where they have no classes."""

    images: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.images)

    def chosen(self, indices: Tensor | slice) -> "Images":
        """Some of them, in that order."""
        return Images(self.images[indices], None if self.labels is None else self.labels[indices])


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set; `classes` are the names of its classes, by label, none where it has no classes."""

    train: Images
    validation: Images
    test: Images
    classes: Sequence[str]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def training_images(self) -> Images:
        """Training and validation images together, for probes and PCA, never for `fit`."""
        train, validation = self.train, self.validation
        labels = None
        if train.labels is not None and validation.labels is not None:
            labels = torch.cat([train.labels, validation.labels])
        return Images(torch.cat([train.images, validation.images]), labels)


def load(folder: Path, split: Split | Shares) -> Splits:
    """Reads a data set and splits its training images, stratified by class where there are classes.

    Args:
        folder: Holds the files as the download stage leaves them.
        split: How many images each part has, and the seed that chooses them. A test part of a number of images is a prefix
            of the test images; one of a share is all of them, as the download stage has set it aside.
    """
    both, test = part(folder, "train"), part(folder, "t10k")
    if isinstance(split, Shares):
        num_validation = round(split.validation * (len(both) + len(test)))
        sizes = [len(both) - num_validation, num_validation]
    else:
        sizes = [split.train, split.validation]
        test = test.chosen(slice(split.test))
    labels = None if both.labels is None else both.labels.numpy()
    train, validation = stratified_split(labels, len(both), sizes, split.seed)
    return Splits(both.chosen(train), both.chosen(validation), test, class_names(folder, both.labels))


def digest(folder: Path) -> str:
    """Fingerprint of the files of a data set, 32 hexadecimal digits."""
    return _digest(tuple((path.resolve(), path.stat().st_size, path.stat().st_mtime_ns) for path in idx.files(folder)))


@cache  # the plan asks for it for each run
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    total = hashlib.sha256()
    for path, _, _ in files:
        total.update(path.read_bytes())
    return total.hexdigest()[:32]


def stratified_split(labels: np.ndarray | None, num_images: int, sizes: Sequence[int], seed: int) -> list[Tensor]:
    """Disjoint index sets of the given sizes, in which each class has its share to within one image.

    Args:
        labels: (N,); None for images without classes.
        num_images: N.
        sizes: How many indices each part gets; together at most N.
        seed: Of the shuffle.

    Returns:
        Ascending indices, int64, one tensor per size.
    """
    from sklearn.model_selection import train_test_split

    rest = np.arange(num_images)
    parts = []
    for size in sizes:
        if size < len(rest):
            strata = None if labels is None else labels[rest]
            chosen, rest = train_test_split(rest, train_size=size, stratify=strata, random_state=seed)
        else:
            chosen, rest = rest, rest[:0]
        parts.append(torch.from_numpy(np.sort(chosen)))
    return parts


def degrade(images: Tensor, downsampling: int) -> Tensor:
    """What a variant's encoder sees: the images, or the images downsampled bilinearly.

    Args:
        images: (N, C, H, W).
        downsampling: 1 for the images as they are (the same tensor), n for (N, C, H / n, W / n), rounded up.
    """
    if downsampling == 1:
        return images
    size = [-(-side // downsampling) for side in images.shape[2:]]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False)


def add_noise(images: Tensor, sigma: float | Tensor, generator: torch.Generator) -> Tensor:
    """Images with Gaussian noise, clamped to [0, 1].

    Args:
        images: (N, C, H, W) in [0, 1].
        sigma: Standard deviation of the noise before the clamp, in units of the full range; one for all, or (N, 1, 1, 1).
        generator: On the images' device. Generators of the same seed give the same noise up to the factor sigma.
    """
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return (images + sigma * noise).clamp_(0, 1)


def part(folder: Path, name: str) -> Images:
    """All images of a part, "train" or "t10k".

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is damaged.
    """
    pixels, labels = idx.read(folder, name)
    images = torch.from_numpy(pixels.astype(np.float32)).div_(255)
    return Images(images, None if labels is None else torch.from_numpy(labels.astype(np.int64)))


def class_names(folder: Path, labels: Tensor | None) -> list[str]:
    """The names of the classes by label: numbers where nothing else names them, none where there are no classes.

    Args:
        folder: Of the data set.
        labels: Of one of its parts, (N,).
    """
    names = folder / idx.CLASSES
    if names.exists():
        return names.read_text(encoding="utf-8").splitlines()
    return [] if labels is None else [str(label) for label in range(int(labels.max()) + 1)]
