"""Denoising with denoisers whose result is known."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from samples import CLASSES, COLOUR, digits, linear, splits, stripes
from skimage.restoration import denoise_nl_means

from latentlab.data.images import add_noise
from latentlab.evaluation.denoising import Settings, analyse, denoised_images, denoising, non_local_means, of_classical
from latentlab.evaluation.reconstruction import reconstruction_errors

SIGMAS = [0.1, 0.3, 0.5]
STROKES = digits(30).images


def noisy(images: torch.Tensor, sigma: float, seed: int = 0) -> torch.Tensor:
    return add_noise(images, sigma, torch.Generator().manual_seed(seed))


def test_doing_nothing_gains_nothing():
    measured = denoising(lambda noisy, _: noisy, STROKES, SIGMAS, seed=0)
    assert list(measured) == ["0.1", "0.3", "0.5"]
    for line in measured.values():
        assert line["gain_db"] == 0
        assert line["mse"] == line["mse_in"]
    assert measured["0.1"]["mse_in"] < measured["0.3"]["mse_in"] < measured["0.5"]["mse_in"]


def test_a_perfect_denoiser_and_a_useless_one():
    best = denoising(lambda _noisy, _sigma: STROKES, STROKES, SIGMAS, seed=0)
    assert all(line["mse"] == 0 and line["ssim"] == pytest.approx(1) and line["gain_db"] > 50 for line in best.values())
    worst = denoising(lambda noisy, _: 1 - noisy, STROKES, [0.1], seed=0)
    assert worst["0.1"]["gain_db"] < -10


def test_the_noise_is_gaussian_clamped_and_the_same_for_all():
    x = torch.full((200, 1, 28, 28), 0.5)
    once, twice = noisy(x, 0.1, 3), noisy(x, 0.2, 3)
    assert float(once.std()) == pytest.approx(0.1, rel=0.01)
    inside = (twice > 0) & (twice < 1)
    assert torch.allclose((twice - x)[inside], 2 * (once - x)[inside], atol=1e-6)
    black = noisy(torch.zeros(100, 1, 28, 28), 0.2)
    assert float(black.min()) == 0
    # half of the noise is cut off: E[max(0, e)^2] = sigma^2 / 2
    assert float(black.square().mean()) == pytest.approx(0.2**2 / 2, rel=0.03)
    seen = []
    denoising(lambda noisy, _: seen.append(noisy) or noisy, x, [0.1], seed=3)
    assert torch.equal(seen[0], once)


def test_the_classical_denoiser_denoises():
    data = replace(splits(), test=digits(30))
    measured = of_classical(data, Settings(sigmas=SIGMAS, seed=0)).numbers
    assert all(line["gain_db"] > 0.5 for line in measured.values())
    assert measured == denoising(non_local_means, data.test.images, SIGMAS, 0)
    assert torch.allclose(non_local_means(STROKES, 1e-6), STROKES, atol=0.02)


def test_the_classical_denoiser_denoises_colours():
    clean = stripes(20, 0, COLOUR, CLASSES).images
    before = noisy(clean, 0.2)
    after = non_local_means(before, 0.2)
    assert reconstruction_errors(after, clean)["psnr"] > reconstruction_errors(before, clean)["psnr"] + 0.5
    by_hand = denoise_nl_means(before[3].permute(1, 2, 0).numpy(), 5, 5, h=0.1, fast_mode=True, channel_axis=-1)
    assert np.allclose(after[3].permute(1, 2, 0).numpy(), by_hand.clip(0, 1), atol=1e-5)


def test_images():
    shown = denoised_images(lambda noisy, _: noisy / 2, STROKES[:10], SIGMAS, seed=0)
    assert shown.shape == (3, 2, 10, 1, 28, 28)
    assert torch.equal(shown[1, 0], noisy(STROKES[:10], 0.3))
    assert torch.equal(shown[1, 1], shown[1, 0] / 2)


def test_analysis():
    subject, clean = linear(8), splits().test.images
    made = analyse(subject, Settings(sigmas=SIGMAS, seed=1))
    before = noisy(clean, 0.3, 1)
    after = subject.decode(subject.encode(before)).clamp(0, 1)  # what PCA gives beyond is cut off
    for name in ("mse", "psnr", "ssim"):
        assert made.numbers["0.3"][f"{name}_in"] == reconstruction_errors(before, clean)[name]
        assert made.numbers["0.3"][name] == reconstruction_errors(after, clean)[name]
    shown = made.arrays["denoising"]
    assert (shown.shape, shown.dtype) == ((3, 2, 10, 1, 28, 28), np.uint8)
    assert np.array_equal(shown[1, 1], (after[:10].numpy() * 255).round())
    assert Image.open(io.BytesIO(made.pictures["denoising"])).size == (10 * 30 * 3, 6 * 30 * 3)
