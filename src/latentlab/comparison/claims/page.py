"""The ledger for people, one table and a short section for each claim; and for machines."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from latentlab.comparison.claims.claim import Claim
from latentlab.comparison.claims.verdict import CONFIDENCE, Check, Entry, Judgement, Verdict
from latentlab.comparison.tables import markdown, show

WORDS: dict[Verdict, str] = {
    "holds": "holds",
    "does_not_hold": "does not hold",
    "undecided": "not decided",
    "does_not_apply": "does not apply",
}
MARKS: dict[Verdict, str] = {"holds": "✓", "does_not_hold": "✗", "undecided": "?", "does_not_apply": "-"}

# a section shows so many of the numbers that a claim rests on; claims.json has all
MOST_NUMBERS = 16

# of all numbers in claims.json
SIGNIFICANT_DIGITS = 6


def as_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The ledger in plain values, floats rounded."""
    return [
        {
            "id": entry.claim.name,
            "source": entry.claim.source,
            "statement": entry.claim.statement,
            "test": [str(requirement) for requirement in entry.claim.holds],
            "why": entry.claim.reasons,
            "variants": list(entry.claim.variants),
            "changes_with_recipe": entry.changes_with_recipe,
            "verdicts": {recipe: _judgement(judgement) for recipe, judgement in entry.judgements.items()},
        }
        for entry in entries
    ]


def write_page(entries: Sequence[Entry], sources: Mapping[str, str]) -> str:
    """The ledger in Markdown.

    Args:
        entries: Of `ledger`.
        sources: Name of each source by its letter.
    """
    blocks = [
        "# The claims of the five sources, and of papers",
        "What they conclude, in our words, and whether the numbers of this project bear it out. A quantity is "
        "computed for each seed; a claim holds if the means of all quantities are on the asked side of their limits, and "
        f"does not if one is on the other side. With several seeds, the mean's bounds at {CONFIDENCE:.0%} confidence (one "
        "side, Student's t; in brackets) must be on that side too, or the claim is not decided; one seed has no spread, "
        "and its value alone decides. All numbers: `claims.json`.",
        *_findings(entries),
        "## Verdicts",
        _table(_counts(entries, sources)),
        _table(_row(entry) for entry in entries),
    ]
    for entry in entries:
        blocks += _section(entry)
    return "\n\n".join(blocks) + "\n"


def side_by_side(entries: Mapping[str, Sequence[Entry]], recipe: str) -> str:
    """The verdicts of several data sets in one table, in Markdown.

    Args:
        entries: Of `ledger`, by data set.
        recipe: Under which they were judged.
    """
    lines, alike, judged = [], 0, 0
    for same in zip(*entries.values(), strict=True):
        verdicts = [entry.judgements[recipe].verdict for entry in same]
        claim = same[0].claim
        lines.append(
            {"claim": f"{claim.name}: {claim.statement}", **dict(zip(entries, (MARKS[v] for v in verdicts), strict=True))}
        )
        if not {"undecided", "does_not_apply"} & set(verdicts):
            judged, alike = judged + 1, alike + (len(set(verdicts)) == 1)
    blocks = [
        "# The claims, data set by data set",
        f"Judged under `{recipe}` on each data set alone, by the same limits. ✓ holds, ✗ does not hold, ? not decided: "
        "the data set's own page says why. - does not apply: the claim speaks of digits.",
    ]
    if len(entries) > 1:
        blocks.append(f"Of the {judged} claims that are decided on all of {', '.join(entries)}, {alike} have one verdict.")
    return "\n\n".join([*blocks, _table(lines)]) + "\n"


def _findings(entries: Sequence[Entry]) -> list[str]:
    """Claims whose verdict changes with the recipe, which is to say with the training alone."""
    changing = [entry for entry in entries if entry.changes_with_recipe]
    judged = [recipe for recipe in entries[0].judgements if any(entry.judgements[recipe].checks for entry in entries)]
    if not changing:
        nothing = ["## Findings", "No claim holds under one recipe and fails under another."]
        return nothing if len(judged) > 1 else []
    lines = []
    for entry in changing:
        parts = [
            f"{WORDS[judgement.verdict]} under `{recipe}` ({judgement.decisive[0]})"
            for recipe, judgement in entry.judgements.items()
            if judgement.verdict in ("holds", "does_not_hold")
        ]
        lines.append(f"- **{_link(entry)}**: {entry.claim.statement} It {', and it '.join(parts)}.")
    return ["## Findings", "Same variants, other training, other verdict:", "\n".join(lines)]


