"""The ledger, on results made up so that every claim holds, and then so that each one fails."""

import copy
import json
import math
import operator
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import groupby, product
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from conftest import PROJECT, ROOT
from latentlab import paths
from latentlab.comparison.claims import quantities, verdict
from latentlab.comparison.claims.claim import Claim, Evidence, Missing, baseline, number
from latentlab.comparison.claims.page import as_json, side_by_side, write_page
from latentlab.comparison.claims.verdict import CLAIMS, Judgement, gather, judge, ledger
from latentlab.comparison.results import Result, Results
from latentlab.paths import Run
from latentlab.stages import claims as stage

TESTED = [claim for claim in CLAIMS if claim.holds]
BY_NAME = {claim.name: claim for claim in CLAIMS}
SOURCES = {"A": "first", "B": "second", "C": "third", "D": "fourth", "E": "fifth", "S": "ours"}

# of all curves: most of the fall early, then ever slower
FALL = [0.08 + 0.12 * 0.7**epoch for epoch in range(20)]
BUMPY = [loss + 0.0005 * ((epoch + 1) % 2) for epoch, loss in enumerate(FALL)]


def times(factor: float) -> list[float]:
    return [factor * loss for loss in FALL]


def codecs() -> pd.DataFrame:
    """A format without loss at 250 bytes, and two with loss that need 100 bytes for 20 dB and 200 for 40 dB."""
    lines: list[tuple[str, str, float, float]] = [("png", "single", 280, 120), ("png", "sheet", 250, 120)]
    lines += [("webp_lossless", "sheet", 240, 120)]
    lines += [(codec, "sheet", 5 * psnr, psnr) for codec in ("jpeg", "webp") for psnr in range(10, 60, 5)]
    return pd.DataFrame(lines, columns=["codec", "layout", "bytes_per_image", "psnr"])


def unremarkable() -> dict[str, Any]:
    """What every variant has, by path."""
    way = {"step_ratio": 1.5, "midpoint_distance": 0.15, "crossfade_distance": 0.19}
    samples = {"precision": 0.9, "recall": 0.6, "frechet_distance": 5.0, "nearest_distance": 0.15}
    samples |= {"nearest_cosine": 0.88, "classifier": {"precision": 0.9, "recall": 0.6, "frechet_distance": 50.0}}
    samples["classifier"]["class_shares"] = [0.1] * 10
    embedding = {"silhouette": 0.4, "knn10_accuracy": 0.95}
    near = {str(digit): [other for other in range(10) if other != digit] for digit in range(10)}
    near |= {"4": [9, *range(4)], "9": [4, *range(4)], "3": [8, *range(3)], "8": [3, *range(3)]}
    few = {probe: {"100": {"mean": 0.9}} for probe in ("logistic", "svm_rbf")}
    return {
        "latent_dim": 32, "compression_ratio": 24.5, "num_parameters/total": 100_000, "num_macs/total": 1_000_000,
        "test_mse": 0.005, "test_psnr": 25.0, "test_ssim": 0.96, "mse_per_class": {"0": 0.004, "1": 0.006},
        "checkerboard": {"energy_ratio": 1.0, "block_ratio": 1.1, "real_block_ratio": 1.1},
        "generation/real_cosine": 0.88, "generation/grid": {"readable_share": 0.8, "unreadable_distance": 1.3},
        "likelihood": {"gap": {"mean": 2.0}, "bits_back": {"bits_per_pixel_with_table": 1.0}},
        "anomalies/mean": {
            score: {"auroc": auroc}
            for score, auroc in (("reconstruction", 0.9), ("activations_nap", 0.95), ("code_mahalanobis", 0.95))
        },
        "geometry": {"neighbours_kept": 0.6, "intrinsic_dimension": {"images": {"mle": 12.0}, "codes": {"two_nn": 9.0}}},
        "denoising/0.2": {"gain_db": 3.0, "psnr": 20.0, "mse": 0.010, "mse_in": 0.02},
        "interpolation/linear": {"equal_classes": way, "different_classes": way}, "interpolation/real_distance": 0.15,
        "generation/standard_normal": samples, "generation/mixture": copy.deepcopy(samples),
        "generation/real_distance": 0.15,
        "generation/active_units": 2, "generation/kl_per_dimension": [3.0, 3.0], "generation/reconstruction_std": 0.01,
        "compression/4": {"bytes_amortised_with_tables": 50.0, "bytes_alone": 50.0, "psnr": 25.0},
        "svm_rbf_accuracy": 0.99, "svm_linear_accuracy": 0.99, "knn_accuracy": 0.97, "logistic_accuracy": 0.97,
        "few_labels": few, "untrained/few_labels/logistic/100/mean": 0.5, "untrained/knn_accuracy": 0.8,
        "untrained/logistic_accuracy": 0.8,
        "latent_space": embedding | {
            "share_within_3": 0.997, "code_mean": 0.0, "code_std": 1.0, "nearest_classes": near,
            "tsne_200": embedding, "tsne_2000": embedding,
        },
    }  # fmt: skip


