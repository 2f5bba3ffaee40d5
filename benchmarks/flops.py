"""(c) What share of the machine's matrix products does our loop achieve?"""

from collections.abc import Iterator
from typing import Any

from benchmarks.loop import NUM_VALIDATION
from benchmarks.settings import Settings, whole_batches
from benchmarks.summary import ratios, summary


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yields a record for each row, recipe and number of threads.

    "achieved" and "peak" in FLOP/s, and "share", the one over the other in the same round. The peak is that of a large
    matrix product in the precision of the recipe, in the same process, right before, in the fastest way that torch has;
    "matmul" is that of torch's own way. `worker.flop_per_image` says what is counted.
    """
    num_rounds = -(-settings.num_rounds // 2)
    crews = {settings.num_cores: settings.workers.whole}
    if not settings.on_gpu and settings.num_cores > 1:
        crews[1] = settings.workers.singles[0]
    for name in settings.rows:
        cost = settings.workers.whole.ask("flop_per_image", name=name)
        for recipe in ("published", "fast"):
            training = settings.study.training_of(name, recipe)
            num_images = whole_batches(settings.num_images // 2, training.batch_size)
            for num_threads, worker in crews.items():
                request = {"name": name, "recipe": recipe, "seed": 0, "num_validation": NUM_VALIDATION, "epochs": 1}
                request |= {"device": settings.device}
                worker.ask("ours", num_images=whole_batches(num_images // 8, training.batch_size), **request)
                achieved: list[float] = []
                peaks: list[dict[str, Any]] = []
                for _ in range(num_rounds):
                    peaks.append(worker.ask("peak", precision=training.precision, device=settings.device))
                    answer = worker.ask("ours", num_images=num_images, **request)
                    achieved.append(cost["flop"] * num_images / answer["records"][0]["seconds"])
                reference = [peak["flop_per_second"] for peak in peaks]
                yield {
                    "row": name,
                    "recipe": recipe,
                    "precision": peaks[0]["precision"],
                    "num_threads": num_threads,
                    "flop_per_image": cost["flop"],
                    "achieved": summary(achieved),
                    "peak": summary(reference),
                    "matmul": summary([peak["by"]["matmul"] for peak in peaks]),
                    "share": summary(ratios(achieved, reference)),
                }
