"""Circuits of models of every kind: compiled, in half precision, tied, and those that fail."""

import numpy as np
import pytest
import torch

from neuronym import ActivationsError, OptionError
from neuronym.analysis.circuits.graph import ObservedModel, ablate, contributions
from small_net import DATA, Net

LAYERS = ["high", "fc", "last"]


class Tied(torch.nn.Module):
    """A network whose last layer has a second name, which is the one that it is called by."""

    def __init__(self):
        super().__init__()
        self.net = Net()
        self.head = self.net.last

    def forward(self, x):
        return self.net(x)


def studied(model, prefix=""):
    """Contributions by gradients and an ablation."""
    high, fc, last = (prefix + layer for layer in LAYERS)
    observed = ObservedModel.of(model, DATA, [high, fc, last])
    return (
        contributions(observed, target=(fc, 1), layer=high, where=[0, 3]).values,
        contributions(observed, target=(last, 2), layer=high, method="conductance", where=[0, 3]).values,
        contributions(observed, target=(last, 2), layer=fc, where=[0, 3]).values,
        ablate(observed, target=(last, 2), neurons={high: [1, 2]}, n_random=2).after,
    )


def test_compiled_models_have_the_circuits_of_what_was_compiled():
    model = torch.compile(Net(), backend="eager")
    model(DATA)
    expected = studied(Net())
    for prefix in ("", "_orig_mod."):
        for found, by_hand in zip(studied(model, prefix), expected, strict=True):
            np.testing.assert_allclose(found, by_hand, atol=1e-6)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_circuits_are_the_same_without_gradients_outside(mode):
    model = Net()
    with mode():
        found = studied(model)
        assert not torch.is_grad_enabled()
    for values, expected in zip(found, studied(Net()), strict=True):
        np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.parametrize(("dtype", "within"), [("float64", 1e-5), ("bfloat16", 0.1), ("float16", 0.02)])
def test_models_of_other_types_take_the_samples_as_they_are(dtype, within):
    for found, exact in zip(studied(Net().to(getattr(torch, dtype))), studied(Net()), strict=True):
        assert np.abs(found - exact).max() < within * np.abs(exact).max()


def test_a_tied_layer_may_be_named_either_way():
    model = Tied()
    observed = ObservedModel.of(model, DATA, ["net.fc", "head", "net.last"])
    found = [contributions(observed, target=(name, 2), layer="net.fc").values for name in ("head", "net.last")]
    np.testing.assert_array_equal(*found)
    found = [
        ablate(observed, target=(name, 2), neurons={"net.fc": [1]}, n_random=0).after for name in ("head", "net.last")
    ]
    np.testing.assert_array_equal(*found)


class Fails(torch.nn.Module):
    """Raises an error once it is told to."""

    def __init__(self):
        super().__init__()
        self.net, self.fails = Net(), False

    def forward(self, x):
        if self.fails:
            raise AttributeError("no such thing")
        return self.net(x)


def test_errors_of_the_model_name_the_samples():
    model = Fails()
    observed = ObservedModel.of(model, DATA, ["net.high", "net.fc"], sample_ids=[f"s{i}" for i in range(len(DATA))])
    model.fails = True
    message = r"the model failed on samples 's3', 's7' \(AttributeError: no such thing\)"
    with pytest.raises(OptionError, match=message):
        contributions(observed, target=("net.fc", 1), layer="net.high", where=[3, 7])
    with pytest.raises(OptionError, match=message):
        ablate(observed, target=("net.fc", 1), neurons={"net.high": [1]}, where=[3, 7], n_random=0)
    assert not any(module._forward_hooks for module in model.modules())


class Sparse(torch.nn.Module):
    """A layer with a sparse output."""

    def __init__(self):
        super().__init__()
        self.low, self.codes, self.last = torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2)
        self.coded = torch.nn.Module()
        self.coded.forward = lambda x: x.to_sparse()

    def forward(self, x):
        return self.last(self.coded(self.codes(self.low(x))).to_dense())


def test_a_sparse_layer_is_a_target_and_is_not_ablated():
    torch.manual_seed(0)
    observed = ObservedModel.of(Sparse(), torch.randn(20, 4), ["low", "coded", "last"])
    found = contributions(observed, target=("coded", 1), layer="low", where=range(20))
    relu = np.maximum(observed.matrix("low")[:, 1], 0)
    np.testing.assert_allclose(found.values.sum(1), relu, atol=1e-6)
    with pytest.raises(ActivationsError, match="layer 'coded' returns a sparse tensor: name a module"):
        ablate(observed, target=("last", 1), neurons={"coded": [1]}, n_random=0)


def test_numbers_that_are_not_finite_are_refused_while_collecting():
    broken = Net()
    with torch.no_grad():
        broken.fc.bias[1] = torch.nan
    with pytest.raises(ActivationsError, match="layer 'fc' gives NaN in 8 values on 8 samples of 8: '0', '1', '2' and"):
        ObservedModel.of(broken, DATA, ["fc"])
