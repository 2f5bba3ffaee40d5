"""How long does the default job take?

`latentlab repro` in a copy of the project without any result, with the images at hand: stage by stage, the seconds of all
its instances together and of the slowest; last of all by the clock. As many stages as there are cores run at the same time.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.stages import BASELINE, environment, small
from benchmarks.task import Record, Task
from latentlab import paths
from latentlab.errors import UserError
from latentlab.params.strict import read_yaml
from latentlab.pipeline.runner import SECONDS

COPIED = (".dvc/config", ".dvcignore", "dvc.yaml", "src", paths.FOUND, "data/sources")


def measure(task: Task) -> Iterator[Record]:
    """Yields a record for each stage, then one of all; `quick` makes it one run of a few images and one epoch.

    Raises:
        UserError: A stage failed.
    """
    with TemporaryDirectory(prefix="latentlab-bench-") as scratch:
        folder = Path(scratch)
        copy(folder, task)
        started = time.perf_counter()
        command = [sys.executable, "-c", "from latentlab.cli import main; main()", "repro"]
        if code := subprocess.run(command, cwd=folder, env=environment(folder / "src"), check=False).returncode:
            raise UserError(f"latentlab repro ended with {code}; why, it has said above")
        seconds = time.perf_counter() - started
        instances: dict[str, list[float]] = {}
        for name, each in json.loads((folder / ".dvc/tmp" / SECONDS).read_text(encoding="utf-8")).items():
            instances.setdefault(name.partition("@")[0], []).append(each)
    for stage, times in instances.items():
        yield {"stage": stage, "instances": len(times), "seconds": sum(times), "slowest": max(times)}
    yield {"stage": "by the clock", "instances": sum(map(len, instances.values())), "seconds": seconds}


def copy(folder: Path, task: Task) -> None:
    """The project without results, which takes the images that are here."""
    for name in map(Path, COPIED):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if name.is_dir() else shutil.copy)(name, target)
    (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    content = read_yaml(paths.PARAMS)
    run = content["run"]
    small(content, task)
    if task.quick:
        content["baselines"] = {BASELINE: content["baselines"][BASELINE]}
    else:
        content["run"] = run
    (folder / paths.PARAMS).write_text(json.dumps(content), encoding="utf-8")
