"""Stage `report@dataset`: the report of the core, as Markdown and as one page of HTML."""

import pandas as pd

from latentlab import paths, stages
from latentlab.files import write_text
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.page import core_report, write_html


def main(dataset: str) -> None:
    """Writes the report on the data set under the first recipe of params.yaml."""
    files = paths.reports(dataset)
    figures = {path.stem for path in files.figures.glob("*.png")}
    text = core_report(Content(load(), dataset, pd.read_csv(files.leaderboard)), figures)
    write_text(text, files.report)
    write_text(write_html(text, files.report.parent), files.report_html)


if __name__ == "__main__":
    stages.start(main, pinned=False)
