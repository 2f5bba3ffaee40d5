"""What does the MLflow store hold that is not as it should be?"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Experiment, ViewType

from latentlab.processes import is_gone
from latentlab.tracking.artifacts import lacks_files, local_folder


@dataclass(frozen=True)
class CheckUp:
    """What a store holds.

    Numbers of runs and of deleted ones; names of runs that were left RUNNING or lack files; folders of artifacts that are
    of neither.
    """

    num_runs: int
    num_deleted: int
    left: list[str]
    bare: list[str]
    orphans: list[Path]


def check_up(root: Path) -> CheckUp:
    """Looks at all runs of the project's experiments, and changes nothing.

    Args:
        root: The project's folder; its store is asked, unless MLFLOW_TRACKING_URI names another.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        mlflow.set_tracking_uri(f"sqlite:///{root.resolve() / 'mlruns/mlflow.db'}")
    client = mlflow.MlflowClient()
    # all of them: those of other names may keep their artifacts in the same place
    everywhere = list(client.search_experiments(ViewType.ALL))
    experiments = [each for each in everywhere if each.name.startswith("latentlab") and each.lifecycle_stage == "active"]
    everything = _pages(partial(client.search_runs, run_view_type=ViewType.ALL), everywhere)
    ours = [run for run in everything if run.info.experiment_id in {each.experiment_id for each in experiments}]
    found = [run for run in ours if run.info.lifecycle_stage == "active"]
    return CheckUp(
        num_runs=len(found),
        num_deleted=len(ours) - len(found),
        left=[run.info.run_name for run in found if run.info.status == "RUNNING" and is_gone(run.data.tags)],
        bare=[run.info.run_name for run in found if run.data.tags.get("trained") == "true" and lacks_files(run)],
        orphans=_orphans(
            experiments,
            {run.info.run_id for run in everything},
            {model.model_id for model in _pages(client.search_logged_models, everywhere)},
        ),
    )


def _orphans(experiments: list[Experiment], run_ids: set[str], model_ids: set[str]) -> list[Path]:
    """Folders of artifacts, where they lie on this machine, of runs and models that the store does not know."""
    found = []
    for root in dict.fromkeys(local_folder(each.artifact_location) for each in experiments):
        if root and root.is_dir():
            found += [folder for folder in sorted(root.iterdir()) if folder.name not in {*run_ids, "models"}]
            found += [folder for folder in sorted(root.glob("models/*")) if folder.name not in model_ids]
    return found


def _pages(search: Callable[..., Any], experiments: list[Experiment]) -> list[Any]:
    """All that a search of MLflow's finds in experiments, page after page."""
    found: list[Any] = []
    token = None
    while experiments:
        page = search([each.experiment_id for each in experiments], page_token=token)
        found += list(page)
        token = page.token
        if not token:
            break
    return found
