"""Muon against its definition."""

import pytest
import torch

from conftest import PROJECT
from latentlab import models
from latentlab.training import optim


def orthogonal(matrix: torch.Tensor, block: int = 1000) -> torch.Tensor:
    [result] = optim.orthogonalise([matrix], 5, block)
    return result


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(8, 8), (32, 9), (9, 32), (1, 16), (16, 1), (60, 100)])
def test_orthogonalise_against_the_singular_value_decomposition(shape):
    matrix = normal(*shape)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonal(matrix)
    values = torch.linalg.svdvals(result)
    # the quintic brings every singular value near 1, not to it
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert torch.nn.functional.cosine_similarity(result.flatten(), (left @ right).flatten(), dim=0) > 0.97


@pytest.mark.parametrize("shape", [(8, 8), (32, 9), (20, 300)])
def test_orthogonalise_is_the_iteration_on_the_matrix_itself(shape):
    matrix = normal(*shape)
    expected = matrix / matrix.norm()
    for _ in range(5):
        gram = expected @ expected.T
        expected = 3.4445 * expected + (-4.7750 * gram + 2.0315 * gram @ gram) @ expected
    assert torch.allclose(orthogonal(matrix), expected, atol=2e-4)


def test_orthogonalise_does_not_see_the_scale_and_survives_zero_and_a_singular_matrix():
    matrix = normal(6, 4)
    assert torch.allclose(orthogonal(matrix), orthogonal(1000 * matrix), atol=1e-4)
    assert torch.equal(orthogonal(torch.zeros(3, 4)), torch.zeros(3, 4))
    assert torch.linalg.svdvals(orthogonal(normal(40, 1) @ normal(1, 50))).max() < 1.3


def test_blocks_of_the_shorter_side_are_orthogonalised_alone():
    matrix = normal(12, 20)
    apart = torch.cat([orthogonal(matrix[:6]), orthogonal(matrix[6:])])
    assert torch.allclose(orthogonal(matrix, 6), apart, atol=1e-5)
    assert torch.allclose(orthogonal(matrix, 11), apart, atol=1e-5)  # the fewest equal blocks of at most 11 rows
    assert torch.allclose(orthogonal(matrix.T, 6), apart.T, atol=1e-5)
    # what is computed together does not mix
    others = [normal(6, 9, seed=1), normal(40, 6, seed=2)]
    first, second, third = optim.orthogonalise([others[0], matrix, others[1]], 5, 6)
    assert torch.allclose(second, apart, atol=1e-5)
    assert torch.allclose(first, orthogonal(others[0]), atol=1e-5)
    assert torch.allclose(third, orthogonal(others[1]), atol=1e-5)


def test_muon_step_by_hand():
    kernel = torch.nn.Parameter(normal(8, 2, 2, 2))
    start = kernel.detach().clone()
    optimiser = optim.Muon([kernel], lr=0.1, momentum=0.9, num_steps=5, block=64)
    momentum = torch.zeros_like(start)
    expected = start.clone()
    for seed in (1, 2):
        gradient = normal(*start.shape, seed=seed)
        kernel.grad = gradient.clone()
        optimiser.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        direction = 0.1 * gradient + 0.9 * momentum
        expected -= 0.1 * orthogonal(direction.flatten(1)).view_as(start)  # 8 rows, 8 columns: scale 1
    assert torch.allclose(kernel, expected, atol=1e-5)


def test_muon_scales_tall_matrices():
    tall = torch.nn.Parameter(torch.zeros(16, 4))
    tall.grad = normal(16, 4)
    optim.Muon([tall], lr=1.0, momentum=0.0, num_steps=5, block=64).step()
    assert torch.allclose(tall, -2 * orthogonal(tall.grad), atol=1e-6)


@pytest.mark.parametrize("recipe", ["fast", "published"])
def test_every_parameter_has_one_optimiser(recipe):
    model = models.build(PROJECT.variant("cae_batch_norm"), (1, 28, 28), 0)
    made = optim.optimizers(model, PROJECT.recipes[recipe]["cae"].optimizer)
    owned = [parameter for optimiser in made for group in optimiser.param_groups for parameter in group["params"]]
    assert len(owned) == len({id(parameter) for parameter in owned}) == len(list(model.parameters()))
    if recipe == "fast":
        assert all(parameter.ndim >= 2 for parameter in made[0].param_groups[0]["params"])
        assert all(parameter.ndim == 1 for parameter in made[1].param_groups[0]["params"])
