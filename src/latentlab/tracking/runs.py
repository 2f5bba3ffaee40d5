"""One MLflow run per row and seed: the parameters, the curve, the final metrics, the model and the pictures.

A run is found by its fingerprint. What it holds can always be logged again from the output files, and logging anything
twice leaves one run with each value once.
"""

import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import torch
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Run
from mlflow.models import infer_signature

from latentlab.models import Autoencoder
from latentlab.processes import process_tags

MNIST_HOMEPAGE = "http://yann.lecun.com/exdb/mnist/"

# metrics that only the process which trained can know; a run that is rebuilt takes them from the one it replaces
_LIVE_GROUPS = ("speed/", "system/")


@dataclass(frozen=True)
class RowOutputs:
    """What the stages left of a row, ready to be logged.

    `description` is the checkpoint's own; `note` is Markdown; `tags` come on top of those made from the description.
    `evaluation` is None as long as the row is not evaluated.
    """

    description: dict[str, Any]
    note: str
    tags: dict[str, str]
    model: Autoencoder
    example: torch.Tensor
    checkpoint: Path
    curve: list[dict[str, float]]
    curve_file: Path
    evaluation: "Evaluation | None"


@dataclass(frozen=True)
class Evaluation:
    """The final metrics of a row, by their names in MLflow, and the files to show beside them."""

    metrics: dict[str, float]
    files: list[Path]

    def digest(self) -> str:
        """Changes with any byte of the files."""
        return hashlib.sha256(b"".join(path.read_bytes() for path in self.files)).hexdigest()[:16]


class LiveRun:
    """A run whose training goes on."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def log_epoch(self, record: dict[str, float]) -> None:
        """Logs a record of `latentlab.training.fit`."""
        step = int(record["epoch"])
        mlflow.log_metrics(curve_metrics(record), step=step)
        mlflow.log_metrics({f"speed/{name}": record[name] for name in ("epoch_seconds", "images_per_second")}, step=step)


@contextmanager
def training_run(experiment_id: str, description: dict[str, Any], note: str, tags: dict[str, str]) -> Iterator[LiveRun]:
    """A run for a training that starts now; FAILED or KILLED when the training does not end well.

    Args:
        experiment_id: Of `open_store`.
        description: What the checkpoint will say of itself.
        note: Markdown that the UI shows above the run.
        tags: On top of those made from the description.
    """
    mlflow.set_system_metrics_sampling_interval(2)
    with _run(experiment_id, description, note, tags, live=True) as run_id:
        yield LiveRun(run_id)


def log_trained(run_id: str, outputs: RowOutputs) -> None:
    """Adds what a finished training leaves: curve file, checkpoint and model."""
    mlflow.log_artifact(str(outputs.curve_file), run_id=run_id)
    mlflow.log_artifact(str(outputs.checkpoint), "checkpoint", run_id=run_id)
    _log_model(outputs)
    mlflow.set_tag("trained", "true")


def log_row(experiment_id: str, outputs: RowOutputs) -> str:
    """Makes sure that the store holds one run with all of a row's outputs.

    A run that is trained but not evaluated is added to; one that holds just these outputs is left alone; in any other case
    (the outputs came from a cache, the store is new, the evaluation has changed) the run is written anew from the outputs,
    and takes the place of the old one.

    Returns:
        What was done, for people.
    """
    runs = _trained_runs(experiment_id, str(outputs.description["fingerprint"]))  # newest first
    newest = runs[0] if runs else None
    logged = newest.data.tags.get("evaluation") if newest else None
    wanted = outputs.evaluation.digest() if outputs.evaluation else None
    if newest is not None and newest.info.status == "FINISHED" and logged == wanted:
        kept, done = newest.info.run_id, "up to date"
    elif newest is not None and logged is None and "test/mse" not in newest.data.metrics:
        kept, done = newest.info.run_id, "evaluation added"
        with _reopened(kept):
            _log_evaluation(kept, outputs.evaluation)
    else:
        kept, done = _rebuild(experiment_id, outputs, newest), "logged from the output files"
    for run in runs:
        if run.info.run_id != kept:
            mlflow.MlflowClient().delete_run(run.info.run_id)
    return done


def curve_metrics(record: dict[str, float]) -> dict[str, float]:
    """The deterministic part of an epoch's record, by its names in MLflow."""
    live = ("epoch", "epoch_seconds", "images_per_second")
    return {f"curve/{name}": value for name, value in record.items() if name not in live}


def _trained_runs(experiment_id: str, fingerprint: str) -> list[Run]:
    condition = f"tags.fingerprint = '{fingerprint}' AND tags.trained = 'true'"
    return list(mlflow.MlflowClient().search_runs([experiment_id], condition, order_by=["attributes.start_time DESC"]))


