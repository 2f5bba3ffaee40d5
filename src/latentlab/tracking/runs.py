"""One MLflow run per training: parameters, curve, measured numbers, model and pictures.

A training logs live while the store answers. What a run holds can always be logged again from its output files: a run that
is not whole is written anew from them, and takes the place of the old one. A run is found by its fingerprint.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import torch
from mlflow.entities import Dataset, DatasetInput, InputTag, LifecycleStage, Metric, Param, Run, RunTag
from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking.context.registry import resolve_tags

from latentlab.data.images import degrade
from latentlab.tracking import store
from latentlab.tracking.artifacts import CHECKPOINT, lacks_files, settle_files
from latentlab.tracking.describe import Measured, RunOutputs, run_name, run_params, run_tags
from latentlab.tracking.processes import is_gone, is_here, process_tags

FROM_FILES = "`latentlab sync` logs it from its files"
SYSTEM_SECONDS = 2.0
# metrics that only the process which trained can know; a run that is rebuilt takes them from the one it replaces
_LIVE_GROUPS = ("speed/", "system/")


class LiveRun:
    """The run of a training that goes on, also where the server does not.

    Args:
        name: Of the run.
        run_id: None if MLflow takes nothing of it.
        kept: What people are told of what MLflow does not take.
    """

    def __init__(self, name: str, run_id: str | None, kept: str = FROM_FILES) -> None:
        self.name, self.run_id, self.kept = name, run_id, kept

    def leave(self, error: Exception) -> None:
        """Says once that the run is not taken: by a server, or as somebody has deleted it.

        Any other error of the store on this machine goes on.
        """
        if not store.is_server() and not _is_deleted(self.run_id):
            raise error
        self.run_id = None
        print(
            f"MLflow at {store.url()} does not take the run {self.name} ({store.reason(error)}): "
            f"the work goes on; {self.kept}",
            file=sys.stderr,
        )

    def write(self, call: Callable[..., None], *arguments: Any) -> None:
        """Calls a function with the run's id and the arguments; the first failure of a server is said, and is the last."""
        if self.run_id is None:
            return
        try:
            call(self.run_id, *arguments)
        except Exception as error:
            self.leave(error)

    def log_epoch(self, record: dict[str, float]) -> None:
        """Logs a record of `latentlab.training.loop.fit`."""
        speeds = {f"speed/{name}": record[name] for name in ("epoch_seconds", "images_per_second")}
        self.write(log_metrics, curve_metrics(record) | speeds, int(record["epoch"]))

    def log_trained(self, outputs: RunOutputs) -> None:
        """Adds what a finished training leaves: curve file, checkpoint and model."""
        self.write(_log_files, outputs)

    def log_end(self, state: str, values: dict[str, float]) -> None:
        """Logs how a trial of the study ended, and its objectives as they were then."""
        self.write(tag, {"state": state})
        self.write(log_metrics, {f"objective/{name}": value for name, value in values.items()}, 0)


@contextmanager
def training_run(
    experiment_id: str | None, description: dict[str, Any], note: str, tags: dict[str, str], kept: str = FROM_FILES
) -> Iterator[LiveRun]:
    """A run for a training that starts now; FAILED or KILLED when the training does not end well.

    Args:
        experiment_id: Of `latentlab.tracking.store.open_store`; None if the server does not answer.
        description: What the checkpoint will say of itself.
        note: Markdown that the UI shows above the run.
        tags: On top of those made from the description.
        kept: As for `LiveRun`.
    """
    live = LiveRun(run_name(description), None, kept)
    if experiment_id is not None:
        try:
            live.run_id = _begin(experiment_id, description, run_tags(description, note, tags, live=True))
        except Exception as error:
            live.leave(error)
    try:
        with _system_metrics(live.run_id):
            yield live
    except BaseException as error:
        if live.run_id is not None:
            _fail(live.run_id, error)
        raise
    live.write(_finish)


@contextmanager
def _system_metrics(run_id: str | None) -> Iterator[None]:
    """MLflow's own system metrics, where its variable asks for them, until the store does not take them."""
    if run_id is None or not MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get():
        yield
        return
    # it complains of a server that is away, which is said already, with the URL and the password that may be in it
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    monitor = SystemMetricsMonitor(run_id, sampling_interval=SYSTEM_SECONDS)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


def log_run(experiment_id: str | None, outputs: RunOutputs) -> str:
    """What `complete_run` does, where a server that is away is no error; None for the experiment is such a server."""
    try:
        if experiment_id is not None:
            return complete_run(experiment_id, outputs)
    except store.TrackingError as error:
        print(f"{run_name(outputs.description)} is not logged: {error}; `latentlab sync` does it later", file=sys.stderr)
    return "not logged"


