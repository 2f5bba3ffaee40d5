"""The tables, on metrics made up so that the answers are known."""

import pandas as pd
import pytest

from conftest import PROJECT
from latentlab.comparison import results
from latentlab.comparison import tables as comparison
from latentlab.paths import Run

PUBLISHED = {"upsampling": [], "bottleneck": ["published_test_mse"]}


def metrics_of(name: str, seed: int, recipe: str) -> results.Metrics:
    published, position = PROJECT.published.get(name), list(PROJECT.variants).index(name)
    factor = {"fast": 0.9, "published": 1.0}[recipe] * (1 + 0.01 * seed)
    return {
        "device": "cpu",
        "latent_dim": 32,
        "num_parameters": {"encoder": 1, "decoder": 2, "total": 3},
        "num_macs": {"encoder": 10, "decoder": 20, "total": 30},
        "test_mse": factor * (published.test_mse if published else 0.01 + position / 1000),
        "test_bce": published.test_bce if published and published.test_bce else 0.2,
        "test_ssim": 0.9,
        "svm_rbf_accuracy": 0.98,
        "knn_accuracy": 0.97,
        "denoising": {"0.1": {"gain_db": 1.0 + seed, "psnr": 20.0}, "0.2": {"gain_db": 3.0, "psnr": 19.0}},
    }


def made_up(seeds: tuple[int, ...] = (0,), recipes: tuple[str, ...] = ("fast",)) -> results.Results:
    runs = [
        results.Result(Run(name, "mnist", recipe, seed), metrics_of(name, seed, recipe), pd.DataFrame())
        for recipe in recipes
        for name in PROJECT.variants
        for seed in seeds
    ]
    baselines: dict[str, results.Metrics] = {}
    for name, baseline in PROJECT.baselines.items():
        size = baseline.num_components
        baselines[name] = {"latent_dim": size, "svm_rbf_accuracy": 0.97, "test_mse": 0.06 / size**0.5}
    baselines["raw_pixels"] = {"svm_rbf_accuracy": 0.97}
    return results.Results(runs, baselines, {}, "mnist")


def test_leaderboard():
    table = comparison.leaderboard(PROJECT, made_up())
    assert list(table.columns) == comparison.LEADERBOARD
    assert set(table["variant"]) == {*PROJECT.variants, *PROJECT.baselines, "raw_pixels"}
    assert table["test_mse"].dropna().is_monotonic_increasing
    baseline = table.set_index("variant").loc["cae_baseline"]
    assert baseline["mse_ratio"] == pytest.approx(0.9)
    assert baseline["bce_ratio"] == pytest.approx(1)
    assert baseline["num_parameters"] == 3
    assert baseline["num_seeds"] == 1
    assert pd.isna(baseline["test_mse_sd"])
    assert pd.isna(table.set_index("variant").loc["mlp_2", "mse_ratio"])
    assert table.iloc[-1]["variant"] == "raw_pixels"  # it reconstructs nothing


def test_replicates_give_mean_and_spread_and_recipes_stand_apart():
    table = comparison.leaderboard(PROJECT, made_up((0, 1, 2), ("fast", "published"))).set_index(["variant", "recipe"])
    assert len(table) == 2 * len(PROJECT.variants) + len(PROJECT.baselines) + 1
    mse = PROJECT.published["cae_baseline"].test_mse
    for recipe, factor in (("fast", 0.9), ("published", 1.0)):
        line = table.loc[("cae_baseline", recipe)]
        assert line["num_seeds"] == 3
        assert line["test_mse"] == pytest.approx(factor * mse * 1.01)
        assert line["test_mse_sd"] == pytest.approx(factor * mse * 0.01)
        assert line["num_parameters"] == 3
        assert line["device"] == "cpu"
    compared = comparison.comparison(PROJECT, made_up((0, 1), ("fast", "published")), "filters")
    assert compared["recipe"].tolist() == ["fast"] * 3 + ["published"] * 3
    assert compared["mse_to_first"].iloc[[0, 3]].tolist() == [1, 1]


def test_analysis_is_a_long_table_of_means_and_spreads():
    table = comparison.analysis(made_up((0, 1)), "denoising")
    assert list(table.columns) == ["variant", "recipe", "name", "num_seeds", "mean", "sd"]
    line = table[(table["variant"] == "mlp_8") & (table["name"] == "0.1/gain_db")].iloc[0]
    assert (line["num_seeds"], line["mean"]) == (2, 1.5)
    assert line["sd"] == pytest.approx(0.5**0.5)
    assert len(table) == 4 * len(PROJECT.variants)
    assert comparison.analysis(made_up(), "nothing").empty


def test_summary_counts_a_variant_only_when_all_its_figures_are_met():
    found = made_up()
    met = comparison.summary(comparison.leaderboard(PROJECT, found))["fast"]
    assert met["num_variants"] == len(PROJECT.variants)
    assert met["num_variants_with_published_figure"] == len(PROJECT.published)
    assert met["num_variants_at_or_better_than_published"] == len(PROJECT.published)
    found.of("cae_baseline", "fast")[0].metrics["test_bce"] *= 1.001
    missed = comparison.summary(comparison.leaderboard(PROJECT, found))["fast"]
    assert missed["num_variants_at_or_better_than_published"] == len(PROJECT.published) - 1
    assert missed["worst_bce_ratio"] == pytest.approx(1.001)


@pytest.mark.parametrize(
    ("key", "varied"),
    [
        ("filters", ["channels"]),
        ("latent_dim", []),
        ("batch_norm", ["batch_norm"]),
        ("depth", ["channels", "kernel_sizes"]),
        ("activation", ["negative_slope"]),
        ("upsampling", ["upsampling"]),
        ("bottleneck", []),
    ],
)
def test_a_comparison_shows_what_differs(key, varied):
    table = comparison.comparison(PROJECT, made_up(), key)
    assert list(table["variant"]) == PROJECT.comparisons[key].variants
    published = PUBLISHED.get(key, ["published_test_mse", "published_test_bce"])
    assert list(table.columns) == ["variant", "recipe", *varied, *comparison.COMPARISON, *published]
    assert table["mse_to_first"].iloc[0] == 1


def test_nothing_is_compared_with_an_error_of_zero():
    found = made_up()
    found.of("cae_filters_narrow", "fast")[0].metrics["test_mse"] = 0.0
    assert comparison.comparison(PROJECT, found, "filters")["mse_to_first"].isna().all()


def test_a_comparison_shows_every_figure_that_a_source_publishes():
    table = comparison.comparison(PROJECT, made_up(), "architectures").set_index("variant")
    assert table.loc["conv_bn_64", "published_svm_rbf_accuracy"] == 0.9878
    assert pd.isna(table.loc["stacked_64", "published_svm_rbf_accuracy"])
    assert table["published_train_loss"].tolist() == [0.008047, 0.002153, 0.015532]


def test_markdown():
    table = pd.DataFrame({"variant": ["a", "b"], "count": [137441, 3], "mse": [0.00348312, None], "flag": [True, False]})
    assert comparison.markdown(table) == (
        "| variant | count | mse | flag |\n|---|---|---|---|\n| a | 137,441 | 0.003483 | True |\n| b | 3 |  | False |\n"
    )
