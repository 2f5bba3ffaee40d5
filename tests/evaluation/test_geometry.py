"""What codes keep of geometry that is known."""

import numpy as np
import pytest
import torch
from samples import digits, linear

from latentlab.evaluation.analysis import Subject
from latentlab.evaluation.geometry import (
    FACTORS,
    Settings,
    analyse,
    factors_found,
    intrinsic_dimension,
    kept,
    shape_factors,
)

SETTINGS = Settings(num_images=100, neighbours=10)


def ranks(points: np.ndarray) -> np.ndarray:
    """(N, N), the place of j among the others of i, from 1; of itself 0."""
    distances = np.sqrt(((points[:, None].astype(float) - points[None]) ** 2).sum(-1))
    np.fill_diagonal(distances, -1)
    return distances.argsort(1).argsort(1)


def trust(first: np.ndarray, second: np.ndarray, k: int) -> float:
    """By the definition of Venna and Kaski (2001): what is near in the second, and how far it is in the first."""
    a, b, n = ranks(first), ranks(second), len(first)
    penalty = sum(a[i, j] - k for i in range(n) for j in range(n) if 0 < b[i, j] <= k < a[i, j])
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * penalty


def test_neighbours_and_distances_against_their_definitions():
    subject, images = linear(3), digits(60, 3).images
    factors = shape_factors(images)
    found = kept(subject, images, images, (factors, factors), 7)
    pixels, codes = images.flatten(1).numpy(), subject.encode(images).flatten(1).numpy()
    assert found["trustworthiness"] == pytest.approx(trust(pixels, codes, 7), abs=1e-6)
    assert found["continuity"] == pytest.approx(trust(codes, pixels, 7), abs=1e-6)
    near = [(each > 0) & (each <= 7) for each in (ranks(pixels), ranks(codes))]
    assert found["neighbours_kept"] == pytest.approx((near[0] & near[1]).sum() / (60 * 7))
    upper = np.triu_indices(60, 1)
    places = [
        np.linalg.norm(each[upper[0]].astype(float) - each[upper[1]], axis=1).argsort().argsort()
        for each in (pixels, codes)
    ]
    assert found["distance_correlation"] == pytest.approx(np.corrcoef(*places)[0, 1], abs=1e-4)


def test_codes_that_are_the_images_keep_everything_and_codes_that_are_one_keep_nothing():
    data = linear().data
    same = analyse(Subject(lambda images: images, lambda codes: codes, data), SETTINGS).numbers
    assert [same[key] for key in ("trustworthiness", "continuity", "neighbours_kept")] == [1, 1, 1]
    assert same["distance_correlation"] == pytest.approx(1)
    assert same["intrinsic_dimension"]["codes"] == same["intrinsic_dimension"]["images"]
    assert "untrained" not in same
    one = analyse(Subject(lambda images: torch.ones(len(images), 3), lambda codes: codes, data), SETTINGS).numbers
    assert one["distance_correlation"] is None
    assert one["neighbours_kept"] < 0.3
    assert one["intrinsic_dimension"]["codes"] == {"two_nn": None, "mle": None}
    assert one["factors"]["area"] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_dimension_of_a_plane_in_a_larger_space(dimension):
    random = np.random.default_rng(0)
    points = random.uniform(size=(2000, dimension)) @ random.normal(size=(dimension, 12))
    found = intrinsic_dimension(points.astype(np.float32))
    assert found["two_nn"] == pytest.approx(dimension, rel=0.1)
    assert found["mle"] == pytest.approx(dimension, rel=0.15)
    # the estimate of Denti et al. (2022) from the same two distances
    distances = np.sort(np.sqrt(((points[:, None] - points[None, :]) ** 2).sum(-1)), axis=1)[:, 1:3]
    assert found["two_nn"] == pytest.approx((len(points) - 1) / np.log(distances[:, 1] / distances[:, 0]).sum(), rel=0.1)
    assert intrinsic_dimension(points[:, :1]) == pytest.approx({"two_nn": 1, "mle": 1}, rel=0.15)
    assert intrinsic_dimension(np.repeat(points[:5], 20, axis=0)) == {"two_nn": None, "mle": None}


def test_the_shape_of_strokes_that_were_drawn():
    images = torch.zeros(4, 1, 28, 28)
    images[0, 0, 5:25, 10:14] = 1  # upright
    for row in range(20):
        start = 18 - row // 2
        images[1, 0, 4 + row, start : start + 4] = 0.8  # half a column to the left with each row
    images[2, 0, 12:16, 4:24] = 1  # lying
    upright, leaning, lying, nothing = (dict(zip(FACTORS, each, strict=True)) for each in shape_factors(images))
    assert (upright["area"], upright["width"], upright["height"], upright["slant"]) == (80, 4, 20, 0)
    assert (lying["area"], lying["width"], lying["height"]) == (80, 20, 4)
    assert leaning["slant"] == pytest.approx(0.5, abs=0.03)
    assert upright["thickness"] == pytest.approx(4, abs=0.5)
    assert 16 <= upright["length"] <= 20
    assert all(np.isnan(value) for value in nothing.values())
    coloured = shape_factors(images.expand(-1, 3, -1, -1))
    assert np.array_equal(coloured, shape_factors(images), equal_nan=True)


def test_a_linear_probe_finds_what_is_in_the_codes_and_nothing_else():
    random = np.random.default_rng(0)
    factors = random.normal(size=(400, len(FACTORS))) * [1, 10, 100, 0.1, 1, 0]
    factors[7, 0] = np.nan
    codes = np.nan_to_num(factors[:, :3]) @ random.normal(size=(3, 8)) + 0.01 * random.normal(size=(400, 8))
    found = factors_found(codes[:200], factors[:200], codes[200:], factors[200:])
    assert min(found[name] for name in FACTORS[1:3]) > 0.99
    assert max(found[name] for name in FACTORS[3:5]) < 0.1
    assert found["height"] is None  # always the same
    assert found["mean"] == pytest.approx(np.mean([found[name] for name in FACTORS[:5]]))


def test_the_untrained_encoder_is_measured_too():
    subject = linear(2)
    before = Subject(subject.encode, subject.decode, subject.data, untrained=lambda: linear(8))
    numbers = analyse(before, SETTINGS).numbers
    assert numbers["untrained"]["neighbours_kept"] > numbers["neighbours_kept"]
    assert 2 < numbers["intrinsic_dimension"]["images"]["mle"] < 30
    assert numbers["intrinsic_dimension"]["codes"]["two_nn"] == pytest.approx(2, abs=0.4)
