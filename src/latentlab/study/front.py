"""Which trials are on the front, how much it dominates, which of them wins, and which are worth more epochs?

Legend: N points, K objectives, all minimised.
"""

from collections.abc import Sequence

import numpy as np

from latentlab.params.study import Halving, Knee, Rule

Array = np.ndarray
OBJECTIVES = ["validation_mse", "latent_dim", "compute"]
# of a rule: what decides, and what decides between those that are equal in it
ORDERS = {
    "smallest": ["latent_dim", "compute", "validation_mse"],
    "lowest_error": ["validation_mse", "latent_dim", "compute"],
    "least_compute": ["compute", "latent_dim", "validation_mse"],
}


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
        points: (N, 3), all trials that have finished within the study's bounds: validation error, latent_dim, compute.
        rule: The rule.
    """
    values = np.array(points, dtype=float).reshape(-1, len(OBJECTIVES))
    if isinstance(rule, Knee):
        front = np.flatnonzero(non_domination_ranks(values) == 0)
        return int(front[knee(values[front])]) if len(front) else None
    bounds = rule.model_dump(exclude={"rule"})
    within = np.flatnonzero((values <= [bounds.get(name, np.inf) for name in OBJECTIVES]).all(axis=1))
    order = [OBJECTIVES.index(name) for name in ORDERS[rule.rule]]
    return min(map(int, within), key=lambda index: [*values[index, order]], default=None)


def rungs(halving: Halving | None, epochs: int) -> list[int]:
    """The epochs after which it is decided whether a trial goes on, in order; the last epoch is none of them."""
    found = []
    if halving is not None:
        epoch = halving.first_epoch
        while epoch < epochs:
            found.append(epoch)
            epoch *= halving.factor
    return found


def goes_on(values: Sequence[float], others: Sequence[Sequence[float]], halving: Halving) -> bool:
    """Whether a trial that has come to a rung is trained further.

    Asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", MLSys), by the
    non-domination rank in the place of a value, so that no trial is stopped that could still be on the front. Optuna's own
    pruners take one objective only. With n trials at the rung, itself included, a trial goes on if fewer than n / factor of
    them have a better rank, or if it is among the first `num_spared` to come there.

    Args:
        values: Of the trial after the rung's epoch, (K,): its error as it is by then, and its sizes, which do not change.
        others: The same of all other trials that have come to the rung, also of those that were stopped there.
        halving: The factor, and how many are spared.
    """
    if len(others) < halving.num_spared:
        return True
    ranks = non_domination_ranks(np.array([values, *others]))
    return int((ranks[1:] < ranks[0]).sum()) < len(ranks) / halving.factor
