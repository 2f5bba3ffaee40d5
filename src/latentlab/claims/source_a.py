"""What does cae-architecture-study claim? Latent size decides, and little else does.

What each test tests, in words, stands in claims.yaml under its id; its keyword-only arguments are the thresholds there.
"""

from collections.abc import Iterator
from itertools import pairwise

from latentlab.claims.evidence import Evidence, Missing
from latentlab.claims.quantities import fall_share, generalisation_gap, largest_rise, span
from latentlab.claims.verdicts import Measure, Test, at_least, at_most, within

BASELINE = "cae_baseline"
LATENT = {2: "cae_latent_2", 8: "cae_latent_8", 32: BASELINE, 64: "cae_latent_64"}
FILTERS = ["cae_filters_narrow", BASELINE, "cae_filters_wide"]
DEPTH = ["cae_depth_2", BASELINE, "cae_depth_4"]
LEAKY = ["cae_leaky_001", "cae_leaky_01", "cae_leaky_02"]
FACTORS = {
    "filters": FILTERS,
    "depth": DEPTH,
    "batch norm": [BASELINE, "cae_batch_norm"],
    "activation": [BASELINE, *LEAKY],
}
PARAMETERS = "num_parameters/total"
MACS = "num_macs/total"


def _span(of: Evidence, rows: list[str], path: str) -> float:
    return span(of.number(row, path) for row in rows)


def _ratio(of: Evidence, row: str, other: str, path: str) -> float:
    return of.number(row, path) / of.number(other, path)


def _lead(of: Evidence, row: str, other: str, path: str) -> float:
    return of.number(row, path) - of.number(other, path)


