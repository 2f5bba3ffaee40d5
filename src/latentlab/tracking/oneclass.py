"""One MLflow run for each seed of `make oneclass`."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow

from latentlab import paths
from latentlab.tracking import store
from latentlab.tracking.describe import with_dots


def log(name: str, provenance: dict[str, Any], means: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Logs a finished result, unless the store has it; a server that is away is said, and is no error.

    Args:
        name: Of the run.
        provenance: All that determines the numbers.
        means: By score the numbers that become metrics.
        path: The whole result.
    """
    try:
        if experiment_id := store.open_store(paths.project_root(), "-oneclass"):
            _complete(experiment_id, name, provenance, means, path)
    except store.TrackingError as error:
        print(f"{name} is not logged: {error}; the result is {path}", file=sys.stderr)


def _complete(
    experiment_id: str, name: str, provenance: dict[str, Any], means: Mapping[str, Mapping[str, float]], path: Path
) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    finished = f"tags.fingerprint = '{digest}' AND attributes.status = 'FINISHED'"
    with store.errors_of_server():
        if mlflow.search_runs([experiment_id], finished, output_format="list"):
            return
        params = with_dots(provenance["variant"]) | with_dots(provenance["training"]) | {"seed": provenance["seed"]}
        with mlflow.start_run(experiment_id=experiment_id, run_name=name, tags={"fingerprint": digest}):
            mlflow.log_params(params)
            mlflow.log_metrics({f"auroc/{score}": found["auroc"] for score, found in means.items()})
            mlflow.log_artifact(str(path))
