"""One MLflow run per row and seed: the parameters, the curve, the final metrics, the model and the pictures.

A run is found by its fingerprint. What it holds can always be logged again from the output files, and logging anything
twice leaves one run with each value once.
"""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import torch
from mlflow.entities import Run
from mlflow.models import infer_signature

from latentlab.models import Autoencoder
from latentlab.processes import process_tags
from latentlab.tracking import present, spool, store
from latentlab.tracking.artifacts import CHECKPOINT, lacks_files, settle_files
from latentlab.tracking.descriptions import run_name, run_params, run_tags
from latentlab.tracking.present import TrackingError
from latentlab.tracking.system import system_metrics
from latentlab.tracking.writer import RunWriter

# what the tag `trained` says of a run: the server has its files, or its values only
FILED, UNFILED = "true", "without its files"

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
    """A run whose training goes on, also where the server does not."""

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer

    def log_epoch(self, record: dict[str, float]) -> None:
        """Logs a record of `latentlab.training.fit`."""
        values = curve_metrics(record) | {f"speed/{name}": record[name] for name in ("epoch_seconds", "images_per_second")}
        self.writer.metrics(values, int(record["epoch"]))

    def log_trained(self, outputs: RowOutputs) -> None:
        """Adds what a finished training leaves: curve file, checkpoint and model."""
        try:
            if self.writer.is_waiting:
                self.writer.tags({"trained": UNFILED})
            else:
                _log_files(self.writer.run_id, outputs)
        except Exception:
            if not present.is_server():
                raise
            self.writer.tags({"trained": UNFILED})


@contextmanager
def training_run(experiment_id: str, description: dict[str, Any], note: str, tags: dict[str, str]) -> Iterator[LiveRun]:
    """A run for a training that starts now; FAILED or KILLED when the training does not end well.

    Args:
        experiment_id: Of `open_store`.
        description: What the checkpoint will say of itself.
        note: Markdown that the UI shows above the run.
        tags: On top of those made from the description.

    Raises:
        TrackingError: The store does not answer, and nobody has said that the work is to go on without it.
    """
    store.check_later(experiment_id)
    writer = RunWriter.begin(experiment_id, run_name(description), run_tags(description, note, tags, live=True))
    with _ending(writer), system_metrics(writer):
        _describe(writer, description)
        yield LiveRun(writer)


def log_row(experiment_id: str, outputs: RowOutputs) -> str:
    """Makes sure that the store holds one run with all of a row's outputs, unless the store is a server that is away.

    A run that is trained but not evaluated is added to; one that holds just these outputs is left alone; in any other case
    (the outputs came from a cache, the store is new, the evaluation has changed) the run is written anew from the outputs,
    and takes the place of the old one.

    Returns:
        What was done, for people.
    """
    try:
        return complete_row(present.answered(experiment_id), outputs)
    except TrackingError as error:
        print(f"{run_name(outputs.description)} is not logged: {error}; `latentlab sync` does it later", file=sys.stderr)
        return "waits for the server"


def complete_row(experiment_id: str, outputs: RowOutputs) -> str:
    """What `log_row` does, with a server that is there.

    Returns:
        What was done, for people.

    Raises:
        TrackingError: The server does not take it.
    """
    with store.errors_of_server(), present.one_at_a_time():
        return _complete_row(experiment_id, outputs)


