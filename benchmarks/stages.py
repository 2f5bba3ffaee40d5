"""What does each stage cost?

One instance of each stage of dvc.yaml, one after the other, on one thread, in a process of its own and a temporary folder.
Start-up is the part of the seconds that the stage's imports take; workers of `latentlab repro` have loaded everything.
Memory is the most in RAM. The last three stages have one run to show.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

import latentlab
from benchmarks.processes import THREADS
from benchmarks.task import Record, Task
from latentlab import paths
from latentlab.errors import UserError
from latentlab.params.strict import read_yaml

VARIANT, BASELINE = "cae_baseline", "pca_32"
# as `python -m` runs a module, which says how long its imports took
STAGE = """
import importlib, runpy, sys, time
started, module = time.perf_counter(), sys.argv[1]
importlib.import_module(module)
print(time.perf_counter() - started, flush=True)
del sys.modules[module], sys.argv[0]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
QUICK_SPLIT = {"train": 1000, "validation": 200, "test": 200}


def measure(task: Task) -> Iterator[Record]:
    """Yields a record for each stage; `quick` makes it a few images and one epoch."""
    pipeline = read_yaml(Path("dvc.yaml"))["stages"]
    with TemporaryDirectory(prefix="latentlab-bench-") as scratch:
        folder = Path(scratch)
        content = small(read_yaml(paths.PARAMS), task)
        (folder / paths.PARAMS).write_text(json.dumps(content), encoding="utf-8")
        for name, stage in pipeline.items():
            module, *arguments = command(stage, task.dataset)
            seconds, start_up, num_bytes = run(module, arguments, folder)
            yield {
                "stage": name,
                "seconds": seconds,
                "start_up_seconds": start_up,
                "memory_MiB": num_bytes / 2**20,
            }


def small(content: dict[str, Any], task: Task) -> dict[str, Any]:
    """The content of params.yaml with one run selected, and as little to do as it can have if it is to be quick."""
    content["run"] = {"variants": [VARIANT], "datasets": [task.dataset], "recipes": ["fast"], "seeds": [0]}
    content["device"] = task.device
    content["datasets"][task.dataset]["source"] = str(paths.data(task.dataset).resolve())
    if task.quick:
        content["datasets"][task.dataset]["split"] |= QUICK_SPLIT
        for training in content["recipes"]["fast"].values():
            training["epochs"] = 1
    return content


def command(stage: dict[str, Any], dataset: str) -> list[str]:
    """Module and arguments of one instance of a stage."""
    values = {"item.variant": VARIANT, "item.dataset": dataset, "item.recipe": "fast", "item.seed": "0"}
    values |= {"item.name": BASELINE, "item": dataset}
    found: str = stage.get("do", stage)["cmd"]
    for key, value in values.items():
        found = found.replace(f"${{{key}}}", value)
    return found.removeprefix("python -m ").split()


def environment(source: Path) -> dict[str, str]:
    """Variables of a process that works elsewhere: nothing of this project's, and the package from that folder."""
    own = {"MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_ROOT", "DVC_STAGE", "LATENTLAB_MNIST"}
    kept = {key: value for key, value in os.environ.items() if key not in own}
    return kept | {"TQDM_DISABLE": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(source)}


def run(module: str, arguments: list[str], folder: Path) -> tuple[float, float, int]:
    """Seconds of a stage and of its imports, and the most bytes that it had in RAM.

    Raises:
        UserError: It failed; the message is its last line.
    """
    variables = environment(Path(latentlab.__file__).parents[1]) | dict.fromkeys(THREADS, "1")
    said, start_up, most = folder / "stderr.txt", folder / "stdout.txt", 0
    with said.open("wb") as stderr, start_up.open("wb") as stdout:
        started = time.perf_counter()
        process = psutil.Popen(
            [sys.executable, "-c", STAGE, module, *arguments], cwd=folder, env=variables, stdout=stdout, stderr=stderr
        )
        while process.poll() is None:
            with suppress(psutil.Error):  # it has just ended
                most = max(most, process.memory_info().rss)
            time.sleep(0.01)
        seconds = time.perf_counter() - started
    if process.returncode:
        lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [str(process.returncode)]
        raise UserError(f"python -m {module} {' '.join(arguments)}: {lines[-1].removeprefix('error: ')}")
    return seconds, float(start_up.read_text(encoding="utf-8").split()[0]), most
