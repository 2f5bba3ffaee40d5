"""Stage `oneclass@dataset-seed`: an autoencoder for each class, and what it tells of all others."""

from typing import Any

import torch
from tqdm import tqdm

from latentlab import paths, stages
from latentlab.data import images
from latentlab.data.images import Splits
from latentlab.errors import UserError
from latentlab.evaluation import oneclass
from latentlab.evaluation.analysis import Subject
from latentlab.evaluation.anomalies import scorer
from latentlab.evaluation.pca import of_baseline
from latentlab.evaluation.reconstruction import apply
from latentlab.files import write_json
from latentlab.params import oneclass as params
from latentlab.params.project import load
from latentlab.params.recipes import Training
from latentlab.params.variants import Variant
from latentlab.tracking import oneclass as tracking
from latentlab.training import devices, plan, run
from latentlab.training.loop import Progress


def main(dataset: str, seed: str) -> None:
    """Trains one autoencoder after the other, and writes how well each score tells the other classes.

    Raises:
        UserError: The images have no classes.
    """
    project, planned = load(), plan.read(paths.oneclass("plans", f"{dataset}.json"))
    plan.check(planned, plan.of_oneclass(project, params.load(), dataset))
    data = images.load(paths.data(dataset), project.datasets[dataset].split)
    if not data.classes:
        raise UserError(f"{dataset} has no classes, so there is nothing to tell apart: take it out of run.datasets")
    device = devices.resolve(project.device)
    total = planned["training"]["epochs"] * len(data.train)
    with tqdm(total=total, desc=f"oneclass {dataset}-{seed}", unit=" images", mininterval=stages.refresh_seconds()) as bar:
        numbers = measured(planned, data, int(seed), device, bar)
    provenance = {**planned, "seed": int(seed), "device": device.type, **plan.about_process()}
    path = paths.oneclass("results", f"{dataset}/seed_{seed}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json({"provenance": provenance, **numbers}, path)
    tracking.log(f"oneclass-{dataset}-{seed}", provenance, numbers["model"]["mean"], path)


def measured(planned: plan.Plan, data: Splits, seed: int, device: torch.device, bar: Progress) -> dict[str, Any]:
    """By "model" and "pca", class and score what `latentlab.evaluation.oneclass.told` gives; "mean" is over the classes."""
    variant, training = Variant.model_validate(planned["variant"]), Training.model_validate(planned["training"])
    found: dict[str, dict[str, Any]] = {"model": {}, "pca": {}}
    for label, name in enumerate(data.classes):
        own = oneclass.only(data, label)
        model, epochs = run.begin(variant, training, own, seed, device, bar)
        for _ in epochs:
            pass
        num_components = min(planned["num_components"], len(own.training_images()))
        subjects = {"model": _subject(model.cpu().eval(), own), "pca": of_baseline("pca", num_components, own)}
        with torch.inference_mode():
            for of, subject in subjects.items():
                scores = scorer(subject, own.train.images, planned["neighbours"])
                found[of][name] = oneclass.told(scores, data.test, label)
    return {of: classes | {"mean": oneclass.mean_auroc(classes)} for of, classes in found.items()}


def _subject(model: Any, data: Splits) -> Subject:
    return Subject(lambda x: apply(model.encode, x), lambda z: apply(model.decode, z), data, model=model)


if __name__ == "__main__":
    stages.start(main)
