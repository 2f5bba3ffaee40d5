"""Which model does the user mean? A row of the workspace, a checkpoint file, or a model in MLflow.

Legend: N images, D numbers in the code.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from latentlab import checkpoint, data, layout, models, params
from latentlab.errors import UserError, printable
from latentlab.layout import Run
from latentlab.models import Autoencoder
from latentlab.params import Params, ParamsError, Row

_BATCH_SIZE = 1000
# by their names in safetensors; batch normalisation counts its batches
_DTYPES = {torch.float32: "F32", torch.int64: "I64"}


@dataclass(frozen=True)
class UserModel:
    """A trained model, by the name that people know it by; what it makes is on the CPU.

    `description`: what its checkpoint says of it; see `latentlab.stages.train.describe`.
    """

    name: str
    row: Row
    code_shape: torch.Size
    model: Autoencoder
    description: dict[str, Any]

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Tensor:
        """Codes of images, (N, 1, 28, 28) -> (N, D) or (N, C, h, w)."""
        inputs = data.degrade(images, self.row.input_size)
        return torch.cat([self.model.encode(batch) for batch in inputs.split(_BATCH_SIZE)])

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Images of codes, (N, ...) -> (N, 1, 28, 28)."""
        return torch.cat([self.model.decode(batch) for batch in codes.split(_BATCH_SIZE)])


def get(given: str) -> UserModel:
    """The model that the user names.

    Args:
        given: A row of params.yaml, with recipe and seed behind it or not (`cae_baseline`, `cae_baseline-published`,
            `cae_baseline-fast-0`); a checkpoint file or the folder that it is in; or an MLflow model URI.

    Raises:
        UserError: There is no such model, it is not trained, or its file cannot be used.
        ParamsError: There is no such row, or params.yaml itself is wrong.
    """
    if not given.startswith(("runs:/", "models:/")):
        path = find(given)
        return load(path, str(path))
    from latentlab.tracking.fetch import fetch_checkpoint

    with TemporaryDirectory() as folder:
        return load(fetch_checkpoint(given, layout.project_root(), Path(folder)), given)


def study() -> Params:
    """The params.yaml of the working folder.

    Raises:
        UserError: There is none.
        ParamsError: Something in it is wrong.
    """
    if not layout.PARAMS.exists():
        raise UserError("there is no params.yaml here, which this needs: go to the project's folder")
    return params.load(layout.PARAMS)


def find(given: str) -> Path:
    """The checkpoint of a row, or of the file or folder that the user names; it may not exist if it was named as a path."""
    path = Path(given)
    # a row has neither folders nor a suffix; a file that has none either is `./NAME`
    if len(path.parts) > 1 or path.suffix or given.startswith("."):
        return path / "model.safetensors" if path.is_dir() else path
    if not layout.PARAMS.exists():
        raise UserError(
            f"{given}: there is no params.yaml here to look up rows: go to the project's folder, or name a file"
        )
    table = study()
    name, *rest = given.split("-")
    table.row(name)
    asked_recipes, asked_seeds = table.recipes_of(name), table.seeds_of(name)
    recipes, seeds = list(asked_recipes), asked_seeds
    if rest:
        if rest[0] not in table.training:
            raise UserError(f"{given}: there is no recipe {rest[0]!r}: choose from {', '.join(table.training)}")
        recipes = [recipe for recipe in table.training if recipe == rest[0]]
    if rest[1:]:
        if len(rest) > 2 or not re.fullmatch("[0-9]{1,10}", rest[1]):
            raise UserError(f"{given}: a row is named like {name}, {name}-{rest[0]} or {name}-{rest[0]}-0")
        seeds = [int(rest[1])]
    runs = [Run(name, recipe, seed) for recipe in recipes for seed in seeds]
    for run in runs:
        if run.checkpoint.exists():
            return run.checkpoint
    missing = [
        f"{key} {value}"
        for key, value, asked in (("recipe", recipes[0], asked_recipes), ("seed", seeds[0], asked_seeds))
        if value not in asked
    ]
    first = f"add {' and '.join(missing)} to params.yaml, then " if missing else ""
    raise UserError(f"{given}: is not trained yet: {first}dvc repro train@{runs[0]}")


def load(path: Path, name: str) -> UserModel:
    """The model of a checkpoint, after checking that the file is whole, and that the weights are those of its row.

    Args:
        path: A file that `latentlab.checkpoint.save` wrote.
        name: What errors call the file.
    """
    if not path.exists():
        raise UserError(f"{name}: no such file")
    if not path.is_file():
        raise UserError(f"{name}: is not a file")
    try:
        description = checkpoint.load_description(path)
        with safe_open(path, framework="pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            found = {key: (each.get_dtype(), tuple(each.get_shape())) for key, each in slices.items()}
        content = dict(description["row"])
    except (OSError, SafetensorError) as error:
        raise UserError(f"{name}: is not a checkpoint, or is damaged: {error}") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise UserError(f"{name}: is not a checkpoint of latentlab: it does not say which row it is of") from None
    try:
        row = Row.model_validate(content)
        expected = {key: (_DTYPES[weight.dtype], tuple(weight.shape)) for key, weight in models.empty_weights(row).items()}
    except ValidationError as error:
        fault = params.explain(error, "").split("\n")[0]
        raise UserError(f"{name}: the row in it is wrong, or of another version: {fault}") from None
    except ParamsError as error:
        raise UserError(f"{name}: the row in it cannot be built: {str(error).splitlines()[0]}") from None
    if found != expected:
        wrong = min(key for key in {*found, *expected} if found.get(key) != expected.get(key))
        raise UserError(
            f"{name}: the weights are not those of its row: {wrong} is {_shown(found.get(wrong), 'missing')}, "
            f"not {_shown(expected.get(wrong), 'there')}"
        )
    try:
        model = models.build(row, 0).eval()
        checkpoint.load_weights(model, path)
    except (RuntimeError, SafetensorError) as error:
        raise UserError(f"{name}: its weights cannot be read: {str(error).splitlines()[0]}") from None
    if not all(bool(weight.isfinite().all()) for weight in model.state_dict().values()):
        raise UserError(f"{name}: has weights that are not finite")
    known = [printable(str(description[key])) for key in ("name", "recipe", "seed") if key in description]
    return UserModel("-".join(known) or name, row, _code_shape(model, row.input_size, name), model, description)


def _shown(weight: tuple[str, tuple[int, ...]] | None, otherwise: str) -> str:
    return f"{weight[0]} {weight[1]}" if weight else otherwise


def _code_shape(model: Autoencoder, input_size: int, name: str) -> torch.Size:
    """As `latentlab.models.code_shape`, whose way without any computing takes torch longer than one image."""
    try:
        with torch.inference_mode():
            code = model.encode(torch.zeros(1, 1, input_size, input_size))
            output = model.decode(code)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{name}: the layers of its row do not fit: {str(error).splitlines()[0]}") from None
    if output.shape != (1, 1, 28, 28):
        raise UserError(f"{name}: its decoder gives images of {tuple(output.shape[1:])}, not (1, 28, 28)")
    return code.shape[1:]
