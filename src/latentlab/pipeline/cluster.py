"""Stages on the machines of a Dask cluster: what a stage needs travels there, and what it makes comes back.

On a worker a stage has a folder of its own, with the project's sources and parameters, what it depends on, and the outputs
of all stages above it. What is equal has one key, so it travels to a worker once. Only the calling process has to do with
DVC, with MLflow and with the project's files, so two copies of a stage cannot mix theirs, and no worker gets a secret.
"""

import io
import logging
import os
import platform
import shutil
import socket
import tarfile
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from latentlab import paths
from latentlab.errors import MachineError, UserError, no_space
from latentlab.pipeline import workers

# what every stage may read, beside what dvc.yaml says of it
CODE = (
    Path("src/latentlab"), paths.PARAMS, paths.ANALYSES_PARAMS, paths.ONECLASS_PARAMS, paths.FRONTIER_PARAMS,
    paths.STUDY_PARAMS, paths.FOUND,
)  # fmt: skip
_LOOK_EVERY_SECONDS = 2.0
_POLL_SECONDS = 0.2
# of Dask's own, in a call that waits for an answer
_ANSWER_SECONDS = 30
# with less than that left on its disk a worker is to blame for a failure, and not the stage
_FULL_BYTES = 2**24
# what Dask raises where nobody answers; its own errors of that kind are OSErrors
_AWAY = (OSError, TimeoutError)
# beside Python, what has to be of one version everywhere
_SAME = ("latentlab", "torch")


@dataclass(frozen=True)
class Ended:
    """How a stage ended on a worker.

    Attributes:
        code: As of `workers.run`.
        output: What it printed.
        files: Its outputs, packed.
        seconds: How long it took there.
        where: The machine's name.
    """

    code: int
    output: str
    files: bytes
    seconds: float
    where: str


class WorkerError(MachineError):
    """A worker cannot run stages any more; the second argument is its address."""

    def __str__(self) -> str:
        return str(self.args[0])


def pack(files: Iterable[Path], folder: Path = Path()) -> bytes:
    """Files and folders below a folder, those that are there, empty ones too; equal contents give equal bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        for path in (folder / each for each in files):
            for each in [path, *sorted(path.rglob("*"))]:
                if each.exists() and "__pycache__" not in each.parts:
                    archive.add(each, each.relative_to(folder), recursive=False, filter=_plain)
    return buffer.getvalue()


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def unpack(packed: bytes, folder: Path) -> None:
    """Writes packed files below a folder, as files of now: DVC takes what has the size and time of before for the same."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter=_of_now)


