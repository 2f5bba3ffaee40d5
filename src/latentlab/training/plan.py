"""What is to be done with a run or a baseline, and by what code: one small file for each stage.

DVC's matrix can look up neither the numbers of a variant nor its settings in a recipe, and source files as dependencies
would make everything stale that any edit touches. So a stage depends on its plan, which has all that determines its numbers
but the
machine: settings, data, and a fingerprint of the code.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import torch

from latentlab import paths
from latentlab.data import images
from latentlab.errors import UserError
from latentlab.files import write_json
from latentlab.params.analyses import Analyses
from latentlab.params.frontier import Frontier
from latentlab.params.oneclass import OneClass
from latentlab.params.project import Params
from latentlab.params.recipes import Recipe
from latentlab.training.fingerprint import fingerprint

Plan = dict[str, Any]

# how weights come to be and are kept; how a trained model is measured, beside the analysis itself and the family; what
# each process begins with
_TRAINING = (
    "latentlab.training.run:begin",
    "latentlab.models.checkpoint:EpochFile",
    "latentlab.models.checkpoint:save",
)
_MODEL = (
    "latentlab.evaluation.analysis:of_run",
    "latentlab.models.checkpoint:load_weights",
    "latentlab.models.trained:TrainedModel",
)
_PROCESS = (
    "latentlab.data.images:load",
    "latentlab.training.devices:make_deterministic",
    "latentlab.training.devices:pin_threads",
)
# baselines that are no PCA, and what is measured of them
RAW_PIXELS, CLASSICAL, CODECS = "raw_pixels", "classical", "codecs"
_PLAIN = (
    *((RAW_PIXELS, each) for each in ("probes", "few_labels", "geometry", "anomalies")),
    (CLASSICAL, "denoising"),
    (CODECS, "codecs"),
)
# analyses that look at other data sets, too, and those that look at a classifier
_OF_OTHERS, _OF_CLASSIFIER = ("anomalies",), ("generation",)


def of_training(project: Params, name: str, dataset: str, recipe: Recipe) -> Plan:
    """What determines a training, beside its seed and the machine."""
    variant = project.variant(name)
    return {
        "variant": variant.model_dump(),
        "training": project.training_of(name, recipe).model_dump(),
        **_data(project, dataset),
        **project.datasets[dataset].model_dump(include={"epoch_images"}),
        "device": project.device,
        "code": fingerprint(f"latentlab.models.{variant.family}", *_TRAINING, *_PROCESS),
    }


def of_analysis(project: Params, name: str, analysis: str, settings: Plan) -> Plan:
    """What determines what is measured of a trained variant, beside its training and the machine."""
    family = f"latentlab.models.{project.variant(name).family}"
    code = fingerprint(f"latentlab.evaluation.{analysis}", family, *_MODEL, *_PROCESS)
    return {"settings": settings, "device": project.device, "code": code}


def of_baseline(project: Params, name: str, dataset: str, settings: Plan, *analyses: str) -> Plan:
    """What determines what is measured of a baseline."""
    modules = [f"latentlab.evaluation.{analysis}" for analysis in analyses]
    code = fingerprint("latentlab.evaluation.pca:of_baseline", *modules, *_PROCESS)
    components = project.baselines[name].model_dump() if name in project.baselines else {}
    return {**components, **_data(project, dataset), "settings": settings, "code": code}


def beside(project: Params, dataset: str, analysis: str) -> Plan:
    """What an analysis looks at beside a run and its own images.

    Returns:
        others: The other selected data sets of the same shape.
        classifier: The SHA-256 of the weights of the data set's classifier; None for images without classes.
    """
    if analysis in _OF_OTHERS:
        shape = project.datasets[dataset].shape
        others = [name for name in project.run.datasets if name != dataset and project.datasets[name].shape == shape]
        return {"others": {name: _data(project, name) for name in others}}
    if analysis in _OF_CLASSIFIER:
        weights = paths.classifier(dataset)
        return {"classifier": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else None}
    return {}


def of_oneclass(project: Params, settings: OneClass, dataset: str) -> Plan:
    """What determines the autoencoders of single classes and what they tell, beside their seed and the machine."""
    family = f"latentlab.models.{settings.variant.family}"
    return {
        **settings.model_dump(exclude={"seeds"}),
        **_data(project, dataset),
        "device": project.device,
        "code": fingerprint(family, "latentlab.evaluation.oneclass:measured", *_PROCESS),
    }


def of_project(project: Params) -> Iterator[tuple[Path, Plan]]:
    """The plans of the main pipeline: of all variants and recipes, on the data sets that are selected."""
    probes = project.probes.model_dump()
    for dataset in project.run.datasets:
        for run in _runs(project, dataset):
            yield run.plan("train"), of_training(project, run.variant, dataset, run.recipe)  # type: ignore[arg-type]
            yield run.plan("evaluate"), of_analysis(project, run.variant, "reconstruction", {})
            yield run.plan("probe"), of_analysis(project, run.variant, "probes", probes)
        for name in project.baselines:
            yield (
                paths.Baseline(name, dataset).plan,
                of_baseline(project, name, dataset, probes, "reconstruction", "probes"),
            )


def of_analyses(project: Params, analyses: Analyses) -> Iterator[tuple[Path, Plan]]:
    """The plans of the analyses: of all variants and recipes, and of the baselines."""
    settings: Mapping[str, Plan] = analyses.settings | {"probes": project.probes.model_dump()}
    for dataset in project.run.datasets:
        for run, analysis in product(_runs(project, dataset), analyses.names):
            content = of_analysis(project, run.variant, analysis, settings[analysis])
            yield run.analysis_plan(analysis), content | beside(project, dataset, analysis)
        for name, analysis in (*product(project.baselines, analyses.baseline_names), *_PLAIN):
            path = paths.Baseline(name, dataset).analysis_plan(analysis)
            content = of_baseline(project, name, dataset, settings[analysis], analysis)
            yield path, content | beside(project, dataset, analysis)


def of_frontier(project: Params, frontier: Frontier, analyses: Analyses) -> Iterator[tuple[Path, Plan]]:
    """The plans of what is measured of the best variants of our own; how they are trained `of_project` says."""
    runs = product(frontier.variants, project.run.datasets, frontier.recipes)
    for (name, dataset, recipe), analysis in product(runs, frontier.analyses):
        run = paths.Run(name, dataset, recipe, 0, paths.FRONTIER)
        yield run.analysis_plan(analysis), of_analysis(project, name, analysis, analyses.settings[analysis])


def write(plan: Plan, path: Path) -> None:
    """Writes a plan so that equal plans are equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(dict(sorted(plan.items())), path)


