"""Which runtime is the fastest?

A whole autoencoder on the processor, on one thread: torch against ONNX Runtime with what `latentlab export` writes, in
float32 and quantised to int8. Latency is that of a call with one image, in milliseconds; images per second are those of
calls with 256. The runtimes take turns. The weights are untrained, which makes no difference to the time.
"""

import statistics
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.processes import ask
from benchmarks.task import Record, Task, spread
from benchmarks.training import data_of
from latentlab import models
from latentlab.models import onnxmodels
from latentlab.models.check import code_shape
from latentlab.models.onnxmodels import AUTOENCODER, Runtime
from latentlab.models.trained import CPU, TrainedModel
from latentlab.params.variants import Variant

BATCH_SIZE = 256
NUM_SINGLE = 25  # calls with one image in each round


def measure(task: Task) -> Iterator[Record]:
    """Yields a record for each variant and runtime."""
    for name in task.variants:
        arguments = task.project.variant(name), task.dataset, task.num_rounds
        for runtime, found in ask(task.processes.singles[0], speeds, *arguments).items():
            yield {"variant": name, "runtime": runtime, **found}


def speeds(variant: Variant, dataset: str, num_rounds: int) -> dict[str, Record]:
    """By runtime, "latency_ms" with one image, and "images_per_second" with a batch."""
    images = data_of(dataset).train.images
    channels, height, width = images.shape[1:]
    shape = channels, height, width
    model = TrainedModel("", variant, shape, {}, code_shape(variant, shape), models.build(variant, shape, 0).eval(), CPU)
    exported = onnxmodels.to_onnx(model, AUTOENCODER)
    inputs = onnxmodels.calibration_images(data_of(dataset).train.images, variant).numpy()
    runtimes: dict[str, Runtime] = {
        "torch": onnxmodels.in_torch(model, AUTOENCODER),
        "onnx float32": onnxmodels.in_onnxruntime(exported),
        "onnx int8": onnxmodels.in_onnxruntime(onnxmodels.quantised(exported, inputs)),
    }
    batch = inputs[:BATCH_SIZE]
    latencies: dict[str, list[float]] = {name: [] for name in runtimes}
    rates: dict[str, list[float]] = {name: [] for name in runtimes}
    for number in range(num_rounds + 1):
        for name, runtime in runtimes.items():
            single = [1000 * _seconds(runtime, batch[:1]) for _ in range(NUM_SINGLE)]
            rate = len(batch) / _seconds(runtime, batch)
            if number:  # memory is laid out and kernels are chosen in the first calls
                latencies[name].append(statistics.median(single))
                rates[name].append(rate)
    return {name: {"latency_ms": spread(latencies[name]), "images_per_second": spread(rates[name])} for name in runtimes}


def _seconds(runtime: Runtime, inputs: np.ndarray) -> float:
    started = time.perf_counter()
    runtime(inputs)
    return time.perf_counter() - started
