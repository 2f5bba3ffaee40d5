"""The MLflow store: made once, mended after a move, cleared of runs that a killed process left behind."""

import os
import sqlite3
import sys
from pathlib import Path

import mlflow
from filelock import FileLock
from mlflow.entities import ViewType

from latentlab.processes import is_gone

DEFAULT_EXPERIMENT = "latentlab"

# every column of MLflow's database that holds an absolute artifact location
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def open_store(root: Path, suffix: str = "") -> str:
    """Makes the store ready and selects the experiment; safe when several processes do so at once.

    The store is SQLite in `mlruns/mlflow.db` with the artifacts beside it, unless MLFLOW_TRACKING_URI names another. The
    experiment is "latentlab", unless MLFLOW_EXPERIMENT_NAME names another.

    Args:
        root: The project's folder.
        suffix: Put behind the name of the experiment.

    Returns:
        The id of the experiment.
    """
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", DEFAULT_EXPERIMENT) + suffix
    folder = root.resolve() / "mlruns"
    embedded = f"sqlite:///{folder / 'mlflow.db'}"
    if os.environ.get("MLFLOW_TRACKING_URI", embedded) != embedded:
        experiment_id = str(mlflow.set_experiment(name).experiment_id)
    else:
        folder.mkdir(exist_ok=True)
        # two processes that create and migrate one database at the same time can break it for good
        with FileLock(folder / ".lock"):
            mlflow.set_tracking_uri(embedded)
            client = mlflow.MlflowClient()
            artifacts = (folder / "artifacts").as_uri()
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                experiment_id = client.create_experiment(name, artifact_location=artifacts)
            else:
                experiment_id = experiment.experiment_id
                if experiment.artifact_location != artifacts:
                    _mend(folder, old=experiment.artifact_location, new=artifacts)
        mlflow.set_experiment(experiment_id=experiment_id)
    _close_leftovers(experiment_id)
    return experiment_id


def _mend(folder: Path, old: str, new: str) -> None:
    """Rewrites the artifact locations after the project's folder was moved or copied: MLflow keeps absolute ones."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        for table, column in _LOCATIONS:
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old), old),
            )
    database.close()
    print(
        f"MLflow: the project's folder was moved; the artifact locations in {folder} were mended",
        file=sys.stderr,
    )


def _close_leftovers(experiment_id: str) -> None:
    """Marks runs as KILLED that are RUNNING although their process on this machine is gone."""
    client = mlflow.MlflowClient()
    running = client.search_runs([experiment_id], "attributes.status = 'RUNNING'", ViewType.ACTIVE_ONLY)
    for run in running:
        tags = run.data.tags
        if is_gone(tags):
            client.set_terminated(run.info.run_id, "KILLED")
            print(
                f"MLflow: the run {run.info.run_name} was left behind by a killed process: KILLED",
                file=sys.stderr,
            )
