"""How well a neuron detects given formulas on given samples: AUC with its variance, and effect sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.stats.intervals import auc_interval, cluster_interval
from neuronym.stats.significance import cluster_test, gain_test, normal_test

__all__ = ["MEASURES", "confidence_intervals", "measure", "p_gains", "p_values"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_NAMES = (
    *("auc", "variance", "sample_variance", "first", "gain", "gain_variance", "gain_units", "gain_count"),
    *("gain_idle", "gain_idle_variance"),
    *("positives", "negatives", "units", "units_in", "units_out", "effective", "added"),
    *("pairs", "excess", "spread", "jump"),
    *("difference", "precision", "recall", "average_precision", "f1", "f1_threshold"),
)
MEASURES = np.dtype([(name, np.float64) for name in _NAMES])

FEWEST_POSITIVES = 10  #: with fewer samples inside or outside, the test of a gain rejects too often


@dataclass(frozen=True)
class _Sorted:
    """Activations in ascending order, stratum by stratum.

    ``order`` and ``values`` are samples and their activations, ``run`` is the run of ties of each and ``starts`` where
    runs start; ``of_run`` is the stratum of each run, numbered in this order, and ``firsts`` its first run.
    """

    order: NDArray[np.intp]
    values: Floats
    run: NDArray[np.intp]
    starts: NDArray[np.intp]
    of_run: NDArray[np.intp]
    firsts: NDArray[np.intp]

    @classmethod
    def of(cls, column: NDArray[np.generic], low: bool, strata: Ints | None = None) -> _Sorted:
        order = np.argsort(column, kind="stable") if strata is None else np.lexsort((column, strata))
        ordered = column[order]
        fresh, new = np.ones((2, len(ordered)), np.bool_)
        new[1:] = False if strata is None else np.diff(strata[order]) != 0
        fresh[1:] = new[1:] | (ordered[1:] != ordered[:-1])
        values = ordered.astype(np.float64)
        if low:  # reversed instead of negated, since the negative of an integer may overflow
            order, values = order[::-1], -values[::-1]
            fresh, new = (np.concatenate([[True], changes[:0:-1]]) for changes in (fresh, new))
        starts = np.flatnonzero(fresh)
        of_run = np.cumsum(new[starts]) - 1
        return cls(order, values, np.cumsum(fresh) - 1, starts, of_run, np.flatnonzero(new[starts]))

    @cached_property
    def stratum(self) -> NDArray[np.intp]:
        """The stratum of each sample."""
        return self.of_run[self.run]

    def before(self, by_run: Ints) -> Ints:
        """Sum what comes before each run in its stratum."""
        total = np.cumsum(by_run) - by_run
        return np.asarray(total - total[self.firsts][self.of_run])

    def by_stratum(self, by_run: NDArray[Any]) -> NDArray[Any]:
        """Sum over the runs of each stratum."""
        return np.add.reduceat(by_run, self.firsts)


@dataclass(frozen=True)
class _Ranked:
    """The midranks of a neuron within strata, and what else does not depend on the formula.

    ``weight`` is that of each sample, in sorted order, and ``totals`` is N of each stratum. ``scale`` is what ranks of
    a stratum are multiplied by, van Elteren's 1 / (N + 1) times the largest N + 1: without strata it is 1. ``ranks``
    are scaled, as are the largest differences ``jumps`` of neighbouring midranks of each stratum; ``ties`` is Σ t³ − t.
    """

    sort: _Sorted
    weight: Ints
    by_run: Ints
    totals: Ints
    scale: Floats
    ranks: Floats
    ties: Floats
    jumps: Floats

    @classmethod
    def of(cls, sort: _Sorted, weight: Ints) -> _Ranked:
        by_run = np.add.reduceat(weight, sort.starts)
        totals = sort.by_stratum(by_run)
        scale = (totals.max() + 1) / (totals + 1)
        of_runs = (sort.before(by_run) + by_run / 2 + 0.5) * scale[sort.of_run]
        steps = np.diff(of_runs, prepend=0)
        steps[sort.firsts] = 0
        ties = sort.by_stratum(by_run.astype(np.float64) ** 3 - by_run)
        jumps = np.maximum.reduceat(steps, sort.firsts)
        return cls(sort, weight, by_run, totals, scale, of_runs[sort.run], ties, jumps)


@dataclass(frozen=True)
class _Units:
    """What is taken to be independent: the parts that strata cut clusters into, and the clusters of these parts.

    ``part`` is the part of each sample; ``stratum`` and ``cluster`` are those of each part. ``island`` is a number for
    each cluster that those have in common which share strata, directly or by way of others.
    """

    part: NDArray[np.intp]
    stratum: NDArray[np.intp]
    cluster: NDArray[np.intp]
    island: NDArray[np.intp]

    @classmethod
    def of(cls, clusters: Ints, stratum: NDArray[np.intp]) -> _Units:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        of_cluster = np.unique(clusters, return_inverse=True)[1]
        n_clusters, n_strata = int(of_cluster.max()) + 1, int(stratum.max()) + 1
        if n_strata == 1:
            zeros = np.zeros(n_clusters, np.intp)
            return cls(of_cluster, zeros, np.arange(n_clusters), zeros)
        codes, part = np.unique(stratum * n_clusters + of_cluster, return_inverse=True)
        own, cluster = np.divmod(codes, n_clusters)
        size = n_clusters + n_strata
        meets = coo_array((np.ones(len(codes)), (cluster, n_clusters + own)), shape=(size, size))
        island = connected_components(meets, directed=False)[1][:n_clusters]
        return cls(part, own, cluster, island.astype(np.intp))

    def sums(self, values: NDArray[Any]) -> Floats:
        """Sum values of samples over parts."""
        return np.asarray(np.bincount(self.part, values, len(self.stratum)), np.float64)

    def by_cluster(self, of_parts: Floats) -> Floats:
        """Sum values of parts over clusters."""
        return np.asarray(np.bincount(self.cluster, of_parts), np.float64)

    def split(self, inside: Bools) -> _Units:
        """Cut each stratum in two: outside and inside a formula."""
        twice = np.repeat(2 * self.stratum, 2)
        twice[1::2] += 1
        return _Units(2 * self.part + inside, twice, np.repeat(self.cluster, 2), self.island)


def measure(
    column: NDArray[np.generic],
    inside: Bools,
    weights: Ints,
    clusters: Ints | None = None,
    low: bool = False,
    strata: Ints | None = None,
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

    With strata, samples are compared within their stratum alone. The AUC is Σ w A / Σ w over the AUCs A of strata with
    van Elteren's weights (1960), w = mn / (N + 1) for m of N samples inside and n outside: those of the rank test with
    the highest power where strata have the same shift. A stratum without samples on one side has no part in it.
    Contributions are those within strata, times w / Σ w. In a stratum with a single sample (or cluster) on a side, that
    one is compared with the AUC of the other strata, and nothing else contributes.

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
    strata : int64 array of shape (n_samples,) or None, default None
        The stratum of each sample; None means a single stratum.

    Returns
    -------
    structured array of dtype ``MEASURES`` and shape (n_formulas,)
        ``gain`` and its variance are relative to the previous formula, and to an AUC of ½ for the ``first``;
        ``gain_idle`` and ``gain_idle_variance`` are its mean and variance if activations are exchangeable, within
        strata, among the samples inside the previous formula, and among those outside. ``positives`` and ``negatives``
        are the numbers of samples inside and outside; with strata, the effective numbers (Σ g)² / Σ g² for samples that
        count g. ``pairs`` is mn, ``excess`` by how much the rank sum inside exceeds its mean under the null hypothesis,
        ``spread`` its variance there, and ``jump`` the largest difference of neighbouring midranks, 1 without ties;
        with strata, sums over strata, each scaled by (the largest N + 1) / (N + 1), and the mean jump by variance.
        ``units``, ``units_in`` and ``units_out`` are the numbers of clusters (or samples) in all, with samples inside,
        and with samples outside, in strata with both sides; of ``units``, one less for each further stratum that shares
        no cluster and has several. ``effective`` is the smaller of the effective numbers (Σ n)² / Σ n² of clusters of n
        samples inside and outside. ``gain_units`` and ``gain_count`` are the smallest ``effective`` and the smallest
        number of samples of either side of both formulas of a gain. ``sample_variance`` is the variance without
        clusters, and ``added`` the factor by which clusters raise ``spread``. ``difference`` is the mean inside minus
        outside, in standard deviations; ``precision`` and ``recall`` are those at the threshold with the highest F1, in
        hindsight: strata do not matter for these. NaN if no or every sample is inside, or of each stratum for the AUC.
    """
    sort = _Sorted.of(column, low, strata)
    ranked = _Ranked.of(sort, weights[sort.order])
    units = None if clusters is None else _Units.of(clusters[sort.order], sort.stratum)
    whole = sort if strata is None else _Sorted.of(column, low)
    weight = weights[whole.order]
    by_run = np.add.reduceat(weight, whole.starts)
    found = np.full(len(inside), np.nan, MEASURES)
    before: Floats | None = None
    for place, members in enumerate(inside):
        row, chosen = found[place], members[sort.order]
        row["first"] = not place
        row["positives"], row["negatives"] = weights @ members, weights @ ~members
        if row["positives"] and row["negatives"]:
            _effects(row, whole, weight, chosen if strata is None else members[whole.order], by_run, low)
        adds = _contributions(row, ranked, chosen, units)
        if adds is not None and not place:
            row["gain"], row["gain_variance"] = row["auc"] - 0.5, row["variance"]
        elif adds is not None and before is not None:
            _gain(row, found[place - 1], ranked, chosen, inside[place - 1][sort.order], units)
            row["gain_variance"] = float(np.square(adds - before).sum())
        before = adds
    return found


