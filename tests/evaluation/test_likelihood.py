"""Bounds of a likelihood that is known exactly, and images that come back from their bits."""

import math

import constriction
import numpy as np
import pytest
import torch
from samples import digits, linear
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from latentlab.data.images import Images, Splits
from latentlab.evaluation import likelihood as measured
from latentlab.evaluation.analysis import Subject
from latentlab.evaluation.likelihood import (
    NUM_CELLS,
    NUM_INTERVALS,
    BitsBack,
    Settings,
    analyse,
    cells_of,
    count_levels,
    decode_logits,
    likelihood,
    stored,
)
from latentlab.models.base import Autoencoder

SETTINGS = Settings(seed=0, num_images=10, num_samples=50, num_coded=120, num_fitted=100)


class Line(Autoencoder):
    """A code of one number, or some, by one layer there and one back."""

    def __init__(self, shape: tuple[int, int, int], latent_dim: int = 1, deviation: float = 0.6) -> None:
        super().__init__()
        torch.manual_seed(1)
        num_values = math.prod(shape)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(num_values, latent_dim))
        self.decoder = nn.Sequential(nn.Linear(latent_dim, num_values), nn.Unflatten(1, shape))
        self.deviation = deviation

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.encoder(x)
        return mean, torch.full_like(mean, 2 * math.log(self.deviation))

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        raise NotImplementedError


def line(shape: tuple[int, int, int], latent_dim: int = 1, deviation: float = 0.6) -> Line:
    return Line(shape, latent_dim, deviation).eval().requires_grad_(requires_grad=False)


def black_and_white(count: int, shape: tuple[int, int, int] = (1, 4, 4)) -> Tensor:
    return torch.bernoulli(torch.full((count, *shape), 0.4), generator=torch.Generator().manual_seed(0))


def bits_back(model: Line, levels: np.ndarray) -> BitsBack:
    def logits(codes: Tensor) -> Tensor:
        return decode_logits(model, codes)

    return BitsBack(
        model.posterior, logits, count_levels(model.posterior, logits, levels, torch.Generator().manual_seed(0))
    )


def grey(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(0).binomial(255, 0.2, (count, *shape)).astype(np.uint8)


def test_the_bounds_against_the_likelihood_itself():
    model, images = line((1, 4, 4)), black_and_white(40)
    found = likelihood(model, model.posterior, images, torch.arange(40), 5000, torch.Generator().manual_seed(0))
    # log p(x) by the sum over a fine grid of z
    grid = torch.linspace(-9, 9, 6001, dtype=torch.float64)
    chances = torch.sigmoid(model.decode_logits(grid.float().unsqueeze(1)).double()).flatten(1)  # (6001, 16)
    x = images.flatten(1).double()
    log_p = x @ chances.log().T + (1 - x) @ (1 - chances).log().T + Normal(0.0, 1.0).log_prob(grid)
    exact = torch.logsumexp(log_p, dim=1) + math.log(18 / 6000)
    assert -found["nll_importance"]["mean"] == pytest.approx(float(exact.mean()), abs=0.01)
    assert found["nll_importance"]["standard_error"] == pytest.approx(float(exact.std()) / 40**0.5, rel=0.05)
    assert found["elbo"]["mean"] < exact.mean() - 0.05
    # the ELBO by the same grid, whose posterior is known too
    mean, log_variance = (each.double() for each in model.posterior(images))
    posterior = Normal(mean, (0.5 * log_variance).exp())
    density = posterior.log_prob(grid)
    elbo = ((log_p - density) * density.exp()).sum(1) * 18 / 6000
    assert found["elbo"]["mean"] == pytest.approx(float(elbo.mean()), abs=4 * found["elbo"]["standard_error"])
    assert found["gap"]["mean"] == pytest.approx(float((exact - elbo).mean()), abs=0.02)
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    assert found["kl"]["mean"] == pytest.approx(float(divergence.mean()))
    assert found["elbo"]["mean"] == pytest.approx(-found["reconstruction"]["mean"] - found["kl"]["mean"])
    assert found["nll"]["mean"] == pytest.approx(-found["elbo"]["mean"] - found["gap"]["mean"])
    assert (found["num_images"], found["num_samples"]) == (40, 5000)


def test_more_samples_tighten_the_bound():
    model, images = line((1, 4, 4), latent_dim=3), black_and_white(30)
    gaps = [
        likelihood(model, model.posterior, images, torch.arange(30), count, torch.Generator().manual_seed(0))["gap"]["mean"]
        for count in (1, 10, 1000)
    ]
    assert gaps[0] == pytest.approx(0, abs=1e-9)
    assert gaps == sorted(gaps)


def test_the_rate_is_the_negative_elbo_of_what_is_coded():
    model, levels = line((1, 4, 4), deviation=0.3), grey(1000, (1, 4, 4))
    code = bits_back(model, levels)
    found = stored(code, levels, seed=0)
    assert found["is_exact"]
    # over all intervals of the code, with the masses and the chances worked out anew
    normal, middles = Normal(0.0, 1.0), (torch.arange(NUM_INTERVALS).double() + 0.5) / NUM_INTERVALS
    edges = normal.icdf(torch.arange(1, NUM_INTERVALS).double() / NUM_INTERVALS)
    mean, log_variance = (each.double() for each in model.posterior(torch.from_numpy(levels).float() / 255))
    below = Normal(mean, (0.5 * log_variance).exp()).cdf(edges)
    ends = torch.zeros(len(mean), 1), torch.ones(len(mean), 1)
    masses = torch.cat([ends[0], below, ends[1]], dim=1).diff(dim=1).numpy()  # (N, K)
    logits = model.decode_logits(normal.icdf(middles).float().unsqueeze(1)).flatten(1).numpy()  # (K, 16)
    cells = np.clip(np.floor((logits + 8) * 4), 0, 63).astype(int)
    bits = -np.log2(code.counts / code.counts.sum(1, keepdims=True))
    costs = np.stack([bits[cells, image].sum(1) for image in levels.reshape(len(levels), -1)])  # (N, K)
    taken = masses * np.log2(np.maximum(masses, 1e-300) * NUM_INTERVALS)
    expected = ((masses * costs) + taken).sum(1).mean() / 16
    assert found["bits_per_pixel"] == pytest.approx(expected, rel=0.005)
    assert found["bits_per_pixel_with_table"] == pytest.approx(found["bits_per_pixel"] + found["table_bytes"] / 2000)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 2), (1, 1, 1)])
