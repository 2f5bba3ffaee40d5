"""What a study's trials have come to: counts, values, and trials that nobody works on any more.

A trial's user attributes, all made here or in `latentlab.study.objective`:

- "variant", "training": what it trains; "configuration": the same as one text, equal for equal trials
- "latent_dim", "num_parameters", "num_macs"
- "errors": its validation error after each epoch
- "reason": why it ended before its last epoch, one of `Reason`; a failed one without was lost, and is tried again
- "why": of one whose layers do not fit or that is above a bound, for people
- "same_as": number of the equal trial before it
- "known_variant": the variant that it is
- "retries": how often it was tried again
- "process": whose it is, as `processes.process_tags` says it
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from latentlab.params.study import StudySettings
from latentlab.study.front import hypervolume, non_domination_ranks, winner
from latentlab.tracking.processes import is_gone, is_here

# a trial that has taken its worker down so often is not tried once more
MAX_RETRIES = 3


class Reason(StrEnum):
    """Why a trial did not come to its last epoch."""

    HALVING = "halving"  # others that had come as far were better
    BOUNDS = "bounds"  # its code, its parameters or its MACs are above a bound: not trained
    SHAPE = "shape"  # its layers do not fit: not trained
    REPEATED = "repeated"  # an equal trial was there before: not trained
    LOSS = "loss"  # its loss was not finite


UNTRAINED = (Reason.BOUNDS, Reason.SHAPE, Reason.REPEATED)


@dataclass(frozen=True)
class Counts:
    """Numbers of trials; the first four are those that were trained, or are being trained."""

    finished: int
    stopped: int
    failed: int
    running: int
    untrained: int
    retried: int
    waiting: int

    @property
    def trained(self) -> int:
        """Trials that the budget pays for."""
        return self.finished + self.stopped + self.failed + self.running

    def __str__(self) -> str:
        """For people."""
        return ", ".join(f"{count} {name}" for name, count in vars(self).items() if count or name == "finished")


def counts(trials: Iterable[FrozenTrial]) -> Counts:
    """Counts of a study's trials."""
    found = dict.fromkeys(Counts.__dataclass_fields__, 0)
    for trial in trials:
        found[kind(trial)] += 1
    return Counts(**found)


def kind(trial: FrozenTrial) -> str:
    """As what a trial is counted: a name of `Counts`."""
    reason = trial.user_attrs.get("reason")
    if trial.state in (TrialState.RUNNING, TrialState.WAITING):
        return trial.state.name.lower()
    if trial.state == TrialState.FAIL:  # by itself, or because its worker was stopped or is gone
        return "failed" if reason == Reason.LOSS else "retried"
    if reason in UNTRAINED or "configuration" not in trial.user_attrs:
        return "untrained"
    if trial.state == TrialState.COMPLETE and trial.user_attrs.get("errors", [])[-1:] != trial.values[:1]:
        return "untrained"  # told by hand, with Optuna's own commands
    return "finished" if trial.state == TrialState.COMPLETE else "stopped"


def contenders(trials: Iterable[FrozenTrial], settings: StudySettings) -> list[FrozenTrial]:
    """Trials that have finished within the bounds, each configuration once, by number."""
    bound = settings.bounds.validation_mse
    return [trial for trial in trials if kind(trial) == "finished" and (bound is None or trial.values[0] <= bound)]


def front(trials: Iterable[FrozenTrial], settings: StudySettings) -> list[FrozenTrial]:
    """The contenders that no other dominates, smallest error first."""
    found = contenders(trials, settings)
    if not found:
        return []
    ranks = non_domination_ranks(np.array([trial.values for trial in found]))
    return sorted((trial for trial, rank in zip(found, ranks, strict=True) if rank == 0), key=lambda trial: trial.values)


def dominated_volume(trials: Iterable[FrozenTrial], settings: StudySettings) -> float:
    """Hypervolume of the contenders, as a share of the box to the study's reference point."""
    point = settings.reference_point
    reference = np.array([point.validation_mse, point.latent_dim, point.compute], dtype=float)
    points = np.array([trial.values for trial in contenders(trials, settings)], dtype=float).reshape(-1, 3)
    return hypervolume(points, reference)


