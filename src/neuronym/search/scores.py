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
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import no_such
from neuronym.errors import OptionError
from neuronym.search.ratio import same_terms

if TYPE_CHECKING:
    from neuronym.data.groups import SampleGroups

__all__ = [
    "AUC",
    "F1",
    "GRID",
    "SCORES",
    "AtThreshold",
    "Centred",
    "Correlation",
    "Cosine",
    "GroupSums",
    "IoU",
    "MeanDifference",
    "Precision",
    "Recall",
    "Score",
    "WithinStrata",
    "as_score",
    "same_terms",
]

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


class _Plain:
    """What scores have in common whose weights are numbers of each sample by itself, not ranks among the others."""

    @property
    def mirrored(self) -> bool:
        """Whether −f has the negated weights."""
        return False

    def turned(self, sums: NDArray[np.int64], groups: SampleGroups) -> NDArray[np.int64]:  # noqa: ARG002
        """Turn the neurons around: weights change their sign.

        Parameters
        ----------
        sums : int64 array of shape (n_neurons, n_groups)
            Those of f.
        groups : SampleGroups
            Not used.

        Returns
        -------
        int64 array of shape (n_neurons, n_groups)
            Those of −f.
        """
        return -sums

    def reweigh(
        self, block: NDArray[Any], groups: SampleGroups, weightings: Iterable[NDArray[np.int64]]
    ) -> Iterator[GroupSums]:
        """Sum the weights for each of several sample weights.

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
        values = groups.select_rows(block)
        for weights in weightings:
            yield self._weighed(values, groups, weights)

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
        return self._weighed(groups.select_rows(block), groups, groups.row_weights)

    def _weighed(self, values: NDArray[Any], groups: SampleGroups, weights: NDArray[np.int64]) -> GroupSums:
        bad = _not_finite(values)
        values = np.where(np.isfinite(values), values, 0).astype(np.float64) if bad.any() else values.astype(np.float64)
        own, terms, units, thresholds = self._each(values, weights)
        sums = _by_group(own, groups, weights)
        total = float(weights.sum())
        used = values[weights > 0]
        alike = used.min(axis=0) == used.max(axis=0)
        ties = np.where(alike, total * total * total - total, 0.0)
        return GroupSums(sums, ties, bad, terms, units, thresholds)

    def _each(
        self, values: NDArray[np.float64], weights: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the weight of each sample (n_rows, n_neurons), and terms, units and thresholds of the neurons."""
        raise NotImplementedError


