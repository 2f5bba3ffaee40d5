"""Interpolation in spaces where the way is known."""

import io

import numpy as np
import pytest
import samples
import torch
from PIL import Image
from samples import COLOUR, gaussian, splits, striped
from samples import noise as images

from latentlab.evaluation import pictures
from latentlab.evaluation.interpolation import Settings, analyse, draw_pairs, linear, smoothness, spherical, strip
from latentlab.evaluation.neighbours import nearest
from latentlab.evaluation.pca import of_baseline

SETTINGS = Settings(first=3, second=14, num_steps=6, num_pairs=20, seed=0)


def identity(x: torch.Tensor) -> torch.Tensor:
    return x


def test_strip_has_the_images_at_its_ends_and_evenly_spaced_decodings_between():
    pair = images(2)
    frames = strip(identity, lambda z: z / 2, pair, 8, linear)
    assert frames.shape == (10, 1, 28, 28)
    assert torch.equal(frames[0], pair[0])
    assert torch.equal(frames[-1], pair[1])
    for step in range(8):
        expected = (pair[0] * (1 - step / 7) + pair[1] * step / 7) / 2
        assert torch.allclose(frames[1 + step], expected, atol=1e-6)


def test_spherical_keeps_length_and_angle_even():
    first, second = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    for share in (0.0, 0.25, 0.5, 1.0):
        point = spherical(first, second, share)
        angle = torch.tensor(share * torch.pi / 2)
        assert torch.allclose(point, 3 * torch.stack([angle.cos(), angle.sin()]).unsqueeze(0), atol=1e-5)


def test_spherical_where_there_is_no_arc():
    code = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    other = torch.tensor([[2.0, 4.0, 6.0], [1.0, 1.0, 1.0], [-1.0, 0.0, 0.0]])
    halfway = spherical(code, other, 0.5)
    assert torch.allclose(halfway[0], torch.tensor([1.5, 3.0, 4.5]))
    assert torch.isfinite(halfway).all()
    assert torch.allclose(halfway[2], torch.zeros(3), atol=1e-3)
    # cosines of exactly 1 and -1, for which the formula of the arc divides by zero or by a rounding error
    exact = spherical(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[2.0, 0.0], [-1.0, 0.0]]), 0.3)
    assert torch.allclose(exact, torch.tensor([[1.3, 0.0], [0.4, 0.0]]))
    assert spherical(images(2), images(2, 1), 0.3).shape == (2, 1, 28, 28)


@pytest.mark.parametrize("equal", [True, False])
def test_pairs_are_of_equal_or_of_different_classes(equal):
    labels = torch.tensor([0, 1, 2, 3, 4] * 20 + [9])
    pairs = draw_pairs(labels, 200, equal, seed=0)
    assert pairs.shape == (200, 2)
    assert ((labels[pairs[:, 0]] == labels[pairs[:, 1]]) == equal).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert torch.equal(pairs, draw_pairs(labels, 200, equal, seed=0))
    assert not torch.equal(pairs, draw_pairs(labels, 200, equal, seed=1))


def test_no_pairs_is_said():
    assert draw_pairs(torch.arange(10), 5, True, seed=0).shape == (0, 2)
    assert draw_pairs(torch.zeros(10, dtype=torch.long), 5, False, seed=0).shape == (0, 2)


def test_smoothness_of_a_straight_way_and_of_one_with_a_jump():
    x, real = images(20), images(50, 1)
    pairs = torch.tensor([[0, 1], [2, 3], [4, 5]])
    even = smoothness(identity, identity, x, pairs, 8, linear, real)
    assert even["step_ratio"] == pytest.approx(1, abs=1e-4)
    # without a model the middle is the cross-fade
    assert even["midpoint_distance"] == pytest.approx(even["crossfade_distance"], rel=1e-5)
    jump = smoothness(identity, lambda z: (z > 0.5).float(), x, pairs, 8, linear, real)
    assert jump["step_ratio"] > 1.05
    still = smoothness(identity, torch.zeros_like, x, pairs, 8, linear, real)
    assert still["step_ratio"] == 1


def test_analysis_of_an_autoencoder():
    subject, data = samples.linear(8), splits()
    made = analyse(subject, SETTINGS)
    assert set(made.numbers) == {"linear", "real_distance"}
    pairs = draw_pairs(data.test.labels, 10, True, 0)
    expected = smoothness(subject.encode, subject.decode, data.test.images, pairs, 6, linear, data.train.images)
    assert made.numbers["linear"]["equal_classes"] == expected
    different = data.test.images[draw_pairs(data.test.labels, 10, False, 0)[:, 0]]
    assert made.numbers["real_distance"] == nearest(different, data.train.images).means()[0]
    shown = made.arrays["interpolation_linear"]
    assert (shown.shape, shown.dtype) == ((8, 1, 28, 28), np.uint8)
    assert np.array_equal(shown[[0, -1]], (data.test.images[[3, 14]].numpy() * 255).round())
    assert Image.open(io.BytesIO(made.pictures["interpolation_linear"])).size == (8 * 30 * 3, 30 * 3)


def test_analysis_of_a_vae_has_the_arc_too():
    made = analyse(gaussian(), SETTINGS)
    assert set(made.numbers) == {"linear", "spherical", "real_distance"}
    assert made.numbers["spherical"] != made.numbers["linear"]
    assert set(made.pictures) == {"interpolation_linear", "interpolation_spherical"}


def test_analysis_without_classes_takes_any_two_images():
    data = striped(COLOUR, ())
    subject, images = of_baseline("pca_3", 3, data), data.test.images
    made = analyse(subject, SETTINGS)
    pairs = draw_pairs(torch.arange(60), 10, False, 0)
    expected = smoothness(subject.encode, subject.decode, images, pairs, 6, linear, data.train.images)
    assert made.numbers["linear"] == {"different_classes": expected}
    assert made.numbers["real_distance"] == nearest(images[pairs[:, 0]], data.train.images).means()[0]


def test_counting_goes_on_with_the_first_image():
    subject, test = samples.linear(), splits().test.images
    shown = analyse(subject, SETTINGS.model_copy(update={"first": 3, "second": 205})).arrays["interpolation_linear"]
    assert np.array_equal(shown[[0, -1]], pictures.as_bytes(test[[3, 5]].numpy()))
