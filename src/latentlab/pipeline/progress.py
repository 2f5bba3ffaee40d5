"""What somebody at a terminal sees while stages run: a line for each of them, and one for all that is left."""

import time
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn


class Watch:
    """Lines at the bottom of a terminal, below what is printed; nothing where no terminal is.

    How far a stage is, and what is left, is told by time: by that which a stage took here before, and for one that never
    ran here by its guess, times what those that have run took of theirs.

    Args:
        guesses: For each stage about how many seconds it takes; only what they are of each other counts.
        seconds: How many it took when it last ran here, of those that did.
        num_jobs: Stages that run at the same time.
        console: Where to.
    """

    def __init__(self, guesses: Mapping[str, float], seconds: Mapping[str, float], num_jobs: int, console: Console) -> None:
        self.guesses, self.num_jobs = guesses, num_jobs
        self.seconds = {name: seconds[name] for name in guesses if name in seconds}
        self.waiting = {*guesses}
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.all = self.bars.add_task("", total=None, left="")
        self.running: dict[str, tuple[TaskID, float]] = {}

    def begin(self, name: str) -> None:
        """A stage begins to run."""
        self.waiting.discard(name)
        self.running[name] = self.bars.add_task(name, total=None, left=""), time.monotonic()
        self.show()

    def place(self, name: str, where: str) -> None:
        """A stage that has begun runs on that machine."""
        if name in self.running:
            bar, _ = self.running[name]
            self.bars.update(bar, description=f"{name} on {where}")
            self.running[name] = bar, time.monotonic()

    def end(self, name: str, seconds: float | None = None) -> None:
        """A stage is done, has failed or need not run; it took that long, if it was run to its end."""
        self.waiting.discard(name)
        if name in self.running:
            self.bars.remove_task(self.running.pop(name)[0])
        if seconds is not None:
            self.seconds[name] = seconds

    def expected(self, name: str) -> float | None:
        """Seconds that a stage will take; None while nothing that could tell has run here."""
        measured = [each for each in self.seconds if self.guesses[each] > 0]
        if name in self.seconds or not measured:
            return self.seconds.get(name)
        factor = sum(self.seconds[each] for each in measured) / sum(self.guesses[each] for each in measured)
        return self.guesses[name] * factor

    def left(self) -> float | None:
        """Seconds until all is done, if the stages share the jobs well; None while nothing can tell."""
        now = time.monotonic()
        if not (self.waiting or self.running) or self.expected(next(iter(self.waiting or self.running))) is None:
            return None
        running = [max(0.0, (self.expected(name) or 0.0) - (now - since)) for name, (_, since) in self.running.items()]
        waiting = sum(self.expected(name) or 0.0 for name in self.waiting)
        return max([*running, (sum(running) + waiting) / self.num_jobs])

    def show(self) -> None:
        """Brings the lines up to date."""
        now = time.monotonic()
        for name, (bar, since) in self.running.items():
            self.bars.update(bar, completed=now - since, total=self.expected(name), left=_clock(now - since))
        num_done = len(self.guesses) - len(self.waiting) - len(self.running)
        left = self.left()
        self.bars.update(
            self.all,
            description=f"{num_done} of {len(self.guesses)} stages",
            completed=num_done,
            total=len(self.guesses),
            left="" if left is None else f"about {_clock(left)} left",
        )


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
