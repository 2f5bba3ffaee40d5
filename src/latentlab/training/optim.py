"""Optimisers of the recipes."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from latentlab.params import recipes


def orthogonalise(matrices: list[Tensor], num_steps: int, block: int) -> list[Tensor]:
    """For each matrix the nearest one with orthonormal rows or columns, approximately, block by block.

    Newton-Schulz iteration of a quintic whose coefficients trade exactness (singular values end in about [0.7, 1.2])
    for speed (K. Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"). The shorter side of a
    matrix is cut into equal blocks, each of which is orthogonalised alone (A. Khaled et al. 2025, "MuonBP"). Each step
    multiplies a block X from the left by a polynomial of X X^T, so the steps are made with these small products, and the
    blocks of all matrices that have the same number of rows are computed at once.

    Args:
        matrices: (rows, columns) each, float32.
        num_steps: Number of iterations; 5 is the usual choice. With many more, rounding of X X^T grows.
        block: Most rows of a block.

    Returns:
        The results, of the same shapes. Zeros stay zeros.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    blocks = [_blocks(matrix, block) for matrix in matrices]
    results: list[Tensor] = [*matrices]
    for size in {each.shape[1] for each in blocks}:
        chosen = [number for number, each in enumerate(blocks) if each.shape[1] == size]
        gram = torch.cat([torch.bmm(blocks[number], blocks[number].mT) for number in chosen])  # (K, size, size)
        norm = gram.diagonal(dim1=1, dim2=2).sum(1).sqrt()[:, None, None] + 1e-7
        gram = gram / norm.square()
        product = torch.eye(size, device=gram.device) / norm
        for step in range(num_steps):
            polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
            polynomial.diagonal(dim1=1, dim2=2).add_(a)
            product = torch.bmm(polynomial, product)
            if step < num_steps - 1:
                gram = torch.bmm(torch.bmm(polynomial, gram), polynomial)
        for number, factor in zip(chosen, product.split([len(blocks[number]) for number in chosen]), strict=True):
            rows, columns = matrices[number].shape
            result = torch.bmm(factor, blocks[number]).flatten(0, 1)
            results[number] = result if rows <= columns else result.mT
    return results


def _blocks(matrix: Tensor, block: int) -> Tensor:
    """The matrix, transposed if it is tall, as equal blocks of rows, as few as there can be: (number, rows, columns)."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    number = next(each for each in range(math.ceil(len(wide) / block), len(wide) + 1) if len(wide) % each == 0)
    return wide.reshape(number, len(wide) // number, -1)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised (K. Jordan et al. 2024).

    Kernels are flattened to matrices, first dimension against the rest. The update of a (rows, columns) matrix is scaled
    by sqrt(max(1, rows / columns)), which keeps its effect on the output alike for all shapes. Nesterov momentum.

    Args:
        parameters: Tensors of two or more dimensions, float32.
        lr: Learning rate.
        momentum: In [0, 1).
        num_steps: Newton-Schulz iterations.
        block: Most rows that are orthogonalised together; see `orthogonalise`.
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, momentum: float, num_steps: int, block: int) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "num_steps": num_steps, "block": block})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient; a closure is not supported."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            directions = []
            for parameter in parameters:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum: Tensor = state["momentum"]
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                directions.append(parameter.grad.lerp(momentum, group["momentum"]).flatten(1))
            updates = orthogonalise(directions, group["num_steps"], group["block"])
            for parameter, update in zip(parameters, updates, strict=True):
                scale = max(1, update.shape[0] / update.shape[1]) ** 0.5
                parameter.sub_(update.reshape(parameter.shape) * (group["lr"] * scale))


def optimizers(model: nn.Module, settings: recipes.Adam | recipes.Muon) -> list[torch.optim.Optimizer]:
    """The optimisers that together update all of a model's parameters, each group with its `initial_lr`.

    Args:
        model: The parameters and what the optimisers keep of them are float32.
        settings: Of the optimiser.
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
                block=settings.block,
            ),
            torch.optim.AdamW(vectors, lr=settings.adamw_lr, weight_decay=0.0, fused=True),
        ]
    for optimizer in made:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return made
