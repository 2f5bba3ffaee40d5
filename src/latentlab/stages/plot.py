"""Stage `plot@dataset`: the figures of the core."""

import pandas as pd

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.files import write_text
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.figures import style
from latentlab.report.sections import Section, charted, drawn, of_core


def main(dataset: str) -> None:
    """Draws every figure that has something to show."""
    project, files = load(), paths.reports(dataset)
    shown = results.read(project, dataset).shown(project)
    draw(of_core(project), Content(project, dataset, pd.read_csv(files.leaderboard), shown), files)


def draw(sections: list[Section], content: Content, files: paths.Reports) -> None:
    """Writes the figures and the charts of the sections."""
    files.figures.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn(sections, content):
        style.save(figure, files.figures / f"{name}.png")
    files.charts.mkdir(exist_ok=True)
    for name, chart in charted(sections, content):
        write_text(chart.to_json(), files.charts / f"{name}.json")


if __name__ == "__main__":
    stages.start(main, pinned=False)
