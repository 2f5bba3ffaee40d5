"""How long until the published figures are met?

Seconds of training, without validation, until the validation images meet what the source publishes for the test images:
ours with `fast`, the reference with the published settings on all cores. On a processor ours trains one seed on one thread
of each core at once: the seconds of the last one, divided by how many they are. Where the reference has not reached the
figures in all its epochs, the ratio is a lower bound.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks import reference
from benchmarks.processes import ask, at_once
from benchmarks.task import Record, Task
from benchmarks.training import NUM_VALIDATION, Job, Records, ours
from latentlab.errors import UserError
from latentlab.params.project import Params

QUICK_EPOCHS = 2


def measure(task: Task) -> Iterator[Record]:
    """Yields a record for each variant that has published figures.

    Raises:
        UserError: None has.
    """
    wanted = {name: found for name in task.variants if (found := figures(task.project, name))}
    if not wanted:
        raise UserError(f"the sources publish no figures of {', '.join(task.variants)}")
    crew = task.processes.singles if task.device == "cpu" else [task.processes.whole]
    for name, limits in wanted.items():
        job = Job(name, "fast", task.dataset, task.device)
        if task.quick:
            job = replace(job, num_images=task.num_images, epochs=QUICK_EPOCHS)
        short = replace(job, num_images=NUM_VALIDATION, num_validation=NUM_VALIDATION, epochs=1)
        for each in (short, job):  # the first one warms up
            answers = at_once(crew, ours, [replace(each, seed=seed) for seed in range(len(crew))])
            answer = ask(task.processes.reference, reference.theirs, replace(each, recipe="published"))
        mine, theirs = together([reach(records, limits) for records in answers]), reach(answer, limits)
        record: Record = {"variant": name} | {key.removeprefix("validation_"): value for key, value in limits.items()}
        for contestant, found in (("reference", theirs), ("ours", mine)):
            record |= {f"{contestant}_{key}": value for key, value in found.items()}
        yield record | {"ratio": theirs["seconds"] / mine["seconds"] if mine["reached"] else None}


def figures(project: Params, name: str) -> dict[str, float]:
    """What a source published for a variant and an epoch's record can be held against; smaller is better for all of it."""
    published, found = project.published.get(name), {}
    if published and published.test_mse:
        found["validation_mse"] = published.test_mse
    if published and published.test_bce and project.variant(name).architecture.get("loss") == "bce":
        found["validation_loss"] = published.test_bce
    return found


def reach(records: Records, limits: dict[str, float]) -> Record:
    """Whether all figures were "reached", and "epochs" and "seconds" until then; of all the training if they were not."""
    seconds = 0.0
    for number, record in enumerate(records, start=1):
        seconds += record["seconds"]
        if all(record[key] <= value for key, value in limits.items()):
            return {"reached": True, "epochs": number, "seconds": seconds}
    return {"reached": False, "epochs": len(records), "seconds": seconds}


def together(reached: Sequence[Record]) -> Record:
    """Several trainings at the same time as one: the seconds that each took of the machine."""
    last = max(reached, key=lambda each: each["seconds"])
    return last | {"reached": all(each["reached"] for each in reached), "seconds": last["seconds"] / len(reached)}
