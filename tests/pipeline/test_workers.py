"""What a worker does with a command."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from latentlab.pipeline import workers


def job(tmp_path, *commands: str, **environment: str) -> workers.Job:
    return workers.Job(
        commands=list(commands),
        shell=["sh", "-c"],
        folder=str(tmp_path),
        environment=os.environ | environment,
        output=tmp_path / "output",
        stop=tmp_path / "stop",
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
        ("python -m latentlab.stages.train $VARIANT", []),
        ("cat a | sort", []),
        ("", []),
    ],
)
def test_our_stages_are_told_from_what_is_the_shells(command, arguments):
    assert workers.stage_arguments(command) == arguments


def test_commands_run_in_their_folder_until_one_fails(tmp_path):
    commands = ["echo $WORD > a.txt; echo said", "echo wrong >&2; exit 3", "touch never"]
    assert workers.run(job(tmp_path, *commands, WORD="hello")) == 3
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "hello\n"
    assert (tmp_path / "output").read_text(encoding="utf-8") == "said\nwrong\n"
    assert not (tmp_path / "never").exists()


def test_a_request_to_stop_reaches_the_whole_command(tmp_path):
    asked = job(tmp_path, "sleep 60; true")
    threading.Timer(0.3, asked.stop.touch).start()
    started = time.monotonic()
    assert workers.run(asked) == -signal.SIGTERM
    assert time.monotonic() - started < 10


# run as a worker: in a process of its own, with a package of its own
FORKS = """
import os
import sys
from pathlib import Path

from latentlab.pipeline import workers

workers.PACKAGE = "tiny"
sys.path.insert(0, ".")
stage = Path("tiny/stages/say.py")
stage.parent.mkdir(parents=True)
for number in (1, 2):
    stage.write_text(
        "import colorsys, os, sys\\n"
        "if __name__ == '__main__':\\n"
        f"    print({number * '!'!r}, sys.argv[1], os.environ['A'])\\n"  # of another length: both may be of one second
        f"    os.environ['A'] = 'changed'; colorsys.left = 1; sys.exit({number})\\n"
    )
    job = workers.Job(["python -m tiny.stages.say x"], [], ".", {"A": "given"}, Path("output"), Path("stop"))
    assert workers._may_fork()
    assert workers.run(job) == number
assert not hasattr(sys.modules["colorsys"], "left")
assert "A" not in os.environ
assert Path("output").read_text() == "! x given\\n!! x given\\n"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no worker forks")
def test_a_stage_has_the_libraries_of_its_worker_sources_read_anew_and_nothing_of_another_stage(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "A"}
    done = subprocess.run(
        [sys.executable, "-c", FORKS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
