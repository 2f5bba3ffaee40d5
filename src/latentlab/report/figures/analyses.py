"""What do the analyses show? Curves and bars from their tables.

A table has one line per variant and name of a number, with mean and standard deviation over seeds (none for one seed); all
are of one recipe, and of the baselines. Error bars are one standard deviation.
"""

import numpy as np
from matplotlib.figure import Figure

from latentlab.evaluation.geometry import FACTORS
from latentlab.report.content import Content
from latentlab.report.figures.panels import (
    BLUE,
    RED,
    YELLOW,
    anomaly_kinds,
    column,
    first_keys,
    heat_map,
    legend_below,
    looks,
    twin_bars,
    values_of,
)
from latentlab.report.figures.style import logarithmic_x, side_by_side
from latentlab.report.styles import styles

# of figures with panels side by side, in inches; a page shows them at three quarters
WIDTH = 9.5
# a number of a VAE's code that carries less is not used
USED_NATS = 0.01
# bits per pixel of the test images by other models: BB-ANS and Bit-Swap as Kingma et al. (2019) have them
PUBLISHED_BITS = {"mnist": {"BB-ANS": 1.41, "Bit-Swap": 1.27}, "fashion_mnist": {"BB-ANS": 3.66, "Bit-Swap": 3.28}}
# how far above the best code the image formats are still drawn
HEADROOM_DB = 8


def denoising(content: Content) -> Figure:
    """What comes out against the noise that went in, and the gain: below zero the way through the code does harm."""
    table = content.table("denoising")
    figure, (left, right) = side_by_side(WIDTH, 5, 2)
    sigmas = first_keys(table)
    noise = np.array(sigmas, float)
    noisy, _ = values_of(table, str(table["variant"].iloc[0]), [f"{sigma}/psnr_in" for sigma in sigmas])
    left.plot(noise, noisy, color="black", linestyle="--", label="noisy input")
    variants = content.chosen(content.measured("denoising"), "denoising", "ae_vs_vae")
    drawn = looks(content.project, [*content.baselines("denoising", 8, 32), *variants])
    for panel, name in ((left, "psnr"), (right, "gain_db")):
        for each, look in drawn.items():
            means, spreads = values_of(table, each, [f"{sigma}/{name}" for sigma in sigmas])
            panel.errorbar(noise, means, yerr=spreads, label=each, **look)
        panel.set_xticks(noise, sigmas)
        panel.set_xlabel("standard deviation of the noise (black 0, white 1)")
    left.set(ylabel="PSNR against the clean image (dB)", title="What comes out")
    right.set(ylabel="gain over the noisy input (dB)", title="What it gains: below zero it does harm")
    right.axhline(0, color="black", linewidth=1.5, linestyle="--")
    legend_below(figure)
    return figure


def interpolation(content: Content) -> Figure:
    """How even the steps are, and how far the image halfway is from the nearest training image."""
    table, variants = content.table("interpolation"), content.measured("interpolation")
    figure, (left, right) = side_by_side(WIDTH, 1.6 + 0.24 * len(variants), 2, sharey=True)
    kinds = {"equal_classes": BLUE, "different_classes": RED}
    labels = {kind: kind.replace("_", " ") for kind in kinds}
    for panel, number, start in ((left, "step_ratio", 1), (right, "midpoint_distance", 0)):
        columns = [column(table, variants, f"linear/{kind}/{number}") for kind in kinds]
        twin_bars(panel, variants, columns, list(kinds.values()), list(labels.values()), start)
    # the same for all variants, whose pairs are the same
    real = content.numbers("interpolation/real_distance").iloc[0]
    right.axvline(real, color="black", linestyle="--", label="real test images")
    for kind, colour in kinds.items():
        for distance in content.numbers(f"interpolation/linear/{kind}/crossfade_distance").iloc[:1]:
            label = f"cross-fade of the pixels, {labels[kind]}"
            right.axvline(distance, color=colour, linestyle=":", linewidth=2, label=label)
    left.set(xlabel="largest step over mean step", title="Evenness (1: all steps are equal)")
    right.set(xlabel="root mean squared difference per pixel", title="From the midpoint to the nearest training image")
    legend_below(figure, columns=3)
    return figure


