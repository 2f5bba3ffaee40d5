"""The trade-off study: its space, its rules, its workers, and what holds when they are killed."""

import contextlib
import itertools
import math
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from dvc.fs import LocalFileSystem
from dvc.utils.serialize import load_path
from hypothesis import given, settings, strategies
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from conftest import PROJECT, ROOT
from latentlab import paths
from latentlab.models import check
from latentlab.params import project as params
from latentlab.params.strict import ParamsError, read_yaml
from latentlab.params.study import Halving, Knee, LeastCompute, LowestError, Smallest, load
from latentlab.study import definition, front, objective, outcome, run, space, storage, trials, worker
from latentlab.study.front import hypervolume, knee, non_domination_ranks, winner
from latentlab.study.storage import StorageError, errors_of_storage, open_storage
from latentlab.study.trials import Reason
from latentlab.tracking.processes import process_tags
from small_study import (
    SMALL_FAMILY,
    SMALL_SPACE,
    UNBOUNDED,
    WILD_TRAINING,
    Live,
    content_with,
    new_study,
    run_trials,
    settings_with,
)

REAL = load(ROOT, PROJECT)
STORAGES = (None, "sqlite:///study.db", "journal:///study.log")


def outcomes(search: optuna.Study) -> list[tuple[Any, ...]]:
    """What a study came to, without numbers and times: trials that were tried again count once."""
    return [
        (trial.state, trial.params, trial.values, trial.user_attrs.get("errors"), trial.user_attrs.get("reason"))
        for trial in search.trials
        if trial.state != TrialState.FAIL
    ]


# what study/params.yaml may say


def family_with(**changes: Any) -> dict[str, Any]:
    return {"space": {"families": {"strided_cae": SMALL_FAMILY | changes}, "training": {}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": {"families": {}, "training": {}}}, "study.space.families"),
        ({"num_trials": 0}, "study.num_trials"),
        ({"winners": {"mlp_8": {"rule": "knee"}}}, "study.winners.mlp_8: a variant or a baseline has that name"),
        ({"winners": {"x": {"rule": "best"}}}, "study.winners.x"),
        (
            {"champion": "x"},
            "study.champion: 'x' is not in winners: choose from tradeoff_32, tradeoff_64, tradeoff_found, tradeoff_",
        ),
        ({"known_variants": ["nobody"]}, "study.known_variants: 'nobody' is not in variants"),
        ({"reference": "nobody"}, "study.reference: 'nobody' is not in variants"),
        ({"source": "Z"}, "study.source: 'Z' is not in sources"),
        ({"halving": {"first_epoch": 1, "factor": 1, "num_spared": 0}}, "study.halving.factor"),
        (
            family_with(latent_dim={"low": 8, "high": 4}),
            "strided_cae.latent_dim.range: the range is empty: low 8 is above high 4",
        ),
        (family_with(latent_dim={"low": 0, "high": 4, "log": True}), "starts above 0"),
        (family_with(latent_dim={"low": 1.0, "high": 4.0, "step": 2}), "a step goes with a range of whole numbers"),
        (family_with(latent_dim=[]), "at least 1 item"),
        (family_with(latent_dim={"low": 1}), "study.space.families.strided_cae.latent_dim.range.high"),
        # what the families say of it
        (
            {"space": {"families": {"perceptron": {"x": 1}}, "training": {}}},
            "perceptron: unknown family: choose from strided",
        ),
        (
            {"space": {"families": {"mlp": {"depth": 2, "latent_dim": 2}}, "training": {}}},
            "families.mlp: widths is missing",
        ),
        (family_with(colour=1), "strided_cae.colour: unknown key"),
        (family_with(depth=[0]), "strided_cae.depth: a whole number from 1 on"),
        ({"space": SMALL_SPACE | {"training": {"optimizer.rate": 1}}}, "training.optimizer.rate: unknown key"),
        ({"space": SMALL_SPACE | {"training": {"batch_size": [64, 128]}}}, "study.training has 32, outside of the space"),
        ({"known_variants": ["mlp_8"]}, "known_variants: mlp_8: its family 'mlp' is not in"),
        (
            {"known_variants": ["cae_baseline"]},
            "known_variants: cae_baseline: channels is [32, 32, 64], outside of the space: 2 to 6",
        ),
    ],
)
def test_faults_in_the_settings_are_named_before_any_training(tmp_path, change, message):
    path = tmp_path / paths.STUDY_PARAMS
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"study": content_with(**change)}), encoding="utf-8")
    with pytest.raises(ParamsError) as caught:
        space.check(PROJECT, load(tmp_path, PROJECT))
    assert message in str(caught.value)
    assert str(caught.value).startswith((str(path), f"{paths.STUDY_PARAMS}: "))


