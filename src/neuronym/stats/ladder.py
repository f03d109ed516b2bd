"""A ladder of ties: neurons with many different ties share a few null distributions.

Real activations have ties: zeros of a ReLU, and equal numbers in half precision. A null distribution depends on them,
so every neuron would need one of its own. Instead, ties are broken at random until one block of equal values is left,
at the bottom or at the top, whose size is one of a few: a *rung*. If activations are unrelated to concepts, the ranks
after that are as exchangeable as before, so that p against the null of the rung is exact. What it costs is power, since
an AUC with fewer ties varies more: its variance under the null hypothesis is in proportion to
1 − Σ (t³ − t) / (N³ − N), over runs of t equal values (Lehmann 1975). Rungs are so close that the standard deviation
grows by at most 5%. A neuron of which no rung is that close keeps its own null.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["GROWTH", "Ladder"]

#: The largest factor by which breaking ties may raise the standard deviation of an AUC under the null hypothesis.
GROWTH = 1.05

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ladder:
    """The rungs for a number of samples.

    A rung is given as a whole number: the size of the block of equal values, which is negative if the block is at the
    top, and 1 if there are no ties.

    Parameters
    ----------
    n_samples : int
        N, the number of samples, at least 2.

    Examples
    --------
    >>> ladder = Ladder(10_000)
    >>> ladder.sizes[:4].tolist(), int((ladder.sizes <= 9_000).sum())
    ([1, 4531, 5619, 6333], 14)
    >>> ladder.find(np.array([5_000.0**3 - 5_000]), np.array([5_000]), np.array([1])).tolist()
    [4531]
    """

    n_samples: int

    @cached_property
    def sizes(self) -> Ints:
        """The sizes of blocks: int64 array, ascending from 1.

        The next one is the smallest block that breaking down to the last one would make vary too much.
        """
        shares = self._variance(np.arange(1, self.n_samples, dtype=np.float64) ** 3 - np.arange(1, self.n_samples))
        sizes = [1]
        while (index := int(np.searchsorted(-shares, -shares[sizes[-1] - 1] / GROWTH**2, "right"))) < len(shares):
            sizes.append(index + 1)
        return np.array(sizes, np.int64)

    def _variance(self, ties: Floats) -> Floats:
        """The null variance of an AUC, relative to that without ties."""
        n = float(self.n_samples)
        return np.asarray(1 - ties / (n**3 - n))

    def find(self, ties: Floats, bottom: Ints, top: Ints) -> Ints:
        """Find the rungs of neurons, by their ties alone.

        Parameters
        ----------
        ties : float64 array of shape (n_neurons,)
            Σ t³ − t over the runs of t equal activations.
        bottom, top : int64 arrays of shape (n_neurons,)
            How many samples have the lowest and the highest activation.

        Returns
        -------
        int64 array of shape (n_neurons,)
            The rungs; 0 for a neuron of which no rung is close enough.
        """
        most = np.maximum(bottom, top)
        size = self.sizes[np.searchsorted(self.sizes, most, "right") - 1]
        cubed = size.astype(np.float64) ** 3 - size
        close = self._variance(cubed) <= GROWTH**2 * self._variance(ties)
        return np.where(close, np.where((bottom < top) & (size > 1), -size, size), 0)

    def codes(self, rung: int) -> Ints:
        """Return a neuron of a rung: int64 array of shape (N,), ascending."""
        places = np.arange(self.n_samples, dtype=np.int64)
        return np.maximum(places, rung - 1) if rung > 0 else np.minimum(places, self.n_samples + rung)

    def order(self, column: NDArray[np.generic], seed: tuple[int, ...]) -> NDArray[np.intp]:
        """Order the samples of a neuron, those of equal activations at random.

        Parameters
        ----------
        column : real array of shape (n_samples,)
            The activations of the neuron.
        seed : tuple of int
            The seed of the random numbers, which depend on the ranks of the neuron too.

        Returns
        -------
        intp array of shape (n_samples,)
            The samples, of which the k-th has the k-th of the ``codes`` of its rung.
        """
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        ranks = np.empty(len(order), np.uint64)
        ranks[order] = np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])])
        of_ranks = int.from_bytes(hashlib.blake2b(ranks.astype(np.uint32).data, digest_size=8).digest(), "little")
        shuffled = np.random.default_rng([*seed, of_ranks]).permutation(len(order))
        keys = (ranks[shuffled] << np.uint64(32)) | np.arange(len(order), dtype=np.uint64)
        keys.sort()
        return shuffled[(keys & np.uint64(0xFFFFFFFF)).astype(np.intp)]
