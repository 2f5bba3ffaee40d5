"""The command that writes the explorer, with real exports; what the page does is in tests/report/test_explorer.py."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from untrained import RUNS, inside, make_project

from conftest import ROOT, cli_error, cli_output
from latentlab.report import explorer

pytestmark = pytest.mark.slow

run = partial(cli_output, "explore")
error = partial(cli_error, "explore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with inside(make_project(tmp_path_factory.mktemp("a project"), [RUNS[1], RUNS[5]])) as project:
        yield project


def variants(page: Path) -> dict[str, float]:
    """The variants in a page, and their test errors."""
    meta = json.loads(re.search(r'id="meta">(.*?)</script>', page.read_text(encoding="utf-8"))[1])
    return {each["name"]: each["mse"] for each in meta["variants"]}


def test_the_usual_variants_and_those_that_are_named(folder):
    said, _ = run()
    page = folder / "reports/mnist/explorer.html"
    assert list(variants(page)) == ["compress_nearest"]  # of the first recipe and the first seed
    assert said == f"wrote reports/mnist/explorer.html: {len(page.read_bytes()):,} bytes; variants: compress_nearest\n"
    before = page.read_bytes()
    (folder / "reports/mnist/leaderboard.csv").write_text(
        "variant,recipe,latent_dim,test_mse\nmlp_2,fast,2,0.04\nmlp_2,published,2,0.06\npca_2,,2,0.05\n", encoding="utf-8"
    )
    run("--variants", "mlp_2-published-3", "--variants", "compress_nearest", "--output", "mine.html")
    shown = variants(folder / "mine.html")
    assert list(shown) == ["mlp_2", "compress_nearest"]
    assert shown["mlp_2"] == 0.04
    assert page.read_bytes() == before
    run()
    assert page.read_bytes() != before  # the baseline is in its chart
    once = page.read_bytes()
    run()
    assert page.read_bytes() == once


@pytest.mark.usefixtures("folder")
def test_mistakes():
    assert error("--variants", "mlp_2").endswith("is of the usual variants: give --output FILE.html")
    assert "let its name end in .html" in error("--output", "page.png")
    assert "no data set 'cats' in params.yaml" in error("--dataset", "cats")
    assert "dvc repro download@kmnist" in error("--dataset", "kmnist")
    assert "is not trained yet" in error("--variants", "cae_baseline", "--output", "x.html")
    assert "no variant 'cats'" in error("--variants", "cats", "--output", "x.html")


def test_an_installed_wheel_has_what_the_page_is_made_of(tmp_path):
    for name in ("pyproject.toml", "README.md", "LICENSE", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    build = "import setuptools.build_meta as backend; print(backend.build_wheel('made'))"
    (tmp_path / "made").mkdir()
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "made").glob("*.whl")
    assets = Path(explorer.__file__).parent / "assets"
    with zipfile.ZipFile(wheel) as archive:
        for path in assets.iterdir():
            assert archive.read(f"latentlab/report/assets/{path.name}") == path.read_bytes()
