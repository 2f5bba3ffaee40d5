"""A training from nothing: the weights, what the model is fed, and the loop."""

from collections.abc import Iterator

import torch
from torch import Tensor

from latentlab import models
from latentlab.data.images import Splits, add_noise, degrade
from latentlab.models.base import Autoencoder
from latentlab.params.recipes import Training
from latentlab.params.variants import Variant
from latentlab.training import devices
from latentlab.training.loop import Keeper, Progress, fit


def begin(
    variant: Variant,
    training: Training,
    data: Splits,
    seed: int,
    device: torch.device,
    progress: Progress,
    keeper: Keeper | None = None,
    num_passes: int = 1,
) -> tuple[Autoencoder, Iterator[dict[str, float]]]:
    """A new model, and its training, which goes on as far as its records are taken.

    Args:
        variant: What is trained.
        training: How.
        data: The images; those of the test are not looked at.
        seed: Of the weights, the order of the batches and the noise.
        device: Where.
        progress: Told after each batch how many images it had.
        keeper: Keeps the state after each epoch, and has it if this is a training that goes on.
        num_passes: How often an epoch goes through the training images.

    Returns:
        The model on the device, and the records of `latentlab.training.loop.fit`.
    """
    devices.make_deterministic()
    model = models.build(variant, data.shape, seed).to(device)
    train, validation = (part.images.to(device) for part in (data.train, data.validation))
    pairs = [(degrade(images, variant.downsampling), images) for images in (train, validation)]
    if variant.input_noise:
        pairs[1] = (noisy(pairs[1][0], variant.input_noise, seed), validation)
    precision = devices.precision(training.precision, device)
    records = fit(model, pairs[0], pairs[1], training, variant.input_noise, seed, precision, progress, keeper, num_passes)
    return model, records


def noisy(images: Tensor, input_noise: list[float], seed: int) -> Tensor:
    """Validation images with the same noise in each epoch, its sigma spread evenly over the range of the training."""
    least, largest = input_noise
    sigma = torch.linspace(least, largest, len(images), device=images.device).reshape(-1, 1, 1, 1)
    return add_noise(images, sigma, torch.Generator(images.device).manual_seed(seed))
