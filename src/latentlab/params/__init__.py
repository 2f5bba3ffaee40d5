"""Typed, strict, frozen view of params.yaml.

A fault is reported as one `ParamsError` whose lines name the key, what stands there and what would be right.
"""

import re
import reprlib
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from latentlab.errors import UserError, printable
from latentlab.params.analyses import Analyses, LatentSpace
from latentlab.params.rows import Baseline, Data, Experiment, Found, FoundFile, Published, Recipe, Row, Split
from latentlab.params.section import Name, Section, Seed
from latentlab.params.study import StudySettings
from latentlab.params.training import Adam, Constant, Cosine, Muon, Plateau, Training

__all__ = [
    "Adam",
    "Analyses",
    "Baseline",
    "Constant",
    "Cosine",
    "Data",
    "Experiment",
    "Found",
    "FoundFile",
    "LatentSpace",
    "Muon",
    "Params",
    "ParamsError",
    "Plateau",
    "Published",
    "Recipe",
    "Row",
    "Split",
    "StudySettings",
    "Training",
    "explain",
    "load",
    "read_yaml",
]  # fmt: skip

# beside params.yaml
FOUND = "found.yaml"


class ParamsError(UserError):
    """Something in params.yaml is wrong; the message says what, where, and what would be right."""


class Params(Section):
    """All of params.yaml; `variants` and `training` hold what was found by the study as well, `found` says which."""

    seeds: list[Seed] = Field(min_length=1)
    recipes: list[Recipe] = Field(min_length=1)
    device: Literal["auto", "cpu", "cuda", "mps"]
    data: Data
    split: Split
    sources: dict[str, str]
    variants: dict[Name, Row] = Field(min_length=1)
    training: dict[Recipe, dict[str, Training]]
    analyses: Analyses
    baselines: dict[Name, Baseline]
    published: dict[str, Published]
    experiments: dict[Name, Experiment]
    study: StudySettings
    found: Found = Found(recipes=[], seeds=[], variants={}, training={})

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Self:
        faults = []
        for key, values in (("seeds", self.seeds), ("recipes", self.recipes)):
            if len(set(values)) < len(values):
                faults.append(f"{key}: one stands twice: {values}")
        for key in ("first", "second"):
            index = getattr(self.analyses.interpolation, key)
            if index >= self.split.test:
                faults.append(f"analyses.interpolation.{key}: {index} is not below split.test, {self.split.test}")
        for recipe in self.recipes:
            if recipe not in self.training:
                faults.append(f"recipes: {recipe!r} is not in training: {_choices(self.training)}")
        for name, row in self.variants.items():
            if row.source not in self.sources:
                faults.append(f"variants.{name}.source: {row.source!r} is not in sources: {_choices(self.sources)}")
            for recipe in self.found.recipes if name in self.found.variants else self.training:
                settings = self.training.get(recipe, {})
                if row.training not in settings:
                    faults.append(
                        f"variants.{name}.training: {row.training!r} is not in training.{recipe}: {_choices(settings)}"
                    )
        for name in self.baselines:
            if name in self.variants:
                faults.append(f"baselines.{name}: a row of that name stands in variants")
        for name in self.published:
            if name not in self.variants:
                faults.append(f"published.{name}: no such row in variants: {_choices(self.variants)}")
        for name, experiment in self.experiments.items():
            for row_name in experiment.rows:
                if row_name not in self.variants:
                    faults.append(f"experiments.{name}.rows: {row_name!r} is not in variants: {_choices(self.variants)}")
        if self.study.source not in self.sources:
            faults.append(f"study.source: {self.study.source!r} is not in sources: {_choices(self.sources)}")
        for key, names in (("known_rows", self.study.known_rows), ("reference", [self.study.reference])):
            for name in names:
                if name not in self.variants:
                    faults.append(f"study.{key}: {name!r} is not in variants: {_choices(self.variants)}")
        for name in self.study.winners:
            if name in self.baselines or (name in self.variants and name not in self.found.variants):
                faults.append(f"study.winners.{name}: the name is taken by a row or a baseline")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def recipes_of(self, name: str) -> list[Recipe]:
        """The recipes that a row is trained with."""
        return self.found.recipes if name in self.found.variants else self.recipes

    def seeds_of(self, name: str) -> list[int]:
        """The seeds that a row is trained with."""
        return self.found.seeds if name in self.found.variants else self.seeds

    def row(self, name: str) -> Row:
        """The row of that name.

        Raises:
            ParamsError: There is none.
        """
        if name not in self.variants:
            raise ParamsError(f"no row {name!r} in variants: {_choices(self.variants)}")
        return self.variants[name]

    def training_of(self, name: str, recipe: Recipe) -> Training:
        """How that row is trained under that recipe."""
        return self.training[recipe][self.row(name).training]


