"""One trial: draw a variant, look at its size, train it, stop it early if others are better."""

import sys
from contextlib import suppress
from dataclasses import dataclass

import optuna
import torch
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from latentlab.data.images import Splits
from latentlab.params.strict import ParamsError
from latentlab.params.study import StudySettings
from latentlab.study import space, trials
from latentlab.study.front import OBJECTIVES, goes_on, rungs
from latentlab.study.space import Candidate, Sizes
from latentlab.study.trials import Reason
from latentlab.tracking.processes import process_tags
from latentlab.tracking.trials import Track
from latentlab.training.loop import TrainingError
from latentlab.training.run import begin


@dataclass(frozen=True)
class Task:
    """What all trials of a study share: the images, where they are trained, and who is told of each training."""

    settings: StudySettings
    data: Splits
    device: torch.device
    track: Track
    num_passes: int = 1


class UntrainedError(Exception):
    """A trial is not worth a training: why, as one word and for people."""

    def __init__(self, reason: Reason, why: str) -> None:
        self.reason, self.why = reason, why


def run(study: optuna.Study, trial: optuna.Trial, task: Task) -> None:
    """Runs a trial that was just asked for, and tells the study what came of it.

    A trial that is told to stop (an exception that is no error: Ctrl-C, SIGTERM) ends as failed, and is put into the queue
    again before the exception goes on. One that has been ended meanwhile, by a worker that took this one for lost or with
    Optuna's own commands, is dropped.
    """
    try:
        _bring_to_end(study, trial, task)
    except UpdateFinishedTrialError:
        print(f"trial {trial.number} is dropped: it was taken for lost, or somebody has ended it", file=sys.stderr)
    except BaseException as error:
        with suppress(UpdateFinishedTrialError):
            if isinstance(error, Exception):
                trials.tell(study, trial.number, state=TrialState.FAIL)
            else:
                trials.give_back(study, trial.number, most=None)
        raise


def _bring_to_end(study: optuna.Study, trial: optuna.Trial, task: Task) -> None:
    """What `run` does for a trial that nobody interrupts.

    Raises:
        UpdateFinishedTrialError: Somebody else has ended the trial.
    """
    try:
        trial.set_user_attr("process", process_tags())  # at once: another worker may look at any moment
        candidate, sizes = _drawn(trial, task)
        if twin := trials.twin(study.get_trials(deepcopy=False), trial.number, candidate.configuration):
            _repeat(study, trial, twin)
        else:
            _train(study, trial, task, candidate, sizes)
    except UntrainedError as untrained:
        trial.set_user_attr("reason", untrained.reason)
        trial.set_user_attr("why", untrained.why)
        trials.tell(study, trial.number, state=TrialState.PRUNED)
    except TrainingError:
        trial.set_user_attr("reason", Reason.LOSS)
        trials.tell(study, trial.number, state=TrialState.FAIL)


def _drawn(trial: optuna.Trial, task: Task) -> tuple[Candidate, Sizes]:
    """What the trial is to train, and its sizes.

    Raises:
        UntrainedError: Its numbers do not make a variant, its layers do not fit, or it is above a bound.
    """
    try:
        try:
            candidate = space.draw(trial, task.settings)
        except ValueError as error:
            if "fixed_params" not in trial.study.get_trials(deepcopy=False)[trial.number].system_attrs:
                raise
            raise ParamsError(f"it was told to draw what the space does not have: {error}") from None
        for name, content in (candidate.content | {"configuration": candidate.configuration}).items():
            trial.set_user_attr(name, content)
        sizes = space.sizes(candidate.variant, task.data.shape)
    except ParamsError as error:
        raise UntrainedError(Reason.SHAPE, str(error)) from None
    above = []
    for name, size in vars(sizes).items():
        trial.set_user_attr(name, size)
        bound = getattr(task.settings.bounds, name)
        if bound is not None:
            trial.set_constraint(name, size / bound - 1)  # 0 or less is within
            above += [name] if size > bound else []
    if above:
        raise UntrainedError(Reason.BOUNDS, f"above the bound of {', '.join(above)}")
    return candidate, sizes


def _repeat(study: optuna.Study, trial: optuna.Trial, twin: FrozenTrial) -> None:
    """Tells the study what came of the equal trial before, or nothing if that one is still under way."""
    trial.set_user_attr("reason", Reason.REPEATED)
    trial.set_user_attr("same_as", twin.number)
    if twin.state == TrialState.COMPLETE:
        for name, value in twin.constraints.items():
            trial.set_constraint(name, value)
        trials.tell(study, trial.number, twin.values)
    else:
        trials.tell(study, trial.number, state=TrialState.PRUNED)


def _train(study: optuna.Study, trial: optuna.Trial, task: Task, candidate: Candidate, sizes: Sizes) -> None:
    """Trains the candidate as far as it is worth it, and tells the study its objectives."""
    settings, training = task.settings, candidate.training
    known = tuple(map(float, sizes.objectives(settings).values()))
    errors: list[float] = []
    nobody = tqdm(disable=True)  # the parent process shows the progress of all workers
    with task.track(trial.number, candidate.content, vars(sizes)) as live:
        _, records = begin(
            candidate.variant, training, task.data, settings.seed, task.device, nobody, num_passes=task.num_passes
        )
        for record in records:
            live.log_epoch(record)
            errors.append(record["validation_mse"])
            trial.set_user_attr("errors", errors)
            at_rung = len(errors) in rungs(settings.halving, training.epochs)
            if at_rung and not _goes_on(study, trial.number, (errors[-1], *known), len(errors), settings):
                trial.set_user_attr("reason", Reason.HALVING)
                break
        values = (errors[-1], *known)
        stopped = len(errors) < training.epochs
        # the study first: a trial that is dropped has no finished run in MLflow
        if stopped:
            trials.tell(study, trial.number, state=TrialState.PRUNED)
        else:
            if settings.bounds.validation_mse is not None:
                trial.set_constraint("validation_mse", values[0] / settings.bounds.validation_mse - 1)
            trials.tell(study, trial.number, values)
        live.log_end("stopped early" if stopped else "finished", dict(zip(OBJECTIVES, values, strict=True)))


def _goes_on(study: optuna.Study, number: int, values: tuple[float, ...], epoch: int, settings: StudySettings) -> bool:
    """Whether the trial of that number is worth more epochs, beside all that have come as far."""
    attributes = [
        other.user_attrs
        for other in study.get_trials(deepcopy=False)
        if other.number != number and trials.kind(other) != "retried"  # it counts as the trial that it is tried again as
    ]
    others = [
        (about["errors"][epoch - 1], float(about["latent_dim"]), float(about[f"num_{settings.compute}"]))
        for about in attributes
        if len(about.get("errors", [])) >= epoch
    ]
    return settings.halving is None or goes_on(values, others, settings.halving)