def _complete_row(experiment_id: str, outputs: RowOutputs) -> str:
    spool.send()
    found = _runs_of(experiment_id, str(outputs.description["fingerprint"]))  # newest first
    runs = [run for run in found if "trained" in run.data.tags]
    newest = runs[0] if runs else None
    logged = newest.data.tags.get("evaluation") if newest else None
    wanted = outputs.evaluation.digest() if outputs.evaluation else None
    if newest is not None and newest.data.tags["trained"] == UNFILED:
        with _reopened(newest) as writer:
            _log_files(writer.run_id, outputs)
            _log_evaluation(writer, outputs.evaluation)
        kept, done = newest.info.run_id, "files added"
    elif newest is not None and newest.info.status == "FINISHED" and logged == wanted and not lacks_files(newest):
        kept, done = newest.info.run_id, "up to date"
    elif newest is not None and logged is None and "test/mse" not in newest.data.metrics and not lacks_files(newest):
        kept, done = newest.info.run_id, "evaluation added"
        with _reopened(newest) as writer:
            _log_evaluation(writer, outputs.evaluation)
    else:
        kept, done = _rebuild(experiment_id, outputs, newest), "logged from the output files"
    broken = [run for run in found if run.data.tags["replayed"] == "true" and run.info.status in ("FAILED", "KILLED")]
    for run in runs + broken:
        if run.info.run_id != kept:
            mlflow.MlflowClient().delete_run(run.info.run_id)
    return done


def curve_metrics(record: dict[str, float]) -> dict[str, float]:
    """The deterministic part of an epoch's record, by its names in MLflow."""
    live = ("epoch", "epoch_seconds", "images_per_second")
    return {f"curve/{name}": value for name, value in record.items() if name not in live}


def _runs_of(experiment_id: str, fingerprint: str) -> list[Run]:
    condition = f"tags.fingerprint = '{fingerprint}'"
    return list(mlflow.MlflowClient().search_runs([experiment_id], condition, order_by=["attributes.start_time DESC"]))


def _describe(writer: RunWriter, description: dict[str, Any]) -> None:
    writer.params(run_params(description))
    writer.trained_on(description["data_digest"])


@contextmanager
def _reopened(run: Run) -> Iterator[RunWriter]:
    mlflow.MlflowClient().update_run(run.info.run_id, status="RUNNING")
    writer = RunWriter.of(run.info.run_id, str(run.info.run_name), waits=False)
    with _ending(writer):
        writer.tags(process_tags())
        yield writer


@contextmanager
def _ending(writer: RunWriter) -> Iterator[None]:
    """Ends the run as what became of it."""
    try:
        yield
    except BaseException as error:
        with suppress(Exception):  # a store that fails now too must not hide the first error
            writer.tags({"failure": f"{type(error).__name__}: {error}"[:5000]})
            writer.end("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    writer.end("FINISHED")


def _rebuild(experiment_id: str, outputs: RowOutputs, old: Run | None) -> str:
    tags = run_tags(outputs.description, outputs.note, outputs.tags, live=False)
    writer = RunWriter.begin(experiment_id, run_name(outputs.description), tags, waits=False)
    with _ending(writer):
        _describe(writer, outputs.description)
        for record in outputs.curve:
            writer.metrics(curve_metrics(record), int(record["epoch"]))
        if old is not None:
            writer.values(_live_values(old))
        _log_files(writer.run_id, outputs)
        _log_evaluation(writer, outputs.evaluation)
    return writer.run_id


def _live_values(run: Run) -> list[tuple[str, float, int, int]]:
    client = mlflow.MlflowClient()
    histories = [
        client.get_metric_history(run.info.run_id, name) for name in run.data.metrics if name.startswith(_LIVE_GROUPS)
    ]
    return [(point.key, point.value, point.timestamp, point.step) for history in histories for point in history]


def _log_evaluation(writer: RunWriter, evaluation: Evaluation | None) -> None:
    if evaluation is None:
        return
    writer.metrics(evaluation.metrics, 0)
    for path in evaluation.files:
        writer.artifact(path)
    # last, so that a run which has this tag has everything
    writer.tags({"evaluation": evaluation.digest()})


def _log_files(run_id: str, outputs: RowOutputs) -> None:
    client = mlflow.MlflowClient()
    client.log_artifact(run_id, str(outputs.curve_file))
    client.log_artifact(run_id, str(outputs.checkpoint), CHECKPOINT)
    mlflow.start_run(run_id=run_id, log_system_metrics=False)  # MLflow logs a model to the active run and no other
    try:
        _log_model(outputs)
    finally:
        mlflow.end_run()
    settle_files(run_id)
    client.set_tag(run_id, "trained", FILED)


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
