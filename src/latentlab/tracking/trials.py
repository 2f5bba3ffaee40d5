"""One MLflow run for a study, and below it one for each trial that is trained."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Param

from latentlab import paths
from latentlab.tracking.processes import process_tags
from latentlab.tracking.runs import LiveRun, log_metrics, tag, training_run
from latentlab.tracking.store import open_store

_SUFFIX = "-study"
_KEPT = "the study's storage has its numbers"


def open_parent(name: str, definition: dict[str, str], settings: dict[str, Any], note: str) -> str:
    """The run of the study, RUNNING from now on: the one that is there already, or a new one.

    Args:
        name: Of the study.
        definition: What makes it the same study, see `latentlab.study.definition`.
        settings: The run's parameters, if it is new.
        note: Markdown that the UI shows above the run.

    Returns:
        The id of the run.
    """
    experiment_id = open_store(paths.project_root(), _SUFFIX, needed=True)
    client = mlflow.MlflowClient()
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:16]
    found = client.search_runs([experiment_id], f"tags.study = '{name}' AND tags.definition = '{digest}'")
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, status="RUNNING")
    else:
        tags = {"study": name, "definition": digest}
        run_id = str(client.create_run(experiment_id, run_name=f"study-{name}", tags=tags).info.run_id)
        client.log_batch(run_id, params=[Param(key, str(value)) for key, value in settings.items()])
    tag(run_id, {"mlflow.note.content": note} | process_tags())
    return run_id


def close_parent(run_id: str, name: str, status: str, values: dict[str, float], files: list[Path]) -> None:
    """Ends the study's run, unless a server does not take that.

    Args:
        run_id: Of the run.
        name: Of the study.
        status: FINISHED, FAILED or KILLED.
        values: Metrics.
        files: Tables and figures.
    """

    def end(run_id: str) -> None:
        log_metrics(run_id, values, 0)
        for path in files:
            mlflow.MlflowClient().log_artifact(run_id, str(path))
        mlflow.MlflowClient().set_terminated(run_id, status)

    LiveRun(f"study-{name}", run_id, _KEPT).write(end)


# of a trial's number, its `variant` and `training` as dictionaries, and its sizes
Track = Callable[[int, dict[str, dict[str, Any]], dict[str, int]], AbstractContextManager[LiveRun]]


def tracker(study: str, parent_id: str, common: dict[str, Any]) -> Track:
    """What makes a run of each trial, below that of the study.

    Args:
        study: Its name.
        parent_id: Of the study's run.
        common: What the descriptions of all trials have in common: dataset, seed, split, data_digest, device, precision,
            num_threads, torch.
    """
    experiment_id = open_store(paths.project_root(), _SUFFIX)

    @contextmanager
    def track(number: int, candidate: dict[str, dict[str, Any]], sizes: dict[str, int]) -> Iterator[LiveRun]:
        digest = hashlib.sha256(json.dumps(candidate, sort_keys=True).encode()).hexdigest()[:16]
        own = {"name": f"trial_{number:03}", "recipe": "study", "fingerprint": digest}
        tags = {"mlflow.parentRunId": parent_id, "study": study, "trial": str(number)}
        family, latent_dim = candidate["variant"]["family"], sizes["latent_dim"]
        note = f"Trial {number} of the study `{study}`: a `{family}`, {latent_dim} numbers."
        with training_run(experiment_id, common | candidate | own, note, tags, _KEPT) as live:
            live.write(log_metrics, {f"size/{name}": float(size) for name, size in sizes.items()}, 0)
            yield live

    return track
