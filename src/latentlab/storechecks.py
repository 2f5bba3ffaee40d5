"""The stores as `latentlab doctor` looks at them: MLflow's, what waits for it, and the study's."""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from latentlab import layout
from latentlab.errors import UserError
from latentlab.findings import Finding
from latentlab.secrets import without_passwords


def mlflow() -> Iterator[Finding]:
    """The store of MLflow, or its server."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    database = Path("mlruns/mlflow.db")
    yield from _waiting(uri)
    if uri:
        yield from _server(uri)
        return
    if not database.exists():
        yield Finding("ok", "MLflow", "no store yet: the first run makes it")
        return
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        state = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        state = str(error)
    finally:
        connection.close()
    if state != "ok":
        yield Finding(
            "problem",
            "MLflow",
            f"{database} is damaged: {state}",
            f"mv {database} {database}.damaged; latentlab sync fills a new one",
        )
        return
    yield Finding("ok", "MLflow", f"{database} is whole")
    yield from _runs()


def _server(uri: str) -> Iterator[Finding]:
    from latentlab.tracking.present import TrackingError
    from latentlab.tracking.store import check_server

    try:
        check_server(uri)
    except TrackingError as error:
        yield Finding("problem", "MLflow", str(error))
    else:
        yield Finding("ok", "MLflow", f"{without_passwords(uri, uri)} answers")
        yield from _runs()


def _waiting(uri: str) -> Iterator[Finding]:
    from latentlab.tracking.spool import waiting
    from latentlab.tracking.store import SPOOL

    folder = layout.project_root() / SPOOL
    if runs := waiting(folder):
        remedy = "latentlab sync" if uri else "latentlab sync, with MLFLOW_TRACKING_URI set to their server again"
        yield Finding("problem", "MLflow", f"these runs wait to be sent: {', '.join(runs[:5])}", remedy)
    if damaged := sorted(folder.glob("*.damaged")):
        about = f"{len(damaged)} files in {folder} do not say which run they are of"
        remedy = (
            f"latentlab sync logs every row from its files; then rm {' '.join(shlex.quote(str(each)) for each in damaged)}"
        )
        yield Finding("note", "MLflow", about, remedy)


def _runs() -> Iterator[Finding]:
    from latentlab.tracking.checkup import check_up

    seen = check_up(layout.project_root())
    if seen.left:
        about = f"{len(seen.left)} runs are RUNNING, but their process is gone: {', '.join(seen.left[:5])}"
        yield Finding("note", "MLflow", about, "the next run of a stage here marks them KILLED")
    if seen.bare:
        yield Finding(
            "problem",
            "MLflow",
            f"runs without their model, or whose files are cut: {', '.join(seen.bare[:5])}",
            "latentlab sync",
        )
    if seen.orphans:
        about = f"{len(seen.orphans)} folders of artifacts belong to no run, such as {seen.orphans[0]}"
        yield Finding("note", "MLflow", about, f"rm -r {' '.join(shlex.quote(str(each)) for each in seen.orphans)}")
    if seen.num_deleted:
        about = f"{seen.num_deleted} runs are deleted, most of them since another took their place; their files are kept"
        uri = "sqlite:///mlruns/mlflow.db"
        remedy = f"MLFLOW_TRACKING_URI={uri} mlflow gc --backend-store-uri {uri} (only if the space is wanted)"
        yield Finding("note", "MLflow", about, "" if os.environ.get("MLFLOW_TRACKING_URI") else remedy)
    if not (seen.left or seen.bare or seen.orphans):
        yield Finding("ok", "MLflow", f"{seen.num_runs} runs, each with what it should have")


def study() -> Iterator[Finding]:
    """The storage of the trade-off study."""
    from latentlab import params
    from latentlab.study import trials
    from latentlab.study.storage import StorageError, is_there, open_storage

    try:
        settings = params.load(layout.PARAMS).study
    except UserError:
        return  # has been said
    if not is_there(settings.storage):
        yield Finding("ok", "study", "none yet: make study")
        return
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.load_study(study_name=settings.name, storage=open_storage(settings.storage))
    except KeyError:
        yield Finding("ok", "study", f"no {settings.name} yet: make study")
        return
    except StorageError as error:
        file = settings.storage.removeprefix("sqlite:///")
        is_file = file != settings.storage
        remedy = (
            f"mv {file} {file}.damaged; latentlab study run begins anew" if is_file else "start it, or mend study.storage"
        )
        yield Finding("problem", "study", str(error), remedy)
        return
    counts = trials.counts(study.get_trials(deepcopy=False))
    yield Finding("ok", "study", f"{settings.name} in {without_passwords(settings.storage, settings.storage)}: {counts}")
