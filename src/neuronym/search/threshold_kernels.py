"""Compiled kernels for thresholds: the highest F1 of a neuron for each concept, by one scan of its sorted samples.

F1 of the samples at or beyond a threshold is 2 hits / (called + n), with ``called`` samples there, ``hits`` of them
inside the concept, which has n samples. Scanned from the strictest threshold on, it can only rise at a run of equal
activations with a sample inside, so each sample costs as much as it has concepts. Fractions are compared exactly, as
products of whole numbers.
"""

from __future__ import annotations

import numpy as np
from numba import types

from neuronym.search.rank_kernels import array_type, inner, kernel

_u8, _i8, _i4 = types.uint64, types.int64, types.int32

ZERO, NOWHERE = -1, -2  #: places of thresholds that are no row: the activation 0, and none


@inner
def _compare(g, place, ptr, shown, sizes, now, tally, hits, called, places, held):
    """Keep the threshold at ``place`` for the concepts of a group for which F1 is higher than before."""
    for q in range(ptr[g], ptr[g + 1]):
        c = shown[q]
        if now[0, c] * (called[c] + sizes[c]) > hits[c] * (tally[0] + sizes[c]):
            hits[c], called[c], places[c] = now[0, c], tally[0], place
            held[0, c], held[1, c] = now[1, c], tally[1]


@inner
def _scan(own, low, row_groups, weights, ptr, shown, sizes, now, tally, hits, called, places, held):
    """Scan sorted keys, from the highest to the lowest or, if ``low``, from the lowest on."""
    mask = np.uint64(0xFFFFFFFF)
    n = own.shape[0]
    k = 0
    while k < n:
        key = own[k if low else n - 1 - k]
        end = k
        while end < n:
            found = own[end if low else n - 1 - end]
            if (found ^ key) > mask:
                break
            row = np.int64(found & mask)
            g = row_groups[row]
            for part in range(2):
                weight = weights[part, row]
                if weight:
                    tally[part] += weight
                    for q in range(ptr[g], ptr[g + 1]):
                        now[part, shown[q]] += weight
            end += 1
        for i in range(k, end):
            row = np.int64(own[i if low else n - 1 - i] & mask)
            if weights[0, row]:
                _compare(row_groups[row], row, ptr, shown, sizes, now, tally, hits, called, places, held)
        k = end


@kernel(
    *(array_type(_u8, 1), array_type(_i8, 1), array_type(_i8, 2), types.boolean),
    *(array_type(_i8, 1), array_type(_i8, 2), array_type(_i8, 2)),
    *(array_type(_i8, 1), array_type(_i4, 1), array_type(_i8, 1)),
    *(array_type(_i8, 2, "C", False), array_type(_i8, 2, "C", False), array_type(_i8, 1, "C", False)),
    *(array_type(_i8, 2, "C", False), array_type(_i8, 2, "C", False), array_type(_i8, 2, "C", False)),
    array_type(_i8, 3, "C", False),
)
def best_f1(
    keys, starts, parts, low, row_groups, weights, counts, ptr, shown, sizes, now, rest, tally, hits, called, places,
    held,
):  # fmt: skip
    """Find the threshold with the highest F1 for each of M neurons and C concepts, the strictest of several.

    Columns are sorted as by ``sort_columns``, with ``sizes`` called ``parts`` here, and units that are rows. Samples
    have the weight ``weights[0]`` (N,) where thresholds are chosen, and ``weights[1]`` where they are only measured;
    ``counts`` (2, G) are their sums by group. ``ptr`` (G + 1,) and ``shown`` are the concepts of each group, ``sizes``
    (C,) their weight where thresholds are chosen.

    The threshold is the activation of the row ``places`` (M, C), or 0, or none. ``hits`` and ``called`` (M, C) count
    where it was chosen, and ``held`` (M, 2, C) both where it was not. ``now`` (2, C), ``rest`` (2, G) and ``tally``
    (2,) are scratch.
    """
    for j in range(starts.shape[0]):
        m, below = parts[j, 0], parts[j, 1]
        own = keys[starts[j] : starts[j] + m]
        now[:] = 0
        tally[:] = 0
        hits[j] = 0
        called[j] = 0
        places[j] = NOWHERE
        held[j] = 0
        rest[:] = counts
        for i in range(m):
            row = np.int64(own[i] & np.uint64(0xFFFFFFFF))
            for part in range(2):
                rest[part, row_groups[row]] -= weights[part, row]
        first, last = (own[:below], own[below:]) if low else (own[below:], own[:below])
        _scan(first, low, row_groups, weights, ptr, shown, sizes, now, tally, hits[j], called[j], places[j], held[j])
        for g in range(rest.shape[1]):  # the samples that are zero
            for part in range(2):
                tally[part] += rest[part, g]
                if rest[part, g]:
                    for q in range(ptr[g], ptr[g + 1]):
                        now[part, shown[q]] += rest[part, g]
        for g in range(rest.shape[1]):
            if rest[0, g]:
                _compare(g, ZERO, ptr, shown, sizes, now, tally, hits[j], called[j], places[j], held[j])
        _scan(last, low, row_groups, weights, ptr, shown, sizes, now, tally, hits[j], called[j], places[j], held[j])
