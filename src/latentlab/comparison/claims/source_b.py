"""What does mlp-denoise-interpolate claim? A small bottleneck keeps the digit and lets the noise go."""

from latentlab.comparison.claims import limits
from latentlab.comparison.claims.claim import Claim, Quantity, baseline, difference, largest, number, within
from latentlab.comparison.claims.quantities import fall_share, noise_let_through, sample_score
from latentlab.comparison.claims.words import GAIN, MSE, NEIGHBOURS, PSNR, RBF, SSIM, WAY

# the source shows the one of 8 numbers, and noise of sigma 0.2
MLP_2, MLP_4, MLP_8, MLP_32 = "mlp_2", "mlp_4", "mlp_8", "mlp_32"
TRAINED_TO_DENOISE = "mlp_8_denoise", "mlp_32_denoise", "cae_baseline_denoise"
FEW_LABELS = "few_labels/logistic/100/mean"

CONVERGED = fall_share(MLP_8, "train_loss", epoch=10)
MIDPOINT = number(MLP_8, f"{WAY}/midpoint_distance")


def _balance(variant: str) -> Quantity:
    both = (number(variant, PSNR) + number(variant, "denoising/0.2/psnr")) / 2
    return both.called(f"{variant}'s mean PSNR on clean and on noisy input (dB)")


CLAIMS = [
    Claim("B1", "Eight numbers for an image are a compression of 98 to 1.",
          why="Counted exactly. (In numbers, not in bytes; for bytes see D1 to D4.)",
          holds=within(number(MLP_8, "compression_ratio"), 98, 98)),
    Claim("B2", "The training converges fast in ten epochs and refines slowly after them.",
          why="Four fifths in a fifth of the epochs would be fast. A recipe of fewer epochs cannot tell.",
          holds=[CONVERGED >= 0.8, 1 - CONVERGED >= 0.01]),
    Claim("B3", "Eight numbers are enough for faithful reconstructions.",
          holds=[number(MLP_8, SSIM) >= limits.FAITHFUL]),
    Claim("B4", "Digits reconstructed from eight numbers can be recognised.",
          why="(The probe names it from the code, which is all that the decoder has.)",
          holds=[number(MLP_8, RBF) >= limits.RECOGNISABLE]),
    Claim("B5", "The autoencoder, trained on clean images, takes noise away.",
          holds=[number(MLP_8, GAIN) >= limits.ANY_GAIN_DB],
          beside=[number(MLP_8, "denoising/0.2/mse_in"), number(MLP_8, "denoising/0.2/mse")]),
    Claim("B6", "Autoencoders that are trained to do it take noise away. (Not the source's, which trained none; ours "
          "beside B5.)",
          holds=[number(variant, GAIN) >= limits.ANY_GAIN_DB for variant in TRAINED_TO_DENOISE]),
    Claim("B7", "The bottleneck is a filter that keeps the digit and stops the noise.",
          why="A filter should stop at least half.", holds=[noise_let_through(MLP_8) <= 0.5]),
    Claim("B8", "Small bottlenecks remove noise better than large ones.",
          holds=[difference(GAIN, small, MLP_32) >= limits.VISIBLE_DB for small in (MLP_2, MLP_4, MLP_8)]),
    Claim("B9", "A large bottleneck has room for the noise and passes it on.",
          why="A tenth of the noise is the least that would explain a difference one can see.",
          holds=[noise_let_through(MLP_32) - noise_let_through(small) >= 0.1 for small in (MLP_4, MLP_8)]),
    Claim("B10", "Reconstructions are excellent with 32 numbers, good with 4 to 8, and blurry with 2.",
          why="0.8 is a round number, too, and less than faithful.",
          holds=[number(MLP_32, SSIM) >= limits.EXCELLENT, number(MLP_8, SSIM) >= 0.8,
                 number(MLP_4, SSIM) >= 0.8, number(MLP_2, SSIM) <= 0.8]),
    Claim("B11", "A bottleneck of 4 to 8 numbers is the best balance of reconstruction and denoising.",
          why="The best is the best by any amount. Both tasks weigh the same.",
          holds=[largest([_balance(MLP_4), _balance(MLP_8)]) - largest([_balance(MLP_2), _balance(MLP_32)]) >= 0]),
    Claim("B12", "The way between two digits through the code is a smooth change.",
          holds=[number(MLP_8, f"interpolation/linear/{pairs}_classes/step_ratio") <= limits.SMOOTH
                 for pairs in ("equal", "different")]),
    Claim("B13", "The way between two digits passes through plausible digits.",
          why="(Blur shortens the distance, so a blurry decoder has it easier.)",
          holds=[MIDPOINT / number(MLP_8, f"{WAY}/crossfade_distance") <= limits.BEATS_CROSSFADE,
                 MIDPOINT / number(MLP_8, "interpolation/real_distance") <= limits.LIKE_REAL]),
    Claim("B14", "Nearby codes stand for similar digits, so that the code has a meaning.",
          holds=[number(MLP_8, "latent_space/knn10_accuracy") >= limits.NEIGHBOURS_AGREE,
                 number(MLP_8, NEIGHBOURS) - baseline("pca_8", NEIGHBOURS) >= limits.CLEAR_LEAD]),
    Claim("B15", "The learnt code is compact without features made by hand. (More so than linear features of equal size, "
          "or the network is not needed.)",
          holds=[number(f"mlp_{size}", MSE) / baseline(f"pca_{size}", MSE) <= limits.NO_GAIN for size in (2, 4, 8, 32)]),
    Claim("B16", "The decoder can make new digits from codes.",
          why="Half of what the test images themselves would have. Precision (the share of the samples, of a mixture of "
              "Gaussians fitted to the codes, among real images) and recall (the share of real images among the samples) "
              "are both needed, since one picture, drawn again and again, may have a precision of 1.",
          holds=[sample_score(MLP_8, "mixture") >= 0.5]),
    Claim("B17", "The trained encoder is a good start for a classifier.",
          why="Draws of 100 labels differ by two to four in a hundred. (A frozen encoder; fine-tuning was not tried.)",
          holds=[number(MLP_8, FEW_LABELS) - number(MLP_8, f"untrained/{FEW_LABELS}") >= 0.05,
                 number(MLP_8, FEW_LABELS) - baseline("raw_pixels", FEW_LABELS) >= limits.CLEAR_LEAD]),
    Claim("B18", "The reconstruction error rises on images of another kind, so that the autoencoder finds anomalies.",
          decided_by="The area under the ROC curve of the error, digits against other images (Fashion-MNIST), beside the "
                     "residual of PCA."),
]  # fmt: skip
