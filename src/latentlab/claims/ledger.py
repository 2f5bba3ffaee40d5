"""All claims, each judged under each recipe: what does the ledger say?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from latentlab.claims import source_a, source_b, source_c, source_d, source_e
from latentlab.claims.evidence import Missing, gather
from latentlab.claims.statements import Claim, OpenClaim, Statements
from latentlab.claims.verdicts import Check, Judgement, Test, judge
from latentlab.results import Results

TESTS: dict[str, Test] = source_a.TESTS | source_b.TESTS | source_c.TESTS | source_d.TESTS | source_e.TESTS

# of all numbers in claims.json
SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True)
class Entry:
    """A claim with a judgement under each recipe."""

    name: str
    claim: Claim | OpenClaim
    judgements: dict[str, Judgement]

    @property
    def source(self) -> str:
        """The letter of the source."""
        return self.name[0]

    @property
    def changes_with_recipe(self) -> bool:
        """Whether it holds under one recipe and does not under another."""
        return {"holds", "does_not_hold"} <= {judgement.verdict for judgement in self.judgements.values()}


def ledger(statements: Statements, found: Results, codecs: pd.DataFrame, recipes: Sequence[str]) -> list[Entry]:
    """Judges all claims.

    Args:
        statements: Content of claims.yaml.
        found: Results of the workspace.
        codecs: Content of codecs.csv; empty where it is not there.
        recipes: Under which to judge; where rows have not been run, a claim is undecided.

    Returns:
        By source and number.
    """
    entries = []
    for name in statements.ids:
        claim = statements.claims.get(name) or statements.open_claims[name]
        judgements = {recipe: _judge(name, claim, found, codecs, recipe, statements.confidence) for recipe in recipes}
        entries.append(Entry(name, claim, judgements))
    return entries


def as_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The ledger in plain values, floats rounded."""
    listed = []
    for entry in entries:
        claim = entry.claim
        words: dict[str, Any] = {"test": None, "rows": [], "thresholds": {}, "why": None}
        if isinstance(claim, Claim):
            words = {"test": claim.test_in_words, "rows": claim.rows, "thresholds": claim.thresholds, "why": claim.why}
        listed.append(
            {
                "id": entry.name,
                "source": entry.source,
                "statement": claim.statement,
                **words,
                "changes_with_recipe": entry.changes_with_recipe,
                "verdicts": {recipe: _judgement(judgement) for recipe, judgement in entry.judgements.items()},
            }
        )
    return listed


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation (n - 1) of replicates; None for one."""
    column = pd.Series(values)
    return float(column.mean()), float(column.std(ddof=1)) if len(values) > 1 else None


def _judge(
    name: str, claim: Claim | OpenClaim, found: Results, codecs: pd.DataFrame, recipe: str, confidence: float
) -> Judgement:
    if isinstance(claim, OpenClaim):
        return Judgement("undecided", f"not measured; what would decide: {claim.decided_by}", 0, [], {})
    try:
        seeds = gather(found, codecs, recipe, claim.rows)
    except Missing as missing:
        return Judgement("undecided", str(missing), 0, [], {})
    return judge(partial(TESTS[name], **claim.thresholds), seeds, confidence)


def _judgement(judgement: Judgement) -> dict[str, Any]:
    return {
        "verdict": judgement.verdict,
        "reason": "; ".join([*(str(check) for check in judgement.decisive), *filter(None, [judgement.reason])]),
        "num_seeds": judgement.num_seeds,
        "checks": [_check(check) for check in judgement.checks],
        "numbers": {name: _replicates(values) for name, values in judgement.numbers.items()},
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "quantity": check.quantity,
        "mean": _rounded(check.mean),
        "low": _rounded(check.low),
        "high": _rounded(check.high),
        "asked": check.direction,
        "limit": check.limit,
        "verdict": check.verdict,
    }


def _replicates(values: Sequence[float]) -> dict[str, float | None]:
    mean, sd = mean_and_sd(values)
    return {"mean": _rounded(mean), "sd": None if sd is None else _rounded(sd)}


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
