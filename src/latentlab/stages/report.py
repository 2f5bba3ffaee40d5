"""Stage `report`: the results section, as Markdown and as one page of HTML."""

import sys

import pandas as pd

from latentlab import layout, stages
from latentlab.report.content import Content
from latentlab.report.page import write_html, write_markdown


def main() -> None:
    """Writes the report on the runs of the first recipe of params.yaml; the claims are judged under all."""
    study = stages.read_params()
    content = Content(
        study=study,
        recipe=study.recipes[0],
        leaderboard=pd.read_csv(layout.LEADERBOARD),
        analyses={path.stem: pd.read_csv(path).fillna({"recipe": ""}) for path in sorted(layout.ANALYSES.glob("*.csv"))},
        codecs=pd.read_csv(layout.CODECS),
        claims_page=layout.CLAIMS_PAGE.read_text(encoding="utf-8"),
        figures=[path.stem for path in sorted(layout.FIGURES.glob("*.png"))],
    )
    text = write_markdown(content)
    layout.REPORT.write_text(text, encoding="utf-8")
    layout.REPORT_PAGE.write_text(write_html(text, layout.REPORTS), encoding="utf-8")


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
