"""Samples whose quality is known, and posteriors computed a second way."""

import numpy as np
import pytest
import torch

from latentlab.evaluation import generation
from latentlab.evaluation.pca import LinearAutoencoder


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
    def inside(points: np.ndarray, manifold: np.ndarray) -> float:
        hits = 0
        for point in points:
            for index, centre in enumerate(manifold):
                radius = sorted(np.linalg.norm(manifold - centre, axis=1))[k]
                if np.linalg.norm(point - manifold[index]) <= radius:
                    hits += 1
                    break
        return hits / len(points)

    a, b = samples.double().numpy(), real.double().numpy()
    return inside(a, b), inside(b, a)


def test_precision_and_recall_against_the_definition():
    samples, real = 0.6 * normal(60, 3, 0), normal(50, 3, 1)
    assert generation.precision_and_recall(samples, real, 3) == brute_force(samples, real, 3)


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


def test_quality_of_real_images_is_good_and_of_noise_bad():
    generator = torch.Generator().manual_seed(0)
    basis = torch.rand(6, 784, generator=generator)
    images = (torch.rand(1200, 6, generator=generator) @ basis / 6).reshape(-1, 1, 28, 28)
    train, test, other = images[:800], images[800:1000], images[1000:]
    real = generation.RealImages(LinearAutoencoder(train, 64), train, test)
    good = generation.quality(other, real)
    bad = generation.quality(torch.rand(200, 1, 28, 28, generator=generator), real)
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
