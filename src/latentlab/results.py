"""The results that lie in the workspace, of all runs that still are what params.yaml describes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from latentlab import layout, plans
from latentlab.layout import Run
from latentlab.params import Params

Metrics = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What is known of a run: content of metrics.json and probes.json in one, and its curve, one line per epoch."""

    run: Run
    metrics: Metrics
    curve: pd.DataFrame


@dataclass(frozen=True)
class Results:
    """All results; `stale` are runs of another plan than today's, which count for nothing."""

    runs: list[Result]
    baselines: dict[str, Metrics]
    stale: list[Run]

    def of(self, row: str, recipe: str) -> list[Result]:
        """The replicates of a row under a recipe, by seed; none where it has not been run."""
        return [result for result in self.runs if (result.run.row, result.run.recipe) == (row, recipe)]

    def shown(self, study: Params) -> dict[str, Result]:
        """One run of each row, to be looked at: of the first recipe and the first seed that params.yaml asks for."""
        first = (study.recipes[0], study.seeds[0])
        return {result.run.row: result for result in self.runs if (result.run.recipe, result.run.seed) == first}

    @property
    def recipes(self) -> list[str]:
        """Recipes that any row has been run with, `fast` first."""
        return sorted({result.run.recipe for result in self.runs})


def read(study: Params) -> Results:
    """Reads results/.

    A run counts when its row stands in params.yaml, it was evaluated and probed, and it was trained by the plan that the
    plan stage makes of today's params.yaml.
    """
    fresh, stale = [], []
    for run in layout.runs_with("probes.json"):
        if run.row not in study.variants or not run.plan.exists() or not run.metrics.exists():
            continue
        metrics = _json(run.metrics) | _json(run.probes)
        if metrics["plan"] == plans.digest(run):
            fresh.append(Result(run, metrics, pd.read_csv(run.curve)))
        else:
            stale.append(run)
    order = {name: index for index, name in enumerate(study.variants)}
    fresh.sort(key=lambda result: (result.run.recipe, order[result.run.row], result.run.seed))
    baselines = {}
    for name in (*study.baselines, layout.CLASSICAL):
        files = [path for path in (layout.Baseline(name).metrics, layout.Baseline(name).probes) if path.exists()]
        baselines[name] = {key: value for path in files for key, value in _json(path).items()}
    return Results(fresh, baselines, stale)


def _json(path: Path) -> Metrics:
    content: Metrics = json.loads(path.read_text(encoding="utf-8"))
    return content
