"""What an analysis is given, and what it gives.

An analysis is a module of this package with `Settings`, its section of analyses/params.yaml, and `analyse`, which measures
a model. The core evaluation (`reconstruction`) and the probes (`probes`) have the same form.

Legend: N images, C channels, H and W their height and width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from torch import Tensor

from latentlab.data.images import Splits
from latentlab.models.base import Autoencoder
from latentlab.models.trained import TrainedModel

Array = np.ndarray
Posterior = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Subject:
    """What is measured, with the images: a trained model, or a baseline.

    Attributes:
        encode: Full images (N, C, H, W) to codes (N, ...), of any number of images, on the CPU.
        decode: The way back.
        data: The images.
        posterior: Mean and logarithm of the variance of the codes of full images; None for what is no VAE.
        model: In evaluation mode; None for a baseline.
        downsampling: How many times smaller than the images is what the encoder sees.
        untrained: The same layers with the weights from before the training; None for a baseline.
        name: For the titles of pictures.
    """

    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]
    data: Splits
    posterior: Callable[[Tensor], Posterior] | None = None
    model: Autoencoder | None = None
    downsampling: int = 1
    untrained: "Callable[[], Subject] | None" = None
    name: str = ""


@dataclass(frozen=True)
class Analysis:
    """What an analysis has measured.

    Attributes:
        numbers: For the analysis's JSON file and MLflow.
        arrays: By name, for the figures.
        pictures: By name, PNG files for people.
        tables: By name, CSV files, line by line.
    """

    numbers: dict[str, Any]
    arrays: dict[str, Array] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    tables: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)


def of_run(model: TrainedModel, data: Splits) -> Subject:
    """A trained model; its input is degraded as its variant says."""
    return Subject(
        encode=model.encode,
        decode=model.decode,
        data=data,
        posterior=cast(Callable[[Tensor], Posterior], model.posterior) if model.is_variational else None,
        model=model.model,
        downsampling=model.variant.downsampling,
        untrained=lambda: of_run(model.untrained(), data),
        name=model.name,
    )
