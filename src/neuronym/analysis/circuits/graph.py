"""Circuits: how a decision is computed from labelled neurons, layer by layer.

From the target down, the neurons that contribute most are kept, then the neurons that contribute most to these, and so
on. The result is a graph whose nodes carry formulas and whose edges carry signed contributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuronym._util.extras import need
from neuronym._util.files import kind_of, writing
from neuronym._util.messages import no_such
from neuronym.analysis.circuits.ablation import Ablation, ablate
from neuronym.analysis.circuits.contributing import N_STEPS, Contributions, Method, compare, contributions
from neuronym.analysis.circuits.files import GRAPHS, read, title, write
from neuronym.analysis.circuits.observed import ObservedModel, Target, Where
from neuronym.data.depths import as_hierarchy, concept_depths
from neuronym.errors import OptionError
from neuronym.inputs.alignment import as_concepts
from neuronym.labeling.labeling import label
from neuronym.labels.labels import Labels
from neuronym.search.beam import Rules
from neuronym.types import ConceptsLike, HierarchyLike, Name, PathLike

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    import torch

__all__ = [
    "Ablation",
    "Circuit",
    "Contributions",
    "ObservedModel",
    "ablate",
    "by_depth",
    "compare",
    "contributions",
    "find_circuit",
    "open_circuit",
    "opened",
    "save_circuit",
]


@dataclass(frozen=True)
class Circuit:
    """The neurons that a target is computed from, and their contributions.

    Parameters
    ----------
    graph : networkx.DiGraph
        Nodes are (layer, neuron), with the attributes ``layer``, ``neuron``, ``level`` (0 is the target), ``name`` if
        the neuron has one, and ``formula`` and ``auc`` if it is labelled. Edges run upward, with the attributes
        ``contribution``, the mean over the samples; ``share``, its absolute value as a share of the sum of absolute
        contributions to that neuron; and ``method``.
    target : tuple of str and (int or str)
        The layer and name of the target neuron.
    layers : sequence of str
        The layers, from the target's down.
    n_samples : int
        The number of samples that contributions are averaged over.
    covered : dict of (str, int or str) to float
        For each neuron that edges lead to, the share of the sum of absolute contributions that the edges cover.
    """

    graph: nx.DiGraph[Target]
    target: Target
    layers: Sequence[str]
    n_samples: int
    covered: dict[Target, float]

    def neurons(self, layer: str) -> list[Name]:
        """Return the neurons of a layer that are in the circuit.

        Parameters
        ----------
        layer : str
            One of the circuit's layers.

        Returns
        -------
        list of (int or str)
            The names of the neurons.

        Raises
        ------
        UnknownNameError
            If the circuit has no such layer.
        """
        if layer not in self.layers:
            raise no_such("layer", layer, list(self.layers))
        return [neuron for node_layer, neuron in self.graph if node_layer == layer]

    def __str__(self) -> str:
        lines = [f"{title(self.graph, self.target)}: {self.graph.number_of_nodes()} neurons, {self.n_samples} samples"]
        for upper in self.covered:
            below = sorted(self.graph.pred[upper].items(), key=lambda item: -abs(item[1]["contribution"]))
            lines.append(f"{title(self.graph, upper)}, {self.covered[upper]:.0%} of its contributions:")
            lines += [f"  {edge['contribution']:+.3g}  {title(self.graph, node)}" for node, edge in below]
        return "\n".join(lines)


def find_circuit(
    observed: ObservedModel,
    *,
    target: Target,
    layers: Sequence[str],
    where: Where = None,
    against: Where = None,
    labels: Labels | None = None,
    titles: dict[Target, str] | None = None,
    share: float = 0.5,
    most: int = 8,
    length: int = Rules.length,
    method: Method = "auto",
    n_steps: int = N_STEPS,
    baseline: torch.Tensor | None = None,
) -> Circuit:
    """Chain the contributions of several layers into one graph, pruned to the neurons that explain most.

    Parameters
    ----------
    observed : ObservedModel
        The model with its data and the activations of all these layers.
    target : tuple of str and (int or str)
        The layer and name of the target neuron.
    layers : sequence of str
        Lower layers, in any order; contributions run from each to the one above it.
    where, against : formula, mask or array of int, optional
        The samples to average over and those of the baseline, as for ``contributions``.
    labels : Labels, optional
        Labels of the neurons; without them, the neurons that are kept are labelled if there are concepts.
    titles : dict of (str, int or str) to str, optional
        Names for neurons, by layer and neuron.
    share : float, default 0.5
        How much of the sum of absolute contributions to a neuron the neurons kept below it should explain.
    most : int, default 8
        The largest number of neurons to keep below each neuron.
    length : int, default 3
        The largest length of a formula, if neurons are labelled here.
    method : {"auto", "linear", "gradient", "conductance", "integrated"}, default "auto"
        How contributions are computed, as for ``contributions``.
    n_steps : int, default 20
        The number of integration steps.
    baseline : tensor of the shape of a sample, optional
        The input at which integration starts; zeros by default.

    Returns
    -------
    Circuit
        The graph from the target down.

    Raises
    ------
    UnknownNameError
        If there is no such layer, neuron or concept.
    OptionError
        If ``share`` or ``most`` is out of range, or a layer is not connected to the one above it.
    """
    need("a circuit", "circuits")
    import networkx as nx

    if not 0 < share <= 1:
        raise OptionError(f"share must be above 0 and at most 1, not {share!r}")
    if isinstance(most, float) or most < 1:
        raise OptionError(f"most must be a whole number of at least 1, not {most!r}")
    target = observed.resolve(target)
    levels = [target[0], *_from_top(observed, [layer for layer in dict.fromkeys(layers) if layer != target[0]])]
    if len(levels) < 2:
        raise OptionError("layers must name at least one layer below the target's")
    rows = observed.select(where, target)
    graph: nx.DiGraph[Target] = nx.DiGraph()
    graph.add_node(target, layer=target[0], neuron=target[1], level=0)
    covered: dict[Target, float] = {}
    uppers = [target]
    for level, layer in enumerate(levels[1:], 1):
        for upper in uppers:
            found = contributions(
                observed,
                target=upper,
                layer=layer,
                where=rows,
                against=against,
                method=method,
                n_steps=n_steps,
                baseline=baseline,
            )
            covered[upper] = _grow(graph, found, level, share, most)
        uppers = [node for node in graph if node[0] == layer]
    _describe(graph, observed, labels, titles or {}, length)
    return Circuit(graph, target, levels, len(rows), covered)


def _from_top(observed: ObservedModel, layers: Sequence[str]) -> list[str]:
    """Sort layers from the last to the first that the model calls."""
    from neuronym.analysis.circuits.attribution import call_order

    for layer in layers:
        if layer not in observed.layers:
            raise no_such("layer", layer, list(observed.layers))
    inputs = next(observed.batches(np.zeros(1, np.int64)))
    return list(reversed(call_order(observed.model, inputs, layers)))


def _grow(graph: nx.DiGraph[Target], found: Contributions, level: int, share: float, most: int) -> float:
    """Add the neurons that explain the wanted share of a neuron, and return the share they do explain."""
    mean = found.mean
    sizes = np.abs(mean)
    total = float(sizes.sum())
    largest = np.argsort(-sizes, kind="stable")[:most]
    explained = np.cumsum(sizes[largest])
    kept = largest[: int(np.searchsorted(explained, share * total * (1 - 1e-12))) + 1]
    for j in kept.tolist():
        if not sizes[j]:
            continue
        node = (found.layer, found.neurons[j])
        if node not in graph:
            graph.add_node(node, layer=node[0], neuron=node[1], level=level)
        graph.add_edge(
            node, found.target, contribution=float(mean[j]), share=float(sizes[j] / total), method=found.method
        )
    return float(sizes[kept].sum() / total) if total else 0.0


def _describe(
    graph: nx.DiGraph[Target],
    observed: ObservedModel,
    labels: Labels | None,
    titles: dict[Target, str],
    length: int,
) -> None:
    """Add formulas, AUCs and names to the nodes, labelling them if needed and there are concepts."""
    if labels is None and observed.concepts is not None:
        by_layer: dict[str, list[Name]] = {}
        for layer, neuron in graph:
            by_layer.setdefault(layer, []).append(neuron)
        labels = Labels(
            one
            for layer, neurons in by_layer.items()
            for one in label({layer: observed.layers[layer]}, observed.concepts, neurons=neurons, length=length)
        )
    for one in labels or ():
        nodes = [node for node in graph if node[1] == one.neuron and one.layer in (node[0], None)]
        for node in nodes if one.formula is not None else ():
            graph.nodes[node].update(formula=str(one.formula), auc=float(one.auc))
    for node, name in titles.items():
        if node in graph:
            graph.nodes[node]["name"] = name


def save_circuit(found: Circuit, path: PathLike, *, overwrite: bool = False) -> None:
    """Save a circuit as ``.dot`` (Graphviz), ``.graphml`` or ``.json`` (networkx's node-link data).

    Parameters
    ----------
    found : Circuit
        The circuit to save.
    path : str or Path
        The file to write; its ending says the format.
    overwrite : bool, default False
        Replace the file if it exists.

    Raises
    ------
    FileError
        If the path has another ending, the file exists and ``overwrite`` is False, or it cannot be written.
    """
    kind = kind_of(path, GRAPHS, "a circuit")
    with writing(path, overwrite) as temporary:
        write(found.graph, found.target, found.n_samples, temporary, kind)


def open_circuit(path: PathLike) -> Circuit:
    """Read a ``.json`` file written by ``save_circuit``.

    Parameters
    ----------
    path : str or Path
        The file to read.

    Returns
    -------
    Circuit
        The circuit that was saved.

    Raises
    ------
    FileError
        If the file cannot be read, or is not a circuit.
    """
    return opened(path)[0]


def opened(path: PathLike) -> tuple[Circuit, dict[str, str]]:
    """Read a circuit, and what each comparison of its study compares, by the comparison's name."""
    graph, target, layers, n_samples, headings = read(path)
    covered = {upper: sum(edge["share"] for edge in graph.pred[upper].values()) for upper in graph if graph.pred[upper]}
    return Circuit(graph, target, layers, n_samples, covered), headings


def by_depth(labels: Labels, concepts: ConceptsLike, hierarchy: HierarchyLike) -> pd.DataFrame:
    """Measure how general or specific the labels of each layer are, by their depth in a hierarchy.

    Parameters
    ----------
    labels : Labels
        Labels of several layers, in the order of the layers.
    concepts : ConceptsLike
        The concepts the labels were found with.
    hierarchy : HierarchyLike
        A hierarchy that contains the concepts under their names, descriptions or aliases.

    Returns
    -------
    DataFrame
        One row per layer: ``layer``; ``neurons``, the number with a formula; and the means over these of ``auc``,
        ``fraction``, ``length``, ``depth`` (the steps from the top of the hierarchy to the concepts of a formula) and
        ``hypernyms`` (the share of its concepts that are above others).

    Raises
    ------
    OptionError
        If the hierarchy contains none of the concepts, or no neuron has a formula.
    """
    import pandas as pd

    known_concepts = as_concepts(concepts)
    (positions,) = concept_depths(as_hierarchy(hierarchy), [known_concepts])
    rows = []
    for one in labels:
        if one.formula is None:
            continue
        of_formula = np.array([positions[known_concepts.index(concept)] for concept in one.formula.concepts])
        known = of_formula[np.isfinite(of_formula[:, 1])]
        hypernyms, depth = known.mean(axis=0) if len(known) else (np.nan, np.nan)
        rows.append((str(one.layer), one.auc, one.fraction, one.formula.length, depth, hypernyms))
    if not rows:
        raise OptionError("no neuron has a formula: there is nothing to compare")
    names = ["auc", "fraction", "length", "depth", "hypernyms"]
    table = pd.DataFrame(rows, columns=["layer", *names])
    means = table.groupby("layer", sort=False)[names].mean()
    means.insert(0, "neurons", table.groupby("layer", sort=False).size())
    return means.reset_index()
