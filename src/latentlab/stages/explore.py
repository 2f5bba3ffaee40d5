"""Stage `explore@dataset`: the explorer, a page in which people play with the models."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from latentlab import paths, stages
from latentlab.data import images
from latentlab.errors import UserError
from latentlab.files import write_text
from latentlab.models import trained
from latentlab.models.trained import TrainedModel
from latentlab.params.project import Params, load
from latentlab.paths import Run
from latentlab.report import explorer


def main(dataset: str, output: Path | None = None) -> None:
    """Writes the page, with some of the models that are trained under the first selected recipe and seed.

    Args:
        dataset: Its name.
        output: The file, if it is not the stage's.
    """
    project = load()
    runs = [Run(name, dataset, project.run.recipes[0], project.run.seeds[0]) for name in project.run.variants]
    models = [trained.load(run.checkpoint) for run in runs if run.checkpoint.exists()]
    if not models:
        raise UserError(f"no model of {dataset} is trained yet: dvc repro {runs[0].stage('train')}")
    errors = explorer.mean_errors(leaderboard(project, dataset))
    output = output or paths.reports(dataset).explorer
    write(project, dataset, explorer.in_order(models, errors), output, explorer.MOST_BYTES)


def write(
    project: Params, dataset: str, models: Sequence[TrainedModel], output: Path, most_bytes: int | None = None
) -> None:
    """Writes the page of these models, all of them unless there is a limit, and prints what is in it."""
    form = project.datasets[dataset]
    data, board = images.load(paths.data(dataset), form.split), leaderboard(project, dataset)
    page, names = explorer.explorer(dataset, form.kind, data, models, board, most_bytes)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, output)
    print(f"wrote {output}: {len(page):,} bytes; variants: {', '.join(names)}")


def leaderboard(project: Params, dataset: str) -> pd.DataFrame:
    """The lines under the first recipe, and those of the baselines; none where there is no leaderboard yet."""
    path = paths.reports(dataset).leaderboard
    if not path.exists():
        return pd.DataFrame(columns=["variant", "recipe", "latent_dim", "test_mse"])
    board = pd.read_csv(path)
    return board[board["recipe"].isna() | (board["recipe"] == project.run.recipes[0])]


if __name__ == "__main__":
    stages.start(main)
