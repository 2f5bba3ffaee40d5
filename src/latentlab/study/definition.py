"""What makes two studies of one name the same study: settings, images and code that their trials' numbers depend on."""

import hashlib
import json
from typing import Any

from latentlab import paths
from latentlab.data import images
from latentlab.params.project import Params
from latentlab.params.study import StudySettings
from latentlab.training.fingerprint import fingerprint

# what draws a trial, sizes it, trains it and stops it early
CODE = (
    "latentlab.study.worker:sampler", "latentlab.study.space:draw", "latentlab.study.space:sizes",
    "latentlab.training.run:begin", "latentlab.study.front:goes_on",
)  # fmt: skip

# settings that may change within a study: its budget, its place and its rules
FREE = {
    "name", "storage", "num_trials", "stale_after_seconds", "source", "reference", "known_variants", "reference_point",
    "winners", "champion", "final",
}  # fmt: skip


def basis(project: Params, settings: StudySettings) -> dict[str, Any]:
    """What the trials' numbers depend on, beside the machine: settings that must not change, images, code."""
    dataset = project.run.datasets[0]
    families = [f"latentlab.models.{family}" for family in settings.space.families]
    return settings.model_dump(exclude=FREE) | {
        "dataset": dataset,
        "images": project.datasets[dataset].form(),
        **project.datasets[dataset].model_dump(include={"split", "epoch_images"}),
        "data_digest": images.digest(paths.data(dataset)),
        "code": fingerprint(*CODE, *families),
    }


def definition(parts: dict[str, Any]) -> dict[str, str]:
    """What makes two studies of one name the same study: a hash of each part of its basis."""
    return {key: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:8] for key, part in parts.items()}
