import copy
import json
import runpy

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from neuronym import Concepts, FileError, Hierarchy, Label, Labels, OptionError, UnknownNameError, label, save_concepts
from neuronym.circuits import Observed, ablate, by_depth, circuit, compare, contributions, plot_circuit, save_circuit
from neuronym.collect import collect
from neuronym.errors import ActivationsError
from neuronym.layer_store import open_layers

N = 40


class Net(torch.nn.Module):
    """A small network with a branch that the logits do not depend on."""

    def __init__(self, inplace=False):
        super().__init__()
        torch.manual_seed(0)
        self.low = torch.nn.Conv2d(3, 12, 3)
        self.act = torch.nn.ReLU(inplace=inplace)
        self.high = torch.nn.Conv2d(12, 16, 3)
        self.relu = torch.nn.ReLU(inplace=inplace)
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.fc = torch.nn.Linear(16, 5)
        self.aside = torch.nn.Conv2d(12, 4, 1)
        self.last = torch.nn.Linear(5, 5)

    def forward(self, x):
        x = self.act(self.low(x))
        self.aside(x)
        return self.last(self.fc(self.pool(self.relu(self.high(x))).flatten(1)))


LAYERS = ["low", "act", "high", "relu", "pool", "fc", "aside", "last"]
DATA = torch.randn(N, 3, 9, 9, generator=torch.Generator().manual_seed(1))
SHOWN = Concepts.from_array(np.random.default_rng(0).random((N, 3)) < 0.4, ["dog", "cat", "grass"])


@pytest.fixture
def observed():
    return Observed.of(Net(), DATA, LAYERS, concepts=SHOWN)


def values_of(observed, layer):
    return np.asarray(observed.layers[layer].matrix, np.float64)


def test_the_parts_of_a_linear_layer_are_exact_and_sum_to_the_difference_of_logits(observed):
    logits, lower = values_of(observed, "fc"), values_of(observed, "pool")
    weights = observed.model.fc.weight.detach().double().numpy()
    for neuron in range(5):
        found = contributions(observed, target=("fc", neuron), layer="pool", where=range(N))
        assert found.method == "linear"
        assert found.values == pytest.approx(weights[neuron] * (lower - lower.mean(axis=0)), rel=1e-12)
        assert found.total == pytest.approx(logits[:, neuron] - logits[:, neuron].mean(), rel=1e-12)
        size = np.abs(found.values).sum(axis=1)
        assert (np.abs(found.values.sum(axis=1) - found.total) <= 1e-5 * size).all()
    part = contributions(observed, target=("fc", 2), layer="pool", where="dog & ~cat", against="cat")
    rows = np.flatnonzero(SHOWN["dog"] & ~SHOWN["cat"])
    assert part.rows.tolist() == rows.tolist()
    difference = logits[rows, 2].mean() - logits[SHOWN["cat"], 2].mean()
    assert part.mean.sum() == pytest.approx(difference, rel=1e-4)
    assert part.total.mean() == pytest.approx(difference, rel=1e-12)
    assert part.unexplained < 1e-4


def test_the_samples_are_those_on_which_the_target_is_highest_where_none_are_named(observed):
    found = contributions(observed, target=("fc", 1), layer="pool")
    logits = values_of(observed, "fc")[:, 1]
    assert set(found.rows.tolist()) == set(np.argsort(-logits)[:20].tolist())
    mask = np.arange(N) < 3
    assert contributions(observed, target=("fc", 1), layer="pool", where=mask).rows.tolist() == [0, 1, 2]


