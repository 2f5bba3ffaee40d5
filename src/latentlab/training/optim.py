"""Optimisers of the recipes."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from latentlab.params import recipes

# below that many rows or columns, a product is over before its conversion to bfloat16 has paid
LARGE = 128


def orthogonalise(matrix: Tensor, num_steps: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Nearest semi-orthogonal matrix, approximately: U V^T of the singular value decomposition U S V^T.

    Newton-Schulz iteration of a quintic whose coefficients trade exactness (singular values end in about [0.7, 1.2])
    for speed (K. Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks").

    Args:
        matrix: (rows, columns).
        num_steps: Number of iterations; 5 is the usual choice.
        dtype: Of the iterations of a matrix of at least `LARGE` rows and columns; bfloat16 will do, for
            the result is approximate anyhow.

    Returns:
        (rows, columns), of the same type.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    wide = x if x.shape[0] <= x.shape[1] else x.T  # the smaller Gram matrix is the cheaper one
    if wide.shape[0] >= LARGE:
        wide = wide.to(dtype)
    for _ in range(num_steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    result: Tensor = wide if x.shape[0] <= x.shape[1] else wide.T
    return result.to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised (K. Jordan et al. 2024).

    Kernels are flattened to matrices, first dimension against the rest. The update of a (rows, columns) matrix is scaled
    by sqrt(max(1, rows / columns)), which keeps its effect on the output alike for all shapes. Nesterov momentum.

    Args:
        parameters: Tensors of two or more dimensions.
        lr: Learning rate.
        momentum: In [0, 1).
        num_steps: Newton-Schulz iterations.
        dtype: Of these for large matrices; see `orthogonalise`.
    """

    def __init__(
        self, parameters: Iterable[Tensor], *, lr: float, momentum: float, num_steps: int, dtype: torch.dtype
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "num_steps": num_steps, "dtype": dtype})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient; a closure is not supported."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum: Tensor = state["momentum"]
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                nesterov = parameter.grad.lerp(momentum, group["momentum"])
                update = orthogonalise(nesterov.flatten(1), group["num_steps"], group["dtype"])
                scale = max(1, update.shape[0] / update.shape[1]) ** 0.5
                parameter.add_(update.view_as(parameter), alpha=-group["lr"] * scale)


def optimizers(model: nn.Module, settings: recipes.Adam | recipes.Muon, dtype: torch.dtype) -> list[torch.optim.Optimizer]:
    """The optimisers that together update all of a model's parameters, each group with its `initial_lr`.

    Args:
        model: The parameters and what the optimisers keep of them are float32.
        settings: Of the optimiser.
        dtype: Of passing computations.
    """
    if isinstance(settings, recipes.Adam):
        made: list[torch.optim.Optimizer] = [
            torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
        ]
    else:
        matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
        vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
        made = [
            Muon(
                matrices,
                lr=settings.lr,
                momentum=settings.momentum,
                num_steps=settings.newton_schulz_steps,
                dtype=dtype,
            ),
            torch.optim.AdamW(vectors, lr=settings.adamw_lr, weight_decay=0.0, fused=True),
        ]
    for optimizer in made:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return made
