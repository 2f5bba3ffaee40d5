"""Stage `download@dataset`: the files of a data set, fetched and verified, or made of what the user has."""

import os

from latentlab import paths, stages
from latentlab.data import own, sources
from latentlab.params import project
from latentlab.params.datasets import Official


def main(dataset: str) -> None:
    """Gets a data set.

    Of an official one the first source is what LATENTLAB_ and its name (LATENTLAB_MNIST) says, else `source` of
    params.yaml, else its folder in data/sources/ if there is anything in it.
    """
    settings, folder = project.load().datasets[dataset], paths.data(dataset)
    if isinstance(settings, Official):
        own_files = str(paths.source(dataset)) if any(paths.source(dataset).glob("[!.]*")) else None
        source = os.environ.get(sources.variable(dataset)) or settings.source or own_files
        served = sources.download(dataset, settings.kind, folder, source, settings.timeout_seconds)
        checked = "SHA-256" if sources.COLLECTIONS[settings.kind].sums else "MD5 of the download"
        print(f"{dataset}: {served}; four files in {folder}, {checked} verified")
    else:
        print(f"{dataset}: {own.prepare(dataset, paths.source(dataset), folder, settings)}")


if __name__ == "__main__":
    stages.start(main, pinned=False)
