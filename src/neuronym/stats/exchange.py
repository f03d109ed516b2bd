"""Which samples are exchangeable if activations are unrelated to concepts.

Frames of a video, tokens of a text, or a photo and its altered copy are not independent samples; treated as if they
were, they fake significance. A *cluster* is a set of samples that belong together. Whole clusters are permuted, split
and resampled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import counted
from neuronym.data.groups import distinct_rows
from neuronym.errors import OptionError

__all__ = ["LEVEL", "ExchangeBlocks", "exchange_blocks"]

Ints = NDArray[np.int64]

#: The level that a p-value must be able to reach.
LEVEL = 0.05


@dataclass(frozen=True)
class ExchangeBlocks:
    """Which samples are exchangeable if activations are unrelated to concepts.

    Clusters of one class have the same size, stratum and sample weights: they may trade places.

    Parameters
    ----------
    order : int64 array of shape (n_rows,)
        The rows, class by class and, within a class, cluster by cluster.
    cluster_ptr : int64 array of shape (n_clusters + 1,)
        Where each cluster begins and ends in ``order``.
    class_ptr : int64 array of shape (n_classes + 1,)
        Where each class begins and ends among the clusters.
    """

    order: Ints
    cluster_ptr: Ints
    class_ptr: Ints

    @property
    def free(self) -> bool:
        """Whether every sample may trade places with every other."""
        return len(self.class_ptr) == 2 and len(self.cluster_ptr) == len(self.order) + 1

    @property
    def fixed(self) -> float:
        """The share of rows that cannot move, since their cluster is the only one of its class."""
        clusters, sizes = np.diff(self.class_ptr), np.diff(self.cluster_ptr)
        return float(sizes[self.class_ptr[:-1]][clusters == 1].sum() / len(self.order))

    @property
    def log10_arrangements(self) -> float:
        """The log10 of the number of distinct permutations of the clusters."""
        return sum(math.lgamma(n + 1) for n in np.diff(self.class_ptr).tolist()) / math.log(10)


def exchange_blocks(weights: Ints, clusters: Ints | None = None, strata: Ints | None = None) -> ExchangeBlocks:
    """Find which clusters may trade places: those of equal size, in one stratum, with equal sample weights.

    Parameters
    ----------
    weights : int64 array of shape (n_rows,)
        The sample weights.
    clusters : int64 array of shape (n_rows,) or None, default None
        The cluster of each row; None means that each is a cluster of its own.
    strata : int64 array of shape (n_rows,) or None, default None
        The stratum of each row; None means a single stratum.

    Returns
    -------
    ExchangeBlocks
        The rows by class and cluster.

    Raises
    ------
    OptionError
        If clusters cross strata, or there are too few permutations for a p-value of 0.05.
    """
    n_rows = len(weights)
    of_row = np.arange(n_rows) if clusters is None else clusters
    order = np.lexsort((np.arange(n_rows), weights, of_row))
    firsts = np.flatnonzero(np.diff(of_row[order], prepend=-1))
    sizes = np.diff(firsts, append=n_rows)
    stratum = np.zeros(n_rows, np.int64) if strata is None else strata
    crossing = np.flatnonzero(
        np.maximum.reduceat(stratum[order], firsts) != np.minimum.reduceat(stratum[order], firsts)
    )
    if len(crossing):
        raise OptionError(
            f"{counted(len(crossing), 'cluster')} in more than one stratum: a cluster is permuted as a whole, so all "
            "of its samples must be in the same stratum"
        )
    kind = distinct_rows(np.stack([sizes, stratum[order[firsts]]], axis=1))[0]
    equal_weights = bool((weights == weights[0]).all())
    if not equal_weights:
        profiles: dict[bytes, int] = {}
        ends = (firsts + sizes).tolist()
        profile = [
            profiles.setdefault(weights[order[first:end]].tobytes(), len(profiles))
            for first, end in zip(firsts.tolist(), ends, strict=True)
        ]
        kind = distinct_rows(np.stack([kind, np.array(profile, np.int64)], axis=1))[0]
    found = ExchangeBlocks(
        order[np.argsort(np.repeat(kind, sizes), kind="stable")],
        np.concatenate([[0], np.cumsum(sizes[np.argsort(kind, kind="stable")])]),
        np.concatenate([[0], np.cumsum(np.bincount(kind))]),
    )
    if found.log10_arrangements < -math.log10(LEVEL):
        raise OptionError(_nothing_to_permute(found, clusters is not None, strata is not None, not equal_weights))
    return found


def _nothing_to_permute(found: ExchangeBlocks, clusters: bool, strata: bool, weights: bool) -> str:
    """The message for too few permutations, with what restricts them and the remedies."""
    unit = "clusters" if clusters else "samples"
    limits = [*["of equal size"] * clusters, *["within their stratum"] * strata, *["of equal weights"] * weights]
    only = f"only {unit} {' and '.join(limits)} trade places, and " if limits else ""
    ways = round(10**found.log10_arrangements)
    size = f"{len(found.cluster_ptr) - 1} {unit} in {counted(len(found.class_ptr) - 1, 'class')}"
    without = [*["clusters=False (--clusters none)"] * clusters, *["no strata"] * strata, *["no weights"] * weights]
    return (
        f"almost nothing is left to permute: {only}{size} can be arranged in {counted(ways, 'way')} (at least 20 are "
        f"needed for p ≤ 0.05): use larger classes, or {' or '.join([*without, 'no permutations'])}"
    )
