"""What MLflow is told of a run: its name, tags, parameters and note, and the numbers and files of its stages."""

import csv
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentlab.models import trained
from latentlab.models.base import Autoencoder
from latentlab.params.project import Params
from latentlab.params.recipes import Training
from latentlab.params.variants import Variant
from latentlab.paths import Run
from latentlab.tracking.processes import process_tags

# What MLflow gets of the numbers of a run, by where they are in its JSON files, which are artifacts and have all of them:
# hundreds of metrics hide those by which people compare. The part of a name before the slash is the chart's section.
HEADLINES = {
    **{f"test_{each}": f"test/{each}" for each in ("mse", "psnr", "ssim", "bce")},
    "latent_dim": "size/latent_dim",
    "num_parameters/total": "size/num_parameters",
    "num_macs/total": "size/num_macs",
    **{f"{each}_accuracy": f"probe/{each}_accuracy" for each in ("svm_rbf", "svm_linear", "knn", "logistic")},
    "denoising/0.2/mse": "denoising/mse_at_0.2",
    "interpolation/linear/different_classes/step_ratio": "interpolation/step_ratio",
    "latent_space/silhouette": "latent_space/silhouette",
    "generation/standard_normal/frechet_distance": "generation/frechet_distance",
    "compression/4/mse": "compression/mse_at_4_bits",
    "checkerboard/energy_ratio": "checkerboard/energy_ratio",
    "few_labels/svm_rbf/100/mean": "few_labels/svm_rbf_of_100",
    "untrained/svm_linear_accuracy": "untrained/svm_linear_accuracy",
    "geometry/neighbours_kept": "geometry/neighbours_kept",
}
_SOURCES = ("src", "*.yaml", "requirements.lock")


@dataclass(frozen=True)
class Measured:
    """The headlines of one JSON file of results, by their names in MLflow; that file, and those to show beside it.

    The files are held as they were at one moment: another stage may make them anew at any.
    """

    metrics: dict[str, float]
    files: dict[Path, bytes]

    def digest(self) -> str:
        """Changes with any byte of the files."""
        return hashlib.sha256(b"".join(self.files.values())).hexdigest()[:16]


@dataclass(frozen=True)
class RunOutputs:
    """What the stages have left of a run, ready to be logged.

    `description` is the checkpoint's own; `note` is Markdown; `tags` come on top of those made from the description.
    `measured` is by the name of the JSON file: `metrics`, `probes` or an analysis.
    """

    description: dict[str, Any]
    note: str
    tags: dict[str, str]
    model: Autoencoder
    checkpoint: Path
    curve: list[dict[str, float]]
    curve_file: Path
    measured: dict[str, Measured]


def outputs(project: Params, run: Run) -> RunOutputs:
    """A run's output files, read; what was measured of another training than the checkpoint's is left out."""
    model = trained.load(run.checkpoint)
    note, tags = about(project, run, model.variant, Training.model_validate(model.description["training"]))
    with run.curve.open(encoding="utf-8", newline="") as file:
        curve = [{key: float(value) for key, value in record.items()} for record in csv.DictReader(file)]
    return RunOutputs(
        description=model.description,
        note=note,
        tags=tags,
        model=model.model,
        checkpoint=run.checkpoint,
        curve=curve,
        curve_file=run.curve,
        measured=dict(_measured(run, model.description["fingerprint"])),
    )


def about(project: Params, run: Run, variant: Variant, training: Training) -> tuple[str, dict[str, str]]:
    """What people read above a run, in Markdown, and the tags by which they group runs."""
    comparisons = [key for key, comparison in project.comparisons.items() if run.variant in comparison.variants]
    numbers = "".join(f"\n| {key} | {value} |" for key, value in variant.architecture.items())
    note = (
        f"### {run.variant}\nA `{variant.family}` of source {variant.source} (`{project.sources[variant.source]}`), "
        f"trained on `{run.dataset}` with the recipe `{run.recipe}` and seed {run.seed}: {training.epochs} epochs of "
        f"{training.optimizer.name} in batches of {training.batch_size}.\n\n| number | value |\n|---|---|{numbers}\n\n"
    )
    if comparisons:
        titles = "; ".join(project.comparisons[key].title.lower() for key in comparisons)
        note += f"Compared in: {titles}. Filter `tags.comparisons LIKE '%{comparisons[0]}%'` to see the others.\n\n"
    note += f"Again: `dvc repro --force {run.stage('train')}`."
    return note, {"comparisons": " ".join(comparisons)}


def _measured(run: Run, fingerprint: str) -> Iterator[tuple[str, Measured]]:
    for path in sorted({each for file in (run.metrics, run.analysis("any")) for each in file.parent.glob("[!.]*.json")}):
        numbers = json.loads(content := path.read_bytes())
        if numbers.pop("provenance")["training"]["fingerprint"] != fingerprint:
            continue
        # git has the numbers, also of what is made again just now, and not what lies beside them
        if path != run.probes and not (run.reconstructions if path == run.metrics else run.arrays(path.stem)).is_dir():
            continue
        if path == run.metrics:
            beside = sorted(run.reconstructions.glob("[!.]*.png"))
        elif path == run.probes:
            beside = [each for each in (run.confusion,) if each.exists()]
        else:
            numbers = {path.stem: numbers}
            beside = sorted(run.arrays(path.stem).glob("[!.]*.png"))
        with suppress(FileNotFoundError):  # its stage has begun again, and will log it
            files = {path: content} | {each: each.read_bytes() for each in beside}
            yield path.stem, Measured(dict(headlines(numbers)), files)


def headlines(numbers: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Those of the numbers of a file that MLflow gets, by their names there."""
    for path, name in HEADLINES.items():
        value: Any = numbers
        for key in path.split("/"):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, (int, float)):
            yield name, float(value)


def run_name(description: dict[str, Any]) -> str:
    """The name of the run."""
    return str(Run(*(description[key] for key in ("name", "dataset", "recipe", "seed"))))


def run_tags(description: dict[str, Any], note: str, tags: dict[str, str], *, live: bool) -> dict[str, str]:
    """The tags of the run; `live` while it is trained, not when it is logged from its output files."""
    own = {key: str(description[key]) for key in ("dataset", "recipe", "seed", "device", "fingerprint")}
    own |= {
        "variant": description["name"],
        "source": description["variant"]["source"],
        "family": description["variant"]["family"],
        "data.digest": description["data_digest"],
        "mlflow.note.content": note,
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "replayed": str(not live).lower(),
    }
    return own | _git_tags() | process_tags() | tags


def run_params(description: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the run, flat."""
    flat = {key: value for key, value in description["variant"].items() if key not in ("source", "training")}
    flat |= {key: description[key] for key in ("dataset", "recipe", "seed", "precision", "num_threads", "torch")}
    return flat | with_dots(description["training"] | {"split": description["split"]})


def with_dots(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without the sections in them, whose keys are told by dots: "optimizer.lr"."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _git_tags() -> dict[str, str]:
    """Commit of the working tree, and whether what determines the runs differs from it; empty outside of git."""

    def git(*arguments: str) -> str:
        # without writing git's index, as `git status` does: people may be at work with git at the same time
        command = ["git", "--no-optional-locks", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return result.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", *_SOURCES)
        return {"git.commit": git("rev-parse", "HEAD"), "git.dirty": str(bool(changed)).lower()}
    except (OSError, subprocess.SubprocessError):
        return {}
