"""A part of params.yaml: strict, frozen, without unknown keys."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# numbers of things: more than this is a slip, and what would come of it a failure hours later
Count = Annotated[int, Field(ge=1, le=1_000_000)]
# what NumPy, scikit-learn and torch all take
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
