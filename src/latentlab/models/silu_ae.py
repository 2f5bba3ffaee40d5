"""A convolutional autoencoder of our own, with smooth activations and a dense layer on both sides of the code."""

from typing import Annotated, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, ReconstructionLoss, reconstruction_loss
from latentlab.models.layers import silu_decoder, silu_trunk
from latentlab.params.datasets import Shape


@final
class SiluAE(Autoencoder):
    """The layers of `BinaryVAE`, with one linear head for the code in the place of mean and log-variance.

    Args:
        shape: Channels, height and width of the images.
        channels: Of the layers at a half and at a quarter of the size.
        hidden_dim: Size of the dense layer before the code, and of that behind it.
        latent_dim: Numbers in the code.
        loss: "bce" or "mse".
    """

    def __init__(
        self,
        shape: Shape,
        *,
        channels: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)],
        hidden_dim: PositiveInt,
        latent_dim: PositiveInt,
        loss: ReconstructionLoss,
    ) -> None:
        super().__init__()
        self.kind: ReconstructionLoss = loss
        self.encoder = nn.Sequential(*silu_trunk(shape, channels, hidden_dim), nn.Linear(hidden_dim, latent_dim))
        self.decoder = silu_decoder(shape, channels, hidden_dim, latent_dim)

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002, D102
        return reconstruction_loss(self, x, target, self.kind)
