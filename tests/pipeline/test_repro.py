"""`latentlab repro`: on pipelines of shell commands."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml
from dvc.repo import Repo

from conftest import ROOT
from latentlab.commands import doctor
from latentlab.errors import UserError
from latentlab.pipeline.runner import reproduce
from small import stages_that_ran as ran

pytestmark = pytest.mark.filterwarnings("ignore")

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
# a pipeline of its own that needs the first one
MORE = """\
stages:
  twice:
    wdir: ..
    cmd: cat a.txt a.txt > more/twice.txt
    deps: [a.txt]
    outs: [more/twice.txt]
  thrice:
    cmd: cat twice.txt ../b.txt > thrice.txt
    deps: [twice.txt, ../b.txt]
    outs: [thrice.txt]
"""


class Tiny:
    """A project whose stages are shell commands, and the working directory."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        (folder / "rows").mkdir()
        (folder / "more").mkdir()
        for row in "abc":
            (folder / "rows" / row).write_text(f"{row}\n", encoding="utf-8")
        self.write("params.yaml", "seconds: 0.1\n")
        self.write("dvc.yaml", PIPELINE)
        self.write("more/dvc.yaml", MORE)
        Repo.init(no_scm=True).close()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def repro(self, *targets: str, code: int = 0) -> str:
        assert reproduce(targets, 2) == code
        return self.capsys.readouterr().err

    def error(self, *targets: str) -> str:
        with pytest.raises(UserError) as caught:
            reproduce(targets, 2)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Begins a command, in a process group of its own."""
        return subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def locks(self) -> list[bytes]:
        return [(self.folder / name).read_bytes() for name in ("dvc.lock", "more/dvc.lock")]

    def wait_for(self, command: str) -> psutil.Process:
        """The process of a stage, as soon as it is there."""
        for _ in range(200):
            for process in psutil.process_iter(["cmdline", "cwd"]):
                if process.info["cmdline"] == command.split() and process.info["cwd"] == str(self.folder):
                    return process
            time.sleep(0.1)
        raise AssertionError(f"{command} did not start")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tiny:
    for name, value in {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return Tiny(tmp_path, capsys)


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE  # where nobody adopts orphans


def test_it_leaves_what_dvc_leaves(tiny):
    output = tiny.repro()
    assert re.search(r"\[6/6\] table  [0-9.]+ s\n    hello from the table\n6 ran, 0 from DVC's cache, 0 were", output)
    assert sorted(ran(tiny.repro("more/dvc.yaml"))) == ["more/dvc.yaml:thrice", "more/dvc.yaml:twice"]
    ours = tiny.locks()
    with Repo() as repo:
        assert repo.status() == {}
    assert tiny.repro("dvc.yaml", "more/dvc.yaml") == "Data and pipelines are up to date.\n"
    # DVC alone, from nothing
    for path in [*tiny.folder.rglob("dvc.lock"), *tiny.folder.glob("*.txt"), *tiny.folder.glob("more/*.txt")]:
        path.unlink()
    shutil.rmtree(tiny.folder / ".dvc/cache")
    with Repo() as repo:
        repo.reproduce()
        repo.reproduce("more/dvc.yaml")
    assert tiny.locks() == ours


def test_targets_are_those_of_dvc_and_take_along_what_they_need(tiny):
    assert set(ran(tiny.repro("alone", "more/dvc.yaml:twice"))) == {"alone", "z_first", "row@a", "more/dvc.yaml:twice"}
    assert set(ran(tiny.repro("row"))) == {"row@b", "row@c"}
    assert ran(tiny.repro("more/dvc.yaml")) == ["more/dvc.yaml:thrice"]


def test_only_what_is_stale_runs_and_what_is_cached_is_restored(tiny):
    tiny.repro()
    tiny.write("rows/a", "new\n")
    assert ran(tiny.repro()) == ["row@a", "table"]
    assert (tiny.folder / "table.txt").read_text(encoding="utf-8") == "first\nnew\nfirst\nb\nfirst\nc\n"
    tiny.write("rows/a", "a\n")
    assert "row@a  from DVC's cache" in tiny.repro("row@a")


def test_what_dvcs_own_commands_leave_is_up_to_date(tiny):
    tiny.repro("dvc.yaml", "more/dvc.yaml")
    before = tiny.locks()
    tiny.write("mine", "1\n")
    commands: list[Callable[[Repo], object]] = [
        lambda repo: repo.freeze("z_first"),
        lambda repo: repo.commit(force=True),
        lambda repo: repo.gc(workspace=True),
        lambda repo: repo.unprotect("a.txt"),
        lambda repo: repo.add("mine"),
        lambda repo: repo.move("mine", "moved"),
        lambda repo: repo.unfreeze("z_first"),
    ]
    for command in commands:
        with Repo() as repo:
            command(repo)
        assert tiny.repro("dvc.yaml", "more/dvc.yaml") == "Data and pipelines are up to date.\n"
    for kind in ("symlink", "hardlink", "copy"):
        with Repo(config={"cache": {"type": kind}}) as repo:
            repo.checkout(relink=True)
        assert (tiny.folder / "a.txt").is_symlink() == (kind == "symlink")
        assert tiny.repro("dvc.yaml", "more/dvc.yaml") == "Data and pipelines are up to date.\n"
    assert tiny.locks() == before


def test_outputs_that_are_missing_come_from_the_cache_without_a_run(tiny):
    tiny.repro()
    before = (tiny.folder / "dvc.lock").read_bytes()
    shutil.rmtree(tiny.folder / ".dvc/cache/runs")  # which has no stage whose outputs git keeps
    for path in tiny.folder.glob("[!t]*.txt"):
        path.unlink()
    output = tiny.repro()
    assert ran(output) == []
    assert "5 from DVC's cache, 1 were up to date" in output
    assert (tiny.folder / "a.txt").read_text(encoding="utf-8") == "first\na\n"
    assert (tiny.folder / "dvc.lock").read_bytes() == before
    shutil.rmtree(tiny.folder / ".dvc/cache")  # and the other way round
    output = tiny.repro()
    assert ran(output) == []
    (tiny.folder / "a.txt").unlink()
    assert ran(tiny.repro()) == []


def test_what_is_here_is_taken_for_a_result_only_if_it_is_the_one_of_dvc_lock(tiny):
    tiny.repro()
    shutil.rmtree(tiny.folder / ".dvc/cache")
    tiny.write("a.txt", "junk")
    assert ran(tiny.repro()) == ["row@a"]
    assert (tiny.folder / "a.txt").read_text(encoding="utf-8") == "first\na\n"


def test_what_the_cache_lacks_comes_from_the_remote_when_it_is_asked_for(tiny):
    tiny.repro()
    with Repo() as repo, repo.config.edit() as config:
        config["remote"] = {"storage": {"url": str(tiny.folder / "remote")}}
        config["core"]["remote"] = "storage"
    with Repo() as repo:
        repo.push()

    def forget() -> None:
        shutil.rmtree(tiny.folder / ".dvc/cache")
        for path in tiny.folder.glob("[!t]*.txt"):
            path.unlink()

    forget()
    assert reproduce([], 2, pull=True) == 0
    output = tiny.capsys.readouterr().err
    assert ran(output) == []
    assert output.startswith("5 files from DVC's remote\n")
    forget()
    output = tiny.repro("z_first")
    assert ran(output) == ["z_first"]
    hint = "outputs are missing that DVC's remote `storage` may have: Ctrl-C, then latentlab repro --pull\n"
    assert output.count(hint) == 1
    forget()
    shutil.rmtree(tiny.folder / "remote")
    assert reproduce([], 2, pull=True) == 0  # nothing there: all runs
    assert len(ran(tiny.capsys.readouterr().err)) == 5


@pytest.mark.usefixtures("tiny")
def test_pull_without_a_remote_is_one_line():
    with pytest.raises(UserError, match="there is no DVC remote to take anything from: dvc remote add"):
        reproduce([], 2, pull=True)


def test_a_failure_stops_what_depends_on_it_and_nothing_else(tiny):
    (tiny.folder / "rows/a").unlink()
    (tiny.folder / "rows/a").mkdir()
    output = tiny.repro(code=1)
    assert "error: row@a: exit code 1: cat: rows/a: Is a directory\n    cat: rows/a: Is a directory\n" in output
    assert "not run: table" in output
    assert set(ran(output)) == {"z_first", "row@b", "row@c", "alone"}
    assert "row@b" in (tiny.folder / "dvc.lock").read_text(encoding="utf-8")


def test_a_stage_that_names_an_error_of_the_user_gives_exit_code_2(tiny):
    two_lines = "(echo 'error:' no such row; echo 'error:' no such column) >&2; exit 2"
    tiny.write("dvc.yaml", PIPELINE.replace("echo alone > alone.txt", two_lines))
    assert tiny.repro("alone", code=2) == "error: alone: no such row\nerror: no such column\n"


def test_images_that_are_not_there_are_the_users(tiny):
    tiny.write("dvc.yaml", PIPELINE.replace('"rows/${item}"]', '"data/sources/photos"]'))
    output = tiny.repro("row@a", code=2)
    assert (
        "row@a: data/sources/photos is not there; your images belong into it, or it is a link to them, and their line into"
        in output
    )


@pytest.mark.slow
def test_a_signal_stops_the_stages_keeps_what_has_finished_and_says_what_is_left(tiny):
    tiny.write("params.yaml", "seconds: 61\n")
    process = tiny.start("latentlab", "repro", "--jobs", "3")
    sleeper = tiny.wait_for("sleep 61")
    time.sleep(2)  # z_first and alone are over
    # a second call says who is at work
    assert f"another DVC process is at work here: PID {process.pid}: " in tiny.error()
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "interrupted" in output
    assert set(re.findall(r"row@.", output.partition("stopped: ")[2])) == {"row@a", "row@b", "row@c"}
    assert "Traceback" not in output
    assert ended(sleeper)
    assert "z_first" in (tiny.folder / "dvc.lock").read_text(encoding="utf-8")


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_is_the_schedulers_alone(tiny):
    """It goes to all processes of the group, also to workers that are just starting."""
    tiny.write("params.yaml", "seconds: 61\n")
    process = tiny.start("latentlab", "repro", "--jobs", "2", "row@a")
    while not any("loky" in " ".join(each.cmdline()) for each in psutil.Process(process.pid).children()):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_terminal_shows_what_runs_below_what_has_finished(tiny):
    tiny.write("params.yaml", "seconds: 2\n")
    master, slave = pty.openpty()
    command = ["latentlab", "repro", "--jobs", "2", "table"]
    process = subprocess.Popen(command, stderr=slave, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"})
    os.close(slave)
    shown = b""
    with suppress(OSError):  # which is how a terminal says that nobody writes to it any more
        while part := os.read(master, 10_000):
            shown += part
    os.close(master)
    assert process.wait() == 0
    text = shown.decode()
    assert re.search(r"row@a +\S*[━╸╺]", text)
    assert re.search(r"3 of 5 stages .*about 0:00:0\d left", text)
    assert len(re.findall(r"\[[1-5]/5\] \S+  [\d.]+ s\r\n", text)) == 5
    assert "5 ran, 0 from DVC's cache" in text


@pytest.mark.slow
@pytest.mark.parametrize("num_deaths", [2, 3])
def test_a_stage_whose_worker_is_killed_is_taken_again_twice_and_no_more(tiny, num_deaths):
    tiny.write("params.yaml", "seconds: 6\n")
    process = tiny.start("latentlab", "repro", "--jobs", "2", "row@a")
    for _ in range(num_deaths):
        sleeper = tiny.wait_for("sleep 6")
        shell, worker = sleeper.parents()[:2]
        assert "loky" in " ".join(worker.cmdline())
        worker.kill()
        assert all(map(ended, psutil.wait_procs([shell], timeout=5)[1])), "the stage outlives its worker"
        sleeper.kill()
        psutil.wait_procs([sleeper], timeout=5)
    output, _ = process.communicate(timeout=60)
    died = "row@a: its worker died, killed or out of memory (TerminatedWorkerError)"
    assert output.count(f"{died}: taken again\n") == 2
    assert output.count(f"error: {died}\n") == num_deaths - 2
    assert process.returncode == num_deaths - 2, output
    assert "z_first" in (tiny.folder / "dvc.lock").read_text(encoding="utf-8")


@pytest.mark.slow
def test_no_stage_outlives_a_repro_that_is_killed_and_the_next_one_goes_on(tiny):
    tiny.write("params.yaml", "seconds: 60\n")
    process = tiny.start("latentlab", "repro", "--jobs", "2", "row@a")
    sleeper = tiny.wait_for("sleep 60")
    process.kill()
    process.wait()
    process.stdout.close()
    psutil.wait_procs([sleeper], timeout=30)
    assert ended(sleeper)
    tiny.write("params.yaml", "seconds: 0\n")
    assert ran(tiny.repro("row@a"))[-1] == "row@a"


@pytest.mark.parametrize("first_lost", ["outs:", "- path: c.txt"])
def test_an_entry_of_the_run_cache_that_is_cut_is_not_used(tiny, first_lost):
    stage = {"cmd": "tee b.txt < rows/a > c.txt", "deps": ["rows/a"], "outs": ["b.txt", "c.txt"]}
    tiny.write("dvc.yaml", yaml.safe_dump({"stages": {"two": stage}}))
    (tiny.folder / "more/dvc.yaml").unlink()
    tiny.repro()
    lock = (tiny.folder / "dvc.lock").read_bytes()
    (entry,) = (tiny.folder / ".dvc/cache/runs").glob("*/*/*")
    whole = entry.read_text(encoding="utf-8")
    entry.write_text(whole[: whole.index(first_lost)], encoding="utf-8")
    for name in ("dvc.lock", "b.txt", "c.txt"):
        (tiny.folder / name).unlink()
    assert ran(tiny.repro()) == ["two"]
    assert (tiny.folder / "dvc.lock").read_bytes() == lock
    assert entry.read_text(encoding="utf-8") == whole


@pytest.mark.parametrize(
    "left", ["", '{"write": {"', '{"write": {"%(file)s": {"pid": 1}}}', '{"write": {"%(file)s": %(other)s}}']
)
def test_a_list_of_users_that_a_killed_process_left_keeps_nobody_out(tiny, left):
    """DVC writes it in place: half of it is left, or the number of a process that is another one's by now."""
    other = json.dumps({"pid": os.getppid(), "cmd": "dvc repro"})
    tiny.write(".dvc/tmp/rwlock", left % {"file": tiny.folder / "alone.txt", "other": other})
    assert ran(tiny.repro("alone")) == ["alone"]


