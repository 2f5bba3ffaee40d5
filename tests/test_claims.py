"""The ledger, on results made up so that every claim holds, and then so that each one fails."""

import copy
import json
import math
from functools import cache, partial
from itertools import groupby
from typing import Any

import pandas as pd
import pytest
import yaml
from scipy import stats

from conftest import ROOT, STUDY
from latentlab import layout, params, results
from latentlab.claims import ledger as ledgers
from latentlab.claims import quantities, statements, verdicts
from latentlab.claims.evidence import Evidence, Missing, gather
from latentlab.claims.ledger import TESTS
from latentlab.claims.page import write_page
from latentlab.layout import Run
from latentlab.stages import claims as stage

STATED = statements.load(ROOT / "claims.yaml", TESTS)
IDS = list(STATED.claims)
CLAIM = next(iter(STATED.claims.values()))

# of all curves: most of the fall early, then ever slower
FALL = [0.08 + 0.12 * 0.7**epoch for epoch in range(20)]
BUMPY = [loss + 0.0005 * ((epoch + 1) % 2) for epoch, loss in enumerate(FALL)]


def times(factor: float) -> list[float]:
    return [factor * loss for loss in FALL]


def codecs() -> pd.DataFrame:
    """A format without loss at 250 bytes, and two with loss that need 100 bytes for 20 dB and 200 for 40 dB."""
    lines: list[tuple[str, str, float, float]] = [("png", "single", 280, 120), ("png", "sheet", 250, 120)]
    lines += [(codec, "sheet", 5 * psnr, psnr) for codec in ("jpeg", "webp") for psnr in range(10, 60, 5)]
    return pd.DataFrame(lines, columns=["codec", "layout", "bytes_per_image", "psnr"])


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """{"a/b": 1} -> {"a": {"b": 1}}."""
    made: dict[str, Any] = {}
    for path, value in flat.items():
        *folders, key = path.split("/")
        table = made
        for folder in folders:
            table = table.setdefault(folder, {})
        table[key] = value
    return made


def anything() -> dict[str, Any]:
    """What every row has, unremarkable."""
    way = {"step_ratio": 1.5, "midpoint_distance": 0.15, "crossfade_distance": 0.19}
    samples = {"precision": 0.9, "recall": 0.6, "frechet_distance": 5.0, "nearest_distance": 0.15}
    samples |= {"nearest_cosine": 0.88}
    embedding = {"silhouette": 0.4, "knn10_accuracy": 0.95}
    near = {str(digit): [other for other in range(10) if other != digit] for digit in range(10)}
    near |= {"4": [9, *range(4)], "9": [4, *range(4)], "3": [8, *range(3)], "8": [3, *range(3)]}
    few = {probe: {"100": {"mean": 0.9}} for probe in ("logistic", "svm_rbf")}
    return nested(
        {
            "latent_dim": 32, "compression_ratio": 24.5, "num_parameters/total": 100_000, "num_macs/total": 1_000_000,
            "test_mse": 0.005, "test_psnr": 25.0, "test_ssim": 0.96, "mse_per_digit": {"0": 0.004, "1": 0.006},
            "checkerboard": {"energy_ratio": 1.0, "block_ratio": 1.1, "real_block_ratio": 1.1},
            "generation/real_cosine": 0.88,
            "denoising/0.2": {"gain_db": 3.0, "psnr": 20.0, "mse": 0.010, "mse_in": 0.02},
            "interpolation/linear": {"equal_digits": way, "different_digits": way}, "interpolation/real_distance": 0.15,
            "generation/standard_normal": samples, "generation/mixture": samples, "generation/real_distance": 0.15,
            "generation/active_units": 2, "generation/kl_per_dimension": [3.0, 3.0], "generation/reconstruction_std": 0.01,
            "compression/4": {"bytes_amortised_with_tables": 50.0, "bytes_alone": 50.0, "psnr": 25.0},
            "svm_rbf_accuracy": 0.99, "svm_linear_accuracy": 0.99, "knn_accuracy": 0.97, "logistic_accuracy": 0.97,
            "few_labels": few, "untrained/few_labels/logistic/100/mean": 0.5, "untrained/knn_accuracy": 0.8,
            "untrained/logistic_accuracy": 0.8,
            "latent_space": embedding | {
                "share_within_3": 0.997, "code_mean": 0.0, "code_std": 1.0, "nearest_digits": near,
                "tsne_200": embedding, "tsne_5000": embedding,
            },
        }
    )  # fmt: skip


