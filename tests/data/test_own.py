"""Pictures, arrays and scikit-learn's digits as data sets."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentlab.data import idx, images, own
from latentlab.params.datasets import Arrays, Digits, Pictures, Shares

SHARES = Shares(seed=0, validation=0.1, test=0.2)
FORMATS = {".png": "RGB", ".jpg": "RGB", ".webp": "RGB", ".bmp": "RGB", ".tiff": "L", ".PNG": "RGBA", ".jpeg": "CMYK"}


def pictures(size: int = 16, channels: int = 3, fit: str = "crop") -> Pictures:
    return Pictures(kind="folder", size=size, channels=channels, fit=fit, epoch_images=1000, split=SHARES)


def paint(path: Path, seed: int, size: tuple[int, int] = (20, 20), mode: str = "RGB") -> None:
    """A picture of its own: four coloured quarters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), np.uint8)
    Image.fromarray(colours).resize(size, Image.Resampling.NEAREST).convert(mode).save(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """240 pictures of two classes, in all formats and in several sizes."""
    for index in range(240):
        suffix, mode = list(FORMATS.items())[index % len(FORMATS)]
        paint(tmp_path / "mine" / ("cats", "dogs")[index % 2] / f"{index:03}{suffix}", index, (20 + index % 7, 24), mode)
    return tmp_path / "mine"


def skipped(folder: Path) -> dict[str, str]:
    with (folder / own.SKIPPED).open(encoding="utf-8", newline="") as file:
        return {line["file"]: line["reason"] for line in csv.DictReader(file)}


def test_pictures_of_all_kinds_become_a_data_set(source, tmp_path):
    (tmp_path / "link").symlink_to(source)
    source = tmp_path / "link"
    told = own.prepare("pets", source, tmp_path / "data", pictures())
    assert told == "240 images, 2 classes"
    data = images.load(tmp_path / "data", SHARES)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [168, 24, 48]
    assert data.shape == (3, 16, 16)
    assert data.classes == ["cats", "dogs"]
    for part in (data.train, data.validation, data.test):
        assert part.labels.bincount().tolist() == [len(part) // 2] * 2
    together = np.concatenate([part.images.flatten(1).numpy() for part in (data.train, data.validation, data.test)])
    assert len(np.unique(together, axis=0)) == 240
    before = images.digest(tmp_path / "data")
    own.prepare("pets", source, tmp_path / "data", pictures())
    assert images.digest(tmp_path / "data") == before
    paint(source / "cats/another.png", 1000)
    own.prepare("pets", source, tmp_path / "data", pictures())
    assert images.digest(tmp_path / "data") != before


def test_a_mess_of_files_is_named_and_left_out(source, tmp_path):
    (source / "cats/broken.png").write_bytes((source / "cats/000.png").read_bytes()[:60])
    (source / "cats/words.jpg").write_text("no picture at all", encoding="utf-8")
    (source / "cats/empty.png").touch()
    (source / "cats/notes.txt").write_text("not meant to be one", encoding="utf-8")
    (source / "cats/.hidden.png").write_bytes(b"")
    (source / "cats/again.png").write_bytes((source / "cats/000.png").read_bytes())
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(source / "dogs/moves.webp", save_all=True, append_images=frames[1:])
    Image.new("1", (9000, 9000)).save(source / "dogs/huge.png")
    paint(source / "above.png", 5000)
    paint(source / "cats/deep/er/in.png", 5001)
    (tmp_path / "elsewhere").mkdir()
    (source / "linked").symlink_to(tmp_path / "elsewhere")
    told = own.prepare("pets", source, tmp_path / "data", pictures())
    assert told.startswith("241 images, 2 classes, 8 left out, see ")
    reasons = skipped(tmp_path / "data")
    assert reasons.pop("cats/broken.png").startswith("is broken: ")
    assert reasons == {
        "above.png": "lies beside the folders of the classes",
        "cats/again.png": "the same picture as cats/000.png",
        "cats/empty.png": "is no picture",
        "cats/words.jpg": "is no picture",
        "dogs/huge.png": "is huge: 9000x9000",
        "dogs/moves.webp": "is animated: 2 frames",
        "linked": "is a link to a folder, which DVC does not see",
    }


def test_given_parts_stay_what_they_are(source, tmp_path):
    for path in sorted(source.rglob("*.*")):
        folder = tmp_path / "parts" / ("Test" if int(path.stem) % 4 > 1 else "train") / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    own.prepare("pets", tmp_path / "parts", tmp_path / "data", pictures())
    data = images.load(tmp_path / "data", SHARES)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [96, 24, 120]
    paint(tmp_path / "parts/beside.png", 5000)
    own.prepare("pets", tmp_path / "parts", tmp_path / "data", pictures())
    assert skipped(tmp_path / "data") == {"beside.png": "lies beside train and test"}


def test_a_part_for_validation_is_of_those_for_training_and_a_test_is_set_aside_if_none_is_given(source, tmp_path):
    (tmp_path / "parts/val").mkdir(parents=True)
    for path in sorted((source / "dogs").iterdir())[::2]:
        (tmp_path / "parts/val/dogs").mkdir(exist_ok=True)
        path.rename(tmp_path / "parts/val/dogs" / path.name)
    source.rename(tmp_path / "parts/train")
    (tmp_path / "parts/__MACOSX/train").mkdir(parents=True)  # from an archive that a Mac has made
    (tmp_path / "parts/__MACOSX/train/._1.png").write_bytes(b"\0\5\x16\7")
    assert own.prepare("pets", tmp_path / "parts", tmp_path / "data", pictures()) == "240 images, 2 classes"
    data = images.load(tmp_path / "data", SHARES)
    assert data.classes == ["cats", "dogs"]
    assert [len(part) for part in (data.train, data.validation, data.test)] == [168, 24, 48]
    (tmp_path / "parts/val").rename(tmp_path / "parts/bus")  # now they are kinds of vehicles
    own.prepare("vehicles", tmp_path / "parts", tmp_path / "data", pictures())
    assert images.load(tmp_path / "data", SHARES).classes == ["bus", "train"]


def test_without_folders_there_are_no_classes(source, tmp_path):
    for path in sorted(source.rglob("*.*")):
        path.rename(source / path.name)
    assert own.prepare("pets", source, tmp_path / "data", pictures()).startswith("240 images, no classes")
    data = images.load(tmp_path / "data", SHARES)
    assert data.train.labels is None
    assert data.training_images().labels is None
    assert data.classes == []


def test_how_a_picture_is_made_to_fit():
    # twice as wide as it is high: dark, bright, bright, dark
    wide = Image.fromarray(np.array([[0, 200, 200, 0]], np.uint8).repeat(16, axis=0).repeat(8, axis=1))
    fitted = {fit: np.asarray(own._fitted(wide, (1, 16, 16), fit)) for fit in ("crop", "pad", "stretch")}
    assert {each.shape for each in fitted.values()} == {(16, 16)}
    assert fitted["crop"][8, [1, 8, 14]].tolist() == [200, 200, 200]
    assert fitted["pad"][8, [0, 8, 15]].tolist() == [0, 200, 0]
    assert fitted["pad"][[1, 14], 8].tolist() == [0, 0]
    assert fitted["stretch"][8, [0, 8, 15]].tolist() == [0, 200, 0]
    assert fitted["stretch"][[1, 14], 8].tolist() == [200, 200]


@pytest.mark.parametrize(
    ("picture", "grey"),
    [
        (Image.new("RGBA", (20, 20), (0, 0, 0, 0)), 255),
        (Image.new("LA", (20, 20), (0, 255)), 0),
        (Image.fromarray(np.full((20, 20), 65535, np.uint16)), 255),
        (Image.fromarray(np.full((20, 20), 257 * 100, np.uint16)), 100),
        (Image.new("P", (20, 20)), 0),
        (Image.new("1", (20, 20), 1), 255),
        (Image.new("CMYK", (20, 20), (0, 0, 0, 0)), 255),
    ],
)
def test_modes_become_grey(picture, grey, tmp_path):
    path = tmp_path / ("it.tiff" if picture.mode in ("I;16", "CMYK") else "it.png")
    picture.save(path)
    found = own._read(path, pictures(16, 1))
    assert isinstance(found, np.ndarray), found
    assert found.shape == (16, 16)
    assert abs(int(found[8, 8]) - grey) <= 1


def refused(settings: Pictures | Arrays, source: Path, folder: Path) -> str:
    with pytest.raises(own.OwnImagesError) as caught:
        own.prepare("mine", source, folder, settings)
    assert not folder.exists()
    return str(caught.value)


def test_folders_that_cannot_be_used_are_one_clear_error(source, tmp_path):
    data = tmp_path / "data"
    assert "put the images of mine there, or a link to them" in refused(pictures(), tmp_path / "nothing", data)
    for path in sorted((source / "dogs").iterdir())[5:]:
        path.unlink()
    assert "125 images: at least 200 are needed" in refused(pictures(), source, data)
    for index in range(100):
        paint(source / "cats" / f"more{index}.png", 2000 + index)
    assert "the class dogs has 5 images: at least 10 are needed" in refused(pictures(), source, data)
    (source / "dogs").rename(tmp_path / "dogs")
    assert own.prepare("mine", source, data, pictures()).startswith("220 images, no classes")


RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (300, 20, 20), np.uint8)
COLOUR = RANDOM.random((300, 20, 20, 3), np.float32)


def arrays(channels: int) -> Arrays:
    return Arrays(kind="arrays", size=20, channels=channels, epoch_images=1000, split=SHARES)


def test_arrays_become_a_data_set(tmp_path):
    source = tmp_path / "mine"
    source.mkdir()
    np.save(source / "images.npy", GREY[..., None])
    assert own.prepare("mine", source, tmp_path / "grey", arrays(1)).startswith("300 images, no classes")
    assert images.load(tmp_path / "grey", SHARES).shape == (1, 20, 20)
    (source / "images.npy").unlink()
    labels = np.arange(300) % 12
    (source / "._all.npz").write_bytes(b"\0\5\x16\7")  # as a Mac leaves it on a disk of Windows
    np.savez(source / "all.npz", x_train=COLOUR[:250], y_train=labels[:250], x_test=COLOUR[250:], y_test=labels[250:])
    assert own.prepare("mine", source, tmp_path / "colour", arrays(3)) == "300 images, 12 classes"
    data = images.load(tmp_path / "colour", SHARES)
    assert data.shape == (3, 20, 20)
    assert np.allclose(data.test.images.permute(0, 2, 3, 1).numpy(), COLOUR[250:], atol=1 / 510)
    assert data.test.labels.tolist() == labels[250:].tolist()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"pictures": GREY}, "no array `images` (or x_train)"),
        ({"images": GREY[:, :19]}, "images is (300, 19, 20), not (N, 20, 20) as params.yaml says"),
        ({"images": COLOUR}, "images is (300, 20, 20, 3), not (N, 20, 20)"),
        ({"images": GREY.astype(np.int64)}, "images is int64: uint8, or floats in [0, 1], can be read"),
        ({"images": GREY.astype(np.float32)}, "images has values outside of [0, 1]: from 0 to 255"),
        ({"images": np.full((300, 20, 20), np.nan)}, "outside of [0, 1]"),
        ({"images": GREY, "labels": np.zeros(3)}, "labels is (3,), not (300,)"),
        ({"images": GREY, "labels": np.arange(300) % 31}, "the class 21 has 9 images: at least 10"),
        ({"images": GREY[:199]}, "199 images: at least 200 are needed"),
        ({"images": GREY[:291], "test_images": GREY[291:]}, "9 images are left for the test: at least 10"),
        ({"images": GREY[:39], "test_images": GREY[39:]}, "9 images are left for training: at least 10"),
        ({"images": GREY[:9], "test_images": GREY[9:]}, "0 images are left for training: at least 10"),
        (
            {
                "images": GREY[:100],
                "labels": np.arange(100) < 1,
                "test_images": GREY[100:],
                "test_labels": np.arange(200) < 9,
            },
            "the class True has one image that is not for the test: it has to be 2 or more",
        ),
        ({"images": np.zeros((300, 20, 20), np.uint8)}, "1 images (299 were left out, the first: images[1]: the same"),
        ({"images": GREY, "test_images": GREY[:9] // 2, "labels": np.arange(300) % 2}, "only one of them has classes"),
        ({"images": np.array([None] * 300)}, "cannot be read"),
    ],
)
def test_arrays_that_cannot_be_used_are_one_clear_error(content, words, tmp_path):
    source = tmp_path / "mine"
    source.mkdir()
    np.savez(source / "it.npz", **content)
    assert re.search(re.escape(words), refused(arrays(1), source, tmp_path / "data"))


def test_the_digits_need_nothing(tmp_path):
    digits = Digits(kind="digits", epoch_images=1000, split=SHARES)
    assert own.prepare("digits", tmp_path / "nothing", tmp_path / "data", digits).startswith("1797 images, 10 classes")
    data = images.load(tmp_path / "data", SHARES)
    assert data.shape == digits.shape == (1, 16, 16)
    assert data.test.images.max() == 1
    assert idx.decode((tmp_path / "data/train-images-idx3-ubyte").read_bytes()).shape[1:] == (16, 16)
