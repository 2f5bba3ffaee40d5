"""The MLflow store: made once, mended after a move, cleared of runs that a killed process left behind."""

import os
import sqlite3
import sys
from pathlib import Path

import mlflow
from filelock import FileLock
from mlflow.entities import ViewType

from latentlab.errors import UserError
from latentlab.processes import is_gone
from latentlab.secrets import without_passwords

# what a server that is there needs at most, to say so
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
DEFAULT_EXPERIMENT = "latentlab"

# every column of MLflow's database that holds an absolute artifact location
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


class TrackingError(UserError):
    """The store that MLFLOW_TRACKING_URI names cannot be used; the message does not hold its password."""


def check_server(uri: str) -> None:
    """Asks a store whether it is there; MLflow's own patience with one that is not is minutes.

    Args:
        uri: As MLFLOW_TRACKING_URI has it.

    Raises:
        TrackingError: It does not answer within seconds, or not as MLflow does.
    """
    before = {name: os.environ.get(name) for name in _PATIENCE}
    os.environ.update(_PATIENCE)
    try:
        mlflow.MlflowClient(uri).search_experiments(max_results=1)
    except Exception as error:  # whatever a server, a proxy before it or a driver may answer
        reason = without_passwords(str(error).split("\n")[0]).rpartition("Caused by ")[2].rstrip(")")
        raise TrackingError(
            f"MLflow at {without_passwords(uri)} cannot be used: {reason[:300]}; start it, or unset MLFLOW_TRACKING_URI to "
            "use the store in mlruns/"
        ) from None
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def open_store(root: Path, suffix: str = "") -> str:
    """Makes the store ready and selects the experiment; safe when several processes do so at once.

    The store is SQLite in `mlruns/mlflow.db` with the artifacts beside it, unless MLFLOW_TRACKING_URI names another. The
    experiment is "latentlab", unless MLFLOW_EXPERIMENT_NAME names another.

    Args:
        root: The project's folder.
        suffix: Put behind the name of the experiment.

    Returns:
        The id of the experiment.

    Raises:
        TrackingError: The store that MLFLOW_TRACKING_URI names cannot be used.
    """
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", DEFAULT_EXPERIMENT) + suffix
    folder = root.resolve() / "mlruns"
    embedded = f"sqlite:///{folder / 'mlflow.db'}"
    uri = os.environ.get("MLFLOW_TRACKING_URI", embedded)
    if uri != embedded:
        check_server(uri)
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
