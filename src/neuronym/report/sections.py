"""The other sections of a report: circuits, spurious features, and a second set of labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuronym._util.messages import some
from neuronym.analysis.circuits.study import SavedStudy
from neuronym.analysis.compare import MEASURES, by_layer, compare_layers
from neuronym.analysis.dissect import MethodComparison
from neuronym.analysis.spurious import Findings
from neuronym.data.formula import Formula
from neuronym.errors import FormulaError, OptionError
from neuronym.labels.labels import Labels, keys_of, layers_of
from neuronym.report.detail import Layer, number, numbers, tree
from neuronym.report.pairs import Ints, largest_changes, no_pairs, pair_rows
from neuronym.types import JsonDict, LabelsLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["baselines_data", "check_layers", "circuits_data", "compared_data", "findings_data", "methods_data"]

_ROWS, _PICTURED = 400, 8  # of a table of findings, and at each end with pictures
_CLEAR = (0.4, 0.6)  # an AUC of at most or at least that is a clear response
_DIFFERING = 40  # neurons of a comparison of contributions


def circuits_data(studies: Sequence[SavedStudy]) -> list[JsonDict] | None:
    """Return circuits as nodes and edges, with comparisons and ablations; None if there are none."""
    return [_circuit_data(one) for one in studies] or None


def _circuit_data(study: SavedStudy) -> JsonDict:
    """Return one circuit; its nodes are known by their places in the list."""
    one = study.circuit
    place = {node: k for k, node in enumerate(one.graph)}
    nodes = [
        {
            "layer": node[0],
            "neuron": node[1],
            "level": about["level"],
            "name": about.get("name"),
            "formula": about.get("formula"),
            "tree": _tree_of(about.get("formula")),
            "auc": number(about.get("auc")),
        }
        for node, about in one.graph.nodes(data=True)
    ]
    edges = [
        [place[a], place[b], number(edge["contribution"]), number(edge["share"])]
        for a, b, edge in one.graph.edges(data=True)
    ]
    below = one.layers[1] if len(one.layers) > 1 else None
    return {
        "nodes": nodes,
        "edges": edges,
        "target": place[one.target],
        "layers": list(one.layers),
        "n_samples": one.n_samples,
        "comparisons": [
            {"name": name, "heading": heading, "layer": below, "n": len(table), "rows": _differing(table)}
            for name, (heading, table) in study.comparisons.items()
        ],
        "ablations": [_ablation_data(ablation) for ablation in study.ablations.values()],
    }


def _tree_of(text: Any) -> list[Any] | None:
    """Return the formula of a node as nested lists; None if there is none, or its text is no formula."""
    try:
        return None if text is None else tree(Formula.parse(str(text)))
    except FormulaError:
        return None


def _differing(table: pd.DataFrame) -> list[list[Any]]:
    """Return the neurons whose contributions differ most: name, first, second, difference, formula, its text, AUC."""
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index[:_DIFFERING]
    found = []
    for row in table.loc[order].to_dict("records"):
        text = row.get("formula")
        text = text if isinstance(text, str) else None
        values = [number(row[name]) for name in ("first", "second", "difference")]
        found.append([row["neuron"], *values, _tree_of(text), text, number(row.get("auc"))])
    return found


def _ablation_data(ablation: JsonDict) -> JsonDict:
    """Return an ablation with numbers that JSON can hold."""
    single = ("before", "change", "p", "accuracy_before", "accuracy_after")
    several = ("changes_random", "accuracy_random")
    return {
        "neurons": [[layer, list(names)] for layer, names in ablation["neurons"].items()],
        "n_samples": ablation["n_samples"],
        **{name: number(ablation[name]) for name in single},
        **{name: numbers(ablation[name]) for name in several},
    }


def check_layers(labels: Labels, studies: Iterable[SavedStudy], findings: Findings | None) -> None:
    """Refuse circuits and findings with layers of which no neuron is among the labels.

    Parameters
    ----------
    labels : Labels
        The labels of the page. Those without a layer may be of any.
    studies : iterable of SavedStudy
        The circuits.
    findings : Findings, optional
        Findings of spurious features.

    Raises
    ------
    OptionError
        If a layer has no label.
    """
    shown = layers_of(labels)
    for study in studies:
        layer, neuron = study.circuit.target
        _check_layers(
            shown, [node[0] for node in study.circuit.graph], f"circuit of {layer} {neuron} has", "the circuit"
        )
    if findings is not None and "layer" in findings.neurons:
        _check_layers(shown, findings.neurons["layer"].dropna().unique(), "findings have", "the findings")


def _check_layers(shown: Sequence[str | None], given: Iterable[str], what: str, which: str) -> None:
    """Refuse layers that have no labels, unless labels have no layers."""
    unknown = [layer for layer in dict.fromkeys(given) if layer not in shown]
    if unknown and None not in shown:
        plural = len(unknown) > 1
        raise OptionError(
            f"{what} neurons of the {'layers' if plural else 'layer'} {some(unknown)}, which "
            f"{'have' if plural else 'has'} no labels on this page ({some(shown)}): label "
            f"{'them' if plural else 'it'}, or leave {which} out"
        )


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
        others = [one for one in suspects if one != suspect]
        entry: JsonDict = {"suspect": suspect, "others": others, "clear": _CLEAR, "neurons": [], "classes": None}
        entry |= {name: int(first[name]) for name in ("pairs", "unpaired", "left_out") if name in neurons}
        by_layer: Any = neurons.groupby("layer", sort=False) if "layer" in neurons else [(None, neurons)]
        for layer, listed in by_layer:
            part = listed.assign(auc=listed.get("auc", np.nan)).sort_values("auc", ascending=False, kind="stable")
            table = _table(_ends(part), ("suspect", "layer", "pairs", "unpaired", "left_out", "p", "log10_p"))
            apart = (part["auc"] <= _CLEAR[0]) | (part["auc"] >= _CLEAR[1])
            known = layers.get(layer)
            why = "nothing was compared in pairs" if entry.get("pairs") == 0 else no_pairs(known, str(suspect), others)
            pairs = None if known is None or why else pair_rows(known, str(suspect), others)
            if pairs is not None and not len(pairs):
                why = "no cluster has samples without and with it"
            about = {
                "layer": layer,
                "n": len(part),
                "significant": int((part["q"] <= 0.05).sum()),
                "clear": int(((part["q"] <= 0.05) & apart).sum()),
                "aucs": [round(float(auc), 3) for auc in part["auc"].dropna()],
                "shown": [] if known is None or pairs is None else _shown_pairs(part, known, pairs),
                "why": why,
            }
            entry["neurons"].append(about | table)
        if findings.classes is not None:
            classes = findings.classes[findings.classes["suspect"] == suspect]
            entry["classes"] = {"n": len(classes), **_table(_ends(classes), ("suspect", "p", "log10_p"))}
        found.append(entry)
    return found


def _shown_pairs(part: pd.DataFrame, layer: Layer, pairs: Ints) -> list[list[Any]]:
    """Return the neurons that rise and fall most with a suspect, each with the pairs in which it changes most."""
    aucs = dict(zip(part["neuron"].tolist(), part["auc"].tolist(), strict=True))
    rising = dict.fromkeys([name for name, auc in aucs.items() if auc > 0.5][:_PICTURED], 1)
    falling = dict.fromkeys([name for name, auc in aucs.items() if auc < 0.5][-_PICTURED:], -1)
    return [[name, changes] for name, changes in largest_changes(layer, rising | falling, pairs).items()]


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


def methods_data(labels: Labels, methods: MethodComparison | None) -> JsonDict | None:
    """Return the table of methods, and each neuron's formula by each method; None without a comparison."""
    if methods is None:
        return None
    table = methods.table
    rows = [[row["method"], *(number(row[name]) for name in table.columns[1:])] for row in table.to_dict("records")]
    place: dict[Any, int] = {key: i for i, key in reversed([*enumerate(keys_of(labels))])}
    layers = {row if isinstance(row, str) else None for row in methods.neurons["layer"]}
    if len(layers) == 1 and len(layers_of(labels)) == 1:  # it is that layer, though one side does not name it
        place = {(layer, neuron): i for (_, neuron), i in place.items() for layer in layers} | place
    names = table["method"].tolist()
    found: dict[Any, JsonDict] = {}
    for row in methods.neurons.to_dict("records"):
        layer = row["layer"] if isinstance(row["layer"], str) else None
        key = layer, row["neuron"]
        if key not in found:
            known = place.get(key)
            nothing = [None, "", None, None]
            found[key] = {"layer": layer, "neuron": key[1], "place": known, "formulas": [nothing] * len(names)}
        text = row["formula"] if isinstance(row["formula"], str) else None
        measured = number(row["iou"]), number(row["auc"])
        found[key]["formulas"][names.index(row["method"])] = [_tree_of(text), text or "", *measured]
    return {
        "held_out": methods.held_out,
        "columns": [*map(str, table.columns)],
        "rows": rows,
        "methods": names,
        "neurons": [*found.values()],
    }
