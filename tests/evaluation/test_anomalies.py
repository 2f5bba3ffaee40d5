"""Anomalies are told from images as their definitions say."""

import numpy as np
import pytest
import torch
from samples import GREY, Dense, dense, digits, linear, noise, splits
from scipy.spatial.distance import cdist
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis
from torch import nn

from latentlab.data.images import Images
from latentlab.evaluation.analysis import Subject
from latentlab.evaluation.anomalies import Settings, altered, analyse, mahalanobis, pathway, scorer, separation
from latentlab.evaluation.pca import of_baseline

SETTINGS = Settings(num_images=40, num_fitted=100, neighbours=5, seed=0)
KINDS = {"noise", "inverted", "rotated", "shuffled"}


def of_identity() -> Subject:
    return of_baseline("raw_pixels", None, splits())


@pytest.mark.parametrize("steps", [3, 1000])
def test_separation_by_counting(steps):
    random = np.random.default_rng(steps)
    normal, anomalous = (random.integers(0, steps, 60) + shift for shift in (0, steps / 3))
    found = separation(normal, anomalous)
    pairs = [(a > b) + (a == b) / 2 for a in anomalous for b in normal]
    assert found["auroc"] == pytest.approx(np.mean(pairs))
    enough = [threshold for threshold in anomalous if (anomalous >= threshold).sum() >= 57]
    assert found["false_positives_at_95_recall"] == pytest.approx((normal >= max(enough)).mean())
    precision, recall, area = 0.0, 0.0, 0.0
    for threshold in sorted({*normal, *anomalous}, reverse=True):
        caught, wrong = (anomalous >= threshold).sum(), (normal >= threshold).sum()
        precision = caught / (caught + wrong)
        area, recall = area + precision * (caught / 60 - recall), caught / 60
    assert found["average_precision"] == pytest.approx(area)


def test_separation_at_its_ends():
    low, high = np.arange(5.0), np.arange(5.0) + 10
    best = {"auroc": 1, "average_precision": 1, "false_positives_at_95_recall": 0}
    assert separation(low, high) == best
    assert separation(high, low)["auroc"] == 0
    assert separation(low, low)["auroc"] == 0.5
    assert separation(np.ones(4), np.ones(4)) == {
        "auroc": 0.5, "average_precision": 0.5, "false_positives_at_95_recall": 1,
    }  # fmt: skip


def test_mahalanobis_against_scipy_and_where_nothing_differs():
    random = np.random.default_rng(0)
    points, others = random.normal(size=(50, 4)) @ random.normal(size=(4, 4)), random.normal(size=(7, 4))
    inverse = np.linalg.inv(np.cov(points, rowvar=False))
    expected = [scipy_mahalanobis(each, points.mean(0), inverse) ** 2 for each in others]
    assert mahalanobis(points)(others) == pytest.approx(expected, rel=1e-3)
    assert mahalanobis(np.ones((9, 3)))(np.zeros((2, 3))) == pytest.approx([3e6, 3e6])
    dead = np.column_stack([points[:, 0], np.zeros(50)])
    alive, beside = mahalanobis(dead)(np.array([[0, 0], [0, 0.1]]))
    assert beside > 1000 * alive
    assert mahalanobis(points[:, :1])(points[:, :1]).mean() == pytest.approx(49 / 50, rel=1e-3)


def test_mahalanobis_of_more_numbers_than_points():
    random = np.random.default_rng(0)
    points, others = random.normal(size=(8, 30)), random.normal(size=(5, 30))
    covariance = np.cov(points, rowvar=False)
    inverse = np.linalg.inv(covariance + 1e-6 * covariance.trace() / 30 * np.eye(30))
    expected = [(each - points.mean(0)) @ inverse @ (each - points.mean(0)) for each in others]
    assert mahalanobis(points)(others) == pytest.approx(expected, rel=1e-6)


def test_altered_images():
    images = noise(3, shape=(3, 4, 4))
    found = altered(images, 0)
    assert found.keys() == KINDS
    assert torch.equal(found["inverted"], 1 - images)
    assert found["rotated"][0, 0, 0].tolist() == images[0, 0, :, 3].tolist()
    before, after = ({tuple(pixel) for pixel in each[1].flatten(1).T.tolist()} for each in (images, found["shuffled"]))
    assert before == after
    assert not torch.equal(found["shuffled"], images)
    orders = [
        [image[0].flatten().tolist().index(value) for value in shuffled[0].flatten().tolist()]
        for image, shuffled in zip(images, found["shuffled"], strict=True)
    ]
    assert orders[0] != orders[1]
    assert (found["noise"].min(), found["noise"].max()) > (0, 0.9)
    oblong = noise(2, shape=(1, 2, 3))
    assert torch.equal(altered(oblong, 0)["rotated"], oblong.flip(2, 3))
    assert all(torch.equal(each, again) for each, again in zip(found.values(), altered(images, 0).values(), strict=True))
    assert not torch.equal(found["noise"], altered(images, 1)["noise"])


def test_scores_of_a_linear_code_against_their_definitions():
    subject, images = linear(3), digits(10, 9).images
    train = subject.data.train.images[:80]
    found = scorer(subject, train, 5)(images)
    assert found.keys() == {"reconstruction", "code_neighbours", "code_mahalanobis"}
    codes, fitted = (subject.encode(each).numpy() for each in (images, train))
    errors = [((subject.decode(subject.encode(each[None])) - each) ** 2).mean() for each in images]
    assert found["reconstruction"] == pytest.approx(np.array(errors), rel=1e-4)
    assert found["code_neighbours"] == pytest.approx(np.sort(cdist(codes, fitted))[:, :5].mean(1), rel=1e-4)
    assert found["code_mahalanobis"] == pytest.approx(mahalanobis(fitted)(codes))
    few = scorer(subject, train[:3], 5)(images)
    assert few["code_neighbours"] == pytest.approx(cdist(codes, fitted[:3]).mean(1), rel=1e-4)


