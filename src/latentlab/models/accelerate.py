"""A model's layers replaced by ones that train at the speed of the processor where torch's own do not.

On a processor torch leaves some products to code that reaches a small part of it (docs/speed.md):

- dense layers in float32 go to MKL, which makes half of what oneDNN makes of a processor that is not Intel's;
- convolutions to one channel have oneDNN fill one number of each of its vectors;
- the bias of a transposed convolution gets its gradient, in bfloat16, more slowly than the weights get theirs.

The layers here compute the same in another way, with other rounding. On other devices, traced, and with settings that no
model here has, they are torch's own.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from latentlab.models.base import Autoencoder


def accelerate(model: Autoencoder) -> Autoencoder:
    """The same model with faster layers, in place: its parameters, their names and their order are what they were."""
    for module in model.modules():
        module.__class__ = _FASTER.get(type(module), type(module))
    return model


class Linear(nn.Linear):
    """`torch.nn.Linear`, in float32 through oneDNN."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_features) -> (B, out_features)."""
        if not _computes(x) or x.ndim != 2 or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        result: Tensor = _Dense.apply(x, self.weight, self.bias)
        return result


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d`; to one channel, with stride 1, by a matrix product."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H', W')."""
        if self.out_channels != 1 or self.stride != (1, 1) or isinstance(self.padding, str):
            return super().forward(x)
        # it is the transposed convolution with the mirrored kernel, and what padding lacks to the kernel's size - 1
        padding = [size - 1 - padding for size, padding in zip(self.kernel_size, self.padding, strict=True)]
        given = _arguments(self, x)
        if given is None or min(padding) < 0:
            return super().forward(x)
        x, weight, bias = given
        result: Tensor = _Transposed.apply(x, weight.flip(2, 3).transpose(0, 1), bias, (1, 1), padding, (0, 0))
        return result


class ConvTranspose2d(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d`, with its own gradient of the bias; to one channel by a matrix product."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H', W')."""
        given = _arguments(self, x)
        if given is None or output_size is not None:
            return super().forward(x, output_size)
        x, weight, bias = given
        result: Tensor = _Transposed.apply(x, weight, bias, self.stride, self.padding, self.output_padding)
        return result


_FASTER: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: Linear,
    nn.Conv2d: Conv2d,
    nn.ConvTranspose2d: ConvTranspose2d,
}


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_x = _product(gradient, weight.T) if ctx.needs_input_grad[0] else None
        return of_x, _product(gradient.T, x.T), gradient.sum(0)


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, *settings: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.settings = settings
        return (_to_one_channel if weight.shape[1] == 1 else F.conv_transpose2d)(x, weight, bias, *settings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, output_padding = ctx.settings
        wanted = [ctx.needs_input_grad[0], True, False]
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, stride, padding, [1, 1], True, output_padding, 1, wanted
        )
        return of_x, of_weight, gradient.sum((0, 2, 3)), None, None, None


def _to_one_channel(x: Tensor, weight: Tensor, bias: Tensor, *settings: Any) -> Tensor:
    """The transposed convolution as a product of all pixels with all taps of the kernel, each tap then added in its place.

    Legend: B batch, C channels, H W size of the input, I J of the kernel.

    Args:
        x: (B, C, H, W).
        weight: (C, 1, I, J).
        bias: (1,).
        settings: Stride, padding and output padding, each of rows and of columns.

    Returns:
        (B, 1, (H - 1) stride - 2 padding + I + output_padding, the same for W and J).
    """
    (down, right), (top, left), (below, beside) = settings
    batch_size, _, height, width = x.shape
    _, _, rows, columns = weight.shape
    pixels = x.permute(0, 2, 3, 1).flatten(0, 2)  # (B H W, C), the same memory if x is channels-last
    parts = _product(weight.flatten(1).T, pixels).view(rows * columns, batch_size, height, width)
    canvas_height, canvas_width = (height - 1) * down + rows + below, (width - 1) * right + columns + beside
    canvas = bias.float().expand(batch_size, canvas_height, canvas_width).clone()
    steps = canvas.stride(0), down * canvas_width, right
    for tap, part in enumerate(parts.unbind()):
        row, column = divmod(tap, columns)
        canvas.as_strided((batch_size, height, width), steps, row * canvas_width + column).add_(part)
    inner = canvas[:, top : canvas_height - top, left : canvas_width - left]
    return inner.to(x.dtype, memory_format=torch.contiguous_format).unsqueeze(1)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Gives x W^T + b."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


def _computes(x: Tensor) -> bool:
    """Whether a layer computes by itself: what is traced gets torch's operators."""
    return x.device.type == "cpu" and torch.backends.mkldnn.is_available() and not torch.compiler.is_compiling()


def _arguments(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
    """Input, weight and bias of a convolution, as autocast would make them; None if it is not of the common kind."""
    weight, bias = layer.weight, layer.bias
    common = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    if bias is None or not common or x.ndim != 4 or not _computes(x):
        return None
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    return x, weight, bias
