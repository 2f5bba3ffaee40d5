"""The tables, on metrics made up so that the answers are known."""

import pandas as pd
import pytest

from conftest import STUDY
from latentlab import comparison

PCA_MSE = {2: 0.056, 4: 0.048, 8: 0.037, 16: 0.027, 32: 0.017, 64: 0.009}


def made_up() -> comparison.Metrics:
    metrics: comparison.Metrics = {}
    for position, name in enumerate(STUDY.variants):
        published = STUDY.published.get(name)
        metrics[name] = {
            "device": "cpu",
            "latent_dim": 32,
            "num_parameters": {"encoder": 1, "decoder": 2, "total": 3},
            "num_macs": {"encoder": 10, "decoder": 20, "total": 30},
            "test_mse": 0.9 * published.test_mse if published else 0.01 + position / 1000,
            "test_bce": published.test_bce if published and published.test_bce else 0.2,
            "test_ssim": 0.9,
            "svm_rbf_accuracy": 0.98,
        }
    for name, baseline in STUDY.baselines.items():
        size = baseline.num_components
        metrics[name] = {"latent_dim": size or 784, "svm_rbf_accuracy": 0.97}
        if size:
            metrics[name]["test_mse"] = PCA_MSE[size]
    return metrics


def test_leaderboard():
    table = comparison.leaderboard(STUDY, made_up())
    assert list(table.columns) == comparison.LEADERBOARD
    assert set(table["row"]) == {*STUDY.variants, *STUDY.baselines}
    assert table["test_mse"].dropna().is_monotonic_increasing
    baseline = table.set_index("row").loc["cae_baseline"]
    assert baseline["mse_ratio"] == pytest.approx(0.9)
    assert baseline["bce_ratio"] == pytest.approx(1)
    assert baseline["num_parameters"] == 3
    assert pd.isna(table.set_index("row").loc["mlp_2", "mse_ratio"])
    assert table.iloc[-1]["row"] == "raw_pixels"  # it reconstructs nothing


def test_rows_that_params_does_not_name_are_left_out():
    metrics = made_up() | {"former": made_up()["cae_baseline"]}
    assert "former" not in set(comparison.leaderboard(STUDY, metrics)["row"])


def test_summary_counts_a_row_only_when_all_its_figures_are_met():
    metrics = made_up()
    met = comparison.summary(comparison.leaderboard(STUDY, metrics))
    assert (met["num_rows"], met["num_rows_with_published_figure"]) == (25, 17)
    assert met["num_rows_at_or_better_than_published"] == 17
    metrics["cae_baseline"]["test_bce"] *= 1.001
    missed = comparison.summary(comparison.leaderboard(STUDY, metrics))
    assert missed["num_rows_at_or_better_than_published"] == 16
    assert missed["worst_bce_ratio"] == pytest.approx(1.001)


@pytest.mark.parametrize(
    ("experiment", "varied"),
    [
        ("filters", ["channels"]),
        ("latent_size", []),
        ("batch_norm", ["batch_norm"]),
        ("depth", ["channels", "kernel_sizes"]),
        ("activation", ["negative_slope"]),
        ("upsampling", ["upsampling"]),
    ],
)
def test_a_comparison_shows_what_differs(experiment, varied):
    table = comparison.comparison(STUDY, made_up(), experiment)
    assert list(table["row"]) == STUDY.experiments[experiment].rows
    published = [] if experiment == "upsampling" else ["published_test_mse", "published_test_bce"]
    assert list(table.columns) == ["row", *varied, *comparison.COMPARISON, *published]
    assert table["mse_to_first"].iloc[0] == 1


def test_a_comparison_shows_every_figure_that_a_source_publishes():
    table = comparison.comparison(STUDY, made_up(), "architectures").set_index("row")
    assert table.loc["conv_bn_64", "published_svm_rbf_accuracy"] == 0.9878
    assert pd.isna(table.loc["stacked_64", "published_svm_rbf_accuracy"])
    assert table["published_train_loss"].tolist() == [0.008047, 0.002153, 0.015532]


def test_markdown():
    table = pd.DataFrame({"row": ["a", "b"], "count": [137441, 3], "mse": [0.00348312, None], "flag": [True, False]})
    assert comparison.markdown(table) == (
        "| row | count | mse | flag |\n|---|---|---|---|\n| a | 137,441 | 0.003483 | True |\n| b | 3 |  | False |\n"
    )
