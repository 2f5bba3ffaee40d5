"""The simulated cluster, against what can be worked out by hand."""

from dataclasses import replace

import pytest

from benchmarks.cluster import Costs, simulate

FREE = Costs(*[0.0] * 7, stage_bytes=0.0, first_bytes=0.0, failures_per_hour=0.0)
RUNS = [(10.0, 2.0, 3.0)] * 6


def seconds(runs: list[tuple[float, ...]], num_workers: int, **costs: float) -> float:
    return simulate(runs, num_workers, replace(FREE, **costs))["hours"] * 3600


@pytest.mark.parametrize(("num_workers", "wanted"), [(1, 90), (6, 15), (100, 13)])
def test_without_other_costs_it_is_the_work_shared_out_and_at_least_the_longest_way(num_workers, wanted):
    assert wanted <= seconds(RUNS, num_workers) <= wanted + 3  # the last probe may begin late


def test_what_the_caller_does_is_done_one_by_one():
    assert seconds(RUNS, 100, stage_seconds=2.0) >= 18 * 2
    assert seconds(RUNS, 1, load_seconds=1.0) == pytest.approx(90 + 18)
    assert seconds(RUNS, 1, check_seconds=1.0) == pytest.approx(90 + 6)


def test_runs_are_logged_one_by_one_beside_what_still_runs():
    assert seconds(RUNS, 1, log_seconds=1.0) == pytest.approx(90)
    assert seconds(RUNS, 1, add_seconds=1.0) == pytest.approx(90 + 1)
    assert seconds(RUNS, 100, log_seconds=10.0) == pytest.approx(10 + 60)


def test_what_travels_takes_turns():
    assert seconds(RUNS, 100, stage_bytes=5.0, bytes_per_second=1.0) >= 18 * 5


def test_writing_the_lock_file_is_bounded_by_its_share():
    runs = [(1.0, 0.1, 0.1)] * 2000
    outcome = simulate(runs, 10, replace(FREE, lock_seconds=0.001))
    assert 0 < outcome["lock"] < 0.1


def test_failures_cost_time_and_lose_nothing():
    outcome = simulate(RUNS * 50, 4, replace(FREE, failures_per_hour=20.0))
    assert outcome["failures"] > 0
    assert outcome["hours"] > simulate(RUNS * 50, 4, FREE)["hours"]
    assert outcome["dollars"] > simulate(RUNS * 50, 4, FREE)["dollars"]
