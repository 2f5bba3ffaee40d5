"""Which checkpoint does an MLflow model URI stand for?"""

import os
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from latentlab.errors import UserError
from latentlab.secrets import without_passwords
from latentlab.tracking.store import check_server, open_store


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
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if server:
        check_server(server)
    elif (root / "mlruns" / "mlflow.db").exists():
        open_store(root)
    else:
        raise UserError(f"{uri}: there is no MLflow store here: go to the project's folder, or set MLFLOW_TRACKING_URI")
    try:
        run_id = mlflow.models.get_model_info(uri).run_id
        if not run_id:
            raise UserError(f"{uri}: the model is of no run, so there is no checkpoint")
        return Path(
            mlflow.artifacts.download_artifacts(f"runs:/{run_id}/checkpoint/model.safetensors", dst_path=str(folder))
        )
    except (MlflowException, OSError) as error:
        reason = without_passwords(str(error).splitlines()[0], server or "")
        raise UserError(f"{uri}: MLflow does not give its checkpoint: {reason}") from None
