"""Compiled ranking: activations to sortable keys, and sorted keys to sums of midranks by group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types

_i8, _u8, _f8, _u4 = types.int64, types.uint64, types.float64, types.uint32


def array_type(dtype: Any, ndim: int, layout: Any = "C", readonly: bool = True) -> Any:
    """The type of an array argument; one that is not written to may be read-only, as a memory map is."""
    return types.Array(dtype, ndim, layout, readonly=readonly)


def kernel(*arguments: Any) -> Callable[[Callable[..., object]], Any]:
    """Compile a function of these arguments, once; without a wrapper for C, which nothing calls and takes long."""
    signature = types.void(*arguments)
    return njit(signature, cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)  # type: ignore[call-overload, no-any-return]


@kernel(
    array_type(types.float32, 2, "A"),
    array_type(_u4, 1),
    array_type(_u8, 2, "C", False),
    array_type(_i8, 1, "C", False),
)
def pack_keys(activations, units, keys, bad):
    """Pack float32 activations (N, M) and the unit of each sample (N,) into sortable keys (M, N).

    key = monotone image of the float (32 bits) · unit (32 bits). The image of a float x with bits b is b with the
    sign bit set where x >= 0 and ~b elsewhere; −0.0 is taken as 0.0. ``bad`` (M,) counts NaN and infinities.
    """
    n_samples, n_neurons = activations.shape
    tile = 64  # rows of a tile stay in the first-level cache while the columns are walked
    buffer = np.empty(1, np.float32)
    bits = buffer.view(np.uint32)
    for start in range(0, n_samples, tile):
        stop = min(start + tile, n_samples)
        for j in range(n_neurons):
            broken = 0
            for i in range(start, stop):
                buffer[0] = activations[i, j] + np.float32(0.0)  # −0.0 + 0.0 is 0.0
                b = bits[0]
                if (b & np.uint32(0x7F800000)) == np.uint32(0x7F800000):
                    broken += 1
                if b & np.uint32(0x80000000):
                    image = b ^ np.uint32(0xFFFFFFFF)
                else:
                    image = b ^ np.uint32(0x80000000)
                keys[j, i] = (np.uint64(image) << np.uint64(32)) | np.uint64(units[i])
            bad[j] += broken


@kernel(
    array_type(_u8, 2),
    array_type(_i8, 1),
    array_type(_i8, 1),
    array_type(_i8, 2, "C", False),
    array_type(_f8, 1, "C", False),
)
def rank_sums(keys, unit_weights, unit_groups, sums, ties):
    """Sum twice the midranks of sorted keys (M, N) by group: ``sums`` (M, G), and Σ t³ − t in ``ties`` (M,).

    A run of equal values of total weight t behind weight W before it shares the midrank W + (t + 1)/2, as if each
    sample stood there as often as its weight says; twice that is the integer 2W + t + 1.
    """
    n_neurons, n_samples = keys.shape
    n_units = unit_weights.shape[0]
    shift = np.uint64(32)
    mask = np.uint64(0xFFFFFFFF)
    by_unit = np.empty(n_units, np.int64)
    for j in range(n_neurons):
        row = keys[j]
        for u in range(n_units):
            by_unit[u] = 0
        before = 0
        tie = 0.0
        i = 0
        while i < n_samples:
            value = row[i] >> shift
            weight = unit_weights[np.intp(row[i] & mask)]
            stop = i + 1
            while stop < n_samples and (row[stop] >> shift) == value:
                weight += unit_weights[np.intp(row[stop] & mask)]
                stop += 1
            twice = 2 * before + weight + 1
            for k in range(i, stop):
                by_unit[np.intp(row[k] & mask)] += twice
            if weight > 1:
                t = np.float64(weight)
                tie += t * t * t - t
            before += weight
            i = stop
        ties[j] = tie
        for g in range(sums.shape[1]):
            sums[j, g] = 0
        for u in range(n_units):
            sums[j, unit_groups[u]] += unit_weights[u] * by_unit[u]