def test_gradients_times_activations_are_summed_over_places(observed):
    found = contributions(observed, target=("fc", 3), layer="relu", where=[0, 5, 6], method="gradient")
    pooled = values_of(observed, "relu")[[0, 5, 6]]  # the path above is linear: gradient times map is weight times mean
    assert found.values == pytest.approx(observed.model.fc.weight[3].detach().numpy() * pooled, rel=1e-4, abs=1e-7)
    assert found.total == pytest.approx(values_of(observed, "fc")[[0, 5, 6], 3], rel=1e-5)
    assert found.values.sum(axis=1) + observed.model.fc.bias[3].item() == pytest.approx(found.total, rel=1e-4)
    # By hand, where the path is not linear.
    x = DATA[:2].clone()
    low = observed.model.act(observed.model.low(x))
    low.retain_grad()
    observed.model.fc(observed.model.pool(observed.model.relu(observed.model.high(low))).flatten(1))[
        :, 3
    ].sum().backward()
    found = contributions(observed, target=("fc", 3), layer="act", where=[0, 1])
    assert found.method == "gradient"
    assert found.values == pytest.approx((low.grad * low).sum((2, 3)).detach().numpy(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("method", "within"), [("integrated", 0.02), ("conductance", 0.05)])
def test_integrated_methods_sum_to_the_difference_from_the_baseline(observed, method, within):
    start = torch.full((3, 9, 9), 0.1)
    found = contributions(
        observed, target=("last", 0), layer="act", where=range(10), method=method, n_steps=200, baseline=start
    )
    with torch.no_grad():
        logits = observed.model(torch.cat([DATA[:10], start[None]]))[:, 0].double().numpy()
    assert found.total == pytest.approx(logits[:10] - logits[10], rel=1e-4, abs=1e-6)
    scale = np.abs(found.total).mean()
    assert np.abs(found.values.sum(axis=1) - found.total).mean() < within * scale


def test_layers_that_work_in_place_are_left_as_they_were(observed):
    model = Net(inplace=True)
    found = contributions(Observed.of(model, DATA, LAYERS), target=("fc", 3), layer="low", where=[0, 1])
    same = contributions(observed, target=("fc", 3), layer="low", where=[0, 1])
    assert found.values == pytest.approx(same.values, rel=1e-5, abs=1e-7)
    assert model.act.inplace
    assert model.relu.inplace
    assert not any(module._forward_hooks for module in model.modules())


def test_a_target_inside_is_pooled_like_its_activations(observed):
    found = contributions(observed, target=("relu", 4), layer="low", where=[3, 4])
    assert found.total == pytest.approx(values_of(observed, "relu")[[3, 4], 4], rel=1e-5)


@pytest.mark.parametrize("layer", ["aside", "last"])
def test_a_layer_that_is_not_connected_is_refused(observed, layer):
    with pytest.raises(OptionError, match=f"layer '{layer}' is not connected to the target in 'fc'"):
        contributions(observed, target=("fc", 0), layer=layer, where=[0])
    with pytest.raises(OptionError, match="is not connected to the target"):
        ablate(observed, target=("fc", 0), neurons={layer: [0]}, n_random=1)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"target": ("fd", 0)}, UnknownNameError, "no layer 'fd'; near it: 'fc'"),
        ({"target": ("fc", 7)}, UnknownNameError, "no neuron '7'"),
        ({"layer": "poll"}, UnknownNameError, "no layer 'poll'; near it: 'pool'"),
        ({"layer": "fc"}, OptionError, "is that of the target"),
        ({"layer": "act", "method": "linear"}, OptionError, "not linearly connected to 'fc'"),
        ({"method": "magic"}, OptionError, "method must be one of auto, linear"),
        ({"where": "dogs"}, UnknownNameError, "no concept 'dogs'; near it: 'dog'"),
        ({"where": "dog & ~dog & cat"}, OptionError, "no sample is chosen"),
        ({"where": [N]}, OptionError, "places among 40 samples"),
    ],
)
def test_wrong_input_is_answered(observed, options, error, match):
    with pytest.raises(error, match=match):
        contributions(observed, **{"target": ("fc", 0), "layer": "pool", **options})


