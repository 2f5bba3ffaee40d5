"""Stage `plot@dataset` of the analyses: their figures."""

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.params import analyses
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.sections import of_analyses
from latentlab.stages.plot import draw


def main(dataset: str) -> None:
    """Draws every figure that has something to show."""
    project, settings = load(), analyses.load()
    found = results.read(project, dataset, settings.names, (paths.MORE, paths.MAIN))
    content = Content.of_analyses(project, dataset, settings, found.shown(project))
    draw(of_analyses(), content, paths.reports(dataset, "analyses"))


if __name__ == "__main__":
    stages.start(main, pinned=False)