# where the variants differ, so that all claims hold at once
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
        "interpolation/linear/different_classes": {"step_ratio": 1.8, "midpoint_distance": 0.18}
        | {"crossfade_distance": 0.19},
        "generation/standard_normal": {"precision": 1.0, "recall": 0.0, "frechet_distance": 60.0, "nearest_distance": 0.1}
        | {"nearest_cosine": 0.3},
    },
    "vae_2": {
        "latent_dim": 2, "test_mse": 0.04, "test_ssim": 0.7, "test_psnr": 15.0, "num_macs/total": 2_000_000,
        "generation/mixture": {"frechet_distance": 4.0, "classifier": {"frechet_distance": 40.0}},
    },
    "vae_16": {
        "test_mse": 0.01, "num_macs/total": 2_000_000, "num_parameters/total": 130_000, "generation/active_units": 13,
        "generation/mixture": {"frechet_distance": 4.0, "classifier": {"frechet_distance": 40.0}},
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
for _name, _kept in (("cae_latent_2", 0.2), ("cae_latent_8", 0.4), ("cae_latent_64", 0.8)):
    WORLD[_name]["geometry/neighbours_kept"] = _kept
for _plain, _mse in (("ae_2", 0.035), ("ae_16", 0.009)):
    WORLD[_plain] = {
        "test_mse": _mse,
        "latent_space/silhouette": 0.1,
        "interpolation/linear/different_classes": {"step_ratio": 1.8, "midpoint_distance": 0.2, "crossfade_distance": 0.19},
        "generation/standard_normal/frechet_distance": 20.0,
        "curve/validation_loss": times(1.05),
    }
for _denoising in ("mlp_8_denoise", "mlp_32_denoise", "cae_baseline_denoise"):
    WORLD[_denoising] = {"svm_linear_accuracy": 0.995, "logistic_accuracy": 0.98}
# all that a claim may name, so that a slip in a name is seen
VARIANTS = list(WORLD)
BASELINES: dict[str, dict[str, Any]] = {
    name: {
        "test_mse": 0.06,
        "knn_accuracy": 0.85,
        "geometry": {"neighbours_kept": 0.1},
        "svm_rbf_accuracy": 0.98,
        "svm_linear_accuracy": 0.9,
        "few_labels": {"logistic": {"100": {"mean": 0.7}}, "svm_rbf": {"100": {"mean": 0.7}}},
        "compression": {"4": {"bytes_amortised_with_tables": 90.0, "psnr": 26.0}},
    }
    for name in ("pca_2", "pca_4", "pca_8", "pca_32", "pca_64", "raw_pixels")
}

# for each claim, something that must make it fail: path, beginning with the variant or baseline, and value
BREAKS: dict[str, tuple[str, Any]] = {
    "A1": ("cae_depth_4/test_mse", 0.03), "A2": ("cae_latent_64/test_mse", 0.002), "A3": ("cae_latent_8/test_mse", 0.0055),
    "A4": ("cae_latent_64/test_psnr", 28.0), "A5": ("cae_latent_8/test_ssim", 0.95),
    "A6": ("cae_filters_wide/test_mse", 0.005), "A7": ("cae_filters_narrow/test_psnr", 24.0),
    "A8": ("cae_filters_wide/num_macs/total", 1.5e6), "A9": ("cae_depth_4/test_mse", 0.004),
    "A10": ("cae_depth_4/curve/validation_loss", times(1.1)), "A11": ("cae_leaky_02/test_mse", 0.006),
    "A12": ("cae_batch_norm/test_mse", 0.004), "A13": ("cae_baseline/curve/validation_loss", FALL),
    "A14": ("cae_leaky_01/num_macs/total", 1e6), "A15": ("cae_depth_4/num_parameters/total", 2_000_000),
    "A16": ("cae_latent_64/num_parameters/total", 200_000), "A17": ("cae_depth_2/num_parameters/total", 100_500),
    "A18": ("cae_latent_2/num_parameters/total", 50_000), "A19": ("cae_batch_norm/num_parameters/total", 101_000),
    "A20": ("cae_leaky_02/num_parameters/total", 101_001), "A21": ("cae_latent_8/test_mse", 0.041),
    "A22": ("cae_depth_2/num_macs/total", 9.9e5), "A23": ("cae_tradeoff/num_parameters/total", 80_000),
    "A24": ("cae_tradeoff/test_psnr", 22.0), "A25": ("cae_tradeoff/test_ssim", 0.8),
    "A26": ("cae_filters_narrow/latent_dim", 16),
    "A27": ("cae_baseline/curve/train_loss", [1 - 0.04 * epoch for epoch in range(20)]),
    "A28": ("cae_baseline/curve/train_loss", [*FALL[:-1], 0.1]),
    "A29": ("cae_baseline/curve/validation_loss", [*FALL[:-1], 0.1]), "A30": ("cae_baseline/mse_per_class/1", 0.02),
    "B1": ("mlp_8/compression_ratio", 24.5), "B2": ("mlp_8/curve/train_loss", [1 - 0.04 * epoch for epoch in range(20)]),
    "B3": ("mlp_8/test_ssim", 0.8), "B4": ("mlp_8/svm_rbf_accuracy", 0.9), "B5": ("mlp_8/denoising/0.2/gain_db", -1.0),
    "B6": ("mlp_32_denoise/denoising/0.2/gain_db", -1.0), "B7": ("mlp_8/denoising/0.2/mse", 0.035),
    "B8": ("mlp_32/denoising/0.2/gain_db", 5.0), "B9": ("mlp_32/denoising/0.2/mse", 0.006), "B10": ("mlp_4/test_ssim", 0.7),
    "B11": ("mlp_32/test_psnr", 35.0), "B12": ("mlp_8/interpolation/linear/equal_classes/step_ratio", 3.0),
    "B13": ("mlp_8/interpolation/linear/different_classes/midpoint_distance", 0.18), "B14": ("pca_8/knn_accuracy", 0.97),
    "B15": ("pca_2/test_mse", 0.04), "B16": ("mlp_8/generation/mixture/recall", 0.01),
    "B17": ("mlp_8/untrained/few_labels/logistic/100/mean", 0.89),
    "C1": ("conv_ae/test_ssim", 0.9), "C2": ("conv_ae/mse_per_class/0", 0.001), "C3": ("vae_2/svm_rbf_accuracy", 0.7),
    "C4": ("vae_2/test_mse", 0.002), "C5": ("vae_2/test_psnr", 10.0), "C6": ("vae_16/test_mse", 0.009),
    "C7": ("vae_2/generation/reconstruction_std", 0.2), "C8": ("vae_2/latent_space/silhouette", 0.0),
    "C9": ("vae_2/interpolation/linear/different_classes/step_ratio", 3.0),
    "C10": ("vae_2/latent_space/nearest_classes/8", [0, 1, 2, 3]), "C11": ("vae_2/latent_space/code_mean", -1.0),
    "C12": ("vae_2/latent_space/code_std", 0.8), "C13": ("vae_2/generation/standard_normal/nearest_cosine", 0.5),
    "C14": ("vae_2/generation/standard_normal/recall", 0.1),
    "C15": ("conv_ae/generation/standard_normal/nearest_cosine", 0.8),
    "C16": ("ae_16/generation/standard_normal/frechet_distance", 5.0),
    "C17": ("conv_ae/interpolation/linear/different_classes/midpoint_distance", 0.15),
    "C18": ("ae_16/interpolation/linear/different_classes/step_ratio", 1.5), "C19": ("ae_2/curve/validation_loss", FALL),
    "C20": ("ae_2/latent_space/silhouette", 0.5), "C21": ("vae_2/generation/kl_per_dimension", [3.0, 0.01]),
    "C22": ("vae_16_beta_4/generation/active_units", 13),
    "C23": ("vae_16_beta_4/generation/standard_normal/frechet_distance", 6.0),
    "C24": ("conv_ae/generation/standard_normal/frechet_distance", 4.0), "C25": ("vae_2/num_macs/total", 1_000_000),
    "C26": ("ae_16/num_macs/total", 2_000_000), "C27": ("vae_16/num_parameters/total", 101_000),
    "C28": ("vae_16/test_mse", 0.039), "C29": ("conv_ae/compression_ratio", 0.5),
    "C30": ("vae_2/generation/grid/unreadable_distance", 0.9),
    "C32": ("vae_2/generation/standard_normal/classifier/class_shares", [0.0, *[0.1] * 9]),
    "D1": ("compress_transposed/compression_ratio", 4.0), "D2": ("compress_transposed/compression/4/bytes_alone", 300.0),
    "D3": ("compress_transposed/compression/4/bytes_amortised_with_tables", 120.0),
    "D4": ("pca_64/compression/4/bytes_amortised_with_tables", 40.0),
    "D5": ("compress_transposed/checkerboard/block_ratio", 1.15), "D6": ("compress_bilinear/checkerboard/block_ratio", 1.5),
    "D7": ("compress_nearest/test_mse", 0.006), "D8": ("compress_transposed/test_ssim", 0.8),
    "D9": ("compress_transposed/curve/train_loss", [*FALL[:-1], 0.1]),
    "D10": ("compress_transposed/denoising/0.2/gain_db", -1.0), "D11": ("raw_pixels/svm_rbf_accuracy", 0.99),
    "E1": ("stacked_64/test_mse", 0.006), "E2": ("superres_64/curve/validation_mse", FALL),
    "E3": ("stacked_64/test_mse", 0.0145), "E4": ("superres_64/test_mse", 0.003),
    "E5": ("conv_bn_64/svm_rbf_accuracy", 0.98), "E6": ("conv_bn_64/svm_linear_accuracy", 0.95),
    "E7": ("pca_64/svm_rbf_accuracy", 0.99), "E8": ("conv_bn_64/untrained/knn_accuracy", 0.97),
    "E9": ("pca_64/svm_linear_accuracy", 0.99), "E10": ("conv_bn_64/latent_space/tsne_200/silhouette", 0.1),
    "E11": ("conv_bn_64/latent_space/nearest_classes/4", [0, 1, 9]),
    "E12": ("conv_bn_64/interpolation/linear/different_classes/step_ratio", 3.0),
    "E13": ("superres_64/num_parameters/total", 1_684_161), "E14": ("superres_64/num_parameters/total", 1_684_161),
    "E15": ("stacked_64/num_parameters/total", 774_000), "E16": ("superres_64/num_macs/total", 900_000),
    "E17": ("conv_bn_64/num_macs/total", 9_000_000), "E18": ("stacked_64/curve/validation_loss", FALL),
    "E19": ("cae_batch_norm/curve/validation_mse", FALL), "E20": ("stacked_64/denoising/0.2/gain_db", -1.0),
    "E21": ("pca_64/test_mse", 0.006), "E22": ("conv_bn_64/compression/4/bytes_amortised_with_tables", 120.0),
    "P1": ("pca_32/test_mse", 0.006), "P2": ("mlp_2/knn_accuracy", 0.9), "P3": ("mlp_32_denoise/logistic_accuracy", 0.97),
    "P4": ("vae_16/generation/active_units", 32), "P5": ("ae_16/generation/mixture/frechet_distance", 9.0),
    "P6": ("vae_2/generation/mixture/classifier/frechet_distance", 50.0),
    "P7": ("vae_16/generation/standard_normal/recall", 0.95),
    "P8": ("cae_baseline/geometry/intrinsic_dimension/images/mle", 20.0),
    "P9": ("stacked_64/geometry/intrinsic_dimension/codes/two_nn", 30.0), "P10": ("pca_8/geometry/neighbours_kept", 0.9),
    "P11": ("mlp_8/anomalies/mean/activations_nap/auroc", 0.9),
    "P12": ("conv_bn_64/anomalies/mean/code_mahalanobis/auroc", 0.9),
    "P13": ("vae_16/likelihood/bits_back/bits_per_pixel_with_table", 2.4), "P14": ("vae_2/likelihood/gap/mean", 0.5),
}  # fmt: skip


def change(metrics: dict[str, Any], curve: pd.DataFrame, changes: dict[str, Any]) -> None:
    for path, value in changes.items():
        if path.startswith("curve/"):
            curve[path.removeprefix("curve/")] = value
            continue
        *folders, key = path.split("/")
        table = metrics
        for folder in folders:
            table = table.setdefault(folder, {})
        table[key] = value


@cache
def variant_of_world(name: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """Metrics and curve."""
    metrics: dict[str, Any] = {}
    curve = pd.DataFrame(dict.fromkeys(("train_loss", "validation_loss", "validation_mse"), FALL))
    change(metrics, curve, unremarkable())
    change(metrics, curve, copy.deepcopy(WORLD.get(name, {})))
    return metrics, curve


def world(changed: tuple[str, Any] | None = None, seeds: int = 1, recipe: str = "fast") -> Results:
    """The results in which all claims hold, but for a change; once per seed."""
    known, baselines = {name: variant_of_world(name) for name in VARIANTS}, copy.deepcopy(BASELINES)
    if changed:
        name, path = changed[0].split("/", maxsplit=1)
        known |= {name: copy.deepcopy(known[name])} if name in known else {}
        change(*known.get(name, (baselines.get(name), pd.DataFrame())), {path: changed[1]})
    runs = [Result(Run(name, "mnist", recipe, seed), *known[name]) for name in known for seed in range(seeds)]
    return Results(runs, baselines, {}, "mnist")


def altered(variant: str, alter: Callable[[Result], Result | None]) -> Results:
    """The world with other results of a variant; without it if they are None."""
    found = world()
    runs = [alter(result) if result.run.variant == variant else result for result in found.runs]
    return replace(found, runs=[result for result in runs if result])


def judged(claim: Claim | str, found: Results, recipe: str = "fast") -> Judgement:
    return judge(BY_NAME[claim] if isinstance(claim, str) else claim, found, codecs(), recipe)


of_each_claim = pytest.mark.parametrize("claim", TESTED, ids=lambda claim: claim.name)


@of_each_claim
def test_every_claim_can_hold_and_can_fail(claim):
    held, failed = judged(claim, world()), judged(claim, world(BREAKS[claim.name]))
    assert held.verdict == "holds", f"{[str(check) for check in held.checks]} {held.reason}"
    assert failed.verdict == "does_not_hold", f"{[str(check) for check in failed.checks]} {failed.reason}"
    assert held.numbers
    assert held.num_seeds == 1


@of_each_claim
def test_every_quantity_decides_when_it_crosses_its_limit(claim):
    for index, check in enumerate(judged(claim, world()).checks):
        step = 1e-9 * max(1, abs(check.mean))  # not the next number, which may be taken for 0 after a training
        beyond = check.mean + (step if check.requirement.direction == "at least" else -step)
        for limit, expected in ((check.mean, "holds"), (beyond, "does_not_hold")):
            holds = list(claim.holds)
            holds[index] = replace(check.requirement, limit=limit)
            assert judged(replace(claim, holds=holds), world()).verdict == expected, check


@of_each_claim
def test_a_variant_that_was_not_run_or_has_no_numbers_leaves_a_claim_open_and_is_named(claim):
    for variant in claim.variants:
        absent = judged(claim, altered(variant, lambda _: None))
        assert (absent.verdict, absent.num_seeds, absent.reason) == ("undecided", 0, f"not run under fast: {variant}")
        empty = judged(claim, altered(variant, lambda each: replace(each, metrics={}, curve=pd.DataFrame())))
        assert (empty.verdict, empty.num_seeds) == ("undecided", 1)
        assert f"{variant} has no " in empty.reason
    nothing = judged(claim, world(), "published")
    assert nothing.verdict == "undecided"
    assert nothing.reason == f"not run under published: {', '.join(claim.variants)}"


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("B15", {"baselines": {}}, "no results of pca_2"),
        ("D2", {"codecs": pd.DataFrame()}, "the image format png (single) has not been measured"),
        ("D3", {"codecs": codecs()[:2]}, "the image format jpeg (sheet) has not been measured"),
        ("D4", {"baselines": {}}, "PCA is never as good; more of its qualities would decide"),
    ],
)
def test_what_is_no_variant_may_be_missing_too(name, change, reason):
    found = Results(world().runs, change.get("baselines", BASELINES), {}, "mnist")
    open_ = judge(BY_NAME[name], found, change.get("codecs", codecs()), "fast")
    assert (open_.verdict, open_.reason) == ("undecided", reason)


