"""From a row's output files to its MLflow run; `latentlab log` replays it for rows whose stages DVC took from its cache."""

import csv
import json
from typing import Any

import torch

from latentlab import checkpoint, layout, models, params
from latentlab.tracking.runs import Evaluation, RowOutputs


def about(study: params.Params, name: str) -> tuple[str, dict[str, str]]:
    """What people read above a run, in Markdown, and the tags by which they group runs."""
    row, settings = study.row(name), study.training_of(name)
    experiments = [key for key, experiment in study.experiments.items() if name in experiment.rows]
    numbers = "".join(f"\n| {key} | {value} |" for key, value in row.architecture.items())
    note = (
        f"### {name}\nA `{row.family}` of source {row.source} (`{study.sources[row.source]}`), trained with the recipe "
        f"`{study.recipe}`: {settings.epochs} epochs of {settings.optimizer.name} in batches of {settings.batch_size}.\n\n"
        f"| number | value |\n|---|---|{numbers}\n\n"
    )
    if experiments:
        titles = "; ".join(study.experiments[key].title.lower() for key in experiments)
        note += f"Compared in: {titles}. Filter `tags.experiments LIKE '%{experiments[0]}%'` to see the others.\n\n"
    note += f"Again: `dvc repro --force train@{name}`."
    return note, {"experiments": " ".join(experiments)}


def outputs(study: params.Params, name: str) -> RowOutputs:
    """A row's output files, read.

    The evaluation is left out when there is none, or when it is of another training than the checkpoint.
    """
    description = checkpoint.load_description(layout.checkpoint(name))
    row = params.Row.model_validate(description["row"])
    model = models.build(row, description["seed"])
    checkpoint.load_weights(model, layout.checkpoint(name))
    note, tags = about(study, name)
    with layout.curve(name).open(encoding="utf-8", newline="") as file:
        curve = [{key: float(value) for key, value in record.items()} for record in csv.DictReader(file)]
    return RowOutputs(
        description=description,
        note=note,
        tags=tags,
        model=model,
        # two images, or torch.export would fix the batch size at one
        example=torch.zeros(2, 1, row.input_size, row.input_size),
        checkpoint=layout.checkpoint(name),
        curve=curve,
        curve_file=layout.curve(name),
        evaluation=_evaluation(name, description["fingerprint"]),
    )


def _evaluation(name: str, fingerprint: str) -> Evaluation | None:
    files = [layout.metrics(name), layout.confusion(name), layout.picture(name)]
    if not all(path.exists() for path in files):
        return None
    metrics = json.loads(layout.metrics(name).read_text(encoding="utf-8"))
    if metrics["fingerprint"] != fingerprint:
        return None
    return Evaluation(dict(_named(metrics)), files)


def _named(metrics: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Numbers of metrics.json by their names in MLflow, whose part before the slash is the chart's section."""
    named: list[tuple[str, float]] = []
    for key, value in metrics.items():
        if isinstance(value, dict):
            named += _named(value, f"{key}/" if key == "mse_per_digit" else f"size/{key}_")
        elif isinstance(value, (int, float)) and key != "seed":
            group, _, rest = key.partition("_")
            groups = {"test": f"test/{rest}", "validation": f"validation/{rest}", "svm": f"probe/{key}"}
            named.append((f"{prefix}{key}" if prefix else groups.get(group, f"size/{key}"), float(value)))
    return named
