"""What commands and stages make of the environment that they find."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import build_opener, proxy_bypass

import pytest
import requests

from conftest import ROOT
from latentlab import environment

# a stage that only the copy has
STAGE = """\
import sys
from pathlib import Path
import latentlab
Path("out.txt").write_text(f"{Path(latentlab.__file__).parent} {sys.argv[1:]}", encoding="utf-8")
"""
PIPELINE = """\
stages:
  new:
    cmd: python -m latentlab.stages.new a b
    deps: [src/latentlab]
    outs: [out.txt]
"""


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A project in git and DVC with sources of its own; what is installed is the sources of this one."""
    folder = tmp_path / "copy"
    (folder / "src").mkdir(parents=True)
    for path in (ROOT / "src/latentlab").rglob("*.py"):
        there = folder / path.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
    (folder / "src/latentlab/stages/new.py").write_text(STAGE, encoding="utf-8")
    (folder / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    (folder / ".gitignore").write_text("__pycache__\n", encoding="utf-8")
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),  # as if they were installed
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
    } | {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    run("git", "init", "--quiet")
    run("dvc", "init", "--quiet")
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", "a")
    return folder


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("command", [["python", "-m", "latentlab.stages.new", "a", "b"], ["latentlab", "repro"]])
def test_a_copy_runs_its_own_sources(copy, command):
    run(*command)
    assert (copy / "out.txt").read_text(encoding="utf-8") == f"{copy / 'src/latentlab'} ['a', 'b']"


def test_an_experiment_in_a_temporary_copy_runs_the_sources_of_that(copy):
    run("dvc", "exp", "run", "--quiet", "--temp", "--name", "there")
    run("git", "stash", "--quiet", "--include-untracked")
    run("dvc", "exp", "apply", "there")
    place, _ = (copy / "out.txt").read_text(encoding="utf-8").split(" ", 1)
    assert place.endswith("/src/latentlab")
    assert "/.dvc/tmp/exps/" in place


def test_doctor_says_which_sources_run(copy):
    said = subprocess.run(["latentlab", "doctor"], capture_output=True, text=True, check=False).stdout
    assert f"latentlab: the sources in {copy / 'src/latentlab'}\n" in said


def test_sources_that_python_does_not_take_are_one_line(copy):
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); import latentlab.cli; latentlab.cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    there = f"error: Python imports {ROOT / 'src/latentlab'} in the place of {copy / 'src/latentlab'}\n"
    assert done.stderr == there


@contextmanager
def serving(text: bytes) -> Iterator[str]:
    """The URL of a server on this machine that answers everything with a text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("before", ["", "192.0.2.2", "*"])
def test_a_server_on_this_machine_is_asked_without_the_proxy(monkeypatch, before, name):
    """By requests, as MLflow asks, and by urllib, as downloads do."""
    for each in ("no_proxy", "NO_PROXY", "MATPLOTLIBRC"):
        monkeypatch.setenv(each, "")  # restored in the end
        monkeypatch.delenv(each)
    monkeypatch.setenv(name, before)

    def answers(url: str) -> set[bytes]:
        with build_opener().open(url, timeout=5) as answer:
            return {requests.get(url, timeout=5).content, answer.read()}

    with serving(b"proxy") as proxy, serving(b"server") as url:
        monkeypatch.setenv("http_proxy", proxy)
        assert answers(url) == {b"server" if before == "*" else b"proxy"}
        environment.prepare(Path(os.devnull))
        assert answers(url) == {b"server"}
        for other in ("192.0.2.1", "192.0.2.2"):
            assert bool(proxy_bypass(other)) == (before in (other, "*"))


def test_figures_do_not_depend_on_the_users_matplotlibrc(tmp_path, monkeypatch):
    (tmp_path / "matplotlibrc").write_text("figure.facecolor: black\n", encoding="utf-8")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    monkeypatch.delenv("MATPLOTLIBRC", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    show = "import matplotlib; print(matplotlib.rcParams['figure.facecolor'])"
    assert run(sys.executable, "-c", show) == "black\n"
    prepared = f"from latentlab import environment; environment.prepare(__import__('pathlib').Path('/dev/null')); {show}"
    assert run(sys.executable, "-c", prepared) == "white\n"
