"""Is a file ever half of what it should be?"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from latentlab.files import replacing, write_json, write_text


def test_it_takes_the_place_of_the_file_before(tmp_path):
    path = tmp_path / "metrics.json"
    write_json({"mse": 0.5}, path)
    write_json({"mse": 0.25, "of": [1, 2]}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"mse": 0.25, "of": [1, 2]}
    write_text("Übung\n", path)
    assert path.read_bytes() == "Übung\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_written_or_goes_wrong_changes_nothing(tmp_path):
    path, scratch = tmp_path / "a.txt", tmp_path / "scratch"
    scratch.mkdir()
    write_text("before", path)
    with replacing(path):
        pass

    def fail() -> None:
        with replacing(path, scratch) as partial:
            partial.write_text("half", encoding="utf-8")
            assert partial.parent == scratch
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text(encoding="utf-8") == "before"
    assert sorted(tmp_path.rglob("*")) == [path, scratch]


def test_a_process_that_is_killed_while_it_writes_leaves_the_file_before(tmp_path: Path):
    path = tmp_path / "metrics.json"
    write_text("before", path)
    code = """
import os, signal, sys
from pathlib import Path
from latentlab.files import replacing
with replacing(Path(sys.argv[1])) as partial, partial.open("w") as file:
    file.write("half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", code, str(path)], env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text(encoding="utf-8") == "before"
    write_text("after", path)
    assert list(tmp_path.iterdir()) == [path]
