"""One MLflow run per study, one child of it per trial; and the model registry."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import torch
from mlflow.entities import Run, RunStatus

from latentlab import data, layout
from latentlab.params import Params
from latentlab.processes import process_tags
from latentlab.study.objective import Tracker
from latentlab.study.space import Candidate, Sizes
from latentlab.study.trials import FREE
from latentlab.tracking.runs import LiveRun, training_run
from latentlab.tracking.store import open_store
from latentlab.tracking.writer import RunWriter

REGISTERED_MODEL = "latentlab"


def open_parent(project: Params, definition: dict[str, str], note: str) -> str:
    """The run of the study, RUNNING from now on: the one that is there already, or a new one.

    Args:
        project: The parameters.
        definition: What makes it the same study, see `latentlab.study.trials.definition`.
        note: Markdown that the UI shows above the run.

    Returns:
        The id of the run.
    """
    experiment_id = open_store(layout.project_root(), "-study", needed=True)
    client = mlflow.MlflowClient()
    name, digest = project.study.name, hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:16]
    found = client.search_runs([experiment_id], f"tags.study = '{name}' AND tags.definition = '{digest}'")
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))
    else:
        tags = {"study": name, "definition": digest}
        run_id = str(client.create_run(experiment_id, run_name=f"study-{name}", tags=tags).info.run_id)
        settings = project.study.model_dump(exclude=FREE | {"space"})
        for key, value in settings.items():
            client.log_param(run_id, key, value)
    for key, value in ({"mlflow.note.content": note} | process_tags()).items():
        client.set_tag(run_id, key, value)
    return run_id


def close_parent(run_id: str, name: str, status: str, values: dict[str, float], files: list[Path]) -> None:
    """Ends the study's run.

    Args:
        run_id: Of the run.
        name: Of the study.
        status: FINISHED, FAILED or KILLED.
        values: Metrics.
        files: Tables and figures.
    """
    writer = RunWriter.of(run_id, f"study-{name}")
    writer.metrics(values, 0)
    for path in files:
        writer.artifact(path)
    writer.end(status)


class TrialRun:
    """The run of a trial that is being trained."""

    def __init__(self, live: LiveRun) -> None:
        self._live = live

    def log_epoch(self, record: dict[str, float]) -> None:
        """Logs a record of `latentlab.training.fit`."""
        self._live.log_epoch(record)

    def log_end(self, state: str, values: dict[str, float]) -> None:
        """Logs how the trial ended, and its objectives as they were then."""
        self._live.writer.tags({"state": state})
        self._live.writer.metrics({f"objective/{name}": value for name, value in values.items()}, 0)


def tracker(project: Params, parent_id: str) -> Tracker:
    """What makes a run of each trial, below that of the study."""
    experiment_id = open_store(layout.project_root(), "-study")
    digest = data.digest(layout.DATA)

    @contextmanager
    def track(number: int, candidate: Candidate, sizes: Sizes) -> Iterator[TrialRun]:
        settings = project.study
        description = {
            "name": f"trial_{number:03}",
            "row": candidate.row.model_dump(),
            "training": candidate.training.model_dump(),
            "recipe": "study",
            "seed": settings.seed,
            "split": project.split.model_dump(),
            "device": project.device,
            "num_threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "data_digest": digest,
            "fingerprint": hashlib.sha256(candidate.configuration.encode()).hexdigest()[:16],
        }
        tags = {"mlflow.parentRunId": parent_id, "study": settings.name, "trial": str(number)}
        note = (
            f"Trial {number} of the study `{settings.name}`: a `{candidate.row.family}`, code of {sizes.code_size} numbers."
        )
        with training_run(experiment_id, description, note, tags) as live:
            keys = ("code_size", "num_parameters", "num_macs")
            live.writer.metrics({f"size/{key}": float(getattr(sizes, key)) for key in keys}, 0)
            yield TrialRun(live)

    return track


def register(fingerprint: str, alias: str) -> str:
    """Gives the model of a trained run a version in the registry, if it has none yet, and an alias to that version.

    Args:
        fingerprint: Of the run.
        alias: The alias; whoever had it before has it no longer.

    Returns:
        The version's URI.

    Raises:
        LookupError: No run of that fingerprint is trained.
    """
    client = mlflow.MlflowClient()
    experiment_id = open_store(layout.project_root(), needed=True)
    condition = f"tags.fingerprint = '{fingerprint}' AND tags.trained = 'true'"
    runs: list[Run] = list(client.search_runs([experiment_id], condition, order_by=["attributes.start_time DESC"]))
    if not runs:
        raise LookupError(fingerprint)
    run_id = runs[0].info.run_id
    known = [each for each in client.search_model_versions(f"name = '{REGISTERED_MODEL}'") if each.run_id == run_id]
    version = known[0] if known else mlflow.register_model(f"runs:/{run_id}/model", REGISTERED_MODEL)
    client.set_registered_model_alias(REGISTERED_MODEL, alias, str(version.version))
    return f"models:/{REGISTERED_MODEL}/{version.version}"
