"""Is the sampler of the trade-off study better than chance? `python -m benchmarks.samplers` (a quarter of an hour).

The study made small, once per sampler and seed, with the same number of trained trials and without the variants that are
known: the hypervolume that it reaches, mean and standard deviation over the seeds.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import optuna
import torch

from benchmarks.training import data_of, first
from latentlab.data.images import Splits
from latentlab.params.project import load
from latentlab.params.study import StudySettings
from latentlab.params.study import load as load_study
from latentlab.study import objective, trials, worker
from latentlab.training import devices

SAMPLERS = ("random", "tpe")


class _Silent:
    """Nothing is kept."""

    def log_epoch(self, record: dict[str, float]) -> None: ...
    def log_end(self, state: str, values: dict[str, float]) -> None: ...


@contextmanager
def untracked(*_: object) -> Iterator[_Silent]:
    """Of a training nobody is told."""
    yield _Silent()


def volume(settings: StudySettings, data: Splits) -> float:
    """Hypervolume of a study that is run here, in memory."""
    study = optuna.create_study(directions=["minimize"] * 3)
    task = objective.Task(settings, data, torch.device("cpu"), untracked)
    worker.work(study, task, settings.num_trials, nullcontext)
    return trials.dominated_volume(study.get_trials(deepcopy=False), settings)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints a line per study and a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.samplers", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args(arguments)
    devices.keep_memory()
    devices.pin_threads()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    project = load()
    settings = load_study(Path(), project)
    training = settings.training.model_copy(update={"epochs": given.epochs})
    small = {"num_trials": given.trials, "halving": None, "training": training}
    whole = data_of(project.run.datasets[0])
    data = Splits(first(whole.train, given.images), first(whole.validation, 1000), whole.test)
    found: dict[str, list[float]] = {name: [] for name in SAMPLERS}
    for seed in range(given.repetitions):
        for name in SAMPLERS:  # taking turns
            found[name].append(volume(settings.model_copy(update=small | {"sampler": name, "seed": seed}), data))
            print(f"{name}, seed {seed}: {found[name][-1]:.4f}", file=sys.stderr, flush=True)
    print(f"{devices.processor_name()}; {vars(given)}\n\n| sampler | hypervolume, mean | sd |\n|---|---|---|")
    for name, values in found.items():
        print(f"| {name} | {statistics.mean(values):.4f} | {statistics.stdev(values) if len(values) > 1 else 0:.4f} |")


if __name__ == "__main__":
    main()
