"""The compiled kernel of dissection: how many pixels of each region exceed a threshold, once a map is enlarged."""

from __future__ import annotations

import numpy as np
from numba import types

from neuronym.search.rank_kernels import array_type, kernel

_i4, _i8, _f8 = types.int32, types.int64, types.float64


@kernel(
    array_type(_f8, 2),
    array_type(_f8, 1),
    types.int64,
    array_type(_i4, 1),
    array_type(_f8, 1),
    array_type(_i4, 1),
    array_type(_f8, 1),
    array_type(_i4, 1),
    array_type(_i4, 1),
    array_type(_i4, 1),
    array_type(_f8, 1, "C", False),
    array_type(_i8, 2, "C", False),
)
def count_above(maps, thresholds, width, ys, down, xs, right, row_ptr, starts, regions, line, counts):
    """Enlarge each map of a photo (U, h · w) bilinearly, and add the pixels above the thresholds (U,) to their regions.

    The pixel in row y and column x lies ``down[y]`` of the way from row ``ys[y]`` of the map to the next, and
    ``right[x]`` of the way from column ``xs[x]`` to the next; along the edges the way is 0. So the value is
    a + right (b − a), of a = p + down (q − p) and likewise b: between equal values it is that value, to the bit.

    The pixels of row y are runs of one region each, ``row_ptr[y]`` to ``row_ptr[y + 1]``, from column ``starts`` on;
    ``regions`` is their column of ``counts`` (U, G), or −1 to leave them out. ``line`` (w + 1,) is scratch.
    """
    n_rows, n_columns = ys.shape[0], xs.shape[0]
    below = maps.shape[1] - width
    for u in range(maps.shape[0]):
        values, threshold = maps[u], thresholds[u]
        highest = values[0]
        for i in range(values.shape[0]):
            highest = max(highest, values[i])
        if not highest > threshold:
            continue
        for y in range(n_rows):
            first = ys[y] * width
            second = min(first + width, below)
            highest = -np.inf
            for x in range(width):
                line[x] = values[first + x] + down[y] * (values[second + x] - values[first + x])
                highest = max(highest, line[x])
            if not highest > threshold:
                continue
            line[width] = line[width - 1]
            for run in range(row_ptr[y], row_ptr[y + 1]):
                region = regions[run]
                if region < 0:
                    continue
                end = starts[run + 1] if run + 1 < row_ptr[y + 1] else n_columns
                found = 0
                for x in range(starts[run], end):
                    left = line[xs[x]]
                    found += left + right[x] * (line[xs[x] + 1] - left) > threshold
                counts[u, region] += found
