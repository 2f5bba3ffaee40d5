"""Successive halving for several objectives: which trials are worth more epochs?

Optuna's own pruners take one objective only. This is asynchronous successive halving (Li et al. 2020, "A System for
Massively Parallel Hyperparameter Tuning", MLSys) with the order of values replaced by the non-domination rank of Deb et al.
(2002), NSGA-II, so that no trial is stopped that could still be on the front.

Legend: N trials, K objectives, all minimised.
"""

from collections.abc import Sequence

import numpy as np

from latentlab.params.study import Halving
from latentlab.study.front import non_domination_ranks


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

    With n trials at the rung, itself included, it goes on if fewer than n / factor of them have a better non-domination
    rank, or if it is among the first `num_spared` to come there. What no other dominates, whose rank is 0, always goes on.

    Args:
        values: Of the trial after the rung's epoch, (K,): its error as it is by then, and its sizes, which do not change.
        others: The same of all other trials that have come to the rung, also of those that were stopped there.
        halving: The factor, and how many are spared.
    """
    if len(others) < halving.num_spared:
        return True
    ranks = non_domination_ranks(np.array([values, *others]))
    return int((ranks[1:] < ranks[0]).sum()) < len(ranks) / halving.factor
