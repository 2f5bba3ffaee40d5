"""Stage `compare`: the tables over all rows, into reports/."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from latentlab import layout, stages
from latentlab.comparison import comparison, leaderboard, markdown, summary
from latentlab.styles import styles


def main() -> None:
    """Compares the rows of params.yaml; what former rows left in results/ is not read."""
    study = stages.read_params()
    metrics = {
        name: json.loads(layout.metrics(name).read_text(encoding="utf-8")) for name in (*study.variants, *study.baselines)
    }
    layout.COMPARISONS.mkdir(parents=True, exist_ok=True)
    table = leaderboard(study, metrics)
    _write_csv(table, layout.LEADERBOARD)
    layout.LEADERBOARD_PAGE.write_text(
        f"# Leaderboard\n\nRecipe `{study.recipe}`. Errors are on the test images; ratios are ours over the source's "
        f"published figure, so 1 or less is as good or better.\n\n{markdown(table)}",
        encoding="utf-8",
    )
    page = "# Comparisons\n\nOne table per experiment of the sources; `mse_to_first` is test MSE over the first row's.\n"
    for key, experiment in study.experiments.items():
        compared = comparison(study, metrics, key)
        _write_csv(compared, layout.COMPARISONS / f"{key}.csv")
        page += f"\n## {experiment.title}\n\n{markdown(compared)}"
    (layout.COMPARISONS / "README.md").write_text(page, encoding="utf-8")
    looks = styles(study)
    curves = {name: pd.read_csv(layout.curve(name)).assign(**asdict(looks[name])) for name in study.variants}
    _write_csv(_stacked(curves), layout.CURVES)
    _write_csv(_stacked({name: pd.read_csv(layout.confusion(name)) for name in metrics}), layout.CONFUSION)
    layout.SUMMARY.write_text(json.dumps(summary(table), indent=2) + "\n", encoding="utf-8")


def _stacked(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table.assign(row=name).set_index("row").reset_index() for name, table in tables.items()])


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
