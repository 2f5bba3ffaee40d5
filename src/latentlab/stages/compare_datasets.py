"""Stage `compare_datasets`: the selected data sets side by side."""

import sys

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.comparison.across import agreement, side_by_side
from latentlab.comparison.tables import leaderboard, markdown, write_csv
from latentlab.files import write_text
from latentlab.params.project import load


def main() -> None:
    """Sets what each variant reaches on each data set side by side, and compares the order of the variants."""
    project = load()
    boards = {name: leaderboard(project, results.read(project, name)) for name in project.run.datasets}
    table = side_by_side(boards)
    write_csv(table, paths.SIDE_BY_SIDE)
    page = (
        "# Data sets side by side\n\nErrors are on the test images; `mse_to_pca` is test MSE over that of PCA with as many "
        f"numbers in the code.\n\n{markdown(table)}"
    )
    if len(boards) > 1:
        page += (
            "\n## Is the order of the variants the same?\n\nSpearman's rank correlation: 1 for the same order, 0 for no "
            f"relation.\n\n{markdown(agreement(boards))}"
        )
    write_text(page, paths.SIDE_BY_SIDE_PAGE)


if __name__ == "__main__":
    stages.start(main, sys.argv[1:], pinned=False)
