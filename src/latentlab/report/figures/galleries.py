"""Which images and codes are shown? Pictures made of the arrays that the analyses have left; None where there are none."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from latentlab.report.content import Content
from latentlab.report.figures import pictures


def of_arrays(
    content: Content,
    draw: Callable[[dict[str, np.ndarray], str], Figure | None],
    title: str,
    analysis: str,
    labels: Mapping[str, str],
    comparisons: Sequence[str] = (),
) -> Figure | None:
    """What a function of `pictures` makes of arrays.

    `labels` has, by the name of an array, what follows the variant's name. Of many variants those of the comparisons are
    shown; all of them where no comparison is given.
    """
    arrays = content.arrays(analysis, *comparisons)
    found = {name + label: each[key] for name, each in arrays.items() for key, label in labels.items() if key in each}
    return draw(found, title) if found else None


def denoising(content: Content) -> Figure | None:
    """Noisy images, and what the variants make of them."""
    level, sigma = content.noise()
    images = {
        name: each["denoising"][level] for name, each in content.arrays("denoising", "denoising", "ae_vs_vae").items()
    }
    if not images:
        return None
    noisy = {f"sigma {sigma}": next(iter(images.values()))[0]}
    strips = noisy | {name: both[1] for name, both in images.items()}
    return pictures.strips(strips, "Noisy images, and what the variants make of them")


def grids(content: Content) -> Figure | None:
    """What a grid of codes decodes to, where the latent dimension is 2."""
    draw = partial(pictures.mosaics, extent=content.settings["generation"]["grid_extent"])
    return of_arrays(content, draw, "What codes of two numbers decode to", "generation", {"grid": ""})


def codes(content: Content) -> Figure | None:
    """Codes of test images in the plane, where the latent dimension is 2, and the square that a grid decodes."""
    arrays = {name: each for name, each in content.arrays("latent_space").items() if "codes" in each}
    points = {name: (each["codes"], each.get("labels")) for name, each in arrays.items()}
    extent = content.settings.get("generation", {}).get("grid_extent")
    return pictures.maps(points, _classes(arrays), "Codes of two numbers", extent) if points else None


def tsne(content: Content, size: str) -> Figure | None:
    """An embedding of test codes in the plane; `size` names the setting of their number."""
    count, arrays = content.settings["latent_space"][size], content.arrays("latent_space", "ae_vs_vae", "architectures")
    points = {name: (each[f"tsne_{count}"], each.get(f"labels_{count}")) for name, each in arrays.items()}
    return pictures.maps(points, _classes(arrays), f"t-SNE of {count:,} test codes") if points else None


def centroids(content: Content) -> Figure | None:
    """Distances between the mean codes of the classes."""
    measured = [
        name for name, result in content.shown.items() if "centroid_distances" in result.metrics.get("latent_space", {})
    ]
    names = content.chosen(measured, "ae_vs_vae", "equal_layers", "architectures")
    tables = {name: content.shown[name].metrics["latent_space"]["centroid_distances"] for name in names}
    return pictures.distance_tables(tables, "Distances between the centres of the classes") if tables else None


def _classes(arrays: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """The names of the classes, which are the same for all runs of a data set."""
    return next((each["classes"].tolist() for each in arrays.values() if "classes" in each), [])
