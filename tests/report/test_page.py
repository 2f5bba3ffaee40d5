"""What the reports say, and what they leave out."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from conftest import PROJECT, ROOT, faults_for_readers, opened
from latentlab import paths
from latentlab.comparison.tables import write_csv
from latentlab.report import findings
from latentlab.report.content import Content
from latentlab.report.page import analyses_report, core_report, write_html
from latentlab.report.sections import SECTIONS, charted, of_core, with_content
from latentlab.stages import plot, plot_analyses, report, report_analyses

VERDICTS = ["holds", "holds", "does_not_hold", "undecided"]
CLAIMS = [{"verdicts": {recipe: {"verdict": verdict} for recipe in PROJECT.recipes}} for verdict in VERDICTS]


def test_the_report_has_a_section_for_every_comparison_and_only_the_figures_that_were_drawn():
    text = core_report(made_up.of_core(made_up.runs()), {"probes", "loss_filters", "denoising"})
    for comparison in PROJECT.comparisons.values():
        assert f"## {comparison.title}\n" in text
    assert text.count("![") == 2
    count = len(PROJECT.published)
    assert f"{count} of the {count} variants with a published figure are as good or better" in text
    # `cae_filters_wide` has the smallest published error, and the made-up ones follow those
    assert "`cae_filters_wide` has the smallest test MSE" in text
    assert "on the raw pixels 98.50%" in text


def test_the_report_of_the_analyses_ends_with_the_claims():
    content = made_up.of_analyses()
    text = analyses_report(content, {"denoising"}, CLAIMS)
    assert text.count("![") == 1
    # the made-up gain is above zero
    assert "The gain in dB at sigma 0.2: from +1." in text
    assert "3 of the 3 variants trained on clean images bring the image closer" in text
    assert "Of 4 claims under `fast`: holds 2, does not hold 1, not decided 1. [The claims" in text
    assert all(f"## {section.title}\n" in text for section in SECTIONS if section.analysis)
    only = analyses_report(replace(content, tables={"untrained": content.tables["untrained"]}), set(), CLAIMS)
    assert re.findall("^## (.*)", only, re.MULTILINE) == [
        "Untrained encoders and raw pixels",
        "The claims of the five sources, and of papers",
        "Where it all comes from",
    ]


def test_the_answer_comes_first():
    lines = [
        ("mlp_2", "fast", 2, 0.04, 0.7), ("cae_latent_8", "fast", 8, 0.01, 0.97), ("mlp_8", "fast", 8, 0.02, 0.96),
        ("cae_baseline", "fast", 32, 0.005, 0.99), ("conv_ae", "fast", 1568, 0.006, 0.98),
        ("pca_2", None, 2, 0.08, None), ("pca_8", None, 8, 0.03, None),
    ]  # fmt: skip
    board = pd.DataFrame(lines, columns=["variant", "recipe", "latent_dim", "test_mse", "svm_rbf_accuracy"])
    content = Content(PROJECT, "mnist", board.assign(test_mse_sd=np.nan))
    assert findings.how_small(content) == (
        "PCA has 3.0 times the error of the best autoencoder with 8, and 2.0 times with 2 numbers. "
        "A code twice as long takes 50% of the error away between 2 and 8, and 29% between 8 and 32 numbers. "
        "32 numbers are enough for the RBF probe to name the class of 99.0% of the images (`cae_baseline`); "
        "the best here is 99.0%."
    )
    best = findings.best_codes(content)
    assert list(best["variant"]) == ["mlp_2", "cae_latent_8", "cae_baseline", "conv_ae"]
    assert list(best["pca_mse"].dropna()) == [0.08, 0.03]
    text = core_report(made_up.of_core(made_up.runs()), {"error_against_latent_dim", "error_against_parameters"})
    heads = re.findall("^## (.*)", text, re.MULTILINE)
    assert heads[:2] == ["Error against latent dimension", "Leaderboard"]
    first = text.partition("## Leaderboard")[0]
    assert re.search(
        r"error_against_latent_dim\.png\)\n\n\| latent_dim \|.*error_against_parameters\.png", first, re.DOTALL
    )


@pytest.mark.parametrize("name", ["cae_baseline", "vae_2"])
def test_the_reports_of_one_variant(name):
    content = made_up.of_core(made_up.runs([name], seeds=[0]))
    text = core_report(content, set())
    assert "variants: 1, seeds of each: up to 1." in text
    assert f"(`{name}`)" in text
    assert not {section.title for section, _ in with_content(of_core(PROJECT), content)} & {
        comparison.title for comparison in PROJECT.comparisons.values()
    }
    assert "## Denoising" in analyses_report(made_up.of_analyses([name]), set(), CLAIMS)


def test_variants_that_were_trained_on_noise_alone_have_a_section_too():
    text = analyses_report(made_up.of_analyses(["mlp_8_denoise"]), set(), CLAIMS)
    assert "The gain in dB at sigma 0.2: +1." in text
    assert "trained on clean images" not in text


def test_nothing_was_run():
    text = core_report(made_up.of_core(made_up.runs([])), set())
    assert "No variant here has a published figure." in text
    assert "nan" not in text


def test_the_names_of_stages_are_those_of_the_pipeline_and_no_link_leads_out_of_the_page():
    run = PROJECT.runs()[0]
    for text in (
        core_report(made_up.of_core(made_up.runs()), {"probes"}),
        analyses_report(made_up.of_analyses(), set(), CLAIMS),
    ):
        assert not re.search(r"https?://|\]\((?!#|figures/|claims\.md\))", text)
        assert f"`tags.variant = '{run.variant}'`" in text
        assert set(re.findall(r"\w+@[\w-]+", text)) <= {run.stage(stage) for stage in ("train", "evaluate", "probe")}
        assert not re.search(r"\b(rows?|code size|asked|questions?)\b", text)


def test_a_difference_within_the_spread_is_in_doubt():
    content = made_up.of_core(made_up.runs())
    near = content.leaderboard.assign(test_mse=0.01 + 1e-6 * np.arange(len(content.leaderboard)))
    assert "not told apart" in core_report(replace(content, leaderboard=near), set())
    assert "a small difference may be chance" in core_report(made_up.of_core(made_up.runs(seeds=[0])), set())


def test_the_page_needs_no_other_file(tmp_path):
    picture = bytes.fromhex("89504e470d0a1a0a")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/probes.png").write_bytes(picture)
    page = write_html(core_report(made_up.of_core(made_up.runs()), {"probes"}), tmp_path)
    assert 'src="data:image/png;base64,iVBORw0KGgo="' in page
    assert 'src="figures' not in page
    assert '<h2 id="number-of-filters">' in page
    assert '<nav aria-label="Contents"><ul><li><a href="#' in page
    assert 'href="#number-of-filters"' in page
    assert '<div class="table"><table>' in page
    assert 'name="viewport"' in page
    assert "<title>latentlab: How small can the code" in page


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """What the stages before have left of one variant."""
    monkeypatch.chdir(tmp_path)
    for path in (paths.PARAMS, paths.ANALYSES_PARAMS):
        path.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, path)
    found, content = made_up.runs(["mlp_8"], [0]), made_up.of_analyses(["mlp_8", *made_up.BASELINES], spread=False)
    monkeypatch.setattr("latentlab.comparison.results.read", lambda *_: found)
    monkeypatch.setattr("latentlab.comparison.results.codecs", lambda _: made_up.codecs())
    files = paths.reports("mnist", "analyses")
    made = {each.leaderboard: content.leaderboard for each in (paths.reports("mnist"), files)}
    made |= {files.tables / f"{name}.csv": table for name, table in content.tables.items()}
    for path, table in made.items():
        write_csv(table, path)
    files.claims.write_text(json.dumps(CLAIMS), encoding="utf-8")
    files.claims_page.write_text("# Claims\n\n## A1\n\nIt holds.\n", encoding="utf-8")
    folder = found.runs[0].run.reconstructions
    folder.mkdir(parents=True)
    np.savez(folder / "arrays.npz", reconstructions=np.zeros((2, 10, 1, 28, 28), np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stages", "home", "num_figures"), [((plot, report), ".", 8), ((plot_analyses, report_analyses), "analyses", 12)]
)
@pytest.mark.usefixtures("workspace")
def test_the_stages_make_the_report_of_one_variant(stages, home, num_figures):
    for stage in stages:
        stage.main("mnist")
    page = paths.reports("mnist", home).report_html
    text = page.read_text(encoding="utf-8")
    assert text.count('<img loading="lazy" src="data:image/png;base64,') + text.count('<div id="chart-') == num_figures
    assert len(list((page.parent / "charts").glob("*.json"))) == text.count('<div id="chart-') > 0
    assert len(list((page.parent / "figures").glob("*.png"))) == num_figures
    assert "mlp_8" in text
    if home == "analyses":
        assert 'href="claims.html"' in text
        assert '<h2 id="a1">A1</h2>' in page.with_name("claims.html").read_text(encoding="utf-8")
    assert not re.search(r"\bnan\b", text.replace(get_plotlyjs(), ""))


@pytest.fixture(scope="module")
def core_page(tmp_path_factory) -> Path:
    """The report of all variants; its pictures are empty."""
    folder, content = tmp_path_factory.mktemp("page"), made_up.of_core(made_up.runs())
    charts = dict(charted(of_core(PROJECT), content))
    for name in ("charts", "figures"):
        (folder / name).mkdir()
    for name, chart in charts.items():
        (folder / f"charts/{name}.json").write_text(chart.to_json(), encoding="utf-8")
    Image.new("RGB", (900, 300), "white").save(folder / "figures/reconstructions.png")
    page = folder / "report.html"
    page.write_text(write_html(core_report(content, {*charts, "reconstructions"}), folder), encoding="utf-8")
    return page


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_can_be_read_by_everybody(width, scheme, core_page, chromium):
    with opened(chromium, core_page, viewport={"width": width, "height": 900}, color_scheme=scheme) as tab:
        tab.locator("#chart-probes .plot-container").wait_for()
        assert faults_for_readers(tab) == []
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_tables_are_sorted_and_filtered_and_charts_say_what_is_under_the_pointer(core_page, chromium):
    with opened(chromium, core_page, viewport={"width": 1440, "height": 900}) as tab:
        tab.locator("nav a", has_text="Leaderboard").click()
        assert tab.url.endswith("#leaderboard")
        board = tab.locator("h2#leaderboard ~ .table").first
        errors = [head.strip() for head in board.locator("th").all_inner_texts()].index("test_mse")
        shown = "rows => rows.filter(row => !row.hidden).map(row => row.cells[%d].textContent)"
        for direction in (1, -1):
            board.locator("th button", has_text="test_mse").first.click()
            column = [float(text) for text in board.locator("tbody tr").evaluate_all(shown % errors) if text]
            assert column == sorted(column, reverse=direction < 0)
            assert len(column) > 25
        tab.locator("h2#leaderboard ~ input").first.fill("VAE_")
        names = board.locator("tbody tr").evaluate_all(shown % 0)
        assert sorted(names) == sorted(name for name in PROJECT.variants if "vae_" in name)
        chart = tab.locator("#chart-error_against_latent_dim")
        chart.scroll_into_view_if_needed()
        chart.locator(".scatterlayer .point").first.hover(force=True)
        said = chart.locator(".hoverlayer text").first.text_content()
        assert any(said.startswith(name) for name in (*PROJECT.variants, *PROJECT.baselines))
