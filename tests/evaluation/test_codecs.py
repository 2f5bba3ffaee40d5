"""Image formats on a few images."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from latentlab.evaluation.codecs import codec_curve, sheet, tiles


def images(count: int = 30) -> torch.Tensor:
    small = torch.rand(count, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    return F.interpolate(small, size=(28, 28), mode="bilinear").mul(255).round().div(255)


@pytest.fixture(scope="module")
def curve() -> dict[tuple[str, str, int | None], dict]:
    return {(line["codec"], line["layout"], line["quality"]): line for line in codec_curve(images(), 12, [5, 50, 95])}


def test_sheet_and_back():
    x = images(7)[:, 0].numpy()
    assert sheet(x).shape == (3 * 28, 3 * 28)
    assert np.array_equal(tiles(sheet(x), 7), x)


def test_every_format_quality_and_layout_is_there(curve):
    assert len(curve) == 2 * (2 + 2 * 3)


def test_lossless_formats_lose_nothing(curve):
    for (codec, _, _), line in curve.items():
        if codec in ("png", "webp_lossless"):
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


def test_bytes_are_those_of_the_files(curve):
    sizes = []
    for image in images()[:12, 0]:
        buffer = io.BytesIO()
        Image.fromarray((image * 255).round().byte().numpy()).save(buffer, format="PNG", optimize=True)
        sizes.append(len(buffer.getvalue()))
    assert curve[("png", "single", None)]["bytes_per_image"] == pytest.approx(np.mean(sizes))
