"""A process that measures: a request a line comes in, an answer a line goes out.

Our loop and the reference have processes of their own, for what ours tells the C library about memory is for good. They
stay alive for all rounds, so that no round pays for imports.
"""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader
from tqdm import tqdm

from benchmarks import reference
from latentlab import data, devices, layout, memory, models, params, training
from latentlab.errors import UserError
from latentlab.evaluation.complexity import flop_counter, num_macs
from latentlab.stages.train import noisy

Records = list[dict[str, float]]
PEAK_SECONDS = 0.5


@cache
def study() -> params.Params:
    """params.yaml."""
    return params.load(layout.PARAMS)


@cache
def images(device: torch.device) -> tuple[Tensor, Tensor]:
    """Training and validation images of the study."""
    mnist = data.load(layout.DATA, study().split)
    return mnist.train.images.to(device), mnist.validation.images.to(device)


@cache
def loader_set() -> Any:
    """The same training images for the reference."""
    dataset = reference.training_set(layout.DATA)
    split = study().split
    chosen, _ = data.stratified_split(dataset.targets.numpy(), [split.train, split.validation], split.seed)
    dataset.data, dataset.targets = dataset.data[chosen], dataset.targets[chosen]
    return dataset


def ours(
    name: str, recipe: params.Recipe, seed: int, num_images: int | None, num_validation: int | None, epochs: int | None,
    device: str,
) -> dict[str, Any]:  # fmt: skip
    """Trains a row as the stage `train` does.

    Args:
        name: The row.
        recipe: Its settings.
        seed: Of weights and order.
        num_images: How many of the training images, all if None.
        num_validation: The same of the validation images.
        epochs: In the place of the recipe's if not None.
        device: As in params.yaml.

    Returns:
        "began", on the clock that all processes share; "records", one for each epoch: "seconds" of the training alone,
        "validation_loss", "validation_mse".
    """
    place, fit = _training(name, recipe, seed, num_images, num_validation, epochs, device)
    synchronise(place)
    began = time.monotonic()
    records: Records = [
        {"seconds": record["epoch_seconds"]} | {key: record[key] for key in ("validation_loss", "validation_mse")}
        for record in fit
    ]
    return {"began": began, "whole_seconds": time.monotonic() - began, "records": records}


def _training(
    name: str, recipe: params.Recipe, seed: int, num_images: int | None, num_validation: int | None, epochs: int | None,
    device: str,
) -> tuple[torch.device, Iterator[dict[str, float]]]:  # fmt: skip
    place = devices.resolve(device)
    devices.make_deterministic()
    row, settings = study().row(name), study().training_of(name, recipe)
    settings = settings.model_copy(update={"epochs": epochs or settings.epochs})
    train, validation = images(place)
    pairs = [(data.degrade(part, row.input_size), part) for part in (train[:num_images], validation[:num_validation])]
    if row.input_noise:
        pairs[1] = (noisy(pairs[1][0], row.input_noise, seed), pairs[1][1])
    model = models.build(row, seed).to(place)
    precision = devices.precision(settings.precision, place)
    bar = tqdm(total=1, file=io.StringIO(), mininterval=15)
    return place, training.fit(model, pairs[0], pairs[1], settings, row.input_noise, seed, precision, bar)


# names of torch's operators
KINDS = {
    "products": {"convolution", "convolution_backward", "addmm", "mm", "bmm", "_linear_pointwise"},
    "norms": {"native_batch_norm", "native_batch_norm_backward", "cudnn_batch_norm", "cudnn_batch_norm_backward"},
    "optimiser": set[str](),
    "others": set[str](),
}


class Stopwatch(TorchDispatchMode):
    """Adds up the seconds of operators by `KINDS`; all of a step of an optimiser is of that kind.

    torch's own profiler takes memory as it goes, so that operators meet pages that the system has yet to fill.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = dict.fromkeys(KINDS, 0.0)
        self.is_optimising = False

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operator."""
        started = time.perf_counter()
        result = operator(*args, **(kwargs or {}))
        seconds = time.perf_counter() - started
        name = operator.overloadpacket.__name__
        found = next((each for each, names in KINDS.items() if name in names), "others")
        self.seconds["optimiser" if self.is_optimising else found] += seconds
        return result

    def optimising(self, value: bool) -> Callable[..., None]:
        """A hook of optimisers."""

        def note(*_: Any) -> None:
            self.is_optimising = value

        return note


def profile(name: str, recipe: params.Recipe, num_images: int, device: str) -> dict[str, Any]:
    """Where the time of an epoch of `ours` goes.

    Returns:
        "seconds" of the epoch as it is; "parts", the seconds in operators of each of `KINDS`. What is left is Python, and
        the way from one operator to the next.
    """
    _, fit = _training(name, recipe, 0, num_images, 1, 1, device)
    (record,) = fit
    watch = Stopwatch()
    hooks = [
        register_optimizer_step_pre_hook(watch.optimising(True)),
        register_optimizer_step_post_hook(watch.optimising(False)),
    ]
    try:
        _, fit = _training(name, recipe, 0, num_images, 1, 1, device)
        with watch:
            list(fit)
    finally:
        for hook in hooks:
            hook.remove()
    return {"seconds": record["epoch_seconds"], "parts": watch.seconds}


