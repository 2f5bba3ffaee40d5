"""The trade-off study: its space, its rules, its workers, and what holds when they are killed."""

import contextlib
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
import yaml
from hypothesis import given, settings, strategies
from optuna.trial import TrialState

from conftest import ROOT, STUDY
from latentlab import models, params
from latentlab.params import Params, ParamsError
from latentlab.params.study import Halving, Knee, LeastCompute, LowestError, Smallest
from latentlab.processes import process_tags
from latentlab.study import halving, objective, outcome, pictures, search, space, trials, worker
from latentlab.study.front import hypervolume, knee, non_domination_ranks, winner
from latentlab.study.storage import StorageError, errors_of_storage, open_storage
from latentlab.study.trials import Reason

SMALL_SPACE = {
    "families": {
        "strided_cae": {
            "depth": [1, 2], "channels": {"low": 2, "high": 6, "step": 2}, "kernel_sizes": [3, 4],
            "latent_dim": {"low": 2, "high": 6}, "batch_norm": [False, True], "negative_slope": [0.0, 0.1], "loss": "mse",
        }
    },
    "training": {"optimizer.lr": {"low": 0.005, "high": 0.05, "log": True}},
}  # fmt: skip
SMALL_TRAINING = {
    "epochs": 4, "batch_size": 32, "precision": "float32",
    "optimizer": {"name": "muon", "lr": 0.02, "momentum": 0.95, "newton_schulz_steps": 3, "adamw_lr": 0.003},
    "schedule": {"name": "constant"},
}  # fmt: skip


def project_with(**changes: Any) -> Params:
    """The real params.yaml with a small study, and some of its keys changed."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["study"] |= {
        "space": SMALL_SPACE, "training": SMALL_TRAINING, "known_rows": [], "num_trials": 6,
        "bounds": {"validation_mse": None, "code_size": None, "compute": None},
        "halving": {"first_epoch": 1, "factor": 2, "num_spared": 2},
    }  # fmt: skip
    content["study"] |= changes
    return Params.model_validate(content)


class Live:
    """Keeps what a trial tells of its training."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.ended: tuple[str, dict[str, float]] | None = None

    def log_epoch(self, record: dict[str, float]) -> None:
        self.epochs.append(record)

    def log_end(self, state: str, values: dict[str, float]) -> None:
        self.ended = (state, values)


