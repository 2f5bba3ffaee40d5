"""The MLflow store: made once, mended after a move, cleared of runs that a killed process left behind."""

import os
import re
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import requests
from filelock import FileLock
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from requests import RequestException

from latentlab.faults import MachineError, explain
from latentlab.processes import is_gone
from latentlab.secrets import without_passwords
from latentlab.tracking import present, spool
from latentlab.tracking.present import TrackingError

DEFAULT_EXPERIMENT = "latentlab"
# below the project's folder: what a server has not taken
SPOOL = Path("mlruns/spool")
# Set where a command has asked the server before its first stage or trial: when it goes away after that, the work goes on.
GOES_ON = "LATENTLAB_TRACKING_GOES_ON"
# MLflow's own patience with a server that is not there is minutes, in which nothing is trained
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
# for all of an answer; the timeout above is for each piece of it
_ANSWER_SECONDS = 25.0
_IN_MEMORY = ("sqlite://", "sqlite:///", "sqlite:///:memory:")

# every column of MLflow's database that holds an absolute artifact location
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def check_server(uri: str) -> None:
    """Asks a store whether it is there.

    Args:
        uri: As MLFLOW_TRACKING_URI has it.

    Raises:
        TrackingError: It does not answer within seconds, or not as MLflow does.
    """
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    shown = without_passwords(uri, uri)
    if uri in _IN_MEMORY:
        raise TrackingError(f"MLflow at {shown} would be gone with the process: name a file, sqlite:////FOLDER/mlflow.db")
    trouble: list[Exception] = []

    def ask() -> None:
        try:
            found = mlflow.MlflowClient(uri).search_experiments(ViewType.ALL, max_results=1)
            if not found and _is_stranger(uri):
                trouble.append(ValueError("it answers, but not as MLflow does"))
        except Exception as error:  # whatever a server, a proxy before it or a driver may answer
            trouble.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_ANSWER_SECONDS)
    if asking.is_alive():
        trouble.append(TimeoutError(f"no whole answer within {_ANSWER_SECONDS:.0f} s"))
    if trouble:
        if uri.startswith("sqlite:") and (fault := explain(trouble[0], Path.cwd())):
            raise MachineError(fault)
        needs = [each for each in (trouble[0], trouble[0].__cause__) if isinstance(each, ModuleNotFoundError)]
        remedy = f"pip install a package with {needs[0].name}" if needs else "start it, or mend its address or password"
        raise TrackingError(
            f"MLflow at {shown} cannot be used: {present.reason(trouble[0])}; {remedy}, or unset MLFLOW_TRACKING_URI "
            "(latentlab repro --offline) to use the store in mlruns/"
        )


def _is_stranger(uri: str) -> bool:
    """Whether what shows no experiments is no MLflow at all, and not one that shows none to this user."""
    if urlsplit(uri).scheme not in ("http", "https"):
        return False
    answer = requests.get(f"{uri.rstrip('/')}/version", timeout=10)
    return answer.status_code == requests.codes.ok and not re.match(r"\d+\.\d+", answer.text)


@contextmanager
def errors_of_server() -> Iterator[None]:
    """Makes an error of a server a TrackingError; one of the store on this machine goes on as it is."""
    try:
        yield
    except (MlflowException, RequestException) as error:
        if not present.is_server():
            raise
        message = f"MLflow at {present.url()} does not answer as it should: {present.reason(error)}"
        raise TrackingError(message) from error


def check_later(experiment_id: str) -> None:
    """Stops a training before it starts, if the server does not answer and nobody has said that the work is to go on.

    Raises:
        TrackingError: That is so.
    """
    if GOES_ON not in os.environ:
        present.answered(experiment_id)


def open_store(root: Path, suffix: str = "", *, needed: bool = False) -> str:
    """Makes the store ready and selects the experiment; safe when several processes do so at once.

    The store is SQLite in `mlruns/mlflow.db` with the artifacts beside it, unless MLFLOW_TRACKING_URI names another. The
    experiment is "latentlab", unless MLFLOW_EXPERIMENT_NAME names another. What waits for the store is sent.

    Args:
        root: The project's folder.
        suffix: Put behind the name of the experiment.
        needed: Whether it is an error if a server does not answer.

    Returns:
        The id of the experiment; LATER if a server does not answer.

    Raises:
        TrackingError: The store is needed, and the server does not answer.
    """
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", DEFAULT_EXPERIMENT) + suffix
    folder = root.resolve() / "mlruns"
    embedded = f"sqlite:///{folder / 'mlflow.db'}"
    uri = os.environ.get("MLFLOW_TRACKING_URI") or embedded
    lock = folder / ".rows.lock"
    if uri != embedded:
        present.use(name, root.resolve() / SPOOL, lock)
        mlflow.set_tracking_uri(uri)
        try:
            check_server(uri)
            with errors_of_server():
                experiment_id = str(mlflow.set_experiment(name).experiment_id)
                sent = spool.send()
                _close_leftovers(experiment_id)
        except TrackingError as error:
            if needed:
                raise
            return present.away(error)
        if sent:
            print(f"MLflow: sent what waited of {', '.join(sent)}", file=sys.stderr)
        return experiment_id
    present.use(name, None, lock)
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