def generation(content: Content) -> Figure:
    """Precision and recall of samples, and their Frechet distance to real images."""
    table, variants = content.table("generation"), content.measured("generation")
    figure, axes = side_by_side(WIDTH, 1.6 + 0.24 * len(variants), 3, sharey=True)
    kinds, colours = ("standard_normal", "mixture"), (RED, BLUE)
    labels = ("codes from the standard normal", "codes from a mixture of Gaussians fitted to the codes")
    titles = {"precision": "Precision: do they look real?", "recall": "Recall: is all there?"}
    for panel, (number, title) in zip(axes, titles.items(), strict=False):
        twin_bars(panel, variants, [column(table, variants, f"{kind}/{number}") for kind in kinds], colours, labels)
        panel.set_xlim(0, 1.03)
        panel.set(xlabel=f"{number} (share of images)", title=title)
    # points, for a bar has no foot on a logarithmic axis
    for place, kind, colour in zip((-0.2, 0.2), kinds, colours, strict=True):
        means, spreads = column(table, variants, f"{kind}/frechet_distance")
        axes[2].errorbar(means, np.arange(len(variants)) + place, xerr=spreads, color=colour, fmt="o", markersize=4)
    real = content.numbers("generation/real_frechet_distance").iloc[0]
    axes[2].axvline(real, color="black", linestyle="--", label="training images against test images")
    axes[2].set(xlabel=f"Frechet distance ({logarithmic_x(axes[2])})", title="Frechet distance: less is better")
    legend_below(figure, columns=3)
    return figure


def samples_compared(content: Content) -> Figure | None:
    """The Frechet distances of four kinds of images to real ones, in two kinds of features; less is better."""
    table, variants = content.table("generation"), content.measured("generation")
    names = [*variants, *content.baselines("generation", 2, 8, 32, 64)]
    features = {"": "principal components of the pixels", "classifier/": "features of a classifier trained here"}
    real = {"": "real_frechet_distance", "classifier/": "real_classifier_frechet_distance"}
    shown = [key for key in features if len(content.numbers(f"generation/{real[key]}"))]
    if not shown:
        return None
    kinds = ("reconstruction", "standard_normal", "mixture", "interpolation")
    figure, axes = side_by_side(6.5 * len(shown), 2 + 0.24 * len(names), len(shown), sharey=True)
    for panel, key in zip(axes, shown, strict=True):
        distances = np.stack([column(table, names, f"{kind}/{key}frechet_distance")[0] for kind in kinds], axis=1)
        logarithms = np.log(distances.clip(0.01))
        nearness = (np.nanmax(logarithms) - logarithms) / (np.nanmax(logarithms) - np.nanmin(logarithms) or 1)
        titles = [kind.replace("_", "\n") for kind in kinds]
        form = "{:.2f}" if np.nanmedian(distances) < 100 else "{:.1f}"
        heat_map(panel, names, titles, distances, nearness, form)
        between = content.numbers(f"generation/{real[key]}").iloc[0]
        panel.set_title(f"In {features[key]}\n(training against test images: {between:.1f})")
    return figure


def kl(content: Content) -> Figure | None:
    """How many nats each number of a VAE's code carries, largest first, and how many of them are used."""
    measured = {name: result.metrics.get("generation", {}) for name, result in content.shown.items()}
    divergences = {name: numbers["kl_per_dimension"] for name, numbers in measured.items() if "kl_per_dimension" in numbers}
    if not divergences:
        return None
    figure, (panel,) = side_by_side(8, 4)
    width, drawn = 0.8 / len(divergences), styles(content.project)
    for index, (name, values) in enumerate(divergences.items()):
        places = np.arange(1, len(values) + 1) + (index - (len(divergences) - 1) / 2) * width
        label = f"{name}: {sum(value > USED_NATS for value in values)} of {len(values)} used"
        panel.bar(places, sorted(values, reverse=True), width, color=drawn[name].colour, label=label)
    panel.axhline(USED_NATS, color="black", linewidth=1, linestyle="--", label=f"used: more than {USED_NATS:g} nats")
    panel.set(xlabel="numbers of the code, largest first", ylabel="KL divergence from the prior (nats)")
    panel.set(xticks=range(1, max(map(len, divergences.values())) + 1), title="What the numbers of a VAE's code carry")
    panel.grid(axis="x", visible=False)
    panel.legend()
    return figure


