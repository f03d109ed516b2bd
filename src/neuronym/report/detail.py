"""What a report says of one neuron: distributions, ROC curve, samples and single concepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.errors import ActivationsError
from neuronym.inputs.alignment import Aligned
from neuronym.labels.labels import Label
from neuronym.labels.schema import COLUMNS, Column
from neuronym.search.scores import AUC
from neuronym.stats.curves import Density, Roc

__all__ = ["Layer", "number", "tree"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_POINTS = 60  # of a curve
_SINGLES = 5  # concepts with the highest and lowest AUC
_BLOCK = 64


def number(value: Any, digits: int = 4) -> float | int | None:
    """A number with a few digits, for JSON; None for NaN."""
    if value is None or value != value:
        return None
    if isinstance(value, int | np.integer):
        return int(value)
    return float(f"{float(value):.{digits}g}")


def numbers(values: Any, digits: int = 4) -> list[float | int | None]:
    return [number(value, digits) for value in np.asarray(values).tolist()]


def tree(formula: Formula) -> list[Any]:
    """A formula as nested lists: ``["concept", name]`` or operator and operands."""
    if formula.operator == "concept":
        return ["concept", formula.name]
    return [formula.operator, *(tree(operand) for operand in formula.operands)]


@dataclass
class Layer:
    """A layer beside the concepts of the same samples, which are numbered alike in all layers.

    Made by ``of``.
    """

    aligned: Aligned
    places: Mapping[Any, int]
    numbers: NDArray[np.int64]  # of its samples, among those of all layers
    _inside: dict[Formula, Bools | None] = field(default_factory=dict)

    @classmethod
    def of(cls, aligned: Aligned) -> Layer:
        taken = aligned.activations
        return cls(aligned, {neuron: j for j, neuron in enumerate(taken.names)}, np.arange(taken.n_samples))

    @property
    def name(self) -> str | None:
        return self.aligned.layer

    @property
    def taken(self) -> Activations:
        return self.aligned.activations

    @property
    def concepts(self) -> Concepts | None:
        """Those that tell samples apart, equal ones as one; None where none were given."""
        return None if self.aligned.concepts is None else self.aligned.searched

    @property
    def ids(self) -> tuple[str, ...] | None:
        """The ids of its samples: its own, or those of the concepts that stand beside them row by row."""
        return self.aligned.ids

    @property
    def rows(self) -> NDArray[np.int64]:
        """The numbers of the samples that are used."""
        return self.aligned.used(self.numbers)

    def values(self, columns: NDArray[np.intp]) -> NDArray[Any]:
        """The activations of some neurons on the samples that are used."""
        used = self.aligned.used(self.taken.block(columns))
        if used.dtype.kind == "f" and not np.isfinite(used).all():
            raise ActivationsError(f"activations of {self.name or 'neurons'} hold NaN or infinity: all must be finite")
        return used

    def inside(self, formula: Formula) -> Bools | None:
        """Where a formula is true; None where it has concepts that are not there."""
        if formula not in self._inside:
            known = self.concepts is not None and all(name in self.concepts for name in formula.concepts)
            self._inside[formula] = formula.evaluate(self.concepts) if known and self.concepts is not None else None
        return self._inside[formula]

    def concept_aucs(self, columns: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
        """The AUC of each neuron for each single concept, (n_neurons, n_concepts), and the counts of the concepts."""
        if self.concepts is None:
            return None
        from scipy.sparse import csc_array

        groups = self.aligned.groups
        ones = np.ones(len(groups.concept_groups), np.float64)
        shows = csc_array((ones, groups.concept_groups, groups.concept_ptr), shape=(groups.n_groups, groups.n_concepts))
        counts = np.asarray(groups.counts @ shows)
        sums = AUC().weigh(self.taken.block(columns), groups).sums
        with np.errstate(divide="ignore", invalid="ignore"):
            aucs = (sums @ shows - counts * (counts + 1)) / (2 * counts * (groups.total - counts))
        return np.asarray(aucs, np.float32), counts.astype(np.int64)


def distribution(values: Floats, inside: Bools | None) -> dict[str, Any]:
    """The densities inside and outside of a formula, or of all samples: bins from low to high, zeros apart."""
    span = float(values.max()) - float(values.min())
    sides = {"all": values} if inside is None else {"inside": values[inside], "outside": values[~inside]}
    found = {}
    for name, own in sides.items():
        density = Density.of(own, span)
        found[name] = {
            "low": number(float(density.edges[0]), 6),
            "high": number(float(density.edges[-1]), 6),
            "heights": numbers(density.heights, 3),
            "zeros": number(density.zeros, 3),
        }
    return found


def roc(values: Floats, inside: Bools, low: bool) -> dict[str, Any] | None:
    """Points of the ROC curve, and the threshold with the highest F1, in hindsight."""
    m, n = int(inside.sum()), int((~inside).sum())
    if not m or not n:
        return None
    curve = Roc.of(values, inside, low)
    hits, alarms, best = curve.hits[1:], curve.alarms[1:], curve.best
    x, y = curve.alarms / n, curve.hits / m
    if len(x) > _POINTS:  # evenly along the curve
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


def chosen(
    values: Floats, inside: Bools | None, low: bool, n: int, rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Samples to show: those on top, a random draw inside, and the failures."""
    order = np.argsort(values if low else -values, kind="stable")
    found = {"top": order[:n]}
    if inside is not None and inside.any():
        own = np.flatnonzero(inside)
        found["random"] = rng.permutation(own)[:n]
        found["outside"] = order[~inside[order]][:n]
        found["missed"] = order[::-1][inside[order[::-1]]][:n]
    return found


def singles(aucs: NDArray[np.float32], counts: NDArray[np.int64], names: Sequence[str], low: bool) -> dict[str, Any]:
    """The concepts with the highest and lowest AUC, of those that a few samples show; of −f where it is low."""
    aucs = 1 - aucs if low else aucs
    known = np.flatnonzero((counts >= min(20, max(1, int(counts.max())))) & np.isfinite(aucs))
    order = known[np.argsort(-aucs[known], kind="stable")]

    def listed(places: NDArray[np.intp]) -> list[list[Any]]:
        return [[names[c], number(float(aucs[c])), int(counts[c])] for c in places.tolist()]

    return {"highest": listed(order[:_SINGLES]), "lowest": listed(order[::-1][:_SINGLES])}


def shortened(label: Label, column: Column) -> float | int | None:
    """A number of a label with about as many digits as are shown."""
    value = getattr(label, column.name)
    if column.form.endswith("f") and value is not None and value == value:
        return round(float(value), int(column.form[1:-1]))
    return number(value, 3)


def label_numbers(label: Label) -> dict[str, Any]:
    """The numbers of a label, those that it has."""
    found = {one.name: number(getattr(label, one.name)) for one in COLUMNS if one.numeric and one.stored}
    return {name: value for name, value in found.items() if value is not None}


def steps(label: Label) -> dict[str, Any]:
    """The path by length, and the runners-up."""

    def told(one: Any) -> dict[str, Any]:
        held = {name: number(getattr(one, name)) for name in ("auc", "fraction", "count", "auc_heldout", "p_gain")}
        return {"formula": tree(one.formula), **{name: value for name, value in held.items() if value is not None}}

    return {
        "path": [{"length": n, **told(step)} for n, step in enumerate(label.path, 1) if step is not None],
        "runners_up": [told(other) for other in label.runners_up],
    }
