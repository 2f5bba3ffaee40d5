"""Does an autoencoder that has seen one class tell the images of all others, as anomalies?

Legend: N images, C channels, H and W height and width.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from latentlab.data.images import Images, Splits
from latentlab.evaluation.anomalies import Scores, separation


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
