"""How close are the reconstructions to the images?

Legend: N images, D numbers in the code.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

BATCH_SIZE = 1000


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
        ssim: Structural similarity (Wang et al. 2004; Gaussian window of 11x11 pixels, sigma 1.5, K1 0.01, K2 0.03, data
            range 1), mean over the images; 1 is identity.
    """
    squared = (outputs - targets).square().double()
    ssim = [
        structural_similarity_index_measure(output, target, data_range=1.0, reduction="none")
        for output, target in zip(outputs.split(BATCH_SIZE), targets.split(BATCH_SIZE), strict=True)
    ]
    return {
        "mse": float(squared.mean()),
        "bce": float(F.binary_cross_entropy(outputs.clamp(0, 1), targets, reduction="none").double().mean()),
        "mae": float((outputs - targets).abs().double().mean()),
        "psnr": float((-10 * squared.mean(dim=(1, 2, 3)).clamp_min(1e-12).log10()).mean()),
        "ssim": float(torch.cat([torch.atleast_1d(part) for part in ssim]).double().mean()),
    }


def mse_per_digit(outputs: Tensor, targets: Tensor, digits: Tensor) -> dict[str, float]:
    """Squared error per pixel over the images of each digit, keyed "0" to "9"; a digit without images is left out."""
    squared = (outputs - targets).square().double().mean(dim=(1, 2, 3))  # (N,)
    return {str(digit): float(squared[digits == digit].mean()) for digit in range(10) if bool((digits == digit).any())}


def first_of_each_digit(digits: Tensor) -> Tensor:
    """Index of the first image of each digit, in the order of the digits; at most ten."""
    return torch.tensor([int((digits == digit).nonzero()[0]) for digit in range(10) if bool((digits == digit).any())])
