"""Beside source C: a plain autoencoder with the layers of its VAE, to compare the two at equal latent dimension."""

from typing import Annotated, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, ReconstructionLoss, reconstruction_loss
from latentlab.models.layers import conv_dense_decoder, conv_dense_trunk
from latentlab.params.datasets import Shape


@final
class ConvDenseAE(Autoencoder):
    """The layers of `ConvVAE`, with one linear head for the code in the place of mean and log-variance.

    Args:
        shape: Channels, height and width of the images.
        channels: Output channels of the two convolutions; the transposed ones have them reversed.
        hidden_dim: Size of the dense layer before the code.
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
        self.encoder = nn.Sequential(*conv_dense_trunk(shape, channels, hidden_dim), nn.Linear(hidden_dim, latent_dim))
        self.decoder = conv_dense_decoder(shape, channels, latent_dim)

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002, D102
        return reconstruction_loss(self, x, target, self.kind)