def test_what_is_observed_must_belong_together():
    model = Net()
    with pytest.raises(UnknownNameError, match="no layer 'poll'"):
        Observed.of(model, DATA, ["poll"])
    with pytest.raises(OptionError, match="a Dataset with a length"):
        Observed.of(model, iter(DATA), ["pool"])
    made = collect(model, DATA[:5], layers=["pool"])
    with pytest.raises(ActivationsError, match="'pool' has 5 samples and data 40"):
        Observed.of(model, DATA, ["pool"], activations=made)
    with pytest.raises(OptionError, match="samples of 'dog' need concepts"):
        Observed.of(model, DATA, ["pool"]).chosen("dog", ("pool", 0))
    named = Observed.of(model, DATA, ["fc"], names={"fc": ["a", "b", "c", "d", "e"]})
    assert named.column(("fc", "c"))[0] == 2
    with pytest.raises(UnknownNameError, match="no neuron 'f'"):
        named.column(("fc", "f"))


def test_targets_and_samples_are_compared(observed):
    first = contributions(observed, target=("fc", 0), layer="pool", where=range(N), against=[0])
    second = contributions(observed, target=("fc", 1), layer="pool", where=range(N), against=[0])
    table = compare(first, second)
    assert table["difference"].is_monotonic_decreasing
    by_neuron = table.set_index("neuron").loc[range(16)]
    assert by_neuron["difference"].to_numpy() == pytest.approx(first.mean - second.mean, rel=1e-12)
    logits = values_of(observed, "fc")
    assert table["difference"].sum() == pytest.approx(
        (logits[:, 0] - logits[:, 1]).mean() - logits[0, 0] + logits[0, 1], rel=1e-3
    )
    right = observed.highest("fc") == 0
    table = compare(first.take(right), first.take(~right), Labels([Label(3, layer="pool")]))
    assert set(table.columns) == {"neuron", "first", "second", "difference", "formula", "auc"}
    assert table.set_index("neuron")["first"].loc[3] == pytest.approx(first.values[right, 3].mean(), rel=1e-12)
    with pytest.raises(OptionError, match="cannot be compared"):
        compare(first, contributions(observed, target=("fc", 0), layer="relu", where=[0]))
    with pytest.raises(OptionError, match="no sample is left"):
        first.take([])


def test_a_circuit_keeps_what_explains_most_layer_by_layer(observed):
    found = circuit(observed, target=("fc", 2), layers=["low", "pool"], where="dog", share=0.6, most=20, length=1)
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
    few = circuit(observed, target=("fc", 2), layers=["pool"], where="dog", share=1, most=3)
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
        circuit(observed, **{"target": ("fc", 0), "layers": ["pool"], **options})


def test_a_circuit_is_saved_and_drawn(observed, tmp_path):
    titles = {("fc", 2): 'a "quoted" \\ name'}
    found = circuit(observed, target=("fc", 2), layers=["low", "pool"], where="dog", most=3, length=1, titles=titles)
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


def test_ablation_sets_channels_to_their_mean_and_runs_the_model(observed):
    found = ablate(
        observed, target=("fc", 2), neurons={"act": [1, 4], "relu": [0]}, where=[2, 3, 9], n_random=4, seed=1
    )
    model = copy.deepcopy(observed.model)
    with torch.no_grad():
        act = model.act(model.low(DATA))
        means = act.mean((0, 2, 3))
        changed = act.clone()
        changed[:, [1, 4]] = means[[1, 4]].view(1, 2, 1, 1)
        relu = model.relu(model.high(changed))
        relu[:, 0] = model.relu(model.high(act))[:, 0].mean()
        logits = model.fc(model.pool(relu).flatten(1))[[2, 3, 9]]
        before = model.fc(model.pool(model.relu(model.high(act))).flatten(1))[[2, 3, 9]]
    assert found.before == pytest.approx(before[:, 2].numpy(), rel=1e-5)
    assert found.after == pytest.approx(logits[:, 2].numpy(), rel=1e-4)
    assert found.change == pytest.approx(float((logits - before)[:, 2].mean()), rel=1e-3)
    assert found.accuracy_before == float((before.argmax(1) == 2).float().mean())
    assert found.random.shape == (4, 3)
    assert found.p == (1 + (np.abs(found.changes_random) >= abs(found.change)).sum()) / 5
    again = ablate(
        observed, target=("fc", 2), neurons={"act": [1, 4], "relu": [0]}, where=[2, 3, 9], n_random=4, seed=1
    )
    assert again.random.tolist() == found.random.tolist()
    assert len({tuple(row) for row in found.random.tolist()}) > 1
    assert not any(module._forward_hooks for module in observed.model.modules())
    assert found.to_dict()["neurons"] == {"act": [1, 4], "relu": [0]}
    assert "random ones, 4 times" in str(found)


