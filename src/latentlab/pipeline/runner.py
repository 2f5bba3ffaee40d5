"""One call of `latentlab repro`: what is stale runs, stage by stage, as soon as what it depends on is there.

DVC says what is stale, restores what is in its cache, and keeps the outputs, all in this process and one stage after the
other; only the commands of the stages run elsewhere, in workers.
"""

import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import joblib
from dvc.dependency.param import ParamsDependency
from dvc.dvcfile import LOCK_FILE, PROJECT_FILE
from dvc.exceptions import DownloadError, DvcException
from dvc.lock import LockError
from dvc.logger import set_loggers_level
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.scm import SCMError
from dvc.stage.run import _make_cmd, get_executable, prepare_kwargs
from rich.console import Console

from latentlab import paths
from latentlab.environment import LOGGED_LATER
from latentlab.errors import MachineError, UserError, explain
from latentlab.params.strict import read_yaml
from latentlab.pipeline import workers
from latentlab.pipeline.cluster import CODE, Cluster, Ended, connected, unpack
from latentlab.pipeline.dvc import (
    Locks,
    Stage,
    check_out,
    forget_users,
    has_conflict,
    keep_both_sides,
    other_process,
    parameters_read_once,
    restore,
    save,
)
from latentlab.pipeline.progress import Watch
from latentlab.pipeline.workers import CRASH, USER

SECONDS = "latentlab-seconds.json"
# DVC reads and writes the whole dvc.lock, seconds for a hundred stages: so not after each of them
RECORD_EVERY_SECONDS = 20.0
# nor for more than this share of the time: with thousands of stages one writing takes longer than that
RECORD_SHARE = 0.05
INTERRUPTED = 128
# a stage whose worker died is taken again so often
MAX_RETRIES = 2
POLL_SECONDS = 0.2
# of a stage on the cluster, beside what its worker has
ELSEWHERE = {"TQDM_DISABLE": "1", LOGGED_LATER: "1"}


def reproduce(targets: Sequence[str], num_jobs: int | None, cluster: str | None = None, pull: bool = False) -> int:
    """Brings the targets and all that they depend on up to date.

    Args:
        targets: Stages, groups of stages or dvc.yaml files, as for `dvc repro`; all of dvc.yaml if none is given.
        num_jobs: Stages that run at the same time here; as many as this process may use cores if None.
        cluster: Address of a Dask scheduler, on whose workers the stages run that take long; None for this machine alone.
        pull: Whether to take from DVC's remote first what DVC's cache lacks.

    Returns:
        The exit code: 0; 2 if a stage failed by what a user can mend, 1 if by anything else; 128 + n after signal n.

    Raises:
        UserError: A target, the project or the cluster cannot be used, or another DVC process is at work.
    """
    num_jobs = num_jobs or joblib.cpu_count()
    try:
        with (
            set_loggers_level(logging.ERROR), parameters_read_once(), Repo() as repo, lock_repo(repo),
            repo.scm_context(quiet=True), TemporaryDirectory(dir=repo.tmp_dir) as scratch,
            workers.stopped_in_the_end(), connected(cluster, _say) if cluster else nullcontext() as elsewhere,
        ):  # fmt: skip
            if other := other_process(repo):
                raise UserError(f"another DVC process is at work here: {other}")
            forget_users(repo)
            for path in filter(has_conflict, _parameter_files()):
                read_yaml(path)  # says where
            for path in conflicts():
                keep_both_sides(path, Path(scratch))
                _say(f"{path}: the stages of both sides of the merge are kept")
            reproduction = Reproduction(repo, targets, num_jobs, elsewhere, Path(scratch))
            if pull:
                reproduction.pull()
            return reproduction.run()
    except LockError as error:
        other = other_process(repo)
        raise UserError(f"another DVC process is at work here: {other}" if other else _in_one_line(error)) from error
    except DvcException as error:
        hint = (
            ": run `git init` here, or `dvc config core.no_scm true` to do without" if isinstance(error, SCMError) else ""
        )
        raise UserError(_in_one_line(error) + hint) from error
    except OSError as error:
        if (fault := explain(error, Path.cwd())) is None:
            raise
        raise MachineError(fault) from error
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        # what DVC's parser raises of a number or date that is none depends on what is wrong: ours says it, and where
        for path in _parameter_files():
            read_yaml(path)
        raise


def conflicts() -> list[Path]:
    """The dvc.lock files in which a merge has left both sides."""
    return [path for path in (Path(LOCK_FILE), *sorted(Path().glob(f"*/{LOCK_FILE}"))) if has_conflict(path)]


