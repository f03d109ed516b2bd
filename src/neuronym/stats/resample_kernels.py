"""Compiled kernel for permutation: the sums by group of a neuron whose activations are permuted among samples."""

from __future__ import annotations

import numpy as np
from numba import types

from neuronym.search.rank_kernels import array_type, kernel

_i8, _f8 = types.int64, types.float64


@kernel(
    array_type(_i8, 1),
    array_type(_i8, 1),
    array_type(_i8, 1),
    array_type(_i8, 1),
    array_type(_f8, 2),
    array_type(_i8, 1, "C", False),
    array_type(_i8, 2, "C", False),
)
def permuted_sums(values, row_groups, cluster_ptr, class_ptr, uniform, places, sums):
    """Sum values (N,) by group (G,) after each of P permutations, into ``sums`` (P, G).

    Values and the groups of rows are ordered cluster by cluster, as in ``cluster_ptr`` (C + 1,), and clusters class by
    class, as in ``class_ptr``. Clusters of a class have the same size and trade places as a whole, by the Fisher-Yates
    shuffle: from the last to the second, each with one at or before it, drawn by ``uniform`` (P, C) in [0, 1).
    ``places`` (C,) is scratch space.
    """
    n_clusters = cluster_ptr.shape[0] - 1
    for p in range(uniform.shape[0]):
        for c in range(n_clusters):
            places[c] = c
        for g in range(sums.shape[1]):
            sums[p, g] = 0
        for k in range(class_ptr.shape[0] - 1):
            first = class_ptr[k]
            for c in range(class_ptr[k + 1] - 1, first, -1):
                other = first + np.intp(uniform[p, c] * (c - first + 1))
                places[c], places[other] = places[other], places[c]
        for c in range(n_clusters):
            source = cluster_ptr[places[c]]
            for row in range(cluster_ptr[c], cluster_ptr[c + 1]):
                sums[p, row_groups[row]] += values[source]
                source += 1
