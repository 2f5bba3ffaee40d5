"""What git, editors, desktops and file systems do to a checkout makes no stage stale."""

import contextlib
import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo

from conftest import ROOT

PIPELINE = """
stages:
  make:
    cmd: "true"
    deps: [data/sources/mine, src, results/run]
    outs:
      - made
"""
FOLDERS = ("data/sources/mine", "src/room", "results/run", "made")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("told", [{"core.autocrlf": "true"}, {"core.autocrlf": "input"}, {"core.eol": "crlf"}])
def test_a_clone_has_the_bytes_of_which_dvc_lock_has_the_digests(tmp_path, told):
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    git(origin, "init", "--quiet")
    for name in (".gitattributes", "params.yaml", "dvc.lock", ".dvc/config", "docs/pictures/interpolate.png"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_bytes((ROOT / name).read_bytes())
    for name in ("results/a/metrics.json", "reports/a/leaderboard.csv", "reports/a/report.md", "src/a.py", "Makefile"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_bytes(b"a line\nand another\n")
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message", "all")
    options = [word for key, value in told.items() for word in ("--config", f"{key}={value}")]
    git(tmp_path, "clone", "--quiet", *options, str(origin), str(clone))
    for name in git(origin, "ls-files").splitlines():
        assert (clone / name).read_bytes() == (origin / name).read_bytes(), name


def test_no_two_files_have_names_that_are_one_where_case_does_not_count():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len({name.casefold() for name in names}) == len(names)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with the project's .dvcignore, a stage that is done, and its dependencies."""
    folder = tmp_path_factory.mktemp("project")
    (folder / ".dvcignore").write_bytes((ROOT / ".dvcignore").read_bytes())
    (folder / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
        (folder / name / "a.py").write_text("1", encoding="utf-8")
        (folder / name / ".gitkeep").touch()
    Repo.init(str(folder), no_scm=True).close()
    with contextlib.chdir(folder), Repo() as repo:
        repo.commit(force=True)
    assert stale(folder) == {}
    return folder


def stale(folder: Path) -> dict[str, object]:
    """The stages that are not up to date, as `dvc status` says."""
    with contextlib.chdir(folder), Repo() as repo:
        return repo.status()


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store", "._a.py", ".localized", ".AppleDouble/a.py", ".Spotlight-V100/x", "Thumbs.db", "ehthumbs.db",
        "desktop.ini", "Desktop.ini", ".directory", ".Trash-1000/a.py", ".nfs000001", ".fuse_hidden0001", "a.py~",
        ".a.py.swp", ".a.py.un~", "#a.py#", ".#a.py", "a.py.bak", "a.py.orig", "a.py.rej", "a.tmp", ".~lock.a.csv#",
        "~$a.xlsx", ".idea/x.xml", ".vscode/x.json", ".ipynb_checkpoints/a.py", "__pycache__/a.cpython-311.pyc",
        ".pytest_cache/x", ".mypy_cache/x",
    ],
)  # fmt: skip
def test_what_desktops_editors_and_file_servers_leave_makes_no_stage_stale(project, name):
    for folder in FOLDERS:
        path = project / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x", encoding="utf-8")
    (project / "src/.#b.py").symlink_to("somebody@somewhere.4711:1")  # as Emacs locks a file
    try:
        assert stale(project) == {}
    finally:
        (project / "src/.#b.py").unlink()
        for folder in FOLDERS:
            (project / folder / name).unlink()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_of_somebody_makes_its_stage_stale(project, folder):
    path = project / folder / "b.py"
    path.write_text("2", encoding="utf-8")
    try:
        assert stale(project)
    finally:
        path.unlink()


def test_file_modes_and_a_link_to_the_project_make_no_stage_stale(project, tmp_path):
    (tmp_path / "link").symlink_to(project)
    for mode in (0o600, 0o444, 0o777, 0o644):
        for folder in FOLDERS:
            (project / folder / "a.py").chmod(mode)
        assert stale(tmp_path / "link") == {}
