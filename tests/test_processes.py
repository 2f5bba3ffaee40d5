"""Tags of a process, and whether it still runs."""

import os
import subprocess
import sys
import time

import psutil

from latentlab.processes import is_alive, process_tags


def test_process_tags_are_of_this_process():
    tags = process_tags()
    assert tags["process.pid"] == str(os.getpid())
    assert float(tags["process.started"]) < time.time()
    assert is_alive(tags)


def test_another_process_with_the_same_number_is_not_the_same():
    assert not is_alive(process_tags() | {"process.started": "1000.0"})


def test_a_killed_process_is_gone_also_before_anybody_has_asked_after_it():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    tags = {"process.pid": str(process.pid), "process.started": str(psutil.Process(process.pid).create_time())}
    assert is_alive(tags)
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert not is_alive(tags)
    process.wait()
    assert not is_alive(tags)
