"""The results as a page of Markdown; a pure function of what the JSON holds."""

from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]

HEADINGS = {
    "loop": "Images per second",
    "quality": "Time to quality",
    "flops": "FLOP/s",
    "profile": "Where a step's time goes",
    "stages": "Stages",
    "growth": "Growth",
}
EXPLANATIONS = {
    "loop": "Training with the published settings, images/s; the median over the rounds, least and most in brackets. The "
    "reference is the sources' way: torchvision, ToTensor, DataLoader, torch's defaults, all cores. Ratios are taken "
    "within each round. Ours: one row on all cores, and one row with one thread on each core at once, summed.",
    "quality": "Seconds of training, without validation, until the validation images meet what the source publishes (test "
    "images): ours with `fast`, the reference with the published settings. At once: one seed with one thread on each core; "
    "the seconds of the last one, divided by how many they are. More than (>): the reference did not get there.",
    "flops": "Convolutions and matrix products of our loop: 2 FLOP a multiply-accumulate, backward twice forward, less the "
    "first layer's gradient of its input. The peak is a large matrix product in the same process, precision and number of "
    "threads, by torch.matmul or by oneDNN, whichever is faster.",
    "profile": "Shares of an epoch on one thread: convolutions and matrix products, and how near they come to the peak "
    "while they run; batch normalisation; other operators, as activations, losses and copies; the optimiser with all it "
    "calls; outside of operators, Python among it. Operators are timed in a second run of the same epoch.",
    "stages": "One instance of each stage on one thread, in a process of its own. Start-up is the time until its `main` "
    "begins; MLflow and some others are loaded later than that. Memory is the most in RAM.",
    "growth": "Seconds against size; time grows with size to the power of the exponent (least squares on the logarithms). "
    "Below 1 there is a fixed part; for jobs, -1 is perfect.",
}
GPU_NOTES = {
    "loop": "On the GPU: several rows at once were not run.",
    "quality": "On the GPU: several seeds at once were not run.",
    "flops": "On the GPU: other numbers of threads were not run.",
    "profile": "On the GPU: not measured.",
    "stages": "On the GPU: the stage that trains and those that evaluate a row use it, the others do not.",
    "growth": "On the GPU: `latentlab repro` had as many jobs as cores, and all of them this one GPU.",
}


def page(results: Record) -> str:
    """All parts that were measured.

    Args:
        results: "machine", and under "parts" for each part "date", "settings" and "records".
    """
    machine = results["machine"]
    where = f"{machine['gpu']}, " if machine["gpu"] else ""
    lines = [
        "# Benchmarks",
        "",
        f"{where}{machine['cpu']}, {machine['num_cores']} cores, {machine['memory_gib']} GiB; {machine['system']}, Python "
        f"{machine['python']}, torch {machine['torch']}; torch's own choice is {machine['default_threads']} threads.",
        f"bfloat16 is {'native' if machine['native_bfloat16'] else 'not native: `fast` computes in float32 here'}.",
    ]
    for name, part in results["parts"].items():
        settings = ", ".join(f"{key} {value}" for key, value in part["settings"].items())
        lines += ["", f"## {HEADINGS[name]}", "", EXPLANATIONS[name], "", f"{part['date']}; {settings}.", ""]
        records = [record for record in part["records"] if "note" not in record]
        if records:
            rows = [TABLES[name](record) for record in records]
            lines += table(list(rows[0]), [list(row.values()) for row in rows])
        notes = [record["note"] for record in part["records"] if "note" in record]
        notes += [GPU_NOTES[name]] if machine["gpu"] else []
        lines += [line for note in notes for line in ("", f"{note.removesuffix('.')}.")]
    return "\n".join(lines) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; the first column is to the left, the others to the right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _spread(values: Record | None, scale: float = 1.0, digits: str = ",.0f") -> str:
    if values is None:
        return ""
    median, least, most = (format(values[key] * scale, digits) for key in ("median", "min", "max"))
    return f"{median} ({least} to {most})"


def _loop(record: Record) -> dict[str, str]:
    return {
        "row": record["row"],
        "batch": str(record["batch_size"]),
        "reference": _spread(record["reference"]),
        "all cores": _spread(record["whole"]),
        "ratio": _spread(record["whole_ratio"], digits=".2f"),
        "one thread each": _spread(record.get("singles")),
        "its ratio": _spread(record.get("singles_ratio"), digits=".2f"),
    }


def _reached(found: Record | None) -> str:
    if found is None:
        return ""
    epochs = f"{found['epochs']} epoch{'s' * (found['epochs'] != 1)}"
    if found["reached"]:
        return f"{found['seconds']:.1f} s ({epochs})"
    return f"not reached in {found['seconds']:.1f} s ({epochs})"


def _times(found: Record | None) -> str:
    return "" if found is None else f"{'> ' if found['at_least'] else ''}{found['value']:.1f}"


def _quality(record: Record) -> dict[str, str]:
    return {
        "row": record["row"],
        "figures": ", ".join(f"{key.removeprefix('validation_')} {value:g}" for key, value in record["figures"].items()),
        "reference": _reached(record["reference"]),
        "all cores": _reached(record["whole"]),
        "ratio": _times(record["whole_ratio"]),
        "at once": _reached(record.get("singles")),
        "its ratio": _times(record.get("singles_ratio")),
    }


def _flops(record: Record) -> dict[str, str]:
    return {
        "row": record["row"],
        "recipe": record["recipe"],
        "precision": record["precision"],
        "threads": str(record["num_threads"]),
        "MFLOP an image": f"{record['flop_per_image'] / 1e6:.1f}",
        "GFLOP/s": _spread(record["achieved"], 1e-9),
        "peak": _spread(record["peak"], 1e-9),
        "torch.matmul": _spread(record["matmul"], 1e-9),
        "share %": _spread(record["share"], 100),
    }


def _profile(record: Record) -> dict[str, str]:
    parts = {key: _spread(values, 100) for key, values in record["parts"].items()}
    return {
        "row": record["row"],
        "recipe": record["recipe"],
        "precision": record["precision"],
        "products %": parts["products"],
        "of the peak %": _spread(record["product_share"], 100),
        "norms %": parts["norms"],
        "others %": parts["others"],
        "optimiser %": parts["optimiser"],
        "outside %": _spread(record["outside"], 100),
    }


def _stages(record: Record) -> dict[str, str]:
    return {
        "stage": record["stage"],
        "size": "the study" if record["full"] else "small",
        "seconds": f"{record['seconds']:.1f}",
        "start-up s": f"{record['start_up_seconds']:.1f}",
        "start-up %": f"{100 * record['start_up_seconds'] / record['seconds']:.0f}",
        "memory MiB": f"{record['peak_bytes'] / 2**20:.0f}",
    }


def _growth(record: Record) -> dict[str, str]:
    points = zip(record["sizes"], record["seconds"], strict=True)
    return {
        "what": record["what"],
        "seconds": ", ".join(f"{size}: {seconds:.2f}" for size, seconds in points),
        "exponent": f"{record['exponent']:.2f}",
    }


TABLES = {"loop": _loop, "quality": _quality, "flops": _flops, "profile": _profile, "stages": _stages, "growth": _growth}
