"""Which digit is in the user's picture? A PNG or JPEG of any size and colour, made into an image as MNIST has them.

Legend: H and W height and width of the picture.
"""

import math
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from latentlab.errors import UserError

Array = np.ndarray

# data sets whose images are characters, each in the middle of its image, bright on dark
CHARACTERS = ("mnist", "kmnist", "qmnist", "emnist_balanced", "emnist_letters", "digits")

FRAME = 28  # height and width of an MNIST image
BOX = 20  # the longer side of the digit in it

_WORKING_SIZE = 1000  # a larger picture shows nothing that 20 pixels could hold
_GROUND_SIZE = 64  # in which how light falls on the ground is seen
_LEAST_CONTRAST = 0.04  # of the full range; the ink of the faintest pencil has more
_FAINT = 0.1  # of the ink; what is fainter, as the ripples of a JPEG are, is not of the digit's box
_LEAST_PART = 0.02  # of the largest connected part; what is smaller is dust
# widths of strokes in pixels of the 28x28, of the digits of MNIST: the 1st percentile and the median
_THIN_STROKE, _USUAL_STROKE = 1.4, 2.4
_LEAST_MEAN, _MOST_MEAN = 0.028, 0.34  # brightness of an image, of the first 10,000 images of MNIST
_LARGE_PART = 0.25  # of the largest; 1 image in 160 of MNIST has two such parts


