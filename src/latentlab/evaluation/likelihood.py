"""How likely are the test images under a VAE, in nats, and in how few bits does it store them without loss?

The likelihood is that of images of black and white pixels: each pixel is drawn with its grey value as the probability of
white (Salakhutdinov and Murray 2008), and the decoder gives that probability. The bits are those of the grey images.

Legend: N images, C channels, H and W their height and width, P = C H W values of an image, D numbers in the code, S
samples, B images of a batch, K intervals of a number of the code, L intervals of a logit.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from constriction import stream
from pydantic import Field
from torch import Tensor

from latentlab.evaluation import pictures
from latentlab.evaluation.analysis import Analysis, Posterior, Subject
from latentlab.evaluation.latent_space import chosen_points
from latentlab.models.base import BATCH_SIZE, Autoencoder
from latentlab.params.strict import Count, Section, Seed

Array = np.ndarray
Categorical, Uniform = stream.model.Categorical, stream.model.Uniform

# K, all equally likely under the prior
NUM_INTERVALS = 1024
# L intervals of equal width cover logits of this range; what is beyond counts to the outermost
NUM_CELLS, LARGEST_LOGIT = 64, 8.0
NUM_LEVELS = 256
# images that go onto the stack together: the first ones need as many bits there before them
_TOGETHER = 50
# what a symbol can take from the stack at most
_LARGEST_SYMBOL_BITS = 24


class Settings(Section):
    """How much is measured.

    The importance-weighted bound is that of `num_images` test images, equally many of each class, with `num_samples`
    samples each. The first `num_coded` test images are stored, by a table fitted to `num_fitted` training images.
    """

    seed: Seed
    num_images: int = Field(ge=2, le=10_000)
    num_samples: Count
    num_coded: Count
    num_fitted: Count


@torch.inference_mode()
def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Likelihood and lossless bits of a VAE; nothing of what is no VAE.

    Returns:
        The numbers of `likelihood`, and under "bits_back" those of `stored`.
    """
    if subject.posterior is None or subject.model is None:
        return Analysis({})
    data, generator = subject.data, torch.Generator().manual_seed(settings.seed)
    images = torch.bernoulli(data.test.images, generator=generator)
    labels = None if data.test.labels is None else data.test.labels.numpy()
    chosen = torch.from_numpy(chosen_points(labels, len(images), settings.num_images))
    numbers = likelihood(subject.model, subject.posterior, images, chosen, settings.num_samples, generator)
    fitted, coded = (
        pictures.as_bytes(part.images[:count].numpy())
        for part, count in ((data.train, settings.num_fitted), (data.test, settings.num_coded))
    )
    logits = partial(decode_logits, subject.model)
    counts = count_levels(subject.posterior, logits, fitted, generator)
    numbers["bits_back"] = stored(BitsBack(subject.posterior, logits, counts), coded, settings.seed)
    return Analysis(numbers)


def likelihood(
    model: Autoencoder,
    posterior: Callable[[Tensor], Posterior],
    images: Tensor,
    chosen: Tensor,
    num_samples: int,
    generator: torch.Generator,
) -> dict[str, Any]:
    """Bounds of the logarithm of the likelihood, in nats per image.

    Each but the counts is a "mean" over images with its "standard_error", their standard deviation over the root of their
    number.

    Args:
        model: Whose `decode_logits` are those of white pixels.
        posterior: Mean and logarithm of the variance of q(z | x), (N, D) each, of images.
        images: (N, C, H, W) of zeros and ones.
        chosen: Indices of those whose importance-weighted bound is computed.
        num_samples: S.
        generator: Of the samples.

    Returns:
        reconstruction: -log p(x | z) with one sample of z ~ q(z | x); of all images, as are the next two.
        kl: Divergence of q(z | x) from the standard normal prior, in closed form.
        elbo: Evidence lower bound, -reconstruction - kl (Kingma and Welling 2013); at most log p(x) on average.
        nll_importance: -log of the mean of S importance weights p(x, z) / q(z | x) (Burda et al. 2016), of the chosen
            images; at least -log p(x) on average, and near it with many samples.
        gap: How much higher that bound is than the mean logarithm of the same weights, an estimate of the ELBO; at least
            0.
        nll: -elbo - gap: what the importance-weighted bound would be of all images. Images differ far more in their
            likelihood than in the gap, so that this says more than `nll_importance` where few are chosen.
        num_images, num_samples: Of the importance-weighted bound.
    """
    mean, log_variance = (each.double() for each in posterior(images))
    noise = torch.randn(mean.shape, generator=generator)
    reconstruction = -log_likelihood(model, (mean + (0.5 * log_variance).exp() * noise).float(), images)
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
    elbo = -reconstruction - kl
    bounds, gaps = [], []
    for index in chosen.tolist():
        weights = log_weights(model, mean[index], log_variance[index], images[index], num_samples, generator)
        bounds.append(weights.logsumexp(0) - np.log(num_samples))
        gaps.append(bounds[-1] - weights.mean())
    bound, gap = torch.stack(bounds), torch.stack(gaps)
    measured = {"elbo": elbo, "reconstruction": reconstruction, "kl": kl, "nll_importance": -bound, "gap": gap}
    numbers: dict[str, Any] = {name: _mean(values) for name, values in measured.items()}
    errors = [numbers[name]["standard_error"] for name in ("elbo", "gap")]
    numbers["nll"] = {"mean": float(-elbo.mean() - gap.mean()), "standard_error": float(np.hypot(*errors))}
    return numbers | {"num_images": len(chosen), "num_samples": num_samples}


