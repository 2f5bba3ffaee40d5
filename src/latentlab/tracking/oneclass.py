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
    experiment_id = store.open_store(paths.project_root(), "-oneclass")
    if experiment_id is None:
        print(f"{name} is not logged: `latentlab repro --force` of its stage does it later", file=sys.stderr)
        return
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    with store.errors_of_server():
        if mlflow.search_runs([experiment_id], f"tags.fingerprint = '{digest}'", output_format="list"):
            return
        with mlflow.start_run(experiment_id=experiment_id, run_name=name, tags={"fingerprint": digest}):
            mlflow.log_params(
                with_dots(provenance["variant"]) | with_dots(provenance["training"]) | {"seed": provenance["seed"]}
            )
            mlflow.log_metrics({f"auroc/{score}": found["auroc"] for score, found in means.items()})
            mlflow.log_artifact(str(path))
