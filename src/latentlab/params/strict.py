"""Strict reading of parameter files: sections without unknown keys, YAML without repeated ones, faults in words.

A fault is reported as one `ParamsError` whose lines name the key, what stands there and what would be right.
"""

import re
import reprlib
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from latentlab.errors import UserError, printable

# numbers of things: more than this is a slip, and what would come of it a failure hours later
Count = Annotated[int, Field(ge=1, le=1_000_000)]
# what NumPy, scikit-learn and torch all take
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ParamsError(UserError):
    """Something in a parameter file is wrong; the message says what, where, and what would be right."""


def choices(names: Iterable[str]) -> str:
    """What could have been chosen, for an error."""
    return "choose from " + ", ".join(names)


class _Constructor(SafeConstructor):
    """Plain values; a key that stands twice is a fault, not a silent overwrite."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # a date in month 13, `!!int x`
            found = _SHORT.repr(node.value)
            raise ParamsError(f"line {node.start_mark.line + 1}: {found} is not what YAML takes it for") from None

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        self.flatten_mapping(node)
        seen: set[Any] = set()
        num_merged = len(getattr(node, "merge", None) or ())
        for key_node, _ in node.value[num_merged:]:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise ParamsError(f"line {key_node.start_mark.line + 1}: a list or a mapping cannot be a key")
            if key in seen:
                raise ParamsError(f"line {key_node.start_mark.line + 1}: the key {key!r} stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file that people or DVC write: plain values as DVC reads them (YAML 1.2), and each key once.

    Raises:
        ParamsError: The file is missing, or is no such YAML.
    """
    if path.exists() and not path.is_file():
        raise ParamsError(f"{path}: is not a file")
    reader = YAML(typ="safe")
    reader.Constructor = _Constructor
    try:
        return reader.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: cannot be read: {error}") from None
    except MarkedYAMLError as error:
        if conflict := re.search(r"^<{7} ", path.read_text(encoding="utf-8"), re.MULTILINE):
            line = conflict.string.count("\n", 0, conflict.start()) + 1
            raise ParamsError(
                f"{path}: line {line}: a merge of git has left both sides here: choose, and remove its marks"
            ) from None
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ParamsError(f"{path}: is not YAML: {where}{error.problem}") from None
    except (YAMLError, ValueError) as error:  # a letter that is none
        raise ParamsError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ParamsError(f"{path}: is nested too deeply") from None
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from None


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
        # a data set's kind, which pydantic names behind the data set, is no key
        loc = (*fault["loc"][:2], *fault["loc"][3:]) if fault["loc"][:1] == ("datasets",) else fault["loc"]
        key = ".".join(
            printable(str(part)) for part in loc if part not in ("adam", "muon", "constant", "cosine", "plateau")
        )
        found = "" if fault["type"] in ("missing", "value_error") else f", found {_SHORT.repr(fault['input'])}"
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message, found = "unknown key", ""
        for line in message.split("\n"):
            lines.append(": ".join(part for part in (where, key, line) if part) + found)
    return "\n".join(lines)


S = TypeVar("S", bound=Section)


def checked(kind: type[S], content: Any, path: Path) -> S:
    """The content of a YAML file as a section.

    Raises:
        ParamsError: Something in it is wrong; the message says in which file.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ParamsError(explain(error, str(path))) from None
