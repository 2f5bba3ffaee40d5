"""What do the codes know about the digits? Classifiers trained on them.

Legend: N training images, M test images, D numbers in the code.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

Array = np.ndarray
Predictions = Callable[[Array, Array, Array], Array]


def svm_rbf_predictions(train_codes: Array, train_digits: Array, test_codes: Array) -> Array:
    """Digits that a support vector machine with the RBF kernel gives test codes: C = 10, gamma = 1 / (D Var(codes)).

    The probe of source E: scikit-learn's SVC (one against one), on the codes as they are.

    Args:
        train_codes: (N, D).
        train_digits: (N,), of at least two kinds.
        test_codes: (M, D).

    Returns:
        (M,) digits.
    """
    machine = SVC(kernel="rbf", C=10, gamma="scale", cache_size=2000)  # MB
    predictions: Array = machine.fit(train_codes, train_digits).predict(test_codes)
    return predictions


def svm_linear_predictions(train_codes: Array, train_digits: Array, test_codes: Array) -> Array:
    """Digits that a linear support vector machine gives test codes: C = 1, squared hinge loss, one against the rest.

    The machine of scikit-learn's LinearSVC, whose objective is convex; L-BFGS on all ten digits at once, in coordinates in
    which the codes are white, finds its minimum many times as fast. The codes are divided by their standard deviation over
    all numbers of all training codes, so that the answer does not depend on their scale. Arguments and result as in
    `svm_rbf_predictions`.
    """
    scale = train_codes.std() or 1.0  # a collapsed code has none
    kinds, classes = np.unique(train_digits, return_inverse=True)
    signs = np.where(classes[:, None] == np.arange(len(kinds)), 1.0, -1.0).astype(np.float32)  # (N, kinds)
    x = np.column_stack([train_codes / scale, np.ones(len(train_codes))]).astype(np.float32)  # (N, D + 1), with the bias

    # weights = transform @ white weights, where the transform is the inverse of a root of x.T x
    root = _cholesky_root((x.T @ x).astype(np.float64))
    transform = solve_triangular(root, np.eye(x.shape[1]), lower=True).T
    white = x @ transform.astype(np.float32)  # (N, D + 1)

    def objective(flat: Array) -> tuple[float, Array]:
        """Half the squared norm of weights and biases, plus the sum of the squared hinge losses, and its gradient."""
        white_weights = flat.reshape(x.shape[1], len(kinds))
        weights = transform @ white_weights
        slack = np.maximum(0, 1 - signs * (white @ white_weights.astype(np.float32)))
        value = 0.5 * float((weights**2).sum()) + float((slack.astype(np.float64) ** 2).sum())
        gradient = transform.T @ weights - 2 * (white.T @ (signs * slack))
        return value, gradient.astype(np.float64).ravel()

    start = np.zeros(x.shape[1] * len(kinds))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "ftol": 1e-9})
    weights = transform @ found.x.reshape(x.shape[1], len(kinds))
    scores = (test_codes / scale) @ weights[:-1] + weights[-1]
    predictions: Array = kinds[scores.argmax(axis=1)]
    return predictions


def _cholesky_root(gram: Array) -> Array:
    """Lower Cholesky factor of a positive semidefinite matrix plus a ridge, 1 or as much more as rounding errors ask."""
    ridge = 1.0
    while True:
        try:
            root: Array = cholesky(gram + ridge * np.eye(len(gram)), lower=True)
        except LinAlgError:
            ridge *= 10
        else:
            return root


def logistic_predictions(train_codes: Array, train_digits: Array, test_codes: Array) -> Array:
    """Digits by multinomial logistic regression with an L2 penalty, C = 1.

    Each number of the code is standardised by its mean and standard deviation over the training codes. Arguments and result
    as in `svm_rbf_predictions`.
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


def full_probes(neighbours: int) -> dict[str, Predictions]:
    """The probes that learn from all training codes, by the name of their accuracy."""
    return {
        "svm_rbf_accuracy": svm_rbf_predictions,
        "svm_linear_accuracy": svm_linear_predictions,
        "knn_accuracy": lambda train, digits, test: knn_predictions(train, digits, test, neighbours),
        "logistic_accuracy": logistic_predictions,
    }


def few_label_accuracies(
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    label_counts: Sequence[int],
    num_draws: int,
    neighbours: int,
    seed: int,
) -> dict[str, dict[str, dict[str, float]]]:
    """How accurate the probes are when only a few training images have a label.

    Args:
        train: Codes (N, D) and digits (N,).
        test: Codes (M, D) and digits (M,).
        label_counts: Numbers of labels, equally many of each digit; one that the training images cannot give is left out.
        num_draws: How often the labelled images are drawn anew.
        neighbours: Of the nearest-neighbour probe, but never more than there are labels of a digit.
        seed: Of the draws.

    Returns:
        By probe ("knn", "logistic", "svm_rbf") and number of labels, accuracy over the draws: "mean" and "std" (n - 1).
    """
    accuracies: dict[str, dict[str, list[float]]] = {name: {} for name in ("knn", "logistic", "svm_rbf")}
    smallest = min(int((train[1] == digit).sum()) for digit in range(10))
    for count in label_counts:
        each = count // 10
        if not 0 < each <= smallest:
            continue
        random = np.random.default_rng([seed, count])
        for _ in range(num_draws):
            chosen = np.concatenate(
                [random.choice(np.flatnonzero(train[1] == digit), each, replace=False) for digit in range(10)]
            )
            arguments = (train[0][chosen], train[1][chosen], test[0])
            predicted = {
                "knn": knn_predictions(*arguments, min(neighbours, each)),
                "logistic": logistic_predictions(*arguments),
                "svm_rbf": svm_rbf_predictions(*arguments),
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


def accuracy(predictions: Array, digits: Array) -> float:
    """Share of right predictions, in [0, 1]."""
    return float((predictions == digits).mean())


def probe(
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    label_counts: Sequence[int],
    num_draws: int,
    neighbours: int,
    seed: int,
    left_out: Sequence[str] = (),
) -> tuple[dict[str, Any], dict[str, Array]]:
    """All probes of a code.

    Args:
        train: As the other arguments, see `few_label_accuracies`.
        test: See there.
        label_counts: See there.
        num_draws: See there.
        neighbours: See there.
        seed: See there.
        left_out: Full probes that are not wanted, by the name of their accuracy.

    Returns:
        Accuracies of the full probes, and "few_labels" as `few_label_accuracies` gives it; and the predictions of the full
        probes, (M,), by the name of their accuracy.
    """
    wanted = {name: predict for name, predict in full_probes(neighbours).items() if name not in left_out}
    predicted = {name: predict(*train, test[0]) for name, predict in wanted.items()}
    measured: dict[str, Any] = {name: accuracy(predictions, test[1]) for name, predictions in predicted.items()}
    measured["few_labels"] = few_label_accuracies(train, test, label_counts, num_draws, neighbours, seed)
    return measured, predicted


def confusion(digits: Array, predictions: Array) -> list[dict[str, int]]:
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
