"""Stacks of layers that several families share.

Legend: B batch, C channels, D numbers in the code.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def linear_stack(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with a ReLU between them and none after the last: (B, sizes[0]) -> (B, sizes[-1])."""
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def conv_dense_trunk(channels: Sequence[int], hidden_dim: int) -> nn.Sequential:
    """Source C's encoder without its heads: (B, 1, 28, 28) -> (B, hidden_dim).

    Two 3x3 convolutions of stride 2 and a dense layer, each with a ReLU behind it.
    """
    first, second = channels
    return nn.Sequential(
        nn.Conv2d(1, first, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * 49, hidden_dim),
        nn.ReLU(),
    )


def conv_dense_decoder(channels: Sequence[int], latent_dim: int) -> nn.Sequential:
    """Source C's decoder, to logits: (B, latent_dim) -> (B, 1, 28, 28).

    A dense layer, two 3x3 transposed convolutions of stride 2, a 3x3 convolution, with a ReLU between them.

    Args:
        channels: As of the encoder; the transposed convolutions have them reversed.
        latent_dim: D.
    """
    first, second = channels
    return nn.Sequential(
        nn.Linear(latent_dim, second * 49),
        nn.ReLU(),
        nn.Unflatten(1, (second, 7, 7)),
        nn.ConvTranspose2d(second, second, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(second, first, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.Conv2d(first, 1, 3, padding=1),
    )