def _contributions(row: np.void, ranked: _Ranked, chosen: Bools, units: _Units | None) -> Floats | None:
    """Fill in the AUC, its variance and test, and return what samples or clusters add to its deviation."""
    sort, weight = ranked.sort, ranked.weight
    into = np.add.reduceat(weight * chosen, sort.starts)
    m = sort.by_stratum(into)
    n = ranked.totals - m
    if not (m * n).any():
        return None
    out = ranked.by_run - into
    below = 2 * sort.before(out) + out  # twice the number outside that are lower, ties one half
    above = 2 * (m[sort.of_run] - sort.before(into)) - into
    twice = sort.by_stratum(into * below)
    _test(row, ranked, m, n, twice)
    share = ranked.scale * m * n / row["pairs"]
    with np.errstate(divide="ignore", invalid="ignore"):  # a stratum without, or with one sample on, a side
        aucs = np.where(m * n > 0, twice / (2 * m * n), 0)
        row["auc"] = float(share @ aucs)
        # What the AUC of a stratum with a single sample or cluster on a side adds: it is compared with other strata.
        alone = share * (aucs - row["auc"]) / (1 - share)
        run = sort.of_run
        inner = share[run] * (below / (2 * n[run]) - aucs[run]) / np.sqrt(m * (m - 1))[run]
        outer = share[run] * (above / (2 * m[run]) - aucs[run]) / np.sqrt(n * (n - 1))[run]
    sides = chosen, ~chosen
    adds = np.where(chosen, inner[sort.run], outer[sort.run])
    by_sample = _with_single(adds, sides, sort.stratum, (m, n), alone)
    _count(row, ranked, sides, units, (m, n))
    row["sample_variance"] = float(weight @ by_sample**2)
    total = by_sample * np.sqrt(weight) if units is None else _sums(adds, weight, sides, units, alone)
    row["variance"] = float(total @ total)
    row["added"] = 1.0 if units is None else _null(ranked.ranks, weight, chosen, sort.stratum, units)[2]
    return total


