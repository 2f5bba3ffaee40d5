"""Stage `compare@dataset`: the tables over all runs of a data set, and their means in MLflow."""

import sys
from dataclasses import asdict

import pandas as pd

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.comparison.tables import comparison, leaderboard, markdown, summary, write_csv
from latentlab.files import write_json, write_text
from latentlab.params.project import load
from latentlab.report.styles import styles
from latentlab.tracking import replicates, store


def main(dataset: str) -> None:
    """Compares all runs of the data set whose results are still what the parameters and the code describe."""
    project, files = load(), paths.reports(dataset)
    found = results.read(project, dataset)
    for line in found.report():
        print(line, file=sys.stderr)
    table = leaderboard(project, found)
    write_csv(table, files.leaderboard)
    write_text(
        "# Leaderboard\n\nErrors are on the test images, means over the seeds; ratios are ours over the source's "
        f"published figure, so 1 or less is as good or better.\n\n{markdown(table)}",
        files.leaderboard_page,
    )
    page = (
        "# Comparisons\n\nOne table per comparison of the sources; `mse_to_first` is test MSE over the first variant's.\n"
    )
    for key, each in project.comparisons.items():
        compared = comparison(project, found, key)
        if len(compared):
            write_csv(compared, files.comparisons / f"{key}.csv")
            page += f"\n## {each.title}\n\n{markdown(compared)}"
    files.comparisons.mkdir(parents=True, exist_ok=True)
    write_text(page, files.comparisons / "README.md")
    looks, shown = styles(project), found.shown(project)
    curves = {name: result.curve.assign(**asdict(looks[name])) for name, result in shown.items()}
    write_csv(_stacked(curves), files.curves)
    counts = {name: result.run.confusion for name, result in shown.items()}
    counts |= {name: paths.Baseline(name, dataset).confusion for name in found.baselines}
    write_csv(_stacked({name: pd.read_csv(path) for name, path in counts.items() if path.exists()}), files.confusion)
    write_json(summary(table), files.summary)
    try:
        experiment_id = store.open_store(paths.project_root())
        if experiment_id is not None:
            replicates.log_parents(experiment_id, found.fingerprints)
    except store.TrackingError as error:
        print(f"the means over the seeds are not logged: {error}; `latentlab sync` does it later", file=sys.stderr)


def _stacked(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(columns=["variant"]), *(table.assign(variant=name) for name, table in tables.items())])


if __name__ == "__main__":
    stages.start(main, pinned=False)
