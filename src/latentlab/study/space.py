"""From a trial to a variant, and from a variant that is known already to the trial that would draw it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_origin

import optuna
import torch
from pydantic import ValidationError

from latentlab import paths
from latentlab.data.images import degrade
from latentlab.evaluation.complexity import num_macs, num_parameters
from latentlab.models import build
from latentlab.models.check import FAMILIES, code_shape, keys
from latentlab.params.datasets import Shape
from latentlab.params.project import Params
from latentlab.params.recipes import Training
from latentlab.params.strict import ParamsError, choices, explain
from latentlab.params.study import Dimension, Fixed, Range, StudySettings
from latentlab.params.variants import Variant
from latentlab.tracking.describe import with_dots

DEPTH = "depth"


@dataclass(frozen=True)
class Candidate:
    """What a trial is to train."""

    variant: Variant
    training: Training

    @property
    def content(self) -> dict[str, dict[str, Any]]:
        """All its numbers."""
        return {"variant": self.variant.model_dump(), "training": self.training.model_dump()}

    @property
    def configuration(self) -> str:
        """Equal for equal candidates: what tells that one has been trained before."""
        return json.dumps(self.content, sort_keys=True)


@dataclass(frozen=True)
class Sizes:
    """What is known of a candidate before it is trained: numbers in its code, parameters, MACs per image."""

    latent_dim: int
    num_parameters: int
    num_macs: int

    def objectives(self, settings: StudySettings) -> dict[str, int]:
        """The two objectives beside the error: "latent_dim", and "compute", which is whichever the study minimises."""
        compute = self.num_parameters if settings.compute == "parameters" else self.num_macs
        return {"latent_dim": self.latent_dim, "compute": compute}


def draw(trial: optuna.Trial, settings: StudySettings) -> Candidate:
    """The candidate of a trial.

    The trial's parameters are "family"; "FAMILY.KEY", or "FAMILY.KEY.0", "FAMILY.KEY.1", ... for the entries of a key that
    is a list; and the keys of the training as they are in the space.

    Raises:
        ParamsError: The keys do not make a variant; a layer that does not fit is found by `sizes`.
    """
    space = settings.space
    family = trial.suggest_categorical("family", list(space.families))
    dimensions = space.families[family]
    lists = _lists(family)
    depth = _suggest(trial, f"{family}.{DEPTH}", dimensions[DEPTH]) if lists else 0
    variant = {"source": settings.source, "training": "trial", "family": family, "downsampling": 1, "input_noise": None}
    for key, dimension in dimensions.items():
        if key in lists:
            variant[key] = [_suggest(trial, f"{family}.{key}.{index}", dimension) for index in range(depth)]
        elif key != DEPTH:
            variant[key] = _suggest(trial, f"{family}.{key}", dimension)
    chosen = {key: _suggest(trial, key, dimension) for key, dimension in space.training.items()}
    training = _with(settings.training, chosen)
    return Candidate(Variant.model_validate(variant), training)


def trial_of(project: Params, settings: StudySettings, name: str) -> dict[str, Any]:
    """The trial's parameters that would draw the architecture of a variant, trained as the study's `training` says.

    Raises:
        ParamsError: The variant lies outside of the space; the message says in which key.
    """
    variant = project.variant(name)
    where = f"{paths.STUDY_PARAMS}: study.known_variants: {name}"
    if variant.family not in settings.space.families:
        raise ParamsError(f"{where}: its family {variant.family!r} is not in study.space.families")
    lists = _lists(variant.family)
    values = variant.architecture | ({DEPTH: len(variant.architecture[lists[0]])} if lists else {})
    found: dict[str, Any] = {"family": variant.family}
    faults = []
    for key, dimension in settings.space.families[variant.family].items():
        entries = {f".{index}": entry for index, entry in enumerate(values[key])} if key in lists else {"": values[key]}
        if not all(_contains(dimension, entry) for entry in entries.values()):
            faults.append(f"{where}: {key} is {values[key]}, outside of the space: {_shown(dimension)}")
        if not isinstance(dimension, Fixed):
            found |= {f"{variant.family}.{key}{index}": entry for index, entry in entries.items()}
    if faults:
        raise ParamsError("\n".join(faults))
    base = with_dots(settings.training.model_dump())
    return found | {
        key: base[key] for key, dimension in settings.space.training.items() if not isinstance(dimension, Fixed)
    }


def sizes(variant: Variant, shape: Shape) -> Sizes:
    """The sizes of a variant for images of that shape.

    Raises:
        ParamsError: Its layers do not fit.
    """
    latent_dim = code_shape(variant, shape).numel()
    model = build(variant, shape, 0).eval()
    macs = num_macs(model, degrade(torch.zeros(1, *shape), variant.downsampling))
    return Sizes(latent_dim, num_parameters(model)["total"], macs["total"])


def check(project: Params, settings: StudySettings) -> None:
    """Checks the space against the families, the settings and the known variants.

    Raises:
        ParamsError: One line per fault.
    """
    if faults := list(_faults(settings)):
        raise ParamsError("\n".join(f"{paths.STUDY_PARAMS}: study.space.{fault}" for fault in faults))
    for name in settings.known_variants:
        trial_of(project, settings, name)


def _faults(settings: StudySettings) -> Iterator[str]:
    for family, dimensions in settings.space.families.items():
        where = f"families.{family}"
        if family not in FAMILIES:
            yield f"{where}: unknown family: {choices(FAMILIES)}"
            continue
        wanted = [*keys(family), *([DEPTH] if _lists(family) else [])]
        yield from (f"{where}: {key} is missing" for key in wanted if key not in dimensions)
        yield from (f"{where}.{key}: unknown key: {choices(wanted)}" for key in dimensions if key not in wanted)
        depth = dimensions.get(DEPTH, 1)
        lengths = depth if isinstance(depth, list) else [depth.low, depth.high] if isinstance(depth, Range) else [depth]
        if any(type(length) is not int or length < 1 for length in lengths):
            yield f"{where}.{DEPTH}: a whole number from 1 on is a depth, not {_shown(depth)}"
    base = with_dots(settings.training.model_dump())
    for key, dimension in settings.space.training.items():
        if key not in base:
            yield f"training.{key}: unknown key: {choices(base)}"
        elif not _contains(dimension, base[key]):
            yield f"training.{key}: study.training has {base[key]!r}, outside of the space: {_shown(dimension)}"


def _lists(family: str) -> list[str]:
    """The keys of a family that are lists, one entry per layer."""
    # Annotated[list[int], ...] has the list inside
    return [key for key, each in keys(family).items() if get_origin(getattr(each, "__origin__", each)) is list]


def _suggest(trial: optuna.Trial, name: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Range):
        if dimension.is_whole:
            low, high = int(dimension.low), int(dimension.high)
            return trial.suggest_int(name, low, high, step=dimension.step, log=dimension.log)
        return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    return trial.suggest_categorical(name, dimension) if isinstance(dimension, list) else dimension


def _contains(dimension: Dimension, value: Any) -> bool:
    if isinstance(dimension, Range):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not dimension.low <= value <= dimension.high:
            return False
        return not dimension.is_whole or (isinstance(value, int) and (value - int(dimension.low)) % dimension.step == 0)
    return value in dimension if isinstance(dimension, list) else value == dimension


def _shown(dimension: Dimension) -> str:
    if isinstance(dimension, Range):
        step = f" in steps of {dimension.step}" if dimension.step != 1 else ""
        return f"{dimension.low} to {dimension.high}{step}"
    return " or ".join(str(choice) for choice in dimension) if isinstance(dimension, list) else str(dimension)


def _with(training: Training, chosen: dict[str, Any]) -> Training:
    """Settings with other values for some keys with dots."""
    content = training.model_dump()
    for key, value in chosen.items():
        section, _, inner = key.rpartition(".")
        (content[section] if section else content)[inner] = value
    try:
        return Training.model_validate(content)
    except ValidationError as error:
        raise ParamsError(explain(error, f"{paths.STUDY_PARAMS}: study.space.training")) from None