def complete_run(experiment_id: str, outputs: RunOutputs) -> str:
    """Makes sure that the store holds one finished run with all outputs.

    A whole run is left alone, and added to where something has been measured since. In any other case (the outputs came
    from a cache, the store is new or did not take all, a number has changed) it is written anew from the outputs, and takes
    the place of the old one.

    Returns:
        What was done, for people.

    Raises:
        TrackingError: The server does not take it.
    """
    with store.errors_of_server(), store.one_at_a_time():
        client = mlflow.MlflowClient()
        condition = f"tags.fingerprint = '{outputs.description['fingerprint']}'"
        newest_first = client.search_runs([experiment_id], condition, order_by=["attributes.start_time DESC"])
        found = [run for run in newest_first if not _is_under_way(run)]
        whole = next((run for run in found if _is_whole(run)), None)
        wanted = {name: part.digest() for name, part in outputs.measured.items()}
        logged = _logged(whole) if whole else {}
        # what is logged and not here was measured elsewhere, and stays
        if whole and wanted.items() <= logged.items():
            kept, done = whole.info.run_id, "up to date"
        elif whole and _can_be_added(outputs.measured, logged, whole):
            kept, done = whole.info.run_id, "evaluation added"
            client.update_run(kept, status="RUNNING")
            with _writing(kept, whole.info.end_time):
                tag(kept, process_tags())
                _log_measured(kept, outputs.measured, logged)
        else:
            kept, done = _rebuild(experiment_id, outputs, found), "logged from the output files"
        for run in found:
            if run.info.run_id != kept and _is_replaced(run) and not _is_registered(run):
                client.delete_run(run.info.run_id)
    return done


def log_metrics(run_id: str, values: dict[str, float], step: int) -> None:
    """Logs values at a step, with the time of now."""
    now = time.time_ns() // 1_000_000
    mlflow.MlflowClient().log_batch(run_id, metrics=[Metric(name, value, now, step) for name, value in values.items()])


def tag(run_id: str, tags: dict[str, str]) -> None:
    """Sets tags of a run."""
    mlflow.MlflowClient().log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def curve_metrics(record: dict[str, float]) -> dict[str, float]:
    """The deterministic part of an epoch's record, by its names in MLflow."""
    live = ("epoch", "epoch_seconds", "images_per_second")
    return {f"curve/{name}": value for name, value in record.items() if name not in live}


def _is_under_way(run: Run) -> bool:
    """Whether somebody may still write the run.

    To a server nobody of this machine does: the project has the checkpoint, so the training has ended and could not say so.
    """
    tags = run.data.tags
    return run.info.status == "RUNNING" and not (is_here(tags) if store.is_server() else is_gone(tags))


def _is_whole(run: Run) -> bool:
    return run.info.status == "FINISHED" and run.data.tags.get("trained") == "true" and not lacks_files(run)


def _logged(run: Run) -> dict[str, str]:
    """Digest of each part that the run says it has; none if somebody has changed that tag to something else."""
    try:
        return dict(json.loads(run.data.tags.get("evaluation", "{}")))
    except (TypeError, ValueError):
        return {}


def _can_be_added(measured: dict[str, Measured], logged: dict[str, str], run: Run) -> bool:
    """Whether a whole run has no other numbers of what is measured, and no numbers at all of what it does not name."""
    same = all(part.digest() == logged[name] for name, part in measured.items() if name in logged)
    return same and all(
        part.metrics.keys().isdisjoint(run.data.metrics) for name, part in measured.items() if name not in logged
    )


def _is_registered(run: Run) -> bool:
    """Whether a version in the registry is of the run: `mlflow gc` would take the files of a deleted one."""
    return bool(mlflow.MlflowClient().search_model_versions(f"run_id = '{run.info.run_id}'"))


def _is_deleted(run_id: str | None) -> bool:
    """Whether somebody has deleted a run in the store on this machine."""
    try:
        return run_id is not None and mlflow.MlflowClient().get_run(run_id).info.lifecycle_stage == LifecycleStage.DELETED
    except MlflowException as error:
        return bool(error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST))


def _is_replaced(run: Run) -> bool:
    """Whether a whole run of the same training has all of this one: it ended well, or was only not logged to its end."""
    tags = run.data.tags
    broken_off = store.is_server() and "failure" not in tags
    return "trained" in tags or broken_off or (tags.get("replayed") == "true" and run.info.status in ("FAILED", "KILLED"))


