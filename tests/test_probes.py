"""Probes against scikit-learn's own machines, on codes whose digits can be told."""

import numpy as np
import pytest
from sklearn.svm import SVC, LinearSVC

from latentlab.evaluation import probes


def codes(count: int, seed: int, spread: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    digits = np.arange(count) % 10
    centres = np.random.default_rng(0).normal(size=(10, 4))
    return (centres[digits] + spread * random.normal(size=(count, 4))).astype(np.float32), digits


def test_probes():
    (train, train_digits), (test, test_digits) = codes(500, 1), codes(300, 2)
    predictions = probes.svm_rbf_predictions(train, train_digits, test)
    by_hand = SVC(C=10, kernel="rbf", gamma=1 / (4 * train.var())).fit(train, train_digits).predict(test)
    assert np.array_equal(predictions, by_hand)
    linear = probes.svm_linear_predictions(train, train_digits, test)
    assert (linear == test_digits).mean() > 0.5
    assert (probes.svm_linear_predictions(100 * train, train_digits, 100 * test) == linear).mean() > 0.99


def test_a_collapsed_code_is_worth_a_guess():
    digits = np.arange(100) % 10
    flat = np.zeros((100, 2), np.float32)
    for predictions in (probes.svm_rbf_predictions(flat, digits, flat), probes.svm_linear_predictions(flat, digits, flat)):
        assert (predictions == digits).mean() == pytest.approx(0.1)


def test_confusion():
    counts = probes.confusion(np.array([0, 0, 3, 9]), np.array([0, 8, 3, 9]))
    assert len(counts) == 100
    nonzero = {(each["actual"], each["predicted"]): each["count"] for each in counts if each["count"]}
    assert nonzero == {(0, 0): 1, (0, 8): 1, (3, 3): 1, (9, 9): 1}


@pytest.mark.parametrize("size", [2, 30])
def test_the_linear_machine_is_the_one_of_liblinear(size):
    random = np.random.default_rng(size)
    digits = np.arange(3000) % 10
    mixing = random.normal(size=(size, size)) * 10.0 ** -random.uniform(0, 2, size)  # strongly correlated numbers
    codes_of = ((random.normal(size=(10, size))[digits] + random.normal(size=(3000, size))) @ mixing).astype(np.float32)
    train, test = codes_of[:2000], codes_of[2000:]
    predicted = probes.svm_linear_predictions(train, digits[:2000], test)
    machine = LinearSVC(C=1.0, dual=False, tol=1e-5, random_state=0).fit(train / train.std(), digits[:2000])
    assert (predicted == machine.predict(test / train.std())).mean() > 0.99


def test_the_linear_machine_with_numbers_that_are_dead_or_copies_of_each_other():
    random = np.random.default_rng(0)
    digits = np.arange(4000) % 10
    base = 1000 * (random.normal(size=(10, 4))[digits] + 0.3 * random.normal(size=(4000, 4)))
    codes_of = np.column_stack([base, base, base @ random.normal(size=(4, 40)), np.zeros((4000, 20))]).astype(np.float32)
    predicted = probes.svm_linear_predictions(codes_of[:3000], digits[:3000], codes_of[3000:])
    machine = LinearSVC(C=1.0, dual=False, tol=1e-4, random_state=0)
    scale = codes_of[:3000].std()
    expected = machine.fit(codes_of[:3000] / scale, digits[:3000]).predict(codes_of[3000:] / scale)
    assert (predicted == expected).mean() > 0.99


def test_the_linear_machine_is_at_the_minimum_of_its_objective():
    random = np.random.default_rng(0)
    x = np.column_stack([random.normal(size=(500, 8)), np.ones(500)]).astype(np.float32)
    signs = np.sign(x[:, 0] + 0.8 * random.normal(size=500)).astype(np.float32)
    gram = x.T.astype(np.float64) @ x
    weights = probes._finite_newton(x, signs, gram, probes._factor(gram))
    slack = np.maximum(0, 1 - signs * (x @ weights))
    gradient = weights - 2 * x.T @ (signs * slack)
    assert np.abs(gradient).max() < 1e-3 * np.abs(2 * x.T @ signs).max()
    assert 0 < (slack > 0).mean() < 1


def test_nearest_neighbours_against_all_distances():
    (train, train_digits), (test, _) = codes(200, 1), codes(50, 2)
    nearest = np.linalg.norm(test[:, None] - train[None], axis=2).argsort(axis=1)[:, :5]
    votes = [np.bincount(train_digits[row], minlength=10).argmax() for row in nearest]
    assert np.array_equal(probes.knn_predictions(train, train_digits, test, 5), votes)


def test_logistic_regression_does_not_depend_on_the_scale_of_a_number():
    (train, train_digits), (test, test_digits) = codes(500, 1), codes(300, 2)
    predicted = probes.logistic_predictions(train, train_digits, test)
    assert probes.accuracy(predicted, test_digits) > 0.6
    scales = np.array([1, 100, 0.01, 5], np.float32)
    assert (probes.logistic_predictions(train * scales, train_digits, test * scales) == predicted).mean() > 0.99


def test_all_probes_together():
    train, test = codes(600, 1), codes(300, 2)
    measured, predictions = probes.probe(train, test, [10, 100, 1000], 5, 5, seed=0)
    assert measured["svm_rbf_accuracy"] == probes.accuracy(predictions["svm_rbf_accuracy"], test[1])
    assert set(predictions) == set(probes.full_probes(5))
    assert set(measured) == {*probes.full_probes(5), "few_labels"}
    for by_count in measured["few_labels"].values():
        assert list(by_count) == ["10", "100"]  # 1,000 labels are more than there are
        assert by_count["10"]["mean"] < by_count["100"]["mean"]
        assert by_count["10"]["std"] > 0
    again, _ = probes.probe(train, test, [10, 100, 1000], 5, 5, seed=0)
    assert again == measured
    other, _ = probes.probe(train, test, [10, 100, 1000], 5, 5, seed=1)
    assert other["few_labels"] != measured["few_labels"]
    quick, _ = probes.probe(train, test, [10], 2, 5, seed=0, left_out=["svm_rbf_accuracy"])
    assert quick["knn_accuracy"] == measured["knn_accuracy"]
    assert "svm_rbf_accuracy" not in quick


def test_collapsed_codes_are_probed_too():
    digits = np.arange(200) % 10
    flat = np.zeros((200, 3), np.float32)
    measured, _ = probes.probe((flat, digits), (flat, digits), [10], 2, 5, seed=0)
    assert all(0.05 <= measured[name] <= 0.15 for name in probes.full_probes(5))


def test_the_kernel_computed_beforehand_gives_the_predictions_of_svc():
    random = np.random.default_rng(0)
    digits = np.arange(2000) % 10
    centres = random.standard_normal((10, probes.LARGE))
    codes_of = (centres[digits] + 3 * random.standard_normal((2000, probes.LARGE))).astype(np.float32)
    train, test = codes_of[:1400], codes_of[1400:]
    expected = SVC(C=10, kernel="rbf", gamma="scale").fit(train, digits[:1400]).predict(test)
    assert np.array_equal(probes._one_against_one(train, digits[:1400], test), expected)
    assert np.array_equal(probes.svm_rbf_predictions(train, digits[:1400], test), expected)
    assert 0.5 < probes.accuracy(expected, digits[1400:]) < 0.99  # neither trivial nor hopeless