def log_weights(
    model: Autoencoder, mean: Tensor, log_variance: Tensor, image: Tensor, num_samples: int, generator: torch.Generator
) -> Tensor:
    """Log p(x, z) - log q(z | x) in nats, of samples z ~ q(z | x) of one image: (S,), float64.

    Args:
        model: The decoder, with a standard normal prior.
        mean: (D,), float64.
        log_variance: (D,), float64.
        image: (C, H, W) of zeros and ones.
        num_samples: S.
        generator: Of the samples.
    """
    noise = torch.randn(num_samples, len(mean), generator=generator, dtype=torch.float64)
    codes = mean + (0.5 * log_variance).exp() * noise  # (S, D)
    # log p(z) - log q(z | x): what both are divided by is the same but for the deviation
    of_codes = 0.5 * (noise**2 - codes**2 + log_variance).sum(1)
    return log_likelihood(model, codes.float(), image.expand(num_samples, *image.shape)) + of_codes


def log_likelihood(model: Autoencoder, codes: Tensor, images: Tensor) -> Tensor:
    """Log p(x | z) of images (N, C, H, W) of zeros and ones under codes (N, D), in nats: (N,), float64."""
    found = []
    for batch, targets in zip(codes.split(BATCH_SIZE), images.split(BATCH_SIZE), strict=True):
        entropies = F.binary_cross_entropy_with_logits(decode_logits(model, batch), targets, reduction="none")
        found.append(-entropies.flatten(1).double().sum(1))
    return torch.cat(found)


@torch.inference_mode()
def decode_logits(model: Autoencoder, codes: Tensor) -> Tensor:
    """Logits on the CPU, (B, C, H, W), of a batch of codes (B, D), by the model where it is."""
    return model.decode_logits(codes.to(next(model.parameters()).device)).cpu()


@dataclass(frozen=True)
class BitsBack:
    """A lossless code of grey images by a VAE, on a stack of bits: bits back (Townsend et al. 2019, "BB-ANS").

    A batch of images x is pushed in three steps. Codes z are popped by q(z | x), which takes -log q(z | x) off the stack; x
    is pushed by p(x | z); z is pushed by p(z). Popping x undoes them from the last to the first, and gives the first bits
    back. The net cost is on average the negative ELBO of this likelihood.

    A number of z is one of K intervals that are equally likely under the standard normal prior, and stands for its median;
    q gives each its mass by the normal distribution function. The decoder gives a mean alone: the likelihood of the 256
    levels of a pixel is that of the levels of the training pixels whose logit was in the same of L intervals.

    Both ways compute the same of batches of the same size, else rounding would tell them apart.

    Attributes:
        posterior: Mean and logarithm of the variance of q(z | x), (B, D) each, of images (B, C, H, W).
        logits: Of codes (B, D), (B, C, H, W).
        counts: (L, 256), how often each level was; at least 1.
    """

    posterior: Callable[[Tensor], Posterior]
    logits: Callable[[Tensor], Tensor]
    counts: Array

    def push(self, stack: stream.stack.AnsCoder, levels: Array) -> None:
        """Pushes images (B, C, H, W), uint8."""
        intervals = stack.decode(Categorical(perfect=False), self._masses(levels))
        values = levels.reshape(-1).astype(np.int32)
        for model, places in reversed(self._models(intervals, len(levels))):
            stack.encode_reverse(values[places], model)
        stack.encode_reverse(intervals, Uniform(NUM_INTERVALS))

    def pop(self, stack: stream.stack.AnsCoder, shape: tuple[int, ...], num_numbers: int) -> Array:
        """The images (B, C, H, W), uint8, that were pushed last, given their shape and D."""
        intervals = stack.decode(Uniform(NUM_INTERVALS), shape[0] * num_numbers)
        levels = np.empty(int(np.prod(shape)), np.uint8)
        for model, places in self._models(intervals, shape[0]):
            levels[places] = stack.decode(model, len(places))
        images = levels.reshape(shape)
        stack.encode_reverse(intervals, Categorical(perfect=False), self._masses(images))
        return images

    def _masses(self, levels: Array) -> Array:
        """Of each interval under q(z | x), (B D, K), float32."""
        mean, log_variance = (each.double().reshape(-1, 1) for each in self.posterior(as_images(levels)))
        edges = torch.special.ndtri(torch.linspace(0, 1, NUM_INTERVALS + 1, dtype=torch.float64))
        below = torch.special.ndtr((edges - mean) / (0.5 * log_variance).exp())
        masses: Array = below.diff(dim=1).float().numpy()
        return masses

    def _models(self, intervals: Array, num_images: int) -> list[tuple[Any, Array]]:
        """The distribution of each interval of the logits, and the places of its pixels among all (B P) of a batch."""
        codes = torch.special.ndtri((torch.from_numpy(intervals).double() + 0.5) / NUM_INTERVALS)
        cells = cells_of(self.logits(codes.float().reshape(num_images, -1)))
        order = np.argsort(cells, kind="stable")
        parts = np.split(order, np.bincount(cells, minlength=NUM_CELLS).cumsum()[:-1])
        shares = (self.counts / self.counts.sum(axis=1, keepdims=True)).astype(np.float32)
        return [(Categorical(row, perfect=False), part) for row, part in zip(shares, parts, strict=True) if len(part)]


