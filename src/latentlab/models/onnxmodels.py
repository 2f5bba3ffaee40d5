"""A trained model as ONNX, and the same with weights and activations of 8 bits; and both run.

Legend: N images, D numbers in the code.
"""

import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from torch import Tensor, nn

from latentlab.data import images as data
from latentlab.models.base import Autoencoder
from latentlab.models.trained import TrainedModel
from latentlab.params.variants import Variant

Array = np.ndarray
Runtime = Callable[[Array], Array]  # from inputs to outputs, (N, ...) each, float32

OPSET = 20
NUM_CALIBRATION_IMAGES = 512
CALIBRATION_SEED = 0

_CALIBRATED_AT_ONCE = 64  # the ranges of all batches count
_RUN_AT_ONCE = 256
# What ONNX Runtime has integer kernels for, and what passes integers on. It has none for a transposed convolution, which
# in the midst of integers would only be slower; LeakyRelu and Sigmoid cost less in float than by their integer kernels.
_INTEGER_OPERATORS = ["Conv", "Gemm", "MaxPool", "Relu", "Reshape", "Resize"]
_LEAST_FAN_IN = 8  # weights of an output channel; with fewer, its scales take more than 8-bit weights save
_LARGEST_LOGIT = np.float32(8)  # the sigmoid of 8 is 0.9997; finer steps below it matter more than what lies beyond


@dataclass(frozen=True)
class Part:
    """One of the models of an autoencoder that are exported: its name, the method that it is, what it takes and gives."""

    name: str
    method: str
    takes: str
    gives: str


ENCODER = Part("encoder", "encode", "image", "code")
DECODER = Part("decoder", "decode", "code", "reconstruction")
AUTOENCODER = Part("autoencoder", "forward", "image", "reconstruction")
PARTS = (ENCODER, DECODER, AUTOENCODER)


@final
class _Module(nn.Module):
    """A part as a module, which is what the exporter takes."""

    def __init__(self, model: Autoencoder, part: Part) -> None:
        super().__init__()
        self.model = model
        self.method = part.method

    def forward(self, x: Tensor) -> Tensor:
        """As the method gives it."""
        y: Tensor = getattr(self.model, self.method)(x)
        return y


def to_onnx(model: TrainedModel, part: Part) -> ModelProto:
    """A part of a model as ONNX, for any number of images or codes at once, and with a description of itself."""
    image = data.degrade(torch.zeros(2, *model.shape), model.variant.downsampling)
    example = image if part.takes == "image" else torch.zeros(2, *model.code_shape)
    program = torch.onnx.export(
        _Module(model.model, part).eval(),
        (example,),
        dynamo=True,
        input_names=[part.takes],
        output_names=[part.gives],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=OPSET,
        verbose=False,
    )
    assert program is not None  # it is only where the exporter writes a file itself
    exported = program.model_proto
    _forget_its_making(exported)
    return _described(exported, _description(model, part))


def quantised(exported: ModelProto, inputs: Array) -> ModelProto:
    """A model of `to_onnx` with 8-bit weights, per output channel, and 8-bit activations, as far as that is faster.

    The ranges of the activations are those that the inputs lead to (static quantisation). Quantising dynamically, when it
    runs, would leave out the convolutions.

    Args:
        exported: The model.
        inputs: (N, ...) as the model takes them.
    """
    clipped = {name: [{"rmin": -_LARGEST_LOGIT, "rmax": _LARGEST_LOGIT}] for name in _logits(exported)}
    given = copy.deepcopy(exported)  # the quantiser leaves what it is given without weights
    add_pre_process_metadata(given)  # or it advises to optimise it first, which changes nothing in these
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        quantize_static(
            given,
            path,
            _Batches(exported.graph.input[0].name, inputs),
            op_types_to_quantize=_INTEGER_OPERATORS,
            nodes_to_exclude=_narrow(exported),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # to 7 bits: processors without VNNI add products in 16 bits, and cut larger sums
            extra_options={"TensorQuantOverrides": clipped},
        )
        result = onnx.load(path)
    kept = {entry.key: entry.value for entry in exported.metadata_props}
    calibration = f"{len(inputs)} training images, seed {CALIBRATION_SEED}"
    return _described(result, kept | {"quantisation": "static, int8, weights per channel", "calibration": calibration})


def in_torch(model: TrainedModel, part: Part) -> Runtime:
    """A part as torch runs it."""
    method = getattr(model.model, part.method)

    @torch.inference_mode()
    def run(inputs: Array) -> Array:
        return torch.cat([method(batch) for batch in torch.from_numpy(inputs).split(_RUN_AT_ONCE)]).numpy()

    return run


