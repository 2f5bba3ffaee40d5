"""Stage `codecs`: PNG, JPEG and WebP on the test images, beside the codes of the rows."""

import sys

import pandas as pd

from latentlab import data, layout, stages
from latentlab.evaluation.codecs import codec_curve


def main() -> None:
    """Writes one line per format, quality and layout."""
    study = stages.read_params()
    images = data.load(layout.DATA, study.split).test.images
    table = pd.DataFrame(codec_curve(images, study.analyses.codecs.num_images))
    layout.CODECS.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(layout.CODECS, index=False, lineterminator="\n")


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
