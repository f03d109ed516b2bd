"""Confidence intervals of an AUC in closed form, for independent samples and for samples in clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FEWEST_CLUSTERS", "auc_interval", "beta_interval", "cluster_interval", "score_interval"]

Floats = NDArray[np.float64]

#: Effective clusters from which on intervals were found to cover.
FEWEST_CLUSTERS = 10


def auc_interval(
    auc: ArrayLike, variance: ArrayLike, positives: ArrayLike, negatives: ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Compute a confidence interval for an AUC of independent samples, conditional on the formula.

    It is the wider, at each end, of ``score_interval``, which knows no variance but is never too narrow where all pairs
    are won, and ``beta_interval``, which knows that activations inside may spread more than those outside, or come from
    two populations.

    Parameters
    ----------
    auc, variance : float arrays of any shape
        The AUC and DeLong's variance; NaN with a single sample on a side, which leaves ``score_interval``.
    positives, negatives : float arrays
        The numbers of samples inside and outside.
    level : float, default 0.95
        The confidence level.

    Returns
    -------
    low : float64 array
        The lower end of the interval.
    high : float64 array
        The upper end of the interval.
    """
    score = score_interval(auc, positives, negatives, level)
    beta = beta_interval(auc, variance, np.fmin(positives, negatives), level)
    return np.fmin(score[0], beta[0]), np.fmax(score[1], beta[1])


def cluster_interval(
    auc: ArrayLike,
    variance: ArrayLike,
    sample_variance: ArrayLike,
    smaller: ArrayLike,
    effective: ArrayLike,
    level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Compute a confidence interval for an AUC of samples in clusters, conditional on the formula.

    It is the wider, at each end, of logit A ± t √(V k / (k − 1)) / (A(1 − A)), where Student's t has k − 1 degrees of
    freedom for k effective clusters, and ``beta_interval``, whose number of units is that of independent samples with
    this variance: m V' / V for m samples on the smaller side and the variance V' without clusters, but at least k and
    at most m. Below 10 effective clusters it may cover too little.

    Parameters
    ----------
    auc, variance : float arrays of any shape
        The AUC and its variance by clusters.
    sample_variance : float array
        DeLong's variance, as if samples were independent.
    smaller : float array
        The smaller of the numbers of samples inside and outside.
    effective : float array
        The smaller of the effective numbers of clusters inside and outside, (Σ n)² / Σ n² for clusters of n samples.
    level : float, default 0.95
        The confidence level.

    Returns
    -------
    low : float64 array
        The lower end of the interval; NaN if the variance is.
    high : float64 array
        The upper end of the interval; NaN if the variance is.
    """
    from scipy.special import expit, logit, stdtrit

    a, var, single, m, k = (np.asarray(x, np.float64) for x in (auc, variance, sample_variance, smaller, effective))
    with np.errstate(divide="ignore", invalid="ignore"):
        units = np.fmin(m, np.fmax(k, np.where(var > 0, m * single / var, k)))
        half = stdtrit(np.fmax(k - 1, 1), (1 + level) / 2) * np.sqrt(var * k / (k - 1)) / (a * (1 - a))
        low, high = expit(logit(a) - half), expit(logit(a) + half)
    beta = beta_interval(a, var, units, level)
    return np.minimum(beta[0], np.where(np.isfinite(half), low, a)), np.maximum(
        beta[1], np.where(np.isfinite(half), high, a)
    )


def beta_interval(auc: ArrayLike, variance: ArrayLike, units: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Compute an interval for an AUC from a Beta distribution, as if half a positive more were at the worst place.

    The lower end is a quantile of the Beta distribution with the mean eA / (e + ½) and the variance
    (e s² / (e + ½) + ½ e A² / (e + ½)²) / (e + 1½), for e units on the smaller side and s² = (e − 1) V. The upper end
    is that of 1 − A, turned around: where all pairs are won it is 1, and the lower end is that of half a positive.

    Parameters
    ----------
    auc, variance : float arrays of any shape
        The AUC and its variance.
    units : float array
        The number of units on the smaller side.
    level : float, default 0.95
        The confidence level.

    Returns
    -------
    low : float64 array
        The lower end of the interval; NaN if the variance is.
    high : float64 array
        The upper end of the interval; NaN if the variance is.
    """
    a, var, e = np.broadcast_arrays(*(np.asarray(values, np.float64) for values in (auc, variance, units)))
    low, below = (_beta_end(side, var, e, (1 - level) / 2) for side in (a, 1 - a))
    return np.minimum(low, a), np.maximum(1 - below, a)


def _beta_end(a: Floats, variance: Floats, e: Floats, tail: float) -> Floats:
    """The lower end of the interval; 0 where no Beta distribution has so large a variance."""
    from scipy.special import betaincinv

    mean = e * a / (e + 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (e * variance * (e - 1) / (e + 0.5) + 0.5 * e * a**2 / (e + 0.5) ** 2) / (e + 1.5)
        total = mean * (1 - mean) / spread - 1
        known = (mean > 0) & (total > 0)
        end = betaincinv(np.where(known, mean * total, 1.0), np.where(known, (1 - mean) * total, 1.0), tail)
    return np.where(known, end, np.where(np.isnan(a) | np.isnan(variance), np.nan, 0.0))


def score_interval(
    auc: ArrayLike, positives: ArrayLike, negatives: ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Compute Newcombe's confidence interval for an AUC (2006, part 2, method 5): all θ with (θ − A)² ≤ z² V(θ).

    V(θ) = θ(1 − θ)(2N − 1 − (3N − 3) / ((2 − θ)(1 + θ))) / (mn) for m positives, n negatives and N = (m + n) / 2 is
    the variance of Hanley and McNeil with both numbers replaced by their mean. The interval is never empty, not even
    for an AUC of 1.

    Parameters
    ----------
    auc : float array of any shape
        The AUC.
    positives, negatives : float arrays
        The numbers of samples inside and outside, or of clusters if samples come in clusters.
    level : float, default 0.95
        The confidence level.

    Returns
    -------
    low : float64 array
        The lower end of the interval; NaN if the AUC is.
    high : float64 array
        The upper end of the interval; NaN if the AUC is.
    """
    from scipy.special import ndtri

    a, m, n = np.broadcast_arrays(*(np.asarray(values, np.float64) for values in (auc, positives, negatives)))
    z2, mean = ndtri((1 + level) / 2) ** 2, (m + n) / 2

    def beyond(theta: Floats) -> NDArray[np.bool_]:
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = 2 * mean - 1 - (3 * mean - 3) / ((2 - theta) * (1 + theta))
            variance = theta * (1 - theta) * spread / (m * n)
        return np.asarray((theta - a) ** 2 > z2 * variance)

    ends = []
    for edge in (0.0, 1.0):
        outside, inside = np.full(a.shape, edge), a.copy()
        for _ in range(60):  # bisect down to the precision of a double
            middle = (outside + inside) / 2
            far = beyond(middle)
            outside, inside = np.where(far, middle, outside), np.where(far, inside, middle)
        # For an AUC of 0 or 1 the interval extends to this edge.
        ends.append(np.where(np.isnan(a), np.nan, np.where(a == edge, edge, inside)))
    return ends[0], ends[1]