def theirs(
    name: str, seed: int, num_images: int | None, num_validation: int | None, epochs: int | None, device: str
) -> dict[str, Any]:
    """Trains a row with the reference loop and the published settings; arguments and answer as of `ours`."""
    place = devices.resolve(device)
    row, settings = study().row(name), study().training_of(name, "published")
    reference.check(name, row)
    if not isinstance(settings.optimizer, params.Adam):
        raise UserError(f"row {name}: the reference loop knows Adam alone")
    dataset = loader_set()
    whole = dataset.data
    model = reference.build(row, seed).to(place)
    criterion = reference.criterion(row)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.optimizer.lr, weight_decay=settings.optimizer.weight_decay)
    scheduler = None
    if isinstance(settings.schedule, params.Plateau):
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, **settings.schedule.model_dump(include={"factor", "patience", "threshold"})
        )
    validation = images(place)[1][:num_validation]
    records: Records = []
    try:
        dataset.data = whole[:num_images]
        loader: DataLoader[Any] = DataLoader(dataset, batch_size=settings.batch_size, shuffle=True)
        synchronise(place)
        began = time.monotonic()
        for _ in range(epochs or settings.epochs):
            started = time.perf_counter()
            train_loss = reference.train_epoch(model, loader, optimizer, criterion, place)
            synchronise(place)
            seconds = time.perf_counter() - started
            found = reference.validate(model, validation, criterion)
            records.append({"seconds": seconds, "validation_loss": found["loss"], "validation_mse": found["mse"]})
            if scheduler is not None and isinstance(settings.schedule, params.Plateau):
                scheduler.step(train_loss if settings.schedule.monitor == "train_loss" else found["loss"])
    finally:
        dataset.data = whole
    return {"began": began, "whole_seconds": time.monotonic() - began, "records": records}


def peak(precision: str, device: str) -> dict[str, Any]:
    """FLOP/s of a large matrix product, the best of half a second of them in each way that torch has.

    Returns:
        "flop_per_second" of the fastest way; "by", its FLOP/s by way: "matmul", torch's own, and on a processor "onednn";
        "precision", the one that was computed in.
    """
    place = devices.resolve(device)
    dtype = devices.precision(precision, place)
    size = 8192 if place.type == "cuda" else 2048
    a, b = (torch.rand(size, size, device=place).to(dtype) for _ in range(2))
    product = a @ b
    ways: dict[str, Callable[[], Any]] = {"matmul": lambda: torch.matmul(a, b, out=product)}
    if place.type == "cpu" and torch.backends.mkldnn.is_available():
        ways["onednn"] = lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    by = {}
    for name, multiply in ways.items():
        seconds: list[float] = []
        while sum(seconds) < PEAK_SECONDS or len(seconds) < 3:
            synchronise(place)
            started = time.perf_counter()
            multiply()
            synchronise(place)
            seconds.append(time.perf_counter() - started)
        by[name] = 2 * size**3 / min(seconds)
    return {"flop_per_second": max(by.values()), "by": by, "precision": str(dtype).removeprefix("torch.")}


def flop_per_image(name: str) -> dict[str, Any]:
    """What a training image costs in convolutions and matrix products.

    A multiply-accumulate is 2 FLOP; forward, the gradients of the inputs and the gradients of the weights cost the same
    each; the first layer needs no gradient of its input. Activations, norms, loss and optimiser are not counted.
    """
    row = study().row(name)
    model = models.build(row, 0).eval()
    blank = torch.zeros(1, 1, row.input_size, row.input_size)
    macs = num_macs(model, blank)["total"]
    return {"macs": macs, "flop": 6 * macs - 2 * first_layer_macs(model, blank)}


@torch.inference_mode()
def first_layer_macs(model: models.Autoencoder, image: Tensor) -> int:
    """Multiply-accumulate operations of the encoder's first layer, for one image."""
    first = next(each for each in model.encoder.modules() if isinstance(each, nn.Conv2d | nn.Linear))
    x = image.flatten(1) if isinstance(first, nn.Linear) else image
    with flop_counter() as counter:
        first(x)
    return int(counter.get_total_flops() // 2)


def check(names: list[str]) -> dict[str, Any]:
    """Whether the reference has all of these rows; an error if not."""
    for name in names:
        reference.check(name, study().row(name))
    return {}


def about(device: str) -> dict[str, Any]:
    """What torch is, and where it computes."""
    place = devices.resolve(device)
    return {
        "device": place.type,
        "gpu": torch.cuda.get_device_name(place) if place.type == "cuda" else None,
        "torch": torch.__version__,
        "default_threads": torch.get_num_threads(),
        "native_bfloat16": devices.precision("bfloat16", place) == torch.bfloat16,
    }


def synchronise(device: torch.device) -> None:
    """Waits for a GPU, which works on while the clock is read."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


CALLS: dict[str, Callable[..., dict[str, Any]]] = {
    each.__name__: each for each in (ours, theirs, profile, peak, flop_per_image, check, about)
}


def main(mode: str, num_threads: int) -> None:
    """Answers requests until there are no more.

    Args:
        mode: "ours" for what a stage sets in its process, or "theirs" for torch's defaults.
        num_threads: Of ours.
    """
    if mode == "ours":
        memory.keep()
        torch.set_num_threads(num_threads)
    # whatever a library prints goes to stderr
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = CALLS[request.pop("call")](**request)
        except UserError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
