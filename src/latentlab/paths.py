"""Where files lie, relative to the project's folder: the only place besides the dvc.yaml files that knows a path."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PARAMS = Path("params.yaml")
ANALYSES_PARAMS = Path("analyses/params.yaml")
ONECLASS_PARAMS = Path("analyses/oneclass/params.yaml")
FRONTIER_PARAMS = Path("analyses/frontier/params.yaml")
STUDY_PARAMS = Path("study/params.yaml")
FOUND = Path("study/found.yaml")
DATA = Path("data")
PLANS = Path("plans")
ANALYSES_PLANS = Path("analyses/plans")
ANALYSES_RESULTS = Path("analyses/results")
# states of trainings that go on; DVC's folder for what need not be kept
EPOCHS = Path(".dvc/tmp/epochs")
EXPORTS = Path("exports")
STUDY = Path("study/search")
STUDY_PLAN = Path("study/plan.json")
STUDY_LOCK = Path("study/.lock")
STUDY_REGISTERED = Path("study/registered.json")
REPORTS = Path("reports")
SIDE_BY_SIDE = REPORTS / "datasets.csv"
SIDE_BY_SIDE_PAGE = REPORTS / "datasets.md"
CLAIMS_SIDE_BY_SIDE = Path("analyses/reports/claims.md")

# Whose runs they are: those of params.yaml's selection, those that only the analyses need, those that the study has found,
# and the best of our own for each latent dimension.
# Each has a home of its own, since DVC lets no two stages write one file, and makes a stage that reads a folder depend on
# every stage that writes into it.
MAIN, MORE, FOUND_RUNS, FRONTIER = ".", "analyses/more", "study", "analyses/frontier"
HOMES = {
    MAIN: "", MORE: "analyses/dvc.yaml:", FOUND_RUNS: "study/dvc.yaml:", FRONTIER: "analyses/frontier/dvc.yaml:"
}  # fmt: skip


def data(dataset: str) -> Path:
    """The folder of a data set's files."""
    return DATA / dataset


def classifier(dataset: str) -> Path:
    """The weights of the classifier of a data set's images; not there for images without classes."""
    return Path("analyses/classifiers") / dataset / "weights.safetensors"


def oneclass(folder: Literal["plans", "results", "reports"], name: str) -> Path:
    """A file of `make oneclass`; the name with its ending."""
    return ONECLASS_PARAMS.parent / folder / name


def frontier(dataset: str) -> Path:
    """The table of the best variants of our own for each latent dimension; with another ending it is a page."""
    return Path(FRONTIER) / "reports" / f"{dataset}.csv"


def source(dataset: str) -> Path:
    """The folder of the user's own images of a data set."""
    return DATA / "sources" / dataset


@dataclass(frozen=True)
class Reports:
    """Tables, figures and pages about a data set.

    `tables` and `claims` are of the analyses, `explorer` is of the main pipeline; `report_html` and `claims_html` are in no
    git.
    """

    leaderboard: Path
    leaderboard_page: Path
    comparisons: Path
    curves: Path
    confusion: Path
    summary: Path
    tables: Path
    claims: Path
    claims_page: Path
    claims_html: Path
    figures: Path
    charts: Path
    report: Path
    report_html: Path
    explorer: Path


def reports(dataset: str, home: Literal[".", "analyses"] = ".") -> Reports:
    """Where those of the main pipeline lie, or those of the analyses."""
    names = (
        "leaderboard.csv", "leaderboard.md", "comparisons", "curves.csv", "confusion.csv", "summary.json",
        "tables", "claims.json", "claims.md", "claims.html", "figures", "charts", "report.md", "report.html",
        "explorer.html",
    )  # fmt: skip
    return Reports(*(Path(home) / REPORTS / dataset / name for name in names))