def task_of(project: Params, lives: dict[int, Live] | None = None) -> objective.Task:
    images = torch.rand((96, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    kept = {} if lives is None else lives

    @contextlib.contextmanager
    def track(number: int, candidate: space.Candidate, sizes: space.Sizes) -> Iterator[Live]:
        assert candidate.row.family in models.MODELS
        assert sizes.num_parameters > 0
        kept[number] = Live()
        yield kept[number]

    return objective.Task(project, images[:64], images[64:], torch.device("cpu"), track)


def new_study(storage: Any = None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(study_name="s", storage=storage, directions=["minimize"] * 3, load_if_exists=True)


def outcomes(study: optuna.Study) -> list[tuple[Any, ...]]:
    """What a study came to, without numbers and times: trials that were tried again count once."""
    return [
        (trial.state, trial.params, trial.values, trial.user_attrs.get("errors"), trial.user_attrs.get("reason"))
        for trial in study.trials
        if trial.state != TrialState.FAIL
    ]


# what params.yaml may say


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": {"families": {}, "training": {}}}, "study.space.families"),
        ({"num_trials": 0}, "study.num_trials"),
        ({"winners": {"mlp_8": {"rule": "knee"}}}, "study.winners.mlp_8: the name is taken"),
        ({"winners": {"x": {"rule": "best"}}}, "study.winners.x"),
        ({"known_rows": ["nobody"]}, "study.known_rows: 'nobody' is not in variants"),
        ({"source": "Z"}, "study.source: 'Z' is not in sources"),
        ({"halving": {"first_epoch": 1, "factor": 1, "num_spared": 0}}, "study.halving.factor"),
    ],
)
def test_faults_in_the_settings_are_named(change, message):
    with pytest.raises(params.ValidationError) as caught:
        project_with(**change)
    assert message in params.explain(caught.value, "params.yaml")


@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        ({"low": 8, "high": 4}, "the range is empty: low 8 is above high 4"),
        ({"low": 0, "high": 4, "log": True}, "starts above 0"),
        ({"low": 1.0, "high": 4.0, "step": 2}, "a step goes with a range of whole numbers"),
        ([], "at least 1 item"),
        ({"low": 1}, "high"),
    ],
)
def test_a_range_that_is_none_is_named(dimension, message):
    families = {"strided_cae": SMALL_SPACE["families"]["strided_cae"] | {"latent_dim": dimension}}
    with pytest.raises(params.ValidationError) as caught:
        project_with(space={"families": families, "training": {}})
    assert message in params.explain(caught.value, "params.yaml")
    assert "study.space.families.strided_cae.latent_dim" in params.explain(caught.value, "params.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"space": {"families": {"perceptron": {"x": 1}}, "training": {}}},
            "perceptron: unknown family: choose from strided",
        ),
        (
            {"space": {"families": {"mlp": {"depth": 2, "latent_dim": 2}}, "training": {}}},
            "families.mlp: widths is missing",
        ),
        (
            {
                "space": {
                    "families": {"strided_cae": SMALL_SPACE["families"]["strided_cae"] | {"colour": 1}},
                    "training": {},
                }
            },
            "strided_cae.colour: unknown key",
        ),
        (
            {
                "space": {
                    "families": {"strided_cae": SMALL_SPACE["families"]["strided_cae"] | {"depth": [0]}},
                    "training": {},
                }
            },
            "strided_cae.depth: a whole number from 1 on",
        ),
        ({"space": SMALL_SPACE | {"training": {"optimizer.rate": 1}}}, "training.optimizer.rate: unknown key"),
        ({"space": SMALL_SPACE | {"training": {"batch_size": [64, 128]}}}, "study.training has 32, outside of the space"),
        ({"known_rows": ["mlp_8"]}, "known_rows: mlp_8: its family 'mlp' is not in"),
        (
            {"known_rows": ["cae_baseline"]},
            "known_rows: cae_baseline: channels is .32, 32, 64., outside of the space: 2 to 6",
        ),
        (
            {"bounds": {"validation_mse": None, "code_size": 1, "compute": None}},
            "none is within all of code_size at most 1",
        ),
        (
            {"bounds": {"validation_mse": None, "code_size": 2, "compute": 10}},
            r"none is within .* compute at most 10 \(the smallest was \d+\)",
        ),
    ],
)
def test_a_space_that_cannot_be_searched_is_named_before_any_training(change, message):
    with pytest.raises(ParamsError, match=message):
        search.check(project_with(**change))


def test_the_study_of_params_yaml_can_be_searched():
    search.check(STUDY)


# the space


