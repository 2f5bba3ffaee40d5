"""What does the user want to be put through a model? Test images by index, and pictures of their own.

Legend: N images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentlab import userfiles, userimages
from latentlab.errors import UserError

Array = np.ndarray
Source = int | Path  # a test image by its index, or a picture of the user's


@dataclass(frozen=True)
class Preparation:
    """How a user's own picture is brought to 28x28.

    `as_is`: it is resized, and no more. `ink`: "dark" or "light" if the user says it; None, and it is found out.
    `is_noisy`: it is not cleaned, since its noise is what matters.
    """

    as_is: bool
    ink: str | None
    is_noisy: bool = False


@dataclass(frozen=True)
class Inputs:
    """Images (N, 1, 28, 28) in [0, 1], what each is, and what was done to the user's own."""

    images: Tensor
    names: list[str]
    notes: list[str]


def read_inputs(sources: Sequence[Source], how: Preparation) -> Inputs:
    """MNIST's test images and the user's own pictures, as the models take them.

    Raises:
        UserError: There are none, too many, or one of them cannot be read.
    """
    if not sources:
        raise UserError("no image is given: --index N for a test image, or --image FILE for a picture of yours")
    if len(sources) > userfiles.MOST_IMAGES:
        raise UserError(f"more than {userfiles.MOST_IMAGES:,} images")
    test_images, digits = np.empty((0, 28, 28)), np.empty(0)
    if any(isinstance(source, int) for source in sources):
        test_images, digits = userfiles.mnist("t10k")
    images: list[Array] = []
    names: list[str] = []
    notes: list[str] = []
    for source in sources:
        if isinstance(source, Path):
            image, done = prepare(source, how)
            images.append(image)
            names.append(str(source))
            notes += done
        elif 0 <= source < len(test_images):
            images.append(test_images[source])
            names.append(f"test image {source}, digit {digits[source]}")
        else:
            raise UserError(f"there is no test image {source}: choose from 0 to {len(test_images) - 1}")
    return Inputs(torch.from_numpy(np.stack(images)).unsqueeze(1), names, notes)


def prepare(path: Path, how: Preparation) -> tuple[Array, list[str]]:
    """A user's picture as an image (28, 28) in [0, 1], and what was done to it, for people.

    Raises:
        UserError: It cannot be read, or no digit is in it.
    """
    grey = userimages.read(path)
    notes = []
    is_dark = how.ink == "dark" or (how.ink is None and userimages.has_dark_ink(grey))
    if is_dark and how.as_is and how.ink is None:
        notes.append(f"{path}: looks dark on light, and stays so (--as-is)")
    elif is_dark:
        grey = 1 - grey
        notes.append(f"{path}: dark on light: inverted")
    if how.as_is or how.is_noisy:
        return userimages.resized(grey), notes
    try:
        image, is_widened = userimages.framed(grey)
    except UserError as error:
        raise UserError(f"{path}: {error} (--as-is takes it as it is)") from None
    if is_widened:
        notes.append(f"{path}: thin strokes: widened to those of MNIST")
    return image, notes
