"""What does conv-ae-vs-vae claim? An autoencoder reconstructs, a variational one generates."""

from latentlab.comparison.claims import limits
from latentlab.comparison.claims.claim import Claim, Quantity, difference, largest_in, number, ratio, smallest_in, within
from latentlab.comparison.claims.quantities import generalisation_gap, rank
from latentlab.comparison.claims.words import MSE, OPERATIONS, PARAMETERS, PSNR, RBF, SSIM, WAY

# the source's pair has codes of 1,568 and of 2 numbers; the others have equal layers and codes
AE, VAE, VAE_16, BETA_4 = "conv_ae", "vae_2", "vae_16", "vae_16_beta_4"
SAME_LAYERS = ("ae_2", VAE), ("ae_16", VAE_16)
PRIOR = "generation/standard_normal"
FRECHET = f"{PRIOR}/frechet_distance"


def _likeness(variant: str) -> Quantity:
    cosines = number(variant, f"{PRIOR}/nearest_cosine") / number(variant, "generation/real_cosine")
    return cosines.called(f"{variant}'s similarity of samples to the nearest training image over that of test images")


CLAIMS = [
    Claim("C1", "Reconstructions of the plain autoencoder can hardly be told from the originals.",
          holds=[number(AE, SSIM) >= limits.EXCELLENT]),
    Claim("C2", "The plain autoencoder reconstructs all digits equally well.",
          why="Digits differ in the amount of ink by about a factor of two.",
          holds=[largest_in(AE, "mse_per_class") / smallest_in(AE, "mse_per_class") <= 2]),
    Claim("C3", "Reconstructions of the VAE can be recognised as the right digit.",
          holds=[number(VAE, RBF) >= limits.RECOGNISABLE]),
    Claim("C4", "The VAE blurs more than the autoencoder, at the latent dimensions of the source (2 and 1,568).",
          holds=[ratio(MSE, VAE, AE) >= limits.NO_LOSS, difference(SSIM, AE, VAE) >= 0.01]),
    Claim("C5", "The VAE's reconstructions are only slightly worse than the autoencoder's.",
          holds=[difference(PSNR, AE, VAE) <= limits.COMPARABLE_DB]),
    Claim("C6", "The VAE blurs more because it is variational. (So it does at equal latent dimension and with equal "
          "layers.)",
          holds=[ratio(MSE, vae, ae) >= limits.NO_LOSS for ae, vae in SAME_LAYERS],
          beside=[number(variant, SSIM) for pair in SAME_LAYERS for variant in pair]),
    Claim("C7", "Several reconstructions of one image by the VAE differ slightly.",
          why="From a quarter of one step of 256 levels to a twentieth of the range of a pixel.",
          holds=within(number(VAE, "generation/reconstruction_std"), 0.001, 0.05)),
    Claim("C8", "In the VAE's two dimensions the digits are distinct, well-separated clusters.",
          holds=[number(VAE, "latent_space/silhouette") >= limits.SOME_CLUSTERS,
                 number(VAE, "latent_space/knn10_accuracy") >= limits.NEIGHBOURS_AGREE]),
    Claim("C9", "In the VAE's code smooth ways lead from digit to digit.",
          holds=[number(VAE, f"{WAY}/step_ratio") <= limits.SMOOTH,
                 number(VAE, f"{WAY}/midpoint_distance") / number(VAE, f"{WAY}/crossfade_distance")
                 <= limits.BEATS_CROSSFADE]),
    Claim("C10", "Similar digits, 4 and 9 or 3 and 8, are neighbours in the VAE's code.",
          holds=[rank(VAE, *pair) <= limits.NEAR for pair in ((4, 9), (9, 4), (3, 8), (8, 3))]),
    Claim("C11", "The VAE's codes lie around zero, most of them within 3 of it.",
          why="A quarter of a standard deviation cannot be seen in a scatter plot; most is nineteen of twenty.",
          holds=[abs(number(VAE, "latent_space/code_mean")) <= 0.25, number(VAE, "latent_space/share_within_3") >= 0.95]),
    Claim("C12", "The VAE's codes follow the standard normal.",
          why="A tenth, and for the share about twice what it would lose if the standard deviation were a tenth too large. "
              "(Of the standard normal, 99.73% lie in [-3, 3].)",
          holds=[abs(number(VAE, "latent_space/code_mean")) <= 0.1, *within(number(VAE, "latent_space/code_std"), 0.9, 1.1),
                 abs(number(VAE, "latent_space/share_within_3") - 0.9973) <= 0.005]),
    Claim("C13", "Samples from the VAE's prior are realistic.",
          why="A twentieth less similar is no matter. (Blurry and repeated samples have it easier; C14 and C16 do not let "
              "them.)",
          holds=[_likeness(VAE) >= 0.95,
                 number(VAE, f"{PRIOR}/nearest_distance") / number(VAE, "generation/real_distance") <= limits.LIKE_REAL]),
    Claim("C14", "Samples from the VAE's prior are diverse.",
          why="Half of what is real should be within reach.", holds=[number(VAE, f"{PRIOR}/recall") >= 0.5]),
    Claim("C15", "A plain autoencoder cannot be sampled from.",
          why="A fifth less similar than a real image is to another one is no digit any more.",
          holds=[_likeness(AE) <= 0.8]),
    Claim("C16", "The VAE generates better because it is variational. (So it does at equal latent dimension and with equal "
          "layers.)",
          why="A tenth, clearly more than the spread of a thousand samples.",
          holds=[ratio(FRECHET, vae, ae) <= 0.9 for ae, vae in SAME_LAYERS]),
    Claim("C17", "Between digits the VAE's images are more realistic than the autoencoder's.",
          why="(Blur shortens the distance.)", holds=[ratio(f"{WAY}/midpoint_distance", VAE, AE) <= limits.NO_GAIN]),
    Claim("C18", "The VAE interpolates better because it is variational. (So it does at equal latent dimension and with "
          "equal layers.)",
          holds=[ratio(f"{WAY}/{key}", vae, ae) <= limits.NO_GAIN
                 for ae, vae in SAME_LAYERS for key in ("midpoint_distance", "step_ratio")]),
    Claim("C19", "An autoencoder tends to overfit, a VAE less.",
          why="A two-hundredth, since most of the cross entropy is the entropy of the images themselves.",
          holds=[generalisation_gap(ae) - generalisation_gap(vae) >= 0.005 for ae, vae in ((AE, VAE), *SAME_LAYERS)]),
    Claim("C20", "The VAE's codes are better organised by digit.",
          why="A hundredth of the silhouette's whole range, from -1 to 1.",
          holds=[difference("latent_space/silhouette", vae, ae) >= 0.02 for ae, vae in SAME_LAYERS]),
    Claim("C21", "The VAE's posterior did not collapse.",
          why="Of a collapsed number the divergence is nearly 0; a tenth of a nat still says hardly anything of the image.",
          holds=[number(VAE, "latent_dim") - number(VAE, "generation/active_units") <= 0,
                 smallest_in(VAE, "generation/kl_per_dimension") >= 0.1]),
    Claim("C22", "Posterior collapse is a risk if the KL term weighs too much.",
          why="One number is the least that can collapse.",
          holds=[difference("generation/active_units", VAE_16, BETA_4) >= 1]),
    Claim("C23", "The KL term trades reconstruction for generation, so another beta may balance them better.",
          holds=[ratio(MSE, BETA_4, VAE_16) >= limits.NO_LOSS, ratio(FRECHET, BETA_4, VAE_16) <= limits.NO_GAIN]),
    Claim("C24", "Reconstruction error does not tell how well a model generates.",
          holds=[ratio(MSE, AE, VAE) <= limits.NO_GAIN, ratio(FRECHET, AE, VAE) >= limits.NO_LOSS]),
    Claim("C25", "The VAE costs more per epoch than the autoencoder.",
          why="(Multiply-accumulate operations per image. Times are in MLflow, not in the results, for they are another "
              "machine's elsewhere.)",
          holds=[ratio(OPERATIONS, VAE, AE) >= limits.CLEARLY_MORE]),
    Claim("C26", "It does so because of sampling and the second term of the loss. (So it does with equal layers.)",
          why="(Operations of convolutions and matrix products; sampling itself adds a few per latent number.)",
          holds=[ratio(OPERATIONS, vae, ae) >= limits.CLEARLY_MORE for ae, vae in SAME_LAYERS]),
    Claim("C27", "A larger code makes the VAE much larger.",
          holds=[ratio(PARAMETERS, VAE_16, VAE) >= limits.CLEARLY_MORE]),
    Claim("C28", "Two dimensions limit what the VAE can express, and more are needed for more than pictures.",
          why="A fifth of the MSE is one decibel.", holds=[ratio(MSE, VAE_16, VAE) <= 0.8]),
    Claim("C29", "The autoencoder's code is a bottleneck, in which detail is lost.",
          why="A bottleneck is narrower than what it is put on.",
          holds=[number(AE, "compression_ratio") >= 1.01]),
    Claim("C30", "Most of the grid over [-3, 3]² shows digits that can be read, and only its far corners have artefacts.",
          why="Most is half; a digit can be read where a classifier is sure of it by nine tenths; far is a tenth farther "
              "than the places are on average.",
          holds=[number(VAE, "generation/grid/readable_share") >= 0.5,
                 number(VAE, "generation/grid/unreadable_distance") >= 1.1]),
    Claim("C31", "The VAE's numbers are disentangled.",
          decided_by="Images whose factors are known, such as dSprites, and a measure as the mutual information gap; "
                     "digits have no such factors."),
    Claim("C32", "No digit is missing among the VAE's samples (no mode collapse).",
          why="A digit that is left a tenth of its share is not missing. (A classifier divides a thousand samples.)",
          holds=[smallest_in(VAE, f"{PRIOR}/classifier/class_shares") >= 0.01]),
    Claim("C33", "Learning rate and batch size decide how stable the training is.",
          decided_by="Each model trained at several of them, and the spread of the final losses."),
    Claim("C34", "Larger images in colour need deeper networks.",
          decided_by="The same variants, and deeper ones, on CIFAR-10."),
]  # fmt: skip