@settings(max_examples=30, deadline=None)
@given(seed=strategies.integers(0, 10**6))
def test_the_known_row_of_a_drawn_candidate_is_the_same_draw(seed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    try:
        candidate = space.draw(trial, STUDY.study)
        space.sizes(candidate.row)
    except ParamsError:
        return  # layers that do not fit
    row = candidate.row.model_copy(update={"training": "cae"})
    project = STUDY.model_copy(update={"variants": STUDY.variants | {"known": row}})
    drawn = {key: value for key, value in trial.params.items() if key != "optimizer.lr"}
    assert space.trial_of(project, "known") == drawn | {"optimizer.lr": STUDY.study.training.optimizer.lr}


def test_a_known_row_in_the_queue_is_trained_as_it_is():
    study = new_study()
    study.enqueue_trial(space.trial_of(STUDY, "cae_tradeoff"))
    candidate = space.draw(study.ask(), STUDY.study)
    assert candidate.row.architecture == STUDY.row("cae_tradeoff").architecture
    assert candidate.training == STUDY.study.training
    assert space.sizes(candidate.row) == space.Sizes(code_size=16, num_parameters=85_649, num_macs=1_856_512)


# the front


def brute_ranks(points: np.ndarray) -> list[int]:
    left, ranks, rank = set(range(len(points))), {}, 0
    while left:
        front = {i for i in left if not any((points[j] <= points[i]).all() and (points[j] < points[i]).any() for j in left)}
        ranks |= dict.fromkeys(front, rank)
        left -= front
        rank += 1
    return [ranks[i] for i in range(len(points))]


@settings(max_examples=50, deadline=None)
@given(seed=strategies.integers(0, 10**6), count=strategies.integers(1, 14), size=strategies.integers(1, 3))
def test_ranks_and_hypervolume_against_the_definition(seed, count, size):
    random = np.random.default_rng(seed)
    points = random.integers(0, 6, (count, size)).astype(float)
    assert non_domination_ranks(points).tolist() == brute_ranks(points)
    reference = np.full(size, 5.0)
    # whole numbers: the box falls into cells, each dominated as a whole or not at all
    cells = np.stack(np.meshgrid(*[np.arange(5)] * size, indexing="ij"), axis=-1).reshape(-1, size)
    dominated = (points[:, None] <= cells[None]).all(axis=2).any(axis=0)
    assert hypervolume(points, reference) == pytest.approx(dominated.mean(), abs=1e-12)


def test_a_value_that_is_no_number_dominates_nothing():
    assert non_domination_ranks(np.array([[math.nan, 1.0], [1.0, 1.0], [2.0, 2.0]])).tolist() == [1, 0, 1]


def test_the_knee_is_nearest_to_the_best_of_everything():
    points = np.array([[1.0, 100.0], [2.0, 12.0], [50.0, 10.0]])
    assert knee(points) == 1
    assert knee(np.array([[3.0, 3.0]])) == 0


POINTS = [(0.01, 16.0, 900.0), (0.02, 8.0, 500.0), (0.02, 8.0, 400.0), (0.05, 2.0, 100.0), (0.03, 30.0, 5000.0)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Smallest(rule="smallest", validation_mse=0.02), 2),
        (Smallest(rule="smallest", validation_mse=1.0), 3),
        (Smallest(rule="smallest", validation_mse=0.001), None),
        (LowestError(rule="lowest_error", code_size=16, compute=899), 2),
        (LowestError(rule="lowest_error", code_size=16, compute=900), 0),
        (LowestError(rule="lowest_error", code_size=1, compute=900), None),
        (LeastCompute(rule="least_compute", validation_mse=0.02, code_size=16), 2),
        (LeastCompute(rule="least_compute", validation_mse=0.01, code_size=16), 0),
        (Knee(rule="knee"), 3),  # (1, 0, 0) after scaling, nearer to the ideal than (0.43, 0.67, 0.63)
    ],
)
def test_who_wins_by_which_rule(rule, expected):
    assert winner(POINTS, rule) == expected
    assert winner([], rule) is None


# successive halving


def test_the_rungs():
    rule = Halving(first_epoch=1, factor=2, num_spared=0)
    assert halving.rungs(rule, 9) == [1, 2, 4, 8]
    assert halving.rungs(rule, 8) == [1, 2, 4]  # after the last epoch there is nothing to decide
    assert halving.rungs(Halving(first_epoch=3, factor=3, num_spared=0), 3) == []
    assert halving.rungs(None, 100) == []


def test_a_trial_goes_on_if_it_is_in_the_best_part_by_rank():
    rule = Halving(first_epoch=1, factor=2, num_spared=3)
    chain = [(float(i), 1.0, 1.0) for i in range(9)]  # each dominates the next
    assert halving.goes_on((3.5, 1.0, 1.0), chain, rule)  # ten in all, four better
    assert not halving.goes_on((4.5, 1.0, 1.0), chain, rule)  # five better: no more
    assert not halving.goes_on((9.0, 1.0, 1.0), chain[:3], rule)
    assert halving.goes_on((9.0, 1.0, 1.0), chain[:2], rule)  # one of the first three


