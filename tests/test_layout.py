"""The pipelines, paths.py and the code say the same about files, and imports go one way."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from latentlab import paths
from latentlab.paths import Baseline, Run

PACKAGE = ROOT / "src/latentlab"
PIPELINES = {
    home: yaml.safe_load((ROOT / f"{folder}dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for home, folder in (
        (paths.MAIN, ""), (paths.MORE, "analyses/"), (paths.FOUND_RUNS, "study/"), (paths.FRONTIER, "analyses/frontier/"),
    )
}  # fmt: skip
RUN, BASELINE = Run("a", "d", "fast", 3), Baseline("pca", "d")
VALUES = {
    "item.variant": "a", "item.dataset": "d", "item.recipe": "fast", "item.seed": "3", "item.name": "pca",
    "item.analysis": "denoising", "item": "d",
}  # fmt: skip
# from what is below to what is above: nothing imports what comes after it
ROOMS = [
    {"environment", "errors", "files", "paths"}, {"params"}, {"data"}, {"models"}, {"training", "evaluation"},
    {"comparison", "tracking"}, {"report"}, {"stages", "study"}, {"commands"}, {"cli"},
]  # fmt: skip


def body(home: str, stage: str) -> dict:
    content = PIPELINES[home][stage]
    return content.get("do", content)


def named(entries: list) -> set[str]:
    """Paths in a list of a stage, with what stands for the run filled in."""
    found = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    for key, value in VALUES.items():
        found = {path.replace(f"${{{key}}}", value) for path in found}
    return found


def outputs(home: str, stage: str) -> set[str]:
    content = body(home, stage)
    return {path for key in ("outs", "metrics", "plots") for path in named(content.get(key, []))}


def expected(run: Run) -> dict[str, set[Path]]:
    return {
        "train": {run.checkpoint.parent},
        "evaluate": {run.metrics, run.reconstructions, run.shown_curve},
        "probe": {run.probes, run.confusion},
    }


MORE = Run("a", "d", "fast", 3, paths.MORE)
BEST = Run("a", "d", "fast", 3, paths.FRONTIER)
MADE, ANALYSED = paths.reports("d"), paths.reports("d", "analyses")
EXPECTED = {
    paths.MAIN: {
        "download": {paths.data("d")},
        "plan": {paths.PLANS},
        **expected(RUN),
        "baseline": {BASELINE.metrics, BASELINE.probes, BASELINE.confusion},
        "compare": {
            MADE.summary, MADE.leaderboard, MADE.leaderboard_page, MADE.comparisons, MADE.curves, MADE.confusion,
        },
        "plot": {MADE.figures, MADE.charts},
        "report": {MADE.report, MADE.report_html},
        "explore": {MADE.explorer},
        "compare_datasets": {paths.SIDE_BY_SIDE, paths.SIDE_BY_SIDE_PAGE},
    },
    paths.MORE: {
        "classifier": {paths.classifier("d").parent},
        "plan_analyses": {paths.ANALYSES_PLANS},
        **expected(MORE),
        "analyse": {RUN.analysis("denoising"), RUN.arrays("denoising")},
        "analyse_more": {MORE.analysis("denoising"), MORE.arrays("denoising")},
        "analyse_baseline": {BASELINE.analysis("denoising")},
        "raw_pixels": {Baseline("raw_pixels", "d").analysis("denoising")},
        "classical": {Baseline("classical", "d").analysis("denoising")},
        "codecs": {Baseline("codecs", "d").analysis("codecs")},
        "tables": {ANALYSED.leaderboard, ANALYSED.tables},
        "claims": {ANALYSED.claims, ANALYSED.claims_page},
        "plot": {ANALYSED.figures, ANALYSED.charts},
        "report": {ANALYSED.report, ANALYSED.report_html, ANALYSED.claims_html},
        "claims_side_by_side": {paths.CLAIMS_SIDE_BY_SIDE},
    },
    paths.FRONTIER: {
        "plan_frontier": {BEST.analysis_plan("x").parents[3]},
        **expected(BEST),
        "analyse": {BEST.analysis("denoising"), BEST.arrays("denoising")},
        "table": {paths.frontier("d"), paths.frontier("d").with_suffix(".md")},
    },
}  # fmt: skip


@pytest.mark.parametrize("home", EXPECTED)
def test_outputs_of_the_stages_are_where_the_code_writes_them(home):
    assert {stage: outputs(home, stage) for stage in PIPELINES[home]} == {
        stage: {path.as_posix() for path in files} for stage, files in EXPECTED[home].items()
    }


def test_what_the_study_has_found_is_trained_in_its_own_home():
    found = Run("a", "d", "fast", 3, paths.FOUND_RUNS)
    stages = {stage: files for stage, files in expected(found).items() if stage in PIPELINES[paths.FOUND_RUNS]}
    assert list(stages) == ["train", "evaluate", "probe"]
    for stage, files in stages.items():
        assert outputs(paths.FOUND_RUNS, stage) == {path.as_posix() for path in files}


@pytest.mark.parametrize("home", PIPELINES)
@pytest.mark.parametrize("stage", ["train", "evaluate", "probe", "analyse", "analyse_more"])
def test_what_makes_the_numbers_of_a_run_depends_on_its_plan_and_on_no_source_file(home, stage):
    if stage not in PIPELINES[home]:
        assert stage.startswith("analyse")
        return
    content = body(home, stage)
    run = replace(RUN, home=home)
    plan = run.analysis_plan("denoising") if stage.startswith("analyse") else run.plan(stage)
    deps = named(content["deps"])
    assert plan.as_posix() in deps
    assert not [path for path in deps if path.startswith("src")]
    assert not content.get("params")


@pytest.mark.parametrize("home", PIPELINES)
def test_results_in_git_survive_an_experiment_of_another_selection(home):
    for stage in PIPELINES[home]:
        content = body(home, stage)
        entries = [each for key in ("metrics", "outs") for each in content.get(key, []) if isinstance(each, dict)]
        for path, options in (pair for entry in entries for pair in entry.items()):
            if path.startswith("data/"):  # is in DVC's cache, and not fetched again
                assert options == {"persist": True}
                continue
            assert options["cache"] is False, path
            assert options.get("persist", False) == ("results/" in path), path


@pytest.mark.parametrize("home", PIPELINES)
def test_every_source_file_that_a_stage_depends_on_exists(home):
    for stage in PIPELINES[home]:
        for path in body(home, stage).get("deps", []):
            assert not path.startswith("src") or (ROOT / path).exists(), f"{stage}: {path}"


def test_a_run_is_named_and_found_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = [Run("mlp_8", "mnist", "fast", 0), Run("mlp_8", "mnist", "fast", 12), Run("vae_2", "mnist", "published", 0)]
    for run in wanted:
        run.folder.mkdir(parents=True)
        run.metrics.write_text("{}", encoding="utf-8")
    other = wanted[0].folder.with_name("seed_x")
    other.mkdir()
    (other / "metrics.json").write_text("{}", encoding="utf-8")
    assert sorted(paths.runs_with("metrics.json", "mnist")) == sorted(wanted)
    assert str(wanted[1]) == "mlp_8-mnist-fast-12"
    assert wanted[1].stage("train") == "train@mlp_8-mnist-fast-12"
    assert Run("a", "d", "fast", 0, paths.MORE).stage("probe") == "analyses/dvc.yaml:probe@a-d-fast-0"
    assert Run.of("mlp_8", "mnist", "fast", "12") == wanted[1]


def imported(path: Path) -> set[str]:
    """The rooms that a file imports from, at whatever place."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "latentlab":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("latentlab."):
            found.add(node.module.split(".")[1])
    return found & {name for rooms in ROOMS for name in rooms} | found & {"pipeline"}


def test_imports_go_one_way():
    for index, rooms in enumerate(ROOMS):
        below = set().union(*ROOMS[: index + 1])
        for room in rooms:
            files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").exists() else (PACKAGE / room).rglob("*.py")
            for path in files:
                upwards = imported(path) - below - ({"pipeline"} if room in ("study", "commands", "cli") else set())
                assert not upwards, f"{path.relative_to(PACKAGE)} imports from {sorted(upwards)}"
    for path in (PACKAGE / "pipeline").rglob("*.py"):
        assert imported(path) <= {"environment", "errors", "files", "paths", "params", "pipeline"}, path
    known = {name for rooms in ROOMS for name in rooms} | {"pipeline", "__init__"}
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")} == known
