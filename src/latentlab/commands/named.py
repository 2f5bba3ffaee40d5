"""Which model does the user mean? A variant or a run of the project, a checkpoint file, or a model in MLflow."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from latentlab import paths
from latentlab.commands.runs import home_of
from latentlab.errors import UserError
from latentlab.models import trained
from latentlab.models.trained import TrainedModel
from latentlab.params.project import Params, load
from latentlab.params.strict import choices
from latentlab.paths import Run


def get(given: str) -> TrainedModel:
    """The model that the user names, on the CPU.

    Args:
        given: As `find` takes it, or an MLflow model URI.

    Raises:
        UserError: There is no such model, it is not trained, or its file cannot be used.
        ParamsError: There is no such variant, or params.yaml itself is wrong.
    """
    if not given.startswith(("runs:/", "models:/")):
        path = find(given)
        return trained.load(path, str(path))
    from latentlab.tracking.registry import fetch_checkpoint

    with TemporaryDirectory() as folder:
        return trained.load(fetch_checkpoint(given, paths.project_root(), Path(folder)), given)


def find(given: str) -> Path:
    """The checkpoint that the user names; it may not exist if it was named as a path.

    Args:
        given: A variant (`cae_baseline`), with data set, recipe and seed behind it or some of them
            (`cae_baseline-published`, `cae_baseline-mnist-fast-0`): of the selected ones the first that is trained. Or a
            checkpoint file, or the folder that it is in.

    Raises:
        UserError: There is no such run, or it is not trained.
        ParamsError: There is no such variant, or params.yaml itself is wrong.
    """
    path = Path(given)
    # a variant has neither folders nor a suffix; a file that has none either is `./NAME`
    if len(path.parts) > 1 or path.suffix or given.startswith("."):
        return path / "model.safetensors" if path.is_dir() else path
    if not paths.PARAMS.exists():
        raise UserError(
            f"{given}: there is no params.yaml here to look up variants: go to the project's folder, or name a file"
        )
    project = load()
    runs = _runs(given, project)
    for run in runs:
        if run.checkpoint.exists():
            return run.checkpoint
    raise UserError(f"{given}: is not trained yet: {_how_to_train(runs[0], project)}")


def _runs(given: str, project: Params) -> list[Run]:
    """The runs that a name may stand for, in all homes; what it leaves open is what the project selects."""
    name, *rest = given.split("-")
    project.variant(name)
    selected = project.found if name in project.found.variants else project.run
    datasets, recipes, seeds = project.run.datasets, selected.recipes, selected.seeds
    kinds = set()
    for part in rest:
        if part in project.datasets:
            kind, datasets = "dataset", [part]
        elif part in project.recipes:
            kind, recipes = "recipe", [recipe for recipe in project.recipes if recipe == part]
        elif re.fullmatch("[0-9]{1,10}", part):
            kind, seeds = "seed", [int(part)]
        else:
            raise UserError(
                f"{given}: {part!r} is no data set ({choices(project.datasets)}), no recipe ({choices(project.recipes)}) "
                "and no seed"
            )
        if kind in kinds:
            raise UserError(f"{given}: names a {kind} twice: a run is named VARIANT-DATASET-RECIPE-SEED")
        kinds.add(kind)
    return [Run(name, *each) for each in product(datasets, recipes, seeds, paths.HOMES)]


def _how_to_train(run: Run, project: Params) -> str:
    """What to do, so that a run is there."""
    found, home = project.found, home_of(run.variant, project)
    if home == paths.FOUND_RUNS:
        if run.recipe in found.recipes and run.seed in found.seeds:
            return f"dvc repro {replace(run, home=home).stage('train')}"
        home = paths.MAIN
    values = {"variants": run.variant, "datasets": run.dataset, "recipes": run.recipe, "seeds": run.seed}
    if home == paths.MORE:
        del values["variants"]  # analyses/params.yaml selects it
    missing = [f"{value} to run.{key}" for key, value in values.items() if value not in getattr(project.run, key)]
    first = f"add {' and '.join(missing)} in params.yaml, then " if missing else ""
    return f"{first}dvc repro {replace(run, home=home).stage('train')}"
