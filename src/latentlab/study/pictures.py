"""The figures of a study, from its trials and from the results that lie in the workspace."""

import sys
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState

from latentlab import layout, results
from latentlab.figures import study_search
from latentlab.figures.style import save
from latentlab.params import Params
from latentlab.study import outcome, trials, without_warnings

# fewer finished trials of a family say nothing about what mattered
FEWEST_FOR_IMPORTANCES = 8


def draw_figures(project: Params, study: optuna.Study) -> list[Path]:
    """Draws the study's figures into its results.

    Returns:
        The files; none before the first trial has finished.
    """
    found = study.get_trials(deepcopy=False)
    on_front = [trial.number for trial in trials.front(found, project.study)]
    if not on_front:
        return []
    winners = {name: trial.number for name, trial in outcome.winners(found, project.study).items() if trial is not None}
    table = pd.read_csv(layout.STUDY / "trials.csv", keep_default_na=False, na_values={"validation_mse": "nan"})
    compute = f"num_{project.study.compute}"
    rows = compared(project)
    drawn = {
        f"front_{x.removeprefix('num_')}": study_search.front(project, table, on_front, winners, rows, x)
        for x in ("code_size", compute)
    }
    drawn["hypervolume"] = study_search.growth(pd.read_csv(layout.STUDY / "hypervolume.csv"))
    shares = importances(study)
    if shares:
        drawn["importances"] = study_search.importances(shares)
    files = []
    for name, figure in drawn.items():
        files.append(layout.STUDY / f"{name}.png")
        save(figure, files[-1])
    return files


def compared(project: Params) -> pd.DataFrame:
    """What the front is compared with: "row", "error" and sizes of all rows with results, and of PCA."""
    if not layout.PLANS.is_dir():
        print(
            "there are no plans/, so the figures are without the rows of the table: latentlab repro plan", file=sys.stderr
        )
    found = results.read(project)
    lines: list[dict[str, Any]] = [
        {
            "row": name,
            "error": metrics["test_mse"],
            "code_size": metrics["latent_dim"],
            "num_parameters": None,
            "num_macs": None,
        }
        for name, metrics in found.baselines.items()
        if name.startswith("pca") and "test_mse" in metrics
    ]
    for name, result in found.shown(project).items():
        metrics = result.metrics
        sizes = {key: metrics[key]["total"] for key in ("num_parameters", "num_macs")}
        lines.append({"row": name, "error": metrics["validation_mse"], "code_size": metrics["latent_dim"]} | sizes)
    return pd.DataFrame(lines, columns=["row", "error", "code_size", "num_parameters", "num_macs"])


def importances(study: optuna.Study) -> dict[str, dict[str, float]]:
    """By family: how much of what was drawn mattered for the validation error, by Optuna's PED-ANOVA."""
    found: dict[str, list[optuna.trial.FrozenTrial]] = {}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if "same_as" not in trial.user_attrs:
            found.setdefault(trial.params["family"], []).append(trial)
    shares = {}
    for family, chosen in found.items():
        if len(chosen) >= FEWEST_FOR_IMPORTANCES:
            with without_warnings():
                part = optuna.create_study()
                part.add_trials(
                    [
                        optuna.trial.create_trial(
                            params=each.params, distributions=each.distributions, value=each.values[0]
                        )
                        for each in chosen
                    ]
                )
                unsorted = optuna.importance.get_param_importances(part)
            unsorted.pop("family", None)
            # Optuna leaves the order of equal ones to chance
            shares[family] = dict(sorted(unsorted.items(), key=lambda each: (-each[1], each[0])))
    return shares
