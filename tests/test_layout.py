"""dvc.yaml, layout.py and the code say the same about files."""

import ast
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, STUDY
from latentlab import layout, models
from latentlab.stages import train

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES = PIPELINE["stages"]
MATRIX = {"row": "variants", "recipe": "recipes", "seed": "seeds"}


def paths(entries: list[str | dict]) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def outputs(stage: str) -> set[str]:
    body = STAGES[stage].get("do", STAGES[stage])
    found = paths(body.get("outs", [])) | paths(body.get("metrics", []))
    values = {"${item.row}": "a_row", "${item.recipe}": "fast", "${item.seed}": "3", "${key}": "a_baseline"}
    for placeholder, value in values.items():
        found = {path.replace(placeholder, value) for path in found}
    return found


def test_outputs_of_the_stages_are_where_the_code_writes_them():
    run, baseline = layout.Run("a_row", "fast", 3), layout.Baseline("a_baseline")
    trained = {
        "train": {run.checkpoint.parent, run.curve},
        "evaluate": {run.metrics, run.images, run.pictures},
        "probe": {run.probes, run.confusion, run.embedding, run.embedding_picture},
    }
    expected = {
        "download": {layout.DATA},
        "plan": {layout.PLANS},
        **{f"{stage}{group}": files for stage, files in trained.items() for group in ("", "_found")},
        "baseline": {baseline.metrics, baseline.probes, baseline.confusion},
        "denoiser": {layout.Baseline(layout.CLASSICAL).metrics},
        "codecs": {layout.CODECS},
        "compare": {
            layout.LEADERBOARD,
            layout.LEADERBOARD_PAGE,
            layout.COMPARISONS,
            layout.ANALYSES,
            layout.CURVES,
            layout.CONFUSION,
            layout.SUMMARY,
        },
        "claims": {layout.CLAIMS, layout.CLAIMS_PAGE},
        "plot": {layout.FIGURES},
        "report": {layout.REPORT, layout.REPORT_PAGE},
    }
    assert list(STAGES) == list(expected)
    assert {stage: outputs(stage) for stage in STAGES} == {
        stage: {path.as_posix() for path in files} for stage, files in expected.items()
    }


def test_runs_are_found_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = [layout.Run("mlp_8", "fast", 0), layout.Run("mlp_8", "fast", 12), layout.Run("vae_2", "published", 0)]
    for run in wanted:
        run.folder.mkdir(parents=True)
        run.probes.write_text("{}", encoding="utf-8")
    (layout.RUNS / "fast/mlp_8/seed_x").mkdir()
    (layout.RUNS / "fast/mlp_8/seed_x/probes.json").write_text("{}", encoding="utf-8")
    assert sorted(layout.runs_with("probes.json")) == sorted(wanted)
    assert str(wanted[1]) == "mlp_8-fast-12"


def imported(path: Path) -> set[Path]:
    """Files of the package that a file imports, directly."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("latentlab"):
            base = ROOT / "src" / Path(*node.module.split("."))
            names = [base / alias.name for alias in node.names] + [base]
            found |= {name.with_suffix(".py") for name in names if name.with_suffix(".py").exists()}
    return found


def reached_from(start: Path, harmless: set[Path]) -> set[Path]:
    """Files of the package that a file imports, directly or not, without those that cannot change a number."""
    reached = {start}
    while True:
        more = {path for each in reached for path in imported(each)} - harmless
        if more <= reached:
            return reached
        reached |= more


# what cannot change a number: names of paths, the parameters that DVC watches by themselves, the sums that the download
# checked, what is told to people and to MLflow
HARMLESS = {
    "layout.py", "params/__init__.py", "params/analyses.py", "params/rows.py", "params/section.py", "params/study.py",
    "params/training.py",
    "plans.py", "download.py", "errors.py", "processes.py", "stages/log.py", "tracking/store.py", "tracking/runs.py",
    "wholefiles.py",
}  # fmt: skip
# a baseline shares the stage's module, but has no weights and runs on the CPU
UNUSED = {"baseline": {"checkpoint.py", "devices.py", "pictures.py"}}


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("download", "plan")])
def test_a_stage_depends_on_all_code_that_it_runs(stage):
    body = STAGES[stage].get("do", STAGES[stage])
    package = ROOT / "src/latentlab"
    declared = {ROOT / path for path in paths(body["deps"]) if path.startswith("src/") and "${" not in path}
    declared |= {path for folder in declared if folder.is_dir() for path in folder.glob("*.py")}
    assert all(path.exists() for path in declared)
    harmless = {package / name for name in HARMLESS | UNUSED.get(stage, set())}
    reached = reached_from(package / "stages" / f"{stage.removesuffix('_found')}.py", harmless)
    assert {path for path in reached if path.parent.name != "models"} <= declared, stage


def test_the_study_depends_on_all_code_that_a_trial_runs():
    (body,) = yaml.safe_load((ROOT / "study/dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    package = ROOT / "src/latentlab"
    declared = {ROOT / path for path in paths(body["deps"]) if path.startswith("src/")}
    declared |= {path for folder in declared if folder.is_dir() for path in folder.glob("*.py")}
    assert all(path.exists() for path in declared)
    assert reached_from(package / "study/objective.py", {package / name for name in HARMLESS}) <= declared
    assert body["outs"] == [{layout.STUDY.as_posix(): {"cache": False}}]


def test_found_rows_have_the_stages_of_all_rows():
    for stage in ("train", "evaluate", "probe"):
        other = STAGES[f"{stage}_found"]
        assert other | {"matrix": None} == STAGES[stage] | {"matrix": None}
        assert other["matrix"] == {key: f"${{found.{name}}}" for key, name in MATRIX.items()}
        assert STAGES[stage]["matrix"] == {key: f"${{{name}}}" for key, name in MATRIX.items()}


def test_train_depends_on_the_plan_of_its_row_and_on_the_layers_of_all():
    deps = paths(STAGES["train"]["deps"])
    assert "plans/${item.recipe}/${item.row}.json" in deps
    # how layers compute is no part of a plan, which says what they are; the other modules stand in it
    assert [path for path in deps if path.startswith("src/latentlab/models")] == ["src/latentlab/models/products.py"]
    modules = {path.stem for path in (ROOT / "src/latentlab/models").glob("*.py")}
    assert modules == {*models.MODELS, "__init__", "base", "layers", "products"}
    for family, kind in models.MODELS.items():
        assert kind.__module__ == f"latentlab.models.{family}"


def test_the_fingerprint_covers_the_code_that_train_depends_on():
    deps = {path.removeprefix("src/latentlab/") for path in paths(STAGES["train"]["deps"]) if path.startswith("src/")}
    assert deps == set(train.SOURCES)


def test_every_section_of_params_that_a_stage_watches_exists():
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for stage, body in STAGES.items():
        for key in body.get("do", body).get("params", []):
            assert key == {"found.yaml": None} or key.split(".")[0] in content, stage
    assert STUDY.variants
