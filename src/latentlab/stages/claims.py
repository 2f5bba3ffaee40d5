"""Stage `claims@dataset` of the analyses: the ledger of what the sources conclude, judged by the results of all runs."""

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.comparison.claims.page import as_json, write_page
from latentlab.comparison.claims.verdict import ledger
from latentlab.files import write_json, write_text
from latentlab.params import analyses
from latentlab.params.datasets import DIGITS
from latentlab.params.project import load


def main(dataset: str) -> None:
    """Judges every claim under every recipe on the data set."""
    project, files = load(), paths.reports(dataset, "analyses")
    found = results.read(project, dataset, analyses.load().names, (paths.MORE, paths.MAIN))
    entries = ledger(found, results.codecs(dataset), list(project.recipes), project.datasets[dataset].kind in DIGITS)
    files.claims.parent.mkdir(parents=True, exist_ok=True)
    write_json(as_json(entries), files.claims)
    write_text(write_page(entries, project.sources), files.claims_page)


if __name__ == "__main__":
    stages.start(main, pinned=False)
