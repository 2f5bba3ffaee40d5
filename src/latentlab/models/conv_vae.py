"""Source C: a convolutional variational autoencoder (Kingma and Welling 2013)."""

from typing import Annotated, final

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, binary_cross_entropy_sum
from latentlab.models.layers import _GaussianEncoder, conv_dense_decoder, conv_dense_trunk
from latentlab.params.datasets import Shape


@final
class ConvVAE(Autoencoder):
    """Convolutional VAE with a Gaussian posterior of diagonal covariance and a standard normal prior.

    Encoder: two 3x3 convolutions of stride 2, a dense layer, and two heads for mean and log-variance. Decoder: a dense
    layer, two 3x3 transposed convolutions of stride 2, a 3x3 convolution. ReLU between the layers.

    Args:
        shape: Channels, height and width of the images.
        channels: Output channels of the two convolutions; the transposed ones have them reversed.
        hidden_dim: Size of the dense layer before the heads.
        latent_dim: Numbers in the code.
        beta: Weight of the KL term; 1 is the VAE, other values the beta-VAE (Higgins et al. 2017).
    """

    encoder: _GaussianEncoder

    def __init__(
        self,
        shape: Shape,
        *,
        channels: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)],
        hidden_dim: PositiveInt,
        latent_dim: PositiveInt,
        beta: NonNegativeFloat,
    ) -> None:
        super().__init__()
        self.beta = beta
        self.encoder = _GaussianEncoder(
            trunk=conv_dense_trunk(shape, channels, hidden_dim),
            mean=nn.Linear(hidden_dim, latent_dim),
            log_variance=nn.Linear(hidden_dim, latent_dim),
        )
        self.decoder = conv_dense_decoder(shape, channels, latent_dim)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), both (B, D), of images (B, C, H, W)."""
        encoder = self.encoder
        hidden = encoder.trunk(x)  # (B, hidden_dim)
        return encoder.mean(hidden).float(), encoder.log_variance(hidden).float()  # under autocast they come as bfloat16

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative evidence lower bound per image in nats, with one sample of z, and its two terms.

        "loss" = "bce_sum" + beta "kl"; "bce_sum" is the binary cross entropy summed over all pixels and channels, "kl" the
        divergence from the standard normal prior summed over the latent dimensions (Kingma and Welling 2013, appendix B);
        all are means over the batch.
        """
        mean, log_variance = self.posterior(x)
        epsilon = torch.randn(mean.shape, generator=generator, device=mean.device)
        logits = self.decode_logits(mean + torch.exp(0.5 * log_variance) * epsilon)
        bce_sum = binary_cross_entropy_sum(logits, target) / len(x)
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / len(x)
        losses = {"loss": bce_sum + self.beta * kl, "bce_sum": bce_sum, "kl": kl}
        return losses if self.training else losses | {"mse": F.mse_loss(self.decode(mean), target)}
