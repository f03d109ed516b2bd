"""Circuit files: Graphviz, GraphML and JSON, which can be read back."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.characters import shortened
from neuronym._util.files import kind_of, read_json, reading
from neuronym.data.activations import as_name
from neuronym.errors import FileError
from neuronym.types import Name, PathLike

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["GRAPHS", "read", "title", "unwritable", "write"]

GRAPHS = (".dot", ".graphml", ".json")

Node = tuple[str, Name]


def title(graph: nx.DiGraph[Node], node: Node) -> str:
    """Describe a neuron by its layer, name, formula and AUC, as far as they are known."""
    attributes = graph.nodes[node]
    name = f" {attributes['name']}" if "name" in attributes else ""
    formula = f": {attributes['formula']} (AUC {attributes['auc']:.3f})" if "formula" in attributes else ""
    return f"{node[0]} {node[1]}{name}{formula}"


def _id(node: Node) -> str:
    return f"{node[0]}/{node[1]}"


def write(graph: nx.DiGraph[Node], target: Node, n_samples: int, path: PathLike, kind: str) -> None:
    """Write a graph as ``.dot``, ``.graphml`` or ``.json`` to a temporary path, whose name need not say the kind."""
    import networkx as nx

    by_id: nx.DiGraph[str] = nx.relabel_nodes(graph, {node: _id(node) for node in graph})
    for attributes in by_id.nodes.values():
        attributes["neuron"] = str(attributes["neuron"])  # a GraphML attribute has one type
    problem = unwritable(graph, kind)
    if problem:
        raise FileError(f"cannot write {str(path)!r}: {problem}; nothing was written")
    if kind == ".graphml":
        nx.write_graphml(by_id, path)
    elif kind == ".json":
        data = {"target": _id(target), "n_samples": n_samples, **nx.node_link_data(by_id, edges="edges")}
        Path(path).write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")
    else:
        Path(path).write_text(_dot(graph), encoding="utf-8")


def unwritable(graph: nx.DiGraph[Node], kind: str) -> str | None:
    """Say what a kind of file cannot hold of a graph, or return None if it can hold it all."""
    if len(set(map(_id, graph))) < len(graph):
        return "two neurons have the same layer/neuron, such as a/b/c: rename their layers"
    for node, attributes in graph.nodes(data=True):
        for text in (*map(str, node), str(attributes.get("name", "")), str(attributes.get("formula", ""))):
            odd = _UNFIT[kind].search(text) if kind in _UNFIT else None
            if odd is not None:
                return f"a {kind} file cannot hold the character {odd[0]!a} of {shortened(text)}: save it as .json"
    return None


#: Characters that XML cannot hold, or changes; and the end of a text in C, which Graphviz reads.
_UNFIT = {".graphml": re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]"), ".dot": re.compile("\0")}


def read(path: PathLike) -> tuple[nx.DiGraph[Node], Node, list[str], int]:
    """Read the graph, target, layers and number of samples from a ``.json`` file written by ``write``."""
    import networkx as nx

    kind_of(path, (".json",), "a saved circuit")
    data = read_json(path, "a circuit")
    problem = _problem(data)
    if problem:
        raise FileError(f"{str(path)!r} is not a circuit saved by save_circuit: {problem}")
    with reading(path, "a circuit"):  # an attribute may have the name of an argument of networkx
        by_id: Any = nx.node_link_graph(data, multigraph=False, edges="edges")
    nodes = {one: (attributes["layer"], as_name(attributes["neuron"])) for one, attributes in by_id.nodes(data=True)}
    for one, attributes in by_id.nodes(data=True):
        attributes["neuron"] = nodes[one][1]
    graph = nx.relabel_nodes(by_id, nodes)
    layers = {attributes["level"]: attributes["layer"] for attributes in graph.nodes.values()}
    return graph, nodes[data["target"]], [layers[level] for level in sorted(layers)], data["n_samples"]


def _problem(data: Any) -> str | None:
    """Say what is wrong with the contents of a file, or return None if they are a circuit."""
    if not isinstance(data, dict):
        return "it is not a JSON object"
    if data.get("directed") is not True or data.get("multigraph") or not isinstance(data.get("graph", {}), dict):
        return "it is not a directed graph"
    for name in ("nodes", "edges"):
        if not isinstance(data.get(name), list) or not all(isinstance(one, dict) for one in data[name]):
            return f"it has no list called {name}"
    for node in data["nodes"]:
        types = {"id": str, "layer": str, "neuron": str, "level": int}
        missing = [name for name, kind in types.items() if not isinstance(node.get(name), kind) or node[name] == ""]
        if missing:
            return f"a node lacks {missing[0]}"
        if ("formula" in node and not _is_number(node.get("auc"))) or abs(node["level"]) >= 2**31:
            return f"the node {node['id']!r} has an odd AUC or level"
    if len({(node["layer"], node["neuron"]) for node in data["nodes"]}) < len({node["id"] for node in data["nodes"]}):
        return "two nodes are of one neuron"
    known = {node["id"] for node in data["nodes"]}
    for edge in data["edges"]:
        if not all(isinstance(edge.get(end), str) and edge[end] in known for end in ("source", "target")):
            return "an edge refers to a node that is not in the file"
        if not all(_is_number(edge.get(name)) for name in ("contribution", "share")):
            return "an edge lacks its contribution or share"
    if not isinstance(data.get("target"), str) or data["target"] not in known:
        return "its target is not among the nodes"
    n_samples = data.get("n_samples")
    return None if isinstance(n_samples, int) and 0 <= n_samples < 2**63 else "it lacks n_samples"


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float holds."""
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _dot(graph: nx.DiGraph[Node]) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = ["digraph circuit {", "  rankdir=BT;", "  node [shape=box];"]
    lines += [f"  {quoted(_id(node))} [label={quoted(title(graph, node))}];" for node in graph]
    for lower, upper, edge in graph.edges(data=True):
        value = edge["contribution"]
        colour = "blue" if value > 0 else "orange"
        ends = f"{quoted(_id(lower))} -> {quoted(_id(upper))}"
        lines.append(f"  {ends} [label={quoted(f'{value:+.3g}')}, color={colour}];")
    return "\n".join([*lines, "}", ""])
