"""The details of one neuron in a report: distributions, ROC curve, samples and single concepts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.sparse import not_finite
from neuronym.errors import ActivationsError
from neuronym.inputs.alignment import Aligned
from neuronym.labels.labels import Explanation, Label
from neuronym.labels.schema import COLUMNS, Column
from neuronym.search.scores import AUC
from neuronym.stats.curves import Density, Roc
from neuronym.types import JsonDict, Name

if TYPE_CHECKING:
    from neuronym.data.sparse import Block

__all__ = ["Layer", "number", "tree"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_POINTS = 60  # of an ROC curve
_SINGLES = 5  # concepts with the highest AUC, and with the lowest


def number(value: Any, digits: int = 4) -> float | int | None:
    """Round a number to a few significant digits, for JSON; None for NaN and infinity."""
    if type(value) is float:  # most, and faster than by numpy
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    if isinstance(value, int | np.integer):
        return int(value)
    if value is None or not np.isfinite(value):
        return None
    return float(f"{float(value):.{digits}g}")


def numbers(values: ArrayLike, digits: int = 4) -> list[float | int | None]:
    """Round numbers to a few significant digits, for JSON."""
    return [number(value, digits) for value in np.asarray(values).tolist()]


def tree(formula: Formula) -> list[Any]:
    """Return a formula as nested lists: ``["concept", name]``, or an operator and its operands."""
    if formula.operator == "concept":
        return ["concept", formula.name]
    return [formula.operator, *(tree(operand) for operand in formula.operands)]


@dataclass
class Layer:
    """A layer with the concepts of the same samples, which have the same numbers in all layers; made by ``of``.

    Parameters
    ----------
    aligned : Aligned
        The activations and concepts.
    places : mapping of int or str to int
        The column of each neuron.
    numbers : int64 array of shape (n_samples,)
        The number of each of the layer's samples, among the samples of all layers.
    """

    aligned: Aligned
    places: Mapping[Name, int]
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, aligned: Aligned) -> Layer:
        """Make a layer whose samples are numbered in order."""
        activations = aligned.activations
        return cls(aligned, {neuron: j for j, neuron in enumerate(activations.names)}, np.arange(activations.n_samples))

    @property
    def name(self) -> str | None:
        """The name of the layer."""
        return self.aligned.layer

    @property
    def activations(self) -> Activations:
        """The activations of all samples."""
        return self.aligned.activations

    @property
    def concepts(self) -> Concepts | None:
        """The concepts that are not constant, with equal ones merged; None if none were given."""
        return None if self.aligned.concepts is None else self.aligned.searched

    @property
    def ids(self) -> tuple[str, ...] | None:
        """The sample ids, of the activations or else of the concepts; None without any."""
        return self.aligned.ids

    @property
    def rows(self) -> NDArray[np.int64]:
        """The numbers of the samples that are used."""
        return self.aligned.select_rows(self.numbers)

    def values(self, columns: NDArray[np.intp]) -> Block:
        """Return the activations of some neurons on the samples that are used.

        Raises
        ------
        ActivationsError
            If they contain NaN or infinity.
        """
        used = self.aligned.select_rows(self.activations.block(columns))
        if not_finite(used).any():
            raise ActivationsError(f"activations of {self.name or 'neurons'} hold NaN or infinity: all must be finite")
        return used

    def inside(self, formula: Formula) -> Bools | None:
        """Return where a formula is true; None if one of its concepts is missing."""
        if self.concepts is None or not all(name in self.concepts for name in formula.concepts):
            return None
        return formula.evaluate(self.concepts)

    def concept_aucs(self, columns: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
        """Return the AUC of neurons for single concepts, (n_neurons, n_concepts), and the counts of the concepts."""
        if self.concepts is None:
            return None
        from scipy.sparse import csc_array

        groups = self.aligned.groups
        ones = np.ones(len(groups.concept_groups), np.float64)
        shows = csc_array((ones, groups.concept_groups, groups.concept_ptr), shape=(groups.n_groups, groups.n_concepts))
        counts = np.asarray(groups.counts @ shows)
        sums = AUC().weigh(self.activations.block(columns), groups).sums
        with np.errstate(divide="ignore", invalid="ignore"):
            aucs = (sums @ shows - counts * (counts + 1)) / (2 * counts * (groups.total - counts))
        return np.asarray(aucs, np.float32), counts.astype(np.int64)


def distribution(values: Floats, inside: Bools | None) -> JsonDict:
    """Count the activations inside and outside a formula, or of all samples, in common bins, exact zeros apart.

    After a rectifier, zeros stand for everything below it; in a histogram they would hide all else.
    """
    edges = Density.of(values, float(values.max()) - float(values.min())).edges
    sides = {"all": values} if inside is None else {"inside": values[inside], "outside": values[~inside]}
    found: JsonDict = {"low": number(float(edges[0]), 6), "high": number(float(edges[-1]), 6)}
    for name, members in sides.items():
        drawn = members[members != 0]
        counts = np.histogram(drawn, edges)[0]
        found[name] = {"counts": counts.tolist(), "zeros": len(members) - len(drawn), "total": len(members)}
    return found


def roc(values: Floats, inside: Bools, low: bool) -> JsonDict | None:
    """Return points of the ROC curve, and the threshold with the highest F1 in hindsight; None without two classes."""
    m, n = int(inside.sum()), int((~inside).sum())
    if not m or not n:
        return None
    curve = Roc.of(values, inside, low)
    hits, alarms, best = curve.hits[1:], curve.alarms[1:], curve.best
    x, y = curve.alarms / n, curve.hits / m
    if len(x) > _POINTS:  # keep points evenly spaced along the curve
        along = (x + y) / 2
        keep = np.unique(np.searchsorted(along, np.linspace(0, 1, _POINTS)).clip(0, len(x) - 1))
        x, y = x[keep], y[keep]
    return {
        "auc": number(float(np.trapezoid(hits / m, alarms / n) + (hits[0] / m) * (alarms[0] / n) / 2)),
        "x": numbers(x),
        "y": numbers(y),
        "threshold": number(float(curve.thresholds[best])),
        "best": [number(alarms[best] / n), number(hits[best] / m)],
        "f1": number(float(curve.f1[best])),
        "precision": number(float(hits[best] / (hits[best] + alarms[best]))),
    }


def choose_samples(
    values: Floats, inside: Bools | None, low: bool, n: int, rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Choose the samples to show: the highest, a random draw inside the formula, both kinds of failures, the lowest."""
    order = np.argsort(values if low else -values, kind="stable")
    found = {"top": order[:n]}
    if inside is not None and inside.any():
        found["random"] = rng.permutation(np.flatnonzero(inside))[:n]
        found["outside"] = order[~inside[order]][:n]
        found["missed"] = order[::-1][inside[order[::-1]]][:n]
    found["bottom"] = order[::-1][: min(n, len(order) - len(found["top"]))]
    return found


