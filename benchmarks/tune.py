"""Trains one variant with changed settings and prints what the validation images say, as a line of LOG.md's tables.

    python -m benchmarks.tune cae_baseline epochs=4 optimizer.lr=0.02 schedule.warmup_fraction=0.3

On one thread, or OMP_NUM_THREADS of them. The test images are not looked at. The data set has to be there (`latentlab repro
download`).
"""

import argparse
import time

from ruamel.yaml import YAML

from benchmarks.training import Silent, data_of
from latentlab.params.project import load
from latentlab.params.recipes import Training
from latentlab.training import devices
from latentlab.training.run import begin


def main() -> None:
    """Trains that variant and prints the line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune", description=__doc__)
    parser.add_argument("variant")
    parser.add_argument("changes", nargs="*", help="key=value in the variant's settings, dots between keys")
    parser.add_argument("--recipe", choices=("fast", "published"), default="fast", help="whose settings are changed")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    devices.keep_memory()
    devices.pin_threads()
    project = load()
    settings = changed(project.training_of(given.variant, given.recipe), given.changes)
    data, device = data_of(project.run.datasets[0]), devices.resolve(project.device)
    started = time.process_time()
    _, records = begin(project.variant(given.variant), settings, data, given.seed, device, Silent())
    *_, record = records
    seconds = time.process_time() - started
    name = f"{given.variant} (seed {given.seed})" if given.seed else given.variant
    note = ", ".join(given.changes) or "as it is"
    loss, mse = record["validation_loss"], record["validation_mse"]
    print(f"| {name} | {note} | {seconds:.0f} s | {loss:.5g} | {mse:.6f} |", flush=True)


def changed(settings: Training, changes: list[str]) -> Training:
    """Settings with some values replaced; `optimizer={name: adam, ...}` replaces a whole section."""
    document = settings.model_dump()
    for change in changes:
        key, _, value = change.partition("=")
        *sections, last = key.split(".")
        place = document
        for section in sections:
            place = place[section]
        place[last] = YAML(typ="safe").load(value)
    return Training.model_validate(document)


if __name__ == "__main__":
    main()
