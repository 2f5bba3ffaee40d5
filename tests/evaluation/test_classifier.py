"""The classifier that samples are compared by."""

import pytest
import torch
from samples import COLOUR, digits, noise, splits, striped

from latentlab.data.images import Images
from latentlab.evaluation import classifier


def test_it_learns_the_classes_and_comes_back_from_its_file(tmp_path):
    data = striped(COLOUR)
    trained = classifier.train(digits(2000, 1), digits(200, 2), 10, seed=0)
    assert trained.test_accuracy > 0.9
    images = digits(200, 2)
    probabilities = trained.probabilities(images.images)
    assert probabilities.sum(dim=1) == pytest.approx(1, abs=1e-5)
    assert trained.test_accuracy == pytest.approx(float((probabilities.argmax(1) == images.labels).double().mean()))
    features = trained.features(images.images)
    assert features.shape == (200, classifier.NUM_FEATURES)
    last = trained.network[-1]
    assert torch.allclose((features.relu() @ last.weight.T + last.bias).softmax(1), probabilities, atol=1e-5)
    path = tmp_path / "folder" / "weights.safetensors"
    classifier.save(trained, path)
    again = classifier.load(path)
    assert again.test_accuracy == trained.test_accuracy
    assert torch.equal(again.features(images.images), features)
    assert classifier.train(data.train, data.test, 3, seed=0).features(data.test.images).shape == (60, 64)


def test_the_same_seed_gives_the_same_bits_and_leaves_others_draws_alone():
    data = splits()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, second, other = (classifier.train(data.train, data.test, 10, seed).features(noise(5)) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_images_without_labels_are_refused():
    with pytest.raises(ValueError, match="without labels"):
        classifier.train(Images(noise(5), None), digits(10), 10, seed=0)
