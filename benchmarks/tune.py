"""Trains one row with changed settings and prints what the validation images say, as a line of LOG.md's tables.

    python benchmarks/tune.py cae_baseline epochs=4 optimizer.lr=0.02 schedule.warmup_fraction=0.3

The test images are not read. `data/mnist` has to be there (`dvc repro download`).
"""

import argparse
import time

import torch
import yaml

from latentlab import data, devices, layout, memory, models, params, training
from latentlab.stages.train import noisy


class _Silent:
    def update(self, n: float) -> None:
        """Nobody watches."""


def main() -> None:
    """Trains that row and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row")
    parser.add_argument("changes", nargs="*", help="key=value in the row's settings, dots between keys")
    parser.add_argument("--recipe", default="fast", help="whose settings are changed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    memory.keep()
    torch.set_num_threads(arguments.threads)
    study = params.load(layout.PARAMS)
    row = study.row(arguments.row)
    settings = changed(study.training[arguments.recipe][row.training], arguments.changes)
    device = devices.resolve(study.device)
    devices.make_deterministic()
    mnist = data.load(layout.DATA, study.split)
    train, validation = (part.images.to(device) for part in (mnist.train, mnist.validation))
    pairs = [(data.degrade(images, row.input_size), images) for images in (train, validation)]
    if row.input_noise:
        pairs[1] = (noisy(pairs[1][0], row.input_noise, arguments.seed), validation)
    model = models.build(row, arguments.seed).to(device)
    precision = devices.precision(settings.precision, device)
    started = time.process_time()
    *_, record = training.fit(model, *pairs, settings, row.input_noise, arguments.seed, precision, _Silent())
    seconds = time.process_time() - started
    note = ", ".join(arguments.changes) or "as it is"
    loss, mse = record["validation_loss"], record["validation_mse"]
    print(f"| {row_name(arguments)} | {note} | {seconds:.0f} s | {loss:.5g} | {mse:.6f} |", flush=True)


def row_name(arguments: argparse.Namespace) -> str:
    """The row, with the seed where it is not the usual one."""
    return f"{arguments.row} (seed {arguments.seed})" if arguments.seed else str(arguments.row)


def changed(settings: params.Training, changes: list[str]) -> params.Training:
    """Settings with some values replaced; `optimizer={name: adam, ...}` replaces a whole section."""
    document = settings.model_dump()
    for change in changes:
        key, _, value = change.partition("=")
        *sections, last = key.split(".")
        place = document
        for section in sections:
            place = place[section]
        place[last] = yaml.safe_load(value)
    return params.Training.model_validate(document)


if __name__ == "__main__":
    main()