@settings(max_examples=50, deadline=None)
@given(seed=strategies.integers(0, 10**6), factor=strategies.integers(2, 9))
def test_what_nothing_dominates_always_goes_on(seed, factor):
    points = np.random.default_rng(seed).integers(0, 5, (20, 3)).astype(float)
    ranks = brute_ranks(points)
    rule = Halving(first_epoch=1, factor=factor, num_spared=0)
    for index, rank in enumerate(ranks):
        others = [tuple(point) for at, point in enumerate(points) if at != index]
        if rank == 0:
            assert halving.goes_on(tuple(points[index]), others, rule)


# workers


def run_trials(project: Params, study: optuna.Study, folder: Path, count: int | None = None) -> dict[int, Live]:
    lives: dict[int, Live] = {}
    worker.work(study, task_of(project, lives), count or project.study.num_trials, folder / "lock")
    return lives


def test_a_study_has_as_many_trained_trials_as_asked_for(tmp_path):
    project = project_with(bounds={"validation_mse": None, "code_size": 5, "compute": None}, num_trials=8)
    study = new_study()
    lives = run_trials(project, study, tmp_path)
    counts = trials.counts(study.trials)
    assert counts.trained == 8 == counts.finished + counts.stopped
    assert counts.running == counts.failed == counts.retried == 0
    assert counts.untrained == len(study.trials) - 8
    assert all(trial.user_attrs["code_size"] <= 5 for trial in study.trials if trial.state == TrialState.COMPLETE)
    for trial in study.trials:
        if trial.user_attrs.get("reason") in trials.UNTRAINED:
            assert trial.number not in lives
            continue
        errors = trial.user_attrs["errors"]
        assert errors == [record["validation_mse"] for record in lives[trial.number].epochs]
        stopped = trial.user_attrs.get("reason") == Reason.HALVING
        assert (len(errors) < 4) == stopped == (trial.state == TrialState.PRUNED)
        assert lives[trial.number].ended[0] == ("stopped early" if stopped else "finished")
        if not stopped:
            assert trial.values == [errors[-1], trial.user_attrs["code_size"], trial.user_attrs["num_parameters"]]
    run_trials(project, study, tmp_path)  # has nothing left to do
    assert trials.counts(study.trials) == counts


def test_without_halving_every_trial_is_trained_to_its_end(tmp_path):
    study = new_study()
    lives = run_trials(project_with(halving=None), study, tmp_path)
    assert all(len(live.epochs) == 4 for live in lives.values())
    assert trials.counts(study.trials).stopped == 0


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_one_worker_and_a_seed_make_the_same_study(tmp_path, sampler):
    project = project_with(sampler=sampler, num_trials=7)
    first, second, other = new_study(), new_study(), new_study()
    run_trials(project, first, tmp_path)
    run_trials(project, second, tmp_path, 3)
    run_trials(project, second, tmp_path)  # goes on
    assert outcomes(first) == outcomes(second)
    run_trials(project_with(sampler=sampler, num_trials=7, seed=1), other, tmp_path)
    assert outcomes(first) != outcomes(other)


def test_an_interrupted_trial_is_tried_again_and_the_study_ends_as_if_nothing_had_been(tmp_path):
    project = project_with()
    expected, study = new_study(), new_study()
    run_trials(project, expected, tmp_path)
    task = task_of(project)
    epochs = 0

    class Impatient(Live):
        def log_epoch(self, record: dict[str, float]) -> None:  # noqa: ARG002
            nonlocal epochs
            epochs += 1
            if epochs in (3, 8):
                raise KeyboardInterrupt

    @contextlib.contextmanager
    def track(*_: object) -> Iterator[Live]:
        yield Impatient()

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            worker.work(
                study, objective.Task(project, task.train, task.validation, task.device, track), 6, tmp_path / "lock"
            )
    assert trials.counts(study.trials).retried == 2
    run_trials(project, study, tmp_path)
    assert outcomes(study) == outcomes(expected)
    assert trials.counts(study.trials).trained == 6