class Tiny(Dense):
    """A convolution, a normalisation, a ReLU and a linear layer, of which the outputs are known."""

    def __init__(self) -> None:
        super().__init__((1, 4, 4))
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3, bias=False)
        )  # fmt: skip


@pytest.fixture
def tiny() -> Tiny:
    torch.manual_seed(0)
    return Tiny().eval()


def test_activations_of_a_tiny_encoder_by_hand(tiny):
    images, outputs = noise(300, 1, (1, 4, 4)), noise(300, 2, (1, 4, 4))
    sap, differences = pathway(tiny, images, outputs, 1)
    conv, norm, _, _, dense = tiny.encoder
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()

    def by_hand(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps = x * conv.weight.reshape(1, 2, 1, 1) + conv.bias.reshape(1, 2, 1, 1)
        hidden = (maps * scale.reshape(1, 2, 1, 1)).clamp_min(0)
        return x, hidden, hidden.flatten(1) @ dense.weight.T

    with torch.inference_mode():
        pairs = [a - b for a, b in zip(by_hand(images), by_hand(outputs), strict=True)]
    assert sap == pytest.approx(sum((each**2).flatten(1).sum(1) for each in pairs).numpy(), rel=1e-4)
    quarters = [each.reshape(300, -1, 2, 2, 2, 2).mean((3, 5)).flatten(1) for each in pairs[:2]]
    assert differences == pytest.approx(torch.cat([*quarters, pairs[2]], dim=1).numpy(), abs=1e-5)
    assert not any(layer._forward_hooks for layer in tiny.encoder)


def test_nap_against_an_explicit_whitening():
    subject = dense()
    train, images = subject.data.train.images[:300], subject.data.test.images[:20]
    found = scorer(subject, train, 5)(images)["activations_nap"]
    known, asked = (pathway(subject.model, each, subject.decode(subject.encode(each)), 2)[1] for each in (train, images))
    assert known.shape == (300, 4 + 5)
    mean = known.mean(0, dtype=np.float64)
    _, singular, directions = np.linalg.svd(known - mean, full_matrices=False)
    whitened = (asked - mean) @ directions.T / singular
    assert found == pytest.approx(299 * (whitened**2).sum(1), rel=0.01)


def test_images_that_are_anomalies_and_images_that_are_not():
    data = splits()
    bright = Images(torch.full((60, *GREY), 1.0), None)
    numbers = analyse(linear(4), SETTINGS, {"bright": bright, "same": data.test}).numbers
    assert list(numbers) == ["bright", "same", "noise", "inverted", "rotated", "shuffled", "mean"]
    for kind in ("bright", "noise", "inverted"):
        assert numbers[kind]["reconstruction"] == {
            "auroc": 1, "average_precision": 1, "false_positives_at_95_recall": 0,
        }  # fmt: skip
    assert [each["auroc"] for each in numbers["same"].values()] == pytest.approx([0.5] * 3)
    kinds = [numbers[kind]["code_neighbours"]["auroc"] for kind in numbers if kind != "mean"]
    assert numbers["mean"]["code_neighbours"] == {"auroc": pytest.approx(np.mean(kinds))}


def test_as_many_anomalies_as_normal_images():
    few = Images(torch.full((7, *GREY), 1.0), None)
    numbers = analyse(linear(4), SETTINGS, {"few": few}).numbers
    assert numbers["few"]["reconstruction"]["average_precision"] == 1
    constant = Subject(lambda x: torch.ones(len(x), 2), lambda z: torch.zeros(len(z), *GREY), splits())
    alone = analyse(constant, SETTINGS, {"few": few}).numbers["few"]
    for score in ("code_neighbours", "code_mahalanobis"):
        assert alone[score] == {"auroc": 0.5, "average_precision": 0.5, "false_positives_at_95_recall": 1}


def test_which_images_are_taken_depends_on_no_other_data_set_and_no_label():
    alone = analyse(linear(4), SETTINGS, {}).numbers
    beside = analyse(linear(4), SETTINGS, {"more": Images(noise(50), None)}).numbers
    assert all(alone[kind] == beside[kind] for kind in KINDS)
    assert alone != analyse(linear(4), SETTINGS.model_copy(update={"seed": 1}), {}).numbers


def test_raw_pixels_have_no_error_of_reconstruction():
    numbers = analyse(of_identity(), SETTINGS, {}).numbers
    assert numbers["mean"].keys() == {"code_neighbours", "code_mahalanobis"}
    assert numbers["noise"]["code_neighbours"]["auroc"] == 1


def test_a_model_has_activations_and_what_it_was_before_its_training():
    subject = dense()
    before = Subject(
        subject.encode, subject.decode, subject.data, model=subject.model, downsampling=2, untrained=lambda: subject
    )
    numbers = analyse(before, SETTINGS, {}).numbers
    untrained = numbers.pop("untrained")
    assert numbers["mean"].keys() >= {"activations_sap", "activations_nap"}
    assert untrained == {
        kind: {score: {"auroc": each["auroc"]} for score, each in found.items()} for kind, found in numbers.items()
    }
