"""The user's own images, and scikit-learn's digits, made a data set: read, brought to one shape, cleaned, and split.

Legend: N images, C channels, S side of an image.
"""

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from latentlab.data import idx
from latentlab.data.images import stratified_split
from latentlab.errors import UserError
from latentlab.params.datasets import Arrays, Digits, Fit, Pictures, Shape, Shares

Array = np.ndarray

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
LEAST_IMAGES, LEAST_OF_CLASS, MOST_CLASSES = 200, 10, 256
MOST_PIXELS = 50_000_000
SKIPPED = "skipped.csv"
# folders that are parts of a data set: the validation images are chosen among those that are not for the test
_FOLDERS = {"train": "train", "val": "train", "valid": "train", "validation": "train", "test": "t10k"}
_NO_CLASSES = (".", "__MACOSX")  # hidden folders, and what a Mac puts into an archive
# of the arrays of a user, ours and those of Keras
_NAMES = {"x_train": "images", "y_train": "labels", "x_test": "test_images", "y_test": "test_labels"}


class OwnImagesError(UserError):
    """The user's images cannot be used; the message says what is wrong, and what would be right."""


@dataclass(frozen=True)
class Labelled:
    """Images (N, S, S) or (N, S, S, 3), uint8; a name for each; the class of each, None for images without classes."""

    pixels: Array
    names: Sequence[str]
    classes: Sequence[str] | None


def prepare(name: str, source: Path, folder: Path, settings: Pictures | Arrays | Digits) -> str:
    """Makes the files of a data set out of what lies in a folder.

    Images whose pixels are equal are one picture: the first one stays, so that none is in two parts of the split. What is
    left out stands in `skipped.csv`, with the reason.

    Args:
        name: What the data set is called in params.yaml.
        source: The user's folder; nothing is read of it for the digits.
        folder: Where the files go; replaced as a whole.
        settings: The entry of params.yaml.

    Returns:
        What was found, for people.

    Raises:
        OwnImagesError: There is nothing to read, or too little of it, or arrays of another shape or type than said.
    """
    skipped: list[tuple[str, str]] = []
    if isinstance(settings, Digits):
        parts = {"train": _digits()}
    elif not source.is_dir():
        raise OwnImagesError(f"{source} is no folder: put the images of {name} there, or a link to them")
    elif isinstance(settings, Arrays):
        parts = _read_arrays(source, settings)
    else:
        parts, skipped = _read_folder(source, settings)
    parts = _without_duplicates(parts, skipped)
    total = sum(len(part.names) for part in parts.values())
    if total < LEAST_IMAGES:
        reasons = f" ({len(skipped)} were left out, the first: {skipped[0][0]}: {skipped[0][1]})" if skipped else ""
        raise OwnImagesError(f"{source}: {total} images{reasons}: at least {LEAST_IMAGES} are needed")
    classes = _classes(source, parts)
    smallest = max(len(classes), LEAST_OF_CLASS)
    for key in ("validation", *(() if "t10k" in parts else ("test",))):
        share = getattr(settings.split, key)
        if round(share * total) < smallest:
            raise OwnImagesError(f"{source}: split.{key} {share:g} of {total} images: it has to give {smallest} or more")
    if "t10k" not in parts:
        parts = dict(zip(idx.PARTS, _split(parts["train"], settings.split), strict=True))
    both, num_validation = parts["train"], round(settings.split.validation * total)
    for use, count in (("training", len(both.names) - num_validation), ("the test", len(parts["t10k"].names))):
        if count < smallest:
            raise OwnImagesError(f"{source}: {max(count, 0)} images are left for {use}: at least {smallest} are needed")
    for name in classes:
        if list(both.classes or []).count(name) < 2:
            raise OwnImagesError(
                f"{source}: the class {name} has one image that is not for the test: it has to be 2 or more"
            )
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for part, content in parts.items():
        labels = [classes.index(each) for each in content.classes or []] if classes else None
        idx.write(folder, part, content.pixels, None if labels is None else np.array(labels, np.uint8))
    if classes:
        (folder / idx.CLASSES).write_text("".join(f"{each}\n" for each in classes), encoding="utf-8")
    if skipped:
        with (folder / SKIPPED).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("file", "reason"), *sorted(skipped)])
    left_out = f", {len(skipped)} left out, see {folder / SKIPPED}" if skipped else ""
    about = f"{len(classes)} classes" if classes else "no classes, so that no probes are made"
    return f"{total} images, {about}{left_out}"


def _split(images: Labelled, shares: Shares) -> Iterator[Labelled]:
    """The images that are not for the test, and those that are."""
    labels = None if images.classes is None else np.array(images.classes)
    num_test = round(shares.test * len(images.names))
    for chosen in stratified_split(labels, len(images.names), [len(images.names) - num_test, num_test], shares.seed):
        yield _chosen(images, chosen.tolist())