def test_the_study_of_the_project_can_be_searched():
    space.check(PROJECT, REAL)


# the space


@settings(max_examples=30, deadline=None)
@given(seed=strategies.integers(0, 10**6))
def test_the_known_variant_of_a_drawn_candidate_is_the_same_draw(seed):
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    try:
        candidate = space.draw(trial, REAL)
        space.sizes(candidate.variant, (1, 28, 28))
    except ParamsError:
        return  # layers that do not fit
    known = candidate.variant.model_copy(update={"training": "cae"})
    project = PROJECT.model_copy(update={"variants": PROJECT.variants | {"known": known}})
    drawn = {key: value for key, value in trial.params.items() if key != "optimizer.lr"}
    assert space.trial_of(project, REAL, "known") == drawn | {"optimizer.lr": REAL.training.optimizer.lr}


def test_a_known_variant_in_the_queue_is_trained_as_it_is():
    search = new_study()
    search.enqueue_trial(space.trial_of(PROJECT, REAL, "cae_tradeoff"))
    candidate = space.draw(search.ask(), REAL)
    assert candidate.variant.architecture == PROJECT.variant("cae_tradeoff").architecture
    assert candidate.training == REAL.training
    assert space.sizes(candidate.variant, (1, 28, 28)) == space.Sizes(
        latent_dim=16, num_parameters=85_649, num_macs=1_856_512
    )


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
        (LowestError(rule="lowest_error", latent_dim=16, compute=899), 2),
        (LowestError(rule="lowest_error", latent_dim=16, compute=900), 0),
        (LowestError(rule="lowest_error", latent_dim=1, compute=900), None),
        (LeastCompute(rule="least_compute", validation_mse=0.02, latent_dim=16), 2),
        (LeastCompute(rule="least_compute", validation_mse=0.01, latent_dim=16), 0),
        (Knee(rule="knee"), 3),  # (1, 0, 0) after scaling, nearer to the ideal than (0.43, 0.67, 0.63)
    ],
)
def test_who_wins_by_which_rule(rule, expected):
    assert winner(POINTS, rule) == expected
    assert winner([], rule) is None


# successive halving


def test_the_rungs():
    rule = Halving(first_epoch=1, factor=2, num_spared=0)
    assert front.rungs(rule, 9) == [1, 2, 4, 8]
    assert front.rungs(rule, 8) == [1, 2, 4]  # after the last epoch there is nothing to decide
    assert front.rungs(Halving(first_epoch=3, factor=3, num_spared=0), 3) == []
    assert front.rungs(None, 100) == []


def test_a_trial_goes_on_if_it_is_in_the_best_part_by_rank():
    rule = Halving(first_epoch=1, factor=2, num_spared=3)
    chain = [(float(i), 1.0, 1.0) for i in range(9)]  # each dominates the next
    assert front.goes_on((3.5, 1.0, 1.0), chain, rule)  # ten in all, four better
    assert not front.goes_on((4.5, 1.0, 1.0), chain, rule)  # five better: no more
    assert not front.goes_on((9.0, 1.0, 1.0), chain[:3], rule)
    assert front.goes_on((9.0, 1.0, 1.0), chain[:2], rule)  # one of the first three


@settings(max_examples=50, deadline=None)
@given(seed=strategies.integers(0, 10**6), factor=strategies.integers(2, 9))
def test_what_nothing_dominates_always_goes_on(seed, factor):
    points = np.random.default_rng(seed).integers(0, 5, (20, 3)).astype(float)
    ranks = brute_ranks(points)
    rule = Halving(first_epoch=1, factor=factor, num_spared=0)
    for index, rank in enumerate(ranks):
        others = [tuple(point) for at, point in enumerate(points) if at != index]
        if rank == 0:
            assert front.goes_on(tuple(points[index]), others, rule)


