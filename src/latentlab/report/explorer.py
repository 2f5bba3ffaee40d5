"""The explorer: one page of HTML in which people play with trained autoencoders; it needs no other file and no server.

Legend: N images, D numbers in the code.
"""

import base64
import gzip
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from latentlab.data.drawing import CHARACTERS
from latentlab.data.images import Images, Splits, degrade
from latentlab.models.onnxmodels import DECODER, ENCODER, in_onnxruntime, to_onnx
from latentlab.models.trained import TrainedModel
from latentlab.report.figures.pictures import CLASSES
from latentlab.report.packing import PRECISIONS, Packed, pack

Array = np.ndarray

MOST_BYTES = 4_000_000
MOST_VARIANTS = 12
# of the test images: those to pick from, and those that are dots in the plane besides
NUM_IMAGES, NUM_DOTS = 200, 1000
# what rounded weights may make of the error on the test images; seeds differ by about as much
TOLERANCE = 1.01

_NUM_MEASURED = 2000  # test images on which that is measured, and training images whose codes give the ranges
_NUM_REPLACED = 16  # test images on which is measured what a number of the code carries
_MOST_REPLACED = 64  # numbers of which it is measured, those that vary the most
_MOST_SLIDERS = 12
_LEFT_OUT = 0.001  # share of the codes beyond a range at each end


@dataclass(frozen=True)
class Entry:
    """A model in the page: what the page says and knows of it, its weights, and the same weights as ONNX."""

    about: dict[str, Any]
    block: bytes
    encoder: Packed
    decoder: Packed


def explorer(
    dataset: str,
    kind: str,
    data: Splits,
    models: Iterable[TrainedModel],
    board: pd.DataFrame,
    most_bytes: int | None = None,
) -> tuple[str, list[str]]:
    """The page, and the names of the models in it.

    Args:
        dataset: Name of the data set.
        kind: Of the data set; pictures of characters are framed.
        data: Its images.
        models: Trained on it. All of them are in the page, in this order, unless there is a limit.
        board: Lines of the leaderboard, for the chart.
        most_bytes: Of the page; models that do not fit are left out, and all beyond MOST_VARIANTS.
    """
    models = list(models)
    shown = _shown(data.test, len(data.classes))
    errors, dims = mean_errors(board), board.set_index("variant")["latent_dim"].dropna().astype(int).to_dict()
    meta: dict[str, Any] = {
        "dataset": dataset,
        "shape": list(data.shape),
        "isFramed": kind in CHARACTERS,
        "classes": list(data.classes),
        "colours": list(CLASSES),
        "numImages": len(shown),
        "labels": [] if data.test.labels is None else data.test.labels[_dots(shown, len(data.test))].tolist(),
        "others": [{"name": name, "latentDim": dims[name], "mse": error} for name, error in errors.items() if name in dims],
    }
    names = [str(model.description.get("name", model.name)) for model in models]
    names = [name if names.count(name) == 1 else model.name for name, model in zip(names, models, strict=True)]
    pixels = (data.test.images[shown] * 255).round().to(torch.uint8).numpy().tobytes()
    blocks = {"images": _inlined(pixels)}
    left = (most_bytes or 0) - len(_page(meta | {"variants": []}, blocks))
    entries: list[dict[str, Any]] = []
    for name, model in zip(names, models, strict=True):
        num_parameters = sum(weight.numel() for weight in model.model.parameters())
        if most_bytes and (len(entries) == MOST_VARIANTS or num_parameters > left):
            continue
        made = entry(name, model, data, shown, errors.get(name))
        block = _inlined(made.block)
        size = len(block) + len(json.dumps(made.about)) + len(name) + 100  # of the tag around it
        if not most_bytes or size <= left:
            entries.append(made.about)
            blocks[name] = block
            left -= size
    entries.sort(key=lambda each: each["latentDim"])
    return _page(meta | {"variants": entries}, blocks), [each["name"] for each in entries]


def mean_errors(board: pd.DataFrame) -> dict[str, float]:
    """The mean squared error of each variant and baseline of a leaderboard, as far as it is known."""
    known = board.dropna(subset=["test_mse"])
    return dict(zip(known["variant"].astype(str), known["test_mse"].astype(float), strict=True))


def in_order(models: Iterable[TrainedModel], errors: Mapping[str, float]) -> list[TrainedModel]:
    """Models for the page, those that should be in it first.

    Of each latent dimension the best of each family: the best of all dimensions, the smallest dimension first, then the
    second best family of each, and so on.

    Args:
        models: To choose from, of one data set.
        errors: Test error of each variant, as far as it is known.
    """

    def key(model: TrainedModel) -> tuple[int, float]:
        return model.code_shape.numel(), errors.get(str(model.description["name"]), float("inf"))

    families: dict[int, list[str]] = {}
    ranked: list[tuple[int, TrainedModel]] = []
    for model in sorted(models, key=key):
        seen = families.setdefault(model.code_shape.numel(), [])
        if model.variant.family not in seen:
            ranked.append((len(seen), model))
            seen.append(model.variant.family)
    return [model for _, model in sorted(ranked, key=lambda each: each[0])]


