"""The files of runs and models, where they lie on this machine; what a server keeps is its own matter."""

import json
from pathlib import Path

import mlflow
import safetensors
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

from latentlab.files import settle
from latentlab.models import checkpoint
from latentlab.tracking.store import is_server, local_path

CHECKPOINT = "checkpoint"


def settle_files(run_id: str) -> None:
    """Waits until the files of a run and of its model are on the disk, before the store says that they are there."""
    if not is_server():
        settle(*filter(None, _folders(mlflow.MlflowClient().get_run(run_id))))


def lacks_files(run: Run) -> bool:
    """Whether a trained run is without checkpoint or model, or has files that are cut; of a server nobody here knows."""
    if not run.outputs or not run.outputs.model_outputs:
        return True
    try:
        places = _folders(run)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        return True  # somebody has deleted the model
    folders = [each for each in places if each]
    if is_server() or len(folders) < len(places):
        return False
    try:
        checkpoints = list((folders[0] / CHECKPOINT).glob("[!.]*"))
        for path in checkpoints:
            checkpoint.load_description(path)  # fails if the file is not as long as it says
        whole = bool(checkpoints) and all((folder / "MLmodel").is_file() for folder in folders[1:])
        empty = any(path.is_file() and not path.stat().st_size for folder in folders for path in folder.rglob("[!.]*"))
        return empty or not whole
    except (OSError, safetensors.SafetensorError, json.JSONDecodeError, KeyError, TypeError):
        return True


def _folders(run: Run) -> list[Path | None]:
    """Those of the run itself and of its models; None for one that is not on this machine."""
    client = mlflow.MlflowClient()
    outputs = run.outputs.model_outputs if run.outputs else []
    uris = [run.info.artifact_uri, *(client.get_logged_model(each.model_id).artifact_location for each in outputs)]
    return [local_path(uri) for uri in uris]
