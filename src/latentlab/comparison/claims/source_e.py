"""What does architectures-comparison claim? Convolutions beat dense layers, and the code knows the digit."""

from latentlab.comparison.claims import limits
from latentlab.comparison.claims.claim import Claim, baseline, each, largest, number, ratio, saving, within
from latentlab.comparison.claims.quantities import bytes_over_codec, first, generalisation_gap, rank
from latentlab.comparison.claims.words import GAIN, LINEAR, LOGISTIC, MSE, NEIGHBOURS, OPERATIONS, PARAMETERS, RBF, WAY

ALL = CONV, SUPERRES, STACKED = "conv_bn_64", "superres_64", "stacked_64"
PCA, PIXELS = "pca_64", "raw_pixels"

ABOUT_716 = [
    limits.Limit(value, "Five points around the figure, about what rounding and another seed may do.")
    for value in (0.666, 0.766)
]
NEARLY_9878 = limits.Limit(0.9867, "The printed figure less its standard error on 10,000 images, 0.0011.")

CLAIMS = [
    Claim("E1", "The convolutional autoencoder has the smallest error, then super-resolution, then the stacked one.",
          holds=[ratio(MSE, SUPERRES, CONV) >= limits.NO_LOSS, ratio(MSE, STACKED, SUPERRES) >= limits.NO_LOSS]),
    Claim("E2", "They also learn in this order, the convolutional one fastest and the stacked one slowest.",
          why="(Under `fast` their batch sizes differ, and so the steps in an epoch.)",
          holds=[first(SUPERRES, "validation_mse") / first(CONV, "validation_mse") >= limits.NO_LOSS,
                 first(STACKED, "validation_mse") / first(SUPERRES, "validation_mse") >= limits.NO_LOSS]),
    Claim("E3", "The convolutional error is 71.6% lower than the stacked one.",
          why="(The source's own two errors give 0.856.)", holds=within(saving(MSE, CONV, STACKED), *ABOUT_716)),
    Claim("E4", "The convolutional error is 71.6% lower than that of super-resolution, which is what the source's table "
          "gives.",
          holds=within(saving(MSE, CONV, SUPERRES), *ABOUT_716)),
    Claim("E5", "An SVM on the convolutional codes is right for 98.78% of the test images.",
          why="(The RBF kernel is what the source's code runs.)",
          holds=[number(CONV, RBF) >= NEARLY_9878]),
    Claim("E6", "A linear SVM on the convolutional codes is right for 98.78%, as the source's text has it.",
          holds=[number(CONV, LINEAR) >= NEARLY_9878]),
    Claim("E7", "The accuracy shows that the code has found what tells digits apart. (So it is higher than on pixels and "
          "on PCA.)",
          holds=[number(CONV, RBF) - baseline(other, RBF) >= limits.SMALL_LEAD for other in (PIXELS, PCA)]),
    Claim("E8", "It is training for reconstruction that makes the code tell digits apart. (So it does better than the "
          "untrained encoder.)",
          holds=[number(CONV, path) - number(CONV, f"untrained/{path}") >= limits.CLEAR_LEAD
                 for path in (NEIGHBOURS, LOGISTIC)]),
    Claim("E9", "In the convolutional code digits can be separated linearly. (Better than in PCA.)",
          holds=[number(CONV, LINEAR) - baseline(PCA, LINEAR) >= limits.CLEAR_LEAD]),
    Claim("E10", "t-SNE of the convolutional codes shows clearly separated clusters.",
          why="(200 points, as the source's, and more.)",
          holds=[limit for count in (200, 2000) for limit in (
              number(CONV, f"latent_space/tsne_{count}/silhouette") >= limits.SOME_CLUSTERS,
              number(CONV, f"latent_space/tsne_{count}/knn10_accuracy") >= limits.NEIGHBOURS_AGREE)]),
    Claim("E11", "Similar digits, 4 and 9 or 3 and 8, are neighbours in the convolutional code.",
          holds=[rank(CONV, *pair) <= limits.NEAR for pair in ((4, 9), (9, 4), (3, 8), (8, 3))]),
    Claim("E12", "In the convolutional code one digit changes smoothly into another.",
          holds=[number(CONV, f"{WAY}/step_ratio") <= limits.SMOOTH]),
    Claim("E13", "The three have the numbers of parameters that the source prints.",
          why="The source prints rounded numbers. (Ours are those of the layers that the source lists.)",
          holds=[abs(number(variant, PARAMETERS) / printed - 1) <= 0.05
                 for variant, printed in ((SUPERRES, 728_000), (CONV, 774_000), (STACKED, 1_070_000))]),
    Claim("E14", "Super-resolution has the fewest parameters, then the convolutional one, then the stacked one.",
          why="Counted exactly; a hundredth is no tie.",
          holds=[ratio(PARAMETERS, CONV, SUPERRES) >= 1.01, ratio(PARAMETERS, STACKED, CONV) >= 1.01]),
    Claim("E15", "The convolutional autoencoder has fewer parameters than the stacked one.",
          why="Counted exactly; a hundredth is no tie.", holds=[ratio(PARAMETERS, CONV, STACKED) <= 0.99]),
    Claim("E16", "The stacked autoencoder is the fastest.",
          holds=[ratio(OPERATIONS, other, STACKED) >= limits.CLEARLY_MORE for other in (CONV, SUPERRES)]),
    Claim("E17", "The convolutional autoencoder is slightly slower than the others.",
          why="A quarter more than the dearer of the two is still slight.",
          holds=within(number(CONV, OPERATIONS) / largest(each(OPERATIONS, (SUPERRES, STACKED))), 1, 1.25)),
    Claim("E18", "Shared weights make the convolutional autoencoder less prone to overfit.",
          why="In fewer epochs than five the training loss, a mean over an epoch, still falls too fast to be compared.",
          holds=[generalisation_gap(STACKED, least_epochs=5) - generalisation_gap(CONV, least_epochs=5) >= 0.01]),
    Claim("E19", "Batch normalisation helps to converge. (Tested on source A's variants, since source E has none without "
          "it.)",
          holds=[first("cae_batch_norm", "validation_mse") / first("cae_baseline", "validation_mse") <= limits.NO_GAIN]),
    Claim("E20", "The autoencoders can be used to take noise away.",
          holds=[number(variant, GAIN) >= limits.ANY_GAIN_DB for variant in ALL]),
    Claim("E21", "The autoencoders can take the place of PCA.",
          holds=[number(variant, MSE) / baseline(PCA, MSE) <= limits.NO_GAIN for variant in ALL]),
    Claim("E22", "The autoencoders can be used as image codecs.",
          why="(At the number of bits where that is best for the code, all images in one sheet.)",
          holds=[bytes_over_codec(CONV, codec) <= limits.CLEARLY_LESS for codec in ("jpeg", "webp")]),
    Claim("E23", "The super-resolution autoencoder recovers what downsampling took, which makes it useful to enhance "
          "images.",
          decided_by="The error of bilinear and bicubic upsampling of the same 14x14 images, and of the autoencoder on "
                     "other images."),
    Claim("E24", "Convolutions make the code robust against shifts.",
          decided_by="How far codes and probes of the three variants move if the test images are shifted by one to three "
                     "pixels."),
]  # fmt: skip
