"""How many images per second?

Of training alone, with the published settings; the median over the rounds, least and most in brackets. The reference is the
sources' way: torchvision, ToTensor, DataLoader, torch's defaults, all cores. Ours is one training on all cores; and, not on
a GPU, one with one thread on each core at once, summed, which is what `latentlab repro` does. They take turns, in the other
direction each second round, and a ratio is taken within its round.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from benchmarks import reference
from benchmarks.processes import at_once
from benchmarks.task import Record, Task, ratios, spread, whole_batches
from benchmarks.training import NUM_VALIDATION, Job, Records, ours


def measure(task: Task) -> Iterator[Record]:
    """Yields a record for each variant."""
    crew = task.processes
    contestants: dict[str, tuple[Callable[[Job], Records], list[ProcessPoolExecutor]]] = {
        "reference": (reference.theirs, [crew.reference]),
        "all_cores": (ours, [crew.whole]),
    }
    if task.device == "cpu":
        contestants["one_thread_each"] = (ours, crew.singles)
    for name in task.variants:
        batch_size = task.project.training_of(name, "published").batch_size
        num_images = whole_batches(task.num_images, batch_size)
        job = Job(name, "published", task.dataset, task.device, num_images, NUM_VALIDATION, epochs=1)
        for contestant in contestants.values():  # warm up
            rate(*contestant, replace(job, num_images=whole_batches(num_images // 8, batch_size)))
        found: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        for number in range(task.num_rounds):
            for contestant in list(contestants)[:: -1 if number % 2 else 1]:
                found[contestant].append(rate(*contestants[contestant], job))
        record: Record = {"variant": name, "batch_size": batch_size}
        for contestant, rates in found.items():
            record[contestant] = spread(rates)
            if contestant != "reference":
                record[f"{contestant}_ratio"] = spread(ratios(rates, found["reference"]))
        yield record


def rate(train: Callable[[Job], Records], processes: list[ProcessPoolExecutor], job: Job) -> float:
    """Images per second of all processes that train at the same time, as if all took as long as the slowest."""
    assert job.num_images
    answers = at_once(processes, train, [replace(job, seed=seed) for seed in range(len(processes))])
    return len(processes) * job.num_images / max(records[0]["seconds"] for records in answers)