# workers


def test_a_study_has_as_many_trained_trials_as_asked_for():
    small = settings_with(bounds=UNBOUNDED | {"latent_dim": 5}, num_trials=8)
    search, lives = run_trials(small)
    counts = trials.counts(search.trials)
    assert counts.trained == 8 == counts.finished + counts.stopped
    assert counts.running == counts.failed == counts.retried == 0
    assert counts.untrained == len(search.trials) - 8
    assert all(trial.user_attrs["latent_dim"] <= 5 for trial in search.trials if trial.state == TrialState.COMPLETE)
    for trial in search.trials:
        if trial.user_attrs.get("reason") in trials.UNTRAINED:
            assert trial.number not in lives
            continue
        errors = trial.user_attrs["errors"]
        assert errors == [record["validation_mse"] for record in lives[trial.number].epochs]
        stopped = trial.user_attrs.get("reason") == Reason.HALVING
        assert (len(errors) < 4) == stopped == (trial.state == TrialState.PRUNED)
        assert lives[trial.number].ended[0] == ("stopped early" if stopped else "finished")
        if not stopped:
            assert trial.values == [errors[-1], trial.user_attrs["latent_dim"], trial.user_attrs["num_parameters"]]
    run_trials(small, search)  # has nothing left to do
    assert trials.counts(search.trials) == counts


def test_without_halving_every_trial_is_trained_to_its_end():
    search, lives = run_trials(settings_with(halving=None))
    assert all(len(live.epochs) == 4 for live in lives.values())
    assert trials.counts(search.trials).stopped == 0


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_one_worker_and_a_seed_make_the_same_study(sampler):
    small = settings_with(sampler=sampler, num_trials=7)
    first, _ = run_trials(small)
    second, _ = run_trials(small, count=3)
    run_trials(small, second)  # goes on
    assert outcomes(first) == outcomes(second)
    other, _ = run_trials(settings_with(sampler=sampler, num_trials=7, seed=1))
    assert outcomes(first) != outcomes(other)


def test_an_interrupted_trial_is_tried_again_and_the_study_ends_as_if_nothing_had_been():
    small, search, epochs = settings_with(), new_study(), 0

    class Impatient(Live):
        def log_epoch(self, record: dict[str, float]) -> None:  # noqa: ARG002
            nonlocal epochs
            epochs += 1
            if epochs in (3, 8):
                raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_trials(small, search, kind=Impatient)
    assert trials.counts(search.trials).retried == 2
    run_trials(small, search)
    assert outcomes(search) == outcomes(run_trials(small)[0])
    assert trials.counts(search.trials).trained == 6


def test_a_known_variant_that_is_interrupted_before_it_is_drawn_is_tried_again():
    search = new_study()
    search.enqueue_trial(drawn := space.trial_of(PROJECT, REAL, "cae_tradeoff"), user_attrs={"known_variant": "x"})
    search.tell(search.ask(), state=TrialState.FAIL)
    trials.try_again(search, search.trials[0], most=1)
    trials.try_again(search, search.trials[1], most=1)  # once is enough
    assert len(search.trials) == 2
    again = search.ask()
    space.draw(again, REAL)
    assert (again.params, again.user_attrs["known_variant"]) == (drawn, "x")


def test_the_same_configuration_is_not_trained_twice():
    small, search = settings_with(halving=None), new_study()
    drawn = {"family": "strided_cae", "strided_cae.depth": 1, "strided_cae.channels.0": 2, "strided_cae.kernel_sizes.0": 3}
    drawn |= {"strided_cae.latent_dim": 2, "strided_cae.batch_norm": False, "strided_cae.negative_slope": 0.0}
    for _ in range(2):
        search.enqueue_trial(drawn | {"optimizer.lr": 0.02}, skip_if_exists=False)
    _, lives = run_trials(small, search, 2)
    assert sorted(lives) == [0, 2]
    assert search.trials[1].user_attrs["same_as"] == 0
    assert search.trials[1].values == search.trials[0].values
    assert trials.counts(search.trials).untrained == 1
    assert [trial.number for trial in trials.contenders(search.trials, small)] == [0, 2]


