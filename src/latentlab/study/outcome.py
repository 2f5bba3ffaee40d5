"""What a study leaves: its tables and figures, and the variants that win."""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from ruamel.yaml import YAML

from latentlab import paths
from latentlab.comparison import results, tables
from latentlab.files import replacing, write_json, write_text
from latentlab.models import checkpoint
from latentlab.params.project import Params
from latentlab.params.recipes import Recipe
from latentlab.params.study import StudySettings
from latentlab.params.variants import Found
from latentlab.report.figures import study_search
from latentlab.report.figures.style import save
from latentlab.study import trials, without_warnings

COLUMNS = [
    "number", "state", "reason", "known_variant", "same_as", "validation_mse", "latent_dim", "num_parameters", "num_macs",
    "epochs", "family", "architecture", "training",
]  # fmt: skip
RECIPE: Recipe = "fast"
HEADER = """\
# Variants that the trade-off study has found, written by `latentlab study run`. They stand beside those of params.yaml, and
# study/dvc.yaml trains them. The study's settings are in study/params.yaml, its trials in study/search.
"""
# fewer finished trials of a family say nothing about what mattered
FEWEST_FOR_IMPORTANCES = 8


def write_tables(settings: StudySettings, found: Sequence[FrozenTrial]) -> list[Path]:
    """Writes the study's tables.

    Args:
        settings: Of the study.
        found: All its trials, by number.

    Returns:
        The files: trials.csv; front.csv, smallest error first; hypervolume.csv, after each trial that was trained; and
        winners.json, which trial wins by which rule.
    """
    paths.STUDY.mkdir(parents=True, exist_ok=True)
    front = table(trials.front(found, settings))
    tables = {"trials": table(found), "front": front, "hypervolume": history(found, settings)}
    for name, lines in tables.items():
        with replacing(paths.STUDY / f"{name}.csv") as partial:
            lines.to_csv(partial, index=False, lineterminator="\n", na_rep="nan")
    content = {}
    for name, rule in settings.winners.items():
        won = trials.winners(found, settings).get(name)
        values = {"trial": won.number, "values": won.values} if won else {"trial": None, "values": None}
        content[name] = {"rule": rule.model_dump()} | values
    write_json(content, paths.STUDY / "winners.json")
    return [*(paths.STUDY / f"{name}.csv" for name in tables), paths.STUDY / "winners.json"]


def table(found: Sequence[FrozenTrial]) -> pd.DataFrame:
    """The trials that have begun, one a line."""
    return pd.DataFrame([_line(trial) for trial in found if trial.state != TrialState.WAITING], columns=COLUMNS)


def history(found: Sequence[FrozenTrial], settings: StudySettings) -> pd.DataFrame:
    """Hypervolume after each trial that was trained, in the order in which they ended."""
    ended = [trial for trial in found if trials.kind(trial) in ("finished", "stopped")]
    ended.sort(key=lambda trial: (trial.datetime_complete, trial.number))
    lines = [
        (count, trial.number, trials.dominated_volume(ended[:count], settings))
        for count, trial in enumerate(ended, start=1)
    ]
    return pd.DataFrame(lines, columns=["trained", "number", "hypervolume"])


def write_found(settings: StudySettings, found: Sequence[FrozenTrial], path: Path) -> list[str]:
    """Writes the winners as variants, with the training of their trials for the final epochs.

    Returns:
        Their names.
    """
    won = {name: trial.user_attrs for name, trial in trials.winners(found, settings).items()}
    content = {
        "recipes": [RECIPE],
        "seeds": settings.final.seeds,
        "variants": {name: about["variant"] | {"training": name} for name, about in won.items()},
        "training": {name: about["training"] | {"epochs": settings.final.epochs} for name, about in won.items()},
    }
    Found.model_validate(content)
    writer = YAML()  # as DVC has it: another would write a variant `1e5` without quotes, which DVC reads as a number
    writer.default_flow_style, writer.width = None, 1000
    text = io.StringIO()
    writer.dump({"found": content}, text)
    write_text(HEADER + text.getvalue(), path)
    return list(won)


def _line(trial: FrozenTrial) -> dict[str, Any]:
    attributes = trial.user_attrs
    variant = {key: value for key, value in attributes.get("variant", {}).items() if key not in ("source", "training")}
    errors = attributes.get("errors", [])
    names = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed"}
    return {
        "number": trial.number,
        "state": names.get(trial.state, "running"),
        "validation_mse": trial.values[0] if trial.state == TrialState.COMPLETE else errors[-1] if errors else math.nan,
        "epochs": len(errors),
        "family": variant.pop("family", ""),
        "architecture": json.dumps(variant, sort_keys=True),
        "training": json.dumps(attributes.get("training", {}), sort_keys=True),
    } | {
        key: attributes.get(key, "")
        for key in ("reason", "known_variant", "same_as", "latent_dim", "num_parameters", "num_macs")
    }