def _of_now(entry: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    return tarfile.data_filter(entry, path).replace(mtime=None)  # type: ignore[arg-type] # which typeshed does not know


def run_here(
    name: str, commands: list[str], variables: Mapping[str, str], outputs: Collection[Path], topic: str, *inputs: bytes
) -> Ended:
    """Runs a stage on the Dask worker that this is called on.

    The stage is asked to end if nobody wants it any more: its caller has cancelled it or is gone, or the worker ends.

    Args:
        name: Of the stage.
        commands: As of `workers.Job`.
        variables: Of its environment, beside those of the worker.
        outputs: The files and folders that it makes.
        topic: Where the caller hears of its beginning.
        *inputs: Packed files.

    Raises:
        WorkerError: The disk of this worker is full.
    """
    from distributed import get_worker

    worker, started = get_worker(), time.monotonic()
    task = worker.state.tasks[worker.get_current_task()]
    worker.log_event(topic, (name, socket.gethostname()))
    with TemporaryDirectory(prefix="latentlab-", dir=worker.local_directory) as scratch:
        folder, output, stop = (Path(scratch) / part for part in ("project", "output", "stop"))
        try:
            for packed in inputs:
                unpack(packed, folder)
            places = {"DVC_ROOT": str(folder), "PYTHONPATH": str(folder / "src")}
            job = workers.Job(commands, [], str(folder), {**os.environ, **variables, **places}, output, stop)
            future = workers.submit(worker.state.nthreads, job)
            while not wait([future], _POLL_SECONDS).done:
                if task.state != "executing" or worker.status.name not in ("running", "paused"):
                    stop.touch()
            code = future.result()
            said = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
            files = pack(outputs, folder) if code == 0 else b""
        except OSError:
            code = workers.CRASH
            if shutil.disk_usage(scratch).free >= _FULL_BYTES:
                raise
        if code and shutil.disk_usage(scratch).free < _FULL_BYTES:
            raise WorkerError(f"{socket.gethostname()}: {no_space(Path(worker.local_directory))}", worker.address)
    return Ended(code, said, files, time.monotonic() - started, socket.gethostname())


@dataclass(frozen=True)
class _Worker:
    """A worker that stages can run on: its threads, and its GPUs as it was told them."""

    num_threads: int
    num_gpus: int


@dataclass(frozen=True)
class _Task:
    """A stage that was given to Dask: its future there, and the workers that it may run on."""

    remote: Any
    where: frozenset[str]


class Cluster:
    """The workers of a Dask scheduler.

    Args:
        address: Of that scheduler.
        say: Tells people a line.

    Raises:
        OSError: Nothing answers there.
    """

    def __init__(self, address: str, say: Callable[[str], None]) -> None:
        self.address, self.say = address, say
        self.topic = f"latentlab-{uuid4().hex}"
        self._workers: dict[str, _Worker | None] = {}  # by address; None for one that cannot be used
        self._paused: set[str] = set()  # of them those that take nothing at present, as their memory is full
        self._looked_at = -_LOOK_EVERY_SECONDS
        self._tasks: dict[Future[Ended], _Task] = {}
        self._sent: dict[tuple[Path, ...], Any] = {}
        self._began: deque[tuple[str, str]] = deque()
        self._trouble = ""  # as it was said last
        self._connect(_ANSWER_SECONDS)

    def _connect(self, timeout: int) -> None:
        from distributed import Client

        self.client = Client(self.address, timeout=timeout, set_as_default=False)
        self.client.subscribe_topic(self.topic, lambda event: self._began.append(event[1]))

    def has_room(self, on_gpu: bool) -> bool:
        """Whether a worker has nothing to do.

        Args:
            on_gpu: Whether a GPU makes the stage faster.
        """
        able = self._able(on_gpu)
        room = sum(each.num_gpus if on_gpu and each.num_gpus else each.num_threads for each in able.values())
        return sum(not task.where.isdisjoint(able) for task in self._tasks.values()) < room

    def _able(self, on_gpu: bool) -> dict[str, _Worker]:
        """The workers for such a stage: if some have GPUs, these are for what GPUs make faster, and the others are not."""
        usable = {key: worker for key, worker in self._workers.items() if worker and key not in self._paused}
        return {key: worker for key, worker in usable.items() if bool(worker.num_gpus) == on_gpu} or usable

    def submit(
        self, name: str, commands: list[str], variables: Mapping[str, str], inputs: Collection[tuple[Path, ...]],
        outputs: Collection[Path], on_gpu: bool,
    ) -> Future[Ended]:  # fmt: skip
        """Gives a stage to a worker.

        Args:
            name: Of the stage.
            commands: As of `workers.Job`.
            variables: Of its environment, beside those of the worker.
            inputs: Groups of files and folders; a group travels as one piece, and stays on the workers until `forget`.
            outputs: The files and folders that come back.
            on_gpu: As for `has_room`.
        """
        able, future, remote = self._able(on_gpu), Future[Ended](), None
        gpus = {"GPU": 1} if on_gpu and any(worker.num_gpus for worker in able.values()) else None
        try:
            for group in inputs:
                if group not in self._sent:
                    self._sent[group] = self.client.scatter(pack(group), hash=True)
            sent = [self._sent[group] for group in inputs]
            remote = self.client.submit(
                run_here, name, commands, dict(variables), list(outputs), self.topic, *sent,
                key=f"{name}-{uuid4().hex}", pure=False, workers=list(able), resources=gpus,
            )  # fmt: skip
            remote.add_done_callback(partial(_settle, future))
        except _AWAY as error:  # between two looks the last worker has gone, or the scheduler
            future.set_exception(error)
        self._tasks[future] = _Task(remote, frozenset(able))
        return future

    def forget(self, groups: Iterable[tuple[Path, ...]]) -> None:
        """No stage needs these groups of files any more."""
        for group in groups:
            self._sent.pop(group, None)

    def began(self) -> Iterator[tuple[str, str]]:
        """The stages that have begun since the last time, with the machines they run on."""
        while self._began:
            yield self._began.popleft()

    def done(self, future: Future[Ended]) -> None:
        """Takes leave of a stage that has ended; of one that a worker took with it, what was sent may be lost too."""
        del self._tasks[future]
        error = future.exception()
        if isinstance(error, WorkerError):
            self._workers[error.args[1]] = None
        elif error:
            self._sent.clear()
            # until they have been looked at; those that cannot be used stay what they are
            self._workers = {address: worker for address, worker in self._workers.items() if worker is None}
            self._looked_at = -_LOOK_EVERY_SECONDS

    def cancel(self) -> None:
        """Asks all stages to end."""
        with suppress(*_AWAY):
            self.client.cancel([task.remote for task in self._tasks.values() if task.remote])

    def look(self) -> None:
        """Takes note of workers that have come or gone, and gives up the stages of those that are gone for good."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY_SECONDS:
            return
        try:
            if self.client.status == "closed":  # after some seconds without an answer it gives up
                self._sent.clear()
                self._connect(timeout=5)
            found = self.client.scheduler_info(n_workers=-1)["workers"] if self.client.status == "running" else None
            new = {address: about for address, about in (found or {}).items() if address not in self._workers}
            faults = self._faults(new)
        except _AWAY:
            found, new, faults = None, {}, {}
        self._looked_at = time.monotonic()
        self._workers = {address: worker for address, worker in self._workers.items() if address in (found or {})}
        for address, about in new.items():
            fault = faults.get(address, "")
            if fault:
                self.say(f"worker {about['name']} on {about['host']} is not used: {fault}")
            gpus = int(about["resources"].get("GPU", 0))
            self._workers[address] = None if fault else _Worker(about["nthreads"], gpus)
        self._paused = {address for address, about in (found or {}).items() if about["status"] != "running"}
        if found is None:
            self._say_trouble(f"the scheduler at {self.address} does not answer: waiting for it (Ctrl-C does not)")
        elif not self._able(on_gpu=True):
            self._say_trouble("there is no worker that can be used: waiting for one (Ctrl-C does not)")
        else:
            self._say_trouble("")
            lost = [task.remote for task in self._tasks.values() if task.remote and task.where.isdisjoint(found)]
            if lost:
                self.client.cancel(lost)

    def _faults(self, new: Mapping[str, Any]) -> dict[str, str]:
        """Why workers cannot be used, of those that cannot."""
        faults = {address: "it has a nanny: start it with --no-nanny" for address, about in new.items() if about["nanny"]}
        questions = {"Python": platform.python_version} | {name: partial(version, name) for name in _SAME}
        for name, ask in questions.items():
            if left := [address for address in new if address not in faults]:
                there = self.client.run(ask, workers=left, on_error="return")
                faults |= {key: f"{name} {each}, and {ask()} here" for key, each in there.items() if each != ask()}
        return faults

    def _say_trouble(self, text: str) -> None:
        if text not in ("", self._trouble):
            self.say(text)
        self._trouble = text


def _settle(future: Future[Ended], remote: Any) -> None:
    """Gives a future what came of Dask's."""
    try:
        future.set_result(remote.result())
    except BaseException as error:
        future.set_exception(error)


@contextmanager
def connected(address: str, say: Callable[[str], None]) -> Iterator[Cluster]:
    """The cluster whose scheduler has that address.

    Raises:
        UserError: Dask is not installed, or nothing answers there.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it has to say is said here
    try:
        cluster = Cluster(address, say)
    except ImportError as error:
        raise UserError(f"--cluster {address} needs Dask: pip install 'latentlab[cluster]' ({error})") from error
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--cluster {address}: no Dask scheduler answers there: {reason}") from error
    try:
        yield cluster
    finally:
        cluster.client.close(timeout=5)
