"""Muon against its definition."""

import pytest
import torch

from conftest import PROJECT
from latentlab import models
from latentlab.training import optim


@pytest.mark.parametrize("shape", [(8, 8), (32, 9), (9, 32), (1, 16), (16, 1)])
def test_orthogonalise_against_the_singular_value_decomposition(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    result = optim.orthogonalise(matrix, 5)
    values = torch.linalg.svdvals(result)
    # the quintic brings every singular value near 1, not to it
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert torch.nn.functional.cosine_similarity(result.flatten(), (left @ right).flatten(), dim=0) > 0.97


def test_orthogonalise_does_not_see_the_scale_and_survives_zero():
    matrix = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(optim.orthogonalise(matrix, 5), optim.orthogonalise(1000 * matrix, 5), atol=1e-4)
    assert torch.equal(optim.orthogonalise(torch.zeros(3, 4), 5), torch.zeros(3, 4))


def test_orthogonalise_large_matrices_in_bfloat16():
    matrix = torch.randn(128, 300, generator=torch.Generator().manual_seed(0))
    exact, coarse = optim.orthogonalise(matrix, 5), optim.orthogonalise(matrix, 5, torch.bfloat16)
    assert coarse.dtype == torch.float32
    assert not torch.equal(exact, coarse)
    assert torch.nn.functional.cosine_similarity(exact.flatten(), coarse.flatten(), dim=0) > 0.999
    # a small one is not worth the conversion
    small = matrix[:127]
    assert torch.equal(optim.orthogonalise(small, 5), optim.orthogonalise(small, 5, torch.bfloat16))


def test_muon_step_by_hand():
    kernel = torch.nn.Parameter(torch.randn(8, 2, 2, 2, generator=torch.Generator().manual_seed(0)))
    start = kernel.detach().clone()
    optimiser = optim.Muon([kernel], lr=0.1, momentum=0.9, num_steps=5, dtype=torch.float32)
    momentum = torch.zeros_like(start)
    expected = start.clone()
    for seed in (1, 2):
        gradient = torch.randn(start.shape, generator=torch.Generator().manual_seed(seed))
        kernel.grad = gradient.clone()
        optimiser.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        direction = 0.1 * gradient + 0.9 * momentum
        expected -= 0.1 * optim.orthogonalise(direction.flatten(1), 5).view_as(start)  # 8 rows, 8 columns: scale 1
    assert torch.allclose(kernel, expected, atol=1e-5)


def test_muon_scales_tall_matrices():
    tall = torch.nn.Parameter(torch.zeros(16, 4))
    tall.grad = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    optim.Muon([tall], lr=1.0, momentum=0.0, num_steps=5, dtype=torch.float32).step()
    assert torch.allclose(tall, -2 * optim.orthogonalise(tall.grad, 5), atol=1e-6)


@pytest.mark.parametrize("recipe", ["fast", "published"])
def test_every_parameter_has_one_optimiser(recipe):
    model = models.build(PROJECT.variant("cae_batch_norm"), (1, 28, 28), 0)
    made = optim.optimizers(model, PROJECT.recipes[recipe]["cae"].optimizer, torch.float32)
    owned = [parameter for optimiser in made for group in optimiser.param_groups for parameter in group["params"]]
    assert len(owned) == len({id(parameter) for parameter in owned}) == len(list(model.parameters()))
    if recipe == "fast":
        assert all(parameter.ndim >= 2 for parameter in made[0].param_groups[0]["params"])
        assert all(parameter.ndim == 1 for parameter in made[1].param_groups[0]["params"])
