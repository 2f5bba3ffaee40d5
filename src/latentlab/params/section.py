"""A part of params.yaml: strict, frozen, without unknown keys."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
