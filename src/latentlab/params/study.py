"""All of study/params.yaml: what may vary, what is minimised, within which bounds, and how long it may take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, PositiveFloat, Tag, model_validator

from latentlab import paths
from latentlab.params.project import Params
from latentlab.params.recipes import Training
from latentlab.params.strict import Count, Name, ParamsError, Section, Seed, checked, choices, read_yaml

Number = Annotated[int, Field(ge=-(10**12), le=10**12)] | float
# parameters, or multiply-accumulates
Compute = Annotated[int, Field(ge=1, le=10**15)]


class Range(Section):
    """Numbers from `low` to `high`, both included: whole ones if both are whole, else any, on a log scale if asked for."""

    low: Number
    high: Number
    step: Count = 1
    log: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"the range is empty: low {self.low} is above high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range starts above 0, not at {self.low}")
        if self.step != 1 and (self.log or not self.is_whole):
            raise ValueError("a step goes with a range of whole numbers that is not logarithmic")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)


def _kind_of_dimension(value: Any) -> str:
    if isinstance(value, (dict, Range)):
        return "range"
    return "choices" if isinstance(value, list) else "fixed"


# what a key of a variant may be: one of a list, a number of a range, or always the same
Fixed = bool | int | float | str
Dimension = Annotated[
    Annotated[Range, Tag("range")]
    | Annotated[list[Fixed], Field(min_length=1), Tag("choices")]
    | Annotated[Fixed, Tag("fixed")],
    Discriminator(_kind_of_dimension),
]


class Space(Section):
    """What may vary.

    `families`: for each family that may be drawn its keys, and `depth`, the length of those that are lists, whose dimension
    is for each of their entries. `training`: keys of the trials' settings, with dots: "optimizer.lr".
    """

    families: dict[str, dict[str, Dimension]] = Field(min_length=1)
    training: dict[str, Dimension]


class Bounds(Section):
    """What a trial must not exceed; `null` is no bound. `num_macs`, of an image, is what its training takes time for."""

    validation_mse: PositiveFloat | None
    latent_dim: Count | None
    num_parameters: Compute | None
    num_macs: Compute | None


class ReferencePoint(Section):
    """The corner from which the hypervolume is measured; what is worse than it in anything adds nothing."""

    validation_mse: PositiveFloat
    latent_dim: Count
    compute: Compute


class Halving(Section):
    """Successive halving: after `first_epoch` epochs, `factor` times as many, and so on, about one in `factor` goes on.

    The first `num_spared` trials that get there are never stopped there. See `latentlab.study.front.goes_on`.
    """

    first_epoch: Count
    factor: int = Field(ge=2, le=1_000_000)
    num_spared: int = Field(ge=0, le=1_000_000)


class Knee(Section):
    """The trial of the front that is nearest to the best of everything; see `latentlab.study.front`."""

    rule: Literal["knee"]


class Smallest(Section):
    """The smallest code, and of these the least compute, whose validation error is within the bound."""

    rule: Literal["smallest"]
    validation_mse: PositiveFloat


class LowestError(Section):
    """The lowest validation error whose code and compute are within the bounds."""

    rule: Literal["lowest_error"]
    latent_dim: Count
    compute: Compute


class LeastCompute(Section):
    """The least compute whose validation error and code are within the bounds."""

    rule: Literal["least_compute"]
    validation_mse: PositiveFloat
    latent_dim: Count


Rule = Annotated[Knee | Smallest | LowestError | LeastCompute, Field(discriminator="rule")]


class Final(Section):
    """How the winners are trained: as their trials were, but for so many epochs, once per seed."""

    epochs: Count
    seeds: list[Seed] = Field(min_length=1)


class StudySettings(Section):
    """The study.

    `seed` is of the sampler and of the trainings. `num_trials` counts those that were trained, by however many workers. A
    trial whose worker says nothing for `stale_after_seconds` counts as lost and is tried again. `source` is that of the
    winners, `known_variants` are tried first, and `reference` is the variant to beat. `champion` is the winner that is
    registered.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)
    storage: str = Field(min_length=1)
    seed: Seed
    sampler: Literal["tpe", "nsga2", "random"]
    num_trials: Count
    stale_after_seconds: PositiveFloat
    source: str
    compute: Literal["parameters", "macs"]
    space: Space
    training: Training
    known_variants: list[str]
    reference: str
    bounds: Bounds
    halving: Halving | None
    reference_point: ReferencePoint
    winners: dict[Name, Rule] = Field(min_length=1)
    champion: Name
    final: Final

    def reference_run(self, project: Params) -> paths.Run:
        """The run of the reference that is registered: the first of the selected data sets, recipes and seeds."""
        return paths.Run(self.reference, project.run.datasets[0], project.run.recipes[0], project.run.seeds[0])


class _File(Section):
    study: StudySettings


def load(root: Path, project: Params) -> StudySettings:
    """Reads and checks study/params.yaml.

    Args:
        root: The project's folder.
        project: What its names refer to.

    Raises:
        ParamsError: It is missing, is no YAML, or something in it is wrong. What only the model families can check is for
            `latentlab.study.space.check`.
    """
    path = root / paths.STUDY_PARAMS
    settings = checked(_File, read_yaml(path), path).study
    if faults := list(_faults(settings, project)):
        raise ParamsError("\n".join(f"{path}: study.{fault}" for fault in faults))
    return settings


def _faults(settings: StudySettings, project: Params) -> Iterator[str]:
    if settings.source not in project.sources:
        yield f"source: {settings.source!r} is not in sources: {choices(project.sources)}"
    variants = project.variants.keys() - project.found.variants.keys()
    for key, names in (("known_variants", settings.known_variants), ("reference", [settings.reference])):
        for name in names:
            if name not in variants:
                yield f"{key}: {name!r} is not in variants: {choices(sorted(variants))}"
    for name in settings.winners:
        if name in project.baselines or name in variants:
            yield f"winners.{name}: a variant or a baseline has that name"
    if settings.champion not in settings.winners:
        yield f"champion: {settings.champion!r} is not in winners: {choices(settings.winners)}"
