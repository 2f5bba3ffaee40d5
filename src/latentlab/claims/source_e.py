"""What does architectures-comparison claim? Convolutions beat dense layers, and the code knows the digit.

What each test tests, in words, stands in claims.yaml under its id; its keyword-only arguments are the thresholds there.
"""

from collections.abc import Iterator

from latentlab.claims.evidence import Evidence, Missing
from latentlab.claims.quantities import bytes_over, first_epoch_mse, generalisation_gap, rank, rates
from latentlab.claims.verdicts import Measure, Test, at_least, at_most, within

CONV, SUPERRES, STACKED = ROWS = ("conv_bn_64", "superres_64", "stacked_64")
PCA, PIXELS = "pca_64", "raw_pixels"
PARAMETERS = "num_parameters/total"
MACS = "num_macs/total"


def _ratio(of: Evidence, row: str, other: str, path: str) -> float:
    return of.number(row, path) / of.number(other, path)


def _order_of_error(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    yield at_least("MSE, super-resolution over convolutional", _ratio(of, SUPERRES, CONV, "test_mse"), least_ratio)
    yield at_least("MSE, stacked over super-resolution", _ratio(of, STACKED, SUPERRES, "test_mse"), least_ratio)


def _order_of_speed(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    first = {row: first_epoch_mse(of, row) for row in ROWS}
    words = "MSE after one epoch"
    yield at_least(f"{words}, super-resolution over convolutional", first[SUPERRES] / first[CONV], least_ratio)
    yield at_least(f"{words}, stacked over super-resolution", first[STACKED] / first[SUPERRES], least_ratio)


def _lower_than_stacked(of: Evidence, *, least_reduction: float, largest_reduction: float) -> Iterator[Measure]:
    reduction = 1 - _ratio(of, CONV, STACKED, "test_mse")
    yield from within("share by which MSE is lower than stacked's", reduction, least_reduction, largest_reduction)


def _lower_than_superres(of: Evidence, *, least_reduction: float, largest_reduction: float) -> Iterator[Measure]:
    reduction = 1 - _ratio(of, CONV, SUPERRES, "test_mse")
    yield from within("share by which MSE is lower than super-resolution's", reduction, least_reduction, largest_reduction)


def _svm_accuracy(of: Evidence, *, least_accuracy: float) -> Iterator[Measure]:
    yield at_least("accuracy of the RBF probe", of.number(CONV, "svm_rbf_accuracy"), least_accuracy)


def _linear_svm_accuracy(of: Evidence, *, least_accuracy: float) -> Iterator[Measure]:
    yield at_least("accuracy of the linear SVM", of.number(CONV, "svm_linear_accuracy"), least_accuracy)


def _accuracy_beats_pixels_and_pca(of: Evidence, *, least_lead: float) -> Iterator[Measure]:
    ours = of.number(CONV, "svm_rbf_accuracy")
    for words, other in (("pixels", PIXELS), ("PCA", PCA)):
        yield at_least(
            f"accuracy of the RBF probe, code minus {words}", ours - of.number(other, "svm_rbf_accuracy"), least_lead
        )


def _training_adds_accuracy(of: Evidence, *, least_lead: float) -> Iterator[Measure]:
    for words, path in (("nearest neighbours", "knn_accuracy"), ("logistic regression", "logistic_accuracy")):
        lead = of.number(CONV, path) - of.number(CONV, f"untrained/{path}")
        yield at_least(f"accuracy of {words}, trained minus untrained", lead, least_lead)


def _linear_probe_beats_pca(of: Evidence, *, least_lead: float) -> Iterator[Measure]:
    lead = of.number(CONV, "svm_linear_accuracy") - of.number(PCA, "svm_linear_accuracy")
    yield at_least("accuracy of the linear SVM, code minus PCA", lead, least_lead)


def _clusters_in_tsne(of: Evidence, *, least_silhouette: float, least_accuracy: float) -> Iterator[Measure]:
    sizes = [key for key in of.keys(CONV, "latent_space") if key.startswith("tsne_")]
    if not sizes:
        raise Missing(f"{CONV} has no t-SNE")
    for size in sorted(sizes, key=lambda key: int(key.removeprefix("tsne_"))):
        words, path = f"{size.removeprefix('tsne_')} points", f"latent_space/{size}"
        yield at_least(f"silhouette, {words}", of.number(CONV, f"{path}/silhouette"), least_silhouette)
        accuracy = of.number(CONV, f"{path}/knn10_accuracy")
        yield at_least(f"accuracy of the 10 nearest, {words}", accuracy, least_accuracy)


def _similar_digits_are_near(of: Evidence, *, largest_rank: float) -> Iterator[Measure]:
    for digit, other in ((4, 9), (9, 4), (3, 8), (8, 3)):
        yield at_most(f"rank of {other} among the neighbours of {digit}", rank(of, CONV, digit, other), largest_rank)


def _transitions_are_smooth(of: Evidence, *, largest_step: float) -> Iterator[Measure]:
    ratio = of.number(CONV, "interpolation/linear/different_digits/step_ratio")
    yield at_most("largest over mean step, different digits", ratio, largest_step)


def _parameters_as_printed(
    of: Evidence, *, superres: float, convolutional: float, stacked: float, largest_off: float
) -> Iterator[Measure]:
    for row, printed in ((SUPERRES, superres), (CONV, convolutional), (STACKED, stacked)):
        off = abs(of.number(row, PARAMETERS) / printed - 1)
        yield at_most(f"parameters of {row}, off the printed number (share)", off, largest_off)


def _order_of_parameters(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    yield at_least("parameters, convolutional over super-resolution", _ratio(of, CONV, SUPERRES, PARAMETERS), least_ratio)
    yield at_least("parameters, stacked over convolutional", _ratio(of, STACKED, CONV, PARAMETERS), least_ratio)


def _fewer_parameters_than_stacked(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    yield at_most("parameters, convolutional over stacked", _ratio(of, CONV, STACKED, PARAMETERS), largest_ratio)


def _stacked_is_fast(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    for words, row in (("convolutional", CONV), ("super-resolution", SUPERRES)):
        yield at_least(f"operations, {words} over stacked", _ratio(of, row, STACKED, MACS), least_ratio)


def _conv_is_slightly_slower(of: Evidence, *, least_ratio: float, largest_ratio: float) -> Iterator[Measure]:
    others = max(of.number(row, MACS) for row in (SUPERRES, STACKED))
    yield from within("operations over the dearer other row", of.number(CONV, MACS) / others, least_ratio, largest_ratio)


def _shared_weights_overfit_less(of: Evidence, *, num_epochs: float, least_lead: float) -> Iterator[Measure]:
    for row in (CONV, STACKED):
        if len(of.curve(row, "train_loss")) < num_epochs:
            raise Missing(f"{row} has too few epochs to overfit; a recipe with {num_epochs:.0f} would decide")
    lead = generalisation_gap(of, STACKED) - generalisation_gap(of, CONV)
    yield at_least("validation over training loss, stacked minus convolutional", lead, least_lead)


def _batch_norm_speeds_convergence(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    ratio = first_epoch_mse(of, "cae_batch_norm") / first_epoch_mse(of, "cae_baseline")
    yield at_most("MSE after one epoch, with batch norm over without", ratio, largest_ratio)


def _can_denoise(of: Evidence, *, least_gain_db: float) -> Iterator[Measure]:
    for row in ROWS:
        yield at_least(f"gain, {row} (dB)", of.number(row, "denoising/0.2/gain_db"), least_gain_db)


def _better_than_pca(of: Evidence, *, largest_ratio: float) -> Iterator[Measure]:
    for row in ROWS:
        yield at_most(f"MSE, {row} over PCA", _ratio(of, row, PCA, "test_mse"), largest_ratio)


def _can_compress(of: Evidence, *, largest_share: float) -> Iterator[Measure]:
    for codec in ("jpeg", "webp"):
        share = bytes_over(rates(of, CONV), of.codec(codec, "sheet"), codec)
        yield at_most(f"bytes over {codec}'s at equal PSNR", share, largest_share)


TESTS: dict[str, Test] = {
    "E1": _order_of_error,
    "E2": _order_of_speed,
    "E3": _lower_than_stacked,
    "E4": _lower_than_superres,
    "E5": _svm_accuracy,
    "E6": _linear_svm_accuracy,
    "E7": _accuracy_beats_pixels_and_pca,
    "E8": _training_adds_accuracy,
    "E9": _linear_probe_beats_pca,
    "E10": _clusters_in_tsne,
    "E11": _similar_digits_are_near,
    "E12": _transitions_are_smooth,
    "E13": _parameters_as_printed,
    "E14": _order_of_parameters,
    "E15": _fewer_parameters_than_stacked,
    "E16": _stacked_is_fast,
    "E17": _conv_is_slightly_slower,
    "E18": _shared_weights_overfit_less,
    "E19": _batch_norm_speeds_convergence,
    "E20": _can_denoise,
    "E21": _better_than_pca,
    "E22": _can_compress,
}
