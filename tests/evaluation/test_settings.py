"""Settings of analyses: each is checked by its own module, and no other is imported."""

from importlib import import_module

import pytest

from conftest import ROOT
from latentlab import evaluation
from latentlab.params import analyses
from latentlab.params.strict import ParamsError

GENERATION = {
    "grid_side": 5, "grid_extent": 3.0, "num_shown": 10, "num_samples": 100, "mixture_components": 4, "num_fitted": 300,
    "num_draws": 3, "seed": 0,
}  # fmt: skip


def test_those_of_the_project_are_right():
    settings = analyses.load(ROOT).settings
    evaluation.check(settings)
    assert {"denoising", "untrained"} <= set(settings)


FAULTS = [
    ("denoising", {"sigmas": [0.1, -1.0], "seed": 0}, ".sigmas.1: Input should be greater than 0, found -1.0"),
    ("denoising", {"sigmas": [0.1]}, ".seed: Field required"),
    ("checkerboard", {"period": 2}, ".period: unknown key"),
    ("checkerboard", 3, ": Input should be a valid dictionary or instance of Settings, found 3"),
    ("generation", GENERATION | {"num_fitted": 3}, ": mixture_components is 4, more than the codes, num_fitted 3"),
    ("interpolate", {}, ": no such analysis: choose from anomalies, "),
    ("analysis", {}, ": no such analysis: choose from anomalies, "),
]


@pytest.mark.parametrize(("name", "settings", "message"), FAULTS)
def test_a_fault_is_said_with_its_place(name, settings, message):
    with pytest.raises(ParamsError) as caught:
        evaluation.check({name: settings})
    assert str(caught.value).startswith(f"analyses/params.yaml: analyses.settings.{name}{message}")


def test_no_other_analysis_is_imported(monkeypatch):
    imported = []

    def note(name):
        imported.append(name)
        return import_module(name)

    monkeypatch.setattr(evaluation, "import_module", note)
    evaluation.check({"checkerboard": {}})
    assert imported == ["latentlab.evaluation.checkerboard"]
