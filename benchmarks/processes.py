"""The processes that measure, from the side of the one that asks. It loads no torch, so as to be in nobody's way."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import latentlab
from latentlab.errors import UserError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ROOT = Path(__file__).parents[1]


def environment(num_threads: int | None) -> dict[str, str]:
    """That of a process of ours: this very code, and that many threads or the libraries' own choice."""
    found = {key: value for key, value in os.environ.items() if key not in THREADS}
    paths = [str(Path(latentlab.__file__).parents[1]), str(ROOT)]
    found["PYTHONPATH"] = os.pathsep.join(paths)
    found["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{found.get('PATH', '')}"  # `python` of the stages
    return found | (dict.fromkeys(THREADS, str(num_threads)) if num_threads else {})


class Worker:
    """One process of `benchmarks.worker`."""

    def __init__(self, mode: str, num_threads: int | None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", mode, str(num_threads or 0)],
            env=environment(num_threads), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the one that asks, which then ends this one
        )  # fmt: skip

    def send(self, call: str, **request: Any) -> None:
        """Asks, and does not wait."""
        assert self.process.stdin
        with suppress(BrokenPipeError):  # `receive` says it
            print(json.dumps({"call": call} | request), file=self.process.stdin, flush=True)

    def receive(self) -> dict[str, Any]:
        """The answer.

        Raises:
            UserError: The process said what is wrong, or it has died.
        """
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise UserError(f"a process that measures ended with exit code {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UserError(answer["error"])
        return answer

    def ask(self, call: str, **request: Any) -> dict[str, Any]:
        """Asks, and waits for the answer."""
        self.send(call, **request)
        return self.receive()

    def close(self) -> None:
        """Ends the process, whatever it does."""
        self.process.kill()
        self.process.communicate()


def at_once(workers: list[Worker], requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of several workers that work at the same time."""
    for worker, request in zip(workers, requests, strict=True):
        worker.send(**request)
    return [worker.receive() for worker in workers]


class Workers:
    """The workers of a bench: made when first needed, and shared by its parts.

    `whole` has our settings and all cores, `singles` one thread each, one worker for each core; `theirs` has torch's
    defaults.
    """

    def __init__(self, stack: ExitStack, num_cores: int) -> None:
        self.stack = stack
        self.num_cores = num_cores
        self.made: dict[str, list[Worker]] = {}

    @property
    def whole(self) -> Worker:  # noqa: D102
        return self._get("whole", "ours", self.num_cores, 1)[0]

    @property
    def singles(self) -> list[Worker]:  # noqa: D102
        return self._get("singles", "ours", 1, self.num_cores)

    @property
    def theirs(self) -> Worker:  # noqa: D102
        return self._get("theirs", "theirs", None, 1)[0]

    def _get(self, name: str, mode: str, num_threads: int | None, num: int) -> list[Worker]:
        if name not in self.made:
            self.made[name] = [Worker(mode, num_threads) for _ in range(num)]
            for worker in self.made[name]:
                self.stack.callback(worker.close)
        return self.made[name]


@contextmanager
def workers(num_cores: int) -> Iterator[Workers]:
    """Workers that end with the context."""
    with ExitStack() as stack:
        yield Workers(stack, num_cores)
