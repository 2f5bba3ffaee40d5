"""What several test files need."""

from pathlib import Path

import pytest

from latentlab import params

ROOT = Path(__file__).parents[1]
STUDY = params.load(ROOT / "params.yaml")


@pytest.fixture
def study() -> params.Params:
    return STUDY
