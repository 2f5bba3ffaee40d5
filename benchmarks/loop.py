"""(a) Images per second of our loop against the reference: the same layers, settings and batches."""

from collections.abc import Iterator
from typing import Any

from benchmarks.processes import Worker, at_once
from benchmarks.settings import Settings, whole_batches
from benchmarks.summary import ratios, summary

NUM_VALIDATION = 256  # outside of the time that is taken


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yields a record for each row, all rates in images/s of training alone.

    "whole" is ours with all cores, "singles" ours with one thread on each core at once (summed; not on a GPU), "reference"
    the other. The three take turns, in the other direction each second round; a ratio is taken within its round.
    """
    for name in settings.rows:
        batch_size = settings.study.training_of(name, "published").batch_size
        num_images = whole_batches(settings.num_images, batch_size)
        workers = [settings.workers.theirs, settings.workers.whole]
        workers += [] if settings.on_gpu else settings.workers.singles
        for worker in workers:
            _rate(settings, [worker], name, whole_batches(num_images // 8, batch_size))
        contestants = {"reference": workers[:1], "whole": workers[1:2]} | (
            {} if settings.on_gpu else {"singles": workers[2:]}
        )
        found: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        for number in range(settings.num_rounds):
            for contestant in list(contestants)[:: -1 if number % 2 else 1]:
                found[contestant].append(_rate(settings, contestants[contestant], name, num_images))
        record: dict[str, Any] = {"row": name, "batch_size": batch_size, "num_images": num_images}
        record |= {contestant: summary(rates) for contestant, rates in found.items()}
        record |= {f"{each}_ratio": summary(ratios(found[each], found["reference"])) for each in list(found)[1:]}
        yield record


def _rate(settings: Settings, workers: list[Worker], name: str, num_images: int) -> float:
    """Images per second of workers that train at the same time, from the first one's start to the last one's end."""
    shared = {"name": name, "num_images": num_images, "num_validation": NUM_VALIDATION, "epochs": 1}
    shared |= {"device": settings.device}
    requests = [shared | {"call": "ours", "recipe": "published", "seed": seed} for seed in range(len(workers))]
    if workers == [settings.workers.theirs]:
        requests = [shared | {"call": "theirs", "seed": 0}]
    answers = at_once(workers, requests)
    end: float = max(answer["began"] + answer["records"][0]["seconds"] for answer in answers)
    began: float = min(answer["began"] for answer in answers)
    return len(workers) * num_images / (end - began)
