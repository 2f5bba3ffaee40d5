"""From the metrics of all rows to tables: the leaderboard, and one comparison per experiment of the sources."""

from typing import Any

import pandas as pd

from latentlab.params import Params, Published

Metrics = dict[str, dict[str, Any]]

# of each table, in this order
LEADERBOARD = [
    "row", "source", "code_size", "num_parameters", "num_macs", "test_mse", "test_bce", "test_ssim", "svm_rbf_accuracy",
    "published_mse", "mse_ratio", "published_bce", "bce_ratio", "device",
]  # fmt: skip
COMPARISON = [
    "code_size", "num_parameters", "num_macs", "test_mse", "test_bce", "test_mae", "test_psnr", "test_ssim",
    "svm_rbf_accuracy", "svm_linear_accuracy", "mse_to_first",
]  # fmt: skip


def leaderboard(study: Params, metrics: Metrics) -> pd.DataFrame:
    """All rows and baselines, smallest test MSE first.

    Args:
        study: The parameters; rows that it does not name are left out.
        metrics: Content of metrics.json by row and baseline.

    Returns:
        One line per row: `code_size` numbers in the code; `num_parameters` and `num_macs` (per image) of encoder and
        decoder together; errors on the test images, defined in `latentlab.evaluation.reconstruction`; `published_mse` and
        `published_bce` of the source, `mse_ratio` and `bce_ratio` ours over the source's (1 or less: as good or better);
        `device`, which trained it. Empty where there is none.
    """
    lines = []
    for name in (*study.variants, *study.baselines):
        row, published = study.variants.get(name), study.published.get(name)
        line = _flat(metrics[name]) | {"row": name, "source": row.source if row else "baseline"}
        for error in ("mse", "bce"):
            figure = getattr(published, f"test_{error}", None)
            if figure is not None:
                line |= {f"published_{error}": figure, f"{error}_ratio": line[f"test_{error}"] / figure}
        lines.append(line)
    table = pd.DataFrame(lines).reindex(columns=LEADERBOARD)
    return table.sort_values(["test_mse", "row"], kind="stable").reset_index(drop=True)


def comparison(study: Params, metrics: Metrics, experiment: str) -> pd.DataFrame:
    """The rows of one experiment: what differs between them, and what that does.

    Returns:
        One line per row in the experiment's order: its name, the keys in which the rows differ, the columns of the
        leaderboard and more errors, `mse_to_first`, test MSE over that of the first row, and the figures that the source
        publishes for any of the rows.
    """
    names = study.experiments[experiment].rows
    rows = [study.variants[name].model_dump() for name in names]
    keys = list(dict.fromkeys(key for row in rows for key in row if key != "training"))
    varied = [key for key in keys if key != "latent_dim" and any(row.get(key) != rows[0].get(key) for row in rows)]
    lines = []
    for name, row in zip(names, rows, strict=True):
        line = {"row": name} | {key: row.get(key) for key in varied} | _flat(metrics[name])
        line["mse_to_first"] = line["test_mse"] / metrics[names[0]]["test_mse"]
        figures = study.published[name].model_dump() if name in study.published else {}
        lines.append(line | {f"published_{key}": figure for key, figure in figures.items()})
    published = [f"published_{key}" for key in Published.model_fields]
    table = pd.DataFrame(lines).reindex(columns=["row", *varied, *COMPARISON, *published])
    return table.drop(columns=[column for column in published if table[column].isna().all()])


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """The leaderboard in a few numbers: rows, rows with a published figure, and how many of those are met or beaten.

    A row meets its published figures when none of its ratios is above 1.
    """
    rows = table[table["source"] != "baseline"]
    judged = rows.dropna(subset=["mse_ratio", "bce_ratio"], how="all")
    met = (judged[["mse_ratio", "bce_ratio"]].fillna(0) <= 1).all(axis=1)
    return {
        "num_rows": len(rows),
        "num_rows_with_published_figure": len(judged),
        "num_rows_at_or_better_than_published": int(met.sum()),
        "worst_mse_ratio": float(judged["mse_ratio"].max()),
        "worst_bce_ratio": float(judged["bce_ratio"].max()),
        "smallest_test_mse": float(rows["test_mse"].min()),
        "largest_svm_rbf_accuracy": float(rows["svm_rbf_accuracy"].max()),
    }


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown; four significant digits, and nothing where there is no value."""
    head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}\n"
    return head + "".join(f"| {' | '.join(_cell(value) for value in line)} |\n" for line in table.itertuples(index=False))


def _flat(metrics: dict[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in metrics.items() if not isinstance(value, dict)}
    flat["code_size"] = metrics["latent_dim"]
    for cost in ("num_parameters", "num_macs"):
        flat[cost] = metrics[cost]["total"] if cost in metrics else None
    return flat


def _cell(value: object) -> str:
    if isinstance(value, float):
        if pd.isna(value):
            return ""
        return f"{value:,.0f}" if value.is_integer() and abs(value) >= 2 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)
