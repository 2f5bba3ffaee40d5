"""What does cae-architecture-study claim? The latent dimension decides, and little else does."""

from itertools import pairwise

from latentlab.comparison.claims import limits
from latentlab.comparison.claims.claim import (
    Claim,
    Quantity,
    difference,
    each,
    largest,
    largest_in,
    number,
    ratio,
    saving,
    span,
    spread,
    within,
)
from latentlab.comparison.claims.quantities import (
    detour,
    fall_share,
    first,
    generalisation_gap,
    largest_rise,
    last,
    last_over_best,
    num_as_good,
)
from latentlab.comparison.claims.words import MSE, OPERATIONS, PARAMETERS, PSNR, SSIM, words

BASELINE, TRADEOFF, BATCH_NORM = "cae_baseline", "cae_tradeoff", "cae_batch_norm"
LATENT = LATENT_2, LATENT_8, LATENT_32, LATENT_64 = "cae_latent_2", "cae_latent_8", BASELINE, "cae_latent_64"
FILTERS = NARROW, _, WIDE = "cae_filters_narrow", BASELINE, "cae_filters_wide"
DEPTHS = DEPTH_2, DEPTH_3, DEPTH_4 = "cae_depth_2", BASELINE, "cae_depth_4"
LEAKY = "cae_leaky_001", "cae_leaky_01", "cae_leaky_02"
FACTORS = {
    "latent dimension": LATENT,
    "filters": FILTERS,
    "depth": DEPTHS,
    "batch normalisation": (BASELINE, BATCH_NORM),
    "activation": (BASELINE, *LEAKY),
}
STUDIED = dict.fromkeys(variant for variants in FACTORS.values() for variant in variants)


def _span(path: str, factor: str) -> Quantity:
    return span(each(path, FACTORS[factor])).called(f"span of {words(path)} by {factor}")


