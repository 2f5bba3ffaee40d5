"""One trial: draw a row, look at its size, train it, stop it early if others are better."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import optuna
import torch
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from latentlab import devices, models, training
from latentlab.params import Params, ParamsError
from latentlab.processes import process_tags
from latentlab.study import space, trials
from latentlab.study.halving import goes_on, rungs
from latentlab.study.space import Candidate, Sizes
from latentlab.study.trials import Reason


class Live(Protocol):
    """What is told of a trial's training, epoch by epoch."""

    def log_epoch(self, record: dict[str, float]) -> None: ...  # noqa: D102
    def log_end(self, state: str, values: dict[str, float]) -> None: ...  # noqa: D102


OBJECTIVES = ("validation_mse", "code_size", "compute")

Tracker = Callable[[int, Candidate, Sizes], AbstractContextManager[Live]]


@dataclass(frozen=True)
class Task:
    """What all trials of a study share: images on the device, (N, 1, 28, 28), and who is told of each training."""

    project: Params
    train: Tensor
    validation: Tensor
    device: torch.device
    track: Tracker


class _NoProgress:
    def update(self, n: float) -> None:
        """The parent process shows the progress of all workers."""


def run(study: optuna.Study, trial: optuna.Trial, task: Task) -> None:
    """Runs a trial that was just asked for, and tells the study what came of it.

    A trial that is told to stop (an exception that is no error: Ctrl-C, SIGTERM) ends as failed, and is put into the queue
    again before the exception goes on.
    """
    settings = task.project.study
    try:
        trial.set_user_attr("process", process_tags())  # at once: another worker may look at any moment
        candidate = _candidate(trial, task.project)
        sizes = _checked_sizes(trial, candidate, task.project) if candidate else None
        if candidate is None or sizes is None:
            study.tell(trial, state=TrialState.PRUNED)
            return
        twin = trials.twin(study.get_trials(deepcopy=False), trial.number, candidate.configuration)
        if twin is not None:
            _repeat(study, trial, twin)
            return
        with task.track(trial.number, candidate, sizes) as live:
            errors = []
            for error in _errors(candidate, task, live):
                errors.append(error)
                trial.set_user_attr("errors", errors)
                if not _goes_on(study, trial, errors, candidate, sizes, task.project):
                    trial.set_user_attr("reason", Reason.HALVING)
                    break
            values = (errors[-1], *sizes.objectives(settings))
            stopped = len(errors) < candidate.training.epochs
            live.log_end("stopped early" if stopped else "finished", dict(zip(OBJECTIVES, values, strict=True)))
        if not stopped and settings.bounds.validation_mse is not None:
            trial.set_constraint("validation_mse", values[0] / settings.bounds.validation_mse - 1)
        if stopped:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, values)
    except training.TrainingError:
        trial.set_user_attr("reason", Reason.LOSS)
        study.tell(trial, state=TrialState.FAIL)
    except BaseException as error:
        study.tell(trial, state=TrialState.FAIL)
        if not isinstance(error, Exception):
            trials.try_again(study, study.get_trials(deepcopy=False)[trial.number], most=None)
        raise


def _candidate(trial: optuna.Trial, project: Params) -> Candidate | None:
    """What the trial is to train; None, and the reason is noted, if its numbers do not make a row."""
    try:
        candidate = space.draw(trial, project.study)
    except ParamsError as error:
        _untrained(trial, Reason.SHAPE, str(error))
        return None
    trial.set_user_attr("row", candidate.row.model_dump())
    trial.set_user_attr("training", candidate.training.model_dump())
    trial.set_user_attr("configuration", candidate.configuration)
    return candidate


def _checked_sizes(trial: optuna.Trial, candidate: Candidate, project: Params) -> Sizes | None:
    """Its sizes; None, and the reason is noted, if its layers do not fit or it is above a bound."""
    try:
        sizes = space.sizes(candidate.row)
    except ParamsError as error:
        _untrained(trial, Reason.SHAPE, str(error))
        return None
    for name in ("code_size", "num_parameters", "num_macs"):
        trial.set_user_attr(name, getattr(sizes, name))
    excesses = excess(sizes, project)
    for name, value in excesses.items():
        trial.set_constraint(name, value)
    if any(value > 0 for value in excesses.values()):
        above = ", ".join(name for name, value in excesses.items() if value > 0)
        _untrained(trial, Reason.BOUNDS, f"above the bound of {above}")
        return None
    return sizes


def excess(sizes: Sizes, project: Params) -> dict[str, float]:
    """How far the sizes are above each bound there is, as a share of it; 0 or less is within."""
    settings = project.study
    found = {"code_size": sizes.code_size, "compute": sizes.compute(settings)}
    bounds = {name: getattr(settings.bounds, name) for name in found}
    return {name: found[name] / bound - 1 for name, bound in bounds.items() if bound is not None}


def _untrained(trial: optuna.Trial, reason: Reason, why: str) -> None:
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("why", why)


def _repeat(study: optuna.Study, trial: optuna.Trial, twin: FrozenTrial) -> None:
    """Tells the study what came of the equal trial before, or nothing if that one is still under way."""
    trial.set_user_attr("reason", Reason.REPEATED)
    trial.set_user_attr("same_as", twin.number)
    if twin.state == TrialState.COMPLETE:
        for name, value in twin.constraints.items():
            trial.set_constraint(name, value)
        study.tell(trial, twin.values)
    else:
        study.tell(trial, state=TrialState.PRUNED)


def _errors(candidate: Candidate, task: Task, live: Live) -> Iterator[float]:
    """Validation error after each epoch, as `latentlab train` would have it with the study's seed."""
    settings = task.project.study
    model = models.build(candidate.row, settings.seed).to(task.device)
    pairs = (task.train, task.train), (task.validation, task.validation)
    precision = devices.precision(candidate.training.precision, task.device)
    for record in training.fit(model, *pairs, candidate.training, None, settings.seed, precision, _NoProgress()):
        live.log_epoch(record)
        yield record["validation_mse"]


def _goes_on(
    study: optuna.Study, trial: optuna.Trial, errors: list[float], candidate: Candidate, sizes: Sizes, project: Params
) -> bool:
    """Whether the trial is worth another epoch."""
    settings, epoch = project.study, len(errors)
    if settings.halving is None or epoch not in rungs(settings.halving, candidate.training.epochs):
        return True
    others = [
        trials.values_at(other, epoch, settings)
        for other in study.get_trials(deepcopy=False)
        if other.number != trial.number
        and other.user_attrs.get("reason") not in trials.UNTRAINED
        and len(other.user_attrs.get("errors", [])) >= epoch
    ]
    return goes_on((errors[-1], *sizes.objectives(settings)), others, settings.halving)
