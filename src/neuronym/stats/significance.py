"""Significance in closed form: tests, and adjustment for many tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.types import AnyArray

__all__ = [
    "FARTHEST",
    "FalseDiscovery",
    "benjamini_hochberg",
    "cluster_test",
    "gain_test",
    "mann_whitney",
    "normal_test",
    "pareto_tail",
]

Floats = NDArray[np.float64]

#: How far a fitted tail is extrapolated: to this share of the smallest p that the permutations can give.
FARTHEST = 1e-4


def mann_whitney(
    sums: ArrayLike, counts: ArrayLike, total: ArrayLike, ties: ArrayLike, jump: ArrayLike = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Run the two-sided Mann-Whitney U test of activations inside a formula against outside.

    By the normal approximation, corrected for ties and continuity, as in
    ``scipy.stats.mannwhitneyu(method="asymptotic")``. It is valid for a formula chosen before looking at the
    activations, and does not account for a search.

    Parameters
    ----------
    sums : int array of any shape
        Twice the sum of the midranks inside.
    counts : int array
        The number of samples inside, n, with 0 < n < total.
    total : int array
        The number of samples, N.
    ties : float array
        Σ t³ − t over the runs of t equal activations.
    jump : float array, default 1
        Twice the correction for continuity: the largest difference of neighbouring midranks, where there are ties.

    Returns
    -------
    p : float64 array
        The p-values; NaN if all activations are equal.
    log10_p : float64 array
        Their log10, which stays finite if p underflows to 0.

    Examples
    --------
    >>> p, log10_p = mann_whitney(sums=2 * (4 + 5 + 6), counts=3, total=6, ties=0)
    >>> round(float(p), 4)
    0.0809
    """
    n, doubled, all_ = (np.asarray(values, np.float64) for values in (counts, sums, total))
    u = doubled / 2 - n * (n + 1) / 2
    pairs, step = n * (all_ - n), np.asarray(jump, np.float64) / 2
    with np.errstate(divide="ignore", invalid="ignore"):  # a single sample, or equal activations
        deviation = np.sqrt(pairs / 12 * ((all_ + 1) - np.asarray(ties, np.float64) / (all_ * (all_ - 1))))
        z = np.where(deviation > 0, (np.abs(u - pairs / 2) - step) / deviation, np.nan)
    return normal_test(z)


def normal_test(z: ArrayLike) -> tuple[Floats, Floats]:
    """The two-sided p-value of a non-negative standard normal z, and its log10, which never underflows."""
    from scipy.special import log_ndtr, ndtr

    size = np.asarray(z, np.float64)
    p: AnyArray = np.minimum(2 * ndtr(-size), 1.0)
    log10_p = np.minimum((np.log(2) + log_ndtr(-size)) / np.log(10), 0.0)
    return p, log10_p


def cluster_test(t: ArrayLike, units: ArrayLike) -> tuple[Floats, Floats]:
    """Run the two-sided t test of an estimate whose variance comes from a number of units, such as clusters.

    Parameters
    ----------
    t : float array of any shape
        The estimate divided by its standard error.
    units : float array
        The number of units; Student's t has ``units`` − 1 degrees of freedom.

    Returns
    -------
    p : float64 array
        The p-values; NaN for fewer than two units.
    log10_p : float64 array
        Their log10, which stays finite if p underflows.
    """
    from scipy.special import stdtr

    size, df = np.abs(np.asarray(t, np.float64)), np.asarray(units, np.float64) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(df > 0, np.minimum(2 * stdtr(df, -size), 1.0), np.nan)
        # It underflows only for many clusters, where t is nearly normal.
        log10_p = np.where(p == 0, normal_test(size)[1], np.log10(p))
    return np.asarray(p), np.asarray(log10_p)


