"""Source A: strided convolutions down, one linear layer to the code, transposed convolutions back."""

from typing import Annotated, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, ReconstructionLoss, reconstruction_loss
from latentlab.params.datasets import Shape


@final
class StridedCAE(Autoencoder):
    """Strided convolutional autoencoder.

    Each block is a convolution (stride 2, padding 1), batch normalisation where wanted, and an activation: ReLU, or
    leaky ReLU where `negative_slope` is not 0. The decoder mirrors the encoder; its last layer has neither.

    Args:
        shape: Channels, height and width of the images.
        channels: Output channels of the blocks, in order.
        kernel_sizes: Kernel sizes of the blocks. Those of the decoder follow from the sizes to restore.
        latent_dim: Numbers in the code.
        batch_norm: Whether the blocks are batch-normalised.
        negative_slope: Slope of the activation below zero.
        loss: "bce" or "mse".
    """

    def __init__(
        self,
        shape: Shape,
        *,
        channels: Annotated[list[PositiveInt], Field(min_length=1, max_length=4)],
        kernel_sizes: Annotated[list[Annotated[int, Field(ge=2, le=7)]], Field(min_length=1, max_length=4)],
        latent_dim: PositiveInt,
        batch_norm: bool,
        negative_slope: Annotated[float, Field(ge=0, lt=1)],
        loss: ReconstructionLoss,
    ) -> None:
        super().__init__()
        if len(kernel_sizes) != len(channels):
            raise ValueError(f"kernel_sizes has {len(kernel_sizes)} entries for {len(channels)} channels")
        self.kind: ReconstructionLoss = loss

        def activation() -> nn.Module:
            return nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()

        down: list[nn.Module] = []
        image_channels, sizes = shape[0], [shape[1]]
        for channels_in, channels_out, kernel_size in zip(
            [image_channels, *channels], channels, kernel_sizes, strict=False
        ):
            down.append(nn.Conv2d(channels_in, channels_out, kernel_size, stride=2, padding=1))
            down += [nn.BatchNorm2d(channels_out)] if batch_norm else []
            down.append(activation())
            sizes.append((sizes[-1] + 2 - kernel_size) // 2 + 1)
        if sizes[-1] < 1:
            raise ValueError(f"nothing is left of the image: its size goes {sizes}")
        num_features = channels[-1] * sizes[-1] ** 2
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(num_features, latent_dim))

        up: list[nn.Module] = []
        steps = zip(channels[::-1], [*channels[-2::-1], image_channels], sizes[::-1], sizes[-2::-1], strict=False)
        for channels_in, channels_out, size, restored in steps:
            if up:
                up += [nn.BatchNorm2d(channels_in)] if batch_norm else []
                up.append(activation())
            # a transposed convolution gives 2 (size - 1) - 2 + kernel
            up.append(nn.ConvTranspose2d(channels_in, channels_out, restored - 2 * size + 4, stride=2, padding=1))
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, num_features), nn.Unflatten(1, (channels[-1], sizes[-1], sizes[-1])), *up
        )

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002, D102
        return reconstruction_loss(self, x, target, self.kind)
