"""Curves of a neuron as a detector: the density of its activations, and its ROC curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuronym.types import AnyArray

__all__ = ["Density", "Roc"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Density:
    """The density of activations as a histogram, without exact zeros; made by ``of``.

    After a rectifier, zeros stand for everything below it, and have no density.

    Parameters
    ----------
    heights : float64 array of shape (n_bins,)
        The density in each bin; the total area is the share of activations that are not 0.
    edges : float64 array of shape (n_bins + 1,)
        The edges of the bins, which are equally wide.
    zeros : float
        The share of activations that are exactly 0; NaN if there are no activations.
    """

    heights: Floats
    edges: Floats
    zeros: float

    @classmethod
    def of(cls, values: AnyArray, span: float) -> Density:
        """Bin activations.

        The number of bins is that of the Rice rule, 2 ∛n, limited to 5 to 40; equal activations fall into one bin.

        Parameters
        ----------
        values : array of shape (n_samples,)
            The activations of one neuron.
        span : float
            The range of all activations of the neuron, which sets the width of a single bin.

        Returns
        -------
        Density
            The histogram.
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
    """An ROC curve in whole numbers; made by ``of``. Equal activations share one threshold.

    Parameters
    ----------
    hits, alarms : int64 arrays of shape (n_thresholds + 1,)
        The numbers of true and of false positives, from 0 to all samples inside and outside.
    thresholds : array of shape (n_thresholds,)
        The distinct activations, strictest first: ``hits[i + 1]`` samples inside are at or beyond ``thresholds[i]``.
    """

    hits: Ints
    alarms: Ints
    thresholds: AnyArray

    @classmethod
    def of(cls, values: AnyArray, inside: NDArray[np.bool_], low: bool = False) -> Roc:
        """Compute the curve.

        Parameters
        ----------
        values : array of shape (n_samples,)
            The activations of one neuron.
        inside : bool array of shape (n_samples,)
            Which samples are inside the formula.
        low : bool, default False
            Whether low activations predict the formula.

        Returns
        -------
        Roc
            The curve.
        """
        order = np.argsort(values, kind="stable")
        if not low:
            order = len(values) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
        ordered = values[order]
        last = np.append(ordered[1:] != ordered[:-1], True)  # of each run of equal activations
        hits = np.cumsum(inside[order], dtype=np.int64)[last]
        return cls(np.append(0, hits), np.append(0, np.flatnonzero(last) + 1 - hits), ordered[last])

    @property
    def f1(self) -> Floats:
        """F1 at each threshold, float64 of shape (n_thresholds,): 2 hits / (hits + alarms + positives)."""
        return np.asarray(2 * self.hits[1:] / (self.hits[1:] + self.alarms[1:] + self.hits[-1]))

    @property
    def best(self) -> int:
        """The index of the threshold with the highest F1, in hindsight; of equal ones the strictest."""
        return int(np.argmax(self.f1))
