"""A model for the explorer's JavaScript: a plan of its layers, and their weights as one block of bytes.

The plan is read from the exported ONNX, in which normalisation is part of the layers before it and every model is a chain.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper, shape_inference

Array = np.ndarray
Precision = Literal["int8", "float16", "float32"]
# from the smallest
PRECISIONS: tuple[Precision, ...] = ("int8", "float16", "float32")

_LARGEST = 127
_WITH_WEIGHTS = ("Gemm", "Conv", "ConvTranspose")
_OTHERS = ("LeakyRelu", "MaxPool", "Relu", "Reshape", "Resize", "Sigmoid")


@dataclass(frozen=True)
class Packed:
    """A model as the page takes it, and the same with the rounded weights as ONNX, to see what the rounding costs.

    `plan` has a step for each layer: `op`, the `shape` of what comes out, without the batch, and what the operator needs;
    `weight` and `bias` say where in `block` they begin. Weights of int8 have a float32 `scale` for each output channel.
    """

    plan: list[dict[str, Any]]
    block: bytes
    rounded: ModelProto


def pack(exported: ModelProto, precision: Precision, start: int = 0) -> Packed:
    """Packs a model of `latentlab.models.onnxmodels.to_onnx`.

    Args:
        exported: The model.
        precision: Of the weights. Biases and scales, which are few, stay float32.
        start: Where its block will begin in that of the page.

    Raises:
        ValueError: It is no chain of the operators that the page knows.
    """
    rounded = ModelProto()
    rounded.CopyFrom(exported)
    weights = {each.name: each for each in rounded.graph.initializer}
    shapes = _shapes(exported)
    plan: list[dict[str, Any]] = []
    block = bytearray()
    before, last = "", exported.graph.input[0].name

    def add(array: Array) -> int:
        place = start + len(block)
        block.extend(array.tobytes() + bytes(-array.nbytes % 4))
        return place

    for node in exported.graph.node:
        if node.op_type in ("Shape", "Concat"):  # of how large a Resize is to make it, which the plan knows
            continue
        if node.op_type == "Mul" and [*node.input] == [before, last] and plan[-1]["op"] == "Sigmoid":
            plan[-1]["op"], last = "Silu", node.output[0]  # x sigmoid(x)
            continue
        if node.op_type not in (*_WITH_WEIGHTS, *_OTHERS) or node.input[0] != last:
            raise ValueError(f"{node.op_type} of {', '.join(node.input)}: the explorer has no such layer")
        before, last = last, node.output[0]
        given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        step = {"op": node.op_type, "shape": shapes[last]} | _settings(node.op_type, given)
        if node.op_type in _WITH_WEIGHTS:
            name, axis = node.input[1], 1 if node.op_type == "ConvTranspose" else 0
            stored, scale = _rounded(numpy_helper.to_array(weights[name]), precision, axis)
            restored = stored.astype(np.float32) * (1 if scale is None else scale)
            weights[name].CopyFrom(numpy_helper.from_array(restored.astype(np.float32), name))
            step |= {"dims": list(stored.shape), "weight": add(stored)}
            step |= {} if scale is None else {"scale": add(scale)}
            step |= {"bias": add(numpy_helper.to_array(weights[node.input[2]]))} if len(node.input) > 2 else {}
        plan.append(step)
    return Packed(plan, bytes(block), rounded)


def _settings(operator: str, given: dict[str, Any]) -> dict[str, Any]:
    """What the page has to know of a layer beside its weights and the shape of its result."""
    if operator == "LeakyRelu":
        return {"slope": given["alpha"]}
    if operator == "Resize":
        return {"linear": given["mode"] == b"linear"}
    if operator in ("Conv", "ConvTranspose", "MaxPool"):
        if {*given.get("dilations", [1])} != {1} or given.get("group", 1) != 1 or given.get("ceil_mode", 0):
            raise ValueError(f"{operator}: the explorer has neither dilations nor groups")
        return {"stride": list(given["strides"]), "pads": list(given["pads"]), "kernel": list(given["kernel_shape"])}
    return {}


def _shapes(exported: ModelProto) -> dict[str, list[int]]:
    """The shape of each layer's result, without the batch."""
    graph = shape_inference.infer_shapes(exported).graph
    return {
        each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim[1:]]
        for each in (*graph.value_info, *graph.output)
    }


def _rounded(weights: Array, precision: Precision, axis: int) -> tuple[Array, Array | None]:
    """The weights as they are stored, little end first, and the scales of int8 in a shape that multiplies them."""
    if precision != "int8":
        with np.errstate(over="ignore"):  # what becomes infinite is measured to be no good
            return weights.astype("<f2" if precision == "float16" else "<f4"), None
    others = tuple(each for each in range(weights.ndim) if each != axis)
    scale = np.maximum(np.abs(weights).max(axis=others, keepdims=True), 1e-30).astype("<f4") / np.float32(_LARGEST)
    return np.round(weights / scale).astype(np.int8), scale
