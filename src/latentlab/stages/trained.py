"""A trained run, ready to be asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentlab import checkpoint, data, devices, layout, models, params, stages
from latentlab.evaluation.reconstruction import apply
from latentlab.models import Autoencoder


@dataclass(frozen=True)
class Codec:
    """Anything that makes codes of full images, (N, 1, 28, 28) -> (N, ...), and images of codes, all on the CPU."""

    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


def codec(model: Autoencoder, row: params.Row, device: torch.device) -> Codec:
    """A model as two functions that go through any number of images batch by batch."""
    return Codec(
        encode=lambda images: apply(model.encode, data.degrade(images, row.input_size), device),
        decode=lambda codes: apply(model.decode, codes, device),
    )


@dataclass(frozen=True)
class Trained:
    """A run's model in evaluation mode, with the data of the study."""

    study: params.Params
    run: layout.Run
    row: params.Row
    description: dict[str, Any]
    model: Autoencoder
    device: torch.device
    mnist: data.MNIST

    def codec(self) -> Codec:
        """The model as two functions; the input is degraded as the row says."""
        return codec(self.model, self.row, self.device)

    def about(self) -> dict[str, Any]:
        """What a file of measurements says of the run that it is of."""
        keys = ("recipe", "seed", "device", "plan", "fingerprint")
        return {"row": self.run.row} | {key: self.description[key] for key in keys}


def load(name: str, recipe: str, seed: str) -> Trained:
    """The trained run of that row, recipe and seed, from its checkpoint."""
    study = stages.read_params()
    run = layout.Run(name, recipe, int(seed))
    description = checkpoint.load_description(run.checkpoint)
    row = params.Row.model_validate(description["row"])
    device = devices.resolve(study.device)
    devices.make_deterministic()
    model = models.build(row, run.seed).eval()
    checkpoint.load_weights(model, run.checkpoint)
    mnist = data.load(layout.DATA, study.split)
    return Trained(study, run, row, description, model.to(device), device, mnist)