def _test(row: np.void, ranked: _Ranked, m: Ints, n: Ints, twice: Ints) -> None:
    """Fill in the parts of the rank test, from twice the won pairs of each stratum."""
    scale, total = ranked.scale, ranked.totals
    row["pairs"] = float(scale @ (m * n))
    row["excess"] = float(scale @ (twice / 2 - m * n / 2))
    with np.errstate(divide="ignore", invalid="ignore"):  # a single sample
        spread = m * n / 12 * ((total + 1) - ranked.ties / (total * (total - 1))) * scale**2
    spread = np.where(m * n > 0, spread, 0)
    row["spread"] = float(spread.sum())
    row["jump"] = float((spread / row["spread"]) @ ranked.jumps) if row["spread"] > 0 else 0.0


def _with_single(
    adds: Floats, sides: Sequence[Bools], stratum: NDArray[np.intp], numbers: Sequence[Ints], alone: Floats
) -> Floats:
    """Replace what samples (or parts) add in strata with a single one on a side; nothing in those without any."""
    both, single = np.fmin(*numbers) > 0, np.fmin(*numbers) == 1
    if both.all() and not single.any():
        return adds
    of_side = np.where((numbers[0] == 1)[stratum], *sides)
    rest: Floats = np.where(single[stratum] & of_side, alone[stratum], 0)
    return np.where((both & ~single)[stratum], adds, rest)


