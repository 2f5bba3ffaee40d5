"""What of the geometry of the images is left in their codes: neighbours, distances, dimensions, shapes of the strokes?

Legend: N test images, M training images, P values of an image, D numbers of a code, F shape factors.
"""

import math
from typing import Any

import numpy as np
from pydantic import Field
from scipy.ndimage import distance_transform_edt
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from skdim.id import MLE, TwoNN
from skimage.measure import moments_central
from skimage.morphology import skeletonize
from sklearn.linear_model import RidgeCV
from sklearn.manifold import trustworthiness
from sklearn.metrics import r2_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from latentlab.data.images import Images
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.latent_space import chosen_points
from latentlab.params.strict import Count, Section

Array = np.ndarray

FACTORS = ("area", "length", "thickness", "slant", "width", "height")
# a pixel of more than this share of the brightest one is ink
_INK = 0.5
_NUM_NEAREST = 20


class Settings(Section):
    """How many images are measured, equally many of each class, and how many neighbours of each."""

    num_images: int = Field(ge=20, le=10_000)
    neighbours: Count


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """What the codes keep of the images' geometry, and what the untrained encoder's do; the numbers of `kept`.

    Returns:
        Those of the trained codes; `intrinsic_dimension`, see there, of "codes" and of the "images" themselves; and under
        "untrained" those of the codes of the same encoder before its training, where there is one.
    """
    train, test = (_first(images, settings.num_images) for images in (subject.data.train, subject.data.test))
    factors = shape_factors(train), shape_factors(test)
    numbers = kept(subject, train, test, factors, settings.neighbours)
    codes, pixels = (each.flatten(1).numpy() for each in (subject.encode(test), test))
    numbers["intrinsic_dimension"] = {"codes": intrinsic_dimension(codes), "images": intrinsic_dimension(pixels)}
    if subject.untrained:
        numbers["untrained"] = kept(subject.untrained(), train, test, factors, settings.neighbours)
    return Analysis(numbers)


