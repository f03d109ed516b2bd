"""Which samples may trade places when activations have nothing to do with concepts.

Frames of a video, tokens of a text, a photo and its altered copy are no independent samples: taken for such, they fake
significance. A *cluster* is a set of samples that belong together. Whole clusters are permuted, split and resampled.
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

#: What a p-value must be able to reach.
LEVEL = 0.05


@dataclass(frozen=True)
class ExchangeBlocks:
    """Which samples may trade places when activations have nothing to do with concepts.

    Parameters
    ----------
    order : int64, shape (n_rows,)
        Rows class by class, in a class cluster by cluster.
    cluster_ptr : int64, shape (n_clusters + 1,)
    class_ptr : int64, shape (n_classes + 1,)
        Clusters of one class have one size, one stratum and the same sample weights: they trade places.
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
        """The share of the rows that cannot move, since nothing is like what they belong to."""
        clusters, sizes = np.diff(self.class_ptr), np.diff(self.cluster_ptr)
        return float(sizes[self.class_ptr[:-1]][clusters == 1].sum() / len(self.order))

    @property
    def log10_arrangements(self) -> float:
        """log10 of how many ways there are to deal the clusters out."""
        return sum(math.lgamma(n + 1) for n in np.diff(self.class_ptr).tolist()) / math.log(10)


def exchange_blocks(weights: Ints, clusters: Ints | None = None, strata: Ints | None = None) -> ExchangeBlocks:
    """What may trade places: clusters of the same size, within strata, of samples with the same weights.

    Raises
    ------
    OptionError
        If clusters cross strata, or so few may trade places that no p-value can reach 0.05.
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
            f"{counted(len(crossing), 'cluster')} lie in more than one stratum: a cluster is permuted as a whole, "
            "so all of its samples must be in one"
        )
    kind = distinct_rows(np.stack([sizes, stratum[order[firsts]]], axis=1))[0]
    plain = bool((weights == weights[0]).all())
    if not plain:
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
        raise OptionError(_nothing_to_permute(found, clusters is not None, strata is not None, not plain))
    return found


def _nothing_to_permute(found: ExchangeBlocks, clusters: bool, strata: bool, weights: bool) -> str:
    unit = "clusters" if clusters else "samples"
    asked = [*["of equal size"] * clusters, *["within their stratum"] * strata, *["of equal weights"] * weights]
    only = f"only {unit} {' and '.join(asked)} trade places, and " if asked else ""
    ways = round(10**found.log10_arrangements)
    shown = f"{len(found.cluster_ptr) - 1} {unit} in {counted(len(found.class_ptr) - 1, 'class')}"
    without = [*["clusters=False (--clusters none)"] * clusters, *["no strata"] * strata, *["no weights"] * weights]
    return (
        f"almost nothing is left to permute: {only}{shown} can be dealt out in {counted(ways, 'way')} (at least 20 are "
        f"needed for p ≤ 0.05): give larger classes, or {' or '.join([*without, 'no permutations'])}"
    )
