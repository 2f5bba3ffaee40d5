"""Stage `probe@row-recipe-seed`: what the codes know about the digits, and how they lie in their space."""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from latentlab import data, layout, models, params, stages
from latentlab.evaluation.latent_space import clustering, first_of_each_digit, geometry, tsne
from latentlab.evaluation.probes import confusion, probe
from latentlab.pictures import scatter
from latentlab.stages import log, trained
from latentlab.tracking import store
from latentlab.tracking.runs import log_row
from latentlab.wholefiles import write_json

# random codes keep nearly every image as a support vector, which takes several times as long as on trained ones; with few
# labels the RBF machine is asked of them too
SLOW_ON_RANDOM_CODES = ("svm_rbf_accuracy",)

Labelled = tuple[np.ndarray, np.ndarray]


def main(name: str, recipe: str, seed: str) -> None:
    """Probes the codes of that run."""
    subject = trained.load(name, recipe, seed)
    run, asked = subject.run, subject.study.analyses
    metrics = subject.about()
    train, test = labelled_codes(subject.codec(), subject.mnist)
    measured, predictions = probe(train, test, **settings(asked))
    metrics |= measured
    untrained = models.build(subject.row, run.seed).eval()
    random_codes = labelled_codes(trained.codec(untrained.to(subject.device), subject.row, subject.device), subject.mnist)
    metrics["untrained"], _ = probe(*random_codes, **settings(asked), left_out=SLOW_ON_RANDOM_CODES)
    arrays: dict[str, np.ndarray] = {}
    metrics["latent_space"] = latent_space(test, asked.latent_space, arrays)
    run.folder.mkdir(parents=True, exist_ok=True)
    write_confusion(test[1], predictions["svm_rbf_accuracy"], run.confusion)
    np.savez_compressed(run.embedding, **arrays)  # type: ignore[arg-type]
    large = asked.latent_space.num_large
    shown = ("codes", "digits") if "codes" in arrays else (f"tsne_{large}", f"digits_{large}")
    run.embedding_picture.write_bytes(scatter(arrays[shown[0]], arrays[shown[1]], [], str(run)))
    # last: a run that has it has everything
    write_json(metrics, run.probes)
    log_row(store.open_store(layout.project_root()), log.outputs(subject.study, run))


def labelled_codes(codec: trained.Codec, mnist: data.MNIST) -> tuple[Labelled, Labelled]:
    """Codes (N, D) and digits (N,) of all training images, validation images included, and of the test images."""

    def flat(images: Tensor) -> np.ndarray:
        codes: np.ndarray = codec.encode(images).flatten(1).numpy()
        return codes

    both = mnist.training_images()
    return (flat(both.images), both.digits.numpy()), (flat(mnist.test.images), mnist.test.digits.numpy())


def settings(asked: params.Analyses) -> dict[str, Any]:
    """The arguments of the probes."""
    return asked.probes.model_dump() | {"seed": asked.seed}


def latent_space(test: Labelled, asked: params.LatentSpace, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Measures of the test codes and of their embeddings; coordinates for the figures."""
    codes, digits = test
    large = first_of_each_digit(digits, asked.num_large)
    measured = geometry(codes[large], digits[large])
    for count in (asked.num_small, asked.num_large):
        chosen = first_of_each_digit(digits, count)
        points = tsne(codes[chosen], asked.perplexity, asked.seed)
        measured[f"tsne_{count}"] = clustering(points, digits[chosen])
        arrays |= {f"tsne_{count}": points, f"digits_{count}": digits[chosen]}
    if codes.shape[1] == 2:
        arrays |= {"codes": codes[large], "digits": digits[large]}
    return measured


def write_confusion(digits: np.ndarray, predictions: np.ndarray, path: Path) -> None:
    """Writes the confusion counts of the RBF probe."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["actual", "predicted", "count"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(confusion(digits, predictions))


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
