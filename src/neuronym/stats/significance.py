"""Significance in closed form: tests, intervals, and what several of them together say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FARTHEST",
    "auc_interval",
    "benjamini_hochberg",
    "cluster_test",
    "gain_test",
    "mann_whitney",
    "normal_test",
    "pareto_tail",
    "score_interval",
]

Floats = NDArray[np.float64]

#: How far a fitted tail is followed: to this share of the smallest p that permutations give.
FARTHEST = 1e-4


def mann_whitney(
    sums: ArrayLike, counts: ArrayLike, total: ArrayLike, ties: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two-sided Mann-Whitney U test of activations inside a formula against outside, by the normal approximation.

    Corrected for ties and for continuity, as ``scipy.stats.mannwhitneyu(method="asymptotic")``. It holds for a
    formula that was chosen before looking at the activations; the best one of a search is not.

    Parameters
    ----------
    sums : int, any shape
        Twice the sum of the midranks inside.
    counts : int
        The number of samples inside, n, with 0 < n < total.
    total : int
        The number of samples, N.
    ties : float
        Σ t³ − t over the runs of t equal activations.

    Returns
    -------
    p, log10_p : float64
        log10 p stays finite where p underflows to 0. NaN where all activations are equal.

    >>> p, log10_p = mann_whitney(sums=2 * (4 + 5 + 6), counts=3, total=6, ties=0)
    >>> round(float(p), 4)
    0.0809
    """
    n, doubled, all_ = (np.asarray(given, np.float64) for given in (counts, sums, total))
    u = doubled / 2 - n * (n + 1) / 2
    pairs = n * (all_ - n)
    with np.errstate(divide="ignore", invalid="ignore"):  # a single sample, or one value for all
        deviation = np.sqrt(pairs / 12 * ((all_ + 1) - np.asarray(ties, np.float64) / (all_ * (all_ - 1))))
        z = np.where(deviation > 0, (np.maximum(u, pairs - u) - pairs / 2 - 0.5) / deviation, np.nan)
    return normal_test(z)


def normal_test(z: ArrayLike) -> tuple[Floats, Floats]:
    """The two-sided p-value of a standard normal z, given as at least 0, and its log10, which never underflows."""
    from scipy.special import log_ndtr, ndtr

    away = np.asarray(z, np.float64)
    p: NDArray[Any] = np.minimum(2 * ndtr(-away), 1.0)
    log10_p = np.minimum((np.log(2) + log_ndtr(-away)) / np.log(10), 0.0)
    return p, log10_p


def cluster_test(t: ArrayLike, units: ArrayLike) -> tuple[Floats, Floats]:
    """The two-sided p-value of Student's t with ``units`` − 1 degrees of freedom, and its log10.

    For an estimate whose variance comes from so many units. NaN for fewer than two.
    """
    from scipy.special import stdtr

    away, df = np.abs(np.asarray(t, np.float64)), np.asarray(units, np.float64) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(df > 0, np.minimum(2 * stdtr(df, -away), 1.0), np.nan)
        # It underflows for many clusters alone, where it is as good as normal.
        log10_p = np.where(p == 0, normal_test(away)[1], np.log10(p))
    return np.asarray(p), np.asarray(log10_p)


