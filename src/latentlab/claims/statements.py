"""What do the sources claim, how is each claim tested, and where are its limits? A strict view of claims.yaml."""

import inspect
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from latentlab import params
from latentlab.claims.verdicts import Test, show
from latentlab.params.section import Section

Words = Annotated[str, Field(min_length=1)]
ClaimId = Annotated[str, Field(pattern=r"^[A-E][1-9][0-9]*$")]


class Claim(Section):
    """A claim that the results can decide.

    `test` is in words and names every threshold in braces, so that no number stands twice; `rows` are those that must have
    been run.
    """

    statement: Words
    rows: list[str] = Field(min_length=1)
    test: Words
    thresholds: dict[str, float] = Field(min_length=1)
    why: Words

    @model_validator(mode="after")
    def _words_name_the_thresholds(self) -> Self:
        named = {name for _, name, _, _ in string.Formatter().parse(self.test) if name is not None}
        if named != set(self.thresholds):
            raise ValueError(f"test names {sorted(named)} in braces, and thresholds has {sorted(self.thresholds)}")
        return self

    @property
    def test_in_words(self) -> str:
        """How it is tested, with the thresholds in their places."""
        return self.test.format(**{name: show(value) for name, value in self.thresholds.items()})


class OpenClaim(Section):
    """A claim that nothing in this study measures, and what would decide it."""

    statement: Words
    decided_by: Words


class Statements(Section):
    """All of claims.yaml."""

    confidence: float = Field(gt=0.5, lt=1)
    claims: dict[ClaimId, Claim]
    open_claims: dict[ClaimId, OpenClaim]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        twice = sorted(set(self.claims) & set(self.open_claims))
        if twice:
            raise ValueError(f"both in claims and in open_claims: {', '.join(twice)}")
        return self

    @property
    def ids(self) -> list[str]:
        """All ids, by source and number."""
        return sorted([*self.claims, *self.open_claims], key=lambda name: (name[0], int(name[1:])))


def load(path: Path, tests: Mapping[str, Test]) -> Statements:
    """Reads and checks claims.yaml.

    Args:
        path: The file.
        tests: By id of the claim. The keyword-only arguments of a test are the thresholds that its claim must give.

    Raises:
        ParamsError: The file is missing, is no YAML, a key is unknown, missing or of the wrong type, or the claims and
            their thresholds are not those of the tests.
    """
    try:
        statements = Statements.model_validate(params.read_yaml(path))
    except ValidationError as error:
        raise params.ParamsError(params.explain(error, str(path))) from None
    faults = [f"claims.{name}: there is no test for it" for name in statements.claims if name not in tests]
    faults += [f"claims: the tested claim {name} is missing" for name in tests if name not in statements.claims]
    for name, claim in statements.claims.items():
        asked = _thresholds(tests[name]) if name in tests else set(claim.thresholds)
        if asked != set(claim.thresholds):
            faults.append(f"claims.{name}.thresholds: must be {sorted(asked)}, found {sorted(claim.thresholds)}")
    if faults:
        raise params.ParamsError("\n".join(f"{path}: {fault}" for fault in faults))
    return statements


def _thresholds(test: Test) -> set[str]:
    parameters = inspect.signature(test).parameters.values()
    return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