def _rebuild(experiment_id: str, outputs: RunOutputs, old: list[Run]) -> str:
    tags = run_tags(outputs.description, outputs.note, outputs.tags, live=False)
    trained = next((run.info for run in old if run.info.status == "FINISHED"), None)
    started = ended = time.time_ns() // 1_000_000
    if trained:
        started, ended = trained.start_time + 1, trained.end_time  # newer than the one whose place it takes
    run_id = _begin(experiment_id, outputs.description, tags, started)
    with _writing(run_id, ended):
        for record in outputs.curve:
            log_metrics(run_id, curve_metrics(record), int(record["epoch"]))
        mlflow.MlflowClient().log_batch(run_id, metrics=_live_values(old))
        _log_files(run_id, outputs)
        _log_measured(run_id, outputs.measured, {})
    return run_id


def _live_values(runs: list[Run]) -> list[Metric]:
    """Of the newest run that has some."""
    client = mlflow.MlflowClient()
    for run in runs:
        if names := [name for name in run.data.metrics if name.startswith(_LIVE_GROUPS)]:
            return [value for name in names for value in client.get_metric_history(run.info.run_id, name)]
    return []


def _begin(experiment_id: str, description: dict[str, Any], tags: dict[str, str], started: int | None = None) -> str:
    """Makes a run that is described; its id. The time is in milliseconds since 1970, that of now if None."""
    client = mlflow.MlflowClient()
    run = client.create_run(experiment_id, started, resolve_tags(tags), run_name(description))
    run_id = str(run.info.run_id)
    client.log_batch(run_id, params=[Param(name, str(value)) for name, value in run_params(description).items()])
    split = json.dumps({"split": description["split"]})
    dataset = Dataset(description["dataset"], description["data_digest"], source_type="latentlab", source=split)
    with store.one_at_a_time("inputs"):  # MLflow fails where two log the first run of a data set at the same moment
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    return run_id


@contextmanager
def _writing(run_id: str, ended: int) -> Iterator[None]:
    """Ends the run as what became of it; if well, with the end of its training, so that its duration is the training's."""
    try:
        yield
    except BaseException as error:
        _fail(run_id, error)
        raise
    _finish(run_id, ended)


def _fail(run_id: str, error: BaseException) -> None:
    with suppress(Exception):  # a store that fails now too must not hide the first error
        tag(run_id, {"failure": f"{type(error).__name__}: {error}"[:5000]})
        mlflow.MlflowClient().set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")


def _finish(run_id: str, ended: int | None = None) -> None:
    settle_files(run_id)
    mlflow.MlflowClient().set_terminated(run_id, "FINISHED", ended)


def _log_measured(run_id: str, measured: dict[str, Measured], logged: dict[str, str]) -> None:
    """Adds what is not logged yet."""
    client = mlflow.MlflowClient()
    with TemporaryDirectory() as folder:
        for name, part in measured.items():
            if name not in logged:
                log_metrics(run_id, part.metrics, 0)
                for path, content in part.files.items():
                    copy = Path(folder) / path.name
                    copy.write_bytes(content)
                    client.log_artifact(run_id, str(copy), path.parent.name if path.suffix == ".png" else None)
    tag(run_id, {"evaluation": json.dumps(logged | {name: part.digest() for name, part in measured.items()})})


def _log_files(run_id: str, outputs: RunOutputs) -> None:
    client = mlflow.MlflowClient()
    client.log_artifact(run_id, str(outputs.curve_file))
    client.log_artifact(run_id, str(outputs.checkpoint), CHECKPOINT)
    _log_model(run_id, outputs)
    settle_files(run_id)
    tag(run_id, {"trained": "true"})


def _log_model(run_id: str, outputs: RunOutputs) -> None:
    """Adds the model as a torch.export program, which loads without our classes."""
    # torch.export warns of weights whose memory is not contiguous
    model = outputs.model.eval().to(memory_format=torch.contiguous_format)
    shape, downsampling = outputs.description["images"]["shape"], outputs.description["variant"]["downsampling"]
    example = degrade(torch.zeros(2, *shape), downsampling)  # two, or torch.export would fix the batch size at one
    with torch.inference_mode():
        signature = infer_signature(example.numpy(), model(example).numpy())
    Model.log(  # as mlflow.pytorch.log_model, which knows no run but the active one
        artifact_path=None,
        flavor=mlflow.pytorch,
        run_id=run_id,
        name="model",
        pytorch_model=model,
        signature=signature,
        input_example=example.numpy(),
        pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
        serialization_format="pt2",
    )