def draw_figures(project: Params, settings: StudySettings, study: optuna.Study) -> list[Path]:
    """Draws the study's figures beside its tables.

    Returns:
        The files; none before the first trial has finished.
    """
    found = study.get_trials(deepcopy=False)
    on_front = [trial.number for trial in trials.front(found, settings)]
    if not on_front:
        return []
    won = {name: trial.number for name, trial in trials.winners(found, settings).items()}
    lines, beside = table(found), compared(project)
    drawn = {
        f"front_{x.removeprefix('num_')}": study_search.front(project, lines, on_front, won, beside, x)
        for x in ("latent_dim", f"num_{settings.compute}")
    }
    drawn["hypervolume"] = study_search.growth(history(found, settings))
    if shares := importances(study):
        drawn["importances"] = study_search.importances(shares)
    for name, figure in drawn.items():
        save(figure, paths.STUDY / f"{name}.png")
    return [paths.STUDY / f"{name}.png" for name in drawn]


def compared(project: Params) -> pd.DataFrame:
    """What the front is compared with: "variant", "error" and sizes of all variants with results, and of PCA."""
    found = results.read(project, project.run.datasets[0], homes=(paths.MAIN, paths.FOUND_RUNS))
    lines = [
        {"variant": name, "error": metrics["test_mse"], "latent_dim": metrics["latent_dim"]}
        for name, metrics in found.baselines.items()
    ]
    for name, result in found.shown(project).items():
        sizes = {key: result.metrics[key]["total"] for key in ("num_parameters", "num_macs")}
        error, latent_dim = result.metrics["validation_mse"], result.metrics["latent_dim"]
        lines.append({"variant": name, "error": error, "latent_dim": latent_dim} | sizes)
    return pd.DataFrame(lines, columns=["variant", "error", "latent_dim", "num_parameters", "num_macs"])


def importances(study: optuna.Study) -> dict[str, dict[str, float]]:
    """By family: how much of what was drawn mattered for the validation error, by Optuna's PED-ANOVA."""
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    drawn = [trial for trial in finished if "same_as" not in trial.user_attrs and "family" in trial.params]
    shares = {}
    for family in dict.fromkeys(trial.params["family"] for trial in drawn):
        chosen = [trial for trial in drawn if trial.params["family"] == family]
        if len(chosen) < FEWEST_FOR_IMPORTANCES:
            continue
        with without_warnings():
            part = optuna.create_study()
            for trial in chosen:
                part.add_trial(
                    optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=trial.values[0])
                )
            found = optuna.importance.get_param_importances(part)
        found.pop("family", None)
        # Optuna leaves the order of equal ones to chance
        shares[family] = dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))
    return shares


def model_card(project: Params, settings: StudySettings, run: paths.Run) -> str:
    """What people should know of a registered model, in Markdown: what it is for, its data, its numbers, its limits."""
    description = checkpoint.load_description(run.checkpoint)
    channels, height, width = description["images"]["shape"]
    split, variant = description["split"], project.variant(run.variant)
    board = tables.leaderboard(project, results.read(project, run.dataset, homes=[paths.MAIN, paths.FOUND_RUNS]))
    lines = board[(board["variant"] == run.variant) & (board["recipe"] == run.recipe)].to_dict("records")
    numbers = "not measured yet"
    if lines:
        line = lines[0]
        spread = f" (sd {line['test_mse_sd']:.5f})" if line["num_seeds"] > 1 else ""
        numbers = f"test MSE {line['test_mse']:.5f}{spread}, SSIM {line['test_ssim']:.3f}"
        if not math.isnan(line["svm_rbf_accuracy"]):
            numbers += f", RBF probe on the codes {line['svm_rbf_accuracy']:.2%}"
        numbers += f"; means over {line['num_seeds']:.0f} trainings, of which this model is the one with seed {run.seed}"
    return f"""### {run}
**What it is for.** An autoencoder (`{variant.family}` of source {variant.source}): it takes images of {channels} x {height}
x {width} values from 0 to 1, black to white, and gives them back out of a code of a few numbers. To compare and to teach.

**Data.** `{run.dataset}`, digest `{description["data_digest"]}`: {split["train"]} images for training; the test images were
looked at by no training, and by no choice that the study made.

**Numbers.** {numbers}.

**Limits.** It knows images like those of `{run.dataset}` alone; others come back as something like them. Fine detail is
lost. A winner of the study was chosen by its validation error after {settings.training.epochs} epochs, in one search.

Again: `latentlab repro {run.stage("train")}`; commit and settings are in the tags and parameters of its run.
"""
