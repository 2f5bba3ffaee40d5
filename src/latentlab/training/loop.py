"""The training loop."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from latentlab.data.images import add_noise
from latentlab.errors import UserError
from latentlab.models.base import BATCH_SIZE, Autoencoder
from latentlab.params.recipes import Constant, Cosine, Plateau, Training
from latentlab.training.graphs import Recorded
from latentlab.training.optim import optimizers


class TrainingError(UserError):
    """The training went wrong: the loss is not finite."""


class Keeper(Protocol):
    """Where `fit` keeps its state after each epoch; `latentlab.models.checkpoint.EpochFile` is one."""

    def load(self) -> dict[str, Any] | None: ...  # noqa: D102
    def save(self, state: dict[str, Any]) -> None: ...  # noqa: D102


class Progress(Protocol):
    """What `fit` tells how many images it has seen; a tqdm bar is one."""

    def update(self, n: float) -> bool | None: ...  # noqa: D102


def fit(
    model: Autoencoder,
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    training: Training,
    input_noise: Sequence[float] | None,
    seed: int,
    precision: torch.dtype,
    progress: Progress,
    keeper: Keeper | None = None,
    num_passes: int = 1,
) -> Iterator[dict[str, float]]:
    """Trains a model in place, and yields one record per epoch.

    Args:
        model: On the device of the tensors.
        train: Inputs and targets, (N, C, h, w) and (N, C, H, W) in [0, 1]; the same tensor twice for a plain
            autoencoder.
        validation: The same for the validation images.
        training: Epochs, batch size, optimiser and schedule.
        input_noise: Least and largest sigma of the Gaussian noise on the training inputs, drawn uniformly for each image
            each time; None for none. The validation inputs are taken as they come.
        seed: Of the order of the images and of the noise in the loss.
        precision: Of convolutions and matrix products while training, float32 or bfloat16; weights, losses and the
            validation stay float32.
        progress: Told after each batch how many images it had.
        keeper: Given the state after each epoch. If it has one already, the training goes on from there, and ends with the
            same bits as one that was never interrupted; None keeps nothing.
        num_passes: How often an epoch goes through the training images.

    Yields:
        "epoch" from 1; "train_loss", the mean over the epoch's batches as they came; "validation_loss" after the epoch;
        for a loss of several terms each term with the same prefixes; "validation_mse" per pixel; "lr", the last learning
        rate of the first optimiser; "epoch_seconds" and "images_per_second" of the training alone. The records of epochs
        before an interruption come first.

    Raises:
        TrainingError: The training loss of a step is not finite.
    """
    inputs, targets = train
    num_images = num_passes * len(inputs)
    num_batches = math.ceil(num_images / training.batch_size)
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(inputs.device).manual_seed(seed)
    optimisers = optimizers(model, training.optimizer)
    plateaus = _plateaus(optimisers, training.schedule)
    stateful: list[Any] = [model, *optimisers, *(plateau for plateau, _ in plateaus)]
    records: list[dict[str, float]] = []
    if keeper and (kept := keeper.load()):
        for each, state in zip(stateful, kept["states"], strict=True):
            each.load_state_dict(state)
        order.set_state(kept["order"])
        noise.set_state(kept["noise"])
        records = kept["records"]
        progress.update(len(records) * num_images)
        yield from records

    def step(indices: Tensor) -> dict[str, Tensor]:
        x = inputs[indices]
        target = x if targets is inputs else targets[indices]
        if input_noise:
            x = _with_noise(x, input_noise, noise)
        with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
            losses = model.loss(x, target, noise)
        for optimiser in optimisers:
            optimiser.zero_grad()
        losses["loss"].backward()
        for optimiser in optimisers:
            optimiser.step()
        return {name: value.detach() for name, value in losses.items()}

    learn = Recorded(step, optimisers, training.batch_size, noise) if inputs.is_cuda else step
    for epoch in range(len(records) + 1, training.epochs + 1):
        started = time.perf_counter()
        # so many passes over the images, each in a new order
        model.train()
        sums: dict[str, Tensor] = {}
        step_losses: list[Tensor] = []  # on the device: to look at one of them is to wait for it
        passes = [torch.randperm(len(inputs), generator=order) for _ in range(num_passes)]
        permutation = torch.cat(passes).to(inputs.device)
        for batch, indices in enumerate(permutation.split(training.batch_size)):
            if isinstance(training.schedule, Cosine):
                num_done = (epoch - 1) * num_batches + batch
                factor = cosine_factor(num_done, training.epochs * num_batches, training.schedule.warmup_fraction)
                _scale_learning_rates(optimisers, factor)
            losses = learn(indices)
            step_losses.append(losses["loss"])
            for name, value in losses.items():
                weighted = value * len(indices)
                sums[name] = sums[name] + weighted if name in sums else weighted
            progress.update(len(indices))
        record = {"epoch": float(epoch)} | _prefixed("train", {name: float(s) / num_images for name, s in sums.items()})
        seconds = time.perf_counter() - started
        if not math.isfinite(record["train_loss"]):
            number, loss = next(
                (number, loss) for number, loss in enumerate(map(float, step_losses), 1) if not math.isfinite(loss)
            )
            raise TrainingError(f"the training loss is {loss} in epoch {epoch}, step {number}: lower the learning rate")
        # what the model has learnt, on images that it has not seen
        record |= _prefixed("validation", validate(model, *validation, seed))
        record |= {
            "lr": optimisers[0].param_groups[0]["lr"],
            "epoch_seconds": seconds,
            "images_per_second": num_images / seconds,
        }
        for plateau, monitor in plateaus:
            plateau.step(record[monitor])
        records.append(record)
        if keeper:
            states = [each.state_dict() for each in stateful]
            keeper.save({"states": states, "order": order.get_state(), "noise": noise.get_state(), "records": records})
        yield record


def _plateaus(
    optimisers: list[torch.optim.Optimizer], schedule: Constant | Cosine | Plateau
) -> list[tuple[torch.optim.lr_scheduler.ReduceLROnPlateau, str]]:
    """A scheduler for each optimiser, with the loss that it watches; none for other schedules."""
    if not isinstance(schedule, Plateau):
        return []
    settings: dict[str, Any] = schedule.model_dump(include={"factor", "patience", "threshold"})
    return [(torch.optim.lr_scheduler.ReduceLROnPlateau(each, **settings), schedule.monitor) for each in optimisers]


def cosine_factor(step: int, num_steps: int, warmup_fraction: float) -> float:
    """Share of the full learning rate at a step: linear warm-up, then half a cosine to zero at `num_steps`."""
    num_warmup = warmup_fraction * num_steps
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - num_warmup) / (num_steps - num_warmup)))


def _scale_learning_rates(optimisers: list[torch.optim.Optimizer], factor: float) -> None:
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] * factor


def _with_noise(x: Tensor, input_noise: Sequence[float], generator: torch.Generator) -> Tensor:
    """Images with noise, its sigma drawn for each of them."""
    least, largest = input_noise
    sigma = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device) * (largest - least) + least
    return add_noise(x, sigma, generator)


def _prefixed(prefix: str, losses: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in losses.items()}


@torch.inference_mode()
def validate(model: Autoencoder, inputs: Tensor, targets: Tensor, seed: int) -> dict[str, float]:
    """Means of the model's losses in evaluation mode over images, of which "mse" is per pixel, without training.

    The noise in a loss is drawn anew from `seed`, so that two epochs meet the same one.
    """
    model.eval()
    noise = torch.Generator(inputs.device).manual_seed(seed)
    sums: dict[str, Tensor] = {}
    for x, target in zip(inputs.split(BATCH_SIZE), targets.split(BATCH_SIZE), strict=True):
        for name, value in model.loss(x, target, noise).items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value * len(x)
    return {name: float(total) / len(inputs) for name, total in sums.items()}
