"""Stage `tables@dataset` of the analyses: the leaderboard with their own variants, and a table per analysis."""

import sys

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.comparison.tables import analysis, leaderboard, write_csv
from latentlab.params import analyses
from latentlab.params.project import load


def main(dataset: str) -> None:
    """Writes the tables over all analyses whose results are still what the parameters describe."""
    project, settings = load(), analyses.load()
    found = results.read(project, dataset, settings.names, (paths.MORE, paths.MAIN))
    for line in found.report():
        print(line, file=sys.stderr)
    files = paths.reports(dataset, "analyses")
    write_csv(leaderboard(project, found), files.leaderboard)
    for name in settings.names:
        write_csv(analysis(found, name), files.tables / f"{name}.csv")


if __name__ == "__main__":
    stages.start(main, pinned=False)
