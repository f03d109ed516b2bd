"""How well a neuron detects given formulas on given samples: AUC with its variance, and effect sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.stats.intervals import auc_interval, cluster_interval
from neuronym.stats.significance import cluster_test, gain_test, mann_whitney

__all__ = ["MEASURES", "confidence_intervals", "measure", "p_gains", "p_values"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_NAMES = (
    *("auc", "variance", "sample_variance", "first", "gain", "gain_variance", "gain_units", "gain_count"),
    *("gain_idle", "gain_idle_variance"),
    *("positives", "negatives", "units", "units_in", "units_out", "effective", "added", "sums", "ties", "jump"),
    *("difference", "precision", "recall", "average_precision"),
)
MEASURES = np.dtype([(name, np.float64) for name in _NAMES])

FEWEST_POSITIVES = 10  #: with fewer samples inside or outside, the test of a gain rejects too often


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
    samples are summed before squaring (Obuchowski 1997). A large cluster pulls the mean placement of its class towards
    its own, so its contribution to the class is divided by 1 − h, where h is its share of the class: it is compared
    with the mean of the other clusters. Times √((k − 1) / k) for the k clusters of the class, this is Obuchowski's
    variance with k / (k − 1) where clusters are equal, and DeLong's where each sample is a cluster.

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
        ``gain`` and its variance are relative to the previous formula, and to an AUC of ½ for the ``first``;
        ``gain_idle`` and ``gain_idle_variance`` are its mean and variance if activations are exchangeable among the
        samples inside the previous formula, and among those outside. ``sums`` is twice the sum of midranks inside,
        ``ties`` is Σ t³ − t for the Mann-Whitney test, and ``jump`` is the largest difference of neighbouring midranks:
        1 without ties. ``units``, ``units_in`` and ``units_out`` are the numbers of clusters (or samples) in all, with
        samples inside, and with samples outside; ``effective`` is the smaller of the effective numbers (Σ n)² / Σ n² of
        clusters of n samples inside and outside. ``gain_units`` and ``gain_count`` are the smallest ``effective`` and
        the smallest number of samples of either side of both formulas of a gain. ``sample_variance`` is the variance
        without clusters, and ``added`` the factor by which clusters raise the variance of a rank sum under the null
        hypothesis. ``difference`` is the mean inside minus outside, in standard deviations; ``precision`` and
        ``recall`` are those at the threshold with the highest F1, in hindsight. NaN if no or every sample is inside.
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
            _count(row, weight, chosen, of_cluster)
            by_sample = _placements(row, sort, chosen, into, by_run)
            row["sample_variance"] = float(weight @ by_sample**2)
            adds = by_sample * np.sqrt(weight) if of_cluster is None else _sums(by_sample, weight, chosen, of_cluster)
            row["variance"] = float(adds @ adds)
            ranks = (np.cumsum(by_run) - by_run / 2 + 0.5)[sort.run]
            row["jump"] = np.diff(ranks[sort.starts]).max(initial=0)
            row["added"] = 1.0 if of_cluster is None else _null(ranks, weight, chosen, [slice(None)], of_cluster)[2]
            _effects(row, sort.values, weight, chosen, into, by_run)
            if not place:
                row["gain"], row["gain_variance"] = row["auc"] - 0.5, row["variance"]
            elif before is not None:
                others, within = found[place - 1], inside[place - 1][sort.order]
                row["gain"] = row["auc"] - others["auc"]
                row["gain_units"] = min(row["effective"], others["effective"])
                row["gain_count"] = min(row["gain_count"], others["positives"], others["negatives"])
                row["gain_variance"] = float(np.square(adds - before).sum())
                mean, null, added = _null(ranks, weight, chosen, [within, ~within], of_cluster)
                row["gain_idle"] = (mean - m * (m + 1) / 2) / (m * n) - others["auc"]
                row["gain_idle_variance"] = null * added / (m * n) ** 2
        before = adds
    return found


def _count(row: np.void, weight: Ints, chosen: Bools, of_cluster: NDArray[np.intp] | None) -> None:
    """Fill in the numbers of samples and clusters on both sides of a formula."""
    m, n = row["positives"], row["negatives"]
    units, effective = [m, n], [m, n]
    if of_cluster is not None:
        sizes = [np.bincount(of_cluster, weight * side) for side in (chosen, ~chosen)]
        units = [np.count_nonzero(of_side) for of_side in sizes]
        effective = [of_side.sum() ** 2 / (of_side @ of_side) for of_side in sizes]
    row["units_in"], row["units_out"] = units
    row["units"] = m + n if of_cluster is None else of_cluster.max() + 1
    row["effective"] = row["gain_units"] = min(effective)
    row["gain_count"] = min(m, n)


def _placements(row: np.void, sort: _Sorted, chosen: Bools, into: Ints, by_run: Ints) -> Floats:
    """Fill in the AUC, and return what a sample of each kind adds to its deviation."""
    m, n, out = int(row["positives"]), int(row["negatives"]), by_run - into
    below = 2 * (np.cumsum(out) - out) + out  # twice the number outside that are lower, ties one half
    above = 2 * (m - np.cumsum(into)) + into
    row["auc"] = auc = int(into @ below) / (2 * m * n)
    row["sums"], row["ties"] = int(into @ below) + m * (m + 1), (by_run.astype(np.float64) ** 3 - by_run).sum()
    with np.errstate(divide="ignore", invalid="ignore"):  # a single sample has no variance
        inner = (below / (2 * n) - auc) / np.sqrt(m * (m - 1))
        outer = (above / (2 * m) - auc) / np.sqrt(n * (n - 1))
    return np.asarray(np.where(chosen, inner[sort.run], outer[sort.run]))


def _sums(adds: Floats, weight: Ints, chosen: Bools, of_cluster: NDArray[np.intp]) -> Floats:
    """What clusters add to the deviation of an AUC, each compared with the other clusters; NaN for one cluster."""
    total: Floats = np.zeros(of_cluster.max() + 1)
    for side in (chosen, ~chosen):
        sizes = np.bincount(of_cluster, weight * side)
        n, k = sizes.sum(), np.count_nonzero(sizes)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.sqrt((n - 1) / n * (k - 1) / k) / (1 - sizes / n)
            total = total + np.where(sizes > 0, np.bincount(of_cluster, weight * adds * side) * scale, 0)
    return total


def _null(
    ranks: Floats, weight: Ints, chosen: Bools, strata: Sequence[Any], of_cluster: NDArray[np.intp] | None
) -> tuple[float, float, float]:
    """The mean and variance of a rank sum if ranks are exchangeable within strata; the factor that clusters add to it.

    The factor is the ratio of Σ u² summed by clusters to that by samples, for u = (φ − its mean) · (rank − its mean),
    where the means are those of the other clusters of the stratum: the mean of all would follow a large cluster.
    """
    centre = variance = single = 0.0
    sums = np.zeros(0 if of_cluster is None else of_cluster.max() + 1)
    for stratum in strata:
        w, phi, rank = weight[stratum], chosen[stratum], ranks[stratum]
        total, k, mean = int(w.sum()), int(w @ phi), float(w @ rank) / max(1, int(w.sum()))
        centre += k * mean
        if not 0 < k < total:
            continue  # all or none of the stratum are inside: nothing can change
        variance += k * (total - k) / (total * (total - 1)) * float(w @ (rank - mean) ** 2)
        single += float(w @ ((phi - k / total) * (rank - mean)) ** 2)
        if of_cluster is not None:
            of_rows, rank = of_cluster[stratum], rank - mean
            own, inner, outer, both = (
                np.bincount(of_rows, values, len(sums)) for values in (w, w * phi, w * rank, w * phi * rank)
            )
            rest = np.where(own < total, total - own, np.inf)  # a cluster that is the whole stratum has no others
            phi_mean, rank_mean = (k - inner) / rest, -outer / rest
            sums += both - phi_mean * outer - rank_mean * inner + own * phi_mean * rank_mean
    if of_cluster is None or not single:
        return centre, variance, 1.0
    return centre, variance, float(sums @ sums) / single


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
    """Test AUCs against ½, two-sided: by the Mann-Whitney test, or a rank test by clusters.

    The correction for continuity is half of the largest difference of neighbouring midranks, ½ without ties: where most
    activations are equal, as after a ReLU, a rank sum moves in steps of about that size. For two values this is Yates's
    correction.

    With clusters, the variance is that of an AUC of ½, as in the Mann-Whitney test, times the factor that clusters add:
    the variance of the AUC itself vanishes near 1, and p would with it. Student's t has two degrees of freedom fewer
    than there are clusters.

    Parameters
    ----------
    rows : structured array of dtype ``MEASURES`` and any shape
        The measures.
    clustered : bool
        Whether they are of samples in clusters.

    Returns
    -------
    p : float64 array
        The p-values; NaN if all activations are equal, or a side has a single cluster.
    log10_p : float64 array
        Their log10, which stays finite if p underflows.
    """
    m, n = rows["positives"], rows["negatives"]
    if not clustered:
        return mann_whitney(rows["sums"], m, m + n, rows["ties"], rows["jump"])
    with np.errstate(divide="ignore", invalid="ignore"):
        half = (m + n + 1 - rows["ties"] / ((m + n) * (m + n - 1))) / (12 * m * n)
        away = np.fmax(np.abs(rows["auc"] - 0.5) - rows["jump"] / (2 * m * n), 0)
        enough = (rows["units_in"] > 1) & (rows["units_out"] > 1)
        t = np.where(enough, away / np.sqrt(half * rows["added"]), np.nan)
    return cluster_test(t, rows["units"] - 1)


def p_gains(rows: NDArray[np.void], clustered: bool) -> Floats:
    """Test the gains of formulas over the ones before them, one-sided.

    A gain must exceed 0 and what an idle literal gains, for which activations are exchangeable among the samples inside
    the previous formula, and among those outside: an AUC below ½ by chance rises towards ½. The variance is DeLong's
    or, if it is larger, that of an idle literal, since a gain that rests on few samples may have hardly any by chance.
    Student's t has one degree of freedom fewer than the smaller side of either formula has samples, or effective
    clusters. The first formula gains over ½, which ``p_values`` tests better: the variance is 0 where all pairs are
    won.

    Parameters
    ----------
    rows : structured array of dtype ``MEASURES`` and any shape
        The measures.
    clustered : bool
        Whether they are of samples in clusters.

    Returns
    -------
    float64 array
        The p-values; NaN for a gain without variance, or with fewer than 10 samples on a side of either formula.
    """
    variance = np.fmax(rows["gain_variance"], rows["gain_idle_variance"])
    with np.errstate(divide="ignore", invalid="ignore"):
        step = rows["jump"] / (2 * rows["positives"] * rows["negatives"])
        gain = rows["gain"] - np.fmax(rows["gain_idle"], 0) - step
    p = gain_test(np.where(rows["gain"] == 0, 0, gain), variance, rows["gain_units"])
    p = np.where(rows["gain_count"] < FEWEST_POSITIVES, np.nan, p)
    two_sided = p_values(rows, clustered)[0]
    return np.where(rows["first"] == 1, np.where(rows["gain"] > 0, two_sided / 2, 1 - two_sided / 2), p)


def confidence_intervals(rows: NDArray[np.void], clustered: bool, level: float = 0.95) -> tuple[Floats, Floats]:
    """Compute the confidence intervals of AUCs, for independent samples or samples in clusters.

    Parameters
    ----------
    rows : structured array of dtype ``MEASURES`` and any shape
        The measures.
    clustered : bool
        Whether they are of samples in clusters.
    level : float, default 0.95
        The confidence level.

    Returns
    -------
    low : float64 array
        The lower ends of the intervals.
    high : float64 array
        The upper ends of the intervals.
    """
    smaller = np.fmin(rows["positives"], rows["negatives"])
    if not clustered:
        return auc_interval(rows["auc"], rows["variance"], rows["positives"], rows["negatives"], level)
    return cluster_interval(rows["auc"], rows["variance"], rows["sample_variance"], smaller, rows["effective"], level)
