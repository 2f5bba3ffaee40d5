"""The measure of checkerboards, on residuals made so that the answer is known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from samples import linear, splits

from latentlab.evaluation.checkerboard import Settings, analyse, block_ratios, energy_ratios, residual_spectrum


def images(count: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(count, 1, 7, 7, generator=generator)
    return F.interpolate(small, size=(28, 28), mode="bicubic").clamp(0, 1)


def noise(count: int = 64) -> torch.Tensor:
    return torch.randn(count, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def test_spectrum_keeps_the_energy():
    x, residual = images(), 0.1 * noise()
    spectrum = residual_spectrum(x + residual, x)
    assert spectrum.shape == (28, 28)
    # Parseval's theorem
    assert float(spectrum.sum()) / 28**2 == pytest.approx(float(residual.square().sum((1, 2, 3)).mean()), rel=1e-5)


def test_noise_and_smooth_residuals_have_no_grid():
    x = images()
    ratios = energy_ratios(residual_spectrum(x + 0.1 * noise(), x))
    assert ratios["energy_ratio"] == pytest.approx(1, abs=0.1)
    assert ratios["energy_ratio_period_4"] == pytest.approx(1, abs=0.1)
    blurred = F.avg_pool2d(x, 3, stride=1, padding=1)
    assert energy_ratios(residual_spectrum(blurred, x))["energy_ratio"] < 1.2


@pytest.mark.parametrize("period", [2, 4])
def test_a_pattern_at_the_period_of_the_upsampling_stands_out(period):
    x = images()
    wave = torch.cos(2 * torch.pi * torch.arange(28) / period)
    pattern = wave.reshape(1, 1, 1, 28) * x  # strong where the image is bright, as the artefact is
    ratios = energy_ratios(residual_spectrum(x + 0.05 * pattern + 0.01 * noise(), x))
    stands_out = {2: "energy_ratio", 4: "energy_ratio_period_4"}[period]
    assert ratios[stands_out] > 3
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


def test_steps_at_the_edges_of_blocks():
    x = images()
    small = F.avg_pool2d(x, 2)
    flat = F.interpolate(small, scale_factor=2, mode="nearest")
    assert block_ratios(flat, x)["block_ratio"] > 1000  # there is no step inside at all
    blocky = 0.7 * flat + 0.3 * x
    ratios = block_ratios(blocky, x)
    assert ratios["block_ratio"] > 1.5 * ratios["real_block_ratio"]
    both = (blocky, blocky.mT)  # along rows, along columns
    by_hand = sum((each[..., 2::2] - each[..., 1:-1:2]).abs().mean() for each in both)
    inside = sum((each[..., 1::2] - each[..., ::2]).abs().mean() for each in both)
    assert ratios["block_ratio"] == pytest.approx(float(by_hand / inside), rel=1e-4)
    ramp = torch.arange(28.0).div(27).expand(1, 1, 28, 28)
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
