"""Stage `train@row-recipe-seed`: trains a row and writes its weights and its curve."""

import csv
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import latentlab
from latentlab import checkpoint, data, devices, layout, models, params, plans, stages, training
from latentlab.stages import log
from latentlab.tracking import store
from latentlab.tracking.runs import log_row, training_run

# with the plan, all that makes the numbers of a training
SOURCES = (
    "checkpoint.py",
    "data.py",
    "devices.py",
    "models/products.py",
    "optim.py",
    "steps.py",
    "training.py",
    "stages/train.py",
)


def main(name: str, recipe: str, seed: str) -> None:
    """Trains that row with that recipe and seed."""
    study = stages.read_params()
    run = layout.Run(name, recipe, int(seed))
    row, settings = plans.read(run)
    device = devices.resolve(study.device)
    precision = devices.precision(settings.precision, device)
    devices.make_deterministic()
    mnist = data.load(layout.DATA, study.split)
    description = describe(study, run, device, precision)
    model = models.build(row, run.seed).to(device)
    train, validation = (part.images.to(device) for part in (mnist.train, mnist.validation))
    pairs = [(data.degrade(images, row.input_size), images) for images in (train, validation)]
    if row.input_noise:
        pairs[1] = (noisy(pairs[1][0], row.input_noise, run.seed), validation)
    experiment_id = store.open_store(layout.project_root())
    note, tags = log.about(study, run)
    num_images = settings.epochs * len(mnist.train)
    records = []
    kept = checkpoint.EpochFile(layout.EPOCHS / f"{run}.pt", description["fingerprint"])
    with (
        training_run(experiment_id, description, note, tags) as live,
        tqdm(total=num_images, desc=str(run), unit=" images", unit_scale=True, mininterval=stages.refresh_seconds()) as bar,
    ):
        for record in training.fit(model, pairs[0], pairs[1], settings, row.input_noise, run.seed, precision, bar, kept):
            records.append(record)
            live.log_epoch(record)
            losses = f"train {record['train_loss']:.4g}, validation {record['validation_loss']:.4g}"
            bar.set_postfix_str(f"epoch {len(records)}/{settings.epochs}, loss {losses}")
        model.cpu()
        checkpoint.save(model, description, run.checkpoint)
        write_curve(records, run.curve)
        live.log_trained(log.outputs(study, run))
    # DVC skips the evaluation where the same model has been evaluated before, as in a fresh clone; the run is whole then
    log_row(experiment_id, log.outputs(study, run))
    kept.remove()


def noisy(images: torch.Tensor, input_noise: list[float], seed: int) -> torch.Tensor:
    """Validation images with the same noise in each epoch, its sigma spread evenly over the range of the training."""
    least, largest = input_noise
    sigma = torch.linspace(least, largest, len(images), device=images.device).reshape(-1, 1, 1, 1)
    return data.add_noise(images, sigma, torch.Generator(images.device).manual_seed(seed))


def describe(study: params.Params, run: layout.Run, device: torch.device, precision: torch.dtype) -> dict[str, Any]:
    """Everything that determines a training, and its fingerprint, a hash of all that."""
    row, settings = plans.read(run)
    package = Path(latentlab.__file__).parent
    code = hashlib.sha256(b"".join((package / source).read_bytes() for source in SOURCES))
    description = {
        "name": run.row,
        "row": row.model_dump(),
        "training": settings.model_dump(),
        "recipe": run.recipe,
        "seed": run.seed,
        "split": study.split.model_dump(),
        "device": device.type,
        "precision": str(precision).removeprefix("torch."),
        "num_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "data_digest": data.digest(layout.DATA),
        "plan": plans.digest(run),
        "code_digest": code.hexdigest()[:16],
    }
    fingerprint = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
    return description | {"fingerprint": fingerprint}


def write_curve(records: list[dict[str, float]], path: Path) -> None:
    """Writes what an epoch's record says about learning; how long it took differs every time and goes to MLflow only."""
    columns = [key for key in records[0] if key not in ("epoch_seconds", "images_per_second")]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for record in records:
            writer.writerow(record | {"epoch": int(record["epoch"])})


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
