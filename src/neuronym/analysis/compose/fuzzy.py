"""Fuzzy logic: t-norms, t-conorms and degrees of membership, for NumPy arrays and PyTorch tensors alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym._util.messages import no_such
from neuronym.data.formula import Formula
from neuronym.errors import OptionError
from neuronym.types import AnyArray

__all__ = ["NORMS", "Membership", "TNorm", "evaluate_fuzzy"]

Combine = Callable[[Any, Any, Any, float], Any]

# Each takes a and b in [0, 1], their library (numpy or torch), and the parameter p.
_BOTH: dict[str, Combine] = {
    "godel": lambda a, b, xp, _: xp.minimum(a, b),
    "product": lambda a, b, _, __: a * b,
    "lukasiewicz": lambda a, b, xp, _: xp.clip(a + b - 1, 0, None),
    "yager": lambda a, b, xp, p: 1 - xp.clip(_root_of_powers(1 - a, 1 - b, xp, p), None, 1),
    "hamacher": lambda a, b, xp, _: _quotient(a * b, a + b - a * b, xp),
}
_EITHER: dict[str, Combine] = {
    "godel": lambda a, b, xp, _: xp.maximum(a, b),
    "product": lambda a, b, _, __: a + b - a * b,
    "lukasiewicz": lambda a, b, xp, _: xp.clip(a + b, None, 1),
    "yager": lambda a, b, xp, p: xp.clip(_root_of_powers(a, b, xp, p), None, 1),
    # (a + b − 2ab) / (1 − ab), in a form that stays accurate near 1.
    "hamacher": lambda a, b, xp, p: 1 - _BOTH["hamacher"](1 - a, 1 - b, xp, p),
}
NORMS = tuple(_BOTH)


def _root_of_powers(a: Any, b: Any, xp: Any, p: float) -> Any:
    """Compute (a^p + b^p)^(1/p), with the larger of the two factored out, so that no power underflows."""
    larger = xp.maximum(a, b)
    scale = xp.where(larger > 0, larger, xp.ones_like(larger))
    return larger * ((a / scale) ** p + (b / scale) ** p) ** (1 / p)


def _quotient(above: Any, below: Any, xp: Any) -> Any:
    """Divide, with 0 / 0 = 0."""
    return above / xp.where(below > 0, below, xp.ones_like(below))


@dataclass(frozen=True)
class TNorm:
    """A t-norm (AND) with its dual t-conorm (OR); NOT is 1 − x.

    ===========  ==========================================  =====================================
    name         a and b                                     a or b
    ===========  ==========================================  =====================================
    godel        min(a, b)                                   max(a, b)
    product      a·b                                         a + b − a·b
    lukasiewicz  max(0, a + b − 1)                           min(1, a + b)
    yager        1 − min(1, ((1−a)^p + (1−b)^p)^(1/p))       min(1, (a^p + b^p)^(1/p))
    hamacher     a·b / (a + b − a·b), 0 for 0 and 0          (a + b − 2ab) / (1 − ab), 1 for 1 or 1
    ===========  ==========================================  =====================================

    Parameters
    ----------
    name : {"godel", "product", "lukasiewicz", "yager", "hamacher"}, default "product"
        The name of the t-norm.
    p : float, default 2.0
        The parameter of Yager's t-norm, at least 1, where it is Łukasiewicz's; it tends to Gödel's for large p.

    Raises
    ------
    UnknownNameError
        If there is no such t-norm.
    OptionError
        If p is below 1 or not finite.
    """

    name: str = "product"
    p: float = 2.0

    def __post_init__(self) -> None:
        if self.name not in NORMS:
            raise no_such("t-norm", self.name, NORMS)
        if not 1 <= self.p < math.inf:
            raise OptionError(f"p of Yager's t-norm must be a number of at least 1, not {self.p!r}")

    @classmethod
    def parse(cls, text: str) -> TNorm:
        """Parse the name of a t-norm.

        Parameters
        ----------
        text : str
            One of ``NORMS``, or ``yager(p)`` with a number for p.

        Returns
        -------
        TNorm
            The t-norm.

        Raises
        ------
        UnknownNameError
            If there is no t-norm of this name.
        OptionError
            If the text is not a name, or has a parameter that it does not take.

        Examples
        --------
        >>> TNorm.parse("yager(3)")
        TNorm(name='yager', p=3.0)
        """
        found = re.fullmatch(r"\s*(\w+)\s*(?:\(\s*(\d+\.?\d*)\s*\))?\s*", str(text))
        if found is None or (found[2] and found[1] != "yager"):
            raise OptionError(f"a t-norm is one of {', '.join(NORMS)}, or yager(p), not {text!r}")
        return cls(found[1], float(found[2] or 2))

    def both(self, a: Any, b: Any, xp: Any = np) -> Any:
        """Return the degree to which both hold.

        Parameters
        ----------
        a, b : array or tensor
            Degrees in [0, 1].
        xp : module, default numpy
            Their library, numpy or torch.

        Returns
        -------
        array or tensor
            The t-norm of ``a`` and ``b``.
        """
        return _BOTH[self.name](a, b, xp, self.p)

    def either(self, a: Any, b: Any, xp: Any = np) -> Any:
        """Return the degree to which at least one holds.

        Parameters
        ----------
        a, b : array or tensor
            Degrees in [0, 1].
        xp : module, default numpy
            Their library, numpy or torch.

        Returns
        -------
        array or tensor
            The t-conorm of ``a`` and ``b``.
        """
        return _EITHER[self.name](a, b, xp, self.p)

    def __str__(self) -> str:
        return f"yager({self.p:g})" if self.name == "yager" else self.name


@dataclass(frozen=True)
class Membership:
    """The degree to which an activation counts as high: a mapping to [0, 1], fitted to activations of one neuron.

    Parameters
    ----------
    kind : {"empirical", "logistic"}
        ``"empirical"`` is the fraction of the fitted activations that are lower, with ties counted one half;
        ``"logistic"`` is 1/(1 + e^−z) of the standardised activation z.
    values : float64 array
        For ``"empirical"``, the fitted activations in ascending order; for ``"logistic"``, their mean and standard
        deviation (1 if that is 0).
    low : bool, default False
        Whether low activations have high degrees instead.
    """

    kind: str
    values: NDArray[np.float64]
    low: bool = False

    @classmethod
    def fitted(cls, kind: str, column: AnyArray, low: bool = False) -> Membership:
        """Fit a mapping to the activations of one neuron.

        Parameters
        ----------
        kind : {"empirical", "logistic"}
            The kind of mapping.
        column : array of shape (n_samples,)
            The activations.
        low : bool, default False
            Whether low activations have high degrees instead.

        Returns
        -------
        Membership
            The mapping.

        Raises
        ------
        OptionError
            If there is no such kind of mapping.
        """
        if kind not in ("empirical", "logistic"):
            raise OptionError(f"mapping must be 'empirical' or 'logistic', not {kind!r}")
        sample = column.astype(np.float64)
        if kind == "empirical":
            return cls(kind, np.sort(sample), low)
        return cls(kind, np.array([sample.mean(), sample.std() or 1.0]), low)

    def __call__(self, column: Any, xp: Any = np) -> Any:
        """Map activations of shape (n_samples,), an array or tensor of the library ``xp``, to float64 degrees."""
        if xp is np:
            x, values = np.asarray(column, np.float64), self.values
        else:
            x, values = column.double().contiguous(), xp.as_tensor(self.values, device=column.device)
        if self.kind == "empirical":
            below = xp.searchsorted(values, x, side="left") + xp.searchsorted(values, x, side="right")
            degree = (below if xp is np else below.double()) / (2 * len(self.values))
        else:
            degree = 1 / (1 + xp.exp(-xp.clip((x - values[0]) / values[1], -700, 700)))
        return 1 - degree if self.low else degree


def evaluate_fuzzy(formula: Formula, degrees: Mapping[str, Any], norm: TNorm, xp: Any) -> Any:
    """Compute the degree of a formula from the degrees of its concepts.

    Parameters
    ----------
    formula : Formula
        The formula.
    degrees : mapping of str to array or tensor
        The degrees of its concepts, in [0, 1].
    norm : TNorm
        The t-norm for AND, whose t-conorm is used for OR.
    xp : module
        The library of the degrees, numpy or torch.

    Returns
    -------
    array or tensor
        The degrees of the formula.
    """
    if formula.operator == "concept":
        return degrees[formula.name]
    degree, *others = (evaluate_fuzzy(operand, degrees, norm, xp) for operand in formula.operands)
    if formula.operator == "not":
        return 1 - degree
    for other in others:
        degree = norm.both(degree, other, xp) if formula.operator == "and" else norm.either(degree, other, xp)
    return degree
