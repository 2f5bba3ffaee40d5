"""Images, and what makes codes of them, small enough to be measured in a second."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from latentlab.data.images import Images, Splits, degrade
from latentlab.evaluation.analysis import Subject
from latentlab.evaluation.pca import of_baseline
from latentlab.evaluation.reconstruction import apply
from latentlab.models.base import Autoencoder
from latentlab.params.datasets import Shape

GREY: Shape = (1, 28, 28)
COLOUR: Shape = (3, 18, 18)
CLASSES = ("left", "middle", "right")


def noise(count: int, seed: int = 0, shape: Shape = GREY) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def smooth(count: int, shape: Shape = GREY) -> Tensor:
    """Soft spots without an edge."""
    return F.interpolate(noise(count, shape=(shape[0], 7, 7)), size=shape[1:], mode="bicubic").clamp(0, 1)


@cache
def digits(count: int, seed: int = 0) -> Images:
    """Printed digits of many places, sizes and angles: soft strokes on black, as handwritten ones are."""
    random = np.random.default_rng(seed)
    pictures, labels = [], np.arange(count) % 10
    for label in labels:
        picture = Image.new("L", (28, 28))
        font = ImageFont.load_default(int(random.integers(17, 23)))
        ImageDraw.Draw(picture).text(tuple(random.uniform(12, 16, 2)), str(label), fill=255, font=font, anchor="mm")
        pictures.append(np.array(picture.rotate(random.uniform(-15, 15), Image.Resampling.BILINEAR)))
    images = torch.from_numpy(np.stack(pictures)).unsqueeze(1) / 255
    return Images(images, torch.from_numpy(labels))


@cache
def splits() -> Splits:
    return Splits(digits(400, 1), digits(100, 2), digits(200, 3), [str(digit) for digit in range(10)])


def stripes(count: int, seed: int, shape: Shape, classes: tuple[str, ...]) -> Images:
    """A bright third on noise, of another place, and of another colour, in each class."""
    labels = torch.arange(count) % 3
    images = 0.3 * noise(count, seed, shape)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[label % shape[0], :, label * shape[2] // 3 : (label + 1) * shape[2] // 3] += 0.6
    return Images(images, labels if classes else None)


@cache
def striped(shape: Shape, classes: tuple[str, ...] = CLASSES) -> Splits:
    """A data set of images of any shape, with three classes or none."""
    return Splits(*(stripes(count, count, shape, classes) for count in (90, 30, 60)), classes)


@cache
def linear(size: int = 8) -> Subject:
    return of_baseline(f"pca_{size}", size, splits())


@cache
def gaussian(size: int = 2) -> Subject:
    """PCA with a posterior of one deviation, 0.1: what a VAE is to an analysis."""
    subject = linear(size)

    def posterior(images: Tensor) -> tuple[Tensor, Tensor]:
        mean = subject.encode(images)
        return mean, torch.full_like(mean, 2 * float(np.log(0.1)))

    return replace(subject, posterior=posterior)


class Dense(Autoencoder):
    """One layer there, from images of half the size; one layer back."""

    def __init__(self, shape: Shape, latent_dim: int = 5) -> None:
        super().__init__()
        channels, height, width = shape
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(channels * -(-height // 2) * -(-width // 2), latent_dim))
        self.decoder = nn.Sequential(nn.Linear(latent_dim, channels * height * width), nn.Unflatten(1, shape))

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        raise NotImplementedError


def dense(data: Splits | None = None) -> Subject:
    """A model with its first weights."""
    data = data or splits()
    torch.manual_seed(0)
    model = Dense(data.shape).eval()

    def encode(images: Tensor) -> Tensor:
        return apply(model.encode, degrade(images, 2))

    return Subject(encode, lambda z: apply(model.decode, z), data, model=model, downsampling=2, name="dense")


def codes(count: int, seed: int, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Codes of four numbers around a centre for each of ten classes, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    centres = np.random.default_rng(0).normal(size=(10, 4))
    return (centres[labels] + spread * random.normal(size=(count, 4))).astype(np.float32), labels
