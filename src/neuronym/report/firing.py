"""For each sample, the neurons that fire most on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Firing"]

Floats = NDArray[np.float64]


@dataclass
class Firing:
    """The neurons whose activation on a sample is farthest above their mean, in their standard deviations.

    Activations of different neurons have no common unit, so they are compared in standard deviations over the samples.

    Parameters
    ----------
    n_samples : int
        The number of samples.
    most : int, default 8
        The number of neurons to keep for each sample.
    """

    n_samples: int
    most: int = 8
    _scores: NDArray[np.float32] = field(init=False)
    _labels: NDArray[np.int32] = field(init=False)
    _values: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        shape = self.n_samples, self.most
        self._scores, self._labels = np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int32)
        self._values = np.zeros(shape, np.float32)

    def add(self, values: Floats, labels: Sequence[int], rows: NDArray[np.int64]) -> None:
        """Take neurons into account.

        Parameters
        ----------
        values : float64 array of shape (n_rows, n_labels)
            Their activations.
        labels : sequence of int
            The number of each neuron's label.
        rows : int64 array of shape (n_rows,)
            The number of each sample.
        """
        spread = values.std(axis=0)
        known = spread > 0
        if not known.any():
            return
        values = values[:, known]
        scores = ((values - values.mean(axis=0)) / spread[known]).astype(np.float32)
        of_column = np.asarray(labels, np.int32)[known]
        worst = self._scores[rows].min(axis=1)
        better = np.flatnonzero((scores > worst[:, np.newaxis]).any(axis=1))
        at = rows[better]
        found = np.concatenate([self._scores[at], scores[better]], axis=1)
        order = np.argsort(-found, axis=1, kind="stable")[:, : self.most]
        listed = np.concatenate([self._labels[at], np.broadcast_to(of_column, (len(better), len(of_column)))], axis=1)
        taken = np.concatenate([self._values[at], values[better].astype(np.float32)], axis=1)
        self._scores[at] = np.take_along_axis(found, order, axis=1)
        self._labels[at] = np.take_along_axis(listed, order, axis=1)
        self._values[at] = np.take_along_axis(taken, order, axis=1)

    def of(self, row: int) -> list[tuple[int, float, float]]:
        """Return a sample's labels in order, each with its standard deviations above the mean and its activation."""
        kept = self._labels[row] >= 0
        listed = zip(self._labels[row][kept], self._scores[row][kept], self._values[row][kept], strict=True)
        return [(int(label), float(score), float(value)) for label, score, value in listed]
