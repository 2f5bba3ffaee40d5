"""What does cae-compression claim? A code takes less space, and transposed convolutions leave checkerboards."""

from latentlab.comparison.claims import limits
from latentlab.comparison.claims.claim import Claim, Quantity, baseline, number, ratio
from latentlab.comparison.claims.quantities import bytes_over_codec, bytes_over_pca, bytes_over_png, largest_rise
from latentlab.comparison.claims.words import GAIN, MSE, RBF, SSIM

TRANSPOSED = "compress_transposed"
CURES = "compress_nearest", "compress_bilinear"
BYTES_PER_FLOAT = 4


def _blocks(variant: str) -> Quantity:
    steps = number(variant, "checkerboard/block_ratio") / number(variant, "checkerboard/real_block_ratio")
    return steps.called(f"{variant}'s steps at the edges of 2x2 blocks over those of the images")


CLAIMS = [
    Claim("D1", "The code takes less space than the image, as both are in memory.",
          why="Less is less. (The code as float32, the image as one byte for each of its pixels.)",
          holds=[BYTES_PER_FLOAT / number(TRANSPOSED, "compression_ratio") <= 0.99]),
    Claim("D2", "The code, stored, takes less space than the image, stored.",
          why="Half a decibel can just be seen. (Quantised to the fewest bits that lose no more, and entropy coded: each "
              "image by itself, and all together with side tables against one PNG of all. PNG loses nothing.)",
          holds=[bytes_over_png(TRANSPOSED, key, layout, limits.VISIBLE_DB) <= limits.CLEARLY_LESS
                 for key, layout in (("bytes_alone", "single"), ("bytes_amortised_with_tables", "sheet"))]),
    Claim("D3", "The code is good compression. (So it takes less than common formats at equal quality.)",
          why="(At the number of bits where that is best for the code, all images in one sheet.)",
          holds=[bytes_over_codec(TRANSPOSED, codec) <= limits.CLEARLY_LESS for codec in ("jpeg", "webp")]),
    Claim("D4", "It is deep learning that makes the compression effective. (So it takes less than the codes of PCA at "
          "equal quality.)",
          why="(At the number of bits where that is best for the code; PCA of any size and number of bits.)",
          holds=[bytes_over_pca(TRANSPOSED) <= limits.CLEARLY_LESS]),
    Claim("D5", "Transposed convolutions leave checkerboards.",
          why="A tenth more, where a perfect reconstruction has the ratio of the images. (The energy of the residual at a "
              "period of two pixels sees only a grid that lies over the whole picture; it is among the numbers.)",
          holds=[_blocks(TRANSPOSED) >= 1.1], beside=[number(TRANSPOSED, "checkerboard/energy_ratio")]),
    Claim("D6", "Upsampling followed by a convolution cures the checkerboards.",
          why="Within a twentieth of the images there is nothing to see; a cure needs an ill to cure.",
          holds=[limit for cure in CURES for limit in (_blocks(cure) <= 1.05, _blocks(TRANSPOSED) / _blocks(cure) >= 1.1)]),
    Claim("D7", "Upsampling followed by a convolution reconstructs better than a transposed convolution.",
          holds=[ratio(MSE, cure, TRANSPOSED) <= limits.NO_GAIN for cure in CURES]),
    Claim("D8", "Despite artefacts the digits keep their structure.",
          holds=[number(TRANSPOSED, SSIM) >= limits.FAITHFUL]),
    Claim("D9", "The training loss falls all the time.",
          why="All the time is all the time.", holds=[largest_rise(TRANSPOSED, "train_loss") <= 0]),
    Claim("D10", "The technique can be used to take noise away.",
          holds=[number(TRANSPOSED, GAIN) >= limits.ANY_GAIN_DB]),
    Claim("D11", "The technique can be used to extract features.",
          holds=[number(TRANSPOSED, path) - baseline("raw_pixels", path) >= limits.SMALL_LEAD
                 for path in (RBF, "few_labels/svm_rbf/100/mean")]),
    Claim("D12", "Other numbers of layers and filters would improve the quality.",
          decided_by="Variants of source D with more channels and blocks at an equal latent dimension."),
]  # fmt: skip
