"""What a part has measured as a page of Markdown: its docstring, which explains it, and its records as a table."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from benchmarks.task import Record


def page(part: ModuleType, results: Record) -> str:
    """Title, explanation, circumstances and table.

    Args:
        part: The module.
        results: "machine" and "settings", both flat, and "records".
    """
    title, _, text = (part.__doc__ or "").partition("\n")
    about = [f"{_listed(results[key])}." for key in ("machine", "settings")]
    return "\n".join([f"# {title}", "", text.strip(), "", *about, "", *_table(results["records"]), ""])


def _listed(values: Record) -> str:
    return ", ".join(f"{_words(key)}: {_cell(value)}" for key, value in values.items() if value is not None)


def _table(records: Sequence[Record]) -> list[str]:
    """Lines of a Markdown table, one column for each key that a record has."""
    if not records:
        return ["Nothing that was measured here."]
    columns = list(dict.fromkeys(key for record in records for key in record))
    rows = [[_cell(record.get(column)) for column in columns] for record in records]
    return [f"| {' | '.join(line)} |" for line in ([_words(each) for each in columns], ["---"] * len(columns), *rows)]


def _words(key: str) -> str:
    return key.replace("_", " ")


def _cell(value: Any) -> str:
    """For people: a spread as median (least to most), numbers with three digits that count."""
    if isinstance(value, dict):
        median, least, most = (_cell(value[key]) for key in ("median", "min", "max"))
        return f"{median} ({least} to {most})"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
