"""Baselines against their definitions."""

import pytest
import torch
from samples import COLOUR, GREY, noise, splits

from latentlab.evaluation.pca import LinearAutoencoder, of_baseline


@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_pca_against_the_singular_value_decomposition(shape):
    x = noise(60, 3, shape)
    linear = LinearAutoencoder(x, 5)
    z = linear.encode(x)
    assert z.shape == (60, 5)
    flat = x.flatten(1).double()
    mean = flat.mean(0)
    _, _, right = torch.linalg.svd(flat - mean, full_matrices=False)
    projected = mean + (flat - mean) @ right[:5].T @ right[:5]
    assert torch.allclose(linear.decode(z).double(), projected.reshape(60, *shape), atol=1e-4)


def test_baselines():
    data = splits()
    images = data.test.images
    pixels = of_baseline("raw_pixels", None, data)
    assert torch.equal(pixels.decode(pixels.encode(images)), images)
    by_hand = LinearAutoencoder(torch.cat([data.train.images, data.validation.images]), 3)
    assert torch.equal(of_baseline("pca_3", 3, data).encode(images), by_hand.encode(images))
