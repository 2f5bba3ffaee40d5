"""The sections of both reports: the core's, then one for each analysis. A new figure or section is an entry here.

For an analysis that gives one number `bars` draws it, and `between` says it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure

from latentlab.params.project import Params
from latentlab.report import findings
from latentlab.report.content import Content
from latentlab.report.figures import analyses, charts, core, galleries
from latentlab.report.figures.core import bars, scatter
from latentlab.report.figures.galleries import of_arrays
from latentlab.report.figures.pictures import mosaics, spectra, strips
from latentlab.report.findings import between
from latentlab.training.plan import RAW_PIXELS


@dataclass(frozen=True)
class Section:
    """A part of a report.

    `figures` by name, in the order shown: each is a function that draws, or gives None where there is nothing to show.
    `sentence` says what the numbers say; without one the section is left out. `table`, if there is one, stands below the
    first figure. `charts` are for a browser, each in the place of the figure of its name. `analysis` is None for the core.
    """

    title: str
    figures: Mapping[str, Callable[[Content], Figure | None]]
    sentence: Callable[[Content], str | None]
    analysis: str | None = None
    table: Callable[[Content], pd.DataFrame] | None = None
    charts: Mapping[str, Callable[[Content], go.Figure | None]] = field(default_factory=dict)


PIXELS = "on the raw pixels", RAW_PIXELS

# fmt: off
SECTIONS = [
    Section("Error against latent dimension", {
        "error_against_latent_dim": partial(
            scatter, x="latent_dim", y="test_mse", title="How small can the code be, and what does it cost?"),
        "error_against_parameters": partial(scatter, x="num_parameters", y="test_mse", title="Error against parameters"),
        "parameters": partial(
            bars, path="num_parameters", title="How many parameters", unit="parameters (logarithmic)", form="{:,.0f}",
            scale="log"),
        "published": partial(
            bars, path="mse_ratio", title="Against the published figures", unit="test MSE over the published",
            form="{:.2f}", line=1),
    }, findings.how_small, table=findings.best_codes, charts={
        "error_against_latent_dim": partial(
            charts.scatter, x="latent_dim", y="test_mse", title="How small can the code be, and what does it cost?"),
        "error_against_parameters": partial(
            charts.scatter, x="num_parameters", y="test_mse", title="Error against parameters"),
    }),
    Section("Learning curves and reconstructions", {
        "losses": core.losses,
        "reconstructions": core.reconstructions,
    }, partial(between, words="Structural similarity (SSIM) of test images and reconstructions", path="test_ssim"),
        charts={"losses": charts.losses}),
    Section("Probes", {
        "accuracy_against_latent_dim": partial(
            scatter, x="latent_dim", y="svm_rbf_error", title="What the code knows about the class"),
        "probes": core.probes,
    }, partial(
        between, words="Test accuracy of the RBF probe", path="svm_rbf_accuracy", form="{:.2%}",
        beside=(*PIXELS, "svm_rbf_accuracy")), charts={"probes": charts.probes}),
    Section("Denoising", {
        "denoising": analyses.denoising,
        "denoising_pictures": galleries.denoising,
    }, findings.denoising, "denoising"),
    Section("Interpolation", {
        "interpolation": partial(
            of_arrays, draw=strips, title="From one test image to another, both at the ends", analysis="interpolation",
            labels={"interpolation_linear": "", "interpolation_spherical": ", on the arc"}),
        "interpolation_numbers": analyses.interpolation,
    }, findings.interpolation, "interpolation"),
    Section("Latent space", {
        "codes_in_two_dimensions": galleries.codes,
        "tsne_small": partial(galleries.tsne, size="num_small"),
        "tsne_large": partial(galleries.tsne, size="num_large"),
        "centroids": galleries.centroids,
    }, partial(
        between, words="Share of codes whose ten neighbours agree with the class", path="latent_space/knn10_accuracy",
        form="{:.1%}"), "latent_space"),
    Section("Generation", {
        "samples": partial(
            of_arrays, draw=mosaics, title="Decoded samples", analysis="generation",
            labels={"samples_standard_normal": ", normal", "samples_mixture": ", mixture"},
            comparisons=("ae_vs_vae", "equal_layers")),
        "grids": galleries.grids,
        "samples_compared": analyses.samples_compared,
        "generation": analyses.generation,
        "kl": analyses.kl,
        "stochastic": partial(
            of_arrays, draw=strips, title="An image, and decoded samples of its posterior", analysis="generation",
            labels={"stochastic": ""}),
    }, findings.generation, "generation"),
    Section("Rate and distortion", {"rate_distortion": analyses.rate_distortion}, findings.compression, "compression",
        charts={"rate_distortion": charts.rate_distortion}),
    Section("Checkerboards", {
        "checkerboard": analyses.checkerboard,
        "spectra": partial(
            of_arrays, draw=spectra, title="Power spectrum of the residual", analysis="checkerboard",
            labels={"spectrum": ""}, comparisons=("upsampling",)),
    }, partial(
        between, words="Steps between pixels at the edges of 2x2 blocks over those inside", path="checkerboard/block_ratio",
        beside=("real images have", "", "checkerboard/real_block_ratio")), "checkerboard"),
    Section("Few labels", {"few_labels": analyses.few_labels}, findings.few_labels, "few_labels"),
    Section("Untrained encoders and raw pixels", {
        "untrained": partial(core.probes, untrained=True),
    }, partial(
        between, words="Test accuracy of nearest neighbours, encoders untrained", path="untrained/knn_accuracy",
        form="{:.1%}", beside=(*PIXELS, "knn_accuracy")), "untrained"),
    Section("Geometry of the codes", {
        "neighbours_kept": analyses.neighbours_kept,
        "shape_factors": analyses.shape_factors,
    }, findings.geometry, "geometry"),
    Section("Anomalies", {"anomalies": analyses.anomalies}, findings.anomalies, "anomalies"),
    Section("Likelihood and lossless coding", {"likelihood": analyses.likelihood}, findings.likelihood, "likelihood"),
]
# fmt: on


def of_core(project: Params) -> list[Section]:
    """Those of the core, and one for each comparison of params.yaml."""
    made = [section for section in SECTIONS if section.analysis is None]
    for key, comparison in project.comparisons.items():
        losses, images = (partial(draw, comparison=comparison) for draw in (core.losses, core.reconstructions))
        figures = {f"loss_{key}": losses, f"reconstructions_{key}": images}
        made.append(Section(comparison.title, figures, partial(findings.compared, comparison=comparison)))
    return made


def of_analyses() -> list[Section]:
    """One for each analysis."""
    return [section for section in SECTIONS if section.analysis]


def with_content(sections: list[Section], content: Content) -> list[tuple[Section, str]]:
    """The sections that have something to say, with their sentences."""
    made = [section for section in sections if section.analysis is None or content.measured(section.analysis)]
    return [(section, sentence) for section in made if (sentence := section.sentence(content))]


def drawn(sections: list[Section], content: Content) -> Iterator[tuple[str, Figure]]:
    """The figures of these sections, with their names."""
    for section, _ in with_content(sections, content):
        for name, draw in section.figures.items():
            if (figure := draw(content)) is not None:
                yield name, figure


def charted(sections: list[Section], content: Content) -> Iterator[tuple[str, go.Figure]]:
    """The figures for a browser of these sections, with their names."""
    for section, _ in with_content(sections, content):
        for name, draw in section.charts.items():
            if (figure := draw(content)) is not None:
                yield name, figure
