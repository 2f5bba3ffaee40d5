"""Stage `report` of the analyses: their report with the claims, as Markdown and as one page of HTML."""

from latentlab import files, paths, stages
from latentlab.params import analyses
from latentlab.params.project import load
from latentlab.report.content import Content
from latentlab.report.page import analyses_report, write_html


def main() -> None:
    """Writes the report on the first data set and the first recipe of params.yaml; the claims are judged under all."""
    content = Content.of_analyses(load(), analyses.load(), {})
    figures = {path.stem for path in paths.ANALYSES_FIGURES.glob("*.png")}
    text = analyses_report(content, figures, paths.CLAIMS_PAGE.read_text(encoding="utf-8"))
    files.write_text(text, paths.ANALYSES_REPORT)
    files.write_text(write_html(text, paths.ANALYSES_REPORT.parent), paths.ANALYSES_REPORT_PAGE)


if __name__ == "__main__":
    stages.start(main, pinned=False)
