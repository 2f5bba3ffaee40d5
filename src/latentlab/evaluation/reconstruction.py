"""How close are the reconstructions to the images, how small is the code, and what does the model cost?

Legend: N images, C channels, H and W their height and width, B batch.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentlab.data.images import Images, degrade
from latentlab.evaluation import pictures
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.complexity import num_macs, num_parameters
from latentlab.models.base import BATCH_SIZE
from latentlab.params.strict import Section


class Settings(Section):
    """There is nothing to set."""


def analyse(subject: Subject, _settings: Settings) -> Analysis:
    """Errors on the test images, for a model also on the validation images and what it costs; an image of each class.

    The validation images are among those that a baseline is fitted to, so it has no errors on them.
    """
    data, test = subject.data, subject.data.test
    codes = subject.encode(test.images)
    outputs = subject.decode(codes)
    numbers: dict[str, Any] = size(codes[0].numel(), test.images[0].numel()) | _prefixed(
        "test", reconstruction_errors(outputs, test.images)
    )
    if subject.model:
        validation = data.validation.images
        decoded = subject.decode(subject.encode(validation))
        numbers |= _prefixed("validation", reconstruction_errors(decoded, validation))
        device = next(subject.model.parameters()).device
        blank = degrade(torch.zeros(1, *data.shape, device=device), subject.downsampling)
        numbers |= {"num_parameters": num_parameters(subject.model), "num_macs": num_macs(subject.model, blank)}
    if test.labels is not None:
        numbers["mse_per_class"] = mse_per_class(outputs, test.images, test.labels, data.classes)
    chosen = one_of_each_class(test)
    shown = pictures.as_bytes(torch.stack([test.images[chosen], outputs[chosen]]).numpy())  # (2, 10, C, H, W)
    return Analysis(numbers, {"reconstructions": shown}, {"reconstructions": pictures.framed(shown)})


def size(latent_dim: int, num_values: int) -> dict[str, float]:
    """How small a code is: `latent_dim`, its numbers, and `compression_ratio`, values of the image per number."""
    return {"latent_dim": latent_dim, "compression_ratio": num_values / latent_dim}


def _prefixed(part: str, errors: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in errors.items()}


@torch.inference_mode()
def apply(function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """A function of a batch (B, ...) applied to all inputs (N, ...), batch by batch."""
    return torch.cat([function(batch) for batch in inputs.split(BATCH_SIZE)])


def reconstruction_errors(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Errors of reconstructions.

    Args:
        outputs: (N, C, H, W); in [0, 1], except that PCA may leave that range a little.
        targets: (N, C, H, W) in [0, 1].

    Returns:
        mse: Squared error, mean over all pixels and channels of all images.
        bce: Binary cross entropy in nats, the same mean. The logarithm is bounded below by -100, as in `torch.nn.BCELoss`;
            outputs are clamped to [0, 1] first. Its minimum is not 0 but the targets' own entropy.
        mae: Absolute error, the same mean.
        psnr: Peak signal-to-noise ratio in dB, 10 log10(1 / MSE), of each image; mean over the images.
        ssim: Structural similarity, see `ssim`, mean over the images.
    """
    entropies = F.binary_cross_entropy(outputs.clamp(0, 1), targets, reduction="none")
    return similarity(outputs, targets) | {
        "bce": float(_per_image(entropies).mean()),
        "mae": float(_per_image((outputs - targets).abs_()).mean()),
    }


def similarity(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """The part of `reconstruction_errors` that compares stored or denoised images: "mse", "psnr" and "ssim"."""
    squared = _per_image((outputs - targets).square_())
    return {
        "mse": float(squared.mean()),
        "psnr": float((-10 * squared.clamp_min(1e-12).log10()).mean()),
        "ssim": float(ssim(outputs, targets).double().mean()),
    }


def _per_image(values: Tensor) -> Tensor:
    """Mean over the pixels and channels of each image, (N, C, H, W) -> (N,), in double precision from there on."""
    return values.mean(dim=(1, 2, 3)).double()


def ssim(outputs: Tensor, targets: Tensor) -> Tensor:
    """Structural similarity of each pair of images (Wang et al. 2004), mean over all pixels and channels; 1 is identity.

    Gaussian window of 11x11 pixels, sigma 1.5, K1 0.01, K2 0.03, data range 1; images are continued by reflection, as in
    torchmetrics. The window is separable, so two small matrix products blur an image: twenty times as fast.

    Args:
        outputs: (N, C, H, W).
        targets: (N, C, H, W) in [0, 1].

    Returns:
        (N,).
    """
    return apply(_ssim, torch.stack([outputs, targets], dim=1))


def _ssim(pairs: Tensor) -> Tensor:
    """Structural similarity of the two images of each pair, (B, 2, C, H, W) -> (B,)."""
    blur, c1, c2 = _blur_matrix(pairs.shape[-1]), 0.01**2, 0.03**2
    x, y = pairs.unbind(1)
    mean_x, mean_y, square_x, square_y, product = (blur @ image @ blur.T for image in (x, y, x * x, y * y, x * y))
    variances = (square_x - mean_x**2).clamp_min(0) + (square_y - mean_y**2).clamp_min(0)
    covariance = product - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variances + c2)
    return similarity.mean(dim=(1, 2, 3))


@cache
def _blur_matrix(size: int) -> Tensor:
    """(size, size): row i holds the weights of all pixels in the Gaussian window around pixel i, reflections included."""
    offsets = torch.arange(11) - 5
    weights = torch.exp(-(offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    matrix = torch.zeros(size, size)
    for row in range(size):
        for offset, weight in zip(offsets.tolist(), weights, strict=True):
            column = abs(row + offset)
            matrix[row, column if column < size else 2 * (size - 1) - column] += weight
    return matrix


def mse_per_class(outputs: Tensor, targets: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """Squared error per pixel over the images of each class, by its name; a class without images is left out."""
    squared = (outputs - targets).square().double().mean(dim=(1, 2, 3))  # (N,)
    return {classes[label]: float(squared[labels == label].mean()) for label in labels.unique().tolist()}


def one_of_each_class(images: Images) -> Tensor:
    """Index of the first image of each class, in the order of the classes, at most ten; without classes the first ten."""
    if images.labels is None:
        return torch.arange(min(10, len(images)))
    return torch.from_numpy(np.unique(images.labels.numpy(), return_index=True)[1][:10])
