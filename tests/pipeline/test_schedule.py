"""The order of stages."""

from latentlab.pipeline.runner import Order

# two runs that end in one table, and a baseline
NEEDS = {
    "data": [],
    "train@a": ["data"],
    "probe@a": ["train@a"],
    "train@b": ["data"],
    "probe@b": ["train@b"],
    "baseline": ["data"],
    "table": ["probe@a", "probe@b", "baseline"],
}


def anything(_):
    return True


def begun(**seconds: float) -> Order:
    order = Order(NEEDS, dict.fromkeys(NEEDS, 1.0) | seconds)
    assert [order.take(anything), order.take(anything)] == ["data", None]
    order.finish("data")
    return order


def test_a_stage_waits_for_all_that_it_needs():
    order = begun()
    assert [order.take(anything) for _ in range(4)] == ["train@a", "train@b", "baseline", None]
    order.finish("train@b")
    assert [order.take(anything), order.take(anything)] == ["probe@b", None]


def test_the_longest_way_to_the_end_goes_first():
    order = begun(**{"baseline": 60.0, "train@b": 5.0})
    assert [order.take(anything) for _ in range(3)] == ["baseline", "train@b", "train@a"]


def test_what_needs_a_stage_that_never_finishes_never_gets_ready():
    order = begun()
    assert order.take(anything) == "train@a"
    for stage in ("train@b", "baseline", "probe@b"):
        assert order.take(anything) == stage
        order.finish(stage)
    assert order.take(anything) is None