# where the rows differ, so that all claims hold at once
WORLD: dict[str, dict[str, Any]] = {
    "cae_latent_2": {"test_mse": 0.0400, "test_ssim": 0.6, "num_parameters/total": 99_000, "num_macs/total": 995_000},
    "cae_latent_8": {"test_mse": 0.0150, "test_ssim": 0.8, "num_parameters/total": 98_000 + 1_990},
    "cae_baseline": {"num_parameters/total": 101_000, "curve/validation_loss": BUMPY},
    "cae_latent_64": {"test_mse": 0.0047, "test_psnr": 25.2, "num_parameters/total": 103_000},
    "cae_filters_narrow": {"test_mse": 0.0054, "test_psnr": 24.9, "num_parameters/total": 40_000, "num_macs/total": 5e5},
    "cae_filters_wide": {"test_mse": 0.0047, "test_psnr": 25.2, "num_parameters/total": 300_000, "num_macs/total": 3e6},
    "cae_batch_norm": {"num_parameters/total": 101_400, "curve/validation_mse": times(0.9)},
    "cae_depth_2": {"num_parameters/total": 80_000, "num_macs/total": 8e5},
    "cae_depth_4": {"num_parameters/total": 130_000, "curve/validation_loss": [1.1 * FALL[0], *FALL[1:]]},
    "cae_leaky_001": {"num_parameters/total": 101_000, "num_macs/total": 1_010_000},
    "cae_leaky_01": {"num_parameters/total": 101_000, "num_macs/total": 1_010_000},
    "cae_leaky_02": {"num_parameters/total": 101_000, "num_macs/total": 1_010_000},
    "cae_tradeoff": {"num_parameters/total": 60_600, "latent_dim": 16, "test_psnr": 24.5, "test_mse": 0.0056},
    "mlp_2": {"test_ssim": 0.7, "test_mse": 0.04, "test_psnr": 15.0, "denoising/0.2/gain_db": 3.0},
    "mlp_4": {"test_ssim": 0.85, "test_mse": 0.03},
    "mlp_8": {"test_ssim": 0.91, "test_mse": 0.018, "compression_ratio": 98.0, "denoising/0.2/mse": 0.022},
    "mlp_32": {"denoising/0.2": {"gain_db": 1.0, "psnr": 18.0, "mse": 0.019, "mse_in": 0.02}},
    "conv_ae": {
        "compression_ratio": 2.0, "test_mse": 0.002, "test_psnr": 15.9, "curve/validation_loss": times(1.05),
        "interpolation/linear/different_digits": {"step_ratio": 1.8, "midpoint_distance": 0.18, "crossfade_distance": 0.19},
        "generation/standard_normal": {"precision": 1.0, "recall": 0.0, "frechet_distance": 60.0, "nearest_distance": 0.1}
        | {"nearest_cosine": 0.3},
    },
    "vae_2": {"latent_dim": 2, "test_mse": 0.04, "test_ssim": 0.7, "test_psnr": 15.0, "num_macs/total": 2_000_000},
    "vae_16": {
        "test_mse": 0.01, "num_macs/total": 2_000_000, "num_parameters/total": 130_000, "generation/active_units": 13,
    },
    "vae_16_beta_4": {"test_mse": 0.02, "generation/standard_normal/frechet_distance": 4.0, "generation/active_units": 7},
    "compress_transposed": {"latent_dim": 98, "checkerboard/block_ratio": 1.5},
    "compress_nearest": {"test_mse": 0.004},
    "compress_bilinear": {"test_mse": 0.004},
    "conv_bn_64": {"test_mse": 0.002, "num_parameters/total": 774_000, "num_macs/total": 2_200_000},
    "superres_64": {
        "test_mse": 0.0065, "num_parameters/total": 728_000, "num_macs/total": 2_000_000,
        "curve/validation_mse": times(1.5),
    },
    "stacked_64": {
        "test_mse": 0.0070, "num_parameters/total": 1_070_000, "num_macs/total": 1_000_000,
        "curve/validation_mse": times(2), "curve/validation_loss": times(1.1),
    },
}  # fmt: skip
for _plain, _mse in (("ae_2", 0.035), ("ae_16", 0.009)):
    WORLD[_plain] = {
        "test_mse": _mse,
        "latent_space/silhouette": 0.1,
        "interpolation/linear/different_digits": {"step_ratio": 1.8, "midpoint_distance": 0.2, "crossfade_distance": 0.19},
        "generation/standard_normal/frechet_distance": 20.0,
        "curve/validation_loss": times(1.05),
    }
