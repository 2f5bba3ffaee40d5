"""What does the decoder make of codes that no image has: are the samples like real images, and do they cover them?

Legend: N images or samples, C channels, H and W their height and width, D numbers in the code, F features.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field, PositiveFloat, model_validator
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from latentlab.evaluation import pictures
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.classifier import Classifier
from latentlab.evaluation.neighbours import nearest
from latentlab.evaluation.pca import LinearAutoencoder
from latentlab.params.strict import Count, Section, Seed

# principal components of the pixels in which samples are compared with real images
NUM_FEATURES = 64
# an active unit's posterior mean varies by more than that (Burda et al. 2016)
ACTIVE = 0.01
# a classifier is sure of an image whose likeliest class has that probability
SURE = 0.9
# images whose reconstructions by samples of the posterior are compared
NUM_DRAWN = 1000


class Settings(Section):
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
    seed: Seed

    @model_validator(mode="after")
    def _enough_codes(self) -> Self:
        if self.mixture_components > self.num_fitted:
            raise ValueError(
                f"mixture_components is {self.mixture_components}, more than the codes, num_fitted {self.num_fitted}"
            )
        return self


def analyse(subject: Subject, settings: Settings, classifier: Classifier | None = None) -> Analysis:
    """Samples, the grid where the code has two numbers, and what a VAE's posterior does.

    Four kinds of images are compared with real ones, those of Ghosh et al. (2020): reconstructions of test images, samples
    from the standard normal, samples from a mixture fitted to training codes, and what lies in the middle of the straight
    way between the codes of two test images.

    Args:
        subject: What is measured.
        settings: See there.
        classifier: In whose features images are compared, too; None for images without classes.
    """
    data = subject.data
    train_codes = subject.encode(data.train.images[: settings.num_fitted])
    shape, num_samples = train_codes.shape[1:], min(settings.num_samples, len(data.test))
    test_codes = subject.encode(data.test.images[:num_samples])
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(settings.seed))
    codes = {
        "reconstruction": test_codes,
        "standard_normal": normal_codes(shape, num_samples, settings.seed),
        "mixture": mixture_codes(train_codes, num_samples, settings.mixture_components, settings.num_fitted, settings.seed),
        "interpolation": test_codes[order].lerp(test_codes[order.roll(1)], 0.5),
    }
    # fewer than samples, or these have no covariance
    num_features = min(NUM_FEATURES, num_samples // 2, len(data.train) // 2)
    principal = LinearAutoencoder(data.train.images, num_features)
    real = RealImages(principal.encode, data.train.images, data.test.images, classifier)
    numbers: dict[str, Any] = real.reference(num_samples)
    shown: dict[str, Tensor] = {}
    for kind, of_kind in codes.items():
        decoded = subject.decode(of_kind).clamp(0, 1)  # PCA may leave that range
        numbers[kind] = quality(decoded, real)
        if kind in ("standard_normal", "mixture"):
            shown[f"samples_{kind}"] = decoded[: settings.num_shown]
    if shape.numel() == 2:
        places = grid_codes(settings.grid_side, settings.grid_extent)
        shown["grid"] = subject.decode(places.reshape(-1, *shape)).clamp(0, 1)
        if classifier:
            numbers["grid"] = readability(places, classifier.probabilities(shown["grid"]))
    if subject.posterior:
        mean, log_variance = subject.posterior(data.test.images)
        numbers |= posterior_measures(mean, log_variance, ACTIVE)
        chosen = slice(NUM_DRAWN)
        draws = posterior_reconstructions(
            mean[chosen], log_variance[chosen], subject.decode, settings.num_draws, settings.seed
        )
        numbers["reconstruction_std"] = float(draws.std(dim=0).double().mean())
        shown["stochastic"] = torch.cat([data.test.images[:1], draws[:, 0]])
    arrays = {name: pictures.as_bytes(images.numpy()) for name, images in shown.items()}
    widths = {"grid": settings.grid_side, "stochastic": settings.num_draws + 1}
    return Analysis(
        numbers,
        arrays,
        {name: pictures.framed(pictures.grid(array, widths.get(name, 10), empty=0)) for name, array in arrays.items()},
    )


def grid_codes(side: int, extent: float) -> Tensor:
    """Codes of two numbers on a square grid over [-extent, extent]^2, (side^2, 2), row by row as a picture is read.

    The first number grows to the right and the second upwards.
    """
    axis = torch.linspace(-extent, extent, side)
    return torch.stack([axis.repeat(side), axis.flip(0).repeat_interleave(side)], dim=1)


def normal_codes(shape: torch.Size, num_samples: int, seed: int) -> Tensor:
    """Samples of the standard normal in the shape of a code, (num_samples, ...)."""
    return torch.randn((num_samples, *shape), generator=torch.Generator().manual_seed(seed))


def mixture_codes(codes: Tensor, num_samples: int, num_components: int, num_fitted: int, seed: int) -> Tensor:
    """Samples of a mixture of Gaussians fitted to codes: what a plain autoencoder has in the place of a prior.

    scikit-learn's GaussianMixture, with full covariances up to 64 numbers and diagonal ones above; its ridge is a
    thousandth of the codes' mean variance, so that numbers which never change (a ReLU that is never open) do no harm.

    Args:
        codes: (N, ...), of training images.
        num_samples: How many are drawn.
        num_components: Gaussians; at most a twentieth of the codes fitted.
        num_fitted: How many codes, chosen by the seed, the mixture is fitted to.
        seed: Of the choice, the fit and the samples.

    Returns:
        (num_samples, ...).
    """
    random = np.random.default_rng(seed)
    flat = codes.flatten(1).double().numpy()
    chosen = flat[random.permutation(len(flat))[:num_fitted]]
    ridge = 1e-3 * chosen.var(axis=0).mean() + 1e-9
    model = GaussianMixture(
        max(1, min(num_components, len(chosen) // 20)),
        covariance_type="full" if flat.shape[1] <= 64 else "diag",
        reg_covar=ridge,
        max_iter=30,
        tol=1e-2,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the fit is stopped early on purpose
        samples, _ = model.fit(chosen).sample(num_samples)
    return torch.from_numpy(random.permutation(samples)).float().reshape(num_samples, *codes.shape[1:])


def readability(places: Tensor, probabilities: Tensor) -> dict[str, float | None]:
    """Which places of a grid show an image that a classifier is sure of.

    Args:
        places: (N, 2), codes.
        probabilities: (N, K), of the classes of what they decode to.

    Returns:
        readable_share: Of the places, those where the likeliest class has a probability of at least `SURE`.
        unreadable_distance: Mean distance of the others from the origin, over that of all places; None if there are none.
    """
    is_readable, distances = probabilities.amax(dim=1) >= SURE, places.norm(dim=1)
    unreadable = distances[~is_readable]
    return {
        "readable_share": float(is_readable.double().mean()),
        "unreadable_distance": float(unreadable.mean() / distances.mean()) if len(unreadable) else None,
    }


@dataclass(frozen=True)
class RealImages:
    """What samples are compared with, and in which features.

    `principal` gives the first principal components of the pixels, fitted to the training images: distances in them are
    distances between images without their faintest details, and need no network. The features of the classifier tell
    classes and styles apart, and overlook what does not matter to it.
    """

    principal: Callable[[Tensor], Tensor]
    train: Tensor  # (M, C, H, W)
    test: Tensor  # (N, C, H, W)
    classifier: Classifier | None

    def reference(self, num_samples: int) -> dict[str, float]:
        """Of test images, what `quality` gives for samples.

        Returns:
            real_distance, real_cosine: See `quality`'s nearest_distance and nearest_cosine.
            real_frechet_distance: Between as many training images and test images, in principal components.
            real_classifier_frechet_distance: The same in the features of the classifier, where there is one.
            classifier_accuracy: Its accuracy on the test images.
        """
        test, train = self.test[:num_samples], self.train[:num_samples]
        distance, cosine = nearest(test, self.train).means()
        found = {
            "real_distance": distance,
            "real_cosine": cosine,
            "real_frechet_distance": frechet_distance(self.principal(train), self.principal(test)),
        }
        if self.classifier:
            features = self.classifier.features
            found["real_classifier_frechet_distance"] = frechet_distance(features(train), features(test))
            found["classifier_accuracy"] = self.classifier.test_accuracy
        return found


def quality(samples: Tensor, real: RealImages) -> dict[str, Any]:
    """How good samples are, and how diverse.

    Args:
        samples: (N, C, H, W) in [0, 1].
        real: Compared are as many of its test images.

    Returns:
        precision, recall: See `precision_and_recall`, with 3 neighbours, in principal components.
        frechet_distance: See there; in principal components.
        nearest_distance: Root mean squared difference per pixel to the nearest training image, mean over the samples.
        nearest_cosine: Cosine similarity to the most similar training image, mean over the samples; in [0, 1]. Unlike the
            distance and the precision it gives nothing for an image that is nearly black.
        classifier: Where there is one, precision, recall and frechet_distance in its features, and class_shares, which
            share of the samples it takes for each class.
    """
    test = real.test[: len(samples)]
    distance, cosine = nearest(samples, real.train).means()
    found: dict[str, Any] = _compared(real.principal(samples), real.principal(test))
    found |= {"nearest_distance": distance, "nearest_cosine": cosine}
    if real.classifier:
        features = real.classifier.features
        classes = real.classifier.probabilities(samples)
        shares = torch.bincount(classes.argmax(dim=1), minlength=classes.shape[1]).double() / len(samples)
        found["classifier"] = _compared(features(samples), features(test)) | {"class_shares": shares.tolist()}
    return found


def _compared(features: Tensor, real: Tensor) -> dict[str, float]:
    precision, recall = precision_and_recall(features, real, 3)
    return {"precision": precision, "recall": recall, "frechet_distance": frechet_distance(features, real)}


def precision_and_recall(samples: Tensor, real: Tensor, neighbours: int) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al. 2019).

    Precision is the share of samples that lie in the manifold of the real ones, recall the share of real ones in the
    manifold of the samples; a manifold is the union of balls around its points that reach to their k-th nearest neighbour
    in it.

    Args:
        samples: (N, F).
        real: (M, F).
        neighbours: k.
    """
    between = torch.cdist(samples.double(), real.double())  # (N, M)
    radius_real = torch.cdist(real.double(), real.double()).kthvalue(neighbours + 1, dim=1).values  # the first is itself
    radius_samples = torch.cdist(samples.double(), samples.double()).kthvalue(neighbours + 1, dim=1).values
    precision = (between <= radius_real).any(dim=1).double().mean()
    recall = (between <= radius_samples.unsqueeze(1)).any(dim=0).double().mean()
    return float(precision), float(recall)


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Frechet distance between the Gaussians fitted to two sets of features: |mean difference|^2 + tr(A + B - 2 (A B)^1/2).

    The formula of the Frechet inception distance (Heusel et al. 2017), on other features: not comparable with a FID.

    Args:
        first: (N, F).
        second: (M, F).
    """
    a, b = first.double().numpy(), second.double().numpy()
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # the trace of the root is the sum of the roots of the eigenvalues, which none of them being 0 spoils
    root = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * root)


def posterior_measures(mean: Tensor, log_variance: Tensor, threshold: float) -> dict[str, object]:
    """What a VAE's posterior does with each number of its code.

    Args:
        mean: (N, D), of test images.
        log_variance: (N, D).
        threshold: Of an active unit; Burda et al. (2016) take 0.01.

    Returns:
        kl_per_dimension: Divergence from the standard normal in nats, mean over the images, number by number.
        kl: Their sum.
        active_units: Numbers whose posterior mean has a variance over the images above the threshold.
    """
    kl = (-0.5 * (1 + log_variance - mean**2 - log_variance.exp())).double().mean(0)
    return {
        "kl_per_dimension": [float(value) for value in kl],
        "kl": float(kl.sum()),
        "active_units": int((mean.double().var(dim=0) > threshold).sum()),
    }


def posterior_reconstructions(
    mean: Tensor, log_variance: Tensor, decode: Callable[[Tensor], Tensor], num_draws: int, seed: int
) -> Tensor:
    """Several reconstructions of each input, by samples of its posterior: (num_draws, N, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    deviation = (0.5 * log_variance).exp()
    draws = [mean + deviation * torch.randn(mean.shape, generator=generator) for _ in range(num_draws)]
    return torch.stack([decode(codes) for codes in draws])
