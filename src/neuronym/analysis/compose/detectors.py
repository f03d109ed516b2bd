"""Detectors composed by hand: labelled neurons combined by fuzzy logic, without training.

The activation of a neuron is mapped to the degree to which its concept is present. A t-norm combines these degrees
along a formula, so that the result detects what no single neuron was trained for (the paper's handcrafted circuits).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.messages import counted, no_such, some, warn
from neuronym.analysis.compose.fuzzy import NORMS, Membership, TNorm, evaluate_fuzzy
from neuronym.data.activations import Activations
from neuronym.data.concepts import Concepts
from neuronym.data.formula import Formula
from neuronym.data.groups import SampleGroups
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import Aligned, check_finite
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.labels.labels import Labels
from neuronym.search.beam import extension
from neuronym.search.scores import AUC
from neuronym.stats.intervals import FEWEST_CLUSTERS
from neuronym.stats.measures import confidence_intervals, measure
from neuronym.types import ActivationsLike, Align, AnyArray, ClustersLike, ConceptsLike, LabelsLike, Name, Pool

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from neuronym.network.pooling import Pool

__all__ = ["ChosenNeurons", "ConceptNeuron", "Detector", "compare", "compose"]

DegreeMapping = Literal["empirical", "logistic"]
Candidate = tuple[str | None, Name, bool]  # layer, neuron, whether it is low where the concept is present


@dataclass(frozen=True)
class ConceptNeuron:
    """The neuron chosen to detect a concept, or a whole formula.

    Parameters
    ----------
    layer : str or None
        The layer of the neuron; None if the activations have no layers.
    neuron : int or str
        The name of the neuron.
    column : int
        Its column of the layer's activations.
    n_neurons : int
        The number of neurons in the layer.
    low : bool
        Whether the neuron is low where the concept is present.
    auc, auc_heldout : float
        How well it detects the concept, on the samples that it was chosen on and on the held-out samples.
    membership : Membership, optional
        The mapping from activations to degrees; None until one is fitted.
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
        """Return the degree to which the concept is present.

        Parameters
        ----------
        column : array or tensor of shape (n_samples,)
            The activations of the neuron.
        xp : module, default numpy
            The library of ``column``, numpy or torch.

        Returns
        -------
        array or tensor of shape (n_samples,)
            Degrees in [0, 1], float64.

        Raises
        ------
        OptionError
            If no mapping was fitted, as for the best single neuron.
        """
        if self.membership is None:
            raise OptionError("this neuron has no mapping to degrees: it was only compared, not composed")
        return self.membership(column, xp)

    def __str__(self) -> str:
        place = "" if self.layer is None else f"{self.layer} "
        return f"neuron {place}{self.neuron}{', low' * self.low} (AUC {self.auc:.3f}, held out {self.auc_heldout:.3f})"


@dataclass(frozen=True)
class NeuronFinder:
    """Finds the neuron that detects a set of samples best."""

    layers: Mapping[str | None, Activations]
    groups: SampleGroups
    held: NDArray[np.bool_]
    clusters: NDArray[np.int64] | None
    neurons: Iterable[Name] | slice | None
    direction: str

    def best(
        self, groups_inside: NDArray[np.bool_], inside: NDArray[np.bool_], among: set[Candidate] | None
    ) -> tuple[ConceptNeuron, AnyArray]:
        """Find the best neuron for a set of samples, given as groups and as rows, on the rows not held out.

        Returns the neuron and its activations on all rows. ``among`` restricts the choice; None allows all neurons.
        """
        part, auc = self.groups.part(~self.held), AUC()
        n = int(part.counts[groups_inside].sum())
        leader: tuple[float, str | None, int, bool] | None = None
        directions = {"high": (False,), "low": (True,), "both": (False, True)}[self.direction]
        for layer, taken in self.layers.items():
            columns = taken.indices(self.neurons)
            if among is not None:
                named = [taken.names[j] for j in columns]
                columns = columns[[(layer, name, False) in among or (layer, name, True) in among for name in named]]
            for block in taken.blocks(columns) if len(columns) else ():
                values = taken.block(block)
                check_finite(self.groups.select_rows(values))
                sums = auc.weigh(values, part).sums[:, groups_inside].sum(axis=1)
                high = (sums - n * (n + 1)) / (2 * n * (part.total - n))
                for low in directions if among is None else (False, True):
                    aucs = 1 - high if low else high
                    if among is not None:
                        allowed = [(layer, taken.names[j], low) in among for j in block]
                        aucs = np.where(allowed, aucs, -1.0)
                    j = int(np.argmax(aucs))
                    if leader is None or aucs[j] > leader[0]:
                        leader = float(aucs[j]), layer, int(block[j]), low
        if leader is None:
            raise ActivationsError("there is no neuron to compose from")
        value, layer, place, low = leader
        taken = self.layers[layer]
        column = self.groups.select_rows(taken.column(place))
        heldout = self.measure(column[self.held], inside[self.held], low)["auc"]
        return ConceptNeuron(layer, taken.names[place], place, taken.n_neurons, low, value, float(heldout)), column

    def measure(self, column: AnyArray, inside: NDArray[np.bool_], low: bool) -> NDArray[np.void]:
        """Compute the ``MEASURES`` of one neuron on the held-out rows."""
        clusters = None if self.clusters is None else self.clusters[self.held]
        row: NDArray[np.void] = measure(column, inside[np.newaxis], np.ones(len(column), np.int64), clusters, low)[0]
        return row


