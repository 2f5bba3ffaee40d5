"""The real params.yaml, changed in hundreds of ways: each is a project or one clear error, and never a traceback."""

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT
from latentlab.models import check
from latentlab.params.project import load
from latentlab.params.strict import ParamsError, read_yaml
from latentlab.params.variants import Variant


def content_of_few() -> Any:
    """The real content with one variant of each family: the others are more of the same, and take their time."""
    content = read_yaml(ROOT / "params.yaml")
    of_family = {variant["family"]: name for name, variant in reversed(content["variants"].items())}
    few = [*of_family.values()]
    for container in (content["variants"], content["published"]):
        for name in container.keys() - {*few}:
            del container[name]
    for chosen in (content["run"], *content["comparisons"].values()):
        chosen["variants"] = [*few]
    return content


CONTENT = content_of_few()
# what a hand or a script may leave in the place of a value
VALUES = (
    None, True, False, 0, 1, -1, 3, 10**9, 10**400, 0.0, 0.5, -0.5, 1e300, float("nan"), float("inf"), "", "x", "1e-3",
    "null", "a b", "../x", "ä", [], [0], [1, 2], [-1, 0], ["x"], [None], [[]], {}, {"x": 1}, {"low": 2, "high": 1}, {1: 2},
)  # fmt: skip
KEYS = ("x", "", "a b", "a.b", "a@b", "ä", "-x", 1, None, True, "seed", "rule", "name")


def places(content: Any) -> list[tuple[Any, Any]]:
    """Every container in the content with every key or index in it."""
    found = []
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        found += [(content, key), *places(value)]
    return found


def mutated(chance: random.Random) -> tuple[Any, str]:
    """A copy of the content with one to three changes, and what they are."""
    content = copy.deepcopy(CONTENT)
    changes = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        container, key = chance.choice(places(content) or [(content, None)])
        change = chance.choice(("replace", "replace", "replace", "remove", "rename", "add", "copy"))
        changes.append(f"{change} {key!r}")
        if change == "remove" or not isinstance(container, dict):
            if change == "remove":
                del container[key]
            else:
                container[key] = chance.choice(VALUES)
        elif change == "rename":
            container[chance.choice(KEYS)] = container.pop(key)
        elif change == "add":
            container[chance.choice(KEYS)] = chance.choice(VALUES)
        elif change == "copy":
            other, from_key = chance.choice(places(content))
            container[key] = copy.deepcopy(other[from_key])
        else:
            container[key] = chance.choice(VALUES)
        changes[-1] += f" -> {container.get(key)!r}"[:80] if isinstance(container, dict) else ""
    return content, "; ".join(changes)


@pytest.mark.parametrize("seeds", [range(120), pytest.param(range(120, 400), marks=pytest.mark.slow)])
def test_every_change_is_a_project_or_one_clear_error(seeds, tmp_path, monkeypatch):
    checked: dict[str, None] = {}

    # a variant that has not changed has been checked
    def code_shape(variant: Variant, shape: Any) -> Any:
        key = repr((variant, shape))
        if key not in checked:
            real(variant, shape)
            checked[key] = None

    real = check.code_shape
    monkeypatch.setattr(check, "code_shape", code_shape)
    path = tmp_path / "params.yaml"
    outcomes = {"valid": 0, "error": 0}
    for seed in seeds:
        content, changes = mutated(random.Random(seed))
        path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True), encoding="utf-8")
        try:
            project = load(tmp_path)
            check.check(project.variants, {name: project.datasets[name].shape for name in project.run.datasets})
            outcomes["valid"] += 1
        except ParamsError as error:
            outcomes["error"] += 1
            lines = str(error).split("\n")
            assert all("params.yaml" in line or line.startswith("the keys of") for line in lines), (seed, changes, lines)
            assert all(len(line) < 2000 for line in lines), (seed, changes, lines)
        except Exception as error:
            pytest.fail(f"seed {seed}, {changes}: {type(error).__name__}: {error}")
    assert min(outcomes.values()) >= len(seeds) // 60  # the changes do both


# a hundred million ones, by aliases of aliases
ALIASES = zip("abcdefgh", ["1", *(f"*{name}" for name in "abcdefg")], strict=True)
BOMB = "".join(f"{name}: &{name} [{', '.join([before] * 10)}]\n" for name, before in ALIASES) + "seeds: *h\n"
BROKEN = (
    "", "[]", "3", "a", "{", "a: b: c", "- 1", "\t", "\x00", "seeds: [0]\nseeds: [1]",
    "!!python/object/apply:os.system [x]",
    "a: &a [*a]", "[" * 5000, "a: " + "{a: " * 5000, BOMB, "? [1, 2]\n: 3", "? {a: 1}\n: 3", "\ufeff{}",
)  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_is_no_params_yaml_is_one_clear_error(tmp_path: Path, text):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        load(tmp_path)


def test_bytes_that_are_no_text_and_a_file_that_is_not_there_are_clear_errors(tmp_path: Path):
    with pytest.raises(ParamsError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParamsError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "folder/params.yaml").mkdir(parents=True)
    with pytest.raises(ParamsError, match="is not a file"):
        load(tmp_path / "folder")
