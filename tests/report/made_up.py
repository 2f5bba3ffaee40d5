"""Made-up results of variants and baselines, and the tables that are made of them."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from conftest import PROJECT
from latentlab.comparison import tables
from latentlab.comparison.results import Metrics, Result, Results
from latentlab.evaluation.geometry import FACTORS
from latentlab.paths import Run
from latentlab.report.content import Content
from latentlab.report.figures import style

VARIANTS, BASELINES = ["mlp_8", "vae_2", "cae_baseline"], ["pca_8", "raw_pixels"]
SIGMAS, BITS, LABELS = (0.1, 0.2, 0.5), (2, 4, 8), (10, 100)


def named(*keys: Sequence[object]) -> list[str]:
    """Names of numbers, as the keys that lead to them."""
    return ["/".join(map(str, each)) for each in product(*keys)]


SAMPLES = ("precision", "recall", "frechet_distance", "nearest_cosine", "classifier/frechet_distance")
WAYS = (("linear",), ("equal_classes", "different_classes"), ("step_ratio", "midpoint_distance", "crossfade_distance"))
SCORES = ("reconstruction", "code_neighbours", "code_mahalanobis", "activations_sap", "activations_nap")
NAMES = {
    "denoising": named(SIGMAS, ("psnr_in", "psnr", "gain_db")),
    "interpolation": [*named(*WAYS), "real_distance"],
    "latent_space": ["knn10_accuracy"],
    "generation": [
        *named(("reconstruction", "standard_normal", "mixture", "interpolation"), SAMPLES),
        *named(("real_frechet_distance", "real_classifier_frechet_distance", "real_cosine")),
    ],
    "compression": named(BITS, ("bytes_alone", "bytes_amortised_with_tables", "psnr")),
    "checkerboard": ["energy_ratio", "block_ratio", "real_block_ratio"],
    "few_labels": named(("knn", "logistic", "svm_rbf"), LABELS, ("mean", "std")),
    "untrained": ["svm_linear_accuracy", "knn_accuracy", "logistic_accuracy"],
    "geometry": [
        *named(("neighbours_kept", "distance_correlation", "untrained/neighbours_kept", "untrained/distance_correlation")),
        *named(("intrinsic_dimension",), ("images", "codes"), ("two_nn", "mle")),
        *named(("factors",), (*FACTORS, "mean")),
    ],
    "anomalies": [
        *named(("other", "noise"), SCORES, ("auroc", "average_precision", "false_positives_at_95_recall")),
        *named(("mean", "untrained/other", "untrained/noise", "untrained/mean"), SCORES, ("auroc",)),
    ],
    "likelihood": [
        *named(("elbo", "gap", "nll"), ("mean", "standard_error")),
        *named(("num_images", "num_samples", "bits_back/bits_per_pixel_with_table")),
    ],
}
SETTINGS: dict[str, dict[str, Any]] = {
    "denoising": {"sigmas": list(SIGMAS)},
    "generation": {"grid_extent": 3.0},
    "latent_space": {"num_small": 20, "num_large": 50},
    "few_labels": {"label_counts": list(LABELS)},
    "geometry": {"neighbours": 10},
    "anomalies": {"num_images": 40, "num_fitted": 90, "neighbours": 7},
}


def core(name: str, seed: int) -> Metrics:
    """As a run's metrics.json and probes.json; the published figures are met, with ten percent to spare."""
    published, position = PROJECT.published.get(name), list(PROJECT.variants).index(name)
    mse = published.test_mse if published and published.test_mse else 0.01 + position / 1000
    accuracies = {"svm_rbf_accuracy": 0.98, "svm_linear_accuracy": 0.9, "knn_accuracy": 0.95, "logistic_accuracy": 0.8}
    return {
        "device": "cpu",
        "latent_dim": 2 if name.endswith("_2") else 32,
        "num_parameters": {"total": 3},
        "num_macs": {"total": 30},
        "test_mse": 0.9 * mse * (1 + 0.01 * seed),
        "test_bce": published.test_bce if published and published.test_bce else 0.2,
        "test_ssim": 0.5 + position / 1000,
        **accuracies,
    }


def curve() -> pd.DataFrame:
    epochs = np.array([1, 2, 3])
    losses = {"train_loss": 1 / epochs, "validation_loss": 1.1 / epochs, "validation_mse": 0.1 / epochs}
    return pd.DataFrame({"epoch": epochs} | losses)


def runs(variants: Sequence[str] = tuple(PROJECT.variants), seeds: Sequence[int] = (0, 1)) -> Results:
    """Results without analyses, of PCA too."""
    recipe = PROJECT.run.recipes[0]
    made = [Result(Run(name, "mnist", recipe, seed), core(name, seed), curve()) for name in variants for seed in seeds]
    pca = {
        name: {"latent_dim": each.num_components, "test_mse": 0.06 / each.num_components**0.5, "svm_rbf_accuracy": 0.97}
        for name, each in PROJECT.baselines.items()
    }
    return Results(made, pca | {"raw_pixels": {"latent_dim": 784, "svm_rbf_accuracy": 0.985}}, {}, "mnist")


def png(figure: Figure, folder: Path) -> bytes:
    """The file of a figure."""
    style.save(figure, folder / "figure.png")
    return (folder / "figure.png").read_bytes()


def of_core(results: Results) -> Content:
    return Content(PROJECT, "mnist", tables.leaderboard(PROJECT, results), results.shown(PROJECT))


def table(analysis: str, names: Sequence[str], *, spread: bool) -> pd.DataFrame:
    """As the tables stage of the analyses makes it, with random numbers."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {"variant": name, "recipe": None if name in BASELINES else PROJECT.run.recipes[0], "name": number}
            | {"num_seeds": 3, "mean": random.uniform(1.1, 2), "sd": 0.1 if spread else np.nan}
            for name, number in product(names, NAMES[analysis])
        ]
    )


def codecs() -> pd.DataFrame:
    """As the codecs stage makes it: formats without loss have no quality, and a PSNR that stands for infinity."""
    lossy = [
        {"codec": codec, "quality": quality, "layout": layout, "bytes_per_image": 10 * quality, "psnr": quality / 10}
        for codec, layout, quality in product(("jpeg", "webp"), ("single", "sheet"), (40, 20, 60, 900))
    ]
    lossless = [
        {"codec": codec, "quality": np.nan, "layout": layout, "bytes_per_image": size, "psnr": 120.0}
        for (codec, size), layout in product((("png", 250), ("webp_lossless", 200)), ("single", "sheet"))
    ]
    packed = {"codec": "gzip", "quality": np.nan, "layout": "sheet", "bytes_per_image": 220, "psnr": 120.0}
    return pd.DataFrame([*lossy, *lossless, packed])


def of_analyses(names: Sequence[str] = (*VARIANTS, *BASELINES), *, spread: bool = True, **changed: pd.DataFrame) -> Content:
    """All analyses of these variants and baselines, but for the tables given."""
    found = runs([name for name in names if name in PROJECT.variants])
    made = {analysis: table(analysis, names, spread=spread) for analysis in NAMES}
    leaderboard, shown = tables.leaderboard(PROJECT, found), found.shown(PROJECT)
    return Content(PROJECT, "mnist", leaderboard, shown, made | changed, SETTINGS, codecs())