def gain_test(gain: ArrayLike, variance: ArrayLike, units: ArrayLike | None = None) -> Floats:
    """Test a gain in AUC, one-sided: p = P(Z ≥ gain / √variance).

    With the variance of a paired difference this is the test of DeLong, DeLong and Clarke-Pearson (1988).

    Parameters
    ----------
    gain : float array of any shape
        The gain in AUC.
    variance : float array
        The variance of the gain.
    units : float array or None, default None
        The number of clusters that the variance comes from: Z then is Student's t with one degree of freedom fewer.
        None means a standard normal Z.

    Returns
    -------
    float64 array
        The p-values: ½ for no gain, and NaN for a gain whose variance is 0, since it cannot be judged.
    """
    from scipy.special import ndtr, stdtr

    gained, spread = np.asarray(gain, np.float64), np.sqrt(np.asarray(variance, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(gained == 0, 0.0, np.where(spread > 0, gained / spread, np.nan))
        return np.asarray(ndtr(-z) if units is None else stdtr(np.asarray(units, np.float64) - 1, -z))


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjust p-values for multiple testing by the method of Benjamini and Hochberg.

    Parameters
    ----------
    p : float array of any shape
        The p-values; NaN does not count as a test.

    Returns
    -------
    float64 array of the shape of ``p``
        The adjusted p-values; NaN stays NaN.

    Examples
    --------
    >>> benjamini_hochberg([0.01, float("nan"), 0.04]).tolist()
    [0.02, nan, 0.04]
    """
    from scipy.stats import false_discovery_control

    tests = np.asarray(p, np.float64)
    known = np.isfinite(tests)
    q = np.full(tests.shape, np.nan)
    if known.any():
        q[known] = false_discovery_control(tests[known])
    return q


@dataclass(frozen=True)
class FalseDiscovery:
    """The adjustment of Benjamini and Hochberg for a large family, which does not underflow; made by ``of``.

    Parameters
    ----------
    tests : float64 array of shape (n_tests,)
        The log10 of all p-values, ascending.
    adjusted : float64 array of shape (n_tests,)
        The log10 of the adjusted p-value of each.
    """

    tests: Floats
    adjusted: Floats

    @classmethod
    def of(cls, log10_p: Floats) -> FalseDiscovery:
        """Adjust all tests of the family.

        Parameters
        ----------
        log10_p : float64 array of shape (n_tests,)
            The log10 of the p-values, in any order; it is sorted in place.

        Returns
        -------
        FalseDiscovery
            What ``q`` needs, in 16 bytes per test.
        """
        log10_p.sort()
        adjusted = np.arange(1, len(log10_p) + 1, dtype=np.float64)
        np.log10(adjusted, out=adjusted)
        np.subtract(log10_p, adjusted, out=adjusted)
        adjusted += np.log10(max(len(log10_p), 1))
        np.minimum.accumulate(adjusted[::-1], out=adjusted[::-1])
        return cls(log10_p, np.minimum(adjusted, 0.0, out=adjusted))

    def q(self, log10_p: Floats) -> Floats:
        """Look up adjusted p-values.

        Parameters
        ----------
        log10_p : float64 array of any shape
            The log10 of p-values of the family.

        Returns
        -------
        float64 array of the shape of log10_p
            The adjusted p-values; 0 if one underflows.
        """
        return np.asarray(10.0 ** self.adjusted[np.searchsorted(self.tests, log10_p, side="right") - 1])


def pareto_tail(null: ArrayLike, observed: ArrayLike, seed: int = 0) -> Floats:
    """Compute p-values of observations beyond a permutation null by fitting a generalised Pareto tail.

    As in Knijnenburg, Wessels, Reinders and Shmulevich (2009): P(excess over a threshold t) times the tail of a
    generalised Pareto distribution fitted to the excesses. It is fitted to the 250 highest values of the null, or a
    quarter of fewer than 1,000, by probability-weighted moments (Hosking and Wallis 1987), and then to fewer, down to
    30, until a Cramér-von Mises test by parametric bootstrap does not reject it at 0.05. A negative shape, of a tail
    that ends, is replaced by 0, the exponential tail of the same mean: 250 values hardly determine the end, and one
    that comes too early makes p too small by orders of magnitude.

    Parameters
    ----------
    null : float array of shape (n_permutations,)
        The statistic under the null hypothesis.
    observed : float array of any shape
        The observed values of the statistic.
    seed : int, default 0
        The seed of the parametric bootstrap.

    Returns
    -------
    float64 array of the shape of ``observed``
        The p-values; NaN if no tail fits.
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
    """The shape ξ and scale of sorted excesses (…, n) by probability-weighted moments."""
    n = excesses.shape[-1]
    mean = excesses.mean(-1)
    weighted = (excesses * (1 - (np.arange(1, n + 1) - 0.35) / n)).mean(-1)
    with np.errstate(divide="ignore", invalid="ignore"):  # all excesses are equal
        return 2 - mean / (mean - 2 * weighted), 2 * mean * weighted / (mean - 2 * weighted)


def _pareto_survival(x: Any, shape: Any, scale: Any) -> Floats:
    """P(X ≥ x) for a generalised Pareto distribution."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shape = np.asarray(shape, np.float64)
        base = np.maximum(1 + shape * x / scale, 0)
        return np.asarray(np.where(np.abs(shape) < 1e-9, np.exp(-x / scale), base ** (-1 / shape)))


def _pareto_fits(excesses: Floats, shape: float, scale: float, rng: np.random.Generator) -> bool:
    """Whether the Cramér-von Mises distance is among the lower 95% of those of 199 samples from the fit."""
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
