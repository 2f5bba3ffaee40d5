"""What travels to a cluster; the workers themselves are in tests/cluster."""

import os
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from latentlab.errors import UserError
from latentlab.pipeline import cluster
from latentlab.pipeline.runner import reproduce


def write(folder, **texts: str) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def test_equal_files_are_one_piece_whenever_they_were_written(tmp_path):
    packed = []
    for name, mode in (("a", 0o600), ("b", 0o644)):
        folder = tmp_path / name
        write(folder / "in", one="1", **{"deeper/two": "2", "__pycache__/x": name})
        (folder / "in/empty").mkdir()
        (folder / "in/one").chmod(mode)
        os.utime(folder / "in/one", (mode, mode))
        packed.append(cluster.pack([Path("in"), Path("missing")], folder))
    assert packed[0] == packed[1]
    cluster.unpack(packed[0], tmp_path / "c")
    found = {str(path.relative_to(tmp_path / "c")) for path in (tmp_path / "c").rglob("*") if path.is_file()}
    assert found == {"in/one", "in/deeper/two"}
    assert (tmp_path / "c/in/empty").is_dir()
    assert (tmp_path / "c/in/one").stat().st_mtime >= (tmp_path / "c").stat().st_ctime - 60, "as DVC goes by it"
    assert (tmp_path / "c/in/deeper/two").read_text(encoding="utf-8") == "2"


def test_links_travel_as_what_they_lead_to(tmp_path):
    write(tmp_path, real="text")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    cluster.unpack(cluster.pack([Path("link")], tmp_path), tmp_path / "there")
    assert not (tmp_path / "there/link").is_symlink()
    assert (tmp_path / "there/link").read_text(encoding="utf-8") == "text"


def test_without_dask_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)
    Repo.init(no_scm=True).close()
    write(tmp_path, **{"dvc.yaml": "stages: {}\n"})
    with pytest.raises(UserError, match=r"^--cluster tcp://x:1 needs Dask: pip install 'latentlab\[cluster\]' "):
        reproduce([], 1, "tcp://x:1")
