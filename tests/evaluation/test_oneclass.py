"""One class against all others, by a score whose order is known."""

import numpy as np
import pytest
import torch
from samples import digits, noise, splits

from latentlab.data.images import Images
from latentlab.evaluation import oneclass


def test_training_images_are_of_one_class_and_test_images_of_all():
    data = splits()
    own = oneclass.only(data, 3)
    for part, whole in ((own.train, data.train), (own.validation, data.validation)):
        assert set(part.labels.tolist()) == {3}
        assert torch.equal(part.images, whole.images[whole.labels == 3])
    assert own.test is data.test
    assert own.classes == data.classes


def test_the_other_classes_are_the_anomalies():
    test = digits(40)

    def scores(images: torch.Tensor) -> dict[str, np.ndarray]:
        return {"label": test.labels.numpy().astype(float), "none": np.zeros(len(images))}

    found = oneclass.told(scores, test, 2)
    # of nine other digits seven are larger than 2
    assert found["label"]["auroc"] == pytest.approx(7 / 9)
    assert found["none"]["auroc"] == 0.5
    assert oneclass.told(scores, test, 0)["label"]["auroc"] == 1
    classes = {str(label): oneclass.told(scores, test, label) for label in range(10)}
    means = oneclass.mean_auroc(classes)
    assert means == {"label": {"auroc": pytest.approx(0.5)}, "none": {"auroc": 0.5}}


def test_images_without_labels_are_refused():
    bare = Images(noise(5), None)
    with pytest.raises(ValueError, match="without labels"):
        oneclass.told(lambda _: {}, bare, 0)
