"""Circuit files: Graphviz, GraphML and JSON, which can be read back, and the results of a study beside them."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronym._util.characters import ESCAPED, from_spreadsheet, shortened
from neuronym._util.files import kind_of, read_json, reading
from neuronym._util.messages import some
from neuronym.data.activations import as_name
from neuronym.errors import FileError
from neuronym.types import JsonDict, Name, PathLike

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

__all__ = ["GRAPHS", "SavedGraph", "read", "read_ablation", "read_comparison", "title", "unwritable", "write"]

GRAPHS = (".dot", ".graphml", ".json")

Node = tuple[str, Name]
#: What a file holds: the graph, its target, its layers from the top, the number of samples, and what each comparison
#: of its study compares.
SavedGraph = tuple["nx.DiGraph[Node]", Node, list[str], int, dict[str, str]]


def title(graph: nx.DiGraph[Node], node: Node) -> str:
    """Describe a neuron by its layer, name, formula and AUC, as far as they are known."""
    attributes = graph.nodes[node]
    name = f" {attributes['name']}" if "name" in attributes else ""
    formula = f": {attributes['formula']} (AUC {attributes['auc']:.3f})" if "formula" in attributes else ""
    return f"{node[0]} {node[1]}{name}{formula}"


def _id(node: Node) -> str:
    return f"{node[0]}/{node[1]}"


def write(
    graph: nx.DiGraph[Node],
    target: Node,
    n_samples: int,
    path: PathLike,
    kind: str,
    headings: Mapping[str, str] | None = None,
) -> None:
    """Write a graph as ``.dot``, ``.graphml`` or ``.json`` to a temporary path, whose name need not say the kind.

    A ``.json`` file also says what each comparison beside it compares (``headings``).
    """
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
        data |= {"comparisons": dict(headings)} if headings else {}
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


def read(path: PathLike) -> SavedGraph:
    """Read a ``.json`` file written by ``write``."""
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
    in_order = [layers[level] for level in sorted(layers)]
    return graph, nodes[data["target"]], in_order, data["n_samples"], data.get("comparisons", {})


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
    headings = data.get("comparisons", {})
    if not isinstance(headings, dict) or not all(isinstance(heading, str) for heading in headings.values()):
        return "its comparisons are not texts by name"
    return None if _is_count(data.get("n_samples")) else "it lacks n_samples"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float holds."""
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


_COLUMNS = 1000  # of a comparison: pandas takes minutes for tens of thousands


def read_comparison(path: PathLike) -> pd.DataFrame:
    """Read a table of ``compare`` that was saved beside a circuit.

    Raises
    ------
    FileError
        If it cannot be read, or is not such a table.
    """
    import pandas as pd

    what = "a comparison of contributions"
    with reading(path, what), open(path, encoding="utf-8-sig", newline="") as file:
        n_columns = len(next(csv.reader(file), []))
    if n_columns > _COLUMNS:
        raise FileError(f"{str(path)!r} is not {what}: it has {n_columns:,} columns")
    named: Any = {"neuron": str, "formula": str}  # which stay text, such as 1e5 or 007
    with reading(path, what):
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=named)
    problem = _problem_of_comparison(table)
    if problem:
        raise FileError(f"{str(path)!r} is not {what}: {problem}")
    if ESCAPED in table:
        texts = [name for name in named if name in table]
        table = table.drop(columns=ESCAPED).assign(**{n: table[n].map(from_spreadsheet, "ignore") for n in texts})
    return table.assign(neuron=pd.Series([as_name(name) for name in table["neuron"]], dtype=object))


def _problem_of_comparison(table: pd.DataFrame) -> str | None:
    """Say what is wrong with a table that was read, or return None if it is a comparison."""
    numbers = ("first", "second", "difference")
    missing = {"neuron", *numbers} - set(table.columns)
    if missing:
        return f"it lacks {some(sorted(missing))}"
    if table.columns.has_duplicates or not len(table):
        return "it has columns of the same name" if len(table) else "it has no rows"
    for name in (*numbers, *(["auc"] if "auc" in table else [])):
        if table[name].dtype.kind not in "iuf" and table[name].notna().any():
            return f"the column {name} must hold numbers"
    empty = [name for name in ("neuron", *numbers) if table[name].isna().any()]
    return f"cells of the column {empty[0]} are empty" if empty else None


def read_ablation(path: PathLike, target: Node) -> JsonDict:
    """Read what ``Ablation.to_dict`` returned, from a file saved beside a circuit of this target.

    Raises
    ------
    FileError
        If it cannot be read, or is not an ablation of this target.
    """
    found = read_json(path, "an ablation")
    problem = _problem_of_ablation(found)
    if problem is None and list(map(str, found["target"])) != list(map(str, target)):
        problem = f"it is of the target {some(found['target'])}, and the circuit of {some(target)}"
    if problem:
        raise FileError(f"{str(path)!r} is not an ablation of this circuit: {problem}")
    return dict(found)


def _problem_of_ablation(data: Any) -> str | None:
    """Say what is wrong with the contents of a file, or return None if they are an ablation."""
    if not isinstance(data, dict):
        return "it is not a JSON object"
    numbers = ("before", "change", "accuracy_before", "accuracy_after")
    missing = [name for name in numbers if not _is_number(data.get(name))]
    missing += [name for name in ("n_samples",) if not _is_count(data.get(name))]
    random = [data.get(name) for name in ("changes_random", "accuracy_random")]
    if missing or not all(isinstance(one, list) and all(map(_is_number, one)) for one in random):
        return f"it lacks the number {missing[0]}" if missing else "it lacks the numbers of random sets"
    if len(data["changes_random"]) != len(data["accuracy_random"]):
        return "its random sets differ in number"
    if not isinstance(data.get("p"), int | float) or (data["changes_random"] and not 0 <= data["p"] <= 1):
        return "its p is no probability"
    target, neurons = data.get("target"), data.get("neurons")
    if not isinstance(target, list) or len(target) != 2 or not all(map(_is_name, target)):
        return "it lacks its target"
    if not isinstance(neurons, dict) or not all(
        isinstance(of, list) and all(map(_is_name, of)) for of in neurons.values()
    ):
        return "it lacks the neurons that were ablated"
    return None


def _is_name(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool) and value != ""


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
