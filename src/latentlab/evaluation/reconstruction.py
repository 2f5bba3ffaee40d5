"""How close are the reconstructions to the images?

Legend: N images, D numbers in the code.
"""

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

# at 28x28 pixels and 32 channels this stays in a processor's cache; 1,000 take up to three times as long
BATCH_SIZE = 250


@torch.inference_mode()
def apply(function: Callable[[Tensor], Tensor], inputs: Tensor, device: torch.device) -> Tensor:
    """A function of a batch applied to all inputs, batch by batch on the device; the result is on the CPU, (N, ...)."""
    return torch.cat([function(batch.to(device)).cpu() for batch in inputs.split(BATCH_SIZE)])


def reconstruction_errors(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Errors of reconstructions.

    Args:
        outputs: (N, 1, 28, 28); in [0, 1], except that PCA may leave that range a little.
        targets: (N, 1, 28, 28) in [0, 1].

    Returns:
        mse: Squared error, mean over all pixels of all images.
        bce: Binary cross entropy in nats, mean over all pixels of all images. The logarithm is bounded below by -100, as
            in `torch.nn.BCELoss`; outputs are clamped to [0, 1] first. Its minimum is not 0 but the targets' own entropy.
        mae: Absolute error, mean over all pixels of all images.
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
    """Mean over the pixels of each image, (N, 1, 28, 28) -> (N,), in double precision from there on."""
    return values.mean(dim=(1, 2, 3)).double()


@torch.inference_mode()
def ssim(outputs: Tensor, targets: Tensor) -> Tensor:
    """Structural similarity of each pair of images (Wang et al. 2004), mean over all pixels; 1 is identity.

    Gaussian window of 11x11 pixels, sigma 1.5, K1 0.01, K2 0.03, data range 1; images are continued by reflection, as in
    torchmetrics. The window is separable, so two small matrix products blur an image: twenty times as fast.

    Args:
        outputs: (N, 1, 28, 28).
        targets: (N, 1, 28, 28) in [0, 1].

    Returns:
        (N,).
    """
    blur, c1, c2 = _blur_matrix(outputs.shape[-1]), 0.01**2, 0.03**2
    values = []
    for x, y in zip(outputs[:, 0].split(BATCH_SIZE), targets[:, 0].split(BATCH_SIZE), strict=True):
        mean_x, mean_y, square_x, square_y, product = (blur @ image @ blur.T for image in (x, y, x * x, y * y, x * y))
        variances = (square_x - mean_x**2).clamp_min(0) + (square_y - mean_y**2).clamp_min(0)
        covariance = product - mean_x * mean_y
        similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        similarity /= (mean_x**2 + mean_y**2 + c1) * (variances + c2)
        values.append(similarity.mean(dim=(1, 2)))
    return torch.cat(values)


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


def mse_per_digit(outputs: Tensor, targets: Tensor, digits: Tensor) -> dict[str, float]:
    """Squared error per pixel over the images of each digit, keyed "0" to "9"; a digit without images is left out."""
    squared = (outputs - targets).square().double().mean(dim=(1, 2, 3))  # (N,)
    return {str(digit): float(squared[digits == digit].mean()) for digit in range(10) if bool((digits == digit).any())}


def first_of_each_digit(digits: Tensor) -> Tensor:
    """Index of the first image of each digit, in the order of the digits; at most ten."""
    return torch.tensor([int((digits == digit).nonzero()[0]) for digit in range(10) if bool((digits == digit).any())])