def test_a_loss_that_is_not_finite_fails_its_trial_only():
    search, _ = run_trials(settings_with(training=WILD_TRAINING, space=SMALL_SPACE | {"training": {}}), count=3)
    counts = trials.counts(search.trials)
    assert (counts.failed, counts.finished) == (3, 0)
    assert all(trial.user_attrs["reason"] == Reason.LOSS for trial in search.trials if trial.state == TrialState.FAIL)


def test_a_fault_of_ours_ends_the_trial_and_is_not_hidden():
    class Broken(Live):
        def log_epoch(self, record: dict[str, float]) -> None:  # noqa: ARG002
            raise ZeroDivisionError

    search = new_study()
    with pytest.raises(ZeroDivisionError):
        run_trials(settings_with(), search, kind=Broken)
    assert [trial.state for trial in search.trials] == [TrialState.FAIL]


def test_what_is_above_a_bound_of_parameters_or_macs_is_not_trained():
    search, _ = run_trials(settings_with(halving=None))
    for name in ("num_parameters", "num_macs"):
        sizes = sorted(trial.user_attrs[name] for trial in search.trials)
        bound = sizes[len(sizes) // 2]
        bounded, lives = run_trials(settings_with(halving=None, bounds=UNBOUNDED | {name: bound}))
        above = [trial for trial in bounded.trials if trial.user_attrs[name] > bound]
        assert above
        for trial in above:
            assert trial.user_attrs["reason"] == trials.Reason.BOUNDS
            assert name in trial.user_attrs["why"]
            assert trial.number not in lives


def test_bounds_that_leave_hardly_anything_end_the_search(monkeypatch):
    monkeypatch.setattr(worker, "MOST_ASKED_PER_TRAINED", 5)
    with pytest.raises(worker.ExhaustedError, match=r"study 'tradeoff': 6 trials .* 0 were trained: widen study.space"):
        run_trials(settings_with(bounds=UNBOUNDED | {"latent_dim": 1}))


def test_a_bound_on_the_error_keeps_a_trial_off_the_front():
    free = settings_with(halving=None)
    errors = sorted(trial.values[0] for trial in trials.contenders(run_trials(free)[0].trials, free))
    bounded = settings_with(halving=None, bounds=UNBOUNDED | {"validation_mse": errors[1]})
    search, _ = run_trials(bounded)
    assert trials.front(search.trials, bounded)[0].values[0] == errors[0]
    for trial in search.trials:
        if trial.state == TrialState.COMPLETE:
            assert trial.constraints["validation_mse"] == pytest.approx(trial.values[0] / errors[1] - 1)
    assert all(trial.values[0] <= errors[1] for trial in trials.front(search.trials, bounded))
    within = {trial.number for trial in trials.contenders(search.trials, bounded)}
    assert {trial.number for trial in search.best_trials} <= within


def test_a_trial_whose_process_is_gone_is_tried_again():
    small, search = settings_with(), new_study()
    search.sampler = worker.sampler(small, 0)
    killed = search.ask()
    killed.set_user_attr("process", process_tags())
    space.draw(killed, small)
    assert trials.Watch(1e9).retry_lost(search, search.trials) == []  # it lives
    killed.set_user_attr("process", process_tags() | {"process.started": f"{process_tags()['process.started']}0"})
    run_trials(small, search)
    assert search.trials[0].state == TrialState.FAIL
    assert trials.counts(search.trials).retried == 1
    assert outcomes(search) == outcomes(run_trials(small)[0])


def test_a_trial_of_another_machine_that_falls_silent_is_taken_for_lost():
    search, watch = new_study(), trials.Watch(0.3)
    elsewhere = {"process.host": "elsewhere", "process.pid": "1", "process.started": "0"}
    talking, silent, here = (search.ask() for _ in range(3))
    for trial in (talking, silent):
        trial.set_user_attr("process", elsewhere)
    here.set_user_attr("process", process_tags())
    search.ask()  # its worker is just about to say who it is
    began = time.monotonic()
    errors, lost = [], []
    while len(lost) < 2:  # two that fall silent at the same time may be found by two looks
        talking.set_user_attr("errors", errors := [*errors, 0.1])
        lost += watch.retry_lost(search, search.trials)
        time.sleep(0.01)
    assert time.monotonic() - began >= 0.3
    assert sorted(lost) == [1, 3]
    assert [trial.state for trial in search.trials] == [
        TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING, TrialState.FAIL, TrialState.WAITING, TrialState.WAITING,
    ]  # fmt: skip
    assert trials.Watch(0.3).retry_lost(search, search.trials) == []  # who begins to watch has heard nobody fall silent


def test_a_trial_of_a_container_with_the_name_of_this_host_is_not_taken_away_at_once():
    search, watch = new_study(), trials.Watch(0.1)
    search.ask().set_user_attr("process", process_tags() | {"process.namespace": "pid:[1]", "process.started": "1 1"})
    assert watch.retry_lost(search, search.trials) == []
    assert trials.runs_elsewhere(search.trials[0])
    time.sleep(0.1)
    assert watch.retry_lost(search, search.trials) == [0]


class Lost:
    """Another worker takes the trial that is under way for lost, once, when something is to be called."""

    def __init__(self, search: optuna.Study) -> None:
        self.search, self.number = search, -1

    def before(self, call: Callable[..., Any], which: Callable[..., bool] = lambda *_, **__: True) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            running = self.search.get_trials(states=(TrialState.RUNNING,))
            if self.number < 0 and running and which(*arguments, **named):
                self.number = running[0].number
                self.search.tell(self.number, state=TrialState.FAIL)
                trials.try_again(self.search, self.search.trials[self.number], trials.MAX_RETRIES)
            return call(*arguments, **named)

        return called


@pytest.mark.parametrize(
    ("url", "place", "name"),
    [
        (None, objective, "process_tags"), (None, space, "draw"), (None, space, "sizes"), (None, trials, "twin"),
        (None, objective, "begin"), (None, objective, "_goes_on"),
        *((url, place, name) for url in STORAGES for place, name in ((Live, "log_epoch"), (trials, "tell"))),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_a_worker_whose_trial_was_taken_for_lost_drops_it_and_goes_on(tmp_path, monkeypatch, capsys, url, place, name):
    monkeypatch.chdir(tmp_path)
    small = settings_with(num_trials=4)
    expected = outcomes(run_trials(small)[0])
    search = new_study(url and open_storage(url))
    lost = Lost(search)
    monkeypatch.setattr(place, name, lost.before(getattr(place, name)))
    capsys.readouterr()
    _, lives = run_trials(small, search)
    said = f"trial {lost.number} is dropped: it was taken for lost, or somebody has ended it\n"
    assert capsys.readouterr().err == said
    assert outcomes(search) == expected
    counts = trials.counts(search.trials)
    assert (counts.trained, counts.retried, counts.running, counts.waiting) == (4, 1, 0, 0)
    assert sum(live.ended is not None for live in lives.values()) == 4  # its MLflow run did not end well


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"training": WILD_TRAINING, "space": SMALL_SPACE | {"training": {}}}, Reason.LOSS),
        ({"bounds": UNBOUNDED | {"latent_dim": 4}}, Reason.BOUNDS),
    ],
)
def test_a_trial_that_ends_early_and_was_taken_for_lost_counts_once(monkeypatch, changes, reason, is_written):
    small, search = settings_with(num_trials=2, **changes), new_study()
    expected, lost = trials.counts(run_trials(small)[0].trials), Lost(search)
    if is_written:
        about = {"which": lambda _, number, *__, **___: search.trials[number].user_attrs.get("reason") == reason}
        monkeypatch.setattr(trials, "tell", lost.before(trials.tell, **about))
    else:
        about = {"which": lambda _, name, value: (name, value) == ("reason", reason)}
        monkeypatch.setattr(optuna.Trial, "set_user_attr", lost.before(optuna.Trial.set_user_attr, **about))
    run_trials(small, search)
    assert lost.number >= 0
    counts = trials.counts(search.trials)
    assert (counts.trained, counts.untrained, counts.waiting) == (expected.trained, expected.untrained, 0)


