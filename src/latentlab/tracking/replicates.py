"""One MLflow run for each variant, data set and recipe, above those of its seeds: means, their spread, one picture.

MLflow can show means of groups, but neither sort, chart nor compare by them, and it shows no images of a group. Its page
that compares runs opens on the first three parameters that differ, by their names, and the metric that was logged first.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean, stdev

import mlflow
import numpy as np
from mlflow.entities import Metric, Param, Run
from mlflow.tracking.context.registry import resolve_tags
from PIL import Image

from latentlab import paths
from latentlab.evaluation import pictures
from latentlab.tracking import store
from latentlab.tracking.describe import HEADLINES
from latentlab.tracking.view import PICTURE

# metrics whose standard deviation over the seeds is logged too
SPREAD = ("test/mse", "test/ssim", "probe/svm_rbf_accuracy")
_SAME = ("dataset", "recipe", "variant", "source", "family", "comparisons")
_PARAMS = ("dataset", "family", "recipe", "source")


def log_parents(experiment_id: str, runs: Mapping[paths.Run, str]) -> None:
    """Brings the parents up to date: one for each variant, data set and recipe of the runs.

    A parent is made anew when anything of it has changed, and takes the place of the old one.

    Args:
        experiment_id: Of `latentlab.tracking.store.open_store`.
        runs: The replicates that count, each with its fingerprint; those that MLflow has not are left out.

    Raises:
        TrackingError: The server does not take it.
    """
    families = defaultdict[tuple[str, str, str], dict[str, paths.Run]](dict)
    for run in sorted(runs):
        families[run.dataset, run.recipe, run.variant][runs[run]] = run
    with store.errors_of_server(), store.one_at_a_time():
        for key, replicates in families.items():
            condition = " AND ".join(f"tags.{name} = '{value}'" for name, value in zip(_SAME, key, strict=False))
            found = mlflow.MlflowClient().search_runs([experiment_id], condition, order_by=["attributes.start_time ASC"])
            trained = {run.data.tags["fingerprint"]: run for run in found if run.data.tags.get("trained") == "true"}
            if children := {each: trained[name] for name, each in replicates.items() if name in trained}:
                _bring(experiment_id, children, [run for run in found if "seeds" in run.data.tags])


def _bring(experiment_id: str, children: dict[paths.Run, Run], old: list[Run]) -> None:
    """Makes a parent of the children, unless the only one that there is has all of theirs, and says whose they are."""
    client = mlflow.MlflowClient()
    values = means(list(children.values()))
    tags = {name: next(iter(children.values())).data.tags.get(name, "") for name in _SAME}
    tags["seeds"] = " ".join(str(run.seed) for run in children)
    content = json.dumps([tags, values, [child.info.run_id for child in children.values()]])
    tags["content"] = hashlib.sha256(content.encode()).hexdigest()[:16]
    if len(old) == 1 and old[0].data.tags["content"] == tags["content"]:
        parent = old[0].info.run_id
    else:
        parent = _make(experiment_id, children, values, tags)
        for run in old:
            client.delete_run(run.info.run_id)
    for child in children.values():
        if child.data.tags.get("mlflow.parentRunId") != parent:
            client.set_tag(child.info.run_id, "mlflow.parentRunId", parent)


def means(children: list[Run]) -> dict[str, float]:
    """The headlines that all of the runs have, `test/mse` first: means, standard deviations (n - 1), number of runs."""
    names = sorted(HEADLINES.values(), key=lambda name: name != "test/mse")
    known = {name: [run.data.metrics[name] for run in children if name in run.data.metrics] for name in names}
    whole = {name: each for name, each in known.items() if len(each) == len(children)}
    spread = {f"{name}_sd": stdev(whole[name]) for name in SPREAD if name in whole and len(children) > 1}
    return {name: fmean(each) for name, each in whole.items()} | spread | {"num_seeds": float(len(children))}


def _make(experiment_id: str, children: dict[paths.Run, Run], values: dict[str, float], tags: dict[str, str]) -> str:
    """A finished run; it takes as long as the training of one of its children."""
    client = mlflow.MlflowClient()
    started = min(child.info.start_time for child in children.values())
    seconds = fmean(child.info.end_time - child.info.start_time for child in children.values())
    seeds = tags["seeds"].replace(" ", ", ")
    note = f"### {tags['variant']}\nMeans over seed {seeds}; the runs below have parameters, curves, models and files."
    name = f"{tags['variant']}-{tags['dataset']}-{tags['recipe']}"
    run = client.create_run(experiment_id, started, resolve_tags(tags | {"mlflow.note.content": note}), name)
    run_id = str(run.info.run_id)
    params = {key: tags[key] for key in _PARAMS}
    params |= {key: f"{values[f'size/{key}']:.0f}" for key in ("latent_dim", "num_parameters") if f"size/{key}" in values}
    ended = started + int(seconds)
    metrics = [Metric(key, value, ended, 0) for key, value in values.items()]
    client.log_batch(run_id, metrics, [Param(key, value) for key, value in params.items()])
    if sheet := contact_sheet(list(children)):
        client.log_image(run_id, sheet, key=PICTURE, step=0)
    client.set_terminated(run_id, "FINISHED", ended)
    return run_id


def contact_sheet(runs: list[paths.Run]) -> Image.Image | None:
    """A test image of each class, and below it what each run makes of it; None if none of them has its arrays here."""
    files = [run.reconstructions / "arrays.npz" for run in runs]
    arrays = [np.load(file)["reconstructions"] for file in files if file.exists()]
    if not arrays:
        return None
    rows = np.stack([arrays[0][0], *(each[1] for each in arrays)])
    return Image.fromarray(pictures.tile(rows, 128, 3))