def rate_distortion(content: Content) -> Figure:
    """Quality against bytes: codes of all bit depths, PCA codes, and image formats at all qualities near those."""
    table, depths = content.table("compression"), first_keys(content.table("compression"))
    variants = content.chosen(content.measured("compression"), "latent_dim", "upsampling", "ae_vs_vae")
    drawn = looks(content.project, [*content.baselines("compression", 8, 32, 64), *variants])
    figure, axes = side_by_side(WIDTH, 6, 2, sharey=True)
    best = table.loc[table["name"].str.endswith("/psnr") & table["variant"].isin(list(drawn)), "mean"].max()
    for panel, layout, bytes_name, title in (
        (axes[0], "single", "bytes_alone", "Each image stored alone"),
        (axes[1], "sheet", "bytes_amortised_with_tables", "Many images together, side tables included"),
    ):
        formats = content.codecs[content.codecs["layout"] == layout].sort_values("bytes_per_image")
        for codec, dash in (("jpeg", "-"), ("webp", "--")):
            curve = formats[(formats["codec"] == codec) & (formats["psnr"] < best + HEADROOM_DB)]
            if len(curve):
                panel.plot(curve["bytes_per_image"], curve["psnr"], color="#CC6600", linestyle=dash, label=codec)
        for codec, dash in (("png", "-"), ("webp_lossless", "--")):
            for size in formats.loc[formats["codec"] == codec, "bytes_per_image"]:
                label = f"{codec.removesuffix('_lossless')}, lossless"
                panel.axvline(size, color="black", linestyle=dash, linewidth=1, label=label)
        for name, look in drawn.items():
            sizes, _ = values_of(table, name, [f"{depth}/{bytes_name}" for depth in depths])
            quality, spreads = values_of(table, name, [f"{depth}/psnr" for depth in depths])
            panel.errorbar(sizes, quality, yerr=spreads, label=name, **look)
        panel.set(xlabel=f"bytes per image ({logarithmic_x(panel)})", title=title)
    axes[0].set_ylabel("PSNR (dB)")
    legend_below(figure)
    figure.suptitle(f"{depths[0]} to {depths[-1]} bits for each number of the code; the decoder's weights are not counted")
    return figure


def checkerboard(content: Content) -> Figure:
    """A grid over the whole picture, by the spectrum of the residual; blocks in the strokes, by steps at their edges."""
    table, variants = content.table("checkerboard"), content.measured("checkerboard")
    figure, (panel,) = side_by_side(8, 1.6 + 0.24 * len(variants))
    real, _ = column(table, variants, "real_block_ratio")
    steps, spreads = column(table, variants, "block_ratio")
    columns = [column(table, variants, "energy_ratio"), (steps / real, spreads / real)]
    labels = (
        "energy of the residual at a period of 2 pixels, over that beside it",
        "steps at the edges of 2x2 blocks, against those of real images",
    )
    twin_bars(panel, variants, columns, (BLUE, YELLOW), labels, start=1)
    panel.axvline(1, color="black", linewidth=1)
    panel.set(xlabel="ratio; above 1: a grid, or blocks, that the images do not have", title="Checkerboards")
    legend_below(figure, columns=1)
    return figure


def neighbours_kept(content: Content) -> Figure:
    """How many neighbours the codes keep, of the trained encoder and before its training; PCA and pixels beside them."""
    table, variants = content.table("geometry"), content.measured("geometry")
    names = [*variants, *content.baselines("geometry", 2, 8, 32, 64)]
    figure, (left, right) = side_by_side(WIDTH, 1.6 + 0.24 * len(names), 2, sharey=True)
    for panel, number in ((left, "neighbours_kept"), (right, "distance_correlation")):
        columns = [column(table, names, path) for path in (number, f"untrained/{number}")]
        twin_bars(panel, names, columns, (BLUE, YELLOW), ("trained, or a baseline", "before training"))
    neighbours = content.settings["geometry"]["neighbours"]
    left.set(xlabel=f"share of the {neighbours} nearest images", title="Neighbours that stay neighbours")
    right.set(xlabel="Spearman's correlation", title="Distances of images and of codes")
    legend_below(figure)
    return figure


def shape_factors(content: Content) -> Figure:
    """How much of each shape factor a linear probe finds in the codes; what is below 0 is drawn as 0."""
    table, variants = content.table("geometry"), content.measured("geometry")
    names = [*variants, *content.baselines("geometry", 2, 8, 32, 64)]
    shares = np.stack([column(table, names, f"factors/{factor}")[0] for factor in FACTORS], axis=1)
    figure, (panel,) = side_by_side(6.5, 1.4 + 0.24 * len(names))
    heat_map(panel, names, FACTORS, shares)
    panel.set_title("What of the shapes a linear probe finds (R²)")
    return figure


