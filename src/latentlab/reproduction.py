"""One call of `latentlab repro`: what is stale runs, stage by stage, as soon as what it depends on is there."""

import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib
from dvc.dvcfile import PROJECT_FILE, Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotFoundError
from dvc.stage.run import _make_cmd, get_executable, prepare_kwargs
from joblib.externals.loky import get_reusable_executor

from latentlab import workers
from latentlab.dvcfiles import check_cached, drop_corrupted, put_in_order, rewritten, stage_names
from latentlab.faults import MachineError, explain
from latentlab.processes import signals_noted
from latentlab.schedule import Schedule

Stage = Any  # DVC's own has no types
SECONDS = "latentlab-seconds.json"
# DVC reads and writes the whole dvc.lock, seconds for a hundred stages: so not after each of them
RECORD_EVERY_SECONDS = 20.0
# after which a worker ends; another is a matter of milliseconds, and no one else ends those of a process that was killed
IDLE_SECONDS = 10
USER, CRASH, INTERRUPTED = 2, 1, 128


class Reproduction:
    """One call of `latentlab repro`.

    Args:
        repo: The project, locked.
        targets: As for `dvc repro`; all of the pipeline if none is given.
        num_jobs: Stages that run at the same time.
        num_threads: Of each stage.
        backend: Name of a joblib backend that is ready.
        scratch: A folder for files that nobody needs afterwards, on the disk of the project.

    Raises:
        DvcException: A target or the project cannot be used.
    """

    def __init__(
        self, repo: Repo, targets: Sequence[str], num_jobs: int, num_threads: int, backend: str, scratch: Path
    ) -> None:
        graph = get_active_graph(repo.index.graph)
        pipeline = str(Path(PROJECT_FILE).absolute())
        whole = [stage for stage in repo.index.stages if stage.path == pipeline]  # saves reading it once more
        planned = plan_repro(graph, whole if whole and not targets else collect_stages(repo, targets or [PROJECT_FILE]))
        self.repo, self.num_jobs, self.backend, self.scratch = repo, num_jobs, backend, scratch
        self.planned: list[Stage] = planned
        self.needs = {stage: [each for each in graph.successors(stage) if each in set(planned)] for stage in planned}
        self.seconds_file = Path(repo.tmp_dir) / SECONDS
        self.seconds: dict[str, float] = _read_seconds(self.seconds_file)
        known = {stage: self.seconds.get(stage.addressing, (stage.meta or {}).get("seconds", 1.0)) for stage in planned}
        self.schedule = Schedule(self.needs, known)
        self.environment = {} if "OMP_NUM_THREADS" in os.environ else dict.fromkeys(workers.THREADS, str(num_threads))
        self.num_begun = self.num_ran = self.num_restored = 0
        self.failures: dict[Stage, int] = {}
        self.stopped: list[Stage] = []
        self.unrecorded: list[Stage] = []
        self.names_before: dict[Path, list[str]] = {}
        self.recorded_at = time.monotonic()

    def run(self) -> int:
        """Runs what is stale; the exit code."""
        started = time.monotonic()
        running: dict[Future[int], tuple[Stage, float]] = {}
        # A joblib.Parallel takes its tasks from an iterable, which must not wait for a result: the thread that would
        # deliver it is the one that asks for the next task. So a thread for each slot hands joblib one stage at a time.
        slots = ThreadPoolExecutor(self.num_jobs)
        with signals_noted() as received, slots:
            try:
                while not received:
                    while len(running) < self.num_jobs and not received and (stage := self.schedule.take()):
                        if (job := self._begin(stage)) is not None:
                            if self.backend == "loky" and not self.num_begun:
                                workers.preload(job.modules, job.environment)
                            self.num_begun += 1
                            running[slots.submit(self._work, job)] = stage, time.monotonic()
                    if not running:
                        break
                    self._collect(running)
            finally:
                # a stage that runs is asked to end, and its worker waits until it has
                (self.scratch / "stop").touch()
                while running:
                    self._collect(running, stopping=True)
                self._record()
                order = [stage.name for stage in self.planned if isinstance(stage, PipelineStage)]
                for lock, before in self.names_before.items():
                    put_in_order(lock, before, order, self.scratch)
                if self.backend == "loky":
                    get_reusable_executor(reuse=True).shutdown(kill_workers=True)  # they are idle: it saves their farewell
                self.seconds_file.write_text(json.dumps(self.seconds), encoding="utf-8")
        return self._conclude(time.monotonic() - started, received)

    def _begin(self, stage: Stage) -> workers.Job | None:
        """What DVC does before it runs a stage; None if there is nothing to run."""
        try:
            if not stage.changed(False, self.needs[stage]):
                self.schedule.finish(stage)
                return None
            if stage.frozen or not stage.cmd:  # data, imports: DVC's own
                stage.reproduce(upstream=self.needs[stage])
            else:
                stage.remove_outs(ignore_remove=False, force=False)
                try:
                    self.repo.stage_cache.restore(stage)
                except RunCacheNotFoundError:
                    stage.save_deps()
                    return self._job(stage)
            self.num_restored += 1
            self._finish(stage, "from DVC's cache")
        except (DvcException, MachineError, OSError) as error:
            self._fault(stage, error)
        return None

    def _job(self, stage: Stage) -> workers.Job:
        commands = stage.cmd if isinstance(stage.cmd, list) else stage.cmd.splitlines()
        calls = [_make_cmd(get_executable(), command) for command in commands]
        process = prepare_kwargs(stage)
        dependants = self.schedule.dependants(stage)
        later = [stage, *(each for each in self.planned if each in dependants)]
        called = [workers.stage_arguments(each.cmd)[:1] for each in later if isinstance(each.cmd, str)]
        return workers.Job(
            commands,
            [call if isinstance(call, list) else [call] for call in calls],
            str(process["cwd"]),
            process["env"] | self.environment | {"TQDM_DISABLE": "1"},
            self._output(stage),
            self.scratch / "stop",
            list(dict.fromkeys(module for modules in called for module in modules)),
        )

    def _output(self, stage: Stage) -> Path:
        return self.scratch / f"{self.planned.index(stage)}.out"

    def _work(self, job: workers.Job) -> int:
        config = {"idle_worker_timeout": IDLE_SECONDS} if self.backend == "loky" else {}
        with joblib.parallel_config(backend=self.backend, **config):
            # for one worker joblib starts none, and runs the task here
            (code,) = joblib.Parallel(n_jobs=max(2, self.num_jobs))([joblib.delayed(workers.serve)(job)])
        return int(code)

    def _collect(self, running: dict[Future[int], tuple[Stage, float]], stopping: bool = False) -> None:
        """Waits a moment, and takes leave of the stages that have ended."""
        ended, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
        for future in ended:
            stage, started = running.pop(future)
            path = self._output(stage)
            output = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            error = future.exception()
            code = 1 if error else future.result()
            if code == 0:
                self.num_ran += 1
                self.seconds[stage.addressing] = round(time.monotonic() - started, 2)
                try:
                    self._finish(stage, f"{self.seconds[stage.addressing]:.1f} s")
                except (DvcException, MachineError, OSError) as wrong:
                    self._fault(stage, wrong)
            elif not stopping:
                if error:
                    message = f"its worker died, killed or out of memory ({type(error).__name__})"
                else:
                    message = workers.reason(code, output)
                self._fail(stage, USER if code == USER else CRASH, message)
                if code == USER:
                    continue
            else:
                self.stopped.append(stage)
            if output:
                _say("\n".join(f"    {line}" for line in output.splitlines()))

    def _finish(self, stage: Stage, how: str) -> None:
        """What DVC does after a stage has run."""
        if stage.cmd and not stage.frozen:
            # DVC's own condition, in Stage.run
            whole = all(out.use_cache or out.is_metric or out.is_plot for out in stage.outs)
            stage.save(run_cache=whole)
            for name in drop_corrupted(stage):
                _say(f"{stage.addressing}: the object {name} in DVC's cache was damaged: made anew")
            stage.commit()
            check_cached(stage)
        self.unrecorded.append(stage)
        self.schedule.finish(stage)
        if time.monotonic() - self.recorded_at > RECORD_EVERY_SECONDS:
            self._record()
        _say(f"[{len(self.schedule.done)}/{len(self.planned)}] {stage.addressing}  {how}")

    def _fault(self, stage: Stage, error: Exception) -> None:
        fault = str(error) if isinstance(error, MachineError) else explain(error, Path.cwd())
        self._fail(stage, USER if fault else CRASH, fault or in_one_line(error))

    def _fail(self, stage: Stage, code: int, message: str) -> None:
        self.failures[stage] = code
        self.schedule.fail(stage)
        _say(f"error: {stage.addressing}: {message}")

    def _record(self) -> None:
        """Writes the stages done since the last time into DVC's files."""
        pipelines: dict[str, list[Stage]] = {}
        for stage in self.unrecorded:
            if isinstance(stage, PipelineStage):
                pipelines.setdefault(stage.path, []).append(stage)
            else:  # a .dvc file
                stage.dump(update_pipeline=False)
        for stages in pipelines.values():
            path = Path(stages[0].dvcfile._lockfile.path)
            self.names_before.setdefault(path, stage_names(path))
            with rewritten(path, self.scratch) as copy:
                Lockfile(self.repo, str(copy), verify=False).dump_stages(stages)
        self.unrecorded, self.recorded_at = [], time.monotonic()

    def _conclude(self, seconds: float, received: list[int]) -> int:
        """Says what became of it all; the exit code."""
        left = [stage for stage in self.planned if stage not in set(self.schedule.done) | set(self.failures)]
        if not received and not self.failures:
            unchanged = len(self.planned) - self.num_ran - self.num_restored
            if unchanged == len(self.planned):
                _say("Data and pipelines are up to date.")
            else:
                parts = [f"{self.num_ran} ran", f"{self.num_restored} from DVC's cache", f"{unchanged} were up to date"]
                _say(f"{', '.join(parts)}; {seconds:.1f} s")
            return 0
        if left and not received:
            _say(f"not run: {', '.join(stage.addressing for stage in left)}")
        if received:
            if self.stopped:
                _say(f"stopped: {', '.join(stage.addressing for stage in self.stopped)}")
            names = [stage.addressing for stage in left if stage not in self.stopped]
            if names:  # which of them are stale nobody has looked yet
                shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
                _say(f"not begun: {shown}")
            _say("interrupted; what has finished is kept, and the next call goes on from there")
            return INTERRUPTED + received[0]
        return CRASH if CRASH in self.failures.values() else USER


def _say(text: str) -> None:
    """Tells people, if they are still there: that a terminal is gone or `head` has read enough must not stop the work."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _read_seconds(path: Path) -> dict[str, float]:
    """How long each stage took when it last ran here."""
    try:
        return {str(name): float(seconds) for name, seconds in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # it only makes the order better


def in_one_line(error: BaseException) -> str:
    """An error and its cause, which is where DVC says what is wrong in a file, in one line."""
    text = f"{error}\n{error.__cause__ or ''}"
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
