"""From the results of all runs to tables: the leaderboard, the comparisons of the sources, one table per analysis."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from latentlab.comparison.results import Metrics, Result, Results
from latentlab.params.project import Params
from latentlab.params.variants import Published

# the same for all replicates of a variant
COUNTS = ("latent_dim", "num_parameters", "num_macs")
# of an analysis, by their columns in the frontier
_STORED = (("bytes", "bytes_amortised"), ("mse", "mse"))
_LIKELIHOOD = ("nll", "nll_standard_error")
# of each table, in this order
LEADERBOARD = [
    "variant", "recipe", "num_seeds", "source", "latent_dim", "num_parameters", "num_macs", "test_mse", "test_mse_sd",
    "test_bce", "test_ssim", "svm_rbf_accuracy", "svm_rbf_accuracy_sd", "svm_linear_accuracy", "knn_accuracy",
    "logistic_accuracy", "published_mse", "mse_ratio", "published_bce", "bce_ratio", "device",
]  # fmt: skip
COMPARISON = [
    "latent_dim", "num_parameters", "num_macs", "test_mse", "test_mse_sd", "test_bce", "test_mae", "test_psnr", "test_ssim",
    "svm_rbf_accuracy", "svm_linear_accuracy", "mse_to_first",
]  # fmt: skip


def leaderboard(project: Params, results: Results) -> pd.DataFrame:
    """All variants under all recipes that they have been run with, and the baselines; smallest test MSE first.

    Args:
        project: The parameters.
        results: Of the workspace.

    Returns:
        One line per variant and recipe. Numbers are means over `num_seeds` replicates; `_sd` is their standard deviation
        (n - 1), empty for one. `latent_dim` numbers in the code; `num_parameters` and `num_macs` (per image) of encoder and
        decoder together; errors on the test images, defined in `latentlab.evaluation.reconstruction`; `published_mse` and
        `published_bce` of the source, `mse_ratio` and `bce_ratio` ours over the source's (1 or less: as good or better);
        `device`, which trained it. Empty where there is none.
    """
    lines = []
    for recipe in results.recipes:
        for name, variant in project.variants.items():
            replicates = results.of(name, recipe)
            if not replicates:
                continue
            line = _means(replicates) | {"variant": name, "recipe": recipe, "source": variant.source}
            published = project.published_on(results.dataset).get(name)
            for error in ("mse", "bce"):
                figure = getattr(published, f"test_{error}", None)
                if figure is not None:
                    line |= {f"published_{error}": figure, f"{error}_ratio": line[f"test_{error}"] / figure}
            lines.append(line)
    for name, metrics in results.baselines.items():
        lines.append(_flat(metrics) | {"variant": name, "source": "baseline"})
    table = pd.DataFrame(lines).reindex(columns=LEADERBOARD)
    return table.sort_values(["test_mse", "variant", "recipe"], kind="stable").reset_index(drop=True)


def comparison(project: Params, results: Results, key: str) -> pd.DataFrame:
    """The variants of one comparison: what differs between them, and what that does.

    Returns:
        One line per recipe and variant, in the comparison's order: the keys in which the variants differ, the columns of
        the leaderboard and more errors, `mse_to_first`, test MSE over that of the first variant under the same recipe, and
        the figures that the source publishes for any of them.
    """
    names = project.comparisons[key].variants
    variants = [project.variants[name].model_dump() for name in names]
    keys = list(dict.fromkeys(key for each in variants for key in each if key not in ("training", "source")))
    varied = [
        key for key in keys if key != "latent_dim" and any(each.get(key) != variants[0].get(key) for each in variants)
    ]
    lines = []
    for recipe in results.recipes:
        first: float | None = None
        for name, variant in zip(names, variants, strict=True):
            replicates = results.of(name, recipe)
            if not replicates:
                continue
            line: dict[str, Any] = {"variant": name, "recipe": recipe, **{key: variant.get(key) for key in varied}}
            line |= _means(replicates)
            first = line["test_mse"] if first is None else first
            line["mse_to_first"] = line["test_mse"] / first if first else None
            known = project.published_on(results.dataset)
            figures = known[name].model_dump() if name in known else {}
            lines.append(line | {f"published_{key}": figure for key, figure in figures.items()})
    published = [f"published_{key}" for key in Published.model_fields]
    table = pd.DataFrame(lines).reindex(columns=["variant", "recipe", *varied, *COMPARISON, *published])
    return table.drop(columns=[column for column in published if table[column].isna().all()])


def analysis(results: Results, section: str) -> pd.DataFrame:
    """One analysis of all runs and baselines, long: one line per variant, recipe and number.

    Args:
        results: Of the workspace.
        section: A key of the metrics whose value is a dictionary, nested or not.

    Returns:
        `variant`, `recipe` (empty for a baseline), `name` of the number (the keys that lead to it, joined by "/"), `mean`
        over `num_seeds` replicates, and `sd`, their standard deviation (n - 1).
    """
    found = [(result.run.variant, result.run.recipe, result.metrics) for result in results.runs]
    found += [(name, "", metrics) for name, metrics in results.baselines.items()]
    lines = [(name, recipe, *each) for name, recipe, metrics in found for each in numbers(metrics.get(section, {}))]
    table = pd.DataFrame(lines, columns=["variant", "recipe", "name", "value"])
    values = table.groupby(["variant", "recipe", "name"], sort=False)["value"]
    return values.agg(num_seeds="size", mean=pd.Series.mean, sd=pd.Series.std).reset_index()


def numbers(nested: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Numbers of a nested dictionary by the path that leads to them; lists are left out."""
    for key, value in nested.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)):
            yield f"{prefix}{key}", float(value)