def _latent_size_drives_error(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    latent = _span(of, list(LATENT.values()), "test_mse")
    for factor, rows in FACTORS.items():
        yield at_least(f"span of MSE, latent size over {factor}", latent / _span(of, rows, "test_mse"), least_ratio)


def _little_gained_beyond_32(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    yield at_least("MSE, latent 64 over 32", _ratio(of, LATENT[64], LATENT[32], "test_mse"), least_ratio)


def _gains_diminish(of: Evidence, *, largest_share: float) -> Iterator[Measure]:
    mse = {size: of.number(row, "test_mse") for size, row in LATENT.items()}
    before = (mse[8] - mse[32]) / 2  # two doublings
    yield at_most("fall of MSE per doubling, beyond 32 over before", (mse[32] - mse[64]) / before, largest_share)


def _eye_sees_no_gain_beyond_32(of: Evidence, *, visible_db: float) -> Iterator[Measure]:
    yield at_most("PSNR, latent 64 minus 32 (dB)", _lead(of, LATENT[64], LATENT[32], "test_psnr"), visible_db)


def _small_codes_are_blurry(of: Evidence, *, faithful_ssim: float) -> Iterator[Measure]:
    for size in (2, 8):
        yield at_most(f"SSIM, latent {size}", of.number(LATENT[size], "test_ssim"), faithful_ssim)


def _wider_filters_help_slightly(of: Evidence, *, least_ratio: float, largest_ratio: float) -> Iterator[Measure]:
    for words, narrower, wider in (("baseline over narrow", *FILTERS[:2]), ("wide over baseline", *FILTERS[1:])):
        yield from within(f"MSE, {words}", _ratio(of, wider, narrower, "test_mse"), least_ratio, largest_ratio)


def _eye_sees_no_filters(of: Evidence, *, visible_db: float) -> Iterator[Measure]:
    psnr = [of.number(row, "test_psnr") for row in FILTERS]
    yield at_most("PSNR, best minus worst number of filters (dB)", max(psnr) - min(psnr), visible_db)


def _wide_filters_do_not_pay(of: Evidence, *, visible_db: float, least_cost: float) -> Iterator[Measure]:
    wide = FILTERS[2]
    yield at_most("PSNR, wide minus baseline (dB)", _lead(of, wide, BASELINE, "test_psnr"), visible_db)
    yield at_least("operations, wide over baseline", _ratio(of, wide, BASELINE, MACS), least_cost)


def _depth_beyond_two_does_not_help(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    for blocks, row in ((3, DEPTH[1]), (4, DEPTH[2])):
        yield at_least(f"MSE, {blocks} blocks over 2", _ratio(of, row, DEPTH[0], "test_mse"), least_ratio)


def _depths_meet_in_the_end(of: Evidence, *, largest_span: float) -> Iterator[Measure]:
    losses = [of.curve(row, "validation_loss") for row in DEPTH]
    first = of.record("depths span of validation loss, epoch 1", span(loss[0] for loss in losses))
    last = of.record("depths span of validation loss, last epoch", span(loss[-1] for loss in losses))
    yield at_most("validation loss, largest over smallest, last epoch", last, largest_span)
    yield at_least("the same after one epoch", first, largest_span)


def _leaky_relu_changes_nothing(of: Evidence, *, least_ratio: float, largest_ratio: float) -> Iterator[Measure]:
    for row in LEAKY:
        yield from within(f"MSE, {row} over baseline", _ratio(of, row, BASELINE, "test_mse"), least_ratio, largest_ratio)


def _batch_norm_changes_nothing(of: Evidence, *, least_ratio: float, largest_ratio: float) -> Iterator[Measure]:
    ratio = _ratio(of, "cae_batch_norm", BASELINE, "test_mse")
    yield from within("MSE, batch norm over baseline", ratio, least_ratio, largest_ratio)


def _batch_norm_smooths_training(of: Evidence, *, num_epochs: float, least_lead: float) -> Iterator[Measure]:
    detours = []
    for row in (BASELINE, "cae_batch_norm"):
        loss = of.curve(row, "validation_loss")
        if len(loss) < num_epochs:
            raise Missing(
                f"{len(loss)} epochs of {row} say little of smoothness; a recipe with {num_epochs:.0f} would decide"
            )
        way = sum(abs(after - before) for before, after in pairwise(loss))
        detours.append(of.record(f"{row} way over fall of validation loss", way / (loss[0] - loss[-1])))
    yield at_least("way over fall of validation loss, baseline minus batch norm", detours[0] - detours[1], least_lead)


def _extras_cost_and_gain_nothing(of: Evidence, *, least_ratio: float, least_cost: float) -> Iterator[Measure]:
    for row in ("cae_batch_norm", *LEAKY, "cae_depth_4"):
        cost = max(_ratio(of, row, BASELINE, PARAMETERS), _ratio(of, row, BASELINE, MACS))
        yield at_least(f"parameters or operations, {row} over baseline", cost, least_cost)
        yield at_least(f"MSE, {row} over baseline", _ratio(of, row, BASELINE, "test_mse"), least_ratio)


def _filters_drive_parameters(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    others = {"latent size": list(LATENT.values())} | {name: rows for name, rows in FACTORS.items() if name != "filters"}
    filters = _span(of, FILTERS, PARAMETERS)
    for factor, rows in others.items():
        yield at_least(f"span of parameters, filters over {factor}", filters / _span(of, rows, PARAMETERS), least_ratio)


def _depth_drives_parameters(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    ratio = _span(of, DEPTH, PARAMETERS) / _span(of, list(LATENT.values()), PARAMETERS)
    yield at_least("span of parameters, depth over latent size", ratio, least_ratio)


def _blocks_add_parameters(of: Evidence, *, least_ratio: float) -> Iterator[Measure]:
    for words, fewer, more in (("3 blocks over 2", *DEPTH[:2]), ("4 blocks over 3", *DEPTH[1:])):
        yield at_least(f"parameters, {words}", _ratio(of, more, fewer, PARAMETERS), least_ratio)


def _latent_size_adds_few_parameters(of: Evidence, *, largest_span: float) -> Iterator[Measure]:
    yield at_most("span of parameters, latent size", _span(of, list(LATENT.values()), PARAMETERS), largest_span)


def _batch_norm_adds_parameters(of: Evidence, *, least_added: float) -> Iterator[Measure]:
    yield at_least("parameters that batch norm adds", _lead(of, "cae_batch_norm", BASELINE, PARAMETERS), least_added)


def _activation_adds_no_parameters(of: Evidence, *, most_added: float) -> Iterator[Measure]:
    for row in LEAKY:
        yield at_most(f"parameters that {row} adds", abs(_lead(of, row, BASELINE, PARAMETERS)), most_added)


def _latent_size_touches_everything(of: Evidence, *, largest_mse: float, least_parameters: float) -> Iterator[Measure]:
    for smaller, larger in pairwise(LATENT):
        rows, words = (LATENT[larger], LATENT[smaller]), f"latent {larger} over {smaller}"
        yield at_most(f"MSE, {words}", _ratio(of, *rows, "test_mse"), largest_mse)
        yield at_least(f"parameters, {words}", _ratio(of, *rows, PARAMETERS), least_parameters)


def _smaller_models_save_operations(of: Evidence, *, least_saving: float) -> Iterator[Measure]:
    latent = 1 - _ratio(of, LATENT[2], BASELINE, MACS)
    for words, row in (("narrow filters", FILTERS[0]), ("two blocks", DEPTH[0])):
        saving = 1 - _ratio(of, row, BASELINE, MACS)
        yield at_least(f"share of operations that {words} save", saving, least_saving)
        yield at_least(f"the same, minus that of latent 2, {words}", saving - latent, least_saving)


def _tradeoff_has_fewer_parameters(of: Evidence, *, least_saving: float, largest_saving: float) -> Iterator[Measure]:
    saving = 1 - _ratio(of, "cae_tradeoff", BASELINE, PARAMETERS)
    yield from within("share of parameters saved", saving, least_saving, largest_saving)


def _tradeoff_is_comparable(of: Evidence, *, comparable_db: float) -> Iterator[Measure]:
    lost = _lead(of, BASELINE, "cae_tradeoff", "test_psnr")
    yield at_most("PSNR, baseline minus trade-off (dB)", lost, comparable_db)


def _tradeoff_is_clear(of: Evidence, *, faithful_ssim: float) -> Iterator[Measure]:
    yield at_least("SSIM, trade-off", of.number("cae_tradeoff", "test_ssim"), faithful_ssim)


def _tradeoff_is_not_beaten(of: Evidence, *, most_better: float) -> Iterator[Measure]:
    criteria = ("test_mse", "latent_dim", PARAMETERS, MACS)
    ours = [of.number("cae_tradeoff", path) for path in criteria]
    others = dict.fromkeys([*LATENT.values(), *(row for rows in FACTORS.values() for row in rows)])
    beaten = [all(of.number(row, path) <= own for path, own in zip(criteria, ours, strict=True)) for row in others]
    yield at_most("rows as good in error, code, parameters and operations", sum(beaten), most_better)


def _losses_stabilise(of: Evidence, *, epoch: float, least_share: float) -> Iterator[Measure]:
    for column in ("train_loss", "validation_loss"):
        share = of.record(f"{BASELINE} share of the fall of {column}", fall_share(of.curve(BASELINE, column), int(epoch)))
        yield at_least(f"share of the fall of {column}", share, least_share)


def _losses_fall_steadily(of: Evidence, *, largest_rise_share: float) -> Iterator[Measure]:
    for column in ("train_loss", "validation_loss"):
        rise = of.record(f"{BASELINE} largest rise of {column}", largest_rise(of.curve(BASELINE, column)))
        yield at_most(f"largest rise of {column} from an epoch to the next", rise, largest_rise_share)


def _baseline_does_not_overfit(of: Evidence, *, largest_gap: float, largest_return: float) -> Iterator[Measure]:
    yield at_most("validation over training loss, last epoch", generalisation_gap(of, BASELINE), largest_gap)
    loss = of.curve(BASELINE, "validation_loss")
    back = of.record(f"{BASELINE} validation loss, last over least", loss[-1] / min(loss))
    yield at_most("validation loss, last epoch over the best", back, largest_return)


def _baseline_is_faithful(
    of: Evidence, *, faithful_ssim: float, largest_ratio: float, worst_digit: float
) -> Iterator[Measure]:
    yield at_least("SSIM", of.number(BASELINE, "test_ssim"), faithful_ssim)
    yield at_most("checkerboard energy ratio", of.number(BASELINE, "checkerboard/energy_ratio"), largest_ratio)
    digits = [of.number(BASELINE, f"mse_per_digit/{digit}") for digit in of.keys(BASELINE, "mse_per_digit")]
    yield at_most("MSE, worst digit over all", max(digits) / of.number(BASELINE, "test_mse"), worst_digit)


TESTS: dict[str, Test] = {
    "A1": _latent_size_drives_error,
    "A2": _little_gained_beyond_32,
    "A3": _gains_diminish,
    "A4": _eye_sees_no_gain_beyond_32,
    "A5": _small_codes_are_blurry,
    "A6": _wider_filters_help_slightly,
    "A7": _eye_sees_no_filters,
    "A8": _wide_filters_do_not_pay,
    "A9": _depth_beyond_two_does_not_help,
    "A10": _depths_meet_in_the_end,
    "A11": _leaky_relu_changes_nothing,
    "A12": _batch_norm_changes_nothing,
    "A13": _batch_norm_smooths_training,
    "A14": _extras_cost_and_gain_nothing,
    "A15": _filters_drive_parameters,
    "A16": _depth_drives_parameters,
    "A17": _blocks_add_parameters,
    "A18": _latent_size_adds_few_parameters,
    "A19": _batch_norm_adds_parameters,
    "A20": _activation_adds_no_parameters,
    "A21": _latent_size_touches_everything,
    "A22": _smaller_models_save_operations,
    "A23": _tradeoff_has_fewer_parameters,
    "A24": _tradeoff_is_comparable,
    "A25": _tradeoff_is_clear,
    "A26": _tradeoff_is_not_beaten,
    "A27": _losses_stabilise,
    "A28": _losses_fall_steadily,
    "A29": _baseline_does_not_overfit,
    "A30": _baseline_is_faithful,
}
