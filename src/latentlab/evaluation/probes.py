"""What do the codes know about the digits? Support vector machines trained on them.

Legend: N images, D numbers in the code.
"""

import numpy as np
from sklearn.svm import SVC, LinearSVC

Array = np.ndarray


def svm_rbf_predictions(train_codes: Array, train_digits: Array, test_codes: Array) -> Array:
    """Digits that a support vector machine with the RBF kernel gives test codes: C = 10, gamma = 1 / (D Var(codes)).

    The probe of source E: scikit-learn's SVC (one against one), on the codes as they are.

    Args:
        train_codes: (N, D).
        train_digits: (N,).
        test_codes: (M, D).

    Returns:
        (M,) digits.
    """
    machine = SVC(kernel="rbf", C=10, gamma="scale", cache_size=2000)  # MB
    predictions: Array = machine.fit(train_codes, train_digits).predict(test_codes)
    return predictions


def svm_linear_predictions(train_codes: Array, train_digits: Array, test_codes: Array) -> Array:
    """Digits that a linear support vector machine gives test codes: C = 1, squared hinge loss, one against the rest.

    The codes are divided by their standard deviation over all numbers of all training codes, so that the answer does not
    depend on their scale. Arguments and result as in `svm_rbf_predictions`.
    """
    scale = train_codes.std() or 1.0  # a collapsed code has none
    machine = LinearSVC(C=1.0, dual=False, tol=1e-3, random_state=0)
    predictions: Array = machine.fit(train_codes / scale, train_digits).predict(test_codes / scale)
    return predictions


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
