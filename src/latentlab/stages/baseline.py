"""Stage `baseline@name-dataset`: PCA, measured by the same functions as every run."""

from latentlab import paths, stages
from latentlab.data import images
from latentlab.evaluation.pca import of_baseline
from latentlab.files import write_json
from latentlab.params.project import load
from latentlab.stages.analyse import analyse, write_files
from latentlab.training import plan


def main(name: str, dataset: str) -> None:
    """Evaluates and probes the baseline of that name."""
    project, baseline = load(), paths.Baseline(name, dataset)
    planned = plan.read(baseline.plan)
    plan.check(planned, plan.of_baseline(project, name, dataset, planned["settings"], "reconstruction", "probes"))
    data = images.load(paths.data(dataset), project.datasets[dataset].split)
    subject = of_baseline(name, planned["num_components"], data)
    evaluated = analyse("reconstruction", subject, dataset, planned | {"settings": {}})
    probed = analyse("probes", subject, dataset, planned)
    provenance = {**planned, **plan.about_process()}
    write_files(probed, baseline.folder, None)
    write_json({"provenance": provenance, **probed.numbers}, baseline.probes)
    write_json({"provenance": provenance, **evaluated.numbers}, baseline.metrics)


if __name__ == "__main__":
    stages.start(main)
