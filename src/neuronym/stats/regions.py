"""F1 of neurons as detectors of regions: precision by sample, recall by instance.

As InterPLM defines it (Simon and Zou 2025): of the samples above a threshold, the share that belong to an instance; of
the instances, the share with a sample above it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuronym.types import AnyArray

__all__ = ["RegionF1", "Regions"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class RegionF1(NamedTuple):
    """The highest F1 over thresholds; each of shape (n_concepts, n_neurons).

    Parameters
    ----------
    f1, precision, recall : float64 array
        F1, and the two that it is the harmonic mean of.
    threshold : float64 array
        The activation that samples exceed; of equally good ones the first given.
    samples : int64 array
        The number of samples above it.
    """

    f1: Floats
    precision: Floats
    recall: Floats
    threshold: Floats
    samples: Ints


class Regions:
    """Which instance of each concept a sample belongs to, for many neurons.

    Parameters
    ----------
    ids : int64 array of shape (n_samples, n_concepts)
        The number of the instance, from 1; 0 for none.

    Attributes
    ----------
    n_instances : int64 array of shape (n_concepts,)
        The number of instances of each concept.
    """

    def __init__(self, ids: Ints) -> None:
        from scipy.sparse import csr_array

        n_samples, n_concepts = ids.shape
        concepts, rows = np.nonzero(ids.T)
        span = int(ids.max(initial=0)) + 1
        keys, codes = np.unique(concepts * span + ids[rows, concepts], return_inverse=True)
        owners = keys // span  # the concept of each instance
        ones = np.ones(len(rows), np.int32)
        self.n_instances: Ints = np.bincount(owners, minlength=n_concepts).astype(np.int64)
        self._shown = csr_array((ones, (concepts, rows)), shape=(n_concepts, n_samples))
        self._members = csr_array((ones, (codes, rows)), shape=(len(keys), n_samples))
        self._owned = csr_array((ones[: len(keys)], (owners, np.arange(len(keys)))), shape=(n_concepts, len(keys)))

    def best_f1(self, values: AnyArray, shares: Floats) -> RegionF1:
        """Find the threshold with the highest F1 for each concept and neuron.

        Parameters
        ----------
        values : array of shape (n_samples, n_neurons)
            The activations, finite.
        shares : float64 array of shape (n_thresholds,)
            The thresholds, as shares of each neuron's largest activation.

        Returns
        -------
        RegionF1
            The F1; 0 where no sample or no instance is above any threshold.

        Examples
        --------
        >>> Regions(np.array([[1], [1], [0], [2]])).best_f1(np.array([[9], [0], [9], [0]]), np.zeros(1)).f1
        array([[0.5]])
        """
        found = [self._f1(values, share * values.max(axis=0)) for share in shares.tolist()]
        best = np.argmax([one.f1 for one in found], axis=0)[np.newaxis]
        return RegionF1(*(np.take_along_axis(np.stack(of), best, axis=0)[0] for of in zip(*found, strict=True)))

    def _f1(self, values: AnyArray, limits: AnyArray) -> RegionF1:
        """F1 at a threshold for each neuron."""
        above = (values > limits).astype(np.int32)
        called = np.broadcast_to(above.sum(axis=0, dtype=np.int64), (len(self.n_instances), above.shape[1]))
        reached = self._owned @ ((self._members @ above) > 0).astype(np.int32)
        precision = (self._shown @ above) / np.maximum(called, 1)
        recall = reached / np.maximum(self.n_instances, 1)[:, np.newaxis]
        total = precision + recall
        f1 = 2 * precision * recall / np.where(total > 0, total, 1)
        return RegionF1(f1, precision, recall, np.broadcast_to(np.asarray(limits, np.float64), f1.shape), called)