def entry(name: str, model: TrainedModel, data: Splits, shown: Sequence[int], error: float | None) -> Entry:
    """A model for the page, its weights in the smallest precision that is as good.

    Args:
        name: In the page.
        model: The model.
        data: Images of its data set.
        shown: Test images to pick from.
        error: Test error to be told; None, and it is measured on some test images.
    """
    test = data.test.images[:_NUM_MEASURED]
    encoder, decoder = to_onnx(model, ENCODER), to_onnx(model, DECODER)
    given = degrade(test, model.variant.downsampling).numpy()
    exact = _mse(in_onnxruntime(decoder)(in_onnxruntime(encoder)(given)), test)
    for precision in PRECISIONS:
        packed = pack(encoder, precision)
        rest = pack(decoder, precision, len(packed.block))
        rounded = _mse(in_onnxruntime(rest.rounded)(in_onnxruntime(packed.rounded)(given)), test)
        if rounded <= TOLERANCE * exact:
            break
    codes = model.encode(data.train.images[:_NUM_MEASURED]).flatten(1)  # (N, D)
    ends = np.quantile(codes.numpy(), [_LEFT_OUT, 1 - _LEFT_OUT], axis=0)
    varying = np.argsort(-codes.numpy().var(axis=0), kind="stable")[:_MOST_REPLACED]
    carried = _carried(model, test[:_NUM_REPLACED], codes.mean(0), varying)
    order = varying[np.argsort(-carried, kind="stable")][:_MOST_SLIDERS]
    dots = model.encode(data.test.images[_dots(shown, len(data.test))]).flatten(1)[:, order[:2].copy()]
    block = packed.block + rest.block
    about = {
        "name": name,
        "family": model.variant.family,
        "latentDim": codes.shape[1],
        "codeShape": list(model.code_shape),
        "inputShape": list(given.shape[1:]),
        "isVariational": model.is_variational,
        "isDenoiser": model.variant.input_noise is not None,
        "numParameters": sum(weight.numel() for weight in model.model.parameters()),
        "mse": exact if error is None else error,
        "precision": precision,
        "ratio": round(rounded / exact, 5) if exact else 1,
        "low": _numbers(ends[0]),
        "high": _numbers(ends[1]),
        "order": order.tolist(),
        "encoder": packed.plan,
        "decoder": rest.plan,
        "dots": len(block),
    }
    return Entry(about, block + dots.numpy().astype("<f4").tobytes(), packed, rest)


def _shown(test: Images, num_classes: int) -> list[int]:
    """Test images to pick from: the first ones of each class, class by class."""
    if test.labels is None:
        return list(range(min(NUM_IMAGES, len(test))))
    each = max(1, NUM_IMAGES // num_classes)
    places = [torch.nonzero(test.labels == label).flatten()[:each].tolist() for label in range(num_classes)]
    return [place for class_places in places for place in class_places][:NUM_IMAGES]


def _dots(shown: Sequence[int], num_test: int) -> list[int]:
    """Test images that are dots in the plane: those to pick from, then the first ones."""
    return [*shown, *range(min(NUM_DOTS, num_test))]


def _carried(model: TrainedModel, images: Tensor, mean: Tensor, numbers: Array) -> Array:
    """What these numbers of the code carry: how much the squared error per pixel grows if one is its mean instead."""
    codes = model.encode(images).flatten(1)
    exact = _mse(model.decode(codes.unflatten(1, model.code_shape)).numpy(), images)
    errors = []
    for number in numbers:
        replaced = codes.clone()
        replaced[:, number] = mean[number]
        errors.append(_mse(model.decode(replaced.unflatten(1, model.code_shape)).numpy(), images))
    return np.array(errors) - exact


def _mse(outputs: Array, images: Tensor) -> float:
    return float(np.square(outputs - images.numpy()).mean(dtype=np.float64))


def _numbers(values: Array) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def _inlined(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


def _page(meta: Mapping[str, Any], blocks: Mapping[str, str]) -> str:
    folder = resources.files("latentlab.report") / "assets"
    text = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    data = "".join(
        f'<script type="application/octet-stream" data-of="{html.escape(name)}">{block}</script>\n'
        for name, block in blocks.items()
    )
    parts = {
        "dataset": html.escape(str(meta["dataset"])),
        "style": text["explorer.css"],
        "data": data,
        # no text of a user ends the script
        "meta": json.dumps(meta, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "network": text["network.js"],
        "script": text["explorer.js"],
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], text["explorer.html"])
