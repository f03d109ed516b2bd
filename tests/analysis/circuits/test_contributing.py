import numpy as np
import pytest
import torch

from neuronym import Label, Labels, OptionError, UnknownNameError
from neuronym.analysis.circuits.graph import ObservedModel, ablate, compare, contributions
from neuronym.errors import ActivationsError
from neuronym.network.collecting import collect
from small_net import DATA, LAYERS, SHOWN, N, Net, Padded, bert, values_of


@pytest.fixture
def observed():
    return ObservedModel.of(Net(), DATA, LAYERS, concepts=SHOWN)


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
    found = contributions(ObservedModel.of(model, DATA, LAYERS), target=("fc", 3), layer="low", where=[0, 1])
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
        ({"layer": "fc"}, OptionError, "is the target's own layer"),
        ({"layer": "act", "method": "linear"}, OptionError, "not linearly connected to 'fc'"),
        ({"method": "magic"}, OptionError, "method must be one of auto, linear"),
        ({"where": "dogs"}, UnknownNameError, "no concept 'dogs'; near it: 'dog'"),
        ({"where": "dog & ~dog & cat"}, OptionError, "no sample is selected"),
        ({"where": [N]}, OptionError, "indices of the 40 samples"),
    ],
)
def test_wrong_input_is_answered(observed, options, error, match):
    with pytest.raises(error, match=match):
        contributions(observed, **{"target": ("fc", 0), "layer": "pool", **options})


def test_what_is_observed_must_belong_together():
    model = Net()
    with pytest.raises(UnknownNameError, match="no layer 'poll'"):
        ObservedModel.of(model, DATA, ["poll"])
    with pytest.raises(OptionError, match="a Dataset with a length"):
        ObservedModel.of(model, iter(DATA), ["pool"])
    made = collect(model, DATA[:5], layers=["pool"])
    with pytest.raises(ActivationsError, match="'pool' has 5 samples but data has 40"):
        ObservedModel.of(model, DATA, ["pool"], activations=made)
    with pytest.raises(OptionError, match="'dog' selects samples by their concepts: give concepts"):
        ObservedModel.of(model, DATA, ["pool"]).select("dog", ("pool", 0))
    named = ObservedModel.of(model, DATA, ["fc"], names={"fc": ["a", "b", "c", "d", "e"]})
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
    right = observed.top_neurons("fc") == 0
    table = compare(first.take(right), first.take(~right), Labels([Label(3, layer="pool")]))
    assert set(table.columns) == {"neuron", "first", "second", "difference", "formula", "auc"}
    assert table.set_index("neuron")["first"].loc[3] == pytest.approx(first.values[right, 3].mean(), rel=1e-12)
    with pytest.raises(OptionError, match="cannot be compared"):
        compare(first, contributions(observed, target=("fc", 0), layer="relu", where=[0]))
    with pytest.raises(OptionError, match="no sample is left"):
        first.take([])


def test_the_top_neurons_are_those_that_add_most(observed):
    found = contributions(observed, target=("fc", 1), layer="pool", where="dog")
    assert found.top(3) == sorted(range(16), key=lambda j: -found.mean[j])[:3]
    assert found.table()["neuron"].tolist()[:3] == found.top(3)


@pytest.mark.parametrize("order", [["fc", "pool"], ["pool", "fc"]])
def test_concepts_are_matched_by_id_whatever_the_order_of_layers(order):
    ids = [f"s{i}" for i in range(N)]
    model = Net()
    made = collect(model, DATA, layers=["pool"], sample_ids=ids)
    rows = np.random.default_rng(0).permutation(N)
    shuffled = SHOWN.with_ids(ids).take(rows)
    observed = ObservedModel.of(model, DATA, order, activations=made, concepts=shuffled)
    assert observed.select("dog", ("fc", 0)).tolist() == np.flatnonzero(SHOWN["dog"]).tolist()
    alone = ObservedModel.of(model, DATA, ["fc"], sample_ids=ids, concepts=shuffled)
    assert alone.select("dog", ("fc", 0)).tolist() == np.flatnonzero(SHOWN["dog"]).tolist()
    with pytest.raises(ValueError, match="no sample id is common"):
        ObservedModel.of(model, DATA, ["fc"], sample_ids=ids, concepts=SHOWN.with_ids([f"x{i}" for i in range(N)]))
    with pytest.raises(ActivationsError, match="holds other samples than data or another layer, or in another"):
        ObservedModel.of(model, DATA, ["fc", "pool"], activations={"pool": made["pool"].take(rows)}, sample_ids=ids)
    with pytest.raises(ValueError, match="concepts has 39 rows but layer 'fc' of activations has 40"):
        ObservedModel.of(model, DATA, ["fc"], concepts=SHOWN.take(range(39)))


