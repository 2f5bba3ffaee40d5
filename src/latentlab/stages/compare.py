"""Stage `compare`: the tables over all runs, into reports/."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from latentlab import layout, results, stages
from latentlab.comparison import analysis, comparison, leaderboard, markdown, summary
from latentlab.styles import styles

SECTIONS = (
    "denoising", "interpolation", "generation", "compression", "checkerboard", "latent_space", "few_labels", "untrained",
)  # fmt: skip


def main() -> None:
    """Compares all runs whose results lie in results/ and that are still what params.yaml describes."""
    study = stages.read_params()
    found = results.read(study)
    for run in found.stale:
        print(f"{run.folder}: trained by another plan than params.yaml's, left out", file=sys.stderr)
    table = leaderboard(study, found)
    _write_csv(table, layout.LEADERBOARD)
    layout.LEADERBOARD_PAGE.write_text(
        "# Leaderboard\n\nErrors are on the test images, means over the seeds; ratios are ours over the source's "
        f"published figure, so 1 or less is as good or better.\n\n{markdown(table)}",
        encoding="utf-8",
    )
    page = "# Comparisons\n\nOne table per experiment of the sources; `mse_to_first` is test MSE over the first row's.\n"
    for key, experiment in study.experiments.items():
        compared = comparison(study, found, key)
        _write_csv(compared, layout.COMPARISONS / f"{key}.csv")
        page += f"\n## {experiment.title}\n\n{markdown(compared)}"
    (layout.COMPARISONS / "README.md").write_text(page, encoding="utf-8")
    for section in SECTIONS:
        _write_csv(analysis(found, section), layout.ANALYSES / f"{section}.csv")
    looks, shown = styles(study), found.shown(study)
    curves = {name: result.curve.assign(**asdict(looks[name])) for name, result in shown.items()}
    _write_csv(_stacked(curves), layout.CURVES)
    files = {name: result.run.confusion for name, result in shown.items()}
    files |= {name: layout.Baseline(name).confusion for name in found.baselines}
    _write_csv(_stacked({name: pd.read_csv(path) for name, path in files.items() if path.exists()}), layout.CONFUSION)
    layout.SUMMARY.write_text(json.dumps(summary(table), indent=2) + "\n", encoding="utf-8")


def _stacked(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table.assign(row=name).set_index("row").reset_index() for name, table in tables.items()])


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
