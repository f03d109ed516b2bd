"""Paired tests: how a neuron differs between the samples of a cluster of which a concept is true and the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.stats.significance import normal_test
from neuronym.types import AnyArray

__all__ = ["FEWEST", "Pairs", "sign_flips", "signed_rank"]

Floats = NDArray[np.float64]

FEWEST = 6  # pairs with which a two-sided test can reach 0.05: 2 / 2⁶ = 0.031
_EXACT = 50  # pairs that differ up to which the distribution of signed ranks is exact
_FLIPS = 512  # permutations at a time


@dataclass(frozen=True)
class Pairs:
    """The clusters with samples both inside and outside a formula; made by ``of``.

    Parameters
    ----------
    inside, outside : scipy.sparse.csr_array of shape (n_pairs, n_samples)
        Matrices that average the samples of each cluster inside and outside.
    """

    inside: Any
    outside: Any

    @classmethod
    def of(cls, inside: NDArray[np.bool_], clusters: NDArray[np.int64] | None) -> Pairs:
        """Pair the samples of each cluster inside with those outside.

        Parameters
        ----------
        inside : bool array of shape (n_samples,)
            Which samples are inside the formula.
        clusters : int64 array of shape (n_samples,) or None
            The cluster of each sample; without clusters there are no pairs.

        Returns
        -------
        Pairs
            One pair per cluster with samples on both sides; several samples on a side count by their mean.
        """
        from scipy.sparse import csr_array

        n_rows = len(inside)
        if clusters is None:
            return cls(csr_array((0, n_rows)), csr_array((0, n_rows)))
        sizes = [np.bincount(clusters[side], minlength=int(clusters.max()) + 1) for side in (inside, ~inside)]
        both = np.flatnonzero((sizes[0] > 0) & (sizes[1] > 0))
        place = np.full(len(sizes[0]), -1)
        place[both] = np.arange(len(both))
        means = []
        for side, size in zip((inside, ~inside), sizes, strict=True):
            rows = np.flatnonzero(side & (place[clusters] >= 0))
            of = clusters[rows]
            means.append(csr_array((1 / size[of], (place[of], rows)), shape=(len(both), n_rows)))
        return cls(*means)

    def __len__(self) -> int:
        return int(self.inside.shape[0])

    def means(self, values: AnyArray) -> tuple[Floats, Floats]:
        """Average values over each side of each pair.

        Parameters
        ----------
        values : real array of shape (n_samples, n_neurons)
            The activations.

        Returns
        -------
        outside : float64 array of shape (n_pairs, n_neurons)
            The means outside the formula.
        inside : float64 array of shape (n_pairs, n_neurons)
            The means inside the formula.
        """
        numbers = values.astype(np.float64)
        return np.asarray(self.outside @ numbers), np.asarray(self.inside @ numbers)

    def differences(self, values: AnyArray) -> Floats:
        """Compute the difference of each pair, inside minus outside.

        Parameters
        ----------
        values : real array of shape (n_samples, n_neurons)
            The activations.

        Returns
        -------
        float64 array of shape (n_pairs, n_neurons)
            The differences of the means.
        """
        before, after = self.means(values)
        return after - before


def signed_rank(differences: Floats) -> tuple[Floats, Floats]:
    """Run Wilcoxon's signed-rank test on each column, two-sided, without pairs that do not differ.

    Exact up to 50 pairs that differ, given their ties, and by the normal approximation of ``scipy.stats.wilcoxon`` for
    more.

    Parameters
    ----------
    differences : float64 array of shape (n_pairs, n_neurons)
        The difference of each pair.

    Returns
    -------
    p : float64 array of shape (n_neurons,)
        The p-values; 1 if no pair differs.
    log10_p : float64 array of shape (n_neurons,)
        Their log10, which stays finite if p underflows.
    """
    from scipy.stats import rankdata, wilcoxon

    p, log10_p = np.ones(differences.shape[1]), np.zeros(differences.shape[1])
    moved = np.count_nonzero(differences, axis=0)
    known: dict[bytes, Floats] = {}
    for j in np.flatnonzero((moved > 0) & (moved <= _EXACT)):
        column = differences[differences[:, j] != 0, j]
        doubled = np.rint(2 * rankdata(np.abs(column))).astype(np.int64)
        key = np.sort(doubled).tobytes()
        if key not in known:
            known[key] = _sums_of_signs(doubled)
        at, law = int(doubled[column > 0].sum()), known[key]
        p[j] = min(1.0, 2 * min(law[: at + 1].sum(), law[at:].sum()))
        log10_p[j] = np.log10(p[j])
    rest = moved > _EXACT
    if rest.any():
        found: Any = wilcoxon(differences[:, rest], axis=0, method="approx")
        p[rest], log10_p[rest] = normal_test(np.abs(np.asarray(found.zstatistic)))
    return p, log10_p


def _sums_of_signs(ranks: NDArray[np.int64]) -> Floats:
    """The probability of each sum of the ranks that are positive, if each is with probability ½."""
    law = np.zeros(int(ranks.sum()) + 1)
    law[0] = 1.0
    for rank in ranks.tolist():
        law[rank:] = law[rank:] / 2 + law[: len(law) - rank] / 2
        law[:rank] /= 2
    return law


def sign_flips(differences: Floats, permutations: int, seed: int) -> Floats:
    """Test the mean of each column by flipping the signs of pairs at random, two-sided.

    p is P(``|Σ ±d|`` ≥ ``|Σ d|``): (1 + b) / (1 + permutations) if b random flips reach the observed sum, or exact over
    all flips if there are no more than ``permutations``. All columns share the flips, so dependence between neurons is
    preserved.

    Parameters
    ----------
    differences : float64 array of shape (n_pairs, n_neurons)
        The difference of each pair.
    permutations : int
        The number of random flips.
    seed : int
        The seed of the random numbers.

    Returns
    -------
    float64 array of shape (n_neurons,)
        The p-values.
    """
    n_pairs = len(differences)
    observed = np.abs(differences.sum(axis=0)) * (1 - 1e-12)  # tolerates rounding of sums in another order
    every = n_pairs < 63 and 2**n_pairs <= permutations
    total = 2**n_pairs if every else permutations
    rng = np.random.default_rng([3, seed])
    reached = np.zeros(differences.shape[1], np.int64)
    for start in range(0, total, _FLIPS):
        n_now = min(_FLIPS, total - start)
        if every:
            bits = (np.arange(start, start + n_now)[:, np.newaxis] >> np.arange(n_pairs)) & 1
        else:
            bits = rng.integers(0, 2, (n_now, n_pairs))
        reached += (np.abs((2.0 * bits - 1) @ differences) >= observed).sum(axis=0)
    return reached / total if every else (1 + reached) / (1 + total)
