"""How long would that take on a cluster, and what would be in the way?

What the caller of `latentlab repro` does for each stage is measured on pipelines of stages that only wait. With that, large
selections are simulated: the graph of train, evaluate and probe, with the seconds that these took in the last `latentlab
repro` here, on one core. A stage that is ready waits for a worker, for the caller, which does one thing at a time, and for
the network; when it has ended, for the caller again. Beside that one process logs trainings to MLflow, and adds what was
measured of them. Published trainings are taken to last as much longer than fast ones as they have more epochs. The first
lines compare the simulation with real workers. Shares are of the whole time; a worker is a thread. Cost: at 0.04 dollars
for an hour of a worker, which is about what clouds ask for a core.
"""

import heapq
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import yaml
from dvc.utils.serialize import modify_yaml

from benchmarks.stages import environment
from benchmarks.task import Record, Task
from latentlab import paths
from latentlab.errors import UserError
from latentlab.params.project import load
from latentlab.pipeline.runner import RECORD_EVERY_SECONDS, RECORD_SHARE, SECONDS, read_seconds

STAGES = ("train", "evaluate", "probe")
NUM_WORKERS = (1, 4, 16, 64, 256, 1000)
NUM_TRAININGS = (2_040, 100_000)
DOLLARS_PER_HOUR = 0.04
# what the stages of a measurement are: they wait, and leave a file
PAUSE = """
import sys, time
from pathlib import Path
time.sleep(float(sys.argv[1]))
Path(sys.argv[2]).write_text(sys.argv[2])
"""


@dataclass(frozen=True)
class Costs:
    """What a stage costs beside its own work, in seconds and bytes.

    Attributes:
        load_seconds: Of the caller before anything begins, for each stage: DVC reads the pipeline and dvc.lock.
        stage_seconds: Of the caller for each stage that runs: is it stale, is it in the cache, keep the outputs.
        lock_seconds: Of the caller for each stage in dvc.lock each time that it is written.
        overhead_seconds: Of the worker: a folder, the files, a process.
        log_seconds: To log a training to MLflow, by a process beside the caller.
        add_seconds: Of that process, to add what was measured of it.
        check_seconds: Of the caller for each training in the end: is it logged?
        stage_bytes: That travel to and fro for each stage, beside the images.
        first_bytes: The images and the sources, which travel once.
        bytes_per_second: Of the caller's network, a gigabit.
        failures_per_hour: Of a worker, each of which takes a stage with it.
        notice_seconds: Until such a failure is noticed.
    """

    load_seconds: float
    stage_seconds: float
    lock_seconds: float
    overhead_seconds: float
    log_seconds: float
    add_seconds: float
    check_seconds: float
    stage_bytes: float = 2e6
    first_bytes: float = 1.2e7
    bytes_per_second: float = 1.2e8
    failures_per_hour: float = 0.01
    notice_seconds: float = 60.0


def measure(task: Task) -> Iterator[Record]:
    """Yields records of real workers beside simulated ones, then of large selections; `quick` measures less.

    Raises:
        UserError: The default job has not run here, so its seconds are unknown.
    """
    lengths = (10, 30) if task.quick else (40, 160)
    known = seconds_of_runs()
    costs = measure_costs(lengths)
    yield {"what": "measured for each stage, and for each training in the end", **vars(costs)}
    runs = [(3.0, 0.5, 1.0)] * (4 if task.quick else 12)
    for number in (1, 2) if task.quick else (1, 2, 4):
        with TemporaryDirectory(prefix="latentlab-bench-") as scratch:
            seconds, _ = run_for_real(Path(scratch), runs, number)
        without = replace(costs, failures_per_hour=0.0, log_seconds=0.0, add_seconds=0.0, check_seconds=0.0)
        simulated = simulate(runs, number, without)["hours"] * 3600
        yield {"what": f"{len(runs)} trainings of 4.5 s", "workers": number, "seconds": seconds, "simulated": simulated}
    for num_trainings in NUM_TRAININGS:
        runs = [known[number % len(known)] for number in range(num_trainings)]
        for number in NUM_WORKERS:
            yield {"what": f"{num_trainings} trainings", "workers": number, **simulate(runs, number, costs)}


