"""Support vector machines that give scikit-learn's answers, several times as fast.

Legend: N training images, M test images, D numbers in the code.
"""

from itertools import combinations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.svm import SVC

Array = np.ndarray

# codes of so few numbers leave nearly all images as support vectors, and the products of so many are dear: the kernels of
# both are computed beforehand, if there are some images of each class
FEW, MANY = 4, 128
# rows of a kernel that are computed at a time, to stay in the processor's cache
ROWS = 128
# of the linear machine: images whose products are summed up at a time; steps, and when they are too small to go on
BLOCK = 4096
MOST_STEPS = 100
SMALLEST_STEP, SMALLEST_GAIN = 1e-6, 1e-9


def rbf_predictions(train_codes: Array, train_labels: Array, test_codes: Array) -> Array:
    """Labels that a support vector machine with the RBF kernel gives test codes: C = 10, gamma = 1 / (D Var(codes)).

    The probe of source E: scikit-learn's SVC (one against one), on the codes as they are. Where libsvm's own way is slow,
    the kernels are computed beforehand, a few rows at a time.

    Args:
        train_codes: (N, D).
        train_labels: (N,), of at least two classes.
        test_codes: (M, D).

    Returns:
        (M,) labels.
    """
    if FEW < train_codes.shape[1] < MANY or len(train_codes) < MANY * len(np.unique(train_labels)):
        machine = SVC(kernel="rbf", C=10, gamma="scale", cache_size=2000)  # MB
        predictions: Array = machine.fit(train_codes, train_labels).predict(test_codes)
        return predictions
    return _one_against_one(train_codes, train_labels, test_codes)


def _one_against_one(train_codes: Array, train_labels: Array, test_codes: Array) -> Array:
    """What SVC does with several classes, on kernels that are computed beforehand.

    A machine for each two classes votes for one of them; of equally many votes the smallest label wins.
    """
    variance = float(train_codes.var(dtype=np.float64))
    gamma = 1 / (train_codes.shape[1] * variance) if variance else 1.0  # a collapsed code has none
    train_codes, test_codes = train_codes.astype(np.float32), test_codes.astype(np.float32)
    kinds = np.unique(train_labels)
    members = [np.flatnonzero(train_labels == kind) for kind in kinds]
    # memory for the largest kernel is used by all: new pages take as long as what is written there
    memory = np.empty(sum(sorted(map(len, members))[-2:]) ** 2)
    own = [np.empty((len(each), len(each)), np.float32) for each in members]  # each is part of several machines
    for each, result in zip(members, own, strict=True):
        _rbf_kernel(train_codes[each], train_codes[each], gamma, result)
    pairs = list(combinations(range(len(kinds)), 2))
    weights, biases = np.zeros((len(train_codes), len(pairs)), np.float32), np.zeros(len(pairs))
    for column, (first, second) in enumerate(pairs):
        split, both = len(members[first]), np.concatenate([members[first], members[second]])
        kernel = memory[: len(both) ** 2].reshape(len(both), len(both))
        kernel[:split, :split], kernel[split:, split:] = own[first], own[second]
        _rbf_kernel(train_codes[members[first]], train_codes[members[second]], gamma, kernel[:split, split:])
        kernel[split:, :split] = kernel[:split, split:].T
        # without shrinking where most images stay support vectors
        machine = SVC(kernel="precomputed", C=10, cache_size=500, shrinking=train_codes.shape[1] > FEW)  # MB
        machine.fit(kernel, np.arange(len(both)) >= split)
        weights[both[machine.support_], column], biases[column] = machine.dual_coef_[0], machine.intercept_[0]
    support = np.flatnonzero(weights.any(axis=1))
    support_codes, weights = train_codes[support], weights[support]
    block, decisions = np.empty((ROWS, len(support)), np.float32), []
    for codes in _row_blocks(test_codes):
        _rbf_kernel(codes, support_codes, gamma, block[: len(codes)])
        decisions.append(block[: len(codes)] @ weights)
    votes = np.zeros((len(test_codes), len(kinds)), np.int64)
    for column, (first, second) in enumerate(pairs):
        chosen = np.concatenate([each[:, column] for each in decisions]) + biases[column] > 0
        votes[:, first] += ~chosen
        votes[:, second] += chosen
    predictions: Array = kinds[votes.argmax(axis=1)]
    return predictions


def _row_blocks(codes: Array) -> list[Array]:
    return [codes[start : start + ROWS] for start in range(0, len(codes), ROWS)]


def _rbf_kernel(first: Array, second: Array, gamma: float, result: Array) -> None:
    """exp(-gamma |x - y|^2) of all pairs, (N, D) and (M, D), written to (N, M)."""
    columns = second.T
    squares = gamma * np.einsum("ij,ij->i", second, second)
    memory = np.empty((ROWS, len(second)), np.float32)
    for codes, rows in zip(_row_blocks(first), _row_blocks(result), strict=True):
        kernel = np.matmul(codes, columns, out=memory[: len(codes)])
        kernel *= 2 * gamma
        kernel -= gamma * np.einsum("ij,ij->i", codes, codes)[:, None]
        kernel -= squares
        np.minimum(kernel, 0, out=kernel)
        rows[:] = np.exp(kernel, out=kernel)


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
