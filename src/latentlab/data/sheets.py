"""Where is the sheet? A photograph shows the desk around it, a scan the black of the lid.

Legend: H and W height and width of the picture.
"""

import math
from contextlib import suppress
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.filters import threshold_otsu
from skimage.measure import regionprops

from latentlab.data.drawing import FRAME, framed, has_dark_ink, reduced, scaled
from latentlab.errors import UserError

Array = np.ndarray

_SIZE = 250  # pixels at the longer side are enough to find it
_LEAST = 0.2  # of the picture


def cut_out(grey: Array) -> Array:
    """The sheet alone, of a picture that shows more: a page on a desk, a scan with a black frame; else the whole picture.

    A sheet is a part that is brighter or darker than what is around it, with a sharp rim, four corners, and ink inside. Of
    several the smallest is taken. Where it does not fill the rectangle that is cut out, its rim goes on.

    Args:
        grey: (H, W) in [0, 1].
    """
    small = ndimage.gaussian_filter(reduced(grey, _SIZE), 1)
    if min(small.shape) <= FRAME:
        return grey
    bright = small > threshold_otsu(small)
    least = _LEAST * small.size
    parts = [part for side in (bright, ~bright) for part in regionprops(ndimage.label(side)[0]) if part.area_bbox >= least]
    for part in sorted(parts, key=lambda part: part.area_filled):
        if not (least <= part.area_filled < small.size and _has_four_corners(part)):
            continue
        inside = np.zeros(small.shape, bool)
        inside[part.slice] = part.image_filled
        core, around = ndimage.binary_erosion(inside, None, 3, border_value=1), ndimage.binary_dilation(inside, None, 3)
        step = np.median(small[inside & ~core]) - np.median(small[around & ~inside])
        if abs(step) < 0.5 * (small[bright].mean() - small[~bright].mean()):
            continue  # it is light that fades
        mask = scaled(core, *grey.shape) > 0.99
        nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
        sheet: Array = grey[tuple(nearest)][ndimage.find_objects(mask.astype(int))[0]]
        with suppress(UserError):
            framed(1 - sheet if has_dark_ink(sheet) else sheet)
            return sheet
    return grey


def _has_four_corners(part: Any) -> bool:
    """Whether a part is solid but for a few holes, and a quadrilateral covers nearly all of it."""
    if part.area < 0.6 * part.area_filled:
        return False
    points = np.argwhere(part.image_filled)
    hull = ConvexHull(points)
    edge, largest = points[hull.vertices], 0.0
    for angle in np.radians(np.arange(0, 90, 5)):
        ways = [(math.sin(angle + turn), math.cos(angle + turn)) for turn in np.radians((0, 90, 180, 270))]
        rows, columns = edge[(edge @ np.transpose(ways)).argmax(axis=0)].T
        largest = max(largest, abs(rows @ np.roll(columns, 1) - columns @ np.roll(rows, 1)) / 2)
    return bool(min(largest, part.area_filled) >= 0.9 * hull.volume)  # which is an area here
