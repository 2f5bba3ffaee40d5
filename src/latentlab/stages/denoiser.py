"""Stage `denoiser`: a classical denoiser on the same noisy images as every row."""

import sys

from latentlab import data, layout, stages
from latentlab.evaluation.denoising import denoising, non_local_means
from latentlab.wholefiles import write_json


def main() -> None:
    """Measures non-local means."""
    study = stages.read_params()
    test = data.load(layout.DATA, study.split).test
    measured = denoising(non_local_means, test.images, study.analyses.denoising.sigmas, study.analyses.seed)
    path = layout.Baseline(layout.CLASSICAL).metrics
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json({"denoising": measured}, path)


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
