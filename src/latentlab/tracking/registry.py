"""The model registry, and the checkpoint that an MLflow model URI stands for."""

import os
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from latentlab import paths
from latentlab.errors import UserError, without_passwords
from latentlab.tracking.artifacts import CHECKPOINT
from latentlab.tracking.store import FOLDER, check_server, open_store, other_store

REGISTERED_MODEL = "latentlab"


def register(fingerprint: str, alias: str, card: str) -> str:
    """Gives the model of a trained run a version in the registry, if it has none yet, and an alias to that version.

    Args:
        fingerprint: Of the run.
        alias: The alias; whoever had it before has it no longer.
        card: What the version is, in Markdown; it takes the place of what stood there.

    Returns:
        The version's URI.

    Raises:
        LookupError: No run of that fingerprint is trained.
    """
    client = mlflow.MlflowClient()
    experiment_id = open_store(paths.project_root(), needed=True)
    condition = f"tags.fingerprint = '{fingerprint}' AND tags.trained = 'true'"
    runs = client.search_runs([experiment_id], condition, order_by=["attributes.start_time DESC"])
    if not runs:
        raise LookupError(fingerprint)
    run_id = runs[0].info.run_id
    known = [each for each in client.search_model_versions(f"name = '{REGISTERED_MODEL}'") if each.run_id == run_id]
    version = known[0] if known else mlflow.register_model(f"runs:/{run_id}/model", REGISTERED_MODEL)
    client.update_model_version(REGISTERED_MODEL, str(version.version), card)
    client.set_registered_model_alias(REGISTERED_MODEL, alias, str(version.version))
    return f"models:/{REGISTERED_MODEL}/{version.version}"


def fetch_checkpoint(uri: str, root: Path, folder: Path) -> Path:
    """The checkpoint of the run that made a model: the model in MLflow has the forward pass only, the run has the weights.

    Args:
        uri: `runs:/<run id>/model`, `models:/<model id>`, `models:/<name>/<version>` or `models:/<name>@<alias>`.
        root: The project's folder; its store is asked, unless MLFLOW_TRACKING_URI names another.
        folder: Where the file is put.

    Raises:
        UserError: There is no store, no such model, or its run has no checkpoint.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    server = other_store(root)
    if server:
        check_server(server)
    elif (root / FOLDER / "mlflow.db").exists():
        open_store(root)
    else:
        raise UserError(f"{uri}: there is no MLflow store here: go to the project's folder, or set MLFLOW_TRACKING_URI")
    try:
        run_id = mlflow.models.get_model_info(uri).run_id
        if not run_id:
            raise UserError(f"{uri}: the model is of no run, so there is no checkpoint")
        return Path(
            mlflow.artifacts.download_artifacts(f"runs:/{run_id}/{CHECKPOINT}/model.safetensors", dst_path=str(folder))
        )
    except (MlflowException, OSError) as error:
        reason = without_passwords(str(error).splitlines()[0], server or "")
        raise UserError(f"{uri}: MLflow does not give its checkpoint: {reason}") from None
