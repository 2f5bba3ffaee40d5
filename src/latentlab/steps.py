"""One step of a training: as Python calls it, or recorded once and replayed, as a GPU needs it.

On a GPU the kernels of a small autoencoder are over sooner than Python can launch them. A CUDA graph launches all those of
a step at once. Nothing in it may depend on Python then: the batch comes in a tensor that stays where it is, and so do the
learning rates (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from latentlab.data import add_noise
from latentlab.models.base import Autoencoder

# Makes a replay of some work, which draws random numbers from the generator, and need not do the work itself.
Recorder = Callable[[Callable[[], None], torch.Generator], Callable[[], None]]
# cuDNN, cuBLAS and the optimisers allocate and choose in their first steps what is not to be recorded
NUM_UNRECORDED = 3


class Step(Protocol):
    """An update of a model from the images of some indices; their losses, valid until the next call."""

    def __call__(self, indices: Tensor) -> dict[str, Tensor]: ...  # noqa: D102


@dataclass
class PlainStep:
    """A step that Python calls.

    Args:
        model: In training mode, on the device of the tensors.
        optimisers: Of all its parameters.
        inputs, targets: (N, 1, H, W) and (N, 1, 28, 28); the same tensor twice for a plain autoencoder.
        input_noise: Least and largest sigma of the noise on the inputs; None for none.
        noise: Source of all randomness.
        precision: Of convolutions and matrix products.
    """

    model: Autoencoder
    optimisers: Sequence[torch.optim.Optimizer]
    inputs: Tensor
    targets: Tensor
    input_noise: Sequence[float] | None
    noise: torch.Generator
    precision: torch.dtype

    def __call__(self, indices: Tensor) -> dict[str, Tensor]:
        """One update; the detached losses of the batch before it."""
        x = self.inputs[indices]
        target = x if self.targets is self.inputs else self.targets[indices]
        if self.input_noise:
            least, largest = self.input_noise
            sigma = torch.rand((len(x), 1, 1, 1), generator=self.noise, device=x.device) * (largest - least) + least
            x = add_noise(x, sigma, self.noise)
        with torch.autocast(x.device.type, self.precision, enabled=self.precision != torch.float32):
            losses = self.model.loss(x, target, self.noise)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        for optimiser in self.optimisers:
            optimiser.step()
        return {name: value.detach() for name, value in losses.items()}


class RecordedStep:
    """A step that is recorded at its fourth full batch, and replayed from then on; other batches are called as they are.

    Args:
        step: What is recorded. The learning rates of its optimisers are tensors.
        batch_size: Of a full batch.
        record: How.
    """

    def __init__(self, step: PlainStep, batch_size: int, record: Recorder) -> None:
        self.step, self.record = step, record
        self.indices = torch.zeros(batch_size, dtype=torch.int64, device=step.inputs.device)
        self.num_called = 0
        self.losses: dict[str, Tensor] = {}
        self.replay: Callable[[], None] | None = None

    def __call__(self, indices: Tensor) -> dict[str, Tensor]:
        """One update; the detached losses of the batch before it."""
        if len(indices) != len(self.indices):
            return self.step(indices)
        self.indices.copy_(indices)
        if self.num_called < NUM_UNRECORDED:
            self.num_called += 1
            return self.step(self.indices)
        if self.replay is None:
            self.replay = self.record(self._work, self.step.noise)
        self.replay()
        return self.losses

    def _work(self) -> None:
        self.losses = self.step(self.indices)


def cuda_graph(work: Callable[[], None], noise: torch.Generator) -> Callable[[], None]:
    """Records work on the GPU as a CUDA graph, without doing it."""
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(noise)  # each replay draws other numbers
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def make(step: PlainStep, batch_size: int, record: Recorder | None) -> Step:
    """The step itself, or one that is recorded."""
    return step if record is None else RecordedStep(step, batch_size, record)
