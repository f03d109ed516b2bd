"""Grouping samples with equal concepts: they are interchangeable, so the search runs over groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.data.concepts import Concepts
from neuronym.data.labelled import to_array
from neuronym.errors import OptionError

if TYPE_CHECKING:
    from scipy.sparse import csc_array

__all__ = ["SampleGroups", "check_weights", "distinct_rows", "group"]

Ints = NDArray[np.int64]
Values = TypeVar("Values", bound="NDArray[Any] | csc_array")

_MAX_TOTAL = 2**26  # of weights: up to here a double represents n(n + 1) exactly, so AUC is exact


@dataclass(frozen=True)
class SampleGroups:
    """The samples of a ``Concepts``, grouped by equal rows.

    Samples with an equal row and an equal weight form a *unit*; units with an equal row form a group. Samples of
    weight 0 must have been left out.

    Parameters
    ----------
    total : int
        N, the sum of the sample weights.
    rows : int64 array of shape (n_rows,) or None
        The rows of the activations to read; None if that is all of them, in order.
    units : uint32 array of shape (n_rows,)
        The unit of each row.
    unit_weights, unit_groups : int64 arrays of shape (n_units,)
        The weight of each sample of a unit, and the unit's group.
    counts, keys : int64 arrays of shape (n_groups,)
        The total weight of a group, and its random number in the keys that identify extensions.
    group_ptr, group_concepts : int64 array of shape (n_groups + 1,) and int32 array
        The concepts true of each group, as compressed rows.
    concept_ptr, concept_groups : int64 array of shape (n_concepts + 1,) and int32 array
        The groups of which each concept is true, as compressed columns.
    """

    total: int
    rows: Ints | None
    units: NDArray[np.uint32]
    unit_weights: Ints
    unit_groups: Ints
    counts: Ints
    keys: Ints
    group_ptr: Ints
    group_concepts: NDArray[np.int32]
    concept_ptr: Ints
    concept_groups: NDArray[np.int32]

    @property
    def n_groups(self) -> int:
        """The number of groups."""
        return len(self.counts)

    @property
    def n_concepts(self) -> int:
        """The number of concepts."""
        return len(self.concept_ptr) - 1

    @property
    def n_rows(self) -> int:
        """The number of rows, the samples in use."""
        return len(self.units)

    @property
    def row_groups(self) -> Ints:
        """The group of each row, int64 of shape (n_rows,)."""
        return self.unit_groups[self.units]

    @property
    def row_weights(self) -> Ints:
        """The sample weight of each row, int64 of shape (n_rows,)."""
        return self.unit_weights[self.units]

    @cached_property
    def own_counts(self) -> Ints:
        """The total weight of the rows of each group, int64 of shape (n_groups,)."""
        return np.bincount(self.row_groups, self.row_weights, self.n_groups).astype(np.int64)

    @cached_property
    def plain(self) -> bool:
        """Whether each unit is the group of its number, of samples of weight 1."""
        each = np.arange(self.n_groups)
        return bool(np.array_equal(self.unit_groups, each) and (self.unit_weights == 1).all())

    def select_rows(self, values: Values) -> Values:
        """Select the samples in use from one value (or row of values) per sample of the activations.

        Parameters
        ----------
        values : array or csc_array of shape (n_samples, ...)
            Values in the order of the activations.

        Returns
        -------
        array or csc_array of shape (n_rows, ...)
            The values of the samples in use.
        """
        return values if self.rows is None else cast("Values", values[self.rows])

    def weighted(self, weights: Ints) -> SampleGroups:
        """Copy for a search with other sample weights.

        Parameters
        ----------
        weights : int64 array of shape (n_rows,)
            The new weight of each row; 0 leaves it out.

        Returns
        -------
        SampleGroups
            The groups with new counts; units and their weights stay as they are.
        """
        counts = np.zeros(self.n_groups, np.int64)
        np.add.at(counts, self.row_groups, weights)
        # A group without samples must not distinguish two extensions.
        return replace(self, total=int(weights.sum()), counts=counts, keys=np.where(counts > 0, self.keys, 0))

    def part(self, chosen: NDArray[np.bool_]) -> SampleGroups:
        """Restrict to some rows; groups keep their numbers.

        Parameters
        ----------
        chosen : bool array of shape (n_rows,)
            The rows to keep.

        Returns
        -------
        SampleGroups
            The groups of these rows alone.
        """
        rows = np.flatnonzero(chosen) if self.rows is None else self.rows[chosen]
        kept = self.weighted(np.where(chosen, self.row_weights, 0))
        return replace(kept, rows=rows, units=self.units[chosen])

    def apart(self) -> SampleGroups:
        """Make each row a group of its own.

        Returns
        -------
        SampleGroups
            Groups for computing the weight of every sample; they are not fit for a search.
        """
        each = np.arange(self.n_rows)
        weights = self.row_weights
        return replace(self, units=each.astype(np.uint32), unit_weights=weights, unit_groups=each, counts=weights)


def group(
    concepts: Concepts, weights: ArrayLike | None = None, rows: Ints | None = None, *, most: int = _MAX_TOTAL
) -> SampleGroups:
    """Group samples by equal concept rows.

    Parameters
    ----------
    concepts : Concepts
        The concepts.
    weights : int array of shape (n_samples,) or None, default None
        Sample weights of at least 1; a sample of weight w counts as w equal samples. None means 1 each.
    rows : int64 array of shape (n_samples,) or None, default None
        The row of the activations for each sample of the concepts; None if row i belongs to sample i.
    most : int, default 2²⁶
        What the weights may add up to; by default, so much that the AUC is exact.

    Returns
    -------
    SampleGroups
        The groups, numbered in order of first appearance.

    Raises
    ------
    OptionError
        If the weights are not integers, do not fit, or their sum is 0 or above ``most``.
    """
    weight = check_weights(weights, concepts.n_samples, most)
    by_row = concepts.to_sparse().tocsr()
    by_row.sort_indices()
    row_ptr, shown = by_row.indptr.astype(np.int64), by_row.indices.astype(np.int64)
    of_sample, first = _equal_rows(row_ptr, shown, concepts.n_concepts)
    unit, unit_first = distinct_rows(np.stack([of_sample, weight], axis=1))
    lengths = np.diff(row_ptr)[first]
    group_ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    group_concepts = shown[_ranges(row_ptr[first], lengths)]
    order = np.argsort(group_concepts, kind="stable")
    members = np.repeat(np.arange(len(first)), lengths)[order]
    found = np.bincount(group_concepts, minlength=concepts.n_concepts)
    counts = np.zeros(len(first), np.int64)
    np.add.at(counts, of_sample, weight)
    return SampleGroups(
        total=int(weight.sum()),
        rows=rows,
        units=unit.astype(np.uint32),
        unit_weights=weight[unit_first],
        unit_groups=of_sample[unit_first],
        counts=counts,
        keys=_random_keys(len(first)),
        group_ptr=group_ptr,
        group_concepts=group_concepts.astype(np.int32),
        concept_ptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(found)]),
        concept_groups=members.astype(np.int32),
    )


def check_weights(weights: ArrayLike | None, n_samples: int, most: int = _MAX_TOTAL) -> Ints:
    """Check sample weights and convert them to int64; None means 1 each."""
    if weights is None:
        return np.ones(n_samples, np.int64)
    weight = to_array(weights, "weights", OptionError)
    if weight.shape != (n_samples,):
        raise OptionError(f"weights must be one per sample ({n_samples}), but have shape {weight.shape}")
    whole = (
        weight.dtype.kind in "biuf" and np.isfinite(weight).all() and (weight >= 0).all() and (weight % 1 == 0).all()
    )
    if not whole:
        raise OptionError("weights must be whole numbers of at least 0: a sample of weight 2 counts as two samples")
    if not 0 < weight.sum(dtype=np.float64) <= most:
        raise OptionError(
            f"weights must add up to between 1 and {most}, not {weight.sum(dtype=np.float64):g}: scale them"
        )
    return weight.astype(np.int64)


def _random_keys(n: int) -> Ints:
    """Fixed random numbers of 64 bits, whose sums identify sets."""
    return np.random.default_rng(20231205).integers(-(2**63), 2**63 - 1, n, dtype=np.int64)


def _equal_rows(ptr: Ints, shown: Ints, n_concepts: int) -> tuple[Ints, Ints]:
    """The group of each row of a compressed matrix, and the first row of each group; exact.

    Rows are hashed by the sum of a random number per concept, and then compared with the first of their group.
    """
    keys = _random_keys(n_concepts + 1)
    with np.errstate(over="ignore"):
        running = np.concatenate([np.zeros(1, np.int64), np.cumsum(keys[shown])])
        marks = running[ptr[1:]] - running[ptr[:-1]]
    lengths = np.diff(ptr)
    of_row, first = distinct_rows(np.stack([marks, lengths], axis=1))
    representative = shown[_ranges(ptr[:-1][first][of_row], lengths)]
    if not np.array_equal(representative, shown):  # a hash collision: compare whole rows instead
        texts = [shown[a:b].tobytes() for a, b in pairwise(ptr)]
        place: dict[bytes, int] = {}
        of_row = np.array([place.setdefault(text, len(place)) for text in texts], np.int64)
        first = np.unique(of_row, return_index=True)[1]
    return of_row, first


def distinct_rows(table: Ints) -> tuple[Ints, Ints]:
    """Number the distinct rows of a table of two columns by first appearance: a number per row, and the first rows."""
    order = np.lexsort((table[:, 1], table[:, 0]))  # stable: equal rows keep their order
    ordered = table[order]
    fresh = np.ones(len(table), np.bool_)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = order[fresh]
    rank = np.argsort(np.argsort(first))
    numbers = np.empty(len(table), np.int64)
    numbers[order] = rank[np.cumsum(fresh) - 1]
    return numbers, np.sort(first)


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """The integers start … start + length − 1 of every range, concatenated."""
    ends = np.cumsum(lengths)
    numbers: Ints = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    return numbers
