"""What a benchmark is asked to do, and how several measurements become a few numbers."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.processes import Processes
from latentlab.params.project import Params

Record = dict[str, Any]

# one variant of each source, two of E, which has no variant that stands for the others
VARIANTS = ["cae_baseline", "mlp_8", "vae_2", "compress_transposed", "conv_bn_64", "stacked_64"]
NUM_IMAGES, NUM_ROUNDS = 8192, 5
QUICK_NUM_IMAGES, QUICK_NUM_ROUNDS = 1024, 2


@dataclass(frozen=True)
class Task:
    """What every part is given; it yields a record for each thing that it has measured.

    `device` is its type. `num_images` are those of a round; `quick` makes everything small, to see that it works.
    """

    project: Params
    processes: Processes
    dataset: str
    device: str
    variants: list[str]
    num_images: int
    num_rounds: int
    quick: bool


def whole_batches(num_images: int, batch_size: int) -> int:
    """At least that many images, without a smaller batch at the end."""
    return -(-num_images // batch_size) * batch_size


def spread(values: Sequence[float]) -> dict[str, float]:
    """Their "median", and the spread as "min" and "max"."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, round by round: what slows the machine for a while slows both, and cancels."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]
