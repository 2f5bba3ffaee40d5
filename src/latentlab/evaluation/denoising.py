"""Does the way through the code take noise away, and does it take more away than it destroys?

Legend: N images, S noise levels, K images shown.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from pydantic import Field, PositiveFloat
from skimage.restoration import denoise_nl_means
from torch import Tensor

from latentlab.data.images import Splits, add_noise
from latentlab.evaluation import pictures
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.reconstruction import one_of_each_class, similarity
from latentlab.params.strict import Section, Seed


class Settings(Section):
    """Standard deviations of the noise on the test images, in units of the full range, and its seed."""

    sigmas: list[PositiveFloat] = Field(min_length=1)
    seed: Seed


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Errors on noisy test images, and an image of each class at each noise level, noisy and denoised."""
    test = subject.data.test

    def way(noisy: Tensor, _sigma: float) -> Tensor:
        return subject.decode(subject.encode(noisy)).clamp(0, 1)  # PCA may leave the range a little

    shown = denoised_images(way, test.images[one_of_each_class(test)], settings.sigmas, settings.seed)
    stored = pictures.as_bytes(shown.numpy())
    return Analysis(
        denoising(way, test.images, settings.sigmas, settings.seed),
        {"denoising": stored},
        {"denoising": pictures.framed(stored.reshape(-1, *stored.shape[2:]))},  # (2 S, K, C, H, W)
    )


def of_classical(data: Splits, settings: Settings) -> Analysis:
    """The same numbers of `non_local_means`."""
    return Analysis(denoising(non_local_means, data.test.images, settings.sigmas, settings.seed))


def denoising(
    denoise: Callable[[Tensor, float], Tensor], images: Tensor, sigmas: Sequence[float], seed: int
) -> dict[str, dict[str, float]]:
    """Errors of noisy images, and of what a denoiser makes of them.

    Args:
        denoise: Noisy images (N, C, H, W) in [0, 1] and their sigma to images; an autoencoder takes no notice of sigma.
        images: (N, C, H, W), clean.
        sigmas: Of the Gaussian noise, before the clamp to [0, 1].
        seed: Of the noise, which is one and the same up to the factor sigma for all levels and all denoisers.

    Returns:
        By sigma: "mse_in", "psnr_in" and "ssim_in" of the noisy images against the clean ones; "mse", "psnr" and "ssim" of
        the denoised; "gain_db", "psnr" - "psnr_in" in dB, negative where denoising does harm. All as in
        `latentlab.evaluation.reconstruction.similarity`.
    """
    measured = {}
    for sigma in sigmas:
        noisy = add_noise(images, sigma, torch.Generator().manual_seed(seed))
        before, after = similarity(noisy, images), similarity(denoise(noisy, sigma), images)
        line = {f"{name}_in": value for name, value in before.items()}
        measured[str(sigma)] = line | after | {"gain_db": after["psnr"] - before["psnr"]}
    return measured


def denoised_images(
    denoise: Callable[[Tensor, float], Tensor], images: Tensor, sigmas: Sequence[float], seed: int
) -> Tensor:
    """A few images, noisy and denoised, at each noise level.

    Args:
        denoise: As in `denoising`.
        images: (K, C, H, W), clean.
        sigmas: S noise levels.
        seed: Of the noise.

    Returns:
        (S, 2, K, C, H, W) in [0, 1]: noisy, denoised.
    """
    levels = []
    for sigma in sigmas:
        noisy = add_noise(images, sigma, torch.Generator().manual_seed(seed))
        levels.append(torch.stack([noisy, denoise(noisy, sigma)]))  # (2, K, C, H, W)
    return torch.stack(levels)


def non_local_means(noisy: Tensor, sigma: float) -> Tensor:
    """A classical denoiser that has learnt nothing: non-local means (Buades, Coll and Morel 2005).

    scikit-image's, with patches of 5x5 pixels, a search window of 11x11 and h = 0.5 sigma: the best of 16 settings by PSNR,
    mean over sigma 0.1 to 0.5, on 300 training images. On 1000 other training images it was 0.6 dB better than total
    variation (weight 0.4 sigma) and than a bilateral filter, which were tuned on training images too.

    Args:
        noisy: (N, C, H, W).
        sigma: Of the noise, which this denoiser is told.

    Returns:
        (N, C, H, W) in [0, 1].
    """
    is_grey = noisy.shape[1] == 1
    smooth = [
        denoise_nl_means(image, 5, 5, h=0.5 * sigma, fast_mode=True, channel_axis=None if is_grey else 0)
        for image in (noisy[:, 0] if is_grey else noisy).numpy()
    ]
    return torch.from_numpy(np.stack(smooth).astype(np.float32)).reshape(noisy.shape).clamp_(0, 1)
