"""Does a variant fit its model family?"""

import inspect
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from pydantic import ConfigDict, ValidationError, create_model
from torch import Tensor

from latentlab.data.images import degrade
from latentlab.models import Autoencoder, build, family
from latentlab.params.datasets import Shape
from latentlab.params.strict import ParamsError, choices, explain
from latentlab.params.variants import Variant

FAMILIES = (
    "strided_cae", "mlp", "pooled_cae", "conv_vae", "conv_dense_ae", "superres_ae", "conv_bn_ae", "upsampled_cae",
    "binary_vae", "silu_ae",
)  # fmt: skip

# the largest variant of the project has 1.7 million weights; these take 400 MB
MOST_WEIGHTS = 100_000_000
MOST_LAYERS = 100
MOST_UNITS = 1_000_000


def check(variants: Mapping[str, Variant], shapes: Mapping[str, Shape]) -> None:
    """Checks the variants of params.yaml, by name, against their families, for the images of data sets, by name.

    Raises:
        ParamsError: One line per fault, each naming the variant.
    """
    faults = []
    for name, variant in variants.items():
        for dataset, shape in shapes.items():
            try:
                code_shape(variant, shape)
            except ParamsError as error:
                of = f" on {dataset}" if len(shapes) > 1 else ""
                faults += [f"params.yaml: variants.{name}{of}: {line}" for line in str(error).split("\n")]
    if faults:
        raise ParamsError("\n".join(faults))


def code_shape(variant: Variant, shape: Shape) -> torch.Size:
    """Shape of the code of one image of that shape, (D,) or (c, h, w).

    Raises:
        ParamsError: The variant does not fit its family, or its layers do not fit its images.
    """
    empty_weights(variant, shape)
    return measure_code(build(variant, shape, 0).eval(), variant, shape)


def measure_code(model: Autoencoder, variant: Variant, shape: Shape) -> torch.Size:
    """Shape of the code that a model in evaluation mode gives for one blank image.

    Raises:
        ParamsError: Its layers do not fit its images.
    """
    try:
        with torch.inference_mode():  # a forward pass without weights needs torch's compiler, a second of imports
            code: Tensor = model.encode(degrade(torch.zeros(1, *shape), variant.downsampling))
            output = model.decode(code)
    except (ValueError, RuntimeError) as error:
        raise ParamsError(f"the layers do not fit: {str(error).splitlines()[0]}") from None
    if output.shape[1:] != shape:
        raise ParamsError(f"the decoder gives images of {tuple(output.shape[1:])}, not {shape}")
    return code.shape[1:]


def empty_weights(variant: Variant, shape: Shape) -> dict[str, Tensor]:
    """The weights that a variant's model will have, by name, as tensors that take no memory.

    Raises:
        ParamsError: The variant does not fit its family, or there are more than `MOST_WEIGHTS`.
    """
    _check_keys(variant)
    try:
        with torch.device("meta"):
            weights = build(variant, shape, 0).state_dict()
    except (ValueError, RuntimeError, TypeError, OverflowError) as error:
        raise ParamsError(f"the layers do not fit: {str(error).splitlines()[0]}") from None
    if (number := sum(weight.numel() for weight in weights.values())) > MOST_WEIGHTS:
        raise ParamsError(f"the model has {number:,} weights, and {MOST_WEIGHTS:,} are the most that one may have here")
    return weights


def keys(family_name: str) -> dict[str, Any]:
    """The keys of a family's variants with their types: what its constructor takes beside the shape of the images."""
    parameters = inspect.signature(family(family_name)).parameters
    return {name: parameter.annotation for name, parameter in islice(parameters.items(), 1, None)}


def _check_keys(variant: Variant) -> None:
    """Checks the variant's own keys against the signature of its family's constructor."""
    if variant.family not in FAMILIES:
        raise ParamsError(f"family: {variant.family!r} is unknown: {choices(FAMILIES)}")
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in keys(variant.family).items()}
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    schema = create_model(variant.family, __config__=config, **fields)
    try:
        schema.model_validate(variant.architecture)
    except ValidationError as error:
        raise ParamsError(explain(error, "") + f"\nthe keys of {variant.family} are {', '.join(fields)}") from None
    for name, value in variant.architecture.items():
        values = value if isinstance(value, list) else [value]
        if len(values) > MOST_LAYERS:
            raise ParamsError(f"{name}: has {len(values):,} entries, and {MOST_LAYERS} are the most that it may have")
        for number in values:
            if isinstance(number, int) and number > MOST_UNITS:
                raise ParamsError(f"{name}: at most {MOST_UNITS:,} can be built, found {number}")