def in_onnxruntime(exported: ModelProto) -> Runtime:
    """A model as ONNX Runtime runs it on the CPU, with all its optimisations and as many threads as torch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(exported.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = exported.graph.input[0].name

    def run(inputs: Array) -> Array:
        return np.concatenate([session.run(None, {name: batch})[0] for batch in _in_batches(inputs, _RUN_AT_ONCE)])

    return run


def calibration_images(images: Tensor, variant: Variant) -> Tensor:
    """What an encoder is fed to find the ranges of its activations, (NUM_CALIBRATION_IMAGES, C, h, w).

    Noisy if the variant is trained on noisy images: these are what it is for, and their ranges are wider.

    Args:
        images: All training images, (N, C, H, W).
        variant: Of the model.
    """
    generator = torch.Generator().manual_seed(CALIBRATION_SEED)
    chosen = images[torch.randperm(len(images), generator=generator)[:NUM_CALIBRATION_IMAGES]]
    x = data.degrade(chosen, variant.downsampling)
    if variant.input_noise:
        least, largest = variant.input_noise
        sigma = torch.rand((len(x), 1, 1, 1), generator=generator) * (largest - least) + least
        x = data.add_noise(x, sigma, generator)
    return x


@final
class _Batches(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, name: str, inputs: Array) -> None:
        self.batches = ({name: batch} for batch in _in_batches(inputs, _CALIBRATED_AT_ONCE))

    def get_next(self) -> dict[str, Array] | None:
        """The next batch, None after the last."""
        return next(self.batches, None)


def _in_batches(inputs: Array, size: int) -> list[Array]:
    return [inputs[start : start + size] for start in range(0, len(inputs), size)]


def _narrow(exported: ModelProto) -> list[str]:
    """The layers with few weights in each output channel whose result is taken in float, as by a transposed convolution.

    Where it is taken as integers, ONNX Runtime would quantise such a layer itself on loading, and less exactly: with one
    scale for all channels.
    """
    fan_in = {weight.name: math.prod(weight.dims[1:]) for weight in exported.graph.initializer}  # (out, in, ...)
    taken_by = {name: node for node in exported.graph.node for name in node.input}
    names = []
    for layer in exported.graph.node:
        if layer.op_type in ("Conv", "Gemm") and fan_in[layer.input[1]] < _LEAST_FAN_IN:
            taker = taken_by.get(layer.output[0])
            while taker and taker.op_type in ("Relu", "Reshape"):
                taker = taken_by.get(taker.output[0])
            if taker and taker.op_type not in _INTEGER_OPERATORS:
                names.append(layer.name)
    return names


def _logits(exported: ModelProto) -> list[str]:
    """The tensors that hold what the last sigmoid makes pixels of; none in an encoder."""
    made_by = {name: node for node in exported.graph.node for name in node.output}
    last = made_by[exported.graph.output[0].name]
    if last.op_type != "Sigmoid":
        return []
    name = last.input[0]
    return [name, made_by[name].input[0]] if made_by[name].op_type == "Reshape" else [name]


def _description(model: TrainedModel, part: Part) -> dict[str, str]:
    """What the file says of itself: where the weights are from, what goes in and what comes out."""
    taken = list(data.degrade(torch.zeros(1, *model.shape), model.variant.downsampling).shape[1:])
    shapes = {"image": taken, "code": list(model.code_shape), "reconstruction": list(model.shape)}
    meanings = {
        "image": f"images as those of {model.description.get('dataset', 'the data set')}, pixels in [0, 1]",
        "code": "the numbers that the encoder gives",
        "reconstruction": "images, pixels in [0, 1]",
    }
    if taken != shapes["reconstruction"]:
        sizes = " to ".join("x".join(map(str, shape[1:])) for shape in (model.shape, taken))
        meanings["image"] += f", downsampled from {sizes} (bilinear, no aligned corners, no antialiasing)"
    keys = [key for key in ("dataset", "recipe", "seed", "fingerprint") if key in model.description]
    known = {key: str(model.description[key]) for key in keys}
    return known | {
        "variant": str(model.description.get("name", model.name)),
        "settings": json.dumps(model.variant.model_dump(), sort_keys=True),
        "part": part.name,
        "opset": str(OPSET),
        "code_shape": json.dumps(shapes["code"]),
        "input": meanings[part.takes],
        "input_shape": json.dumps(["batch", *shapes[part.takes]]),
        "input_range": "[0, 1]" if part.takes == "image" else "unbounded",
        "output": meanings[part.gives],
        "output_shape": json.dumps(["batch", *shapes[part.gives]]),
    }


def _described(exported: ModelProto, description: dict[str, str]) -> ModelProto:
    onnx.helper.set_model_props(exported, dict(sorted(description.items())))
    return exported


def _forget_its_making(exported: ModelProto) -> None:
    """Removes what the exporter notes beside each node: lines of source code, with the paths of whoever exports."""
    graph = exported.graph
    for group in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for each in group:
            del each.metadata_props[:]
            each.doc_string = ""
