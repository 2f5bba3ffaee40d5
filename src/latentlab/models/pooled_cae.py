"""Sources C and D: convolution and max-pooling down to a code that is itself a small image, upsampling back."""

from typing import Annotated, Literal, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, ReconstructionLoss, reconstruction_loss
from latentlab.params.datasets import Shape


@final
class PooledCAE(Autoencoder):
    """Convolutional autoencoder with a spatial code, (B, channels[-1], H / 4, W / 4) after two blocks.

    The encoder's blocks are a 3x3 convolution, ReLU and 2x2 max-pooling. Each decoder block doubles the size, with ReLU
    between the blocks: a 2x2 transposed convolution of stride 2, or nearest or bilinear upsampling and a 3x3 convolution.

    Args:
        shape: Channels, height and width of the images.
        channels: Output channels of the encoder's blocks; the decoder mirrors them.
        code_conv: Whether the decoder starts with a 3x3 convolution and ReLU at the size of the code.
        upsampling: "transposed", "nearest" or "bilinear".
        loss: "bce" or "mse".
    """

    def __init__(
        self,
        shape: Shape,
        *,
        channels: Annotated[list[PositiveInt], Field(min_length=1, max_length=2)],
        code_conv: bool,
        upsampling: Literal["transposed", "nearest", "bilinear"],
        loss: ReconstructionLoss,
    ) -> None:
        super().__init__()
        if shape[1] % 2 ** len(channels):
            raise ValueError(f"the size of the images must be a multiple of {2 ** len(channels)}, found {shape[1]}")
        self.kind: ReconstructionLoss = loss
        down: list[nn.Module] = []
        for channels_in, channels_out in zip([shape[0], *channels], channels, strict=False):
            down += [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.encoder = nn.Sequential(*down)

        up: list[nn.Module] = []
        if code_conv:
            up += [nn.Conv2d(channels[-1], channels[-1], 3, padding=1), nn.ReLU()]
        for channels_in, channels_out in zip(channels[::-1], [*channels[-2::-1], shape[0]], strict=True):
            if upsampling == "transposed":
                up.append(nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2))
            else:
                up += [
                    nn.Upsample(scale_factor=2, mode=upsampling),
                    nn.Conv2d(channels_in, channels_out, 3, padding=1),
                ]
            up.append(nn.ReLU())
        self.decoder = nn.Sequential(*up[:-1])

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002, D102
        return reconstruction_loss(self, x, target, self.kind)
