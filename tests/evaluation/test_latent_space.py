"""Measures of codes whose place is known."""

import io

import numpy as np
import pytest
from PIL import Image
from samples import COLOUR, linear, splits, striped
from samples import digits as printed
from sklearn.neighbors import KNeighborsClassifier

from latentlab.evaluation.latent_space import Settings, analyse, chosen_points, clustering, geometry, tsne
from latentlab.evaluation.pca import of_baseline


def clusters(each: int = 30, spread: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Class c around (c, 0)."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(10), each)
    codes = np.column_stack([labels, np.zeros(len(labels))]) + spread * random.standard_normal((len(labels), 2))
    return codes.astype(np.float32), labels


def test_geometry_of_clusters_in_a_line():
    codes, labels = clusters()
    measured = geometry(codes, labels, 10)
    assert measured["knn10_accuracy"] > 0.99
    assert measured["silhouette"] > 0.7
    assert measured["nearest_classes"]["0"] == list(range(1, 10))
    assert set(measured["nearest_classes"]["4"][:2]) == {3, 5}
    distances = np.array(measured["centroid_distances"])
    assert distances[2, 7] == pytest.approx(5, abs=0.2)
    assert np.allclose(distances, distances.T)
    assert measured["code_mean"] == pytest.approx(2.25, abs=0.05)


def test_share_within_three_of_the_standard_normal():
    codes = np.random.default_rng(0).standard_normal((20000, 5)).astype(np.float32)
    measured = geometry(codes[:2000], np.arange(2000) % 10, 10)
    assert measured["share_within_3"] == pytest.approx(0.9973, abs=0.002)
    assert measured["code_std"] == pytest.approx(1, abs=0.02)
    assert measured["knn10_accuracy"] < 0.2  # the labels have nothing to do with the codes
    assert abs(measured["silhouette"]) < 0.05


def test_neighbours_leave_the_point_itself_out():
    codes, labels = clusters(each=25, spread=0.6)
    expected = []
    for index in range(len(codes)):
        rest = np.arange(len(codes)) != index
        model = KNeighborsClassifier(10, algorithm="brute").fit(codes[rest], labels[rest])
        expected.append(model.predict(codes[index : index + 1])[0] == labels[index])
    assert clustering(codes, labels)["knn10_accuracy"] == pytest.approx(np.mean(expected))


def silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """By the definition of Rousseeuw (1987), point by point."""
    values = []
    for index, point in enumerate(points.astype(float)):
        distances = np.sqrt(((points - point) ** 2).sum(axis=1))
        own = (labels == labels[index]) & (np.arange(len(points)) != index)
        within = distances[own].mean()
        nearest = min(distances[labels == other].mean() for other in set(labels) - {labels[index]})
        values.append((nearest - within) / max(nearest, within))
    return float(np.mean(values))


def test_silhouette_against_its_definition():
    uneven = np.random.default_rng(0).integers(0, 4, 90) ** 2  # labels 0, 1, 4 and 9
    noise = np.random.default_rng(1).standard_normal((90, 5)).astype(np.float32)
    strokes = printed(90).images.flatten(1).numpy()
    for points, labels in ((noise, uneven), (noise + uneven[:, None], uneven), (strokes, np.arange(90) % 10)):
        assert clustering(points, labels)["silhouette"] == pytest.approx(silhouette(points, labels), abs=1e-5)


def test_points_that_are_all_one():
    codes, labels = np.ones((50, 3), np.float32), np.arange(50) % 10
    assert clustering(codes, labels) == {"silhouette": 0.0, "knn10_accuracy": 0.1}
    assert np.array_equal(tsne(codes, 30, 42), np.zeros((50, 2)))
    assert geometry(codes, labels, 10)["centroid_distances"] == [[0.0] * 10] * 10


@pytest.mark.parametrize("labels", [np.zeros(30, int), np.arange(30)])
def test_a_silhouette_that_is_not_defined(labels):
    points = np.random.default_rng(0).standard_normal((30, 2))
    assert clustering(points, labels) == {"silhouette": 0, "knn10_accuracy": float(labels[-1] == 0)}


@pytest.mark.parametrize("missing", [3, 9])
def test_a_missing_class(missing):
    codes, labels = clusters()
    kept = labels != missing
    measured = geometry(codes[kept], labels[kept], 10)
    assert str(missing) not in measured["nearest_classes"]
    assert len(measured["centroid_distances"]) == 10
    assert measured["centroid_distances"][missing] == [None] * 10


def test_chosen_points():
    labels = np.array([1, 1, 1, 0, 2, 0, 3, 4, 5, 6, 7, 8, 9, 0])
    assert chosen_points(labels, 14, 20).tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert chosen_points(labels, 14, 5).tolist() == [0, 3, 4, 6, 7, 8, 9, 10, 11, 12]  # one of each class all the same
    assert chosen_points(np.array([0, 0, 2, 2, 2]), 5, 4).tolist() == [0, 1, 2, 3]
    assert chosen_points(None, 14, 5).tolist() == [0, 1, 2, 3, 4]
    assert chosen_points(None, 14, 20).tolist() == list(range(14))


def test_tsne_keeps_clusters_and_is_the_same_again():
    random = np.random.default_rng(1)
    centres = 10 * random.standard_normal((10, 8))
    labels = np.repeat(np.arange(10), 12)
    codes = (centres[labels] + random.standard_normal((120, 8))).astype(np.float32)
    points = tsne(codes, 30, 42)
    assert points.shape == (120, 2)
    assert clustering(points, labels)["knn10_accuracy"] > 0.95
    assert np.array_equal(points, tsne(codes, 30, 42))


SETTINGS = Settings(num_codes=150, num_small=40, num_large=100, perplexity=10, seed=42)


def test_analysis():
    subject, test = linear(8), splits().test
    made = analyse(subject, SETTINGS)
    codes, labels = subject.encode(test.images).numpy(), test.labels.numpy()
    large, measured = chosen_points(labels, 200, 100), chosen_points(labels, 200, 150)
    points = tsne(codes[large], 10, 42)
    assert made.numbers["silhouette"] == geometry(codes[measured], labels[measured], 10)["silhouette"]
    assert made.numbers["tsne_100"] == clustering(points, labels[large])
    assert set(made.numbers) == {*geometry(codes, labels, 10), "tsne_40", "tsne_100"}
    assert {name: array.shape for name, array in made.arrays.items()} == {
        "tsne_40": (40, 2), "labels_40": (40,), "tsne_100": (100, 2), "labels_100": (100,), "classes": (10,),
    }  # fmt: skip
    assert np.array_equal(made.arrays["tsne_100"], points)
    Image.open(io.BytesIO(made.pictures["map"])).verify()


def test_codes_of_two_numbers_are_shown_as_they_are():
    subject, test = linear(2), splits().test
    arrays = analyse(subject, SETTINGS).arrays
    measured = chosen_points(test.labels.numpy(), 200, 150)
    assert np.array_equal(arrays["codes"], subject.encode(test.images).numpy()[measured])
    assert np.array_equal(arrays["labels"], test.labels[measured].numpy())


def test_analysis_without_classes():
    data = striped(COLOUR, ())
    subject = of_baseline("pca_2", 2, data)
    made = analyse(subject, SETTINGS)
    codes = subject.encode(data.test.images).numpy()
    assert made.numbers == geometry(codes, None, 0)
    assert set(made.numbers) == {"share_within_3", "code_mean", "code_std"}
    assert {name: len(array) for name, array in made.arrays.items()} == {"tsne_40": 40, "tsne_100": 60, "codes": 60}
    assert np.array_equal(made.arrays["codes"], codes)
    assert np.array_equal(made.arrays["tsne_40"], tsne(codes[:40], 10, 42))
