"""Layers that compute in their own way, against torch's."""

import json
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conftest import ROOT, needs_bfloat16
from latentlab import models
from latentlab.data import images
from latentlab.models import check
from latentlab.models.accelerate import Conv2d, ConvTranspose2d, Linear, accelerate
from latentlab.params.variants import Variant

# ours, arguments, shape of the input, whether it is ours that computes
CASES: list[tuple[type[nn.Module], dict[str, Any], tuple[int, ...], bool]] = [
    (Linear, {"in_features": 784, "out_features": 392}, (256, 784), True),
    (Linear, {"in_features": 8, "out_features": 2}, (3, 8), True),
    (Linear, {"in_features": 3, "out_features": 500}, (1, 3), True),
    (Linear, {"in_features": 3, "out_features": 5}, (2, 4, 3), False),
    (Conv2d, {"in_channels": 32, "out_channels": 1, "kernel_size": 3, "padding": 1}, (4, 32, 28, 28), True),
    (Conv2d, {"in_channels": 8, "out_channels": 1, "kernel_size": 5, "padding": 2}, (1, 8, 28, 28), True),
    (Conv2d, {"in_channels": 3, "out_channels": 1, "kernel_size": (2, 5), "padding": (0, 3)}, (2, 3, 9, 6), True),
    (Conv2d, {"in_channels": 3, "out_channels": 1, "kernel_size": 1, "padding": 2}, (2, 3, 4, 4), False),
    (Conv2d, {"in_channels": 3, "out_channels": 1, "kernel_size": 3, "padding": "same"}, (2, 3, 4, 4), False),
    (Conv2d, {"in_channels": 3, "out_channels": 2, "kernel_size": 3}, (2, 3, 4, 4), False),
    (Conv2d, {"in_channels": 3, "out_channels": 1, "kernel_size": 3, "stride": 2}, (2, 3, 5, 5), False),
    (Conv2d, {"in_channels": 3, "out_channels": 1, "kernel_size": 2, "dilation": 2}, (2, 3, 5, 5), False),
    (Conv2d, {"in_channels": 3, "out_channels": 1, "kernel_size": 3}, (3, 5, 5), False),
    (
        ConvTranspose2d,
        {"in_channels": 32, "out_channels": 1, "kernel_size": 4, "stride": 2, "padding": 1},
        (4, 32, 14, 14),
        True,
    ),
    (
        ConvTranspose2d,
        {"in_channels": 6, "out_channels": 1, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
        (4, 6, 14, 14),
        True,
    ),
    (
        ConvTranspose2d,
        {"in_channels": 6, "out_channels": 5, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
        (4, 6, 7, 7),
        True,
    ),
    (ConvTranspose2d, {"in_channels": 4, "out_channels": 1, "kernel_size": 2, "stride": 2}, (2, 4, 3, 5), True),
    (
        ConvTranspose2d,
        {
            "in_channels": 4,
            "out_channels": 1,
            "kernel_size": (3, 4),
            "stride": (1, 3),
            "padding": (2, 0),
            "output_padding": (0, 2),
        },
        (2, 4, 5, 3),
        True,
    ),
    (ConvTranspose2d, {"in_channels": 4, "out_channels": 2, "kernel_size": 2, "groups": 2}, (2, 4, 3, 5), False),
]
THEIRS = {Linear: nn.Linear, Conv2d: nn.Conv2d, ConvTranspose2d: nn.ConvTranspose2d}


def _pair(kind: type[nn.Module], arguments: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    ours, theirs = kind(**arguments), THEIRS[kind](**arguments)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def _values(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, and gradients of the input and of the parameters."""
    inputs = x.clone().requires_grad_()
    output = layer(inputs)
    target = torch.rand(output.shape, generator=torch.Generator().manual_seed(1))
    (output.float() - target).square().sum().backward()
    return [output.detach(), inputs.grad, *(parameter.grad for parameter in layer.parameters())]


def _is_ours(output: Tensor) -> bool:
    return type(output.grad_fn).__module__ == "torch.autograd.function"


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("kind", "arguments", "shape", "is_ours"), CASES)
def test_a_layer_is_that_of_torch_but_for_rounding(kind, arguments, shape, is_ours, memory_format):
    ours, theirs = _pair(kind, arguments)
    x = torch.rand(shape)
    if len(shape) == 4:
        x = x.to(memory_format=memory_format)
        ours.to(memory_format=memory_format)
    for found, expected in zip(_values(ours, x), _values(theirs, x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert _is_ours(ours(x)) == is_ours
    with torch.inference_mode():
        assert torch.equal(ours(x), ours.eval()(x)), "an evaluation sees what training sees"


@needs_bfloat16
@pytest.mark.parametrize(("kind", "arguments", "shape", "is_ours"), CASES)
def test_a_layer_under_autocast_is_that_of_torch_but_for_rounding(kind, arguments, shape, is_ours):
    ours, theirs = _pair(kind, arguments)
    x = torch.rand(shape)
    with torch.autocast("cpu", torch.bfloat16):
        values = [_values(layer, x) for layer in (ours, theirs)]
        assert _is_ours(ours(x)) == (is_ours and kind is not Linear), "torch's dense layers are fast in bfloat16"
    for found, expected in zip(*values, strict=True):
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found.float(), expected.float(), rtol=0.05, atol=0.02 * float(expected.abs().max()))


def test_the_gradient_of_a_sum():
    for kind, arguments, shape, _ in CASES:
        ours, theirs = _pair(kind, arguments)
        for layer in (ours, theirs):
            layer(torch.ones(shape)).sum().backward()  # the gradient of a sum is one number, seen from everywhere
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)


@pytest.mark.parametrize(("kind", "arguments", "shape", "is_ours"), CASES)
def test_elsewhere_and_traced_a_layer_is_that_of_torch(kind, arguments, shape, is_ours):
    del is_ours
    assert not _is_ours(_pair(kind, arguments)[0].to("meta")(torch.rand(shape, device="meta")))
    traced = [
        [node.target for node in torch.export.export(layer, (torch.rand(shape),)).graph.nodes if node.op == "call_function"]
        for layer in _pair(kind, arguments)
    ]
    assert traced[0] == traced[1]


VARIANTS = json.loads((ROOT / "tests/golden/losses.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", check.FAMILIES)
def test_an_accelerated_model_is_the_plain_one_but_for_rounding(family):
    variant = Variant.model_validate(VARIANTS[family]["variant"])
    plain = models.family(family)((1, 28, 28), **variant.architecture)
    faster = deepcopy(plain)
    parameters = list(faster.parameters())
    assert accelerate(faster) is faster
    assert all(one is other for one, other in zip(faster.parameters(), parameters, strict=True))
    assert list(faster.state_dict()) == list(plain.state_dict())
    for module in faster.modules():
        assert type(module) not in {nn.Linear, nn.Conv2d, nn.ConvTranspose2d}
    target = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    x = images.degrade(target, variant.downsampling)
    values = []
    for model in (plain, faster):
        model.loss(x, target, torch.Generator().manual_seed(0))["loss"].backward()
        values.append([model(x).detach(), *(parameter.grad for parameter in model.parameters())])
    for found, expected in zip(*values, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()) + 1e-8)
