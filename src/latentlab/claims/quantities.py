"""Quantities that several claims rest on, each of one seed."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from latentlab.claims.evidence import Evidence, Missing

NUM_PIXELS = 784


def span(values: Iterable[float]) -> float:
    """Largest over smallest, at least 1."""
    found = list(values)
    return max(found) / min(found)


def fall_share(losses: Sequence[float], epoch: int) -> float:
    """Share of a loss's whole fall after the first epoch that has happened by the end of that epoch; 1 is all of it.

    A share, because cross entropy ends far above 0, and a ratio of losses would call any of them flat.

    Raises:
        Missing: The training ends there or before.
    """
    if len(losses) <= epoch:
        raise Missing(
            f"the training has {len(losses)} epochs, so nothing follows epoch {epoch}; a recipe with more would decide"
        )
    return (losses[0] - losses[epoch - 1]) / (losses[0] - min(losses))


def largest_rise(losses: Sequence[float]) -> float:
    """Largest rise of a loss from one epoch to the next, as a share of the former; negative if it always falls.

    Raises:
        Missing: There is only one epoch.
    """
    if len(losses) < 2:
        raise Missing("the training has one epoch; a recipe with more would decide")
    return max(after / before - 1 for before, after in pairwise(losses))


def generalisation_gap(of: Evidence, row: str) -> float:
    """Validation over training loss in the last epoch; of a VAE, its cross entropy.

    The training loss is the mean while the epoch runs, which makes the ratio a little too small for every row.
    """
    kind = "bce_sum" if of.has_curve(row, "train_bce_sum") else "loss"
    train, validation = of.curve(row, f"train_{kind}")[-1], of.curve(row, f"validation_{kind}")[-1]
    return of.record(f"{row} validation over training {kind}", validation / train)


def first_epoch_mse(of: Evidence, row: str) -> float:
    """Validation MSE after one epoch."""
    return of.record(f"{row} validation_mse, epoch 1", of.curve(row, "validation_mse")[0])


def noise_let_through(of: Evidence, row: str, sigma: str) -> float:
    """What noise adds to a row's MSE, over the MSE of the noise itself: 0 if none comes through, 1 if all does."""
    added = of.number(row, f"denoising/{sigma}/mse") - of.number(row, "test_mse")
    return added / of.number(row, f"denoising/{sigma}/mse_in")


def sample_score(of: Evidence, row: str, kind: str) -> float:
    """Harmonic mean of precision and recall of a row's samples, in [0, 1]; precision alone is 1 for one faint picture."""
    precision, recall = (of.number(row, f"generation/{kind}/{key}") for key in ("precision", "recall"))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def rank(of: Evidence, row: str, digit: int, other: int) -> float:
    """Place of `other` among the digits by the distance of their mean codes from that of `digit`; 1 is the nearest."""
    order = of.at(row, f"latent_space/nearest_digits/{digit}")
    if other not in order:
        raise Missing(f"{row} has no codes of the digits {digit} and {other}")
    return of.record(f"{row} rank of {other} from {digit}", order.index(other) + 1)


def fewest_bytes(points: Sequence[tuple[float, float]], psnr: float) -> float | None:
    """Fewest bytes per image among points (bytes, PSNR) that are at least as good; None if none is."""
    return min((size for size, quality in points if quality >= psnr), default=None)


def rates(of: Evidence, name: str) -> list[tuple[float, float]]:
    """Bytes per image of the stored codes (side tables included, decoder not) and PSNR, for each number of bits."""
    return [
        (
            of.number(name, f"compression/{bits}/bytes_amortised_with_tables"),
            of.number(name, f"compression/{bits}/psnr"),
        )
        for bits in of.keys(name, "compression")
    ]


def bytes_over(points: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]], name: str) -> float:
    """Bytes over those of another way that is at least as good, where that is best for the first way.

    Args:
        points: Bytes and PSNR of the first way.
        others: Of the other way.
        name: Of the other way.

    Raises:
        Missing: The other way never is as good.
    """
    found = [(size, fewest_bytes(others, quality)) for size, quality in points]
    ratios = [size / other for size, other in found if other is not None]
    if not ratios:
        raise Missing(f"{name} is never as good; more of its qualities would decide")
    return min(ratios)
