"""Stage `train@run`: trains a variant, and writes its weights and its curve."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from latentlab import paths, stages
from latentlab.comparison.tables import write_csv
from latentlab.data import images
from latentlab.models import checkpoint
from latentlab.params.project import load
from latentlab.params.recipes import Training
from latentlab.params.variants import Variant
from latentlab.tracking import describe, runs, store
from latentlab.training import devices, plan
from latentlab.training import run as training


def main(*names: str) -> None:
    """Trains the run of that variant, data set, recipe and seed."""
    run = paths.Run.of(*names)
    project, planned = load(), plan.read(run.plan("train"))
    plan.check(planned, plan.of_training(project, run.variant, run.dataset, run.recipe))  # type: ignore[arg-type]
    variant, settings = Variant.model_validate(planned["variant"]), Training.model_validate(planned["training"])
    device = devices.resolve(project.device)
    data = images.load(paths.data(run.dataset), project.datasets[run.dataset].split)
    precision = devices.precision(settings.precision, device)
    description = describe_training(run, planned, device, precision)
    kept = checkpoint.EpochFile(run.epochs, description["fingerprint"])
    experiment_id = store.open_store(paths.project_root())
    num_passes = project.datasets[run.dataset].num_passes(len(data.train))
    total, records = settings.epochs * num_passes * len(data.train), []
    with (
        runs.training_run(experiment_id, description, *describe.about(project, run, variant, settings)) as live,
        tqdm(total=total, desc=str(run), unit=" images", unit_scale=True, mininterval=stages.refresh_seconds()) as bar,
    ):
        model, epochs = training.begin(variant, settings, data, run.seed, device, bar, kept, num_passes)
        for record in epochs:
            records.append(record)
            live.log_epoch(record)
            losses = f"train {record['train_loss']:.4g}, validation {record['validation_loss']:.4g}"
            bar.set_postfix_str(f"epoch {len(records)}/{settings.epochs}, loss {losses}")
        checkpoint.save(model.cpu(), description, run.checkpoint)
        write_curve(records, run.curve)
        live.log_trained(describe.outputs(project, run))
    # DVC skips a measurement that it has made of the same model, as in a fresh clone with its cache; the run is whole then
    runs.log_run(experiment_id, describe.outputs(project, run))
    kept.remove()


def describe_training(run: paths.Run, planned: plan.Plan, device: torch.device, precision: torch.dtype) -> dict[str, Any]:
    """Everything that determines a training, and its fingerprint, a hash of all that."""
    description = {
        "name": run.variant,
        "dataset": run.dataset,
        "recipe": run.recipe,
        "seed": run.seed,
        **planned,
        "device": device.type,
        "precision": str(precision).removeprefix("torch."),
        **plan.about_process(),
    }
    fingerprint = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
    return description | {"fingerprint": fingerprint}


def write_curve(records: list[dict[str, float]], path: Path) -> None:
    """Writes what an epoch's record says about learning; how long it took differs every time and goes to MLflow only."""
    write_csv(pd.DataFrame(records).drop(columns=["epoch_seconds", "images_per_second"]).astype({"epoch": int}), path)


if __name__ == "__main__":
    stages.start(main)
