"""Source E: a super-resolution autoencoder, which sees half the size and gives the whole."""

from typing import Annotated, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, ReconstructionLoss, reconstruction_loss
from latentlab.models.layers import doubling, halved, linear_stack
from latentlab.params.datasets import Shape


@final
class SuperresAE(Autoencoder):
    """Super-resolution autoencoder; use it with `downsampling: 2`. ReLU between the layers.

    Encoder: a 3x3 convolution, one of stride 2, two linear layers. Decoder: two linear layers, two 3x3
    transposed convolutions of stride 2, a 3x3 convolution.

    Args:
        shape: Channels, height and width of the images.
        channels: Output channels of the encoder's convolutions.
        hidden_dim: Size of the linear layer on either side of the code.
        latent_dim: Numbers in the code.
        decoder_channels: Output channels of the two transposed convolutions.
        loss: "bce" or "mse".
    """

    def __init__(
        self,
        shape: Shape,
        *,
        channels: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)],
        hidden_dim: PositiveInt,
        latent_dim: PositiveInt,
        decoder_channels: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)],
        loss: ReconstructionLoss,
    ) -> None:
        super().__init__()
        self.kind: ReconstructionLoss = loss
        half = halved(shape[1])
        quarter = halved(half)
        num_features = channels[1] * quarter**2
        self.encoder = nn.Sequential(
            nn.Conv2d(shape[0], channels[0], 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels[0], channels[1], 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            *linear_stack([num_features, hidden_dim, latent_dim]),
        )
        self.decoder = nn.Sequential(
            *linear_stack([latent_dim, hidden_dim, num_features]),
            nn.ReLU(),
            nn.Unflatten(1, (channels[1], quarter, quarter)),
            doubling(channels[1], decoder_channels[0], half),
            nn.ReLU(),
            doubling(decoder_channels[0], decoder_channels[1], shape[1]),
            nn.ReLU(),
            nn.Conv2d(decoder_channels[1], shape[0], 3, padding=1),
        )

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002, D102
        return reconstruction_loss(self, x, target, self.kind)
