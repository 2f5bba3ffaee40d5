"""(e) How does time grow: with images, epochs, rows, and stages at the same time?"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import workspace
from benchmarks.settings import Settings
from benchmarks.summary import exponent
from latentlab.errors import UserError

ROW = "cae_baseline"
# alike in cost, so that twice the rows are twice the work
ROWS = ("cae_baseline", "cae_leaky_001", "cae_leaky_01", "cae_leaky_02")
COMMAND = [sys.executable, "-c", "from latentlab.cli import main; main()", "repro"]
NUMS_ROWS = (1, 2, 4)
QUICK = "rows and parallel jobs were not measured: --quick"


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yields a record for each thing that grows: "sizes", "seconds" for each, and the "exponent".

    "images": the training of one epoch of cae_baseline under `fast`, on one thread; "epochs": that many with few images,
    validation and all. "rows": `latentlab repro` trains that many rows at a small size, with as many jobs as cores; "jobs":
    the most of these rows with that many jobs. `quick` leaves the last two out, and a "note" says so.
    """
    unit = settings.num_images // 4
    steps = [1, 2, 4] if settings.quick else [1, 2, 4, 8]
    yield _training(settings, "images", [unit * step for step in steps], lambda size: {"num_images": size, "epochs": 1})
    yield _training(settings, "epochs", steps, lambda size: {"num_images": unit, "epochs": size})
    if settings.quick:
        yield {"note": QUICK}
        return
    with TemporaryDirectory(prefix="latentlab-bench-") as scratch:
        seconds = [_repro(settings, Path(scratch) / f"rows-{num}", num, settings.num_cores) for num in NUMS_ROWS]
        yield _record("rows", NUMS_ROWS, seconds)
        nums_jobs = [each for each in (1, 2, 4, 8, 16) if each < settings.num_cores]
        fewer = [_repro(settings, Path(scratch) / f"jobs-{num}", NUMS_ROWS[-1], num) for num in nums_jobs]
        if nums_jobs:
            yield _record("jobs", [*nums_jobs, settings.num_cores], [*fewer, seconds[-1]])


def _record(what: str, sizes: Sequence[int], seconds: Sequence[float]) -> dict[str, Any]:
    return {"what": what, "sizes": list(sizes), "seconds": list(seconds), "exponent": exponent(sizes, seconds)}


def _training(settings: Settings, what: str, sizes: Sequence[int], request: Any) -> dict[str, Any]:
    """Medians over rounds in which all sizes take turns."""
    worker = settings.workers.whole if settings.on_gpu else settings.workers.singles[0]
    shared = {"name": ROW, "recipe": "fast", "seed": 0, "num_validation": 1000, "device": settings.device}
    worker.ask("ours", **shared, **request(sizes[0]))
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(-(-settings.num_rounds // 2)):
        for size in sizes:
            answer = worker.ask("ours", **shared, **request(size))
            found[size].append(answer["records"][0]["seconds"] if what == "images" else answer["whole_seconds"])
    return _record(what, sizes, [median(found[size]) for size in sizes])


def _repro(settings: Settings, folder: Path, num_rows: int, num_jobs: int) -> float:
    """Seconds of `latentlab repro` for that many rows, from the images on."""
    workspace.make(folder, ROWS[:num_rows], settings.device)
    given = workspace.stage_environment(folder, None)
    seconds = 0.0
    for arguments in (["download", "plan"], ["--jobs", str(num_jobs), "train"]):  # the second one counts
        started = time.monotonic()
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=folder, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
        seconds = time.monotonic() - started
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise UserError(f"latentlab repro {' '.join(arguments)}: {lines[-1].removeprefix('error: ')}")
    return seconds
