"""Stage `report@dataset` of the analyses: their report as Markdown and as a page of HTML, and one of the claims."""

import json

from latentlab import paths, stages
from latentlab.files import write_text
from latentlab.params import analyses
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.page import analyses_report, write_html


def main(dataset: str) -> None:
    """Writes the report on the data set under the first recipe of params.yaml; the claims are judged under all."""
    content, files = Content.of_analyses(load(), dataset, analyses.load(), {}), paths.reports(dataset, "analyses")
    figures = {path.stem for path in files.figures.glob("*.png")}
    text = analyses_report(content, figures, json.loads(files.claims.read_text(encoding="utf-8")))
    write_text(text, files.report)
    write_text(write_html(text, files.report.parent), files.report_html)
    claims = files.claims_page.read_text(encoding="utf-8")
    write_text(write_html(claims, files.report.parent), files.claims_html)


if __name__ == "__main__":
    stages.start(main, pinned=False)
