"""One neuron and the concepts on the samples to draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.messages import warn
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.errors import ActivationsError, ConceptsError, OptionError
from neuronym.labels.label import Label
from neuronym.stats.measures import measure
from neuronym.types import ActivationsLike, Align, AnyArray, ConceptsLike

__all__ = ["NeuronView", "neuron_of"]

Bools = NDArray[np.bool_]

_NARROWEST, _WIDEST = 1e-200, 1e200  # ranges of activations; the heights of densities are of the order of 1/range


@dataclass(frozen=True)
class NeuronView:
    """One neuron on the samples whose concepts are known, or on all samples if no concepts are given.

    Made by ``of``.

    Parameters
    ----------
    label : Label
        The label of the neuron.
    values : array of shape (n_samples,)
        The activations, finite and not all equal.
    concepts : Concepts or None
        The concepts of these samples, if given.
    rows : int64 array of shape (n_samples,)
        The row of the activations of each sample.
    ids : tuple of str, or None
        The sample ids, one per row of the activations.
    n_rows : int
        The number of rows of the activations.
    """

    label: Label
    values: AnyArray
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
        align: Align,
    ) -> NeuronView:
        """Find the neuron of a label, and match its samples with the concepts as ``neuronym.label`` does.

        Parameters
        ----------
        label : Label
            The label of the neuron.
        activations : ActivationsLike
            The activations, as for ``neuronym.label``.
        concepts : ConceptsLike or None
            The concepts of the same samples.
        names : iterable of str, or None
            The names of the concepts, for ``concepts`` given as an array.
        align : bool or "position"
            If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.

        Raises
        ------
        InputError
            If the neuron is missing, constant or not finite, or activations and concepts do not match, as one of the
            subclasses in ``neuronym.errors``.
        """
        if not isinstance(label, Label):
            raise OptionError(f"label must be one Label, such as labels[0], not {type(label).__name__}")
        layers = inputs.as_layers(activations)
        (one,) = inputs.align(
            {label.layer: inputs.layer_of(label.layer, layers)}, concepts, names=names, keep_common=align
        )
        layer = one.activations
        column = layer.column(int(layer.indices([label.neuron])[0]))
        values = one.select_rows(column)
        _check_values(values, neuron_of(label))
        rows = one.select_rows(np.arange(len(column), dtype=np.int64))
        view = cls(label, values, one.concepts, rows, one.ids, len(column))
        if label.layer not in layers:
            view._check_layer()
        return view

    def _check_layer(self) -> None:
        """Warn if the AUC contradicts the label, where labels or activations do not say which layer they belong to."""
        formula = self.label.formula
        if formula is None or self.concepts is None or any(name not in self.concepts for name in formula.concepts):
            return
        inside = formula.evaluate(self.concepts)
        if inside.all() or not inside.any():
            return
        auc = self.auc(inside)
        if self.label.contradicts(auc, int(inside.sum()), len(inside)):
            warn(
                f"the label of {neuron_of(self.label)} has AUC {self.label.auc:.4f} for {formula} but these "
                f"activations have {auc:.4f}: they may belong to another layer, so give them as {{layer: activations}}"
            )

    @property
    def low(self) -> bool:
        """Whether the label is of low activations."""
        return self.label.direction == "low"

    def _required_concepts(self) -> Concepts:
        """Return the concepts; raise an error if none were given."""
        if self.concepts is None:
            raise OptionError("concepts are needed, as neuronym.label takes them, not None")
        return self.concepts

    def formula(self) -> Formula:
        """Return the formula of the label.

        Raises
        ------
        OptionError
            If it has none.
        """
        if self.label.formula is None:
            reason = f" ({self.label.reason})" if self.label.reason else ""
            raise OptionError(f"{neuron_of(self.label)} has no formula{reason}: there is nothing to draw")
        return self.label.formula

    def inside(self, formula: Formula) -> Bools:
        """Return where a formula is true, as a bool array of shape (n_samples,).

        Raises
        ------
        ConceptsError
            If it is true for none or for all of the samples.
        """
        inside = formula.evaluate(self._required_concepts())
        if inside.all() or not inside.any():
            which = "all" if inside.any() else "none"
            raise ConceptsError(f"{formula} is true for {which} of the samples: inside and outside cannot be compared")
        return inside

    def auc(self, inside: Bools) -> float:
        """Return the AUC of the neuron for a set of samples, in the direction of its label."""
        ones = np.ones(len(self.values), np.int64)
        return float(measure(self.values, inside[np.newaxis], ones, low=self.low)[0]["auc"])

    def single_concepts(self) -> tuple[list[str], NDArray[np.float64]]:
        """Return the AUC of the neuron for each concept that is true for some of the samples and not for all.

        With R the sum of midranks of the m among n samples that show it, the AUC is (R − m (m + 1) / 2) / (m (n − m)).

        Returns
        -------
        names : list of str
            The names of the concepts.
        auc : float64 array of shape (n_concepts,)
            The AUC for each, in the direction of the label.

        Raises
        ------
        ConceptsError
            If there is no such concept.
        """
        from scipy.stats import rankdata

        concepts = self._required_concepts()
        n, counts = len(self.values), concepts.counts
        known = np.flatnonzero((counts > 0) & (counts < n))
        if not len(known):
            raise ConceptsError("every concept is true for none or for all of the samples: nothing can be compared")
        sums = np.append(0, np.cumsum(rankdata(self.values)[concepts.samples]))[concepts.ptr]
        m = counts[known].astype(np.float64)
        auc = (np.diff(sums)[known] - m * (m + 1) / 2) / (m * (n - m))
        return [concepts.names[c] for c in known], 1 - auc if self.low else auc

    def order(self) -> NDArray[np.intp]:
        """Return the samples in descending order of activation, or ascending for a label of low activations."""
        if self.low:
            return np.argsort(self.values, kind="stable")
        return len(self.values) - 1 - np.argsort(self.values[::-1], kind="stable")[::-1]


def neuron_of(label: Label) -> str:
    """Return the name of a label's neuron for headings and messages."""
    place = f"neuron {label.neuron}" if label.layer is None else f"{label.layer} {label.neuron}"
    return f"{place}, low inside" if label.direction == "low" else place


def _check_values(values: AnyArray, neuron: str) -> None:
    """Raise an error for activations that cannot be drawn."""
    if not len(values):
        raise ActivationsError("activations are empty: at least two samples are needed")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ActivationsError(f"{neuron} holds NaN or infinity: every activation must be finite")
    if values.min() == values.max():
        raise ActivationsError(f"{neuron} is constant ({low:g}) on these samples: there is nothing to draw")
    if not _NARROWEST <= high - low <= _WIDEST:
        raise ActivationsError(
            f"{neuron} ranges from {low:g} to {high:g}, which cannot be drawn: rescale its activations"
        )