def _counts(entries: Sequence[Entry], sources: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """How many claims of each source have which verdict; the study's variants are ours, and claim nothing."""
    for letter, name in sources.items():
        if own := [entry for entry in entries if entry.claim.source == letter]:
            line = {"source": f"{letter}: {name}", "claims": str(len(own))}
            for recipe in own[0].judgements:
                count = Counter(entry.judgements[recipe].verdict for entry in own)
                line[f"{recipe}: {' / '.join(WORDS.values())}"] = " / ".join(str(count[verdict]) for verdict in WORDS)
            yield line


def _row(entry: Entry) -> dict[str, str]:
    claim, judgements = entry.claim, entry.judgements
    verdicts = {recipe: _word(claim, judgement) for recipe, judgement in judgements.items()}
    return {
        "claim": _link(entry),
        "source": claim.source,
        "statement": claim.statement,
        **verdicts,
        f"seeds ({' / '.join(judgements)})": " / ".join(str(judgement.num_seeds) for judgement in judgements.values()),
        "key numbers": "; ".join(f"{recipe}: {each.decisive[0]}" for recipe, each in judgements.items() if each.decisive),
    }


def _word(claim: Claim, judgement: Judgement) -> str:
    is_missing = claim.holds and judgement.verdict == "undecided" and not judgement.num_seeds
    return "not run" if is_missing else WORDS[judgement.verdict]


def _section(entry: Entry) -> list[str]:
    claim = entry.claim
    blocks = [f"## {claim.name}", f"**{claim.statement}**"]
    if claim.decided_by:
        return [*blocks, f"Not decided: nothing here measures it. What would decide: {claim.decided_by}"]
    verdicts = []
    for recipe, judgement in entry.judgements.items():
        seeds = f"{judgement.num_seeds} seeds" if judgement.num_seeds > 1 else ""
        parts = [f"**{WORDS[judgement.verdict]}**", seeds, judgement.reason]
        verdicts.append(f"- `{recipe}`: {', '.join(filter(None, parts))}")
    judged = {recipe: judgement.checks for recipe, judgement in entry.judgements.items() if judgement.checks}
    checks = [
        {"quantity": requirement.quantity.words, "asked": requirement.asked}
        | {recipe: f"{checks[index].shown} {MARKS[checks[index].verdict]}" for recipe, checks in judged.items()}
        for index, requirement in enumerate(claim.holds)
    ]
    numbers = [_numbers(recipe, judgement) for recipe, judgement in entry.judgements.items() if judgement.numbers]
    return [*blocks, f"Why these limits: {claim.reasons}", "\n".join(verdicts), _table(checks), *numbers]


def _numbers(recipe: str, judgement: Judgement) -> str:
    """The numbers that a verdict rests on, in one line."""
    shown = []
    for name, values in judgement.numbers.items():
        mean, sd = _mean_and_sd(values)
        shown.append(f"{name} {show(mean)}" + (f" ± {sd:.2g}" if sd else ""))
    more = f"; and {len(shown) - MOST_NUMBERS} more" if len(shown) > MOST_NUMBERS else ""
    return f"Numbers, `{recipe}`: {'; '.join(shown[:MOST_NUMBERS])}{more}."


def _link(entry: Entry) -> str:
    return f"[{entry.claim.name}](#{entry.claim.name.lower()})"


def _table(lines: Iterable[dict[str, str]]) -> str:
    return markdown(pd.DataFrame(lines)).rstrip("\n")


def _judgement(judgement: Judgement) -> dict[str, Any]:
    numbers = {name: _mean_and_sd(values) for name, values in judgement.numbers.items()}
    return {
        "verdict": judgement.verdict,
        "reason": "; ".join([*(str(check) for check in judgement.decisive), *filter(None, [judgement.reason])]),
        "num_seeds": judgement.num_seeds,
        "checks": [_check(check) for check in judgement.checks],
        "numbers": {name: {"mean": _rounded(mean), "sd": _rounded(sd)} for name, (mean, sd) in numbers.items()},
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "quantity": check.requirement.quantity.words,
        "mean": _rounded(check.mean),
        "low": _rounded(check.low),
        "high": _rounded(check.high),
        "asked": check.requirement.direction,
        "limit": check.requirement.limit,
        "verdict": check.verdict,
    }


def _mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation (n - 1) of replicates; None for one, and for what is no finite number."""
    spread = len(values) > 1 and all(math.isfinite(value) for value in values)
    return statistics.fmean(values), statistics.stdev(values) if spread else None


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{SIGNIFICANT_DIGITS}g}")
