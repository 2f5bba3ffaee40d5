"""What does `latentlab explore` do? It writes the page in which people play with models, of the variants that are named."""

from collections.abc import Sequence
from pathlib import Path

from latentlab import paths
from latentlab.commands import images, inputs, named
from latentlab.errors import UserError
from latentlab.params.project import load
from latentlab.params.strict import choices


def explore(variants: Sequence[str], dataset: str | None, output: Path | None) -> None:
    """Writes the page.

    Args:
        variants: As `latentlab.commands.named.get` takes them; if none is named, those that the stage `explore` takes.
        dataset: Its name; None for the first that is selected.
        output: The file; None for that of the stage, which holds no variants that are named.

    Raises:
        UserError: A model or the data set is not here, a model is of other images, or the file cannot be written.
    """
    project = load()
    dataset = dataset or project.run.datasets[0]
    if dataset not in project.datasets:
        raise UserError(f"no data set {dataset!r} in params.yaml: {choices(project.datasets)}")
    if variants and not output:
        raise UserError(f"{paths.reports(dataset).explorer} is of the usual variants: give --output FILE.html")
    if output:
        images.check_output(output, ".html")
    inputs.read_dataset(dataset, "t10k")  # says what to do if it is not here
    from latentlab.stages import explore as stage

    if not output or not variants:
        stage.main(dataset, output)
        return
    found = [named.get(f"{name}-{dataset}" if name in project.variants else name) for name in dict.fromkeys(variants)]
    for model in found:
        if model.shape != project.datasets[dataset].shape:
            shape = "x".join(map(str, model.shape))
            raise UserError(f"{model.name}: takes images of {shape}, which those of {dataset} are not")
    stage.write(project, dataset, found, output)
