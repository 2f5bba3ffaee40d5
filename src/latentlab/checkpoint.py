"""The weights of a trained model, in a file that says itself what they are."""

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch

from latentlab.models.base import Autoencoder


def save(model: Autoencoder, description: dict[str, Any], path: Path) -> None:
    """Writes the weights as safetensors with a description (the row, its training, ...) in the file's own metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    partial = path.with_suffix(".partial")
    # one key of metadata: safetensors does not keep the order of several
    safetensors.torch.save_file(weights, partial, metadata={"latentlab": json.dumps(description, sort_keys=True)})
    partial.replace(path)


def load_description(path: Path) -> dict[str, Any]:
    """The description that `save` put beside the weights."""
    with safetensors.safe_open(path, framework="pt") as file:
        description: dict[str, Any] = json.loads(file.metadata()["latentlab"])
    return description


def load_weights(model: Autoencoder, path: Path) -> None:
    """Puts the weights of a checkpoint into a model of the same row, in place."""
    model.load_state_dict(safetensors.torch.load_file(path))