def test_the_same_configuration_is_not_trained_twice(tmp_path):
    project = project_with(halving=None)
    study = new_study()
    drawn = {"family": "strided_cae", "strided_cae.depth": 1, "strided_cae.channels.0": 2, "strided_cae.kernel_sizes.0": 3}
    drawn |= {"strided_cae.latent_dim": 2, "strided_cae.batch_norm": False, "strided_cae.negative_slope": 0.0}
    for _ in range(2):
        study.enqueue_trial(drawn | {"optimizer.lr": 0.02}, skip_if_exists=False)
    lives = run_trials(project, study, tmp_path, 2)
    assert sorted(lives) == [0, 2]
    assert study.trials[1].user_attrs["same_as"] == 0
    assert study.trials[1].values == study.trials[0].values
    assert trials.counts(study.trials).untrained == 1
    assert [trial.number for trial in trials.contenders(study.trials, project.study)] == [0, 2]


def test_a_loss_that_is_not_finite_fails_its_trial_only(tmp_path):
    wild = SMALL_TRAINING | {"optimizer": {"name": "adam", "lr": 1e30, "weight_decay": 0.0}}
    study = new_study()
    run_trials(project_with(training=wild, space=SMALL_SPACE | {"training": {}}), study, tmp_path, 3)
    counts = trials.counts(study.trials)
    assert (counts.failed, counts.finished) == (3, 0)
    assert all(trial.user_attrs["reason"] == Reason.LOSS for trial in study.trials if trial.state == TrialState.FAIL)


def test_a_fault_of_ours_ends_the_trial_and_is_not_hidden(tmp_path):
    project, study = project_with(), new_study()

    @contextlib.contextmanager
    def track(*_: object) -> Iterator[Live]:
        raise ZeroDivisionError
        yield Live()

    task = task_of(project)
    with pytest.raises(ZeroDivisionError):
        worker.work(study, objective.Task(project, task.train, task.validation, task.device, track), 2, tmp_path / "lock")
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]


def test_bounds_that_leave_hardly_anything_end_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "MOST_ASKED_PER_TRAINED", 5)
    project = project_with(bounds={"validation_mse": None, "code_size": 1, "compute": None})
    with pytest.raises(worker.ExhaustedError, match=r"study 'tradeoff': 6 trials .* 0 were trained: widen study.space"):
        run_trials(project, new_study(), tmp_path)


def test_a_bound_on_the_error_keeps_a_trial_off_the_front(tmp_path):
    free, study = project_with(halving=None), new_study()
    run_trials(free, study, tmp_path)
    errors = sorted(trial.values[0] for trial in trials.contenders(study.trials, free.study))
    bounded = project_with(halving=None, bounds={"validation_mse": errors[1], "code_size": None, "compute": None})
    again = new_study()
    run_trials(bounded, again, tmp_path)
    assert trials.front(again.trials, bounded.study)[0].values[0] == errors[0]
    for trial in again.trials:
        if trial.state == TrialState.COMPLETE:
            assert trial.constraints["validation_mse"] == pytest.approx(trial.values[0] / errors[1] - 1)
    assert all(trial.values[0] <= errors[1] for trial in trials.front(again.trials, bounded.study))
    assert {trial.number for trial in again.best_trials} <= {
        each.number for each in trials.contenders(again.trials, bounded.study)
    }


