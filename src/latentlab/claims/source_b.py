"""What does mlp-denoise-interpolate claim? A small bottleneck keeps the digit and lets the noise go.

What each test tests, in words, stands in claims.yaml under its id; its keyword-only arguments are the thresholds there.
"""

from collections.abc import Iterator

from latentlab.claims.evidence import Evidence
from latentlab.claims.quantities import fall_share, noise_let_through, sample_score
from latentlab.claims.verdicts import Measure, Test, at_least, at_most, within

ROWS = {2: "mlp_2", 4: "mlp_4", 8: "mlp_8", 32: "mlp_32"}
SHOWN = ROWS[8]  # the one that the source shows
TRAINED_TO_DENOISE = ("mlp_8_denoise", "mlp_32_denoise", "cae_baseline_denoise")
SIGMA = "0.2"  # the source's noise


def _gain(of: Evidence, row: str) -> float:
    return of.number(row, f"denoising/{SIGMA}/gain_db")


def _compression_ratio(of: Evidence, *, least: float, most: float) -> Iterator[Measure]:
    yield from within("pixels per number of the code", of.number(SHOWN, "compression_ratio"), least, most)


def _fast_then_slow(of: Evidence, *, epoch: float, least_share: float, least_rest: float) -> Iterator[Measure]:
    share = of.record(f"{SHOWN} share of the fall of train_loss", fall_share(of.curve(SHOWN, "train_loss"), int(epoch)))
    yield at_least("share of the fall of the training loss", share, least_share)
    yield at_least("share that is left for the epochs after", 1 - share, least_rest)


def _faithful_at_8(of: Evidence, *, faithful_ssim: float) -> Iterator[Measure]:
    yield at_least("SSIM", of.number(SHOWN, "test_ssim"), faithful_ssim)


def _recognisable_at_8(of: Evidence, *, least_accuracy: float) -> Iterator[Measure]:
    yield at_least("accuracy of the RBF probe", of.number(SHOWN, "svm_rbf_accuracy"), least_accuracy)


def _removes_noise(of: Evidence, *, least_gain_db: float) -> Iterator[Measure]:
    yield at_least("gain (dB)", _gain(of, SHOWN), least_gain_db)
    for key in ("mse_in", "mse"):  # as the source's figures are given
        of.number(SHOWN, f"denoising/{SIGMA}/{key}")


def _trained_rows_remove_noise(of: Evidence, *, least_gain_db: float) -> Iterator[Measure]:
    for row in TRAINED_TO_DENOISE:
        yield at_least(f"gain, {row} (dB)", _gain(of, row), least_gain_db)


def _bottleneck_stops_noise(of: Evidence, *, largest_share: float) -> Iterator[Measure]:
    yield at_most("share of the noise let through", noise_let_through(of, SHOWN, SIGMA), largest_share)


def _small_bottlenecks_denoise_better(of: Evidence, *, least_lead_db: float) -> Iterator[Measure]:
    for size in (2, 4, 8):
        yield at_least(f"gain, bottleneck {size} minus 32 (dB)", _gain(of, ROWS[size]) - _gain(of, ROWS[32]), least_lead_db)


def _large_bottlenecks_let_noise_through(of: Evidence, *, least_lead: float) -> Iterator[Measure]:
    large = noise_let_through(of, ROWS[32], SIGMA)
    for size in (4, 8):
        lead = large - noise_let_through(of, ROWS[size], SIGMA)
        yield at_least(f"share of the noise let through, bottleneck 32 minus {size}", lead, least_lead)


def _quality_by_bottleneck(of: Evidence, *, excellent_ssim: float, good_ssim: float) -> Iterator[Measure]:
    ssim = {size: of.number(row, "test_ssim") for size, row in ROWS.items()}
    yield at_least("SSIM, bottleneck 32", ssim[32], excellent_ssim)
    yield at_least("SSIM, bottleneck 8", ssim[8], good_ssim)
    yield at_least("SSIM, bottleneck 4", ssim[4], good_ssim)
    yield at_most("SSIM, bottleneck 2", ssim[2], good_ssim)


def _four_to_eight_is_the_best_balance(of: Evidence, *, least_lead_db: float) -> Iterator[Measure]:
    both = {
        size: (of.number(row, "test_psnr") + of.number(row, f"denoising/{SIGMA}/psnr")) / 2 for size, row in ROWS.items()
    }
    lead = max(both[4], both[8]) - max(both[2], both[32])
    yield at_least("mean PSNR, better of 4 and 8 minus better of 2 and 32 (dB)", lead, least_lead_db)


def _interpolation_is_smooth(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    for kind in ("equal_digits", "different_digits"):
        ratio = of.number(SHOWN, f"interpolation/linear/{kind}/step_ratio")
        yield at_most(f"largest over mean step, {kind.replace('_', ' ')}", ratio, largest_ratio)


def _interpolation_is_plausible(of: Evidence, *, largest_to_crossfade: float, largest_to_real: float) -> Iterator[Measure]:
    path = "interpolation/linear/different_digits"
    middle = of.number(SHOWN, f"{path}/midpoint_distance")
    crossfade = of.number(SHOWN, f"{path}/crossfade_distance")
    real = of.number(SHOWN, "interpolation/real_distance")
    yield at_most("distance of the midpoint, over that of a cross-fade", middle / crossfade, largest_to_crossfade)
    yield at_most("distance of the midpoint, over that of test images", middle / real, largest_to_real)


def _neighbours_are_alike(of: Evidence, *, least_accuracy: float, least_lead: float) -> Iterator[Measure]:
    accuracy = of.number(SHOWN, "latent_space/knn10_accuracy")
    yield at_least("accuracy of the 10 nearest codes", accuracy, least_accuracy)
    lead = of.number(SHOWN, "knn_accuracy") - of.number("pca_8", "knn_accuracy")
    yield at_least("accuracy of nearest neighbours, minus that of PCA", lead, least_lead)


def _better_than_pca(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    for size, row in ROWS.items():
        ratio = of.number(row, "test_mse") / of.number(f"pca_{size}", "test_mse")
        yield at_most(f"MSE over that of PCA, {size} numbers", ratio, largest_ratio)


def _decoder_generates(of: Evidence, *, least_score: float) -> Iterator[Measure]:
    yield at_least("harmonic mean of precision and recall", sample_score(of, SHOWN, "mixture"), least_score)


def _helps_with_few_labels(of: Evidence, *, least_lead: float, least_lead_pixels: float) -> Iterator[Measure]:
    path = "few_labels/logistic/100/mean"
    ours = of.number(SHOWN, path)
    yield at_least("accuracy, trained minus untrained", ours - of.number(SHOWN, f"untrained/{path}"), least_lead)
    yield at_least("accuracy, code minus pixels", ours - of.number("raw_pixels", path), least_lead_pixels)


TESTS: dict[str, Test] = {
    "B1": _compression_ratio,
    "B2": _fast_then_slow,
    "B3": _faithful_at_8,
    "B4": _recognisable_at_8,
    "B5": _removes_noise,
    "B6": _trained_rows_remove_noise,
    "B7": _bottleneck_stops_noise,
    "B8": _small_bottlenecks_denoise_better,
    "B9": _large_bottlenecks_let_noise_through,
    "B10": _quality_by_bottleneck,
    "B11": _four_to_eight_is_the_best_balance,
    "B12": _interpolation_is_smooth,
    "B13": _interpolation_is_plausible,
    "B14": _neighbours_are_alike,
    "B15": _better_than_pca,
    "B16": _decoder_generates,
    "B17": _helps_with_few_labels,
}
