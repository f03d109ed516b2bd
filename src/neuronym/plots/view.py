"""One neuron on the samples that are drawn, with what they show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.messages import warn
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.errors import ActivationsError, ConceptsError, OptionError
from neuronym.labels.label import Label
from neuronym.stats.measures import measure
from neuronym.types import ActivationsLike, ConceptsLike

__all__ = ["NeuronView", "neuron_of"]

Bools = NDArray[np.bool_]

_NARROWEST, _WIDEST = 1e-200, 1e200  # of activations; heights of densities are of one over this


@dataclass(frozen=True)
class NeuronView:
    """One neuron on samples whose concepts are known, or on all where no concepts are given; made by ``of``.

    Parameters
    ----------
    label : of the neuron
    values : real numbers, shape (n_samples,), finite and not all equal
    concepts : of these samples, or None
    rows : int64, shape (n_samples,)
        The row of the activations that each sample is.
    ids : texts, one per row of the activations, or None
    n_rows : of the activations
    """

    label: Label
    values: NDArray[Any]
    concepts: Concepts | None
    rows: NDArray[np.int64]
    ids: tuple[str, ...] | None
    n_rows: int

    @classmethod
    def of(
        cls,
        label: Label,
        activations: ActivationsLike,
        concepts: ConceptsLike | None,
        names: Iterable[str] | None,
        align: bool,
    ) -> NeuronView:
        """Find the neuron of a label, and match its samples with concepts as ``neuronym.label`` does."""
        if not isinstance(label, Label):
            raise OptionError(f"label must be one Label, such as labels[0], not {type(label).__name__}")
        layers = inputs.as_layers(activations)
        given = inputs.layer_of(label.layer, layers)
        (one,) = inputs.align({label.layer: given}, concepts, names=names, keep_common=align)
        taken = one.activations
        column = taken.block(taken.indices([label.neuron]))[:, 0]
        values = one.used(column)
        _check_values(values, neuron_of(label))
        places = one.used(np.arange(len(column), dtype=np.int64))
        seen = cls(label, values, one.concepts, places, one.ids, len(column))
        if label.layer not in layers:
            seen._doubt()
        return seen

    def _doubt(self) -> None:
        """Warn where one side names no layer, and the label says something else of these samples."""
        formula = self.label.formula
        if formula is None or self.concepts is None or any(name not in self.concepts for name in formula.concepts):
            return
        inside = formula.evaluate(self.concepts)
        if inside.all() or not inside.any():
            return
        auc = self.auc(inside)
        if self.label.contradicts(auc, int(inside.sum()), len(inside)):
            warn(
                f"the label of {neuron_of(self.label)} has AUC {self.label.auc:.4f} for {formula}, and the activations "
                f"given have {auc:.4f}: are they of another layer? Give those that were labelled, by the layer's name"
            )

    @property
    def low(self) -> bool:
        return self.label.direction == "low"

    def _shown(self) -> Concepts:
        if self.concepts is None:
            raise OptionError("concepts are needed, as neuronym.label takes them, not None")
        return self.concepts

    def formula(self) -> Formula:
        """The formula of the label.

        Raises
        ------
        OptionError
            If it has none.
        """
        if self.label.formula is None:
            reason = f" ({self.label.reason})" if self.label.reason else ""
            raise OptionError(f"{neuron_of(self.label)} has no formula{reason}: there is none to draw")
        return self.label.formula

    def inside(self, formula: Formula) -> Bools:
        """Where a formula is true, which must be for some samples and not for all.

        Raises
        ------
        ConceptsError
            If it is not.
        """
        inside = formula.evaluate(self._shown())
        if inside.all() or not inside.any():
            which = "every one" if inside.any() else "none"
            raise ConceptsError(f"{formula} is true for {which} of the samples: inside and outside cannot be compared")
        return inside

    def auc(self, inside: Bools) -> float:
        """The AUC of the neuron in the direction of its label."""
        ones = np.ones(len(self.values), np.int64)
        return float(measure(self.values, inside[np.newaxis], ones, low=self.low)[0]["auc"])

    def single(self) -> tuple[list[str], NDArray[np.float64]]:
        """The concepts that some of the samples show and some do not, and the AUC of the neuron for each.

        By the sum of midranks R of the m samples of n that show it: (R − m (m + 1) / 2) / (m (n − m)).

        Raises
        ------
        ConceptsError
            If there is none.
        """
        from scipy.stats import rankdata

        shown = self._shown()
        n, counts = len(self.values), shown.counts
        known = np.flatnonzero((counts > 0) & (counts < n))
        if not len(known):
            raise ConceptsError("every concept is shown by no or by every sample: nothing can be compared")
        sums = np.append(0, np.cumsum(rankdata(self.values)[shown.samples]))[shown.ptr]
        m = counts[known].astype(np.float64)
        auc = (np.diff(sums)[known] - m * (m + 1) / 2) / (m * (n - m))
        return [shown.names[c] for c in known], 1 - auc if self.low else auc

    def order(self) -> NDArray[np.intp]:
        """The samples, first those on which the neuron is highest, or lowest for a label of low activations."""
        if self.low:
            return np.argsort(self.values, kind="stable")
        return len(self.values) - 1 - np.argsort(self.values[::-1], kind="stable")[::-1]


def neuron_of(label: Label) -> str:
    """A neuron in words."""
    place = f"neuron {label.neuron}" if label.layer is None else f"{label.layer} {label.neuron}"
    return f"{place}, low inside" if label.direction == "low" else place


def _check_values(values: NDArray[Any], neuron: str) -> None:
    if not len(values):
        raise ActivationsError("activations are empty: they have no samples")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ActivationsError(f"{neuron} holds NaN or infinity: every activation must be finite")
    if values.min() == values.max():
        raise ActivationsError(f"{neuron} is constant ({low:g}) on these samples: it tells none apart")
    if not _NARROWEST <= high - low <= _WIDEST:
        raise ActivationsError(f"{neuron} goes from {low:g} to {high:g}, which cannot be drawn: scale its activations")
