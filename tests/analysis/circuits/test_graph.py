import json

import networkx as nx
import numpy as np
import pytest
from PIL import Image

from neuronym import Concepts, FileError, Hierarchy, Label, Labels, OptionError, UnknownNameError, label
from neuronym.analysis.circuits.graph import ObservedModel, by_depth, contributions, find_circuit, save_circuit
from neuronym.plots import plot_circuit
from neuronym.plots.figures import COLOURS
from small_net import DATA, LAYERS, SHOWN, Net


@pytest.fixture
def observed():
    return ObservedModel.of(Net(), DATA, LAYERS, concepts=SHOWN)


def test_a_circuit_keeps_what_explains_most_layer_by_layer(observed):
    found = find_circuit(observed, target=("fc", 2), layers=["low", "pool"], where="dog", share=0.6, most=20, length=1)
    assert list(found.layers) == ["fc", "pool", "low"]  # in the order of the model, not as they were named
    direct = contributions(observed, target=("fc", 2), layer="pool", where="dog")
    sizes = np.sort(np.abs(direct.mean))[::-1]
    n_kept = int(np.searchsorted(np.cumsum(sizes), 0.6 * sizes.sum())) + 1
    assert len(found.neurons("pool")) == n_kept
    assert found.covered["fc", 2] == pytest.approx(sizes[:n_kept].sum() / sizes.sum())
    for neuron in found.neurons("pool"):
        edge = found.graph.edges[("pool", neuron), ("fc", 2)]
        assert edge["contribution"] == pytest.approx(direct.mean[neuron], rel=1e-12)
        assert edge["method"] == "linear"
        below = contributions(observed, target=("pool", neuron), layer="low", where="dog")
        for lower, _, lower_edge in found.graph.in_edges(("pool", neuron), data=True):
            assert lower_edge["contribution"] == pytest.approx(below.mean[lower[1]], rel=1e-9)
            assert lower_edge["method"] == "gradient"
        assert found.covered["pool", neuron] >= 0.6
    labels = label(observed.layers["pool"], SHOWN, length=1)
    for neuron in found.neurons("pool"):
        held, one = found.graph.nodes["pool", neuron], labels[neuron]
        assert (held.get("formula"), held.get("auc")) == ((str(one.formula), one.auc) if one.formula else (None, None))
    assert {held["level"] for _, held in found.graph.nodes(data=True)} == {0, 1, 2}
    assert nx.is_directed_acyclic_graph(found.graph)
    few = find_circuit(observed, target=("fc", 2), layers=["pool"], where="dog", share=1, most=3)
    assert len(few.neurons("pool")) == 3
    assert few.covered["fc", 2] < 1


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"share": 0}, "share must be above 0"),
        ({"most": 0}, "most must be"),
        ({"layers": ["fc"]}, "at least one layer below"),
        ({"layers": ["aside"]}, "not connected"),
        ({"layers": ["nothing"]}, "no layer 'nothing'"),
    ],
)
def test_what_is_no_circuit_is_refused(observed, options, match):
    with pytest.raises((OptionError, UnknownNameError), match=match):
        find_circuit(observed, **{"target": ("fc", 0), "layers": ["pool"], **options})


def test_a_circuit_is_saved_and_drawn(observed, tmp_path):
    titles = {("fc", 2): 'a "quoted" \\ name'}
    found = find_circuit(
        observed, target=("fc", 2), layers=["low", "pool"], where="dog", most=3, length=1, titles=titles
    )
    for kind in ("dot", "graphml", "json", "png"):
        path = tmp_path / f"c.{kind}"
        (plot_circuit if kind == "png" else save_circuit)(found, path)
        with pytest.raises(FileError, match="exists"):
            (plot_circuit if kind == "png" else save_circuit)(found, path)
    again = nx.read_graphml(tmp_path / "c.graphml")
    assert set(again) == {f"{layer}/{neuron}" for layer, neuron in found.graph}
    edges = {(f"{a[0]}/{a[1]}", f"{b[0]}/{b[1]}"): e["contribution"] for a, b, e in found.graph.edges(data=True)}
    assert {(a, b): e["contribution"] for a, b, e in again.edges(data=True)} == edges
    data = json.loads((tmp_path / "c.json").read_text())
    assert data["target"] == "fc/2"
    assert {(e["source"], e["target"]): e["contribution"] for e in data["edges"]} == edges
    dot = (tmp_path / "c.dot").read_text()
    assert '[label="fc 2 a \\"quoted\\" \\\\ name' in dot
    assert dot.count(" -> ") == len(edges)
    with Image.open(tmp_path / "c.png") as drawn:
        assert drawn.width > 500
    assert 'fc 2 a "quoted"' in str(found)
    with pytest.raises(FileError, match=r"must end in \.dot or \.graphml or \.json"):
        save_circuit(found, tmp_path / "c.gml")


def test_labels_go_from_general_to_specific():
    hierarchy = Hierarchy(
        [("pug", "dog"), ("dog", "animal"), ("cat", "animal"), ("animal", "thing"), ("rock", "thing")]
    )
    sets = [{"pug", "dog", "animal"}, {"cat", "animal"}, {"rock"}, {"dog", "animal"}] * 20
    shown = Concepts.from_sets(sets)
    pug, animal, rock = (shown[name].astype(float) for name in ("pug", "animal", "rock"))
    noise = np.random.default_rng(0).normal(size=(80, 2)) * 0.01
    layers = {"early": np.stack([animal, 1 - rock], axis=1) + noise, "late": pug[:, None] + noise}
    labels = label(layers, shown, length=1, min_count=5, max_fraction=0.8)
    table = by_depth(labels, shown, hierarchy)
    assert table["layer"].tolist() == ["early", "late"]
    assert table["neurons"].tolist() == [2, 2]
    assert table["depth"].tolist() == [1, 3]
    assert table["hypernyms"].tolist() == [1, 0]
    assert table["fraction"].tolist() == [0.75, 0.25]
    with pytest.raises(OptionError, match="no neuron has a formula"):
        by_depth(Labels([Label(0, layer="a")]), shown, hierarchy)
    with pytest.raises(OptionError, match="contains none of the concepts"):
        by_depth(labels, shown, Hierarchy([("x", "y")]))
    with pytest.warns(UserWarning, match=r"lacks 1 of 5 concepts \('rock'\): they have no depth"):
        assert by_depth(labels, shown, Hierarchy([("pug", "dog"), ("dog", "animal"), ("cat", "animal")])).shape[0] == 2


def test_edges_that_add_and_take_away_differ_in_colour(observed, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr("neuronym.plots.circuit.save_figure", lambda figure, path, overwrite: kept.append(figure))
    found = find_circuit(observed, target=("fc", 2), layers=["pool"], where="dog", share=1, most=16)
    plot_circuit(found, tmp_path / "c.png")
    lines = kept[0].axes[0].lines
    signs = [edge["contribution"] > 0 for _, _, edge in found.graph.edges(data=True)]
    assert [line.get_color() for line in lines] == [COLOURS[0] if adds else COLOURS[1] for adds in signs]
    assert len(set(signs)) == 2
