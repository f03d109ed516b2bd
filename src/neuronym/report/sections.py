"""What stands beside the neurons in a report: circuits, spurious findings, a second set of labels."""

from __future__ import annotations

from typing import Any

from neuronym.errors import OptionError
from neuronym.labels.labels import Labels
from neuronym.report.detail import number, tree

__all__ = ["circuits_data", "compared_data", "findings_data"]

_ROWS = 60  # of a table of findings


def circuits_data(circuits: Any) -> list[dict[str, Any]] | None:
    """Circuits as nodes and edges."""
    listed = [circuits] if hasattr(circuits, "graph") else list(circuits or ())
    wrong = [one for one in listed if not hasattr(one, "graph")]
    if wrong:
        raise OptionError(f"circuits must be Circuit, as open_circuit gives it of a file, not {wrong[0]!r}")
    found = []
    for one in listed:
        place = {node: k for k, node in enumerate(one.graph)}
        nodes = [
            {
                "layer": node[0],
                "neuron": node[1],
                "level": held["level"],
                "name": held.get("name"),
                "formula": held.get("formula"),
                "auc": number(held.get("auc")),
            }
            for node, held in one.graph.nodes(data=True)
        ]
        edges = [
            [place[a], place[b], number(edge["contribution"]), number(edge["share"])]
            for a, b, edge in one.graph.edges(data=True)
        ]
        found.append({"nodes": nodes, "edges": edges, "layers": list(one.layers), "n_samples": one.n_samples})
    return found or None


def findings_data(findings: Any) -> list[dict[str, Any]] | None:
    """The tables of each suspect: the neurons and classes at both ends."""
    if findings is None:
        return None
    found = []
    for suspect, own in findings.neurons.groupby("suspect", sort=False):
        entry: dict[str, Any] = {"suspect": suspect, "pairs": int(own["pairs"].iloc[0]), "neurons": [], "classes": None}
        for layer, part in own.groupby("layer", sort=False) if "layer" in own else [(None, own)]:
            shown = _table(_ends(part), ("suspect", "layer", "pairs", "p", "log10_p"))
            entry["neurons"].append({"layer": layer, **shown})
        if findings.classes is not None:
            classes = findings.classes[findings.classes["suspect"] == suspect]
            entry["classes"] = _table(_ends(classes), ("suspect", "p", "log10_p"))
        found.append(entry)
    return found


def _ends(table: Any) -> Any:
    half = _ROWS // 2
    return table if len(table) <= _ROWS else table.iloc[[*range(half), *range(-half, 0)]]


def _table(table: Any, without: tuple[str, ...]) -> dict[str, Any]:
    columns = [name for name in table.columns if name not in without and table[name].notna().any()]
    listed = table[columns].itertuples(index=False)
    rows = [[cell if isinstance(cell, str) else number(cell) for cell in row] for row in listed]
    return {"columns": columns, "rows": rows}


def compared_data(labels: Labels, other: Labels | None) -> list[list[Any]] | None:
    """For each label that the other set has too: its place, and the other's formula and AUC."""
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
