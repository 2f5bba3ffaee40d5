"""Tables and reports of results that say next to nothing: none, one, all alike, zero, undefined, without classes."""

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import made_up
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import PROJECT
from latentlab.comparison import across, tables
from latentlab.comparison.claims import page
from latentlab.comparison.claims.verdict import ledger
from latentlab.comparison.results import Metrics, Result, Results
from latentlab.paths import Run
from latentlab.report.content import Content
from latentlab.report.page import analyses_report, core_report
from latentlab.report.sections import drawn, of_analyses, of_core

ACCURACIES = ("svm_rbf_accuracy", "svm_linear_accuracy", "knn_accuracy", "logistic_accuracy")
# of a baseline, beside what analyses there are of it
OF_A_RUN = ("num_parameters", "num_macs", "device", "precision", "latent_space", "generation", "untrained")
SIDE, CLASSES = 16, range(3)


@dataclass(frozen=True)
class Case:
    """What there are results of, and what numbers they have: all the same, or usual ones, or undefined."""

    variants: list[str]
    baselines: list[str]
    seeds: list[int]
    recipe: str
    analyses: list[str]
    has_classes: bool
    missing: list[int]  # classes without a test image
    number: float | None  # None for usual ones
    undefined: bool  # what analyses measure
    num_epochs: int
    has_codecs: bool

    def value(self, index: int) -> float:
        return 1.1 + index / 10 if self.number is None else self.number

    def nested(self, names: Sequence[str], index: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name in names:
            *keys, last = name.split("/")
            inner = made
            for key in keys:
                inner = inner.setdefault(key, {})
            # steps of real images are there, or have no ratio
            inner[last] = None if self.undefined else self.value(index) or float(last == "real_block_ratio")
        return made

    def metrics(self, name: str, index: int) -> Metrics:
        value, counts = self.value(index), {"encoder": 1, "decoder": 2, "total": 3}
        made: Metrics = {"device": "cpu", "precision": "float32", "latent_dim": 2, "compression_ratio": 8.0}
        made |= {"num_parameters": counts, "num_macs": counts}
        made |= {f"{part}_{key}": value for part in ("test", "validation") for key in ("mse", "bce", "mae", "psnr", "ssim")}
        made |= {analysis: self.nested(made_up.NAMES[analysis], index) for analysis in self.analyses}
        present = [label for label in CLASSES if label not in self.missing]
        if self.has_classes:
            made |= dict.fromkeys(ACCURACIES, 0.9 if self.number is None else min(self.number, 1))
            made["mse_per_class"] = {str(label): value for label in present}
        else:
            made |= {analysis: {} for analysis in ("few_labels", "untrained") if analysis in made}
        if self.has_classes and "latent_space" in made:
            both = [[None if {a, b} & {*self.missing} else abs(a - b) * value for b in CLASSES] for a in CLASSES]
            made["latent_space"] |= {"centroid_distances": both, "nearest_classes": {str(a): [] for a in present}}
        if name.startswith("vae") and "generation" in made:
            made["generation"] |= {"kl_per_dimension": [value, 0.0], "kl": value, "active_units": 0}
            del made["generation"]["mixture"]
        return made

    def results(self) -> Results:
        epochs = np.arange(1, self.num_epochs + 1)
        losses = dict.fromkeys(("train_loss", "validation_loss", "validation_mse"), np.full(len(epochs), self.value(0)))
        curve = pd.DataFrame({"epoch": epochs} | losses)
        runs = [
            Result(Run(name, "mnist", self.recipe, seed), self.metrics(name, index + seed), curve)
            for index, name in enumerate(name for name in PROJECT.variants if name in self.variants)
            for seed in self.seeds
        ]
        whole = {name: self.metrics(name, index) for index, name in enumerate(self.baselines)}
        baselines = {name: {key: each[key] for key in each if key not in OF_A_RUN} for name, each in whole.items()}
        return Results(runs, baselines, {}, "mnist")

    def codecs(self) -> pd.DataFrame:
        return made_up.codecs() if self.has_codecs else made_up.codecs()[:0]

    def content(self) -> Content:
        """As the stages read what the tables stage has written."""

        def read(table: pd.DataFrame) -> pd.DataFrame:
            return pd.read_csv(io.StringIO(table.to_csv(index=False)))

        found = self.results()
        made = {name: read(tables.analysis(found, name)) for name in made_up.NAMES}
        board = read(tables.leaderboard(PROJECT, found))
        return Content(PROJECT, "mnist", board, found.shown(PROJECT), made, made_up.SETTINGS, self.codecs())

    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """What the analyses leave for the figures: black images, codes that are all in one place."""
        images, points = np.zeros((4, 1, SIDE, SIDE), np.uint8), np.zeros((20, 2), np.float32)
        made = {
            "denoising": {"denoising": np.zeros((3, 2, 1, 1, SIDE, SIDE), np.uint8)},
            "interpolation": {"interpolation_linear": images, "interpolation_spherical": images},
            "latent_space": {"tsne_20": points, "tsne_50": points, "codes": points},
            "generation": {"samples_standard_normal": images, "grid": images, "stochastic": images},
            "checkerboard": {"spectrum": np.full((SIDE, SIDE), self.value(0), np.float32)},
        }
        if self.has_classes:
            labels = np.full(20, max(set(CLASSES) - set(self.missing)))
            made["latent_space"] |= {
                "labels_20": labels,
                "labels_50": labels,
                "labels": labels,
                "classes": np.array([*"abc"]),
            }
        return made


def some(*names: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), unique=True)