def test_ctrl_c_in_a_trial_that_was_taken_for_lost_is_ctrl_c_and_queues_it_once():
    search = new_study()
    lost = Lost(search)

    class Impatient(Live):
        @lost.before
        def log_epoch(self, record: dict[str, float]) -> None:  # noqa: ARG002
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(settings_with(), search, kind=Impatient)
    counts = trials.counts(search.trials)
    assert (counts.retried, counts.waiting) == (1, 1)


def test_a_trial_that_is_tried_again_counts_once_in_successive_halving():
    small, search = settings_with(halving={"first_epoch": 1, "factor": 2, "num_spared": 0}), new_study()
    for state, error in ((TrialState.PRUNED, 0.1), (TrialState.FAIL, 0.3)):
        trial = search.ask()
        for name, value in {"errors": [error], "latent_dim": 2, "num_parameters": 9}.items():
            trial.set_user_attr(name, value)
        search.tell(trial, state=state)
    # worse than one of two, and not than one of three
    assert not objective._goes_on(search, search.ask().number, (0.2, 2.0, 9.0), 1, small)


def test_a_trial_that_takes_every_worker_down_is_given_up():
    search, watch = new_study(), trials.Watch(0)
    for number in range(trials.MAX_RETRIES + 1):
        again = search.ask()
        again.set_user_attr("process", {"process.host": "elsewhere"})
        again.set_user_attr("configuration", "x")
        assert watch.retry_lost(search, search.trials) == []
        assert watch.retry_lost(search, search.trials) == [number]
    assert not search.get_trials(states=(TrialState.WAITING,))


