"""What is a claim? A statement, and limits for quantities that know their words, their variants and their value."""

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

import pandas as pd

from latentlab.comparison.claims.limits import Limit
from latentlab.comparison.claims.words import words
from latentlab.comparison.results import Metrics, Result
from latentlab.comparison.tables import show


class Missing(Exception):  # noqa: N818
    """A claim cannot be judged; the message says what is missing, or what would decide it."""


@dataclass(frozen=True)
class Evidence:
    """All results of one recipe and one seed that a claim may look at.

    `read` remembers each number that was asked for, by variant or baseline and path: the evidence that the ledger shows.
    """

    results: dict[str, Result]
    baselines: dict[str, Metrics]
    codecs: pd.DataFrame
    read: dict[tuple[str, str], float] = field(default_factory=dict)

    def at(self, name: str, path: str) -> Any:
        """Whatever stands at a path, its keys joined by "/", in the metrics of a variant or a baseline.

        Raises:
            Missing: It is not there.
        """
        if name not in self.results and name not in self.baselines:
            raise Missing(f"no results of {name}")
        found: Any = self.results[name].metrics if name in self.results else self.baselines[name]
        for key in path.split("/"):
            if not isinstance(found, dict) or key not in found:
                raise Missing(f"{name} has no {path}")
            found = found[key]
        return found

    def number(self, name: str, path: str) -> float:
        """A number of a variant or a baseline."""
        found = self.at(name, path)
        if not isinstance(found, int | float):
            raise Missing(f"{name} has no number {path}")
        return self.record(name, path, float(found))

    def numbers(self, name: str, path: str) -> list[float]:
        """A list of numbers, or a table of them, of a variant.

        Raises:
            Missing: It is empty, or one of them is undefined.
        """
        found = self.at(name, path)
        items = list(found.items() if isinstance(found, dict) else enumerate(found or ()))
        if not items or any(value is None for _, value in items):
            raise Missing(f"{name} has no numbers {path}")
        return [self.record(name, f"{path}/{key}", float(value)) for key, value in items]

    def curve(self, variant: str, column: str, least_epochs: int = 1) -> list[float]:
        """A column of a variant's training curve, epoch by epoch.

        Raises:
            Missing: The column is not there, or the training was shorter.
        """
        table = self.results[variant].curve
        if column not in table:
            raise Missing(f"{variant} has no {column} in its curve")
        if len(table) < least_epochs:
            raise Missing(f"{variant} was trained for {len(table)} epochs; a recipe with {least_epochs} would decide")
        return [float(value) for value in table[column]]

    def record(self, name: str, what: str, value: float) -> float:
        """Remembers a number that the claim rests on, and gives it back."""
        self.read[name, what] = value
        return value


@dataclass(frozen=True)
class Quantity:
    """A number of one seed's results: its words, the variants that must have been run, and how to compute it.

    Arithmetic makes further quantities, and `>=` and `<=` with a number make a requirement.
    """

    words: str
    variants: tuple[str, ...]
    value: Callable[[Evidence], float]

    def called(self, words: str) -> "Quantity":
        """The same in other words."""
        return replace(self, words=words)

    def __truediv__(self, other: "Quantity | float") -> "Quantity":
        return _joined(self, "/", other, operator.truediv)

    def __rtruediv__(self, other: float) -> "Quantity":
        return _joined(other, "/", self, operator.truediv)

    def __add__(self, other: "Quantity | float") -> "Quantity":
        return _joined(self, "+", other, operator.add)

    def __sub__(self, other: "Quantity | float") -> "Quantity":
        return _joined(self, "-", other, operator.sub)

    def __rsub__(self, other: float) -> "Quantity":
        return _joined(other, "-", self, operator.sub)

    def __abs__(self) -> "Quantity":
        return replace(self, words=f"absolute value of ({self.words})", value=lambda seed: abs(self.value(seed)))

    def __ge__(self, limit: float) -> "Requirement":
        return Requirement(self, "at least", limit)

    def __le__(self, limit: float) -> "Requirement":
        return Requirement(self, "at most", limit)


@dataclass(frozen=True)
class Requirement:
    """A quantity, and the limit that a claim sets it."""

    quantity: Quantity
    direction: Literal["at least", "at most"]
    limit: float

    @property
    def asked(self) -> str:
        """The limit in words."""
        return f"{self.direction} {show(self.limit)}"

    def __str__(self) -> str:
        return f"{self.quantity.words}: {self.asked}"

    def __bool__(self) -> NoReturn:
        raise TypeError("a requirement is neither true nor false: write within(quantity, 1, 2), not 1 <= quantity <= 2")


