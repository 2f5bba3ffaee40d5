"""How do the codes lie in their space: in clusters, near the standard normal, similar classes side by side?

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
    """How many test codes are measured, and how many t-SNE embeds, equally many of each class; its own settings."""

    num_codes: int = Field(ge=20, le=10_000)
    num_small: int = Field(ge=20, le=10_000)
    num_large: int = Field(ge=20, le=10_000)
    perplexity: PositiveFloat
    seed: Seed


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Measures of the test codes and of their embeddings; coordinates for the figures, and a map."""
    test = subject.data.test
    codes = subject.encode(test.images).flatten(1).numpy()
    labels = None if test.labels is None else test.labels.numpy()

    def labels_of(chosen: Array) -> Array | None:
        return None if labels is None else labels[chosen]

    measured = chosen_points(labels, len(codes), settings.num_codes)
    numbers = geometry(codes[measured], labels_of(measured), len(subject.data.classes))
    arrays: dict[str, Array] = {}
    for count in (settings.num_small, settings.num_large):
        chosen = chosen_points(labels, len(codes), count)
        points = tsne(codes[chosen], settings.perplexity, settings.seed)
        arrays[f"tsne_{count}"] = points
        if labels is not None:
            numbers[f"tsne_{count}"] = clustering(points, labels[chosen])
            arrays[f"labels_{count}"] = labels[chosen]
    shown = points
    if codes.shape[1] == 2:
        shown, chosen = codes[measured], measured
        arrays["codes"] = shown
        if labels is not None:
            arrays["labels"] = labels[measured]
    if subject.data.classes:
        arrays["classes"] = np.array(subject.data.classes)
    picture = pictures.scatter(shown, labels_of(chosen), subject.data.classes, [], subject.name)
    return Analysis(numbers, arrays, {"map": picture})


def geometry(codes: Array, labels: Array | None, num_classes: int) -> dict[str, Any]:
    """Measures of codes.

    Args:
        codes: (N, D), of test images.
        labels: (N,); None for images without classes, of which only the shares and moments are measured.
        num_classes: How many labels there can be.

    Returns:
        silhouette, knn10_accuracy: See `clustering`.
        share_within_3: Share of all numbers in [-3, 3]; of the standard normal 0.9973.
        code_mean, code_std: Of all numbers.
        centroid_distances: Euclidean distances between the mean codes of the classes, a list for each; None for a class
            that is not there.
        nearest_classes: For each class, the others from the nearest centroid to the farthest.
    """
    numbers = {
        "share_within_3": float((np.abs(codes) <= 3).mean()),
        "code_mean": float(codes.mean(dtype=np.float64)),
        "code_std": float(codes.std(dtype=np.float64)),
    }
    if labels is None:
        return numbers
    present = np.unique(labels).tolist()
    centroids = {label: codes[labels == label].mean(axis=0, dtype=np.float64) for label in present}
    distances = {(a, b): float(np.linalg.norm(centroids[a] - centroids[b])) for a in present for b in present}
    every = range(num_classes)
    return (
        clustering(codes, labels)
        | numbers
        | {
            "centroid_distances": [[distances.get((a, b)) for b in every] for a in every],
            "nearest_classes": {
                str(a): sorted((b for b in present if b != a), key=lambda b: (distances[a, b], b)) for a in present
            },
        }
    )


def clustering(points: Array, labels: Array) -> dict[str, float]:
    """How well points of one class keep together.

    Args:
        points: (N, D), codes or an embedding of them; N of a few thousand.
        labels: (N,).

    Returns:
        silhouette: Mean silhouette coefficient (Rousseeuw 1987) of the classes, Euclidean, in [-1, 1]; 0 where it is not
            defined: all points are one or of one class, or no two are of the same class.
        knn10_accuracy: Share of points whose label is the one that most of their 10 nearest other points have.
    """
    if _are_one(points):
        return {"silhouette": 0.0, "knn10_accuracy": float(np.bincount(labels).max() / len(labels))}
    neighbours = NearestNeighbors(n_neighbors=min(11, len(points))).fit(points).kneighbors(points, return_distance=False)
    # a point is its own nearest neighbour, but among equal points it may stand elsewhere in the list, or not at all
    others = [[index for index in row if index != position][:10] for position, row in enumerate(neighbours)]
    votes = np.array([np.bincount(labels[row]).argmax() for row in others])
    is_defined = 1 < len(np.unique(labels)) < len(labels)
    return {
        "silhouette": float(silhouette_score(points, labels)) if is_defined else 0.0,
        "knn10_accuracy": float((votes == labels).mean()),
    }


def chosen_points(labels: Array | None, num_images: int, num_points: int) -> Array:
    """Indices of `num_points` images, ascending: the first ones of each class, equally many or as many as there are.

    Args:
        labels: (N,); None for images without classes, of which the first ones are taken.
        num_images: N.
        num_points: At most that many, and at least one of each class.
    """
    if labels is None:
        return np.arange(min(num_images, num_points))
    classes = np.unique(labels)
    each = max(1, num_points // len(classes))
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in classes]))


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
    if np.ptp(codes, axis=0).max() < 1e-3 * np.abs(codes).max():  # in float32 their mean would hide how they differ
        codes = codes - codes.mean(axis=0, dtype=np.float64)
    if codes.shape[1] == 1:  # it begins with two principal components
        codes = np.column_stack([codes, np.zeros_like(codes)])
    model = openTSNE.TSNE(
        perplexity=min(perplexity, (len(codes) - 1) / 3),
        negative_gradient_method="bh",
        neighbors="exact",
        random_state=seed,
    )
    return np.asarray(model.fit(codes), np.float32)


def _are_one(points: Array) -> bool:
    return bool(np.ptp(points, axis=0).max() == 0)
