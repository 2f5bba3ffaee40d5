"""Stage `baseline@name`: the same questions for PCA, and the probes alone for the raw pixels."""

import sys
from typing import Any

from latentlab import data, layout, stages
from latentlab.evaluation.compression import compression
from latentlab.evaluation.denoising import denoising
from latentlab.evaluation.pca import LinearAutoencoder
from latentlab.evaluation.probes import probe
from latentlab.evaluation.reconstruction import mse_per_digit, reconstruction_errors
from latentlab.stages.evaluate import cost
from latentlab.stages.probe import labelled_codes, settings, write_confusion
from latentlab.stages.trained import Codec
from latentlab.wholefiles import write_json


def main(name: str) -> None:
    """Evaluates the baseline of that name."""
    study = stages.read_params()
    asked, baseline = study.analyses, layout.Baseline(name)
    num_components = study.baselines[name].num_components
    mnist = data.load(layout.DATA, study.split)
    test = mnist.test
    metrics: dict[str, Any] = cost(num_components or 784)
    if num_components is None:
        codec = Codec(lambda images: images, lambda codes: codes)
    else:
        pca = LinearAutoencoder(mnist.training_images().images, num_components)
        codec = Codec(pca.encode, pca.decode)
        codes = codec.encode(test.images)
        outputs = codec.decode(codes)
        metrics |= {f"test_{key}": value for key, value in reconstruction_errors(outputs, test.images).items()}
        metrics["mse_per_digit"] = mse_per_digit(outputs, test.images, test.digits)
        metrics["denoising"] = denoising(
            lambda noisy, _: codec.decode(codec.encode(noisy)).clamp(0, 1), test.images, asked.denoising.sigmas, asked.seed
        )
        train_codes = codec.encode(mnist.train.images[: asked.generation.num_fitted])
        bits, num_alone = asked.compression.bits, asked.codecs.num_images
        metrics["compression"] = compression(train_codes, codes, codec.decode, test.images, bits, num_alone)
    train, labelled = labelled_codes(codec, mnist)
    probes, predictions = probe(train, labelled, **settings(asked))
    baseline.metrics.parent.mkdir(parents=True, exist_ok=True)
    write_confusion(labelled[1], predictions["svm_rbf_accuracy"], baseline.confusion)
    write_json(probes, baseline.probes)
    write_json(metrics, baseline.metrics)


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
