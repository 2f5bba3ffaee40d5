"""Support vector machines against scikit-learn's own, on codes whose classes can be told."""

import numpy as np
import pytest
from samples import codes
from sklearn.svm import SVC, LinearSVC

from latentlab.evaluation import svm


def test_the_machines():
    (train, train_labels), (test, test_labels) = codes(500, 1), codes(300, 2)
    predictions = svm.rbf_predictions(train, train_labels, test)
    by_hand = SVC(C=10, kernel="rbf", gamma=1 / (4 * train.var())).fit(train, train_labels).predict(test)
    assert np.array_equal(predictions, by_hand)
    linear = svm.linear_predictions(train, train_labels, test)
    assert (linear == test_labels).mean() > 0.5
    assert (svm.linear_predictions(100 * train, train_labels, 100 * test) == linear).mean() > 0.99


def test_a_collapsed_code_is_worth_a_guess():
    labels = np.arange(100) % 10
    flat = np.zeros((100, 2), np.float32)
    for predictions in (svm.rbf_predictions(flat, labels, flat), svm.linear_predictions(flat, labels, flat)):
        assert (predictions == labels).mean() == pytest.approx(0.1)


@pytest.mark.parametrize("size", [2, 30])
def test_the_linear_machine_is_the_one_of_liblinear(size):
    random = np.random.default_rng(size)
    labels = np.arange(3000) % 10
    mixing = random.normal(size=(size, size)) * 10.0 ** -random.uniform(0, 2, size)  # strongly correlated numbers
    codes_of = ((random.normal(size=(10, size))[labels] + random.normal(size=(3000, size))) @ mixing).astype(np.float32)
    train, test = codes_of[:2000], codes_of[2000:]
    predicted = svm.linear_predictions(train, labels[:2000], test)
    machine = LinearSVC(C=1.0, dual=False, tol=1e-5, random_state=0).fit(train / train.std(), labels[:2000])
    assert (predicted == machine.predict(test / train.std())).mean() > 0.99


def test_the_linear_machine_with_numbers_that_are_dead_or_copies_of_each_other():
    random = np.random.default_rng(0)
    labels = np.arange(4000) % 10
    base = 1000 * (random.normal(size=(10, 4))[labels] + 0.3 * random.normal(size=(4000, 4)))
    codes_of = np.column_stack([base, base, base @ random.normal(size=(4, 40)), np.zeros((4000, 20))]).astype(np.float32)
    predicted = svm.linear_predictions(codes_of[:3000], labels[:3000], codes_of[3000:])
    machine = LinearSVC(C=1.0, dual=False, tol=1e-4, random_state=0)
    scale = codes_of[:3000].std()
    expected = machine.fit(codes_of[:3000] / scale, labels[:3000]).predict(codes_of[3000:] / scale)
    assert (predicted == expected).mean() > 0.99


def test_the_linear_machine_is_at_the_minimum_of_its_objective():
    random = np.random.default_rng(0)
    x = np.column_stack([random.normal(size=(500, 8)), np.ones(500)]).astype(np.float32)
    signs = np.sign(x[:, 0] + 0.8 * random.normal(size=500)).astype(np.float32)
    gram = x.T.astype(np.float64) @ x
    weights = svm._finite_newton(x, signs, gram, svm._factor(gram))
    slack = np.maximum(0, 1 - signs * (x @ weights))
    gradient = weights - 2 * x.T @ (signs * slack)
    assert np.abs(gradient).max() < 1e-3 * np.abs(2 * x.T @ signs).max()
    assert 0 < (slack > 0).mean() < 1


@pytest.mark.parametrize(("size", "spread"), [(1, 0.1), (4, 0.5), (30, 1.5), (200, 3)])
def test_the_rbf_machine_is_the_one_of_libsvm(size, spread):
    random = np.random.default_rng(0)
    labels = np.arange(2000) % 10
    centres = random.standard_normal((10, size))
    codes_of = (centres[labels] + spread * random.standard_normal((2000, size))).astype(np.float32)
    train, test = codes_of[:1400], codes_of[1400:]
    expected = SVC(C=10, kernel="rbf", gamma="scale").fit(train, labels[:1400]).predict(test)
    assert np.array_equal(svm.rbf_predictions(train, labels[:1400], test), expected)
    assert 0.4 < (expected == labels[1400:]).mean() < 0.99  # neither trivial nor hopeless


@pytest.mark.parametrize(
    ("spread", "counts", "least", "most"),
    [
        pytest.param(0.5, (3000, 3000), 1000, 2000, id="few images at the margin"),
        pytest.param(1.5, (3000, 3000), 6000, 6000, id="most images at the margin"),
        pytest.param(0.5, (6000, 12), 512, 1500, id="few of the second class"),
        pytest.param(0.5, (12, 6000), 512, 1500, id="few of the first class"),
    ],
)
def test_the_machine_of_few_images_is_that_of_all(spread, counts, least, most, monkeypatch):
    random = np.random.default_rng(0)
    is_second = np.arange(sum(counts)) >= counts[0]
    centres = random.standard_normal((2, 8))
    codes_of = (centres[is_second.astype(int)] + spread * random.standard_normal((len(is_second), 8))).astype(np.float32)
    learnt = []
    fill = svm._fill_kernel
    monkeypatch.setattr(svm, "_fill_kernel", lambda codes, *rest: (learnt.append(len(codes)), fill(codes, *rest)))
    support, weights, bias = svm._machine(codes_of, is_second, 0.1, np.empty(len(codes_of) ** 2))
    assert least <= max(learnt) <= most
    machine = SVC(C=10, kernel="rbf", gamma=0.1).fit(codes_of, is_second)
    expected = machine.decision_function(codes_of)
    assert np.abs(svm._decisions(codes_of, codes_of[support], weights, 0.1) + bias - expected).max() < 0.01
    assert len(support) == pytest.approx(len(machine.support_), rel=0.02)


def test_two_classes():
    random = np.random.default_rng(0)
    labels = np.arange(600) % 2 * 3  # 0 and 3
    for size in (4, 130):
        codes_of = (0.3 * labels[:, None] + random.normal(size=(600, size))).astype(np.float32)
        train, test = codes_of[:400], codes_of[400:]
        expected = SVC(C=10, kernel="rbf", gamma="scale").fit(train, labels[:400]).predict(test)
        assert np.array_equal(svm.rbf_predictions(train, labels[:400], test), expected)
        linear = LinearSVC(C=1.0, dual=False, tol=1e-5, random_state=0).fit(train / train.std(), labels[:400])
        agreement = svm.linear_predictions(train, labels[:400], test) == linear.predict(test / train.std())
        assert agreement.mean() > 0.98
