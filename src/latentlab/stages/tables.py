"""Stage `tables` of the analyses: the leaderboard with the variants that only they need, and one table per analysis."""

import sys

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.comparison.tables import analysis, leaderboard, write_csv
from latentlab.params import analyses
from latentlab.params.project import load


def main() -> None:
    """Writes the tables over all analyses whose results are still what the parameters describe."""
    project, settings = load(), analyses.load()
    found = results.read(project, project.run.datasets[0], settings.names, (paths.MORE, paths.MAIN))
    for line in found.report():
        print(line, file=sys.stderr)
    write_csv(leaderboard(project, found), paths.ANALYSES_LEADERBOARD)
    for name in settings.names:
        write_csv(analysis(found, name), paths.ANALYSES_TABLES / f"{name}.csv")


if __name__ == "__main__":
    stages.start(main, pinned=False)