CLAIMS = [
    Claim("A1", "Of all the factors, the latent dimension changes the error most.",
          why="A factor that comes first should do so by more than a little. (Latent dimensions were varied 32-fold, the "
              "filters 4-fold.)",
          holds=[_span(MSE, "latent dimension") / _span(MSE, factor) >= 2 for factor in list(FACTORS)[1:]]),
    Claim("A2", "Beyond 32 latent numbers little error is left to gain.",
          why="Twice the numbers for a tenth of the error would be little.",
          holds=[ratio(MSE, LATENT_64, LATENT_32) >= 0.9]),
    Claim("A3", "Each doubling of the latent dimension gains less than the one before, beyond 32.",
          why="A fifth less can be seen in a curve of absolute losses, which is what the source shows. On a logarithmic "
              "axis it may look different. (From 8 to 32 there are two doublings.)",
          holds=[difference(MSE, LATENT_32, LATENT_64) / (difference(MSE, LATENT_8, LATENT_32) / 2) <= 0.8],
          beside=[number(LATENT_2, MSE)]),
    Claim("A4", "The eye cannot tell reconstructions from 64 numbers from those from 32.",
          holds=[difference(PSNR, LATENT_64, LATENT_32) <= limits.VISIBLE_DB]),
    Claim("A5", "Codes of 2 and of 8 numbers give blurry or ambiguous digits.",
          holds=[number(variant, SSIM) <= limits.FAITHFUL for variant in (LATENT_2, LATENT_8)]),
    Claim("A6", "Wider filters lower the error slightly.",
          why="A fifth of the MSE is one decibel, and a hundredth is about what another seed does.",
          holds=[*within(ratio(MSE, BASELINE, NARROW), 0.8, 0.99), *within(ratio(MSE, WIDE, BASELINE), 0.8, 0.99)]),
    Claim("A7", "The eye sees no difference between reconstructions with few and with many filters.",
          holds=[spread(each(PSNR, FILTERS)) <= limits.VISIBLE_DB]),
    Claim("A8", "For digits, wide filters are not worth what they cost.",
          why="What cannot be seen is not worth twice the operations.",
          holds=[difference(PSNR, WIDE, BASELINE) <= limits.VISIBLE_DB, ratio(OPERATIONS, WIDE, BASELINE) >= 2]),
    Claim("A9", "More than two blocks do not improve the reconstructions.",
          holds=[ratio(MSE, deeper, DEPTH_2) >= limits.NO_GAIN for deeper in (DEPTH_3, DEPTH_4)]),
    Claim("A10", "Models of different depth learn differently at first and end at a similar loss.",
          why="Two hundredths of the cross entropy cannot be seen in a plot of the loss, and most of the cross entropy is "
              "the entropy of the images themselves.",
          holds=[span([last(variant, "validation_loss") for variant in DEPTHS]) <= 1.02,
                 span([first(variant, "validation_loss") for variant in DEPTHS]) >= 1.02]),
    Claim("A11", "Leaky ReLU in the place of ReLU has no effect on the result.",
          holds=[limit for leaky in LEAKY for limit in within(
              ratio(MSE, leaky, BASELINE), limits.NO_GAIN, limits.NO_LOSS)]),
    Claim("A12", "Batch normalisation leaves the final result as it was.",
          holds=within(ratio(MSE, BATCH_NORM, BASELINE), limits.NO_GAIN, limits.NO_LOSS)),
    Claim("A13", "Batch normalisation makes the training a little smoother.",
          why="A loss that only falls has 1; a hundredth more is one visible bump. A short schedule that ends at a "
              "learning rate of 0 has no room for bumps, so ten epochs are asked for.",
          holds=[detour(BASELINE, least_epochs=10) - detour(BATCH_NORM, least_epochs=10) >= 0.01]),
    Claim("A14", "Batch normalisation, leaky ReLU and a fourth block add complexity and no quality.",
          why="Any cost that can be counted is one.",
          holds=[limit for extra in (BATCH_NORM, *LEAKY, DEPTH_4) for limit in (
              largest([ratio(PARAMETERS, extra, BASELINE), ratio(OPERATIONS, extra, BASELINE)]) >= 1.001,
              ratio(MSE, extra, BASELINE) >= limits.NO_GAIN)]),
    Claim("A15", "The number of filters has the greatest effect on the number of parameters.",
          holds=[_span(PARAMETERS, "filters") / _span(PARAMETERS, factor) >= limits.CLEARLY_MORE
                 for factor in FACTORS if factor != "filters"]),
    Claim("A16", "Depth has a greater effect on the number of parameters than the latent dimension.",
          holds=[_span(PARAMETERS, "depth") / _span(PARAMETERS, "latent dimension") >= limits.CLEARLY_MORE]),
    Claim("A17", "Every block beyond the second adds substantially to the number of parameters.",
          holds=[ratio(PARAMETERS, more, fewer) >= limits.CLEARLY_MORE for fewer, more in pairwise(DEPTHS)]),
    Claim("A18", "The latent dimension changes the number of parameters only a little.",
          why="A quarter is still a little beside a factor of five.",
          holds=[_span(PARAMETERS, "latent dimension") <= 1.25]),
    Claim("A19", "Batch normalisation adds some parameters.",
          why="Counted exactly.", holds=[difference(PARAMETERS, BATCH_NORM, BASELINE) >= 1]),
    Claim("A20", "The activation has no part in the complexity.",
          why="Counted exactly.", holds=[abs(difference(PARAMETERS, leaky, BASELINE)) <= 0 for leaky in LEAKY]),
    Claim("A21", "The latent dimension alone touches every aim: a larger one means less error but a larger code and model.",
          why="That no other factor changes the latent dimension is so by definition.",
          holds=[limit for smaller, larger in pairwise(LATENT) for limit in (
              ratio(MSE, larger, smaller) <= limits.NO_GAIN, ratio(PARAMETERS, larger, smaller) >= 1.01)]),
    Claim("A22", "To save computation, take fewer filters and fewer blocks.",
          why="A tenth of the operations is the least that would be worth a change, and more than 2 latent numbers save.",
          holds=[limit for smaller in (NARROW, DEPTH_2) for limit in (
              saving(OPERATIONS, smaller, BASELINE) >= 0.1,
              saving(OPERATIONS, smaller, BASELINE) - saving(OPERATIONS, LATENT_2, BASELINE) >= 0.1)]),
    Claim("A23", "The trade-off model has about 40% fewer parameters than the baseline.",
          why="About 40% is nearer to 40 than to 30 or to 50.",
          holds=within(saving(PARAMETERS, TRADEOFF, BASELINE), 0.35, 0.45)),
    Claim("A24", "The trade-off model's quality is comparable with the baseline's.",
          holds=[difference(PSNR, BASELINE, TRADEOFF) <= limits.COMPARABLE_DB]),
    Claim("A25", "The trade-off model still gives clear digits.",
          holds=[number(TRADEOFF, SSIM) >= limits.FAITHFUL]),
    Claim("A26", "The trade-off model is the best balance of error, code and cost.",
          why="A best balance cannot be beaten in everything. This is necessary, not sufficient, since how to weigh the "
              "four is a matter of taste.",
          holds=[num_as_good(TRADEOFF, [*STUDIED], [MSE, "latent_dim", PARAMETERS, OPERATIONS]) <= 0]),
    Claim("A27", "The losses of the baseline are stable within ten epochs.",
          why="The rest, a twentieth, is about a line's width in a plot. A recipe of fewer epochs cannot tell.",
          holds=[fall_share(BASELINE, column, epoch=10) >= 0.95 for column in ("train_loss", "validation_loss")]),
    Claim("A28", "The losses of the baseline fall steadily.",
          why="A hundredth cannot be seen in a plot.",
          holds=[largest_rise(BASELINE, column) <= 0.01 for column in ("train_loss", "validation_loss")]),
    Claim("A29", "The baseline does not overfit.",
          why="Most of the cross entropy is the entropy of the images themselves, so that even two hundredths would be a "
              "gap. Overfitting would turn the validation loss back up.",
          holds=[generalisation_gap(BASELINE) <= 1.02, last_over_best(BASELINE, "validation_loss") <= 1.005]),
    Claim("A30", "The baseline reconstructs every digit faithfully and without artefacts.",
          why="The checkerboard energy ratio is about 1 without a grid. Digits differ in the amount of ink by about a "
              "factor of two.",
          holds=[number(BASELINE, SSIM) >= limits.FAITHFUL, number(BASELINE, "checkerboard/energy_ratio") <= 1.2,
                 largest_in(BASELINE, "mse_per_class") / number(BASELINE, MSE) <= 2]),
]  # fmt: skip