class Centred(_Plain):
    """A score of activations as they are, as whole numbers of a unit so small that nothing of a double is lost.

    A score of your own needs a ``name``, the terms of its ratio, and its units; ``docs/scores.md`` has one.
    """

    name = ""

    @property
    def mirrored(self) -> bool:
        """Yes: −f has the negated weights."""
        return True

    def value(self, ranked: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the score from what is ranked: the ratio in units of the neuron.

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
        return np.asarray(ranked * units.reshape(-1, *(1,) * (ranked.ndim - 1)))

    def _each(
        self, values: NDArray[np.float64], weights: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        total = int(weights.sum())
        mean = (weights @ values) / total
        centred = values - mean
        shown, spread = self._shown(values, centred), np.sqrt((weights @ centred**2) / total)
        size = weights @ np.abs(shown)
        # The largest power of two of which sums stay below 2⁶⁰.
        power = np.exp2(60 - np.ceil(np.log2(np.where(size > 0, size, 1.0))))
        terms, units = self._terms(total, len(size)), self._units(values, weights, spread, total)
        nothing = np.full(len(size), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.rint(shown * power).astype(np.int64), terms, units / power, nothing

    def _shown(self, values: NDArray[np.float64], centred: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        return centred

    def _terms(self, total: int, n_neurons: int) -> NDArray[np.int64]:
        raise NotImplementedError

    def _units(
        self, values: NDArray[np.float64], weights: NDArray[np.int64], spread: NDArray[np.float64], total: int
    ) -> NDArray[np.float64]:
        raise NotImplementedError


class MeanDifference(Centred):
    """The mean activation inside minus outside, in standard deviations: S N / (n(N − n) σ) of centred activations.

    The mean activation difference of CoSy (Kopf et al., NeurIPS 2024) is this but for the standard deviation, which is
    the same for all formulas of a neuron.
    """

    name = "mean_difference"

    def _terms(self, total: int, n_neurons: int) -> NDArray[np.int64]:
        return same_terms(n_neurons, 0, 0, 0, total, -1, 0)

    def _units(
        self,
        values: NDArray[np.float64],  # noqa: ARG002
        weights: NDArray[np.int64],  # noqa: ARG002
        spread: NDArray[np.float64],
        total: int,
    ) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):
            return np.asarray(total / spread)


class Correlation(Centred):
    """Pearson's correlation of the activation with the formula, point-biserial: S / (σ √(n(N − n))), centred."""

    name = "correlation"

    def _terms(self, total: int, n_neurons: int) -> NDArray[np.int64]:
        return same_terms(n_neurons, 0, 0, 0, total, -1, 1)

    def _units(
        self,
        values: NDArray[np.float64],  # noqa: ARG002
        weights: NDArray[np.int64],  # noqa: ARG002
        spread: NDArray[np.float64],
        total: int,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):
            return np.asarray(1 / spread)


class Cosine(Centred):
    """The cosine of the angle between activations and formula: S / (‖f‖ √n), of activations as they are."""

    name = "cosine"

    def _shown(self, values: NDArray[np.float64], centred: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        return values

    def _terms(self, total: int, n_neurons: int) -> NDArray[np.int64]:  # noqa: ARG002
        return same_terms(n_neurons, 0, 0, 0, 1, 0, 1)

    def _units(
        self,
        values: NDArray[np.float64],
        weights: NDArray[np.int64],
        spread: NDArray[np.float64],  # noqa: ARG002
        total: int,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.sqrt(weights @ values**2))


@dataclass(frozen=True)
class AtThreshold(_Plain):
    """A score of the samples whose activation exceeds a threshold of the neuron; P of them in all, S of them inside.

    Parameters
    ----------
    name : str
        The name of the score in labels.
    quantile : float or None, default 0.995
        The quantile of the neuron's activations that the threshold is: the least value that this share of the samples
        does not exceed. 0.995 leaves the top 0.5%, as Network Dissection does.
    threshold : float or None, default None
        The threshold as an activation, instead.
    of_largest : float or None, default None
        The threshold as a share of the neuron's largest activation, instead.
    """

    name: str = ""
    quantile: float | None = 0.995
    threshold: float | None = None
    of_largest: float | None = None

    def _each(
        self, values: NDArray[np.float64], weights: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        thresholds = self._thresholds(values, weights)
        above = (values > thresholds).astype(np.int64)
        exceeding = weights @ above
        terms = np.zeros((len(exceeding), 6), np.int64)
        terms[:, 2:4] = self._scale(exceeding)
        return above, terms, np.ones(len(exceeding)), thresholds

    def _thresholds(self, values: NDArray[np.float64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
        n_neurons = values.shape[1]
        if self.threshold is not None:
            return np.full(n_neurons, float(self.threshold))
        used = values[weights > 0]
        if self.of_largest is not None:
            return np.asarray(self.of_largest * used.max(axis=0))
        share = 0.995 if self.quantile is None else self.quantile
        if (weights[weights > 0] == 1).all():
            place = max(0, int(np.ceil(share * len(used) - 1e-9)) - 1)
            return np.asarray(np.partition(used, place, axis=0)[place])
        order, found = np.argsort(values, axis=0, kind="stable"), np.empty(n_neurons)
        for j in range(n_neurons):
            reached = np.cumsum(weights[order[:, j]])
            place = int(np.searchsorted(reached, share * reached[-1] - 1e-9))
            found[j] = values[order[min(place, len(reached) - 1), j], j]
        return found

    def _scale(self, exceeding: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return c and d of the scale c + d·n for each P: int64 array of shape (n_neurons, 2)."""
        raise NotImplementedError

    def value(self, ranked: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        """Compute the score from what is ranked, which it is.

        Parameters
        ----------
        ranked : float64 array of shape (n_neurons, …)
            The ratios by which formulas are ranked.
        units : float64 array of shape (n_neurons,)
            Not used.

        Returns
        -------
        float64 array of the shape of ranked
            The scores.
        """
        return ranked


def _both(exceeding: NDArray[np.int64], of_count: int) -> NDArray[np.int64]:
    return np.stack([exceeding, np.full_like(exceeding, of_count)], axis=1)


@dataclass(frozen=True)
class F1(AtThreshold):
    """The harmonic mean of precision and recall: 2S / (n + P).

    Parameters
    ----------
    name, quantile, threshold, of_largest : optional
        As for ``AtThreshold``.
    """

    name: str = "f1"

    def _scale(self, exceeding: NDArray[np.int64]) -> NDArray[np.int64]:
        return _both(exceeding, 1)

    def value(self, ranked: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        """Compute F1 from S / (n + P).

        Parameters
        ----------
        ranked : float64 array of shape (n_neurons, …)
            The ratios by which formulas are ranked.
        units : float64 array of shape (n_neurons,)
            Not used.

        Returns
        -------
        float64 array of the shape of ranked
            F1.
        """
        return np.asarray(2 * ranked)


@dataclass(frozen=True)
class IoU(F1):
    """Intersection over union, S / (n + P − S), which rises with F1: the score of NetDissect and of CompExp.

    Parameters
    ----------
    name, quantile, threshold, of_largest : optional
        As for ``AtThreshold``.
    """

    name: str = "iou"

    def value(self, ranked: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002
        """Compute the IoU from S / (n + P).

        Parameters
        ----------
        ranked : float64 array of shape (n_neurons, …)
            The ratios by which formulas are ranked.
        units : float64 array of shape (n_neurons,)
            Not used.

        Returns
        -------
        float64 array of the shape of ranked
            The IoU.
        """
        return np.asarray(ranked / (1 - ranked))


@dataclass(frozen=True)
class Precision(AtThreshold):
    """The share of the samples inside that exceed the threshold: S / n.

    Parameters
    ----------
    name, quantile, threshold, of_largest : optional
        As for ``AtThreshold``.
    """

    name: str = "precision"

    def _scale(self, exceeding: NDArray[np.int64]) -> NDArray[np.int64]:
        return _both(np.zeros_like(exceeding), 1)


@dataclass(frozen=True)
class Recall(AtThreshold):
    """The share of the samples that exceed the threshold which are inside: S / P.

    Parameters
    ----------
    name, quantile, threshold, of_largest : optional
        As for ``AtThreshold``.
    """

    name: str = "recall"

    def _scale(self, exceeding: NDArray[np.int64]) -> NDArray[np.int64]:
        return _both(exceeding, 0)


def _by_group(own: NDArray[np.int64], groups: SampleGroups, weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum sample weight · own weight (n_rows, n_neurons) by group, exactly: int64 of shape (n_neurons, n_groups)."""
    from scipy.sparse import csr_array

    rows = np.arange(groups.n_rows)
    of_group = csr_array((weights, (groups.row_groups, rows)), shape=(groups.n_groups, groups.n_rows))
    return np.ascontiguousarray((of_group @ own).T)


#: The scores by name; ``as_score`` makes one.
SCORES: dict[str, type[AUC] | type[Centred] | type[AtThreshold]] = {
    "auc": AUC,
    "correlation": Correlation,
    "cosine": Cosine,
    "mean_difference": MeanDifference,
    "iou": IoU,
    "f1": F1,
    "precision": Precision,
    "recall": Recall,
}

_NEEDED = ("name", "mirrored", "weigh", "reweigh", "turned", "value")  # of a score

#: Shares of the largest activation that ``threshold="best"`` tries, as InterPLM does (Simon and Zou 2025).
GRID = (0.0, 0.15, 0.5, 0.6, 0.8)


def as_score(
    score: str | Score, quantile: float | None = None, threshold: float | Literal["best"] | None = None
) -> list[Score]:
    """Make a score, or those between which the best threshold decides.

    Parameters
    ----------
    score : str or Score
        A name, or a score of the user's.
    quantile : float, optional
        The quantile of a neuron's activations that its threshold is; 0.995 by default.
    threshold : float or "best", optional
        The threshold as an activation; ``"best"`` tries shares of the largest activation.

    Returns
    -------
    list of Score
        One, or one for each threshold that is tried.

    Raises
    ------
    OptionError
        If there is no such score, or it has no threshold.
    """
    if not isinstance(score, str):
        missing = [name for name in _NEEDED if not hasattr(score, name)]
        if missing:
            raise OptionError(
                f"score must be a name or an object with weigh and value, and {score!r} has no {missing[0]}"
            )
        if quantile is not None or threshold is not None:
            raise OptionError("quantile and threshold are for scores by name: your own score has its own")
        return [score]
    if score == "average_precision":
        raise OptionError(
            "average_precision is no sum over samples, so formulas cannot be searched by it: search by 'auc' or 'f1', "
            "and report it beside with effects=True"
        )
    if score not in SCORES:
        raise no_such("score", score, list(SCORES))
    kind = SCORES[score]
    if not issubclass(kind, AtThreshold):
        if quantile is not None or threshold is not None:
            raise OptionError(f"the score {score!r} has no threshold: leave out quantile and threshold")
        return [kind()]
    if quantile is not None and threshold is not None:
        raise OptionError("quantile and threshold are two ways to say the threshold: choose one")
    if threshold == "best":
        return [kind(quantile=None, of_largest=share) for share in GRID]
    if threshold is not None:
        if isinstance(threshold, bool | str) or not np.isfinite(threshold):
            raise OptionError(f"threshold must be a finite number or 'best', not {threshold!r}")
        return [kind(quantile=None, threshold=float(threshold))]
    if quantile is not None and (isinstance(quantile, bool | str) or not 0 < quantile < 1):
        raise OptionError(f"quantile must lie between 0 and 1, not {quantile!r}: 0.995 leaves the top 0.5%")
    return [kind() if quantile is None else kind(quantile=float(quantile))]
