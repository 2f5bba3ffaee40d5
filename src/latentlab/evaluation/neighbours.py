"""How near are images to the real ones?

Legend: N images, M real images, B batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from latentlab.evaluation.reconstruction import apply


@dataclass(frozen=True)
class Nearest:
    """How near images are to the real ones.

    Attributes:
        distances: (N,), root mean squared difference per pixel to the nearest real image, in units of full range.
        cosines: (N,), cosine similarity to the most similar real image, which need not be the same; 0 for a black image.
    """

    distances: Tensor
    cosines: Tensor

    def means(self) -> tuple[float, float]:
        """Mean distance and mean cosine over the images."""
        return float(self.distances.double().mean()), float(self.cosines.double().mean())


def nearest(images: Tensor, real: Tensor) -> Nearest:
    """Compares images (N, C, H, W) with all the real ones, (M, C, H, W); one matrix product serves both measures."""
    y = real.flatten(1)
    squared_norms = y.square().sum(1)
    norms = squared_norms.sqrt().clamp_min(1e-12)

    def compare(x: Tensor) -> Tensor:
        products = x @ y.T  # (B, M)
        own = x.square().sum(1)
        cosines = (products / norms).amax(1) / own.sqrt().clamp_min(1e-12)
        squares = (torch.add(squared_norms, products, alpha=-2).amin(1) + own).clamp_min(0)
        return torch.stack([(squares / y.shape[1]).sqrt(), cosines], dim=1)  # (B, 2)

    distances, cosines = apply(compare, images.flatten(1)).unbind(1)
    return Nearest(distances, cosines)
