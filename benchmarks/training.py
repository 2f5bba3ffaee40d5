"""A training that is timed: what is trained, and how our loop does it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from latentlab import paths
from latentlab.data import images
from latentlab.data.images import Images, Splits
from latentlab.params import project
from latentlab.params.recipes import Recipe, Training
from latentlab.params.variants import Variant
from latentlab.training import devices
from latentlab.training.run import begin

Records = list[dict[str, float]]
NUM_VALIDATION = 256  # where only the training is timed

# each process reads them once
project_here = cache(project.load)


@cache
def data_of(dataset: str) -> Splits:
    """The images of a data set."""
    return images.load(paths.data(dataset), project_here().datasets[dataset].split)


@dataclass(frozen=True)
class Job:
    """A training, which any process can do; numbers that are None are those of the split and the recipe."""

    name: str
    recipe: Recipe
    dataset: str
    device: str
    num_images: int | None = None
    num_validation: int | None = None
    epochs: int | None = None
    seed: int = 0

    @property
    def variant(self) -> Variant:
        """What is trained."""
        return project_here().variant(self.name)

    @property
    def training(self) -> Training:
        """How."""
        settings = project_here().training_of(self.name, self.recipe)
        return settings.model_copy(update={"epochs": self.epochs or settings.epochs})

    @property
    def data(self) -> Splits:
        """On what."""
        whole = data_of(self.dataset)
        return Splits(
            first(whole.train, self.num_images), first(whole.validation, self.num_validation), whole.test, whole.classes
        )


class Silent:
    """Nobody watches."""

    def update(self, n: float) -> None:
        """Shows nothing."""


def first(part: Images, number: int | None) -> Images:
    """The first images of a part; all if there are fewer, or for None."""
    return part.chosen(slice(number))


def records_of(job: Job) -> Iterator[dict[str, float]]:
    """Trains as the stage `train` does; the records of `latentlab.training.loop.fit`."""
    _, records = begin(job.variant, job.training, job.data, job.seed, devices.resolve(job.device), Silent())
    return records


def ours(job: Job) -> Records:
    """For each epoch "seconds" of the training alone, "validation_loss" and "validation_mse"."""
    return [
        {"seconds": record["epoch_seconds"]} | {key: record[key] for key in ("validation_loss", "validation_mse")}
        for record in records_of(job)
    ]
