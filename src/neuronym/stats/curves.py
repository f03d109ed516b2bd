"""Curves of a neuron as a detector: how many samples are called at each threshold, right and wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Roc"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Roc:
    """The ROC curve in whole numbers; made by ``of``. Equal activations are one threshold.

    Parameters
    ----------
    hits, alarms : int64 arrays of shape (n_thresholds + 1,)
        How many samples inside and outside are called, from none at all to all.
    thresholds : array of shape (n_thresholds,)
        The activations that occur, the strictest first: ``hits[i + 1]`` samples inside are at or beyond
        ``thresholds[i]``.
    """

    hits: Ints
    alarms: Ints
    thresholds: NDArray[Any]

    @classmethod
    def of(cls, values: NDArray[Any], inside: NDArray[np.bool_], low: bool = False) -> Roc:
        """The curve of activations, (n_samples,), for the samples inside; ``low`` calls those that are low."""
        order = np.argsort(values, kind="stable")
        if not low:
            order = len(values) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
        ordered = values[order]
        last = np.append(ordered[1:] != ordered[:-1], True)  # of each run of equal activations
        hits = np.cumsum(inside[order], dtype=np.int64)[last]
        return cls(np.append(0, hits), np.append(0, np.flatnonzero(last) + 1 - hits), ordered[last])

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 at each threshold, (n_thresholds,): 2 hits / (hits + alarms + positives)."""
        return np.asarray(2 * self.hits[1:] / (self.hits[1:] + self.alarms[1:] + self.hits[-1]))

    @property
    def best(self) -> int:
        """The place of the threshold with the highest F1, in hindsight; of equal ones the strictest."""
        return int(np.argmax(self.f1))