def test_images_and_the_first_bits_come_back(shape):
    model, levels = line(shape, latent_dim=3, deviation=0.1), grey(9, shape)
    code = bits_back(model, levels)
    before = np.random.default_rng(0).integers(2**32, size=40, dtype=np.uint32)
    stack = constriction.stream.stack.AnsCoder(before, seal=True)
    code.push(stack, levels[:4])
    code.push(stack, levels[4:])
    after = stack.get_compressed()
    stack = constriction.stream.stack.AnsCoder(after)
    assert np.array_equal(code.pop(stack, (5, *shape), 3), levels[4:])
    assert np.array_equal(code.pop(stack, (4, *shape), 3), levels[:4])
    assert np.array_equal(stack.get_compressed(unseal=True), before)


def test_a_stack_that_does_not_give_the_images_back_is_told(monkeypatch):
    model, levels = line((1, 4, 4)), grey(60, (1, 4, 4))
    monkeypatch.setattr(measured.BitsBack, "pop", lambda *given: np.zeros(given[2], np.uint8))
    assert stored(bits_back(model, levels), levels, seed=0)["is_exact"] is False


def test_logits_fall_into_intervals_of_equal_width():
    assert cells_of(torch.tensor([-1e9, -8.0, -7.76, -7.74, 0.0, 7.9, 8.0, 1e9])).tolist() == [
        0, 0, 0, 1, 32, 63, 63, NUM_CELLS - 1,
    ]  # fmt: skip


def test_levels_are_counted_where_they_are():
    levels = grey(30, (1, 4, 4))
    model = line((1, 4, 4))
    model.decoder[0].weight.zero_()
    model.decoder[0].bias.copy_(torch.linspace(-7.9, 7.9, 16))
    counts = bits_back(model, levels).counts
    assert counts.sum() == NUM_CELLS * 256 + levels.size
    for place, logit in enumerate(np.linspace(-7.9, 7.9, 16)):
        expected = np.bincount(levels.reshape(30, -1)[:, place], minlength=256) + 1
        assert np.array_equal(counts[int((logit + 8) * 4)], expected)


def test_what_is_no_vae_has_no_likelihood():
    assert analyse(linear(2), SETTINGS).numbers == {}


def of_images(images: Tensor, **kept: float) -> Subject:
    part = Images(images, torch.arange(len(images)) % 2)
    model = line(tuple(images.shape[1:]), 2, **kept)
    return Subject(model.encode, model.decode, Splits(part, part, part, ("a", "b")), model.posterior, model)


@pytest.mark.parametrize("deviation", [1e-17, 0.5, 100.0])
@pytest.mark.parametrize("look", ["black", "white", "one pixel is white", "of one pixel"])
def test_images_with_next_to_nothing_in_them(look, deviation):
    images = torch.zeros(12, 1, *((1, 1) if look == "of one pixel" else (6, 6)))
    images[..., -1, -1] = float(look == "one pixel is white")
    numbers = analyse(
        of_images(torch.ones_like(images) if look == "white" else images, deviation=deviation), SETTINGS
    ).numbers
    assert numbers["bits_back"]["is_exact"]
    values = [value for each in numbers.values() for value in (each.values() if isinstance(each, dict) else [each])]
    assert np.isfinite(values).all()


def test_digits_are_measured_again_the_same_and_take_fewer_bits_than_pixels():
    part = digits(200, 3)
    model = line((1, 28, 28), 2)
    subject = Subject(model.encode, model.decode, Splits(part, part, part, [*"0123456789"]), model.posterior, model)
    first, second = (analyse(subject, SETTINGS).numbers for _ in range(2))
    assert first == second
    assert first["bits_back"]["is_exact"]
    assert first["bits_back"]["num_images"] == 120
    assert first["num_images"] == 10
    assert first["bits_back"]["bits_per_pixel"] < 4
    assert first["gap"]["mean"] >= 0
