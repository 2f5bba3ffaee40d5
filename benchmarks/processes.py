"""The processes that measure.

The reference has a process of its own with torch's defaults, since what ours are told about threads and memory is for good.
All stay alive for all rounds, so that no round pays for imports.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from latentlab.training import devices

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Processes:
    """`reference` has torch's defaults; `whole` is a stage on all cores, `singles` are stages on one thread, one a core."""

    reference: ProcessPoolExecutor
    whole: ProcessPoolExecutor
    singles: list[ProcessPoolExecutor]


@contextmanager
def processes(num_cores: int) -> Iterator[Processes]:
    """Processes that end with the context; each begins with the first thing that it is asked."""
    for variable in THREADS:
        os.environ.pop(variable, None)
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:

        def process(*arguments: Any) -> ProcessPoolExecutor:
            return stack.enter_context(ProcessPoolExecutor(1, context, *arguments))

        singles = [process(_as_a_stage, (1,)) for _ in range(num_cores)]
        yield Processes(process(), process(_as_a_stage, (num_cores,)), singles)


def _as_a_stage(num_threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    devices.keep_memory()
    devices.pin_threads()


def ask(process: ProcessPoolExecutor, call: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in that process."""
    return process.submit(call, *arguments).result()


def at_once(each: Sequence[ProcessPoolExecutor], call: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
    """What a function of one argument returns in several processes at the same time."""
    asked = [process.submit(call, argument) for process, argument in zip(each, arguments, strict=True)]
    return [future.result() for future in asked]
