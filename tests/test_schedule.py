"""The order of stages."""

from latentlab.schedule import Schedule

# two rows that end in one table, and a baseline that takes long
NEEDS = {
    "data": [],
    "train@a": ["data"],
    "probe@a": ["train@a"],
    "train@b": ["data"],
    "probe@b": ["train@b"],
    "baseline": ["data"],
    "table": ["probe@a", "probe@b", "baseline"],
}


def test_a_stage_waits_for_all_that_it_needs():
    schedule = Schedule(NEEDS, {})
    assert schedule.take() == "data"
    assert schedule.take() is None
    schedule.finish("data")
    assert [schedule.take() for _ in range(4)] == ["train@a", "train@b", "baseline", None]
    schedule.finish("train@b")
    assert [schedule.take(), schedule.take()] == ["probe@b", None]


def test_the_longest_way_to_the_end_goes_first():
    schedule = Schedule(NEEDS, {"baseline": 60.0, "train@b": 5.0})
    schedule.finish(schedule.take())
    assert [schedule.take() for _ in range(3)] == ["baseline", "train@b", "train@a"]


def test_a_failure_takes_along_what_depends_on_it_and_nothing_else():
    schedule = Schedule(NEEDS, {})
    schedule.finish(schedule.take())
    assert schedule.take() == "train@a"
    schedule.fail("train@a")
    assert schedule.lost == ["probe@a", "table"]
    assert schedule.waiting == ["train@b", "probe@b", "baseline"]
    assert schedule.dependants("data") == set(NEEDS) - {"data"}