def test_a_worker_waits_for_the_last_trial_of_another_machine_and_takes_it_over():
    search = new_study()
    elsewhere = search.ask()
    elsewhere.set_user_attr("process", {"process.host": "elsewhere", "process.pid": "1", "process.started": "0"})
    run_trials(settings_with(num_trials=4, stale_after_seconds=0.5), search)
    counts = trials.counts(search.trials)
    assert search.trials[elsewhere.number].state == TrialState.FAIL
    assert (counts.trained, counts.retried, counts.running, counts.waiting) == (4, 1, 0, 0)


# what is left


def test_the_winners_become_variants_of_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = settings_with(winners={"1e5": {"rule": "knee"}, "none": {"rule": "smallest", "validation_mse": 1e-9}})
    search, _ = run_trials(small)
    files = outcome.write_tables(small, search.trials)
    assert [path.name for path in files] == ["trials.csv", "front.csv", "hypervolume.csv", "winners.json"]
    assert outcome.write_found(small, search.trials, tmp_path / "study/found.yaml") == ["1e5"]
    assert load_path("study/found.yaml", LocalFileSystem()) == read_yaml(Path("study/found.yaml"))
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    joined = params.load(tmp_path)
    check.check(joined.variants, {"mnist": (1, 28, 28)})
    best = trials.winners(search.trials, small)["1e5"]
    expected = best.user_attrs["variant"] | {"training": "1e5"}
    assert joined.variant("1e5").model_dump() == expected
    assert joined.training_of("1e5", "fast").model_dump() == best.user_attrs["training"] | {"epochs": 20}
    assert (joined.found.recipes, joined.found.seeds) == (["fast"], [0, 1, 2])
    volumes = list(outcome.history(search.trials, small)["hypervolume"])
    assert len(volumes) == 6
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
    (tmp_path / "study").mkdir()
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "study/found.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError, match=message):
        params.load(tmp_path)


