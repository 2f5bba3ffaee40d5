"""Does a model tell images that are unlike its training images from those that are like them, without training anew?

Every score learns from training images alone. No anomaly and no label of a test image has a part in any choice.

Legend: N images, M training images, C channels, H and W height and width, D numbers of a code, F pooled activations.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.linalg import cholesky, solve_triangular
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from latentlab.data.images import Images, degrade
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.models.base import BATCH_SIZE, Autoencoder
from latentlab.params.strict import Count, Section, Seed

Array = np.ndarray
Scores = dict[str, Array]

_RECALL = 0.95
# of the mean variance, added to all variances: directions in which the training images do not differ at all have a weight
_RIDGE = 1e-6


class Settings(Section):
    """How many test images and anomalies of each kind, how many training images, both at random; neighbours of a code."""

    num_images: Count
    num_fitted: int = Field(ge=2, le=1_000_000)
    neighbours: Count
    seed: Seed


def analyse(subject: Subject, settings: Settings, others: Mapping[str, Images]) -> Analysis:
    """How well test images are told from anomalies, by each score of `scorer`.

    Args:
        subject: A model or a baseline.
        settings: Of the analysis.
        others: Test images of other data sets, of the same shape, by name: each a kind of anomaly beside those of
            `altered`.

    Returns:
        By kind and score the numbers of `separation`, of as many anomalies as test images; "mean" has by score the mean
        `auroc` over the kinds; "untrained" has the same AUROCs of the same layers before their training, where there are
        any.
    """
    normal, train = (
        _some(images.images, count, settings.seed)
        for images, count in ((subject.data.test, settings.num_images), (subject.data.train, settings.num_fitted))
    )
    kinds = {name: _some(images.images, len(normal), settings.seed) for name, images in others.items()}
    kinds |= altered(normal, settings.seed)
    numbers: dict[str, Any] = separations(scorer(subject, train, settings.neighbours), normal, kinds)
    if subject.untrained:
        before = separations(scorer(subject.untrained(), train, settings.neighbours), normal, kinds)
        numbers["untrained"] = {
            kind: {score: {"auroc": each["auroc"]} for score, each in found.items()} for kind, found in before.items()
        }
    return Analysis(numbers)


def altered(images: Tensor, seed: int) -> dict[str, Tensor]:
    """Anomalies that need no other data set, by kind, each (N, C, H, W).

    Returns:
        noise: Each value uniform in [0, 1]. inverted: 1 - x. rotated: By 90 degrees, or by 180 where height and width
            differ. shuffled: The pixels of each image in an order of its own, all channels of a pixel together.
    """
    generator = torch.Generator().manual_seed(seed)
    count, _, height, width = images.shape
    order = torch.rand(count, 1, height * width, generator=generator).argsort(2)
    return {
        "noise": torch.rand(images.shape, generator=generator),
        "inverted": 1 - images,
        "rotated": images.rot90(1 if height == width else 2, (2, 3)),
        "shuffled": images.flatten(2).gather(2, order.expand(-1, images.shape[1], -1)).reshape(images.shape),
    }


def separations(scores: Callable[[Tensor], Scores], normal: Tensor, kinds: Mapping[str, Tensor]) -> dict[str, Any]:
    """The numbers of `separation` by kind of anomaly and score, and "mean", the mean `auroc` over the kinds by score.

    Args:
        scores: See `scorer`.
        normal: (N, C, H, W).
        kinds: Anomalies; of a kind with fewer than N, as few of the normal images are taken.
    """
    own = scores(normal)
    numbers: dict[str, Any] = {}
    for kind, images in kinds.items():
        found = scores(images)
        numbers[kind] = {name: separation(own[name][: len(images)], found[name]) for name in own}
    means = {name: float(np.mean([found[name]["auroc"] for found in numbers.values()])) for name in own}
    return numbers | {"mean": {name: {"auroc": mean} for name, mean in means.items()}}


def separation(normal: Array, anomalous: Array) -> dict[str, float]:
    """How well a score tells anomalies, which are the positives, from normal images. All in [0, 1].

    Args:
        normal: (N,) scores; the larger, the more anomalous.
        anomalous: (N,).

    Returns:
        auroc: Share of pairs of both in which the anomaly has the larger score; equal ones count half.
        average_precision: Mean precision over the recalls, as scikit-learn sums it; of equal scores 0.5.
        false_positives_at_95_recall: Share of the normal images that are flagged at the highest threshold at which at
            least 95% of the anomalies are.
    """
    truth = np.repeat([0, 1], [len(normal), len(anomalous)])
    scores = np.concatenate([normal, anomalous])
    flagged, recall, _ = roc_curve(truth, scores, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(truth, scores)),
        "average_precision": float(average_precision_score(truth, scores)),
        "false_positives_at_95_recall": float(flagged[np.argmax(recall >= _RECALL)]),
    }


def scorer(subject: Subject, train: Tensor, neighbours: int) -> Callable[[Tensor], Scores]:
    """Scores of images, larger for more anomalous ones, fitted to training images.

    Args:
        subject: What encodes and decodes.
        train: (M, C, H, W).
        neighbours: k, at most M are taken.

    Returns:
        A function of images (N, C, H, W) that gives, each (N,):

        reconstruction: Mean squared error per value; not there where images are their own codes.
        code_neighbours: Mean Euclidean distance to the k nearest training codes; on raw pixels that of images.
        code_mahalanobis: See `mahalanobis`, from the training codes.
        activations_sap, activations_nap: Of a model: see `pathway`; NAP is `mahalanobis` of the pooled differences from
            those of the training images, M - 1 times the square that the paper has.
    """
    codes = subject.encode(train)
    outputs = subject.decode(codes)
    is_identity = torch.equal(outputs, train)
    nearest = NearestNeighbors(n_neighbors=min(neighbours, len(train))).fit(_flat(codes))
    from_codes = mahalanobis(_flat(codes))
    if model := subject.model:
        from_differences = mahalanobis(pathway(model, train, outputs, subject.downsampling)[1])

    def scores(images: Tensor) -> Scores:
        codes = subject.encode(images)
        outputs = subject.decode(codes)
        found = {} if is_identity else {"reconstruction": (outputs - images).flatten(1).double().square().mean(1).numpy()}
        found["code_neighbours"] = nearest.kneighbors(_flat(codes))[0].mean(1)
        found["code_mahalanobis"] = from_codes(_flat(codes))
        if model:
            found["activations_sap"], differences = pathway(model, images, outputs, subject.downsampling)
            found["activations_nap"] = from_differences(differences)
        return found

    return scores


def mahalanobis(points: Array) -> Callable[[Array], Array]:
    """Squared Mahalanobis distances from the mean of points, (N, D) -> (N,).

    A millionth of the mean variance is added to all variances, so that there is a distance where points do not differ;
    where none of them do, it is the squared Euclidean distance, up to that factor.

    Args:
        points: (M, D), at least two.
    """
    mean = points.mean(axis=0, dtype=np.float64)
    scaled = (points - mean) / np.sqrt(len(points) - 1)
    is_wide = len(points) < points.shape[1]
    products = scaled @ scaled.T if is_wide else scaled.T @ scaled  # the latter is the covariance
    ridge = _RIDGE * (products.trace() / points.shape[1] or 1)
    products.flat[:: len(products) + 1] += ridge
    factor = cholesky(products, lower=True)

    def distances(others: Array) -> Array:
        offsets = (others - mean).T  # (D, N)
        if not is_wide:
            return _squares(solve_triangular(factor, offsets, lower=True))
        # the same by Woodbury's identity, without a matrix of D x D
        inside = _squares(solve_triangular(factor, scaled @ offsets, lower=True))
        found: Array = (_squares(offsets) - inside) / ridge
        return found

    return distances


@torch.inference_mode()
def pathway(model: Autoencoder, images: Tensor, outputs: Tensor, downsampling: int) -> tuple[Array, Array]:
    """How the encoder's activations of images and of their reconstructions differ: RaPP (Kim et al. 2020).

    The activations are what the encoder sees, and what each convolution and each linear layer has made of it: behind its
    activation function, normalisation and pooling. The last are the code.

    Args:
        model: In evaluation mode.
        images: (N, C, H, W).
        outputs: Their reconstructions, the same shape.
        downsampling: How many times smaller than the images is what the encoder sees.

    Returns:
        SAP, (N,): the squared differences of all activations, summed over the layers. And (N, F), the differences that NAP
        whitens: maps of activations, and the image, are averaged over their quarters first, as the paper's dense layers
        need not be; else there would be more numbers than training images.
    """
    sums, pooled = [], []
    for pair in zip(images.split(BATCH_SIZE), outputs.split(BATCH_SIZE), strict=True):
        both = (_activations(model, degrade(batch, downsampling)) for batch in pair)
        differences = [of_image - of_output for of_image, of_output in zip(*both, strict=True)]
        sums.append(torch.stack([each.flatten(1).double().square().sum(1) for each in differences]).sum(0))
        pooled.append(torch.cat([_pooled(each) for each in differences], dim=1))
    return torch.cat(sums).numpy(), torch.cat(pooled).numpy()


def _activations(model: Autoencoder, x: Tensor) -> list[Tensor]:
    """Of what the encoder sees, (B, C, H, W): that itself, then of each layer with weights, (B, D) or (B, c, h, w)."""
    found = [x.to(next(model.parameters()).device)]

    def keep(module: nn.Module, _: Any, output: Tensor) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            found.append(output)
        elif not isinstance(module, nn.Flatten):  # a map stays one
            found[-1] = output

    parts = [module for module in model.encoder.modules() if not list(module.children())]
    hooks = [part.register_forward_hook(keep) for part in parts]
    try:
        model.encode(found[0])
    finally:
        for hook in hooks:
            hook.remove()
    return [each.cpu() for each in found]


def _pooled(activations: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 4 C), means over the quarters; (B, D) as they are."""
    return F.adaptive_avg_pool2d(activations, 2).flatten(1) if activations.ndim == 4 else activations


def _squares(columns: Array) -> Array:
    """(D, N) -> (N,), their squared lengths."""
    squares: Array = np.square(columns).sum(axis=0)
    return squares


def _some(images: Tensor, count: int, seed: int) -> Tensor:
    """At most `count` of the images, at random; which ones depends on their number and the seed alone."""
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]]


def _flat(codes: Tensor) -> Array:
    return codes.flatten(1).numpy()
