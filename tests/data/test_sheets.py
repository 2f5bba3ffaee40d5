"""Digits in every kind of picture that people have, and how many of them a probe reads after the preparation.

The strokes are those of MNIST's test images, enlarged and smoothed; everything around them is drawn here. Legend: H and W
height and width; `ink` is how much of each pixel the strokes cover, `light` is what the camera gets, both (H, W) in [0, 1].
"""

import gzip
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.morphology import skeletonize
from skimage.transform import ProjectiveTransform, warp
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from latentlab.commands import inputs
from latentlab.data import sheets
from latentlab.errors import UserError

Array = np.ndarray
Random = np.random.Generator
SIZE = (400, 500)


# --- the strokes of a pen, on a sheet


def strokes(digit: Array, size: tuple[int, int] = SIZE, share: float = 0.6, at: tuple[float, float] = (0.5, 0.5)) -> Array:
    """A digit of MNIST whose 28 pixels are a share of the height, at a place between top left (0, 0) and bottom right."""
    side = round(share * size[0])
    large = ndimage.gaussian_filter(ndimage.zoom(digit / 255, side / 28, order=1), side / 56)
    ink = np.zeros(size)
    top, left = (round(place * (whole - side)) for place, whole in zip(at, size, strict=True))
    ink[top : top + side, left : left + side] = np.clip((large[:side, :side] - 0.4) * 8 + 0.5, 0, 1)
    return ink


def written(ink: Array, paper: float | Array = 0.92, pen: float = 0.12) -> Array:
    return paper * (1 - ink) + pen * ink


def fine(digit: Array, width: int = 3) -> Array:
    middle = skeletonize(strokes(digit) > 0.5)
    return ndimage.gaussian_filter(ndimage.distance_transform_edt(~middle) <= width / 2, 0.6, output=float)


def grain(random: Random, size: tuple[int, int] = SIZE, sigma: float = 1.0) -> Array:
    """Noise of standard deviation 1, with spots of `sigma` pixels."""
    noise = ndimage.gaussian_filter(random.standard_normal(size), sigma)
    return noise / noise.std()


def across(start: float, end: float) -> Array:
    return np.broadcast_to(np.linspace(start, end, SIZE[1]), SIZE)


def cropped(light: Array, margin: int) -> Array:
    """Cut at some pixels from the ink; negative, into it."""
    rows, columns = np.nonzero(light < 0.5)
    top, left = max(0, rows.min() - margin), max(0, columns.min() - margin)
    return light[top : rows.max() + margin + 1, left : columns.max() + margin + 1]


# --- what lies around a sheet


def on(desk: float | Array, light: Array, corners: list[tuple[float, float]]) -> Array:
    """A sheet on a desk; its corners in shares of the width and height, clockwise from the top left."""
    height, width = SIZE
    source = np.array([(0, 0), (light.shape[1], 0), light.shape[::-1], (0, light.shape[0])], float)
    transform = ProjectiveTransform.from_estimate(np.array(corners) * (width, height), source)
    sheet = warp(np.pad(light, 1, constant_values=-9), transform, output_shape=SIZE, cval=-9)
    return np.where(sheet < 0, desk, sheet)


STRAIGHT = [(0.12, 0.1), (0.9, 0.1), (0.9, 0.92), (0.12, 0.92)]
TURNED = [(0.2, 0.06), (0.93, 0.16), (0.84, 0.95), (0.08, 0.84)]
ANGLE = [(0.22, 0.15), (0.8, 0.12), (0.95, 0.93), (0.06, 0.9)]
BEYOND = [(0.25, -0.1), (1.2, -0.1), (1.2, 1.1), (0.25, 1.1)]
CORNER = [(0.3, 0.22), (1.2, 0.16), (1.2, 1.2), (0.26, 1.2)]


def framed(light: Array, width: int, value: float = 0.0) -> Array:
    return np.pad(light[width:-width, width:-width], width, constant_values=value)


def wood(random: Random) -> Array:
    return np.clip(0.35 + 0.06 * ndimage.gaussian_filter(random.standard_normal(SIZE), (1, 40)) * 12, 0, 1)


def shadow(light: Array) -> Array:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return light * (1 - 0.35 / (1 + np.exp((rows + 0.7 * columns - 450) / 25)))


