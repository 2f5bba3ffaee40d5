"""Pictures as users have them: every mode, size and polarity, photographs, and files that are no pictures."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from latentlab.data import drawing
from latentlab.errors import UserError

FIVE = [(0.85, 0.05), (0.2, 0.05), (0.15, 0.45), (0.6, 0.42), (0.85, 0.65), (0.7, 0.9), (0.1, 0.92)]


def drawn(width: int = 240, height: int = 320, stroke: int = 24, ink: int = 255, ground: int = 0) -> Image.Image:
    """A five, off the centre."""
    image = Image.new("L", (width, height), ground)
    points = [(width * (0.1 + 0.5 * x), height * (0.15 + 0.5 * y)) for x, y in FIVE]
    draw = ImageDraw.Draw(image)
    draw.line(points, fill=ink, width=stroke)
    for x, y in points:
        draw.ellipse((x - stroke / 2, y - stroke / 2, x + stroke / 2, y + stroke / 2), fill=ink)
    return image


def framed(image: Image.Image, path: Path, **settings: object) -> np.ndarray:
    image.save(path, **settings)
    grey = drawing.read(path)
    return drawing.framed(1 - grey if drawing.has_dark_ink(grey) else grey)[0]


REFERENCE, _ = drawing.framed(np.asarray(drawn(), np.float32) / 255)


def differs(image: np.ndarray) -> float:
    return float(np.square(image - REFERENCE).mean())


def extent(image: np.ndarray) -> tuple[int, int]:
    rows, columns = (image > 0.1).any(1).nonzero()[0], (image > 0.1).any(0).nonzero()[0]
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def centre(image: np.ndarray) -> tuple[float, float]:
    places = np.arange(28)
    return float(image.sum(1) @ places / image.sum()), float(image.sum(0) @ places / image.sum())


def test_a_rectangle_by_hand():
    grey = np.zeros((200, 300), np.float32)
    grey[30:110, 200:240] = 0.8  # 80 x 40 becomes 20 x 10, of full brightness
    expected = np.zeros((28, 28))
    expected[4:24, 9:19] = 1  # centre of mass (13.5, 13.5)
    image, is_widened = drawing.framed(grey)
    assert np.allclose(image, expected, atol=1e-4)
    assert not is_widened


@pytest.mark.parametrize("size", [(60, 80), (240, 320), (500, 500), (3000, 2000)])
def test_size_box_and_centre_as_in_mnist(size, tmp_path):
    image = framed(drawn(*size, stroke=min(size) // 10), tmp_path / "x.png")
    assert image.shape == (28, 28)
    assert 0 <= image.min() <= image.max() <= 1
    assert max(extent(image)) == 20
    assert all(13.5 - 1e-4 <= place < 14.5 for place in centre(image))


def test_framed_again_it_stays():
    again, is_widened = drawing.framed(REFERENCE)
    assert differs(again) < 0.003
    assert not is_widened


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("is_dark", [False, True])
def test_every_mode_of_a_png(mode, is_dark, tmp_path):
    image = drawn(ink=0, ground=255) if is_dark else drawn()
    image = Image.fromarray(np.asarray(image, np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    assert image.mode == mode
    assert differs(framed(image, tmp_path / "x.png")) < 0.001


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("is_dark", [False, True])
def test_every_mode_of_a_jpeg(mode, is_dark, tmp_path):
    image = drawn(ink=0, ground=255) if is_dark else drawn()
    assert differs(framed(image.convert(mode), tmp_path / "x.jpg", quality=60)) < 0.004


@pytest.mark.parametrize(("ink", "ground"), [("black", "yellow"), ("navy", "white"), ("yellow", "green"), ("red", "beige")])
def test_colours(ink, ground, tmp_path):
    image = Image.new("RGB", (240, 320), ground)
    image.paste(Image.new("RGB", image.size, ink), mask=drawn())
    assert differs(framed(image, tmp_path / "x.png")) < 0.001


@pytest.mark.parametrize("ink", ["black", "white", "navy", "orange"])
def test_ink_on_nothing(ink, tmp_path):
    image = Image.new("RGBA", (240, 320), (0, 0, 0, 0))
    image.paste(Image.new("RGBA", image.size, ink), mask=drawn())
    assert differs(framed(image, tmp_path / "x.png")) < 0.001


@pytest.mark.parametrize("is_dark", [False, True])
def test_transparent_corners_are_ground(is_dark, tmp_path):
    image = drawn(ink=0, ground=255) if is_dark else drawn()
    alpha = Image.new("L", image.size, 0)
    ImageDraw.Draw(alpha).rounded_rectangle((0, 0, 239, 319), radius=30, fill=255)
    image.putalpha(alpha)
    assert differs(framed(image, tmp_path / "x.png")) < 0.001


def test_transparency_of_a_palette(tmp_path):
    image = drawn().convert("P")
    image.save(tmp_path / "x.png", transparency=0)  # the ground
    grey = drawing.read(tmp_path / "x.png")
    assert differs(drawing.framed(grey)[0]) < 0.001


def test_sixteen_bits_are_kept(tmp_path):
    values = np.linspace(0, 65535, 28 * 28).astype(np.uint16).reshape(28, 28)
    Image.fromarray(values).save(tmp_path / "x.png")
    assert np.allclose(drawing.read(tmp_path / "x.png"), values / 65535, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("is_dark", [False, True])
def test_a_photograph(is_dark, seed, tmp_path):
    """Grey paper in light from one side, pale ink, noise, a little blur, dust, and JPEG."""
    random = np.random.default_rng(seed)
    strokes = np.asarray(drawn(900, 1200, stroke=80).resize((300, 400)).resize((900, 1200)), np.float32) / 255
    contrast = -0.3 if is_dark else 0.3
    light = np.linspace(0.55, 0.75, 900)[None, :] if seed % 2 else np.linspace(0.3, 0.5, 1200)[:, None]
    photo = light + contrast * strokes + 0.03 * random.standard_normal(strokes.shape)
    for top, left in random.integers(0, 880, (5, 2)):
        photo[top : top + 6, left : left + 6] += contrast
    image = Image.fromarray((photo.clip(0, 1) * 255).astype(np.uint8))
    made = framed(image, tmp_path / "x.jpg", quality=80)
    assert differs(made) < 0.012
    assert max(extent(made)) == 20


def test_dark_ink_is_told_from_light_ink_also_when_it_reaches_the_border():
    for stroke in (8, 24, 40):
        dark = np.asarray(drawn(stroke=stroke, ink=30, ground=200), np.float32) / 255
        for grey in (dark, dark[40:215, 20:150]):
            assert drawing.has_dark_ink(grey)
            assert not drawing.has_dark_ink(1 - grey)


def test_noise_does_not_hide_which_is_the_ink():
    noise = 0.3 * np.random.default_rng(0).standard_normal((28, 28))
    assert not drawing.has_dark_ink(np.clip(REFERENCE + noise, 0, 1))
    assert drawing.has_dark_ink(np.clip(1 - REFERENCE + noise, 0, 1))


def test_strokes_of_a_fine_pen_are_widened():
    for stroke in (2, 5):
        fine = np.asarray(drawn(stroke=stroke), np.float32) / 255
        image, is_widened = drawing.framed(fine)
        assert is_widened
        assert max(extent(image)) == 20
        assert 0.6 < image.sum() / REFERENCE.sum() < 1.4
    assert not drawing.framed(np.asarray(drawn(stroke=24), np.float32) / 255)[1]


def test_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    grey = drawing.read(tmp_path / "x.png")
    assert np.array_equal(drawing.resized(grey, 28), pixels / np.float32(255))
    Image.fromarray(pixels.repeat(10, 0).repeat(20, 1)).save(tmp_path / "x.png")
    assert np.allclose(drawing.resized(drawing.read(tmp_path / "x.png"), 28), pixels / 255, atol=1e-3)


def test_a_picture_that_lies_on_its_side_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise to be seen
    turned = drawn().transpose(Image.Transpose.ROTATE_90)
    assert differs(framed(turned, tmp_path / "x.jpg", exif=exif, quality=90)) < 0.004


def test_the_first_of_the_pictures_that_some_cameras_put_into_a_jpeg(tmp_path):
    image = drawn().convert("RGB")
    image.save(tmp_path / "x.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", (240, 320))])
    assert differs(drawing.framed(drawing.read(tmp_path / "x.jpg"))[0]) < 0.004


def png_that_says_it_is(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def turned(tag: int, form: int, value: bytes) -> bytes:
    """A JPEG that lies on its side, by an EXIF tag beside which there is another whose form does not fit it."""
    tags = sorted([(0x0112, 3, 1, struct.pack(">HH", 6, 0)), (tag, form, 1, value)])
    entries = b"".join(struct.pack(">HHI", each, kind, count) + data for each, kind, count, data in tags)
    exif = b"Exif\0\0MM\0\x2a" + struct.pack(">IH", 8, len(tags)) + entries + bytes(4)
    return encoded(drawn(), "JPEG", exif=exif)


FILES = {
    "empty": (b"", "is empty"),
    "text": (b"hello", "is not a PNG or JPEG image"),
    "gif": (encoded(drawn(), "GIF"), "is not a PNG or JPEG image"),
    "a bomb": (png_that_says_it_is(100_000, 100_000), "more than .* pixels"),
    "half a bomb": (png_that_says_it_is(10_000, 10_000), "more than .* pixels"),
    "a size that does not hold": (png_that_says_it_is(3000, 3000), "cannot be read"),
    "truncated png": (encoded(drawn(), "PNG")[:500], "cannot be read"),
    "exif of bytes": (turned(0x0103, 1, bytes(4)), "cannot be read"),
    "exif out of range": (turned(0x011A, 6, b"\xff\xff\xff\xff"), "cannot be read"),
    "exif that is no text": (turned(0x0132, 11, bytes(4)), "cannot be read"),
    "truncated jpeg": (encoded(drawn(), "JPEG")[:1500], "cannot be read"),
    "animated": (encoded(drawn(), "PNG", save_all=True, append_images=[drawn(stroke=9)]), "is animated"),
    "transparent": (encoded(Image.new("RGBA", (50, 50)), "PNG"), "is transparent everywhere"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_picture(name, tmp_path):
    content, message = FILES[name]
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UserError, match=f"x.png: .*{message}") as caught:
        drawing.read(tmp_path / "x.png")
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        drawing.read(tmp_path / "x.png")
    with pytest.raises(UserError, match="is not a file"):
        drawing.read(tmp_path)


@pytest.mark.parametrize("grey", [np.zeros((50, 50)), np.full((1, 1), 0.3), np.full((20, 90), 1.0), np.eye(200) * 0.01])
def test_nothing_to_see(grey):
    with pytest.raises(UserError, match="no digit stands out"):
        drawing.framed(grey.astype(np.float32))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_damage_anywhere_is_an_error_or_a_picture(kind, tmp_path):
    whole = encoded(drawn().convert("P" if kind == "PNG" else "RGB"), kind)
    random = np.random.default_rng(0)
    path = tmp_path / "x"
    num_errors = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(0, min(len(whole), 1000), 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            grey = drawing.read(path)
        except UserError:
            num_errors += 1
        else:
            assert grey.dtype == np.float32
            assert 0 <= grey.min() <= grey.max() <= 1
            assert 0 <= drawing.resized(grey, 28).min() <= drawing.resized(grey, 28).max() <= 1
    assert num_errors > 0