BASELINES: dict[str, dict[str, Any]] = {
    name: {
        "test_mse": 0.06,
        "knn_accuracy": 0.9,
        "svm_rbf_accuracy": 0.98,
        "svm_linear_accuracy": 0.9,
        "few_labels": {"logistic": {"100": {"mean": 0.7}}, "svm_rbf": {"100": {"mean": 0.7}}},
        "compression": {"4": {"bytes_amortised_with_tables": 90.0, "psnr": 26.0}},
    }
    for name in STUDY.baselines
}

# for each claim, something that must make it fail: row, path, value
BREAKS: dict[str, list[tuple[str, str, Any]]] = {
    "A1": [("cae_depth_4", "test_mse", 0.03)],
    "A2": [("cae_latent_64", "test_mse", 0.002)],
    "A3": [("cae_latent_8", "test_mse", 0.0055)],
    "A4": [("cae_latent_64", "test_psnr", 28.0)],
    "A5": [("cae_latent_8", "test_ssim", 0.95)],
    "A6": [("cae_filters_wide", "test_mse", 0.005)],
    "A7": [("cae_filters_narrow", "test_psnr", 24.0)],
    "A8": [("cae_filters_wide", "num_macs/total", 1.5e6)],
    "A9": [("cae_depth_4", "test_mse", 0.004)],
    "A10": [("cae_depth_4", "curve/validation_loss", times(1.1))],
    "A11": [("cae_leaky_02", "test_mse", 0.006)],
    "A12": [("cae_batch_norm", "test_mse", 0.004)],
    "A13": [("cae_baseline", "curve/validation_loss", FALL)],
    "A14": [("cae_leaky_01", "num_macs/total", 1e6)],
    "A15": [("cae_depth_4", "num_parameters/total", 2_000_000)],
    "A16": [("cae_latent_64", "num_parameters/total", 200_000)],
    "A17": [("cae_depth_2", "num_parameters/total", 100_500)],
    "A18": [("cae_latent_2", "num_parameters/total", 50_000)],
    "A19": [("cae_batch_norm", "num_parameters/total", 101_000)],
    "A20": [("cae_leaky_02", "num_parameters/total", 101_001)],
    "A21": [("cae_latent_8", "test_mse", 0.041)],
    "A22": [("cae_depth_2", "num_macs/total", 9.9e5)],
    "A23": [("cae_tradeoff", "num_parameters/total", 80_000)],
    "A24": [("cae_tradeoff", "test_psnr", 22.0)],
    "A25": [("cae_tradeoff", "test_ssim", 0.8)],
    "A26": [
        ("cae_latent_8", "test_mse", 0.001), ("cae_latent_8", "latent_dim", 8), ("cae_latent_8", "num_parameters/total", 9),
        ("cae_latent_8", "num_macs/total", 9),
    ],
    "A27": [("cae_baseline", "curve/train_loss", [1 - 0.04 * epoch for epoch in range(20)])],
    "A28": [("cae_baseline", "curve/train_loss", [*FALL[:-1], 0.1])],
    "A29": [("cae_baseline", "curve/validation_loss", [*FALL[:-1], 0.1])],
    "A30": [("cae_baseline", "mse_per_digit/1", 0.02)],
    "B1": [("mlp_8", "compression_ratio", 24.5)],
    "B2": [("mlp_8", "curve/train_loss", [1 - 0.04 * epoch for epoch in range(20)])],
    "B3": [("mlp_8", "test_ssim", 0.8)],
    "B4": [("mlp_8", "svm_rbf_accuracy", 0.9)],
    "B5": [("mlp_8", "denoising/0.2/gain_db", -1.0)],
    "B6": [("mlp_32_denoise", "denoising/0.2/gain_db", -1.0)],
    "B7": [("mlp_8", "denoising/0.2/mse", 0.035)],
    "B8": [("mlp_32", "denoising/0.2/gain_db", 5.0)],
    "B9": [("mlp_32", "denoising/0.2/mse", 0.006)],
    "B10": [("mlp_4", "test_ssim", 0.7)],
    "B11": [("mlp_32", "test_psnr", 35.0)],
    "B12": [("mlp_8", "interpolation/linear/equal_digits/step_ratio", 3.0)],
    "B13": [("mlp_8", "interpolation/linear/different_digits/midpoint_distance", 0.18)],
    "B14": [("pca_8", "knn_accuracy", 0.97)],
    "B15": [("pca_2", "test_mse", 0.04)],
    "B16": [("mlp_8", "generation/mixture/recall", 0.01)],
    "B17": [("mlp_8", "untrained/few_labels/logistic/100/mean", 0.89)],
    "C1": [("conv_ae", "test_ssim", 0.9)],
    "C2": [("conv_ae", "mse_per_digit/0", 0.001)],
    "C3": [("vae_2", "svm_rbf_accuracy", 0.7)],
    "C4": [("vae_2", "test_mse", 0.002)],
    "C5": [("vae_2", "test_psnr", 10.0)],
    "C6": [("vae_16", "test_mse", 0.009)],
    "C7": [("vae_2", "generation/reconstruction_std", 0.2)],
    "C8": [("vae_2", "latent_space/silhouette", 0.0)],
    "C9": [("vae_2", "interpolation/linear/different_digits/step_ratio", 3.0)],
    "C10": [("vae_2", "latent_space/nearest_digits/8", [0, 1, 2, 3])],
    "C11": [("vae_2", "latent_space/code_mean", -1.0)],
    "C12": [("vae_2", "latent_space/code_std", 0.8)],
    "C13": [("vae_2", "generation/standard_normal/nearest_cosine", 0.5)],
    "C14": [("vae_2", "generation/standard_normal/recall", 0.1)],
    "C15": [("conv_ae", "generation/standard_normal/nearest_cosine", 0.8)],
    "C16": [("ae_16", "generation/standard_normal/frechet_distance", 5.0)],
    "C17": [("conv_ae", "interpolation/linear/different_digits/midpoint_distance", 0.15)],
    "C18": [("ae_16", "interpolation/linear/different_digits/step_ratio", 1.5)],
    "C19": [("ae_2", "curve/validation_loss", FALL)],
    "C20": [("ae_2", "latent_space/silhouette", 0.5)],
    "C21": [("vae_2", "generation/kl_per_dimension", [3.0, 0.01])],
    "C22": [("vae_16_beta_4", "generation/active_units", 13)],
    "C23": [("vae_16_beta_4", "generation/standard_normal/frechet_distance", 6.0)],
    "C24": [("conv_ae", "generation/standard_normal/frechet_distance", 4.0)],
    "C25": [("vae_2", "num_macs/total", 1_000_000)],
    "C26": [("ae_16", "num_macs/total", 2_000_000)],
    "C27": [("vae_16", "num_parameters/total", 101_000)],
    "C28": [("vae_16", "test_mse", 0.039)],
    "C29": [("conv_ae", "compression_ratio", 0.5)],
    "D1": [("compress_transposed", "latent_dim", 196)],
    "D2": [("compress_transposed", "compression/4/bytes_alone", 300.0)],
    "D3": [("compress_transposed", "compression/4/bytes_amortised_with_tables", 120.0)],
    "D4": [("pca_64", "compression/4/bytes_amortised_with_tables", 40.0)],
    "D5": [("compress_transposed", "checkerboard/block_ratio", 1.15)],
    "D6": [("compress_bilinear", "checkerboard/block_ratio", 1.5)],
    "D7": [("compress_nearest", "test_mse", 0.006)],
    "D8": [("compress_transposed", "test_ssim", 0.8)],
    "D9": [("compress_transposed", "curve/train_loss", [*FALL[:-1], 0.1])],
    "D10": [("compress_transposed", "denoising/0.2/gain_db", -1.0)],
    "D11": [("raw_pixels", "svm_rbf_accuracy", 0.99)],
    "E1": [("stacked_64", "test_mse", 0.006)],
    "E2": [("superres_64", "curve/validation_mse", FALL)],
    "E3": [("stacked_64", "test_mse", 0.0145)],
    "E4": [("superres_64", "test_mse", 0.003)],
    "E5": [("conv_bn_64", "svm_rbf_accuracy", 0.98)],
    "E6": [("conv_bn_64", "svm_linear_accuracy", 0.95)],
    "E7": [("pca_64", "svm_rbf_accuracy", 0.99)],
    "E8": [("conv_bn_64", "untrained/knn_accuracy", 0.97)],
    "E9": [("pca_64", "svm_linear_accuracy", 0.99)],
    "E10": [("conv_bn_64", "latent_space/tsne_200/silhouette", 0.1)],
    "E11": [("conv_bn_64", "latent_space/nearest_digits/4", [0, 1, 9])],
    "E12": [("conv_bn_64", "interpolation/linear/different_digits/step_ratio", 3.0)],
    "E13": [("superres_64", "num_parameters/total", 1_684_161)],
    "E14": [("superres_64", "num_parameters/total", 1_684_161)],
    "E15": [("stacked_64", "num_parameters/total", 774_000)],
    "E16": [("superres_64", "num_macs/total", 900_000)],
    "E17": [("conv_bn_64", "num_macs/total", 9_000_000)],
    "E18": [("stacked_64", "curve/validation_loss", FALL)],
    "E19": [("cae_batch_norm", "curve/validation_mse", FALL)],
    "E20": [("stacked_64", "denoising/0.2/gain_db", -1.0)],
    "E21": [("pca_64", "test_mse", 0.006)],
    "E22": [("conv_bn_64", "compression/4/bytes_amortised_with_tables", 120.0)],
}  # fmt: skip


