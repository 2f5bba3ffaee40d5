"""`latentlab repro`: on a pipeline of shell commands."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from conftest import ROOT

PIPELINE = """\
stages:
  z_first:
    cmd: echo first > first.txt
    outs: [first.txt]
  row:
    foreach: [c, a, b]
    do:
      cmd: sleep ${seconds} && cat first.txt rows/${item} > ${item}.txt
      deps: [first.txt, "rows/${item}"]
      outs: ["${item}.txt"]
  table:
    cmd: cat a.txt b.txt c.txt > table.txt; echo hello from the table
    deps: [a.txt, b.txt, c.txt]
    outs:
      - table.txt: {cache: false}
  alone:
    cmd: echo alone > alone.txt
    outs: [alone.txt]
"""


class Tiny:
    """A project whose stages are shell commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
        }
        (folder / "rows").mkdir()
        for row in "abc":
            (folder / "rows" / row).write_text(f"{row}\n", encoding="utf-8")
        (folder / "params.yaml").write_text("seconds: 0.1\n", encoding="utf-8")
        (folder / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
        self.run("dvc", "init", "--no-scm", "--quiet")

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, *command: str, code: int = 0) -> str:
        process = self.start(*command)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == code, output
        return output

    def repro(self, *arguments: str, code: int = 0) -> str:
        return self.run("latentlab", "repro", "--jobs", "2", *arguments, code=code)

    def lock(self) -> bytes:
        return (self.folder / "dvc.lock").read_bytes()

    def wait_for(self, command: str) -> psutil.Process:
        """The process of a stage, as soon as it is there."""
        for _ in range(200):
            for process in psutil.process_iter(["cmdline", "cwd"]):
                if process.info["cmdline"] == command.split() and process.info["cwd"] == str(self.folder):
                    return process
            time.sleep(0.1)
        raise AssertionError(f"{command} did not start")


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


def test_it_leaves_what_dvc_leaves(tiny):
    output = tiny.repro()
    assert re.search(r"\[6/6\] table  [0-9.]+ s\n    hello from the table\n6 ran, 0 from DVC's cache, 0 were", output)
    ours, table = tiny.lock(), (tiny.folder / "table.txt").read_bytes()
    assert "up to date" in tiny.run("dvc", "status")
    assert "up to date" in tiny.repro()
    # DVC alone, from nothing
    for path in [tiny.folder / "dvc.lock", *tiny.folder.glob("?.txt")]:
        path.unlink()
    shutil.rmtree(tiny.folder / ".dvc/cache")
    tiny.run("dvc", "repro", "--quiet")
    assert tiny.lock() == ours
    assert (tiny.folder / "table.txt").read_bytes() == table


def test_only_what_is_stale_runs_and_what_is_cached_is_restored(tiny):
    tiny.repro()
    (tiny.folder / "rows/a").write_text("new\n", encoding="utf-8")
    assert re.findall(r"\] (\S+)  [0-9.]+ s", tiny.repro()) == ["row@a", "table"]
    assert (tiny.folder / "table.txt").read_text(encoding="utf-8") == "first\nnew\nfirst\nb\nfirst\nc\n"
    (tiny.folder / "rows/a").write_text("a\n", encoding="utf-8")
    assert "row@a  from DVC's cache" in tiny.repro("row@a")


def test_targets_are_those_of_dvc(tiny):
    output = tiny.repro("row", "alone", "--backend", "threading")
    assert set(re.findall(r"\] (\S+)  ", output)) == {"z_first", "row@a", "row@b", "row@c", "alone"}


def test_a_failure_stops_what_depends_on_it_and_nothing_else(tiny):
    (tiny.folder / "rows/a").unlink()
    (tiny.folder / "rows/a").mkdir()
    output = tiny.repro(code=1)
    assert "error: row@a: exit code 1: cat: rows/a: Is a directory" in output
    assert "not run: table" in output
    assert set(re.findall(r"\] (\S+)  ", output)) == {"z_first", "row@b", "row@c", "alone"}
    assert "row@b" in tiny.lock().decode()


