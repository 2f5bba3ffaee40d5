"""What stands in params.yaml many times: variants, baselines, published figures, comparisons."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, model_validator

from latentlab.params.recipes import Recipe, Training
from latentlab.params.strict import Count, Name, Section, Seed


class Variant(BaseModel):
    """A model family with its numbers; the keys that are not named here are the family's own (`architecture`)."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    source: str
    training: str
    family: str
    downsampling: Literal[1, 2]
    input_noise: Annotated[list[NonNegativeFloat], Field(min_length=2, max_length=2)] | None

    @model_validator(mode="after")
    def _noise_is_a_range(self) -> Self:
        if self.input_noise and self.input_noise[0] > self.input_noise[1]:
            raise ValueError(f"input_noise: the first sigma is above the second: {self.input_noise}")
        return self

    @property
    def architecture(self) -> dict[str, Any]:
        """The keyword arguments of the family's constructor."""
        return dict(self.model_extra or {})


class Baseline(Section):
    """PCA with that many components."""

    num_components: Count


class Published(Section):
    """Figures that a source publishes for a variant; `null` where it gives none. Losses are per pixel."""

    test_mse: PositiveFloat | None = None
    test_bce: PositiveFloat | None = None
    train_loss: PositiveFloat | None = None
    svm_rbf_accuracy: float | None = Field(default=None, gt=0, le=1)


class Comparison(Section):
    """One comparison of the sources: variants that differ in one factor."""

    title: str
    variants: list[str] = Field(min_length=2)


class Found(Section):
    """Variants that the trade-off study has found, with their settings, recipes and seeds."""

    recipes: list[Recipe]
    seeds: list[Seed]
    variants: dict[Name, Variant]
    training: dict[Name, Training]
