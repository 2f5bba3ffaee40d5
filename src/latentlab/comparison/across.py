"""Several data sets side by side: does what holds on one hold on another?"""

from collections.abc import Mapping
from itertools import combinations

import pandas as pd

KEYS = ["variant", "recipe", "latent_dim"]


def side_by_side(boards: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What each variant reaches on each data set.

    Args:
        boards: The leaderboard of each data set, by its name.

    Returns:
        One line per variant, recipe and latent dimension, those with the smallest codes first. For each data set
        `test_mse_NAME`, `mse_to_pca_NAME`, test MSE over that of PCA with as many components (empty where there is none),
        and `svm_rbf_NAME`, the accuracy of the RBF probe.
    """
    columns = []
    for name, board in boards.items():
        board = board.assign(recipe=board["recipe"].astype(object).fillna(""))
        pca = board[board["source"] == "baseline"].drop_duplicates("latent_dim").set_index("latent_dim")["test_mse"]
        found = pd.DataFrame(
            {
                f"test_mse_{name}": board["test_mse"],
                f"mse_to_pca_{name}": board["test_mse"] / board["latent_dim"].map(pca[pca > 0]),
                f"svm_rbf_{name}": board["svm_rbf_accuracy"],
            }
        )
        columns.append(found.set_index(pd.MultiIndex.from_frame(board[KEYS])))
    joined = pd.concat(columns, axis=1).reset_index()
    return joined.sort_values(["latent_dim", joined.columns[3]], kind="stable").reset_index(drop=True)


def agreement(boards: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How alike the order of the variants is on each two data sets.

    Returns:
        `first`, `second`, `recipe`, `num_variants` that were run on both, and Spearman's rank correlation of their test MSE
        (`by_test_mse`) and of the accuracy of their RBF probe (`by_svm_rbf`): 1 for the same order, -1 for the opposite,
        and empty where all variants are equal, or there is only one.
    """
    lines = []
    for first, second in combinations(boards, 2):
        both = boards[first].merge(boards[second], on=KEYS, suffixes=("_first", "_second"))
        for recipe, found in both[both["source_first"] != "baseline"].groupby("recipe"):
            line = {"first": first, "second": second, "recipe": recipe, "num_variants": len(found)}
            for name, column in (("by_test_mse", "test_mse"), ("by_svm_rbf", "svm_rbf_accuracy")):
                values = found[[f"{column}_first", f"{column}_second"]].dropna()
                if (values.nunique() > 1).all():
                    line[name] = values.iloc[:, 0].corr(values.iloc[:, 1], method="spearman")
            lines.append(line)
    return pd.DataFrame(lines, columns=["first", "second", "recipe", "num_variants", "by_test_mse", "by_svm_rbf"])
