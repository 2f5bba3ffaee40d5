"""Reading, the split, and what an encoder sees."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlab.data import images as data
from latentlab.params.datasets import Split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four small files of the official layout: 200 and 50 images, whose first pixel is their index."""
    for prefix, count in (("train", 200), ("t10k", 50)):
        pixels = np.zeros((count, 28, 28), np.uint8)
        pixels[:, 0, 0] = np.arange(count)
        header = struct.pack(">IIII", 0x803, count, 28, 28)
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        digits = (np.arange(count) % 10).astype(np.uint8)
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + digits.tobytes())
    return tmp_path


def indices(images: data.Images) -> list[int]:
    return (images.images[:, 0, 0, 0] * 255).round().int().tolist()


def test_load(folder):
    mnist = data.load(folder, Split(seed=0, train=150, validation=50, test=20))
    assert mnist.train.images.shape == (150, 1, 28, 28)
    assert mnist.train.images.dtype == torch.float32
    assert mnist.train.images.max() <= 1
    assert sorted(indices(mnist.train) + indices(mnist.validation)) == list(range(200))
    assert indices(mnist.test) == list(range(20))
    for part in (mnist.train, mnist.validation, mnist.test):
        assert [index % 10 for index in indices(part)] == part.labels.tolist()
    together = mnist.training_images()
    assert indices(together) == indices(mnist.train) + indices(mnist.validation)
    assert len(together) == 200


def test_digest_sees_every_byte(folder):
    before = data.digest(folder)
    assert len(before) == 32
    path = folder / "t10k-labels-idx1-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert data.digest(folder) != before


@settings(deadline=None, max_examples=50)
@given(
    digits=st.lists(st.integers(0, 9), min_size=200, max_size=400).map(lambda drawn: [*range(10), *range(10), *drawn]),
    share=st.floats(0.1, 0.5),
    seed=st.integers(0, 100),
)
def test_split_is_disjoint_stratified_and_decided_by_its_seed(digits, share, seed):
    digits = np.array(digits)
    validation_size = max(10, int(len(digits) * share))
    sizes = [len(digits) - validation_size, validation_size]
    parts = data.stratified_split(digits, len(digits), sizes, seed)
    assert [len(part) for part in parts] == sizes
    assert sorted(torch.cat(parts).tolist()) == list(range(len(digits)))
    for digit in range(10):
        fair = (digits == digit).sum() * validation_size / len(digits)
        assert abs((digits[parts[1]] == digit).sum() - fair) <= 1
    again = data.stratified_split(digits, len(digits), sizes, seed)
    assert all(torch.equal(one, other) for one, other in zip(parts, again, strict=True))


def test_degrade():
    images = torch.rand(3, 1, 28, 28)
    assert data.degrade(images, 1) is images
    small = data.degrade(images, 2)
    # bilinear at half the size is the mean of 2x2 pixels
    assert torch.allclose(small, torch.nn.functional.avg_pool2d(images, 2), atol=1e-6)
