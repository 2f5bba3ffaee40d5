"""The ledger for people: one table, and a short section for each claim."""

from collections import Counter
from collections.abc import Mapping, Sequence

from latentlab.claims.ledger import Entry, mean_and_sd
from latentlab.claims.statements import Claim
from latentlab.claims.verdicts import Judgement, Verdict, show

WORDS: dict[Verdict, str] = {"holds": "holds", "does_not_hold": "does not hold", "undecided": "not decided"}
MARKS: dict[Verdict, str] = {"holds": "✓", "does_not_hold": "✗", "undecided": "?"}

# a section shows so many of the numbers that a claim rests on; claims.json has all
MOST_NUMBERS = 16


def write_page(entries: Sequence[Entry], sources: Mapping[str, str], confidence: float) -> str:
    """The ledger in Markdown.

    Args:
        entries: Of `latentlab.claims.ledger.ledger`.
        sources: Name of each source by its letter.
        confidence: Of the bounds.
    """
    recipes = list(entries[0].judgements)
    lines = [
        "# The claims of the five sources\n",
        "What the sources conclude, in our words, and whether the numbers of this study bear it out. Tests and limits "
        "stand in `claims.yaml`. A quantity is computed for each seed; a claim holds if the means of all quantities are on "
        "the asked side of their limits, and does not if one is on the other side. With several seeds, the mean's bounds "
        f"at {100 * confidence:g}% confidence (one side, Student's t; in brackets) must be on that side too, or the claim "
        "is not decided; one seed has no spread, and its value alone decides. All numbers: `results/claims.json`.\n",
        *_findings(entries),
        "## Verdicts\n",
        *_counts(entries, sources, recipes),
        _head("claim", "source", "statement", *recipes, f"seeds ({' / '.join(recipes)})", "key numbers"),
    ]
    lines += [_row(entry) for entry in entries]
    for entry in entries:
        lines += ["", *_section(entry)]
    return "\n".join(lines) + "\n"


def _findings(entries: Sequence[Entry]) -> list[str]:
    """Claims whose verdict changes with the recipe, which is to say with the training alone."""
    changing = [entry for entry in entries if entry.changes_with_recipe]
    judged = [recipe for recipe in entries[0].judgements if any(entry.judgements[recipe].checks for entry in entries)]
    if not changing and len(judged) < 2:
        return []
    lines = ["## Findings\n"]
    if not changing:
        return [*lines, "No claim holds under one recipe and fails under another.\n"]
    lines.append("Same rows, other training, other verdict:\n")
    for entry in changing:
        parts = [
            f"{_verdict(judgement)} under `{recipe}` ({judgement.decisive[0]})"
            for recipe, judgement in entry.judgements.items()
            if judgement.verdict != "undecided"
        ]
        lines.append(f"- **{_link(entry)}**: {entry.claim.statement} It {', and it '.join(parts)}.")
    return [*lines, ""]


def _counts(entries: Sequence[Entry], sources: Mapping[str, str], recipes: Sequence[str]) -> list[str]:
    lines = [_head("source", "claims", *(f"{recipe}: holds / does not / not decided" for recipe in recipes))]
    for letter, name in sources.items():
        own = [entry for entry in entries if entry.source == letter]
        if not own:  # the study's rows are ours, and claim nothing
            continue
        cells = []
        for recipe in recipes:
            count = Counter(entry.judgements[recipe].verdict for entry in own)
            cells.append(" / ".join(str(count[verdict]) for verdict in WORDS))
        lines.append(_cells(f"{letter}: {name}", str(len(own)), *cells))
    return [*lines, ""]


def _row(entry: Entry) -> str:
    judgements = entry.judgements
    seeds = " / ".join(str(judgement.num_seeds) for judgement in judgements.values())
    numbers = "; ".join(f"{recipe}: {each.decisive[0]}" for recipe, each in judgements.items() if each.decisive)
    run = isinstance(entry.claim, Claim)
    verdicts = ["not run" if run and not judgement.num_seeds else _verdict(judgement) for judgement in judgements.values()]
    return _cells(_link(entry), entry.source, entry.claim.statement, *verdicts, seeds, numbers)


def _section(entry: Entry) -> list[str]:
    claim = entry.claim
    lines = [f"## {entry.name}\n", f"**{claim.statement}**\n"]
    if not isinstance(claim, Claim):
        return [*lines, f"Not decided: nothing here measures it. What would decide: {claim.decided_by}"]
    lines += [f"Test: {claim.test_in_words} Why these limits: {claim.why}\n"]
    for recipe, judgement in entry.judgements.items():
        words = ", ".join(filter(None, [f"**{_verdict(judgement)}**", _seeds(judgement), judgement.reason]))
        lines.append(f"- `{recipe}`: {words}")
    checked = {recipe: judgement.checks for recipe, judgement in entry.judgements.items() if judgement.checks}
    table: dict[tuple[str, str], dict[str, str]] = {}
    for recipe, checks in checked.items():
        for check in checks:
            table.setdefault((check.quantity, check.asked), {})[recipe] = f"{check.shown} {MARKS[check.verdict]}"
    if table:
        lines += ["", _head("quantity", "asked", *checked)]
        lines += [_cells(*asked, *(values.get(recipe, "") for recipe in checked)) for asked, values in table.items()]
    return [*lines, *_numbers(entry)]


def _numbers(entry: Entry) -> list[str]:
    """The numbers that the claim rests on, one line per recipe."""
    lines = []
    for recipe, judgement in entry.judgements.items():
        shown = [f"{name} {_value(values)}" for name, values in judgement.numbers.items()]
        more = f"; and {len(shown) - MOST_NUMBERS} more" if len(shown) > MOST_NUMBERS else ""
        if shown:
            lines += ["", f"Numbers, `{recipe}`: {'; '.join(shown[:MOST_NUMBERS])}{more}."]
    return lines


def _value(values: Sequence[float]) -> str:
    mean, sd = mean_and_sd(values)
    return show(mean) if not sd else f"{show(mean)} ± {sd:.2g}"


def _verdict(judgement: Judgement) -> str:
    return WORDS[judgement.verdict]


def _seeds(judgement: Judgement) -> str:
    return f"{judgement.num_seeds} seeds" if judgement.num_seeds > 1 else ""


def _link(entry: Entry) -> str:
    return f"[{entry.name}](#{entry.name.lower()})"


def _head(*columns: str) -> str:
    return f"{_cells(*columns)}\n|{'---|' * len(columns)}"


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
