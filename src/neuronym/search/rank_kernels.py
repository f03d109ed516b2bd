"""Compiled ranking: activations to sums of midranks by group, by counting or radix sort.

A value becomes an unsigned integer of the same order, its *image*: of a float with bits b, b with the sign bit flipped
where it is positive, else ~b (−0.0 is taken as 0.0). An image and the *unit* of its sample (``data.groups``) make one
64-bit key. Zeros are not sorted: they are one run between the negative and the positive values, so a matrix of mostly
zeros costs as much as its other values, whether it is sparse or not.

Counting (16-bit images of many samples) needs no order: a midrank follows from how often each value occurs. Else the
keys are sorted from the lowest digit to the highest, in three passes over digits of 11 bits, or four of 8 bits where
that many counters would cost more than they save. Images of 64 bits are sorted by their upper half, and then, within
runs of equal upper halves, by the lower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types

_i8, _u8, _f8, _u4, _u2, _i4 = types.int64, types.uint64, types.float64, types.uint32, types.uint16, types.int32

SIGNED, UNSIGNED, FLOAT = range(3)  # kinds of numbers

N_COUNTERS, N_TIMES = 4 * (2**11 + 1), 2**16  # of the scratch
_FEW, _MANY = 2**10, 2**18  # values are sorted by digits of 11 bits between these, and of 8 bits outside
_TOP, _EXPONENT, _EVERY = np.uint64(2**63), np.uint64(0x7FF << 52), np.uint64(2**64 - 1)  # of a float64
_SHORT = 24  # runs of equal upper halves are sorted by insertion up to this length


def array_type(dtype: Any, ndim: int, layout: Any = "C", readonly: bool = True) -> Any:
    """The type of an array argument; one that is not written to may be read-only, as a memory map is."""
    return types.Array(dtype, ndim, layout, readonly=readonly)


def kernel(*arguments: Any) -> Callable[[Callable[..., object]], Any]:
    """Compile a function of these arguments, once; without a wrapper for C, which nothing calls and takes long."""
    signature = types.void(*arguments)
    return njit(signature, cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)  # type: ignore[call-overload, no-any-return]


# Called by compiled code alone. Whatever these do without takes seconds off the first call on a machine.
inner: Any = njit(  # type: ignore[call-overload]
    nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy"
)


@inner
def _transpose(bits, images):
    """Copy numbers (N, M) to images (M, ≥ N), row by row or column by column, as they lie in memory."""
    n_samples, n_neurons = bits.shape
    done = 0
    if abs(bits.strides[0]) >= abs(bits.strides[1]):  # sixteen rows at a time, a line of the cache of each image
        done = n_samples - n_samples % 16
        for start in range(0, done, 16):
            for j in range(n_neurons):
                for i in range(16):
                    images[j, start + i] = bits[start + i, j]
    for j in range(n_neurons):
        for i in range(done, n_samples):
            images[j, i] = bits[i, j]


@inner
def _to_images(images, n, kind, top, exponent, every, bad):
    """Turn bits of numbers of a kind into their images; ``top`` is the sign, ``exponent`` and ``every`` are masks."""
    for j in range(bad.shape[0]):
        row = images[j]
        if kind == SIGNED:
            for i in range(n):
                row[i] ^= top
        elif kind == FLOAT:
            broken = np.uint32(0)
            for i in range(n):
                b = row[i] ^ top if row[i] == top else row[i]  # −0.0 is 0.0
                broken = np.uint32(broken + np.uint32((b & exponent) == exponent))
                row[i] = b ^ (every if b & top else top)
            bad[j] += broken


@kernel(array_type(_u4, 2, "A"), _i8, array_type(_u4, 2, "C", False), array_type(_i8, 1, "C", False))
def pack32(bits, kind, images, bad):
    """Images (M, ≥ N) of the 32 bits of numbers (N, M) of a kind; ``bad`` (M,) counts NaN and infinities."""
    _transpose(bits, images)
    _to_images(images, bits.shape[0], kind, np.uint32(0x80000000), np.uint32(0x7F800000), np.uint32(0xFFFFFFFF), bad)


@kernel(array_type(_u2, 2, "A"), _i8, array_type(_u4, 2, "C", False), array_type(_i8, 1, "C", False))
def pack16(bits, kind, images, bad):
    """Images (M, ≥ N) of the 16 bits of numbers (N, M) of a kind; ``bad`` (M,) counts NaN and infinities."""
    _transpose(bits, images)
    _to_images(images, bits.shape[0], kind, np.uint32(0x8000), np.uint32(0x7C00), np.uint32(0xFFFF), bad)


@kernel(array_type(_u8, 2, "A"), _i8, array_type(_u8, 2, "C", False), array_type(_i8, 1, "C", False))
def pack64(bits, kind, images, bad):
    """Images (M, ≥ N) of the 64 bits of numbers (N, M) of a kind; ``bad`` (M,) counts NaN and infinities."""
    _transpose(bits, images)
    _to_images(images, bits.shape[0], kind, _TOP, _EXPONENT, _EVERY, bad)


@inner
def _starts(counters, n_counters):
    """Turn the counts of digits into the places where their runs start."""
    before = np.uint32(0)
    for q in range(n_counters):
        count = counters[q]
        counters[q] = before
        before += count


@inner
def _pack_by_lowest(images, units, n, zero, n_zeros, mask, counters, out):
    """Make keys of images and units, in the order of the lowest digit; those of zeros go behind the others."""
    if not n_zeros:
        for i in range(n):
            image = images[i]
            place = counters[image & mask]
            counters[image & mask] = place + np.uint32(1)
            out[place] = (np.uint64(image) << np.uint64(32)) | np.uint64(units[i])
        return
    last = mask + np.uint32(1)
    counters[last] = np.uint32(n - n_zeros)
    for i in range(n):
        image = images[i]
        digit = last if image == zero else image & mask
        place = counters[digit]
        counters[digit] = place + np.uint32(1)
        out[place] = (np.uint64(image) << np.uint64(32)) | np.uint64(units[i])


@inner
def _order_by(keys, other, m, shift, width, none, n_zeros, counters):
    """Order m keys by one digit of their image, those with the same digit as before; the result, and the other array.

    ``counters`` holds how often each digit occurs, with ``n_zeros`` images ``none`` that are not among the keys.
    """
    bits, mask = np.uint64(32 + shift), np.uint64((1 << width) - 1)
    counters[(none >> np.uint32(shift)) & np.uint32(mask)] -= np.uint32(n_zeros)
    if not m or np.int64(counters[(keys[0] >> bits) & mask]) == m:  # all have the same digit
        return keys, other
    _starts(counters, 1 << width)
    for i in range(m):
        key = keys[i]
        digit = (key >> bits) & mask
        place = counters[digit]
        counters[digit] = place + np.uint32(1)
        other[place] = key
    return other, keys


@inner
def _count_digits(images, n, width, counters):
    """Count each digit of the images, in three parts of ``counters`` for digits of 11 bits, or four for 8 bits."""
    mask = np.uint32((1 << width) - 1)
    stride = np.int64(mask) + 2
    for q in range(4 * stride if width == 8 else 3 * stride):
        counters[q] = 0
    one = np.uint32(1)
    c0, c1, c2 = counters[:stride], counters[stride : 2 * stride], counters[2 * stride : 3 * stride]
    if width == 8:
        c3 = counters[3 * stride : 4 * stride]
        for i in range(n):
            image = images[i]
            c0[image & mask] += one
            c1[(image >> np.uint32(8)) & mask] += one
            c2[(image >> np.uint32(16)) & mask] += one
            c3[image >> np.uint32(24)] += one
    else:
        for i in range(n):
            image = images[i]
            c0[image & mask] += one
            c1[(image >> np.uint32(11)) & mask] += one
            c2[image >> np.uint32(22)] += one


@inner
def _sorted(images, units, n, zero, keys, other, counters):
    """Sort n images with their units, but for zeros, by digits.

    Writes into ``keys`` and ``other``, of n each. Returns the one with the result, the other one, how many keys there
    are, and how many are below zero. ``zero`` is −1 where there are none to leave out.
    """
    none = np.uint32(zero)
    found = np.uint32(0)
    if zero >= 0:
        for i in range(n):
            found = np.uint32(found + np.uint32(images[i] == none))
    n_zeros = np.int64(found)
    m = n - n_zeros
    if _FEW <= n < _MANY:
        c0, c1, c2 = counters[:2049], counters[2049:4098], counters[4098:6147]
        _count_digits(images, n, 11, counters)
        c0[none & np.uint32(2047)] -= np.uint32(n_zeros)
        _starts(c0, 2048)
        _pack_by_lowest(images, units, n, none, n_zeros, np.uint32(2047), c0, keys)
        keys, other = _order_by(keys, other, m, 11, 11, none, n_zeros, c1)
        keys, other = _order_by(keys, other, m, 22, 10, none, n_zeros, c2)
    else:
        c0, c1, c2, c3 = counters[:257], counters[257:514], counters[514:771], counters[771:1028]
        _count_digits(images, n, 8, counters)
        c0[none & np.uint32(255)] -= np.uint32(n_zeros)
        _starts(c0, 256)
        _pack_by_lowest(images, units, n, none, n_zeros, np.uint32(255), c0, keys)
        keys, other = _order_by(keys, other, m, 8, 8, none, n_zeros, c1)
        keys, other = _order_by(keys, other, m, 16, 8, none, n_zeros, c2)
        keys, other = _order_by(keys, other, m, 24, 8, none, n_zeros, c3)
    below = np.int64(0)
    stop = m if zero >= 0 else np.int64(0)
    while below < stop:
        middle = (below + stop) >> 1
        if (keys[middle] >> np.uint64(32)) < np.uint64(none):
            below = middle + 1
        else:
            stop = middle
    return keys, other, m, below


@inner
def _sorted_wide(images, units, n, zero, keys, other, spare, halves, places, counters):
    """Sort n images of 64 bits with their units, but for zeros; as ``_sorted``, with whole numbers for their values.

    ``spare``, ``halves`` and ``places`` are scratch, of n each.
    """
    mask = np.uint64(0xFFFFFFFF)
    m = np.int64(0)
    below = np.int64(0)
    for i in range(n):
        image = images[i]
        halves[m] = np.uint32(image >> np.uint64(32))
        places[m] = np.uint32(i)
        m += image != zero
        below += image < zero
    keys, other, m, _ = _sorted(halves, places, m, np.int64(-1), keys, other, counters)
    i = 0
    while i < m:
        end = i + 1
        while end < m and (keys[end] ^ keys[i]) <= mask:
            end += 1
        if end - i <= _SHORT:
            for k in range(i + 1, end):
                key = keys[k]
                image = images[key & mask]
                h = k
                while h > i and images[keys[h - 1] & mask] > image:
                    keys[h] = keys[h - 1]
                    h -= 1
                keys[h] = key
        else:
            for k in range(i, end):
                places[k - i] = np.uint32(keys[k] & mask)
                halves[k - i] = np.uint32(images[keys[k] & mask] & mask)
            ordered, _, _, _ = _sorted(halves, places, end - i, np.int64(-1), other, spare, counters)
            for k in range(i, end):
                keys[k] = ordered[k - i] & mask
        i = end
    value = np.uint64(0)
    last = np.uint64(0)
    for i in range(m):
        place = keys[i] & mask
        image = images[place]
        if i and image != last:
            value += np.uint64(1)
        last = image
        keys[i] = (value << np.uint64(32)) | np.uint64(units[place])
    return keys, other, m, below


@inner
def _add_runs(keys, start, stop, before, base, row, tie):
    """Add twice the midranks of runs of equal values, less ``base``, to their groups; Σ t³ − t onto ``tie``."""
    mask = np.uint64(0xFFFFFFFF)
    offset = 2 * (before - start) + 1 - base
    i = start
    while i < stop:
        key = keys[i]
        end = i + 1
        if end == stop or (keys[end] ^ key) > mask:  # most often, and the fastest
            row[np.uint32(key)] += 2 * i + 1 + offset
            i = end
            continue
        while end < stop and (keys[end] ^ key) <= mask:
            end += 1
        for k in range(i, end):
            row[np.uint32(keys[k])] += i + end + offset
        t = np.float64(end - i)
        tie += t * t * t - t
        i = end
    return tie


@inner
def _add_weighted_runs(keys, start, stop, before, base, unit_weights, unit_groups, row, tie):
    """As ``_add_runs``, for units of any weight that may share a group."""
    mask = np.uint64(0xFFFFFFFF)
    i = start
    while i < stop:
        weight = np.int64(0)
        end = i
        while end < stop and (keys[end] ^ keys[i]) <= mask:
            weight += unit_weights[keys[end] & mask]
            end += 1
        twice = 2 * before + weight + 1 - base
        for k in range(i, end):
            unit = keys[k] & mask
            row[unit_groups[unit]] += unit_weights[unit] * twice
        if weight > 1:
            t = np.float64(weight)
            tie += t * t * t - t
        before += weight
        i = end
    return tie


@inner
def _sum_sorted(keys, m, below, unit_weights, unit_groups, counts, total, plain, row):
    """Sum twice the midranks of one neuron by group, from its keys other than zeros; return Σ t³ − t.

    A run of equal values of total weight t behind weight W before it shares the midrank W + (t + 1)/2, as if each
    sample stood there as often as its weight says; twice that is the integer 2W + t + 1. Every sample first gets that
    of the zeros, and those that are not zero the difference.
    """
    mask = np.uint64(0xFFFFFFFF)
    before = np.int64(below)
    weight = np.int64(m)
    if not plain:
        before = np.int64(0)
        weight = np.int64(0)
        for i in range(m):
            own = unit_weights[keys[i] & mask]
            weight += own
            before += own if i < below else np.int64(0)
    zeros = total - weight
    base = 2 * before + zeros + 1 if zeros > 0 else np.int64(0)
    for g in range(row.shape[0]):
        row[g] = base * counts[g]
    first, rest = np.int64(0), before + zeros
    if plain:
        tie = _add_runs(keys, first, below, first, base, row, 0.0)
    else:
        tie = _add_weighted_runs(keys, first, below, first, base, unit_weights, unit_groups, row, 0.0)
    if zeros > 1:
        t = np.float64(zeros)
        tie += t * t * t - t
    if plain:
        return _add_runs(keys, below, m, rest, base, row, tie)
    return _add_weighted_runs(keys, below, m, rest, base, unit_weights, unit_groups, row, tie)


@inner
def _sum_counted(images, units, n, unit_weights, unit_groups, plain, times, row):
    """Sum twice the midranks of one neuron by group from n images below 2¹⁶, by counting; return Σ t³ − t.

    ``times`` (2¹⁶,) is scratch.
    """
    low = high = images[0]
    for i in range(n):
        low = min(low, images[i])
        high = max(high, images[i])
    for v in range(np.int64(low), np.int64(high) + 1):
        times[v] = 0
    for i in range(n):
        times[images[i]] += np.int64(1) if plain else unit_weights[units[i]]
    before = np.int64(0)
    tie = 0.0
    for v in range(np.int64(low), np.int64(high) + 1):
        weight = times[v]
        times[v] = 2 * before + weight + 1
        before += weight
        if weight > 1:
            t = np.float64(weight)
            tie += t * t * t - t
    for g in range(row.shape[0]):
        row[g] = 0
    if plain:
        for i in range(n):
            row[units[i]] += times[images[i]]
    else:
        for i in range(n):
            unit = units[i]
            row[unit_groups[unit]] += unit_weights[unit] * times[images[i]]
    return tie


_SCRATCH = (
    array_type(_u8, 2, "C", False),
    array_type(_u4, 2, "C", False),
    array_type(_u4, 1, "C", False),
    array_type(_i8, 1, "C", False),
)
_COLUMNS = (array_type(_u4, 1), array_type(_u8, 1), array_type(_i8, 1), array_type(_i8, 1), array_type(_u4, 1))
_UNITS = (array_type(_i8, 1), array_type(_i8, 1), array_type(_i8, 1), _i8, types.boolean)


@inner
def _sorted_column(images, wide, start, n, units, at, zero, keys, halves, counters):
    """Sort a column of images from ``start`` on, of 64 bits if there are any; as ``_sorted``."""
    if wide.shape[0]:
        return _sorted_wide(
            wide[start : start + n], units[at:], n, zero, keys[0], keys[1], keys[2], halves[0], halves[1], counters
        )
    return _sorted(images[start : start + n], units[at:], n, np.int64(zero), keys[0], keys[1], counters)


@kernel(
    *(*_COLUMNS, types.boolean, _u8, types.boolean),
    *_UNITS,
    *(array_type(_i8, 2, "C", False), array_type(_f8, 1, "C", False)),
    *_SCRATCH,
)
def rank_columns(
    images, wide, starts, stops, units, shared, zero, counted, unit_weights, unit_groups, counts, total, plain, sums,
    ties, keys, halves, counters, times,
):  # fmt: skip
    """Sum twice the midranks of M columns by group: ``sums`` (M, G), and Σ t³ − t over runs of ties: ``ties`` (M,).

    Column j has the images from ``starts[j]`` to ``stops[j]`` in ``images`` or, of 64 bits, in ``wide``, of which one
    is empty, and the units of the same places; ``shared`` units are those of every column. Samples that a column lacks
    are zero, whose image is ``zero``. ``counted`` images are of 16 bits, and no column lacks a sample. ``unit_weights``
    and ``unit_groups`` (U,) are those of units, ``counts`` (G,) the weights of groups, of ``total`` in all; ``plain``
    says that units are groups, of weight 1.

    ``keys`` (3, n) and ``halves`` (2, n) for the longest column, ``counters`` and ``times`` are scratch.
    """
    for j in range(starts.shape[0]):
        start, n = starts[j], stops[j] - starts[j]
        at = np.int64(0) if shared else start
        if counted:
            ties[j] = _sum_counted(
                images[start : start + n], units[at:], n, unit_weights, unit_groups, plain, times, sums[j]
            )
            continue
        found, _, m, below = _sorted_column(images, wide, start, n, units, at, zero, keys, halves, counters)
        ties[j] = _sum_sorted(found, m, below, unit_weights, unit_groups, counts, total, plain, sums[j])


@kernel(
    *(*_COLUMNS, types.boolean, _u8),
    *(array_type(_u8, 1, "C", False), array_type(_i8, 2, "C", False)),
    *_SCRATCH[:3],
)
def sort_columns(images, wide, starts, stops, units, shared, zero, out, sizes, keys, halves, counters):
    """Sort M columns, as ``rank_columns`` takes them: the keys of column j from ``starts[j]`` of ``out`` on.

    ``sizes`` (M, 2) is how many each has, and how many of them are below zero.
    """
    for j in range(starts.shape[0]):
        start, n = starts[j], stops[j] - starts[j]
        at = np.int64(0) if shared else start
        found, _, m, below = _sorted_column(images, wide, start, n, units, at, zero, keys, halves, counters)
        for i in range(m):
            out[start + i] = found[i]
        sizes[j, 0], sizes[j, 1] = m, below


@kernel(
    *(array_type(_u8, 1), array_type(_i8, 1), array_type(_i8, 2)),
    *_UNITS,
    *(array_type(_i8, 2, "C", False), array_type(_f8, 1, "C", False)),
)
def sum_columns(keys, starts, sizes, unit_weights, unit_groups, counts, total, plain, sums, ties):
    """Sum twice the midranks of columns that ``sort_columns`` has sorted; arguments as for ``rank_columns``."""
    for j in range(starts.shape[0]):
        m, below = sizes[j, 0], sizes[j, 1]
        ties[j] = _sum_sorted(
            keys[starts[j] : starts[j] + m], m, below, unit_weights, unit_groups, counts, total, plain, sums[j]
        )
