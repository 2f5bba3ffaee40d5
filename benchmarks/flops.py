"""What share of the machine's matrix products?

Convolutions and matrix products of our loop, forward and backward: 2 FLOP a multiply-accumulate; activations, norms, loss
and optimiser are not counted. The peak is a large matrix product in the same process, precision and number of threads, by
torch.matmul or by oneDNN, whichever is faster. The share is taken within each round.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from benchmarks.processes import ask
from benchmarks.task import Record, Task, ratios, spread, whole_batches
from benchmarks.training import NUM_VALIDATION, Job, ours
from latentlab import models
from latentlab.data.images import degrade
from latentlab.evaluation.complexity import flop_counter
from latentlab.params.variants import Variant
from latentlab.training import devices

PEAK_SECONDS = 0.5


def measure(task: Task) -> Iterator[Record]:
    """Yields a record for each variant, recipe and number of threads."""
    crew = {len(task.processes.singles): task.processes.whole}
    if task.device == "cpu":
        crew |= {1: task.processes.singles[0]}
    for name in task.variants:
        flop = flop_per_image(task.project.variant(name), task.project.datasets[task.dataset].shape)
        for recipe in ("published", "fast"):
            training = task.project.training_of(name, recipe)
            num_images = whole_batches(task.num_images // 2, training.batch_size)
            job = Job(name, recipe, task.dataset, task.device, num_images, NUM_VALIDATION, epochs=1)
            for num_threads, process in crew.items():
                ask(process, ours, replace(job, num_images=whole_batches(num_images // 8, training.batch_size)))
                achieved, peaks = [], []
                for _ in range(task.num_rounds):
                    peaks.append(ask(process, peak, training.precision, task.device) / 1e9)
                    achieved.append(flop * num_images / ask(process, ours, job)[0]["seconds"] / 1e9)
                yield {
                    "variant": name,
                    "recipe": recipe,
                    "precision": str(devices.precision(training.precision, devices.resolve(task.device)))[6:],
                    "threads": num_threads,
                    "MFLOP_per_image": flop / 1e6,
                    "GFLOP/s": spread(achieved),
                    "peak_GFLOP/s": spread(peaks),
                    "share": spread(ratios(achieved, peaks)),
                }


def flop_per_image(variant: Variant, shape: models.Shape) -> int:
    """Floating-point operations of a training step, by image."""
    model, target = models.build(variant, shape, 0), torch.zeros(2, *shape)  # one image has no variance
    x = degrade(target, variant.downsampling)
    with flop_counter() as counter:
        model.loss(x, target, torch.Generator())["loss"].backward()
    return int(counter.get_total_flops()) // len(target)


def peak(precision: str, device: str) -> float:
    """FLOP/s of a large matrix product, the best of half a second of them in the fastest way that torch has."""
    place = devices.resolve(device)
    size = 8192 if place.type == "cuda" else 2048
    a, b = (torch.rand(size, size, device=place).to(devices.precision(precision, place)) for _ in range(2))
    product = a @ b
    ways: list[Callable[[], Any]] = [lambda: torch.matmul(a, b, out=product)]
    if place.type == "cpu" and torch.backends.mkldnn.is_available():
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""))
    least = float("inf")
    for multiply in ways:
        end = time.perf_counter() + PEAK_SECONDS
        while (started := time.perf_counter()) < end:
            multiply()
            _wait(place)
            least = min(least, time.perf_counter() - started)
    return 2 * size**3 / least


def _wait(device: torch.device) -> None:
    """Waits for a GPU, which works on while the clock is read."""
    if device.type != "cpu":
        torch.accelerator.synchronize()
