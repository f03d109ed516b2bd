"""Significance in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["mann_whitney"]


def mann_whitney(
    sums: ArrayLike, counts: ArrayLike, total: int, ties: ArrayLike
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
    from scipy.special import log_ndtr, ndtr

    n, doubled = np.asarray(counts, np.float64), np.asarray(sums, np.float64)
    u = doubled / 2 - n * (n + 1) / 2
    pairs = n * (total - n)
    with np.errstate(divide="ignore", invalid="ignore"):  # a single sample, or one value for all
        deviation = np.sqrt(pairs / 12 * ((total + 1) - np.asarray(ties, np.float64) / (total * (total - 1))))
        z = np.where(deviation > 0, (np.maximum(u, pairs - u) - pairs / 2 - 0.5) / deviation, np.nan)
    p: NDArray[Any] = np.minimum(2 * ndtr(-z), 1.0)
    log10_p = np.minimum((np.log(2) + log_ndtr(-z)) / np.log(10), 0.0)
    return p, log10_p