def read(path: Path) -> Array:
    """The grey levels of a picture, (H, W) float32 in [0, 1]; 0 is black.

    Colours become luminance (ITU-R 601); a picture that is turned by its EXIF tag is turned upright; one larger than 1000
    pixels is scaled down. Transparent parts get the colour of the rest, or, where most of the picture is transparent, the
    grey that stands out from what is drawn: black or white.

    Raises:
        UserError: There is no such file, or it is empty, damaged, animated, too large, or neither PNG nor JPEG.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(f"{path}: is not a file")
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path}: is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags that do not matter here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                if image.format == "PNG" and getattr(image, "is_animated", False):
                    raise UserError(f"{path}: is animated: give one picture")
                return _grey(ImageOps.exif_transpose(image), path)
    except UnidentifiedImageError:
        raise UserError(f"{path}: is not a PNG or JPEG image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(f"{path}: has more than {Image.MAX_IMAGE_PIXELS:,} pixels: scale it down") from None
    except MemoryError:
        raise UserError(f"{path}: does not fit into memory: scale it down") from None
    except UserError:
        raise
    except Exception as error:  # what Pillow raises of a damaged file depends on where the damage is
        raise UserError(f"{path}: cannot be read: {error}") from None


def has_dark_ink(grey: Array) -> bool:
    """Whether the drawing is darker than its ground, which MNIST's is not.

    The ground is what the border shows; the drawing is what stands out from it most, by the third moment, in which a few
    strokes outweigh any amount of even noise.
    """
    return bool((_relief(grey) ** 3).sum() < 0)


def resized(grey: Array, size: int) -> Array:
    """The picture in `size` x `size` pixels; one of that size is not changed, another shape is squeezed."""
    return grey if grey.shape == (size, size) else np.clip(scaled(grey, size, size), 0, 1)


def scaled(grey: Array, height: int, width: int) -> Array:
    """Each pixel of a smaller picture is the mean of what it covers; a larger one is interpolated."""
    larger = height > grey.shape[0] or width > grey.shape[1]
    how = Image.Resampling.BICUBIC if larger else Image.Resampling.BOX
    image = Image.fromarray(np.ascontiguousarray(grey, np.float32))
    return np.asarray(image.resize((width, height), how))


def reduced(grey: Array, size: int) -> Array:
    """The picture with so many pixels at its longer side, or as it is if it has no more."""
    share = min(1, size / max(grey.shape))
    return scaled(grey, *(max(1, round(share * side)) for side in grey.shape))


def padded(grey: Array) -> Array:
    """The picture in the middle of a square, black beside it."""
    missing = max(grey.shape) - np.array(grey.shape)
    return np.pad(grey, [(each // 2, each - each // 2) for each in missing])


def doubts(image: Array) -> list[str]:
    """What a prepared image has that digits of MNIST have not, for people.

    Args:
        image: (28, 28), as `framed` gives it.
    """
    parts, _ = ndimage.label(image > 0.3, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    num_large = int((sizes >= _LARGE_PART * sizes.max(initial=1)).sum())
    found = [f"{num_large} large parts: is it one digit?"] if num_large > 1 else []
    if not _LEAST_MEAN <= (mean := float(image.mean())) <= _MOST_MEAN:
        found.append(f"mean brightness {mean:.2f}, in MNIST {_LEAST_MEAN} to {_MOST_MEAN}: is it a digit?")
    return found


def framed(grey: Array) -> tuple[Array, bool]:
    """A bright drawing on a dark ground as MNIST has its digits.

    As LeCun, Cortes and Burges describe it: the box around the digit is scaled to 20 pixels at its longer side, with grey
    levels at the edges, and placed so that its centre of mass is at the centre of the 28x28 pixels. Before that the ground
    becomes 0 and the ink 1, as in the black and white pictures that MNIST was made from, dust goes, and strokes thinner
    than those of 99 of 100 digits in MNIST (a fine pen on a large sheet) get the width of the median digit.

    Args:
        grey: (H, W) in [0, 1].

    Returns:
        The image, (28, 28) in [0, 1], and whether its strokes were widened.

    Raises:
        UserError: Nothing stands out from the ground.
    """
    digit = _without_dust(_black_and_white(grey))
    digit = digit[_extent(digit, axis=1), _extent(digit, axis=0)]
    pixel = max(digit.shape) / BOX  # of the image to be, in pixels of the picture
    missing = _USUAL_STROKE * pixel - _stroke_width(digit)
    is_thin = missing > (_USUAL_STROKE - _THIN_STROKE) * pixel
    if is_thin:
        digit = _widened(digit, missing / 2)
    factor = BOX / max(digit.shape)
    height, width = (max(1, round(factor * side)) for side in digit.shape)
    return _centred(np.clip(scaled(digit, height, width), 0, 1)), is_thin


def _grey(image: Image.Image, path: Path) -> Array:
    if image.mode.startswith(("I", "F")):  # 16 bits; Pillow's own conversion to 8 bits cuts off all above 255
        values = np.asarray(image, np.float32)
        wide = Image.fromarray(values / (4095 if values.max() < 4096 else 65535))  # 12 bits, as cameras and scanners have
        return np.asarray(_at_most(wide, _WORKING_SIZE))
    if not image.has_transparency_data:
        return np.asarray(_at_most(image.convert("L"), _WORKING_SIZE), np.float32) / 255
    both = np.asarray(_at_most(image.convert("RGBA").convert("LA"), _WORKING_SIZE), np.float32) / 255
    grey, alpha = both[..., 0], both[..., 1]
    if not (alpha > 0).any():
        raise UserError(f"{path}: is transparent everywhere")
    usual, mean = np.median(grey[alpha > 0]), (grey * alpha).sum() / alpha.sum()
    ground = usual if alpha.mean() > 0.5 else np.float32(mean < 0.5)
    return alpha * grey + (1 - alpha) * ground


def _at_most(image: Image.Image, size: int) -> Image.Image:
    longest = max(image.size)
    if longest <= size:
        return image
    width, height = (max(1, round(side * size / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _border(grey: Array) -> Array:
    """The pixels of the outermost twentieth on each side, (N,)."""
    across, down = (max(1, side // 20) for side in grey.shape)
    inside = np.zeros(grey.shape, bool)
    inside[across : grey.shape[0] - across, down : grey.shape[1] - down] = True
    return grey[~inside]


def _relief(grey: Array) -> Array:
    """How much each pixel is brighter than the ground there, (H, W).

    The ground is the plane through the pixels of the border, so that light from one side does no harm; those far from it
    are left out, so that strokes which reach the border do none. Where that leaves much on the border, and the median of
    the surroundings would not, there is a shadow on the sheet, and the ground is that median.
    """
    rows, columns = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float32)
    design = np.stack([_border(np.ones(grey.shape, np.float32)), _border(rows), _border(columns)], axis=1)  # (N, 3)
    values = _border(grey)
    plane = np.array([np.median(values), 0, 0])
    for _ in range(3):
        distance = np.abs(values - design @ plane)
        kept = distance <= 2.5 * np.median(distance) + 1e-6
        plane, *_ = np.linalg.lstsq(design[kept], values[kept], rcond=None)
    level, down, across = plane
    relief: Array = grey - (level + down * rows + across * columns)
    small = reduced(grey, _GROUND_SIZE)
    usual = ndimage.median_filter(small, [max(1, round(0.4 * side)) for side in small.shape], mode="nearest")
    unshaded: Array = grey - scaled(usual, *grey.shape)
    rest, less = (float(np.quantile(np.abs(_border(each)), 0.98)) for each in (relief, unshaded))
    return unshaded if less < rest / 4 else relief


def _threshold(values: Array) -> float:
    """Between two heaps of values, half way between their means (Ridler and Calvard 1978); 0 if all are the same."""
    threshold = float(values.max()) / 2
    for _ in range(100):
        above = values > threshold
        if not above.any() or above.all():
            return 0.0
        moved = float(values[above].mean() + values[~above].mean()) / 2
        if abs(moved - threshold) < 1e-4:
            break
        threshold = moved
    return threshold


def _black_and_white(grey: Array) -> Array:
    """Ground 0, ink 1, and what lies between at the edges; (H, W)."""
    relief = _relief(grey)
    noise = 3 * 1.4826 * float(np.median(np.abs(_border(relief))))  # three standard deviations, were it Gaussian
    ink = np.clip(relief, 0, None)
    threshold = _threshold(ink)
    level = float(np.median(ink[ink > threshold])) if threshold > 0 else 0.0
    lines = float(np.quantile(_border(ink), 0.98))  # of ruled paper
    noise = max(noise, lines) if lines < level / 2 else noise
    if level - noise < _LEAST_CONTRAST:
        raise UserError("no digit stands out from the ground")
    digit: Array = np.clip((ink - noise) / (level - noise), 0, 1)
    return digit


def _without_dust(digit: Array) -> Array:
    parts, _ = ndimage.label(digit > _FAINT, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0  # what is in no part
    dust = (sizes < _LEAST_PART * sizes.max()) & (sizes > 0)
    return np.where(dust[parts], 0, digit)


def _extent(digit: Array, axis: int) -> slice:
    """From the first to the last row (axis 1) or column (axis 0) with ink."""
    places = np.flatnonzero(np.any(digit > _FAINT, axis=axis))
    return slice(places[0], places[-1] + 1)


def _stroke_width(digit: Array) -> float:
    """Four times the mean distance of ink to the ground: across a stroke of width w it is w / 4."""
    ink = np.pad(digit > 0.5, 1)
    return 4 * (float(ndimage.distance_transform_edt(ink)[ink].mean()) - 0.5)  # distances are between pixels' centres


def _widened(digit: Array, radius: float) -> Array:
    larger = np.pad(digit, int(np.ceil(radius)))
    widened: Array = np.maximum(larger, ndimage.distance_transform_edt(larger <= 0.5) <= radius)
    return widened


def _centred(small: Array) -> Array:
    """Placed in 28x28 pixels so that the centre of mass is from 13.5 to 14.5, counted from 0, as in MNIST's files."""
    image = np.zeros((FRAME, FRAME), np.float32)
    corner = []
    for axis, side in enumerate(small.shape):
        mass = small.sum(axis=1 - axis)
        centre = float((mass * np.arange(side)).sum() / mass.sum())
        corner.append(min(max(math.ceil((FRAME - 1) / 2 - centre), 0), FRAME - side))
    top, left = corner
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image
