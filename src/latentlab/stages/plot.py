"""Stage `plot`: the figures, into reports/figures."""

import sys

import numpy as np
import pandas as pd

from latentlab import figures, layout, stages


def main() -> None:
    """Draws every figure of the study."""
    study = stages.read_params()
    curves, table = pd.read_csv(layout.CURVES), pd.read_csv(layout.LEADERBOARD)
    images = {name: np.load(layout.reconstructions(name)) for name in study.variants}
    drawn = {
        "error_against_code_size": figures.error_against_code_size(study, table),
        "error_against_parameters": figures.error_against_parameters(study, table),
        "accuracy_against_code_size": figures.accuracy_against_code_size(study, table),
        "parameters": figures.parameter_bars(study, table),
        "published": figures.published_bars(study, table),
        "reconstructions": figures.reconstructions(images, "One test image of each digit, all rows"),
    }
    for key, experiment in study.experiments.items():
        drawn[f"loss_{key}"] = figures.loss_curves(study, key, curves)
        chosen = {name: images[name] for name in experiment.rows}
        drawn[f"reconstructions_{key}"] = figures.reconstructions(chosen, experiment.title)
    for name, figure in drawn.items():
        figures.save(figure, layout.FIGURES / f"{name}.png")


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
