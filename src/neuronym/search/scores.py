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
from neuronym.data.sparse import is_csc, not_finite
from neuronym.errors import OptionError
from neuronym.search.ranking import rank, rank_weighted
from neuronym.search.ratio import same_terms

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from neuronym.data.groups import SampleGroups
    from neuronym.data.sparse import Block

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
    "quantile_place",
    "same_terms",
]


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

    def weigh(self, block: Block, groups: SampleGroups) -> GroupSums:
        """Sum the weights of a block of activations by group.

        Parameters
        ----------
        block : array or csc_array of shape (n_samples, n_neurons)
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
        self, block: Block, groups: SampleGroups, weightings: Iterable[NDArray[np.int64]]
    ) -> Iterator[GroupSums]:
        """Sum the weights for each of several sample weights, with the work on the block done once.

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

    def weigh(self, block: Block, groups: SampleGroups) -> GroupSums:
        """Rank a block and sum twice the midranks by group.

        Parameters
        ----------
        block : array or csc_array of shape (n_samples, n_neurons)
            Activations.
        groups : SampleGroups
            The samples, grouped by equal concepts.

        Returns
        -------
        GroupSums
            With ``bad`` where activations are not finite.
        """
        sums, ties, bad = rank(block, groups)
        return self._sums(sums, ties, bad, groups.total)

    def reweigh(
        self, block: Block, groups: SampleGroups, weightings: Iterable[NDArray[np.int64]]
    ) -> Iterator[GroupSums]:
        """Sum the weights for each of several sample weights, with the work on the block done once.

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
        GroupSums
            Of each weighting in turn.
        """
        for sums, ties, bad, total in rank_weighted(block, groups, weightings):
            yield self._sums(sums, ties, bad, total)

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

    def weigh(self, block: Block, groups: SampleGroups) -> GroupSums:
        """Rank the percentiles of a block and sum twice their midranks by group.

        Parameters
        ----------
        block : array or csc_array of shape (n_samples, n_neurons)
            Activations.
        groups : SampleGroups
            The samples, grouped by equal concepts, one row for each of ``strata``.

        Returns
        -------
        GroupSums
            With ``bad`` where activations are not finite.
        """
        if is_csc(block):
            (found,) = self.reweigh(block, groups, [groups.row_weights])
            return found
        values, bare = groups.select_rows(block), replace(groups, rows=None)
        percentiles = self._percentiles(values, self._orders(values), groups.row_weights)
        return replace(super().weigh(percentiles, bare), bad=not_finite(values))

    def reweigh(
        self, block: Block, groups: SampleGroups, weightings: Iterable[NDArray[np.int64]]
    ) -> Iterator[GroupSums]:
        """Sum the weights for each of several sample weights; percentiles are those of the weighted samples.

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
        GroupSums
            Of each weighting in turn.
        """
        values, bare = groups.select_rows(block), replace(groups, rows=None)
        bad = not_finite(values)
        if is_csc(values):
            cells = _Cells.of(self.strata, groups.row_groups)
            for weights in weightings:
                ranked, ties = cells.rank(values, weights, groups.n_groups)
                yield self._sums(ranked, ties, bad, int(weights.sum()))
            return
        orders = self._orders(values)
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
        for j, order in enumerate(orders):
            found[order, j] = _percentiles(values[order, j], self.strata[order], weights[order])
        return found


