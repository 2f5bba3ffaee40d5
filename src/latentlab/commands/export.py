"""What does `latentlab export` do? It writes a model as ONNX, checks it against torch, and says what int8 saves and costs.

Legend: N images.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto
from torch import Tensor

from latentlab import paths
from latentlab.commands import inputs, named
from latentlab.data import images as data
from latentlab.errors import UserError
from latentlab.files import settle, write_json
from latentlab.models import onnxmodels
from latentlab.models.onnxmodels import AUTOENCODER, DECODER, ENCODER, PARTS, Part, in_onnxruntime, in_torch
from latentlab.models.trained import TrainedModel

Array = np.ndarray

# What ONNX Runtime in float32 may differ from torch by: in a pixel, of the range 1; in a number of a code, of the largest
# number in any code. Other orders of summation give some 1e-6, and a pixel of an 8-bit image is 4e-3.
TOLERANCE = 1e-4
REPORT = "report.json"


def export(variant: str, output: Path | None) -> None:
    """A model as ONNX files with a report beside them; all of them, or none.

    Args:
        variant: As `latentlab.commands.named.get` takes it.
        output: The folder; `exports/` and the model's name if None.

    Raises:
        UserError: There is no such model, the folder cannot be written, or ONNX Runtime does not give what torch gives.
    """
    model = named.get(variant)
    if not output and not re.fullmatch(r"\w[\w.-]*", model.name):
        raise UserError(f"{model.name}: the file does not say a name for the folder: give --output FOLDER")
    folder = output or paths.EXPORTS / model.name
    dataset = inputs.dataset_of(model)
    test, train = (inputs.read_dataset(dataset, part)[0].images for part in ("t10k", "train"))
    with _all_or_nothing(folder) as partial:
        given = _given(model, data.degrade(test, model.variant.downsampling))
        taken, restored = ("x".join(map(str, images.shape[2:])) for images in (given[ENCODER], test))
        print(f"{model.name}: images of {taken} -> codes of {model.code_shape.numel():,} -> images of {restored}")
        exported = {part: onnxmodels.to_onnx(model, part) for part in PARTS}
        differences = {part.name: _difference(model, part, each, given[part]) for part, each in exported.items()}
        print(f"largest differences from torch on {len(test):,} test images, in float32 (tolerance {TOLERANCE:g}):")
        print(", ".join(f"{name} {difference:.1e}" for name, difference in differences.items()))
        calibration = _given(model, onnxmodels.calibration_images(train, model.variant))
        files = {f"{part.name}.onnx": (part, each) for part, each in exported.items()}
        files |= {
            f"{part.name}.int8.onnx": (part, onnxmodels.quantised(each, calibration[part]))
            for part, each in exported.items()
        }
        torch_mse = _mse(in_torch(model, AUTOENCODER)(given[AUTOENCODER]), test)
        records: list[dict[str, Any]] = []
        for name, (part, file) in files.items():
            onnx.checker.check_model(file, full_check=True)
            (partial / name).write_bytes(file.SerializeToString())
            mse = _mse(_reconstructions(model, part, file, given[part]), test)
            records.append({"file": name, "num_bytes": file.ByteSize(), "test_mse": mse, "mse_ratio": mse / torch_mse})
        report = {
            "model": model.name,
            "fingerprint": model.description.get("fingerprint"),
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
            "opset": onnxmodels.OPSET,
            "num_calibration_images": onnxmodels.NUM_CALIBRATION_IMAGES,
            "tolerance": TOLERANCE,
            "largest_difference": differences,
            "torch_test_mse": torch_mse,
            "files": records,
        }
        write_json(report, partial / REPORT)
    print(f"{'file':<22}{'bytes':>12}{'test MSE':>12}{'/ torch':>10}")
    for record in records:
        print(f"{record['file']:<22}{record['num_bytes']:>12,}{record['test_mse']:>#12.4g}{record['mse_ratio']:>10.4f}")
    print(f"{'(torch)':<34}{torch_mse:>#12.4g}")
    print(f"wrote {folder}")


def _given(model: TrainedModel, images: Tensor) -> dict[Part, Array]:
    """What each part is fed: images, as the encoder takes them, or the codes that torch makes of them."""
    x = images.numpy()
    return dict.fromkeys(PARTS, x) | {DECODER: in_torch(model, ENCODER)(x)}


def _difference(model: TrainedModel, part: Part, exported: ModelProto, given: Array) -> float:
    """The largest difference between ONNX Runtime in float32 and torch, in the units of TOLERANCE.

    Raises:
        UserError: It is beyond it.
    """
    expected = in_torch(model, part)(given)
    unit = float(np.abs(expected).max()) or 1.0 if part is ENCODER else 1.0
    difference = float(np.abs(in_onnxruntime(exported)(given) - expected).max()) / unit
    if not difference <= TOLERANCE:  # nor if it is not a number
        raise UserError(
            f"{model.name}: ONNX Runtime does not give what torch gives: the {part.gives}s of the {part.name} differ by up "
            f"to {difference:.2g}, tolerance {TOLERANCE:g}: nothing is written"
        )
    return difference


def _reconstructions(model: TrainedModel, part: Part, exported: ModelProto, given: Array) -> Array:
    """What comes of the test images; an encoder has torch's decoder behind it, a decoder torch's encoder before it."""
    outputs = in_onnxruntime(exported)(given)
    return in_torch(model, DECODER)(outputs) if part is ENCODER else outputs


def _mse(outputs: Array, images: Tensor) -> float:
    return float(np.square(outputs - images.numpy()).mean(dtype=np.float64))


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[Path]:
    """A folder to write files to, which are moved to where they belong when all is done, and are gone if it is not.

    Raises:
        UserError: The folder cannot be written to.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise UserError(f"{folder}: cannot be written: {there} is not a folder")
    if not os.access(there, os.W_OK):
        raise UserError(f"{folder}: cannot be written: permission denied")
    try:
        # on the same disk, so that a move is a rename
        with TemporaryDirectory(dir=there, prefix=".partial-") as partial:
            yield Path(partial)
            settle(Path(partial))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / REPORT).unlink(missing_ok=True)  # a former one; files with no report are of an interrupted move
            for path in sorted(Path(partial).iterdir(), key=lambda path: path.name == REPORT):
                path.replace(folder / path.name)
    except BrokenPipeError:
        raise  # of whoever reads what is printed, and not about the folder
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
