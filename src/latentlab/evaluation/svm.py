"""Support vector machines that give scikit-learn's answers, several times as fast.

Legend: N training images, M test images, D numbers in the code.
"""

from itertools import combinations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.svm import SVC

Array = np.ndarray

# numbers of a code from which on matrix products pay for the RBF kernel
LARGE = 128
# of the linear machine: images whose products are summed up at a time; steps, and when they are too small to go on
BLOCK = 4096
MOST_STEPS = 100
SMALLEST_STEP, SMALLEST_GAIN = 1e-6, 1e-9


def rbf_predictions(train_codes: Array, train_labels: Array, test_codes: Array) -> Array:
    """Labels that a support vector machine with the RBF kernel gives test codes: C = 10, gamma = 1 / (D Var(codes)).

    The probe of source E: scikit-learn's SVC (one against one), on the codes as they are. For codes of many numbers the
    kernel is computed beforehand, by matrix products, which is several times as fast as libsvm's own way.

    Args:
        train_codes: (N, D).
        train_labels: (N,), of at least two classes.
        test_codes: (M, D).

    Returns:
        (M,) labels.
    """
    if train_codes.shape[1] >= LARGE and len(train_codes) > len(np.unique(train_labels)) * LARGE:
        return _one_against_one(train_codes, train_labels, test_codes)
    machine = SVC(kernel="rbf", C=10, gamma="scale", cache_size=2000)  # MB
    predictions: Array = machine.fit(train_codes, train_labels).predict(test_codes)
    return predictions


def _one_against_one(train_codes: Array, train_labels: Array, test_codes: Array) -> Array:
    """What SVC does with several classes, on kernels that its machines share.

    A machine for each two classes votes for one of them; of equally many votes the smallest label wins.
    """
    gamma = 1 / (train_codes.shape[1] * float(train_codes.var(dtype=np.float64)))
    kinds = np.unique(train_labels)
    parts = [np.ascontiguousarray(train_codes[train_labels == kind], np.float32) for kind in kinds]
    own = [_rbf_kernel(part, part, gamma) for part in parts]  # each is part of several machines
    votes = np.zeros((len(test_codes), len(kinds)), np.int64)
    for first, second in combinations(range(len(kinds)), 2):
        split, both = len(parts[first]), np.concatenate([parts[first], parts[second]])
        kernel = np.empty((len(both), len(both)))
        kernel[:split, :split], kernel[split:, split:] = own[first], own[second]
        kernel[:split, split:] = _rbf_kernel(parts[first], parts[second], gamma)
        kernel[split:, :split] = kernel[:split, split:].T
        machine = SVC(kernel="precomputed", C=10, cache_size=500)  # MB
        machine.fit(kernel, np.arange(len(both)) >= split)
        decisions = _rbf_kernel(test_codes, both[machine.support_], gamma) @ machine.dual_coef_[0] + machine.intercept_[0]
        votes[:, first] += decisions <= 0
        votes[:, second] += decisions > 0
    predictions: Array = kinds[votes.argmax(axis=1)]
    return predictions


def _rbf_kernel(first: Array, second: Array, gamma: float) -> Array:
    """exp(-gamma |x - y|^2) of all pairs, (N, D) and (M, D) -> (N, M), float32."""
    kernel: Array = first @ second.T
    kernel *= -2
    kernel += np.einsum("ij,ij->i", first, first)[:, None]
    kernel += np.einsum("ij,ij->i", second, second)
    np.maximum(kernel, 0, out=kernel)
    kernel *= -gamma
    np.exp(kernel, out=kernel)
    return kernel


def linear_predictions(train_codes: Array, train_labels: Array, test_codes: Array) -> Array:
    """Labels that a linear support vector machine gives test codes: C = 1, squared hinge loss, one against the rest.

    The machine of scikit-learn's LinearSVC. Its objective is quadratic as long as the same images are inside the margin, so
    Newton's method with a line search ends at its minimum after a few steps (Mangasarian 2002, "A finite Newton method for
    classification"; Keerthi and DeCoste 2005). The codes are divided by their standard deviation over all numbers of all
    training codes, so that the answer does not depend on their scale. Arguments and result as in `rbf_predictions`.
    """
    scale = train_codes.std() or 1.0  # a collapsed code has none
    kinds = np.unique(train_labels)
    x = np.column_stack([train_codes / scale, np.ones(len(train_codes))]).astype(np.float32)  # (N, D + 1), with the bias
    gram = _summed(x, x)
    factor = _factor(gram)
    weights = np.empty((x.shape[1], len(kinds)))
    for column, kind in enumerate(kinds):
        signs = np.where(train_labels == kind, 1, -1).astype(np.float32)
        weights[:, column] = _finite_newton(x, signs, gram, factor)
    scores = (test_codes / scale) @ weights[:-1] + weights[-1]
    predictions: Array = kinds[scores.argmax(axis=1)]
    return predictions


def _finite_newton(x: Array, signs: Array, gram: Array, factor: tuple[Array, bool]) -> Array:
    """Weights w that minimise |w|^2 / 2 plus the sum of max(0, 1 - signs (x @ w))^2.

    Args:
        x: (N, D), float32.
        signs: (N,), 1 or -1.
        gram: x.T @ x, (D, D).
        factor: Of `_factor(gram)`.

    Returns:
        (D,).
    """
    sums = _summed(x, signs)
    inside = np.ones(len(x), bool)  # the margin, as if all weights were zero
    weights, scores = np.zeros(x.shape[1]), np.zeros(len(x))
    value = float(len(x))
    for _ in range(MOST_STEPS):
        goal = cho_solve(factor, 2 * sums)  # the minimum, if nothing but these were inside
        ahead = (x @ goal.astype(np.float32)).astype(np.float64)
        # halfway to it, or half of that, and so on, where others come inside on the way
        step = 1.0
        while True:
            new_weights, new_scores = weights + step * (goal - weights), scores + step * (ahead - scores)
            slack = np.maximum(0, 1 - signs * new_scores)
            new_value = 0.5 * float(new_weights @ new_weights) + float(slack @ slack)
            if new_value < value or step < SMALLEST_STEP:
                break
            step /= 2
        if not new_value < value * (1 - SMALLEST_GAIN):
            break
        weights, scores, value = new_weights, new_scores, new_value
        now = slack > 0
        for moved, sign in ((now & ~inside, 1), (inside & ~now, -1)):
            rows = x[moved]
            gram = gram + sign * _summed(rows, rows)
            sums = sums + sign * _summed(rows, signs[moved])
        inside, factor = now, _factor(gram)
    return weights


def _summed(x: Array, y: Array) -> Array:
    """x.T @ y of float32 numbers, (N, D) and (N, ...), summed up in float64."""
    total = np.zeros((x.shape[1], *y.shape[1:]))
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK].astype(np.float64)
        total += block.T @ (block if y is x else y[start : start + BLOCK].astype(np.float64))
    return total


def _factor(gram: Array) -> tuple[Array, bool]:
    """What `cho_solve` needs for the system with 1 + 2 gram."""
    factor: tuple[Array, bool] = cho_factor(np.eye(len(gram)) + 2 * gram, check_finite=False)
    return factor
