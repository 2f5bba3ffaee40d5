"""The sections of both reports: the core's, then one for each analysis. A new figure or section is an entry here.

For an analysis that gives one number `bars` draws it, and `between` says it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from latentlab.params.project import Params
from latentlab.report import findings
from latentlab.report.content import Content
from latentlab.report.figures import analyses, core, galleries
from latentlab.report.figures.core import bars, scatter
from latentlab.report.figures.galleries import Draw, of_arrays
from latentlab.report.figures.pictures import mosaics, spectra, strips
from latentlab.report.findings import Sentence, between
from latentlab.training.plan import RAW_PIXELS


@dataclass(frozen=True)
class Section:
    """A part of a report.

    `figures` by name, in the order shown: each is a function that draws, or gives None where there is nothing to show.
    `sentence` says what the numbers say; without one the section is left out. `analysis` is None for the core.
    """

    title: str
    figures: Mapping[str, Draw]
    sentence: Sentence
    analysis: str | None = None


# what follows a variant's name, by the name of an array
SAMPLES = {"samples_standard_normal": ", normal", "samples_mixture": ", mixture"}
WAYS = {"interpolation_linear": "", "interpolation_spherical": ", on the arc"}
PIXELS = "on the raw pixels", RAW_PIXELS

# fmt: off
SECTIONS = [
    Section("Error against latent dimension", {
        "error_against_latent_dim": scatter("latent_dim", "test_mse", "How small can the code be, and what does it cost?"),
        "error_against_parameters": scatter("num_parameters", "test_mse", "Error against parameters"),
        "parameters": bars("num_parameters", "How many parameters", "parameters (logarithmic)", "{:,.0f}", "log"),
        "published": bars("mse_ratio", "Against the published figures", "test MSE over the published", "{:.2f}", line=1),
    }, findings.latent_dim),
    Section("Learning curves and reconstructions", {
        "losses": core.losses,
        "reconstructions": core.reconstructions,
    }, between("Structural similarity (SSIM) of test images and reconstructions", "test_ssim")),
    Section("Probes", {
        "accuracy_against_latent_dim": scatter("latent_dim", "svm_rbf_error", "What the code knows about the digit"),
        "probes": core.probes,
    }, between("Test accuracy of the RBF probe", "svm_rbf_accuracy", "{:.2%}", (*PIXELS, "svm_rbf_accuracy"))),
    Section("Denoising", {
        "denoising": analyses.denoising,
        "denoising_pictures": galleries.denoising,
    }, findings.denoising, "denoising"),
    Section("Interpolation", {
        "interpolation": of_arrays(strips, "From one test image to another, both at the ends", "interpolation", WAYS),
        "interpolation_numbers": analyses.interpolation,
    }, findings.interpolation, "interpolation"),
    Section("Latent space", {
        "codes_in_two_dimensions": galleries.codes,
        "tsne_small": galleries.tsne("num_small"),
        "tsne_large": galleries.tsne("num_large"),
        "centroids": galleries.centroids,
    }, between("Share of codes whose ten neighbours agree with the digit", "latent_space/knn10_accuracy", "{:.1%}"),
        "latent_space"),
    Section("Generation", {
        "samples": of_arrays(mosaics, "Decoded samples", "generation", SAMPLES, "ae_vs_vae", "equal_layers"),
        "grids": galleries.grids,
        "generation": analyses.generation,
        "kl": analyses.kl,
        "stochastic": of_arrays(strips, "An image, and decoded samples of its posterior", "generation", {"stochastic": ""}),
    }, findings.generation, "generation"),
    Section("Rate and distortion", {"rate_distortion": analyses.rate_distortion}, findings.compression, "compression"),
    Section("Checkerboards", {
        "checkerboard": analyses.checkerboard,
        "spectra": of_arrays(spectra, "Power spectrum of the residual", "checkerboard", {"spectrum": ""}, "upsampling"),
    }, between("Steps between pixels at the edges of 2x2 blocks over those inside", "checkerboard/block_ratio",
               beside=("real images have", "", "checkerboard/real_block_ratio")), "checkerboard"),
    Section("Few labels", {"few_labels": analyses.few_labels}, findings.few_labels, "few_labels"),
    Section("Untrained encoders and raw pixels", {"untrained": partial(core.probes, untrained=True)},
            between("Test accuracy of nearest neighbours, encoders untrained", "untrained/knn_accuracy", "{:.1%}",
                    (*PIXELS, "knn_accuracy")), "untrained"),
]
# fmt: on


def of_core(project: Params) -> list[Section]:
    """Those of the core, and one for each comparison of params.yaml."""
    made = [section for section in SECTIONS if section.analysis is None]
    for key, comparison in project.comparisons.items():
        losses, images = (partial(draw, comparison=comparison) for draw in (core.losses, core.reconstructions))
        figures = {f"loss_{key}": losses, f"reconstructions_{key}": images}
        made.append(Section(comparison.title, figures, findings.compared(comparison)))
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
