"""What does `latentlab export` do? It writes a model as ONNX, checks it against torch, and says what each runtime costs.

Legend: N images.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto
from safetensors.torch import save
from torch import Tensor

from latentlab import data, layout, onnxmodels, processor, runtimes, userfiles, usermodels
from latentlab.errors import UserError
from latentlab.onnxmodels import DECODER, ENCODER, PARTS, Part
from latentlab.usermodels import UserModel
from latentlab.wholefiles import settle

Array = np.ndarray
Record = dict[str, Any]

# What ONNX Runtime in float32 may differ from torch by: in a pixel, of the range 1; in a number of a code, of the largest
# number in any code. Other orders of summation give some 1e-6, and a pixel of an 8-bit image is 4e-3.
TOLERANCE = 1e-4
REPORT = "report.json"

_Models = dict[tuple[Part, str], ModelProto]  # by part and precision, "float32" or "int8"
_SUFFIXES = {"float32": ".onnx", "int8": ".int8.onnx"}


def export(*, row: str, output: Path | None) -> None:
    """A model as ONNX files with a report beside them; all of them, or none.

    Args:
        row: As `latentlab.usermodels.get` takes it.
        output: The folder; `exports/` and the model's name if None.

    Raises:
        UserError: There is no such model, the folder cannot be written, or ONNX Runtime does not give what torch gives.
    """
    model = usermodels.get(row)
    folder = output or layout.EXPORTS / _folder_name(model)
    images = torch.from_numpy(userfiles.mnist("t10k")[0]).unsqueeze(1)
    training_images = torch.from_numpy(userfiles.mnist("train")[0]).unsqueeze(1)
    with _all_or_nothing(folder) as partial:
        size = model.row.input_size
        print(f"{model.name}: images of {size}x{size} -> codes of {model.code_shape.numel():,} -> images of 28x28")
        inputs = _inputs(model, data.degrade(images, model.row.input_size))
        exported = {(part, "float32"): onnxmodels.to_onnx(model, part) for part in PARTS}
        differences = _check(model, exported, inputs)
        print(
            f"largest difference from torch on {len(images):,} test images, float32: pixels {differences['pixels']:.1e}, "
            f"codes {differences['codes']:.1e} of the largest number (tolerance {TOLERANCE:g})"
        )
        calibration = _inputs(model, onnxmodels.calibration_images(training_images, model.row))
        exported |= {(part, "int8"): onnxmodels.quantised(exported[part, "float32"], calibration[part]) for part in PARTS}
        for (part, precision), each in exported.items():
            onnx.checker.check_model(each, full_check=True)
            (partial / f"{part.name}{_SUFFIXES[precision]}").write_bytes(each.SerializeToString())
        records = _measure(model, exported, inputs, images.numpy())
        report = _report(model, differences, records)
        (partial / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(
        f"{report['cpu']}, {report['num_threads']} thread{'s' if report['num_threads'] > 1 else ''}, torch "
        f"{report['torch']}, onnxruntime {report['onnxruntime']}; batches of {runtimes.BATCH_SIZE}; int8 calibrated on "
        f"{onnxmodels.NUM_CALIBRATION_IMAGES} training images\n"
    )
    print("\n".join(table(records)))
    print(f"\nwrote {folder}")


def table(records: Sequence[Record]) -> list[str]:
    """The measurements as lines of Markdown."""
    header = ["model", "runtime", "bytes", "latency (ms)", "images/s", "test MSE", "MSE / torch's"]
    cells = [header] + [
        [
            record["part"],
            record["runtime"],
            f"{record['num_bytes']:,}",
            f"{1000 * record['latency_seconds']:.3f}",
            f"{record['images_per_second']:,.0f}",
            f"{record['test_mse']:#.4g}",
            f"{record['mse_ratio']:.4f}",
        ]
        for record in records
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, [("-" * (width - 1) + ":") if i > 1 else "-" * width for i, width in enumerate(widths)])
    return [
        "| "
        + " | ".join(
            cell.rjust(width) if i > 1 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in cells
    ]


def _inputs(model: UserModel, images: Tensor) -> dict[Part, Array]:
    """What each part is fed: images, as the encoder takes them, or the codes that torch makes of them."""
    x = images.numpy()
    return dict.fromkeys(PARTS, x) | {DECODER: runtimes.apply(runtimes.in_torch(model, ENCODER), x)}


def _check(model: UserModel, exported: _Models, inputs: dict[Part, Array]) -> dict[str, float]:
    """The largest differences between ONNX Runtime in float32 and torch, in the units of TOLERANCE.

    Raises:
        UserError: One is beyond it.
    """
    differences = {"pixels": 0.0, "codes": 0.0}
    for part, given in inputs.items():
        expected = runtimes.apply(runtimes.in_torch(model, part), given)
        found = runtimes.apply(runtimes.in_onnxruntime(exported[part, "float32"], torch.get_num_threads()), given)
        kind, unit = ("codes", float(np.abs(expected).max()) or 1.0) if part is ENCODER else ("pixels", 1.0)
        difference = float(np.abs(found - expected).max()) / unit
        if not difference <= TOLERANCE:  # nor if it is not a number
            raise UserError(
                f"{model.name}: ONNX Runtime does not give what torch gives: {kind} of the {part.name} differ by up to "
                f"{difference:.2g}, tolerance {TOLERANCE:g}: nothing is written"
            )
        differences[kind] = max(differences[kind], difference)
    return differences


def _measure(model: UserModel, exported: _Models, inputs: dict[Part, Array], images: Array) -> list[Record]:
    """Size, speed and error of each part in each runtime; what is no autoencoder has torch's other half beside it."""
    records = []
    decode = runtimes.in_torch(model, DECODER)
    for part, given in inputs.items():
        candidates = {"torch": runtimes.in_torch(model, part)}
        num_bytes = {"torch": _torch_num_bytes(model, part)}
        for precision in _SUFFIXES:
            name = f"onnxruntime {precision}"
            candidates[name] = runtimes.in_onnxruntime(exported[part, precision], torch.get_num_threads())
            num_bytes[name] = exported[part, precision].ByteSize()
        speeds = runtimes.speeds(candidates, given)
        errors = {}
        for name, runtime in candidates.items():
            outputs = runtimes.apply(runtime, given)
            decoded = runtimes.apply(decode, outputs) if part is ENCODER else outputs
            errors[name] = float(np.square(decoded - images).mean(dtype=np.float64))
        records += [
            {
                "part": part.name,
                "runtime": name,
                "num_bytes": num_bytes[name],
                **asdict(speeds[name]),
                "test_mse": errors[name],
                "mse_ratio": errors[name] / errors["torch"],
            }
            for name in candidates
        ]
    return records


