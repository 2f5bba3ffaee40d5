"""Stage `train@row`: trains a row and writes its weights and its curve."""

import csv
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import latentlab
from latentlab import checkpoint, data, devices, layout, models, params, stages, training
from latentlab.stages import log
from latentlab.tracking import store
from latentlab.tracking.runs import log_row, log_trained, training_run


def main(name: str) -> None:
    """Trains the row of that name."""
    study = stages.read_params()
    row, settings = study.row(name), study.training_of(name)
    device = devices.resolve(study.device)
    devices.make_deterministic()
    mnist = data.load(layout.DATA, study.split)
    description = describe(study, name, device)
    model = models.build(row, study.seed).to(device)
    train, validation = (part.images.to(device) for part in (mnist.train, mnist.validation))
    pairs = [(data.degrade(images, row.input_size), images) for images in (train, validation)]
    experiment_id = store.open_store(layout.project_root())
    note, tags = log.about(study, name)
    num_images = settings.epochs * len(mnist.train)
    records = []
    with (
        training_run(experiment_id, description, note, tags) as run,
        tqdm(total=num_images, desc=name, unit=" images", unit_scale=True, mininterval=stages.refresh_seconds()) as bar,
    ):
        for record in training.fit(model, pairs[0], pairs[1], settings, study.seed, bar):
            records.append(record)
            run.log_epoch(record)
            losses = f"train {record['train_loss']:.4g}, validation {record['validation_loss']:.4g}"
            bar.set_postfix_str(f"epoch {len(records)}/{settings.epochs}, loss {losses}")
        model.cpu()
        checkpoint.save(model, description, layout.checkpoint(name))
        write_curve(records, layout.curve(name))
        log_trained(run.run_id, log.outputs(study, name))
    # DVC skips the evaluation where the same model has been evaluated before, as in a fresh clone; the run is whole then
    log_row(experiment_id, log.outputs(study, name))


def describe(study: params.Params, name: str, device: torch.device) -> dict[str, Any]:
    """Everything that determines a training, and its fingerprint, a hash of all that."""
    row = study.row(name)
    package = Path(latentlab.__file__).parent
    sources = (
        "checkpoint.py",
        "data.py",
        "devices.py",
        "optim.py",
        "training.py",
        "models/base.py",
        f"models/{row.family}.py",
        "stages/train.py",
    )
    code = hashlib.sha256(b"".join((package / source).read_bytes() for source in sources))
    description = {
        "name": name,
        "row": row.model_dump(),
        "training": study.training_of(name).model_dump(),
        "recipe": study.recipe,
        "seed": study.seed,
        "split": study.split.model_dump(),
        "device": device.type,
        "num_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "data_digest": data.digest(layout.DATA),
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
