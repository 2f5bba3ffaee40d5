"""Several measurements in a few numbers."""

import math
import statistics
from collections.abc import Sequence


def summary(values: Sequence[float]) -> dict[str, float]:
    """Their "median", and the spread as "min" and "max"."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, round by round: what slows the machine for a while slows both, and cancels."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Power p of seconds = c size^p, by least squares on the logarithms; at least two different sizes.

    A fixed cost beside the growing one, such as a start-up, makes it smaller than it is for large sizes.
    """
    logs = [math.log(size) for size in sizes]
    return statistics.linear_regression(logs, [math.log(each) for each in seconds]).slope