def test_activations_of_another_model_or_pooling_are_refused():
    other = Net()
    with torch.no_grad():
        other.low.weight *= 2
    with pytest.raises(ActivationsError, match="stored activations of layer 'pool' do not match this model's output"):
        ObservedModel.of(Net(), DATA, ["pool"], activations=collect(other, DATA, layers=["pool"]))
    with pytest.raises(ActivationsError, match="stored activations of layer 'low' do not match"):
        ObservedModel.of(Net(), DATA, ["low"], activations=collect(Net(), DATA, layers=["low"], pool="max"))
    with pytest.raises(OptionError, match="must be named by layer"):
        ObservedModel.of(Net(), DATA, ["pool"], activations=np.zeros((N, 16)))
    broken = collect(Net(), DATA, layers=["pool"])["pool"].matrix.copy()
    broken[-1, 0] = np.nan
    observed = ObservedModel.of(Net(), DATA, ["pool", "fc"], activations={"pool": broken})
    with pytest.raises(ActivationsError, match="'pool' holds NaN"):
        contributions(observed, target=("fc", 0), layer="pool")


@pytest.mark.parametrize("frozen", [False, True])
def test_padding_does_not_count_and_frozen_parameters_do_not_matter(frozen):
    model = bert().requires_grad_(not frozen)
    layers = ["encoder.layer.0", "encoder.layer.1"]
    observed = ObservedModel.of(model, Padded(12), layers)
    target = ("encoder.layer.1", 3)
    found = contributions(observed, target=target, layer=layers[0], where=range(12))
    assert found.total == pytest.approx(observed.column(target)[1], abs=1e-5)
    gone = ablate(observed, target=target, neurons={layers[0]: [2]}, where=range(12), n_random=2)
    assert gone.before == pytest.approx(observed.column(target)[1], abs=1e-5)
    kept = []

    def keep(_module, _inputs, output):
        kept.append(output.detach().requires_grad_())
        return kept[-1]

    handle = model.encoder.layer[0].register_forward_hook(keep)
    item = Padded(12)[4]
    out = model(**{key: value[None] for key, value in item.items()}).last_hidden_state
    handle.remove()
    mask = item["attention_mask"].bool()
    out[0, mask, 3].mean().backward()
    by_hand = (kept[0].grad * kept[0]).sum(1)[0].detach().numpy()
    assert found.values[4] == pytest.approx(by_hand, rel=1e-3, abs=1e-5)
    whole = ObservedModel.of(model, Padded(12), ["encoder", "pooler.dense"])
    with pytest.raises(OptionError, match="name a module that returns one tensor"):
        contributions(whole, target=("pooler.dense", 3), layer="encoder")


@pytest.mark.parametrize(
    ("method", "kind"), [("conductance", "LayerConductance"), ("integrated", "LayerIntegratedGradients")]
)
def test_methods_are_those_of_captum(observed, method, kind):
    from captum import attr

    found = contributions(observed, target=("fc", 2), layer="act", where=[1, 2], method=method, n_steps=5)
    model = observed.model

    def logits(x):
        return model.fc(model.pool(model.relu(model.high(model.act(model.low(x))))).flatten(1))

    expected = getattr(attr, kind)(logits, model.act).attribute(
        DATA[[1, 2]], torch.zeros(1, 3, 9, 9), target=2, n_steps=5
    )
    assert found.values == pytest.approx(expected.detach().double().sum((2, 3)).numpy(), rel=1e-3, abs=1e-6)
    with pytest.raises(OptionError, match="n_steps must be"):
        contributions(observed, target=("fc", 2), layer="act", method=method, n_steps=0)


def test_gradients_read_no_layer_as_a_whole(observed, monkeypatch):
    asked = {"target": ("fc", 2), "layer": "pool"}
    before = contributions(observed, method="gradient", **asked).mean
    read = []
    matrix = ObservedModel.matrix
    monkeypatch.setattr(ObservedModel, "matrix", lambda self, layer: read.append(layer) or matrix(self, layer))
    assert np.array_equal(contributions(observed, method="gradient", **asked).mean, before)
    contributions(observed, target=("fc", 2), layer="low")  # not linear: no need to look
    assert read == []
    contributions(observed, method="linear", **asked)
    assert read == ["pool"]
