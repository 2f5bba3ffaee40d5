"""Stage `plot@dataset` of the analyses: their figures."""

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.files import write_text
from latentlab.params import analyses
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.figures import style
from latentlab.report.sections import charted, drawn, of_analyses


def main(dataset: str) -> None:
    """Draws every figure that has something to show."""
    project, settings = load(), analyses.load()
    found = results.read(project, dataset, settings.names, (paths.MORE, paths.MAIN))
    content = Content.of_analyses(project, dataset, settings, found.shown(project))
    files = paths.reports(dataset, "analyses")
    files.figures.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn(of_analyses(), content):
        style.save(figure, files.figures / f"{name}.png")
    files.charts.mkdir(exist_ok=True)
    for name, chart in charted(of_analyses(), content):
        write_text(chart.to_json(), files.charts / f"{name}.json")


if __name__ == "__main__":
    stages.start(main, pinned=False)
