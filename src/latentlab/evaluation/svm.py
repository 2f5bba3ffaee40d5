"""Support vector machines that give scikit-learn's answers, several times as fast.

Legend: N training images, M test images, D numbers in the code.
"""

from itertools import combinations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.svm import SVC

Array = np.ndarray

# of the RBF machine for two classes: images of each that it learns from at first; with this share of all it takes them all
FIRST, MOST = 500, 0.6
# what libsvm stops at: no decision is further on the wrong side of its margin
TOLERANCE = 1e-3
# rows of a kernel that are computed at a time, to stay in the processor's cache
ROWS = 128
# of the linear machine: images whose products are summed up at a time; steps, and when they are too small to go on
BLOCK = 4096
MOST_STEPS = 100
SMALLEST_STEP, SMALLEST_GAIN = 1e-6, 1e-9


def rbf_predictions(train_codes: Array, train_labels: Array, test_codes: Array) -> Array:
    """Labels that a support vector machine with the RBF kernel gives test codes: C = 10, gamma = 1 / (D Var(codes)).

    The probe of source E: scikit-learn's SVC on the codes as they are, a machine for each two classes, which votes for one
    of them; of equally many votes the smallest label wins.

    Args:
        train_codes: (N, D).
        train_labels: (N,), of at least two classes.
        test_codes: (M, D).

    Returns:
        (M,) labels.
    """
    variance = float(train_codes.var(dtype=np.float64))
    gamma = 1 / (train_codes.shape[1] * variance) if variance else 1.0  # a collapsed code has none
    train_codes, test_codes = train_codes.astype(np.float32), test_codes.astype(np.float32)
    kinds = np.unique(train_labels)
    members = [np.flatnonzero(train_labels == kind) for kind in kinds]
    # memory for the largest kernel is used by all: new pages take as long as what is written there
    memory = np.empty(sum(sorted(map(len, members))[-2:]) ** 2)
    pairs = list(combinations(range(len(kinds)), 2))
    weights, biases = np.zeros((len(train_codes), len(pairs)), np.float32), np.zeros(len(pairs))
    for column, (first, second) in enumerate(pairs):
        both = np.concatenate([members[first], members[second]])
        is_second = np.arange(len(both)) >= len(members[first])
        support, signed, biases[column] = _machine(train_codes[both], is_second, gamma, memory)
        weights[both[support], column] = signed
    support = np.flatnonzero(weights.any(axis=1))
    decisions = _decisions(test_codes, train_codes[support], weights[support], gamma) + biases
    votes = np.zeros((len(test_codes), len(kinds)), np.int64)
    for column, (first, second) in enumerate(pairs):
        chosen = decisions[:, column] > 0
        votes[:, first] += ~chosen
        votes[:, second] += chosen
    predictions: Array = kinds[votes.argmax(axis=1)]
    return predictions


def _machine(codes: Array, is_second: Array, gamma: float, memory: Array) -> tuple[Array, Array, float]:
    """A support vector machine for two classes, learnt from few images and those that it gets wrong (chunking).

    Only images at the margin decide, so most of the kernel need not be known: the machine of a part of the images, to which
    those are added that are on the wrong side of its margin, until there are none, is the machine of all of them (Boser,
    Guyon and Vapnik 1992, "A training algorithm for optimal margin classifiers").

    Args:
        codes: (N, D), float32.
        is_second: (N,), whether an image is of the second class.
        gamma: Of the kernel.
        memory: For N x N numbers at most.

    Returns:
        The images on or behind the margin, (S,); their weights, negative for the first class, (S,); the bias.
    """
    learnt = np.zeros(len(codes), bool)
    for kind in (False, True):
        members = np.flatnonzero(is_second == kind)
        learnt[members[:: max(1, len(members) // FIRST)]] = True
    while True:
        if learnt.sum() > MOST * len(codes):
            learnt[:] = True
        chosen = np.flatnonzero(learnt)
        kernel = memory[: len(chosen) ** 2].reshape(len(chosen), len(chosen))
        _fill_kernel(codes[chosen], gamma, kernel)
        # shrinking does not pay where most images stay support vectors
        machine = SVC(kernel="precomputed", C=10, tol=TOLERANCE, cache_size=600, shrinking=False)  # MB
        machine.fit(kernel, is_second[chosen])
        support, weights, bias = chosen[machine.support_], machine.dual_coef_[0], float(machine.intercept_[0])
        others = np.flatnonzero(~learnt)
        decisions = _decisions(codes[others], codes[support], weights.astype(np.float32), gamma) + bias
        wrong = others[np.where(is_second[others], decisions, -decisions) < 1 - TOLERANCE]
        if not len(wrong):
            return support, weights, bias
        learnt[wrong] = True


def _decisions(codes: Array, support: Array, weights: Array, gamma: float) -> Array:
    """Kernel of codes (N, D) and support vectors (S, D), times weights (S,) or (S, K): (N,) or (N, K), float32."""
    decisions = np.empty((len(codes), *weights.shape[1:]), np.float32)
    squares = gamma * np.einsum("ij,ij->i", support, support)
    memory = np.empty(ROWS * len(support), np.float32)
    for start in range(0, len(codes), ROWS):
        rows = codes[start : start + ROWS]
        decisions[start : start + ROWS] = _kernel_rows(rows, support, squares, gamma, memory) @ weights
    return decisions


def _fill_kernel(codes: Array, gamma: float, kernel: Array) -> None:
    """The kernel of codes (N, D) with themselves, written to (N, N): half of it, and its mirror image."""
    squares = gamma * np.einsum("ij,ij->i", codes, codes)
    memory = np.empty(ROWS * len(codes), np.float32)
    for start in range(0, len(codes), ROWS):
        end = min(start + ROWS, len(codes))
        rows = _kernel_rows(codes[start:end], codes[:end], squares[:end], gamma, memory)
        kernel[start:end, :end] = rows
        kernel[:start, start:end] = rows[:, :start].T


def _kernel_rows(rows: Array, codes: Array, squares: Array, gamma: float, memory: Array) -> Array:
    """exp(-gamma |x - y|^2) of all pairs of rows (R, D) and codes (N, D), given gamma |y|^2: (R, N), in the memory."""
    kernel = np.matmul(rows, codes.T, out=memory[: len(rows) * len(codes)].reshape(len(rows), len(codes)))
    kernel *= 2 * gamma
    kernel -= gamma * np.einsum("ij,ij->i", rows, rows)[:, None]
    kernel -= squares
    np.minimum(kernel, 0, out=kernel)
    return np.exp(kernel, out=kernel)


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
