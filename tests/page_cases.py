"""Labels, circuits and names to make reports of, and readers of what a report holds."""

import json
import re
from pathlib import Path

import networkx
import numpy as np
import pandas as pd

from neuronym import Activations, label
from neuronym.analysis.circuits.graph import Circuit
from neuronym.analysis.dissect import MethodComparison

N = 300


def a_circuit():
    """The high layer's neuron 0, from two of the low one."""
    graph = networkx.DiGraph()
    graph.add_node(("high", 0), layer="high", neuron=0, level=0, name="<b>dog</b>")
    for neuron, value in ((0, 1.5), (1, -0.5)):
        graph.add_node(("low", neuron), layer="low", neuron=neuron, level=1, formula="dog & ~grass", auc=0.9)
        graph.add_edge(("low", neuron), ("high", 0), contribution=value, share=abs(value) / 2, method="linear")
    return Circuit(graph, ("high", 0), ["high", "low"], 7, {("high", 0): 1.0})


def some_methods():
    """A comparison of two methods on a neuron of the page, one without a formula, and one that the page lacks."""
    formulas = {
        "NetDissect": [("low", 0, "dog", 0.25, 0.7), ("low", 5, None, np.nan, np.nan),
                       ("deep", "<b>x</b>", "sky", 0.1, 0.5)],
        "INVERT": [("low", 0, "dog & ~grass", 0.125, 0.875), ("low", 5, None, np.nan, np.nan),
                   ("deep", "<b>x</b>", "dog | sky", 0.05, 0.75)],
    }  # fmt: skip
    neurons = [[*row[:2], method, *row[2:]] for method, rows in formulas.items() for row in rows]
    table = [
        ["NetDissect", 2, 2, 1.0, 0.175, 0.6, 0.5, 0.5, 0.25, 12.5, 250.0],
        ["INVERT", 2, 2, 2.0, 0.0875, 0.8125, 1, 1, 1, 0.5, np.nan],
    ]
    columns = ["method", "neurons", "compared", "length", "iou", "auc", "same", "same_concepts", "overlap", "seconds"]
    columns.append("memory")
    return MethodComparison(
        pd.DataFrame(table, columns=columns),
        pd.DataFrame(neurons, columns=["layer", "neuron", "method", "formula", "iou", "auc"]),
        True,
        {},
    )


def pieces(folder, name):
    """What a piece of data holds."""
    text = (Path(folder) / "data" / f"{name}.js").read_text(encoding="ascii")
    named, value = re.fullmatch(r"neuronym\.piece\((\"[^\"]+\"),(.*)\);\n", text, re.DOTALL).groups()
    assert json.loads(named) == name
    found = json.loads(value)
    if name == "index":
        found["columns"] = {key: unpacked(column) for key, column in found["columns"].items()}
    return found


def unpacked(column):
    """A column of the index, as the page reads it."""
    if "runs" in column:
        return [start + column["step"] * k for start, n in column["runs"] for k in range(n)]
    if "codes" in column:
        return [column["values"][code] for code in column["codes"]]
    return [x if x is None else x / 10000 for x in column["scaled"]] if "scaled" in column else column["plain"]


def untrained(taken, concepts, seed):
    """Labels of noise instead of the network's activations."""
    noise = Activations(np.random.default_rng(seed + 9).normal(size=taken.matrix.shape), sample_ids=taken.sample_ids)
    return label({"low": noise, "high": noise}, concepts, permutations=99, holdout=0.5, min_count=5)


HOSTILE = [
    "<script>alert(1)</script>",
    "\"quoted\" 'single' `tick`",
    "../../etc/passwd",
    "x" * 300,
    "🐕‍🦺 dog",
    "كلب أسود",
    "a&amp;b",
    "#/neuron/1?q=x",
    "</script><img src=x onerror=alert(1)>",
    " leading",
    "new\nline",
    "%2e%2e%2f",
    "__proto__",
    "constructor",
]
