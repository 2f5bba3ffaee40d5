"""A worker: a process that runs trials, one after the other, until the study has enough of them."""

import hashlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from latentlab import paths, stages
from latentlab.data import images
from latentlab.environment import LOGGED_LATER
from latentlab.errors import UserError
from latentlab.params import study as study_params
from latentlab.params.project import load
from latentlab.params.study import StudySettings
from latentlab.pipeline.cluster import CODE, Cluster, Ended, connected
from latentlab.pipeline.workers import THREADS, USER
from latentlab.study import objective, trials, without_warnings
from latentlab.study.standing import STORAGE
from latentlab.study.storage import LockLostError, Patience, errors_of_storage, lock_of, open_storage
from latentlab.tracking.trials import tracker
from latentlab.training import devices, plan

# trials that are not trained cost next to nothing; but if nearly all are such, the bounds leave hardly anything
MOST_ASKED_PER_TRAINED = 50
SECONDS_BETWEEN_LOOKS = 1.0
# of the workers on a cluster, with a clear error; after that none begins any more
MOST_FAILED = 3


class ExhaustedError(UserError):
    """Nearly every trial is one that must not be trained or was trained before."""


class Workers(Protocol):
    """The workers of a study, here or elsewhere."""

    def work_on(self, is_enough: bool) -> bool:
        """Whether one of them works; while it is not enough, more may begin."""

    def exit_codes(self) -> list[int | None]:
        """Of each that has begun."""


class Processes:
    """Workers of this machine."""

    def __init__(self, processes: list[SpawnProcess]) -> None:
        self.processes = processes

    def work_on(self, is_enough: bool) -> bool:  # noqa: ARG002, D102
        return any(each.is_alive() for each in self.processes)

    def exit_codes(self) -> list[int | None]:  # noqa: D102
        return [each.exitcode for each in self.processes]


class Elsewhere:
    """Workers on a cluster: as many as it has threads, whatever comes and goes, until too many have failed.

    They get the images and the URL of the storage, and of the caller's variables those of an MLflow server.
    """

    def __init__(self, cluster: Cluster, url: str, command: str, dataset: str) -> None:
        self.cluster, self.command = cluster, command
        self.inputs = [CODE, (paths.data(dataset),)]
        server = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_TRACKING_")}
        has_server = server.get("MLFLOW_TRACKING_URI", "").startswith("http")
        self.variables = {**dict.fromkeys(THREADS, "1"), "TQDM_DISABLE": "1", STORAGE: url}
        self.variables |= server if has_server else {LOGGED_LATER: "1"}
        self.futures: list[Future[Ended]] = []
        self.ended: list[Future[Ended]] = []

    def work_on(self, is_enough: bool) -> bool:  # noqa: D102
        self.cluster.look()
        for future in (each for each in self.futures if each.done() and each not in self.ended):
            self.ended.append(future)
            self.cluster.done(future)
            if error := future.exception():
                print(f"a worker of the study is lost ({type(error).__name__})", file=sys.stderr)
            elif future.result().code:
                print(future.result().output.strip(), file=sys.stderr)
        may_begin = not is_enough and self.exit_codes().count(USER) < MOST_FAILED
        while may_begin and self.cluster.has_room(on_gpu=True):
            name = f"trials-{len(self.futures)}"
            future = self.cluster.submit(name, [self.command], self.variables, self.inputs, [], on_gpu=True)
            self.futures.append(future)
        return may_begin or len(self.ended) < len(self.futures)

    def exit_codes(self) -> list[int | None]:
        """None of one that was lost with its machine: its trial is tried again, and another worker begins."""
        return [None if each.exception() else each.result().code for each in self.ended]


@contextmanager
def on_cluster(
    address: str, url: str, patience_seconds: float, num_trials: int, parent_run: str, dataset: str
) -> Iterator[Elsewhere]:
    """Workers on the cluster of that address, which are asked to end at the end of the block; see `started`.

    Raises:
        UserError: The storage is a file, or the cluster cannot be used.
    """
    if url.startswith(("sqlite:", "journal:")):
        raise UserError(
            f"--cluster needs a storage that other machines reach, {url} is a file of this one: "
            "--storage postgresql://USER@HOST/DATABASE"
        )
    command = f"python -m latentlab.stages.study_worker {num_trials} {patience_seconds} {parent_run}"
    with connected(address, lambda text: print(text, file=sys.stderr)) as cluster:
        try:
            yield Elsewhere(cluster, url, command, dataset)
        finally:
            cluster.cancel()


