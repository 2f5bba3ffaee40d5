"""All of params.yaml, and what the trade-off study has found beside it."""

import math
from collections.abc import Collection
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from latentlab import paths
from latentlab.params.datasets import Dataset
from latentlab.params.recipes import Recipe, Training
from latentlab.params.strict import Count, Name, ParamsError, Section, Seed, checked, choices, explain, read_yaml
from latentlab.params.variants import Baseline, Comparison, Found, Published, Variant

# of a selection
Several = Field(min_length=1)


class Selection(Section):
    """What is run: every combination of the four lists."""

    variants: Annotated[list[Name], Several]
    datasets: Annotated[list[Name], Several]
    recipes: Annotated[list[Recipe], Several]
    seeds: Annotated[list[Seed], Several]


class Probes(Section):
    """Neighbours of the nearest-neighbour probe."""

    neighbours: Count


class Params(Section):
    """All of params.yaml; `variants` and `recipes` hold what the study has found as well, `found` says which."""

    run: Selection
    device: Literal["auto", "cpu", "cuda", "mps"]
    datasets: dict[Name, Dataset] = Several
    variants: dict[Name, Variant] = Several
    recipes: dict[Recipe, dict[str, Training]]
    baselines: dict[Name, Baseline]
    probes: Probes
    sources: dict[str, str]
    published: dict[str, Published]
    comparisons: dict[Name, Comparison]
    found: Found = Found(recipes=[], seeds=[], variants={}, training={})

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Self:
        faults = []
        known: dict[str, Collection[Any]] = {
            "variants": self.variants,
            "datasets": self.datasets,
            "recipes": self.recipes,
            "seeds": self.run.seeds,
        }
        for key, there in known.items():
            selected = getattr(self.run, key)
            if len(set(selected)) < len(selected):
                faults.append(f"run.{key}: one stands twice: {selected}")
            faults += [f"run.{key}: {name!r} is not in {key}: {choices(there)}" for name in selected if name not in there]
        for name, variant in self.variants.items():
            if variant.source not in self.sources:
                faults.append(f"variants.{name}.source: {variant.source!r} is not in sources: {choices(self.sources)}")
            needed: list[Recipe] = ["fast"]
            if name in self.found.variants:
                needed = self.found.recipes
            elif name in self.run.variants:
                needed = self.run.recipes
            for recipe in needed:
                settings = self.recipes.get(recipe, {})
                if variant.training not in settings:
                    faults.append(
                        f"variants.{name}.training: {variant.training!r} is not in recipes.{recipe}: {choices(settings)}"
                    )
        for name, baseline in self.baselines.items():
            if name in self.variants:
                faults.append(f"baselines.{name}: a variant has that name")
            for dataset in (each for each in self.run.datasets if each in self.datasets):
                if baseline.num_components > (most := math.prod(self.datasets[dataset].shape)):
                    faults.append(
                        f"baselines.{name}.num_components: {baseline.num_components}, and images of {dataset} have {most} "
                        "numbers"
                    )
        for name in self.published:
            if name not in self.variants:
                faults.append(f"published.{name}: no such variant: {choices(self.variants)}")
        for key, comparison in self.comparisons.items():
            for name in comparison.variants:
                if name not in self.variants:
                    faults.append(f"comparisons.{key}.variants: {name!r} is not in variants: {choices(self.variants)}")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def published_on(self, dataset: str) -> dict[str, Published]:
        """The published figures that can be compared with results on a data set: they are all of MNIST."""
        return self.published if self.datasets[dataset].kind == "mnist" else {}

    def runs(self) -> list[paths.Run]:
        """Every combination that is selected."""
        selected = product(self.run.variants, self.run.datasets, self.run.recipes, self.run.seeds)
        return [paths.Run(*each) for each in selected]

    def variant(self, name: str) -> Variant:
        """The variant of that name.

        Raises:
            ParamsError: There is none.
        """
        if name not in self.variants:
            raise ParamsError(f"no variant {name!r} in params.yaml: {choices(self.variants)}")
        return self.variants[name]

    def training_of(self, name: str, recipe: Recipe) -> Training:
        """How that variant is trained under that recipe."""
        return self.recipes[recipe][self.variant(name).training]


def load(root: Path = Path()) -> Params:
    """Reads and checks params.yaml, and study/found.yaml if it is there.

    Args:
        root: The project's folder.

    Returns:
        The checked parameters. What only a model family can check (its own keys) is checked by `latentlab.models.check`.

    Raises:
        ParamsError: A file is missing, is no YAML, or a key is unknown, missing, of the wrong type or out of range.
    """
    path, found = root / paths.PARAMS, root / paths.FOUND
    content = read_yaml(path)
    if (found.exists() or found.is_symlink()) and isinstance(content, dict):
        content = _joined(content, read_yaml(found), found)
    return checked(Params, content, path)


class _FoundFile(Section):
    found: Found


def _joined(content: dict[str, Any], found: Any, path: Path) -> dict[str, Any]:
    """The content of params.yaml with the variants of found.yaml behind its own."""
    try:
        checked = _FoundFile.model_validate(found).found
    except ValidationError as error:
        raise ParamsError(explain(error, str(path))) from None
    variants, recipes = content.get("variants"), content.get("recipes")
    if not isinstance(variants, dict) or not isinstance(recipes, dict):
        return content  # its own check will say so
    for name in checked.variants:
        if name in variants:
            raise ParamsError(f"{path}: found.variants.{name}: a variant of that name stands in params.yaml")
    dumped = checked.model_dump()
    joined = {
        recipe: settings | dumped["training"] if recipe in checked.recipes and isinstance(settings, dict) else settings
        for recipe, settings in recipes.items()
    }
    return content | {"variants": variants | dumped["variants"], "recipes": joined, "found": dumped}