CASES = st.builds(
    Case,
    variants=some("mlp_8", "vae_2", "cae_baseline", "cae_latent_2"),
    baselines=some("pca_8", "pca_2", "raw_pixels"),
    seeds=st.sampled_from([[0], [0, 1]]),
    recipe=st.sampled_from(["fast", "published"]),
    analyses=some(*made_up.NAMES),
    has_classes=st.booleans(),
    missing=st.sampled_from([[], [1], [0, 1]]),
    number=st.sampled_from([None, 0.0, 1.0, 1e-4]),
    undefined=st.booleans(),
    num_epochs=st.integers(1, 3),
    has_codecs=st.booleans(),
)


def says_something(text: str) -> None:
    """There is nothing in it that is no number for people."""
    assert not re.search(r"\b(nan|inf|None|NaN)\b", text), text


def check_tables(case: Case) -> None:
    found = case.results()
    board = tables.leaderboard(PROJECT, found)
    json.dumps(tables.summary(board), allow_nan=False)
    made = [board, *(tables.comparison(PROJECT, found, key) for key in PROJECT.comparisons)]
    made += [tables.analysis(found, name) for name in made_up.NAMES]
    for boards in ({"mnist": board}, {"mnist": board, "mine": board}, {"mnist": board, "mine": board[:0]}):
        made += [across.side_by_side(boards), across.agreement(boards)]
    for table in made:
        says_something(tables.markdown(table))


def check_claims(case: Case) -> None:
    entries = ledger(case.results(), case.codecs(), ["fast", "published"], True)
    json.dumps(page.as_json(entries), allow_nan=False)
    says_something(page.write_page(entries, PROJECT.sources))
    says_something(page.side_by_side({"mnist": entries}, "fast"))


def check_reports(case: Case) -> None:
    content = case.content()
    says_something(core_report(content, {"probes"}))
    claims = page.as_json(ledger(case.results(), case.codecs(), list(PROJECT.recipes), True))
    says_something(analyses_report(content, {"denoising"}, claims))


def check_figures(case: Case) -> None:
    content = case.content()
    for result in content.shown.values():
        for analysis, arrays in case.arrays().items():
            folder = result.run.arrays(analysis)
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(folder / "arrays.npz", **arrays)
    for _, figure in drawn([*of_core(PROJECT), *of_analyses()], content):
        figure.draw_without_rendering()


USUAL = Case(
    ["cae_latent_2", "vae_2"], ["pca_2"], [0], "fast", list(made_up.NAMES), True, [], None, False, 2, True
)  # fmt: skip
EXAMPLES = [
    USUAL,
    replace(USUAL, number=0.0),
    replace(USUAL, number=1.0, baselines=["pca_2", "pca_8"]),  # of the same number of components, all of which are right
    replace(USUAL, variants=[]),
    replace(USUAL, variants=["vae_2"], missing=[0, 1], undefined=True),
    replace(USUAL, has_classes=False, has_codecs=False),
]


@pytest.mark.parametrize("check", [check_tables, check_claims, check_reports])
@pytest.mark.parametrize("case", EXAMPLES)
def test_tables_claims_and_reports(case, check):
    check(case)


@pytest.mark.parametrize("case", [replace(USUAL, number=0.0, variants=["vae_2"]), EXAMPLES[4]])
def test_figures(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_figures(case)


@settings(max_examples=5, deadline=None)
@given(CASES)
def test_any_results(case):
    for check in (check_tables, check_claims, check_reports):
        check(case)


@pytest.mark.slow
def test_many_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @settings(max_examples=60, deadline=None)
    @given(CASES)
    def hold(case):
        for check in (check_tables, check_claims, check_reports, check_figures):
            check(case)

    hold()