def kept(subject: Subject, train: Tensor, test: Tensor, factors: tuple[Array, Array], neighbours: int) -> dict[str, Any]:
    """What codes keep of the images' geometry.

    Args:
        subject: What makes the codes.
        train: (M, C, H, W), for the probes of the factors.
        test: (N, C, H, W), which are measured.
        factors: (M, F) of the training images and (N, F) of the test images.
        neighbours: k, at most a third of N.

    Returns:
        trustworthiness, continuity: In [0, 1], of k neighbours (Venna and Kaski 2001): near codes are of near images, and
            near images have near codes. Euclidean distances.
        neighbours_kept: Share of the k nearest images of an image whose codes are among the k nearest of its code.
        distance_correlation: Spearman's, of all distances between images with those between their codes; None if one of
            them is always the same.
        factors: By name, see `factors_found`.
    """
    encoded = [subject.encode(images).flatten(1).numpy() for images in (train, test)]
    codes, pixels = encoded[1], test.flatten(1).numpy()
    k = min(neighbours, (len(test) - 1) // 3)
    near = zip(_neighbours(pixels, k), _neighbours(codes, k), strict=True)
    distances = pdist(pixels), pdist(codes)
    is_defined = all(np.ptp(each) > 0 for each in distances)
    return {
        "trustworthiness": float(trustworthiness(pixels, codes, n_neighbors=k)),
        "continuity": float(trustworthiness(codes, pixels, n_neighbors=k)),
        "neighbours_kept": float(np.mean([len(np.intersect1d(*both)) / k for both in near])),
        "distance_correlation": float(spearmanr(*distances).statistic) if is_defined else None,
        "factors": factors_found(encoded[0], factors[0], codes, factors[1]),
    }


def intrinsic_dimension(points: Array) -> dict[str, float | None]:
    """How many numbers tell points apart that lie on a curved surface, by the distances of near ones.

    Args:
        points: (N, D); of equal ones, one is taken.

    Returns:
        two_nn: From the ratio of the distances to the second and to the nearest neighbour (Facco et al. 2017).
        mle: From the distances to the 20 nearest (Levina and Bickel 2005), averaged over the points as MacKay and
            Ghahramani (2005) do. None for both if there are too few different points.
    """
    distinct = np.unique(points.astype(np.float64), axis=0)
    if len(distinct) <= 2 * _NUM_NEAREST:
        return {"two_nn": None, "mle": None}
    if distinct.shape[1] == 1:  # the estimators ask for two
        distinct = np.column_stack([distinct, np.zeros(len(distinct))])
    found = {
        "two_nn": TwoNN().fit(distinct).dimension_,
        "mle": MLE().fit(distinct, n_neighbors=_NUM_NEAREST, comb="mle").dimension_,
    }
    return {name: float(value) if math.isfinite(value) else None for name, value in found.items()}


def shape_factors(images: Tensor) -> Array:
    """What a stroke looks like, measured in the picture, after Morpho-MNIST (Castro et al. 2019), in pixels.

    A pixel is ink if it is brighter than half the brightest one; of coloured images, their mean over the channels.

    Args:
        images: (N, C, H, W) in [0, 1].

    Returns:
        (N, F), in the order of `FACTORS`; NaN for an image without ink or a difference. area: pixels of ink. length: pixels
        of its skeleton. thickness: twice the mean distance of the skeleton's pixels from the background. slant: how many
        columns the stroke leans to the left for each row down, by the second moments of the brightness. width, height: of
        the box around the ink.
    """
    return np.array([_factors(image) for image in images.mean(1).numpy()]).reshape(-1, len(FACTORS))


def _factors(image: Array) -> list[float]:
    ink = image > _INK * image.max()
    if not ink.any() or ink.all():
        return [math.nan] * len(FACTORS)
    skeleton = skeletonize(ink)
    moments = moments_central(image.astype(np.float64), order=2)
    # the frame of the picture is background, too
    depths = distance_transform_edt(np.pad(ink, 1))[1:-1, 1:-1]
    rows, columns = np.nonzero(ink)
    return [
        float(ink.sum()),
        float(skeleton.sum()),
        2 * float(depths[skeleton].mean()),
        -float(moments[1, 1] / moments[2, 0]) if moments[2, 0] > 0 else math.nan,
        float(np.ptp(columns) + 1),
        float(np.ptp(rows) + 1),
    ]


def factors_found(train: Array, train_factors: Array, test: Array, test_factors: Array) -> dict[str, float | None]:
    """How much of each shape factor a linear probe reads out of codes.

    Args:
        train: (M, D), from which ridge regressions learn; the penalty of each is chosen by leaving one image out. The codes
            are scaled to unit variance overall.
        train_factors: (M, F).
        test: (N, D).
        test_factors: (N, F).

    Returns:
        The share of the variance of each factor of the test images that is explained, R^2, at most 1; below 0 where their
        mean would be nearer. "mean" is that of all. None if it is not defined: fewer than two images have ink, or the
        factor is always the same.
    """
    known, wanted = (np.isfinite(each).all(axis=1) for each in (train_factors, test_factors))
    found: dict[str, float | None] = dict.fromkeys((*FACTORS, "mean"))
    if min(known.sum(), wanted.sum()) < 2:
        return found
    # all by one number: a pixel that is hardly ever ink would else weigh as much as any other, and mislead where it is
    unit = train.std(dtype=np.float64) or 1.0
    probe = RidgeCV(np.logspace(-2, 4, 7), alpha_per_target=True).fit(train[known] / unit, train_factors[known])
    predicted = probe.predict(test[wanted] / unit)
    for index, name in enumerate(FACTORS):
        if min(np.ptp(train_factors[known, index]), np.ptp(test_factors[wanted, index])) > 0:
            found[name] = float(r2_score(test_factors[wanted, index], predicted[:, index]))
    defined = [value for value in found.values() if value is not None]
    return found | {"mean": float(np.mean(defined)) if defined else None}


def _first(images: Images, count: int) -> Tensor:
    labels = None if images.labels is None else images.labels.numpy()
    return images.images[chosen_points(labels, len(images), count)]


def _neighbours(points: Array, k: int) -> Array:
    """(N, k), of each point the nearest others."""
    found: Array = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    return found
