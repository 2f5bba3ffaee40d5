"""Which images and codes are shown? Pictures made of the arrays that the analyses have left; None where there are none."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from latentlab.report.content import Content
from latentlab.report.figures import pictures

Draw = Callable[[Content], Figure | None]


def of_arrays(
    draw: Callable[[dict[str, np.ndarray], str], Figure],
    title: str,
    analysis: str,
    labels: Mapping[str, str],
    *comparisons: str,
) -> Draw:
    """What a function of `pictures` makes of arrays.

    `labels` has, by the name of an array, what follows the variant's name. Of many variants those of the comparisons are
    shown; all of them where no comparison is given.
    """

    def gallery(content: Content) -> Figure | None:
        arrays = content.arrays(analysis)
        names = content.chosen(list(arrays), *comparisons) if comparisons else list(arrays)
        found = {name + label: arrays[name][key] for name in names for key, label in labels.items() if key in arrays[name]}
        return draw(found, title) if found else None

    return gallery


def denoising(content: Content) -> Figure | None:
    """Noisy images, and what the variants make of them."""
    arrays, (level, sigma) = content.arrays("denoising"), content.noise()
    names = content.chosen(list(arrays), "denoising", "ae_vs_vae")
    images = {f"sigma {sigma}": arrays[name]["denoising"][level, 0] for name in names[:1]}
    images |= {name: arrays[name]["denoising"][level, 1] for name in names}
    return pictures.strips(images, "Noisy images, and what the variants make of them") if images else None


def grids(content: Content) -> Figure | None:
    """What a grid of codes decodes to, where the latent dimension is 2."""
    draw = partial(pictures.mosaics, extent=content.settings["generation"]["grid_extent"])
    return of_arrays(draw, "What codes of two numbers decode to", "generation", {"grid": ""})(content)


def codes(content: Content) -> Figure | None:
    """Codes of test images in the plane, where the latent dimension is 2, and the square that a grid decodes."""
    arrays = content.arrays("latent_space")
    points = {name: (each["codes"], each["digits"]) for name, each in arrays.items() if "codes" in each}
    extent = content.settings.get("generation", {}).get("grid_extent")
    return pictures.maps(points, "Codes of two numbers", extent) if points else None


def tsne(size: str) -> Draw:
    """An embedding of test codes in the plane; `size` names the setting of their number."""
    return partial(_tsne, size=size)


def _tsne(content: Content, size: str) -> Figure | None:
    count, arrays = content.settings["latent_space"][size], content.arrays("latent_space")
    names = content.chosen(list(arrays), "ae_vs_vae", "architectures")
    points = {name: (arrays[name][f"tsne_{count}"], arrays[name][f"digits_{count}"]) for name in names}
    return pictures.maps(points, f"t-SNE of {count:,} test codes") if points else None


def centroids(content: Content) -> Figure | None:
    """Distances between the mean codes of the digits."""
    runs = {name: result.metrics for name, result in content.shown.items() if "latent_space" in result.metrics}
    names = content.chosen(list(runs), "ae_vs_vae", "equal_layers", "architectures")
    tables = {name: runs[name]["latent_space"]["centroid_distances"] for name in names}
    return pictures.distance_tables(tables, "Distances between the centres of the digits") if tables else None
