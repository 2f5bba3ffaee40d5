"""Stage `plot`: the figures of the core, into reports/figures."""

import pandas as pd

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.figures import style
from latentlab.report.sections import drawn, of_core


def main() -> None:
    """Draws every figure that has something to show."""
    project = load()
    shown = results.read(project, project.run.datasets[0]).shown(project)
    content = Content(project, pd.read_csv(paths.LEADERBOARD), shown)
    paths.FIGURES.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn(of_core(project), content):
        style.save(figure, paths.FIGURES / f"{name}.png")


if __name__ == "__main__":
    stages.start(main, pinned=False)
