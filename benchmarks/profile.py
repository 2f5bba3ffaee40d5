"""(c) What stands between our loop and the machine's matrix products?"""

from collections.abc import Iterator
from typing import Any

from benchmarks.settings import Settings, whole_batches
from benchmarks.summary import summary


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yields a record for each row and recipe, of an epoch on one thread.

    "parts" are shares of the epoch's seconds, by what `worker.profile` tells apart; "outside" is the share of what is no
    operator: Python, and the way from one operator to the next. "product_share" is how near to the peak of matrix products
    convolutions and matrix products come while they run.
    """
    if settings.on_gpu:
        yield {"note": "The profile is of a processor; a GPU works beside Python."}
        return
    worker = settings.workers.singles[0]
    for name in settings.rows:
        cost = settings.workers.whole.ask("flop_per_image", name=name)
        for recipe in ("published", "fast"):
            training = settings.study.training_of(name, recipe)
            num_images = whole_batches(settings.num_images // 4, training.batch_size)
            request = {"name": name, "recipe": recipe, "num_images": num_images, "device": settings.device}
            worker.ask("profile", **request)
            rounds: list[dict[str, Any]] = []
            for _ in range(settings.num_rounds):
                peak = worker.ask("peak", precision=training.precision, device=settings.device)
                rounds.append(worker.ask("profile", **request) | {"peak": peak["flop_per_second"]})
            shares = [{key: part / each["seconds"] for key, part in each["parts"].items()} for each in rounds]
            yield {
                "row": name,
                "recipe": recipe,
                "precision": peak["precision"],
                "parts": {key: summary([each[key] for each in shares]) for key in shares[0]},
                "outside": summary([1 - sum(each.values()) for each in shares]),
                "product_share": summary(
                    [cost["flop"] * num_images / each["parts"]["products"] / each["peak"] for each in rounds]
                ),
            }