def _count(
    row: np.void, ranked: _Ranked, sides: Sequence[Bools], units: _Units | None, numbers: Sequence[Ints]
) -> None:
    """Fill in the numbers of samples and clusters on both sides of a formula."""
    sizes, effective, clusters = [], [], []
    for side, own, others in zip(sides, numbers, reversed(numbers), strict=True):
        counts = ranked.scale * others / (ranked.scale * others).max()  # how much a sample of each stratum counts
        sizes.append(float((counts @ own) ** 2 / (counts**2 @ own)))
        if units is not None:
            of_cluster = units.by_cluster(units.sums(ranked.weight * side) * counts[units.stratum])
            clusters.append(of_cluster > 0)
            effective.append(float(of_cluster.sum() ** 2 / (of_cluster @ of_cluster)))
    row["positives"], row["negatives"] = sizes
    row["units_in"], row["units_out"] = [of_side.sum() for of_side in clusters] or sizes
    row["units"] = sum(sizes)
    if units is not None:
        used = clusters[0] | clusters[1]
        of_island = np.unique(units.island[used], return_counts=True)[1]
        row["units"] = np.maximum(of_island - 1, 1).sum() + 1
    row["effective"] = row["gain_units"] = min(effective or sizes)
    row["gain_count"] = min(sizes)


def _sums(adds: Floats, weight: Ints, sides: Sequence[Bools], units: _Units, alone: Floats) -> Floats:
    """What clusters add to the deviation of an AUC, each compared with the other clusters; NaN for one cluster."""
    total: Floats = np.zeros(len(units.stratum))
    parts, numbers = [], []
    for side in sides:
        sizes = units.sums(weight * side)
        parts.append(sizes > 0)
        n = np.bincount(units.stratum, sizes, len(alone))[units.stratum]
        numbers.append(np.bincount(units.stratum[sizes > 0], minlength=len(alone)))
        k = numbers[-1][units.stratum]
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.sqrt((n - 1) / n * (k - 1) / k) / (1 - sizes / n)
            total = total + np.where(sizes > 0, units.sums(weight * adds * side) * scale, 0)
    return units.by_cluster(_with_single(total, parts, units.stratum, numbers, alone))


def _gain(row: np.void, others: np.void, ranked: _Ranked, chosen: Bools, within: Bools, units: _Units | None) -> None:
    """Fill in the gain over another formula, and what an idle literal would gain."""
    row["gain"] = row["auc"] - others["auc"]
    row["gain_units"] = min(row["effective"], others["effective"])
    row["gain_count"] = min(row["gain_count"], others["positives"], others["negatives"])
    parts = None if units is None else units.split(within)
    stratum = ranked.sort.stratum
    mean, null, added = _null(ranked.ranks, ranked.weight, chosen, 2 * stratum + within, parts, 2)
    m = np.bincount(stratum, ranked.weight * chosen)
    row["gain_idle"] = (mean - ranked.scale @ (m * (m + 1) / 2)) / row["pairs"] - others["auc"]
    row["gain_idle_variance"] = null * added / row["pairs"] ** 2