@pytest.mark.slow
def test_a_stage_that_dvc_runs_keeps_others_out(tiny):
    tiny.write("params.yaml", "seconds: 63\n")
    for module in ([], [sys.executable, "-m"]):
        process = tiny.start(*module, "dvc", "repro", "row@a")
        sleeper = tiny.wait_for("sleep 63")
        assert f"another DVC process is at work here: PID {process.pid}: " in tiny.error()
        process.kill()
        sleeper.kill()
        psutil.wait_procs([sleeper], timeout=5)
        process.communicate(timeout=60)


# what two branches change: each adds a name, whose stage leaves something that git does not have
NAMES = """\
stages:
  long:
    foreach: ${names}
    do:
      cmd: echo ${item} > made/${item}
      outs: ["made/${item}"]
  table:
    cmd: cat made/* > table.txt
    deps: [made]
    params: [names]
    outs:
      - table.txt: {cache: false}
  both:
    cmd: cat ${title} text > both.txt
    deps: [text]
    params: [title]
    outs:
      - both.txt: {cache: false}
"""


@pytest.mark.parametrize("style", ["merge", "diff3"])
def test_after_a_merge_of_branches_the_stages_of_both_are_kept_and_what_depends_on_them_is_made_anew(tiny, style):
    def git(*arguments: str, code: int = 0) -> None:
        names = [f"user.{key}={value}" for key, value in {"name": "a", "email": "a@example.com"}.items()]
        options = [word for value in [*names, f"merge.conflictStyle={style}"] for word in ("-c", value)]
        assert subprocess.run(["git", *options, *arguments], capture_output=True, check=False).returncode == code

    def commit(*names: str, text: str = "x", title: str = "-n") -> None:
        tiny.write("text", f"{text}\n")
        tiny.write("params.yaml", "".join([f"title: {title}\n", "names:\n", *(f"- {name}\n" for name in names)]))
        tiny.repro()
        git("add", "--all")
        git("commit", "--quiet", "--message", "a step")

    tiny.write("dvc.yaml", NAMES)
    tiny.write(".gitignore", "/made/*\n")
    (tiny.folder / "made").mkdir()
    git("init", "--quiet", "--initial-branch", "first")
    commit("a")
    git("branch", "second")
    commit("a", "b", text="y")  # and both change one stage
    git("checkout", "--quiet", "second")
    commit("a", "c", title="-E")
    git("merge", "first", code=1)
    assert "<<<<<<< " in (tiny.folder / "table.txt").read_text(encoding="utf-8")
    before = tiny.folder.joinpath("dvc.lock").read_bytes()
    assert tiny.error() == "params.yaml: line 4: a merge of git has left both sides here: choose, and remove its marks"
    assert tiny.folder.joinpath("dvc.lock").read_bytes() == before
    (found,) = doctor._dvc()
    assert (found.level, found.seen) == ("problem", "a merge has left both sides in dvc.lock")
    tiny.write("params.yaml", "title: -E\nnames:\n- a\n- b\n- c\n")
    said = tiny.repro()
    assert said.startswith("dvc.lock: the stages of both sides of the merge are kept\n")
    assert sorted(ran(said)) == ["both", "table"]
    assert "2 ran, 0 from DVC's cache, 3 were up to date" in said
    assert (tiny.folder / "both.txt").read_text(encoding="utf-8") == "y$\n"
    assert (tiny.folder / "table.txt").read_text(encoding="utf-8") == "a\nb\nc\n"
    with Repo() as repo:
        assert repo.status("dvc.yaml") == {}
    assert tiny.repro() == "Data and pipelines are up to date.\n"


def test_bad_input_is_one_line(tiny):
    assert "'nothing' not found" in tiny.error("nothing")
    tiny.write("params.yaml", "seconds: [\n")
    assert "params.yaml" in tiny.error()
