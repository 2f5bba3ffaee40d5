"""What does cae-compression claim? A code takes less space, and transposed convolutions leave checkerboards.

What each test tests, in words, stands in claims.yaml under its id; its keyword-only arguments are the thresholds there.
"""

from collections.abc import Iterator

from latentlab.claims.evidence import Evidence, Missing
from latentlab.claims.quantities import NUM_PIXELS, bytes_over, largest_rise, rates
from latentlab.claims.verdicts import Measure, Test, at_least, at_most

ROW = "compress_transposed"
CURES = ("compress_nearest", "compress_bilinear")
FLOAT_BYTES = 4
BLOCKS, REAL_BLOCKS = "checkerboard/block_ratio", "checkerboard/real_block_ratio"


def _floats_take_less_space(of: Evidence, *, largest_share: float) -> Iterator[Measure]:
    share = FLOAT_BYTES * of.number(ROW, "latent_dim") / NUM_PIXELS
    yield at_most("bytes of the code over bytes of the pixels", share, largest_share)


def _less_than_png(of: Evidence, *, largest_loss_db: float, largest_share: float) -> Iterator[Measure]:
    least_psnr = of.number(ROW, "test_psnr") - largest_loss_db
    depths = [bits for bits in of.keys(ROW, "compression") if of.number(ROW, f"compression/{bits}/psnr") >= least_psnr]
    if not depths:
        raise Missing("no number of bits keeps the quality; more bits per number would decide")
    bits = min(depths, key=int)
    for words, key, layout in (("alone", "bytes_alone", "single"), ("together", "bytes_amortised_with_tables", "sheet")):
        png = of.record(f"png {layout}, bytes", of.codec("png", layout)[0][0])
        share = of.number(ROW, f"compression/{bits}/{key}") / png
        yield at_most(f"bytes over PNG's, images stored {words}", share, largest_share)


def _less_than_lossy(of: Evidence, *, largest_share: float) -> Iterator[Measure]:
    for codec in ("jpeg", "webp"):
        share = bytes_over(rates(of, ROW), of.codec(codec, "sheet"), codec)
        yield at_most(f"bytes over {codec}'s at equal PSNR", share, largest_share)


def _less_than_pca(of: Evidence, *, largest_share: float) -> Iterator[Measure]:
    linear = [point for name in of.baselines if name.startswith("pca_") for point in rates(of, name)]
    yield at_most("bytes over PCA's at equal PSNR", bytes_over(rates(of, ROW), linear, "PCA"), largest_share)


def _blocks(of: Evidence, row: str) -> float:
    """Steps at the edges of 2x2 blocks over those inside, against the same of the images themselves."""
    return of.number(row, BLOCKS) / of.number(row, REAL_BLOCKS)


def _leaves_checkerboards(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    yield at_least("steps at block edges, transposed over real images", _blocks(of, ROW), least_ratio)
    of.number(ROW, "checkerboard/energy_ratio")


def _upsampling_cures(of: Evidence, *, largest_ratio: float, least_lead: float) -> Iterator[Measure]:
    for row in CURES:
        yield at_most(f"steps at block edges, {row} over real images", _blocks(of, row), largest_ratio)
        lead = _blocks(of, ROW) / _blocks(of, row)
        yield at_least(f"steps at block edges, transposed over {row}", lead, least_lead)


def _upsampling_is_better(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    for row in CURES:
        yield at_most(f"MSE, {row} over transposed", of.number(row, "test_mse") / of.number(ROW, "test_mse"), largest_ratio)


def _keeps_the_structure(of: Evidence, *, faithful_ssim: float) -> Iterator[Measure]:
    yield at_least("SSIM", of.number(ROW, "test_ssim"), faithful_ssim)


def _training_loss_falls(of: Evidence, *, largest_rise_share: float) -> Iterator[Measure]:
    rise = of.record(f"{ROW} largest rise of train_loss", largest_rise(of.curve(ROW, "train_loss")))
    yield at_most("largest rise of the training loss from an epoch to the next", rise, largest_rise_share)


def _can_denoise(of: Evidence, *, least_gain_db: float) -> Iterator[Measure]:
    yield at_least("gain (dB)", of.number(ROW, "denoising/0.2/gain_db"), least_gain_db)


def _extracts_features(of: Evidence, *, least_lead: float) -> Iterator[Measure]:
    for path, words in (("svm_rbf_accuracy", "all labels"), ("few_labels/svm_rbf/100/mean", "100 labels")):
        lead = of.number(ROW, path) - of.number("raw_pixels", path)
        yield at_least(f"accuracy of the RBF probe, code minus pixels, {words}", lead, least_lead)


TESTS: dict[str, Test] = {
    "D1": _floats_take_less_space,
    "D2": _less_than_png,
    "D3": _less_than_lossy,
    "D4": _less_than_pca,
    "D5": _leaves_checkerboards,
    "D6": _upsampling_cures,
    "D7": _upsampling_is_better,
    "D8": _keeps_the_structure,
    "D9": _training_loss_falls,
    "D10": _can_denoise,
    "D11": _extracts_features,
}
