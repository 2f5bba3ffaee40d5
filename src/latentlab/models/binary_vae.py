"""A convolutional variational autoencoder of images whose pixels are drawn black or white anew each time."""

from typing import Annotated, final

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from latentlab.models.base import Autoencoder, binary_cross_entropy_sum
from latentlab.models.layers import _GaussianEncoder, silu_decoder, silu_trunk
from latentlab.params.datasets import Shape


@final
class BinaryVAE(Autoencoder):
    """VAE of binary images, with a Gaussian posterior of diagonal covariance and a standard normal prior.

    Each time an image is seen, each pixel of it is drawn as white with its grey value as the probability (Salakhutdinov and
    Murray 2008; drawn anew each time in Burda et al. 2016, "Importance Weighted Autoencoders"). So the model has a
    likelihood of binary images, and no two epochs show it the same ones.

    The layers are `silu_trunk`, two heads for mean and log-variance, and `silu_decoder`.

    Args:
        shape: Channels, height and width of the images.
        channels: Of the layers at a half and at a quarter of the size.
        hidden_dim: Size of the dense layer before the heads, and of that behind the code.
        latent_dim: Numbers in the code.
    """

    encoder: _GaussianEncoder

    def __init__(
        self,
        shape: Shape,
        *,
        channels: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)],
        hidden_dim: PositiveInt,
        latent_dim: PositiveInt,
    ) -> None:
        super().__init__()
        self.encoder = _GaussianEncoder(
            trunk=silu_trunk(shape, channels, hidden_dim),
            mean=nn.Linear(hidden_dim, latent_dim),
            log_variance=nn.Linear(hidden_dim, latent_dim),
        )
        self.decoder = silu_decoder(shape, channels, hidden_dim, latent_dim)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), both (B, D), of images (B, C, H, W)."""
        encoder = self.encoder
        hidden = encoder.trunk(x)  # (B, hidden_dim)
        return encoder.mean(hidden).float(), encoder.log_variance(hidden).float()  # under autocast they come as bfloat16

    def loss(self, x: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative evidence lower bound per binary image in nats, with one sample of z, and its two terms.

        One number per pixel, uniform in [0, 1), decides what is white in the input and in the target, so that equal images
        become equal binary images; in evaluation mode, too. "loss" = "bce_sum" + "kl": the binary cross entropy summed over
        all pixels and channels, and the divergence from the standard normal prior summed over the latent dimensions (Kingma
        and Welling 2013, appendix B); all are means over the batch.

        "mse" is of the grey images: what `forward` gives for them against the grey target.

        Args:
            x: (B, C, H, W) in [0, 1], the probabilities of white in what the encoder sees.
            target: (B, C, H, W) in [0, 1], the same for what the decoder should give.
            generator: Of the pixels, then of z.
        """
        thresholds = torch.rand(target.shape, generator=generator, device=target.device)
        mean, log_variance = self.posterior((thresholds < x).float())
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / len(x)
        epsilon = torch.randn(mean.shape, generator=generator, device=mean.device)
        logits = self.decode_logits(mean + torch.exp(0.5 * log_variance) * epsilon)
        bce_sum = binary_cross_entropy_sum(logits, (thresholds < target).float()) / len(x)
        losses = {"loss": bce_sum + kl, "bce_sum": bce_sum, "kl": kl}
        return losses if self.training else losses | {"mse": F.mse_loss(self(x), target)}
