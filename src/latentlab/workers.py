"""One command of a stage in a worker process, which has torch, MLflow and scikit-learn loaded before the command comes.

On Linux all workers are forks of one process, which loads the libraries once for all of them. A worker forks again for each
stage. So a stage finds every library in memory, and yet has a process of its own: nothing that another stage left behind
(random states, figures, an MLflow run, environment variables) can reach it, and the sources of this package are read anew,
as they are by the processes that DVC starts.
"""

import ast
import ctypes
import importlib
import multiprocessing
import os
import runpy
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import NoReturn

from latentlab.errors import UserError

POLL_SECONDS = 0.05
# from the request to stop until the kill; an MLflow run is closed in the meantime
GRACE_SECONDS = 20.0
PACKAGE = "latentlab"
# whether a fork of torch is whole
FORKS = sys.platform == "linux"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# what they load only when a store is opened, a model is logged or a picture is drawn: most of the start-up of a stage
LATE = {
    "mlflow": ("mlflow.store.tracking.sqlalchemy_store", "mlflow.pytorch", "torch._dynamo", "torch.export._trace"),
    "matplotlib": ("matplotlib.figure",),
}


@dataclass(frozen=True)
class Job:
    """The commands of a stage, all that DVC gives to their processes, and where their output goes.

    `commands` are as people write them, `calls` the same as arguments for the system. A file that appears at `stop` asks
    the job to end. `modules` are the stages that this worker may be given, this one too: it loads their libraries at once.
    """

    commands: list[str]
    calls: list[list[str]]
    folder: str
    environment: dict[str, str]
    output: Path
    stop: Path
    modules: list[str]


def serve(job: Job) -> int:
    """Runs a job in a worker, which is not to fall over the Ctrl-C that is meant for the scheduler."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return run(job)


def run(job: Job) -> int:
    """Runs the commands of a job one after the other until one fails; the last exit code, -n after signal n."""
    for command, call in zip(job.commands, job.calls, strict=True):
        arguments = stage_arguments(command)
        if arguments and _may_fork():
            _load_libraries(job.modules, job.environment)
            code = _wait(_fork(job, arguments), job.stop)
        else:
            call = [sys.executable, "-m", *arguments] if arguments else call
            code = _wait(_start(job, call), job.stop)
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


def _may_fork() -> bool:
    """Whether this process works for nobody else, so that a copy of it is complete."""
    return FORKS and _was_fresh() and threading.active_count() == 1


@cache
def _was_fresh() -> bool:
    """Whether it had one thread before we loaded anything; Arrow's allocator then adds one, which copes with forks."""
    alone = len(list(Path("/proc/self/task").iterdir())) == 1
    return alone and threading.current_thread() is threading.main_thread()


def module_of(stage: str) -> str:
    """The module of a stage, by the stage's name in dvc.yaml."""
    return f"{PACKAGE}.stages.{stage}"


def may_be_forks() -> bool:
    """Whether processes of multiprocessing may be forks of the one that `preload` starts.

    That one listens at a socket, whose path may have 107 bytes, 32 of them below the folder for temporary files.
    """
    return FORKS and len(os.fsencode(tempfile.gettempdir())) <= 107 - 32


def start_method() -> ForkServerContext | SpawnContext:
    """How a process of multiprocessing starts here: as such a fork, or else from nothing."""
    return multiprocessing.get_context("forkserver") if may_be_forks() else multiprocessing.get_context("spawn")


@contextmanager
def errors_of_workers() -> Iterator[None]:
    """Makes it one clear error that a worker cannot start or has gone.

    Raises:
        UserError: It was killed, or the process that workers are forks of was.
    """
    try:
        yield
    except (EOFError, ConnectionError, BrokenProcessPool) as error:
        raise UserError(
            "a worker process, or the one that has loaded the libraries for it, was killed: is memory short? "
            "With more of it, or fewer workers, run the same again"
        ) from error


