"""The files of runs and models, where they lie on this machine; what a server keeps is its own matter."""

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import safetensors
from mlflow.entities import Run

from latentlab import checkpoint
from latentlab.wholefiles import settle

CHECKPOINT = "checkpoint"


def local_folder(uri: str) -> Path | None:
    """The folder that a URI of artifacts stands for; None if it is not on this machine."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def settle_files(run_id: str) -> None:
    """Waits until the files of a run and of its model are on the disk, before the store says that they are there."""
    if not _is_server():
        settle(*_folders(mlflow.MlflowClient().get_run(run_id)))


def lacks_files(run: Run) -> bool:
    """Whether a trained run is without checkpoint or model, or has files that are cut; of a server nobody here knows."""
    if not run.outputs or not run.outputs.model_outputs:
        return True
    if _is_server():
        return False
    folders = _folders(run)
    try:
        checkpoints = list((folders[0] / CHECKPOINT).iterdir())
        for path in checkpoints:
            checkpoint.load_description(path)  # fails if the file is not as long as it says
        whole = bool(checkpoints) and all((folder / "MLmodel").is_file() for folder in folders[1:])
        empty = any(path.is_file() and not path.stat().st_size for folder in folders for path in folder.rglob("*"))
        return empty or not whole
    except (OSError, safetensors.SafetensorError, json.JSONDecodeError, KeyError, TypeError, IndexError):
        return True


def _is_server() -> bool:
    return urlsplit(mlflow.get_tracking_uri()).scheme in ("http", "https")


def _folders(run: Run) -> list[Path]:
    """Those of the run itself and of its models."""
    client = mlflow.MlflowClient()
    outputs = run.outputs.model_outputs if run.outputs else []
    uris = [run.info.artifact_uri, *(client.get_logged_model(each.model_id).artifact_location for each in outputs)]
    return [folder for uri in uris if (folder := local_folder(uri))]
