"""Ranking blocks of activations, dense or sparse: sums of midranks by group of samples."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym.data.sparse import columns_of, is_csc, not_finite

if TYPE_CHECKING:
    from neuronym.data.groups import SampleGroups
    from neuronym.data.sparse import Block

__all__ = ["SortedBlock", "rank", "rank_weighted", "sort_block"]

Ints = NDArray[np.int64]

_WIDEST, _NARROWEST = 64, 16  # neurons packed at a time, where memory allows
_CACHED, _LARGEST = 16 * 2**20, 64 * 2**20  # bytes of their images: what a cache holds, and the most
_COUNTED = 2**14  # samples from which on counting the 2¹⁶ values of 16 bits is faster than sorting


class _Buffers(threading.local):
    """Memory that a thread uses again for each block, since fresh memory costs as much time as a third of a sort."""

    def __init__(self) -> None:
        self._known: dict[str, NDArray[Any]] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Return an array of this shape, with anything in it."""
        size = int(np.prod(shape))
        known = self._known.get(name)
        if known is None or known.size < size or known.size > 4 * size + 2**20:
            known = self._known[name] = np.empty(size, dtype)
        return known[:size].reshape(shape)

    def scratch(self, longest: int, wide: bool) -> tuple[NDArray[Any], ...]:
        """Return what kernels that sort columns of at most this length need."""
        from neuronym.search.rank_kernels import N_COUNTERS, N_TIMES

        return (
            self.get("keys", (3 if wide else 2, longest), np.uint64),
            self.get("halves", (2, longest if wide else 0), np.uint32),
            self.get("counters", (N_COUNTERS,), np.uint32),
            self.get("times", (N_TIMES,), np.int64),
        )


_buffers = _Buffers()


@dataclass(frozen=True)
class _Columns:
    """Columns of numbers as kernels take them: their images, and the place among the units of each."""

    images: NDArray[np.uint32]
    wide: NDArray[np.uint64]
    starts: Ints
    stops: Ints
    units: NDArray[np.uint32]
    shared: bool
    zero: int
    bad: Ints
    counted: bool = False

    @property
    def given(self) -> tuple[Any, ...]:
        """What kernels take."""
        arrays = (self.images, self.wide, self.starts, self.stops, self.units)
        return (*arrays, self.shared, np.uint64(self.zero))

    @property
    def scratch(self) -> tuple[NDArray[Any], ...]:
        """What kernels need beside."""
        longest = int((self.stops - self.starts).max(initial=0))
        return _buffers.scratch(longest, len(self.wide) > 0)


def rank(block: Block, groups: SampleGroups) -> tuple[Ints, NDArray[np.float64], Ints]:
    """Rank a block and sum twice the midranks by group.

    Parameters
    ----------
    block : array or csc_array of shape (n_samples, n_neurons)
        Activations.
    groups : SampleGroups
        The samples, grouped by equal concepts.

    Returns
    -------
    sums : int64 array of shape (n_neurons, n_groups)
        Σ of sample weight · twice the midrank.
    ties : float64 array of shape (n_neurons,)
        Σ t³ − t over runs of t equal activations.
    bad : int64 array of shape (n_neurons,)
        How many activations are NaN or infinite; where any is, the rest means nothing.
    """
    from neuronym.search.rank_kernels import rank_columns

    n_neurons = block.shape[1]
    sums, ties = np.empty((n_neurons, groups.n_groups), np.int64), np.empty(n_neurons)
    bad = np.zeros(n_neurons, np.int64)
    units = (groups.unit_weights, groups.unit_groups, groups.own_counts, int(groups.own_counts.sum()), groups.plain)
    for start, columns in _in_parts(block, groups, groups.units):
        own = slice(start, start + len(columns.starts))
        bad[own] = columns.bad
        rank_columns(*columns.given, columns.counted, *units, sums[own], ties[own], *columns.scratch)
    return sums, ties, bad


@dataclass(frozen=True)
class SortedBlock:
    """A block of activations, sorted once for all that depends on the order alone; made by ``sort_block``.

    Parameters
    ----------
    groups : SampleGroups
        The samples, grouped by equal concepts; their weights are not used.
    parts : list of (slice, uint64 array, int64 array, int64 array)
        Some neurons, their keys, where those of each start, and how many there are, and below zero.
    bad : int64 array of shape (n_neurons,)
        How many activations are NaN or infinite.
    """

    groups: SampleGroups
    parts: list[tuple[slice, NDArray[np.uint64], Ints, Ints]]
    bad: Ints

    def midranks(self, weights: Ints) -> tuple[Ints, NDArray[np.float64]]:
        """Sum twice the midranks by group, for some sample weights.

        Parameters
        ----------
        weights : int64 array of shape (n_rows,)
            The weight of each sample; 0 leaves it out.

        Returns
        -------
        sums : int64 array of shape (n_neurons, n_groups)
            As from ``rank``.
        ties : float64 array of shape (n_neurons,)
            As from ``rank``.
        """
        from neuronym.search.rank_kernels import sum_columns

        n_neurons, n_groups, row_groups = len(self.bad), self.groups.n_groups, self.groups.row_groups
        counts = np.bincount(row_groups, weights, n_groups).astype(np.int64)
        sums, ties, total = np.empty((n_neurons, n_groups), np.int64), np.empty(n_neurons), int(weights.sum())
        for own, keys, starts, sizes in self.parts:
            sum_columns(keys, starts, sizes, weights, row_groups, counts, total, False, sums[own], ties[own])
        return sums, ties


