"""What does conv-ae-vs-vae claim? An autoencoder reconstructs, a variational one generates.

What each test tests, in words, stands in claims.yaml under its id; its keyword-only arguments are the thresholds there.
"""

from collections.abc import Iterator

from latentlab.claims.evidence import Evidence
from latentlab.claims.quantities import generalisation_gap, rank
from latentlab.claims.verdicts import Measure, Test, at_least, at_most, within

AE, VAE = "conv_ae", "vae_2"
SAME_LAYERS = {2: ("ae_2", "vae_2"), 16: ("ae_16", "vae_16")}
WAY = "interpolation/linear/different_digits"
PRIOR = "generation/standard_normal"
MACS = "num_macs/total"


def _ratio(of: Evidence, row: str, other: str, path: str) -> float:
    return of.number(row, path) / of.number(other, path)


def _lead(of: Evidence, row: str, other: str, path: str) -> float:
    return of.number(row, path) - of.number(other, path)


def _ae_is_faithful(of: Evidence, *, least_ssim: float) -> Iterator[Measure]:
    yield at_least("SSIM, AE", of.number(AE, "test_ssim"), least_ssim)


def _ae_is_uniform(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    digits = [of.number(AE, f"mse_per_digit/{digit}") for digit in of.keys(AE, "mse_per_digit")]
    yield at_most("MSE, worst over best digit", max(digits) / min(digits), largest_ratio)


def _vae_is_recognisable(of: Evidence, *, least_accuracy: float) -> Iterator[Measure]:
    yield at_least("accuracy of the RBF probe", of.number(VAE, "svm_rbf_accuracy"), least_accuracy)


def _vae_blurs(of: Evidence, *, least_ratio: float, least_ssim_lost: float) -> Iterator[Measure]:
    yield at_least("MSE, VAE over AE", _ratio(of, VAE, AE, "test_mse"), least_ratio)
    yield at_least("SSIM, AE minus VAE", _lead(of, AE, VAE, "test_ssim"), least_ssim_lost)


def _vae_blurs_slightly(of: Evidence, *, comparable_db: float) -> Iterator[Measure]:
    yield at_most("PSNR, AE minus VAE (dB)", _lead(of, AE, VAE, "test_psnr"), comparable_db)


def _vae_blurs_at_equal_code(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    for size, (plain, variational) in SAME_LAYERS.items():
        yield at_least(f"MSE, VAE over AE, {size} numbers", _ratio(of, variational, plain, "test_mse"), least_ratio)
        of.number(plain, "test_ssim"), of.number(variational, "test_ssim")


def _vae_varies(of: Evidence, *, least_std: float, largest_std: float) -> Iterator[Measure]:
    yield from within("spread of a pixel", of.number(VAE, "generation/reconstruction_std"), least_std, largest_std)


def _classes_separate(of: Evidence, *, least_silhouette: float, least_accuracy: float) -> Iterator[Measure]:
    yield at_least("silhouette of the digits", of.number(VAE, "latent_space/silhouette"), least_silhouette)
    yield at_least("accuracy of the 10 nearest codes", of.number(VAE, "latent_space/knn10_accuracy"), least_accuracy)


def _vae_is_smooth(of: Evidence, *, largest_step: float, largest_to_crossfade: float) -> Iterator[Measure]:
    yield at_most("largest over mean step", of.number(VAE, f"{WAY}/step_ratio"), largest_step)
    ratio = of.number(VAE, f"{WAY}/midpoint_distance") / of.number(VAE, f"{WAY}/crossfade_distance")
    yield at_most("distance of the midpoint, over that of a cross-fade", ratio, largest_to_crossfade)


def _similar_digits_are_near(of: Evidence, *, largest_rank: float) -> Iterator[Measure]:
    for digit, other in ((4, 9), (9, 4), (3, 8), (8, 3)):
        yield at_most(f"rank of {other} among the neighbours of {digit}", rank(of, VAE, digit, other), largest_rank)


def _codes_are_centred(of: Evidence, *, largest_mean: float, least_share: float) -> Iterator[Measure]:
    yield at_most("mean of the codes, absolute", abs(of.number(VAE, "latent_space/code_mean")), largest_mean)
    yield at_least("share of numbers in [-3, 3]", of.number(VAE, "latent_space/share_within_3"), least_share)


def _codes_are_standard_normal(
    of: Evidence, *, largest_mean: float, least_std: float, largest_std: float, normal_share: float, largest_off: float
) -> Iterator[Measure]:
    yield at_most("mean of the codes, absolute", abs(of.number(VAE, "latent_space/code_mean")), largest_mean)
    yield from within("standard deviation", of.number(VAE, "latent_space/code_std"), least_std, largest_std)
    off = abs(of.number(VAE, "latent_space/share_within_3") - normal_share)
    yield at_most("share in [-3, 3], off that of the standard normal", off, largest_off)


def _likeness(of: Evidence, row: str) -> float:
    """Cosine similarity of samples to the most similar training image, over that of test images."""
    return of.number(row, f"{PRIOR}/nearest_cosine") / of.number(row, "generation/real_cosine")


def _prior_samples_are_realistic(of: Evidence, *, least_likeness: float, largest_to_real: float) -> Iterator[Measure]:
    yield at_least("similarity to the nearest training image, over a test image's", _likeness(of, VAE), least_likeness)
    ratio = of.number(VAE, f"{PRIOR}/nearest_distance") / of.number(VAE, "generation/real_distance")
    yield at_most("distance to the nearest training image, over that of test images", ratio, largest_to_real)


def _prior_samples_are_diverse(of: Evidence, *, least_recall: float) -> Iterator[Measure]:
    yield at_least("recall", of.number(VAE, f"{PRIOR}/recall"), least_recall)


def _ae_samples_are_not(of: Evidence, *, largest_likeness: float) -> Iterator[Measure]:
    yield at_most("similarity to the nearest training image, over a test image's", _likeness(of, AE), largest_likeness)


def _vae_generates_better(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    for size, (plain, variational) in SAME_LAYERS.items():
        ratio = _ratio(of, variational, plain, f"{PRIOR}/frechet_distance")
        yield at_most(f"Frechet distance, VAE over AE, {size} numbers", ratio, largest_ratio)


def _vae_interpolates_better(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    ratio = _ratio(of, VAE, AE, f"{WAY}/midpoint_distance")
    yield at_most("distance of the midpoint, VAE over AE", ratio, largest_ratio)


def _vae_interpolates_better_at_equal_code(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    for size, (plain, variational) in SAME_LAYERS.items():
        for key in ("midpoint_distance", "step_ratio"):
            ratio = _ratio(of, variational, plain, f"{WAY}/{key}")
            yield at_most(f"{key.replace('_', ' ')}, VAE over AE, {size} numbers", ratio, largest_ratio)


def _ae_overfits_more(of: Evidence, *, least_lead: float) -> Iterator[Measure]:
    for plain, variational in ((AE, VAE), *SAME_LAYERS.values()):
        lead = generalisation_gap(of, plain) - generalisation_gap(of, variational)
        yield at_least(f"validation over training loss, {plain} minus {variational}", lead, least_lead)


def _vae_is_organised(of: Evidence, *, least_lead: float) -> Iterator[Measure]:
    for size, (plain, variational) in SAME_LAYERS.items():
        lead = _lead(of, variational, plain, "latent_space/silhouette")
        yield at_least(f"silhouette, VAE minus AE, {size} numbers", lead, least_lead)


def _no_posterior_collapse(of: Evidence, *, least_kl: float, most_inactive: float) -> Iterator[Measure]:
    inactive = of.number(VAE, "latent_dim") - of.number(VAE, "generation/active_units")
    yield at_most("inactive numbers of the code", inactive, most_inactive)
    yield at_least("smallest KL (nats)", min(of.numbers(VAE, "generation/kl_per_dimension")), least_kl)


def _collapse_is_a_risk(of: Evidence, *, least_lost: float) -> Iterator[Measure]:
    lost = _lead(of, "vae_16", "vae_16_beta_4", "generation/active_units")
    yield at_least("active numbers, beta 1 minus beta 4", lost, least_lost)


def _beta_trades(of: Evidence, *, least_mse_ratio: float, largest_distance_ratio: float) -> Iterator[Measure]:
    yield at_least("MSE, beta 4 over 1", _ratio(of, "vae_16_beta_4", "vae_16", "test_mse"), least_mse_ratio)
    ratio = _ratio(of, "vae_16_beta_4", "vae_16", f"{PRIOR}/frechet_distance")
    yield at_most("Frechet distance, beta 4 over 1", ratio, largest_distance_ratio)


def _error_does_not_tell_generation(of: Evidence, *, largest_mse: float, least_distance: float) -> Iterator[Measure]:
    yield at_most("MSE, AE over VAE", _ratio(of, AE, VAE, "test_mse"), largest_mse)
    yield at_least("Frechet distance, AE over VAE", _ratio(of, AE, VAE, f"{PRIOR}/frechet_distance"), least_distance)


def _vae_costs_more(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    yield at_least("operations per image, VAE over AE", _ratio(of, VAE, AE, MACS), least_ratio)


def _sampling_costs(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    for size, (plain, variational) in SAME_LAYERS.items():
        yield at_least(f"operations, VAE over AE, {size} numbers", _ratio(of, variational, plain, MACS), least_ratio)


def _larger_codes_cost_parameters(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    yield at_least("parameters, 16 numbers over 2", _ratio(of, "vae_16", VAE, "num_parameters/total"), least_ratio)


def _two_numbers_limit(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    yield at_most("MSE, 16 numbers over 2", _ratio(of, "vae_16", VAE, "test_mse"), largest_ratio)


def _ae_has_a_bottleneck(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    yield at_least("pixels per number of the code", of.number(AE, "compression_ratio"), least_ratio)


TESTS: dict[str, Test] = {
    "C1": _ae_is_faithful,
    "C2": _ae_is_uniform,
    "C3": _vae_is_recognisable,
    "C4": _vae_blurs,
    "C5": _vae_blurs_slightly,
    "C6": _vae_blurs_at_equal_code,
    "C7": _vae_varies,
    "C8": _classes_separate,
    "C9": _vae_is_smooth,
    "C10": _similar_digits_are_near,
    "C11": _codes_are_centred,
    "C12": _codes_are_standard_normal,
    "C13": _prior_samples_are_realistic,
    "C14": _prior_samples_are_diverse,
    "C15": _ae_samples_are_not,
    "C16": _vae_generates_better,
    "C17": _vae_interpolates_better,
    "C18": _vae_interpolates_better_at_equal_code,
    "C19": _ae_overfits_more,
    "C20": _vae_is_organised,
    "C21": _no_posterior_collapse,
    "C22": _collapse_is_a_risk,
    "C23": _beta_trades,
    "C24": _error_does_not_tell_generation,
    "C25": _vae_costs_more,
    "C26": _sampling_costs,
    "C27": _larger_codes_cost_parameters,
    "C28": _two_numbers_limit,
    "C29": _ae_has_a_bottleneck,
}