def vignette(light: Array) -> Array:
    rows, columns = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    return light * (1 - 0.2 * (rows**2 + columns**2))


def ruled(distance: int, value: float, squared: bool = False) -> Array:
    paper = np.full(SIZE, 0.92)
    paper[distance // 2 :: distance] = paper[distance // 2 + 1 :: distance] = value
    if squared:
        paper[:, distance // 2 :: distance] = value
    return paper


def dusty(light: Array, random: Random) -> Array:
    light = light.copy()
    for top, left in zip(random.integers(0, SIZE[0], 30), random.integers(0, SIZE[1], 30), strict=True):
        light[top : top + 3, left : left + 3] = 0.2
    return light


# --- files


def grey(light: Array) -> Image.Image:
    return Image.fromarray((np.clip(light, 0, 1) * 255).round().astype(np.uint8))


def wide(light: Array, most: int) -> Image.Image:
    return Image.fromarray((np.clip(light, 0, 1) * most).round().astype(np.uint16))


def coloured(ink: Array, pen: str, paper: str) -> Image.Image:
    image = Image.new("RGB", ink.shape[::-1], paper)
    image.paste(Image.new("RGB", image.size, pen), mask=grey(ink))
    return image


def cut_out(ink: Array, pen: str) -> Image.Image:
    image = Image.new("RGBA", ink.shape[::-1], pen)
    image.putalpha(grey(ink))
    return image


def palette(ink: Array) -> Image.Image:
    return coloured(ink, "darkred", "ivory").quantize(16)


def lying(light: Array, tag: int, way: Image.Transpose) -> tuple[Image.Image, dict[str, object]]:
    """As a camera leaves it, with the EXIF tag that says how it is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = tag
    return grey(light).transpose(way), {"format": "JPEG", "exif": exif}


def typed(character: int, font: str) -> Image.Image:
    image = Image.new("L", SIZE[::-1], 235)
    path = Path(matplotlib.get_data_path(), f"fonts/ttf/{font}.ttf")
    ImageDraw.Draw(image).text((250, 200), str(character), 30, ImageFont.truetype(path, 250), anchor="mm")
    return image


# what a picture is, and how it is saved where that is not as a plain PNG
Picture = Array | Image.Image | tuple[Image.Image, dict[str, object]]
TROUBLES: dict[str, dict[str, Callable[[Array, Random], Picture]]] = {
    "pens": {
        "felt pen": lambda x, _: written(strokes(x)),
        "pencil": lambda x, r: written(strokes(x), pen=0.7) + 0.02 * grain(r),
        "crayon": lambda x, r: written(strokes(x) * np.clip(0.8 + 0.3 * grain(r, sigma=1.5), 0, 1), pen=0.3),
        "fine pen": lambda x, _: written(fine(x)),
        "biro": lambda x, r: written(fine(x, 5), pen=0.4) + 0.02 * grain(r),
        "broad marker": lambda x, _: written(ndimage.grey_dilation(strokes(x), 9)),
        "chalk on a board": lambda x, r: written(
            strokes(x) * np.clip(0.8 + 0.2 * grain(r), 0, 1), 0.2 + 0.02 * grain(r, sigma=9), 0.85
        ),
        "blue on yellow": lambda x, _: coloured(strokes(x), "navy", "khaki"),
        "red on green": lambda x, _: coloured(strokes(x), "darkred", "palegreen"),
    },
    "papers": {
        "ruled": lambda x, _: written(strokes(x), ruled(40, 0.72)),
        "squared": lambda x, r: written(strokes(x), ruled(25, 0.75, squared=True)) + 0.01 * grain(r),
        "recycled": lambda x, r: written(strokes(x), 0.7 + 0.04 * grain(r, sigma=2)),
        "creased": lambda x, r: written(strokes(x), 0.85 + 0.04 * grain(r, sigma=40)),
        "the back shines through": lambda x, _: written(strokes(x), 0.92 - 0.12 * strokes(np.fliplr(x), at=(0.5, 0.1))),
    },
    "lights": {
        "from one side": lambda x, _: written(strokes(x)) * across(0.5, 1),
        "hardly any": lambda x, r: 0.2 * written(strokes(x)) + 0.01 * grain(r),
        "too much": lambda x, r: 0.7 + 0.4 * written(strokes(x)) + 0.01 * grain(r),
        "dark corners": lambda x, _: vignette(written(strokes(x))),
        "shadow of a hand": lambda x, _: shadow(written(strokes(x))),
    },
    "scanners": {
        "black frame": lambda x, _: framed(written(strokes(x)), 12),
        "thin black frame": lambda x, _: framed(written(strokes(x)), 4),
        "black strip": lambda x, _: np.where(np.arange(SIZE[1]) < 30, 0.02, written(strokes(x))),
        "lid left open": lambda x, _: np.pad(written(strokes(x)), ((0, 150), (0, 200)), constant_values=0.03),
        "black and white": lambda x, _: (written(strokes(x)) > 0.5).astype(float),
        "dust": lambda x, r: dusty(written(strokes(x)), r),
        "4000 x 3200": lambda x, _: grey(written(strokes(x))).resize((4000, 3200)),
        "60 x 48": lambda x, _: grey(written(strokes(x))).resize((60, 48), Image.Resampling.BOX),
    },
    "photos": {
        "page on a dark desk": lambda x, _: on(0.24, written(strokes(x)), STRAIGHT),
        "page on wood": lambda x, r: on(wood(r), written(strokes(x)) + 0.02 * grain(r), STRAIGHT),
        "pencil on a page on a desk": lambda x, r: on(0.25, written(strokes(x), pen=0.6), TURNED) + 0.01 * grain(r),
        "fine pen on a page on a desk": lambda x, r: on(0.25, written(fine(x, 5)), TURNED) + 0.01 * grain(r),
        "page turned": lambda x, r: on(wood(r), written(strokes(x)), TURNED),
        "page at an angle": lambda x, r: on(0.3, written(strokes(x)), ANGLE) * across(0.7, 1) + 0.02 * grain(r),
        "page beyond the picture": lambda x, r: on(wood(r), written(strokes(x)), BEYOND),
        "corner of a page": lambda x, r: on(wood(r), written(strokes(x, at=(0.3, 0.3))), CORNER),
        "card on a bright desk": lambda x, r: on(0.85, written(strokes(x), 0.15, 0.9), TURNED) + 0.01 * grain(r),
        "white page on a pale desk": lambda x, r: on(0.7, written(strokes(x)), ANGLE) + 0.01 * grain(r),
        "close up": lambda x, _: cropped(written(strokes(x)), 3),
        "cut into": lambda x, _: cropped(written(strokes(x)), -3),
    },
    "values": {
        "8 bits": lambda x, _: grey(written(strokes(x))),
        "12 bits": lambda x, _: wide(written(strokes(x)), 4095),
        "12 bits, pale": lambda x, _: wide(written(strokes(x), pen=0.5), 4095),
        "16 bits": lambda x, _: wide(written(strokes(x)), 65535),
        "alpha": lambda x, _: cut_out(strokes(x), "black"),
        "alpha, white": lambda x, _: cut_out(strokes(x), "white"),
        "palette": lambda x, _: palette(strokes(x)),
        "CMYK": lambda x, _: (coloured(strokes(x), "navy", "white").convert("CMYK"), {"format": "JPEG"}),
        "poor JPEG": lambda x, _: (grey(written(strokes(x), pen=0.4)), {"format": "JPEG", "quality": 10}),
        "EXIF, mirrored": lambda x, _: lying(written(strokes(x)), 2, Image.Transpose.FLIP_LEFT_RIGHT),
        "EXIF, upside down": lambda x, _: lying(written(strokes(x)), 3, Image.Transpose.ROTATE_180),
        "EXIF, on its side": lambda x, _: lying(written(strokes(x)), 6, Image.Transpose.ROTATE_90),
        "28 x 28": lambda x, _: Image.fromarray(x),
        "28 x 28, inverted": lambda x, _: Image.fromarray(255 - x),
    },
}  # fmt: skip
NUM_EACH = 2
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif")


# --- what comes of them


def prepared(picture: Picture, folder: Path) -> tuple[Array, list[str]]:
    """The picture as a command takes it from a file, (28, 28), and what it says of it."""
    image, settings = picture if isinstance(picture, tuple) else (picture, {"format": "PNG"})
    path = folder / "picture"
    (image if isinstance(image, Image.Image) else grey(image)).save(path, **settings)
    model: Any = SimpleNamespace(description={"images": {"kind": "mnist"}}, shape=(1, 28, 28))
    pixels, notes = inputs.prepare(path, inputs.Preparation(as_is=False, ink=None), model)
    return pixels[0].numpy(), [note.removeprefix(f"{path}: ") for note in notes]


@pytest.mark.slow
def test_a_probe_reads_nearly_all(mnist_gz_folder, tmp_path):
    """Digits that a probe on 40 numbers reads as they stand in MNIST it reads from at least 95% of the pictures of them."""

    def first(name: str, count: int, *shape: int) -> Array:
        data = gzip.decompress((mnist_gz_folder / f"{name}.gz").read_bytes())
        return np.frombuffer(data, np.uint8, offset=8 + 4 * len(shape)).reshape(-1, *shape)[:count]

    images, labels = first("train-images-idx3-ubyte", 10_000, 28, 28), first("train-labels-idx1-ubyte", 10_000)
    probe = make_pipeline(PCA(40, svd_solver="full"), SVC(C=10)).fit(images.reshape(-1, 784) / 255, labels)
    images, labels = first("t10k-images-idx3-ubyte", 1000, 28, 28), first("t10k-labels-idx1-ubyte", 1000)
    is_read = probe.predict(images.reshape(-1, 784) / 255) == labels
    unused = {digit: iter(images[is_read & (labels == digit)]) for digit in range(10)}

    def read(picture: Picture) -> object:
        try:
            return probe.predict(prepared(picture, tmp_path)[0].reshape(1, -1))[0]
        except UserError as error:
            return error

    wrong, count = defaultdict(list), 0
    for group, troubles in TROUBLES.items():
        for name, make in troubles.items():
            for _ in range(NUM_EACH):
                digit = (7 * count + 3) % 10
                if (found := read(make(next(unused[digit]), np.random.default_rng(count)))) != digit:
                    wrong[group].append(f"{name}: {digit} was read as {found}")
                count += 1
    for font in FONTS:
        for digit in range(10):
            if (found := read(typed(digit, font))) != digit:
                wrong["print"].append(f"{font}: {digit} was read as {found}")
            count += 1
    num_wrong = sum(map(len, wrong.values()))
    print(f"{count - num_wrong} of {count} were read; not:", dict(wrong))
    assert num_wrong <= 0.05 * count, dict(wrong)


def seven(size: int = 400) -> Array:
    image = Image.new("L", (size, size))
    points = [(0.37 * size, 0.3 * size), (0.65 * size, 0.3 * size), (0.45 * size, 0.75 * size)]
    ImageDraw.Draw(image).line(points, fill=255, width=size // 20)
    return np.asarray(image) / 255


def test_the_page_is_not_the_digit(tmp_path):
    alone, notes = prepared(written(seven()), tmp_path)
    assert notes == ["dark on light: inverted"]
    page = on(
        0.24, written(seven()), [(0.1, 0.1), (0.74, 0.1), (0.74, 0.9), (0.1, 0.9)]
    )  # square, as 0.64 x 500 is 0.8 x 400
    for light in (page, framed(written(seven()), 12), framed(written(seven()), 3)):
        image, notes = prepared(light, tmp_path)
        assert notes == ["the sheet is cut out of what is around it", "dark on light: inverted"]
        assert np.square(image - alone).mean() < 0.01


@pytest.mark.parametrize(
    "light", [written(seven()), 1 - written(seven()), written(seven()) * np.linspace(0.5, 1, 400), seven(28)]
)
def test_a_picture_of_the_sheet_alone_stays(light):
    assert sheets.cut_out(light) is light


@pytest.mark.parametrize(
    ("light", "doubt"),
    [
        (written(np.hstack([seven(), seven()])), "2 large parts: is it one digit?"),
        (on(0.2, written(np.hstack([seven(), seven()])), TURNED), "2 large parts: is it one digit?"),
        (
            written(np.hypot(*np.mgrid[-2:2:200j, -2:2:200j]) < 1),
            "mean brightness 0.40, in MNIST 0.028 to 0.34: is it a digit?",
        ),
    ],
)
def test_what_is_far_from_mnist_is_said(light, doubt, tmp_path):
    assert prepared(light, tmp_path)[1][-1].endswith(doubt)


def test_an_empty_sheet_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"^[^\n]*picture: no digit stands out from the ground[^\n]*$"):
        prepared(np.full(SIZE, 0.9), tmp_path)
