"""Circuits: how a decision is built up from labelled neurons, layer by layer.

From a target down, the neurons that add most to it are kept, then those that add most to them, and so on: a graph whose
nodes carry formulas and whose edges carry signed contributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuronym._util.extras import need
from neuronym._util.messages import no_such
from neuronym.analysis.circuits.ablation import Ablation, ablate
from neuronym.analysis.circuits.contributing import N_STEPS, Contributions, Method, compare, contributions
from neuronym.analysis.circuits.files import read, title, write
from neuronym.analysis.circuits.observed import ObservedModel, Target, Where
from neuronym.data.depths import as_hierarchy, hierarchy_positions
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
    "save_circuit",
]


@dataclass(frozen=True)
class Circuit:
    """The neurons that a target is built from.

    Parameters
    ----------
    graph : networkx.DiGraph
        Nodes are (layer, neuron) with ``layer``, ``neuron``, ``level`` (0 is the target), ``name`` where there is one,
        and, where they are labelled, ``formula`` and ``auc``. Edges run upward, with ``contribution``, the mean over
        the samples; ``share``, of the sum of all contributions' absolute values to that neuron; ``method``.
    target : layer and neuron
    layers : from the target's down
    n_samples : how many samples contributions are means of
    covered : for each neuron that edges run to, the share of the sum of absolute contributions that is kept
    """

    graph: nx.DiGraph[Target]
    target: Target
    layers: Sequence[str]
    n_samples: int
    covered: dict[Target, float]

    def neurons(self, layer: str) -> list[Name]:
        """The neurons of a layer that are in the circuit."""
        if layer not in self.layers:
            raise no_such("layer", layer, list(self.layers))
        return [neuron for own, neuron in self.graph if own == layer]

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
    """Chain the contributions of several layers into one graph, pruned to what explains most.

    Parameters
    ----------
    observed : the model with its data and activations, of all of these layers
    target : layer and neuron
    layers : lower layers, in any order; contributions run from each to the one above it
    where, against, method, n_steps, baseline : as for ``contributions``
    labels : of neurons of these layers; where there are none and there are concepts, the neurons that are kept are
        labelled
    titles : names of neurons, by layer and neuron
    share : of the sum of absolute contributions to a neuron, how much the neurons kept below it are to explain
    most : at most so many are kept below each neuron
    length : of the formulas of neurons that are labelled here

    Raises
    ------
    UnknownNameError, OptionError
        As ``contributions``; if ``share`` or ``most`` are out of their range.
    """
    need("a circuit", "circuits")
    import networkx as nx

    if not 0 < share <= 1:
        raise OptionError(f"share must be above 0 and up to 1, not {share!r}")
    if isinstance(most, float) or most < 1:
        raise OptionError(f"most must be a whole number of at least 1, not {most!r}")
    target = observed.named(target)
    levels = [target[0], *_in_order(observed, [layer for layer in dict.fromkeys(layers) if layer != target[0]])]
    if len(levels) < 2:
        raise OptionError("layers must name at least one layer below that of the target")
    rows = observed.chosen(where, target)
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


def _in_order(observed: ObservedModel, layers: Sequence[str]) -> list[str]:
    """Layers from the last to the first that the model calls."""
    from neuronym.analysis.circuits.attribution import order

    for layer in layers:
        if layer not in observed.layers:
            raise no_such("layer", layer, list(observed.layers))
    inputs = next(observed.batches(np.zeros(1, np.int64)))
    return list(reversed(order(observed.model, inputs, layers)))


def _grow(graph: nx.DiGraph[Target], found: Contributions, level: int, share: float, most: int) -> float:
    """Add the neurons that explain a share of what is added to a neuron; the share that they explain."""
    mean = found.mean
    sizes = np.abs(mean)
    whole = float(sizes.sum())
    best = np.argsort(-sizes, kind="stable")[:most]
    reached = np.cumsum(sizes[best])
    kept = best[: int(np.searchsorted(reached, share * whole * (1 - 1e-12))) + 1]
    for j in kept.tolist():
        if not sizes[j]:
            continue
        node = (found.layer, found.neurons[j])
        if node not in graph:
            graph.add_node(node, layer=node[0], neuron=node[1], level=level)
        graph.add_edge(
            node, found.target, contribution=float(mean[j]), share=float(sizes[j] / whole), method=found.method
        )
    return float(sizes[kept].sum() / whole) if whole else 0.0


def _describe(
    graph: nx.DiGraph[Target],
    observed: ObservedModel,
    labels: Labels | None,
    titles: dict[Target, str],
    length: int,
) -> None:
    """Write formulas, AUCs and names into the nodes."""
    if labels is None and observed.concepts is not None:
        kept = {
            layer: [neuron for own, neuron in graph if own == layer]
            for layer in dict.fromkeys(layer for layer, _ in graph)
        }
        labels = Labels(
            one
            for layer, neurons in kept.items()
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

    Raises
    ------
    FileError
        If the file is of another kind, exists and ``overwrite`` is off, or cannot be written.
    """
    write(found.graph, found.target, found.n_samples, path, overwrite)


def open_circuit(path: PathLike) -> Circuit:
    """Read the ``.json`` that ``save_circuit`` wrote.

    Raises
    ------
    FileError
        If the file cannot be read, or is no circuit.
    """
    graph, target, layers, n_samples = read(path)
    covered = {upper: sum(edge["share"] for edge in graph.pred[upper].values()) for upper in graph if graph.pred[upper]}
    return Circuit(graph, target, layers, n_samples, covered)


def by_depth(labels: Labels, concepts: ConceptsLike, hierarchy: HierarchyLike) -> pd.DataFrame:
    """How labels go from general to specific, layer by layer.

    Parameters
    ----------
    labels : of several layers, in their order
    concepts : those that the labels were found with
    hierarchy : above the concepts, found by their names, descriptions or aliases

    Returns
    -------
    DataFrame with a row per layer, means over neurons
        ``layer``; ``neurons``: how many have a formula; ``auc``; ``fraction`` of the samples; ``length``; ``depth``:
        how many steps the concepts of a formula are below the top; ``hypernyms``: the share of them that are above
        others.

    Raises
    ------
    OptionError
        If the hierarchy knows none of the concepts, or no neuron has a formula.
    """
    import pandas as pd

    shown = as_concepts(concepts)
    stands = hierarchy_positions(as_hierarchy(hierarchy), shown)
    rows = []
    for one in labels:
        if one.formula is None:
            continue
        own = np.array([stands[shown.index(concept)] for concept in one.formula.concepts])
        known = own[np.isfinite(own[:, 1])]
        hypernyms, depth = known.mean(axis=0) if len(known) else (np.nan, np.nan)
        rows.append((str(one.layer), one.auc, one.fraction, one.formula.length, depth, hypernyms))
    if not rows:
        raise OptionError("no neuron has a formula: there is nothing to compare")
    names = ["auc", "fraction", "length", "depth", "hypernyms"]
    table = pd.DataFrame(rows, columns=["layer", *names])
    means = table.groupby("layer", sort=False)[names].mean()
    means.insert(0, "neurons", table.groupby("layer", sort=False).size())
    return means.reset_index()
