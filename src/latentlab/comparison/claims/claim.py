"""What is a claim? A statement, and limits for quantities that know their words, their variants and their value."""

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pandas as pd

from latentlab.comparison.claims.limits import Limit
from latentlab.comparison.results import Metrics, Result

MSE, PSNR, SSIM = "test_mse", "test_psnr", "test_ssim"
PARAMETERS, OPERATIONS = "num_parameters/total", "num_macs/total"
RBF, LINEAR, NEIGHBOURS, LOGISTIC = "svm_rbf_accuracy", "svm_linear_accuracy", "knn_accuracy", "logistic_accuracy"

# for people, where the path does not say it
WORDS = {
    MSE: "test MSE",
    PSNR: "PSNR (dB)",
    SSIM: "SSIM",
    PARAMETERS: "parameters",
    OPERATIONS: "operations",
    RBF: "accuracy of the RBF probe",
    LINEAR: "accuracy of the linear SVM",
    NEIGHBOURS: "accuracy of nearest neighbours",
    LOGISTIC: "accuracy of logistic regression",
    "latent_dim": "latent dimension",
    "compression_ratio": "pixels per latent number",
    "denoising/0.2/gain_db": "gain from noise of 0.2 (dB)",
    "few_labels/logistic/100/mean": "accuracy of logistic regression with 100 labels",
    "few_labels/svm_rbf/100/mean": "accuracy of the RBF probe with 100 labels",
    "generation/active_units": "active latent numbers",
    "generation/kl_per_dimension": "KL divergence of a latent number (nats)",
    "generation/real_distance": "distance of test images from the nearest training image",
    "generation/reconstruction_std": "standard deviation of a pixel over samples of the posterior",
    "generation/standard_normal/frechet_distance": "Frechet distance of samples from the standard normal",
    "generation/standard_normal/nearest_distance": "distance of samples from the nearest training image",
    "interpolation/linear/different_digits/crossfade_distance": "distance of a cross-fade from the nearest training image",
    "interpolation/linear/different_digits/midpoint_distance": "distance of the midpoint from the nearest training image",
    "interpolation/linear/different_digits/step_ratio": "largest over mean step between different digits",
    "interpolation/linear/equal_digits/step_ratio": "largest over mean step between equal digits",
    "interpolation/real_distance": "distance of test images from the nearest training image",
    "latent_space/code_mean": "mean of the latent numbers",
    "latent_space/code_std": "standard deviation of the latent numbers",
    "latent_space/knn10_accuracy": "accuracy of the 10 nearest codes",
    "latent_space/share_within_3": "share of latent numbers in [-3, 3]",
    "latent_space/silhouette": "silhouette of the digits",
}


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
        found: Any = self.baselines[name] if name in self.baselines else self._result(name).metrics
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
        """A list of numbers, or a table of them, of a variant."""
        found = self.at(name, path)
        if not isinstance(found, list | dict) or not found:
            raise Missing(f"{name} has no list {path}")
        items = found.items() if isinstance(found, dict) else enumerate(found)
        return [self.record(name, f"{path}/{key}", float(value)) for key, value in items]

    def curve(self, variant: str, column: str) -> list[float]:
        """A column of a variant's training curve, epoch by epoch."""
        if not self.has_curve(variant, column):
            raise Missing(f"{variant} has no {column} in its curve")
        return [float(value) for value in self._result(variant).curve[column]]

    def has_curve(self, variant: str, column: str) -> bool:
        """Whether a variant's training curve has that column."""
        table = self._result(variant).curve
        return table is not None and column in table and not table.empty

    def record(self, name: str, what: str, value: float) -> float:
        """Remembers a number that the claim rests on, and gives it back."""
        self.read[name, what] = value
        return value

    def _result(self, variant: str) -> Result:
        if variant not in self.results:
            raise Missing(f"no results of {variant}")
        return self.results[variant]


@dataclass(frozen=True)
class Quantity:
    """A number of one seed's results: its words, the variants that must have been run, and how to compute it."""

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


def at_least(quantity: Quantity, limit: float) -> Requirement:
    """The quantity is not below the limit."""
    return Requirement(quantity, "at least", limit)


def at_most(quantity: Quantity, limit: float) -> Requirement:
    """The quantity is not above the limit."""
    return Requirement(quantity, "at most", limit)


def within(quantity: Quantity, least: float, most: float) -> list[Requirement]:
    """The quantity lies between two limits."""
    return [at_least(quantity, least), at_most(quantity, most)]


def words(path: str) -> str:
    """A number of the metrics for people."""
    if path.startswith("untrained/"):
        return f"{words(path.removeprefix('untrained/'))} before training"
    return WORDS.get(path, path.replace("/", " ").replace("_", " "))


def number(variant: str, path: str) -> Quantity:
    """A number of a variant's metrics."""
    return Quantity(f"{variant}'s {words(path)}", (variant,), lambda seed: seed.number(variant, path))


def baseline(name: str, path: str) -> Quantity:
    """A number of a baseline's metrics; baselines have no seed, so none needs to be common."""
    return Quantity(f"{name}'s {words(path)}", (), lambda seed: seed.number(name, path))


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


def show(value: float) -> str:
    """Four significant digits; whole numbers in full."""
    return f"{value:,.0f}" if abs(value) < 1e15 and value == int(value) else f"{value:.4g}"


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
