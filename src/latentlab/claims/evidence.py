"""What is known of the rows that a claim is about?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from latentlab.results import Metrics, Result, Results


class Missing(Exception):  # noqa: N818
    """A claim cannot be judged; the message says what is missing, or what would decide it."""


@dataclass(frozen=True)
class Evidence:
    """All results of one recipe and one seed that a claim may look at.

    `read` remembers each number that was asked for, by a name for people: it is the evidence that the ledger shows.
    """

    results: dict[str, Result]
    baselines: dict[str, Metrics]
    codecs: pd.DataFrame
    read: dict[str, float] = field(default_factory=dict)

    def at(self, name: str, path: str) -> Any:
        """Whatever stands at a path in the metrics of a row or a baseline.

        Args:
            name: The row or the baseline.
            path: Keys of its metrics, joined by "/".

        Raises:
            Missing: It is not there.
        """
        found: Any = self.baselines[name] if name in self.baselines else self._result(name).metrics
        for key in path.split("/"):
            if not isinstance(found, dict) or key not in found:
                raise Missing(f"{name} has no {path}")
            found = found[key]
        return found

    def number(self, name: str, path: str) -> float:
        """A number of a row or a baseline."""
        found = self.at(name, path)
        if not isinstance(found, (int, float)):
            raise Missing(f"{name} has no number {path}")
        return self.record(f"{name} {path}", float(found))

    def numbers(self, name: str, path: str) -> list[float]:
        """A list of numbers of a row."""
        found = self.at(name, path)
        if not isinstance(found, list) or not found:
            raise Missing(f"{name} has no list {path}")
        return [self.record(f"{name} {path}/{index}", float(value)) for index, value in enumerate(found)]

    def keys(self, name: str, path: str) -> list[str]:
        """The keys of a table in the metrics of a row or a baseline."""
        found = self.at(name, path)
        if not isinstance(found, dict) or not found:
            raise Missing(f"{name} has no table {path}")
        return list(found)

    def curve(self, row: str, column: str) -> list[float]:
        """A column of a row's training curve, epoch by epoch."""
        if not self.has_curve(row, column):
            raise Missing(f"{row} has no {column} in its curve")
        return [float(value) for value in self._result(row).curve[column]]

    def has_curve(self, row: str, column: str) -> bool:
        """Whether a row's training curve has that column."""
        table = self._result(row).curve
        return column in table and not table.empty

    def codec(self, codec: str, layout: str) -> list[tuple[float, float]]:
        """Bytes per image and PSNR (dB) of an image format at all its qualities.

        Args:
            codec: As in codecs.csv.
            layout: "single" or "sheet".
        """
        chosen = self.codecs
        if not chosen.empty:
            chosen = chosen[(chosen["codec"] == codec) & (chosen["layout"] == layout)]
        if chosen.empty:
            raise Missing(f"the image format {codec} ({layout}) has not been measured")
        return list(zip(chosen["bytes_per_image"].astype(float), chosen["psnr"].astype(float), strict=True))

    def record(self, name: str, value: float) -> float:
        """Remembers a number that the claim rests on, and gives it back."""
        self.read[name] = value
        return value

    def _result(self, row: str) -> Result:
        if row not in self.results:
            raise Missing(f"no results of {row}")
        return self.results[row]


def gather(found: Results, codecs: pd.DataFrame, recipe: str, rows: Sequence[str]) -> list[Evidence]:
    """The evidence on some rows under a recipe, once for each seed with which all of them have been run.

    Args:
        found: Results of the workspace.
        codecs: Content of codecs.csv; empty where it is not there.
        recipe: The recipe.
        rows: Those that the claim is about.

    Raises:
        Missing: Some rows have not been run under this recipe, or no seed is common to all.
    """
    by_row = {row: {result.run.seed: result for result in found.of(row, recipe)} for row in rows}
    absent = [row for row, results in by_row.items() if not results]
    if absent:
        raise Missing(f"not run under {recipe}: {', '.join(absent)}")
    common = sorted(set.intersection(*(set(results) for results in by_row.values())))
    if not common:
        raise Missing(f"under {recipe} no seed is common to {', '.join(rows)}")
    return [Evidence({row: results[seed] for row, results in by_row.items()}, found.baselines, codecs) for seed in common]
