"""What do papers claim of such models? Of codes, samples and their geometry, on models and data of their own."""

from itertools import pairwise

from latentlab.comparison.claims import limits
from latentlab.comparison.claims.claim import Claim, baseline, difference, number
from latentlab.comparison.claims.quantities import bits_back_over_codec
from latentlab.comparison.claims.source_c import SAME_LAYERS, VAE, VAE_16
from latentlab.comparison.claims.words import LINEAR, LOGISTIC, MSE, NEIGHBOURS

PRIOR, MIXTURE, DIMENSION = "generation/standard_normal", "generation/mixture", "geometry/intrinsic_dimension"
DISTANCES = "frechet_distance", "classifier/frechet_distance"
# a code of as many numbers as there are components
AS_PCA = ("cae_latent_2", "pca_2"), ("cae_latent_8", "pca_8"), ("cae_baseline", "pca_32"), ("cae_latent_64", "pca_64")
LONG_CODES = "cae_latent_64", "conv_bn_64", "stacked_64"
DENOISING = ("mlp_8_denoise", "mlp_8"), ("mlp_32_denoise", "mlp_32"), ("cae_baseline_denoise", "cae_baseline")
# a dense encoder, a convolutional one, and one with batch normalisation
DETECTORS, ANOMALIES = ("mlp_8", "cae_baseline", "conv_bn_64"), "anomalies/mean/{}/auroc"

CLAIMS = [
    Claim("P1", "An autoencoder reconstructs with far less error than PCA of the same latent dimension (Hinton and "
          "Salakhutdinov 2006).",
          why="Far less is a quarter less.",
          holds=[number(name, MSE) / baseline(pca, MSE) <= 0.75 for name, pca in AS_PCA]),
    Claim("P2", "In two dimensions an autoencoder's codes tell classes apart better than PCA's (Hinton and Salakhutdinov "
          "2006).",
          why="A tenth of the images, for the figure of the paper shows it at a glance.",
          holds=[number(name, NEIGHBOURS) - baseline("pca_2", NEIGHBOURS) >= 0.1 for name in ("cae_latent_2", "mlp_2")]),
    Claim("P3", "An encoder trained to denoise makes codes that are easier to classify (Vincent et al. 2010).",
          holds=[difference(path, denoising, plain) >= limits.SMALL_LEAD
                 for denoising, plain in DENOISING for path in (LINEAR, LOGISTIC)]),
    Claim("P4", "A VAE leaves some of its numbers unused (Burda et al. 2016).",
          why="One number is the least. (Theirs have 50 numbers, ours 16.)",
          holds=[number(VAE_16, "latent_dim") - number(VAE_16, "generation/active_units") >= 1]),
    Claim("P5", "A plain autoencoder, sampled from a mixture of Gaussians that is fitted to its codes afterwards, makes "
          "samples as good as a VAE of the same layers makes from its prior (Ghosh et al. 2020).",
          why="As good is at most 5% farther from real images, by both Frechet distances.",
          holds=[(number(plain, f"{MIXTURE}/{path}") / number(vae, f"{PRIOR}/{path}")) <= limits.NO_LOSS
                 for plain, vae in SAME_LAYERS for path in DISTANCES]),
    Claim("P6", "The codes of a VAE do not follow its prior: a mixture fitted to them makes better samples (Dai and Wipf "
          "2019; Ghosh et al. 2020).",
          holds=[number(vae, f"{MIXTURE}/{path}") / number(vae, f"{PRIOR}/{path}") <= limits.NO_GAIN
                 for vae in (VAE, VAE_16) for path in DISTANCES]),
    Claim("P7", "A VAE's samples look real rather than cover all that is real: their precision is higher than their recall "
          "(Sajjadi et al. 2018).",
          why="A tenth of the images.",
          holds=[number(vae, f"{PRIOR}/{where}precision") - number(vae, f"{PRIOR}/{where}recall") >= 0.1
                 for vae in (VAE, VAE_16) for where in ("", "classifier/")]),
    Claim("P8", "Images of handwritten digits lie on a surface of 13 dimensions (Pope et al. 2021, by maximum likelihood "
          "with 20 neighbours).",
          why="A fifth more or less, for we look at 2,000 images, and fewer images give a smaller estimate.",
          holds=[abs(number("cae_baseline", f"{DIMENSION}/images/mle") / 13 - 1) <= 0.2]),
    Claim("P9", "A long code lies on a surface of far fewer dimensions than it has numbers (Ansuini et al. 2019).",
          why="Far fewer is at most half as many.",
          holds=[number(name, f"{DIMENSION}/codes/two_nn") / number(name, "latent_dim") <= 0.5 for name in LONG_CODES]),
    Claim("P10", "A longer code keeps more of the neighbours of each image, and an autoencoder's code at least as many as "
          "PCA's (Venna and Kaski 2001; van der Maaten et al. 2009).",
          why="The second half is doubted by van der Maaten et al., who find PCA hard to beat on natural data.",
          holds=[*(difference("geometry/neighbours_kept", longer, shorter) >= limits.CLEAR_LEAD
                   for (shorter, _), (longer, _) in pairwise(AS_PCA)),
                 *(number(name, "geometry/neighbours_kept") - baseline(pca, "geometry/neighbours_kept")
                   >= -limits.CLEAR_LEAD for name, pca in AS_PCA)]),
    Claim("P11", "How the encoder's activations of an image and of its reconstruction differ (NAP) tells anomalies better "
          "than the reconstruction error (Kim et al. 2020).",
          holds=[number(name, ANOMALIES.format("activations_nap")) - number(name, ANOMALIES.format("reconstruction"))
                 >= limits.CLEAR_LEAD for name in DETECTORS]),
    Claim("P12", "So does the Mahalanobis distance of the code (Denouden et al. 2018).",
          why="(They add it to the error, with weights that are fitted.)",
          holds=[number(name, ANOMALIES.format("code_mahalanobis")) - number(name, ANOMALIES.format("reconstruction"))
                 >= limits.CLEAR_LEAD for name in DETECTORS]),
    Claim("P13", "A VAE stores images without loss in less space than PNG and WebP, by bits back (Townsend et al. 2019).",
          holds=[bits_back_over_codec(VAE_16, codec) <= limits.CLEARLY_LESS for codec in ("png", "webp_lossless")]),
    Claim("P14", "The ELBO of a VAE is well below what the images' likelihood is at least, by the importance-weighted "
          "bound (Burda et al. 2016).",
          why="A nat an image; theirs are about one apart.",
          holds=[number(vae, "likelihood/gap/mean") >= 1 for vae in (VAE, VAE_16)]),
]  # fmt: skip
