"""Data sets side by side, on leaderboards that are made up."""

import pandas as pd
import pytest

from latentlab.comparison.across import agreement, side_by_side


def board(errors: dict[str, float], pca_8: float) -> pd.DataFrame:
    lines = [
        {"variant": name, "recipe": "fast", "source": "A", "latent_dim": 8, "test_mse": mse, "svm_rbf_accuracy": 1 - mse}
        for name, mse in errors.items()
    ]
    lines.append({"variant": "pca_8", "recipe": None, "source": "baseline", "latent_dim": 8, "test_mse": pca_8})
    return pd.DataFrame(lines)


BOARDS = {
    "mnist": board({"a": 0.1, "b": 0.2, "c": 0.3}, 0.4),
    "mine": board({"a": 0.5, "b": 0.6, "c": 0.4}, 0.5),
    "other": board({"c": 0.1, "b": 0.2}, 0.2),
}


def test_each_variant_is_set_beside_itself_and_pca():
    table = side_by_side(BOARDS).set_index("variant")
    assert [*table.index] == ["a", "b", "c", "pca_8"]
    assert table.loc["b", ["test_mse_mnist", "test_mse_mine", "test_mse_other"]].tolist() == [0.2, 0.6, 0.2]
    assert table.loc["b", "mse_to_pca_mine"] == pytest.approx(1.2)
    assert table.loc["pca_8", "mse_to_pca_mnist"] == 1
    assert pd.isna(table.loc["a", "test_mse_other"])


def test_the_order_of_the_variants_is_compared():
    found = agreement(BOARDS)
    assert found[["first", "second", "num_variants"]].to_numpy().tolist() == [
        ["mnist", "mine", 3], ["mnist", "other", 2], ["mine", "other", 2]
    ]  # fmt: skip
    # ranks 1 2 3 and 2 3 1: 1 - 6 (1 + 1 + 4) / (3 (9 - 1))
    assert found["by_test_mse"].tolist() == pytest.approx([-0.5, -1, 1])
    assert agreement({"mnist": BOARDS["mnist"]}).empty