def _parameter_files() -> list[Path]:
    return [path for path in (paths.PARAMS, paths.FOUND, *Path().glob("*/params.yaml")) if path.exists()]


class Order:
    """The order of stages: one is ready once all that it needs are done, and the longest way to the end goes first.

    Args:
        needs: For each stage those that come directly before it; a stage comes after those it needs.
        seconds: How long each stage takes.
    """

    def __init__(self, needs: Mapping[Stage, Collection[Stage]], seconds: Mapping[Stage, float]) -> None:
        self._sorter = TopologicalSorter(needs)
        self._sorter.prepare()
        self._ready: list[Stage] = []
        # seconds from the start of a stage until nothing more depends on it
        self._remaining = dict.fromkeys(needs, 0.0)
        for stage in reversed(list(needs)):
            self._remaining[stage] += seconds[stage]
            for before in needs[stage]:
                self._remaining[before] = max(self._remaining[before], self._remaining[stage])

    def take(self, may: Callable[[Stage], bool]) -> Stage | None:
        """The most urgent of the stages that are ready and may begin; None if there is none."""
        self._ready += self._sorter.get_ready()
        chosen = max(filter(may, self._ready), key=self._remaining.__getitem__, default=None)
        if chosen is not None:
            self._ready.remove(chosen)
        return chosen

    def has_ready(self) -> bool:
        """Whether a stage is ready that was not taken yet."""
        return bool(self._ready)

    def give_back(self, stage: Stage) -> None:
        """A stage that was taken is ready again."""
        self._ready.append(stage)

    def finish(self, stage: Stage) -> None:
        """A stage is done. What needs one that is never finished never gets ready."""
        self._sorter.done(stage)


@dataclass(frozen=True)
class Running:
    """A stage that runs.

    Attributes:
        stage: DVC's.
        output: The file with what it prints.
        is_elsewhere: Whether it runs on the cluster.
        started: When it was given to a worker.
    """

    stage: Stage
    output: Path
    is_elsewhere: bool
    started: float