def candidates(
    labels: Labels | None, concept: str, concepts: Concepts, layers: Mapping[str | None, Activations]
) -> set[Candidate] | None:
    """Return the neurons labelled with a concept alone; all labelled neurons if there are none, None without labels.

    Raises
    ------
    OptionError
        If the labels belong to other layers or neurons than the activations.
    """
    if labels is None:
        return None
    present = {(layer, name) for layer, taken in layers.items() for name in taken.names}
    usable = [label for label in labels if (label.layer, label.neuron) in present]
    if not usable:
        known = ", ".join(sorted({str(label.layer) for label in labels}))
        raise OptionError(
            f"the labels belong to other neurons (layers {known}) than the activations (layers "
            f"{', '.join(map(str, layers))}): give the activations that were labelled"
        )
    alone = Formula.concept(concepts.names[concepts.index(concept)])
    matching = [label for label in usable if label.formula in (alone, Formula.concept(concept))]
    return {(label.layer, label.neuron, label.direction == "low") for label in matching or usable}


@dataclass(frozen=True)
class Detector:
    """A detector of a formula, composed of one neuron per concept; made by ``compose``.

    Parameters
    ----------
    formula : Formula
        The formula that it detects.
    norm : TNorm
        The t-norm that combines the neurons.
    parts : mapping of str to ConceptNeuron
        The neuron of each concept.
    single : ConceptNeuron
        The best single neuron for the whole formula, for comparison.
    auc_searched : float
        The AUC on the samples that the neurons were chosen on.
    auc_heldout : float
        The AUC on the held-out samples.
    auc_low, auc_high : float
        The 95% confidence interval of ``auc_heldout``.
    choice : ChosenNeurons
        The choice of neurons, from which detectors with other t-norms and mappings can be made.
    """

    formula: Formula
    norm: TNorm
    parts: Mapping[str, ConceptNeuron]
    single: ConceptNeuron
    auc_searched: float
    auc_heldout: float
    auc_low: float
    auc_high: float
    choice: ChosenNeurons = field(repr=False, compare=False)

    def compare(
        self,
        norms: Sequence[str] | str = NORMS,
        mappings: Sequence[DegreeMapping] | DegreeMapping = ("empirical", "logistic"),
    ) -> pd.DataFrame:
        """Compare t-norms with each other and with the best single neuron, for the neurons of this detector.

        The best of several t-norms is chosen on the held-out samples, so its AUC is too high: see ``compare``.

        Parameters
        ----------
        norms : str or sequence of str
            The t-norms, as for ``compose``; all by default.
        mappings : str or sequence of str
            The mappings to degrees, as for ``compose``; both by default.

        Returns
        -------
        DataFrame
            One row for the best single neuron and one per detector, with the columns ``detector``, ``mapping``,
            ``auc``, ``auc_heldout``, ``auc_low`` and ``auc_high``.

        Raises
        ------
        UnknownNameError
            If there is no such t-norm.
        OptionError
            If there is no such mapping.
        """
        return self.choice.compared(norms, mappings)

    def scores(self, activations: ActivationsLike) -> NDArray[np.float64]:
        """Return the degree to which each sample shows the formula.

        Parameters
        ----------
        activations : ActivationsLike
            The activations of the layers that the detector was composed from, as for ``label``.

        Returns
        -------
        float64 array of shape (n_samples,)
            Degrees in [0, 1].

        Raises
        ------
        UnknownNameError
            If a layer or neuron of the detector is missing.
        ActivationsError
            If its activations contain NaN or infinity.
        """
        return self._scores(inputs.align(activations, None))

    def _scores(self, aligned: Sequence[Aligned]) -> NDArray[np.float64]:
        """Evaluate the formula on the activations of aligned layers."""
        inputs.same_samples(aligned, "a detector")
        layers, degrees = {one.layer: one.activations for one in aligned}, {}
        for concept, part in self.parts.items():
            if part.layer not in layers:
                if part.layer is None:
                    raise OptionError(
                        "the detector was composed from activations without layers, not from a mapping of layers: give "
                        "the activations of that layer alone"
                    )
                raise no_such("layer", part.layer, [name for name in layers if name is not None])
            taken = layers[part.layer]
            column = taken.column(int(taken.indices([part.neuron])[0]))
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
        align: Align = False,
    ) -> float:
        """Return the AUC of the detector's scores for its formula on any samples, with ties counted one half.

        Parameters
        ----------
        activations : ActivationsLike
            The activations of the layers that the detector was composed from, as for ``label``.
        concepts : ConceptsLike
            The concepts of the same samples, as for ``label``; matched by sample ids if both have them.
        names : iterable of str, optional
            The names of the concepts, for ``concepts`` given as an array.
        align : bool or "position", default False
            If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.

        Returns
        -------
        float
            The AUC.

        Raises
        ------
        InputError
            If activations or concepts cannot be used, as one of the subclasses in ``neuronym.errors``.
        """
        aligned = inputs.align(activations, concepts, names=names, keep_common=align)
        inside = self.formula.evaluate(aligned[0].shown)
        scores = aligned[0].select_rows(self._scores(aligned))
        return float(measure(scores, inside[np.newaxis], np.ones(len(scores), np.int64))[0]["auc"])

    def to_torch(
        self, model: torch.nn.Module, pool: Pool = "mean", *, axes: str | Mapping[str, str] | None = None
    ) -> torch.nn.Module:
        """Return a PyTorch module that runs the model and computes the detector's scores from its layers.

        The model runs in eval mode without gradients, with hooks only during a forward pass. The detector must have
        been composed from a mapping of layers, with the names that ``collect`` uses. Neurons that are numbers are
        channels of the layer's output; if they have names, the layer must output all of its neurons. The empirical
        mapping is a step function, so an activation that differs in its last digits, as between batch sizes, can change
        a degree by one sample's share.

        Parameters
        ----------
        model : torch.nn.Module
            The model whose activations the detector was composed from.
        pool : {"mean", "max", "first", "last"} or callable, default "mean"
            How outputs of layers become one number per neuron; the same as when the activations were collected.
        axes : str or mapping of str to str, optional
            What the axes of the outputs mean, as for ``collect``.

        Returns
        -------
        torch.nn.Module
            Takes the inputs of the model and returns scores: float64, shape (n_samples,).

        Raises
        ------
        OptionError
            If the detector has no layer names, or there is no such ``pool``, or ``axes`` are not letters for axes.
        UnknownNameError
            If the model lacks one of the layers.
        """
        from neuronym.analysis.compose.module import DetectorModule

        layers = [part.layer for part in self.parts.values()]
        if None in layers:
            raise OptionError(
                "the detector does not know the layers of its neurons: compose it from a mapping, {layer: activations}"
            )
        return DetectorModule(model, self.formula, self.norm, self.parts, pool, axes)

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
    mapping: DegreeMapping = "empirical",
    direction: Literal["high", "low", "both"] = "high",
    holdout: float | None = 0.5,
    clusters: ClustersLike = None,
    seed: int = 0,
    align: Align = False,
) -> Detector:
    """Compose a detector of a formula from the best neuron for each of its concepts, without training.

    Neurons are chosen, and their activations mapped to degrees, on one part of the samples. The held-out part measures
    the detector, and the best single neuron for the whole formula for comparison.

    Parameters
    ----------
    formula : Formula or str
        A formula of concepts, such as ``"boat & ~house"``.
    activations : ActivationsLike
        The activations, as for ``label``; all layers must have the same samples.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``label``.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    neurons : iterable of int or str, or slice, optional
        The neurons to choose from, by name; all by default.
    labels : LabelsLike, optional
        Choose each concept's neuron from those labelled with the concept alone, in the direction of the label; if
        there are none, from all labelled neurons. Label with the same ``holdout``, ``seed``, ``clusters`` and concepts:
        labels that were found on samples held out here raise a warning.
    norm : str or TNorm, default "product"
        The t-norm: ``"godel"``, ``"product"``, ``"lukasiewicz"``, ``"hamacher"``, ``"yager"`` or ``"yager(p)"``.
    mapping : {"empirical", "logistic"}, default "empirical"
        How an activation becomes a degree: the fraction of samples with lower activations, ties counted one half, or
        the logistic function of the standardised activation.
    direction : {"high", "low", "both"}, default "high"
        Whether neurons are to be high or low where the concept is present, or may be either.
    holdout : float, default 0.5
        The fraction of samples (or clusters) held out to measure the detector.
    clusters : ClustersLike, optional
        The cluster that each sample belongs to, as for ``label``; clusters are held out as a whole.
    seed : int, default 0
        The seed of the split.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.

    Returns
    -------
    Detector
        The detector, with its AUC on the held-out samples.

    Raises
    ------
    UnknownNameError
        If there is no such concept, t-norm or neuron; the message lists similar names.
    OptionError
        If the formula is true for none or for all of the samples of either part, or one of its concepts for those that
        are not held out.
    InputError
        If activations or concepts cannot be used, as one of the subclasses in ``neuronym.errors``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> concepts = rng.random((2000, 3)) < 0.3
    >>> activations = rng.normal(size=(2000, 3)) + 2 * concepts
    >>> found = compose("boat | house", activations, concepts, names=["boat", "house", "sea"])
    >>> found.parts["boat"].neuron, found.parts["house"].neuron, found.auc_heldout > found.single.auc_heldout
    (0, 1, True)
    """
    choice = ChosenNeurons.of(
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
    return choice.detector(norm, mapping)


def compare(
    formula: Formula | str,
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    norms: Sequence[str] = NORMS,
    mappings: Sequence[DegreeMapping] | DegreeMapping = ("empirical", "logistic"),
    **options: Any,
) -> pd.DataFrame:
    """Compare t-norms and mappings with each other and with the best single neuron, by their held-out AUC.

    The best of several t-norms is chosen on the held-out samples, so its AUC is too high, and its interval may miss.
    Choose by the column ``auc``, or measure the chosen detector on other samples with ``Detector.auc``.

    Parameters
    ----------
    formula : Formula or str
        A formula of concepts, such as ``"boat & ~house"``.
    activations : ActivationsLike
        The activations, as for ``label``; all layers must have the same samples.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``label``.
    norms : sequence of str, optional
        The t-norms, as for ``compose``; all by default.
    mappings : str or sequence of str, optional
        The mappings to degrees, as for ``compose``; both by default.
    **options : object
        The other options of ``compose``.

    Returns
    -------
    DataFrame
        One row for the best single neuron and one per detector, with the columns ``detector``, ``mapping``, ``auc``,
        ``auc_heldout``, ``auc_low`` and ``auc_high``.

    Raises
    ------
    UnknownNameError
        If ``compose`` has no such option, or as for ``compose``.
    InputError
        As for ``compose``.
    """
    known = ("names", "neurons", "labels", "direction", "holdout", "clusters", "seed", "align")
    unknown = [name for name in options if name not in known]
    if unknown:
        raise no_such("option", unknown[0], known)
    return ChosenNeurons.of(formula, activations, concepts, **options).compared(norms, mappings)


def _check_varies(concept: str, concepts: Concepts, held: NDArray[np.bool_]) -> None:
    """Raise an error for a concept of no or every searched sample, and warn if that holds for the held-out ones."""
    if concept not in concepts:
        raise OptionError(f"concept {concept!r} is true for no or for every sample: no neuron can detect it")
    inside = concepts[concept]
    searched, other = inside[~held], inside[held]
    if searched.all() or not searched.any():
        raise OptionError(
            f"concept {concept!r} is true for no or for every sample that is not held out: change seed or holdout"
        )
    if other.all() or not other.any():
        warn(f"concept {concept!r} is true for no or for every held-out sample, so its neuron has no held-out AUC")


def _check_labels(
    labels: Labels, found: Sequence[tuple[ConceptNeuron, AnyArray]], concepts: Concepts, searched: NDArray[np.bool_]
) -> None:
    """Warn if the labels of the chosen neurons were not found on the samples that are not held out."""
    leaking: list[Name] = []
    known = set(concepts.names)
    for part, column in found:
        same = False
        for label in labels:
            if (label.layer, label.neuron, label.direction == "low") != (part.layer, part.neuron, part.low):
                continue
            if label.formula is not None and known.issuperset(label.formula.concepts):
                inside = label.formula.evaluate(concepts)[np.newaxis, searched]
                row = measure(column[searched], inside, np.ones(inside.shape[1], np.int64), None, part.low)[0]
                same |= row["positives"] == label.count and abs(row["auc"] - label.auc) <= 1e-9
        leaking += [part.neuron] * (not same)
    if leaking:
        warn(
            f"the labels of {counted(len(leaking), 'chosen neuron')} ({some(leaking)}) were not found on the samples "
            "that are not held out here, so the choice may have seen those, and the held-out AUC may be too high: "
            "label with the same holdout, seed, clusters and concepts, without strata, or compose on other samples"
        )


@dataclass(frozen=True)
class ChosenNeurons:
    """The neurons chosen for a formula on the rows that are not held out; detectors are made of them.

    Made by ``of``, which takes the options of ``compose`` except for the t-norm and the mapping.

    Parameters
    ----------
    formula : Formula
        The formula.
    parts : mapping of str to ConceptNeuron
        The neuron of each concept, without a mapping to degrees.
    columns : mapping of str to array of shape (n_rows,)
        The activations of the neuron of each concept.
    single : ConceptNeuron
        The best single neuron for the whole formula.
    single_measure : structured array
        Its ``MEASURES`` on the held-out rows.
    truth : bool array of shape (n_rows,)
        Where the formula is true.
    held : bool array of shape (n_rows,)
        Which rows are held out.
    clusters : int64 array of shape (n_rows,), or None
        The cluster of each row.
    """

    formula: Formula
    parts: Mapping[str, ConceptNeuron]
    columns: Mapping[str, AnyArray]
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
        align: Align = False,
    ) -> ChosenNeurons:
        """Choose the best neuron for each concept, and for the whole formula.

        Parameters
        ----------
        formula : Formula or str
            A formula of concepts, such as ``"boat & ~house"``.
        activations : ActivationsLike
            The activations, as for ``label``; all layers must have the same samples.
        concepts : ConceptsLike
            The concepts of the same samples, as for ``label``.
        names : iterable of str, optional
            The names of the concepts, for ``concepts`` given as an array.
        neurons : iterable of int or str, or slice, optional
            The neurons to choose from, by name; all by default.
        labels : LabelsLike, optional
            Choose each concept's neuron from those labelled with the concept alone, in the direction of the label; if
            there are none, from all labelled neurons. Label with the same ``holdout``, ``seed``, ``clusters`` and
            concepts: labels that were found on samples held out here raise a warning.
        direction : {"high", "low", "both"}, default "high"
            Whether neurons are to be high or low where the concept is present, or may be either.
        holdout : float, default 0.5
            The fraction of samples (or clusters) held out to measure the detector.
        clusters : ClustersLike, optional
            The cluster that each sample belongs to, as for ``label``; clusters are held out as a whole.
        seed : int, default 0
            The seed of the split.
        align : bool or "position", default False
            If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.

        Returns
        -------
        ChosenNeurons
            The neurons.

        Raises
        ------
        UnknownNameError
            If there is no such concept or neuron; the message lists similar names.
        OptionError
            If the formula is true for none or for all of the samples of either part, or one of its concepts for those
            that are not held out.
        InputError
            If activations or concepts cannot be used, as one of the subclasses in ``neuronym.errors``.
        """
        target = formula if isinstance(formula, Formula) else Formula.parse(formula)
        if direction not in ("high", "low", "both"):
            raise OptionError(f"direction must be 'high', 'low' or 'both', not {direction!r}")
        if holdout is None:
            raise OptionError("holdout must lie between 0 and 1, not None: held-out samples measure the detector")
        options = EvidenceOptions(holdout=holdout, seed=seed)
        if labels is not None and not isinstance(labels, Labels):
            labels = Labels.open(labels)
        aligned = inputs.align(activations, concepts, names=names, clusters=clusters, keep_common=align)
        first = inputs.same_samples(aligned, "a detector")
        for concept in target.concepts:
            first.shown.index(concept)  # raises an error with similar names
        layers = {one.layer: one.activations for one in aligned}
        searched, groups, row_clusters = first.searched, first.groups, first.clusters
        split = SampleSplit.of(groups, row_clusters, None, options)
        held = np.zeros(groups.n_rows, np.bool_) if split.held is None else split.held
        for concept in target.concepts:
            _check_varies(concept, searched, held)
        truth = target.evaluate(searched)
        for part, members in (("searched", ~held), ("held-out", held)):
            if truth[members].all() or not truth[members].any():
                raise OptionError(
                    f"{target} is true for none or for all of the {part} samples: choose another holdout or seed"
                )
        finder = NeuronFinder(layers, groups, held, row_clusters, neurons, direction)
        places = {concept: searched.index(concept) for concept in target.concepts}
        found = {
            concept: finder.best(
                extension(((2 * place,), (0,)), groups),
                searched[concept],
                candidates(labels, concept, searched, layers),
            )
            for concept, place in places.items()
        }
        if labels is not None:
            _check_labels(labels, list(found.values()), first.shown, ~held)
        groups_inside = np.zeros(groups.n_groups, np.bool_)
        groups_inside[groups.row_groups[truth]] = True
        single, column = finder.best(groups_inside, truth, None)
        heldout = finder.measure(column[held], truth[held], single.low)
        if row_clusters is not None and heldout["effective"] < FEWEST_CLUSTERS:
            warn(
                f"the held-out samples inside or outside {target} come in {heldout['effective']:.1f} effective "
                f"clusters, fewer than {FEWEST_CLUSTERS}: intervals may cover too little; more clusters, of more equal "
                "sizes, are needed"
            )
        return cls(
            target,
            {concept: part for concept, (part, _) in found.items()},
            {concept: column for concept, (_, column) in found.items()},
            single,
            heldout,
            truth,
            held,
            row_clusters,
        )

    def interval(self, row: NDArray[np.void]) -> tuple[float, float]:
        """Return the 95% confidence interval of an AUC.

        Parameters
        ----------
        row : structured array
            One row of ``MEASURES``.

        Returns
        -------
        tuple of float
            The lower and the upper end of the interval.
        """
        low, high = confidence_intervals(row, self.clusters is not None)
        return float(low), float(high)

    def detector(self, norm: str | TNorm, mapping: DegreeMapping) -> Detector:
        """Make the detector that combines the neurons by a t-norm.

        Parameters
        ----------
        norm : str or TNorm
            The t-norm, as for ``compose``.
        mapping : {"empirical", "logistic"}
            How an activation becomes a degree, as for ``compose``.

        Returns
        -------
        Detector
            The detector, with its AUC on the held-out samples.

        Raises
        ------
        UnknownNameError
            If there is no such t-norm.
        OptionError
            If there is no such mapping.
        """
        t_norm = norm if isinstance(norm, TNorm) else TNorm.parse(norm)
        parts = {
            concept: replace(part, membership=Membership.fitted(mapping, self.columns[concept][~self.held], part.low))
            for concept, part in self.parts.items()
        }
        degrees = {concept: part.degree(self.columns[concept]) for concept, part in parts.items()}
        scores = evaluate_fuzzy(self.formula, degrees, t_norm, np)
        rows = []
        for members in (~self.held, self.held):
            clusters = None if self.clusters is None else self.clusters[members]
            ones = np.ones(int(members.sum()), np.int64)
            rows.append(measure(scores[members], self.truth[np.newaxis, members], ones, clusters)[0])
        low, high = self.interval(rows[1])
        aucs = (float(rows[0]["auc"]), float(rows[1]["auc"]))
        return Detector(self.formula, t_norm, parts, self.single, *aucs, low, high, self)

    def compared(self, norms: Sequence[str] | str, mappings: Sequence[DegreeMapping] | DegreeMapping) -> pd.DataFrame:
        """Compare t-norms and mappings with each other and with the best single neuron.

        Parameters
        ----------
        norms : str or sequence of str
            The t-norms, as for ``compose``.
        mappings : str or sequence of str
            The mappings to degrees, as for ``compose``.

        Returns
        -------
        DataFrame
            The table of ``compare``.

        Raises
        ------
        UnknownNameError
            If there is no such t-norm.
        OptionError
            If there is no such mapping.
        """
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