def read(path: Path) -> Plan:
    """A plan as the plan stage has written it."""
    plan: Plan = json.loads(path.read_text(encoding="utf-8"))
    return plan


def check(planned: Plan, present: Plan) -> None:
    """Makes sure that a stage does what its plan says, whatever was edited since it was written.

    Raises:
        UserError: The settings, the images or the code have changed.
    """
    if changed := [key for key in present if planned.get(key) != present[key]]:
        raise UserError(f"changed since the stage `plan` has run: {', '.join(changed)}: run the same again")


def differing(plan: Plan, provenance: Mapping[str, Any]) -> list[str]:
    """What a result was made with that the plan would do otherwise, by its keys; a device that is left open is any."""
    return [
        key for key, value in plan.items() if provenance.get(key) != value and not (key == "device" and value == "auto")
    ]


def about_process() -> Plan:
    """What a process adds to what determines numbers: threads, and versions of the libraries that compute."""
    libraries = ("torch", "numpy", "scikit-learn", "scipy")
    return {"num_threads": torch.get_num_threads()} | {name: version(name) for name in libraries}


def _runs(project: Params, dataset: str) -> Iterator[paths.Run]:
    """Each variant under each recipe that it has."""
    for recipe, settings in project.recipes.items():
        for name, variant in project.variants.items():
            if variant.training in settings:
                yield paths.Run(name, dataset, recipe, 0)


def _data(project: Params, dataset: str) -> Plan:
    """What determines the images, in their parts."""
    settings = project.datasets[dataset]
    return {
        "images": settings.form(),
        "split": settings.split.model_dump(),
        "data_digest": images.digest(paths.data(dataset)),
    }
