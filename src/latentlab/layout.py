"""Where files lie, relative to the project's folder; dvc.yaml says the same, and a test holds them together."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PARAMS = Path("params.yaml")
STATEMENTS = Path("claims.yaml")
DATA = Path("data/mnist")
PLANS = Path("plans")
MODELS = Path("models")
# states of trainings that go on; DVC's folder for what need not be kept
EPOCHS = Path(".dvc/tmp/epochs")
EXPORTS = Path("exports")
RESULTS = Path("results")
RUNS = RESULTS / "runs"
BASELINES = RESULTS / "baselines"
CODECS = BASELINES / "codecs.csv"
# beside the baselines of params.yaml: the denoiser that learns nothing
CLASSICAL = "classical"
STUDY = RESULTS / "study"
STUDY_LOCK = Path("study/.lock")
CLAIMS = RESULTS / "claims.json"
REPORTS = Path("reports")
FIGURES = REPORTS / "figures"
CURVES = REPORTS / "curves.csv"
CONFUSION = REPORTS / "confusion.csv"
LEADERBOARD = REPORTS / "leaderboard.csv"
LEADERBOARD_PAGE = REPORTS / "leaderboard.md"
COMPARISONS = REPORTS / "comparisons"
SUMMARY = REPORTS / "summary.json"
ANALYSES = REPORTS / "analyses"
CLAIMS_PAGE = REPORTS / "claims.md"
REPORT = REPORTS / "report.md"
REPORT_PAGE = REPORTS / "report.html"


@dataclass(frozen=True, order=True)
class Run:
    """A row trained with a recipe and a seed: one training, one evaluation, one MLflow run."""

    row: str
    recipe: str
    seed: int

    def __str__(self) -> str:
        """As DVC names the run's stages: `train@cae_baseline-fast-0`."""
        return f"{self.row}-{self.recipe}-{self.seed}"

    @property
    def plan(self) -> Path:
        """What is to be trained: the same for all seeds."""
        return PLANS / self.recipe / f"{self.row}.json"

    @property
    def checkpoint(self) -> Path:
        """Weights."""
        return self._within(MODELS) / "model.safetensors"

    @property
    def folder(self) -> Path:
        """All results."""
        return self._within(RUNS)

    @property
    def curve(self) -> Path:
        """Losses, epoch by epoch."""
        return self.folder / "curve.csv"

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

    @property
    def pictures(self) -> Path:
        """Pictures of the evaluation, for people."""
        return self.folder / "pictures"

    @property
    def images(self) -> Path:
        """The images in those pictures, as arrays for the figures."""
        return self.folder / "images.npz"

    @property
    def embedding(self) -> Path:
        """Codes of test images and their t-SNE, as arrays for the figures."""
        return self.folder / "embedding.npz"

    @property
    def embedding_picture(self) -> Path:
        """Codes of test images in two dimensions, for people."""
        return self.folder / "embedding.png"

    def _within(self, root: Path) -> Path:
        return root / self.recipe / self.row / f"seed_{self.seed}"


@dataclass(frozen=True)
class Baseline:
    """What is compared with the rows and needs no training."""

    name: str

    @property
    def metrics(self) -> Path:
        """What the evaluation measured."""
        return BASELINES / self.name / "metrics.json"

    @property
    def probes(self) -> Path:
        """What the probes found in the codes."""
        return BASELINES / self.name / "probes.json"

    @property
    def confusion(self) -> Path:
        """Confusion counts of the RBF probe."""
        return BASELINES / self.name / "confusion.csv"


def runs_with(file: str) -> Iterator[Run]:
    """Every run that has left that file in results/, also of seeds and recipes that params.yaml no longer asks for."""
    for path in sorted(RUNS.glob(f"*/*/seed_*/{file}")):
        recipe, row, seed = path.parts[2:5]
        if seed.removeprefix("seed_").isdigit():
            yield Run(row, recipe, int(seed.removeprefix("seed_")))


def project_root() -> Path:
    """The project's folder, also where DVC runs an experiment in a temporary copy: the MLflow store is here."""
    return Path(os.environ.get("DVC_ROOT", "."))
