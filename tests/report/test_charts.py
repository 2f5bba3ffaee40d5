"""The figures for a browser: what is in them, and the page that shows them."""

import json
import re
from dataclasses import replace

import made_up
import plotly.io
import pytest

from conftest import PROJECT
from latentlab.report.figures import charts
from latentlab.report.page import core_report, write_html
from latentlab.report.sections import SECTIONS, charted, drawn, of_analyses, of_core

CORE = made_up.of_core(made_up.runs())


def test_each_chart_takes_the_place_of_a_figure():
    assert all(section.charts.keys() <= section.figures.keys() for section in SECTIONS)
    for sections, content in ((of_core(PROJECT), CORE), (of_analyses(), made_up.of_analyses())):
        made = dict(charted(sections, content))
        assert {*made} == {name for section in sections for name in section.charts}
        for chart in made.values():
            assert plotly.io.from_json(chart.to_json()) == chart  # the library knows all that is in it


def test_a_point_says_its_numbers_and_what_nothing_beats_is_named():
    chart = charts.scatter(CORE, "latent_dim", "test_mse", "x")
    texts = [text for trace in chart.data for text in trace.text]
    names = [text.partition("<br>")[0] for text in texts if "<br>" in text]
    assert sorted(names) == sorted(PROJECT.variants)
    line = CORE.variants().loc["mlp_8"]
    (text,) = (each for each in texts if each.startswith("mlp_8<br>"))
    assert f"test MSE {line['test_mse']:.5f}" in text
    named = {each.text for each in chart.layout.annotations}
    assert named
    assert named < set(PROJECT.variants)
    assert {trace.name for trace in chart.data} <= {*PROJECT.sources.values(), "PCA"}


def test_nothing_to_show_is_no_chart():
    nothing = made_up.of_core(made_up.runs([]))
    assert dict(charted(of_core(PROJECT), nothing)) == {}
    zero = replace(CORE, leaderboard=CORE.leaderboard.assign(test_mse=0.0))  # which has no logarithm
    assert charts.scatter(zero, "latent_dim", "test_mse", "x") is None


@pytest.mark.filterwarnings("ignore")
def test_a_page_shows_charts_where_there_are_some_and_needs_no_other_file(tmp_path):
    for folder in ("figures", "charts"):
        (tmp_path / folder).mkdir()
    for name in ("probes", "losses"):
        (tmp_path / f"figures/{name}.png").write_bytes(b"\x89PNG")
    chart = charts.probes(CORE).update_layout(title="</script><script>alert(1)</script>")
    (tmp_path / "charts/probes.json").write_text(chart.to_json(), encoding="utf-8")
    page = write_html(core_report(CORE, {"probes", "losses"}), tmp_path)
    assert page.count('<div id="chart-') == 1
    assert page.count('<img loading="lazy" src="data:image/png;base64,') == 1
    assert page.count("Plotly.newPlot(") == 1
    content = page[page.index('<div id="chart-probes"') :]
    shown = re.search(r"const chart = (.*); Plotly\.newPlot\(\"chart-probes\"", content)[1]
    assert json.loads(shown) == json.loads(chart.to_json())
    assert "</script><script>alert" not in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"https?:", page)


def test_figures_without_a_chart_stay_pictures():
    assert {name for name, _ in drawn(of_core(PROJECT), CORE)} > {name for name, _ in charted(of_core(PROJECT), CORE)}
