"""Stage `download@dataset`: the files of a data set, verified."""

import os

from latentlab import paths, stages
from latentlab.data.sources import download
from latentlab.params import project


def main(dataset: str) -> None:
    """Downloads a data set; LATENTLAB_MNIST comes before `source` of params.yaml."""
    settings = project.load().datasets[dataset]
    source = os.environ.get("LATENTLAB_MNIST") or settings.source
    served = download(paths.data(dataset), source, settings.timeout_seconds)
    print(f"MNIST: {served}; four files in {paths.data(dataset)}, SHA-256 verified")


if __name__ == "__main__":
    stages.start(main, pinned=False)