def test_a_stage_that_names_an_error_of_the_user_gives_exit_code_2(tiny):
    pipeline = PIPELINE.replace("echo alone > alone.txt", "echo 'error:' no such row >&2; exit 2")
    (tiny.folder / "dvc.yaml").write_text(pipeline, encoding="utf-8")
    assert "error: alone: no such row\n" in tiny.repro("alone", code=2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_has_finished_and_says_what_is_left(tiny, number):
    (tiny.folder / "params.yaml").write_text("seconds: 61\n", encoding="utf-8")
    process = tiny.start("latentlab", "repro", "--jobs", "3")
    sleeper = tiny.wait_for("sleep 61")
    time.sleep(2)  # z_first and alone are over
    # a second call says who is at work
    assert f"another DVC process is at work here: PID {process.pid}: " in tiny.repro(code=2)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    assert "interrupted" in output
    assert set(re.findall(r"row@.", output.partition("stopped: ")[2])) == {"row@a", "row@b", "row@c"}
    assert "Traceback" not in output
    assert not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE  # where nobody adopts orphans
    assert "z_first" in tiny.lock().decode()


def test_a_worker_that_is_killed_is_one_clear_error(tiny):
    (tiny.folder / "params.yaml").write_text("seconds: 62\n", encoding="utf-8")
    process = tiny.start("latentlab", "repro", "--jobs", "2", "row@a")
    sleeper = tiny.wait_for("sleep 62")
    # the shell, the worker, and the process that it is a fork of, where workers are forks
    worker = next(each for each in sleeper.parents() if re.search("loky|forkserver", " ".join(each.cmdline())))
    worker.kill()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "error: row@a: its worker died, killed or out of memory (TerminatedWorkerError)" in output
    assert "z_first" in tiny.lock().decode()
    for each in psutil.process_iter(["cmdline", "cwd"]):
        if each.info["cmdline"] == ["sleep", "62"] and each.info["cwd"] == str(tiny.folder):
            each.kill()


def test_a_long_path_of_temporary_files_is_none_of_its_business(tiny):
    folder = tiny.folder / ("long" * 40)  # the path of a socket may have 107 bytes
    folder.mkdir()
    tiny.environment["TMPDIR"] = str(folder)
    assert "[6/6] table" in tiny.repro()


def test_no_stage_outlives_a_repro_that_is_killed(tiny):
    (tiny.folder / "params.yaml").write_text("seconds: 600\n", encoding="utf-8")
    process = tiny.start("latentlab", "repro", "--jobs", "2", "row@a")
    sleeper = tiny.wait_for("sleep 600")
    process.kill()
    process.wait()
    psutil.wait_procs([sleeper], timeout=60)
    assert not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE  # where nobody adopts orphans
    process.stdout.close()


@pytest.mark.parametrize("first_lost", ["outs:", "- path: c.txt"])
def test_an_entry_of_the_run_cache_that_is_cut_is_not_used(tiny, first_lost):
    stage = {"cmd": "tee b.txt < rows/a > c.txt", "deps": ["rows/a"], "outs": ["b.txt", "c.txt"]}
    (tiny.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"two": stage}}), encoding="utf-8")
    tiny.repro()
    lock = tiny.lock()
    (entry,) = (tiny.folder / ".dvc/cache/runs").glob("*/*/*")
    whole = entry.read_text(encoding="utf-8")
    entry.write_text(whole[: whole.index(first_lost)], encoding="utf-8")
    for name in ("dvc.lock", "b.txt", "c.txt"):
        (tiny.folder / name).unlink()
    assert "two  from" not in tiny.repro()
    assert tiny.lock() == lock
    assert entry.read_text(encoding="utf-8") == whole


@pytest.mark.parametrize(
    "left", ["", '{"write": {"', '{"write": {"%(file)s": {"pid": 1}}}', '{"write": {"%(file)s": %(other)s}}']
)
def test_a_list_of_users_that_a_killed_process_left_keeps_nobody_out(tiny, left):
    """DVC writes it in place: half of it is left, or the number of a process that is another one's by now."""
    other = json.dumps({"pid": os.getpid(), "cmd": "dvc repro"})
    (tiny.folder / ".dvc/tmp/rwlock").write_text(
        left % {"file": tiny.folder / "alone.txt", "other": other}, encoding="utf-8"
    )
    assert "error" in tiny.run("dvc", "repro", "alone", code=255).lower()
    assert "6 ran" in tiny.repro()


def test_a_stage_that_dvc_runs_keeps_others_out(tiny):
    (tiny.folder / "params.yaml").write_text("seconds: 63\n", encoding="utf-8")
    for module in ([], [sys.executable, "-m"]):
        process = tiny.start(*module, "dvc", "repro", "row@a")
        sleeper = tiny.wait_for("sleep 63")
        assert f"another DVC process is at work here: PID {process.pid}: " in tiny.repro(code=2)
        process.kill()
        sleeper.kill()
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "'0' is not a whole number from 1 to 1024"),
        (["nothing"], "'nothing' not found"),
        (["--backend", "magic"], "--backend magic: Invalid backend"),
    ],
)
def test_bad_input_is_one_line(tiny, arguments, message):
    output = tiny.repro(*arguments, code=2)
    assert message in output
    assert output.count("\n") == 1
