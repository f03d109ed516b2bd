"""The form of every score: a ratio of an integer sum to a function of the count, by six numbers for each neuron.

    score(n, S) = (S − a·n − b·n²) / scale(n),    scale(n) = c + d·n + e·n², or its square root.

``terms`` is int64 of shape (n_neurons, 6): a, b, c, d, e, and 1 for the square root. All but the quotient is exact in
whole numbers, so that formulas whose scores are equal as fractions have equal bits, and no table limits how much weight
there may be. ``beam_kernels`` has the same in compiled form.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["exact_ratio", "ratio", "same_terms"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def same_terms(n_neurons: int, *terms: int) -> Ints:
    """Give each neuron the same terms.

    Parameters
    ----------
    n_neurons : int
        The number of neurons.
    *terms : int
        The a, b, c, d and e of (S − a·n − b·n²) / (c + d·n + e·n²), and 1 if the root of the scale is meant, else 0.

    Returns
    -------
    int64 array of shape (n_neurons, 6)
        The terms of each neuron.
    """
    return np.tile(np.array(terms, np.int64), (n_neurons, 1))


def ratio(terms: Ints, n: Any, s: Any) -> Floats:
    """Compute scores of formulas; a scale of 0 gives NaN or infinity.

    Parameters
    ----------
    terms : int64 array of shape (n_neurons, 6) or (6,)
        The terms of each neuron, or of one.
    n, s : int64 arrays of shape (n_neurons, …)
        Counts and sums.

    Returns
    -------
    float64 array of the shape of n
        The scores.
    """
    n, s = np.asarray(n, np.int64), np.asarray(s, np.int64)
    own = terms.reshape(*terms.shape[:-1], *(1,) * (n.ndim - terms.ndim + 1), terms.shape[-1])
    a, b, c, d, e, root = np.moveaxis(own, -1, 0)
    scale = (c + (d + e * n) * n).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((s - (a + b * n) * n) / np.where(root == 1, np.sqrt(scale), scale))


def exact_ratio(terms: Ints, n: Any, s: Any) -> Fraction:
    """Compute the score of a formula exactly, or its square with the sign of the score where there is a root."""
    a, b, c, d, e, root = (int(term) for term in terms)
    n, s = int(n), int(s)
    top, scale = s - (a + b * n) * n, c + (d + e * n) * n
    return Fraction(top * abs(top) if root else top, scale)
