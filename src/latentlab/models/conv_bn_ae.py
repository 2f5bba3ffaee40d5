"""Source E: a convolutional autoencoder with batch normalisation."""

from typing import Annotated, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, ReconstructionLoss, reconstruction_loss
from latentlab.models.layers import doubling, halved
from latentlab.params.datasets import Shape


def _normalised(layer: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU()]


@final
class ConvBnAE(Autoencoder):
    """Convolutional autoencoder with batch normalisation and ReLU after every (transposed) convolution but the last.

    Encoder: 3x3 convolutions to a half, a quarter and a quarter of the size, then a linear layer. Decoder: a linear layer,
    a 3x3 convolution at a quarter of the size, 3x3 transposed convolutions of stride 2 to a half and to the whole.

    Args:
        shape: Channels, height and width of the images.
        channels: Output channels of the encoder's convolutions; the decoder has them reversed.
        latent_dim: Numbers in the code.
        loss: "bce" or "mse".
    """

    def __init__(
        self,
        shape: Shape,
        *,
        channels: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)],
        latent_dim: PositiveInt,
        loss: ReconstructionLoss,
    ) -> None:
        super().__init__()
        self.kind: ReconstructionLoss = loss
        first, second, third = channels
        half = halved(shape[1])
        quarter = halved(half)
        self.encoder = nn.Sequential(
            *_normalised(nn.Conv2d(shape[0], first, 3, stride=2, padding=1)),
            *_normalised(nn.Conv2d(first, second, 3, stride=2, padding=1)),
            *_normalised(nn.Conv2d(second, third, 3, padding=1)),
            nn.Flatten(),
            nn.Linear(third * quarter**2, latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, third * quarter**2),
            nn.Unflatten(1, (third, quarter, quarter)),
            *_normalised(nn.Conv2d(third, second, 3, padding=1)),
            *_normalised(doubling(second, first, half)),
            doubling(first, shape[0], shape[1]),
        )

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002, D102
        return reconstruction_loss(self, x, target, self.kind)
