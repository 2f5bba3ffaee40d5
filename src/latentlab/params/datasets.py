"""Data sets: where their images come from, and how they are split."""

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, model_validator

from latentlab.params.strict import Section, Seed

NUM_TRAINING_IMAGES = 60_000
NUM_TEST_IMAGES = 10_000

# of which the split takes some of each class
Images = Annotated[int, Field(ge=10)]


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


class Dataset(Section):
    """A data set.

    `source` is a folder or a mirror that is tried first, `timeout_seconds` how long it may say nothing before the next one
    is tried.
    """

    source: str | None
    timeout_seconds: PositiveFloat
    split: Split
