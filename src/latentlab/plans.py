"""What is to be trained: one small file per row and recipe, so that a change re-trains what it touches and nothing else.

DVC's matrix cannot look up the family of a row, nor its settings in a recipe; the plan stage does, and training depends on
the row's plan in the place of both.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import latentlab
from latentlab.layout import Run
from latentlab.params import Params, Recipe, Row, Training


def make(study: Params, name: str, recipe: Recipe) -> dict[str, Any]:
    """The plan of a row under a recipe.

    Returns:
        "row": all its keys; "training": its settings in the recipe; "model_code": fingerprint of its family's source.
    """
    row = study.row(name)
    folder = Path(latentlab.__file__).parent / "models"
    sources = [folder / f"{module}.py" for module in ("base", "layers", row.family)]
    return {
        "row": row.model_dump(),
        "training": study.training_of(name, recipe).model_dump(),
        "model_code": hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16],
    }


def write(plan: dict[str, Any], path: Path) -> None:
    """Writes a plan so that equal plans are equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plan, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read(run: Run) -> tuple[Row, Training]:
    """The row and the settings of a run's plan."""
    plan = json.loads(run.plan.read_text(encoding="utf-8"))
    return Row.model_validate(plan["row"]), Training.model_validate(plan["training"])


def digest(run: Run) -> str:
    """Fingerprint of a run's plan, 16 hexadecimal digits; changes with any byte of it."""
    return hashlib.sha256(run.plan.read_bytes()).hexdigest()[:16]
