"""The model families, and how a variant becomes a model."""

from importlib import import_module

import torch

from latentlab.models.accelerate import accelerate
from latentlab.models.base import Autoencoder
from latentlab.params.datasets import Shape
from latentlab.params.variants import Variant

__all__ = ["Autoencoder", "build", "family"]


def family(name: str) -> type[Autoencoder]:
    """The class of a family: the one model that the module of that name defines. No other family is imported."""
    module = import_module(f"latentlab.models.{name}")
    [kind] = (
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Autoencoder) and each.__module__ == module.__name__
    )
    return kind


def build(variant: Variant, shape: Shape, seed: int) -> Autoencoder:
    """The untrained model of a variant for images of a shape.

    Its weights are drawn by `seed` without touching the global random state. Its layers are
    those of `latentlab.models.accelerate`. Whether the variant fits its family is for `latentlab.models.check` to say.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = family(variant.family)(shape, **variant.architecture)
    # convolutions on a processor are faster with the channels last; the numbers of a dense layer do not change
    return accelerate(model.to(memory_format=torch.channels_last))
