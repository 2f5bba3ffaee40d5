"""What do the codes know about the classes? Classifiers trained on them.

Legend: N training images, M test images, D numbers in the code.
"""

from collections.abc import Callable, Mapping

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from latentlab.data.images import Images
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
    """Accuracies of the probes that learn from the codes of all training images; confusion counts of the RBF probe.

    Images without classes give nothing.
    """
    if not subject.data.classes:
        return Analysis({}, tables={"confusion": []})
    train, test = labelled_codes(subject)
    predictions = {name: probe(*train, test[0]) for name, probe in full_probes(settings.neighbours).items()}
    return Analysis(
        {name: accuracy(predicted, test[1]) for name, predicted in predictions.items()},
        tables={"confusion": confusion(test[1], predictions["svm_rbf_accuracy"], len(subject.data.classes))},
    )


def labelled_codes(subject: Subject) -> tuple[Labelled, Labelled]:
    """Codes (N, D) and labels (N,) of all training images, validation images included, and of the test images."""

    def labelled(images: Images) -> Labelled:
        if images.labels is None:
            raise ValueError("the images have no classes")
        return subject.encode(images.images).flatten(1).numpy(), images.labels.numpy()

    return labelled(subject.data.training_images()), labelled(subject.data.test)


def full_probes(neighbours: int) -> dict[str, Predictions]:
    """The probes that learn from all training codes, by the name of their accuracy."""
    return {
        "svm_rbf_accuracy": svm.rbf_predictions,
        "svm_linear_accuracy": svm.linear_predictions,
        "knn_accuracy": lambda train, labels, test: knn_predictions(train, labels, test, neighbours),
        "logistic_accuracy": logistic_predictions,
    }


def logistic_predictions(train_codes: Array, train_labels: Array, test_codes: Array) -> Array:
    """Labels by multinomial logistic regression with an L2 penalty, C = 1.

    Each number of the code is standardised by its mean and standard deviation over the training codes. Arguments and result
    as in `latentlab.evaluation.svm.rbf_predictions`.
    """
    mean, deviation = train_codes.mean(axis=0), train_codes.std(axis=0)
    deviation[deviation == 0] = 1  # a number that never changes says nothing
    model = LogisticRegression(C=1.0, tol=1e-3, max_iter=5000)
    model.fit((train_codes - mean) / deviation, train_labels)
    predictions: Array = model.predict((test_codes - mean) / deviation)
    return predictions


def knn_predictions(train_codes: Array, train_labels: Array, test_codes: Array, neighbours: int) -> Array:
    """The label that most of the nearest training codes have, by Euclidean distance, for each test code.

    Args:
        train_codes: (N, D).
        train_labels: (N,).
        test_codes: (M, D).
        neighbours: How many are asked; of equally many votes the smallest label wins.

    Returns:
        (M,) labels.
    """
    model = KNeighborsClassifier(min(neighbours, len(train_codes)), algorithm="brute")
    predictions: Array = model.fit(train_codes, train_labels).predict(test_codes)
    return predictions


def accuracy(predictions: Array, labels: Array) -> float:
    """Share of right predictions, in [0, 1]."""
    return float((predictions == labels).mean())


def confusion(labels: Array, predictions: Array, num_classes: int) -> list[Mapping[str, int]]:
    """Counts of each pair of true label and prediction, also where they are 0: "actual", "predicted", "count"."""
    return [
        {
            "actual": actual,
            "predicted": predicted,
            "count": int(((labels == actual) & (predictions == predicted)).sum()),
        }
        for actual in range(num_classes)
        for predicted in range(num_classes)
    ]
