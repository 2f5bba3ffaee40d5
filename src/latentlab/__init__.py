"""latentlab: autoencoders, and how small their codes can be.

    import latentlab

    model = latentlab.load("cae_baseline")
    codes = model.encode(images)    # (N, 28, 28) -> (N, 32)
    pictures = model.decode(codes)  # (N, 32) -> (N, 28, 28)

Legend: N images, D numbers in the code.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from latentlab.errors import UserError

if TYPE_CHECKING:  # torch takes seconds to import
    from numpy import ndarray

    from latentlab.models.trained import TrainedModel

__all__ = ["Model", "UserError", "load"]


def load(model: str | Path) -> "Model":
    """A trained model.

    Args:
        model: A variant or a run of the project in the working folder (`cae_baseline`, `cae_baseline-mnist-fast-0`), a
            checkpoint file or the folder that it is in, or an MLflow model URI (`runs:/...`, `models:/...`).

    Raises:
        UserError: There is no such model, it is not trained yet, or its file cannot be used.
    """
    from latentlab.commands import named

    return Model(named.get(str(model)))


@final
@dataclass(frozen=True)
class Model:
    """A trained model for NumPy arrays; what it gives is float32. Made by `load`.

    Grey images are (H, W), (N, H, W) or (N, 1, H, W), coloured ones (H, W, 3) or (N, H, W, 3), of the size that the model
    was trained on; numbers in [0, 1] or uint8, bright on dark for a model of MNIST. The methods raise a UserError for
    anything else.
    """

    _model: "TrainedModel"

    @property
    def name(self) -> str:
        """Of the run that trained it."""
        return self._model.name

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Of the code of one image, (D,) or (c, h, w)."""
        return tuple(self._model.code_shape)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one image, (H, W) or (H, W, 3)."""
        channels, height, width = self._model.shape
        return (height, width) if channels == 1 else (height, width, channels)

    def encode(self, images: "ndarray") -> "ndarray":
        """Codes of images, (N, *code_shape), or of one image, code_shape; a VAE gives the posterior means."""
        import torch

        given = _floats(images, "images")
        given = given / given.dtype.type(255) if images.dtype.kind == "u" else given
        shape = self.image_shape
        if len(shape) == 2 and given.ndim == 4 and given.shape[1] == 1:
            given = given[:, 0]
        if given.shape != shape and given.shape[1:] != shape:
            raise UserError(f"images: the shape is {images.shape}, not {shape}, with N before it for several")
        if given.min() < 0 or given.max() > 1:
            raise UserError(f"images: numbers from {given.min():g} to {given.max():g}, not in [0, 1]; or give uint8")
        channels_last = given.reshape(-1, *self._model.shape[1:], self._model.shape[0])
        codes: ndarray = self._model.encode(torch.from_numpy(channels_last).permute(0, 3, 1, 2)).numpy()
        return codes[0] if given.shape == shape else codes

    def decode(self, codes: "ndarray") -> "ndarray":
        """Images of codes, (N, *image_shape) in [0, 1], or of one code, image_shape."""
        import torch

        given, shape = _floats(codes, "codes"), self.code_shape
        if given.shape != shape and given.shape[1:] != shape:
            raise UserError(f"codes: the shape is {given.shape}, not {shape}, with N before it for several")
        decoded = self._model.decode(torch.from_numpy(given.reshape(-1, *shape))).permute(0, 2, 3, 1)
        images: ndarray = decoded.reshape(-1, *self.image_shape).numpy()
        return images[0] if given.shape == shape else images

    def reconstruct(self, images: "ndarray") -> "ndarray":
        """Images through the code and back, in the shape in which they came."""
        return self.decode(self.encode(images)).reshape(images.shape)


def _floats(given: Any, what: str) -> "ndarray":
    """A copy of an array of numbers as float32, contiguous; uint8 only for images."""
    import numpy as np

    if not isinstance(given, np.ndarray) or not given.size:
        raise UserError(f"{what}: a NumPy array with something in it is needed, not {type(given).__name__}")
    if given.dtype.kind != "f" and not (given.dtype == np.uint8 and what == "images"):
        raise UserError(f"{what}: {given.dtype} cannot be used: floating-point numbers are needed, or uint8 for images")
    with np.errstate(over="ignore"):
        numbers = np.array(given, np.float32, order="C")
    if not np.isfinite(numbers).all():
        raise UserError(f"{what}: some numbers are not finite")
    return numbers
