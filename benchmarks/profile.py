"""Where does a step's time go?

Shares of an epoch on one thread: convolutions and matrix products; batch normalisation; the optimiser with all it calls;
other operators, as activations, losses and copies; outside of operators, Python among it. Operators are timed in a second
run of the same epoch. A GPU works beside Python, so that there is no such table of one.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.processes import ask
from benchmarks.task import Record, Task, spread, whole_batches
from benchmarks.training import Job, records_of

# names of torch's operators
KINDS = {
    "products": {"convolution", "convolution_backward", "addmm", "mm", "bmm", "_linear_pointwise"},
    "norms": {"native_batch_norm", "native_batch_norm_backward"},
}


def measure(task: Task) -> Iterator[Record]:
    """Yields a record for each variant and recipe."""
    if task.device != "cpu":
        return
    for name in task.variants:
        for recipe in ("published", "fast"):
            num_images = whole_batches(task.num_images // 4, task.project.training_of(name, recipe).batch_size)
            job = Job(name, recipe, task.dataset, task.device, num_images, num_validation=1, epochs=1)
            rounds = [ask(task.processes.singles[0], shares, job) for _ in range(task.num_rounds + 1)][1:]
            record: Record = {"variant": name, "recipe": recipe}
            yield record | {key: spread([each[key] for each in rounds]) for key in rounds[0]}


class Stopwatch(TorchDispatchMode):
    """Adds up the seconds of operators by `KINDS`; all of a step of an optimiser is the optimiser's.

    torch's own profiler takes memory as it goes, so that operators meet pages that the system has yet to fill.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = dict.fromkeys([*KINDS, "optimiser", "others"], 0.0)
        self.is_optimising = False

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operator."""
        started = time.perf_counter()
        result = operator(*args, **(kwargs or {}))
        seconds = time.perf_counter() - started
        name = operator.overloadpacket.__name__
        kind = next((each for each, names in KINDS.items() if name in names), "others")
        self.seconds["optimiser" if self.is_optimising else kind] += seconds
        return result

    def optimising(self, value: bool) -> Callable[..., None]:
        """A hook of optimisers."""

        def note(*_: Any) -> None:
            self.is_optimising = value

        return note


def shares(job: Job) -> dict[str, float]:
    """Shares of an epoch, which together are 1."""
    [record] = records_of(job)
    watch = Stopwatch()
    hooks = [
        register_optimizer_step_pre_hook(watch.optimising(True)),
        register_optimizer_step_post_hook(watch.optimising(False)),
    ]
    try:
        epochs = records_of(job)
        with watch:
            list(epochs)
    finally:
        for hook in hooks:
            hook.remove()
    found = {kind: seconds / record["epoch_seconds"] for kind, seconds in watch.seconds.items()}
    return found | {"outside": 1 - sum(found.values())}