@contextmanager
def started(num_workers: int, url: str, patience_seconds: float, num_trials: int, parent_run: str) -> Iterator[Processes]:
    """Workers of this machine, which are stopped at the end of the block.

    Args:
        num_workers: How many processes.
        url: Of the storage, which has the study.
        patience_seconds: How long a database server is waited for that goes away.
        num_trials: As for `work`.
        parent_run: ID of the study's MLflow run.
    """
    context = multiprocessing.get_context("spawn")
    workers: list[SpawnProcess] = []
    # they inherit that Ctrl-C is ignored: it is for this process, which then stops them
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in range(num_workers):
            task = partial(run, url, patience_seconds, num_trials, parent_run)
            process = context.Process(target=stages.start, args=(task, []))
            process.start()
            workers.append(process)
        signal.signal(signal.SIGINT, heard)
        yield Processes(workers)
    finally:
        signal.signal(signal.SIGINT, heard)
        for process in workers:
            process.terminate()
        for process in workers:
            process.join()


def run(url: str, patience_seconds: float, num_trials: int, parent_run: str) -> None:
    """What a worker does: see `started`."""
    project = load()
    settings = study_params.load(Path(), project)
    dataset, device = project.run.datasets[0], devices.resolve(project.device)
    images_of = project.datasets[dataset]
    data = images.load(paths.data(dataset), images_of.split)
    common = {
        "dataset": dataset,
        "seed": settings.seed,
        "images": images_of.form(),
        "split": images_of.split.model_dump(),
        "data_digest": images.digest(paths.data(dataset)),
        "device": device.type,
        "precision": str(devices.precision(settings.training.precision, device)).removeprefix("torch."),
        **plan.about_process(),
    }
    track = tracker(settings.name, parent_run, common)
    task = objective.Task(settings, data, device, track, images_of.num_passes(len(data.train)))
    patience = Patience(url, patience_seconds)
    try:
        with errors_of_storage(url, settings.name):
            study = optuna.load_study(study_name=settings.name, storage=open_storage(url, patience))
            work(study, task, num_trials, lock_of(url, patience))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends by itself now


def work(
    study: optuna.Study, task: objective.Task, num_trials: int, lock: Callable[[], AbstractContextManager[object]]
) -> None:
    """Asks for trials and runs them until `num_trials` are trained, or under way on this machine.

    A worker whose parent process is gone does not begin another trial.

    Args:
        study: The study.
        task: What its trials share.
        num_trials: The budget, over all workers. Workers that share a lock keep it exactly.
        lock: As `storage.lock_of` says: a trial is counted and asked for by one process at a time.

    Raises:
        ExhaustedError: Far more trials had to be turned down than were trained.
    """
    settings = task.settings
    watch, parent = trials.Watch(settings.stale_after_seconds), multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        trial: optuna.Trial | None = None
        try:
            with lock():
                asked = study.get_trials(deepcopy=False)
                if watch.retry_lost(study, asked):
                    asked = study.get_trials(deepcopy=False)
                counts = trials.counts(asked)
                enough = counts.trained >= num_trials
                if enough and not any(map(trials.runs_elsewhere, asked)):
                    return
                if not enough and counts.untrained > MOST_ASKED_PER_TRAINED * (counts.trained + 1):
                    raise ExhaustedError(
                        f"study {settings.name!r}: {counts.untrained} trials were above a bound, did not fit or were there "
                        f"before, {counts.trained} were trained: widen study.space or study.bounds in {paths.STUDY_PARAMS}"
                    )
                if not enough:
                    # each once, however often it was tried: so an interruption does not change what the next one draws
                    study.sampler = sampler(settings, counts.trained + counts.untrained)
                    trial = study.ask()
        except LockLostError:  # somebody else may have asked for the last one meanwhile
            if trial is not None:
                with suppress(UpdateFinishedTrialError):
                    trials.give_back(study, trial.number, most=None)
            continue
        if trial is None:  # a worker of another machine may still be lost, and then its trial is one for this one
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