@dataclass(frozen=True, order=True)
class Run:
    """A variant trained on a data set with a recipe and a seed: one training, one MLflow run, one folder of results."""

    variant: str
    dataset: str
    recipe: str
    seed: int
    home: str = MAIN

    @classmethod
    def of(cls, variant: str, dataset: str, recipe: str, seed: str, home: str = MAIN) -> "Run":
        """The run that a stage is given as arguments."""
        return cls(variant, dataset, recipe, int(seed), home)

    def __str__(self) -> str:
        """The run's name, which DVC puts behind that of a stage: `cae_baseline-mnist-fast-0`."""
        return f"{self.variant}-{self.dataset}-{self.recipe}-{self.seed}"

    def stage(self, name: str) -> str:
        """The name of one of the run's stages, as `dvc repro` takes it: `train@cae_baseline-mnist-fast-0`."""
        return f"{HOMES[self.home]}{name}@{self}"

    def plan(self, stage: str) -> Path:
        """What `train`, `evaluate` or `probe` is to do; the same for all seeds."""
        return PLANS / self._variant / f"{stage}.json"

    def analysis_plan(self, analysis: str) -> Path:
        """What an analysis is to measure; the same for all seeds."""
        plans = Path(FRONTIER) / "plans" if self.home == FRONTIER else ANALYSES_PLANS
        return plans / self._variant / f"{analysis}.json"

    @property
    def checkpoint(self) -> Path:
        """Weights."""
        return Path(self.home) / "models" / self._variant / f"seed_{self.seed}" / "model.safetensors"

    @property
    def epochs(self) -> Path:
        """State of the training after its last epoch, until it ends."""
        return EPOCHS / self.home / f"{self}.pt"

    @property
    def folder(self) -> Path:
        """All results but those of the analyses."""
        return Path(self.home) / "results" / self._variant / f"seed_{self.seed}"

    @property
    def curve(self) -> Path:
        """Losses, epoch by epoch, beside the weights."""
        return self.checkpoint.with_name("curve.csv")

    @property
    def shown_curve(self) -> Path:
        """The same among the results, for git, which does not have the models."""
        return self.folder / "curve.csv"

    @property
    def metrics(self) -> Path:
        """What the evaluation measured."""
        return self.folder / "metrics.json"

    @property
    def reconstructions(self) -> Path:
        """A test image of each class and what the model makes of it: `arrays.npz` and a picture."""
        return self.folder / "reconstructions"

    @property
    def probes(self) -> Path:
        """What the probes found in the codes."""
        return self.folder / "probes.json"

    @property
    def confusion(self) -> Path:
        """Confusion counts of the RBF probe."""
        return self.folder / "confusion.csv"

    def analysis(self, name: str) -> Path:
        """The numbers of an analysis."""
        return self._analyses / f"{name}.json"

    def arrays(self, name: str) -> Path:
        """The arrays and pictures of an analysis: `arrays.npz` and PNG files."""
        return self._analyses / name

    @property
    def _analyses(self) -> Path:
        return ANALYSES_RESULTS / self._variant / f"seed_{self.seed}" if self.home == MAIN else self.folder

    @property
    def _variant(self) -> Path:
        return Path(self.dataset, self.recipe, self.variant)


@dataclass(frozen=True)
class Baseline:
    """What is compared with the variants of a data set and needs no training: PCA, raw pixels, a classical denoiser."""

    name: str
    dataset: str

    @property
    def plan(self) -> Path:
        """What is to be measured."""
        return PLANS / self.dataset / "baselines" / f"{self.name}.json"

    def analysis_plan(self, analysis: str) -> Path:
        """What an analysis is to measure."""
        return ANALYSES_PLANS / self.dataset / "baselines" / self.name / f"{analysis}.json"

    @property
    def folder(self) -> Path:
        """All results but those of the analyses."""
        return Path("results", self.dataset, "baselines", self.name)

    @property
    def metrics(self) -> Path:
        """What the evaluation measured."""
        return self.folder / "metrics.json"

    @property
    def probes(self) -> Path:
        """What the probes found in the codes."""
        return self.folder / "probes.json"

    @property
    def confusion(self) -> Path:
        """Confusion counts of the RBF probe."""
        return self.folder / "confusion.csv"

    def analysis(self, name: str) -> Path:
        """The numbers of an analysis."""
        return ANALYSES_RESULTS / self.dataset / "baselines" / self.name / f"{name}.json"


def runs_with(file: str, dataset: str, home: str = MAIN) -> Iterator[Run]:
    """Every run of a data set that has left that file, also those that params.yaml does not select now."""
    results = Path(home) / "results"
    for path in sorted(results.glob(f"{dataset}/*/*/seed_*/{file}")):
        _, recipe, variant, seed = path.relative_to(results).parts[:4]
        if seed.removeprefix("seed_").isdigit():
            yield Run(variant, dataset, recipe, int(seed.removeprefix("seed_")), home)


def project_root() -> Path:
    """The project's folder, also where DVC runs an experiment in a temporary copy: the MLflow store is here."""
    return Path(os.environ.get("DVC_ROOT", "."))
