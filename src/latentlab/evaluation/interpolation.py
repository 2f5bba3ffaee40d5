"""What lies between two codes: does the way pass smoothly through images that could be real?

Legend: N images, C channels, H and W their height and width, P pairs, D numbers in the code.
"""

from collections.abc import Callable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from latentlab.evaluation import pictures
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.neighbours import nearest
from latentlab.params.strict import Section, Seed


class Settings(Section):
    """Two test images, the decodings between them, and how many random pairs are measured.

    The images are given by index; where there are fewer, counting goes on with the first one.
    """

    first: int = Field(ge=0)
    second: int = Field(ge=0)
    num_steps: int = Field(ge=3, le=1000)
    num_pairs: int = Field(ge=2, le=1_000_000)
    seed: Seed


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Ways between random pairs of test images, of equal and of different classes, and the way between the two images.

    None for what is measured of pairs, where there is no such pair.
    """
    test, real = subject.data.test, subject.data.train.images
    # without classes each image is one of its own
    labels = torch.arange(len(test)) if test.labels is None else test.labels
    kinds = {"equal_classes": True, "different_classes": False} if subject.data.classes else {"different_classes": False}
    pairs = {kind: draw_pairs(labels, settings.num_pairs // 2, equal, settings.seed) for kind, equal in kinds.items()}
    ways = {"linear": linear} | ({"spherical": spherical} if subject.posterior else {})
    numbers: dict[str, Any] = {}
    arrays = {}
    for name, way in ways.items():
        ends = test.images[[settings.first % len(test), settings.second % len(test)]]
        shown = strip(subject.encode, subject.decode, ends, settings.num_steps, way)
        arrays[f"interpolation_{name}"] = pictures.as_bytes(shown.numpy())
        numbers[name] = {
            kind: smoothness(subject.encode, subject.decode, test.images, chosen, settings.num_steps, way, real)
            if len(chosen)
            else None
            for kind, chosen in pairs.items()
        }
    firsts = test.images[next(chosen for chosen in reversed(pairs.values()) if len(chosen))[:, 0]]
    numbers["real_distance"], _ = nearest(firsts, real).means()
    return Analysis(numbers, arrays, {name: pictures.framed(array[None]) for name, array in arrays.items()})


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
        images: (2, C, H, W), its ends.
        num_steps: Decodings, evenly spaced, from the code of the first image to that of the second.
        way: `linear` or `spherical`.

    Returns:
        (num_steps + 2, C, H, W) in [0, 1], with the images themselves at both ends.
    """
    first, second = encode(images).split(1)
    shares = torch.linspace(0, 1, num_steps).tolist()
    between = decode(torch.cat([way(first, second, share) for share in shares])).clamp(0, 1)
    return torch.cat([images[:1], between, images[1:]])


def draw_pairs(labels: Tensor, num_pairs: int, equal: bool, seed: int) -> Tensor:
    """Random pairs of different images whose labels are equal, or differ.

    Args:
        labels: (N,).
        num_pairs: P.
        equal: Which of the two.
        seed: Of the draw.

    Returns:
        (P, 2) indices; none if there is no such pair.
    """
    generator = torch.Generator().manual_seed(seed)
    firsts = torch.randint(len(labels), (num_pairs,), generator=generator)
    pairs = []
    for first in firsts.tolist():
        # an image that stands alone gives its place to the first image after it that has a partner
        for candidate in [*range(first, len(labels)), *range(first)]:
            fits = (labels == labels[candidate]) == equal
            fits[candidate] = False
            partners = fits.nonzero().flatten()
            if len(partners):
                chosen = int(torch.randint(len(partners), (1,), generator=generator))
                pairs.append([candidate, int(partners[chosen])])
                break
        else:
            return torch.empty(0, 2, dtype=torch.int64)
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
        images: (N, C, H, W).
        pairs: (P, 2) indices into `images`.
        num_steps: Decodings of a way.
        way: `linear` or `spherical`.
        real: (M, C, H, W), the training images.

    Returns:
        step_ratio: Largest over mean root mean squared step between neighbouring decodings, mean over the pairs; 1 is
            perfectly even.
        midpoint_distance: See `latentlab.evaluation.neighbours`, of the decoding halfway; mean over the pairs.
        crossfade_distance: The same of the pixel-wise mean of the two images, which no model has a part in.
    """
    first, second = images[pairs[:, 0]], images[pairs[:, 1]]
    codes_first, codes_second = encode(first), encode(second)
    shares = torch.linspace(0, 1, num_steps).tolist()
    frames = torch.stack([decode(way(codes_first, codes_second, share)) for share in shares])  # (num_steps, P, C, H, W)
    steps = (frames[1:] - frames[:-1]).flatten(2).square().mean(dim=2).sqrt()  # (num_steps - 1, P)
    # a way on which nothing changes is even
    ratios = torch.where(steps.mean(0) > 0, steps.amax(0) / steps.mean(0), torch.ones(len(pairs)))
    middle = decode(way(codes_first, codes_second, 0.5))
    return {
        "step_ratio": float(ratios.double().mean()),
        "midpoint_distance": nearest(middle, real).means()[0],
        "crossfade_distance": nearest((first + second) / 2, real).means()[0],
    }
