"""Stage `download`: the four MNIST files, verified."""

import os
import sys

from latentlab import layout, params, stages
from latentlab.download import download


def main() -> None:
    """Downloads MNIST to data/mnist; LATENTLAB_MNIST comes before `data.source` of params.yaml."""
    data = params.load(layout.PARAMS).data
    source = os.environ.get("LATENTLAB_MNIST") or data.source
    served = download(layout.DATA, source, data.timeout_seconds)
    print(f"MNIST: {served}; four files in {layout.DATA}, SHA-256 verified")


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