def sort_block(block: Block, groups: SampleGroups) -> SortedBlock:
    """Sort the columns of a block.

    Parameters
    ----------
    block : array or csc_array of shape (n_samples, n_neurons)
        Activations.
    groups : SampleGroups
        The samples, grouped by equal concepts.

    Returns
    -------
    SortedBlock
        Keys of eight bytes for each activation other than 0.
    """
    from neuronym.search.rank_kernels import sort_columns

    bad, parts = np.zeros(block.shape[1], np.int64), []
    for start, columns in _in_parts(block, groups, np.arange(groups.n_rows, dtype=np.uint32)):
        own = slice(start, start + len(columns.starts))
        bad[own] = columns.bad
        keys, sizes = np.empty(int(columns.stops.max(initial=0)), np.uint64), np.empty((own.stop - start, 2), np.int64)
        sort_columns(*columns.given, keys, sizes, *columns.scratch[:3])
        parts.append((own, keys, columns.starts.copy(), sizes))
    return SortedBlock(groups, parts, bad)


def rank_weighted(
    block: Block, groups: SampleGroups, weightings: Iterable[Ints]
) -> Iterator[tuple[Ints, NDArray[np.float64], Ints, int]]:
    """Rank a block for each of several sample weights, with the sorting done once.

    Parameters
    ----------
    block : array or csc_array of shape (n_samples, n_neurons)
        Activations.
    groups : SampleGroups
        The samples, grouped by equal concepts; their weights are not used.
    weightings : iterable of int64 arrays of shape (n_rows,)
        Sample weights, such as those of bootstrap resamples.

    Yields
    ------
    tuple of (sums, ties, bad, total)
        As from ``rank``, of each weighting in turn, and the sum of the weights.
    """
    ordered = sort_block(block, groups)
    for weights in weightings:
        yield *ordered.midranks(weights), ordered.bad, int(weights.sum())


def _in_parts(block: Block, groups: SampleGroups, units: NDArray[np.uint32]) -> Iterator[tuple[int, _Columns]]:
    """Yield columns of a block a few at a time, each with the place of the first; what was yielded before is lost."""
    n_neurons, n_rows = block.shape[1], groups.n_rows
    if is_csc(block):
        for start in range(0, n_neurons, _WIDEST):
            part = columns_of(block, np.arange(start, min(start + _WIDEST, n_neurons)))
            yield start, _sparse(groups.select_rows(part), units)
        return
    # Rows of a matrix are far apart in memory: what is fetched of one should be used at once.
    per_neuron = max(block.itemsize, 4) * max(1, n_rows)
    width = max(1, min(_WIDEST, max(_CACHED // per_neuron, min(_NARROWEST, _LARGEST // per_neuron))))
    for start in range(0, n_neurons, width):
        yield start, _dense(groups.select_rows(block[:, start : start + width]), units)


def _dense(values: NDArray[Any], units: NDArray[np.uint32]) -> _Columns:
    """The columns of an array (n_rows, n_neurons), all samples of each."""
    n_rows, n_neurons = values.shape
    stride = -(-n_rows // 16) * 16
    stride += 16 * (stride % 1024 == 0)  # starts that are a power of two apart share places in the cache
    images, wide, zero, bits, bad = _images(values, stride)
    starts = stride * np.arange(n_neurons)
    counted = bits == 16 and n_rows >= _COUNTED
    return _Columns(images, wide, starts, starts + n_rows, units, True, zero, bad, counted)


def _sparse(values: Any, units: NDArray[np.uint32]) -> _Columns:
    """The columns of a csc_array (n_rows, n_neurons), as far as they are not zero."""
    images, wide, zero, _, bad = _images(values.data.reshape(-1, 1), len(values.data))
    each = not_finite(values) if bad.any() else np.zeros(values.shape[1], np.int64)
    ptr = values.indptr.astype(np.int64)
    return _Columns(images, wide, ptr[:-1], ptr[1:], units[values.indices], False, zero, each)


def _images(values: NDArray[Any], stride: int) -> tuple[NDArray[np.uint32], NDArray[np.uint64], int, int, Ints]:
    """Images of values (n, n_columns), ``stride`` apart in one of two flat arrays; that of 0, bits, and what is bad."""
    from neuronym.search.rank_kernels import FLOAT, SIGNED, UNSIGNED, pack16, pack32, pack64

    kind = {"f": FLOAT, "i": SIGNED}.get(values.dtype.kind, UNSIGNED)
    bad = np.zeros(values.shape[1], np.int64)
    if values.dtype.itemsize > 8:  # no kernel: by the order among the distinct values of a column
        bad += not_finite(values)
        values, kind = np.stack([_codes(column) for column in values.T], axis=1), SIGNED
    elif values.dtype.itemsize == 1:
        values = values.astype(np.int16 if kind == SIGNED else np.uint16)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    bits = 8 * values.dtype.itemsize
    zero = 0 if kind == UNSIGNED else 2 ** (bits - 1)
    shape, none = (values.shape[1], stride), np.empty(0, np.uint32)
    seen = values.view(f"u{bits // 8}")
    if bits == 64:
        wide = _buffers.get("wide", shape, np.uint64)
        pack64(seen, kind, wide, bad)
        return none, wide.reshape(-1), zero, bits, bad
    images = _buffers.get("images", shape, np.uint32)
    (pack16 if bits == 16 else pack32)(seen, kind, images, bad)
    return images.reshape(-1), none.view(np.uint32).astype(np.uint64), zero, bits, bad


def _codes(values: NDArray[Any]) -> Ints:
    """Whole numbers in the order of the values, and 0 for 0."""
    distinct, place = np.unique(values, return_inverse=True)
    first = int(np.searchsorted(distinct, 0))  # that is not negative
    with_zero = first < len(distinct) and distinct[first] == 0
    return np.asarray(place - first + ((place >= first) & (not with_zero)), np.int64)
