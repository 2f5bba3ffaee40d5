"""Stage `baseline@name`: the same metrics for PCA, and the probes alone for the raw pixels."""

import json
import sys
from typing import Any

from latentlab import data, layout, stages
from latentlab.evaluation.pca import LinearAutoencoder
from latentlab.stages.evaluate import cost, evaluate, probe


def main(name: str) -> None:
    """Evaluates the baseline of that name."""
    study = stages.read_params()
    num_components = study.baselines[name].num_components
    mnist = data.load(layout.DATA, study.split)
    metrics: dict[str, Any] = cost(num_components or 784)
    if num_components is None:
        layout.metrics(name).parent.mkdir(parents=True, exist_ok=True)
        probe(name, mnist, metrics, lambda images: images, mnist.test.images)
        layout.metrics(name).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    else:
        pca = LinearAutoencoder(mnist.training_images().images, num_components)
        evaluate(name, mnist, metrics, pca.encode, pca.decode)


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
