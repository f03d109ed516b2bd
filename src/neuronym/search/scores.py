"""Scores: what a formula is ranked by, as a function of its count and one weighted sum.

A score gives every sample an integer weight that depends on the neuron alone, and reads the value of a formula φ off
its count n(φ) and the sum S(φ) of the weights where it is true:

    score(n, S) = (S − a·n − b·n²) / scale(n),    scale(n) = c + d·n + e·n², or its square root.

So the compiled search needs a sum per group of samples and six whole numbers per neuron (``ratio``), and no branch on
which score it is. What is ranked is the score or increases with it: ``value`` makes one of the other.

To add a score, write a class with ``name``, ``weigh`` and ``value``; ``Centred`` and ``AtThreshold`` do most of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuronym.search.ratio import same_terms

if TYPE_CHECKING:
    from neuronym.data.groups import SampleGroups

__all__ = ["AUC", "GroupSums", "Score", "WithinStrata"]

_WIDTH, _KEY_BYTES = 64, 64 * 2**20  # neurons packed at a time by a thread, and the most memory for their keys
_SORTED = 16  # neurons sorted at a time, which stay in a cache until they are summed


@dataclass(frozen=True)
class GroupSums:
    """The weights of a block of neurons, summed.

    Parameters
    ----------
    sums : int64 array of shape (n_neurons, n_groups)
        Σ of sample weight · score weight in each group.
    ties : float64 array of shape (n_neurons,)
        Σ t³ − t over runs of t equal activations.
    bad : int64 array of shape (n_neurons,)
        How many activations are NaN or infinite; where any is, the rest means nothing.
    terms : int64 array of shape (n_neurons, 6)
        What makes what is ranked of counts and sums (``ratio``).
    units : float64 array of shape (n_neurons,)
        What ``value`` needs beside; 1 by default.
    thresholds : float64 array of shape (n_neurons,)
        The activation above which a sample counts; NaN for scores without a threshold.
    """

    sums: NDArray[np.int64]
    ties: NDArray[np.float64]
    bad: NDArray[np.int64]
    terms: NDArray[np.int64]
    units: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    def constant(self, groups: SampleGroups) -> NDArray[np.bool_]:
        """Find the neurons with one value on all samples.

        Parameters
        ----------
        groups : SampleGroups
            The groups that the weights are summed by.

        Returns
        -------
        bool array of shape (n_neurons,)
            True where the neuron is constant.
        """
        total = float(groups.total)
        return np.asarray((self.ties == total * total * total - total) & (self.bad == 0))


class Score(Protocol):
    """What the search needs of a score: weights of samples, and what makes a value of counts and sums."""

    @property
    def name(self) -> str:
        """What labels call it."""
        ...

    @property
    def mirrored(self) -> bool:
        """Whether the sums of −f follow from those of f by ``turned``; else −f is weighed itself."""
        ...

    def weigh(self, block: NDArray[Any], groups: SampleGroups) -> GroupSums:
        """Sum the weights of a block of activations by group.

        Parameters
        ----------
        block : array of shape (n_samples, n_neurons)
            Activations.
        groups : SampleGroups
            The samples, grouped by equal concepts.

        Returns
        -------
        GroupSums
            With ``bad`` where activations are not finite.
        """
        ...

    def reweigh(
        self, block: NDArray[Any], groups: SampleGroups, weightings: Iterable[NDArray[np.int64]]
    ) -> Iterator[GroupSums]:
        """Sum the weights for each of several sample weights, with the work on the block done once.

        Parameters
        ----------
        block : array of shape (n_samples, n_neurons)
            Activations.
        groups : SampleGroups
            The samples, grouped by equal concepts; their weights are not used.
        weightings : iterable of int64 arrays of shape (n_rows,)
            Sample weights, such as those of bootstrap resamples.

        Yields
        ------
        GroupSums
            Of each weighting in turn.
        """
        ...

    def turned(self, sums: NDArray[np.int64], groups: SampleGroups) -> NDArray[np.int64]:
        """Turn the neurons around: the sums of −f.

        Parameters
        ----------
        sums : int64 array of shape (n_neurons, n_groups)
            Those of f.
        groups : SampleGroups
            The groups that the weights are summed by.

        Returns
        -------
        int64 array of shape (n_neurons, n_groups)
            Those of −f.
        """
        ...

    def value(self, ranked: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the score from what is ranked.

        Parameters
        ----------
        ranked : float64 array of shape (n_neurons, …)
            The ratios by which formulas are ranked.
        units : float64 array of shape (n_neurons,)
            Those of the neurons' ``GroupSums``.

        Returns
        -------
        float64 array of the shape of ranked
            The scores.
        """
        ...


