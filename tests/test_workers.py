"""What a worker does with a command."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from latentlab import workers


def job(tmp_path, *calls: list[str], **environment: str) -> workers.Job:
    return workers.Job(
        commands=[" ".join(call) + ";" for call in calls],
        calls=list(calls),
        folder=str(tmp_path),
        environment=os.environ | environment,
        output=tmp_path / "output",
        stop=tmp_path / "stop",
        modules=[],
    )


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("python -m latentlab.stages.train mlp_8 fast 0", ["latentlab.stages.train", "mlp_8", "fast", "0"]),
        ("python -m latentlab.stages.plan", ["latentlab.stages.plan"]),
        ("python -m latentlab.stages.train 'a b'", ["latentlab.stages.train", "a b"]),
        ("python -m latentlab.cli log", []),
        ("python3 train.py", []),
        ("python -m latentlab.stages.plan > plan.txt", []),
        ("python -m latentlab.stages.train $ROW", []),
        ("cat a | sort", []),
        ("", []),
    ],
)
def test_our_stages_are_told_from_what_is_the_shells(command, arguments):
    assert workers.stage_arguments(command) == arguments


def test_commands_run_in_their_folder_until_one_fails(tmp_path):
    calls = [["sh", "-c", "echo $WORD > a.txt; echo said"], ["sh", "-c", "echo wrong >&2; exit 3"], ["touch", "never"]]
    assert workers.run(job(tmp_path, *calls, WORD="hello")) == 3
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "hello\n"
    assert (tmp_path / "output").read_text(encoding="utf-8") == "said\nwrong\n"
    assert not (tmp_path / "never").exists()


def test_a_request_to_stop_reaches_the_whole_command(tmp_path):
    asked = job(tmp_path, ["sh", "-c", "sleep 60; true"])
    threading.Timer(0.3, asked.stop.touch).start()
    started = time.monotonic()
    assert workers.run(asked) == -signal.SIGTERM
    assert time.monotonic() - started < 10


def test_libraries_are_read_from_the_sources():
    found = workers.libraries("latentlab.stages.probe")
    assert {"torch", "mlflow", "numpy", "sklearn.svm", "yaml", "safetensors"} <= set(found)
    assert not any(name.startswith("latentlab") for name in found)
    assert "mlflow" not in workers.libraries("latentlab.stages.compare")
    assert workers.libraries("latentlab.stages.of_the_future") == []


def test_a_process_of_more_than_one_thread_is_not_forked():
    code = (
        "import threading, time; from latentlab import workers; fresh = workers._may_fork();"
        "threading.Thread(target=time.sleep, args=(1,)).start(); print(fresh, workers._may_fork())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(sys.platform == "linux"), "False"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no worker forks")
def test_what_is_loaded_late_is_there_and_leaves_one_thread():
    code = (
        "import sys; from latentlab import workers; assert workers._may_fork();"
        "workers._load_libraries(['latentlab.stages.train', 'latentlab.stages.probe'], {}); assert workers._may_fork();"
        "print(*(name for names in workers.LATE.values() for name in names if name not in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


# run as a file: a process of multiprocessing reads again what it is to call
PRELOADS = """
import os
import signal
import sys

from latentlab import workers

def look():
    loaded = [name for name in ("pandas", "torch", "latentlab.comparison") if name in sys.modules]
    print(*loaded, workers._may_fork(), os.environ["OMP_NUM_THREADS"])

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where the tests run behind a terminal's back
    os.environ["OMP_NUM_THREADS"] = "3"
    workers.preload(["latentlab.stages.compare"], os.environ)
    assert os.environ["OMP_NUM_THREADS"] == "3"
    try:
        os.killpg(0, signal.SIGINT)  # Ctrl-C while it loads
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    for _ in range(2):
        process = workers.start_method().Process(target=look)
        process.start()
        process.join()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no worker forks")
def test_workers_are_forks_of_a_process_that_has_loaded_the_libraries_with_one_thread(tmp_path):
    (tmp_path / "preloads.py").write_text(PRELOADS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "preloads.py"], cwd=tmp_path, capture_output=True, text=True, check=False, start_new_session=True
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n" + "pandas torch True 1\n" * 2), done.stderr
    assert "Traceback" not in done.stderr


LOSES_ITS_SERVER = """
import os
import threading

import psutil

from latentlab import errors, workers

if __name__ == "__main__":
    workers.preload(["latentlab.stages.compare"], os.environ)
    (server,) = [each for each in psutil.Process().children() if "multiprocessing.forkserver" in " ".join(each.cmdline())]
    threading.Timer(0.5, server.kill).start()  # it loads torch for longer
    try:
        with workers.errors_of_workers():
            workers.start_method().Process(target=print).start()
    except errors.UserError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no worker forks")
def test_that_the_process_is_killed_that_workers_are_forks_of_is_one_line(tmp_path):
    (tmp_path / "loses.py").write_text(LOSES_ITS_SERVER, encoding="utf-8")
    done = subprocess.run([sys.executable, "loses.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "a worker process, or the one that has loaded the libraries for it, was killed" in done.stdout
