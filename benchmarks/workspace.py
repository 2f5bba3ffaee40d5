"""A copy of the project in a temporary folder, small or whole, whose stages can run without a trace in the real one."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

import latentlab
from benchmarks.processes import ROOT, environment
from latentlab import layout, params

SMALL_SPLIT = {"train": 2000, "validation": 500, "test": 500}
BASELINE = "pca_32"
NOTHING_FOUND: dict[str, Any] = {"recipes": [], "seeds": [], "variants": {}, "training": {}}


def make(folder: Path, rows: Sequence[str] | None, device: str) -> None:
    """Makes the copy.

    Args:
        folder: Is made.
        rows: These rows, with few images and epochs; the study as it is, with its results, if None.
        device: For its params.yaml.
    """
    folder.mkdir(parents=True)
    package = Path(latentlab.__file__).parent
    shutil.copytree(package, folder / "src" / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", layout.STATEMENTS):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n", encoding="utf-8")
    (folder / layout.DATA.parent).mkdir()
    content = yaml.safe_load((ROOT / layout.PARAMS).read_text(encoding="utf-8"))
    content["device"] = device
    if rows is None:
        shutil.copy(ROOT / params.FOUND, folder / params.FOUND)
        for results in (layout.RESULTS, layout.REPORTS):
            if (ROOT / results).is_dir():
                shutil.copytree(ROOT / results, folder / results)
    else:
        shrink(content, rows)
        (folder / params.FOUND).write_text(yaml.safe_dump({"found": NOTHING_FOUND}), encoding="utf-8")
    (folder / layout.PARAMS).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def shrink(content: dict[str, Any], rows: Sequence[str]) -> None:
    """Leaves those rows of params.yaml, with few images, two epochs and small analyses."""
    content["variants"] = {name: content["variants"][name] for name in rows}
    content["published"] = {name: figures for name, figures in content["published"].items() if name in rows}
    content["experiments"] = {"all": {"title": "All", "rows": [rows[0], rows[-1]]}}
    content["baselines"] = {BASELINE: content["baselines"][BASELINE]}
    content["recipes"], content["seeds"] = ["fast"], [0]
    content["study"] |= {"known_rows": [], "reference": rows[0]}
    content["split"] |= SMALL_SPLIT
    analyses = content["analyses"]
    analyses["interpolation"] |= {"first": 12, "second": 34, "num_pairs": 10}
    analyses["latent_space"] |= {"num_large": 300}
    analyses["generation"] |= {"num_samples": 100, "num_fitted": 500}
    analyses["codecs"] |= {"num_images": 20}
    for training in content["training"]["fast"].values():
        training["epochs"] = 2


def stage_environment(folder: Path, num_threads: int | None) -> dict[str, str]:
    """That of a process in the copy: its code, its MLflow store, the project's own images in the place of a download."""
    found = environment(num_threads)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_ROOT", "DVC_STAGE"):
        found.pop(name, None)
    return found | {
        "PYTHONPATH": str(folder / "src"),
        "LATENTLAB_MNIST": str((ROOT / layout.DATA).resolve()),
        "DVC_SITE_CACHE_DIR": str(folder.parent / f"{folder.name}-site"),
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "TQDM_DISABLE": "1",
    }


def commands(row: str) -> dict[str, list[str]]:
    """For each stage of dvc.yaml, in its order, the module and the arguments of one instance, of that row or a baseline."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    values = {"${item.row}": row, "${item.recipe}": "fast", "${item.seed}": "0", "${key}": BASELINE}
    found = {}
    for name, body in stages.items():
        command = body.get("do", body)["cmd"]
        for placeholder, value in values.items():
            command = command.replace(placeholder, value)
        found[name] = command.removeprefix("python -m ").split()
    return found
