"""Stage `table@dataset` of the frontier: the smallest error for each latent dimension, and the bytes that a code takes."""

import sys

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.comparison.tables import frontier, markdown, write_csv
from latentlab.params import frontier as params
from latentlab.params.project import load

SHOWN = [
    "variant", "num_seeds", "latent_dim", "num_parameters", "num_macs", "test_mse", "test_mse_sd", "test_psnr", "test_ssim",
    "svm_rbf_accuracy", "svm_linear_accuracy", "knn_accuracy", "bytes_at_4_bits", "mse_at_4_bits", "nll",
]  # fmt: skip


def main(dataset: str) -> None:
    """Writes a CSV file with all numbers, and some of them in Markdown."""
    settings = params.load()
    found = results.read(load(), dataset, settings.analyses, [paths.FRONTIER])
    for line in found.report():
        print(line, file=sys.stderr)
    table, path = frontier(found, settings.variants), paths.frontier(dataset)
    write_csv(table, path)
    page = (
        f"# The frontier on {dataset}\n\nThe best variants of our own for each latent dimension, means over the seeds. "
        "`bytes` are those of a code that is quantised and entropy coded, the stream of all test images over their "
        f"number, with the error of what is decoded from it. All numbers: {path.name}.\n\n"
    )
    shown = [column for column in SHOWN if column in table and table[column].notna().any()]
    path.with_suffix(".md").write_text(page + markdown(table[shown]), encoding="utf-8")


if __name__ == "__main__":
    stages.start(main, pinned=False)
