"""The other sections of a report: circuits, spurious features, and a second set of labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym.analysis.circuits import Circuit
from neuronym.analysis.compare import MEASURES, by_layer, compare_layers
from neuronym.analysis.spurious import Findings
from neuronym.errors import OptionError
from neuronym.labels.labels import Labels
from neuronym.report.detail import Layer, number, tree
from neuronym.report.pairs import largest_changes, pair_rows
from neuronym.types import JsonDict, LabelsLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["baselines_data", "circuits_data", "compared_data", "findings_data"]

_ROWS, _PICTURED = 200, 8  # of a table of findings, and at each end with pictures
_CLEAR = 0.1  # an AUC that far from ½ is a clear response


def circuits_data(circuits: Circuit | Iterable[Circuit]) -> list[JsonDict] | None:
    """Return circuits as nodes and edges; None if there are none.

    Raises
    ------
    OptionError
        If one is not a circuit.
    """
    listed: list[Circuit] = list(circuits or ()) if not isinstance(circuits, Circuit) else [circuits]
    wrong = [one for one in listed if not hasattr(one, "graph")]
    if wrong:
        raise OptionError(f"circuits must be Circuit objects, as open_circuit returns them, not {wrong[0]!r}")
    found = []
    for one in listed:
        place = {node: k for k, node in enumerate(one.graph)}
        nodes = [
            {
                "layer": node[0],
                "neuron": node[1],
                "level": about["level"],
                "name": about.get("name"),
                "formula": about.get("formula"),
                "auc": number(about.get("auc")),
            }
            for node, about in one.graph.nodes(data=True)
        ]
        edges = [
            [place[a], place[b], number(edge["contribution"]), number(edge["share"])]
            for a, b, edge in one.graph.edges(data=True)
        ]
        found.append({"nodes": nodes, "edges": edges, "layers": list(one.layers), "n_samples": one.n_samples})
    return found or None


def findings_data(findings: Findings | None, layers: Mapping[str | None, Layer]) -> list[JsonDict] | None:
    """Return a ranking for each suspect, of the neurons and classes at both ends; None without findings.

    Each layer has the AUC of all its neurons, how many are significant, and the pairs of samples in which the neurons
    at the ends change most, if the report has their activations, concepts and clusters.
    """
    if findings is None:
        return None
    suspects = findings.neurons["suspect"].drop_duplicates().tolist()
    found = []
    for suspect, neurons in findings.neurons.groupby("suspect", sort=False):
        first = neurons.iloc[0]
        entry: JsonDict = {"suspect": suspect, "neurons": [], "classes": None}
        entry |= {name: int(first[name]) for name in ("pairs", "unpaired", "left_out") if name in neurons}
        by_layer: Any = neurons.groupby("layer", sort=False) if "layer" in neurons else [(None, neurons)]
        for layer, part in by_layer:
            table = _table(_ends(part), ("suspect", "layer", "pairs", "unpaired", "left_out", "p", "log10_p"))
            apart = (part["auc"] - 0.5).abs() >= _CLEAR if "auc" in part else part["q"] <= 0
            about = {
                "layer": layer,
                "n": len(part),
                "significant": int((part["q"] <= 0.05).sum()),
                "clear": int(((part["q"] <= 0.05) & apart).sum()),
                "aucs": [round(float(auc), 3) for auc in part["auc"]] if "auc" in part else [],
                "shown": _shown_pairs(part, layers.get(layer), str(suspect), suspects),
            }
            entry["neurons"].append(about | table)
        if findings.classes is not None:
            classes = findings.classes[findings.classes["suspect"] == suspect]
            entry["classes"] = {"n": len(classes), **_table(_ends(classes), ("suspect", "p", "log10_p"))}
        found.append(entry)
    return found


def _shown_pairs(part: pd.DataFrame, layer: Layer | None, suspect: str, suspects: list[str]) -> list[list[Any]]:
    """Return the neurons at both ends of a ranking, each with the pairs in which it changes most."""
    pairs = None if layer is None else pair_rows(layer, suspect, [one for one in suspects if one != suspect])
    if layer is None or pairs is None:
        return []
    names = part["neuron"].tolist()
    ends = dict.fromkeys(names[:_PICTURED], 1) | dict.fromkeys(names[::-1][: min(_PICTURED, len(names) // 2)], -1)
    return [[name, changes] for name, changes in largest_changes(layer, ends, pairs).items()]


def _ends(table: pd.DataFrame) -> pd.DataFrame:
    """Return the first and the last rows of a long table."""
    half = _ROWS // 2
    return table if len(table) <= _ROWS else table.iloc[[*range(half), *range(-half, 0)]]


def _table(table: pd.DataFrame, without: tuple[str, ...]) -> JsonDict:
    """Return the columns and rows of a table as JSON, without some columns and those that are empty."""
    columns = [name for name in table.columns if name not in without and table[name].notna().any()]
    listed = table[columns].itertuples(index=False)
    rows = [[cell if isinstance(cell, str) else number(cell) for cell in row] for row in listed]
    return {"columns": columns, "rows": rows}


def baselines_data(labels: Labels, baselines: LabelsLike | Iterable[LabelsLike]) -> list[JsonDict] | None:
    """Return the network's measures by layer, each beside the mean, lowest and highest of the baselines'.

    Raises
    ------
    OptionError
        If baselines lack a layer, or evidence that the labels have.
    """
    given: list[Any] = [baselines] if isinstance(baselines, Labels | str | Path) else list(baselines)
    if not given:
        return None
    rows = by_layer(compare_layers(labels, given))
    return [{**row, **{name: [number(value) for value in row[name]] for name in MEASURES}} for row in rows]


def compared_data(labels: Labels, other: Labels | None) -> list[list[Any]] | None:
    """Return the place of each label that is in both sets, and the formula, AUC and fraction in the other set."""
    if other is None:
        return None
    known = {(label.layer, label.neuron, label.direction): label for label in other}
    found = []
    for i, label in enumerate(labels):
        second = known.get((label.layer, label.neuron, label.direction))
        if second is not None:
            formula = None if second.formula is None else tree(second.formula)
            found.append([i, formula, number(second.auc), number(second.fraction)])
    return found
