"""A trained model: read from its checkpoint, and asked for codes and images, any number of them at a time.

Legend: N images, C channels, H and W height and width of them, D numbers in the code.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from latentlab import models
from latentlab.data.images import degrade
from latentlab.errors import UserError, printable
from latentlab.models import check, checkpoint
from latentlab.models.base import BATCH_SIZE, Autoencoder
from latentlab.params.datasets import Shape
from latentlab.params.strict import ParamsError, explain
from latentlab.params.variants import Variant

CPU = torch.device("cpu")
_Side = Annotated[int, Field(ge=1, le=1024)]
_SHAPE = TypeAdapter(tuple[Annotated[int, Field(ge=1, le=4)], _Side, _Side])
# by their names in safetensors; batch normalisation counts its batches
_DTYPES = {torch.float32: "F32", torch.int64: "I64"}


@dataclass(frozen=True)
class TrainedModel:
    """A model in evaluation mode, by the name that people know it by.

    Tensors may come from any device, and those that it gives are on the CPU. `description`: what its checkpoint says of it.
    """

    name: str
    variant: Variant
    shape: Shape
    description: dict[str, Any]
    code_shape: torch.Size
    model: Autoencoder
    device: torch.device

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Tensor:
        """Codes of full images, (N, C, H, W) -> (N, D) or (N, c, h, w)."""
        return torch.cat([self.model.encode(batch).cpu() for batch in self._inputs(images)])

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Images of codes, (N, ...) -> (N, C, H, W)."""
        return torch.cat([self.model.decode(batch).cpu() for batch in self._batches(codes)])

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images through the code and back, (N, C, H, W) -> (N, C, H, W)."""
        return self.decode(self.encode(images))

    @property
    def is_variational(self) -> bool:
        """Whether its codes have a posterior."""
        return self.posterior(torch.zeros(1, *self.shape)) is not None

    @torch.inference_mode()
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """Mean and log-variance of the codes of full images, both (N, D); None for a plain autoencoder."""
        means, log_variances = [], []
        for batch in self._inputs(images):
            if (found := self.model.posterior(batch)) is None:
                return None
            means.append(found[0].cpu())
            log_variances.append(found[1].cpu())
        return torch.cat(means), torch.cat(log_variances)

    def untrained(self) -> "TrainedModel":
        """The same layers with the weights from before the training."""
        return replace(self, model=models.build(self.variant, self.shape, self.description["seed"]).eval().to(self.device))

    def _inputs(self, images: Tensor) -> Iterator[Tensor]:
        """Batches of what the encoder sees."""
        return self._batches(degrade(images, self.variant.downsampling))

    def _batches(self, tensor: Tensor) -> Iterator[Tensor]:
        return (batch.to(self.device) for batch in tensor.split(BATCH_SIZE))


def load(path: Path, name: str | None = None, device: torch.device = CPU) -> TrainedModel:
    """The model of a checkpoint, after a check that the file is whole and that the weights are those of its variant.

    Args:
        path: A file that `latentlab.models.checkpoint.save` wrote.
        name: What errors call the file; None for its path.
        device: Where the model computes.

    Raises:
        UserError: There is no such file, or it cannot be used.
    """
    name = str(path) if name is None else name
    description, found = _read(path, name)
    variant, shape = _variant(description, found, name)
    try:
        model = models.build(variant, shape, 0)
        checkpoint.load_weights(model, path)
    except (RuntimeError, SafetensorError) as error:
        raise UserError(f"{name}: its weights cannot be read: {str(error).splitlines()[0]}") from None
    if not all(bool(weight.isfinite().all()) for weight in model.state_dict().values()):
        raise UserError(f"{name}: has weights that are not finite")
    try:
        code_shape = check.measure_code(model, variant, shape)
    except ParamsError as error:
        raise UserError(f"{name}: {error}") from None
    known = [printable(str(description[key])) for key in ("name", "dataset", "recipe", "seed") if key in description]
    return TrainedModel("-".join(known) or name, variant, shape, description, code_shape, model.to(device), device)


# type and shape of a tensor in a file
_Kind = tuple[str, tuple[int, ...]]


def _read(path: Path, name: str) -> tuple[dict[str, Any], dict[str, _Kind]]:
    """The description in a checkpoint, and what its weights are, by name."""
    if not path.exists():
        raise UserError(f"{name}: no such file")
    if not path.is_file():
        raise UserError(f"{name}: is not a file")
    try:
        description = checkpoint.load_description(path)
        dict(description["variant"]), list(description["images"]["shape"])
        with safe_open(path, framework="pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            return description, {key: (each.get_dtype(), tuple(each.get_shape())) for key, each in slices.items()}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{name}: is not a checkpoint, or is damaged: {error}") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise UserError(f"{name}: is not a checkpoint of latentlab: it does not say which variant it is of") from None


def _variant(description: dict[str, Any], found: dict[str, _Kind], name: str) -> tuple[Variant, Shape]:
    """The variant that a checkpoint is of, and the shape of its images; its weights must be those that were found."""
    try:
        variant = Variant.model_validate(dict(description["variant"]))
        shape = _SHAPE.validate_python(description["images"]["shape"])
        weights = check.empty_weights(variant, shape)
    except ValidationError as error:
        fault = explain(error, "").split("\n")[0]
        raise UserError(f"{name}: the variant in it is wrong, or of another version: {fault}") from None
    except ParamsError as error:
        raise UserError(f"{name}: the variant in it cannot be built: {str(error).splitlines()[0]}") from None
    expected = {key: (_DTYPES[weight.dtype], tuple(weight.shape)) for key, weight in weights.items()}
    if found != expected:
        wrong = min(key for key in {*found, *expected} if found.get(key) != expected.get(key))
        raise UserError(
            f"{name}: the weights are not those of its variant: {wrong} is {_shown(found.get(wrong), 'missing')}, "
            f"not {_shown(expected.get(wrong), 'there')}"
        )
    return variant, shape


def _shown(weight: _Kind | None, otherwise: str) -> str:
    return f"{weight[0]} {weight[1]}" if weight else otherwise
