"""Stage `claims` of the analyses: the ledger of what the sources conclude, judged by the results of all runs."""

import pandas as pd

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.comparison.claims.page import as_json, write_page
from latentlab.comparison.claims.verdict import ledger
from latentlab.files import write_json, write_text
from latentlab.params import analyses
from latentlab.params.project import load


def main() -> None:
    """Judges every claim under every recipe, on the first data set of params.yaml."""
    project = load()
    dataset = project.run.datasets[0]
    found = results.read(project, dataset, analyses.load().names, (paths.MORE, paths.MAIN))
    codecs = pd.read_csv(paths.codecs(dataset)) if paths.codecs(dataset).exists() else pd.DataFrame()
    entries = ledger(found, codecs, list(project.recipes))
    paths.CLAIMS.parent.mkdir(parents=True, exist_ok=True)
    write_json(as_json(entries), paths.CLAIMS)
    write_text(write_page(entries, project.sources), paths.CLAIMS_PAGE)


if __name__ == "__main__":
    stages.start(main, pinned=False)
