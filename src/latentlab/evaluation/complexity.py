"""What does a model cost? Parameters, and multiply-accumulate operations per image."""

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


@torch.inference_mode()
def num_macs(model: Autoencoder, image: Tensor) -> dict[str, int]:
    """Multiply-accumulate operations for one image in "encoder" and "decoder", and their "total".

    Half of what `torch.utils.flop_counter` counts: convolutions and matrix products; activations, normalisation, pooling
    and upsampling are not counted.

    Args:
        model: On the CPU, in evaluation mode.
        image: (1, 1, H, W), as the model's encoder takes it.
    """
    parts = {}
    with FlopCounterMode(display=False) as counter:
        z = model.encode(image)
    parts["encoder"] = counter.get_total_flops() // 2
    with FlopCounterMode(display=False) as counter:
        model.decode(z)
    parts["decoder"] = counter.get_total_flops() // 2
    return parts | {"total": sum(parts.values())}
