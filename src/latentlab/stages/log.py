"""From a run's output files to its MLflow run; `latentlab sync` replays it where DVC took the files from its cache."""

import csv
import json
from typing import Any

import torch

from latentlab import checkpoint, models, params, plans
from latentlab.layout import Run
from latentlab.tracking.runs import Evaluation, RowOutputs


def about(study: params.Params, run: Run) -> tuple[str, dict[str, str]]:
    """What people read above a run, in Markdown, and the tags by which they group runs."""
    row, settings = plans.read(run)
    experiments = [key for key, experiment in study.experiments.items() if run.row in experiment.rows]
    numbers = "".join(f"\n| {key} | {value} |" for key, value in row.architecture.items())
    note = (
        f"### {run.row}\nA `{row.family}` of source {row.source} (`{study.sources[row.source]}`), trained with the recipe "
        f"`{run.recipe}` and seed {run.seed}: {settings.epochs} epochs of {settings.optimizer.name} in batches of "
        f"{settings.batch_size}.\n\n| number | value |\n|---|---|{numbers}\n\n"
    )
    if experiments:
        titles = "; ".join(study.experiments[key].title.lower() for key in experiments)
        note += f"Compared in: {titles}. Filter `tags.experiments LIKE '%{experiments[0]}%'` to see the others.\n\n"
    note += f"Again: `dvc repro --force train@{run}`."
    return note, {"experiments": " ".join(experiments)}


def outputs(study: params.Params, run: Run) -> RowOutputs:
    """A run's output files, read.

    What was measured is left out where there is nothing, or where it is of another training than the checkpoint.
    """
    description = checkpoint.load_description(run.checkpoint)
    row = params.Row.model_validate(description["row"])
    model = models.build(row, description["seed"])
    checkpoint.load_weights(model, run.checkpoint)
    note, tags = about(study, run)
    with run.curve.open(encoding="utf-8", newline="") as file:
        curve = [{key: float(value) for key, value in record.items()} for record in csv.DictReader(file)]
    return RowOutputs(
        description=description,
        note=note,
        tags=tags,
        model=model,
        # two images, or torch.export would fix the batch size at one
        example=torch.zeros(2, 1, row.input_size, row.input_size),
        checkpoint=run.checkpoint,
        curve=curve,
        curve_file=run.curve,
        evaluation=_evaluation(run, description["fingerprint"]),
    )


def _evaluation(run: Run, fingerprint: str) -> Evaluation | None:
    """What both stages measured, together; None until the second of them is done."""
    measured = [path for path in (run.metrics, run.probes) if path.exists()]
    if len(measured) < 2:
        return None
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in measured]
    if any(content["fingerprint"] != fingerprint for content in contents):
        return None
    metrics = {name: value for content in contents for name, value in named(content)}
    files = [*measured, run.confusion, run.embedding_picture, *sorted(run.pictures.glob("*.png"))]
    return Evaluation(metrics, [path for path in files if path.exists()])


def named(metrics: dict[str, Any]) -> list[tuple[str, float]]:
    """Numbers of metrics.json and probes.json by their names in MLflow, whose part before the slash is the chart's section.

    A list is logged number by number, a table (the centroid distances) not at all: it is in the file.
    """
    made: list[tuple[str, float]] = []
    for key, value in metrics.items():
        group, _, rest = key.partition("_")
        if isinstance(value, (dict, list)):
            section = "size" if key.startswith("num_") else key
            made += [
                (f"{section}/{key}_{inner}" if section == "size" else f"{section}/{inner}", number)
                for inner, number in _flat(value)
            ]
        elif isinstance(value, (int, float)) and key != "seed":
            if group in ("test", "validation"):
                made.append((f"{group}/{rest}", float(value)))
            else:
                made.append((f"{'probe' if key.endswith('_accuracy') else 'size'}/{key}", float(value)))
    return made


def _flat(value: dict[str, Any] | list[Any], prefix: str = "") -> list[tuple[str, float]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    flat: list[tuple[str, float]] = []
    for key, inner in items:
        if isinstance(inner, dict) or (isinstance(inner, list) and not isinstance(value, list)):
            flat += _flat(inner, f"{prefix}{key}.")
        elif isinstance(inner, (int, float)):
            flat.append((f"{prefix}{key}", float(inner)))
    return flat
