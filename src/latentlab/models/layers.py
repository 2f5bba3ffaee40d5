"""Stacks of layers that several families share.

Legend: B batch, C channels, D numbers in the code.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import final

from torch import Tensor, nn

from latentlab.params.datasets import Shape


def halved(size: int) -> int:
    """The size that a 3x3 convolution of stride 2 with padding 1 leaves."""
    return (size + 1) // 2


def doubling(channels_in: int, channels_out: int, restored: int) -> nn.ConvTranspose2d:
    """A 3x3 transposed convolution of stride 2 from `halved(restored)` to `restored` pixels."""
    return nn.ConvTranspose2d(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1 - restored % 2)


def linear_stack(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with a ReLU between them and none after the last: (B, sizes[0]) -> (B, sizes[-1])."""
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def conv_dense_trunk(shape: Shape, channels: Sequence[int], hidden_dim: int) -> nn.Sequential:
    """Source C's encoder without its heads: (B, C, H, W) -> (B, hidden_dim).

    Two 3x3 convolutions of stride 2 and a dense layer, each with a ReLU behind it.
    """
    first, second = channels
    return nn.Sequential(
        nn.Conv2d(shape[0], first, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * halved(halved(shape[1])) ** 2, hidden_dim),
        nn.ReLU(),
    )


def conv_dense_decoder(shape: Shape, channels: Sequence[int], latent_dim: int) -> nn.Sequential:
    """Source C's decoder, to logits: (B, latent_dim) -> (B, C, H, W).

    A dense layer, two 3x3 transposed convolutions of stride 2, a 3x3 convolution, with a ReLU between them.

    Args:
        shape: Channels, height and width of the images.
        channels: As of the encoder; the transposed convolutions have them reversed.
        latent_dim: D.
    """
    first, second = channels
    half = halved(shape[1])
    quarter = halved(half)
    return nn.Sequential(
        nn.Linear(latent_dim, second * quarter**2),
        nn.ReLU(),
        nn.Unflatten(1, (second, quarter, quarter)),
        doubling(second, second, half),
        nn.ReLU(),
        doubling(second, first, shape[1]),
        nn.ReLU(),
        nn.Conv2d(first, shape[0], 3, padding=1),
    )


def silu_trunk(shape: Shape, channels: Sequence[int], hidden_dim: int) -> nn.Sequential:
    """An encoder of our own without its heads: (B, C, H, W) -> (B, hidden_dim).

    3x3 convolutions to a half and to a quarter of the size and one more there, and a dense layer, each with a SiLU (Elfwing
    et al. 2018) behind it.
    """
    first, second = channels
    return nn.Sequential(
        nn.Conv2d(shape[0], first, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(second, second, 3, padding=1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(second * halved(halved(shape[1])) ** 2, hidden_dim),
        nn.SiLU(),
    )


def silu_decoder(shape: Shape, channels: Sequence[int], hidden_dim: int, latent_dim: int) -> nn.Sequential:
    """The decoder to `silu_trunk`, to logits: (B, latent_dim) -> (B, C, H, W).

    Two dense layers, a 3x3 convolution at a quarter of the size, a 3x3 transposed convolution of stride 2 and one more
    convolution at the half, a transposed convolution to the whole, with a SiLU between them.

    Args:
        shape: Channels, height and width of the images.
        channels: As of the encoder; the decoder has them reversed.
        hidden_dim: Size of the first dense layer.
        latent_dim: D.
    """
    first, second = channels
    half = halved(shape[1])
    quarter = halved(half)
    return nn.Sequential(
        nn.Linear(latent_dim, hidden_dim),
        nn.SiLU(),
        nn.Linear(hidden_dim, second * quarter**2),
        nn.SiLU(),
        nn.Unflatten(1, (second, quarter, quarter)),
        nn.Conv2d(second, second, 3, padding=1),
        nn.SiLU(),
        doubling(second, first, half),
        nn.SiLU(),
        nn.Conv2d(first, first, 3, padding=1),
        nn.SiLU(),
        doubling(first, shape[0], shape[1]),
    )


@final
class _GaussianEncoder(nn.Module):
    """A trunk with two heads; called as a module it gives the mean of q(z | x), the code of an image."""

    def __init__(self, *, trunk: nn.Module, mean: nn.Module, log_variance: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.mean = mean
        self.log_variance = log_variance

    def forward(self, x: Tensor) -> Tensor:
        """Mean, (B, D)."""
        mean: Tensor = self.mean(self.trunk(x))
        return mean
