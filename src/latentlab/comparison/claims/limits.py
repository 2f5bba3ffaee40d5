"""Limits that several claims share; each carries the reason for it."""


class Limit(float):
    """A number, and why it is this one."""

    why: str

    def __new__(cls, value: float, why: str) -> "Limit":  # noqa: D102
        limit = super().__new__(cls, value)
        limit.why = why
        return limit


# of differences of PSNR
VISIBLE_DB = Limit(
    0.5,
    "Half a decibel of PSNR is the informal mark of video coding for a difference that can just be seen (Salomon, Data "
    "Compression).",
)
COMPARABLE_DB = Limit(1, "A decibel is twice the difference that can just be seen.")
ANY_GAIN_DB = Limit(0, "A denoiser must not do harm.")

# of SSIM
FAITHFUL = Limit(0.9, "There is no standard of SSIM for digits; 0.9 is a round number, and one for all claims of fidelity.")
EXCELLENT = Limit(0.95, "There is no standard of SSIM for digits; 0.95 is a round number, and more than faithful.")

# of ratios
NO_GAIN, NO_LOSS = (
    Limit(value, "Less than 5% is taken for no change; of the MSE it is 0.2 dB, and another seed does about 1%.")
    for value in (0.95, 1.05)
)
CLEARLY_MORE = Limit(1.1, "A tenth more is clearly more.")
CLEARLY_LESS = Limit(0.9, "A tenth less is clearly less. (The decoder's weights are not counted.)")

# of the way between two images
SMOOTH = Limit(2, "An even way has 1; a step of twice the mean is a jump that can be seen.")
BEATS_CROSSFADE = Limit(0.9, "A code that means something must do better than a mixture of pixels, by a tenth.")
LIKE_REAL = Limit(1.1, "A tenth more distant than test images are is no matter.")

# of accuracies
RECOGNISABLE = Limit(0.95, "One error in twenty is what a clearly recognisable digit may still cost.")
NEIGHBOURS_AGREE = Limit(0.9, "Nine of ten is a round number.")
CLEAR_LEAD = Limit(
    0.01, "One in a hundred is several times the standard error of an accuracy on 10,000 images, 0.1 to 0.3 in a hundred."
)
SMALL_LEAD = Limit(
    0.002, "The standard error of a difference of two accuracies of some 98% on 10,000 images is about one in a thousand."
)

# of the codes' geometry
SOME_CLUSTERS = Limit(
    0.25,
    "Below a silhouette of 0.25 no substantial structure has been found, and a strong one begins at 0.7 (Kaufman and "
    "Rousseeuw 1990); the lower mark is taken, to the claim's advantage.",
)
NEAR = Limit(2, "By chance, all four ranks would be that small in one case of some 400.")
