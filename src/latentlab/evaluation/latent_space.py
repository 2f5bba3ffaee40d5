"""How do the codes lie in their space: in clusters, near the standard normal, similar digits side by side?

Legend: N codes, D numbers in each.
"""

from typing import Any

import numpy as np
import openTSNE
from pydantic import Field, PositiveFloat
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from latentlab.evaluation import pictures
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.params.strict import Section, Seed

Array = np.ndarray


class Settings(Section):
    """How many test codes t-SNE embeds, a tenth of them of each digit, and its own settings."""

    num_small: int = Field(ge=20, le=10_000)
    num_large: int = Field(ge=20, le=10_000)
    perplexity: PositiveFloat
    seed: Seed


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Measures of the test codes and of their embeddings; coordinates for the figures, and a map."""
    test = subject.data.test
    codes, digits = subject.encode(test.images).flatten(1).numpy(), test.digits.numpy()
    large = first_of_each_digit(digits, settings.num_large)
    numbers = geometry(codes[large], digits[large])
    arrays: dict[str, Array] = {}
    for count in (settings.num_small, settings.num_large):
        chosen = first_of_each_digit(digits, count)
        points = tsne(codes[chosen], settings.perplexity, settings.seed)
        numbers[f"tsne_{count}"] = clustering(points, digits[chosen])
        arrays |= {f"tsne_{count}": points, f"digits_{count}": digits[chosen]}
    shown = points
    if codes.shape[1] == 2:
        shown = codes[large]
        arrays |= {"codes": shown, "digits": digits[large]}
    return Analysis(numbers, arrays, {"map": pictures.scatter(shown, digits[large], [], subject.name)})


def geometry(codes: Array, digits: Array) -> dict[str, Any]:
    """Measures of codes.

    Args:
        codes: (N, D), of test images.
        digits: (N,).

    Returns:
        silhouette, knn10_accuracy: See `clustering`.
        share_within_3: Share of all numbers in [-3, 3]; of the standard normal 0.9973.
        code_mean, code_std: Of all numbers.
        centroid_distances: Euclidean distances between the mean codes of the digits, ten lists of ten; None for a digit
            that is not there.
        nearest_digits: For each digit, the other digits from the nearest centroid to the farthest.
    """
    present = [digit for digit in range(10) if bool((digits == digit).any())]
    centroids = {digit: codes[digits == digit].mean(axis=0, dtype=np.float64) for digit in present}
    distances = {(a, b): float(np.linalg.norm(centroids[a] - centroids[b])) for a in present for b in present}
    return clustering(codes, digits) | {
        "share_within_3": float((np.abs(codes) <= 3).mean()),
        "code_mean": float(codes.mean(dtype=np.float64)),
        "code_std": float(codes.std(dtype=np.float64)),
        "centroid_distances": [[distances.get((a, b)) for b in range(10)] for a in range(10)],
        "nearest_digits": {
            str(a): sorted((b for b in present if b != a), key=lambda b: (distances[a, b], b)) for a in present
        },
    }


def clustering(points: Array, digits: Array) -> dict[str, float]:
    """How well points of equal digits keep together.

    Args:
        points: (N, D), codes or an embedding of them; N of a few thousand.
        digits: (N,).

    Returns:
        silhouette: Mean silhouette coefficient (Rousseeuw 1987) of the digits, Euclidean, in [-1, 1]; 0 where it is not
            defined because all points are one.
        knn10_accuracy: Share of points whose digit is the one that most of their 10 nearest other points have.
    """
    if _are_one(points):
        return {"silhouette": 0.0, "knn10_accuracy": float(np.bincount(digits).max() / len(digits))}
    neighbours = NearestNeighbors(n_neighbors=min(11, len(points))).fit(points).kneighbors(points, return_distance=False)
    # a point is its own nearest neighbour, but among equal points it may stand elsewhere in the list, or not at all
    others = [[index for index in row if index != position][:10] for position, row in enumerate(neighbours)]
    votes = np.array([np.bincount(digits[row], minlength=10).argmax() for row in others])
    return {
        "silhouette": float(silhouette_score(points, digits)),
        "knn10_accuracy": float((votes == digits).mean()),
    }


def first_of_each_digit(digits: Array, num_points: int) -> Array:
    """Indices of the first images of each digit, a tenth of `num_points` of each or as many as there are, ascending."""
    each = num_points // 10
    return np.sort(np.concatenate([np.flatnonzero(digits == digit)[:each] for digit in range(10)]))


def tsne(codes: Array, perplexity: float, seed: int) -> Array:
    """Embedding in two dimensions by t-SNE (van der Maaten and Hinton 2008), the Barnes-Hut one of openTSNE.

    750 steps of openTSNE end at the divergence that 1,000 of scikit-learn end at, in 0.6 of the time.

    Args:
        codes: (N, D).
        perplexity: At most a third of N - 1 is taken.
        seed: Its random_state.

    Returns:
        (N, 2), float32. Codes that are all the same stay on one point.
    """
    if _are_one(codes):
        return np.zeros((len(codes), 2), np.float32)
    model = openTSNE.TSNE(
        perplexity=min(perplexity, (len(codes) - 1) / 3),
        negative_gradient_method="bh",
        neighbors="exact",
        random_state=seed,
    )
    return np.asarray(model.fit(codes), np.float32)


def _are_one(points: Array) -> bool:
    return bool(np.ptp(points, axis=0).max() == 0)
