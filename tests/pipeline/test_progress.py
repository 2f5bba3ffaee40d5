"""What is shown of a repro while it runs."""

import io

import pytest
from rich.console import Console

from latentlab.pipeline import progress
from latentlab.pipeline.progress import Watch

GUESSES = {"train": 20.0, "probe": 10.0, "table": 1.0}


class Clock:
    """In the place of the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def watch(console: Console | None = None, **seconds: float) -> Watch:
    return Watch(GUESSES, seconds, 2, console or Console(file=io.StringIO()))


def test_what_is_left_is_told_by_what_stages_took_here_and_by_guesses_only_against_each_other(clock):
    new = watch()
    new.begin("train")
    assert new.left() is None  # nothing has run here
    clock.now += 40
    new.end("train", 40.0)
    assert new.expected("probe") == 20  # half of what the training took, by the guesses
    new.begin("probe")
    clock.now += 5
    assert new.left() == 15  # the table takes 2 s beside it
    new.end("probe")
    new.end("table")
    assert new.left() is None  # nothing is
    again = watch(train=30.0, probe=6.0)
    assert again.left() == (30 + 6 + 36 / 30) / 2
    again.begin("train")
    clock.now += 29
    assert again.left() == (1 + 6 + 36 / 30) / 2
    clock.now += 29
    assert again.left() == (6 + 36 / 30) / 2  # one that takes longer is about to end


def test_a_terminal_shows_a_line_for_each_stage_that_runs_and_anything_else_none(clock):
    terminal = io.StringIO()
    shown, other = watch(Console(file=terminal, force_terminal=True, width=100), train=30.0), watch()
    for each in (shown, other):
        with each.bars:
            each.begin("train")
            clock.now += 10
            each.show()
            each.bars.refresh()
    assert "train" in terminal.getvalue()
    assert "0:00:10" in terminal.getvalue()
    assert "0 of 3 stages" in terminal.getvalue()
    assert "about 0:00:20 left" in terminal.getvalue()  # the other two take less, beside it
    assert other.bars.console.file.getvalue() == ""
