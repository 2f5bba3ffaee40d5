"""Stage `oneclass@dataset-seed`: an autoencoder for each class, and what it tells of all others."""

from tqdm import tqdm

from latentlab import paths, stages
from latentlab.data import images
from latentlab.errors import UserError
from latentlab.evaluation import oneclass
from latentlab.files import write_json
from latentlab.params import oneclass as params
from latentlab.params.project import load
from latentlab.training import devices, plan


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
        numbers = oneclass.measured(planned, data, int(seed), device, bar)
    provenance = {**planned, "seed": int(seed), "device": device.type, **plan.about_process()}
    path = paths.oneclass("results", f"{dataset}/seed_{seed}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json({"provenance": provenance, **numbers}, path)


if __name__ == "__main__":
    stages.start(main)