def preload(modules: Sequence[str], environment: Mapping[str, str]) -> None:
    """Starts the process that workers are forks of, and has it load what those modules will import.

    It is multiprocessing's fork server. Where there can be none, nothing happens, and each worker loads them itself. To be
    called by the main thread.

    Args:
        modules: Those of this package that the workers will run.
        environment: Of the workers; only what libraries read while they are loaded counts.
    """
    if not may_be_forks():
        return
    wanted = _while_loading(environment)
    before = {name: os.environ.get(name) for name in wanted}
    loaded = dict.fromkeys(each for module in modules for each in libraries(module))
    forkserver.set_forkserver_preload([f"{PACKAGE}.quickend", *loaded])
    os.environ.update(wanted)
    # Ctrl-C is for the process that wants the work, which asks the others to end: they ignore it from their beginning
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, heard)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _while_loading(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that libraries read when they are loaded: one thread, as `stages.start` gives each stage its own number."""
    # progress bars of several stages at once are no use to anybody
    wanted = {"TQDM_DISABLE": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    return {name: environment.get(name, value) for name, value in wanted.items()} | dict.fromkeys(THREADS, "1")


def _load_libraries(modules: list[str], environment: dict[str, str]) -> None:
    """Loads what those modules will import, as far as it is not there yet."""
    os.environ.update(_while_loading(environment))
    for library in dict.fromkeys(library for module in modules for library in libraries(module)):
        if library not in sys.modules:
            try:
                importlib.import_module(library)
            except Exception:
                continue  # the stage will say it


def libraries(module: str) -> list[str]:
    """Modules outside of this package that a module of it imports, itself or through others of this package.

    They are read from the sources: importing ours would keep them as they are now, also for a later stage that
    is to run with them changed.
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source(name)
        if name in seen or path is None:
            continue
        seen.add(name)
        waiting.append(name.rpartition(".")[0])  # a package is run before what is in it
        for node in ast.walk(ast.parse(path.read_bytes())):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported = [node.module]
                if node.module.split(".")[0] == PACKAGE:
                    imported += [f"{node.module}.{alias.name}" for alias in node.names]
            for each in imported:
                if each.split(".")[0] == PACKAGE:
                    waiting.append(each)
                elif each.split(".")[0] not in sys.stdlib_module_names:
                    found |= dict.fromkeys((each, *LATE.get(each, ())))
    return list(found)


def _source(module: str) -> Path | None:
    path = Path(__file__).parent.joinpath(*module.split(".")[1:])
    files = [path / "__init__.py", path.with_suffix(".py")]
    return next((file for file in files if module and file.is_file()), None)


def _fork(job: Job, arguments: list[str]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    return child or _be_stage(job, arguments, parent)


def _be_stage(job: Job, arguments: list[str], parent: int) -> NoReturn:
    """The life of the forked process: the module is run as `python -m` runs it."""
    code = 1
    try:
        os.setsid()  # Ctrl-C reaches the scheduler alone, which then stops each stage once
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: nobody would wait for the stage of a dead worker
        multiprocessing.set_start_method(None, force=True)  # the system's, where the worker has joblib's
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getppid() != parent:
            os._exit(1)
        with job.output.open("ab") as output, Path(os.devnull).open("rb") as nothing:
            for stream, number in ((nothing, 0), (output, 1), (output, 2)):
                os.dup2(stream.fileno(), number)
        os.environ.clear()
        os.environ.update(job.environment)
        os.chdir(job.folder)
        sys.path.insert(0, job.folder)
        sys.argv = list(arguments)
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


def reason(code: int, output: str) -> str:
    """Why a stage failed, in one line: what it said itself, else the last line of its traceback."""
    if code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return said[-1] if said else f"exit code {code}" + (f": {lines[-1]}" if lines else "")


@contextmanager
def backend_ready(name: str) -> Iterator[None]:
    """Makes a backend known to joblib, starts it where it has to be started, and stops it in the end.

    Ray is that of RAY_ADDRESS, Dask's scheduler that of DASK_SCHEDULER_ADDRESS; without these they start here.

    Raises:
        UserError: joblib does not know it, it is not installed, or there is nothing at its address.
    """
    import joblib
    from joblib.externals.loky.backend import context

    with ExitStack() as stack:
        try:
            if name == "ray":  # joblib would start it in several threads at the same time
                import ray
                from ray.util.joblib import register_ray

                register_ray()
                ray.init()
                stack.callback(ray.shutdown)
            elif name == "dask":
                from distributed import Client

                stack.enter_context(Client())
            elif name == "loky" and may_be_forks():
                context.set_start_method("forkserver", force=True)
                stack.callback(context.set_start_method, None, force=True)
            with joblib.parallel_config(backend=name):
                pass
        except (ImportError, ValueError, OSError) as error:
            raise UserError(f"--backend {name}: {' '.join(str(error).split())}") from error
        yield


def _start(job: Job, call: list[str]) -> subprocess.Popen[bytes]:
    with job.output.open("ab") as output:
        return subprocess.Popen(
            call, cwd=job.folder, env=job.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip


def _wait(process: int | subprocess.Popen[bytes], stop: Path) -> int:
    """The exit code of a process, which is asked to end once its job is to stop, and after a while made to."""
    number = process if isinstance(process, int) else process.pid
    parent, asked = os.getppid(), 0.0
    while True:
        if isinstance(process, int):
            ended, status = os.waitpid(number, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else None
        else:
            code = process.poll()
        if code is not None:
            return code
        if not asked and (stop.exists() or os.getppid() != parent or _is_left_alone()):
            asked = time.monotonic()
            _signal(number, signal.SIGTERM)
        elif asked and time.monotonic() - asked > GRACE_SECONDS:
            _signal(number, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def _is_left_alone() -> bool:
    """Whether the process that started this one through a fork server has gone, which its fork server may not have."""
    employer = multiprocessing.parent_process()
    try:
        return employer is not None and not employer.is_alive()
    except ValueError:  # a process of loky's own has nothing to ask; its parent is the one that the system says
        return False


def _signal(number: int, which: signal.Signals) -> None:
    try:
        os.killpg(number, which)
    except ProcessLookupError:
        os.kill(number, which)
