"""Pixels from outlines: polygons, boxes and run lengths as in COCO, with the very masks of its reference library.

The rules are those of pycocotools (COCO API, ``maskApi.c``), implemented anew from what they compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["box_corners", "check_runs", "decode_runs", "polygon_runs", "runs_mask"]

Mask = NDArray[np.bool_]

_SCALE = 5  # steps per pixel along a boundary
_AT_ONCE = 2**20  # about how many steps are taken at once


def polygon_runs(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.int64]:
    """Fill a polygon by the rule of COCO.

    The boundary is followed on a grid of fifths of a pixel. Wherever it crosses the middle of a column of pixels, all
    pixels of the photo from there on, column after column, are toggled. So a pixel is inside if it was toggled an odd
    number of times (even-odd rule), and a hole may be cut by a boundary that goes around twice. Crossings left and
    right of the photo do not count, those above its top or below its bottom count there.

    Parameters
    ----------
    corners : float64 array of shape (n_corners, 2)
        The x and y of each corner, in pixels from the top left corner of the photo.
    height, width : int
        The size of the photo.

    Returns
    -------
    int64 array of shape (n_runs,)
        The run lengths of the pixels outside and inside in turn, as for ``runs_mask``.
    """
    # Truncation towards zero, as of a conversion to int in C, matters outside of the photo, and is kept.
    starts = np.trunc(_SCALE * corners + 0.5).astype(np.int64)
    ends = np.roll(starts, -1, axis=0)
    parts = np.cumsum(np.abs(ends - starts).max(axis=1)) // _AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(starts)]
    # Crossings lie within edges, so edges may be followed in parts.
    toggles = [_crossings(starts[first:last], ends[first:last], height, width) for first, last in pairwise(cuts)]
    places, times = np.unique(np.concatenate(toggles), return_counts=True)
    odd = places[(times % 2 == 1) & (places < height * width)]
    return np.asarray(np.diff(odd, prepend=0, append=height * width), np.int64)


def _crossings(starts: NDArray[np.int64], ends: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Where edges cross the middles of columns of the photo: the pixel below each crossing, column after column."""
    x, y = _boundary(starts, ends)
    moved = np.flatnonzero(x[1:] != x[:-1])
    # Between the steps before and after the middle of a column lies one of the numbers 2, 7, 12 … of the grid.
    crossed = np.where(x[moved + 1] < x[moved], x[moved + 1], x[moved + 1] - 1)
    column = crossed // _SCALE
    kept = (crossed % _SCALE == _SCALE // 2) & (column >= 0) & (column < width)
    # The first row whose middle is below the crossing.
    row = np.clip((np.minimum(y[moved], y[moved + 1]) + _SCALE // 2) // _SCALE, 0, height)
    return np.asarray(column[kept] * height + row[kept], np.int64)


def _boundary(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All points of the grid along edges: one for each step along the longer of both axes, the ends of edges twice.

    An edge is always computed from its smaller coordinate on that axis, so that it is the same in both directions.
    """
    length = np.abs(ends - starts)
    steep = length[:, 0] < length[:, 1]
    main = steep.astype(np.intp)  # the longer axis of each edge
    edge = np.arange(len(starts))
    back = starts[edge, main] > ends[edge, main]
    low = np.where(back[:, None], ends, starts)
    high = np.where(back[:, None], starts, ends)
    n_steps = length[edge, main]
    slope = (high - low)[edge, 1 - main] / np.maximum(n_steps, 1)
    of = np.repeat(edge, n_steps + 1)
    step = np.arange(len(of)) - np.repeat(np.cumsum(n_steps + 1) - (n_steps + 1), n_steps + 1)
    step = np.where(back[of], n_steps[of] - step, step)
    along = step + low[edge, main][of]
    across = np.trunc(low[edge, 1 - main][of] + slope[of] * step + 0.5).astype(np.int64)
    return np.where(steep[of], across, along), np.where(steep[of], along, across)


def box_corners(box: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert a box to a polygon, in the order of COCO.

    Parameters
    ----------
    box : sequence of float
        The x and y of the top left corner, the width and the height.

    Returns
    -------
    float64 array of shape (4, 2)
        The x and y of its corners.
    """
    left, top, across, down = box
    right, bottom = left + across, top + down
    return np.array([[left, top], [left, bottom], [right, bottom], [right, top]], np.float64)


def decode_runs(text: str) -> NDArray[np.int64]:
    """Decode COCO's compressed run lengths.

    A number is written in groups of 5 bits, the lowest first, each as the character of its value plus 48, plus 32 if
    more groups follow; the highest bit of the last group is the sign. From the fourth number on, a number is the
    difference to the one two places before.

    Parameters
    ----------
    text : str
        The compressed run lengths.

    Returns
    -------
    int64 array of shape (n_runs,)
        The run lengths.

    Raises
    ------
    ValueError
        If the text is not of this form.
    """
    groups = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64) - 48
    if not len(groups):
        return np.zeros(0, np.int64)
    last = groups & 32 == 0
    if groups.min() < 0 or groups.max() > 63 or not last[-1]:
        raise ValueError("they are not COCO's compressed run lengths")
    first = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    place = np.arange(len(groups)) - np.repeat(first, np.diff([*first, len(groups)]))
    if place.max() > 11:
        raise ValueError("they have a number of more than 60 bits")
    numbers = np.add.reduceat((groups & 31) << (5 * place), first)
    negative = groups[last] & 16 != 0
    numbers = np.where(negative, numbers - (1 << (5 * (place[last] + 1))), numbers)
    numbers[1::2], numbers[2::2] = np.cumsum(numbers[1::2]), np.cumsum(numbers[2::2])
    return numbers


def check_runs(runs: NDArray[np.int64], height: int, width: int) -> None:
    """Check run lengths from a file.

    Parameters
    ----------
    runs : int64 array of shape (n_runs,)
        The run lengths.
    height, width : int
        The size of the photo.

    Raises
    ------
    ValueError
        If a run length is negative, or they do not add up to the pixels of the photo.
    """
    if len(runs) and runs.min() < 0:
        raise ValueError(f"a run length is negative ({runs.min()})")
    total = sum(runs.tolist())  # without overflow
    if total != height * width:
        raise ValueError(f"the run lengths add up to {total} pixels, not to {height} × {width} = {height * width}")


def runs_mask(runs: NDArray[np.int64], height: int, width: int) -> Mask:
    """Fill run lengths: numbers of pixels, column after column, in turn outside and inside, beginning outside.

    Parameters
    ----------
    runs : int64 array of shape (n_runs,)
        The run lengths, which must add up to the pixels of the photo.
    height, width : int
        The size of the photo.

    Returns
    -------
    bool array of shape (height, width)
        The pixels inside.
    """
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(inside.reshape(width, height).T)
