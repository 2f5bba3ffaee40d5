"""A cluster, and a project for it: a plugin of pytest for the test files that name it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from hosts import OUTPUTS, Cluster, Network, need_namespaces, with_one_seed_more
from small import Project


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    need_namespaces()
    pytest.importorskip("distributed")
    (tmp_path / "hosts").mkdir()
    network = Network(tmp_path / "hosts")
    try:
        yield Cluster(network)
    finally:
        network.close()


@pytest.fixture(scope="module")
def wanted(small_project: Project, shared_folder: Path) -> dict[str, bytes]:
    """What one machine alone makes of the runs with one seed more."""
    folder, mnist = shared_folder / "wanted", Path(small_project.environment["LATENTLAB_MNIST"])
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with_one_seed_more(small_project, folder).repro("evaluate", "probe")
    return Project(folder, mnist).files(*OUTPUTS)


@pytest.fixture
def untrained(small_project: Project, tmp_path: Path) -> Project:
    """A project in which that seed is not trained yet."""
    return with_one_seed_more(small_project, tmp_path / "project")
