"""dvc.yaml, layout.py and the code say the same about files."""

import ast
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, STUDY
from latentlab import layout, models

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES = PIPELINE["stages"]


def paths(entries: list[str | dict]) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def outputs(stage: str) -> set[str]:
    body = STAGES[stage].get("do", STAGES[stage])
    found = paths(body.get("outs", [])) | paths(body.get("metrics", []))
    return {path.replace("${key}", "a_row") for path in found}


def test_outputs_of_the_stages_are_where_the_code_writes_them():
    row = "a_row"
    expected = {
        "download": {layout.DATA},
        "train": {layout.checkpoint(row).parent, layout.curve(row)},
        "evaluate": {layout.metrics(row), layout.confusion(row), layout.reconstructions(row), layout.picture(row)},
        "baseline": {layout.metrics(row), layout.confusion(row)},
        "compare": {
            layout.LEADERBOARD,
            layout.LEADERBOARD_PAGE,
            layout.COMPARISONS,
            layout.CURVES,
            layout.CONFUSION,
            layout.SUMMARY,
        },
        "plot": {layout.FIGURES},
    }
    assert list(STAGES) == list(expected)
    assert {stage: outputs(stage) for stage in STAGES} == {
        stage: {path.as_posix() for path in files} for stage, files in expected.items()
    }


def imported(path: Path) -> set[Path]:
    """Files of the package that a file imports, directly."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("latentlab"):
            base = ROOT / "src" / Path(*node.module.split("."))
            names = [base / alias.name for alias in node.names] + [base]
            found |= {name.with_suffix(".py") for name in names if name.with_suffix(".py").exists()}
    return found


# what cannot change a number: names of paths, the parameters that DVC watches by themselves, the sums that the download
# checked, what is told to people and to MLflow
HARMLESS = {"layout.py", "params.py", "download.py", "stages/log.py", "tracking/store.py", "tracking/runs.py"}
# a baseline shares the stage's module, but has no weights and runs on the CPU
UNUSED = {"baseline": {"checkpoint.py", "devices.py"}}


@pytest.mark.parametrize("stage", ["train", "evaluate", "baseline", "compare", "plot"])
def test_a_stage_depends_on_all_code_that_it_runs(stage):
    body = STAGES[stage].get("do", STAGES[stage])
    package = ROOT / "src/latentlab"
    declared = {ROOT / path for path in paths(body["deps"]) if path.startswith("src/") and "${" not in path}
    declared |= {path for folder in declared if folder.is_dir() for path in folder.glob("*.py")}
    assert all(path.exists() for path in declared)
    harmless = {package / name for name in HARMLESS | UNUSED.get(stage, set())}
    reached = {package / "stages" / f"{stage}.py"}
    while True:
        more = {path for each in reached for path in imported(each)} - harmless
        if more <= reached:
            break
        reached |= more
    assert {path for path in reached if path.parent.name != "models"} <= declared, stage


def test_train_depends_on_its_own_family_only():
    deps = paths(STAGES["train"]["do"]["deps"])
    assert "src/latentlab/models/${item.family}.py" in deps
    assert "src/latentlab/models/base.py" in deps
    for family, kind in models.MODELS.items():
        assert kind.__module__ == f"latentlab.models.{family}"


def test_the_fingerprint_covers_the_code_that_train_depends_on():
    source = (ROOT / "src/latentlab/stages/train.py").read_text(encoding="utf-8")
    for path in paths(STAGES["train"]["do"]["deps"]):
        if path.startswith("src/latentlab/"):
            name = path.removeprefix("src/latentlab/").replace("${item.family}", "{row.family}")
            assert f'"{name}"' in source, name


def test_every_section_of_params_that_a_stage_watches_exists():
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for stage, body in STAGES.items():
        for key in body.get("do", body).get("params", []):
            assert key.split(".")[0] in content, stage
    assert STUDY.variants
