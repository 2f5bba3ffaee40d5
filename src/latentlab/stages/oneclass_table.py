"""Stage `table@dataset` of one class: AUROC of each class and score, and means over the seeds; MLflow gets each seed."""

import json

import pandas as pd

from latentlab import paths, stages
from latentlab.comparison.tables import markdown, write_csv
from latentlab.params import oneclass
from latentlab.tracking import oneclass as tracking


def main(dataset: str) -> None:
    """Writes a CSV file with all seeds, and their means in Markdown, of the models and of PCA."""
    lines = []
    for seed in oneclass.load().seeds:
        path = paths.oneclass("results", f"{dataset}/seed_{seed}.json")
        content = json.loads(path.read_text(encoding="utf-8"))
        tracking.log(f"oneclass-{dataset}-{seed}", content["provenance"], content["model"]["mean"], path)
        for of in ("model", "pca"):
            for name, scores in content[of].items():
                lines += [
                    {"class": name, "score": f"{of}: {score.replace('_', ' ')}", "seed": seed, "auroc": found["auroc"]}
                    for score, found in scores.items()
                ]
    table = pd.DataFrame(lines)
    write_csv(table, paths.oneclass("reports", f"{dataset}.csv"))
    groups = table.groupby(["class", "score"], sort=False)["auroc"]
    means = groups.mean().unstack(sort=False)
    means.loc["standard deviation of the mean over the seeds"] = groups.std().unstack(sort=False).loc["mean"]
    page = (
        f"# One class of {dataset}\n\nAUROC of the test images of all other classes, as anomalies, by an autoencoder that "
        f"has seen one class alone; mean of {table['seed'].nunique()} seeds.\n\n{markdown(means.reset_index())}"
    )
    paths.oneclass("reports", f"{dataset}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    stages.start(main, pinned=False)
