"""Stage `plot@dataset` of the analyses: their figures."""

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.params import analyses
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.figures import style
from latentlab.report.sections import drawn, of_analyses


def main(dataset: str) -> None:
    """Draws every figure that has something to show."""
    project, settings = load(), analyses.load()
    found = results.read(project, dataset, settings.names, (paths.MORE, paths.MAIN))
    content = Content.of_analyses(project, dataset, settings, found.shown(project))
    figures = paths.reports(dataset, "analyses").figures
    figures.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn(of_analyses(), content):
        style.save(figure, figures / f"{name}.png")


if __name__ == "__main__":
    stages.start(main, pinned=False)