def _torch_num_bytes(model: UserModel, part: Part) -> int:
    """Size of the part's weights as a safetensors file."""
    modules = {"encoder": model.model.encoder, "decoder": model.model.decoder}
    weights = modules.get(part.name, model.model).state_dict()
    return len(save({name: weight.contiguous() for name, weight in weights.items()}))


def _report(model: UserModel, differences: dict[str, float], records: list[Record]) -> Record:
    return {
        "model": model.name,
        "fingerprint": model.description.get("fingerprint"),
        "cpu": processor.name(),
        "num_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opset": onnxmodels.OPSET,
        "num_calibration_images": onnxmodels.NUM_CALIBRATION_IMAGES,
        "batch_size": runtimes.BATCH_SIZE,
        "num_single_calls": runtimes.NUM_ROUNDS * runtimes.NUM_SINGLE,
        "num_batch_calls": runtimes.NUM_ROUNDS,
        "tolerance": TOLERANCE,
        "largest_difference": differences,
        "measured": records,
    }


def _folder_name(model: UserModel) -> str:
    if not re.fullmatch(r"\w[\w.-]*", model.name):
        raise UserError(f"{model.name}: the file does not say a name for the folder: give --output FOLDER")
    return model.name


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
        # on the same disk, so that moving is renaming
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
