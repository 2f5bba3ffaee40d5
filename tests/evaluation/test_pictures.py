"""Pictures pixel by pixel."""

import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from samples import COLOUR, GREY, digits, noise

from latentlab.evaluation import pictures


def test_tiles_are_where_a_page_is_read():
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 1, 4, 5)
    tiled = pictures.tile(images)
    assert tiled.shape == (2 * 4, 3 * 5)
    assert np.array_equal(tiled[4:, 5:10], images[1, 1, 0])
    large = pictures.tile(images, frame=7, scale=2)
    assert large.shape == (2 * 6 * 2, 3 * 7 * 2)
    assert np.array_equal(large[1::2, ::2], large[::2, 1::2])
    one = large[::2, ::2][6:, 7:14]  # second row, second column
    assert np.array_equal(one[1:-1, 1:-1], images[1, 1, 0])
    assert {*one[0], *one[-1], *one[:, 0], *one[:, -1]} == {7}


def test_each_channel_is_tiled_alike():
    images = np.arange(2 * 3 * 3 * 4 * 5).reshape(2, 3, 3, 4, 5)
    tiled = pictures.tile(images, frame=7, scale=2)
    assert tiled.shape == (2 * 6 * 2, 3 * 7 * 2, 3)
    for channel in range(3):
        assert np.array_equal(tiled[..., channel], pictures.tile(images[:, :, [channel]], frame=7, scale=2))


@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_places_without_an_image(shape):
    images = noise(5, 0, shape).numpy()
    grid = pictures.grid(images, 3)
    assert grid.shape == (2, 3, *shape)
    assert np.array_equal(grid[1, 1], images[4])
    assert np.isnan(grid[1, 2]).all()
    black = pictures.grid(pictures.as_bytes(images), 3, empty=0)
    assert black.dtype == np.uint8
    assert not black[1, 2].any()
    white = np.array(pictures.sheet(grid))
    assert (white[white.shape[0] // 2 :, 2 * white.shape[1] // 3 :] == 255).all()


def test_bytes_are_rounded_and_cut_off():
    assert pictures.as_bytes(np.array([-1, 0, 0.25, 0.5 / 255 + 1e-6, 1, 2])).tolist() == [0, 0, 64, 1, 255, 255]


@pytest.mark.parametrize("images", [digits(6).images, noise(6, 0, COLOUR)])
def test_a_framed_picture_and_a_plain_one(images):
    framed = pictures.as_bytes(images.numpy().reshape(2, 3, *images.shape[1:]))
    picture = np.array(Image.open(io.BytesIO(pictures.framed(framed))))
    assert np.array_equal(picture, pictures.tile(framed, 128, 3))
    column = np.array(pictures.plain(images.numpy()))
    assert np.array_equal(column.reshape(6, *images.shape[2:], -1), pictures.as_bytes(images.permute(0, 2, 3, 1).numpy()))


@pytest.mark.parametrize("images", [digits(3).images, noise(3, 0, COLOUR)])
def test_titles_stand_above_the_columns(images):
    row = images.numpy()[None]
    bare, titled = (np.array(pictures.sheet(row, titles)) for titles in ((), ("a", "b", "c")))
    head = len(titled) - len(bare)
    assert head > 0
    assert np.array_equal(titled[head:], bare)
    for part in np.array_split(titled[:head], 3, axis=1):
        assert part.min() < 100 < part.max() == 255


@pytest.mark.parametrize(("num_classes", "num_colours"), [(0, 1), (3, 3), (12, 9)])
def test_a_map_of_classes(num_classes, num_colours):
    points = np.random.default_rng(0).standard_normal((60, 2))
    labels = np.arange(60) % num_classes if num_classes else None
    classes = [f"class {label}" for label in range(num_classes)]
    stored = pictures.scatter(points, labels, classes, [("x", points[0])], "")
    picture = Image.open(io.BytesIO(stored)).convert("RGB")
    found = {colour for _, colour in picture.getcolors(picture.width * picture.height)}
    palette = [tuple((np.array(colour) * 255).round().astype(int)) for colour in colormaps["tab10"].colors]
    del palette[7]  # a grey, which letters have at their edges
    assert [colour in found for colour in palette] == [index < num_colours for index in range(9)]
