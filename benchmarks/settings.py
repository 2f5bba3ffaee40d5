"""What a bench is asked to do; every part takes all of it, and yields a record for each thing that it measured."""

from dataclasses import dataclass

from benchmarks.processes import Workers
from latentlab.params import Params

# one row of each source, two of E, which has no row that stands for the others
ROWS = ("cae_baseline", "mlp_8", "vae_2", "compress_transposed", "conv_bn_64", "stacked_64")
QUALITY_ROWS = ("cae_baseline", "conv_bn_64", "mlp_8")
NUM_IMAGES, NUM_ROUNDS = 8192, 5
QUICK_NUM_IMAGES, QUICK_NUM_ROUNDS = 1024, 2


@dataclass(frozen=True)
class Settings:
    """The bench.

    `rows` are those of the loop and of FLOP/s, `quality_rows` those of the time to quality; `num_images` per round, and
    `num_rounds`; `quick` makes everything small, `full` measures the stages at the size of the study.
    """

    study: Params
    workers: Workers
    device: str
    on_gpu: bool
    rows: list[str]
    quality_rows: list[str]
    num_images: int
    num_rounds: int
    quick: bool
    full: bool

    @property
    def num_cores(self) -> int:
        """Cores that this process may use."""
        return self.workers.num_cores


def whole_batches(num_images: int, batch_size: int) -> int:
    """At least that many images, without a smaller batch at the end."""
    return -(-num_images // batch_size) * batch_size