class Reproduction:
    """One call of `latentlab repro`.

    Args:
        repo: The project, locked.
        targets: As for `dvc repro`; all of dvc.yaml if none is given.
        num_jobs: Stages that run at the same time here; they share out the cores as threads.
        cluster: Where the stages run that take long; None for here.
        scratch: A folder for files that nobody needs afterwards, on the disk of the project.

    Raises:
        DvcException: A target or the project cannot be used.
    """

    def __init__(self, repo: Repo, targets: Sequence[str], num_jobs: int, cluster: Cluster | None, scratch: Path) -> None:
        self.repo, self.num_jobs, self.cluster, self.scratch = repo, num_jobs, cluster, scratch
        graph = get_active_graph(repo.index.graph)
        self.planned: list[Stage] = plan_repro(graph, _stages_of(repo, targets or [PROJECT_FILE]))
        planned = set(self.planned)
        self.needs = {stage: [each for each in graph.successors(stage) if each in planned] for stage in self.planned}
        self.seconds_file = Path(repo.tmp_dir) / SECONDS
        self.seconds = read_seconds(self.seconds_file)
        guesses = {stage.addressing: (stage.meta or {}).get("seconds", 1.0) for stage in self.planned}
        self.order = Order(self.needs, {stage: (guesses | self.seconds)[stage.addressing] for stage in self.planned})
        self.watch = Watch(guesses, self.seconds, num_jobs, Console(stderr=True))
        num_threads = max(1, joblib.cpu_count() // num_jobs)
        self.environment = {} if "OMP_NUM_THREADS" in os.environ else dict.fromkeys(workers.THREADS, str(num_threads))
        self.locks = Locks(self.planned, scratch)
        self.record_at = time.monotonic() + RECORD_EVERY_SECONDS
        self.unrecorded: list[Stage] = []
        self.finished: set[Stage] = set()
        self.failures: dict[Stage, int] = {}
        self.stopped: list[Stage] = []
        self.running: dict[Future[Any], Running] = {}  # of `workers.run`, or `Ended`
        self.inputs = {stage: self._inputs(stage) for stage in self.planned if cluster and _travels(stage)}
        self.num_uses = Counter(group for groups in self.inputs.values() for group in groups)
        self.to_log: dict[str, Stage] = {}  # the runs of which stages have ended elsewhere, and the first of these
        self.logged: list[Future[int]] = []  # of these one after the other
        self.num_retries: Counter[Stage] = Counter()
        self.num_ran = self.num_restored = 0
        self.remote = repo.config["core"].get("remote")

    def pull(self) -> None:
        """Fetches what DVC's remote has of the planned stages into DVC's cache.

        Raises:
            UserError: There is no remote.
            DvcException: It cannot be used.
        """
        if not self.remote:
            raise UserError("there is no DVC remote to take anything from: dvc remote add --default NAME URL")
        try:
            count = self.repo.fetch([stage.addressing for stage in self.planned], run_cache=True)
            _say(f"{count} files from DVC's remote")
        except DownloadError as error:
            _say(f"DVC's remote does not have everything: {_in_one_line(error)}")
        self.remote = None  # no need to name it any more

    def run(self) -> int:
        """Runs what is stale; the exit code."""
        started = time.monotonic()
        with signals_noted() as received, self.watch.bars:
            try:
                while not received:
                    if self.cluster:
                        self.cluster.look()
                    self._log()
                    while not received and (stage := self.order.take(self._has_room())):
                        self._begin(stage)
                    if not self.running and not self.order.has_ready():
                        break
                    self._collect()
                if self.logged or self.to_log:
                    self.to_log[""] = self.planned[-1]  # of no run: their means
                while not received and self._log():
                    time.sleep(POLL_SECONDS)
            finally:
                # a stage that runs is asked to end, and its worker waits until it has
                (self.scratch / "stop").touch()
                if self.cluster:
                    self.cluster.cancel()
                while self.running:
                    self._collect(stopping=True)
                self._record()
                self.seconds_file.write_text(json.dumps(self.seconds), encoding="utf-8")
        return self._conclude(time.monotonic() - started, received)

    def _begin(self, stage: Stage) -> None:
        """What DVC does before it runs a stage; then a worker runs it, if it is to run."""
        try:
            if not stage.changed(False, self.needs[stage]):
                self._done(stage)
                return
            if stage.frozen or not stage.cmd:  # data, imports: DVC's own
                stage.reproduce(upstream=self.needs[stage])
            elif not self._from_cache(stage):
                self._start(stage)
                return
            self.num_restored += 1
            self._finish(stage, "from DVC's cache")
        except (BrokenExecutor, DvcException, MachineError, OSError) as error:
            self._fault(stage, error)

    def _has_room(self) -> Callable[[Stage], bool]:
        """Tells of a stage whether a worker for it has nothing to do at present."""
        here = sum(not running.is_elsewhere for running in self.running.values()) < self.num_jobs
        elsewhere = {on_gpu: self.cluster.has_room(on_gpu) for on_gpu in (False, True)} if self.cluster else {}
        return lambda stage: elsewhere[_is_training(stage)] if stage in self.inputs else here

    def _start(self, stage: Stage) -> None:
        """Gives a stage to a worker."""
        job = self._job(stage)
        job.output.unlink(missing_ok=True)
        is_elsewhere = self.cluster is not None and stage in self.inputs
        future: Future[Any]
        if self.cluster and is_elsewhere:
            variables = {name: os.environ.get(name, "1") for name in workers.THREADS} | ELSEWHERE
            outputs = _paths(stage.outs)
            inputs = self.inputs[stage]
            future = self.cluster.submit(stage.addressing, job.commands, variables, inputs, outputs, _is_training(stage))
        else:
            future = workers.submit(self.num_jobs, job)
        self.running[future] = Running(stage, job.output, is_elsewhere, time.monotonic())
        self.watch.begin(stage.addressing)

    def _inputs(self, stage: Stage) -> list[tuple[Path, ...]]:
        """What a stage on the cluster gets: sources, parameters, the outputs of all stages above it, what it depends on."""
        above: dict[Stage, None] = {}
        new = [stage]
        while new:
            new = [each for each in dict.fromkeys(before for one in new for before in self.needs[one]) if each not in above]
            above |= dict.fromkeys(new)
        made = [_paths(each.outs) for each in above]
        rest = [path for path in _paths(stage.deps) if not any({path, *path.parents} & {*outs} for outs in made)]
        return [CODE, *filter(None, made), *((path,) for path in rest)]

    def _from_cache(self, stage: Stage) -> bool:
        """Whether the outputs of a stage are there again without running it."""
        if not stage.changed(True, self.needs[stage]):  # but for outputs that are missing
            is_there, damaged = check_out(stage)
            self._say_damaged(stage, damaged)
            if is_there:
                return True
            if self.remote and any(out.use_cache and not out.exists for out in stage.outs):
                _say(f"outputs are missing that DVC's remote `{self.remote}` may have: Ctrl-C, then latentlab repro --pull")
                self.remote = None  # said once
        stage.remove_outs(ignore_remove=False, force=False)
        is_there, damaged = restore(stage)
        self._say_damaged(stage, damaged)
        return is_there

    def _job(self, stage: Stage) -> workers.Job:
        process = prepare_kwargs(stage)
        return workers.Job(
            commands=stage.cmd if isinstance(stage.cmd, list) else stage.cmd.splitlines(),
            shell=_make_cmd(get_executable(), "")[:-1],
            folder=str(process["cwd"]),
            environment=process["env"] | self.environment | {"TQDM_DISABLE": "1"},
            output=self.scratch / f"{self.planned.index(stage)}.out",
            stop=self.scratch / "stop",
        )

    def _collect(self, stopping: bool = False) -> None:
        """Waits a moment, and takes leave of the stages that have ended."""
        ended, _ = wait(self.running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        if not self.running:  # all that is ready waits for the cluster
            time.sleep(POLL_SECONDS)
        for name, where in self.cluster.began() if self.cluster else ():
            self.watch.place(name, where)
        self.watch.show()
        for future in ended:
            running = self.running.pop(future)
            stage, error = running.stage, future.exception()
            seconds, where = time.monotonic() - running.started, ""
            if self.cluster and running.is_elsewhere:
                self.cluster.done(future)
            if error and not stopping and self.num_retries[stage] < MAX_RETRIES:
                self.num_retries[stage] += 1
                _say(f"{stage.addressing}: {_why(error)}: taken again")
                self.watch.end(stage.addressing)
                self.order.give_back(stage)
                continue
            try:
                result = CRASH if error else future.result()
                if isinstance(result, Ended):
                    unpack(result.files, Path())
                    running.output.write_text(result.output, encoding="utf-8")
                    seconds, where = result.seconds, f" on {result.where}"
                code = result.code if isinstance(result, Ended) else result
                output = running.output.read_text(encoding="utf-8", errors="replace") if running.output.exists() else ""
                self.watch.end(stage.addressing, seconds if code == 0 else None)
                if code == 0:
                    self.num_ran += 1
                    self.seconds[stage.addressing] = round(seconds, 2)
                    self._say_damaged(stage, save(stage))
                    self._finish(stage, f"{seconds:.1f} s{where}")
                    if where and (run := _run(stage)):
                        self.to_log.setdefault(run, stage)
            except (DvcException, MachineError, OSError) as wrong:
                self._fault(stage, wrong)
                continue
            if stopping and code != 0:
                self.stopped.append(stage)
            elif error:
                self._fail(stage, CRASH, _why(error))
            elif code != 0:
                self._fail(stage, USER if code == USER else CRASH, workers.reason(code, output))
            if output and code != USER:  # its one line has been said
                _say("\n".join(f"    {line}" for line in output.splitlines()))

    def _finish(self, stage: Stage, how: str) -> None:
        """Takes note of a stage whose outputs are there and kept."""
        self.unrecorded.append(stage)
        self._done(stage)
        if time.monotonic() > self.record_at:
            self._record()
        _say(f"[{len(self.finished)}/{len(self.planned)}] {stage.addressing}  {how}")

    def _done(self, stage: Stage) -> None:
        """Takes note of a stage that needs nothing more."""
        self.finished.add(stage)
        self.order.finish(stage)
        if self.cluster and stage in self.inputs:
            self.num_uses.subtract(self.inputs[stage])
            self.cluster.forget(group for group in self.inputs[stage] if not self.num_uses[group])
        self.watch.end(stage.addressing)

    def _log(self) -> bool:
        """Logs what has ended elsewhere, one run after the other, while the rest goes on; whether there is more to do."""
        if not self.logged or self.logged[-1].done():
            if not self.to_log:
                return False
            run, stage = next(iter(self.to_log.items()))
            job = replace(self._job(stage), commands=[f"python -m latentlab.stages.log {run}"])
            with suppress(BrokenExecutor):  # a worker has died in this moment: once more
                self.logged.append(workers.submit(self.num_jobs, job))
                del self.to_log[run]
        return True

    def _say_damaged(self, stage: Stage, names: Sequence[str]) -> None:
        for name in names:
            _say(f"{stage.addressing}: the object {name} in DVC's cache was damaged: made anew")

    def _fault(self, stage: Stage, error: Exception) -> None:
        fault = str(error) if isinstance(error, MachineError) else explain(error, Path.cwd())
        if isinstance(error, FileNotFoundError) and error.filename:  # DVC looks at the user's images before the stage does
            where = Path(os.path.relpath(error.filename))
            if where == paths.source(where.name):
                fault = (
                    f"{where} is not there; your images belong into it, or it is a link to them, and their line into "
                    "`datasets:` in params.yaml: docs/datasets.md"
                )
        self._fail(stage, USER if fault else CRASH, fault or _in_one_line(error))

    def _fail(self, stage: Stage, code: int, message: str) -> None:
        self.failures[stage] = code
        self.watch.end(stage.addressing)
        _say("\n".join(f"error: {line}" for line in f"{stage.addressing}: {message}".split("\n")))

    def _record(self) -> None:
        """Writes the stages done since the last time into DVC's files."""
        started = time.monotonic()
        self.locks.write(self.unrecorded)
        now = time.monotonic()
        self.unrecorded, self.record_at = [], now + max(RECORD_EVERY_SECONDS, (now - started) / RECORD_SHARE)

    def _conclude(self, seconds: float, received: Sequence[int]) -> int:
        """Says what became of it all; the exit code."""
        left = [stage.addressing for stage in self.planned if stage not in self.finished | {*self.failures, *self.stopped}]
        if received:
            if self.stopped:
                _say(f"stopped: {', '.join(stage.addressing for stage in self.stopped)}")
            if left:  # which of them are stale nobody has looked yet
                _say(f"not begun: {_some(left)}")
            _say("interrupted; what has finished is kept, and the next call goes on from there")
            return INTERRUPTED + received[0]
        if left:
            _say(f"not run: {_some(left)}")
        if any(future.exception() or future.result() for future in self.logged):
            _say("MLflow lacks what was made since: latentlab sync sends it later")
        if self.failures:
            return CRASH if CRASH in self.failures.values() else USER
        unchanged = len(self.planned) - self.num_ran - self.num_restored
        if unchanged == len(self.planned):
            _say("Data and pipelines are up to date.")
        else:
            _say(f"{self.num_ran} ran, {self.num_restored} from DVC's cache, {unchanged} were up to date; {seconds:.1f} s")
        return 0


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """The signals to stop that came in the meantime; after the first of them, another one ends this process at once."""
    received: list[int] = []
    former: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def note(number: int, _frame: object) -> None:
        received.append(number)
        restore()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        former[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        restore()


def _travels(stage: Stage) -> bool:
    """Whether a stage is worth the way to a cluster: dvc.yaml says how many seconds it takes, and it is one of ours."""
    is_long = "seconds" in (stage.meta or {})
    return is_long and isinstance(stage.cmd, str) and bool(workers.stage_arguments(stage.cmd))


def _is_training(stage: Stage) -> bool:
    return str(stage.name).partition("@")[0] == "train"


def _run(stage: Stage) -> str:
    """The run that a stage is of, as stages are given it in their arguments; empty if it is of none."""
    module, *words = workers.stage_arguments(stage.cmd)
    own = {"train": 0, "evaluate": 0, "probe": 0, "analyse": 1}.get(module.rpartition(".")[2])
    return "" if own is None else " ".join(words[own:])


def _paths(outputs: Iterable[Any]) -> tuple[Path, ...]:
    """The files and folders of outputs or dependencies of DVC's, but for parameters."""
    found = (each.fs_path for each in outputs if not isinstance(each, ParamsDependency))
    return tuple(dict.fromkeys(Path(os.path.relpath(path)) for path in found))


def _why(error: BaseException) -> str:
    """Why a stage did not come to an end."""
    if isinstance(error, MachineError):
        return str(error)
    return f"its worker died, killed or out of memory ({type(error).__name__})"


def _stages_of(repo: Repo, targets: Sequence[str]) -> list[Stage]:
    """The stages of the targets; by files, names and groups they are known: DVC would read each file once more."""
    known: dict[str, list[Stage]] = {}
    for stage in repo.index.stages:
        for name in {os.path.relpath(stage.path), stage.addressing, stage.addressing.partition("@")[0]}:
            known.setdefault(name, []).append(stage)
    return list(dict.fromkeys(stage for name in targets for stage in known.get(name) or collect_stages(repo, [name])))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _say(text: str) -> None:
    """Tells people, if they are still there: that a terminal is gone or `head` has read enough must not stop the work."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def read_seconds(path: Path) -> dict[str, float]:
    """How long each stage took when it last ran here."""
    try:
        return {str(name): float(seconds) for name, seconds in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # it only makes the order better


def _in_one_line(error: BaseException) -> str:
    """An error and its cause, which is where DVC says what is wrong in a file, in one line."""
    text = f"{error}\n{error.__cause__ or ''}"
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
