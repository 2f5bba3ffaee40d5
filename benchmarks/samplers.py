"""Is the sampler of the trade-off study better than chance? `python -m benchmarks.samplers` (a quarter of an hour).

The study of params.yaml made small, once per sampler and seed, with the same number of trained trials and without the rows
that are known: its hypervolume at the end, mean and standard deviation.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
import torch

from benchmarks.processes import ROOT
from latentlab import data, layout, memory, params
from latentlab.study import objective, trials, worker

RESULT = ROOT / "benchmarks" / "results" / "samplers.json"


class _Silent:
    def log_epoch(self, record: dict[str, float]) -> None:
        """Nothing is kept."""

    def log_end(self, state: str, values: dict[str, float]) -> None:
        """Nothing is kept."""


@contextlib.contextmanager
def _untracked(*_: object) -> Iterator[_Silent]:
    yield _Silent()


def small(project: params.Params, sampler: str, seed: int, num_trials: int, epochs: int) -> params.Params:
    """The study with few epochs, no early stops and another sampler and seed."""
    settings = project.study.model_copy(
        update={
            "sampler": sampler,
            "seed": seed,
            "num_trials": num_trials,
            "halving": None,
            "training": project.study.training.model_copy(update={"epochs": epochs}),
        }
    )
    return project.model_copy(update={"study": settings})


def volume(project: params.Params, images: torch.Tensor, validation: torch.Tensor) -> float:
    """Hypervolume of a study that is run here, in memory."""
    study = optuna.create_study(directions=["minimize"] * 3)
    task = objective.Task(project, images, validation, torch.device("cpu"), _untracked)
    with tempfile.TemporaryDirectory() as folder:
        worker.work(study, task, project.study.num_trials, Path(folder) / "lock")
    return trials.dominated_volume(study.get_trials(deepcopy=False), project.study)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints a line per study and a table, and keeps the numbers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.samplers", description=__doc__)
    parser.add_argument("--samplers", nargs="+", choices=("random", "tpe", "nsga2"), default=["random", "tpe"])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args(arguments)
    memory.keep()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    project = params.load(layout.PARAMS)
    mnist = data.load(layout.DATA, project.split)
    found: dict[str, list[float]] = {name: [] for name in given.samplers}
    for seed in range(given.repetitions):
        for name in given.samplers:  # taking turns
            study = small(project, name, seed, given.trials, given.epochs)
            found[name].append(volume(study, mnist.train.images[: given.images], mnist.validation.images[:1000]))
            print(f"{name}, seed {seed}: {found[name][-1]:.4f}", file=sys.stderr, flush=True)
    result: dict[str, Any] = {
        "trials": given.trials, "images": given.images, "epochs": given.epochs,
        "hypervolume": found,
        "mean": {name: statistics.mean(values) for name, values in found.items()},
        "sd": {name: statistics.stdev(values) if len(values) > 1 else None for name, values in found.items()},
    }  # fmt: skip
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print("| sampler | hypervolume, mean | sd |\n|---|---|---|")
    for name in found:
        print(f"| {name} | {result['mean'][name]:.4f} | {result['sd'][name] or 0:.4f} |")


if __name__ == "__main__":
    main()