def test_a_trial_whose_process_is_gone_is_tried_again(tmp_path):
    project = project_with()
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = new_study(open_storage(url))
    code = f"""
import sys, time, torch
sys.path.insert(0, {str(ROOT / "tests")!r})
import test_study
from latentlab.study import worker, storage
project = test_study.project_with()
task = test_study.task_of(project)
class Slow(test_study.Live):
    def log_epoch(self, record):
        print("epoch", flush=True)
        time.sleep(600)
import contextlib
@contextlib.contextmanager
def track(*_):
    yield Slow()
import dataclasses
from pathlib import Path
study = test_study.new_study(storage.open_storage({url!r}))
worker.work(study, dataclasses.replace(task, track=track), 6, Path({str(tmp_path / "lock")!r}))
"""
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "epoch\n"
    (running,) = study.get_trials(states=(TrialState.RUNNING,))
    assert trials.Watch(1e9).retry_lost(study) == []  # it lives
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert trials.counts(study.trials).running == 1
    run_trials(project, study, tmp_path)
    expected = new_study()
    run_trials(project, expected, tmp_path)
    assert study.trials[running.number].state == TrialState.FAIL
    assert trials.counts(study.trials).retried == 1
    assert outcomes(study) == outcomes(expected)


def test_a_trial_of_another_machine_that_falls_silent_is_taken_for_lost():
    study, watch = new_study(), trials.Watch(0.3)
    elsewhere = {"process.host": "elsewhere", "process.pid": "1", "process.started": "0"}
    talking, silent, here = (study.ask() for _ in range(3))
    for trial in (talking, silent):
        trial.set_user_attr("process", elsewhere)
    here.set_user_attr("process", process_tags())
    study.ask()  # its worker is just about to say who it is
    began = time.monotonic()
    errors, lost = [], []
    while len(lost) < 2:  # two that fall silent at the same time may be found by two looks
        talking.set_user_attr("errors", errors := [*errors, 0.1])
        lost += watch.retry_lost(study)
        time.sleep(0.01)
    assert time.monotonic() - began >= 0.3
    assert lost == [1, 3]
    assert [trial.state for trial in study.trials] == [
        TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING, TrialState.FAIL, TrialState.WAITING, TrialState.WAITING,
    ]  # fmt: skip
    assert trials.Watch(0.3).retry_lost(study) == []  # who begins to watch has heard nobody fall silent


def test_a_trial_that_takes_every_worker_down_is_given_up():
    study, watch = new_study(), trials.Watch(0)
    for number in range(trials.MAX_RETRIES + 1):
        again = study.ask()
        again.set_user_attr("process", {"process.host": "elsewhere"})
        again.set_user_attr("configuration", "x")
        assert watch.retry_lost(study) == []
        assert watch.retry_lost(study) == [number]
    assert not study.get_trials(states=(TrialState.WAITING,))


def test_a_worker_waits_for_the_last_trial_of_another_machine_and_takes_it_over(tmp_path):
    project = project_with(num_trials=4, stale_after_seconds=0.5)
    study = new_study()
    elsewhere = study.ask()
    elsewhere.set_user_attr("process", {"process.host": "elsewhere", "process.pid": "1", "process.started": "0"})
    run_trials(project, study, tmp_path)
    counts = trials.counts(study.trials)
    assert study.trials[elsewhere.number].state == TrialState.FAIL
    assert (counts.trained, counts.retried, counts.running, counts.waiting) == (4, 1, 0, 0)


# what is left


def test_the_winners_become_rows_that_params_yaml_is_read_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = project_with(
        winners={"tradeoff_found": {"rule": "knee"}, "none": {"rule": "smallest", "validation_mse": 1e-9}}
    )
    study = new_study()
    run_trials(project, study, tmp_path)
    files = outcome.write(project, study.trials)
    assert [path.name for path in files] == ["trials.csv", "front.csv", "hypervolume.csv", "winners.json"]
    assert outcome.write_rows(project, study.trials, tmp_path / "found.yaml") == ["tradeoff_found"]
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    joined = params.load(tmp_path / "params.yaml")
    models.check(joined)
    best = outcome.winners(study.trials, project.study)["tradeoff_found"]
    row = joined.row("tradeoff_found")
    assert row.model_dump() == best.user_attrs["row"] | {"training": "tradeoff_found"}
    assert joined.training_of("tradeoff_found", "fast").model_dump() == best.user_attrs["training"] | {"epochs": 20}
    assert (joined.recipes_of("tradeoff_found"), joined.seeds_of("tradeoff_found")) == (["fast"], [0, 1, 2])
    assert (joined.recipes_of("mlp_8"), joined.seeds_of("mlp_8")) == (["fast"], [0])
    lines = outcome.history(study.trials, project.study)
    volumes = [line["hypervolume"] for line in lines]
    assert len(lines) == 6
    assert volumes == sorted(volumes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("found: 3", "found.yaml: found"),
        ("found: {recipes: [], seeds: [], variants: {}}", r"found.yaml: found.training: Field required"),
        ("[1]", "found.yaml: Input should be"),
        ("found: {a: &a [*a]}", "found.yaml"),
    ],
)
def test_a_broken_found_yaml_is_named(tmp_path, content, message):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "found.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError, match=message):
        params.load(tmp_path / "params.yaml")


