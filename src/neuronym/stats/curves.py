"""Curves of a neuron as a detector: how its activations are spread, and what each threshold calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Density", "Roc"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Density:
    """The density of activations as a histogram, exact zeros apart; made by ``of``.

    Behind a rectifier zeros are one value for all that is below it, with no density.

    Parameters
    ----------
    heights : float64 array of shape (n_bins,)
        Their area is the share of the activations that are not 0.
    edges : float64 array of shape (n_bins + 1,)
        Of the bins, which are equally wide.
    zeros : float
        The share of activations that are exactly 0; NaN where there are no activations.
    """

    heights: Floats
    edges: Floats
    zeros: float

    @classmethod
    def of(cls, values: NDArray[Any], span: float) -> Density:
        """Bin activations, (n_samples,), of a neuron whose activations are spread over ``span``.

        As many bins as the rule of Rice gives, 2 ∛n, from 5 to 40; a single value is one bin.
        """
        total, values = len(values), values[values != 0].astype(np.float64)
        zeros = 1 - len(values) / total if total else np.nan
        if not len(values):
            return cls(np.zeros(1), np.array([0.0, span / 10]), zeros)
        low, high = float(values.min()), float(values.max())
        edges = np.linspace(low, high, 1 + int(np.clip(np.ceil(2 * np.cbrt(len(values))), 5, 40)))
        if (np.diff(edges) <= 0).any():  # one value, or hardly more
            half = max(span / 20, 8 * np.spacing(max(abs(low), abs(high))))
            edges = np.array([low - half, high + half])
        return cls(np.histogram(values, edges)[0] / (total * np.diff(edges)), edges, zeros)


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
    def f1(self) -> Floats:
        """F1 at each threshold, (n_thresholds,): 2 hits / (hits + alarms + positives)."""
        return np.asarray(2 * self.hits[1:] / (self.hits[1:] + self.alarms[1:] + self.hits[-1]))

    @property
    def best(self) -> int:
        """The place of the threshold with the highest F1, in hindsight; of equal ones the strictest."""
        return int(np.argmax(self.f1))
