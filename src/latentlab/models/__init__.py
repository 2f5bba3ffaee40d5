"""The model families, and how a row of the experiment table becomes a model."""

import inspect
from typing import Any

import torch
from pydantic import ConfigDict, ValidationError, create_model
from torch import Tensor

from latentlab.models.base import Autoencoder
from latentlab.models.conv_bn_ae import ConvBnAE
from latentlab.models.conv_dense_ae import ConvDenseAE
from latentlab.models.conv_vae import ConvVAE
from latentlab.models.mlp import MLP
from latentlab.models.pooled_cae import PooledCAE
from latentlab.models.strided_cae import StridedCAE
from latentlab.models.superres_ae import SuperresAE
from latentlab.models.upsampled_cae import UpsampledCAE
from latentlab.params import Params, ParamsError, Row, explain

__all__ = ["MODELS", "Autoencoder", "build", "check", "code_shape", "empty_weights"]

# the largest row of the study has 1.7 million weights; these take 400 MB
MOST_WEIGHTS = 100_000_000
MOST_LAYERS = 100
MOST_UNITS = 1_000_000

MODELS: dict[str, type[Autoencoder]] = {
    "strided_cae": StridedCAE,
    "mlp": MLP,
    "pooled_cae": PooledCAE,
    "conv_vae": ConvVAE,
    "conv_dense_ae": ConvDenseAE,
    "superres_ae": SuperresAE,
    "conv_bn_ae": ConvBnAE,
    "upsampled_cae": UpsampledCAE,
}


def build(row: Row, seed: int) -> Autoencoder:
    """The untrained model of a row, its weights drawn by `seed` without touching the global random state.

    Raises:
        ParamsError: The row does not fit its family; the message names the key.
    """
    arguments = _arguments(row)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # convolutions on a processor are faster with the channels last; the numbers of a dense layer do not change
        return MODELS[row.family](**arguments).to(memory_format=torch.channels_last)


def empty_weights(row: Row) -> dict[str, Tensor]:
    """The weights that a row's model will have, by name, as tensors that take no memory.

    Raises:
        ParamsError: The row does not fit its family, or there are more than `MOST_WEIGHTS`.
    """
    try:
        with torch.device("meta"):
            weights = build(row, 0).state_dict()
    except (ValueError, RuntimeError, TypeError, OverflowError) as error:
        raise ParamsError(f"the layers do not fit: {str(error).splitlines()[0]}") from None
    if (number := sum(weight.numel() for weight in weights.values())) > MOST_WEIGHTS:
        raise ParamsError(f"the model has {number:,} weights, and {MOST_WEIGHTS:,} are the most that one may have here")
    return weights


def code_shape(row: Row) -> torch.Size:
    """Shape of the code of one image, (D,) or (C, h, w), found with one blank image.

    Raises:
        ParamsError: The row does not fit its family, or its layers do not fit its images.
    """
    empty_weights(row)
    try:
        model = build(row, 0).eval()  # a forward pass without weights needs torch's compiler, a second of imports
        with torch.inference_mode():
            code: Tensor = model.encode(torch.zeros(1, 1, row.input_size, row.input_size))
            output = model.decode(code)
    except (ValueError, RuntimeError) as error:
        raise ParamsError(f"the layers do not fit: {str(error).splitlines()[0]}") from None
    if output.shape != (1, 1, 28, 28):
        raise ParamsError(f"the decoder gives images of {tuple(output.shape[1:])}, not (1, 28, 28)")
    return code.shape[1:]


def check(params: Params) -> None:
    """Checks every row against its family.

    Raises:
        ParamsError: One line per fault, each naming the row.
    """
    faults = []
    for name, row in params.variants.items():
        try:
            code_shape(row)
        except ParamsError as error:
            faults += [f"params.yaml: variants.{name}: {line}" for line in str(error).split("\n")]
    if faults:
        raise ParamsError("\n".join(faults))


def _arguments(row: Row) -> dict[str, Any]:
    """The row's own keys, checked against the signature of its family's constructor."""
    if row.family not in MODELS:
        raise ParamsError(f"family: {row.family!r} is unknown: choose from {', '.join(MODELS)}")
    signature = inspect.signature(MODELS[row.family])
    fields: dict[str, Any] = {name: (parameter.annotation, ...) for name, parameter in signature.parameters.items()}
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    schema = create_model(row.family, __config__=config, **fields)
    try:
        checked = schema.model_validate(row.architecture)
    except ValidationError as error:
        raise ParamsError(explain(error, "") + f"\nthe keys of {row.family} are {', '.join(fields)}") from None
    for name in fields:
        value = getattr(checked, name)
        values = value if isinstance(value, list) else [value]
        if len(values) > MOST_LAYERS:
            raise ParamsError(f"{name}: has {len(values):,} entries, and {MOST_LAYERS} are the most that it may have")
        for number in values:
            if isinstance(number, int) and number > MOST_UNITS:
                raise ParamsError(f"{name}: at most {MOST_UNITS:,} can be built, found {number}")
    return {name: getattr(checked, name) for name in fields}
