"""How a variant is trained: optimiser and schedule of a recipe."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from latentlab.params.strict import Count, Section

Recipe = Literal["fast", "published"]


class Adam(Section):
    """Adam (Kingma and Ba 2015); the weight decay is the L2 penalty of `torch.optim.Adam`."""

    name: Literal["adam"]
    lr: PositiveFloat
    weight_decay: NonNegativeFloat


class Muon(Section):
    """Muon for matrices and kernels, AdamW at `adamw_lr` for biases and norms; see `latentlab.training.optim`."""

    name: Literal["muon"]
    lr: PositiveFloat
    momentum: float = Field(ge=0, lt=1)
    newton_schulz_steps: Annotated[int, Field(ge=1, le=10)]
    block: Count
    adamw_lr: PositiveFloat


class Constant(Section):
    """The learning rate stays as it is."""

    name: Literal["constant"]


class Cosine(Section):
    """Linear warm-up over `warmup_fraction` of all steps, then half a cosine down to zero."""

    name: Literal["cosine"]
    warmup_fraction: float = Field(ge=0, lt=1)


class Plateau(Section):
    """`torch.optim.lr_scheduler.ReduceLROnPlateau`, stepped once per epoch on the monitored loss."""

    name: Literal["plateau"]
    monitor: Literal["train_loss", "validation_loss"]
    factor: float = Field(gt=0, lt=1)
    patience: int = Field(ge=0, le=1_000_000)
    threshold: NonNegativeFloat


class Training(Section):
    """How a variant is trained under one recipe.

    "bfloat16" is for convolutions and matrix products, and where the processor computes it itself; elsewhere it is float32.
    """

    epochs: Count
    batch_size: Count
    precision: Literal["float32", "bfloat16"]
    optimizer: Annotated[Adam | Muon, Field(discriminator="name")]
    schedule: Annotated[Constant | Cosine | Plateau, Field(discriminator="name")]
