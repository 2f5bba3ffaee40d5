"""Runs a stage as `python -m` does, and writes down when its `main` began and how much memory it had at most.

python stage_clock.py NOTE latentlab.stages.train cae_baseline fast 0
"""

import json
import re
import resource
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path


def main(note: Path, module: str) -> None:
    """Runs that stage, whose arguments are those of the command line."""
    from latentlab import stages

    start = stages.start
    found: dict[str, float] = {}

    def start_timed(stage: Callable[..., None], arguments: list[str], **options: bool) -> None:
        def timed(*given: str) -> None:
            found["main"] = time.monotonic()
            stage(*given)

        start(timed, arguments, **options)

    stages.start = start_timed
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        found["peak_bytes"] = peak_bytes()
        note.write_text(json.dumps(found), encoding="utf-8")


def peak_bytes() -> int:
    """The most memory that this process has had in RAM."""
    status = Path("/proc/self/status")
    if status.exists():  # rusage would also count what the process was before it became this program
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii", errors="replace"))
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    target, called, *rest = sys.argv[1:]
    sys.path[0] = ""  # not the folder of this file, whose modules are not meant
    sys.argv = [called, *rest]
    main(Path(target), called)
