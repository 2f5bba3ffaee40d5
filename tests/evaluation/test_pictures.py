"""Pictures pixel by pixel."""

import io

import numpy as np
from PIL import Image
from samples import digits, noise

from latentlab.evaluation import pictures


def test_tiles_are_where_a_page_is_read():
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    tiled = pictures.tile(images)
    assert tiled.shape == (2 * 4, 3 * 5)
    assert np.array_equal(tiled[4:, 5:10], images[1, 1])
    large = pictures.tile(images, frame=7, scale=2)
    assert large.shape == (2 * 6 * 2, 3 * 7 * 2)
    assert np.array_equal(large[1::2, ::2], large[::2, 1::2])
    one = large[::2, ::2][6:, 7:14]  # second row, second column
    assert np.array_equal(one[1:-1, 1:-1], images[1, 1])
    assert {*one[0], *one[-1], *one[:, 0], *one[:, -1]} == {7}


def test_places_without_an_image():
    images = noise(5)[:, 0].numpy()
    grid = pictures.grid(images, 3)
    assert grid.shape == (2, 3, 28, 28)
    assert np.array_equal(grid[1, 1], images[4])
    assert np.isnan(grid[1, 2]).all()
    black = pictures.grid(pictures.as_bytes(images), 3, empty=0)
    assert black.dtype == np.uint8
    assert not black[1, 2].any()
    white = np.array(pictures.sheet(grid))
    assert (white[white.shape[0] // 2 :, 2 * white.shape[1] // 3 :] == 255).all()


def test_bytes_are_rounded_and_cut_off():
    assert pictures.as_bytes(np.array([-1, 0, 0.25, 0.5 / 255 + 1e-6, 1, 2])).tolist() == [0, 0, 64, 1, 255, 255]


def test_a_framed_picture():
    images = pictures.as_bytes(digits(6).images.numpy().reshape(2, 3, 28, 28))
    picture = np.array(Image.open(io.BytesIO(pictures.framed(images))))
    assert np.array_equal(picture, pictures.tile(images, 128, 3))
