"""What stands in params.yaml many times: rows, baselines, published figures, experiments; and the data they are about."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, model_validator

from latentlab.params.section import Name, Section, Seed
from latentlab.params.training import Training

NUM_TRAINING_IMAGES = 60_000
NUM_TEST_IMAGES = 10_000

Recipe = Literal["fast", "published"]
# of which the split takes some of each digit
Images = Annotated[int, Field(ge=10)]


class Data(Section):
    """Where MNIST comes from."""

    source: str | None
    timeout_seconds: PositiveFloat


class Split(Section):
    """Numbers of images: training and validation from the 60,000, test from the 10,000."""

    seed: Seed
    train: Images
    validation: Images
    test: Images

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.train + self.validation > NUM_TRAINING_IMAGES:
            raise ValueError(
                f"train + validation is {self.train + self.validation}, and MNIST has {NUM_TRAINING_IMAGES} training images"
            )
        if self.test > NUM_TEST_IMAGES:
            raise ValueError(f"test is {self.test}, and MNIST has {NUM_TEST_IMAGES} test images")
        return self


class Row(BaseModel):
    """One row of the experiment table; the keys that are not named here are the model's own (`architecture`)."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    source: str
    training: str
    family: str
    input_size: int = Field(ge=1, le=28)
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
    """A baseline beside the rows: PCA with that many components, or the raw pixels (`null`)."""

    num_components: Annotated[int, Field(ge=1, le=784)] | None


class Published(Section):
    """Figures that a source publishes for a row; `null` where it gives none. Losses are per pixel."""

    test_mse: PositiveFloat | None = None
    test_bce: PositiveFloat | None = None
    train_loss: PositiveFloat | None = None
    svm_rbf_accuracy: float | None = Field(default=None, gt=0, le=1)


class Experiment(Section):
    """One comparison of the sources: rows that differ in one factor."""

    title: str
    rows: list[str] = Field(min_length=2)


class Found(Section):
    """Rows that the trade-off study has found, with their settings, recipes and seeds."""

    recipes: list[Recipe]
    seeds: list[Seed]
    variants: dict[Name, Row]
    training: dict[Name, Training]


class FoundFile(Section):
    """All of found.yaml."""

    found: Found
