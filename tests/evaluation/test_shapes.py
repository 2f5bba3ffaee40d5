"""Each analysis on images of other shapes, in grey and in colour, with classes and without."""

import io
import json
import pkgutil
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from samples import CLASSES, COLOUR, dense, noise, striped

from latentlab import evaluation
from latentlab.data.images import Images
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.pca import of_baseline
from latentlab.params.datasets import Shape

FEW = {"neighbours": 3, "label_counts": [3, 30], "num_draws": 2, "seed": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "anomalies": {"num_images": 40, "num_fitted": 60, "neighbours": 5, "seed": 0},
    "checkerboard": {},
    "codecs": {"num_images": 3},
    "compression": {"bits": [3], "num_fitted": 60, "num_alone": 5},
    "denoising": {"sigmas": [0.1, 0.3], "seed": 0},
    "few_labels": FEW,
    "geometry": {"num_images": 60, "neighbours": 5},
    "generation": {
        "grid_side": 3, "grid_extent": 2.0, "num_shown": 7, "num_samples": 50, "mixture_components": 2, "num_fitted": 60,
        "num_draws": 2, "seed": 0,
    },
    "interpolation": {"first": 3, "second": 14, "num_steps": 4, "num_pairs": 10, "seed": 0},
    "latent_space": {"num_codes": 60, "num_small": 30, "num_large": 60, "perplexity": 10, "seed": 0},
    "likelihood": {"seed": 0, "num_images": 30, "num_samples": 20, "num_coded": 55, "num_fitted": 60},
    "probes": {"neighbours": 3},
    "reconstruction": {},
    "untrained": FEW,
}  # fmt: skip
# what there is of images with classes alone
OF_CLASSES = {
    "few_labels": {"knn", "logistic", "svm_rbf"},
    "latent_space": {
        "silhouette", "knn10_accuracy", "centroid_distances", "nearest_classes", "labels_30", "labels_60",
        "classes",
    },
    "probes": {"svm_rbf_accuracy", "svm_linear_accuracy", "knn_accuracy", "logistic_accuracy"},
    "reconstruction": {"mse_per_class"},
    "untrained": {"svm_linear_accuracy", "knn_accuracy", "logistic_accuracy", "few_labels"},
}  # fmt: skip


def flat(shape: Shape, classes: tuple[str, ...]) -> Subject:
    """Codes of two numbers, without a posterior."""
    subject = of_baseline("pca_2", 2, striped(shape, classes))
    return replace(subject, untrained=lambda: subject)


def variational(shape: Shape, classes: tuple[str, ...]) -> Subject:
    """A model of codes with a posterior, which sees images of half the size."""
    subject = dense(striped(shape, classes))

    def posterior(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = subject.encode(images)
        return mean, torch.zeros_like(mean)

    return replace(subject, posterior=posterior, untrained=lambda: subject)


def beside(name: str, shape: Shape) -> dict[str, Any]:
    """What the analysis of that name looks at, too."""
    return {"others": {"other": Images(noise(30, 5, shape), None)}} if name == "anomalies" else {}


def check(made: Analysis, shape: Shape) -> None:
    """The numbers can be stored, and what shows images shows them in their shape and their colours."""
    json.dumps(made.numbers, allow_nan=False)
    for name, stored in made.pictures.items():
        picture = Image.open(io.BytesIO(stored))
        picture.load()
        if name in made.arrays:
            assert made.arrays[name].dtype == np.uint8
            assert made.arrays[name].shape[-3:] == shape
            assert picture.mode == ("L" if shape[0] == 1 else "RGB")
            assert (picture.width % (3 * (shape[2] + 2)), picture.height % (3 * (shape[1] + 2))) == (0, 0)


def test_no_analysis_is_left_out():
    modules = {each.name for each in pkgutil.iter_modules(evaluation.__path__)}
    assert {name for name in modules if hasattr(import_module(f"latentlab.evaluation.{name}"), "Settings")} == {*SETTINGS}


@pytest.mark.parametrize("subject", [flat, variational])
@pytest.mark.parametrize("shape", [(1, 16, 16), COLOUR])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "codecs" else []) for name in SETTINGS]
)
def test_an_analysis(name, shape, subject):
    module = import_module(f"latentlab.evaluation.{name}")
    settings = module.Settings.model_validate(SETTINGS[name])
    made, without = (module.analyse(subject(shape, classes), settings, **beside(name, shape)) for classes in (CLASSES, ()))
    for each in (made, without):
        check(each, shape)
    found, left = (each.numbers | each.arrays for each in (made, without))
    if name == "interpolation":
        for way in left.keys() & {"linear", "spherical"}:
            assert found.pop(way).keys() == {"equal_classes", "different_classes"}
            assert left.pop(way).keys() == {"different_classes"}
        del found["real_distance"], left["real_distance"]  # of other pairs
    if name in ("denoising", "reconstruction"):
        (shown,) = made.pictures  # one image of each class, or the first ten
        assert (found.pop(shown).shape[-4], left.pop(shown).shape[-4]) == (3, 10)
    assert {*found} - {*left} - {"labels"} == OF_CLASSES.get(name, set())  # those are there for codes of two numbers
    for key, value in left.items():
        np.testing.assert_equal(value, found[key])
    assert made.pictures.keys() == without.pictures.keys()
    assert len(made.tables.get("confusion", [])) == (9 if name == "probes" else 0)
    assert not any(without.tables.values())
