"""What lies between two codes: does the way pass smoothly through images that could be digits?

Legend: N images, P pairs, D numbers in the code.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def linear(first: Tensor, second: Tensor, share: float) -> Tensor:
    """The point at that share of the straight way between codes, (P, ...) each."""
    return first.lerp(second, share)


def spherical(first: Tensor, second: Tensor, share: float) -> Tensor:
    """The point at that share of the arc between codes (Shoemake 1985), (P, ...) each.

    The arc keeps the typical length of a sample of a Gaussian in many dimensions, which the straight way does not. Codes in
    almost the same or the opposite direction, whose arc is not defined, are interpolated linearly.
    """
    a, b = first.flatten(1), second.flatten(1)  # (P, D)
    cosine = torch.cosine_similarity(a, b, dim=1).clamp(-1, 1)
    angle = cosine.acos().unsqueeze(1)
    sine = angle.sin()
    arc = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / sine
    return torch.where(sine > 1e-3, arc, linear(a, b, share)).view_as(first)


def strip(
    encode: Callable[[Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
    images: Tensor,
    num_steps: int,
    way: Callable[[Tensor, Tensor, float], Tensor],
) -> Tensor:
    """The way from one image to another.

    Args:
        encode: Images to codes.
        decode: Codes to images.
        images: (2, 1, 28, 28), its ends.
        num_steps: Decodings, evenly spaced, from the code of the first image to that of the second.
        way: `linear` or `spherical`.

    Returns:
        (num_steps + 2, 28, 28) in [0, 1], with the images themselves at both ends.
    """
    first, second = encode(images).split(1)
    shares = torch.linspace(0, 1, num_steps).tolist()
    between = decode(torch.cat([way(first, second, share) for share in shares])).clamp(0, 1)
    return torch.cat([images[:1], between, images[1:]]).squeeze(1)


def draw_pairs(digits: Tensor, num_pairs: int, equal: bool, seed: int) -> Tensor:
    """Random pairs of different images whose digits are equal, or differ.

    Args:
        digits: (N,) labels.
        num_pairs: P.
        equal: Which of the two.
        seed: Of the draw.

    Returns:
        (P, 2) indices.

    Raises:
        ValueError: There is no such pair.
    """
    generator = torch.Generator().manual_seed(seed)
    firsts = torch.randint(len(digits), (num_pairs,), generator=generator)
    pairs = []
    for first in firsts.tolist():
        # a digit that stands alone gives its place to the first image after it that has a partner
        for candidate in [*range(first, len(digits)), *range(first)]:
            fits = (digits == digits[candidate]) == equal
            fits[candidate] = False
            partners = fits.nonzero().flatten()
            if len(partners):
                chosen = int(torch.randint(len(partners), (1,), generator=generator))
                pairs.append([candidate, int(partners[chosen])])
                break
        else:
            raise ValueError(f"among {len(digits)} images there are no two of {'equal' if equal else 'different'} digits")
    return torch.tensor(pairs)


def smoothness(
    encode: Callable[[Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
    images: Tensor,
    pairs: Tensor,
    num_steps: int,
    way: Callable[[Tensor, Tensor, float], Tensor],
    real: Tensor,
) -> dict[str, float]:
    """How smooth the ways between pairs of images are, and how far their middle is from the real images.

    Args:
        encode: Images to codes.
        decode: Codes to images.
        images: (N, 1, 28, 28).
        pairs: (P, 2) indices into `images`.
        num_steps: Decodings of a way.
        way: `linear` or `spherical`.
        real: (M, 1, 28, 28), the training images.

    Returns:
        step_ratio: Largest over mean root mean squared step between neighbouring decodings, mean over the pairs; 1 is
            perfectly even.
        midpoint_distance: See `Nearest`, of the decoding halfway; mean over the pairs.
        crossfade_distance: The same of the pixel-wise mean of the two images, which no model has a part in.
    """
    first, second = images[pairs[:, 0]], images[pairs[:, 1]]
    codes_first, codes_second = encode(first), encode(second)
    shares = torch.linspace(0, 1, num_steps).tolist()
    frames = torch.stack([decode(way(codes_first, codes_second, share)) for share in shares])  # (num_steps, P, 1, 28, 28)
    steps = (frames[1:] - frames[:-1]).flatten(2).square().mean(dim=2).sqrt()  # (num_steps - 1, P)
    # a way on which nothing changes is even
    ratios = torch.where(steps.mean(0) > 0, steps.amax(0) / steps.mean(0).clamp_min(1e-12), torch.ones(len(pairs)))
    middle = decode(way(codes_first, codes_second, 0.5))
    return {
        "step_ratio": float(ratios.double().mean()),
        "midpoint_distance": float(nearest(middle, real).distances.double().mean()),
        "crossfade_distance": float(nearest((first + second) / 2, real).distances.double().mean()),
    }


@dataclass(frozen=True)
class Nearest:
    """How near images are to the real ones.

    Attributes:
        distances: (N,), root mean squared difference per pixel to the nearest real image, in units of full range.
        cosines: (N,), cosine similarity to the most similar real image, which need not be the same; 0 for a black image.
    """

    distances: Tensor
    cosines: Tensor


@torch.inference_mode()
def nearest(images: Tensor, real: Tensor) -> Nearest:
    """Compares images (N, 1, 28, 28) with all the real ones, (M, 1, 28, 28); one matrix product serves both measures."""
    y = real.flatten(1)
    squared_norms = y.square().sum(1)
    norms = squared_norms.sqrt().clamp_min(1e-12)
    distances, cosines = [], []
    for x in images.flatten(1).split(250):
        products = x @ y.T  # (250, M)
        own = x.square().sum(1)
        cosines.append((products / norms).amax(1) / own.sqrt().clamp_min(1e-12))
        distances.append((torch.add(squared_norms, products, alpha=-2).amin(1) + own).clamp_min(0))
    return Nearest((torch.cat(distances) / y.shape[1]).sqrt(), torch.cat(cosines))