@dataclass(frozen=True)
class Claim:
    """A conclusion of a source, whose letter its name begins with.

    Attributes:
        name: Letter and number.
        statement: What is claimed, in our words.
        why: Why limits of this claim alone stand where they stand, and what the test does not see.
        holds: What must be so for the claim to hold; empty if nothing in this project measures it.
        beside: Quantities that are no condition, and are shown beside those that are.
        decided_by: What would decide a claim that nothing measures.
    """

    name: str
    statement: str
    why: str = ""
    holds: Sequence[Requirement] = ()
    beside: Sequence[Quantity] = ()
    decided_by: str = ""

    @property
    def speaks_of_digits(self) -> bool:
        """Whether it can be judged on images of digits only."""
        return "digit" in self.statement

    @property
    def source(self) -> str:
        """The letter of the source."""
        return self.name[0]

    @property
    def reasons(self) -> str:
        """Why the limits stand where they stand: those that claims share, and what this claim adds."""
        shared = [requirement.limit.why for requirement in self.holds if isinstance(requirement.limit, Limit)]
        return " ".join(dict.fromkeys([*shared, *filter(None, [self.why])]))

    @property
    def variants(self) -> tuple[str, ...]:
        """Those that must have been run."""
        return _union([*(requirement.quantity for requirement in self.holds), *self.beside])


def within(quantity: Quantity, least: float, most: float) -> list[Requirement]:
    """The quantity lies between two limits."""
    return [quantity >= least, quantity <= most]


def number(variant: str, path: str) -> Quantity:
    """A number of a variant's metrics."""
    return Quantity(f"{variant}'s {words(path)}", (variant,), lambda seed: seed.number(variant, path))


def baseline(name: str, path: str) -> Quantity:
    """A number of a baseline's metrics; baselines have no seed, so none needs to be common."""
    return replace(number(name, path), variants=())


def each(path: str, variants: Iterable[str]) -> list[Quantity]:
    """The same number of several variants."""
    return [number(variant, path) for variant in variants]


def largest_in(variant: str, path: str) -> Quantity:
    """The largest of a list or table of numbers."""
    return Quantity(f"{variant}'s largest {words(path)}", (variant,), lambda seed: max(seed.numbers(variant, path)))


def smallest_in(variant: str, path: str) -> Quantity:
    """The smallest of a list or table of numbers."""
    return Quantity(f"{variant}'s smallest {words(path)}", (variant,), lambda seed: min(seed.numbers(variant, path)))


def ratio(path: str, variant: str, other: str) -> Quantity:
    """A number of a variant over that of another."""
    return (number(variant, path) / number(other, path)).called(f"{words(path)}, {variant} over {other}")


def difference(path: str, variant: str, other: str) -> Quantity:
    """A number of a variant minus that of another."""
    return (number(variant, path) - number(other, path)).called(f"{words(path)}, {variant} minus {other}")


def saving(path: str, variant: str, other: str) -> Quantity:
    """The share by which a number of a variant is less than that of another."""
    return (1 - ratio(path, variant, other)).called(f"share of {words(path)} that {variant} saves of {other}'s")


def largest(quantities: Sequence[Quantity]) -> Quantity:
    """The largest of several quantities."""
    return _chosen("largest", max, quantities)


def span(quantities: Sequence[Quantity]) -> Quantity:
    """The largest of several quantities over the smallest, at least 1."""
    return _chosen("largest over smallest", lambda values: max(values) / min(values), quantities)


def spread(quantities: Sequence[Quantity]) -> Quantity:
    """The largest of several quantities minus the smallest."""
    return _chosen("largest minus smallest", lambda values: max(values) - min(values), quantities)


def _chosen(word: str, choose: Callable[[list[float]], float], quantities: Sequence[Quantity]) -> Quantity:
    listed = "; ".join(quantity.words for quantity in quantities)
    return Quantity(
        f"{word} of ({listed})", _union(quantities), lambda seed: choose([quantity.value(seed) for quantity in quantities])
    )


def _joined(left: Quantity | float, sign: str, right: Quantity | float, apply: Callable[[float, float], float]) -> Quantity:
    one, two = (side if isinstance(side, Quantity) else _constant(side) for side in (left, right))
    together = f"{_term(one)} {sign} {_term(two)}"
    return Quantity(together, _union([one, two]), lambda seed: apply(one.value(seed), two.value(seed)))


def _constant(value: float) -> Quantity:
    return Quantity(show(value), (), lambda _: value)


def _term(quantity: Quantity) -> str:
    """Its words, in brackets where they are not one term."""
    alone = not any(sign in quantity.words for sign in (" / ", " + ", " - ", ", "))
    return quantity.words if alone else f"({quantity.words})"


def _union(quantities: Iterable[Quantity]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(variant for quantity in quantities for variant in quantity.variants))