def _percentiles(values: NDArray[Any], strata: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """The percentile in its stratum of each value, which ascend stratum by stratum."""
    new = np.concatenate([[True], strata[1:] != strata[:-1]])
    first, of_row = np.flatnonzero(new), np.cumsum(new) - 1
    totals = np.add.reduceat(weights, first)
    fresh = new.copy()
    fresh[1:] |= values[1:] != values[:-1]
    starts = np.flatnonzero(fresh)
    of_run = np.add.reduceat(weights, starts)
    before = (np.cumsum(of_run) - of_run) - (np.cumsum(totals) - totals)[of_row[starts]]
    twice = (2 * before + of_run + 1)[np.cumsum(fresh) - 1]
    return np.asarray(twice / (2 * (totals[of_row] + 1)))


@dataclass(frozen=True)
class _Cells:
    """The cells that rows fall into by stratum and group: what a sparse column's zeros differ in.

    ``of_row`` is the cell of each row; ``stratum`` and ``group`` are those of each cell.
    """

    of_row: NDArray[np.intp]
    stratum: NDArray[np.int64]
    group: NDArray[np.int64]

    @classmethod
    def of(cls, strata: NDArray[np.int64], groups: NDArray[np.int64]) -> _Cells:
        width = int(groups.max()) + 1
        codes, of_row = np.unique(strata * width + groups, return_inverse=True)
        return cls(of_row, *np.divmod(codes, width))

    def rank(
        self, values: csc_array, weights: NDArray[np.int64], n_groups: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Sum twice the midranks of percentiles of columns by group, and Σ t³ − t over their ties."""
        n_columns, n_strata = values.shape[1], int(self.stratum.max()) + 1
        sums, ties = np.empty((n_columns, n_groups), np.int64), np.empty(n_columns)
        every = np.bincount(self.of_row, weights)
        for j in range(n_columns):
            own = slice(values.indptr[j], values.indptr[j + 1])
            used = (values.data[own] != 0) & (weights[values.indices[own]] > 0)
            rows, found = values.indices[own][used], values.data[own][used]
            # What is not zero, each by itself; then the zeros of each stratum, as one value of their weight.
            cells, weight = self.of_row[rows], weights[rows]
            zeros = every - np.bincount(cells, weight, len(every))
            of_strata = np.bincount(self.stratum, zeros, n_strata)
            shown = np.concatenate([found, np.zeros(n_strata, found.dtype)])
            strata = np.concatenate([self.stratum[cells], np.arange(n_strata)])
            heavy = np.concatenate([weight, of_strata.astype(np.int64)])
            order = np.lexsort((shown, strata))
            order = order[heavy[order] > 0]
            percentiles = _percentiles(shown[order], strata[order], heavy[order])
            twice = np.zeros(len(shown))
            twice[order], ties[j] = _midranks(percentiles, heavy[order])
            of_rows = np.bincount(self.group[cells], weight * twice[: len(rows)], n_groups)
            of_zeros = np.bincount(self.group, zeros * twice[len(rows) :][self.stratum], n_groups)
            sums[j] = (of_rows + of_zeros).astype(np.int64)
        return sums, ties


def _midranks(values: NDArray[np.float64], weights: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
    """Twice the midrank of each of some values with weights, and Σ t³ − t over runs of ties."""
    order = np.argsort(values, kind="stable")
    fresh = np.concatenate([[True], values[order][1:] != values[order][:-1]])
    of_run = np.add.reduceat(weights[order], np.flatnonzero(fresh))
    twice = np.empty(len(values), np.int64)
    twice[order] = (2 * (np.cumsum(of_run) - of_run) + of_run + 1)[np.cumsum(fresh) - 1]
    t = of_run.astype(np.float64)
    return twice, float(np.cumsum(t**3 - t)[-1])


def _ties(values: NDArray[np.float64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Σ t³ − t of columns where all values are equal, as constant neurons are known by; 0 for others."""
    used, total = values[weights > 0], float(weights.sum())
    return np.where(used.min(axis=0) == used.max(axis=0), total * total * total - total, 0.0)


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
        self, block: Block, groups: SampleGroups, weightings: Iterable[NDArray[np.int64]]
    ) -> Iterator[GroupSums]:
        """Sum the weights for each of several sample weights.

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
        GroupSums
            Of each weighting in turn.
        """
        values = groups.select_rows(block)
        for weights in weightings:
            yield self._weighed(values, groups, weights)

    def weigh(self, block: Block, groups: SampleGroups) -> GroupSums:
        """Sum the weights of a block of activations by group.

        Parameters
        ----------
        block : array or csc_array of shape (n_samples, n_neurons)
            Activations.
        groups : SampleGroups
            The samples, grouped by equal concepts.

        Returns
        -------
        GroupSums
            With ``bad`` where activations are not finite.
        """
        return self._weighed(groups.select_rows(block), groups, groups.row_weights)

    def _weighed(self, values: Block, groups: SampleGroups, weights: NDArray[np.int64]) -> GroupSums:
        bad = not_finite(values)
        if is_csc(values):
            return self._weighed_sparse(values, bad, groups, weights)
        finite = np.where(np.isfinite(values), values, 0).astype(np.float64) if bad.any() else values.astype(np.float64)
        own, terms, units, thresholds = self._each(finite, weights)
        sums = _by_group(own, groups, weights)
        return GroupSums(sums, _ties(finite, weights), bad, terms, units, thresholds)

    def _weighed_sparse(
        self, values: csc_array, bad: NDArray[np.int64], groups: SampleGroups, weights: NDArray[np.int64]
    ) -> GroupSums:
        """Weigh columns one by one, with all zeros of a column as one sample of their weight."""
        n_columns, total, row_groups = values.shape[1], int(weights.sum()), groups.row_groups
        counts = np.bincount(row_groups, weights, groups.n_groups).astype(np.int64)
        sums = np.zeros((n_columns, groups.n_groups), np.int64)
        found = []
        for j in range(n_columns):
            own = slice(values.indptr[j], values.indptr[j + 1])
            rows, shown = values.indices[own], np.nan_to_num(values.data[own].astype(np.float64), posinf=0, neginf=0)
            weight = np.append(weights[rows], total - weights[rows].sum())
            column = np.append(shown, 0.0)[:, np.newaxis][: len(shown) + bool(weight[-1])]
            weight = weight[: len(column)]
            each, terms, units, thresholds = self._each(column, weight)
            zero = int(each[-1, 0]) if len(column) > len(shown) else 0
            np.add.at(sums[j], row_groups[rows], weights[rows] * (each[: len(shown), 0] - zero))
            sums[j] += zero * counts
            found.append((terms, units, thresholds, _ties(column, weight)))
        terms, units, thresholds, ties = (np.concatenate(parts) for parts in zip(*found, strict=True))
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
        return above, self.terms(exceeding), np.ones(len(exceeding)), thresholds

    def _thresholds(self, values: NDArray[np.float64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
        n_neurons = values.shape[1]
        if self.threshold is not None:
            return np.full(n_neurons, float(self.threshold))
        used = values[weights > 0]
        if self.of_largest is not None:
            return np.asarray(self.of_largest * used.max(axis=0))
        share = 0.995 if self.quantile is None else self.quantile
        if (weights[weights > 0] == 1).all():
            place = quantile_place(len(used), share)
            return np.asarray(np.partition(used, place, axis=0)[place])
        order, found = np.argsort(values, axis=0, kind="stable"), np.empty(n_neurons)
        for j in range(n_neurons):
            reached = np.cumsum(weights[order[:, j]])
            place = int(np.searchsorted(reached, share * reached[-1] - 1e-9))
            found[j] = values[order[min(place, len(reached) - 1), j], j]
        return found

    def terms(self, exceeding: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the terms of neurons by how many samples exceed their thresholds.

        Parameters
        ----------
        exceeding : int64 array of shape (n_neurons,)
            P, the number of samples whose activation exceeds the threshold.

        Returns
        -------
        int64 array of shape (n_neurons, 6)
            What ``ratio`` needs.
        """
        terms = np.zeros((len(exceeding), 6), np.int64)
        terms[:, 2:4] = self._scale(exceeding)
        return terms

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


def quantile_place(n: int, share: float) -> int:
    """Return the place of a quantile among n ascending values: that of the least which the share does not exceed."""
    return max(0, int(np.ceil(share * n - 1e-9)) - 1)


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