def _chosen(images: Labelled, indices: Sequence[int]) -> Labelled:
    classes = None if images.classes is None else [images.classes[index] for index in indices]
    return Labelled(images.pixels[list(indices)], [images.names[index] for index in indices], classes)


def _without_duplicates(parts: dict[str, Labelled], skipped: list[tuple[str, str]]) -> dict[str, Labelled]:
    """The same without images whose pixels were there before; the test part is looked at first, and keeps its own."""
    seen: dict[bytes, str] = {}
    kept = {}
    for part in sorted(parts):  # "t10k" before "train"
        images, indices = parts[part], []
        for index, name in enumerate(images.names):
            first = seen.setdefault(hashlib.sha256(images.pixels[index].tobytes()).digest(), name)
            if first == name:
                indices.append(index)
            else:
                skipped.append((name, f"the same picture as {first}"))
        kept[part] = _chosen(images, indices)
    return kept


def _classes(source: Path, parts: dict[str, Labelled]) -> list[str]:
    """The names of the classes, numbers by size and words by letters; none if there are none, or only one.

    Raises:
        OwnImagesError: There are too many, or too few images of one, or only some of the parts have classes.
    """
    found = [part.classes for part in parts.values()]
    if None in found:
        if found.count(None) < len(found):
            raise OwnImagesError(f"{source}: the images for training and those for the test: only one of them has classes")
        return []
    names = [name for classes in found for name in classes or []]
    in_order = sorted(set(names), key=lambda name: (int(name) if name.isdecimal() else np.inf, name))
    counts = {name: names.count(name) for name in in_order}
    if len(counts) < 2:
        return []
    if len(counts) > MOST_CLASSES:
        raise OwnImagesError(f"{source}: {len(counts)} classes, and {MOST_CLASSES} are the most that there may be")
    for name, count in counts.items():
        if count < LEAST_OF_CLASS:
            raise OwnImagesError(f"{source}: the class {name} has {count} images: at least {LEAST_OF_CLASS} are needed")
    for classes in found:
        if missing := sorted({*counts} - {*(classes or [])}):
            raise OwnImagesError(f"{source}: the class {missing[0]} is only in one of train and test")
    return list(counts)


def _digits() -> Labelled:
    """The 1,797 digits of scikit-learn (E. Alpaydin and C. Kaynak, 1998), 8x8 with 17 greys, enlarged to 16x16."""
    from sklearn.datasets import load_digits

    found = load_digits()
    small = np.rint(found.images * (255 / 16)).astype(np.uint8)
    pixels = np.stack([np.array(Image.fromarray(each).resize((16, 16), Image.Resampling.BICUBIC)) for each in small])
    return Labelled(pixels, [f"digit {index}" for index in range(len(pixels))], [str(each) for each in found.target])


# arrays


def _read_arrays(source: Path, settings: Arrays) -> dict[str, Labelled]:
    """What there is of `images`, `labels`, `test_images` and `test_labels` in the NumPy files of a folder."""
    arrays: dict[str, Array] = {}
    for path in sorted(source.glob("[!.]*.np[yz]")):
        try:
            with path.open("rb") as file:
                found = np.load(file, allow_pickle=False)
                content = dict(found) if path.suffix == ".npz" else {path.stem: found}
        except (OSError, ValueError, EOFError) as error:
            raise OwnImagesError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
        arrays |= {_NAMES.get(name, name): each for name, each in content.items()}
    if "images" not in arrays:
        raise OwnImagesError(
            f"{source}: no array `images` (or x_train) in an .npz, and no images.npy: found {', '.join(arrays) or 'none'}"
        )
    parts = {}
    for part, prefix in zip(idx.PARTS, ("", "test_"), strict=True):
        if f"{prefix}images" in arrays:
            pixels = _checked(source, f"{prefix}images", arrays[f"{prefix}images"], settings)
            labels = arrays.get(f"{prefix}labels")
            if labels is not None and labels.shape != (len(pixels),):
                raise OwnImagesError(f"{source}: {prefix}labels is {labels.shape}, not ({len(pixels)},)")
            names = [f"{prefix}images[{index}]" for index in range(len(pixels))]
            parts[part] = Labelled(pixels, names, None if labels is None else [str(each) for each in labels.tolist()])
    return parts