def anomalies(content: Content) -> Figure:
    """How well each kind of anomaly is told from test images, by two scores, and by the second before the training."""
    table, settings = content.table("anomalies"), content.settings["anomalies"]
    names = [*content.measured("anomalies"), *content.baselines("anomalies", 2, 8, 32, 64)]
    kinds = [*anomaly_kinds(table), "mean"]
    panels = {
        "{}/reconstruction/auroc": "Error of the reconstruction",
        "{}/code_neighbours/auroc": f"Distance to the {settings['neighbours']} nearest codes",
        "untrained/{}/code_neighbours/auroc": "The same before the training",
    }
    figure, axes = side_by_side(WIDTH + 1, 2 + 0.24 * len(names), len(panels), sharey=True)
    for panel, (path, title) in zip(axes, panels.items(), strict=True):
        areas = np.stack([column(table, names, path.format(kind))[0] for kind in kinds], axis=1)
        heat_map(panel, names, kinds, areas)
        panel.set_xticks(range(len(kinds)), kinds, rotation=45, ha="right", rotation_mode="anchor")
        panel.set_title(title)
    figure.suptitle(
        f"AUROC of up to {settings['num_images']:,} test images against as many anomalies of each kind, without labels; "
        f"distances are from the codes of {settings['num_fitted']:,} training images",
        fontsize=9,
    )
    return figure


def likelihood(content: Content) -> Figure | None:
    """Bits per pixel of each VAE's lossless code, beside other formats and published figures; its likelihood in nats."""
    table, names = content.table("likelihood"), list(content.numbers("likelihood/nll/mean").index)
    if not names:
        return None
    figure, (left, right) = side_by_side(WIDTH, 2.2 + 0.3 * len(names), 2, sharey=True)
    bits, spreads = column(table, names, "bits_back/bits_per_pixel_with_table")
    left.barh(range(len(names)), np.nan_to_num(bits), 0.6, xerr=spreads, color=BLUE, label="bits back, table included")
    for (codec, size), dash in zip(content.lossless_bits().items(), ("-", "--", ":", "-."), strict=False):
        left.axvline(size, color="black", linestyle=dash, label=codec)
    for (name, size), dash in zip(PUBLISHED_BITS.get(content.dataset, {}).items(), ("-", "--"), strict=False):
        left.axvline(size, color=RED, linestyle=dash, label=f"{name}, published")
    elbo, spread = column(table, names, "elbo/mean")
    columns = [(-elbo, spread), column(table, names, "nll/mean")]
    twin_bars(right, names, columns, (YELLOW, BLUE), ("negative ELBO", "importance-weighted bound"))
    left.set(xlabel="bits per pixel of the grey images", title="Stored without loss")
    right.set(xlabel="-log p in nats per image, pixels black or white", title="Likelihood")
    legend_below(figure, columns=4)
    return figure


def few_labels(content: Content) -> Figure:
    """Accuracy of each probe against the number of labelled images; bars are the spread over the draws of the labels."""
    probes = {"knn": "Nearest neighbours", "logistic": "Logistic regression", "svm_rbf": "SVM, RBF kernel"}
    table = content.table("few_labels")
    variants = content.chosen(content.measured("few_labels"), "latent_dim", "ae_vs_vae", "architectures")
    drawn = looks(content.project, [*content.baselines("few_labels", 32), *variants])
    figure, axes = side_by_side(WIDTH, 5, 3, sharey=True)
    for panel, (probe, title) in zip(axes, probes.items(), strict=True):
        names = table.loc[table["name"].str.startswith(f"{probe}/"), "name"]
        counts = np.array(sorted({int(name.split("/")[1]) for name in names}))
        for index, (name, look) in enumerate(drawn.items()):
            means, _ = values_of(table, name, [f"{probe}/{count}/mean" for count in counts])
            spreads, _ = values_of(table, name, [f"{probe}/{count}/std" for count in counts])
            # side by side, that the error bars can be told apart
            aside = 1.03 ** (index - (len(drawn) - 1) / 2)
            panel.errorbar(counts * aside, 100 * means, yerr=100 * spreads, label=name, **look)
        panel.set_xscale("log")
        panel.set_xticks(counts, [f"{count:,}" for count in counts])
        panel.minorticks_off()
        panel.set(xlabel="labelled images", title=title)
    axes[0].set_ylabel("test accuracy (%)")
    legend_below(figure)
    return figure
