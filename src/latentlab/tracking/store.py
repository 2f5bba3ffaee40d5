"""The MLflow store: made once, mended after a move, cleared of runs that a killed process left behind."""

import os
import re
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal, overload
from urllib.parse import urlsplit

import mlflow
import requests
from filelock import FileLock
from mlflow.entities import LifecycleStage, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from requests import RequestException

from latentlab import paths
from latentlab.environment import LOGGED_LATER
from latentlab.errors import MachineError, UserError, explain, without_passwords
from latentlab.tracking import view
from latentlab.tracking.processes import is_gone

DEFAULT_EXPERIMENT = "latentlab"
# below the project's folder
FOLDER = Path("mlruns")
# below that
ARTIFACTS = "artifacts"
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


class TrackingError(UserError):
    """The store cannot be used; the message does not hold its password."""


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
            f"MLflow at {shown} cannot be used: {reason(trouble[0])}; {remedy}, or unset MLFLOW_TRACKING_URI "
            "(latentlab repro --offline) to use the store in mlruns/"
        )


def _is_stranger(uri: str) -> bool:
    """Whether what shows no experiments is no MLflow at all, and not one that shows none to this user."""
    if urlsplit(uri).scheme not in ("http", "https"):
        return False
    answer = requests.get(f"{uri.rstrip('/')}/version", timeout=10)
    return answer.status_code == requests.codes.ok and not re.match(r"\d+\.\d+", answer.text)


def is_server() -> bool:
    """Whether the present store is a server, which may go away; SQLite on this machine is none."""
    return urlsplit(mlflow.get_tracking_uri()).scheme != "sqlite"


def url() -> str:
    """The URL of the present store, without its password."""
    uri = mlflow.get_tracking_uri()
    return without_passwords(uri, uri)


def reason(error: Exception) -> str:
    """What went wrong between us and a store, in a line without passwords."""
    text = without_passwords(str(error), os.environ.get("MLFLOW_TRACKING_URI", ""))
    text = next(iter(text.splitlines()), "") or type(error).__name__
    return text.rpartition("Caused by ")[2].rstrip(")")[:300]


@contextmanager
def errors_of_server() -> Iterator[None]:
    """Makes an error of a server a TrackingError; one of the store on this machine goes on as it is."""
    try:
        yield
    except (MlflowException, RequestException) as error:
        if not is_server():
            raise
        raise TrackingError(f"MLflow at {url()} does not answer as it should: {reason(error)}") from error


def one_at_a_time(what: str = "runs") -> AbstractContextManager[object]:
    """Keeps other processes of this project out that do the same.

    Args:
        what: They look whether a run is whole, to add what it lacks; or anything else of that name.
    """
    folder = paths.project_root() / FOLDER
    folder.mkdir(exist_ok=True)
    return FileLock(folder / f".{what}.lock")


@overload
def open_store(root: Path, suffix: str = "", *, needed: Literal[True]) -> str: ...
@overload
def open_store(root: Path, suffix: str = "", *, needed: bool = False) -> str | None: ...
def open_store(root: Path, suffix: str = "", *, needed: bool = False) -> str | None:
    """Makes the store ready and selects the experiment; safe when several processes do so at once.

    The store is SQLite in `mlruns/mlflow.db` with the artifacts beside it, unless MLFLOW_TRACKING_URI names another. The
    experiment is "latentlab", unless MLFLOW_EXPERIMENT_NAME names another.

    Args:
        root: The project's folder.
        suffix: Put behind the name of the experiment.
        needed: Whether it is an error if a server does not answer.

    Returns:
        The id of the experiment; None if a server does not answer, which is said, or if the run is logged later.

    Raises:
        TrackingError: The store is needed, or is no server, and cannot be used.
    """
    if LOGGED_LATER in os.environ:
        return None
    name = experiment_name() + suffix
    folder = root.resolve() / FOLDER
    other = other_store(root)
    mlflow.set_tracking_uri(other or f"sqlite:///{folder / 'mlflow.db'}")
    try:
        if other is None:
            _make_ready(name, folder)
        else:
            check_server(other)
        with errors_of_server():
            check_experiment(name)
            experiment = mlflow.set_experiment(name)
            experiment_id = str(experiment.experiment_id)
            if not suffix and not experiment.tags.keys() & view.TAGS.keys():
                mlflow.set_experiment_tags(view.TAGS)
            _close_leftovers(experiment_id)
            return experiment_id
    except TrackingError as error:
        if needed or not is_server():
            raise
        print(f"{error}; the work goes on, and `latentlab sync` logs the trained runs later", file=sys.stderr)
        return None


