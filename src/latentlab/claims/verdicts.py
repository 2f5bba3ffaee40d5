"""When does a claim hold, when does it not, and when can that not be said?

A claim's test measures one or more quantities on the rows of one seed, each with a limit. Over the seeds, the mean of a
quantity is compared with its limit, by a bound at each side that the true mean is beyond with a stated confidence
(Student's t over the seeds; rows are paired by their seed). A claim holds when all of its quantities are on the right side
of their limits with their bounds, and does not when one of them is on the wrong side with its bounds. Else the seeds do not
tell. One seed has no spread: its value alone decides, and the verdict says so.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.stats import t as student

from latentlab.claims.evidence import Evidence, Missing

Verdict = Literal["holds", "does_not_hold", "undecided"]
Direction = Literal["at least", "at most"]

# keys of metrics.json that follow from a row's layers alone
COUNTED = ("num_parameters", "num_macs", "latent_dim", "compression_ratio")


@dataclass(frozen=True)
class Measure:
    """A quantity on the rows of one seed, and the limit that the claim sets it."""

    quantity: str
    value: float
    direction: Direction
    limit: float


# measures one seed's rows; its keyword-only arguments are the claim's thresholds
Test = Callable[..., Iterable[Measure]]


@dataclass(frozen=True)
class Check:
    """A quantity over all seeds: mean, lower and upper bound of the mean, all three equal for one seed."""

    quantity: str
    mean: float
    low: float
    high: float
    direction: Direction
    limit: float

    @property
    def verdict(self) -> Verdict:
        """On which side of the limit the mean is, if the bounds agree."""
        sign = 1 if self.direction == "at least" else -1
        worst, best = sorted((sign * self.low, sign * self.high))
        if worst >= sign * self.limit:
            return "holds"
        return "does_not_hold" if best < sign * self.limit else "undecided"

    def __str__(self) -> str:
        """The quantity, its value, and what is asked of it."""
        return f"{self.quantity} = {self.shown}, asked: {self.asked}"

    @property
    def shown(self) -> str:
        """Mean, and bounds if there are several seeds that differ."""
        return show(self.mean) + ("" if self.low == self.high else f" [{show(self.low)}, {show(self.high)}]")

    @property
    def asked(self) -> str:
        """The limit."""
        return f"{self.direction} {show(self.limit)}"


@dataclass(frozen=True)
class Judgement:
    """A claim under one recipe.

    `reason` says why the verdict is what it is, beside the checks; `numbers` are what it rests on, one value per seed.
    """

    verdict: Verdict
    reason: str
    num_seeds: int
    checks: list[Check]
    numbers: dict[str, list[float]]

    @property
    def decisive(self) -> list[Check]:
        """The checks with the verdict of the whole."""
        return [check for check in self.checks if check.verdict == self.verdict]


def at_least(quantity: str, value: float, limit: float) -> Measure:
    """A measure that should not be below its limit."""
    return _measure(quantity, value, "at least", limit)


def at_most(quantity: str, value: float, limit: float) -> Measure:
    """A measure that should not be above its limit."""
    return _measure(quantity, value, "at most", limit)


def within(quantity: str, value: float, least: float, most: float) -> Iterator[Measure]:
    """A measure that should lie between two limits."""
    yield at_least(quantity, value, least)
    yield at_most(quantity, value, most)


def judge(test: Callable[[Evidence], Iterable[Measure]], seeds: Sequence[Evidence], confidence: float) -> Judgement:
    """Judges a claim under one recipe.

    Args:
        test: The claim's test, its thresholds given.
        seeds: The evidence, one for each seed, at least one.
        confidence: That the true mean is above the lower bound, and likewise below the upper one.
    """
    try:
        measured = [list(test(seed)) for seed in seeds]
    except Missing as missing:
        return Judgement("undecided", str(missing), len(seeds), [], _numbers(seeds))
    except ZeroDivisionError:
        return Judgement("undecided", "a number that is divided by is 0", len(seeds), [], _numbers(seeds))
    if any([each.quantity for each in one] != [each.quantity for each in measured[0]] for one in measured):
        return Judgement("undecided", "the seeds were not measured in the same way", len(seeds), [], _numbers(seeds))
    checks = [_check(replicates, confidence) for replicates in zip(*measured, strict=True)]
    verdicts = {check.verdict for check in checks}
    verdict: Verdict = "holds"
    if verdicts != {"holds"}:
        verdict = "does_not_hold" if "does_not_hold" in verdicts else "undecided"
    reason = ""
    if verdict == "undecided":
        reason = f"the {len(seeds)} seeds do not tell; more would decide"
    elif all(name.split(" ")[1].split("/")[0] in COUNTED for name in seeds[0].read):
        reason = "counted, not trained: no seed matters"
    elif len(seeds) == 1:
        reason = "one seed, whose spread is not known"
    return Judgement(verdict, reason, len(seeds), checks, _numbers(seeds))


def interval(values: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """Mean, and the bounds that the true mean is above and below, each with that confidence; equal for one value."""
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, mean, mean
    error = statistics.stdev(values) / math.sqrt(len(values))
    reach = float(student.ppf(confidence, len(values) - 1)) * error
    return mean, mean - reach, mean + reach


def show(value: float) -> str:
    """Four significant digits; whole numbers in full."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def _measure(quantity: str, value: float, direction: Direction, limit: float) -> Measure:
    if not math.isfinite(value):
        raise Missing(f"{quantity} is not a finite number")
    return Measure(quantity, value, direction, limit)


def _check(replicates: Sequence[Measure], confidence: float) -> Check:
    """One measure of all seeds."""
    first = replicates[0]
    mean, low, high = interval([each.value for each in replicates], confidence)
    return Check(first.quantity, mean, low, high, first.direction, first.limit)


def _numbers(seeds: Sequence[Evidence]) -> dict[str, list[float]]:
    names = list(dict.fromkeys(name for seed in seeds for name in seed.read))
    return {name: [seed.read[name] for seed in seeds if name in seed.read] for name in names}
