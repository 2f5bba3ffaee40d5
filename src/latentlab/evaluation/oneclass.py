"""Does an autoencoder that has seen one class tell the images of all others, as anomalies?

Legend: N images, C channels, H and W height and width.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentlab.data.images import Images, Splits
from latentlab.evaluation.analysis import Subject
from latentlab.evaluation.anomalies import Scores, scorer, separation
from latentlab.evaluation.pca import of_baseline
from latentlab.evaluation.reconstruction import apply
from latentlab.models.base import Autoencoder
from latentlab.params.recipes import Training
from latentlab.params.variants import Variant
from latentlab.training import run
from latentlab.training.loop import Progress


def measured(planned: Mapping[str, Any], data: Splits, seed: int, device: torch.device, bar: Progress) -> dict[str, Any]:
    """Trains an autoencoder on each class, one after the other, and fits PCA to the same images.

    Args:
        planned: "variant", "training", "neighbours" and "num_components", as analyses/oneclass/params.yaml has them.
        data: With labels.
        seed: Of each training.
        device: Where it is trained.
        bar: Told after each batch how many images it had.

    Returns:
        By "model" and "pca", class and score what `told` gives; "mean" is over the classes.
    """
    variant, training = Variant.model_validate(planned["variant"]), Training.model_validate(planned["training"])
    found: dict[str, dict[str, Any]] = {"model": {}, "pca": {}}
    for label, name in enumerate(data.classes):
        own = only(data, label)
        model, epochs = run.begin(variant, training, own, seed, device, bar)
        for _ in epochs:
            pass
        num_components = min(planned["num_components"], len(own.training_images()))
        subjects = {"model": _subject(model.cpu().eval(), own), "pca": of_baseline("pca", num_components, own)}
        with torch.inference_mode():
            for of, subject in subjects.items():
                scores = scorer(subject, own.train.images, planned["neighbours"])
                found[of][name] = told(scores, data.test, label)
    return {of: classes | {"mean": mean_auroc(classes)} for of, classes in found.items()}


def only(data: Splits, label: int) -> Splits:
    """The training and validation images of one class, and all test images."""
    return Splits(_of(data.train, label), _of(data.validation, label), data.test, data.classes)


def told(scores: Callable[[Tensor], Scores], test: Images, label: int) -> dict[str, dict[str, float]]:
    """How well each score tells the test images of all other classes, the anomalies, from those of one.

    Args:
        scores: Of images (N, C, H, W), larger for more anomalous ones, each (N,), as of
            `latentlab.evaluation.anomalies.scorer`.
        test: All test images.
        label: Of the class that is no anomaly.

    Returns:
        By score the numbers of `latentlab.evaluation.anomalies.separation`.

    Raises:
        ValueError: The images have no labels.
    """
    if test.labels is None:
        raise ValueError("images without labels")
    is_own = (test.labels == label).numpy()
    return {name: separation(values[is_own], values[~is_own]) for name, values in scores(test.images).items()}


def mean_auroc(classes: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """By score the mean `auroc` over the classes."""
    names = next(iter(classes.values()))
    return {name: {"auroc": float(np.mean([found[name]["auroc"] for found in classes.values()]))} for name in names}


def _of(images: Images, label: int) -> Images:
    if images.labels is None:
        raise ValueError("images without labels")
    return images.chosen((images.labels == label).nonzero().flatten())


def _subject(model: Autoencoder, data: Splits) -> Subject:
    return Subject(lambda x: apply(model.encode, x), lambda z: apply(model.decode, z), data, model=model)
