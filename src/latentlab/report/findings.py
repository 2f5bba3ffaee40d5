"""What the sections of the reports say, computed from the numbers; None where there is nothing to say."""

from itertools import pairwise

import numpy as np
import pandas as pd

from latentlab.params.variants import Comparison
from latentlab.report.content import Content
from latentlab.report.figures.analyses import PUBLISHED_BITS
from latentlab.report.figures.panels import anomaly_kinds, first_keys
from latentlab.training.plan import CLASSICAL, RAW_PIXELS


def between(
    content: Content, words: str, path: str, form: str = "{:.3g}", beside: tuple[str, str, str] | None = None
) -> str | None:
    """The smallest and the largest value of a number.

    Args:
        content: Of the report.
        words: What the number is.
        path: Of the number, as `Content.means` takes it.
        form: How a value is written.
        beside: Words, name of a baseline ("" for the variant with the smallest value) and path of a number to compare with.
    """
    values = content.numbers(path)
    if values.empty:
        return None
    low, high = str(values.idxmin()), str(values.idxmax())
    said = f"{words}: from {form.format(values[low])} (`{low}`) to {form.format(values[high])} (`{high}`)"
    if len(values) == 1:
        said = f"{words}: {form.format(values[low])} (`{low}`)"
    if beside:
        reference = content.means(beside[2]).get(beside[1] or low)
        said += "" if reference is None else f"; {beside[0]} {form.format(reference)}"
    return said + "."


def how_small(content: Content) -> str | None:
    """Three sentences: how much less than PCA, where a longer code pays and where it does not, and what probes need."""
    best = best_codes(content)
    if best.empty:
        return None
    said = []
    compared = best[best["pca_mse"].notna() & (best["test_mse"] > 0)]
    ratios = {int(line["latent_dim"]): line["pca_mse"] / line["test_mse"] for _, line in compared.iterrows()}
    if ratios:
        extremes = dict.fromkeys([max(ratios, key=ratios.__getitem__), min(ratios, key=ratios.__getitem__)])
        times = [f"{ratios[size]:.1f} times {{}}with {size:,}" for size in extremes]
        said.append(f"PCA has {', and '.join(times).format('the error of the best autoencoder ', '')} numbers.")
    gains = _gains(content)
    if gains:
        ends = dict.fromkeys([max(gains, key=gains.__getitem__), min(gains, key=gains.__getitem__)])
        steps = [f"{gains[short, long]:.0%} {{}}between {short:,} and {long:,}" for short, long in ends]
        said.append(f"A code twice as long takes {', and '.join(steps).format('of the error away ', '')} numbers.")
    probed = content.variants().dropna(subset=["svm_rbf_accuracy"])
    if len(probed):
        highest = probed["svm_rbf_accuracy"].max()
        enough = probed[probed["svm_rbf_accuracy"] >= highest - 0.005].sort_values(["latent_dim", "test_mse"]).iloc[0]
        said.append(
            f"{enough['latent_dim']:,.0f} numbers are enough for the RBF probe to name the class of "
            f"{enough['svm_rbf_accuracy']:.1%} of the images (`{enough.name}`); the best here is {highest:.1%}."
        )
    return " ".join(said) or None


def _gains(content: Content) -> dict[tuple[int, int], float]:
    """By the latent dimensions of neighbouring best codes: the share of the error that a code twice as long takes away.

    A longer code that is no better is left out.
    """
    errors = content.variants().groupby("latent_dim")["test_mse"].min()
    errors = errors[errors < errors.cummin().shift(fill_value=np.inf)]
    if (errors <= 0).any():
        return {}
    return {
        (int(short), int(long)): 1 - (errors[long] / errors[short]) ** (1 / np.log2(long / short))
        for short, long in pairwise(errors.index)
    }


def best_codes(content: Content) -> pd.DataFrame:
    """For each latent dimension the variant with the smallest test MSE, and PCA's beside it; one line each."""
    table = content.variants().reset_index()
    best = table.loc[table.groupby("latent_dim")["test_mse"].idxmin()].sort_values("latent_dim")
    board = content.leaderboard[content.leaderboard["variant"].isin(content.project.baselines)]
    pca = board.dropna(subset=["test_mse"]).groupby("latent_dim")["test_mse"].min()
    columns = ["latent_dim", "variant", "test_mse", "pca_mse", "test_ssim", "svm_rbf_accuracy", "num_parameters"]
    return best.assign(pca_mse=best["latent_dim"].map(pca)).reindex(columns=columns)


