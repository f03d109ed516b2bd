"""Compiled kernels for permutation: the sums by group of a neuron whose activations are permuted among samples."""

from __future__ import annotations

import numpy as np
from numba import types

from neuronym.search.rank_kernels import array_type, kernel

_i4, _i8, _f8 = types.int32, types.int64, types.float64


@kernel(array_type(_i8, 1), array_type(_f8, 2), array_type(_i4, 2, "C", False))
def permuted_places(class_ptr, uniform, places):
    """Permute C clusters P times: ``places`` (P, C) says which cluster comes to stand where.

    Clusters stand class by class, as in ``class_ptr``, and trade places within their class by the Fisher-Yates shuffle:
    from the last to the second, each with one at or before it, drawn by ``uniform`` (P, C) in [0, 1).
    """
    for p in range(places.shape[0]):
        row = places[p]
        for c in range(row.shape[0]):
            row[c] = c
        for k in range(class_ptr.shape[0] - 1):
            first = class_ptr[k]
            for c in range(class_ptr[k + 1] - 1, first, -1):
                other = first + np.intp(uniform[p, c] * (c - first + 1))
                row[c], row[other] = row[other], row[c]


@kernel(
    array_type(_i8, 1),
    array_type(_i8, 1),
    array_type(_i8, 1),
    array_type(_i4, 2),
    array_type(_i8, 2, "C", False),
)
def permuted_sums(values, row_groups, cluster_ptr, places, sums):
    """Sum values (N,) by group (G,) after each of P permutations of clusters, into ``sums`` (P, G).

    Values and the groups of rows are ordered cluster by cluster, as in ``cluster_ptr`` (C + 1,). ``places`` (P, C) is
    that of ``permuted_places``; a cluster comes to stand in the place of one of the same size.
    """
    n_clusters = cluster_ptr.shape[0] - 1
    alone = n_clusters == values.shape[0]
    for p in range(places.shape[0]):
        for g in range(sums.shape[1]):
            sums[p, g] = 0
        if alone:
            for c in range(n_clusters):
                sums[p, row_groups[c]] += values[places[p, c]]
            continue
        for c in range(n_clusters):
            source = cluster_ptr[places[p, c]]
            for row in range(cluster_ptr[c], cluster_ptr[c + 1]):
                sums[p, row_groups[row]] += values[source]
                source += 1
