"""Where files lie, relative to the project's folder; dvc.yaml says the same, and a test holds them together."""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
DATA = Path("data/mnist")
REPORTS = Path("reports")
FIGURES = REPORTS / "figures"
CURVES = REPORTS / "curves.csv"
CONFUSION = REPORTS / "confusion.csv"
LEADERBOARD = REPORTS / "leaderboard.csv"
LEADERBOARD_PAGE = REPORTS / "leaderboard.md"
COMPARISONS = REPORTS / "comparisons"
SUMMARY = REPORTS / "summary.json"


def checkpoint(row: str) -> Path:
    """Weights of a trained row."""
    return Path("models") / row / "model.safetensors"


def curve(row: str) -> Path:
    """Losses of a row, epoch by epoch."""
    return Path("results") / row / "curve.csv"


def metrics(row: str) -> Path:
    """Final metrics of a row or baseline."""
    return Path("results") / row / "metrics.json"


def confusion(row: str) -> Path:
    """Confusion counts of the RBF probe of a row or baseline."""
    return Path("results") / row / "confusion.csv"


def reconstructions(row: str) -> Path:
    """One test image of each digit and its reconstruction: uint8, (2, 10, 28, 28)."""
    return Path("results") / row / "reconstructions.npy"


def picture(row: str) -> Path:
    """The same as a picture."""
    return Path("results") / row / "reconstructions.png"


def project_root() -> Path:
    """The project's folder, also where DVC runs an experiment in a temporary copy: the MLflow store is here."""
    return Path(os.environ.get("DVC_ROOT", "."))
