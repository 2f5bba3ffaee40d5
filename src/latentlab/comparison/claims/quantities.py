"""Quantities that are more than numbers of metrics.json and their combinations: of curves, of codes, of stored bytes."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from latentlab.comparison.claims.claim import Evidence, Missing, Quantity, number
from latentlab.comparison.claims.words import MSE, words

# one number of bytes per image and the PSNR (dB) at it
Point = tuple[float, float]


def fall_share(variant: str, column: str, epoch: int) -> Quantity:
    """Share of a loss's whole fall after the first epoch that has happened by the end of that epoch; 1 is all of it.

    A share, because cross entropy ends far above 0, and a ratio of losses would call any of them flat. Missing where the
    training ends there or before.
    """

    def share(losses: list[float]) -> float:
        return (losses[0] - losses[epoch - 1]) / (losses[0] - min(losses))

    return _of_curve(variant, column, f"share of the fall of {words(column)} by epoch {epoch}", share, epoch + 1)


def largest_rise(variant: str, column: str) -> Quantity:
    """Largest rise of a loss from one epoch to the next, as a share of the former; negative if it always falls."""

    def rise(losses: list[float]) -> float:
        return max(after / before - 1 for before, after in pairwise(losses))

    return _of_curve(variant, column, f"largest rise of {words(column)} from an epoch to the next (share)", rise, 2)


def detour(variant: str, least_epochs: int) -> Quantity:
    """The way of the validation loss up and down, over its whole fall; 1 if it only falls."""

    def way_over_fall(losses: list[float]) -> float:
        return sum(abs(after - before) for before, after in pairwise(losses)) / (losses[0] - losses[-1])

    return _of_curve(variant, "validation_loss", "way over fall of validation loss", way_over_fall, least_epochs)


def first(variant: str, column: str) -> Quantity:
    """A column of the curve after the first epoch."""
    return _of_curve(variant, column, f"{words(column)} after one epoch", lambda values: values[0])


def last(variant: str, column: str) -> Quantity:
    """A column of the curve after the last epoch."""
    return _of_curve(variant, column, f"{words(column)} after the last epoch", lambda values: values[-1])


def last_over_best(variant: str, column: str) -> Quantity:
    """A loss after the last epoch over the least of all epochs."""
    name = f"{words(column)} after the last epoch over the least"
    return _of_curve(variant, column, name, lambda losses: losses[-1] / min(losses))


def generalisation_gap(variant: str, least_epochs: int = 1) -> Quantity:
    """Validation over training loss in the last epoch; of a VAE, its cross entropy.

    The training loss is the mean while the epoch runs, which makes the ratio a little too small for every variant.
    """

    def gap(seed: Evidence) -> float:
        kind = "bce_sum" if "train_bce_sum" in seed.results[variant].curve else "loss"
        train, validation = (seed.curve(variant, f"{part}_{kind}", least_epochs) for part in ("train", "validation"))
        return seed.record(variant, f"validation over training {kind}", validation[-1] / train[-1])

    return Quantity(f"{variant}'s validation over training loss", (variant,), gap)


def noise_let_through(variant: str) -> Quantity:
    """What noise of sigma 0.2 adds to the MSE, over the MSE of the noise itself: 0 if none comes through, 1 if all does."""
    added = number(variant, "denoising/0.2/mse") - number(variant, MSE)
    return (added / number(variant, "denoising/0.2/mse_in")).called(f"{variant}'s share of noise let through")


def sample_score(variant: str, kind: str) -> Quantity:
    """Harmonic mean of precision and recall of samples, in [0, 1]; precision alone is 1 for one faint picture."""

    def score(seed: Evidence) -> float:
        precision, recall = (seed.number(variant, f"generation/{kind}/{key}") for key in ("precision", "recall"))
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    return Quantity(f"{variant}'s harmonic mean of precision and recall of samples ({kind})", (variant,), score)


def rank(variant: str, digit: int, other: int) -> Quantity:
    """Place of `other` among the digits by the distance of their mean codes from that of `digit`; 1 is the nearest."""

    def place(seed: Evidence) -> float:
        order = seed.at(variant, f"latent_space/nearest_classes/{digit}")
        if other not in order:
            raise Missing(f"{variant} has no codes of the digits {digit} and {other}")
        return seed.record(variant, f"rank of {other} from {digit}", order.index(other) + 1)

    return Quantity(f"{variant}'s rank of {other} among the neighbours of {digit}", (variant,), place)


def num_as_good(variant: str, others: Sequence[str], paths: Sequence[str]) -> Quantity:
    """How many others have none of these numbers larger."""

    def count(seed: Evidence) -> float:
        ours = {path: seed.number(variant, path) for path in paths}
        return sum(all(seed.number(other, path) <= own for path, own in ours.items()) for other in others)

    name = f"variants as good as {variant} in {'; '.join(words(path) for path in paths)}"
    return Quantity(name, (variant, *others), count)


def bytes_over_png(variant: str, key: str, layout: str, largest_loss_db: float) -> Quantity:
    """Stored bytes of the codes, of the fewest bits that lose no more than that, over those of PNG.

    Args:
        variant: Whose codes.
        key: Which bytes of the analysis `compression`.
        layout: Of PNG, "single" or "sheet".
        largest_loss_db: Of PSNR, against codes that are not quantised.
    """

    def share(seed: Evidence) -> float:
        least = seed.number(variant, "test_psnr") - largest_loss_db
        sizes = seed.at(variant, "compression")
        bits = [bits for bits in sizes if seed.number(variant, f"compression/{bits}/psnr") >= least]
        if not bits:
            raise Missing("no number of bits keeps the quality; more bits per latent number would decide")
        png = seed.record("png", f"{layout}, bytes", _codec(seed, "png", layout)[0][0])
        return seed.number(variant, f"compression/{min(bits, key=int)}/{key}") / png

    return Quantity(f"{variant}'s {words(key)} over PNG's ({layout})", (variant,), share)


def bits_back_over_codec(variant: str, codec: str) -> Quantity:
    """Stored bytes of the images themselves, by bits back with its table, over those of a format that loses nothing."""

    def share(seed: Evidence) -> float:
        bits = seed.number(variant, "likelihood/bits_back/bits_per_pixel_with_table")
        num_pixels = seed.number(variant, "latent_dim") * seed.number(variant, "compression_ratio")
        return bits * num_pixels / 8 / seed.record(codec, "sheet, bytes", _codec(seed, codec, "sheet")[0][0])

    return Quantity(f"{variant}'s bytes by bits back over those of {codec} (sheet)", (variant,), share)


def bytes_over_codec(variant: str, codec: str) -> Quantity:
    """Stored bytes of the codes over those of an image format that is at least as good, all images in one sheet."""
    return _bytes_over(variant, codec, lambda seed: _codec(seed, codec, "sheet"))


def bytes_over_pca(variant: str) -> Quantity:
    """Stored bytes of the codes over those of PCA of any size that is at least as good."""

    def points(seed: Evidence) -> list[Point]:
        return [point for name in seed.baselines if name.startswith("pca_") for point in _points(seed, name)]

    return _bytes_over(variant, "PCA", points)


def least_ratio(points: Sequence[Point], others: Sequence[Point]) -> float | None:
    """Bytes over the fewest of another way that is at least as good, where that is best for the first; None if none is."""
    ratios = []
    for size, quality in points:
        as_good = [other for other, its_quality in others if its_quality >= quality]
        ratios += [size / min(as_good)] if as_good else []
    return min(ratios, default=None)


def _of_curve(
    variant: str, column: str, name: str, reduce: Callable[[list[float]], float], least_epochs: int = 1
) -> Quantity:
    def value(seed: Evidence) -> float:
        return seed.record(variant, name, reduce(seed.curve(variant, column, least_epochs)))

    return Quantity(f"{variant}'s {name}", (variant,), value)


def _bytes_over(variant: str, name: str, others: Callable[[Evidence], list[Point]]) -> Quantity:
    def share(seed: Evidence) -> float:
        found = least_ratio(_points(seed, variant), others(seed))
        if found is None:
            raise Missing(f"{name} is never as good; more of its qualities would decide")
        return found

    return Quantity(f"{variant}'s bytes over those of {name} at equal PSNR", (variant,), share)


def _points(seed: Evidence, name: str) -> list[Point]:
    """Of the stored codes (side tables included, decoder not), for each number of bits."""
    return [
        (seed.number(name, f"{at}/bytes_amortised_with_tables"), seed.number(name, f"{at}/psnr"))
        for at in (f"compression/{bits}" for bits in seed.at(name, "compression"))
    ]


def _codec(seed: Evidence, codec: str, layout: str) -> list[Point]:
    """Of an image format ("single" images or one "sheet") at all its qualities, by size."""
    table = seed.codecs
    if not table.empty:
        table = table[(table["codec"] == codec) & (table["layout"] == layout)]
    if table.empty:
        raise Missing(f"the image format {codec} ({layout}) has not been measured")
    return list(zip(table["bytes_per_image"].astype(float), table["psnr"].astype(float), strict=True))
