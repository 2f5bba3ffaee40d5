"""Probes against their definitions, on codes whose classes can be told."""

from dataclasses import replace

import numpy as np
import pytest
from samples import COLOUR, codes, dense, linear, splits, striped

from latentlab.errors import UserError
from latentlab.evaluation import few_labels, probes, untrained
from latentlab.evaluation.pca import of_baseline

FEW = few_labels.Settings(neighbours=5, label_counts=[10, 100, 1000], num_draws=3, seed=0)


def test_confusion():
    counts = probes.confusion(np.array([0, 0, 3, 9]), np.array([0, 8, 3, 9]), 10)
    assert len(counts) == 100
    nonzero = {(each["actual"], each["predicted"]): each["count"] for each in counts if each["count"]}
    assert nonzero == {(0, 0): 1, (0, 8): 1, (3, 3): 1, (9, 9): 1}


def test_nearest_neighbours_against_all_distances():
    (train, train_labels), (test, _) = codes(200, 1), codes(50, 2)
    nearest = np.linalg.norm(test[:, None] - train[None], axis=2).argsort(axis=1)[:, :5]
    votes = [np.bincount(train_labels[row], minlength=10).argmax() for row in nearest]
    assert np.array_equal(probes.knn_predictions(train, train_labels, test, 5), votes)


def test_logistic_regression_does_not_depend_on_the_scale_of_a_number():
    (train, train_labels), (test, test_labels) = codes(500, 1), codes(300, 2)
    predicted = probes.logistic_predictions(train, train_labels, test)
    assert probes.accuracy(predicted, test_labels) > 0.6
    scales = np.array([1, 100, 0.01, 5], np.float32)
    assert (probes.logistic_predictions(train * scales, train_labels, test * scales) == predicted).mean() > 0.99


def test_few_labels():
    train, test = codes(600, 1), codes(300, 2)
    measured = few_labels.few_label_accuracies(train, test, [10, 100, 1000], 5, 5, seed=0)
    assert set(measured) == {"knn", "logistic", "svm_rbf"}
    for by_count in measured.values():
        assert list(by_count) == ["10", "100"]  # 1,000 labels are more than there are
        assert by_count["10"]["mean"] < by_count["100"]["mean"]
        assert by_count["10"]["std"] > 0
    assert few_labels.few_label_accuracies(train, test, [10, 100, 1000], 5, 5, seed=0) == measured
    assert few_labels.few_label_accuracies(train, test, [10, 100, 1000], 5, 5, seed=1) != measured


def test_few_labels_of_three_classes():
    (train, labels), test = codes(600, 1), codes(300, 2)
    kept, tested = labels < 3, test[1] < 3
    arguments = (train[kept], labels[kept]), (test[0][tested], test[1][tested])
    measured = few_labels.few_label_accuracies(*arguments, [2, 10, 11, 180, 183], 3, 5, seed=0)
    # one label cannot be had of each class with 2, and there are 60 of each; 10 and 11 are 3 of each
    assert [list(by_count) for by_count in measured.values()] == [["10", "11", "180"]] * 3
    assert all(by_count["180"]["std"] == pytest.approx(0) for by_count in measured.values())  # all there are, each time


def test_analysis():
    subject, data = linear(8), splits()
    made = probes.analyse(subject, probes.Settings(neighbours=3))
    codes_of = [subject.encode(each.images).numpy() for each in (data.train, data.validation, data.test)]
    train = np.concatenate(codes_of[:2]), np.concatenate([data.train.labels, data.validation.labels])
    right = data.test.labels.numpy()
    for name, probe in probes.full_probes(3).items():
        assert made.numbers[name] == probes.accuracy(probe(*train, codes_of[2]), right)
    assert made.numbers["knn_accuracy"] > 0.5
    counts = made.tables["confusion"]
    assert sum(line["count"] for line in counts) == len(right)
    hits = sum(line["count"] for line in counts if line["actual"] == line["predicted"])
    assert hits / len(right) == made.numbers["svm_rbf_accuracy"]


def test_analysis_of_collapsed_codes():
    collapsed = replace(linear(2), encode=lambda images: 0 * linear(2).encode(images))
    numbers = probes.analyse(collapsed, probes.Settings(neighbours=5)).numbers
    assert all(0.05 <= accuracy <= 0.15 for accuracy in numbers.values())


def test_analysis_with_few_labels():
    subject = linear(8)
    numbers = few_labels.analyse(subject, FEW).numbers
    assert numbers == few_labels.few_label_accuracies(*probes.labelled_codes(subject), [10, 100, 1000], 3, 5, 0)


def test_analysis_of_the_untrained_encoder():
    subject = replace(linear(8), untrained=dense)
    numbers = untrained.analyse(subject, FEW).numbers
    full = probes.analyse(dense(), probes.Settings(neighbours=5)).numbers
    del full["svm_rbf_accuracy"]
    assert numbers == {**full, "few_labels": few_labels.analyse(dense(), FEW).numbers}
    with pytest.raises(UserError, match="no weights from before"):
        untrained.analyse(linear(8), FEW)


def test_three_classes():
    data = striped(COLOUR)
    subject = of_baseline("pca_4", 4, data)
    made = probes.analyse(subject, probes.Settings(neighbours=5))
    assert min(made.numbers.values()) > 0.95
    counts = {(line["actual"], line["predicted"]): line["count"] for line in made.tables["confusion"]}
    assert len(counts) == 9
    assert sum(counts.values()) == 60
    assert {label: sum(counts[label, each] for each in range(3)) for label in range(3)} == dict.fromkeys(range(3), 20)


def test_without_classes_there_is_nothing_to_ask_for():
    subject = dense(striped(COLOUR, ()))
    made = probes.analyse(subject, probes.Settings(neighbours=5))
    assert (made.numbers, made.tables) == ({}, {"confusion": []})
    assert few_labels.analyse(subject, FEW).numbers == {}
    assert untrained.analyse(replace(subject, untrained=lambda: subject), FEW).numbers == {}
    with pytest.raises(UserError, match="no weights from before"):
        untrained.analyse(subject, FEW)
    with pytest.raises(ValueError, match="have no classes"):
        probes.labelled_codes(subject)
