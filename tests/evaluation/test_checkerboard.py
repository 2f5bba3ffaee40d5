"""The measure of checkerboards, on residuals made so that the answer is known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from samples import COLOUR, GREY, linear, smooth, splits

from latentlab.evaluation.checkerboard import Settings, analyse, block_ratios, energy_ratios, residual_spectrum


def images(shape: tuple[int, int, int] = GREY) -> torch.Tensor:
    return smooth(64, shape)


def noise(shape: tuple[int, int, int] = GREY) -> torch.Tensor:
    return torch.randn(64, *shape, generator=torch.Generator().manual_seed(1))


shapes = pytest.mark.parametrize("shape", [GREY, COLOUR])


@shapes
def test_spectrum_keeps_the_energy(shape):
    x, residual = images(shape), 0.1 * noise(shape)
    spectrum = residual_spectrum(x + residual, x)
    assert spectrum.shape == shape[1:]
    # Parseval's theorem
    energy = residual.square().sum((2, 3)).mean()
    assert float(spectrum.sum()) / (shape[1] * shape[2]) == pytest.approx(float(energy), rel=1e-5)


@shapes
def test_noise_and_smooth_residuals_have_no_grid(shape):
    x = images(shape)
    ratios = energy_ratios(residual_spectrum(x + 0.1 * noise(shape), x))
    assert ratios["energy_ratio"] == pytest.approx(1, abs=0.1)
    assert ratios["energy_ratio_period_4"] == pytest.approx(1, abs=0.1)
    blurred = F.avg_pool2d(x, 3, stride=1, padding=1)
    assert energy_ratios(residual_spectrum(blurred, x))["energy_ratio"] < 1.2


# 18 is no multiple of 4: half of the energy of that period is on the line beside
@pytest.mark.parametrize(("shape", "period", "least"), [(GREY, 2, 3), (GREY, 4, 3), (COLOUR, 2, 3), (COLOUR, 4, 2)])
def test_a_pattern_at_the_period_of_the_upsampling_stands_out(shape, period, least):
    x = images(shape)
    wave = torch.cos(2 * torch.pi * torch.arange(shape[2]) / period)
    pattern = wave.reshape(1, 1, 1, -1) * x  # strong where the image is bright, as the artefact is
    ratios = energy_ratios(residual_spectrum(x + 0.05 * pattern + 0.01 * noise(shape), x))
    stands_out = {2: "energy_ratio", 4: "energy_ratio_period_4"}[period]
    assert ratios[stands_out] > least
    (other,) = ratios.keys() - {stands_out}
    assert ratios[other] < 1.5


def test_a_transposed_convolution_with_unequal_taps_leaves_a_checkerboard():
    small = F.avg_pool2d(images(), 2)
    layer = torch.nn.ConvTranspose2d(1, 1, 2, stride=2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.6], [0.6, 1.0]]).reshape(1, 1, 2, 2))
    even = F.interpolate(small, scale_factor=2, mode="nearest")
    with torch.no_grad():
        uneven = layer(small)
    x = images()
    assert energy_ratios(residual_spectrum(uneven, x))["energy_ratio"] > 3
    assert energy_ratios(residual_spectrum(even, x))["energy_ratio"] < 1.5


@shapes
def test_steps_at_the_edges_of_blocks(shape):
    x = images(shape)
    small = F.avg_pool2d(x, 2)
    flat = F.interpolate(small, scale_factor=2, mode="nearest")
    assert block_ratios(flat, x)["block_ratio"] is None  # there is no step inside at all
    blocky = 0.7 * flat + 0.3 * x
    ratios = block_ratios(blocky, x)
    assert ratios["block_ratio"] > 1.5 * ratios["real_block_ratio"]
    both = (blocky, blocky.mT)  # along rows, along columns
    by_hand = sum((each[..., 2::2] - each[..., 1:-1:2]).abs().mean() for each in both)
    inside = sum((each[..., 1::2] - each[..., ::2]).abs().mean() for each in both)
    assert ratios["block_ratio"] == pytest.approx(float(by_hand / inside), rel=1e-4)
    ramp = torch.arange(shape[2]).div(shape[2] - 1).expand(1, *shape)
    assert block_ratios(ramp, ramp) == pytest.approx(dict.fromkeys(ratios, 1.0))
    assert 0.7 < ratios["real_block_ratio"] < 1.4


def test_a_perfect_reconstruction_has_no_grid():
    assert energy_ratios(residual_spectrum(images(), images())) == {"energy_ratio": 1.0, "energy_ratio_period_4": 1.0}


def test_analysis():
    subject, targets = linear(8), splits().test.images
    outputs = subject.decode(subject.encode(targets)).clamp(0, 1)
    made = analyse(subject, Settings())
    spectrum = np.abs(np.fft.fft2((outputs - targets)[:, 0].double().numpy())) ** 2
    assert np.allclose(made.arrays["spectrum"], np.fft.fftshift(spectrum.mean(0)), rtol=1e-3)
    power = spectrum.mean(0).mean(0) + spectrum.mean(0).mean(1)
    assert made.numbers["energy_ratio"] == pytest.approx(power[14] / power[[12, 13, 15, 16]].mean(), rel=1e-4)
    assert made.numbers["block_ratio"] == block_ratios(outputs, targets)["block_ratio"]


def test_a_checkerboard_stands_out_at_every_size():
    for size in (16, 17, 18, 28, 33):
        random = torch.rand(20, 1, size, size, generator=torch.Generator().manual_seed(0))
        board = ((torch.arange(size)[:, None] + torch.arange(size)) % 2).float()
        found = energy_ratios(residual_spectrum(0.5 * random + 0.2 * board, random))["energy_ratio"]
        assert found > 3, (size, found)
        assert energy_ratios(residual_spectrum(0.5 * random.flip(0), random))["energy_ratio"] < 1.5
