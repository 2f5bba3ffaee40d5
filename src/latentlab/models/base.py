"""The contract of a model, and the reconstruction losses that the families share.

Legend: B batch, C channels, H and W height and width of the images, D numbers in the code.
"""

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# images at a time where nothing is learnt: at 28x28 pixels and 32 channels this stays in a processor's cache; 1,000 take
# up to three times as long
BATCH_SIZE = 250

ReconstructionLoss = Literal["bce", "mse"]


class Autoencoder(nn.Module, ABC):
    """An encoder and a decoder whose output is an image in [0, 1].

    A family is a final subclass in a module of its own. Its constructor takes the shape of the images, and behind it
    keywords without defaults, which are the schema of its variants. It has the submodules `encoder` and `decoder`, and the
    model owns its loss.
    """

    encoder: nn.Module
    decoder: nn.Module

    @abstractmethod
    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of a batch as scalars, of which "loss" is minimised.

        In evaluation mode also "mse", the squared error per pixel of the reconstructions that `forward` gives.

        Args:
            x: (B, C, h, w), what the encoder sees.
            target: (B, C, H, W), what the decoder should give; for a plain autoencoder the same tensor.
            generator: Source of any randomness.
        """

    def encode(self, x: Tensor) -> Tensor:
        """Codes of images, (B, C, H, W) in [0, 1] -> (B, D) or (B, c, h, w); a VAE gives the posterior means."""
        z: Tensor = self.encoder(x)
        return z

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor] | None:  # noqa: ARG002
        """Mean and log-variance of the codes of images, both (B, D); None for an autoencoder whose codes have none."""
        return None

    def decode_logits(self, z: Tensor) -> Tensor:
        """Images of codes before the sigmoid, (B, C, H, W)."""
        logits: Tensor = self.decoder(z)
        return logits.float()  # under autocast they come as bfloat16, too coarse for a loss

    def decode(self, z: Tensor) -> Tensor:
        """Images of codes, (B, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.decode_logits(z))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructions, (B, C, H, W) in [0, 1]."""
        return self.decode(self.encode(x))


def reconstruction_loss(model: Autoencoder, x: Tensor, target: Tensor, kind: ReconstructionLoss) -> dict[str, Tensor]:
    """The loss of a plain autoencoder, as `Autoencoder.loss` gives it: a mean over all pixels of the batch.

    Args:
        model: The autoencoder.
        x: (B, C, h, w), what the encoder sees.
        target: (B, C, H, W) in [0, 1].
        kind: "bce", binary cross entropy in nats, from logits so that it stays finite; or "mse", squared error.
    """
    logits = model.decode_logits(model.encode(x))
    if kind == "bce":
        losses = {"loss": binary_cross_entropy_sum(logits, target) / target.numel()}
    else:
        losses = {"loss": F.mse_loss(torch.sigmoid(logits), target)}
    return losses if model.training else losses | {"mse": F.mse_loss(torch.sigmoid(logits), target)}


def binary_cross_entropy_sum(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy in nats, summed over all pixels; what torch gives with `reduction="sum"`, but for rounding.

    With logits l and targets t it is max(l, 0) - l t + log(1 + exp(-|l|)), whose gradient is sigmoid(l) - t.
    `torch.nn.functional.binary_cross_entropy_with_logits` takes log1p where this takes log, a seventh as fast on a
    processor; what that saves is below 1e-7 a pixel.
    """
    result: Tensor = _BinaryCrossEntropy.apply(logits, target)
    return result


class _BinaryCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        ctx.save_for_backward(logits, target)
        return (logits.relu() - logits * target + (1 + torch.exp(-logits.abs())).log()).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, target = ctx.saved_tensors
        return (torch.sigmoid(logits) - target) * gradient, None
