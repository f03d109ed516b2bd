"""The neurons that detect given sets of samples best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.analysis.compose.fuzzy import Membership
from neuronym.data.activations import Activations, Name
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.groups import Groups
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import check_finite
from neuronym.labels.labels import Labels
from neuronym.search.scores import AUC
from neuronym.stats.measures import measure

__all__ = ["Choice", "Part", "candidates"]


@dataclass(frozen=True)
class Part:
    """The neuron that stands for a concept, or for a whole formula.

    Parameters
    ----------
    layer, neuron, column, n_neurons : where it is, and how many neurons were there
    low : whether it is low where the concept is
    auc, auc_heldout : float
        How well it detects it, on the samples that it was chosen on and on the others.
    membership : how far an activation counts as high; None until a mapping is chosen
    """

    layer: str | None
    neuron: Name
    column: int
    n_neurons: int
    low: bool
    auc: float
    auc_heldout: float
    membership: Membership | None = None

    def degree(self, column: Any, xp: Any = np) -> Any:
        """The degree of membership of activations, arrays of the library ``xp``."""
        if self.membership is None:
            raise OptionError("this neuron has no mapping to degrees: it was only measured")
        return self.membership(column, xp)

    def __str__(self) -> str:
        place = "" if self.layer is None else f"{self.layer} "
        return f"neuron {place}{self.neuron}{', low' * self.low} (AUC {self.auc:.3f}, held out {self.auc_heldout:.3f})"


@dataclass(frozen=True)
class Choice:
    """Finds the neuron that detects a set of samples best."""

    layers: Mapping[str | None, Activations]
    groups: Groups
    held: NDArray[np.bool_]
    clusters: NDArray[np.int64] | None
    neurons: Iterable[Name] | slice | None
    direction: str

    def best(
        self, inside: NDArray[np.bool_], shown: NDArray[np.bool_], among: set[tuple[str | None, Name, bool]] | None
    ) -> tuple[Part, NDArray[Any]]:
        """The best neuron for the groups ``inside``, and its activations on all rows."""
        part, auc = self.groups.part(~self.held), AUC()
        n = int(part.counts[inside].sum())
        leader: tuple[float, str | None, int, bool] | None = None
        turned = {"high": (False,), "low": (True,), "both": (False, True)}[self.direction]
        for layer, taken in self.layers.items():
            columns = taken.indices(self.neurons)
            if among is not None:
                named = [taken.names[j] for j in columns]
                columns = columns[[(layer, name, False) in among or (layer, name, True) in among for name in named]]
            for block in taken.blocks(columns) if len(columns) else ():
                values = taken.block(block)
                check_finite(self.groups.used(values))
                sums = auc.weigh(values, part).sums[:, inside].sum(axis=1)
                high = (sums - n * (n + 1)) / (2 * n * (part.total - n))
                for low in turned if among is None else (False, True):
                    aucs = 1 - high if low else high
                    if among is not None:
                        given = [(layer, taken.names[j], low) in among for j in block]
                        aucs = np.where(given, aucs, -1.0)
                    j = int(np.argmax(aucs))
                    if leader is None or aucs[j] > leader[0]:
                        leader = float(aucs[j]), layer, int(block[j]), low
        if leader is None:
            raise ActivationsError("there is no neuron to compose from")
        value, layer, place, low = leader
        taken = self.layers[layer]
        column = self.groups.used(taken.block(np.array([place]))[:, 0])
        heldout = self.measured(column[self.held], shown[self.held], low)["auc"]
        return Part(layer, taken.names[place], place, taken.n_neurons, low, value, float(heldout)), column

    def measured(self, column: NDArray[Any], inside: NDArray[np.bool_], low: bool) -> NDArray[np.void]:
        """``MEASURES`` of one neuron on the rows held out."""
        own = None if self.clusters is None else self.clusters[self.held]
        row: NDArray[np.void] = measure(column, inside[np.newaxis], np.ones(len(column), np.int64), own, low)[0]
        return row


def candidates(
    labels: Labels | None, concept: str, shown: Concepts, layers: Mapping[str | None, Activations]
) -> set[tuple[str | None, Name, bool]] | None:
    """Layer, neuron and whether it is low, of those whose label is the concept alone, or of all where there are none.

    Raises
    ------
    OptionError
        If the labels are of other layers or neurons.
    """
    if labels is None:
        return None
    there = {(layer, name) for layer, taken in layers.items() for name in taken.names}
    every = [label for label in labels if (label.layer, label.neuron) in there]
    if not every:
        known = ", ".join(sorted({str(label.layer) for label in labels}))
        raise OptionError(
            f"the labels are of other neurons (layers {known}) than the activations (layers "
            f"{', '.join(map(str, layers))}): give those that were labelled"
        )
    alone = Formula.concept(shown.names[shown.index(concept)])
    found = [label for label in every if label.formula in (alone, Formula.concept(concept))]
    return {(label.layer, label.neuron, label.direction == "low") for label in found or every}
