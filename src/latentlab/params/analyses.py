"""What is asked of every trained row, beside its reconstruction error."""

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, model_validator

from latentlab.params.section import Count, Section, Seed


class Denoising(Section):
    """Standard deviations of the noise on the test images, in units of the full range."""

    sigmas: list[PositiveFloat] = Field(min_length=1)


class Interpolation(Section):
    """Two test images by index, the decodings between them, and how many random pairs are measured."""

    first: int = Field(ge=0)
    second: int = Field(ge=0)
    num_steps: int = Field(ge=3, le=1000)
    num_pairs: int = Field(ge=2, le=1_000_000)


class LatentSpace(Section):
    """How many test codes t-SNE embeds, a tenth of them of each digit, and its own settings."""

    num_small: int = Field(ge=20, le=10_000)
    num_large: int = Field(ge=20, le=10_000)
    perplexity: PositiveFloat
    seed: Seed


class Generation(Section):
    """Decodings on a grid over [-grid_extent, grid_extent]^2, and of samples.

    `num_shown` samples are shown and `num_samples` measured; the mixture of `mixture_components` Gaussians is fitted to
    `num_fitted` training codes; `num_draws` reconstructions of one input by samples of a VAE's posterior.
    """

    grid_side: int = Field(ge=2, le=100)
    grid_extent: PositiveFloat
    num_shown: Count
    num_samples: int = Field(ge=10, le=1_000_000)
    mixture_components: Count
    num_fitted: Count
    num_draws: int = Field(ge=2, le=1000)

    @model_validator(mode="after")
    def _enough_codes(self) -> Self:
        if self.mixture_components > self.num_fitted:
            raise ValueError(
                f"mixture_components is {self.mixture_components}, more than the codes, num_fitted {self.num_fitted}"
            )
        return self


class Compression(Section):
    """Bits per number of the code."""

    bits: list[Annotated[int, Field(ge=1, le=16)]] = Field(min_length=1)


class Codecs(Section):
    """How many test images are stored each by itself; the sheet holds all of them."""

    num_images: Count


class Probes(Section):
    """Neighbours of the nearest-neighbour probe; numbers of labels of the label-efficient probes, and their draws."""

    neighbours: Count
    label_counts: list[Count]
    num_draws: int = Field(ge=2, le=1000)


class Analyses(Section):
    """What is asked of every trained row, beside its reconstruction error."""

    seed: Seed
    denoising: Denoising
    interpolation: Interpolation
    latent_space: LatentSpace
    generation: Generation
    compression: Compression
    codecs: Codecs
    probes: Probes
