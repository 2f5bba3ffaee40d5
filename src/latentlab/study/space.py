"""From a trial to a row, and from a row that is known already to the trial that would draw it."""

import inspect
import json
from dataclasses import dataclass
from typing import Any, Protocol, get_origin

import torch
from pydantic import ValidationError

from latentlab import models
from latentlab.evaluation.complexity import num_macs, num_parameters
from latentlab.params import Params, ParamsError, Row, Training, explain
from latentlab.params.study import Dimension, Fixed, Range, StudySettings

DEPTH = "depth"


@dataclass(frozen=True)
class Candidate:
    """What a trial is to train."""

    row: Row
    training: Training

    @property
    def configuration(self) -> str:
        """Equal for equal candidates: what tells that one has been trained before."""
        return json.dumps([self.row.model_dump(), self.training.model_dump()], sort_keys=True)


@dataclass(frozen=True)
class Sizes:
    """What is known of a candidate before it is trained: numbers in its code, parameters, MACs per image."""

    code_size: int
    num_parameters: int
    num_macs: int

    def compute(self, settings: StudySettings) -> int:
        """The one of the two that the study minimises."""
        return self.num_parameters if settings.compute == "parameters" else self.num_macs

    def objectives(self, settings: StudySettings) -> tuple[float, float]:
        """The two objectives beside the error: code size and compute."""
        return float(self.code_size), float(self.compute(settings))


class Draw(Protocol):
    """What a trial draws from; `optuna.Trial` is one."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any: ...  # noqa: D102
    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...  # noqa: D102
    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...  # noqa: D102


def draw(trial: Draw, settings: StudySettings) -> Candidate:
    """The candidate of a trial.

    The trial's parameters are "family"; "FAMILY.KEY", or "FAMILY.KEY.0", "FAMILY.KEY.1", ... for the entries of a key that
    is a list; and the keys of the training as they are in the space.

    Raises:
        ParamsError: The row's keys do not make a row; a layer that does not fit is found by `sizes`.
    """
    space = settings.space
    family = trial.suggest_categorical("family", list(space.families))
    dimensions = space.families[family]
    lists = _lists(family)
    depth = _suggest(trial, f"{family}.{DEPTH}", dimensions[DEPTH]) if lists else 0
    architecture: dict[str, Any] = {}
    for key, dimension in dimensions.items():
        if key in lists:
            architecture[key] = [_suggest(trial, f"{family}.{key}.{index}", dimension) for index in range(depth)]
        elif key != DEPTH:
            architecture[key] = _suggest(trial, f"{family}.{key}", dimension)
    chosen = {key: _suggest(trial, key, dimension) for key, dimension in space.training.items()}
    training = _with(settings.training, chosen)
    return Candidate(_row(settings, family, architecture), training)


def trial_of(project: Params, name: str) -> dict[str, Any]:
    """The trial's parameters that would draw the architecture of a row, trained as the study's `training` says.

    Raises:
        ParamsError: The row lies outside of the space; the message says in which key.
    """
    settings, row = project.study, project.row(name)
    where = f"params.yaml: study.known_rows: {name}"
    if row.family not in settings.space.families:
        raise ParamsError(f"{where}: its family {row.family!r} is not in study.space.families")
    found: dict[str, Any] = {"family": row.family}
    dimensions = settings.space.families[row.family]
    lists = _lists(row.family)
    values = dict(row.architecture)
    if lists:
        values[DEPTH] = len(row.architecture[lists[0]])
    faults = []
    for key, dimension in dimensions.items():
        entries = enumerate(values[key]) if key in lists else [(None, values[key])]
        for index, value in entries:
            if not _contains(dimension, value):
                faults.append(f"{where}: {key} is {values[key]}, outside of the space: {_shown(dimension)}")
                break
            if not isinstance(dimension, Fixed):
                found[f"{row.family}.{key}" + ("" if index is None else f".{index}")] = value
    if faults:
        raise ParamsError("\n".join(faults))
    base = _flat(settings.training.model_dump())
    return found | {
        key: base[key] for key, dimension in settings.space.training.items() if not isinstance(dimension, Fixed)
    }


def sizes(row: Row) -> Sizes:
    """The sizes of a row.

    Raises:
        ParamsError: Its layers do not fit.
    """
    code_size = models.code_shape(row).numel()
    model = models.build(row, 0).eval()
    macs = num_macs(model, torch.zeros(1, 1, row.input_size, row.input_size))
    return Sizes(code_size, num_parameters(model)["total"], macs["total"])


def check(project: Params) -> None:
    """Checks the space against the families, the settings and the known rows.

    Raises:
        ParamsError: One line per fault.
    """
    settings = project.study
    faults = []
    for family, dimensions in settings.space.families.items():
        where = f"params.yaml: study.space.families.{family}"
        if family not in models.MODELS:
            faults.append(f"{where}: unknown family: choose from {', '.join(models.MODELS)}")
            continue
        wanted = [*inspect.signature(models.MODELS[family]).parameters, *([DEPTH] if _lists(family) else [])]
        faults += [f"{where}: {key} is missing" for key in wanted if key not in dimensions]
        faults += [
            f"{where}.{key}: unknown key: choose from {', '.join(wanted)}" for key in dimensions if key not in wanted
        ]
        depth = dimensions.get(DEPTH, 1)
        lengths = depth if isinstance(depth, list) else [depth.low, depth.high] if isinstance(depth, Range) else [depth]
        if any(type(length) is not int or length < 1 for length in lengths):
            faults.append(f"{where}.{DEPTH}: a whole number from 1 on is a depth, not {_shown(depth)}")
    base = _flat(settings.training.model_dump())
    for key, dimension in settings.space.training.items():
        where = f"params.yaml: study.space.training.{key}"
        if key not in base:
            faults.append(f"{where}: unknown key: choose from {', '.join(base)}")
        elif not _contains(dimension, base[key]):
            faults.append(f"{where}: study.training has {base[key]!r}, outside of the space: {_shown(dimension)}")
    if not faults:
        for name in settings.known_rows:
            try:
                trial_of(project, name)
            except ParamsError as error:
                faults += str(error).split("\n")
    if faults:
        raise ParamsError("\n".join(faults))


def _lists(family: str) -> list[str]:
    """The keys of a family that are lists, one entry per layer."""
    parameters = inspect.signature(models.MODELS[family]).parameters
    return [key for key, parameter in parameters.items() if _is_list(parameter.annotation)]


def _is_list(annotation: Any) -> bool:
    # Annotated[list[int], ...] has the list inside
    return get_origin(getattr(annotation, "__origin__", annotation)) is list


def _row(settings: StudySettings, family: str, architecture: dict[str, Any]) -> Row:
    given = {"source": settings.source, "training": "trial", "family": family, "input_size": 28, "input_noise": None}
    return Row.model_validate(given | architecture)


def _suggest(trial: Draw, name: str, dimension: Dimension) -> Any:
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


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by their keys with dots."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": number for inner, number in value.items()}
        else:
            flat[key] = value
    return flat


def _with(training: Training, chosen: dict[str, Any]) -> Training:
    """Settings with other values for some keys with dots."""
    content = training.model_dump()
    for key, value in chosen.items():
        section, _, inner = key.rpartition(".")
        (content[section] if section else content)[inner] = value
    try:
        return Training.model_validate(content)
    except ValidationError as error:
        raise ParamsError(explain(error, "params.yaml: study.space.training")) from None
