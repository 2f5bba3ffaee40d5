"""The command line for people."""

import argparse
import sys

from latentlab import stages


def main() -> None:
    """Entry point of `latentlab`."""
    parser = argparse.ArgumentParser(prog="latentlab", description="How small can the code of an autoencoder be?")
    commands = parser.add_subparsers(dest="command", required=True)
    log = commands.add_parser(
        "log",
        help="log rows to MLflow from their output files",
        description="Makes sure that MLflow holds one complete run for each row, from the files that the stages left. "
        "Needed where DVC took outputs from its cache, or for a new store; doing it again changes nothing.",
    )
    log.add_argument("rows", nargs="*", metavar="ROW", help="rows of params.yaml; all of them when none is given")
    arguments = parser.parse_args()
    stages.start(_log, arguments.rows)


def _log(*rows: str) -> None:
    from latentlab import layout
    from latentlab.stages.log import outputs
    from latentlab.tracking.runs import log_row
    from latentlab.tracking.store import open_store

    study = stages.read_params()
    for name in rows:
        study.row(name)
    experiment_id = open_store(layout.project_root())
    for name in rows or study.variants:
        if layout.checkpoint(name).exists() and layout.curve(name).exists():
            print(f"{name}: {log_row(experiment_id, outputs(study, name))}")
        else:
            print(f"{name}: not trained yet: dvc repro evaluate@{name}", file=sys.stderr)
