"""Stage `denoiser`: a classical denoiser on the same noisy images as every row."""

import json
import sys

from latentlab import data, layout, stages
from latentlab.evaluation.denoising import denoising, non_local_means


def main() -> None:
    """Measures non-local means."""
    study = stages.read_params()
    test = data.load(layout.DATA, study.split).test
    measured = denoising(non_local_means, test.images, study.analyses.denoising.sigmas, study.analyses.seed)
    path = layout.Baseline(layout.CLASSICAL).metrics
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"denoising": measured}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