@dataclass(frozen=True)
class AUC:
    """The area under the ROC curve, P(f(x) < f(y) | φ(x) = 0, φ(y) = 1), ties counted one half.

    The similarity of the paper (its section 3). The weight is twice the midrank, an integer, and
    AUC = (S − n(n + 1)) / (2n(N − n)).

    Parameters
    ----------
    name : str, default "auc"
        The name of the score in labels.
    """

    name: str = "auc"

    @property
    def mirrored(self) -> bool:
        """Yes: a midrank r becomes N + 1 − r."""
        return True

    def terms(self, total: int, n_neurons: int) -> NDArray[np.int64]:
        """Return the terms of n(n + 1) and 2n(N − n), which are the same for all neurons.

        Parameters
        ----------
        total : int
            N, the number of samples.
        n_neurons : int
            The number of neurons.

        Returns
        -------
        int64 array of shape (n_neurons, 6)
            What ``ratio`` needs.
        """
        return same_terms(n_neurons, 1, 1, 0, 2 * total, -2, 0)

    def value(self, ranked: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the AUC, which is what is ranked.

        Parameters
        ----------
        ranked : float64 array of shape (n_neurons, …)
            The AUC.
        units : float64 array of shape (n_neurons,)
            Not used.

        Returns
        -------
        float64 array of the shape of ranked
            The AUC.
        """
        return ranked

    def _sums(
        self, sums: NDArray[np.int64], ties: NDArray[np.float64], bad: NDArray[np.int64], total: int
    ) -> GroupSums:
        n_neurons = len(sums)
        ones, none = np.ones(n_neurons), np.full(n_neurons, np.nan)
        return GroupSums(sums, ties, bad, self.terms(total, n_neurons), ones, none)

    def weigh(self, block: NDArray[Any], groups: SampleGroups) -> GroupSums:
        """Rank a block and sum twice the midranks by group.

        Parameters
        ----------
        block : array of shape (n_samples, n_neurons)
            Activations.
        groups : SampleGroups
            The samples, grouped by equal concepts.

        Returns
        -------
        GroupSums
            With ``bad`` where activations are not finite.
        """
        n_neurons = block.shape[1]
        sums = np.empty((n_neurons, groups.n_groups), np.int64)
        ties, bad = np.empty(n_neurons), np.zeros(n_neurons, np.int64)
        # Rows of a matrix lie far apart in memory: what is fetched of one should be used at once.
        width = max(1, min(_WIDTH, n_neurons, _KEY_BYTES // (8 * max(1, len(groups.units)))))
        keys = np.empty((width, len(groups.units)), np.uint64)
        for start in range(0, n_neurons, width):
            stop = min(start + width, n_neurons)
            part = groups.select_rows(block[:, start:stop])
            _rank(part, groups, keys[: stop - start], sums[start:stop], ties[start:stop], bad[start:stop])
        return self._sums(sums, ties, bad, groups.total)

    def reweigh(
        self, block: NDArray[Any], groups: SampleGroups, weightings: Iterable[NDArray[np.int64]]
    ) -> Iterator[GroupSums]:
        """Sum the weights for each of several sample weights, with the work on the block done once.

        Parameters
        ----------
        block : array of shape (n_samples, n_neurons)
            Activations.
        groups : SampleGroups
            The samples, grouped by equal concepts; their weights are not used.
        weightings : iterable of int64 arrays of shape (n_rows,)
            Sample weights, such as those of bootstrap resamples.

        Yields
        ------
        GroupSums
            Of each weighting in turn.
        """
        from neuronym.search.rank_kernels import rank_sums

        n_neurons, row_groups = block.shape[1], groups.row_groups
        keys, bad = np.empty((n_neurons, groups.n_rows), np.uint64), np.zeros(n_neurons, np.int64)
        _pack(groups.select_rows(block), np.arange(groups.n_rows, dtype=np.uint32), keys, bad)
        keys.sort(axis=1)
        for weights in weightings:
            sums, ties = np.empty((n_neurons, groups.n_groups), np.int64), np.empty(n_neurons)
            rank_sums(keys, weights, row_groups, sums, ties)
            yield self._sums(sums, ties, bad, int(weights.sum()))

    def turned(self, sums: NDArray[np.int64], groups: SampleGroups) -> NDArray[np.int64]:
        """Turn the neurons around: a midrank r becomes N + 1 − r, and an AUC 1 − AUC.

        Parameters
        ----------
        sums : int64 array of shape (n_neurons, n_groups)
            Those of f.
        groups : SampleGroups
            The groups that the weights are summed by.

        Returns
        -------
        int64 array of shape (n_neurons, n_groups)
            Those of −f.
        """
        return 2 * (groups.total + 1) * groups.counts - sums


@dataclass(frozen=True, eq=False, kw_only=True)
class WithinStrata(AUC):
    """The AUC of the within-stratum percentile: each activation is replaced by its midrank / (N + 1) in its stratum.

    A neuron that differs between strata, and not within them, has the percentile ½ everywhere: it is constant. Shuffled
    within strata, the percentiles of a stratum keep their mean, ½, whatever the stratum. Percentiles are quotients of
    whole numbers, rounded once: those that are equal as fractions are ties across strata.

    Parameters
    ----------
    name : str, default "auc"
        The name of the score in labels.
    strata : int64 array of shape (n_rows,)
        The stratum of each row of the groups that are searched.
    """

    strata: NDArray[np.int64]

    def weigh(self, block: NDArray[Any], groups: SampleGroups) -> GroupSums:
        """Rank the percentiles of a block and sum twice their midranks by group.

        Parameters
        ----------
        block : array of shape (n_samples, n_neurons)
            Activations.
        groups : SampleGroups
            The samples, grouped by equal concepts, one row for each of ``strata``.

        Returns
        -------
        GroupSums
            With ``bad`` where activations are not finite.
        """
        values, bare = groups.select_rows(block), replace(groups, rows=None)
        percentiles = self._percentiles(values, self._orders(values), groups.row_weights)
        return replace(super().weigh(percentiles, bare), bad=_not_finite(values))

    def reweigh(
        self, block: NDArray[Any], groups: SampleGroups, weightings: Iterable[NDArray[np.int64]]
    ) -> Iterator[GroupSums]:
        """Sum the weights for each of several sample weights; percentiles are those of the weighted samples.

        Parameters
        ----------
        block : array of shape (n_samples, n_neurons)
            Activations.
        groups : SampleGroups
            The samples, grouped by equal concepts; their weights are not used.
        weightings : iterable of int64 arrays of shape (n_rows,)
            Sample weights, such as those of bootstrap resamples.

        Yields
        ------
        GroupSums
            Of each weighting in turn.
        """
        values, bare = groups.select_rows(block), replace(groups, rows=None)
        orders, bad = self._orders(values), _not_finite(values)
        for weights in weightings:
            percentiles = self._percentiles(values, orders, weights)
            (sums,) = super().reweigh(percentiles, bare, [weights])
            yield replace(sums, bad=bad)

    def _orders(self, values: NDArray[Any]) -> list[NDArray[np.intp]]:
        """The rows in ascending order, stratum by stratum, of each neuron."""
        return [np.lexsort((values[:, j], self.strata)) for j in range(values.shape[1])]

    def _percentiles(
        self, values: NDArray[Any], orders: list[NDArray[np.intp]], weights: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The percentile of each row of (n_rows, n_neurons) values in its stratum, NaN being anything."""
        found = np.empty(values.shape)
        ordered = np.sort(self.strata)  # the same for each neuron
        new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        first = np.flatnonzero(new)
        of_row = np.cumsum(new) - 1
        for j, order in enumerate(orders):
            column, weight = values[order, j], weights[order]
            totals = np.add.reduceat(weight, first)
            fresh = new.copy()
            fresh[1:] |= column[1:] != column[:-1]
            starts = np.flatnonzero(fresh)
            of_run = np.add.reduceat(weight, starts)
            before = (np.cumsum(of_run) - of_run) - (np.cumsum(totals) - totals)[of_row[starts]]
            twice = (2 * before + of_run + 1)[np.cumsum(fresh) - 1]
            found[order, j] = twice / (2 * (totals[of_row] + 1))
        return found


def _not_finite(values: NDArray[Any]) -> NDArray[np.int64]:
    """How many values of each neuron are NaN or infinite."""
    if values.dtype.kind != "f":
        return np.zeros(values.shape[1], np.int64)
    return np.asarray(np.count_nonzero(~np.isfinite(values), axis=0), np.int64)


def _rank(
    block: NDArray[Any],
    groups: SampleGroups,
    keys: NDArray[np.uint64],
    sums: NDArray[np.int64],
    ties: NDArray[np.float64],
    bad: NDArray[np.int64],
) -> None:
    """Rank a block (n_samples, n_neurons) and sum twice the midranks by group, into ``sums``, ``ties`` and ``bad``."""
    from neuronym.search.rank_kernels import rank_sums

    sorted_already = _pack(block, groups.units, keys, bad)
    for start in range(0, len(keys), _SORTED):
        part = slice(start, start + _SORTED)
        if not sorted_already:
            keys[part].sort(axis=1)
        rank_sums(keys[part], groups.unit_weights, groups.unit_groups, sums[part], ties[part])


def _pack(block: NDArray[Any], units: NDArray[np.uint32], keys: NDArray[np.uint64], bad: NDArray[np.int64]) -> bool:
    """Pack a block (n_samples, n_neurons) into ``keys`` and count what is not finite; whether keys are sorted now."""
    from neuronym.search.rank_kernels import pack_keys

    narrow = _as_float32(block)
    if narrow is not None:
        pack_keys(narrow, units, keys, bad)
        return False
    for j in range(block.shape[1]):
        keys[j] = _wide_keys(np.ascontiguousarray(block[:, j]), units)
        bad[j] = 0 if block.dtype.kind in "iu" else np.count_nonzero(~np.isfinite(block[:, j]))
    return True


def _as_float32(block: NDArray[Any]) -> NDArray[np.float32] | None:
    """The block in float32 if that keeps every value, else None."""
    if block.dtype == np.float32:
        return block
    if np.can_cast(block.dtype, np.float32):  # bool, float16, integers of up to 16 bits
        return block.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = block.astype(np.float32)
        # NaN is left to the count of what is not finite. A float32 holds every whole number up to 2²⁴.
        same = (
            (narrow == block) | np.isnan(narrow) if block.dtype.kind == "f" else (block >= -(2**24)) & (block <= 2**24)
        )
    return narrow if same.all() else None


def _wide_keys(column: NDArray[Any], units: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Sorted keys of a column that float32 cannot hold: the place of its value among the distinct ones · the unit."""
    order = np.argsort(column)
    values = column[order]
    steps = np.zeros(len(column), np.uint64)
    np.cumsum(values[1:] != values[:-1], out=steps[1:])
    return (steps << np.uint64(32)) | units[order]
