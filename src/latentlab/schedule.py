"""Which stage comes next: a stage is ready once all that it depends on is done, the longest way to the end goes first."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)


class Schedule(Generic[Node]):
    """The stages that wait, are done, or can no longer run.

    Attributes:
        waiting: Neither begun nor given up, in the order given.
        done: Finished, whether they ran or not.
        lost: Stages that depend on a failed one.
    """

    def __init__(self, needs: Mapping[Node, Iterable[Node]], seconds: Mapping[Node, float]) -> None:
        """Plans.

        Args:
            needs: For each stage those that come directly before it; a stage comes after those it needs.
            seconds: How long each stage takes, as far as anybody knows; unknown ones take one second.
        """
        self._needs = {node: set(before) for node, before in needs.items()}
        self._users: dict[Node, list[Node]] = {node: [] for node in needs}
        for node, before in self._needs.items():
            for each in before:
                self._users[each].append(node)
        # seconds from the start of a stage until nothing more depends on it
        self._remaining: dict[Node, float] = {}
        for node in reversed(self._needs):
            after = max((self._remaining[user] for user in self._users[node]), default=0.0)
            self._remaining[node] = seconds.get(node, 1.0) + after
        self.waiting = list(self._needs)
        self.done: list[Node] = []
        self.lost: list[Node] = []

    def take(self) -> Node | None:
        """The ready stage that is the most urgent, no longer waiting; None if none is ready."""
        finished = set(self.done)
        ready = [node for node in self.waiting if self._needs[node] <= finished]
        if not ready:
            return None
        chosen = max(ready, key=lambda node: self._remaining[node])
        self.waiting.remove(chosen)
        return chosen

    def finish(self, node: Node) -> None:
        """A stage is done: those that needed it may begin."""
        self.done.append(node)

    def fail(self, node: Node) -> None:
        """A stage has failed: what depends on it can no longer run."""
        dependants = self.dependants(node)
        self.lost += [each for each in self.waiting if each in dependants]
        self.waiting = [each for each in self.waiting if each not in dependants]

    def dependants(self, node: Node) -> set[Node]:
        """All stages that need that one, directly or through others."""
        found: set[Node] = set()
        queue = [node]
        while queue:
            for user in self._users[queue.pop()]:
                if user not in found:
                    found.add(user)
                    queue.append(user)
        return found
