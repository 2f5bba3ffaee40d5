"""How many trials per second do the workers of a study get?

Trials that cost next to nothing (64 images, one epoch, the smallest layers, drawn at random), so that what workers share is
what limits them. The study is in the storage that the variable LATENTLAB_STORAGE names, else in a SQLite file. "Held ms" is
how long a worker holds the lock under which it counts trials and asks for one, "waited ms" how long it waits for it, "lock
in use" the share of the time in which some worker holds it: at 100% more workers are of no use. Queries are those for one
trial, under the lock and in all. The last rows are of one worker, with trials that are there before.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
import torch
from optuna.trial import create_trial
from sqlalchemy import Engine, event, make_url

from benchmarks.samplers import untracked
from benchmarks.task import Record, Task
from latentlab.data.images import Images, Splits
from latentlab.params.study import StudySettings, load
from latentlab.study import objective, worker
from latentlab.study.standing import STORAGE
from latentlab.study.storage import Patience, lock_of, open_storage
from latentlab.training import devices

NUM_WORKERS, NUM_TRIALS, NUMS_BEFORE = (1, 2, 4, 8, 16, 32), 64, (1000,)
QUICK_NUM_WORKERS, QUICK_NUM_TRIALS, QUICK_NUMS_BEFORE = (1, 2), 4, (8,)
SECONDS_TO_BEGIN = 1.5  # of a worker, on one core
NAME = "latentlab-bench"
SMALL = {
    "sampler": "random", "halving": None, "known_variants": [],
    "bounds": dict.fromkeys(["validation_mse", "latent_dim", "num_parameters", "num_macs"]),
    "space": {
        "families": {
            "strided_cae": {
                "depth": 1, "channels": {"low": 2, "high": 8}, "kernel_sizes": 3, "latent_dim": {"low": 2, "high": 64},
                "batch_norm": False, "negative_slope": 0.0, "loss": "mse",
            }
        },
        "training": {"optimizer.lr": {"low": 0.005, "high": 0.05, "log": True}},
    },
}  # fmt: skip


def measure(task: Task) -> Iterator[Record]:
    """Yields a record for each number of workers, then one for each number of trials that are there before."""
    settings = load(Path(), task.project).model_dump()
    settings["training"]["epochs"] = 1
    small = StudySettings.model_validate(settings | SMALL)
    num_trials = QUICK_NUM_TRIALS if task.quick else NUM_TRIALS
    with TemporaryDirectory() as folder:
        url = os.environ.get(STORAGE) or f"sqlite:///{folder}/study.db"
        kind = {"storage": make_url(url).get_backend_name()}
        for num_workers in QUICK_NUM_WORKERS if task.quick else NUM_WORKERS:
            with study_in(url):
                yield kind | throughput(small, url, num_workers, num_trials, 0)
        for before in QUICK_NUMS_BEFORE if task.quick else NUMS_BEFORE:
            with study_in(url) as study:
                fill(study, before)
                yield kind | throughput(small, url, 1, num_trials, before)


@contextmanager
def study_in(url: str) -> Iterator[optuna.Study]:
    """A new study, which is deleted again."""
    storage = open_storage(url)
    yield optuna.create_study(study_name=NAME, storage=storage, directions=["minimize"] * 3)
    optuna.delete_study(study_name=NAME, storage=storage)


def fill(study: optuna.Study, num_trials: int) -> None:
    """Adds finished trials, with as much about each as those of a real study have."""
    distribution = optuna.distributions.FloatDistribution(0.005, 0.05, log=True)
    for number in range(num_trials):
        rate = 0.005 + 0.045 * number / num_trials
        about = {"variant": {"channels": [8, 16, 32]}, "training": {"rate": rate}, "configuration": f"{rate} {'x' * 500}"}
        study.add_trial(
            create_trial(
                values=[rate, 2.0, 3.0],
                params={"optimizer.lr": rate},
                distributions={"optimizer.lr": distribution},
                user_attrs=about | {"errors": [rate], "latent_dim": 2, "num_parameters": 3, "num_macs": 4},
            )
        )


def throughput(settings: StudySettings, url: str, num_workers: int, num_trials: int, before: int) -> Record:
    """What so many workers make of so many more trials."""
    context = multiprocessing.get_context("forkserver")  # torch is loaded once
    context.set_forkserver_preload([__name__])
    begin_at = time.monotonic() + SECONDS_TO_BEGIN * num_workers
    with ProcessPoolExecutor(num_workers, context) as pool:
        asked = [pool.submit(_take_part, settings, url, before + num_trials, begin_at) for _ in range(num_workers)]
        found = [each.result() for each in asked]
    seconds = max(each["ended"] for each in found) - min(each["began"] for each in found)
    total = {key: sum(each[key] for each in found) for key in ("waited", "held", "locked_queries", "queries")}
    return {
        "workers": num_workers,
        "trials_before": before,
        "trials": num_trials,
        "trials_per_second": num_trials / seconds,
        "waited_ms": 1000 * total["waited"] / num_trials,
        "held_ms": 1000 * total["held"] / num_trials,
        "lock_in_use": f"{total['held'] / seconds:.0%}",
        "locked_queries": round(total["locked_queries"] / num_trials),
        "queries": round(total["queries"] / num_trials),
    }


def _take_part(settings: StudySettings, url: str, num_trials: int, begin_at: float) -> dict[str, float]:
    """A worker, which begins when all should be there."""
    devices.keep_memory()
    devices.pin_threads()
    found = dict.fromkeys(("waited", "held", "locked_queries", "queries"), 0.0)

    def count(*_: object) -> None:
        found["queries"] += 1

    event.listen(Engine, "before_cursor_execute", count)
    patience = Patience(url, 60)
    lock = lock_of(url, patience)

    @contextmanager
    def timed() -> Iterator[None]:
        asked = time.monotonic()
        with lock():
            given, queries = time.monotonic(), found["queries"]
            yield
        found["waited"] += given - asked
        found["held"] += time.monotonic() - given
        found["locked_queries"] += found["queries"] - queries

    study = optuna.load_study(study_name=NAME, storage=open_storage(url, patience))
    study.get_trials(deepcopy=False)
    images = torch.rand((64, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    part = Images(images, torch.zeros(len(images), dtype=torch.int64))
    task = objective.Task(settings, Splits(part, part, part, []), torch.device("cpu"), untracked)
    time.sleep(max(0, begin_at - time.monotonic()))
    found["queries"] = 0
    began = time.monotonic()
    worker.work(study, task, num_trials, timed)
    return found | {"began": began, "ended": time.monotonic()}
