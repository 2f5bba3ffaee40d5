"""Stage `plot`: the figures, into reports/figures."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from latentlab import layout, results, stages
from latentlab.figures import analyses, pictures, style
from latentlab.figures import study as whole
from latentlab.params import Params
from latentlab.results import Results

Arrays = dict[str, dict[str, np.ndarray]]
Figures = Iterator[tuple[str, Figure]]

PROBES = {
    "svm_rbf_accuracy": "SVM, RBF kernel",
    "svm_linear_accuracy": "SVM, linear",
    "knn_accuracy": "nearest neighbours",
    "logistic_accuracy": "logistic regression",
    "untrained_svm_linear_accuracy": "untrained encoder, SVM, linear",
    "untrained_knn_accuracy": "untrained encoder, nearest neighbours",
    "untrained_logistic_accuracy": "untrained encoder, logistic regression",
}


def main() -> None:
    """Draws every figure of the study; what is one run of a row is the first seed of the first recipe."""
    study = stages.read_params()
    found = results.read(study)
    recipe = study.recipes[0]
    images = {name: dict(np.load(result.run.images)) for name, result in found.shown(study).items()}
    embeddings = {name: dict(np.load(result.run.embedding)) for name, result in found.shown(study).items()}
    for draw in (
        whole_study(study, recipe, images),
        from_tables(study, found, recipe),
        from_images(study, images),
        from_codes(study, found, embeddings),
    ):
        for name, figure in draw:
            style.save(figure, layout.FIGURES / f"{name}.png")


def whole_study(study: Params, recipe: str, images: Arrays) -> Figures:
    """Errors, costs, curves and reconstructions."""
    curves = pd.read_csv(layout.CURVES)
    table = pd.read_csv(layout.LEADERBOARD)
    table = table[(table["recipe"] == recipe) | (table["source"] == "baseline")]
    reconstructions = {name: arrays["reconstructions"] for name, arrays in images.items()}
    yield "error_against_code_size", whole.error_against_code_size(study, table)
    yield "error_against_parameters", whole.error_against_parameters(study, table)
    yield "accuracy_against_code_size", whole.accuracy_against_code_size(study, table)
    yield "parameters", whole.parameter_bars(study, table)
    yield "published", whole.published_bars(study, table)
    yield "reconstructions", whole.reconstructions(reconstructions, "One test image of each digit, all rows")
    for key, experiment in study.experiments.items():
        chosen = {name: reconstructions[name] for name in experiment.rows if name in reconstructions}
        if chosen:
            yield f"loss_{key}", whole.loss_curves(study, key, curves)
            yield f"reconstructions_{key}", whole.reconstructions(chosen, experiment.title)


def from_tables(study: Params, found: Results, recipe: str) -> Figures:
    """Curves and bars of the analyses."""
    tables = {path.stem: _of_recipe(pd.read_csv(path), recipe) for path in layout.ANALYSES.glob("*.csv")}
    pca = [name for name, baseline in study.baselines.items() if baseline.num_components]
    compared = _some(study, ["denoising", "ae_vs_vae"])
    near = [name for name in pca if study.baselines[name].num_components in (8, 32)]
    yield "denoising", analyses.denoising_curves(study, tables["denoising"], compared, [*near, layout.CLASSICAL])
    yield "interpolation_numbers", analyses.interpolation_bars(study, tables["interpolation"])
    yield "generation", analyses.generation_bars(study, tables["generation"])
    divergences = {
        name: result.metrics["generation"]["kl_per_dimension"]
        for name, result in found.shown(study).items()
        if "kl_per_dimension" in result.metrics["generation"]
    }
    if divergences:
        yield "kl", analyses.kl_per_dimension(study, divergences)
    stored = _some(study, ["latent_size", "upsampling", "ae_vs_vae"])
    sizes = [name for name in pca if study.baselines[name].num_components in (8, 32, 64)]
    yield (
        "rate_distortion",
        analyses.rate_distortion(study, tables["compression"], pd.read_csv(layout.CODECS), stored, sizes),
    )
    yield "checkerboard", analyses.checkerboard_bars(study, tables["checkerboard"])
    labels = _some(study, ["latent_size", "ae_vs_vae", "architectures"])
    beside = [name for name in study.baselines if study.baselines[name].num_components in (32, None)]
    yield "few_labels", analyses.few_label_curves(study, tables["few_labels"], labels, beside)
    yield "probes", analyses.probe_dots(study, _accuracies(study, found, recipe), PROBES)


def from_images(study: Params, images: Arrays) -> Figures:
    """Strips and mosaics."""
    sigmas = study.analyses.denoising.sigmas
    middle = sigmas.index(0.2) if 0.2 in sigmas else len(sigmas) // 2
    chosen = [name for name in _some(study, ["denoising", "ae_vs_vae"]) if name in images]
    if chosen:
        noisy = {f"sigma {sigmas[middle]:g}": images[chosen[0]]["denoising"][middle, 0]}
        rows = noisy | {name: images[name]["denoising"][middle, 1] for name in chosen}
        yield "denoising_pictures", pictures.strips(rows, "Noisy images, and what the rows make of them")
    ways: dict[str, np.ndarray] = {}
    samples: dict[str, np.ndarray] = {}
    for name, arrays in images.items():
        ways[name] = arrays["interpolation_linear"]
        if "interpolation_spherical" in arrays:
            ways[f"{name}, on the arc"] = arrays["interpolation_spherical"]
    for name in _some(study, ["ae_vs_vae", "equal_code"]):
        for kind, label in (("standard_normal", "normal"), ("mixture", "mixture")):
            if name in images and f"samples_{kind}" in images[name]:
                samples[f"{name}, {label}"] = images[name][f"samples_{kind}"]
    yield "interpolation", pictures.strips(ways, "From one test image to another, the images themselves at both ends")
    if samples:
        strips = {name: array[:10] for name, array in samples.items()}
        yield (
            "samples",
            pictures.strips(strips, "Decoded samples of the standard normal, and of a mixture fitted to the codes"),
        )
        yield "samples_100", pictures.mosaics(samples, "A hundred samples each")
    grids = {name: arrays["grid"] for name, arrays in images.items() if "grid" in arrays}
    if grids:
        extent = study.analyses.generation.grid_extent
        yield "grids", pictures.mosaics(grids, "What codes of two numbers decode to", extent)
    stochastic = {name: arrays["stochastic"] for name, arrays in images.items() if "stochastic" in arrays}
    if stochastic:
        yield "stochastic", pictures.strips(stochastic, "An image, and its reconstructions from samples of the posterior")
    power = {name: images[name]["spectrum"] for name in _some(study, ["upsampling"]) if name in images}
    if power:
        yield "spectra", pictures.spectra(power, "Power spectrum of the residual")


def from_codes(study: Params, found: Results, embeddings: Arrays) -> Figures:
    """Maps of codes and of their embeddings."""
    flat = {name: (arrays["codes"], arrays["digits"]) for name, arrays in embeddings.items() if "codes" in arrays}
    if flat:
        yield "codes_in_two_dimensions", pictures.maps(flat, "Codes of two numbers", study.analyses.generation.grid_extent)
    asked = study.analyses.latent_space
    compared = _some(study, ["ae_vs_vae", "architectures"])
    chosen = {name: embeddings[name] for name in (*compared, "cae_baseline") if name in embeddings}
    for count in (asked.num_small, asked.num_large):
        points = {name: (arrays[f"tsne_{count}"], arrays[f"digits_{count}"]) for name, arrays in chosen.items()}
        if points:
            yield f"tsne_{count}", pictures.maps(points, f"t-SNE of {count:,} test codes")
    shown = found.shown(study)
    tables: dict[str, Any] = {
        name: shown[name].metrics["latent_space"]["centroid_distances"]
        for name in _some(study, ["ae_vs_vae", "equal_code", "architectures"])
        if name in shown
    }
    if tables:
        yield "centroids", pictures.distance_tables(tables, "Distances between the centres of the digits")


def _some(study: Params, experiments: list[str]) -> list[str]:
    """The rows of those experiments, each once; all rows where params.yaml has none of them."""
    rows = [name for key in experiments if key in study.experiments for name in study.experiments[key].rows]
    return list(dict.fromkeys(rows)) or list(study.variants)


def _of_recipe(table: pd.DataFrame, recipe: str) -> pd.DataFrame:
    return table[table["recipe"].fillna("").isin([recipe, ""])]


def _accuracies(study: Params, found: Results, recipe: str) -> pd.DataFrame:
    """One line per row and baseline with the mean accuracy of every probe, also of the untrained encoder."""
    lines = []
    replicates = {name: [result.metrics for result in found.of(name, recipe)] for name in study.variants}
    replicates |= {name: [metrics] for name, metrics in found.baselines.items() if "svm_rbf_accuracy" in metrics}
    for name, each in replicates.items():
        if each:
            flat = [
                metrics | {f"untrained_{key}": value for key, value in metrics.get("untrained", {}).items()}
                for metrics in each
            ]
            values = {column: np.mean([metrics.get(column, np.nan) for metrics in flat]) for column in PROBES}
            lines.append({"row": name} | values)
    return pd.DataFrame(lines)


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
