"""Each metric against a second way to compute it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlab.evaluation import pca, reconstruction


def images(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def test_errors_against_numpy():
    outputs, targets = images(7, 1), images(7, 2)
    errors = reconstruction.reconstruction_errors(outputs, targets)
    o, t = outputs.numpy().astype(float), targets.numpy().astype(float)
    assert errors["mse"] == pytest.approx(((o - t) ** 2).mean(), rel=1e-6)
    assert errors["mae"] == pytest.approx(np.abs(o - t).mean(), rel=1e-6)
    assert errors["bce"] == pytest.approx(-(t * np.log(o) + (1 - t) * np.log(1 - o)).mean(), rel=1e-5)
    assert errors["psnr"] == pytest.approx((10 * np.log10(1 / ((o - t) ** 2).mean((1, 2, 3)))).mean(), rel=1e-6)


def test_ssim_against_its_formula():
    # on constant images only the luminance term is left: (2 a b + C1) / (a^2 + b^2 + C1), with C1 = 0.01^2
    outputs, targets = torch.full((2, 1, 28, 28), 0.2), torch.full((2, 1, 28, 28), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert reconstruction.reconstruction_errors(outputs, targets)["ssim"] == pytest.approx(expected, rel=1e-3)


def test_identity_and_values_outside_of_the_range():
    targets = (images(3) > 0.5).float()
    same = reconstruction.reconstruction_errors(targets, targets)
    assert (same["mse"], same["bce"], same["mae"]) == (0, 0, 0)
    assert same["ssim"] == pytest.approx(1)
    assert same["psnr"] == pytest.approx(120)
    beyond = reconstruction.reconstruction_errors(targets * 1.2 - 0.1, targets)
    assert beyond["bce"] == 0
    assert beyond["mse"] == pytest.approx(0.01, rel=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_errors_are_ordered_as_theory_says(count, seed):
    outputs, targets = images(count, seed), images(count, seed + 1)
    errors = reconstruction.reconstruction_errors(outputs, targets)
    assert errors["mae"] ** 2 <= errors["mse"] <= errors["mae"]  # Jensen; and differences within [0, 1]
    assert -1 <= errors["ssim"] <= 1
    # the mean of logarithms is at least the logarithm of the mean
    assert errors["psnr"] >= -10 * np.log10(errors["mse"]) - 1e-6


def test_more_than_a_batch_is_as_one():
    count = reconstruction.BATCH_SIZE + 3
    outputs, targets = images(count, 1), images(count, 2)
    whole = reconstruction.reconstruction_errors(outputs, targets)
    middle = count // 2
    halves = [
        reconstruction.reconstruction_errors(outputs[part], targets[part]) for part in (slice(middle), slice(middle, None))
    ]
    for key, value in whole.items():
        mixed = (middle * halves[0][key] + (count - middle) * halves[1][key]) / count
        assert value == pytest.approx(mixed, rel=1e-6)
    doubled = reconstruction.apply(lambda batch: 2 * batch, outputs, torch.device("cpu"))
    assert torch.equal(doubled, 2 * outputs)


def test_mse_per_digit():
    targets = torch.zeros(5, 1, 28, 28)
    outputs = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]).reshape(5, 1, 1, 1).expand(5, 1, 28, 28)
    by_digit = reconstruction.mse_per_digit(outputs, targets, torch.tensor([7, 7, 0, 0, 3]))
    assert by_digit == pytest.approx({"0": (0.09 + 0.16) / 2, "3": 0.25, "7": (0.01 + 0.04) / 2})
    assert list(by_digit) == ["0", "3", "7"]


def test_first_of_each_digit():
    assert reconstruction.first_of_each_digit(torch.tensor([7, 2, 2, 0, 7])).tolist() == [3, 1, 0]


def test_pca_against_the_singular_value_decomposition():
    x = images(60, 3)
    linear = pca.LinearAutoencoder(x, 5)
    z = linear.encode(x)
    assert z.shape == (60, 5)
    flat = x.flatten(1).double()
    mean = flat.mean(0)
    _, _, right = torch.linalg.svd(flat - mean, full_matrices=False)
    projected = mean + (flat - mean) @ right[:5].T @ right[:5]
    assert torch.allclose(linear.decode(z).flatten(1).double(), projected, atol=1e-4)
