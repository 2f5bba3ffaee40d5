"""Which checkpoint does an MLflow model URI stand for?"""

import os
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from latentlab.errors import UserError
from latentlab.tracking.store import open_store


def fetch_checkpoint(uri: str, root: Path, folder: Path) -> Path:
    """The checkpoint of the run that made a model: the model in MLflow has the forward pass only, the run has the weights.

    Args:
        uri: `runs:/<run id>/model`, `models:/<model id>`, `models:/<name>/<version>` or `models:/<name>@<alias>`.
        root: The project's folder; its store is asked, unless MLFLOW_TRACKING_URI names another.
        folder: Where the file is put.

    Raises:
        UserError: There is no store, no such model, or its run has no checkpoint.
    """
    # a server that does not answer is said after seconds; MLflow's own patience is minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if "MLFLOW_TRACKING_URI" not in os.environ:
        if not (root / "mlruns" / "mlflow.db").exists():
            raise UserError(f"{uri}: there is no MLflow store here: go to the project's folder, or set MLFLOW_TRACKING_URI")
        open_store(root)
    try:
        run_id = mlflow.models.get_model_info(uri).run_id
        if not run_id:
            raise UserError(f"{uri}: the model is of no run, so there is no checkpoint")
        return Path(
            mlflow.artifacts.download_artifacts(f"runs:/{run_id}/checkpoint/model.safetensors", dst_path=str(folder))
        )
    except (MlflowException, OSError) as error:
        raise UserError(f"{uri}: MLflow does not give its checkpoint: {str(error).splitlines()[0]}") from None