def winners(trials: Iterable[FrozenTrial], settings: StudySettings) -> dict[str, FrozenTrial]:
    """The trial that wins by each of the study's rules, but for those within whose bounds there is none."""
    within = contenders(trials, settings)
    points = [tuple(trial.values) for trial in within]
    indices = {name: winner(points, rule) for name, rule in settings.winners.items()}
    return {name: within[index] for name, index in indices.items() if index is not None}


def twin(trials: Iterable[FrozenTrial], number: int, configuration: str) -> FrozenTrial | None:
    """The first trial of the same configuration that has ended or is under way before that number, if there is one."""
    for trial in trials:
        is_equal = trial.number < number and trial.user_attrs.get("configuration") == configuration
        if is_equal and kind(trial) in ("finished", "stopped", "running"):
            return trial
    return None


class Watch:
    """Finds trials whose worker is gone.

    A worker of this machine can be looked up. That of another one or of another container, or one that has not said yet who
    it is, is gone when its trial has said nothing for `stale_after_seconds` while this object watched it. The time of day
    plays no part: machines differ in it, and somebody may set it.
    """

    def __init__(self, stale_after_seconds: float) -> None:
        self.stale_after_seconds = stale_after_seconds
        self.heard: dict[int, tuple[tuple[int, int], float]] = {}  # of a trial: what it had said, and when that was new

    def retry_lost(self, study: optuna.Study, there: Iterable[FrozenTrial]) -> list[int]:
        """Trials whose worker is gone end as failed, and wait to be tried again.

        Args:
            study: The study.
            there: Its trials.

        Returns:
            Their numbers.
        """
        lost = []
        for trial in there:
            if trial.state != TrialState.RUNNING:
                continue
            gone = self._is_silent(trial) if runs_elsewhere(trial) else is_gone(trial.user_attrs["process"])
            if gone:
                with suppress(UpdateFinishedTrialError):  # it has ended meanwhile, or somebody else was faster
                    give_back(study, trial.number, MAX_RETRIES)
                    lost.append(trial.number)
        return lost

    def _is_silent(self, trial: FrozenTrial) -> bool:
        said = len(trial.user_attrs), len(trial.user_attrs.get("errors", ()))
        now = time.monotonic()
        before, since = self.heard.get(trial.number, (None, now))
        if said != before:
            self.heard[trial.number] = said, now
            return False
        return now - since >= self.stale_after_seconds


def runs_elsewhere(trial: FrozenTrial) -> bool:
    """Whether a trial runs on another machine or in another container, or has not said yet where."""
    return trial.state == TrialState.RUNNING and not is_here(trial.user_attrs.get("process", {}))


def tell(study: optuna.Study, number: int, values: Sequence[float] | None = None, state: TrialState | None = None) -> None:
    """Ends a trial, as `optuna.Study.tell` does.

    Raises:
        UpdateFinishedTrialError: It has ended before. (Optuna's own raises that or a ValueError, as the moment has it.)
    """
    try:
        study.tell(number, values, state=state)
    except (ValueError, UpdateFinishedTrialError) as error:
        there = study.get_trials(deepcopy=False)[number]
        if not there.state.is_finished():
            raise
        told = state or TrialState.COMPLETE, values and list(values)
        # nobody but its worker ends it so: it has told this before, and the answer was lost
        if state != TrialState.FAIL and (there.state, there.values) == told:
            return
        raise UpdateFinishedTrialError(str(error)) from None


def give_back(study: optuna.Study, number: int, most: int | None) -> None:
    """Ends a trial that nobody works on as failed, and does for it what `try_again` does.

    Raises:
        UpdateFinishedTrialError: It has ended before.
    """
    tell(study, number, state=TrialState.FAIL)
    try_again(study, study.get_trials(deepcopy=False)[number], most)


def try_again(study: optuna.Study, trial: FrozenTrial, most: int | None) -> None:
    """Puts a trial that failed without its own fault into the queue again, unless it was there `most` times."""
    retries = trial.user_attrs.get("retries", 0)
    if kind(trial) != "retried" or (most is not None and retries >= most):
        return
    # one that had not drawn everything yet draws the same from the start, unless it was told what to draw
    drawn = trial.params if "configuration" in trial.user_attrs else trial.system_attrs.get("fixed_params", {})
    kept = {key: value for key, value in trial.user_attrs.items() if key == "known_variant"}
    study.enqueue_trial(drawn, user_attrs=kept | {"retries": retries + 1})
