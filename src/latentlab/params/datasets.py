"""Data sets: what their images are, where they come from, and how they are split."""

from abc import abstractmethod
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from latentlab.params.strict import Section, Seed

# channels, height and width of an image
Shape = tuple[int, int, int]
Fit = Literal["crop", "pad", "stretch"]
Share = Annotated[float, Field(gt=0, lt=1)]
# of a part of the split, which takes some of each class
Count = Annotated[int, Field(ge=10)]

# of the official data sets: images for training, images for testing
OFFICIAL = {
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "kmnist": (60_000, 10_000),
    "qmnist": (60_000, 60_000),
    "emnist_balanced": (112_800, 18_800),
    "emnist_letters": (124_800, 20_800),
}
# and their classes; those that are not named have ten
NUM_CLASSES = {"emnist_balanced": 47, "emnist_letters": 26}


# kinds whose classes are the ten digits
DIGITS = ("mnist", "qmnist", "digits")


class _Dataset(Section):
    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Channels, height and width of an image."""

    def num_passes(self, num_training_images: int) -> int:  # noqa: ARG002
        """How often an epoch goes through the training images."""
        return 1

    def form(self) -> dict[str, Any]:
        """What determines the images, but for their pixels and how they are split."""
        return self.model_dump(exclude={"source", "timeout_seconds", "split", "epoch_images"}) | {"shape": list(self.shape)}


class Split(Section):
    """Numbers of images: training and validation from the official training images, test from the official test images."""

    seed: Seed
    train: Count
    validation: Count
    test: Count


class Shares(Section):
    """Shares of all images; what is left is for training. Of images that come in two parts the test part stays as it is."""

    seed: Seed
    validation: Share
    test: Share

    @model_validator(mode="after")
    def _leave_some(self) -> Self:
        if self.validation + self.test > 0.9:
            raise ValueError(f"validation + test is {self.validation + self.test:g}: leave at least 0.1 for training")
        return self


class Official(_Dataset):
    """MNIST, or a data set of its form: grey images of 28x28.

    `source` is a folder or a mirror that is tried first, `timeout_seconds` how long it may say nothing before the next one
    is tried.
    """

    kind: Literal["mnist", "fashion_mnist", "kmnist", "qmnist", "emnist_balanced", "emnist_letters"]
    source: str | None
    timeout_seconds: PositiveFloat
    split: Split

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for what, count, most in (
            ("train + validation", self.split.train + self.split.validation, OFFICIAL[self.kind][0]),
            ("test", self.split.test, OFFICIAL[self.kind][1]),
        ):
            if count > most:
                raise ValueError(f"split: {what} is {count}, and {self.kind} has {most} images for that")
        # of each class some images go into each part, and into what is left over
        least, left = NUM_CLASSES.get(self.kind, 10), OFFICIAL[self.kind][0] - self.split.train - self.split.validation
        for what, count in (("train", self.split.train), ("validation", self.split.validation)):
            if count < least:
                raise ValueError(
                    f"split: {what} is {count}, and {self.kind} has {least} classes: it has to be {least} or more"
                )
        if 0 < left < least:
            raise ValueError(
                f"split: train + validation leave {left} of {OFFICIAL[self.kind][0]} images, and {self.kind} has {least} "
                f"classes: leave none, or {least} or more"
            )
        return self

    @property
    def shape(self) -> Shape:  # noqa: D102
        return 1, 28, 28


class _Small(_Dataset):
    """A data set that is split by shares.

    An epoch goes through its training images as often as it takes to see `epoch_images`, so that the recipes, which count
    epochs of MNIST's 55,000 images, train long enough on a small one.
    """

    split: Shares
    epoch_images: Annotated[int, Field(ge=1, le=10_000_000)]

    def num_passes(self, num_training_images: int) -> int:
        return max(1, round(self.epoch_images / num_training_images))


class _Own(_Small):
    """What the images of a user are made to be: square, `size` pixels wide, with 1 (grey) or 3 (colour) channels."""

    size: Annotated[int, Field(ge=16, le=64)]
    channels: Literal[1, 3]

    @property
    def shape(self) -> Shape:
        return self.channels, self.size, self.size


class Pictures(_Own):
    """A folder of picture files, `data/sources/NAME`; folders in it are classes.

    `fit` says how a picture that is not square is made to fit: its middle is cut out, black is put beside it, or it is
    squeezed.
    """

    kind: Literal["folder"]
    fit: Fit


class Arrays(_Own):
    """NumPy files in the folder `data/sources/NAME`."""

    kind: Literal["arrays"]


class Digits(_Small):
    """The handwritten digits that scikit-learn brings along, 8x8 made 16x16; they need no download."""

    kind: Literal["digits"]

    @property
    def shape(self) -> Shape:  # noqa: D102
        return 1, 16, 16


Dataset = Annotated[Official | Pictures | Arrays | Digits, Field(discriminator="kind")]
