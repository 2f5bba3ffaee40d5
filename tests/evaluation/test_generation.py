"""Samples whose quality is known, and posteriors computed a second way."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from samples import COLOUR, GREY, digits, gaussian, linear, noise, splits, striped
from scipy.linalg import sqrtm

from latentlab.data.images import Images
from latentlab.evaluation import classifier, generation
from latentlab.evaluation.analysis import Subject
from latentlab.evaluation.pca import LinearAutoencoder, of_baseline

SETTINGS = generation.Settings(
    grid_side=5,
    grid_extent=3.0,
    num_shown=13,
    num_samples=100,
    mixture_components=4,
    num_fitted=300,
    num_draws=3,
    seed=0,
)

KINDS = ("reconstruction", "standard_normal", "mixture", "interpolation")


def features(images: torch.Tensor) -> torch.Tensor:
    return linear(8).encode(images)


def normal(count: int, size: int, seed: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def test_grid_is_read_as_a_picture():
    codes = generation.grid_codes(15, 3.0)
    assert codes.shape == (225, 2)
    assert codes[0].tolist() == [-3, 3]
    assert codes[14].tolist() == [3, 3]
    assert codes[112].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert codes[-1].tolist() == [3, -3]


def test_samples_of_the_mixture_are_like_the_codes():
    centres = torch.tensor([[5.0, 0.0, 0.0], [-5.0, 0.0, 0.0]])
    codes = centres[torch.arange(2000) % 2] + 0.3 * normal(2000, 3, 0)
    codes[:, 2] = 0  # a number that never changes
    samples = generation.mixture_codes(codes, 500, 8, 1500, seed=0)
    assert samples.shape == (500, 3)
    nearest = torch.cdist(samples, centres).amin(1)
    assert float((nearest < 1.5).double().mean()) > 0.98
    assert 0.35 < float((samples[:, 0] > 0).double().mean()) < 0.65
    assert torch.equal(samples, generation.mixture_codes(codes, 500, 8, 1500, seed=0))
    assert generation.mixture_codes(codes.reshape(2000, 3, 1, 1), 7, 2, 100, seed=0).shape == (7, 3, 1, 1)
    wide = generation.mixture_codes(normal(300, 200, 1), 10, 4, 300, seed=0)
    assert wide.shape == (10, 200)
    assert torch.isfinite(wide).all()


def brute_force(samples: torch.Tensor, real: torch.Tensor, k: int) -> tuple[float, float]:
    """By the definition of Kynkaanniemi et al. (2019), point by point."""

    def inside(points: np.ndarray, manifold: np.ndarray) -> float:
        radii = [sorted(np.linalg.norm(manifold - centre, axis=1))[k] for centre in manifold]
        return float(np.mean([(np.linalg.norm(manifold - point, axis=1) <= radii).any() for point in points]))

    a, b = samples.double().numpy(), real.double().numpy()
    return inside(a, b), inside(b, a)


FEATURES = {
    "normal": (0.6 * normal(60, 3, 0), normal(50, 3, 1)),
    "strokes": (features(digits(80, 5).images), features(digits(100, 6).images)),
    "faint strokes": (features(0.7 * digits(80, 5).images), features(digits(100, 6).images)),
    "noise": (features(noise(80)), features(digits(100, 6).images)),
}


@pytest.mark.parametrize("neighbours", [1, 3])
@pytest.mark.parametrize("name", FEATURES)
def test_precision_and_recall_against_the_definition(name, neighbours):
    samples, real = FEATURES[name]
    assert generation.precision_and_recall(samples, real, neighbours) == pytest.approx(
        brute_force(samples, real, neighbours)
    )


@pytest.mark.parametrize("name", FEATURES)
def test_frechet_distance_against_the_root_of_a_matrix(name):
    a, b = (each.double().numpy() for each in FEATURES[name])
    difference, covariances = a.mean(axis=0) - b.mean(axis=0), (np.cov(a.T), np.cov(b.T))
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = difference @ difference + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert generation.frechet_distance(*FEATURES[name]) == pytest.approx(expected, rel=1e-5)


def test_precision_and_recall_tell_fidelity_from_diversity():
    real = normal(500, 4, 0)
    alike = generation.precision_and_recall(normal(500, 4, 1), real, 3)
    assert min(alike) > 0.85
    precision, recall = generation.precision_and_recall(0.1 * normal(500, 4, 1), real, 3)
    assert precision > 0.95
    assert recall < 0.2
    precision, recall = generation.precision_and_recall(normal(500, 4, 1) + 100, real, 3)
    assert precision == recall == 0


def test_frechet_distance_of_known_gaussians():
    a, b = normal(200_000, 2, 0), normal(200_000, 2, 1) * torch.tensor([3.0, 1.0]) + torch.tensor([0.0, 2.0])
    # |mean difference|^2 + sum of (deviation - deviation)^2 for diagonal covariances
    assert generation.frechet_distance(a, b) == pytest.approx(4 + 4, rel=0.02)
    assert generation.frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert generation.frechet_distance(torch.zeros(100, 2), a) == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_quality_of_real_images_is_good_and_of_noise_bad(shape):
    basis = noise(6, 0, shape).flatten(1)
    images = (torch.rand(1200, 6, generator=torch.Generator().manual_seed(1)) @ basis / 6).reshape(-1, *shape)
    train, test, other = images[:800], images[800:1000], images[1000:]
    real = generation.RealImages(LinearAutoencoder(train, 64).encode, train, test, None)
    good = generation.quality(other, real)
    bad = generation.quality(noise(200, 2, shape), real)
    reference = real.reference(200)
    assert good["precision"] > 0.8 > 0.1 > bad["precision"]
    assert good["nearest_distance"] == pytest.approx(reference["real_distance"], rel=0.2)
    assert bad["nearest_distance"] > 5 * reference["real_distance"]
    assert good["frechet_distance"] < 2 * reference["real_frechet_distance"] < bad["frechet_distance"]


def test_posterior_against_torch_distributions():
    mean, log_variance = 2 * normal(400, 3, 0), normal(400, 3, 1)
    mean[:, 2] = 0.001 * mean[:, 2]  # an inactive unit
    measured = generation.posterior_measures(mean, log_variance, 0.01)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).mean(0)
    assert measured["kl_per_dimension"] == pytest.approx(expected.tolist(), rel=1e-4)
    assert measured["kl"] == pytest.approx(float(expected.sum()), rel=1e-4)
    assert measured["active_units"] == 2
    collapsed = generation.posterior_measures(torch.zeros(10, 2), torch.zeros(10, 2), 0.01)
    assert collapsed == {"kl_per_dimension": [0.0, 0.0], "kl": 0.0, "active_units": 0}


def test_reconstructions_by_samples_of_the_posterior():
    mean, log_variance = normal(50, 3, 0), torch.full((50, 3), -4.0)
    draws = generation.posterior_reconstructions(mean, log_variance, lambda z: z, 400, seed=0)
    assert draws.shape == (400, 50, 3)
    assert torch.allclose(draws.mean(0), mean, atol=0.05)
    assert float(draws.std(0).mean()) == pytest.approx(float(torch.tensor(-2.0).exp()), rel=0.02)


def test_analysis_of_an_autoencoder():
    subject, data = linear(8), splits()
    made = generation.analyse(subject, SETTINGS)
    assert set(made.numbers) == {"real_distance", "real_cosine", "real_frechet_distance", *KINDS}
    principal = LinearAutoencoder(data.train.images, 50).encode
    real = generation.RealImages(principal, data.train.images, data.test.images, None)
    test_codes = subject.encode(data.test.images[:100])
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0)).tolist()
    between = [(test_codes[order[place]] + test_codes[order[place - 1]]) / 2 for place in range(100)]
    codes = {
        "reconstruction": test_codes,
        "standard_normal": generation.normal_codes(torch.Size([8]), 100, 0),
        "mixture": generation.mixture_codes(subject.encode(data.train.images[:300]), 100, 4, 300, 0),
        "interpolation": torch.stack(between),
    }
    for kind in KINDS:
        expected = generation.quality(subject.decode(codes[kind]).clamp(0, 1), real)
        assert made.numbers[kind] == pytest.approx(expected, rel=1e-4), kind
    assert made.numbers["real_distance"] == real.reference(100)["real_distance"]
    shown = made.arrays["samples_mixture"]
    assert (shown.shape, shown.dtype) == ((13, 1, 28, 28), np.uint8)
    assert Image.open(io.BytesIO(made.pictures["samples_mixture"])).size == (10 * 30 * 3, 2 * 30 * 3)


def test_analysis_of_a_vae_with_a_code_of_two_numbers():
    subject, data = gaussian(2), splits()
    made = generation.analyse(subject, SETTINGS)
    measured = generation.posterior_measures(*subject.posterior(data.test.images), 0.01)
    assert {name: made.numbers[name] for name in measured} == measured
    draws = generation.posterior_reconstructions(*subject.posterior(data.test.images), subject.decode, 3, 0)
    assert made.numbers["reconstruction_std"] == pytest.approx(float(draws.std(dim=0).mean()), rel=1e-5)
    samples = {"samples_standard_normal": (13, *GREY), "samples_mixture": (13, *GREY)}
    shapes = samples | {"grid": (25, *GREY), "stochastic": (4, *GREY)}
    assert {name: array.shape for name, array in made.arrays.items()} == shapes
    assert Image.open(io.BytesIO(made.pictures["grid"])).size == (5 * 30 * 3, 5 * 30 * 3)
    assert Image.open(io.BytesIO(made.pictures["stochastic"])).size == (4 * 30 * 3, 30 * 3)


@pytest.mark.parametrize(("num_train", "num_test"), [(90, 12), (20, 60)])
def test_a_few_images_are_compared_in_fewer_features(num_train, num_test):
    data = striped(COLOUR)
    train, test = (Images(each.images[:count], None) for each, count in ((data.train, num_train), (data.test, num_test)))
    few = replace(data, train=train, test=test, classes=())
    numbers = generation.analyse(of_baseline("pca_3", 3, few), SETTINGS).numbers
    assert 0 < numbers["real_frechet_distance"] < numbers["standard_normal"]["frechet_distance"]


def test_samples_are_compared_and_counted_by_a_classifier():
    subject, data = gaussian(2), splits()
    judge = classifier.train(data.train, data.test, 10, seed=0)
    numbers = generation.analyse(subject, SETTINGS, judge).numbers
    assert numbers["classifier_accuracy"] == judge.test_accuracy
    test, train = (judge.features(each.images[:100]) for each in (data.test, data.train))
    assert numbers["real_classifier_frechet_distance"] == pytest.approx(generation.frechet_distance(train, test))
    decoded = subject.decode(generation.normal_codes(torch.Size([2]), 100, 0)).clamp(0, 1)
    found = numbers["standard_normal"]["classifier"]
    precision, recall = generation.precision_and_recall(judge.features(decoded), test, 3)
    assert (found["precision"], found["recall"]) == (precision, recall)
    assert found["frechet_distance"] == pytest.approx(generation.frechet_distance(judge.features(decoded), test))
    classes = [int(judge.network(image[None]).argmax()) for image in decoded]
    assert found["class_shares"] == pytest.approx([classes.count(label) / 100 for label in range(10)])
    assert numbers["reconstruction"]["classifier"]["frechet_distance"] < found["frechet_distance"]
    sure = [bool(judge.network(image[None]).softmax(1).amax() >= 0.9) for image in grid(subject)]
    assert numbers["grid"]["readable_share"] == pytest.approx(sum(sure) / 25)


def grid(subject: Subject) -> torch.Tensor:
    return subject.decode(generation.grid_codes(5, 3.0)).clamp(0, 1)


def test_readable_places_of_a_grid():
    places = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [4.0, 0.0]])
    probabilities = torch.tensor([[0.95, 0.05], [0.1, 0.9], [0.5, 0.5], [0.2, 0.8]])
    assert generation.readability(places, probabilities) == {"readable_share": 0.5, "unreadable_distance": 3.5 / 2}
    sure = torch.ones(4, 1)
    assert generation.readability(places, sure) == {"readable_share": 1, "unreadable_distance": None}