def test_the_breaks_are_of_all_claims_and_names_have_no_gaps():
    assert list(BREAKS) == [claim.name for claim in TESTED]
    for letter, claims in groupby(CLAIMS, key=lambda claim: claim.source):
        names = [claim.name for claim in claims]
        assert names == [f"{letter}{index}" for index in range(1, len(names) + 1)]
    for claim in CLAIMS:
        assert bool(claim.holds) != bool(claim.decided_by), claim.name
        assert bool(claim.holds) == bool(claim.reasons), claim.name


def test_the_words_follow_from_the_expression():
    quantity = abs((number("a", "test_mse") - baseline("b", "untrained/knn_accuracy")) / (2 - number("a", "test_ssim") / 3))
    assert quantity.words == (
        "absolute value of ((a's test MSE - b's accuracy of nearest neighbours before training) / (2 - (a's SSIM / 3)))"
    )
    assert quantity.variants == ("a",)
    seed = Evidence({}, {"a": {"test_mse": 1.0, "test_ssim": 0.6}, "b": {"untrained": {"knn_accuracy": 4.6}}}, codecs())
    assert quantity.value(seed) == pytest.approx(2)
    assert seed.read == {("a", "test_mse"): 1, ("b", "untrained/knn_accuracy"): 4.6, ("a", "test_ssim"): 0.6}
    assert str(quantity.called("it") <= 1234.5678) == "it: at most 1235"
    with pytest.raises(TypeError, match="neither true nor false: write within"):
        _ = 1 <= quantity <= 2


