"""What does a model cost? Parameters, and multiply-accumulate operations per image."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from latentlab.models.base import Autoencoder


def num_parameters(model: Autoencoder) -> dict[str, int]:
    """Trainable parameters of "encoder" and "decoder", and their "total"."""
    parts = {
        part: sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
        for part, module in (("encoder", model.encoder), ("decoder", model.decoder))
    }
    return parts | {"total": sum(parts.values())}


def flop_counter() -> FlopCounterMode:
    """Counts the operations of torch's products and of those of `latentlab.models.accelerate`."""
    mapping: dict[Any, Callable[..., int]] = {}
    if torch.backends.mkldnn.is_available():
        mapping[torch.ops.mkldnn._linear_pointwise] = _count_product
    return FlopCounterMode(display=False, custom_mapping=mapping)


def _count_product(x: Sequence[int], weight: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * math.prod(x) * weight[0]


@torch.inference_mode()
def num_macs(model: Autoencoder, image: Tensor) -> dict[str, int]:
    """Multiply-accumulate operations for one image in "encoder" and "decoder", and their "total".

    Half of what `torch.utils.flop_counter` counts: convolutions and matrix products; activations, normalisation, pooling
    and upsampling are not counted.

    Args:
        model: In evaluation mode.
        image: (1, C, h, w), as the model's encoder takes it, on the model's device.
    """
    parts = {}
    with flop_counter() as counter:
        z = model.encode(image)
    parts["encoder"] = counter.get_total_flops() // 2
    with flop_counter() as counter:
        model.decode(z)
    parts["decoder"] = counter.get_total_flops() // 2
    return parts | {"total": sum(parts.values())}
