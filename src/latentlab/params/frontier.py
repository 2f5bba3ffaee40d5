"""All of analyses/frontier/params.yaml: the best variants of our own."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from latentlab import paths
from latentlab.params.recipes import Recipe
from latentlab.params.strict import Name, Section, Seed, checked, read_yaml


class Frontier(Section):
    """Which variants of params.yaml they are, how they are trained, and what is measured of them beside the core."""

    variants: Annotated[list[Name], Field(min_length=1)]
    recipes: Annotated[list[Recipe], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    analyses: list[Name]


class _File(Section):
    frontier: Frontier


def load(root: Path = Path()) -> Frontier:
    """Reads and checks analyses/frontier/params.yaml.

    Raises:
        ParamsError: It is missing, is no YAML, or something in it is wrong.
    """
    path = root / paths.FRONTIER_PARAMS
    return checked(_File, read_yaml(path), path).frontier


def variants() -> list[str]:
    """The names of the variants; none where the file is missing.

    Raises:
        ParamsError: As for `load`.
    """
    return load().variants if paths.FRONTIER_PARAMS.exists() else []
