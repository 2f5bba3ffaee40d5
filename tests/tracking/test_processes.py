"""Tags of a process, and whether it still runs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from latentlab.tracking import processes
from latentlab.tracking.processes import is_alive, is_gone, is_here, process_tags


def test_process_tags_are_of_this_process_and_not_of_another_one_with_its_number():
    tags = process_tags()
    assert tags["process.pid"] == str(os.getpid())
    assert process_tags() == tags
    assert is_alive(tags)
    assert not is_alive(tags | {"process.started": f"{tags['process.started']}0"})


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
    tags = process_tags() | {"process.pid": str(process.pid), "process.started": started}
    assert is_alive(tags)
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert not is_alive(tags)
    process.wait()
    assert not is_alive(tags)


CONTAINER = ["unshare", "--user", "--map-root-user", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]


@pytest.fixture
def contained() -> Iterator[tuple[dict[str, str], "subprocess.Popen[str]"]]:
    """The tags of a process that runs in a container, and that process seen from outside."""
    code = (
        "import json, socket, time; from latentlab.tracking.processes import process_tags\n"
        "socket.sethostname('box'); print(json.dumps(process_tags()), flush=True); time.sleep(60)"
    )
    try:
        process = subprocess.Popen([*CONTAINER, sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.communicate()
        pytest.skip("no namespaces are allowed here")
    with process:
        yield json.loads(line), process
        process.kill()


def seen_from_another_container(*tags: dict[str, str]) -> list[list[bool]]:
    code = (
        "import json, sys; from latentlab.tracking.processes import is_gone, is_here\n"
        "print([[is_here(each), is_gone(each)] for each in json.loads(sys.argv[1])])"
    )
    command = [*CONTAINER, sys.executable, "-c", code, json.dumps(tags)]
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(seen.lower())


def test_a_process_in_a_container_is_found_from_outside_and_unknown_to_another_container(contained):
    tags, process = contained
    assert (tags["process.host"], tags["process.pid"]) == ("box", "1")
    if processes._namespace() != processes._FIRST:
        pytest.skip("the tests are in a container themselves")
    assert is_here(tags)
    assert is_alive(tags)
    # containers share host names, numbers and the start of the machine: that proves nothing
    assert seen_from_another_container(tags, tags | {"process.host": process_tags()["process.host"]}) == [[False] * 2] * 2
    assert seen_from_another_container(process_tags()) == [[False, False]]
    process.kill()
    process.wait()
    while is_alive(tags):  # the kernel takes a moment
        time.sleep(0.01)
    assert is_gone(tags)


def test_what_another_start_of_a_machine_and_another_machine_say_of_a_process():
    tags = process_tags() | {"process.namespace": processes._FIRST, "process.started": "another-start 1"}
    assert is_gone(tags)  # the machine was started again
    assert not is_here(tags | {"process.host": "elsewhere"})
    assert not is_here(tags | {"process.namespace": "pid:[1]"})  # a container that has the name of this host


@pytest.mark.parametrize(
    "tags", [{}, {"process.pid": "1"}, {"process.host": "HERE"}, {"process.host": "HERE", "process.pid": "x"}]
)
def test_a_run_without_a_process_is_not_said_to_be_gone(tags):
    host = process_tags()["process.host"]
    assert not is_gone({name: value.replace("HERE", host) for name, value in tags.items()})