def put(table: dict[str, Any], path: str, value: Any) -> None:
    *folders, key = path.split("/")
    for folder in folders:
        table = table[folder]
    table[key] = value


@cache
def row_of_world(name: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """Metrics and curve."""
    metrics, curve = anything(), pd.DataFrame(dict.fromkeys(("train_loss", "validation_loss", "validation_mse"), FALL))
    change(metrics, curve, copy.deepcopy(WORLD.get(name, {})))
    return metrics, curve


def change(metrics: dict[str, Any], curve: pd.DataFrame, changes: dict[str, Any]) -> None:
    for path, value in changes.items():
        if path.startswith("curve/"):
            curve[path.removeprefix("curve/")] = value
        else:
            put(metrics, path, value)


def world(changes: list[tuple[str, str, Any]] | None = None, seeds: int = 1, recipe: str = "fast") -> results.Results:
    """The results in which all claims hold, but for the changes; once per seed."""
    rows, baselines = {name: row_of_world(name) for name in STUDY.variants}, dict(BASELINES)
    for name in {name for name, _, _ in changes or []}:
        own = {path: value for each, path, value in changes or [] if each == name}
        if name in rows:
            rows[name] = copy.deepcopy(rows[name])
            change(*rows[name], own)
        else:
            baselines[name] = copy.deepcopy(baselines[name])
            change(baselines[name], pd.DataFrame(), own)
    runs = [results.Result(Run(name, recipe, seed), *row) for name, row in rows.items() for seed in range(seeds)]
    return results.Results(runs, baselines, [])


def judged(name: str, found: results.Results, recipe: str = "fast", stated: Any = STATED) -> verdicts.Judgement:
    return ledgers._judge(name, stated.claims[name], found, codecs(), recipe, stated.confidence)


def without(found: results.Results, row: str) -> results.Results:
    return results.Results([result for result in found.runs if result.run.row != row], found.baselines, [])


@pytest.mark.parametrize("name", IDS)
def test_every_claim_can_hold_and_can_fail(name):
    held, failed = judged(name, world()), judged(name, world(BREAKS[name]))
    assert held.verdict == "holds", f"{[str(check) for check in held.checks]} {held.reason}"
    assert failed.verdict == "does_not_hold", f"{[str(check) for check in failed.checks]} {failed.reason}"
    assert [check.quantity for check in held.checks] == [check.quantity for check in failed.checks]
    assert held.numbers
    assert held.num_seeds == 1


@pytest.mark.parametrize("name", IDS)
def test_a_row_that_has_not_been_run_leaves_a_claim_open_and_is_named(name):
    for row in STATED.claims[name].rows:
        open_ = judged(name, without(world(), row))
        assert (open_.verdict, open_.num_seeds) == ("undecided", 0)
        assert f"not run under fast: {row}" in open_.reason
    nothing = judged(name, world(), "published")
    assert nothing.verdict == "undecided"
    assert all(row in nothing.reason for row in STATED.claims[name].rows)


@pytest.mark.parametrize("name", IDS)
def test_missing_numbers_leave_a_claim_open(name):
    found = world()
    empty = [results.Result(result.run, {}, pd.DataFrame()) for result in found.runs]
    open_ = judged(name, results.Results(empty, {name: {} for name in found.baselines}, []))
    assert (open_.verdict, open_.num_seeds) == ("undecided", 1)
    assert " has no " in open_.reason


@pytest.mark.parametrize("name", IDS)
def test_every_threshold_decides(name):
    claim = STATED.claims[name]
    seeds = gather(world(), codecs(), "fast", claim.rows)
    for threshold in claim.thresholds:
        others = set()
        for value in (1, 2, 30) if threshold == "epoch" else (-1e6, -0.5, 0.5, 5.0, 1e6):
            moved = partial(TESTS[name], **(claim.thresholds | {threshold: value}))
            others.add(verdicts.judge(moved, seeds, STATED.confidence).verdict)
        assert others - {"holds"}, threshold


def test_the_breaks_are_of_all_claims():
    assert set(BREAKS) == set(TESTS) == set(STATED.claims)


def test_every_row_of_a_claim_is_a_row_of_the_study_and_ids_have_no_gaps():
    for name, claim in STATED.claims.items():
        assert set(claim.rows) <= set(STUDY.variants), name
    for letter, ids in groupby(STATED.ids, key=lambda name: name[0]):
        assert [int(name[1:]) for name in ids] == list(range(1, 1 + sum(name[0] == letter for name in STATED.ids)))
    assert {name[0] for name in STATED.ids} == set(STUDY.sources) - {STUDY.study.source}


@pytest.mark.parametrize("name", IDS)
def test_no_row_of_a_claim_is_idle(name):
    found = world()
    for row in STATED.claims[name].rows:
        runs = [results.Result(each.run, {}, pd.DataFrame()) if each.run.row == row else each for each in found.runs]
        assert judged(name, results.Results(runs, found.baselines, [])).verdict == "undecided", row


def test_bounds_are_those_of_the_t_test():
    values = [0.9, 1.1, 1.3, 0.8]
    mean, low, high = verdicts.interval(values, 0.95)
    assert mean == pytest.approx(1.025)
    assert stats.ttest_1samp(values, low, alternative="greater").pvalue == pytest.approx(0.05)
    assert stats.ttest_1samp(values, high, alternative="less").pvalue == pytest.approx(0.05)
    assert verdicts.interval([2.0], 0.95) == verdicts.interval([2.0, 2.0, 2.0], 0.95) == (2, 2, 2)


def of_values(values: list[float], direction: str, limit: float) -> verdicts.Judgement:
    measure = getattr(verdicts, direction)
    seeds = [Evidence({}, {"a": {"error": value}}, pd.DataFrame()) for value in values]
    return verdicts.judge(lambda seed: [measure("error", seed.number("a", "error"), limit)], seeds, 0.95)


@pytest.mark.parametrize(
    ("values", "at_least", "at_most"),
    [
        ([1.5], "holds", "does_not_hold"),
        ([1.0], "holds", "holds"),
        ([0.5], "does_not_hold", "holds"),
        ([1.5, 1.51, 1.49], "holds", "does_not_hold"),
        ([0.5, 0.51, 0.49], "does_not_hold", "holds"),
        ([1.5, 0.9, 1.4], "undecided", "undecided"),
        ([1.0, 1.0], "holds", "holds"),
    ],
)
def test_a_mean_decides_when_its_spread_allows(values, at_least, at_most):
    assert of_values(values, "at_least", 1).verdict == at_least
    assert of_values(values, "at_most", 1).verdict == at_most


def test_a_judgement_says_how_many_seeds_it_rests_on():
    one, many = of_values([2.0], "at_least", 1), of_values([1.5, 0.9, 1.4], "at_least", 1)
    assert (one.num_seeds, one.reason) == (1, "one seed, whose spread is not known")
    assert (many.num_seeds, many.reason) == (3, "the 3 seeds do not tell; more would decide")
    assert many.numbers == {"a error": [1.5, 0.9, 1.4]}
    assert judged("A23", world()).reason == "counted, not trained: no seed matters"
    assert judged("A24", world(seeds=3)).reason == ""


def test_seeds_are_paired_and_only_common_ones_count():
    found = world(seeds=3)
    fewer = [result for result in found.runs if (result.run.row, result.run.seed) != ("cae_baseline", 1)]
    seeds = gather(results.Results(fewer, {}, []), codecs(), "fast", ["cae_baseline", "cae_latent_64"])
    assert [each.results["cae_baseline"].run.seed for each in seeds] == [0, 2]
    assert {each.results["cae_latent_64"].run.seed for each in seeds} == {0, 2}
    alone = [result for result in found.runs if (result.run.row == "cae_baseline") == (result.run.seed == 1)]
    with pytest.raises(Missing, match="no seed is common"):
        gather(results.Results(alone, {}, []), codecs(), "fast", ["cae_baseline", "cae_latent_64"])


def test_spread_between_seeds_leaves_a_claim_open():
    found = world(seeds=3)
    runs = [
        results.Result(result.run, result.metrics | {"test_mse": 0.0045 * (1 + 0.1 * result.run.seed)}, result.curve)
        if result.run.row == "cae_latent_64"
        else result
        for result in found.runs
    ]
    judgement = judged("A2", results.Results(runs, found.baselines, []))
    assert judgement.verdict == "undecided"
    assert judgement.checks[0].low < 0.9 < judgement.checks[0].mean < judgement.checks[0].high


def test_short_trainings_leave_open_what_happens_later():
    short = results.Results([results.Result(r.run, r.metrics, r.curve[:4]) for r in world().runs], BASELINES, [])
    for name in ("A13", "A27", "B2", "E18"):
        open_ = judged(name, short)
        assert open_.verdict == "undecided"
        assert "would decide" in open_.reason
    assert judged("A29", short).verdict == "holds"


def test_quantities():
    assert quantities.span([2, 8, 4]) == 4
    assert quantities.fall_share([1.0, 0.5, 0.3, 0.2], 2) == pytest.approx(0.625)
    with pytest.raises(Missing, match="the training has 2 epochs"):
        quantities.fall_share([1.0, 0.5], 2)
    assert quantities.largest_rise([1.0, 0.5, 0.6, 0.3]) == pytest.approx(0.2)
    points = [(10.0, 20.0), (5.0, 21.0), (30.0, 40.0)]
    assert quantities.fewest_bytes(points, 19) == 5
    assert quantities.fewest_bytes(points, 25) == 30
    assert quantities.fewest_bytes(points, 50) is None
    assert quantities.bytes_over([(4.0, 20.0), (15.0, 39.0), (90.0, 99.0)], points, "x") == 0.5
    with pytest.raises(Missing):
        quantities.bytes_over([(4.0, 99.0)], points, "x")
    noisy = {"denoising": {"0.2": {"mse": 0.028, "mse_in": 0.02}}, "test_mse": 0.018}
    assert quantities.noise_let_through(Evidence({}, {"a": noisy}, codecs()), "a", "0.2") == pytest.approx(0.5)
    of = Evidence({}, {"a": {"latent_space": {"nearest_digits": {"4": [9, 7]}}}}, codecs())
    assert quantities.rank(of, "a", 4, 7) == 2
    for precision, recall, score in ((1, 0, 0), (0, 0, 0), (0.5, 0.5, 0.5), (1, 0.5, 2 / 3)):
        samples = {"generation": {"mixture": {"precision": precision, "recall": recall}}}
        assert quantities.sample_score(Evidence({}, {"a": samples}, codecs()), "a", "mixture") == pytest.approx(score)


def test_the_gap_of_a_vae_is_that_of_its_cross_entropy():
    curve = pd.DataFrame({"train_loss": [1.0], "validation_loss": [9.0]})
    plain = Evidence({"a": results.Result(Run("a", "fast", 0), {}, curve)}, {}, codecs())
    assert quantities.generalisation_gap(plain, "a") == 9
    both = curve.assign(train_bce_sum=[2.0], validation_bce_sum=[3.0])
    variational = Evidence({"a": results.Result(Run("a", "fast", 0), {}, both)}, {}, codecs())
    assert quantities.generalisation_gap(variational, "a") == 1.5


def test_what_is_no_finite_number_leaves_a_claim_open():
    assert judged("A2", world([("cae_latent_64", "test_mse", math.nan)])).verdict == "undecided"
    assert judged("A2", world([("cae_baseline", "test_mse", 0.0)])).verdict == "undecided"
    assert judged("A2", world([("cae_baseline", "test_mse", None)])).verdict == "undecided"


def both_recipes() -> results.Results:
    """Convolutional against stacked changes with the recipe, three seeds of one and one of the other."""
    fast, published = world(seeds=3), world([("conv_ae", "test_ssim", 0.9)], recipe="published")
    return results.Results(fast.runs + published.runs, fast.baselines, [])


def test_a_verdict_that_changes_with_the_recipe_is_a_finding():
    entries = ledgers.ledger(STATED, both_recipes(), codecs(), ["fast", "published"])
    assert [entry.name for entry in entries if entry.changes_with_recipe] == ["C1"]
    page = write_page(entries, STUDY.sources, STATED.confidence)
    finding = page.split("## Findings")[1].split("## Verdicts")[0]
    assert "[C1](#c1)" in finding
    assert (
        "It holds under `fast` (SSIM, AE = 0.96, asked: at least 0.95), and it does not hold under `published`" in finding
    )
    alike = ledgers.ledger(STATED, world(seeds=2), codecs(), ["fast", "published"])
    assert not any(entry.changes_with_recipe for entry in alike)
    assert "## Findings" not in write_page(alike, STUDY.sources, STATED.confidence)


def test_the_ledger_is_complete_sorted_plain_and_the_same_every_time():
    made = [ledgers.ledger(STATED, both_recipes(), codecs(), ["fast", "published"]) for _ in range(2)]
    listed = ledgers.as_json(made[0])
    assert json.dumps(listed, allow_nan=False) == json.dumps(ledgers.as_json(made[1]))
    assert [claim["id"] for claim in listed][:3] == ["A1", "A2", "A3"]
    assert len(listed) == len(STATED.claims) + len(STATED.open_claims)
    first = listed[0]
    assert first["thresholds"] == {"least_ratio": 2}
    assert "at least 2 times" in first["test"]
    assert first["verdicts"]["fast"]["num_seeds"] == 3
    assert first["verdicts"]["published"]["num_seeds"] == 1
    assert first["verdicts"]["fast"]["numbers"]["cae_baseline test_mse"] == {"mean": 0.005, "sd": 0}
    assert first["verdicts"]["published"]["numbers"]["cae_baseline test_mse"] == {"mean": 0.005, "sd": None}
    open_ = next(claim for claim in listed if claim["id"] == "B18")
    assert open_["verdicts"]["fast"]["verdict"] == "undecided"
    assert "what would decide" in open_["verdicts"]["fast"]["reason"]
    page = write_page(made[0], STUDY.sources, STATED.confidence)
    assert page == write_page(made[1], STUDY.sources, STATED.confidence)
    assert page.startswith("# The claims of the five sources\n")
    tables = [line for line in page.splitlines() if line.startswith("|")]
    for line in tables:
        assert line.endswith("|")
    assert sum(line.startswith("| [") for line in tables) == len(listed)
    assert all(f"\n## {name}\n" in page for name in STATED.ids)
    assert "{" not in page


def test_the_stage_writes_both_files_even_of_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "claims.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    stage.main()
    listed = json.loads(layout.CLAIMS.read_text(encoding="utf-8"))
    assert {verdict["verdict"] for claim in listed for verdict in claim["verdicts"].values()} == {"undecided"}
    assert set(listed[0]["verdicts"]) == set(STUDY.training)
    assert "not run" in layout.CLAIMS_PAGE.read_text(encoding="utf-8")


def with_changes(change: Any) -> str:
    content = yaml.safe_load((ROOT / "claims.yaml").read_text(encoding="utf-8"))
    change(content)
    return yaml.safe_dump(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(level=1), "level: unknown key"),
        (lambda c: c.update(confidence=1.5), "confidence: Input should be less than 1"),
        (lambda c: c["claims"]["A1"].update(note="x"), "claims.A1.note: unknown key"),
        (lambda c: c["claims"]["A1"].update(rows=[]), "claims.A1.rows"),
        (lambda c: c["claims"]["A1"]["thresholds"].update(least_ratio="2"), "claims.A1.thresholds.least_ratio"),
        (lambda c: c["claims"]["A1"]["thresholds"].update(other=2), "claims.A1: test names ['least_ratio'] in braces"),
        (
            lambda c: c["claims"]["A1"].update(test="{x}", thresholds={"x": 1}),
            "claims.A1.thresholds: must be ['least_ratio']",
        ),
        (lambda c: c["claims"]["A1"].update(test="2"), "claims.A1: test names [] in braces"),
        (lambda c: c["claims"].pop("A1"), "the tested claim A1 is missing"),
        (lambda c: c["claims"].update(A99=c["claims"]["A1"]), "claims.A99: there is no test for it"),
        (lambda c: c["claims"].update(F1=c["claims"]["A1"]), "F1"),
        (lambda c: c["open_claims"].update(A1=c["open_claims"]["B18"]), "both in claims and in open_claims: A1"),
        (lambda c: c["open_claims"]["B18"].pop("decided_by"), "open_claims.B18.decided_by"),
    ],
)
def test_the_thresholds_file_is_strict(tmp_path, change, message):
    path = tmp_path / "claims.yaml"
    path.write_text(with_changes(change), encoding="utf-8")
    with pytest.raises(params.ParamsError) as error:
        statements.load(path, TESTS)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_a_thresholds_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(params.ParamsError, match="cannot be read"):
        statements.load(tmp_path / "none.yaml", TESTS)
    for text, message in (("a: [", "is not YAML"), ("claims: {}\nclaims: {}\n", "stands twice")):
        (tmp_path / "claims.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(params.ParamsError, match=message):
            statements.load(tmp_path / "claims.yaml", TESTS)
