"""What the report is made of."""

from dataclasses import dataclass

import pandas as pd

from latentlab.params import Params


@dataclass(frozen=True)
class Content:
    """What the report is made of: the tables of the compare stage under one recipe, the claims, and names of figures."""

    study: Params
    recipe: str
    leaderboard: pd.DataFrame
    analyses: dict[str, pd.DataFrame]
    codecs: pd.DataFrame
    claims_page: str
    figures: list[str]

    def number(self, row: str, section: str, name: str) -> float | None:
        """Mean of a number of an analysis; None where there is none."""
        table = self.analyses[section]
        found = table[(table["row"] == row) & (table["name"] == name) & table["recipe"].isin([self.recipe, ""])]
        return float(found["mean"].iloc[0]) if len(found) else None

    def of_recipe(self) -> pd.DataFrame:
        """The leaderboard's rows under this recipe."""
        return self.leaderboard[self.leaderboard["recipe"] == self.recipe].set_index("row")
