"""Stage `claims`: the ledger of what the sources conclude, judged by the results of all runs."""

import json
import sys

import pandas as pd

from latentlab import layout, results, stages
from latentlab.claims import statements
from latentlab.claims.ledger import TESTS, as_json, ledger
from latentlab.claims.page import write_page


def main() -> None:
    """Judges every claim of claims.yaml under every recipe."""
    study = stages.read_params()
    stated = statements.load(layout.STATEMENTS, TESTS)
    found = results.read(study)
    codecs = pd.read_csv(layout.CODECS) if layout.CODECS.exists() else pd.DataFrame()
    entries = ledger(stated, found, codecs, list(study.training))
    layout.CLAIMS.parent.mkdir(parents=True, exist_ok=True)
    layout.CLAIMS.write_text(json.dumps(as_json(entries), indent=2) + "\n", encoding="utf-8")
    layout.CLAIMS_PAGE.parent.mkdir(parents=True, exist_ok=True)
    layout.CLAIMS_PAGE.write_text(write_page(entries, study.sources, stated.confidence), encoding="utf-8")


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
