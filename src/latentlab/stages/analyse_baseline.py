"""Stage `analyse_baseline@name-dataset-analysis`: an analysis of PCA, of the raw pixels, or of a classical denoiser."""

from latentlab import paths, stages
from latentlab.data import images
from latentlab.evaluation import denoising
from latentlab.evaluation.pca import of_baseline
from latentlab.files import write_json
from latentlab.params.project import load
from latentlab.stages.analyse import analyse
from latentlab.training import plan


def main(name: str, dataset: str, analysis: str) -> None:
    """Makes that analysis of the baseline of that name."""
    project, baseline = load(), paths.Baseline(name, dataset)
    planned = plan.read(baseline.analysis_plan(analysis))
    plan.check(planned, plan.of_baseline(project, name, dataset, planned["settings"], analysis))
    plan.check(planned, plan.beside(project, dataset, analysis))
    data = images.load(paths.data(dataset), project.datasets[dataset].split)
    if name == plan.CLASSICAL:
        measured = denoising.of_classical(data, denoising.Settings.model_validate(planned["settings"]))
    else:
        measured = analyse(analysis, of_baseline(name, planned.get("num_components"), data), dataset, planned)
    path = baseline.analysis(analysis)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json({"provenance": {**planned, **plan.about_process()}, **measured.numbers}, path)


if __name__ == "__main__":
    stages.start(main)
