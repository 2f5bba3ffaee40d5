"""Images, and what makes codes of them, small enough to be measured in a second."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from latentlab.data.images import Images, Splits
from latentlab.evaluation.analysis import Subject
from latentlab.evaluation.pca import of_baseline
from latentlab.evaluation.reconstruction import apply
from latentlab.models.base import Autoencoder


def noise(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


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
    return Splits(digits(400, 1), digits(100, 2), digits(200, 3))


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
    """One layer there, one layer back."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(side * side, 5))
        self.decoder = nn.Sequential(nn.Linear(5, 784), nn.Unflatten(1, (1, 28, 28)))

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        raise NotImplementedError


@cache
def dense() -> Subject:
    """A model with its first weights, which takes every second pixel."""
    torch.manual_seed(0)
    model = Dense(14).eval()

    def encode(images: Tensor) -> Tensor:
        return apply(model.encode, images[..., ::2, ::2])

    return Subject(encode, lambda z: apply(model.decode, z), splits(), model=model, input_size=14, name="dense")


def codes(count: int, seed: int, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Codes of four numbers around a centre for each digit, and the digits."""
    random = np.random.default_rng(seed)
    digits = np.arange(count) % 10
    centres = np.random.default_rng(0).normal(size=(10, 4))
    return (centres[digits] + spread * random.normal(size=(count, 4))).astype(np.float32), digits
