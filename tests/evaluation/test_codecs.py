"""Image formats on a few images."""

import gzip
import io

import numpy as np
import pytest
import torch
from PIL import Image
from samples import GREY, smooth

from latentlab.evaluation.codecs import codec_curve, sheet, tiles

COLOUR = (3, 20, 20)


def images(shape: tuple[int, int, int], count: int = 30) -> torch.Tensor:
    return smooth(count, shape).mul(255).round().div(255)


@pytest.fixture(scope="module", params=[GREY, COLOUR])
def shape(request) -> tuple[int, int, int]:
    return request.param


@pytest.fixture(scope="module")
def curve(shape) -> dict[tuple[str, str, int | None], dict]:
    return {(line["codec"], line["layout"], line["quality"]): line for line in codec_curve(images(shape), 12, [5, 50, 95])}


def test_sheet_and_back(shape):
    x = images(shape, 7).numpy()
    picture = sheet(x)
    assert picture.shape == (3 * shape[1], 3 * shape[2], 3)[: 2 if shape == GREY else 3]
    back = tiles(picture, x.shape)
    assert np.array_equal(back[:7], x)
    assert not back[7:].any()


def test_every_format_quality_and_layout_is_there(curve):
    assert len(curve) == 2 * (3 + 2 * 3) + 1


def test_lossless_formats_lose_nothing(curve):
    for (codec, _, _), line in curve.items():
        if codec in ("png", "webp_lossless", "jpeg_xl_lossless", "gzip"):
            assert line["mse"] == 0
            assert line["ssim"] == pytest.approx(1)


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
@pytest.mark.parametrize("layout", ["single", "sheet"])
def test_more_quality_more_bytes(curve, codec, layout):
    lines = [curve[(codec, layout, quality)] for quality in (5, 50, 95)]
    for name in ("bytes_per_image", "psnr", "ssim"):
        values = [line[name] for line in lines]
        assert values == sorted(values), name
    assert lines[0]["mse"] > 0


def test_headers_weigh_less_on_a_sheet(curve):
    assert curve[("jpeg", "sheet", 50)]["bytes_per_image"] < 0.5 * curve[("jpeg", "single", 50)]["bytes_per_image"]


def test_bytes_are_those_of_the_files(curve, shape):
    sizes = []
    for image in images(shape)[:12]:
        buffer = io.BytesIO()
        pixels = (image * 255).round().byte().permute(1, 2, 0).squeeze(2).numpy()
        Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
        sizes.append(len(buffer.getvalue()))
    assert curve[("png", "single", None)]["bytes_per_image"] == pytest.approx(np.mean(sizes))


def test_gzip_takes_what_it_takes_of_a_file_of_the_pixels(curve, shape):
    pixels = (images(shape) * 255).round().byte().numpy().tobytes()
    assert curve[("gzip", "sheet", None)]["bytes_per_image"] == pytest.approx(len(gzip.compress(pixels)) / 30)


def test_fewer_images_than_are_to_be_stored_alone(shape):
    few, exact = (list(codec_curve(images(shape, 5), count, [])) for count in (12, 5))
    assert few == exact
