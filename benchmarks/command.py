"""`latentlab bench`: runs the parts, prints the page, and keeps the results."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib

from benchmarks import flops, growth, loop, machine, page, profile, quality, stages
from benchmarks.processes import ROOT, workers
from benchmarks.settings import (
    NUM_IMAGES,
    NUM_ROUNDS,
    QUALITY_ROWS,
    QUICK_NUM_IMAGES,
    QUICK_NUM_ROUNDS,
    ROWS,
    Settings,
)
from latentlab import layout, params
from latentlab.errors import UserError

PARTS: dict[str, Callable[[Settings], Iterator[dict[str, Any]]]] = {
    "loop": loop.measure,
    "quality": quality.measure,
    "flops": flops.measure,
    "profile": profile.measure,
    "stages": stages.measure,
    "growth": growth.measure,
}
RESULTS = ROOT / "benchmarks" / "results"


def run(
    parts: list[str],
    *,
    rows: list[str] | None,
    quality_rows: list[str] | None,
    num_images: int | None,
    num_rounds: int | None,
    quick: bool,
    full: bool,
    device: str | None,
    output: Path | None,
) -> None:
    """Measures, and says on stderr how far it is.

    Args:
        parts: Of `PARTS`; all but the time to quality if there are none.
        rows: Of the loop and of FLOP/s.
        quality_rows: Of the time to quality; naming some asks for that part.
        num_images: In each round.
        num_rounds: Of the loop and the profile; FLOP/s and growth have half of that.
        quick: Everything small, to see that it works; nothing is kept unless `output` is given.
        full: The stages at the size of the study.
        device: In the place of the one in params.yaml.
        output: Folder for the results.

    Raises:
        UserError: A part or a row is unknown, the images are not there, or a process failed.
    """
    study = params.load(layout.PARAMS)
    asked = _asked(parts, quality_rows)
    rows, quality_rows = rows or list(ROWS), quality_rows or list(QUALITY_ROWS)
    needed = [name for part, names in (("loop", rows), ("quality", quality_rows)) if part in asked for name in names]
    for name in [*rows, *quality_rows]:
        study.row(name)
    for name in quality_rows if "quality" in asked else []:
        quality.figures(study, name)
    if not layout.DATA.is_dir():
        raise UserError("MNIST is not here: latentlab repro download")
    load = machine.load()
    if load > 0.5:
        print(f"the load of this machine is {load}: what is measured beside other work means little", file=sys.stderr)
    with workers(joblib.cpu_count()) as crew:
        crew.theirs.ask("check", names=needed)
        about = crew.theirs.ask("about", device=device or study.device)
        settings = Settings(
            study=study,
            workers=crew,
            device=about["device"],
            on_gpu=about["device"] != "cpu",
            rows=rows,
            quality_rows=quality_rows,
            num_images=num_images or (QUICK_NUM_IMAGES if quick else NUM_IMAGES),
            num_rounds=num_rounds or (QUICK_NUM_ROUNDS if quick else NUM_ROUNDS),
            quick=quick,
            full=full,
        )
        here = machine.describe(about, crew.num_cores)
        kept = output or (None if quick else RESULTS)
        path = kept / f"{machine.slug(here)}.json" if kept else None
        results = {"machine": here, "parts": _former(path, here)}
        measured = []
        for name in asked:
            measured.append(name)
            for part in _measure(name, settings, load):
                results["parts"][name] = part
                if path:
                    _write(results, path)  # after each record: the next one may fail
    print(page.page({"machine": here, "parts": {name: results["parts"][name] for name in measured}}), end="")
    if not parts and "quality" not in asked:
        print("time to quality was not asked for: latentlab bench quality", file=sys.stderr)
    if path:
        print(f"wrote {path} and {path.with_suffix('.md').name}", file=sys.stderr)


def _asked(parts: list[str], quality_rows: list[str] | None) -> list[str]:
    """The parts to measure, in their own order."""
    for name in parts:
        if name not in PARTS:
            raise UserError(f"no part {name!r}: choose from {', '.join(PARTS)}")
    chosen = set(parts) or set(PARTS) - {"quality"}
    return [name for name in PARTS if name in chosen or (name == "quality" and quality_rows)]


def _measure(name: str, settings: Settings, load: float) -> Iterator[dict[str, Any]]:
    """One part as the results hold it, again with each record that it gets."""
    asked: dict[str, Any] = {"load before": load, "device": settings.device} | ({"quick": True} if settings.quick else {})
    if name in ("loop", "flops", "profile", "growth"):
        asked |= {"images": settings.num_images, "rounds": settings.num_rounds}
    part: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "settings": asked, "records": []}
    for record in PARTS[name](settings):
        about = [str(record[key]) for key in ("row", "recipe", "stage", "what", "note") if key in record]
        print(f"{name}: {', '.join(about)}", file=sys.stderr, flush=True)
        part["records"].append(record)
        yield part


def _former(path: Path | None, here: dict[str, Any]) -> dict[str, Any]:
    """Parts that were measured before on the same machine with the same versions, in the order of `PARTS`."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    parts: dict[str, Any] = found.get("parts", {}) if found.get("machine") == here else {}
    return parts


def _write(results: dict[str, Any], path: Path) -> None:
    """The results as JSON, and beside it as a page."""
    results["parts"] = {name: results["parts"][name] for name in PARTS if name in results["parts"]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page.page(results), encoding="utf-8")
