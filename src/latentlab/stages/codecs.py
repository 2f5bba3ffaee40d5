"""Stage `codecs@dataset`: PNG, JPEG and WebP on the test images, beside the codes of the variants."""

import pandas as pd

from latentlab import paths, stages
from latentlab.comparison.tables import write_csv
from latentlab.data import images
from latentlab.evaluation.codecs import codec_curve
from latentlab.params import analyses
from latentlab.params.project import load


def main(dataset: str) -> None:
    """Writes one line per format, quality and layout."""
    data = images.load(paths.data(dataset), load().datasets[dataset].split)
    table = pd.DataFrame(codec_curve(data.test.images, analyses.load().codecs.num_images))
    write_csv(table, paths.codecs(dataset))


if __name__ == "__main__":
    stages.start(main)
