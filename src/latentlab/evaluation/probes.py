"""What do the codes know about the digits? Classifiers trained on them.

Legend: N training images, M test images, D numbers in the code.
"""

from collections.abc import Callable, Mapping

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from latentlab.evaluation import svm
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.params.strict import Count, Section

Array = np.ndarray
Labelled = tuple[Array, Array]
Predictions = Callable[[Array, Array, Array], Array]


class Settings(Section):
    """Neighbours of the nearest-neighbour probe."""

    neighbours: Count


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Accuracies of the probes that learn from the codes of all training images; confusion counts of the RBF probe."""
    train, test = labelled_codes(subject)
    predictions = {name: probe(*train, test[0]) for name, probe in full_probes(settings.neighbours).items()}
    return Analysis(
        {name: accuracy(predicted, test[1]) for name, predicted in predictions.items()},
        tables={"confusion": confusion(test[1], predictions["svm_rbf_accuracy"])},
    )


def labelled_codes(subject: Subject) -> tuple[Labelled, Labelled]:
    """Codes (N, D) and digits (N,) of all training images, validation images included, and of the test images."""

    def flat(images: Tensor) -> Array:
        codes: Array = subject.encode(images).flatten(1).numpy()
        return codes

    both, test = subject.data.training_images(), subject.data.test
    return (flat(both.images), both.digits.numpy()), (flat(test.images), test.digits.numpy())


def full_probes(neighbours: int) -> dict[str, Predictions]:
    """The probes that learn from all training codes, by the name of their accuracy."""
    return {
        "svm_rbf_accuracy": svm.rbf_predictions,
        "svm_linear_accuracy": svm.linear_predictions,
        "knn_accuracy": lambda train, digits, test: knn_predictions(train, digits, test, neighbours),
        "logistic_accuracy": logistic_predictions,
    }


def logistic_predictions(train_codes: Array, train_digits: Array, test_codes: Array) -> Array:
    """Digits by multinomial logistic regression with an L2 penalty, C = 1.

    Each number of the code is standardised by its mean and standard deviation over the training codes. Arguments and result
    as in `latentlab.evaluation.svm.rbf_predictions`.
    """
    mean, deviation = train_codes.mean(axis=0), train_codes.std(axis=0)
    deviation[deviation == 0] = 1  # a number that never changes says nothing
    model = LogisticRegression(C=1.0, tol=1e-3, max_iter=5000)
    model.fit((train_codes - mean) / deviation, train_digits)
    predictions: Array = model.predict((test_codes - mean) / deviation)
    return predictions


def knn_predictions(train_codes: Array, train_digits: Array, test_codes: Array, neighbours: int) -> Array:
    """The digit that most of the nearest training codes have, by Euclidean distance, for each test code.

    Args:
        train_codes: (N, D).
        train_digits: (N,).
        test_codes: (M, D).
        neighbours: How many are asked; of equally many votes the smallest digit wins.

    Returns:
        (M,) digits.
    """
    model = KNeighborsClassifier(min(neighbours, len(train_codes)), algorithm="brute")
    predictions: Array = model.fit(train_codes, train_digits).predict(test_codes)
    return predictions


def accuracy(predictions: Array, digits: Array) -> float:
    """Share of right predictions, in [0, 1]."""
    return float((predictions == digits).mean())


def confusion(digits: Array, predictions: Array) -> list[Mapping[str, int]]:
    """Counts of each pair of true digit and prediction, all 100 of them: "actual", "predicted", "count"."""
    return [
        {
            "actual": actual,
            "predicted": predicted,
            "count": int(((digits == actual) & (predictions == predicted)).sum()),
        }
        for actual in range(10)
        for predicted in range(10)
    ]
