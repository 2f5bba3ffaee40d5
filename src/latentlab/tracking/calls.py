"""The requests that write a run to MLflow. JSON can hold their arguments, so that one which fails can wait in a file."""

from collections.abc import Callable, Sequence
from typing import Any

import mlflow
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag

from latentlab.tracking.artifacts import settle_files

MNIST_HOMEPAGE = "http://yann.lecun.com/exdb/mnist/"


def create(experiment_id: str, run_name: str, tags: dict[str, str], start_time: int) -> str:
    """Makes a run; its id."""
    run = mlflow.MlflowClient().create_run(experiment_id, start_time=start_time, tags=tags, run_name=run_name)
    return str(run.info.run_id)


def _metrics(run_id: str, values: Sequence[Sequence[Any]]) -> None:
    for start in range(0, len(values), 1000):  # the most that one request may hold
        batch = [Metric(*value) for value in values[start : start + 1000]]
        mlflow.MlflowClient().log_batch(run_id, metrics=batch)


def _params(run_id: str, values: dict[str, Any]) -> None:
    mlflow.MlflowClient().log_batch(run_id, params=[Param(name, str(value)) for name, value in values.items()])


def _tags(run_id: str, values: dict[str, str]) -> None:
    mlflow.MlflowClient().log_batch(run_id, tags=[RunTag(name, str(value)) for name, value in values.items()])


def _trained_on(run_id: str, digest: str) -> None:
    dataset = MetaDataset(HTTPDatasetSource(MNIST_HOMEPAGE), name="MNIST", digest=digest)  # type: ignore[abstract]
    entity = DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", "training")])
    mlflow.MlflowClient().log_inputs(run_id, [entity])


def _artifact(run_id: str, path: str) -> None:
    mlflow.MlflowClient().log_artifact(run_id, path)


def _end(run_id: str, status: str, end_time: int) -> None:
    settle_files(run_id)
    mlflow.MlflowClient().set_terminated(run_id, status, end_time)


CALLS: dict[str, Callable[..., None]] = {
    "metrics": _metrics,
    "params": _params,
    "tags": _tags,
    "trained_on": _trained_on,
    "artifact": _artifact,
    "end": _end,
}
