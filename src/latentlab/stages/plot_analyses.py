"""Stage `plot` of the analyses: their figures, into analyses/reports/figures."""

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.params import analyses
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.figures import style
from latentlab.report.sections import drawn, of_analyses


def main() -> None:
    """Draws every figure that has something to show."""
    project, settings = load(), analyses.load()
    found = results.read(project, project.run.datasets[0], settings.names, (paths.MORE, paths.MAIN))
    content = Content.of_analyses(project, settings, found.shown(project))
    paths.ANALYSES_FIGURES.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn(of_analyses(), content):
        style.save(figure, paths.ANALYSES_FIGURES / f"{name}.png")


if __name__ == "__main__":
    stages.start(main, pinned=False)