def stored(code: BitsBack, levels: Array, seed: int) -> dict[str, Any]:
    """What images take when they are stored one batch upon the other, and whether they come back.

    Args:
        code: How they are stored.
        levels: (N, C, H, W), uint8.
        seed: Of the bits that are on the stack before.

    Returns:
        bits_per_pixel: Of the stack, those before taken off, over N P: of coloured images per pixel and channel.
        initial_bits: On the stack before, random, and given back.
        table_bytes: Of the counts that the decoder must know beside its weights, packed by zlib; not in `bits_per_pixel`.
        bits_per_pixel_with_table: With the table, once for all images; the weights are not counted.
        num_images: N.
        is_exact: Whether the images that were decoded from the stored bytes are equal to those that were stored.
    """
    num_numbers = code.posterior(as_images(levels[:1]))[0].shape[1]
    num_words = min(_TOGETHER, len(levels)) * num_numbers * _LARGEST_SYMBOL_BITS // 32 + 1
    before = np.random.default_rng(seed).integers(2**32, size=num_words, dtype=np.uint32)
    batches = np.split(levels, range(_TOGETHER, len(levels), _TOGETHER))
    stack = stream.stack.AnsCoder(before, seal=True)
    for batch in batches:
        code.push(stack, batch)
    words = stack.get_compressed()
    stack = stream.stack.AnsCoder(words)
    decoded = [code.pop(stack, batch.shape, num_numbers) for batch in reversed(batches)]
    num_bits, table = 32 * (len(words) - num_words), zlib.compress(code.counts.astype("<u4").tobytes(), 9)
    return {
        "bits_per_pixel": num_bits / levels.size,
        "bits_per_pixel_with_table": (num_bits + 8 * len(table)) / levels.size,
        "table_bytes": len(table),
        "initial_bits": 32 * num_words,
        "num_images": len(levels),
        "is_exact": all(np.array_equal(*both) for both in zip(batches, reversed(decoded), strict=True)),
    }


def count_levels(
    posterior: Callable[[Tensor], Posterior], logits: Callable[[Tensor], Tensor], levels: Array, generator: torch.Generator
) -> Array:
    """How often pixels of images have each level where the logit, by a sample of z ~ q(z | x), is in each interval.

    Args:
        posterior: As of `BitsBack`.
        logits: As of `BitsBack`.
        levels: (N, C, H, W), uint8, of training images.
        generator: Of the samples.

    Returns:
        (L, 256), one more than counted (Laplace), so that every level can be stored.
    """
    counts = np.ones(NUM_CELLS * NUM_LEVELS, np.int64)
    for batch in np.split(levels, range(BATCH_SIZE, len(levels), BATCH_SIZE)):
        mean, log_variance = posterior(as_images(batch))
        codes = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=generator)
        places = cells_of(logits(codes)).astype(np.int64) * NUM_LEVELS + batch.reshape(-1)
        counts += np.bincount(places, minlength=counts.size)
    return counts.reshape(NUM_CELLS, NUM_LEVELS)


def cells_of(logits: Tensor) -> Array:
    """The intervals, 0 to L - 1, in which logits lie, all in one row: (B P,), uint8."""
    scaled = (logits.flatten() + LARGEST_LOGIT) * (NUM_CELLS / (2 * LARGEST_LOGIT))
    cells: Array = scaled.floor().clamp(0, NUM_CELLS - 1).byte().numpy()
    return cells


def as_images(levels: Array) -> Tensor:
    """Levels (B, C, H, W), uint8, as images in [0, 1], float32."""
    return torch.from_numpy(levels.astype(np.float32)).div_(NUM_LEVELS - 1)


def _mean(values: Tensor) -> dict[str, float]:
    return {"mean": float(values.mean()), "standard_error": float(values.std() / len(values) ** 0.5)}
