"""(b) Seconds until the published figures are reached: ours with `fast` against the reference with `published`."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.loop import NUM_VALIDATION
from benchmarks.processes import at_once
from benchmarks.settings import Settings
from latentlab.errors import UserError
from latentlab.params import Params

QUICK_EPOCHS = 2


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yields a record for each row.

    "whole" is ours with all cores, "singles" ours with one thread on each core at once, one seed each: seconds until the
    last of them is there, divided by how many they are; "reference" the other. Each is a record of `reach`. Seconds are of
    training alone, of whole epochs: the validation in between is not counted.
    """
    for name in settings.quality_rows:
        wanted = figures(settings.study, name)
        shared: dict[str, Any] = {"name": name, "num_images": None, "num_validation": None, "epochs": None}
        if settings.quick:
            shared |= {"num_images": settings.num_images, "epochs": QUICK_EPOCHS}
        shared |= {"device": settings.device}
        short = shared | {"num_images": NUM_VALIDATION, "num_validation": NUM_VALIDATION, "epochs": 1}
        ours, theirs = {"call": "ours", "recipe": "fast", "seed": 0}, {"call": "theirs", "seed": 0}
        record: dict[str, Any] = {"row": name, "figures": wanted}
        for request in (short, shared):  # the first one warms up
            whole = settings.workers.whole.ask(**(request | ours))
        record["whole"] = reach(whole["records"], wanted)
        if not settings.on_gpu:
            singles = settings.workers.singles
            for request in (short, shared):
                answers = at_once(singles, [request | ours | {"seed": seed} for seed in range(len(singles))])
            record["singles"] = together([reach(answer["records"], wanted) for answer in answers])
        for request in (short, shared):
            reference = settings.workers.theirs.ask(**(request | theirs))
        record["reference"] = reach(reference["records"], wanted)
        yield record | {f"{each}_ratio": ratio(record, each) for each in ("whole", "singles") if each in record}


def figures(study: Params, name: str) -> dict[str, float]:
    """What a source published for a row and an epoch's record can be held against; smaller is better for all of it.

    Raises:
        UserError: There is nothing.
    """
    published, row = study.published.get(name), study.row(name)
    found = {}
    if published and published.test_mse:
        found["validation_mse"] = published.test_mse
    if published and published.test_bce and row.architecture.get("loss") == "bce":
        found["validation_loss"] = published.test_bce
    if not found:
        raise UserError(f"row {name}: its source publishes no figure: choose from {', '.join(study.published)}")
    return found


def reach(records: Sequence[dict[str, float]], wanted: dict[str, float]) -> dict[str, Any]:
    """When all figures were reached.

    Returns:
        "reached"; "epochs" and "seconds" until then, or of all the training if it was not reached; "found", the figures at
        that time.
    """
    seconds = 0.0
    for number, record in enumerate(records, start=1):
        seconds += record["seconds"]
        reached = all(record[key] <= value for key, value in wanted.items())
        if reached or number == len(records):
            found = {key: record[key] for key in wanted}
            return {"reached": reached, "epochs": number, "seconds": seconds, "found": found}
    raise ValueError("a training without epochs")


def together(reached: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several trainings at the same time as one: the seconds that each took of the machine."""
    last = max(reached, key=lambda each: each["seconds"])
    return last | {"reached": all(each["reached"] for each in reached), "seconds": last["seconds"] / len(reached)}


def ratio(record: dict[str, Any], which: str) -> dict[str, Any] | None:
    """The reference's seconds over ours; None if ours did not reach the figures.

    Returns:
        "value"; "at_least" is true where the reference did not reach them in all its epochs, so that it would be more.
    """
    if not record[which]["reached"]:
        return None
    value = record["reference"]["seconds"] / record[which]["seconds"]
    return {"value": value, "at_least": not record["reference"]["reached"]}