# storages


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "'nonsense' is no URL of a storage: it is one of sqlite"),
        ("postgresql://me:secret@127.0.0.1:1/x", r"postgresql://me:\*\*\*@127.0.0.1:1/x (needs a package|cannot be used)"),
        ("mysql+nodriver://me:secret@127.0.0.1/x", "mysql"),
        ("grpc://nowhere", "names no host and port"),
        ("sqlite:////proc/nowhere/study.db", "cannot be used"),
        ("sqlite:///text.db", "not a database"),
        ("sqlite:///old.db", "optuna storage upgrade"),
    ],
)
def test_a_storage_that_cannot_be_used_is_named_without_its_password(tmp_path, monkeypatch, url, message):
    monkeypatch.chdir(tmp_path)
    Path("text.db").write_text("not a database, but quite a long text" * 99)
    new_study(open_storage("sqlite:///old.db"))
    with contextlib.closing(sqlite3.connect("old.db")) as database:  # as another version of Optuna leaves it
        database.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
        database.commit()
    with pytest.raises(StorageError, match=message) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_storage_that_goes_away_in_the_middle_is_named(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    study = new_study(open_storage(url))
    study.ask()
    (tmp_path / "study.db").write_bytes(b"x" * 5000)
    with (
        pytest.raises(StorageError, match="does not answer any more: file is not a database; the trials"),
        errors_of_storage(url, "tradeoff"),
    ):
        study.ask()


@pytest.mark.parametrize("is_lost", [False, True], ids=["a call", "an answer"])
def test_a_server_that_is_away_now_and_then_changes_nothing(tmp_path, monkeypatch, capsys, is_lost):
    """Every fifth call fails, before or after it did what it should, and is made again."""
    small = settings_with(num_trials=4, stale_after_seconds=0.5)
    expected, calls = outcomes(run_trials(small)[0]), itertools.count(1)
    backend = RDBStorage(f"sqlite:///{tmp_path}/study.db")

    def call(real: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        away = next(calls) % 5 == 0
        result = real(*arguments, **named) if is_lost or not away else None
        if away:
            raise StorageInternalError from OperationalError("SELECT 1", {}, Exception("connection refused"))
        return result

    for name in dir(backend):
        if name.startswith(("set_", "_set_trial_param", "_get_trials", "_create_new_trial")):
            monkeypatch.setattr(backend, name, partial(call, getattr(backend, name)))
    monkeypatch.setattr(storage, "SECONDS_BETWEEN_TRIES", 0)
    search = new_study(storage.patiently(optuna.storages.get_storage(backend), storage.Patience("postgresql://here", 9)))
    _, lives = run_trials(small, search)
    said = capsys.readouterr().err.splitlines()
    assert len(said) > 20
    place = "study.storage: postgresql://here"
    assert set(said) == {
        f"{place} does not answer: connection refused; waiting for it for at most 9 s",
        f"{place} answers again",
    }
    counts = trials.counts(search.trials)
    assert (counts.trained, counts.running) == (4, 0)
    assert sum(live.ended is not None for live in lives.values()) == 4
    if not is_lost:
        assert outcomes(search) == expected
        assert counts.retried == counts.waiting == 0


def test_a_server_that_stays_away_is_waited_for_once_and_not_while_ctrl_c_is_obeyed(monkeypatch, capsys):
    calls = 0

    def away() -> None:
        nonlocal calls
        calls += 1
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    monkeypatch.setattr(storage, "SECONDS_BETWEEN_TRIES", 0.05)
    patience = storage.Patience("postgresql://me:secret@here", 0.3)
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(OperationalError):
            patience(away)
    assert (calls, capsys.readouterr().err) == (1, "")
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(OperationalError):
            patience(away)
        patience(str)  # from a cache
    assert 0.3 <= time.monotonic() - began < 0.6
    line = "study.storage: postgresql://me:***@here does not answer: connection refused; waiting for it for at most 0 s\n"
    assert capsys.readouterr().err == line


def test_what_optunas_own_commands_leave_is_no_trial_of_ours(tmp_path):
    small, search = settings_with(), new_study()
    told = search.ask()
    search.tell(told, [0.0, 1.0, 1.0])
    search.enqueue_trial({"family": "nobody"})
    search.enqueue_trial({"family": "strided_cae", "strided_cae.depth": 77})
    run_trials(small, search)
    counts = trials.counts(search.trials)
    assert (counts.trained, counts.retried, counts.waiting) == (6, 0, 0)
    assert "'nobody' not in" in search.trials[1].user_attrs["why"]
    assert told.number not in {trial.number for trial in trials.front(search.trials, small)}
    assert outcome.importances(search) == {}
    outcome.write_found(small, search.trials, tmp_path / "found.yaml")


def test_a_study_that_is_deleted_while_it_is_searched_is_said(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    search = new_study(open_storage(url))

    class Deleted(Live):
        def log_epoch(self, record: dict[str, float]) -> None:
            super().log_epoch(record)
            optuna.delete_study(study_name=search.study_name, storage=url)

    with pytest.raises(StorageError, match="somebody has deleted the study"), errors_of_storage(url, search.study_name):
        run_trials(settings_with(), search, kind=Deleted)


def test_a_study_with_other_objectives_is_said(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(study_name=REAL.name, storage=url)
    with pytest.raises(run.StudyError, match="has another definition of its trials: give yours another name"):
        run.open_study(PROJECT, REAL, url, {"definition of its trials": "x"})


def test_a_study_of_another_space_under_the_same_name_is_not_touched(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"

    def open_with(digest: str = "digest", **changes: Any) -> None:
        small = settings_with(**changes)
        parts = small.model_dump(exclude=definition.FREE) | {"data_digest": digest}
        run.open_study(PROJECT, small, url, definition.definition(parts))

    open_with()
    open_with(num_trials=99, winners={"other": {"rule": "knee"}})  # these may change
    with pytest.raises(run.StudyError, match=r"has another compute, space: give yours another name"):
        open_with(compute="macs", space=SMALL_SPACE | {"training": {}})
    with pytest.raises(run.StudyError, match="has another data_digest"):
        open_with("other")


def test_known_variants_wait_first_and_once(tmp_path):
    url = f"journal:////{tmp_path.relative_to('/')}/study.log"
    for _ in range(2):
        search = run.open_study(PROJECT, REAL, url, {"data": "digest"})
    waiting = [trial.user_attrs["known_variant"] for trial in search.trials]
    assert waiting == REAL.known_variants
    assert (tmp_path / "study.log").exists()


def test_what_matters_equally_stands_in_the_order_of_its_name():
    study = new_study()
    names = ["zeta", "alpha", "mu"]
    distributions = {name: optuna.distributions.FloatDistribution(0, 1) for name in names}
    distributions["family"] = optuna.distributions.CategoricalDistribution(["mlp"])
    for number in range(outcome.FEWEST_FOR_IMPORTANCES):
        share = number / outcome.FEWEST_FOR_IMPORTANCES
        drawn = dict.fromkeys(names, share) | {"family": "mlp"}
        study.add_trial(optuna.trial.create_trial(params=drawn, distributions=distributions, values=[share, 1.0, 1.0]))
    found = outcome.importances(study)["mlp"]
    assert len(set(found.values())) == 1
    assert list(found) == sorted(names)


def test_the_card_of_a_registered_model_says_what_it_is_for_its_data_its_numbers_and_its_limits(monkeypatch):
    run, nan = paths.Run("vae_2", "mnist", "fast", 1), float("nan")
    about = {"images": {"shape": [1, 28, 28]}, "data_digest": "d1", "split": {"train": 55000}}
    monkeypatch.setattr(outcome.checkpoint, "load_description", lambda _: about)
    board = pd.DataFrame({"variant": ["vae_2", "mlp_2"], "recipe": "fast", "num_seeds": 3.0, "test_mse": 0.04})
    board = board.assign(test_mse_sd=0.001, test_ssim=0.5, svm_rbf_accuracy=0.75)
    monkeypatch.setattr(outcome.tables, "leaderboard", lambda *_: board)
    card = outcome.model_card(PROJECT, REAL, run)
    assert "`conv_vae` of source C" in card
    assert "images of 1 x 28\nx 28 values" in card
    assert "digest `d1`: 55000 images" in card
    expected = "test MSE 0.04000 (sd 0.00100), SSIM 0.500, RBF probe on the codes 75.00%; means over 3 trainings, "
    assert f"{expected}of which this model is the one with seed 1." in card
    monkeypatch.setattr(outcome.tables, "leaderboard", lambda *_: board.assign(num_seeds=1.0, svm_rbf_accuracy=nan))
    assert "test MSE 0.04000, SSIM 0.500; means over 1 trainings" in outcome.model_card(PROJECT, REAL, run)
    monkeypatch.setattr(outcome.tables, "leaderboard", lambda *_: board[:0])
    assert "not measured yet" in outcome.model_card(PROJECT, REAL, run)