def compared(content: Content, comparison: Comparison) -> str | None:
    """The best and the worst of the variants of a comparison, and whether the seeds tell them apart."""
    table = content.variants()
    errors = table["test_mse"].reindex(comparison.variants).dropna().sort_values()
    if len(errors) < 2:
        return None
    best, worst = str(errors.index[0]), str(errors.index[-1])
    spread = table["test_mse_sd"].reindex([best, worst])
    doubt = ""
    if spread.isna().any():
        doubt = " (one seed: a small difference may be chance)"
    elif errors.iloc[-1] - errors.iloc[0] < 2 * float((spread**2).sum() ** 0.5):
        doubt = " (less than twice the spread over the seeds: not told apart)"
    times = f": {errors.iloc[-1] / errors.iloc[0]:.2f} times as much" if errors.iloc[0] else ""
    return (
        f"`{best}` has the smallest test MSE, {errors.iloc[0]:.5f}, and `{worst}` the largest, "
        f"{errors.iloc[-1]:.5f}{times}{doubt}."
    )


def denoising(content: Content) -> str | None:
    """How many variants denoise, and the best and the worst of them."""
    _, sigma = content.noise()
    path = f"denoising/{sigma}/gain_db"
    beside = ("that of a classical denoiser is", CLASSICAL, path)
    said = between(content, f"The gain in dB at sigma {sigma}", path, "{:+.1f}", beside)
    gains = content.numbers(path)
    clean = gains[[content.project.variants[name].input_noise is None for name in gains.index]]
    if clean.empty:
        return said
    helped = f"{(clean > 0).sum()} of the {len(clean)} variants trained on clean images"
    return f"{said} {helped} bring the image closer to the clean one."


def interpolation(content: Content) -> str | None:
    """How many variants pass nearer to real images than a cross-fade does."""
    distances = content.numbers("interpolation/linear/different_classes/midpoint_distance")
    if distances.empty:
        return None
    nearest = str(distances.idxmin())
    crossfade = content.means("interpolation/linear/different_classes/crossfade_distance")[nearest]
    real = content.means("interpolation/real_distance")[nearest]
    nearer = (distances < crossfade).sum()
    return (
        f"Halfway between two images of different classes, {nearer} of {len(distances)} variants decode an image that is "
        f"nearer to a training image than the pixel average of the two is ({crossfade:.3f} root mean square; a real test "
        f"image: {real:.3f}); the nearest is `{nearest}` with {distances[nearest]:.3f}."
    )


def generation(content: Content) -> str | None:
    """Which variants' samples look like real images, by the measure that an almost black image does not pass."""
    path = "generation/standard_normal/nearest_cosine"
    words = "Cosine similarity of samples from the standard normal to the most similar training image"
    said = between(content, words, path, "{:.2f}", ("real test images have", "", "generation/real_cosine"))
    if not said:
        return None
    variational = content.numbers("generation/kl").index
    if cosines := [f"`{name}` {cosine:.2f}" for name, cosine in content.numbers(path).reindex(variational).items()]:
        said += f" Of the VAEs: {', '.join(cosines)}."
    plain = content.numbers("generation/mixture/frechet_distance").drop(variational, errors="ignore")
    prior = content.numbers("generation/standard_normal/frechet_distance").reindex(variational)
    if len(plain) and len(prior):
        said += (
            f" The least Frechet distance to real images have, of what plain autoencoders make of samples of a mixture of "
            f"Gaussians, `{plain.idxmin()}` ({plain.min():.3g}), and of what VAEs make of samples of their prior, "
            f"`{prior.idxmin()}` ({prior.min():.3g})."
        )
    return said


def compression(content: Content) -> str | None:
    """Bytes and quality of the smallest and of the best code, beside PNG."""
    bits = first_keys(content.table("compression"))[-1]
    sizes, quality = (content.numbers(f"compression/{bits}/{of}") for of in ("bytes_amortised_with_tables", "psnr"))
    if sizes.empty:
        return None
    small, best = str(sizes.idxmin()), str(quality.idxmax())
    png = content.codecs.loc[(content.codecs["codec"] == "png") & (content.codecs["layout"] == "sheet"), "bytes_per_image"]
    beside = f"; PNG stores a sheet of all images without loss at {png.iloc[0]:.0f} bytes an image" if len(png) else ""
    return (
        f"At {bits} bits per number the codes take from {sizes[small]:.1f} bytes an image (`{small}`, {quality[small]:.1f} "
        f"dB) to {sizes[best]:.1f} bytes for the best quality (`{best}`, {quality[best]:.1f} dB), tables included, the "
        f"decoder not{beside}."
    )