def seconds_of_runs() -> list[tuple[float, ...]]:
    """Of train, evaluate and probe of each selected run under both recipes."""
    project, seconds = load(), read_seconds(Path(".dvc/tmp") / SECONDS)
    found = []
    for run in project.runs():
        fast = [seconds.get(run.stage(name)) for name in STAGES]
        if None in fast:
            raise UserError("benchmarks: the default job has not run here: make repro")
        training = project.variants[run.variant].training
        epochs = [project.recipes[recipe][training].epochs for recipe in ("fast", "published")]
        found += [tuple(fast), (fast[0] * epochs[1] / epochs[0], *fast[1:])]
    return found


def measure_costs(lengths: tuple[int, int]) -> Costs:
    """Of pipelines of two lengths, on this machine; what both have in common is not of the stages."""
    ran, loaded, wrote = [], [], []
    for length in lengths:
        with TemporaryDirectory(prefix="latentlab-bench-") as scratch:
            folder = Path(scratch)
            write(folder, [(0.0,)] * length)
            ran.append(timed(folder))
            loaded.append(timed(folder))
            started = time.perf_counter()
            with modify_yaml(folder / "dvc.lock"):
                pass
            wrote.append(time.perf_counter() - started)
    more = lengths[1] - lengths[0]
    load_seconds, all_seconds = (loaded[1] - loaded[0]) / more, (ran[1] - ran[0]) / more
    with TemporaryDirectory(prefix="latentlab-bench-") as scratch:
        _, overheads = run_for_real(Path(scratch), [(0.0,)] * lengths[0], 1)
    costs = (load_seconds, all_seconds - load_seconds, (wrote[1] - wrote[0]) / more, median(overheads))
    return Costs(*costs, *measure_sync())


def measure_sync() -> list[float]:
    """Seconds for each run of the default job to log its training, to add what was measured, to see that all is there."""
    variants = list(dict.fromkeys(run.variant for run in load().runs()))
    seconds = []
    for asked in (variants[:1], variants):
        with TemporaryDirectory(prefix="latentlab-bench-") as scratch:
            for path in Path().iterdir():
                if path.name not in (".dvc", ".git", "mlruns", "mlflow.db", "results"):
                    (Path(scratch) / path.name).symlink_to(path.resolve())
            logging = timed(Path(scratch), "sync", *asked)
            (Path(scratch) / "results").symlink_to(Path("results").resolve())
            seconds.append((logging, *(timed(Path(scratch), "sync", *asked) for _ in ("adding", "checking"))))
    return [(many - one) / (len(variants) - 1) for one, many in zip(*seconds, strict=True)]


def write(folder: Path, runs: list[tuple[float, ...]]) -> None:
    """A project with the sources of this one, whose stages wait as long as the runs say."""
    shutil.copytree("src", folder / "src")
    (folder / "src/latentlab/stages/pause.py").write_text(PAUSE, encoding="utf-8")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n", encoding="utf-8")
    stages = {}
    for run, seconds in enumerate(runs):
        for number, (name, each) in enumerate(zip(STAGES, seconds, strict=False)):
            stages[f"{name}{run}"] = {
                "cmd": f"python -m latentlab.stages.pause {each} {name}{run}.txt",
                "meta": {"seconds": each + 1},
                "deps": [f"train{run}.txt"] if number else [],
                "outs": [f"{name}{run}.txt"],
            }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")


def timed(folder: Path, *words: str) -> float:
    """Seconds of a command in a folder, from its beginning; `latentlab repro` if none is given."""
    started = time.perf_counter()
    called(folder, *words or ("repro",))
    return time.perf_counter() - started


def called(folder: Path, *words: str) -> str:
    """What a command of `latentlab` says in a folder."""
    command = [sys.executable, "-c", "from latentlab.cli import main; main()", *words]
    done = subprocess.run(command, cwd=folder, env=environment(folder / "src"), check=False, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"latentlab {words[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stderr


def run_for_real(folder: Path, runs: list[tuple[float, ...]], num_workers: int) -> tuple[float, list[float]]:
    """Seconds of a call that gives stages to workers of this machine, which only wait, and those of each stage there."""
    write(folder, runs)
    for path in (paths.PARAMS, paths.ANALYSES_PARAMS, paths.FRONTIER_PARAMS):  # for what comes after the stages
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path)
    with cluster(folder, num_workers) as address:
        said = called(folder, "repro", "--cluster", address)
    [seconds] = re.findall(r"were up to date; ([\d.]+) s", said)
    return float(seconds), [float(each) for each in re.findall(r"([\d.]+) s on ", said)]