def gain_test(gain: ArrayLike, variance: ArrayLike, units: ArrayLike | None = None) -> Floats:
    """The one-sided p-value of a gain in AUC with this variance: P(Z ≥ gain / √variance).

    With the variance of a paired difference this is the test of DeLong, DeLong and Clarke-Pearson (1988). No gain has
    ½, and a gain without variance NaN, since then nothing is known. With ``units``, the number of clusters that the
    variance comes from, Z is Student's t with one degree of freedom less.
    """
    from scipy.special import ndtr, stdtr

    gained, spread = np.asarray(gain, np.float64), np.sqrt(np.asarray(variance, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(gained == 0, 0.0, np.where(spread > 0, gained / spread, np.nan))
        return np.asarray(ndtr(-z) if units is None else stdtr(np.asarray(units, np.float64) - 1, -z))


def auc_interval(
    auc: ArrayLike, variance: ArrayLike, positives: ArrayLike, negatives: ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """A confidence interval for an AUC, conditional on the formula.

    With at least 200 positives and an AUC of 0.05 to 0.95, that of DeLong on the logit scale,
    logit A ± z √variance / (A(1 − A)); elsewhere, where this covers too little, ``score_interval``.

    Parameters
    ----------
    auc, variance : float, any shape
        The AUC and its variance by DeLong.
    positives, negatives : float
        The number of samples inside and outside; of clusters, where samples come in clusters.
    """
    from scipy.special import expit, logit, ndtri

    a, var, m, n = (np.asarray(given, np.float64) for given in (auc, variance, positives, negatives))
    low, high = score_interval(a, m, n, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = ndtri((1 + level) / 2) * np.sqrt(var) / (a * (1 - a))
        smooth = (m >= 200) & (np.abs(a - 0.5) <= 0.45)
        return (
            np.where(smooth, expit(logit(a) - half), low),
            np.where(smooth, expit(logit(a) + half), high),
        )


def score_interval(
    auc: ArrayLike, positives: ArrayLike, negatives: ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """The interval of Newcombe (2006, part 2, method 5) for an AUC: all θ with (θ − A)² ≤ z² V(θ).

    V(θ) = θ(1 − θ)(2N − 1 − (3N − 3) / ((2 − θ)(1 + θ))) / (mn) for m positives, n negatives and N = (m + n) / 2 is
    the variance of Hanley and McNeil with both numbers replaced by their mean. It is never empty: an AUC of 1 has an
    interval.
    """
    from scipy.special import ndtri

    a, m, n = np.broadcast_arrays(*(np.asarray(given, np.float64) for given in (auc, positives, negatives)))
    z2, mean = ndtri((1 + level) / 2) ** 2, (m + n) / 2

    def beyond(theta: Floats) -> NDArray[np.bool_]:
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = 2 * mean - 1 - (3 * mean - 3) / ((2 - theta) * (1 + theta))
            variance = theta * (1 - theta) * spread / (m * n)
        return np.asarray((theta - a) ** 2 > z2 * variance)

    ends = []
    for edge in (0.0, 1.0):
        outside, inside = np.full(a.shape, edge), a.copy()
        for _ in range(60):  # halved until a double has no more digits
            middle = (outside + inside) / 2
            far = beyond(middle)
            outside, inside = np.where(far, middle, outside), np.where(far, inside, middle)
        # From an AUC of 0 or 1 the interval reaches to this edge.
        ends.append(np.where(np.isnan(a), np.nan, np.where(a == edge, edge, inside)))
    return ends[0], ends[1]


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """The p-values adjusted for being many, by Benjamini and Hochberg; NaN stays, and is none of them.

    >>> benjamini_hochberg([0.01, float("nan"), 0.04]).tolist()
    [0.02, nan, 0.04]
    """
    from scipy.stats import false_discovery_control

    given = np.asarray(p, np.float64)
    known = np.isfinite(given)
    q = np.full(given.shape, np.nan)
    if known.any():
        q[known] = false_discovery_control(given[known])
    return q


def pareto_tail(null: ArrayLike, observed: ArrayLike, seed: int = 0) -> Floats:
    """The p-value of observations beyond the reach of a permutation null, by a generalised Pareto tail.

    As Knijnenburg, Wessels, Reinders and Shmulevich (2009): P(excess over a threshold t) times the tail of a
    generalised Pareto distribution fitted to the excesses. It is fitted to the 250 highest values of the null, or a
    quarter where there are fewer than 1,000, by probability-weighted moments (Hosking and Wallis 1987), and then to
    fewer, down to 30, until a Cramér-von Mises test by parametric bootstrap does not reject it at 0.05. A shape below
    0, of a tail that ends, is taken as 0, the exponential tail of the same mean: from 250 values the end is hardly
    known, and one that comes too early makes p too small by orders of magnitude.

    Parameters
    ----------
    null : float, shape (n_permutations,)
    observed : float, any shape

    Returns
    -------
    p : float64
        NaN where no tail fits.
    """
    ordered = np.sort(np.asarray(null, np.float64))[::-1]
    x = np.asarray(observed, np.float64)
    rng = np.random.default_rng(seed)
    n_top = min(250, len(ordered) // 4)
    while n_top >= 30 and np.isfinite(ordered[n_top]):
        threshold = (ordered[n_top - 1] + ordered[n_top]) / 2
        excesses = np.sort(ordered[:n_top] - threshold)
        shape, scale = _pareto_fit(excesses)
        if _pareto_fits(excesses, shape, scale, rng):
            heavy = (shape, scale) if shape > 0 else (0.0, excesses.mean())
            return n_top / len(ordered) * _pareto_survival(np.maximum(x - threshold, 0), *heavy)
        n_top -= 10
    return np.full(x.shape, np.nan)


def _pareto_fit(excesses: Floats) -> tuple[Any, Any]:
    """Shape ξ and scale of sorted excesses (…, n) by probability-weighted moments."""
    n = excesses.shape[-1]
    mean = excesses.mean(-1)
    weighted = (excesses * (1 - (np.arange(1, n + 1) - 0.35) / n)).mean(-1)
    with np.errstate(divide="ignore", invalid="ignore"):  # all excesses are equal
        return 2 - mean / (mean - 2 * weighted), 2 * mean * weighted / (mean - 2 * weighted)


def _pareto_survival(x: Any, shape: Any, scale: Any) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shape = np.asarray(shape, np.float64)
        base = np.maximum(1 + shape * x / scale, 0)
        return np.asarray(np.where(np.abs(shape) < 1e-9, np.exp(-x / scale), base ** (-1 / shape)))


def _pareto_fits(excesses: Floats, shape: float, scale: float, rng: np.random.Generator) -> bool:
    """Whether Cramér and von Mises' distance is among the lower 95% of those of 199 samples from the fit."""
    n = len(excesses)
    if not (scale > 0 and np.isfinite(shape) and excesses[-1] > 0):
        return False
    uniform = rng.random((199, n))
    flat = abs(shape) < 1e-9
    drawn = np.sort(scale * (-np.log(uniform) if flat else (uniform**-shape - 1) / shape), axis=1)
    places = (2 * np.arange(1, n + 1) - 1) / (2 * n)

    def distance(values: Floats, xi: Any, sigma: Any) -> Any:
        return ((1 - _pareto_survival(values, xi, sigma) - places) ** 2).sum(-1)

    xi, sigma = _pareto_fit(drawn)
    others = distance(drawn, xi[:, np.newaxis], sigma[:, np.newaxis])
    return bool((1 + np.count_nonzero(others >= distance(excesses, shape, scale))) / 200 > 0.05)
