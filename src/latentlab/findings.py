"""What was seen when something was looked at, for `latentlab doctor`."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was seen, and what to do about it (empty if nothing)."""

    level: Level
    about: str
    seen: str
    remedy: str = ""

    def __str__(self) -> str:
        """For people."""
        text = f"{self.level:<8}{self.about}: {self.seen}"
        return f"{text}\n{'':8}-> {self.remedy}" if self.remedy else text
