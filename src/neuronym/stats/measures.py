"""How well a neuron detects given formulas on given samples: AUC with its variance, and effect sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuronym.stats.significance import cluster_test, mann_whitney

__all__ = ["MEASURES", "measure", "p_values"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_NAMES = (
    *("auc", "variance", "first", "gain", "gain_variance", "gain_units", "positives", "negatives"),
    *("added", "units", "units_in", "units_out", "sums", "ties"),
    *("difference", "precision", "recall", "average_precision"),
)
MEASURES = np.dtype([(name, np.float64) for name in _NAMES])


@dataclass(frozen=True)
class _Sorted:
    """Activations in ascending order: samples and values, the run of ties of each, and where runs start."""

    order: NDArray[np.intp]
    values: Floats
    run: NDArray[np.intp]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, column: NDArray[np.generic], low: bool) -> _Sorted:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        fresh = np.ones(len(ordered), np.bool_)
        fresh[1:] = ordered[1:] != ordered[:-1]
        values = ordered.astype(np.float64)
        if low:  # reversed instead of negated, since the negative of an integer may overflow
            order, values = order[::-1], -values[::-1]
            fresh = np.concatenate([[True], fresh[:0:-1]])
        return cls(order, values, np.cumsum(fresh) - 1, np.flatnonzero(fresh))


def measure(
    column: NDArray[np.generic], inside: Bools, weights: Ints, clusters: Ints | None = None, low: bool = False
) -> NDArray[np.void]:
    """Measure formulas against one neuron.

    Variances are those of DeLong, DeLong and Clarke-Pearson (1988) in the fast form of Sun and Xu (2014): a sample's
    placement is the share of the other class that it exceeds (that it falls below, for one outside), computed from
    midranks. When two formulas are compared, the classes differ but the neuron is the same: each sample then
    contributes the difference of its contributions to the two AUCs. With clusters, the contributions of a cluster's
    samples are summed before squaring (Obuchowski 1997), times k / (k − 1) for k clusters in the smaller class, to
    correct for few clusters.

    Parameters
    ----------
    column : real array of shape (n_samples,)
        The activations of the neuron.
    inside : bool array of shape (n_formulas, n_samples)
        Which samples are inside each formula.
    weights : int64 array of shape (n_samples,)
        Sample weights; a sample of weight w counts as w samples.
    clusters : int64 array of shape (n_samples,) or None, default None
        The cluster of each sample; None means independent samples.
    low : bool, default False
        Whether the neuron is expected to be low inside.

    Returns
    -------
    structured array of dtype ``MEASURES`` and shape (n_formulas,)
        ``gain`` and its variance are relative to the previous formula, and to an AUC of ½ for the ``first``. ``sums``
        is twice the sum of midranks inside and ``ties`` is Σ t³ − t, for the Mann-Whitney test. ``units``,
        ``units_in`` and ``units_out`` are the numbers of clusters (or samples) in all, with samples inside, and with
        samples outside; ``gain_units`` is the smallest of the latter two over both formulas of a gain. ``added`` is
        the factor by which clusters raise the variance of a rank sum under the null hypothesis. ``difference`` is the
        mean inside minus outside, in standard deviations; ``precision`` and ``recall`` are those at the threshold with
        the highest F1, in hindsight. NaN if no or every sample is inside.
    """
    sort = _Sorted.of(column, low)
    weight = weights[sort.order]
    by_run = np.add.reduceat(weight, sort.starts)
    of_cluster = None if clusters is None else np.unique(clusters[sort.order], return_inverse=True)[1]
    found = np.full(len(inside), np.nan, MEASURES)
    before: Floats | None = None
    for place, members in enumerate(inside):
        row, chosen = found[place], members[sort.order]
        into = np.add.reduceat(weight * chosen, sort.starts)
        m, n = int(into.sum()), int(weight.sum() - into.sum())
        row["positives"], row["negatives"], row["first"] = m, n, not place
        adds = None
        if m and n:
            out = by_run - into
            below = 2 * (np.cumsum(out) - out) + out  # twice the number outside that are lower, ties one half
            above = 2 * (m - np.cumsum(into)) + into
            row["auc"] = auc = int(into @ below) / (2 * m * n)
            row["sums"], row["ties"] = int(into @ below) + m * (m + 1), (by_run.astype(np.float64) ** 3 - by_run).sum()
            with np.errstate(divide="ignore", invalid="ignore"):  # a single sample has no variance
                inner = (below / (2 * n) - auc) / np.sqrt(m * (m - 1))
                outer = (above / (2 * m) - auc) / np.sqrt(n * (n - 1))
            adds = np.where(chosen, inner[sort.run], outer[sort.run])
            row["units_in"] = m if of_cluster is None else len(np.unique(of_cluster[chosen]))
            row["units_out"] = n if of_cluster is None else len(np.unique(of_cluster[~chosen]))
            row["units"] = m + n if of_cluster is None else of_cluster.max() + 1
            row["gain_units"] = min(row["units_in"], row["units_out"])
            row["variance"] = _squared(adds, weight, of_cluster, row["gain_units"])
            row["added"] = _added(sort, weight, chosen, by_run, of_cluster)
            _effects(row, sort.values, weight, chosen, into, by_run)
            if not place:
                row["gain"], row["gain_variance"] = auc - 0.5, row["variance"]
            elif before is not None:
                row["gain"] = auc - found["auc"][place - 1]
                others = found[place - 1]
                row["gain_units"] = min(row["gain_units"], others["units_in"], others["units_out"])
                row["gain_variance"] = _squared(adds - before, weight, of_cluster, row["gain_units"])
        before = adds
    return found


def _squared(adds: Floats, weight: Ints, of_cluster: NDArray[np.intp] | None, units: float) -> float:
    """The variance of a sum of contributions of samples, or of clusters."""
    if of_cluster is None:
        return float(weight @ adds**2)
    sums = np.bincount(of_cluster, weight * adds)
    return float(units / (units - 1) * (sums @ sums)) if units > 1 else np.nan


def _added(sort: _Sorted, weight: Ints, chosen: Bools, by_run: Ints, of_cluster: NDArray[np.intp] | None) -> float:
    """The factor by which clusters raise the variance of a rank sum under the null hypothesis: 1 without any.

    It is the ratio of Σ u² summed by clusters to that by samples, for u = (φ − its mean) · (midrank − its mean),
    centred.
    """
    if of_cluster is None:
        return 1.0
    ranks = (2 * (np.cumsum(by_run) - by_run) + by_run)[sort.run] / 2
    total = float(weight.sum())
    u = (chosen - float(weight @ chosen) / total) * (ranks - float(weight @ ranks) / total)
    u -= float(weight @ u) / total
    single = float(weight @ u**2)
    return float(np.square(np.bincount(of_cluster, weight * u)).sum()) / single if single else 1.0


def _effects(row: np.void, values: Floats, weight: Ints, chosen: Bools, into: Ints, by_run: Ints) -> None:
    """Fill in the difference of means, and precision and recall over the thresholds between runs."""
    m, n = int(into.sum()), int(by_run.sum() - into.sum())
    with np.errstate(invalid="ignore"):  # scaled so that squares neither underflow nor overflow
        values = np.nan_to_num(values / np.abs(values[[0, -1]]).max())
    mean = float(weight @ values) / (m + n)
    spread = np.sqrt(float(weight @ (values - mean) ** 2) / (m + n))
    mean_in = float((weight * chosen) @ values) / m
    with np.errstate(divide="ignore", invalid="ignore"):  # all activations are equal
        row["difference"] = (mean_in - mean) * (m + n) / n / spread
    hits, called = np.cumsum(into[::-1]), np.cumsum(by_run[::-1])
    precision = hits / called
    best = int(np.argmax(2 * hits / (called + m)))
    row["precision"], row["recall"] = precision[best], hits[best] / m
    row["average_precision"] = float(into[::-1] @ precision) / m


def p_values(rows: NDArray[np.void], clustered: bool) -> tuple[Floats, Floats]:
    """The two-sided p-values of AUCs, and their log10: the Mann-Whitney test, or a rank test by clusters."""
    if clustered:
        return cluster_test(_deviation(rows), rows["units"] - 1)
    return mann_whitney(rows["sums"], rows["positives"], rows["positives"] + rows["negatives"], rows["ties"])


def _deviation(rows: NDArray[np.void]) -> NDArray[np.float64]:
    """How many standard deviations AUCs are away from ½, for samples in clusters.

    The variance is that of an AUC of ½, as in the Mann-Whitney test, times the factor that clusters add: the variance
    of the AUC itself vanishes near 1, and p would with it. With two degrees of freedom fewer than clusters, Student's t
    is valid for as few as six clusters.
    """
    m, n = rows["positives"], rows["negatives"]
    with np.errstate(divide="ignore", invalid="ignore"):
        half = (m + n + 1 - rows["ties"] / ((m + n) * (m + n - 1))) / (12 * m * n)
        return np.asarray((rows["auc"] - 0.5) / np.sqrt(half * np.fmax(rows["added"], 1)))
