"""Contributions and ablations of layers with their neurons in any axis, and of models that work in place."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from neuronym import OptionError
from neuronym.analysis.circuits import ObservedModel, ablate, circuit, contributions
from neuronym.network.collecting import collect
from neuronym.network.hooks import main_tensor
from small_net import SHOWN, values_of
from wide_models import MODELS, Heads, Recurrent, noise, whole

#: The target of each model, and the lower layers that it depends on.
PATHS = {
    "signal": ("fc", ["conv", "act"]),
    "permuted": ("back", ["conv", "norm", "fc", "act"]),
    "heads": ("hook_z", ["q", "hook_q", "hook_pattern"]),
    "batch_first": ("fc", ["lstm", "gru", "act", "attention", "block"]),
    "time_first": ("fc", ["lstm", "gru", "act", "attention", "block"]),
    "convnext": ("encoder.stages.1", ["embeddings.layernorm", "encoder.stages.0.layers.0.act"]),
    "swin": ("layernorm", ["embeddings.patch_embeddings.projection", "embeddings", "encoder.layers.0.blocks.0"]),
    "vit": ("layers.0", ["embeddings.patch_embeddings.projection", "embeddings"]),
    "bert": ("encoder.layer.0", ["embeddings", "encoder.layer.0.intermediate.intermediate_act_fn"]),
    "gpt2": ("h.0", ["drop", "h.0.mlp.act"]),
    "t5": ("encoder.block.0", ["encoder.block.0.layer.0", "encoder.block.0.layer.1.DenseReluDense.act"]),
}


@pytest.mark.parametrize("name", PATHS)
def test_activations_contributions_and_ablations_agree_on_neurons(name):
    model, data, wanted = MODELS[name]()
    upper, lowers = PATHS[name]
    observed = ObservedModel.of(model, data, [upper, *lowers])
    target, rows = (upper, 1), list(range(len(data)))
    for lower in lowers:
        axes, n_neurons = wanted[lower]
        found = contributions(observed, target=target, layer=lower, where=rows, method="gradient")
        assert found.values.shape == (len(data), n_neurons)
        assert found.total == pytest.approx(values_of(observed, upper)[:, 1], rel=1e-4, abs=1e-6)
        assert found.values[:, n_neurons - 1] == pytest.approx(
            by_hand(model, data, lower, target, observed, n_neurons - 1), rel=1e-3, abs=1e-6
        )
        gone = ablate(observed, target=target, neurons={lower: [n_neurons - 1]}, where=rows, n_random=0)
        assert gone.before == pytest.approx(values_of(observed, upper)[:, 1], rel=1e-4, abs=1e-6)
        mean = values_of(observed, lower)[:, n_neurons - 1].mean()
        with fixed(model, lower, axes, n_neurons - 1, mean):
            after = collect(model, data, layers=[upper], axes=wanted[upper][0])[upper].matrix[:, 1]
        assert gone.after == pytest.approx(after, rel=1e-4, abs=1e-6)


def selection(axes, n_axes, neuron, shape):
    """The entries of an output that a neuron has."""
    chosen = [slice(None)] * n_axes
    if "C" in axes:
        chosen[axes.index("C")] = neuron
    else:
        size = shape[axes.index("D")]
        chosen[axes.index("H")], chosen[axes.index("D")] = divmod(neuron, size)
    return tuple(chosen)


def fixed(model, layer, axes, neuron, value):
    """A context in which a neuron has this value everywhere."""

    def fix(_module, _inputs, output):
        whole_output = main_tensor(output).clone()
        whole_output[selection(axes, whole_output.ndim, neuron, whole_output.shape)] = value
        return whole_output if isinstance(output, torch.Tensor) else (whole_output, *output[1:])

    return model.get_submodule(layer).register_forward_hook(fix)


def by_hand(model, data, layer, target, observed, neuron):
    """Gradient times activation of one neuron, summed over positions."""
    axes, of_target = observed.layers[layer].axes, observed.layers[target[0]].axes
    kept = {}

    def keep(_module, _inputs, output):
        start = main_tensor(output).detach().requires_grad_()
        kept["low"] = start
        return start if isinstance(output, torch.Tensor) else (start, *output[1:])

    handle = model.get_submodule(layer).register_forward_hook(keep)
    high = model.get_submodule(target[0]).register_forward_hook(lambda _m, _i, out: kept.update(high=main_tensor(out)))
    batch = (
        data
        if isinstance(data, torch.Tensor)
        else torch.utils.data.default_collate([data[i] for i in range(len(data))])
    )
    with handle, high:
        model(**batch) if isinstance(batch, dict) else model(batch)
    output = kept["high"]
    chosen = output[selection(of_target, output.ndim, target[1], output.shape)]
    samples = of_target.replace("C", "").replace("H", "" if "C" not in of_target else "H")
    samples = (samples if "C" in of_target else samples.replace("D", "")).index("B")
    chosen = chosen.movedim(samples, 0)
    (chosen.flatten(1).mean(1) if chosen.ndim > 1 else chosen).sum().backward()
    product = (kept["low"].grad * kept["low"].detach())[selection(axes, kept["low"].ndim, neuron, kept["low"].shape)]
    left = [one for one in axes if one not in ("C" if "C" in axes else "HD")]
    product = product.movedim(left.index("B"), 0)
    return (product.flatten(1).sum(1) if product.ndim > 1 else product).numpy()


class InPlace(nn.Module):
    """A network with an operation after its lower layer and after its upper one, in place or not."""

    def __init__(self, change):
        super().__init__()
        torch.manual_seed(0)
        self.low, self.high, self.last, self.change = nn.Linear(6, 8), nn.Linear(8, 5), nn.Linear(5, 3), change

    def forward(self, x):
        return self.last(self.change(self.high(self.change(self.low(x)))))


def add_(x):
    x += 1
    return x * x


def clamp_a_view_(x):
    x[:, :2].clamp_(min=0)
    return x


#: In place, and not.
CHANGES = {
    "relu": (nn.ReLU(inplace=True), nn.ReLU()),
    "hardtanh": (nn.Hardtanh(inplace=True), nn.Hardtanh()),
    "leaky": (nn.LeakyReLU(0.1, inplace=True), nn.LeakyReLU(0.1)),
    "silu": (nn.SiLU(inplace=True), nn.SiLU()),
    "dropout": (nn.Sequential(nn.Dropout(0.5, inplace=True), nn.ReLU(inplace=True)), nn.ReLU()),
    "function": (torch.relu_, functional.relu),
    "sum": (add_, lambda x: (x + 1) ** 2),
    "view": (clamp_a_view_, lambda x: torch.cat([x[:, :2].clamp(min=0), x[:, 2:]], 1)),
}


@pytest.mark.parametrize("method", ["gradient", "conductance", "integrated"])
@pytest.mark.parametrize("change", CHANGES)
def test_operations_in_place_change_neither_target_nor_lower_layer(change, method):
    data, rows = noise(30, 6), list(range(20))
    in_place, plain = (
        contributions(
            ObservedModel.of(InPlace(one), data, ["low", "high"]),
            target=("high", 2),
            layer="low",
            where=rows,
            method=method,
        )
        for one in CHANGES[change]
    )
    assert in_place.values == pytest.approx(plain.values, rel=1e-5, abs=1e-7)
    assert in_place.total == pytest.approx(plain.total, rel=1e-5, abs=1e-7)
    if method == "gradient":
        model = InPlace(CHANGES[change][1])
        start = model.low(data[:20]).detach().requires_grad_()
        value = model.high(model.change(start * 1))[:, 2]
        (gradient,) = torch.autograd.grad(value.sum(), start)
        assert in_place.values == pytest.approx((gradient * start).detach().numpy(), rel=1e-5, abs=1e-7)
        assert in_place.total == pytest.approx(value.detach().numpy(), rel=1e-5)


@pytest.mark.parametrize("change", CHANGES)
def test_ablations_and_circuits_of_models_in_place_are_those_of_others(change):
    pytest.importorskip("networkx")
    found = []
    for one in CHANGES[change]:
        model = InPlace(one)
        observed = ObservedModel.of(model, noise(40, 6), ["low", "high", "last"])
        gone = ablate(observed, target=("high", 2), neurons={"low": [1, 3]}, where=range(20), n_random=2)
        study = circuit(
            model, noise(40, 6), target_layer="last", target=0, layers=["low", "high"], concepts=SHOWN, length=1
        )
        found.append((gone, study))
    (gone, study), (plain, other) = found
    assert gone.before == pytest.approx(plain.before, rel=1e-6)
    assert gone.after == pytest.approx(plain.after, rel=1e-6)
    assert gone.random == pytest.approx(plain.random, rel=1e-6)
    assert set(study.circuit.graph.nodes) == set(other.circuit.graph.nodes)
    assert study.contributions.mean == pytest.approx(other.contributions.mean, rel=1e-5)


def test_a_stated_axis_counts_in_a_circuit_and_is_kept_with_stored_activations(tmp_path):
    data = noise(9, 7, 12)
    model = Heads()
    by_head = ObservedModel.of(model, data, ["hook_z", "hook_q"], axes={"hook_q": "BTCD"})
    assert by_head.layers["hook_q"].n_neurons == 3
    assert contributions(by_head, target=("hook_z", 0), layer="hook_q", where=[0]).values.shape == (1, 3)
    stored = collect(model, data, layers=["hook_q"], axes="BTCD", out=tmp_path / "a.zarr")
    opened = ObservedModel.of(model, data, ["hook_z", "hook_q"], activations=stored)
    assert opened.layers["hook_q"].axes == "BTCD"
    gone = ablate(opened, target=("hook_z", 0), neurons={"hook_q": [1]}, where=[0, 3], n_random=0)
    assert gone.before == pytest.approx(values_of(opened, "hook_z")[[0, 3], 0], rel=1e-5)


def test_integration_that_is_not_possible_is_refused_in_one_line():
    observed = ObservedModel.of(Recurrent(False), noise(6, 5, 3), ["act", "gru", "fc"])
    assert np.asarray(whole(observed.model, observed.data, "act")).shape == (5, 6, 6)
    for layer in ("act", "gru"):
        for method in ("integrated", "conductance"):
            with pytest.raises(OptionError, match=f"method='{method}' needs a layer that returns one tensor"):
                contributions(observed, target=("fc", 0), layer=layer, where=[0], method=method)


def test_a_model_without_gradients_is_said_in_one_line_and_can_be_ablated():
    model = InPlace(lambda x: (x * 1).mul_(x).exp().add_(1).sqrt_().mul_(2))
    observed = ObservedModel.of(model, noise(20, 6), ["low", "high"])
    for method in ("gradient", "integrated"):
        with pytest.raises(OptionError, match="there are no gradients of layer 'low'") as caught:
            contributions(observed, target=("high", 2), layer="low", where=[0], method=method)
        assert "\n" not in str(caught.value)
    assert ablate(observed, target=("high", 2), neurons={"low": [1]}, where=[0, 1], n_random=1).change != 0
