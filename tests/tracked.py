"""A small trained run, as the stages leave it, and what a store holds of it."""

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import torch

from latentlab import models
from latentlab.models import checkpoint
from latentlab.params.variants import Variant
from latentlab.tracking import describe, runs

VARIANT = Variant.model_validate(
    {"source": "B", "training": "mlp", "family": "mlp", "downsampling": 1, "input_noise": None, "widths": [16]}
    | {"latent_dim": 2, "code_activation": "relu", "weight_init": "xavier_uniform", "bias_init": 0.01, "loss": "mse"}
)
TRAINING = {
    "epochs": 2,
    "batch_size": 256,
    "precision": "float32",
    "optimizer": {"name": "muon", "lr": 0.02, "momentum": 0.95, "newton_schulz_steps": 5, "block": 64, "adamw_lr": 0.003},
    "schedule": {"name": "cosine", "warmup_fraction": 0.15},
}
RECORDS = [
    {"epoch": 1.0, "train_loss": 0.3, "validation_loss": 0.25, "validation_mse": 0.05, "lr": 0.02}
    | {"epoch_seconds": 2.0, "images_per_second": 100.0},
    {"epoch": 2.0, "train_loss": 0.2, "validation_loss": 0.15, "validation_mse": 0.04, "lr": 0.01}
    | {"epoch_seconds": 2.0, "images_per_second": 110.0},
]
CURVE = [(1, 0.3), (2, 0.2)]


def outputs(folder: Path, test_mse: float | None, seed: int = 0, **measured: float) -> describe.RunOutputs:
    """What the stages have left in a folder; the evaluation is missing if its error is None."""
    model = models.build(VARIANT, (1, 28, 28), seed)
    description = {
        "name": "mlp_2",
        "dataset": "mnist",
        "recipe": "fast",
        "seed": seed,
        "variant": VARIANT.model_dump(),
        "training": TRAINING,
        "images": {"kind": "mnist", "shape": [1, 28, 28]},
        "split": {"seed": 0, "train": 55000, "validation": 5000, "test": 10000},
        "data_digest": "d" * 32,
        "code": "c" * 16,
        "device": "cpu",
        "precision": "float32",
        "num_threads": 1,
        "torch": torch.__version__,
        "fingerprint": f"mlp_2-{seed}",
    }
    folder.mkdir(exist_ok=True)
    checkpoint.save(model, description, folder / "model.safetensors")
    (folder / "curve.csv").write_text("epoch\n1\n2\n", encoding="utf-8")
    parts = {}
    for name, metric, value in (
        *([("metrics", "test/mse", test_mse)] if test_mse is not None else []),
        *((name, f"{name}/{name}", value) for name, value in measured.items()),
    ):
        parts[name] = describe.Measured({metric: value}, {folder / f"{name}.json": json.dumps({metric: value}).encode()})
    return describe.RunOutputs(
        description=description,
        note="what it is",
        tags={"comparisons": "bottleneck"},
        model=model,
        checkpoint=folder / "model.safetensors",
        curve=[{key: record[key] for key in record if "second" not in key} for record in RECORDS],
        curve_file=folder / "curve.csv",
        measured=parts,
    )


def train(experiment_id: str | None, trained: describe.RunOutputs, between: Callable[[], None] = lambda: None) -> None:
    """Logs a training; something happens after its first epoch."""
    with runs.training_run(experiment_id, trained.description, trained.note, trained.tags) as run:
        run.log_epoch(RECORDS[0])
        between()
        run.log_epoch(RECORDS[1])
        run.log_trained(trained)


def everything(experiment_id: str) -> list[mlflow.entities.Run]:
    return list(mlflow.MlflowClient().search_runs([experiment_id]))


def history(run_id: str, metric: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in mlflow.MlflowClient().get_metric_history(run_id, metric)]


def the_whole_run(experiment_id: str) -> mlflow.entities.Run:
    """The only run of the experiment, which has everything, and each value once."""
    (run,) = everything(experiment_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["trained"] == "true"
    assert history(run.info.run_id, "curve/train_loss") == CURVE
    assert run.data.params["latent_dim"] == "2"
    assert run.inputs.dataset_inputs[0].dataset.digest == "d" * 32
    names = {artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert names >= {"checkpoint", "curve.csv"}
    assert len(run.outputs.model_outputs) == 1
    return run
