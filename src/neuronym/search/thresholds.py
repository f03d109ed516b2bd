"""Thresholds of neurons: for each neuron and concept the activation at which F1 is highest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuronym.data.sparse import column, is_csc

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from neuronym.data.groups import SampleGroups
    from neuronym.data.sparse import Block
    from neuronym.search.ranking import SortedBlock

__all__ = ["BestF1", "ConceptSums", "best_f1"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ConceptSums:
    """Some concepts of groups: sums over groups become sums over concepts; made by ``of``.

    Parameters
    ----------
    matrix : csr_array of shape (n_concepts, n_groups)
        1 where the concept is true of the group.
    ptr, shown : int64 array of shape (n_groups + 1,) and int32 array
        The concepts true of each group, as compressed rows.
    """

    matrix: csr_array
    ptr: Ints
    shown: NDArray[np.int32]

    @classmethod
    def of(cls, groups: SampleGroups, chosen: NDArray[np.intp]) -> ConceptSums:
        """Select concepts.

        Parameters
        ----------
        groups : SampleGroups
            The samples, grouped by equal concepts.
        chosen : int array of shape (n_concepts,)
            The concepts, by their place among those of the groups.

        Returns
        -------
        ConceptSums
            Of these concepts, in this order.
        """
        from scipy.sparse import csr_array

        parts = (np.ones(len(groups.concept_groups), np.int64), groups.concept_groups, groups.concept_ptr)
        matrix = csr_array(parts, shape=(groups.n_concepts, groups.n_groups))[chosen]
        by_group = matrix.T.tocsr()
        return cls(matrix, by_group.indptr.astype(np.int64), by_group.indices.astype(np.int32))

    def __call__(self, by_group: Ints) -> Ints:
        """Sum values of groups, int64 of shape (…, n_groups), over the groups of each concept."""
        return np.ascontiguousarray((self.matrix @ by_group.T).T)


@dataclass(frozen=True)
class BestF1:
    """The thresholds at which neurons detect concepts with the highest F1, each of shape (n_neurons, n_concepts).

    Parameters
    ----------
    thresholds : float64 array
        The activation at and above which a sample is called, or at and below which; NaN if there is none.
    hits, called : int64 arrays
        How many of the samples called are inside the concept, and how many are called, where thresholds were chosen.
    held_hits, held_called : int64 arrays
        The same of the samples held out.
    """

    thresholds: Floats
    hits: Ints
    called: Ints
    held_hits: Ints
    held_called: Ints

    def f1(self, counts: Ints) -> Floats:
        """Compute F1 where the thresholds were chosen.

        Parameters
        ----------
        counts : int64 array of shape (n_concepts,)
            How many samples are inside each concept there.

        Returns
        -------
        float64 array of shape (n_neurons, n_concepts)
            2 hits / (called + count).
        """
        return np.asarray(2 * self.hits / np.maximum(self.called + counts, 1))

    def held_f1(self, counts: Ints) -> Floats:
        """Compute F1 on the samples held out.

        Parameters
        ----------
        counts : int64 array of shape (n_concepts,)
            How many samples are inside each concept there.

        Returns
        -------
        float64 array of shape (n_neurons, n_concepts)
            NaN for concepts without a sample.
        """
        found = 2 * self.held_hits / np.maximum(self.held_called + counts, 1)
        return np.asarray(np.where(counts > 0, found, np.nan))


def best_f1(
    block: Block,
    ordered: SortedBlock,
    concepts: ConceptSums,
    weights: Ints,
    held: Ints | None = None,
    low: bool = False,
) -> BestF1:
    """Find the threshold with the highest F1 for each neuron and concept; of several the strictest.

    Parameters
    ----------
    block : array or csc_array of shape (n_samples, n_neurons)
        Activations.
    ordered : SortedBlock
        The same, sorted.
    concepts : ConceptSums
        The concepts.
    weights : int64 array of shape (n_rows,)
        The weights of the samples among which thresholds are chosen; 0 leaves one out.
    held : int64 array of shape (n_rows,) or None, default None
        The weights of the samples on which they are measured beside.
    low : bool, default False
        Whether samples at and below a threshold are called, instead of at and above it.

    Returns
    -------
    BestF1
        The thresholds, and what they count.
    """
    from neuronym.search.threshold_kernels import NOWHERE, ZERO
    from neuronym.search.threshold_kernels import best_f1 as kernel

    groups, n_neurons, n_concepts = ordered.groups, len(ordered.bad), concepts.matrix.shape[0]
    both = np.stack([weights, np.zeros_like(weights) if held is None else held])
    row_groups = groups.row_groups
    counts = np.stack([np.bincount(row_groups, each, groups.n_groups).astype(np.int64) for each in both])
    hits, called, places = np.empty((3, n_neurons, n_concepts), np.int64)
    of_held = np.empty((n_neurons, 2, n_concepts), np.int64)
    scratch = (np.empty((2, n_concepts), np.int64), np.empty_like(counts), np.empty(2, np.int64))
    sizes = concepts(counts[0])
    for own, keys, starts, parts in ordered.parts:
        kernel(
            keys, starts, parts, low, row_groups, both, counts, concepts.ptr, concepts.shown, sizes, *scratch,
            hits[own], called[own], places[own], of_held[own],
        )  # fmt: skip
    used = groups.select_rows(block)
    if is_csc(used):
        values = np.stack([column(used, j)[places[j]] for j in range(n_neurons)]).astype(np.float64)
    else:
        values = used[places, np.arange(n_neurons)[:, np.newaxis]].astype(np.float64)
    thresholds = np.where(places == ZERO, 0.0, np.where(places == NOWHERE, np.nan, values))
    return BestF1(thresholds, hits, called, of_held[:, 0], of_held[:, 1])
