"""Stage `report`: the report of the core, as Markdown and as one page of HTML."""

import pandas as pd

from latentlab import files, paths, stages
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.page import core_report, write_html


def main() -> None:
    """Writes the report on the first data set and the first recipe of params.yaml."""
    figures = {path.stem for path in paths.FIGURES.glob("*.png")}
    text = core_report(Content(load(), pd.read_csv(paths.LEADERBOARD)), figures)
    files.write_text(text, paths.REPORT)
    files.write_text(write_html(text, paths.REPORT.parent), paths.REPORT_PAGE)


if __name__ == "__main__":
    stages.start(main, pinned=False)
