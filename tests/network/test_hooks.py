import warnings

import numpy as np
import pytest
import torch
from torch import nn

from neuronym import ActivationsError, UnknownNameError
from neuronym.network.collecting import collect
from neuronym.network.listing import layers

DATA = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()


def compiled(kind):
    """A model that was compiled and run, and what is inside of it."""
    model = net()
    if kind == "whole":
        found = torch.compile(model, backend="eager")
    elif kind == "in place":
        found = model
        found.compile(backend="eager")
    else:
        found = nn.Sequential(torch.compile(model[:2], backend="eager"), model[2])
    found(DATA)
    return found


@pytest.mark.parametrize(
    ("kind", "names"),
    [("whole", ["1", "_orig_mod.1"]), ("in place", ["1"]), ("block", ["0.1", "0._orig_mod.1", "_orig_mod.0.1"])],
)
def test_compiled_models_go_by_the_names_of_what_was_compiled(kind, names):
    expected = collect(net(), DATA, layers=["1"])["1"].matrix
    found = collect(compiled(kind), DATA, layers=names)
    assert list(found) == names
    for layer in names:
        assert np.array_equal(found[layer].matrix, expected)
    with pytest.raises(UnknownNameError, match=r"no layer '_orig_mod\.9'"):
        collect(compiled(kind), DATA, layers=["_orig_mod.9"])


def test_compiled_models_are_listed_and_stored_as_what_was_compiled(tmp_path):
    assert layers(compiled("whole"), shape=(4,)) == layers(net(), shape=(4,))
    assert [one.name for one in layers(compiled("block"), shape=(4,))] == ["0", "0.0", "0.1", "1"]
    collect(net(), DATA, layers=["1"], out=tmp_path / "a.zarr")
    collect(compiled("whole"), DATA, layers=["1"], out=tmp_path / "a.zarr")  # the same settings


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.second, self.last = self.first, nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.second(x))


def test_a_module_under_two_names_is_found_under_both_and_listed_once():
    torch.manual_seed(0)
    model = Tied()
    with torch.no_grad():
        expected = model.first(DATA)
    found = collect(model, DATA, layers=["first", "second", "second.1"])
    for one in found.values():
        assert np.allclose(one.matrix, expected, atol=1e-6)
    assert [one.name for one in layers(model, shape=(4,))] == ["first", "first.0", "first.1", "last"]


def scripted(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        if kind == "traced":
            return torch.jit.trace(net(), DATA)
        made = torch.jit.script(net())
        return torch.jit.freeze(made) if kind == "frozen" else made


@pytest.mark.parametrize("kind", ["scripted", "traced", "frozen"])
def test_torchscript_is_refused_and_the_layers_around_it_are_not(kind):
    eager = "is TorchScript, whose layers call no hooks: give the eager model"
    with pytest.raises(ActivationsError, match=f"layer '1' {eager}"):
        collect(scripted(kind), DATA, layers=["1"])
    with pytest.raises(ActivationsError, match=f"the model {eager}"):
        layers(scripted(kind), shape=(4,))
    around = nn.Sequential(scripted(kind), nn.ReLU())
    assert collect(around, DATA, layers=["1"])["1"].n_neurons == 2
    assert layers(around, shape=(4,))[-1].shape == (1, 2)
    if kind != "frozen":
        with pytest.raises(ActivationsError, match=f"layer '0.1' {eager}"):
            collect(around, DATA, layers=["0.1"])


def test_graphs_of_torch_export_are_refused():
    exported = torch.export.export(net(), (DATA,)).module()
    for layer in ("0", "1"):
        with pytest.raises(ActivationsError, match=f"layer '{layer}' is part of a graph of torch.export"):
            collect(exported, DATA, layers=[layer])
    assert collect(torch.fx.symbolic_trace(net()), DATA, layers=["1"])["1"].n_neurons == 3
