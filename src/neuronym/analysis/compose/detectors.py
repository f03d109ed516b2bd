"""Detectors composed by hand: labelled neurons joined by fuzzy logic, with no training.

Each neuron of a layer says how far a concept is there. A t-norm joins such degrees as a formula says, and the result
detects what no single neuron was trained for (the paper's handcrafted circuits).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.messages import no_such, warn
from neuronym.analysis.compose.fuzzy import NORMS, Membership, TNorm, evaluate_fuzzy
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.groups import ConceptGroups
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import Aligned, check_finite
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.labels.labels import Labels
from neuronym.search.beam import extension
from neuronym.search.scores import AUC
from neuronym.stats.measures import measure
from neuronym.stats.significance import auc_interval
from neuronym.types import ActivationsLike, ClustersLike, ConceptsLike, LabelsLike, Name, Pool

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from neuronym.network.pooling import Pool

__all__ = ["ConceptNeuron", "Detector", "NeuronChoice", "compare", "compose"]

Mapped = Literal["empirical", "logistic"]


@dataclass(frozen=True)
class ConceptNeuron:
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
class NeuronFinder:
    """Finds the neuron that detects a set of samples best."""

    layers: Mapping[str | None, Activations]
    groups: ConceptGroups
    held: NDArray[np.bool_]
    clusters: NDArray[np.int64] | None
    neurons: Iterable[Name] | slice | None
    direction: str

    def best(
        self, inside: NDArray[np.bool_], shown: NDArray[np.bool_], among: set[tuple[str | None, Name, bool]] | None
    ) -> tuple[ConceptNeuron, NDArray[Any]]:
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
        heldout = self.measure(column[self.held], shown[self.held], low)["auc"]
        return ConceptNeuron(layer, taken.names[place], place, taken.n_neurons, low, value, float(heldout)), column

    def measure(self, column: NDArray[Any], inside: NDArray[np.bool_], low: bool) -> NDArray[np.void]:
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


@dataclass(frozen=True)
class Detector:
    """A formula over neurons.

    Parameters
    ----------
    formula : what it detects
    norm : the t-norm that joins the neurons
    parts : the neuron of each concept
    single : the best single neuron for the whole formula
    auc_searched : float
        On the samples that the neurons were chosen on.
    auc_heldout, auc_low, auc_high : float
        On the other samples, with a 95% interval.
    choice : NeuronChoice
        The neurons as they were chosen, of which other detectors can be made.
    """

    formula: Formula
    norm: TNorm
    parts: Mapping[str, ConceptNeuron]
    single: ConceptNeuron
    auc_searched: float
    auc_heldout: float
    auc_low: float
    auc_high: float
    choice: NeuronChoice = field(repr=False, compare=False)

    def compare(
        self, norms: Sequence[str] | str = NORMS, mappings: Sequence[Mapped] | Mapped = ("empirical", "logistic")
    ) -> pd.DataFrame:
        """Compare t-norms with each other and with the best single neuron, for the neurons of this detector.

        Parameters
        ----------
        norms : str or sequence of str
            T-norms, as for ``compose``.
        mappings : str or sequence of str
            Mappings, as for ``compose``.

        Returns
        -------
        DataFrame with the columns ``detector, mapping, auc, auc_heldout, auc_low, auc_high``
        """
        return self.choice.compared(norms, mappings)

    def scores(self, activations: ActivationsLike) -> NDArray[np.float64]:
        """The degree to which each sample shows the formula: float64 in [0, 1], shape (n_samples,).

        Parameters
        ----------
        activations : of the layers that the detector was composed from, as ``label`` takes them

        Raises
        ------
        UnknownNameError
            If a layer or neuron of the detector is not there.
        """
        return self._scores(inputs.align(activations, None))

    def _scores(self, every: Sequence[Aligned]) -> NDArray[np.float64]:
        inputs.same_samples(every, "a detector")
        layers, degrees = {one.layer: one.activations for one in every}, {}
        for concept, part in self.parts.items():
            if part.layer not in layers:
                if part.layer is None:
                    raise OptionError("the detector was composed from activations without layers: give such again")
                raise no_such("layer", part.layer, [name for name in layers if name is not None])
            taken = layers[part.layer]
            column = taken.block(taken.indices([part.neuron]))[:, 0]
            if column.dtype.kind == "f" and not np.isfinite(column).all():
                raise ActivationsError(f"neuron {part.neuron!r} holds NaN or infinity: every activation must be finite")
            degrees[concept] = part.degree(column)
        return np.asarray(evaluate_fuzzy(self.formula, degrees, self.norm, np))

    def auc(
        self,
        activations: ActivationsLike,
        concepts: ConceptsLike,
        *,
        names: Iterable[str] | None = None,
        align: bool = False,
    ) -> float:
        """The AUC of the detector's scores for its formula, on samples of any kind, ties counted one half.

        Parameters
        ----------
        activations, concepts, names, align : as ``label`` takes them; matched by sample ids where both have them
        """
        every = inputs.align(activations, concepts, names=names, keep_common=align)
        inside = self.formula.evaluate(every[0].shown)
        scores = every[0].used(self._scores(every))
        return float(measure(scores, inside[np.newaxis], np.ones(len(scores), np.int64))[0]["auc"])

    def to_torch(self, model: torch.nn.Module, pool: Pool = "mean") -> torch.nn.Module:
        """A module that runs the model on its input and gives the detector's output: float64, shape (n_samples,).

        The model runs in eval mode without gradients, with hooks for the time of a pass. Its layers must be named, as
        ``collect`` names them: compose from a dict of layers. Where neurons are numbers, they are channels of the
        output; where they have names, all of a layer must be there. The empirical mapping is a step function: an
        activation that differs in its last digits, as in batches of another size, may be one sample further.

        Parameters
        ----------
        pool : how outputs of layers become a number per neuron: as in ``collect`` when activations were collected

        Raises
        ------
        OptionError
            If the detector knows no layers, or ``pool`` is none.
        UnknownNameError
            If the model lacks a layer.
        """
        from neuronym.analysis.compose.module import DetectorModule

        layers = [part.layer for part in self.parts.values()]
        if None in layers:
            raise OptionError(
                "the detector does not know the layer of its neurons: compose it from a dict of layers, "
                "{layer: activations}"
            )
        return DetectorModule(model, self.formula, self.norm, self.parts, pool)

    def __str__(self) -> str:
        lines = [f"{self.formula} by {self.norm}: AUC {self.auc_searched:.4f}, held out {self.auc_heldout:.4f}"]
        lines[0] += f" (95% {self.auc_low:.4f} to {self.auc_high:.4f})"
        lines += [f"  {concept}: {part}" for concept, part in self.parts.items()]
        return "\n".join([*lines, f"  best single neuron: {self.single}"])


def compose(
    formula: Formula | str,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    names: Iterable[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    labels: LabelsLike | None = None,
    norm: str | TNorm = "product",
    mapping: Mapped = "empirical",
    direction: Literal["high", "low", "both"] = "high",
    holdout: float | None = 0.5,
    clusters: ClustersLike = None,
    seed: int = 0,
    align: bool = False,
) -> Detector:
    """Compose a detector of a formula from the best neuron of each of its concepts, with no training.

    Neurons are chosen, and their activations mapped to degrees, on one part of the samples; the other part says how
    good the detector is, and the best single neuron for the whole formula beside it.

    Parameters
    ----------
    formula : of concepts, such as ``"boat & ~house"``
    activations, concepts, names, neurons, clusters, align : as ``label`` takes them; layers must have the same samples
    labels : choose among the neurons whose label is the concept alone, where there are any, else among all of them;
        each in the direction of its label
    norm : ``"godel"``, ``"product"``, ``"lukasiewicz"``, ``"hamacher"``, ``"yager"`` or ``"yager(p)"``
    mapping : ``"empirical"``, the share of the samples below; or ``"logistic"``, of the standardised activation
    direction : whether neurons must be high or low where the concept is, or may be either
    holdout : share of the samples (or clusters) that says how good it is
    seed : of the split

    Raises
    ------
    UnknownNameError
        If there is no such concept, t-norm or neuron; the message lists near names.
    OptionError
        If a part of the samples shows nothing of the formula, or nothing else.

    >>> rng = np.random.default_rng(0)
    >>> concepts = rng.random((2000, 3)) < 0.3
    >>> activations = rng.normal(size=(2000, 3)) + 2 * concepts
    >>> found = compose("boat | house", activations, concepts, names=["boat", "house", "sea"])
    >>> found.parts["boat"].neuron, found.parts["house"].neuron, found.auc_heldout > found.single.auc_heldout
    (0, 1, True)
    """
    chosen = NeuronChoice.of(
        formula,
        activations,
        concepts,
        names=names,
        neurons=neurons,
        labels=labels,
        direction=direction,
        holdout=holdout,
        clusters=clusters,
        seed=seed,
        align=align,
    )
    return chosen.detector(norm, mapping)


def compare(
    formula: Formula | str,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    norms: Sequence[str] = NORMS,
    mappings: Sequence[Mapped] | Mapped = ("empirical", "logistic"),
    **options: Any,
) -> pd.DataFrame:
    """Compare t-norms with each other and with the best single neuron: a row each; the held-out part decides.

    Parameters
    ----------
    formula, activations, concepts, options : as for ``compose``

    Returns
    -------
    DataFrame with the columns ``detector, mapping, auc, auc_heldout, auc_low, auc_high``
    """
    known = ("names", "neurons", "labels", "direction", "holdout", "clusters", "seed", "align")
    unknown = [name for name in options if name not in known]
    if unknown:
        raise no_such("option", unknown[0], known)
    return NeuronChoice.of(formula, activations, concepts, **options).compared(norms, mappings)


def _check_shown(concept: str, shown: Concepts, held: NDArray[np.bool_]) -> None:
    """Refuse a concept that the samples searched cannot tell apart, and warn of one that those held out cannot."""
    if concept not in shown:
        raise OptionError(f"concept {concept!r} is shown by no or by every sample: no neuron can tell it")
    inside = shown[concept]
    searched, other = inside[~held], inside[held]
    if searched.all() or not searched.any():
        raise OptionError(f"concept {concept!r} is shown by no or by every sample searched: change seed or holdout")
    if other.all() or not other.any():
        warn(f"concept {concept!r} is shown by no or by every sample held out")


@dataclass(frozen=True)
class NeuronChoice:
    """The neurons of a formula, chosen on the rows that are not held out: what detectors are made of.

    ``of`` takes what ``compose`` takes, save t-norm and mapping.
    """

    formula: Formula
    parts: Mapping[str, ConceptNeuron]
    columns: Mapping[str, NDArray[Any]]  # the activations of each part, on all rows
    single: ConceptNeuron
    single_measure: NDArray[np.void]
    truth: NDArray[np.bool_]
    held: NDArray[np.bool_]
    clusters: NDArray[np.int64] | None

    @classmethod
    def of(
        cls,
        formula: Formula | str,
        activations: ActivationsLike,
        concepts: ConceptsLike,
        *,
        names: Iterable[str] | None = None,
        neurons: Iterable[Name] | slice | None = None,
        labels: LabelsLike | None = None,
        direction: str = "high",
        holdout: float | None = 0.5,
        clusters: ClustersLike = None,
        seed: int = 0,
        align: bool = False,
    ) -> NeuronChoice:
        """Choose the best neuron of each concept, and of the whole formula."""
        wanted = formula if isinstance(formula, Formula) else Formula.parse(formula)
        if direction not in ("high", "low", "both"):
            raise OptionError(f"direction must be 'high', 'low' or 'both', not {direction!r}")
        if holdout is None:
            raise OptionError("holdout must lie between 0 and 1, not None: the samples held out say how good it is")
        asked = EvidenceOptions(holdout=holdout, seed=seed)
        if labels is not None and not isinstance(labels, Labels):
            labels = Labels.open(labels)
        every = inputs.align(activations, concepts, names=names, clusters=clusters, keep_common=align)
        first = inputs.same_samples(every, "a detector")
        for concept in wanted.concepts:
            first.shown.index(concept)  # or the nearest names
        layers = {one.layer: one.activations for one in every}
        matched, groups, of_cluster = first.searched, first.groups, first.clusters
        parts = SampleSplit.of(groups, of_cluster, None, asked)
        held = np.zeros(groups.n_rows, np.bool_) if parts.held is None else parts.held
        for concept in wanted.concepts:
            _check_shown(concept, matched, held)
        truth = wanted.evaluate(matched)
        for part, members in (("searched", ~held), ("held out", held)):
            if truth[members].all() or not truth[members].any():
                raise OptionError(
                    f"the samples {part} show nothing of {wanted}, or nothing else: choose another holdout"
                )
        search = NeuronFinder(layers, groups, held, of_cluster, neurons, direction)
        places = {concept: matched.index(concept) for concept in wanted.concepts}
        found = {
            concept: search.best(
                extension(((2 * place,), (0,)), groups), matched[concept], candidates(labels, concept, matched, layers)
            )
            for concept, place in places.items()
        }
        whole = np.zeros(groups.n_groups, np.bool_)
        whole[groups.row_groups[truth]] = True
        single, column = search.best(whole, truth, None)
        return cls(
            wanted,
            {concept: part for concept, (part, _) in found.items()},
            {concept: column for concept, (_, column) in found.items()},
            single,
            search.measure(column[held], truth[held], single.low),
            truth,
            held,
            of_cluster,
        )

    def interval(self, row: NDArray[np.void]) -> tuple[float, float]:
        """The 95% interval of a held-out AUC."""
        low, high = auc_interval(row["auc"], row["variance"], row["units_in"], row["units_out"])
        return float(low), float(high)

    def detector(self, norm: str | TNorm, mapping: Mapped) -> Detector:
        """The detector that joins the neurons, mapped to degrees, by a t-norm."""
        joined_by = norm if isinstance(norm, TNorm) else TNorm.parse(norm)
        parts = {
            concept: replace(part, membership=Membership.fitted(mapping, self.columns[concept][~self.held], part.low))
            for concept, part in self.parts.items()
        }
        degrees = {concept: part.degree(self.columns[concept]) for concept, part in parts.items()}
        scores = evaluate_fuzzy(self.formula, degrees, joined_by, np)
        rows = []
        for members in (~self.held, self.held):
            own = None if self.clusters is None else self.clusters[members]
            ones = np.ones(int(members.sum()), np.int64)
            rows.append(measure(scores[members], self.truth[np.newaxis, members], ones, own)[0])
        low, high = self.interval(rows[1])
        aucs = (float(rows[0]["auc"]), float(rows[1]["auc"]))
        return Detector(self.formula, joined_by, parts, self.single, *aucs, low, high, self)

    def compared(self, norms: Sequence[str] | str, mappings: Sequence[Mapped] | Mapped) -> pd.DataFrame:
        """The table of ``compare``."""
        import pandas as pd

        columns = ["detector", "mapping", "auc", "auc_heldout", "auc_low", "auc_high"]
        single = (self.single.auc, self.single.auc_heldout, *self.interval(self.single_measure))
        rows: list[tuple[Any, ...]] = [("best single neuron", "", *single)]
        for mapping in [mappings] if isinstance(mappings, str) else mappings:
            for norm in [norms] if isinstance(norms, str) else norms:
                made = self.detector(norm, mapping)
                numbers = (made.auc_searched, made.auc_heldout, made.auc_low, made.auc_high)
                rows.append((str(made.norm), mapping, *numbers))
        return pd.DataFrame(rows, columns=columns)