@contextmanager
def cluster(folder: Path, num_workers: int) -> Iterator[str]:
    """A scheduler and workers of one thread each; its address."""
    address, processes = "tcp://127.0.0.1:8790", []
    plain = ("--no-dashboard", "--host", "127.0.0.1")
    commands = [["scheduler", "--port", "8790", "--no-jupyter", *plain]]
    commands += [["worker", address, "--nthreads", "1", "--no-nanny", *plain]] * num_workers
    given = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    try:
        for command in commands:
            log = (folder / f"dask{len(processes)}.log").open("wb")
            processes.append(subprocess.Popen(["dask", *command], cwd=folder, env=given, stdout=log, stderr=log))
        yield address
    finally:
        for process in reversed(processes):  # a worker without its scheduler waits for it
            process.kill()
            process.wait()


def simulate(runs: list[tuple[float, ...]], num_workers: int, costs: Costs, seed: int = 0) -> Record:
    """Brings runs up to date on workers of one thread each.

    Args:
        runs: For each the seconds of its stages: the first one is the training, which the others wait for.
        num_workers: How many.
        costs: Beside that.
        seed: Of the failures.

    Returns:
        "hours" and "dollars"; the shares of the time in which "caller" and "network" are busy, dvc.lock is written, "lock",
        and runs are logged or looked for, "mlflow"; "failures".
    """
    draw = random.Random(seed)
    num_stages = sum(map(len, runs))
    now = costs.load_seconds * num_stages
    free_at, network_at = now, now  # the caller, its network
    busy = {"caller": now, "lock": 0.0, "network": 0.0}
    record_at, num_recorded = now + RECORD_EVERY_SECONDS, 0
    ready = deque((run, 0) for run in sorted(range(len(runs)), key=lambda run: -sum(runs[run])))
    events: list[tuple[float, int, int, bool]] = []
    num_left, logged_at = [len(run) for run in runs], 0.0
    idle, worked, num_failures = num_workers, 0.0, 0
    network_at += costs.first_bytes / costs.bytes_per_second  # once: the workers get it from each other

    def caller(seconds: float, at: float) -> float:
        nonlocal free_at
        free_at = max(free_at, at) + seconds
        busy["caller"] += seconds
        return free_at

    while True:
        while ready and idle:
            run, stage = ready.popleft()
            begun = caller(costs.stage_seconds / 2, now)
            seconds = costs.stage_bytes / costs.bytes_per_second
            network_at = max(network_at, begun) + seconds
            busy["network"] += seconds
            took = runs[run][stage] + costs.overhead_seconds
            idle -= 1
            fails_after = draw.expovariate(costs.failures_per_hour / 3600) if costs.failures_per_hour else float("inf")
            if fails_after < took:
                heapq.heappush(events, (network_at + fails_after + costs.notice_seconds, run, stage, False))
                worked += fails_after
            else:
                heapq.heappush(events, (network_at + took, run, stage, True))
                worked += took
        if not events:
            break
        now, run, stage, is_done = heapq.heappop(events)
        idle += 1
        if not is_done:
            num_failures += 1
            ready.appendleft((run, stage))
            continue
        now = caller(costs.stage_seconds / 2, now)
        num_left[run] -= 1
        if stage == 0:
            logged_at = max(logged_at, now) + costs.log_seconds
        if not num_left[run]:
            logged_at = max(logged_at, now) + costs.add_seconds
        num_recorded += 1
        if now > record_at:
            seconds = costs.lock_seconds * num_recorded
            busy["lock"] += seconds
            now = caller(seconds, now)
            record_at = now + max(RECORD_EVERY_SECONDS, seconds / RECORD_SHARE)
        if stage == 0:
            ready.extend((run, each) for each in range(1, len(runs[run])))
    end = caller(costs.lock_seconds * num_stages, now)
    busy["lock"] += costs.lock_seconds * num_stages
    end = max(end, logged_at) + costs.check_seconds * len(runs)
    return {
        "hours": end / 3600,
        "dollars": worked / 3600 * DOLLARS_PER_HOUR,
        "caller": busy["caller"] / end,
        "lock": busy["lock"] / end,
        "network": busy["network"] / end,
        "mlflow": (costs.log_seconds + costs.add_seconds + costs.check_seconds) * len(runs) / end,
        "failures": num_failures,
    }
