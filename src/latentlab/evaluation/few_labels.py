"""What do the codes know about the classes, when only a few training images have a label?

Legend: N training images, M test images, D numbers in the code.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from latentlab.evaluation import svm
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.probes import Labelled, accuracy, knn_predictions, labelled_codes, logistic_predictions
from latentlab.params.strict import Count, Section, Seed


class Settings(Section):
    """Neighbours of the nearest-neighbour probe; numbers of labels, how often they are drawn, and the seed of that."""

    neighbours: Count
    label_counts: list[Count]
    num_draws: int = Field(ge=2, le=1000)
    seed: Seed


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Accuracies of the probes with few labels; images without classes give nothing."""
    if not subject.data.classes:
        return Analysis({})
    return Analysis(few_label_accuracies(*labelled_codes(subject), **settings.model_dump()))


def few_label_accuracies(
    train: Labelled,
    test: Labelled,
    label_counts: Sequence[int],
    num_draws: int,
    neighbours: int,
    seed: int,
) -> dict[str, dict[str, dict[str, float]]]:
    """How accurate the probes are when only a few training images have a label.

    Args:
        train: Codes (N, D) and labels (N,).
        test: Codes (M, D) and labels (M,).
        label_counts: Numbers of labels, equally many of each class, rounded down; one that the training images cannot give
            is left out.
        num_draws: How often the labelled images are drawn anew.
        neighbours: Of the nearest-neighbour probe, but never more than there are labels of a class.
        seed: Of the draws.

    Returns:
        By probe ("knn", "logistic", "svm_rbf") and number of labels, accuracy over the draws: "mean" and "std" (n - 1).
    """
    accuracies: dict[str, dict[str, list[float]]] = {name: {} for name in ("knn", "logistic", "svm_rbf")}
    classes, sizes = np.unique(train[1], return_counts=True)
    for count in label_counts:
        each = count // len(classes)
        if not 0 < each <= sizes.min():
            continue
        random = np.random.default_rng([seed, count])
        for _ in range(num_draws):
            chosen = np.concatenate(
                [random.choice(np.flatnonzero(train[1] == label), each, replace=False) for label in classes]
            )
            arguments = (train[0][chosen], train[1][chosen], test[0])
            predicted = {
                "knn": knn_predictions(*arguments, min(neighbours, each)),
                "logistic": logistic_predictions(*arguments),
                "svm_rbf": svm.rbf_predictions(*arguments),
            }
            for name, predictions in predicted.items():
                accuracies[name].setdefault(str(count), []).append(accuracy(predictions, test[1]))
    return {
        name: {
            count: {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1))}
            for count, values in by_count.items()
        }
        for name, by_count in accuracies.items()
    }