def _null(
    ranks: Floats, weight: Ints, chosen: Bools, stratum: NDArray[np.intp], units: _Units | None, n_sides: int = 1
) -> tuple[float, float, float]:
    """The mean and variance of a rank sum if ranks are exchangeable within strata; the factor that clusters add to it.

    The factor is the ratio of Σ u² summed by clusters to that by samples, for u = (φ − its mean) · (rank − its mean),
    where the means are those of the other clusters of the stratum: the mean of all would follow a large cluster.
    Strata are numbered so that s and s + ``n_sides`` are of the same side of a formula.
    """
    total, k, rank_sum = (np.bincount(stratum, values) for values in (weight, weight * chosen, weight * ranks))
    mean = rank_sum / np.maximum(total, 1)
    away, centre = ranks - mean[stratum], float(k @ mean)
    moving = (k > 0) & (k < total)  # else all or none of the stratum are inside: nothing can change
    with np.errstate(divide="ignore", invalid="ignore"):
        by_stratum = k * (total - k) / (total * (total - 1)) * np.bincount(stratum, weight * away**2)
        phi = chosen - (k / total)[stratum]
    variance = float(by_stratum[moving].sum())
    single = float(weight @ np.where(moving[stratum], phi * away, 0) ** 2)
    if units is None or not single:
        return centre, variance, 1.0
    own, inner, outer, both = (
        units.sums(values) for values in (weight, weight * chosen, weight * away, weight * chosen * away)
    )
    of_part = np.minimum(units.stratum, len(total) - 1)  # parts without samples may be of strata beyond the last
    rest = np.where(own < total[of_part], total[of_part] - own, np.inf)  # a part that is the stratum has no others
    phi_mean, rank_mean = (k[of_part] - inner) / rest, -outer / rest
    within = both - inner * outer / np.maximum(own, 1)  # what samples add that differ from the mean of their part
    between = both - phi_mean * outer - rank_mean * inner + own * phi_mean * rank_mean - within
    parts = within + between * _shrink(units, own > 0, n_sides)
    sums = units.by_cluster(np.where(moving[of_part] & (own > 0), parts, 0))
    return centre, variance, float(sums @ sums) / single


def _shrink(units: _Units, used: Bools, n_sides: int) -> Floats:
    """What the mean of each part adds to a rank sum is multiplied by this, since comparing with others spreads it.

    Where k clusters are equal, the square of what they contribute, each compared with the others, is (k / (k − 1))³
    times too large. That is little for all clusters, but 8 times for 2 in a stratum, so it is made that of all.
    """
    n_strata = int(units.stratum.max()) + 1
    if n_strata <= n_sides:
        return np.ones(len(units.stratum))
    side = units.stratum % n_sides
    distinct = np.unique(side[used] + n_sides * units.cluster[used])  # a cluster may have parts in several strata
    every = np.bincount(distinct % n_sides, minlength=n_sides)[side]
    k = np.bincount(units.stratum[used], minlength=n_strata)[units.stratum]
    shares = (k - 1) / np.maximum(k, 1) / np.maximum((every - 1) / np.maximum(every, 1), 0.5)
    return np.asarray(np.where(k > 1, np.maximum(shares, 0), 1) ** 1.5)


def _effects(row: np.void, sort: _Sorted, weight: Ints, chosen: Bools, by_run: Ints, low: bool) -> None:
    """Fill in the difference of means, and the highest F1 over the thresholds between runs, with its numbers."""
    values, into = sort.values, np.add.reduceat(weight * chosen, sort.starts)
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
    f1 = 2 * hits / (called + m)
    best = int(np.argmax(f1))
    row["precision"], row["recall"], row["f1"] = precision[best], hits[best] / m, f1[best]
    row["f1_threshold"] = sort.values[sort.starts[::-1][best]] * (-1 if low else 1)
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
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(rows["excess"]) - rows["jump"] / 2
        sd = np.sqrt(rows["spread"])
        if not clustered:
            return normal_test(np.where(sd > 0, away / sd, np.nan))
        enough = (rows["units_in"] > 1) & (rows["units_out"] > 1)
        t = np.where(enough, np.fmax(away, 0) / (sd * np.sqrt(rows["added"])), np.nan)
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
        step = rows["jump"] / (2 * rows["pairs"])
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