def test_bounds_are_those_of_the_t_test():
    values = [0.9, 1.1, 1.3, 0.8]
    mean, low, high = verdict.interval(values)
    assert mean == pytest.approx(1.025)
    assert stats.ttest_1samp(values, low, alternative="greater").pvalue == pytest.approx(0.05)
    assert stats.ttest_1samp(values, high, alternative="less").pvalue == pytest.approx(0.05)
    assert verdict.interval([2.0]) == verdict.interval([2.0, 2.0, 2.0]) == (2, 2, 2)


def of_values(values: list[float], limit: Callable[[Any, Any], Any]) -> Judgement:
    runs = [Result(Run("a", "mnist", "fast", seed), {"error": value}, pd.DataFrame()) for seed, value in enumerate(values)]
    return judged(Claim("A1", "", holds=[limit(number("a", "error"), 1)]), Results(runs, {}, {}, "mnist"))


@pytest.mark.parametrize(
    ("values", "least", "most"),
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
def test_a_mean_decides_when_its_spread_allows(values, least, most):
    assert of_values(values, operator.ge).verdict == least
    assert of_values(values, operator.le).verdict == most


def test_a_judgement_says_how_many_seeds_it_rests_on():
    one, many = of_values([2.0], operator.ge), of_values([1.5, 0.9, 1.4], operator.ge)
    assert (one.num_seeds, one.reason) == (1, "one seed, whose spread is not known")
    assert (many.num_seeds, many.reason) == (3, "the 3 seeds do not tell; more would decide")
    assert many.numbers == {"a error": [1.5, 0.9, 1.4]}
    assert many.checks[0].low < 1 < many.checks[0].mean < many.checks[0].high
    assert judged("A23", world()).reason == "counted, not trained: no seed matters"
    assert judged("A24", world(seeds=3)).reason == ""


def test_seeds_are_paired_and_only_common_ones_count():
    found, pair = world(seeds=3), ("cae_baseline", "cae_latent_64")

    def gathered(first: set[int], second: set[int]) -> list[list[int]]:
        seeds = dict(zip(pair, (first, second), strict=True))
        runs = [result for result in found.runs if result.run.seed in seeds.get(result.run.variant, ())]
        evidence = gather(pair, replace(found, runs=runs), codecs(), "fast")
        return [[seed.results[name].run.seed for name in pair] for seed in evidence]

    assert gathered({0, 2}, {0, 1, 2}) == [[0, 0], [2, 2]]
    with pytest.raises(Missing, match="no seed is common to cae_baseline, cae_latent_64"):
        gathered({1}, {0, 2})


def test_seeds_of_which_not_all_was_measured_do_not_count():
    without = [
        replace(
            each, metrics={key: value for key, value in each.metrics.items() if key != "denoising" or not each.run.seed}
        )
        for each in world(seeds=3).runs
    ]
    found = replace(world(), runs=without)
    names = {claim.name for claim in CLAIMS if judged(claim.name, found).num_seeds == 1}
    assert judged("A2", found).num_seeds == 3
    assert names
    for name in names:
        assert judged(name, found).verdict == judged(name, world()).verdict


def test_short_trainings_leave_open_what_happens_later():
    found = world()
    short = replace(found, runs=[replace(each, curve=each.curve[:4]) for each in found.runs])
    for name, epochs in (("A13", 10), ("A27", 11), ("B2", 11), ("E18", 5)):
        open_ = judged(name, short)
        assert open_.verdict == "undecided"
        assert f"was trained for 4 epochs; a recipe with {epochs} would decide" in open_.reason
    assert judged("A29", short).verdict == "holds"


def test_what_is_no_finite_number_leaves_a_claim_open():
    broken = (("cae_latent_64", math.nan), ("cae_latent_64", math.inf), ("cae_baseline", 0.0), ("cae_baseline", None))
    for (variant, value), seeds in product(broken, (1, 3)):
        entries = ledger(world((f"{variant}/test_mse", value), seeds), codecs(), ["fast"], True)
        assert entries[1].judgements["fast"].verdict == "undecided"
        json.dumps(as_json(entries), allow_nan=False)
        assert "\n## A2\n" in write_page(entries, SOURCES)


@pytest.mark.parametrize("nothing", [[], {}, None, [1.0, None], {"0": None}])
def test_a_list_without_its_numbers_leaves_a_claim_open(nothing):
    with pytest.raises(Missing, match="pca_8 has no numbers kl"):
        Evidence({}, {"pca_8": {"kl": nothing}}, codecs()).numbers("pca_8", "kl")


def of_curve(**columns: list[float]) -> Evidence:
    return Evidence({"a": Result(Run("a", "mnist", "fast", 0), {}, pd.DataFrame(columns))}, {}, codecs())


def test_quantities_of_curves():
    seed = of_curve(train_loss=[1.0, 0.5, 0.6, 0.2], validation_loss=[2.0, 1.0, 1.5, 1.2])
    assert quantities.fall_share("a", "train_loss", 2).value(seed) == pytest.approx(0.625)
    with pytest.raises(Missing, match="a was trained for 4 epochs; a recipe with 5 would decide"):
        quantities.fall_share("a", "train_loss", 4).value(seed)
    assert quantities.largest_rise("a", "train_loss").value(seed) == pytest.approx(0.2)
    assert quantities.detour("a", 4).value(seed) == pytest.approx(1.8 / 0.8)
    assert quantities.first("a", "validation_loss").value(seed) == 2
    assert quantities.last("a", "validation_loss").value(seed) == 1.2
    assert quantities.last_over_best("a", "validation_loss").value(seed) == pytest.approx(1.2)
    assert quantities.generalisation_gap("a").value(seed) == pytest.approx(6)
    variational = of_curve(train_loss=[1.0], validation_loss=[9.0], train_bce_sum=[2.0], validation_bce_sum=[3.0])
    assert quantities.generalisation_gap("a").value(variational) == 1.5


def test_quantities_of_metrics():
    noisy = {"denoising": {"0.2": {"mse": 0.028, "mse_in": 0.02}}, "test_mse": 0.018}
    near = {"latent_space": {"nearest_classes": {"4": [9, 7]}}}
    better = {"test_mse": 0.018, "latent_dim": 3}
    seed = Evidence({}, {"a": noisy | near | {"latent_dim": 4}, "b": better, "c": better | {"latent_dim": 5}}, codecs())
    assert quantities.noise_let_through("a").value(seed) == pytest.approx(0.5)
    assert quantities.rank("a", 4, 7).value(seed) == 2
    with pytest.raises(Missing, match="a has no codes of the digits 4 and 1"):
        quantities.rank("a", 4, 1).value(seed)
    assert quantities.num_as_good("a", ["b", "c"], ["test_mse", "latent_dim"]).value(seed) == 1
    for precision, recall, score in ((1, 0, 0), (0, 0, 0), (0.5, 0.5, 0.5), (1, 0.5, 2 / 3)):
        samples = {"generation": {"mixture": {"precision": precision, "recall": recall}}}
        of = Evidence({}, {"a": samples}, codecs())
        assert quantities.sample_score("a", "mixture").value(of) == pytest.approx(score)


def test_bytes_are_compared_at_a_quality_that_is_at_least_as_good():
    others = [(10.0, 20.0), (5.0, 21.0), (30.0, 40.0)]
    assert quantities.least_ratio([(4.0, 20.0), (15.0, 39.0), (90.0, 99.0)], others) == 0.5
    assert quantities.least_ratio([(4.0, 20.0)], others) == 0.8
    assert quantities.least_ratio([(4.0, 99.0)], others) is None
    kept = {"2": {"psnr": 20.0, "bytes_alone": 1.0}, "10": {"psnr": 25.0, "bytes_alone": 3.0}}
    kept["8"] = {"psnr": 24.5, "bytes_alone": 2.0}
    seed = Evidence({}, {"a": {"test_psnr": 25.0, "compression": kept}}, codecs())
    for loss, size in ((0.4, 3), (0.5, 2), (5, 1)):
        assert quantities.bytes_over_png("a", "bytes_alone", "single", loss).value(seed) == pytest.approx(size / 280)
    with pytest.raises(Missing, match="no number of bits keeps the quality"):
        quantities.bytes_over_png("a", "bytes_alone", "single", -1).value(seed)


def both_recipes() -> Results:
    """C1 changes with the recipe; three seeds of one and one of the other."""
    fast, published = world(seeds=3), world(("conv_ae/test_ssim", 0.9), recipe="published")
    return Results(fast.runs + published.runs, fast.baselines, {}, "mnist")


def test_a_verdict_that_changes_with_the_recipe_is_a_finding():
    entries = ledger(both_recipes(), codecs(), ["fast", "published"], True)
    assert [entry.claim.name for entry in entries if entry.changes_with_recipe] == ["C1"]
    finding = write_page(entries, SOURCES).split("## Findings")[1].split("## Verdicts")[0]
    assert "[C1](#c1)" in finding
    assert "It holds under `fast` (conv_ae's SSIM = 0.96, asked: at least 0.95), and it does not hold" in finding
    alike = ledger(world(seeds=2), codecs(), ["fast", "published"], True)
    assert not any(entry.changes_with_recipe for entry in alike)
    assert "## Findings" not in write_page(alike, SOURCES)


def test_the_ledger_is_complete_sorted_plain_and_the_same_every_time():
    listed, again = (as_json(ledger(both_recipes(), codecs(), ["fast", "published"], True)) for _ in range(2))
    assert json.dumps(listed, allow_nan=False) == json.dumps(again)
    assert [claim["id"] for claim in listed] == [claim.name for claim in CLAIMS]
    second = listed[1]
    assert second["test"] == ["test MSE, cae_latent_64 over cae_baseline: at least 0.9"]
    assert second["variants"] == ["cae_latent_64", "cae_baseline"]
    for recipe, num_seeds, sd in (("fast", 3, 0), ("published", 1, None)):
        assert second["verdicts"][recipe]["num_seeds"] == num_seeds
        assert second["verdicts"][recipe]["numbers"]["cae_baseline test_mse"] == {"mean": 0.005, "sd": sd}
    assert second["verdicts"]["fast"]["checks"] == [
        {"quantity": "test MSE, cae_latent_64 over cae_baseline", "asked": "at least", "limit": 0.9, "verdict": "holds"}
        | dict.fromkeys(("mean", "low", "high"), 0.94)
    ]
    open_ = next(claim for claim in listed if claim["id"] == "B18")["verdicts"]["fast"]
    assert open_["verdict"] == "undecided"
    assert "what would decide" in open_["reason"]


def test_the_page_has_a_row_and_a_section_of_each_claim():
    entries = ledger(both_recipes(), codecs(), ["fast", "published"], True)
    page = write_page(entries, SOURCES)
    assert page == write_page(entries, SOURCES)
    assert page.startswith("# The claims of the five sources, and of papers\n")
    for table in (block for block in page.split("\n\n") if block.startswith("|")):
        assert len({line.count("|") for line in table.strip().split("\n")}) == 1, table
    assert sum(line.startswith("| [") for line in page.splitlines()) == len(CLAIMS)
    assert all(f"\n## {claim.name}\n" in page for claim in CLAIMS)
    assert "| conv_ae's SSIM | at least 0.95 | 0.96 ✓ | 0.9 ✗ |" in page
    assert "| A: first | 30 | 30 / 0 / 0 / 0 | 30 / 0 / 0 / 0 |" in page
    assert "{" not in page


def test_the_stage_writes_both_files_even_of_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (paths.PARAMS, paths.ANALYSES_PARAMS):
        path.parent.mkdir(exist_ok=True)
        path.write_text((ROOT / path).read_text(encoding="utf-8"), encoding="utf-8")
    stage.main("mnist")
    files = paths.reports("mnist", "analyses")
    listed = json.loads(files.claims.read_text(encoding="utf-8"))
    assert {verdict["verdict"] for claim in listed for verdict in claim["verdicts"].values()} == {"undecided"}
    assert set(listed[0]["verdicts"]) == set(PROJECT.recipes)
    assert "not run" in files.claims_page.read_text(encoding="utf-8")


def test_claims_that_speak_of_digits_are_judged_on_digits_only():
    elsewhere = {entry.claim.name: entry.judgements["fast"] for entry in ledger(world(), codecs(), ["fast"], False)}
    here = {entry.claim.name: entry.judgements["fast"] for entry in ledger(world(), codecs(), ["fast"], True)}
    assert here["E11"].verdict == "holds"
    of_digits = {claim.name for claim in CLAIMS if "digit" in claim.statement}
    not_applying = {name for name, judgement in elsewhere.items() if judgement.verdict == "does_not_apply"}
    assert len(not_applying) > 10
    assert not_applying <= of_digits
    assert {name for name in here if elsewhere[name] != here[name]} == not_applying
    page = write_page(ledger(world(), codecs(), ["fast"], False), SOURCES)
    row = next(line for line in page.splitlines() if line.startswith("| [E11](#e11)"))
    assert "| does not apply |" in row
    assert "**does not apply**, it speaks of digits, which these images are not" in page


def test_data_sets_are_judged_side_by_side():
    worse = world(BREAKS["A1"])
    entries = {"mnist": ledger(world(), codecs(), ["fast"], True), "mine": ledger(worse, codecs(), ["fast"], False)}
    text = side_by_side(entries, "fast")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(CLAIMS)
    marks = {row[0].split(":")[0].removeprefix("| "): (row[1], row[2].removesuffix(" |")) for row in rows}
    assert marks["E11"] == ("✓", "-")
    assert marks["A1"] == ("✓", "✗")
    different = sum(each in [("✓", "✗"), ("✗", "✓")] for each in marks.values())
    decided = sum(not {"?", "-"} & {*each} for each in marks.values())
    said = f"Of the {decided} claims that are decided on all of mnist, mine, {decided - different} have one verdict."
    assert said in text
