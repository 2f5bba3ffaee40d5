"""What MLflow is told of a run beside its numbers: name, parameters and tags, from what the checkpoint says of itself."""

import os
import subprocess
from typing import Any

from latentlab.processes import process_tags


def run_name(description: dict[str, Any]) -> str:
    """The name of the run."""
    return f"{description['name']}-{description['recipe']}-{description['seed']}"


def run_tags(description: dict[str, Any], note: str, tags: dict[str, str], *, live: bool) -> dict[str, str]:
    """The tags of the run; `live` while it is trained, not when it is logged from its output files."""
    row = description["row"]
    own = {
        "row": description["name"],
        "source": row["source"],
        "family": row["family"],
        "recipe": description["recipe"],
        "seed": str(description["seed"]),
        "device": description["device"],
        "data.digest": description["data_digest"],
        "fingerprint": description["fingerprint"],
        "mlflow.note.content": note,
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "replayed": str(not live).lower(),
    }
    return own | _git_tags() | process_tags() | tags


def run_params(description: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the run, flat."""
    flat: dict[str, Any] = {key: value for key, value in description["row"].items() if key not in ("source", "training")}
    flat |= {name: description[name] for name in ("recipe", "seed", "num_threads", "torch")}
    flat |= {f"split.{name}": value for name, value in description["split"].items()}
    for name, value in description["training"].items():
        if isinstance(value, dict):  # optimizer, schedule
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _git_tags() -> dict[str, str]:
    """Commit of the working tree, and whether the sources of the study differ from it; empty outside of git."""

    def git(*arguments: str) -> str:
        # without writing git's index, as `git status` does: people may be at work with git at the same time
        command = ["git", "--no-optional-locks", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return result.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "src", "params.yaml", "dvc.yaml", "requirements.lock")
        return {"git.commit": git("rev-parse", "HEAD"), "git.dirty": str(bool(changed)).lower()}
    except (OSError, subprocess.SubprocessError):
        return {}
