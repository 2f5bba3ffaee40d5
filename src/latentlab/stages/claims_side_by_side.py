"""Stage `claims_side_by_side` of the analyses: which verdicts of one data set hold on another?"""

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.comparison.claims.page import side_by_side
from latentlab.comparison.claims.verdict import ledger
from latentlab.files import write_text
from latentlab.params import analyses
from latentlab.params.datasets import DIGITS
from latentlab.params.project import load


def main() -> None:
    """Judges every claim on every selected data set, under the first recipe that is selected."""
    project, names, entries = load(), analyses.load().names, {}
    recipe = project.run.recipes[0]
    for name in project.run.datasets:
        found = results.read(project, name, names, (paths.MORE, paths.MAIN))
        entries[name] = ledger(found, results.codecs(name), [recipe], project.datasets[name].kind in DIGITS)
    write_text(side_by_side(entries, recipe), paths.CLAIMS_SIDE_BY_SIDE)


if __name__ == "__main__":
    stages.start(main, pinned=False)
