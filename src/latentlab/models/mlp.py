"""Sources B and E: fully connected autoencoders (the four-layer MLP, the stacked autoencoder)."""

import math
from typing import Annotated, Literal, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, ReconstructionLoss, reconstruction_loss
from latentlab.models.layers import linear_stack
from latentlab.params.datasets import Shape


@final
class MLP(Autoencoder):
    """Fully connected autoencoder, pixels -> widths -> latent_dim -> widths reversed -> pixels, ReLU between the layers.

    Args:
        shape: Channels, height and width of the images.
        widths: Sizes of the hidden layers of the encoder, in order; the decoder has them reversed.
        latent_dim: Numbers in the code.
        code_activation: Whether the code itself goes through a ReLU.
        weight_init: "xavier_uniform" (Glorot and Bengio 2010), or "torch" for the default of `torch.nn.Linear`.
        bias_init: Start value of all biases, or None for the default of `torch.nn.Linear`.
        loss: "bce" or "mse".
    """

    def __init__(
        self,
        shape: Shape,
        *,
        widths: Annotated[list[PositiveInt], Field(min_length=1)],
        latent_dim: PositiveInt,
        code_activation: Literal["relu", "none"],
        weight_init: Literal["xavier_uniform", "torch"],
        bias_init: float | None,
        loss: ReconstructionLoss,
    ) -> None:
        super().__init__()
        self.kind: ReconstructionLoss = loss
        num_pixels = math.prod(shape)
        self.encoder = nn.Sequential(nn.Flatten(), *linear_stack([num_pixels, *widths, latent_dim]))
        if code_activation == "relu":
            self.encoder.append(nn.ReLU())
        self.decoder = nn.Sequential(*linear_stack([latent_dim, *widths[::-1], num_pixels]), nn.Unflatten(1, shape))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                if weight_init == "xavier_uniform":
                    nn.init.xavier_uniform_(module.weight)
                if bias_init is not None:
                    nn.init.constant_(module.bias, bias_init)

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002, D102
        return reconstruction_loss(self, x, target, self.kind)
