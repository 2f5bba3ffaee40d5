"""A small study: few layers, few images, few epochs."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import torch

from conftest import ROOT
from latentlab.data.images import Images, Splits
from latentlab.models import check
from latentlab.params.strict import read_yaml
from latentlab.params.study import StudySettings
from latentlab.study import objective, worker
from latentlab.study.storage import Patience, lock_of, open_storage
from latentlab.tracking.processes import process_tags

SMALL_FAMILY = {
    "depth": [1, 2], "channels": {"low": 2, "high": 6, "step": 2}, "kernel_sizes": [3, 4],
    "latent_dim": {"low": 2, "high": 6}, "batch_norm": [False, True], "negative_slope": [0.0, 0.1], "loss": "mse",
}  # fmt: skip
SMALL_SPACE = {
    "families": {"strided_cae": SMALL_FAMILY}, "training": {"optimizer.lr": {"low": 0.005, "high": 0.05, "log": True}},
}  # fmt: skip
SMALL_TRAINING = {
    "epochs": 4, "batch_size": 32, "precision": "float32",
    "optimizer": {"name": "muon", "lr": 0.02, "momentum": 0.95, "newton_schulz_steps": 3, "block": 64, "adamw_lr": 0.003},
    "schedule": {"name": "constant"},
}  # fmt: skip
WILD_TRAINING = SMALL_TRAINING | {"optimizer": {"name": "adam", "lr": 1e30, "weight_decay": 0.0}}

UNBOUNDED = dict.fromkeys(["validation_mse", "latent_dim", "num_parameters", "num_macs"])


def content_with(**changes: Any) -> dict[str, Any]:
    """The real study/params.yaml with a small study, and some of its keys changed."""
    content = read_yaml(ROOT / "study/params.yaml")["study"]
    small = {
        "space": SMALL_SPACE, "training": SMALL_TRAINING, "known_variants": [], "num_trials": 6,
        "bounds": UNBOUNDED,
        "halving": {"first_epoch": 1, "factor": 2, "num_spared": 2},
    }  # fmt: skip
    return content | small | changes


def settings_with(**changes: Any) -> StudySettings:
    return StudySettings.model_validate(content_with(**changes))


class Live:
    """Keeps what a trial tells of its training."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.ended: tuple[str, dict[str, float]] | None = None

    def log_epoch(self, record: dict[str, float]) -> None:
        self.epochs.append(record)

    def log_end(self, state: str, values: dict[str, float]) -> None:
        self.ended = (state, values)


def new_study(storage: Any = None) -> optuna.Study:
    return optuna.create_study(storage=storage, directions=["minimize"] * 3)


def run_trials(
    small: StudySettings,
    search: optuna.Study | None = None,
    count: int | None = None,
    kind: type[Live] = Live,
    lock: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> tuple[optuna.Study, dict[int, Live]]:
    """Brings a study, by default a new one, to so many trained trials; what each of these told of its training."""
    images = torch.rand((96, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    train, validation = (Images(part, torch.zeros(len(part), dtype=torch.int64)) for part in images.split([64, 32]))
    search = search or new_study()
    lives: dict[int, Live] = {}

    @contextlib.contextmanager
    def track(number: int, candidate: dict[str, Any], sizes: dict[str, int]) -> Iterator[Live]:
        assert candidate["variant"]["family"] in check.FAMILIES
        assert sizes["num_parameters"] > 0
        lives[number] = kind()
        yield lives[number]

    task = objective.Task(small, Splits(train, validation, validation, ["one"]), torch.device("cpu"), track)
    worker.work(search, task, count or small.num_trials, lock)
    return search, lives


def take_part(url: str, num_trials: int, machine: int) -> list[int]:
    """A worker: numbers of the trials that it has trained. Workers of other machines cannot look whether it runs."""
    objective.process_tags = lambda: process_tags() | {"process.host": str(machine), "process.started": f"{machine} 1"}
    patience = Patience(url, 60)
    lock = lock_of(url, patience)
    with lock():
        study = optuna.create_study(
            study_name="many", storage=open_storage(url, patience), directions=["minimize"] * 3, load_if_exists=True
        )
    small = settings_with(training=settings_with().training.model_copy(update={"epochs": 1}), stale_after_seconds=120)
    return list(run_trials(small, study, num_trials, lock=lock)[1])
