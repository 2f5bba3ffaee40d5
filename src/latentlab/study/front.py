"""Which trials are on the front, how much it dominates, and which of them wins?

Legend: N points, K objectives, all minimised.
"""

from collections.abc import Sequence

import numpy as np

from latentlab.params.study import Knee, LeastCompute, LowestError, Rule, Smallest

Array = np.ndarray


def non_domination_ranks(points: Array) -> Array:
    """Rank of each point, (N, K) -> (N,): 0 on the front, 1 on the front of what is left without it, and so on.

    A point dominates another if it is nowhere worse and somewhere better (Deb et al. 2002, NSGA-II). Equal points have
    equal ranks; a value that is not a number counts as infinite.
    """
    points = np.where(np.isnan(points), np.inf, points)
    no_worse = (points[:, None, :] <= points[None, :, :]).all(axis=2)
    better = (points[:, None, :] < points[None, :, :]).any(axis=2)
    dominates = no_worse & better  # (N, N): row dominates column
    ranks = np.full(len(points), -1)
    rank = 0
    while (ranks < 0).any():
        left = ranks < 0
        front = left & ~(dominates & left[:, None]).any(axis=0)
        ranks[front] = rank
        rank += 1
    return ranks


def hypervolume(points: Array, reference: Array) -> float:
    """Share of the box between the origin and a reference point that a set of points dominates, in [0, 1].

    The hypervolume indicator of Zitzler and Thiele (1998) over the volume of the box, so that its unit does not matter.
    Computed dimension by dimension, by cutting the box into slices at the points.

    Args:
        points: (N, K), at least 0.
        reference: (K,), above 0.
    """
    inside = points[(points < reference).all(axis=1)] / reference
    return _dominated_volume(inside)


def _dominated_volume(points: Array) -> float:
    """Volume between the points and (1, ..., 1)."""
    if len(points) == 0:
        return 0.0
    if points.shape[1] == 1:
        return float(1 - points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    ends = np.append(points[1:, -1], 1.0)
    volume = 0.0
    for count, (start, end) in enumerate(zip(points[:, -1], ends, strict=True), start=1):
        if end > start:  # what lies below a slice dominates all of it
            volume += (end - start) * _dominated_volume(points[:count, :-1])
    return float(volume)


def knee(points: Array) -> int:
    """The point of a front that is nearest to the best of everything, (N, K) -> its index.

    The logarithm of each objective is brought to [0, 1], from the best to the worst of the front, and the distance to the
    ideal point, 0 in all of them, is Euclidean (compromise programming, Zeleny 1973). Of equally near ones the first.
    """
    logarithms = np.log(np.maximum(points, np.finfo(float).tiny))
    low, span = logarithms.min(axis=0), np.ptp(logarithms, axis=0)
    scaled = (logarithms - low) / np.where(span > 0, span, 1)
    return int(np.linalg.norm(scaled, axis=1).argmin())


def winner(points: Sequence[tuple[float, ...]], rule: Rule) -> int | None:
    """Index of the trial that wins by a rule; None if none of them is within the rule's bounds.

    Args:
        points: (N, 3), all trials that have finished within the study's bounds: validation error, code size, compute.
        rule: The rule.
    """
    values = np.array(points, dtype=float).reshape(-1, 3)
    if len(values) == 0:
        return None
    error, code_size, compute = values.T
    if isinstance(rule, Knee):
        front = np.flatnonzero(non_domination_ranks(values) == 0)
        return int(front[knee(values[front])])
    if isinstance(rule, Smallest):
        within, order = error <= rule.validation_mse, (error, compute, code_size)
    elif isinstance(rule, LowestError):
        within, order = (code_size <= rule.code_size) & (compute <= rule.compute), (compute, code_size, error)
    elif isinstance(rule, LeastCompute):
        within, order = (error <= rule.validation_mse) & (code_size <= rule.code_size), (error, code_size, compute)
    ranked = np.lexsort(order)  # the last key counts first
    ranked = ranked[within[ranked]]
    return int(ranked[0]) if len(ranked) else None
