"""(d) What does each stage cost: seconds, memory, and the share of its start-up?"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import workspace
from benchmarks.settings import Settings
from latentlab.errors import UserError

ROW = "cae_baseline"
SMALL_ROWS = (ROW, "mlp_8")  # two, since a comparison has at least two


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yields a record for each stage of the pipeline, one instance of each, one after the other, on one thread.

    "seconds" from the start of its process to its end; "start_up_seconds" until its `main` begins, which is Python and the
    imports at the head of the modules; "peak_bytes" in RAM. The copy has few images and two rows; with `full` it is the
    study.
    """
    with TemporaryDirectory(prefix="latentlab-bench-") as scratch:
        folder = Path(scratch) / "project"
        workspace.make(folder, None if settings.full else SMALL_ROWS, settings.device)
        for stage, (module, *arguments) in workspace.commands(ROW).items():
            yield {"stage": stage, "full": settings.full} | run(folder, module, arguments, Path(scratch) / f"{stage}.json")


def run(folder: Path, module: str, arguments: list[str], note: Path) -> dict[str, float]:
    """Runs one stage in that copy of the project.

    Raises:
        UserError: It failed; the message is its last line.
    """
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("stage_clock.py")), str(note), module, *arguments],
        cwd=folder, env=workspace.stage_environment(folder, 1), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    seconds = time.monotonic() - began
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"{module} {' '.join(arguments)}: {lines[-1].removeprefix('error: ')}")
    found = json.loads(note.read_text(encoding="utf-8"))
    return {"seconds": seconds, "start_up_seconds": found["main"] - began, "peak_bytes": found["peak_bytes"]}
