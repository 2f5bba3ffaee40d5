"""A worker: a process that runs trials, one after the other, until the study has enough of them."""

import hashlib
import multiprocessing
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from latentlab import data, devices, layout, stages
from latentlab.errors import UserError
from latentlab.params.study import StudySettings
from latentlab.study import objective, trials, without_warnings
from latentlab.study.storage import errors_of_storage, open_storage
from latentlab.tracking.studies import tracker

# trials that are not trained cost next to nothing; but if nearly all are such, the bounds leave hardly anything
MOST_ASKED_PER_TRAINED = 50
SECONDS_BETWEEN_LOOKS = 1.0


class ExhaustedError(UserError):
    """Nearly every trial is one that must not be trained or was trained before."""


def begin(environment: dict[str, str], url: str, num_trials: int, parent_run: str) -> None:
    """The life of a worker.

    Args:
        environment: The variables that it has.
        url: Of the storage, which has the study.
        num_trials: As for `work`.
        parent_run: ID of the study's MLflow run.
    """
    os.setsid()  # Ctrl-C is for the process that has started the workers, which asks them to stop
    os.environ.clear()
    os.environ.update(environment)
    stages.start(partial(_run, url, num_trials, parent_run), [])


def _run(url: str, num_trials: int, parent_run: str) -> None:
    project = stages.read_params()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=project.study.name, storage=open_storage(url))
    device = devices.resolve(project.device)
    devices.make_deterministic()
    mnist = data.load(layout.DATA, project.split)
    task = objective.Task(
        project, mnist.train.images.to(device), mnist.validation.images.to(device), device, tracker(project, parent_run)
    )
    parent = multiprocessing.parent_process()
    with errors_of_storage(url):
        work(study, task, num_trials, layout.STUDY_LOCK, lambda: parent is None or parent.is_alive())


def work(
    study: optuna.Study, task: objective.Task, num_trials: int, lock: Path, goes_on: Callable[[], bool] = lambda: True
) -> None:
    """Asks for trials and runs them until `num_trials` are trained, or under way on this machine.

    Args:
        study: The study.
        task: What its trials share.
        num_trials: The budget, over all workers. Workers that share `lock` keep it exactly.
        lock: A file; a trial is counted and asked for by one process at a time.
        goes_on: Asked before each trial; a worker whose parent is gone does not begin another.

    Raises:
        ExhaustedError: Far more trials had to be turned down than were trained.
    """
    settings = task.project.study
    watch = trials.Watch(settings.stale_after_seconds)
    while goes_on():
        with FileLock(lock):
            watch.retry_lost(study)
            asked = study.get_trials(deepcopy=False)
            counts = trials.counts(asked)
            enough = counts.trained >= num_trials
            if enough and not any(map(trials.runs_elsewhere, asked)):
                return
            if not enough and counts.untrained > MOST_ASKED_PER_TRAINED * (counts.trained + 1):
                raise ExhaustedError(
                    f"study {settings.name!r}: {counts.untrained} trials were above a bound, did not fit or were there "
                    f"before, {counts.trained} were trained: widen study.space or study.bounds in params.yaml"
                )
            if not enough:
                study.sampler = sampler(settings, num_before(asked))
                trial = study.ask()
        if enough:  # a worker of another machine may still be lost, and then its trial is one for this one
            time.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            objective.run(study, trial, task)


def sampler(settings: StudySettings, number: int) -> BaseSampler:
    """The sampler of a trial: with the same trials before it, it draws the same, whoever asks and in which process."""
    seed = int.from_bytes(hashlib.sha256(f"{settings.seed} {number}".encode()).digest()[:4], "big")
    with without_warnings():
        if settings.sampler == "tpe":
            return TPESampler(seed=seed, multivariate=True, group=True)
        if settings.sampler == "nsga2":
            return NSGAIISampler(seed=seed)
        return RandomSampler(seed=seed)


def num_before(asked: list[optuna.trial.FrozenTrial]) -> int:
    """Number of trials so far, each once however often it was tried: so an interruption does not change the next one."""
    return sum(trial.state not in (TrialState.WAITING, TrialState.FAIL) for trial in asked) + sum(
        trials.failed_for_good(trial) for trial in asked
    )
