"""A worker of the study on another machine, as `latentlab study run --cluster` gives it to a cluster; no stage of DVC's."""

import os

from latentlab import stages
from latentlab.study import worker
from latentlab.study.standing import STORAGE


def main(num_trials: str, patience_seconds: str, parent_run: str) -> None:
    """Runs trials until the study has enough of them."""
    worker.run(os.environ[STORAGE], float(patience_seconds), int(num_trials), parent_run)


if __name__ == "__main__":
    stages.start(main)
