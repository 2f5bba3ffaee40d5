"""A study of many workers on one PostgreSQL, which is killed under them: `make test-cluster`, see docs/study.md.

The server is a real one in a temporary folder, and its death a `kill -9` of all its processes at once.
"""

import contextlib
import gc
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import psutil
import pytest
from optuna.trial import FrozenTrial, TrialState

from latentlab.study import storage, trials, worker
from latentlab.study.storage import LockLostError, Patience, lock_of, open_storage
from small import Project, copy_of, make
from small_study import new_study, run_trials, settings_with, take_part

psycopg = pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not here: pip install 'psycopg[binary]'")
FOUND = [path for path in (shutil.which("initdb"), *Path("/usr/lib/postgresql").glob("*/bin/initdb")) if path]
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not FOUND, reason="PostgreSQL is not here: apt-get install postgresql"),
]


class Server:
    """A PostgreSQL of its own that only this machine can reach. It does not run as root."""

    def __init__(self, folder: Path) -> None:
        programs = Path(FOUND[0]).resolve().parent
        self.folder, self.user = folder, {"user": "postgres"} if os.geteuid() == 0 else {}
        if self.user:
            shutil.chown(folder, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.url, self.shown = (f"postgresql+psycopg://me:{word}@127.0.0.1:{port}/postgres" for word in ("secret", "***"))
        data = str(folder / "data")
        made = [programs / "initdb", "--username=me", "--auth=trust", "-D", data]
        subprocess.run(made, check=True, capture_output=True, cwd="/", **self.user)
        self.command = [programs / "postgres", "-D", data, "-p", port, "-h", "127.0.0.1", "-k", ""]
        self.start()

    def start(self) -> None:
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(self.command, stdout=said, stderr=said, cwd="/", **self.user)
        with lock_of(self.url, Patience(self.url, 60))():
            pass  # it answers

    def kill(self) -> None:
        if self.process.poll() is None:
            for each in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
        self.process.wait()

    def trials(self) -> list[FrozenTrial]:
        """Those of the study of the small projects."""
        storage = optuna.storages.RDBStorage(self.url)
        try:
            return optuna.load_study(study_name="tradeoff", storage=storage).trials
        finally:
            storage.engine.dispose()


@pytest.fixture
def server() -> Iterator[Server]:
    with TemporaryDirectory() as folder:
        server = Server(Path(folder))
        yield server
        server.kill()
        gc.collect()  # connections that are open say so when they go


def is_whole(found: list[FrozenTrial], num_trials: int) -> bool:
    """Whether so many trials were trained, none twice, and none is left over; those that were tried again count once."""
    counts = trials.counts(found)
    trained = [trial for trial in found if trials.kind(trial) in ("finished", "stopped")]
    configurations = {trial.user_attrs["configuration"] for trial in trained}
    return (counts.trained, counts.running, len(trained), len(configurations)) == (num_trials, 0, num_trials, num_trials)


def test_thirty_two_workers_that_begin_with_an_empty_database(server):
    context = multiprocessing.get_context("forkserver")  # which loads torch once for all of them
    context.set_forkserver_preload([worker.__name__, "torch._dynamo", "latentlab.cli", "pytest", "psycopg"])
    with ProcessPoolExecutor(32, context) as workers:
        asked = [workers.submit(take_part, server.url, 64, number % 4) for number in range(32)]
        trained = [each.result() for each in asked]
    found = optuna.load_study(study_name="many", storage=open_storage(server.url)).trials
    print(trials.counts(found), sorted(map(len, trained)))
    assert is_whole(found, 64)
    numbers = [number for each in trained for number in each]
    assert sorted(numbers) == [trial.number for trial in found if trials.kind(trial) in ("finished", "stopped")]
    assert not trials.counts(found).retried
    assert not trials.counts(found).waiting


def project_on(server: Server, folder: Path, mnist: Path, num_trials: int) -> Project:
    """A small project whose study is in that database."""
    project = make(folder, mnist)
    project.environment["PYTHONPATH"] += f"{os.pathsep}{Path(psycopg.__file__).parents[1]}"
    project.environment["LATENTLAB_STORAGE"] = server.url
    content = project.params("study/params.yaml")
    content["study"] |= {"num_trials": num_trials, "stale_after_seconds": 120}
    project.write_params(content, "study/params.yaml")
    project.run("latentlab", "repro", "download")
    return project


def until(server: Server, reached: Any, *said: Path) -> None:
    """Waits until the trials there have reached something."""
    over = time.monotonic() + 600
    while True:
        with contextlib.suppress(KeyError, AttributeError):
            if reached(server.trials()):
                return
        assert time.monotonic() < over, [each.read_text(encoding="utf-8") for each in said]
        time.sleep(0.2)


@contextlib.contextmanager
def started(project: Project, *command: str, said: Path) -> Iterator["subprocess.Popen[bytes]"]:
    process = project.start(*command, said=said)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


STUDY = ["latentlab", "study", "run", "--workers"]
# of the other machine: nobody here can look up its processes, nor can it those here
ELSEWHERE = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"] if os.geteuid() == 0 else []


def test_workers_of_two_machines_wait_for_a_database_that_is_killed_and_go_on(server, tmp_path, mnist_gz_folder):
    here = project_on(server, tmp_path / "here", mnist_gz_folder, 16)
    there = copy_of(here.folder, tmp_path / "there", mnist_gz_folder)
    there.environment = here.environment | {"PYTHONPATH": here.environment["PYTHONPATH"].replace("here", "there")}
    said = [tmp_path / "said_here", tmp_path / "said_there"]
    with started(here, *STUDY, "2", said=said[0]) as first, started(there, *ELSEWHERE, *STUDY, "2", said=said[1]) as second:
        until(server, lambda found: len({str(trial.user_attrs["process"]) for trial in found}) == 4, *said)
        server.kill()
        time.sleep(10)
        server.start()
        codes = [first.wait(timeout=600), second.wait(timeout=600)]
    texts = [each.read_text(encoding="utf-8") for each in said]
    print(*texts)
    assert codes == [0, 0]
    gone = re.escape(f"study.storage: {server.shown} does not answer: ")
    for text in texts:  # of two workers, and of the process that has started them
        assert len(re.findall(rf"{gone}.*; waiting for it for at most 120 s$", text, re.MULTILINE)) == 3
        assert len(re.findall(re.escape(f"study.storage: {server.shown} answers again"), text)) == 3
        assert "Traceback" not in text
        assert "error:" not in text
    assert is_whole(server.trials(), 16)
    assert not trials.counts(server.trials()).waiting


def test_a_database_that_stays_away_is_one_clear_error_and_nothing_finished_is_lost(server, tmp_path, mnist_gz_folder):
    project, said = project_on(server, tmp_path / "project", mnist_gz_folder, 12), tmp_path / "said"
    with started(project, *STUDY, "1", "--patience", "3", said=said) as study:
        until(server, lambda found: trials.counts(found).finished >= 2, said)
        before = {trial.number: trial.values for trial in server.trials() if trial.state == TrialState.COMPLETE}
        server.kill()
        code, text = study.wait(timeout=120), said.read_text(encoding="utf-8")
    print(text)
    assert code == 2
    assert text.splitlines()[-1].startswith(f"error: study.storage: {server.shown} does not answer any more: connection")
    assert text.splitlines()[-1].endswith("kept there: when it answers again, latentlab study run goes on")
    assert "Traceback" not in text
    assert project.attempt(*STUDY, "1")[0] == 2  # it is not there at the beginning, and not waited for
    server.start()
    project.run(*STUDY, "1")
    assert before.items() <= {trial.number: trial.values for trial in server.trials()}.items()
    assert is_whole(server.trials(), 12)


def test_a_trial_that_was_asked_for_while_the_lock_was_lost_is_given_back(server, monkeypatch):
    patience, small = Patience(server.url, 60), settings_with(num_trials=4)
    study = new_study(open_storage(server.url, patience))
    draw, calls = worker.sampler, []

    def sampler(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            server.kill()
            server.start()
        return draw(*arguments)

    monkeypatch.setattr(worker, "sampler", sampler)
    run_trials(small, study, lock=lock_of(server.url, patience))
    counts = trials.counts(study.trials)
    assert (counts.trained, counts.running, counts.retried, counts.waiting) == (4, 0, 1, 0)


def test_who_holds_the_lock_and_says_nothing_loses_it(server, monkeypatch):
    monkeypatch.setattr(storage, "LENT_SECONDS", 1)
    lock = lock_of(server.url, Patience(server.url, 0))
    asleep = lock()
    asleep.__enter__()
    began = time.monotonic()
    with lock():
        assert time.monotonic() - began > 0.9
    with pytest.raises(LockLostError):
        asleep.__exit__(None, None, None)