# storages


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "'nonsense' is no URL of a storage: it is one of sqlite"),
        ("postgresql://me:secret@127.0.0.1:1/x", r"postgresql://me:\*\*\*@127.0.0.1:1/x (needs a package|cannot be used)"),
        ("mysql+nodriver://me:secret@127.0.0.1/x", "mysql"),
        ("grpc://nowhere", "names no host and port"),
        ("sqlite:////proc/nowhere/study.db", "cannot be used"),
    ],
)
def test_a_storage_that_cannot_be_used_is_named_without_its_password(url, message):
    with pytest.raises(StorageError, match=message) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_of_another_version_is_named(tmp_path):
    import sqlite3

    url = f"sqlite:///{tmp_path / 'study.db'}"
    new_study(open_storage(url))
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    database.close()
    with pytest.raises(StorageError, match="optuna storage upgrade"):
        open_storage(url)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "study.db").write_text("not a database, but quite a long text" * 99)
    with pytest.raises(StorageError, match="not a database"):
        open_storage(f"sqlite:///{tmp_path / 'study.db'}")


def test_a_storage_that_goes_away_in_the_middle_is_named(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=open_storage(url))
    study.ask()
    (tmp_path / "study.db").write_bytes(b"x" * 5000)
    with (
        pytest.raises(StorageError, match="does not answer any more: file is not a database; the trials"),
        errors_of_storage(url),
    ):
        study.ask()


def test_a_study_of_another_space_under_the_same_name_is_not_touched(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    search.open_study(project_with(), url, "digest")
    search.open_study(project_with(num_trials=99, winners={"other": {"rule": "knee"}}), url, "digest")  # these may change
    with pytest.raises(search.StudyError, match=r"of another compute, space: give yours another study\.name"):
        search.open_study(project_with(compute="macs", space=SMALL_SPACE | {"training": {}}), url, "digest")
    with pytest.raises(search.StudyError, match="of another data"):
        search.open_study(project_with(), url, "other")


def test_known_rows_wait_first_and_once(tmp_path):
    url = f"journal:////{tmp_path.relative_to('/')}/study.log"
    for _ in range(2):
        study = search.open_study(STUDY, url, "digest")
    waiting = [trial.user_attrs["known_row"] for trial in study.trials]
    assert waiting == STUDY.study.known_rows
    assert (tmp_path / "study.log").exists()


def test_what_matters_equally_stands_in_the_order_of_its_name():
    study = new_study()
    names = ["zeta", "alpha", "mu"]
    distributions = {name: optuna.distributions.FloatDistribution(0, 1) for name in names}
    distributions["family"] = optuna.distributions.CategoricalDistribution(["mlp"])
    for number in range(pictures.FEWEST_FOR_IMPORTANCES):
        share = number / pictures.FEWEST_FOR_IMPORTANCES
        drawn = dict.fromkeys(names, share) | {"family": "mlp"}
        study.add_trial(optuna.trial.create_trial(params=drawn, distributions=distributions, values=[share, 1.0, 1.0]))
    found = pictures.importances(study)["mlp"]
    assert len(set(found.values())) == 1
    assert list(found) == sorted(names)
