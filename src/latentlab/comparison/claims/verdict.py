"""When does a claim hold, when does it not, and when can that not be said?

Over the seeds, the mean of a quantity is compared with its limit, by a bound at each side that the true mean is beyond with
a stated confidence (Student's t over the seeds; variants are paired by their seed). A claim holds when all of its
quantities are on the right side of their limits with their bounds, and does not when one of them is on the wrong side with
its bounds. Else the seeds do not tell. One seed has no spread: its value alone decides, and the verdict says so.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import pandas as pd
from scipy.stats import t as student

from latentlab.comparison.claims import papers, source_a, source_b, source_c, source_d, source_e
from latentlab.comparison.claims.claim import Claim, Evidence, Missing, Requirement
from latentlab.comparison.results import Results
from latentlab.comparison.tables import COUNTS, show

CLAIMS = [*source_a.CLAIMS, *source_b.CLAIMS, *source_c.CLAIMS, *source_d.CLAIMS, *source_e.CLAIMS, *papers.CLAIMS]

# that the true mean is above the lower bound, and likewise below the upper one
CONFIDENCE = 0.95

# what follows from a variant's layers alone
COUNTED = (*COUNTS, "compression_ratio")

Verdict = Literal["holds", "does_not_hold", "undecided", "does_not_apply"]


@dataclass(frozen=True)
class Check:
    """A requirement over all seeds: mean of its quantity, lower and upper bound of the mean, all equal for one seed."""

    requirement: Requirement
    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """On which side of the limit the mean is, if the bounds agree."""
        sign = 1 if self.requirement.direction == "at least" else -1
        worst, best = sorted((sign * self.low, sign * self.high))
        if worst >= sign * self.requirement.limit:
            return "holds"
        return "does_not_hold" if best < sign * self.requirement.limit else "undecided"

    @property
    def shown(self) -> str:
        """Mean, and bounds if there are several seeds that differ."""
        return show(self.mean) + ("" if self.low == self.high else f" [{show(self.low)}, {show(self.high)}]")

    def __str__(self) -> str:
        return f"{self.requirement.quantity.words} = {self.shown}, asked: {self.requirement.asked}"


@dataclass(frozen=True)
class Judgement:
    """A claim under one recipe.

    `reason` says why the verdict is what it is, beside the checks; `numbers` are what it rests on, one value per seed.
    """

    verdict: Verdict
    reason: str
    num_seeds: int = 0
    checks: list[Check] = field(default_factory=list)
    numbers: dict[str, list[float]] = field(default_factory=dict)

    @property
    def decisive(self) -> list[Check]:
        """The checks with the verdict of the whole."""
        return [check for check in self.checks if check.verdict == self.verdict]


@dataclass(frozen=True)
class Entry:
    """A claim with a judgement under each recipe."""

    claim: Claim
    judgements: dict[str, Judgement]

    @property
    def changes_with_recipe(self) -> bool:
        """Whether it holds under one recipe and does not under another."""
        return {"holds", "does_not_hold"} <= {judgement.verdict for judgement in self.judgements.values()}


def ledger(results: Results, codecs: pd.DataFrame, recipes: Sequence[str], are_digits: bool) -> list[Entry]:
    """Judges all claims.

    Args:
        results: Of one data set.
        codecs: Of `latentlab.comparison.results.codecs`.
        recipes: Under which to judge; where variants have not been run, a claim is undecided.
        are_digits: Whether the images are digits; if not, a claim that speaks of digits does not apply.

    Returns:
        By source and number.
    """
    entries = []
    for claim in CLAIMS:
        if claim.speaks_of_digits and not are_digits:
            judgements = dict.fromkeys(
                recipes, Judgement("does_not_apply", "it speaks of digits, which these images are not")
            )
        else:
            judgements = {recipe: judge(claim, results, codecs, recipe) for recipe in recipes}
        entries.append(Entry(claim, judgements))
    return entries


def judge(claim: Claim, results: Results, codecs: pd.DataFrame, recipe: str) -> Judgement:
    """Judges a claim under one recipe."""
    if claim.decided_by:
        return Judgement("undecided", f"not measured; what would decide: {claim.decided_by}")
    seeds: list[Evidence] = []
    try:
        seeds = gather(claim.variants, results, codecs, recipe)
        seeds = [seed for seed in seeds if _has_all(claim, seed)] or seeds  # not all seeds need have been analysed
        checks = [_check(requirement, seeds) for requirement in claim.holds]
        for quantity, seed in product(claim.beside, seeds):
            quantity.value(seed)  # which records the numbers that it reads
    except Missing as missing:
        return Judgement("undecided", str(missing), len(seeds), [], _numbers(seeds))
    except ZeroDivisionError:
        return Judgement("undecided", "a number that is divided by is 0", len(seeds), [], _numbers(seeds))
    verdicts = {check.verdict for check in checks}
    verdict: Verdict = next((each for each in ("does_not_hold", "undecided") if each in verdicts), "holds")
    return Judgement(verdict, _reason(verdict, seeds), len(seeds), checks, _numbers(seeds))


def _has_all(claim: Claim, seed: Evidence) -> bool:
    """Whether all that the claim's quantities ask for has been measured of a seed."""
    try:
        for quantity in (*(requirement.quantity for requirement in claim.holds), *claim.beside):
            quantity.value(seed)
    except Missing:
        return False
    except ZeroDivisionError:
        pass
    return True


def gather(variants: Sequence[str], results: Results, codecs: pd.DataFrame, recipe: str) -> list[Evidence]:
    """The evidence on some variants under a recipe, once for each seed with which all of them have been run.

    Raises:
        Missing: Some variants have not been run under this recipe, or no seed is common to all.
    """
    found = {variant: {result.run.seed: result for result in results.of(variant, recipe)} for variant in variants}
    if absent := [variant for variant, by_seed in found.items() if not by_seed]:
        raise Missing(f"not run under {recipe}: {', '.join(absent)}")
    common = sorted(set.intersection(*(set(by_seed) for by_seed in found.values())))
    if not common:
        raise Missing(f"under {recipe} no seed is common to {', '.join(variants)}")
    return [
        Evidence({variant: by_seed[seed] for variant, by_seed in found.items()}, results.baselines, codecs)
        for seed in common
    ]


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the bounds that the true mean is above and below, each with `CONFIDENCE`; equal for one value."""
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, mean, mean
    error = statistics.stdev(values) / math.sqrt(len(values))
    reach = float(student.ppf(CONFIDENCE, len(values) - 1)) * error
    return mean, mean - reach, mean + reach


def _check(requirement: Requirement, seeds: Sequence[Evidence]) -> Check:
    values = [requirement.quantity.value(seed) for seed in seeds]
    if not all(math.isfinite(value) for value in values):
        raise Missing(f"{requirement.quantity.words} is not a finite number")
    return Check(requirement, *interval(values))


def _reason(verdict: Verdict, seeds: Sequence[Evidence]) -> str:
    if verdict == "undecided":
        return f"the {len(seeds)} seeds do not tell; more would decide"
    if all(what.split("/")[0] in COUNTED for _, what in seeds[0].read):
        return "counted, not trained: no seed matters"
    return "one seed, whose spread is not known" if len(seeds) == 1 else ""


def _numbers(seeds: Sequence[Evidence]) -> dict[str, list[float]]:
    read = dict.fromkeys(key for seed in seeds for key in seed.read)
    return {f"{name} {what}": [seed.read[name, what] for seed in seeds if (name, what) in seed.read] for name, what in read}
