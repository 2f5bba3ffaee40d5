"""What runs a model, torch or ONNX Runtime, and how fast?"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from onnx import ModelProto

from latentlab.onnxmodels import Part
from latentlab.usermodels import UserModel

Array = np.ndarray
Runtime = Callable[[Array], Array]  # from a batch to a batch, both float32

BATCH_SIZE = 256  # of the throughput
NUM_ROUNDS = 20
NUM_SINGLE = 25  # calls with one image in each round


@dataclass(frozen=True)
class Speed:
    """Medians: seconds of a call with one image, and images per second in calls with BATCH_SIZE."""

    latency_seconds: float
    images_per_second: float


def in_torch(model: UserModel, part: Part) -> Runtime:
    """A part as torch runs it."""
    method = getattr(model.model, part.method)

    @torch.inference_mode()
    def run(inputs: Array) -> Array:
        outputs: Array = method(torch.from_numpy(inputs)).numpy()
        return outputs

    return run


def in_onnxruntime(exported: ModelProto, num_threads: int) -> Runtime:
    """A model as ONNX Runtime runs it on the CPU, with all its optimisations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    # its threads would go on looking for work after a call, on the cores that torch is measured on next
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(exported.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = exported.graph.input[0].name

    def run(inputs: Array) -> Array:
        outputs: Array = session.run(None, {name: inputs})[0]
        return outputs

    return run


def apply(runtime: Runtime, inputs: Array) -> Array:
    """All outputs, (N, ...) -> (N, ...), batch by batch."""
    starts = range(0, len(inputs), BATCH_SIZE)
    return np.concatenate([runtime(inputs[start : start + BATCH_SIZE]) for start in starts])


def speeds(runtimes: Mapping[str, Runtime], inputs: Array) -> dict[str, Speed]:
    """How fast runtimes are that are measured in turns, so that what else the machine does meets all of them.

    Args:
        runtimes: By name, all with the same number of threads.
        inputs: At least BATCH_SIZE of what they take.
    """
    one, batch = inputs[:1], inputs[:BATCH_SIZE]
    single: dict[str, list[float]] = {name: [] for name in runtimes}
    whole: dict[str, list[float]] = {name: [] for name in runtimes}
    for runtime in runtimes.values():  # memory is laid out and kernels are chosen in the first call
        runtime(one)
        runtime(batch)
    for _ in range(NUM_ROUNDS):
        for name, runtime in runtimes.items():
            single[name] += [_seconds(runtime, one) for _ in range(NUM_SINGLE)]
            whole[name].append(_seconds(runtime, batch))
    return {name: Speed(statistics.median(single[name]), len(batch) / statistics.median(whole[name])) for name in runtimes}


def _seconds(runtime: Runtime, inputs: Array) -> float:
    started = time.perf_counter()
    runtime(inputs)
    return time.perf_counter() - started
