"""`latentlab bench`: runs the parts, prints a page for each, and keeps the results."""

import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import psutil
import torch

from benchmarks import cluster, flops, loop, profile, quality, repro, runtimes, stages, study_throughput
from benchmarks.page import page
from benchmarks.processes import processes
from benchmarks.task import NUM_IMAGES, NUM_ROUNDS, QUICK_NUM_IMAGES, QUICK_NUM_ROUNDS, VARIANTS, Record, Task
from latentlab import paths
from latentlab.errors import UserError
from latentlab.files import write_json, write_text
from latentlab.params.project import load
from latentlab.training import devices

PARTS: dict[str, ModuleType] = {
    "loop": loop,
    "quality": quality,
    "flops": flops,
    "profile": profile,
    "runtimes": runtimes,
    "stages": stages,
    "repro": repro,
    "cluster": cluster,
    "study_throughput": study_throughput,
}
ON_REQUEST = {"quality", "repro", "cluster", "study_throughput"}  # which take long
RESULTS = Path("benchmarks/results")


def run(
    parts: list[str],
    *,
    variants: list[str] | None,
    num_images: int | None,
    num_rounds: int | None,
    quick: bool,
    device: str | None,
    output: Path | None,
) -> None:
    """Measures, and says on stderr how far it is.

    Args:
        parts: Of `PARTS`; all but `ON_REQUEST` if there are none.
        variants: Of all parts but the stages.
        num_images: In each round.
        num_rounds: How often.
        quick: Everything small, to see that it works; nothing is kept unless `output` is given.
        device: In the place of the one in params.yaml.
        output: Folder for the results.

    Raises:
        UserError: A part or a variant is unknown, the images are not there, or a stage failed.
    """
    for name in parts:
        if name not in PARTS:
            raise UserError(f"no part {name!r}: choose from {', '.join(PARTS)}")
    project, variants = load(), variants or VARIANTS
    for name in variants:
        project.variant(name)
    dataset = project.run.datasets[0]
    if not paths.data(dataset).is_dir():
        raise UserError(f"the images are not here: latentlab repro download@{dataset}")
    if (load_before := psutil.getloadavg()[0]) > 0.5:
        print(f"the load of this machine is {load_before:.1f}: beside other work, times mean little", file=sys.stderr)
    num_images = num_images or (QUICK_NUM_IMAGES if quick else NUM_IMAGES)
    num_rounds = num_rounds or (QUICK_NUM_ROUNDS if quick else NUM_ROUNDS)
    place, num_cores = devices.resolve(device or project.device), joblib.cpu_count()
    settings = {"images": num_images, "rounds": num_rounds, "quick": quick, "load_before": round(load_before, 1)}
    results: Record = {"machine": machine(place, num_cores), "settings": settings}
    kept = output or (None if quick else RESULTS)
    with processes(num_cores) as crew:
        task = Task(project, crew, dataset, place.type, variants, num_images, num_rounds, quick)
        for name, part in PARTS.items():
            if name in (parts or {*PARTS} - ON_REQUEST):
                measured = results | {"records": []}
                for record in part.measure(task):
                    about = [
                        str(record[key]) for key in ("variant", "recipe", "runtime", "stage", "workers") if key in record
                    ]
                    print(f"{name}: {', '.join(about)}", file=sys.stderr, flush=True)
                    measured["records"].append(record)
                    if kept:  # now, as the next one may fail
                        keep(measured, part, kept / slug(results["machine"]) / name)
                print(page(part, measured), flush=True)


def machine(device: torch.device, num_cores: int) -> dict[str, Any]:
    """What it runs on, and when: processor, GPU and versions."""
    return {
        "processor": devices.processor_name(),
        "cores": num_cores,
        "memory_GiB": round(psutil.virtual_memory().total / 2**30, 1),
        "device": device.type,
        "GPU": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "native_bfloat16": devices.precision("bfloat16", device) == torch.bfloat16,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def slug(here: dict[str, Any]) -> str:
    """Name of the folder of a machine's results: the type of its device, or the name of its GPU."""
    return re.sub(r"[^a-z0-9]+", "-", (here["GPU"] or here["device"]).lower()).strip("-")


def keep(measured: Record, part: ModuleType, path: Path) -> None:
    """Writes what a part has measured as JSON, and beside it as a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(measured, path.with_suffix(".json"))
    write_text(page(part, measured), path.with_suffix(".md"))
