"""Worker processes that stay, and the commands of stages that they run.

On Linux a worker imports what a stage imports once, and forks for each stage. So a stage finds every library in memory, and
yet has a process of its own: nothing that another stage left behind (random states, figures, an MLflow run, environment
variables) can reach it. It reads the sources of this package anew, as the processes that DVC starts do.
"""

import ctypes
import importlib
import multiprocessing
import os
import runpy
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from joblib.externals.loky import process_executor, reusable_executor

from latentlab.environment import LOGGED_LATER

PACKAGE = "latentlab"
# exit codes: of a clear error of the user's, of all else that fails
USER, CRASH = 2, 1
POLL_SECONDS = 0.05
# from the request to stop until the kill; an MLflow run is closed in the meantime
GRACE_SECONDS = 20.0
# after which a worker that has nothing to do ends; no one else ends those of a process that was killed
IDLE_SECONDS = 60
# whether a fork of torch is whole
FORKS = sys.platform == "linux"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Of a worker: what libraries read when they are loaded. Each stage gets its own number of threads.
ENVIRONMENT = {
    "TQDM_DISABLE": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", **dict.fromkeys(THREADS, "1")
}  # fmt: skip
# what they load only when images are split, a store is opened, a model is logged or a picture is drawn: most of the
# start-up of a stage
LATE = {
    "mlflow": (
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.pytorch",
        "torch._dynamo",
        "torch.export._trace",
        "sklearn.model_selection",
    ),
    "matplotlib": ("matplotlib.figure",),
}


@dataclass(frozen=True)
class Job:
    """The commands of a stage, all that DVC gives to their processes, and where their output goes.

    Attributes:
        commands: As people write them.
        shell: What calls a command that is none of ours; the command follows.
        folder: The working directory.
        environment: All variables.
        output: A file, to which output and errors are appended.
        stop: A file that asks the job to end when it appears.
    """

    commands: list[str]
    shell: list[str]
    folder: str
    environment: dict[str, str]
    output: Path
    stop: Path


@contextmanager
def stopped_in_the_end() -> Iterator[None]:
    """At the end of the block no worker is left."""
    try:
        yield
    finally:
        if reusable_executor._executor is not None:
            # to take torch and MLflow apart would take them seconds
            reusable_executor._executor.shutdown(kill_workers=True)


def submit(num_workers: int, job: Job) -> Future[int]:
    """Gives a job to one of so many workers of this machine, which start with the first one.

    The future holds what `run` returns, or the error that a worker died of.
    """
    # another executor than for the job before where a worker has died
    executor = reusable_executor.get_reusable_executor(
        num_workers, timeout=IDLE_SECONDS, initializer=_begin, env=ENVIRONMENT
    )
    # Ctrl-C is for the process that wants the work, which asks the others to end: they ignore it from their beginning
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        future: Future[int] = executor.submit(run, job)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return future


def _begin() -> None:
    """The first that a worker does."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    process_executor._USE_PSUTIL = False  # that a worker grows by hundreds of MB, the libraries, is no leak


def run(job: Job) -> int:
    """Runs the commands of a job one after the other until one fails; the last exit code, -n after signal n."""
    for command in job.commands:
        arguments = stage_arguments(command)
        if arguments and _may_fork():
            _load(arguments[0], logs=LOGGED_LATER not in job.environment)
            child = _fork(job, arguments)
            code = _wait(child, partial(_poll, child), job.stop)
        else:
            process = _start(job, [sys.executable, "-m", *arguments] if arguments else [*job.shell, command])
            code = _wait(process.pid, process.poll, job.stop)
        if code != 0:
            return code
    return 0


def stage_arguments(command: str) -> list[str]:
    """Module and arguments of `python -m latentlab.stages.X ...`; empty for any other command, which is the shell's."""
    if set(command) & set("|&;<>()$`\\*?[]#~=%!{}\n"):
        return []
    words = shlex.split(command)
    ours = words[:2] == ["python", "-m"] and len(words) > 2 and words[2].startswith(f"{PACKAGE}.stages.")
    return words[2:] if ours else []


def reason(code: int, output: str) -> str:
    """Why a stage failed: what it said itself, else the last line of its traceback."""
    if code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return "\n".join(said) if said else f"exit code {code}" + (f": {lines[-1].strip()}" if lines else "")


def _may_fork() -> bool:
    """Whether this process works for nobody else, so that a copy of it is complete."""
    return FORKS and threading.current_thread() is threading.main_thread() and threading.active_count() == 1


def _load(module: str, *, logs: bool) -> None:
    """Imports a stage, and with it the libraries that it needs, without those for MLflow's store if it does not log."""
    with suppress(Exception):  # the stage will say it
        importlib.import_module(module)
        for library, late in LATE.items():
            for name in late if library in sys.modules else ():
                if logs or not name.startswith("mlflow"):
                    importlib.import_module(name)


def _fork(job: Job, arguments: list[str]) -> int:
    """The number of a copy of this process in which the module is run as `python -m` runs it."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    if child := os.fork():
        return child
    code = 1
    try:
        os.setsid()  # Ctrl-C reaches the scheduler alone, which then stops each stage once
        _end_with_parent()
        multiprocessing.set_start_method(None, force=True)  # the system's, where the worker has joblib's
        multiprocessing.process._parent_process = None  # type: ignore[attr-defined] # which is the worker's
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if os.getppid() != parent:
            os._exit(1)
        with job.output.open("ab") as output, Path(os.devnull).open("rb") as nothing:
            for stream, number in ((nothing, 0), (output, 1), (output, 2)):
                os.dup2(stream.fileno(), number)
        os.environ.clear()
        os.environ.update(job.environment)
        os.chdir(job.folder)
        sys.path[:0] = [job.folder, *filter(None, job.environment.get("PYTHONPATH", "").split(os.pathsep))]
        sys.argv = list(arguments)
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]
        importlib.invalidate_caches()
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _start(job: Job, call: list[str]) -> subprocess.Popen[bytes]:
    with job.output.open("ab") as output:
        return subprocess.Popen(
            call, cwd=job.folder, env=job.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, preexec_fn=_end_with_parent if FORKS else None,
        )  # fmt: skip


def _end_with_parent() -> None:
    """Nobody would wait for the stage of a dead worker, and another worker takes it again."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _poll(child: int) -> int | None:
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _wait(process: int, poll: Callable[[], int | None], stop: Path) -> int:
    """The exit code of a process, which is asked to end once its job is to stop, and after a while made to."""
    parent, asked = os.getppid(), 0.0
    while (code := poll()) is None:
        if not asked and (stop.exists() or os.getppid() != parent):
            asked = time.monotonic()
            _signal(process, signal.SIGTERM)
        elif asked and time.monotonic() - asked > GRACE_SECONDS:
            _signal(process, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    return code


def _signal(process: int, which: signal.Signals) -> None:
    try:
        os.killpg(process, which)
    except ProcessLookupError:
        os.kill(process, which)
