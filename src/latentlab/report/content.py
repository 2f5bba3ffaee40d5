"""What a report is made of: the tables of one data set under one recipe, and a run of each variant to look at."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from latentlab import paths
from latentlab.comparison import results
from latentlab.comparison.results import Result
from latentlab.params.analyses import Analyses
from latentlab.params.project import Params
from latentlab.paths import Run

# nobody tells more curves than that apart
MOST_CURVES = 8
# formats without loss, by their names in the table of the codecs
LOSSLESS = {"png": "PNG", "webp_lossless": "WebP", "jpeg_xl_lossless": "JPEG XL", "gzip": "gzip"}
# the noise that is shown, where it is measured
SIGMA = 0.2


@dataclass(frozen=True)
class Content:
    """What the figures show and the sentences say, for the first recipe that is selected.

    `leaderboard` has the numbers of the core, `tables` those of each analysis, `settings` its settings, and `codecs` the
    bytes and the quality of image formats. `shown` are the runs whose curves and arrays the figures show; no sentence needs
    them.
    """

    project: Params
    dataset: str
    leaderboard: pd.DataFrame
    shown: Mapping[str, Result] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    codecs: pd.DataFrame = field(default_factory=pd.DataFrame)

    @classmethod
    def of_analyses(cls, project: Params, dataset: str, analyses: Analyses, shown: Mapping[str, Result]) -> Self:
        """With what the tables stage and the codecs stage of the analyses have left."""
        files = paths.reports(dataset, "analyses")
        tables = {name: pd.read_csv(files.tables / f"{name}.csv") for name in analyses.names}
        codecs = results.codecs(dataset)
        return cls(project, dataset, pd.read_csv(files.leaderboard), shown, tables, analyses.settings, codecs)

    @property
    def run(self) -> Run:
        """The first run that is selected of this data set, as an example."""
        return next(run for run in self.project.runs() if run.dataset == self.dataset)

    @property
    def recipe(self) -> str:
        """The recipe that the report is about."""
        return self.project.run.recipes[0]

    def lines(self, table: pd.DataFrame) -> pd.DataFrame:
        """Those of a table that are about this recipe, or about a baseline, which has none."""
        return table[table["recipe"].isna() | (table["recipe"] == self.recipe)]

    def variants(self) -> pd.DataFrame:
        """The variants of the leaderboard under this recipe."""
        return self.leaderboard[self.leaderboard["recipe"] == self.recipe].set_index("variant")

    def table(self, analysis: str) -> pd.DataFrame:
        """The numbers of an analysis; none where it was not made."""
        return self.lines(self.tables.get(analysis, pd.DataFrame(columns=["variant", "recipe", "name", "mean", "sd"])))

    def means(self, path: str) -> pd.Series:
        """A number of all variants and baselines that have it, by name, mean over the seeds.

        Args:
            path: A column of the leaderboard, or an analysis and the name of one of its numbers: "denoising/0.2/psnr".
        """
        analysis, _, number = path.partition("/")
        if not number:
            return self.lines(self.leaderboard).set_index("variant")[path].dropna().astype(float)
        table = self.table(analysis)
        return table[table["name"] == number].set_index("variant")["mean"].dropna()

    def numbers(self, path: str) -> pd.Series:
        """That number of the variants alone, in the order of params.yaml."""
        found = self.means(path)
        return found.reindex([name for name in self.project.variants if name in found.index])

    def measured(self, analysis: str) -> list[str]:
        """The variants that the analysis was made of, in the order of params.yaml."""
        present = set(self.table(analysis)["variant"])
        return [name for name in self.project.variants if name in present]

    def chosen(self, names: Sequence[str], *comparisons: str) -> list[str]:
        """All of the names if they are few, else those that stand in these comparisons, else the first few."""
        known = [self.project.comparisons[key].variants for key in comparisons if key in self.project.comparisons]
        compared = dict.fromkeys(name for variants in known for name in variants if name in names)
        return list(compared) if compared and len(names) > MOST_CURVES else list(names[:MOST_CURVES])

    def baselines(self, analysis: str, *sizes: int) -> list[str]:
        """The baselines that the analysis was made of; PCA of these sizes only."""
        left_out = {name for name, baseline in self.project.baselines.items() if baseline.num_components not in sizes}
        present = self.table(analysis)["variant"].unique()
        return [name for name in present if name not in self.project.variants and name not in left_out]

    def arrays(self, analysis: str, *comparisons: str) -> dict[str, dict[str, np.ndarray]]:
        """The arrays that an analysis has left of the runs that are shown, by variant, as far as they are here.

        Of all these variants, or of those that `chosen` takes where comparisons are given.
        """
        runs = {name: result.run for name, result in self.shown.items() if analysis in result.metrics}
        files = {name: run.arrays(analysis) / "arrays.npz" for name, run in runs.items()}
        names = [name for name, path in files.items() if path.exists()]
        return {name: dict(np.load(files[name])) for name in (self.chosen(names, *comparisons) if comparisons else names)}

    def lossless_bits(self) -> dict[str, float]:
        """Bits per pixel, and channel, of formats that lose nothing, all images together; by name, as far as measured."""
        num_values = math.prod(self.project.datasets[self.dataset].shape)
        sizes = self.codecs[(self.codecs["layout"] == "sheet") & self.codecs["codec"].isin(LOSSLESS)]
        found = sizes.set_index("codec")["bytes_per_image"].astype(float)
        return {label: float(8 * found[name] / num_values) for name, label in LOSSLESS.items() if name in found}

    def noise(self) -> tuple[int, str]:
        """The noise level that is shown: its place among those measured, and its name in the table."""
        sigmas = self.settings["denoising"]["sigmas"]
        index = sigmas.index(SIGMA) if SIGMA in sigmas else len(sigmas) // 2
        return index, str(float(sigmas[index]))
