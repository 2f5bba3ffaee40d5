"""The weights of a trained model, in a file that says itself what they are; and the state of a training that goes on."""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from latentlab.files import replacing
from latentlab.models.base import Autoencoder


def save(model: Autoencoder, description: dict[str, Any], path: Path) -> None:
    """Writes the weights as safetensors with a description (the variant, its training, ...) in the file's own metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as partial:
        # one key of metadata: safetensors does not keep the order of several
        safetensors.torch.save_file(weights, partial, metadata={"latentlab": json.dumps(description, sort_keys=True)})


def load_description(path: Path) -> dict[str, Any]:
    """The description that `save` put beside the weights."""
    with safetensors.safe_open(path, framework="pt") as file:
        description: dict[str, Any] = json.loads(file.metadata()["latentlab"])
    return description


def load_weights(model: Autoencoder, path: Path) -> None:
    """Puts the weights of a checkpoint into a model of the same variant, and that into evaluation mode, in place."""
    model.load_state_dict(safetensors.torch.load_file(path))
    model.eval()


class EpochFile:
    """The state of a training after its last epoch, so that one that is killed goes on from there.

    Args:
        path: Of the file.
        fingerprint: Of the training; the state of another one is not used.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def load(self) -> dict[str, Any] | None:
        """The state; None if there is none of this training that is whole."""
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            print(f"{self.path} is damaged, so the training starts anew: {error}".splitlines()[0], file=sys.stderr)
            return None
        return state if state.pop("fingerprint", None) == self.fingerprint else None

    def save(self, state: dict[str, Any]) -> None:
        """Takes the place of the state before; however it ends, one of the two is whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as partial:
            torch.save(state | {"fingerprint": self.fingerprint}, partial)

    def remove(self) -> None:
        """What is trained needs no state."""
        self.path.unlink(missing_ok=True)
