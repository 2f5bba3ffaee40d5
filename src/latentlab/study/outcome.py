"""What a study leaves: its trials, its front, how the front grew, and the rows that win."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from optuna.trial import FrozenTrial, TrialState

from latentlab import layout, params
from latentlab.params import Params
from latentlab.params.study import StudySettings
from latentlab.study import trials
from latentlab.study.front import winner
from latentlab.wholefiles import replacing, write_json, write_text

COLUMNS = (
    "number", "state", "reason", "known_row", "same_as", "validation_mse", "code_size", "num_parameters", "num_macs",
    "epochs", "family", "architecture", "training",
)  # fmt: skip
RECIPE: params.Recipe = "fast"
HEADER = """\
# Rows that the trade-off study has found, written by `latentlab study run`; they stand beside those of params.yaml, and
# `dvc repro` trains them as it trains any other. The study's settings are in params.yaml, its trials in results/study.
"""


def write(project: Params, found: Sequence[FrozenTrial]) -> list[Path]:
    """Writes the study's tables.

    Args:
        project: The parameters.
        found: All trials of the study, by number.

    Returns:
        The files: trials.csv; front.csv, smallest error first; hypervolume.csv, after each trial that was trained; and
        winners.json, which trial wins by which rule.
    """
    settings, folder = project.study, layout.STUDY
    folder.mkdir(parents=True, exist_ok=True)
    trials_file = _table(
        [_line(trial) for trial in found if trial.state != TrialState.WAITING], COLUMNS, folder / "trials.csv"
    )
    front_file = _table([_line(trial) for trial in trials.front(found, settings)], COLUMNS, folder / "front.csv")
    growth = _table(history(found, settings), ("trained", "number", "hypervolume"), folder / "hypervolume.csv")
    winners_file = folder / "winners.json"
    content = {
        name: {
            "rule": rule.model_dump(),
            "trial": trial.number if trial else None,
            "values": trial.values if trial else None,
        }
        for (name, rule), trial in zip(settings.winners.items(), winners(found, settings).values(), strict=True)
    }
    write_json(content, winners_file)
    return [trials_file, front_file, growth, winners_file]


def history(found: Sequence[FrozenTrial], settings: StudySettings) -> list[dict[str, Any]]:
    """Hypervolume after each trial that was trained, in the order in which they ended."""
    ended = [
        trial
        for trial in found
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and trial.user_attrs.get("reason") not in trials.UNTRAINED
    ]
    ended.sort(key=lambda trial: (trial.datetime_complete, trial.number))
    return [
        {
            "trained": count,
            "number": trial.number,
            "hypervolume": trials.dominated_volume(ended[:count], settings),
        }
        for count, trial in enumerate(ended, start=1)
    ]


def winners(found: Sequence[FrozenTrial], settings: StudySettings) -> dict[str, FrozenTrial | None]:
    """The trial that wins by each of the study's rules; None where none is within the rule's bounds."""
    contenders = trials.contenders(found, settings)
    points = [tuple(trial.values) for trial in contenders]
    indices = {name: winner(points, rule) for name, rule in settings.winners.items()}
    return {name: None if index is None else contenders[index] for name, index in indices.items()}


def write_rows(project: Params, found: Sequence[FrozenTrial], path: Path) -> list[str]:
    """Writes the winners as rows of the experiment table, with the training of their trials for the final epochs.

    Returns:
        The names of the rows.
    """
    final = project.study.final
    rows, training = {}, {}
    for name, trial in winners(found, project.study).items():
        if trial is not None:
            rows[name] = trial.user_attrs["row"] | {"training": name}
            training[name] = trial.user_attrs["training"] | {"epochs": final.epochs}
    made = {"found": {"recipes": [RECIPE], "seeds": final.seeds, "variants": rows, "training": training}}
    params.FoundFile.model_validate(made)
    write_text(HEADER + yaml.safe_dump(made, sort_keys=False, default_flow_style=None, width=1000), path)
    return list(rows)


def _line(trial: FrozenTrial) -> dict[str, Any]:
    attributes = trial.user_attrs
    row = {key: value for key, value in attributes.get("row", {}).items() if key not in ("source", "training")}
    errors = attributes.get("errors", [])
    return {
        "number": trial.number,
        "state": {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed"}.get(
            trial.state, "running"
        ),
        "validation_mse": trial.values[0] if trial.state == TrialState.COMPLETE else errors[-1] if errors else math.nan,
        "epochs": len(errors),
        "family": row.pop("family", ""),
        "architecture": json.dumps(row, sort_keys=True),
        "training": json.dumps(attributes.get("training", {}), sort_keys=True),
    } | {
        key: attributes.get(key, "")
        for key in ("reason", "known_row", "same_as", "code_size", "num_parameters", "num_macs")
    }


def _table(lines: list[dict[str, Any]], columns: Sequence[str], path: Path) -> Path:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return path
