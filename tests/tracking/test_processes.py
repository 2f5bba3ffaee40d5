"""Tags of a process, and whether it still runs."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from latentlab.tracking.processes import is_alive, process_tags


def test_process_tags_are_of_this_process_and_not_of_another_one_with_its_number():
    tags = process_tags()
    assert tags["process.pid"] == str(os.getpid())
    assert process_tags() == tags
    assert is_alive(tags)
    assert not is_alive(tags | {"process.started": "1000.0"})


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it without the clock")
def test_a_clock_that_is_set_changes_nothing(monkeypatch):
    tags = process_tags()
    true = psutil.Process.create_time
    for jump in (-3600, 3600):  # what psutil says of a process moves with the clock
        monkeypatch.setattr(psutil.Process, "create_time", lambda process, jump=jump: true(process) + jump)
        assert process_tags() == tags
        assert is_alive(tags)


def test_a_killed_process_is_gone_also_before_anybody_has_asked_after_it():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    code = f"from latentlab.tracking.processes import _started; print(_started({process.pid}))"
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    tags = {"process.pid": str(process.pid), "process.started": started}
    assert is_alive(tags)
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert not is_alive(tags)
    process.wait()
    assert not is_alive(tags)