def experiment_name() -> str:
    """Of the experiment of the runs; that of the study begins with it."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME", DEFAULT_EXPERIMENT)


def other_store(root: Path) -> str | None:
    """What MLFLOW_TRACKING_URI names, unless that is the project's own store, by whatever path."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    own = (root / FOLDER / "mlflow.db").resolve()
    is_own = not uri or (uri.startswith("sqlite:///") and Path(uri.removeprefix("sqlite:///")).resolve() == own)
    return None if is_own else uri


def _make_ready(name: str, folder: Path) -> None:
    """Makes the store of this machine and its experiment, where they are not there yet, and mends them after a move."""
    folder.mkdir(exist_ok=True)
    # two processes that create and migrate one database at the same time can break it for good
    with FileLock(folder / ".lock"):
        with errors_of_version(folder / "mlflow.db"):
            client = mlflow.MlflowClient()
            experiment = client.get_experiment_by_name(name)
        if experiment is None:
            client.create_experiment(name, artifact_location=(folder / ARTIFACTS).as_uri())
        for old in sorted(moved_from(folder)):
            _mend(folder, old)


@contextmanager
def errors_of_version(database: Path) -> Iterator[None]:
    """Makes what MLflow says of a database with the tables of another version a TrackingError."""
    try:
        yield
    except MlflowException as error:
        if "database schema" not in str(error):
            raise
        raise TrackingError(
            f"{database} has the tables of another MLflow than {mlflow.__version__}: if an older one made them, copy the "
            f"file and then: mlflow db upgrade sqlite:///{database}; if a newer one did, install that"
        ) from error


def check_experiment(name: str) -> None:
    """Whether runs can be logged to an experiment as it is; it need not be there yet.

    Raises:
        TrackingError: Somebody has deleted it, or its files can be had through a server only.
    """
    experiment = mlflow.MlflowClient().get_experiment_by_name(name)
    if experiment is None:
        return
    if experiment.lifecycle_stage == LifecycleStage.DELETED:
        raise TrackingError(
            f"the experiment {name!r} in {url()} is deleted: mlflow experiments restore --experiment-id "
            f"{experiment.experiment_id}, or name another one in MLFLOW_EXPERIMENT_NAME"
        )
    through_server = urlsplit(experiment.artifact_location).scheme == "mlflow-artifacts"
    if through_server and urlsplit(mlflow.get_tracking_uri()).scheme not in ("http", "https"):
        raise TrackingError(
            f"the experiment {name!r} was made through a server, which alone has its files: set MLFLOW_TRACKING_URI to it "
            "(`make ui` is http://127.0.0.1:5000), or name another experiment in MLFLOW_EXPERIMENT_NAME"
        )


def moved_from(folder: Path) -> set[Path]:
    """Where the store was when its artifact locations were written, if the project's folder was moved or copied since.

    An experiment that somebody has given another place has its files there, and not here under the same name.
    """
    found = set()
    for experiment in mlflow.MlflowClient().search_experiments(ViewType.ALL):
        if path := local_path(experiment.artifact_location):
            before, inside, name = path.as_posix().rpartition(f"/{FOLDER}/")
            old = Path(before) / FOLDER
            if inside and old.resolve() != folder.resolve() and (name == ARTIFACTS or (folder / name).is_dir()):
                found.add(old)
    return found


def local_path(location: str) -> Path | None:
    """The folder of an artifact location; None if it is not on this machine."""
    return Path(local_file_uri_to_path(location)) if urlsplit(location).scheme in ("", "file") else None


def _mend(folder: Path, old: Path) -> None:
    """Rewrites the artifact locations below `old`: MLflow keeps absolute ones, as URLs and as paths."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        for before, after in ((f"{old.as_uri()}/", f"{folder.as_uri()}/"), (f"{old}/", f"{folder}/")):
            for table, column in _LOCATIONS:
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    (after, len(before) + 1, len(before), before),
                )
    database.close()
    print(f"MLflow: the project's folder was moved; the artifact locations in {folder} were mended", file=sys.stderr)


def _close_leftovers(experiment_id: str) -> None:
    """Marks runs as KILLED that are RUNNING although their process is certainly gone."""
    client = mlflow.MlflowClient()
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        if is_gone(run.data.tags):
            client.set_terminated(run.info.run_id, "KILLED")
            print(f"MLflow: the run {run.info.run_name} was left behind by a killed process: KILLED", file=sys.stderr)
