"""Nearest images against all distances."""

import pytest
import torch
from samples import COLOUR, digits, noise

from latentlab.evaluation.neighbours import nearest

REAL = torch.cat([noise(400, 1), digits(300, 1).images])


@pytest.mark.parametrize(
    ("x", "real"), [(noise(300), REAL), (digits(300).images, REAL), (noise(300, 0, COLOUR), noise(400, 1, COLOUR))]
)
def test_nearest_against_all_distances(x, real):
    found = nearest(x, real)
    expected = torch.cdist(x.flatten(1).double(), real.flatten(1).double()).amin(1) / real[0].numel() ** 0.5
    assert torch.allclose(found.distances.double(), expected, atol=1e-5)
    cosines = torch.nn.functional.normalize(x.flatten(1)) @ torch.nn.functional.normalize(real.flatten(1)).T
    assert torch.allclose(found.cosines, cosines.amax(1), atol=1e-5)
    assert found.means() == (pytest.approx(float(expected.mean()), abs=1e-5), pytest.approx(float(cosines.amax(1).mean())))


def test_images_that_are_real_faint_or_black():
    real = noise(300, 1)
    assert nearest(real[:5], real).distances == pytest.approx([0] * 5, abs=1e-3)
    assert torch.allclose(nearest(0.1 * real[:3], real).cosines, torch.ones(3), atol=1e-5)
    assert nearest(torch.zeros(1, 1, 28, 28), real).cosines.item() == 0