def geometry(content: Content) -> str | None:
    """Which codes keep neighbours, what a longer code gains below and above the images' own dimension, what is found."""
    words = f"Share of the {content.settings['geometry']['neighbours']} nearest images whose codes are nearest, too"
    said = between(content, words, "geometry/neighbours_kept", "{:.1%}")
    if not said:
        return None
    dimensions = [content.means(f"geometry/intrinsic_dimension/images/{name}") for name in ("two_nn", "mle")]
    if min(map(len, dimensions)):
        low, high = sorted(float(each.iloc[0]) for each in dimensions)
        said += f" The images lie on a surface of {low:.1f} to {high:.1f} dimensions, by two estimates."
        gains = _gains(content).items()
        shorter, longer = ([gain for (short, _), gain in gains if (short < high) == is_below] for is_below in (True, False))
        if shorter and longer:
            said += (
                f" A code twice as long takes {np.mean(shorter):.0%} of the error away where it is shorter than that, and "
                f"{np.mean(longer):.0%} where it is longer."
            )
    found = content.numbers("geometry/factors/mean")
    if len(found):
        words = "Of area, length, thickness, slant, width and height of the shapes a linear probe finds, on average,"
        pixels = content.means("geometry/factors/mean").get(RAW_PIXELS)
        said += f" {words} {found.max():.0%} of the variance in the codes of `{found.idxmax()}`"
        said += f", and {pixels:.0%} in the pixels." if pixels is not None else "."
    return said


def anomalies(content: Content) -> str | None:
    """How well two scores tell anomalies, beside pixels and untrained encoders, and which kind is the hardest."""
    settings, path = content.settings["anomalies"], "anomalies/mean/{}/auroc"
    said = between(
        content, "AUROC by the error of the reconstruction, mean over the kinds of anomaly",
        path.format("reconstruction"), "{:.3f}",
    )  # fmt: skip
    if not said:
        return None
    kinds = anomaly_kinds(content.table("anomalies"))
    found = {kind: content.numbers(f"anomalies/{kind}/reconstruction/auroc").mean() for kind in kinds}
    hardest = min(found, key=found.__getitem__)
    said += f" The hardest kind is `{hardest}`, with {found[hardest]:.3f} on average over the variants."
    near = path.format("code_neighbours")
    words = f"By the distance to the {settings['neighbours']} nearest of {settings['num_fitted']:,} training codes"
    said += f" {between(content, words, near, '{:.3f}', ('between pixels', RAW_PIXELS, near))}"
    before = content.numbers(f"anomalies/untrained/{near.removeprefix('anomalies/')}")
    return f"{said} Encoders before their training have {before.mean():.3f} on average." if len(before) else said


def likelihood(content: Content) -> str | None:
    """The best VAE in nats, with samples and standard error, and in bits per pixel, beside formats without loss."""
    found, bits = (content.numbers(f"likelihood/{name}") for name in ("nll/mean", "bits_back/bits_per_pixel_with_table"))
    if found.empty or bits.empty:
        return None
    best, least = str(found.idxmin()), str(bits.idxmin())
    paths = ("elbo/mean", "nll/standard_error", "num_samples", "num_images")
    elbo, error, samples, images = (content.means(f"likelihood/{path}")[best] for path in paths)
    formats = [f"{name} {size:.2f}" for name, size in content.lossless_bits().items()]
    formats += [f"{name} {size:.2f} (published)" for name, size in PUBLISHED_BITS.get(content.dataset, {}).items()]
    return (
        f"Of the VAEs `{best}` gives images of black and white pixels the largest likelihood: -log p is {found[best]:.1f} "
        f"nats an image by the importance-weighted bound ({samples:,.0f} samples, {images:,.0f} images, standard error "
        f"{error:.1f}) and {-elbo:.1f} by the ELBO. The grey images take the fewest bits with `{least}`: {bits[least]:.2f} "
        f"per pixel, the decoder's weights not counted{'; ' * bool(formats)}{', '.join(formats)}."
    )


def few_labels(content: Content) -> str | None:
    """The best codes where labels are fewest of the numbers that the classes allow, beside the raw pixels."""
    counts = [int(name.split("/")[1]) for name in content.table("few_labels")["name"]]
    if not counts:
        return None
    fewest = min(counts)
    path, words = f"few_labels/knn/{fewest}/mean", f"Test accuracy of nearest neighbours with {fewest} labelled images"
    return between(content, words, path, "{:.1%}", ("on the raw pixels", RAW_PIXELS, path))