def single_concepts(aucs: NDArray[np.float32], counts: NDArray[np.int64], names: Sequence[str], low: bool) -> JsonDict:
    """Return the concepts with the highest and the lowest AUC, of −f for a low neuron, if enough samples show them."""
    aucs = 1 - aucs if low else aucs
    known = np.flatnonzero((counts >= min(20, max(1, int(counts.max())))) & np.isfinite(aucs))
    order = known[np.argsort(-aucs[known], kind="stable")]

    def listed(places: NDArray[np.intp]) -> list[list[Any]]:
        return [[names[c], number(float(aucs[c])), int(counts[c])] for c in places.tolist()]

    return {"highest": listed(order[:_SINGLES]), "lowest": listed(order[::-1][:_SINGLES])}


def column_value(label: Label, column: Column) -> float | int | None:
    """Return a number of a label, rounded to about the digits that the page shows."""
    value = getattr(label, column.name)
    if column.form.endswith("f") and value is not None and value == value:
        return round(float(value), int(column.form[1:-1]))
    return number(value, 3)


def label_numbers(label: Label) -> JsonDict:
    """Return the numbers that a label has."""
    found = {one.name: number(getattr(label, one.name)) for one in COLUMNS if one.numeric and one.stored}
    return {name: value for name, value in found.items() if value is not None}


def path_and_runners_up(label: Label) -> JsonDict:
    """Return the best formula of each length, and the runners-up."""
    shown = ("auc", "fraction", "count", "auc_heldout", "auc_low", "auc_high", "gain", "p_gain")

    def described(one: Explanation) -> JsonDict:
        values = {name: number(getattr(one, name)) for name in shown}
        return {"formula": tree(one.formula), **{name: value for name, value in values.items() if value is not None}}

    return {
        "path": [{"length": n, **described(step)} for n, step in enumerate(label.path, 1) if step is not None],
        "runners_up": [described(other) for other in label.runners_up],
    }
