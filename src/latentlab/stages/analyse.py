"""Stage `analyse@run-analysis`: one analysis of a trained run."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from latentlab import paths, stages
from latentlab.comparison.tables import write_csv
from latentlab.data import images
from latentlab.evaluation import classifier
from latentlab.evaluation.analysis import Analysis, Subject, of_run
from latentlab.files import write_json
from latentlab.models import trained
from latentlab.params.datasets import Shares, Split
from latentlab.params.project import load
from latentlab.tracking import describe, runs, store
from latentlab.training import devices, plan

SPLIT: TypeAdapter[Split | Shares] = TypeAdapter(Split | Shares)


def main(analysis: str, *names: str) -> None:
    """Makes that analysis of the run of that variant, data set, recipe and seed."""
    run = paths.Run.of(*names)
    measure(run, analysis, run.analysis_plan(analysis), run.analysis(analysis), run.arrays(analysis))


def measure(run: paths.Run, analysis: str, planned: Path, path: Path, folder: Path | None) -> None:
    """Measures a run as its plan says, and writes the numbers with all that determines them, then logs them."""
    project, content = load(), plan.read(planned)
    plan.check(content, plan.of_analysis(project, run.variant, analysis, content["settings"]))
    plan.check(content, plan.beside(project, run.dataset, analysis))
    device = devices.resolve(project.device)
    devices.make_deterministic()
    model = trained.load(run.checkpoint, device=device)
    data = images.load(paths.data(run.dataset), SPLIT.validate_python(model.description["split"]))
    measured = analyse(analysis, of_run(model, data), run.dataset, content)
    write_files(measured, path.parent, folder)
    provenance = {"training": model.description, **content, "device": device.type, **plan.about_process()}
    # last: a run that has it has everything
    write_json({"provenance": provenance, **measured.numbers}, path)
    runs.log_run(store.open_store(paths.project_root()), describe.outputs(project, run))


def analyse(analysis: str, subject: Subject, dataset: str, planned: plan.Plan) -> Analysis:
    """The analysis of that name, with the settings of its plan, and with what else it looks at."""
    module = importlib.import_module(f"latentlab.evaluation.{analysis}")
    beside: dict[str, Any] = {}
    if "classifier" in planned:
        beside["classifier"] = classifier.load(paths.classifier(dataset)) if planned["classifier"] else None
    if "others" in planned:
        splits = {name: SPLIT.validate_python(about["split"]) for name, about in planned["others"].items()}
        beside["others"] = {name: images.load(paths.data(name), split).test for name, split in splits.items()}
    measured: Analysis = module.analyse(subject, module.Settings.model_validate(planned["settings"]), **beside)
    return measured


def write_files(measured: Analysis, tables: Path, folder: Path | None) -> None:
    """Writes the tables of an analysis as CSV, its arrays for the figures, and its pictures for people.

    Args:
        measured: What the analysis gave.
        tables: The folder of the tables.
        folder: Of arrays and pictures; None for an analysis without.
    """
    tables.mkdir(parents=True, exist_ok=True)
    for name, lines in measured.tables.items():
        write_csv(pd.DataFrame(lines), tables / f"{name}.csv")
    if folder is None:
        return
    folder.mkdir(exist_ok=True)
    if measured.arrays:
        np.savez_compressed(folder / "arrays.npz", **measured.arrays)  # type: ignore[arg-type]
    for name, picture in measured.pictures.items():
        (folder / f"{name}.png").write_bytes(picture)


if __name__ == "__main__":
    stages.start(main)
