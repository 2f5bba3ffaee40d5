"""Denoising with denoisers whose result is known."""

import pytest
import torch
import torch.nn.functional as F

from latentlab.data import add_noise
from latentlab.evaluation.denoising import denoised_pictures, denoising, non_local_means
from latentlab.evaluation.reconstruction import reconstruction_errors

SIGMAS = [0.1, 0.3, 0.5]


def images(count: int = 30) -> torch.Tensor:
    small = torch.rand(count, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    return F.interpolate(small, size=(28, 28), mode="bicubic").clamp(0, 1).gt(0.6).float()


def test_doing_nothing_gains_nothing():
    measured = denoising(lambda noisy, _: noisy, images(), SIGMAS, seed=0)
    assert list(measured) == ["0.1", "0.3", "0.5"]
    for line in measured.values():
        assert line["gain_db"] == 0
        assert line["mse"] == line["mse_in"]
    assert measured["0.1"]["mse_in"] < measured["0.3"]["mse_in"] < measured["0.5"]["mse_in"]


def test_a_perfect_denoiser_and_a_useless_one():
    x = images()
    best = denoising(lambda _noisy, _sigma: x, x, SIGMAS, seed=0)
    assert all(line["mse"] == 0 and line["ssim"] == pytest.approx(1) and line["gain_db"] > 50 for line in best.values())
    worst = denoising(lambda noisy, _: 1 - noisy, x, [0.1], seed=0)
    assert worst["0.1"]["gain_db"] < -10


def test_the_noise_is_gaussian_clamped_and_the_same_for_all():
    x = torch.full((200, 1, 28, 28), 0.5)
    noisy = add_noise(x, 0.1, torch.Generator().manual_seed(3))
    assert float(noisy.std()) == pytest.approx(0.1, rel=0.01)
    twice = add_noise(x, 0.2, torch.Generator().manual_seed(3))
    inside = (twice > 0) & (twice < 1)
    assert torch.allclose((twice - x)[inside], 2 * (noisy - x)[inside], atol=1e-6)
    black = add_noise(torch.zeros(100, 1, 28, 28), 0.2, torch.Generator().manual_seed(0))
    assert float(black.min()) == 0
    # half of the noise is cut off: E[max(0, e)^2] = sigma^2 / 2
    assert float(black.square().mean()) == pytest.approx(0.2**2 / 2, rel=0.03)
    seen = []
    denoising(lambda noisy, _: seen.append(noisy) or noisy, x, [0.1], seed=3)
    assert torch.equal(seen[0], noisy)


def test_errors_are_those_of_the_reconstruction():
    x = images()
    measured = denoising(lambda noisy, _: noisy.sqrt(), x, [0.3], seed=1)["0.3"]
    noisy = add_noise(x, 0.3, torch.Generator().manual_seed(1))
    for name in ("mse", "psnr", "ssim"):
        assert measured[f"{name}_in"] == reconstruction_errors(noisy, x)[name]
        assert measured[name] == reconstruction_errors(noisy.sqrt(), x)[name]


def test_the_classical_denoiser_denoises():
    x = images()
    measured = denoising(non_local_means, x, SIGMAS, seed=0)
    assert all(line["gain_db"] > 0.5 for line in measured.values())
    clean = non_local_means(x, 1e-6)
    assert torch.allclose(clean, x, atol=0.02)


def test_pictures():
    x = images(10)
    pictures = denoised_pictures(lambda noisy, _: 2 * noisy, x, SIGMAS, seed=0)
    assert pictures.shape == (3, 2, 10, 28, 28)
    assert pictures.max() <= 1
    assert torch.equal(pictures[1, 0], add_noise(x, 0.3, torch.Generator().manual_seed(0))[:, 0])
