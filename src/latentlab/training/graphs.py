"""A training step as one launch, for a GPU that is done with a kernel before Python has named the next."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[[Tensor], dict[str, Tensor]]


class Recorded:
    """A step that is recorded as a CUDA graph, and from then on replayed: the same kernels, and the same bits.

    The first step is not recorded, as optimisers make their states in it, nor is one of fewer images. A graph keeps the
    learning rates of its recording, so they are tensors, which are filled before each step.

    Args:
        step: Learns from the images of some indices, and gives the losses. It looks at no number on the GPU.
        optimisers: Those that learn in it.
        batch_size: Number of indices.
        generator: What it draws from, on the GPU.
    """

    def __init__(
        self, step: Step, optimisers: Sequence[torch.optim.Optimizer], batch_size: int, generator: torch.Generator
    ) -> None:
        self.step, self.generator = step, generator
        self.groups = [group for each in optimisers for group in each.param_groups]
        self.rates = [torch.zeros((), device=generator.device) for _ in self.groups]
        self.indices = torch.zeros(batch_size, dtype=torch.int64, device=generator.device)
        self.losses: dict[str, Tensor] = {}
        self.graph: torch.cuda.CUDAGraph | None = None
        self.is_first = True

    def __call__(self, indices: Tensor) -> dict[str, Tensor]:
        """Makes the step; the losses."""
        numbers = [group["lr"] for group in self.groups]
        for group, rate, number in zip(self.groups, self.rates, numbers, strict=True):
            group["lr"] = rate.fill_(number)
        losses = self.step(indices) if self.is_first or len(indices) < len(self.indices) else self._replayed(indices)
        self.is_first = False
        for group, number in zip(self.groups, numbers, strict=True):
            group["lr"] = number
        return losses

    def _replayed(self, indices: Tensor) -> dict[str, Tensor]:
        self.indices.copy_(indices)
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            self.graph.register_generator_state(self.generator)
            for group in self.groups:
                group["capturable"] = True  # torch asks for it while it records, and warns of it at other times
            with torch.cuda.graph(self.graph):
                self.losses = self.step(self.indices)
            for group in self.groups:
                group["capturable"] = False
        self.graph.replay()
        return {name: value.clone() for name, value in self.losses.items()}
