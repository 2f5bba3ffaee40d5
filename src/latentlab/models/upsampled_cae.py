"""The family of the study: source A's autoencoder, with any way back from the code to the image."""

from typing import Annotated, Literal, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, ReconstructionLoss, reconstruction_loss
from latentlab.params.datasets import Shape


@final
class UpsampledCAE(Autoencoder):
    """Strided convolutions down to a linear layer; upsampling and convolutions of stride 1 back.

    Each block is a convolution, batch normalisation where wanted, and an activation: ReLU, or leaky ReLU where
    `negative_slope` is not 0. An encoder block halves the size, rounded up; the decoder's blocks restore the same sizes,
    and the last one has neither normalisation nor activation.

    Args:
        shape: Channels, height and width of the images.
        channels: Output channels of the encoder's blocks, in order; the decoder mirrors them.
        kernel_sizes: Kernel sizes of the blocks, odd ones.
        latent_dim: Numbers in the code.
        batch_norm: Whether the blocks are batch-normalised.
        negative_slope: Slope of the activation below zero.
        upsampling: "nearest" or "bilinear".
        loss: "bce" or "mse".
    """

    def __init__(
        self,
        shape: Shape,
        *,
        channels: Annotated[list[PositiveInt], Field(min_length=1, max_length=4)],
        kernel_sizes: Annotated[list[Literal[3, 5, 7]], Field(min_length=1, max_length=4)],
        latent_dim: PositiveInt,
        batch_norm: bool,
        negative_slope: Annotated[float, Field(ge=0, lt=1)],
        upsampling: Literal["nearest", "bilinear"],
        loss: ReconstructionLoss,
    ) -> None:
        super().__init__()
        if len(kernel_sizes) != len(channels):
            raise ValueError(f"kernel_sizes has {len(kernel_sizes)} entries for {len(channels)} channels")
        self.kind: ReconstructionLoss = loss

        def normalised(channels_out: int) -> list[nn.Module]:
            norm: list[nn.Module] = [nn.BatchNorm2d(channels_out)] if batch_norm else []
            return [*norm, nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()]

        image_channels, sizes = shape[0], [shape[1]]
        down: list[nn.Module] = []
        for channels_in, channels_out, kernel_size in zip(
            [image_channels, *channels], channels, kernel_sizes, strict=False
        ):
            down.append(nn.Conv2d(channels_in, channels_out, kernel_size, stride=2, padding=kernel_size // 2))
            down += normalised(channels_out)
            sizes.append((sizes[-1] + 1) // 2)
        num_features = channels[-1] * sizes[-1] ** 2
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(num_features, latent_dim))

        up: list[nn.Module] = []
        steps = zip(channels[::-1], [*channels[-2::-1], image_channels], kernel_sizes[::-1], sizes[-2::-1], strict=True)
        for channels_in, channels_out, kernel_size, restored in steps:
            up += normalised(channels_in) if up else []
            up.append(nn.Upsample(size=(restored, restored), mode=upsampling))
            up.append(nn.Conv2d(channels_in, channels_out, kernel_size, padding=kernel_size // 2))
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, num_features), nn.Unflatten(1, (channels[-1], sizes[-1], sizes[-1])), *up
        )

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002, D102
        return reconstruction_loss(self, x, target, self.kind)