def test_a_neuron_that_nothing_hangs_on_is_shown_not_to_be_causal():
    model = Net()
    with torch.no_grad():
        model.fc.weight[:, 3] = 0
    observed = Observed.of(model, DATA, LAYERS)
    found = ablate(observed, target=("fc", 0), neurons={"relu": [3]}, where=range(N), n_random=19)
    assert found.change == 0
    assert found.p == 1


def test_accuracy_is_told_by_the_classes_of_the_samples(observed):
    logits = values_of(observed, "fc")
    truth = logits.argmax(axis=1).tolist()
    found = ablate(observed, target=("fc", 0), neurons={"relu": [0]}, where=range(N), classes=truth, n_random=0)
    assert found.accuracy_before == 1
    assert np.isnan(found.p)
    with pytest.raises(OptionError, match="classes has 1 for 40 samples"):
        ablate(observed, target=("fc", 0), neurons={"relu": [0]}, classes=[1])
    with pytest.raises(UnknownNameError, match="no class '9'"):
        ablate(observed, target=("fc", 0), neurons={"relu": [0]}, classes=[9] * N)


@pytest.mark.parametrize(
    ("neurons", "error", "match"),
    [
        ({}, OptionError, "neurons names none"),
        ({"relu": []}, OptionError, "neurons names none"),
        ({"rely": [0]}, UnknownNameError, "no layer 'rely'"),
        ({"relu": [99]}, UnknownNameError, "no neuron '99'"),
        ({"relu": range(9)}, OptionError, "too few to draw 9 others"),
        ({"fc": [0]}, OptionError, "is that of the target"),
    ],
)
def test_what_cannot_be_ablated_is_refused(observed, neurons, error, match):
    with pytest.raises(error, match=match):
        ablate(observed, target=("fc", 0), neurons=neurons)


class Texts(torch.utils.data.Dataset):
    """Dicts of arguments, as for a transformer."""

    def __init__(self, n):
        self.ids = torch.randint(5, 50, (n, 6), generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, place):
        return {"input_ids": self.ids[place], "attention_mask": torch.ones(6, dtype=torch.int64)}