def frontier(results: Results, variants: Sequence[str]) -> pd.DataFrame:
    """The best variants of our own: what the leaderboard has, more errors, and real bytes.

    Args:
        results: Of their home, with the analyses "compression" and "likelihood" where they were made.
        variants: Their names.

    Returns:
        One line per variant and recipe, smallest codes first. Beside columns of `comparison`: `bytes_at_B_bits` of an
        image, amortised, with B bits for each number of the code, and `mse_at_B_bits` (see
        `latentlab.evaluation.compression`); `nll` and `nll_standard_error` of a VAE in nats (see
        `latentlab.evaluation.likelihood`). All are means over the replicates.
    """
    lines = []
    for name, recipe in ((name, recipe) for name in variants for recipe in results.recipes):
        if replicates := results.of(name, recipe):
            stored = [each.metrics.get("compression", {}) for each in replicates]
            likely = [each.metrics.get("likelihood", {}).get("nll", {}) for each in replicates]
            more = pd.DataFrame(
                {f"{column}_at_{bits}_bits": numbers[key] for bits, numbers in one.items() for column, key in _STORED}
                | {"nll": nll.get("mean"), "nll_standard_error": nll.get("standard_error")}
                for one, nll in zip(stored, likely, strict=True)
            )
            means = more.astype(float).mean().to_dict()
            lines.append(_means(replicates) | means | {"variant": name, "recipe": recipe})
    table = pd.DataFrame(lines)
    stored_columns = [column for column in table if "_at_" in str(column)]
    columns = ["variant", "recipe", "num_seeds", *COMPARISON[:-1], "knn_accuracy", *stored_columns, *_LIKELIHOOD]
    return table.reindex(columns=columns).sort_values(["latent_dim", "test_mse"], kind="stable").reset_index(drop=True)


def summary(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The leaderboard in a few numbers, by recipe, for DVC: counts, the best, and the test MSE of each variant.

    A variant meets its published figures when none of its ratios is above 1.
    """
    made = {}
    for recipe, lines in table[table["source"] != "baseline"].groupby("recipe"):
        judged = lines.dropna(subset=["mse_ratio", "bce_ratio"], how="all")
        met = (judged[["mse_ratio", "bce_ratio"]].fillna(0) <= 1).all(axis=1)
        made[str(recipe)] = {
            "num_variants": len(lines),
            "num_variants_with_published_figure": len(judged),
            "num_variants_at_or_better_than_published": int(met.sum()),
            **{f"worst_{key}": float(judged[key].max()) for key in ("mse_ratio", "bce_ratio") if judged[key].notna().any()},
            "smallest_test_mse": float(lines["test_mse"].min()),
            **({"largest_svm_rbf_accuracy": float(best)} if (best := lines["svm_rbf_accuracy"].max()) == best else {}),
            "test_mse": dict(zip(lines["variant"], lines["test_mse"], strict=True)),
        }
    return made


def _means(replicates: Sequence[Result]) -> dict[str, Any]:
    """Plain metrics of a variant: means over its replicates, with `_sd`; what is no number is the first one's."""
    table = pd.DataFrame([_flat(replicate.metrics) for replicate in replicates])
    means = {
        key: column.mean() if pd.api.types.is_numeric_dtype(column) and key not in COUNTS else column.iloc[0]
        for key, column in table.items()
    }
    spreads = {f"{key}_sd": table[key].std(ddof=1) for key in ("test_mse", "svm_rbf_accuracy") if key in table}
    return {str(key): value for key, value in means.items()} | spreads | {"num_seeds": len(replicates)}


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown; four significant digits, and nothing where there is no value."""
    head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}\n"
    return head + "".join(f"| {' | '.join(_cell(value) for value in line)} |\n" for line in table.itertuples(index=False))


def show(value: float) -> str:
    """Four significant digits; whole numbers in full."""
    return f"{value:,.0f}" if abs(value) < 1e15 and value == int(value) else f"{value:.4g}"


def _flat(metrics: Metrics) -> dict[str, Any]:
    flat = {key: value for key, value in metrics.items() if not isinstance(value, (dict, list))}
    return flat | {cost: metrics[cost]["total"] for cost in ("num_parameters", "num_macs") if cost in metrics}


def _cell(value: object) -> str:
    if value is None or value != value:  # NaN is not equal to itself
        return ""
    return show(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Writes a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, lineterminator="\n")
