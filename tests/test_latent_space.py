"""Measures of codes whose place is known."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from latentlab.evaluation.latent_space import clustering, first_of_each_digit, geometry, tsne


def clusters(each: int = 30, spread: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Digit d around (d, 0)."""
    random = np.random.default_rng(seed)
    digits = np.repeat(np.arange(10), each)
    codes = np.column_stack([digits, np.zeros(len(digits))]) + spread * random.standard_normal((len(digits), 2))
    return codes.astype(np.float32), digits


def test_geometry_of_clusters_in_a_line():
    codes, digits = clusters()
    measured = geometry(codes, digits)
    assert measured["knn10_accuracy"] > 0.99
    assert measured["silhouette"] > 0.7
    assert measured["nearest_digits"]["0"] == list(range(1, 10))
    assert set(measured["nearest_digits"]["4"][:2]) == {3, 5}
    distances = np.array(measured["centroid_distances"])
    assert distances[2, 7] == pytest.approx(5, abs=0.2)
    assert np.allclose(distances, distances.T)
    assert measured["code_mean"] == pytest.approx(2.25, abs=0.05)


def test_share_within_three_of_the_standard_normal():
    codes = np.random.default_rng(0).standard_normal((20000, 5)).astype(np.float32)
    measured = geometry(codes[:2000], np.arange(2000) % 10)
    assert measured["share_within_3"] == pytest.approx(0.9973, abs=0.002)
    assert measured["code_std"] == pytest.approx(1, abs=0.02)
    assert measured["knn10_accuracy"] < 0.2  # the digits have nothing to do with the codes
    assert abs(measured["silhouette"]) < 0.05


def test_neighbours_leave_the_point_itself_out():
    codes, digits = clusters(each=25, spread=0.6)
    expected = []
    for index in range(len(codes)):
        rest = np.arange(len(codes)) != index
        model = KNeighborsClassifier(10, algorithm="brute").fit(codes[rest], digits[rest])
        expected.append(model.predict(codes[index : index + 1])[0] == digits[index])
    assert clustering(codes, digits)["knn10_accuracy"] == pytest.approx(np.mean(expected))


def test_points_that_are_all_one():
    codes, digits = np.ones((50, 3), np.float32), np.arange(50) % 10
    assert clustering(codes, digits) == {"silhouette": 0.0, "knn10_accuracy": 0.1}
    assert np.array_equal(tsne(codes, 30, 42), np.zeros((50, 2)))
    assert geometry(codes, digits)["centroid_distances"] == [[0.0] * 10] * 10


def test_a_missing_digit():
    codes, digits = clusters()
    kept = digits != 3
    measured = geometry(codes[kept], digits[kept])
    assert "3" not in measured["nearest_digits"]
    assert measured["centroid_distances"][3] == [None] * 10


def test_first_of_each_digit():
    digits = np.array([1, 1, 1, 0, 2, 0, 3, 4, 5, 6, 7, 8, 9, 0])
    assert first_of_each_digit(digits, 20).tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]


def test_tsne_keeps_clusters_and_is_the_same_again():
    random = np.random.default_rng(1)
    centres = 10 * random.standard_normal((10, 8))
    digits = np.repeat(np.arange(10), 12)
    codes = (centres[digits] + random.standard_normal((120, 8))).astype(np.float32)
    points = tsne(codes, 30, 42)
    assert points.shape == (120, 2)
    assert clustering(points, digits)["knn10_accuracy"] > 0.95
    assert np.array_equal(points, tsne(codes, 30, 42))