def test_sequences_of_a_transformer_have_contributions_and_can_be_ablated():
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(vocab_size=60, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    model = BertModel(config).eval()
    observed = Observed.of(model, Texts(20), ["encoder.layer.0", "encoder.layer.1", "pooler.dense"])
    found = contributions(observed, target=("pooler.dense", 3), layer="encoder.layer.0", where=range(4))
    assert found.values.shape == (4, 12)
    assert np.abs(found.values).max() > 0
    gone = ablate(observed, target=("pooler.dense", 3), neurons={"encoder.layer.0": [1, 2]}, where=range(4), n_random=3)
    assert gone.change != 0
    with pytest.raises(OptionError, match="needs inputs that can be scaled"):
        contributions(observed, target=("pooler.dense", 3), layer="encoder.layer.0", where=[0], method="integrated")


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
    with pytest.raises(OptionError, match="knows none of the concepts"):
        by_depth(labels, shown, Hierarchy([("x", "y")]))


MODEL = """
import torch
def prepare(image):
    import numpy as np
    return torch.tensor(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)
def make():
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    head = torch.nn.Linear(16, 4)
    with torch.no_grad():  # the first output is highest where a photo has green
        layers[0].weight[0], layers[0].bias[0] = 0, 0
        layers[0].weight[0, 1, 1, 1] = 1
        head.weight[:2] = 0
        head.weight[0, 0] = 5
        head.bias[:] = torch.tensor([-1.0, 0, -9, -9])
    return torch.nn.Sequential(*layers, head), prepare
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_circuits.py").write_text(MODEL)
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    ids = [f"{i:02}.png" for i in range(30)]
    for i, name in enumerate(ids):
        image = rng.integers(0, 256, (8, 8, 3)) * (1 if i % 3 else [1, 0, 0])
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / "photos" / name)
    sets = [{"pug", "dog"} if i % 3 == 0 else {"cat"} if i % 3 == 1 else {"dog"} for i in range(30)]
    save_concepts(Concepts.from_sets(sets, sample_ids=ids), tmp_path / "c.parquet")
    (tmp_path / "classes.txt").write_text("pug\ncat\nn02883344\nfish\n")
    return tmp_path


RUN = ("circuit", "--model", "mine_circuits:make", "--images", "photos", "--target-layer", "4", "--layers", "2,0")


def test_the_command_writes_graph_tables_and_ablations(folder, command):
    code, out, err = command(
        *RUN, "--target", "pug", "--classes", "classes.txt", "--concepts", "c.parquet", "--versus", "cat",
        "--ablate", "2", "--n-random", "3", "--length", "1", "--out", "found",
    )  # fmt: skip
    assert code == 0, err
    assert {path.name for path in (folder / "found").iterdir()} == {
        *("circuit.dot", "circuit.graphml", "circuit.json", "circuit.png", "contributions.csv", "versus.csv"),
        *("ablation_0.json", "ablation_2.json"),
    }
    assert "what speaks for pug and not for cat" in out
    graph = json.loads((folder / "found" / "circuit.json").read_text())
    assert (graph["target"], graph["n_samples"]) == ("4/0", 10)  # the samples of the class
    table = pd.read_csv(folder / "found" / "contributions.csv")
    assert table["contribution"].is_monotonic_decreasing
    assert table["share"].sum() == pytest.approx(1, rel=1e-4)
    code, out, err = command(*RUN, "--target", "pug", "--classes", "classes.txt", "--out", "found")
    assert (code, "circuit.json' exists" in err) == (2, True)


def test_the_command_takes_a_store_and_compares_right_with_wrong(folder, command):
    code, out, err = command("collect", "--model", "mine_circuits:make", "--layers", "0,2,4", "--images", "photos",
                             "--out", "acts.zarr", "-q")  # fmt: skip
    assert code == 0, err
    logits = open_layers(folder / "acts.zarr")["4"].block(np.arange(4))
    highest = np.bincount(logits.argmax(axis=1), minlength=4)
    target = int(np.argmax(highest * (30 - highest)))
    assert 0 < highest[target] < 30
    run = (*RUN, "--target", target, "--activations", "acts.zarr", "--concepts", "c.parquet")
    code, out, err = command(*run, "--where", "dog | cat", "--right-wrong", "--out", "found")
    assert code == 0, err
    head = f"on the {highest[target]} samples where it is the highest, and not on the {30 - highest[target]} others"
    assert head in out
    pooled = open_layers(folder / "acts.zarr")["2"].block(np.arange(16)).astype(float)
    right = logits.argmax(axis=1) == target
    table = pd.read_csv(folder / "found" / "right_wrong.csv").set_index("neuron").sort_index()
    weights = runpy.run_path("mine_circuits.py")["make"]()[0][4].weight[target].detach().double().numpy()
    expected = weights * (pooled[right].mean(axis=0) - pooled[~right].mean(axis=0))
    assert table["difference"].to_numpy() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--target", "pig", "--classes", "classes.txt"), "no neuron 'pig'; near it: 'pug'"),
        (("--target", "9"), "no neuron '9'"),
        (("--target", "0", "--where", "dog"), "samples of 'dog' need concepts"),
        (("--target", "0", "--where", "dogg", "--concepts", "c.parquet"), "no concept 'dogg'; near it: 'dog'"),
        (("--target", "0", "--wordnet"), "give --concepts"),
        (("--target", "0", "--table", "t.npy"), "one of --images and --table"),
        (("--target", "0", "--method", "linear"), "not linearly connected"),
    ],
)
def test_the_command_answers_wrong_input_in_one_line(folder, command, arguments, match):
    code, _, err = command(*RUN, *arguments, "-q")
    assert code == 2
    assert match in err
    assert len(err.strip().splitlines()) == 1