def _checked(source: Path, name: str, array: Array, settings: Arrays) -> Array:
    """Pixels as uint8, (N, S, S) or (N, S, S, 3)."""
    side, channels = settings.size, settings.channels
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    wanted = (side, side) if channels == 1 else (side, side, 3)
    if array.shape[1:] != wanted:
        raise OwnImagesError(
            f"{source}: {name} is {array.shape}, not (N, {', '.join(map(str, wanted))}) as params.yaml says"
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise OwnImagesError(f"{source}: {name} is {array.dtype}: uint8, or floats in [0, 1], can be read")
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise OwnImagesError(f"{source}: {name} has values outside of [0, 1]: from {array.min():g} to {array.max():g}")
    pixels: Array = np.rint(array * 255).astype(np.uint8)
    return pixels


# picture files


def _read_folder(source: Path, settings: Pictures) -> tuple[dict[str, Labelled], list[tuple[str, str]]]:
    """The pictures of a folder, by part, and the files that are left out with the reason.

    With a folder `train` in it, and `test` beside it or nothing but parts, these are the parts. Folders in a part are its
    classes, whatever lies deeper.
    """
    folders = {
        path.name.lower(): path for path in source.iterdir() if path.is_dir() and not path.name.startswith(_NO_CLASSES)
    }
    given = {"train": [source]}
    if "train" in folders and ("test" in folders or folders.keys() <= _FOLDERS.keys()):  # it may be a class, of vehicles
        given = {}
        for name in sorted(folders.keys() & _FOLDERS.keys()):
            given.setdefault(_FOLDERS[name], []).append(folders[name])
    links = [path for path in source.rglob("*") if path.is_dir() and path.is_symlink()]
    within = {path for roots in given.values() for root in roots for path in _files(root)}
    beside = [path for path in _files(source) if path not in within]
    skipped = [(str(path.relative_to(source)), "is a link to a folder, which DVC does not see") for path in links]
    skipped += [(str(path.relative_to(source)), "lies beside train and test") for path in beside]
    parts = {}
    for part, roots in given.items():
        files = [(root, path) for root in roots for path in _files(root)]
        has_classes = any(path.parent != root for root, path in files)
        chosen, classes, found = [], [], []
        with ThreadPoolExecutor() as pool:
            for (root, path), read in zip(files, pool.map(lambda each: _read(each[1], settings), files), strict=True):
                name = str(path.relative_to(source))
                if has_classes and path.parent == root:
                    skipped.append((name, "lies beside the folders of the classes"))
                elif isinstance(read, str):
                    skipped.append((name, read))
                else:
                    chosen.append(name)
                    found.append(read)
                    classes.append(path.relative_to(root).parts[0])
        shape = (0, *settings.shape[1:], *([3] if settings.channels == 3 else []))
        pixels = np.stack(found) if found else np.empty(shape, np.uint8)
        parts[part] = Labelled(pixels, chosen, classes if has_classes else None)
    return parts, skipped


def _files(root: Path) -> Iterator[Path]:
    """Picture files below a folder by their names, sorted; hidden ones and those with other endings are none."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            if Path(name).suffix.lower() in SUFFIXES and not _is_hidden(name):
                yield Path(folder, name)


def _is_hidden(name: str) -> bool:
    """Whether .dvcignore has a name, so that DVC would not see what changes there."""
    ends = ("~", ".bak", ".orig", ".rej", ".tmp")
    return name.startswith((".", "~$")) or name.endswith(ends) or name == "lost+found"


def _read(path: Path, settings: Pictures) -> Array | str:
    """The picture as pixels, (S, S) or (S, S, 3); or why it is left out."""
    try:
        return read_picture(path, settings.shape, settings.fit)
    except OwnImagesError as error:
        return str(error)


def read_picture(path: Path, shape: Shape, fit: Fit) -> Array:
    """A picture file as pixels, (H, W) or (H, W, 3), uint8.

    Args:
        path: Of the file.
        shape: Channels, height and width.
        fit: What is done to a picture of another shape, see `latentlab.params.datasets.Pictures`.

    Raises:
        OwnImagesError: It is broken, no picture, animated or huge; the message says which, and not where.
    """
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise OwnImagesError(f"is huge: {picture.width}x{picture.height}")
            if (num_frames := getattr(picture, "n_frames", 1)) > 1:
                raise OwnImagesError(f"is animated: {num_frames} frames")
            return np.array(_fitted(_plain(ImageOps.exif_transpose(picture), shape[0]), shape, fit))
    except UnidentifiedImageError:
        raise OwnImagesError("is no picture") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        about = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OwnImagesError(f"is broken: {about}") from None


def _plain(picture: Image.Image, channels: int) -> Image.Image:
    """The picture in grey or in colour, on white where it is transparent; 16 bits become 8."""
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        values = np.asarray(picture, np.float64)
        picture = Image.fromarray((values / (257 if values.max() > 255 else 1)).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        above = picture.convert("RGBA")
        picture = Image.new("RGBA", above.size, "white")
        picture.alpha_composite(above)
    return picture.convert("L" if channels == 1 else "RGB")


def _fitted(picture: Image.Image, shape: Shape, fit: Fit) -> Image.Image:
    size = (shape[2], shape[1])
    if fit == "crop":
        return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    if fit == "pad":
        return ImageOps.pad(picture, size, Image.Resampling.LANCZOS)
    return picture.resize(size, Image.Resampling.LANCZOS)