@contextmanager
def _run(experiment_id: str, description: dict[str, Any], note: str, tags: dict[str, str], live: bool) -> Iterator[str]:
    row = description["row"]
    all_tags = {
        "row": description["name"],
        "source": row["source"],
        "family": row["family"],
        "recipe": description["recipe"],
        "seed": str(description["seed"]),
        "device": description["device"],
        "data.digest": description["data_digest"],
        "fingerprint": description["fingerprint"],
        "mlflow.note.content": note,
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "replayed": str(not live).lower(),
    }
    run = mlflow.start_run(
        experiment_id=experiment_id,
        run_name=f"{description['name']}-{description['recipe']}-{description['seed']}",
        tags=all_tags | _git_tags() | process_tags() | tags,
        log_system_metrics=live,
    )
    with _ending(run.info.run_id):
        mlflow.log_params(_flat_params(description))
        dataset = MetaDataset(  # type: ignore[abstract]
            HTTPDatasetSource(MNIST_HOMEPAGE), name="MNIST", digest=description["data_digest"]
        )
        mlflow.log_input(dataset, context="training")
        yield run.info.run_id


@contextmanager
def _reopened(run_id: str) -> Iterator[None]:
    mlflow.start_run(run_id=run_id, log_system_metrics=False)
    with _ending(run_id):
        mlflow.set_tags(process_tags())
        yield


@contextmanager
def _ending(run_id: str) -> Iterator[None]:
    """Ends the active run as what became of it. MLflow's own `with` calls an interrupted run FAILED too."""
    try:
        yield
    except BaseException as error:
        mlflow.MlflowClient().set_tag(run_id, "failure", f"{type(error).__name__}: {error}"[:5000])
        mlflow.end_run("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    mlflow.end_run("FINISHED")


def _rebuild(experiment_id: str, outputs: RowOutputs, old: Run | None) -> str:
    with _run(experiment_id, outputs.description, outputs.note, outputs.tags, live=False) as run_id:
        metrics = [
            Metric(name, value, _start_time(), int(record["epoch"]))
            for record in outputs.curve
            for name, value in curve_metrics(record).items()
        ]
        if old is not None:
            metrics += _live_metrics(old)
        _log_batches(run_id, metrics)
        log_trained(run_id, outputs)
        _log_evaluation(run_id, outputs.evaluation)
    return run_id


def _start_time() -> int:
    """Start of the active run in milliseconds, the time stamp of values that are logged after the fact."""
    run = mlflow.active_run()
    return int(run.info.start_time) if run else 0


def _live_metrics(run: Run) -> Iterable[Metric]:
    client = mlflow.MlflowClient()
    for name in run.data.metrics:
        if name.startswith(_LIVE_GROUPS):
            yield from client.get_metric_history(run.info.run_id, name)


def _log_batches(run_id: str, metrics: list[Metric]) -> None:
    for start in range(0, len(metrics), 1000):  # the most that one request may hold
        mlflow.MlflowClient().log_batch(run_id, metrics[start : start + 1000])


def _log_evaluation(run_id: str, evaluation: Evaluation | None) -> None:
    if evaluation is None:
        return
    _log_batches(run_id, [Metric(name, value, _start_time(), 0) for name, value in evaluation.metrics.items()])
    for path in evaluation.files:
        mlflow.log_artifact(str(path), run_id=run_id)
    # last, so that a run which has this tag has everything
    mlflow.set_tag("evaluation", evaluation.digest())


def _log_model(outputs: RowOutputs) -> None:
    """The model as a torch.export program, which loads without our classes."""
    # torch.export warns of weights whose memory is not contiguous
    model = outputs.model.eval().to(memory_format=torch.contiguous_format)
    with torch.inference_mode():
        signature = infer_signature(outputs.example.numpy(), model(outputs.example).numpy())
    mlflow.pytorch.log_model(
        model,
        name="model",
        signature=signature,
        input_example=outputs.example.numpy(),
        pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
        serialization_format="pt2",
    )


def _flat_params(description: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {key: value for key, value in description["row"].items() if key not in ("source", "training")}
    flat |= {name: description[name] for name in ("recipe", "seed", "num_threads", "torch")}
    flat |= {f"split.{name}": value for name, value in description["split"].items()}
    for name, value in description["training"].items():
        if isinstance(value, dict):  # optimizer, schedule
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _git_tags() -> dict[str, str]:
    """Commit of the working tree, and whether the sources of the study differ from it; empty outside of git."""

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10)
        return result.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "src", "params.yaml", "dvc.yaml", "requirements.lock")
        return {"git.commit": git("rev-parse", "HEAD"), "git.dirty": str(bool(changed)).lower()}
    except (OSError, subprocess.SubprocessError):
        return {}