def _choices(names: Iterable[str]) -> str:
    return "choose from " + ", ".join(names)


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML as PyYAML's safe loader reads it, but a key that stands twice is a fault, not a silent overwrite."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # a date in month 13, `!!int x`
            found = _SHORT.repr(node.value)
            raise ParamsError(f"line {node.start_mark.line + 1}: {found} is not what YAML takes it for") from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise ParamsError(f"line {key_node.start_mark.line + 1}: a list or a mapping cannot be a key")
            if key_node.tag != "tag:yaml.org,2002:merge" and key in seen:
                raise ParamsError(f"line {key_node.start_mark.line + 1}: the key {key!r} stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(path: Path) -> Params:
    """Reads and checks params.yaml, and found.yaml beside it if it is there.

    Args:
        path: The file.

    Returns:
        The checked parameters. What only a model family can check (its own keys) is checked by `latentlab.models.check`.

    Raises:
        ParamsError: A file is missing, is no YAML, or a key is unknown, missing, of the wrong type or out of range.
    """
    content = read_yaml(path)
    found = path.with_name(FOUND)
    if (found.exists() or found.is_symlink()) and isinstance(content, dict):
        content = _joined(content, read_yaml(found), found)
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(explain(error, str(path))) from None


def read_yaml(path: Path) -> Any:
    """The content of a YAML file that people write: plain values, and each key once.

    Raises:
        ParamsError: The file is missing, or is no such YAML.
    """
    if path.exists() and not path.is_file():
        raise ParamsError(f"{path}: is not a file")
    try:
        # a subclass of the safe loader: it constructs plain values only
        return yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeyLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ParamsError(f"{path}: is not YAML: {where}{error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:  # a letter that is none
        raise ParamsError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ParamsError(f"{path}: is nested too deeply") from None
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from None


def _joined(content: dict[str, Any], found: Any, path: Path) -> dict[str, Any]:
    """The content of params.yaml with the rows of found.yaml behind its own."""
    try:
        checked = FoundFile.model_validate(found).found
    except ValidationError as error:
        raise ParamsError(explain(error, str(path))) from None
    variants, training = content.get("variants"), content.get("training")
    if not isinstance(variants, dict) or not isinstance(training, dict):
        return content  # its own check will say so
    for name in checked.variants:
        if name in variants:
            raise ParamsError(f"{path}: found.variants.{name}: a row of that name stands in params.yaml")
    dumped = checked.model_dump()
    joined = {
        recipe: settings | dumped["training"] if recipe in checked.recipes and isinstance(settings, dict) else settings
        for recipe, settings in training.items()
    }
    return content | {"variants": variants | dumped["variants"], "training": joined, "found": dumped}


# what aliases in YAML stand for can be far longer than the file
class _Short(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if abs(x) < 10**100 else "a number of more than a hundred digits"


_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 3, 200, 200, 200


def explain(error: ValidationError, where: str) -> str:
    """One line per fault: where it stands, what is wrong, what was found."""
    lines = []
    for fault in error.errors():
        key = ".".join(
            printable(str(part)) for part in fault["loc"] if part not in ("adam", "muon", "constant", "cosine", "plateau")
        )
        found = "" if fault["type"] in ("missing", "value_error") else f", found {_SHORT.repr(fault['input'])}"
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message, found = "unknown key", ""
        if fault["type"] == "float_type" and re.fullmatch(r"[-+]?\d+e[-+]?\d+", str(fault["input"])):
            message += " (YAML reads a number without a dot, such as 1e-3, as text: write 1.0e-3)"
        for line in message.split("\n"):
            lines.append(": ".join(part for part in (where, key, line) if part) + found)
    return "\n".join(lines)
