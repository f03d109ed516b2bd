import argparse
import collections
import os
import pathlib
import shutil
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from neuronym import FileError
from neuronym.network import load_model, load_weights


def make_net(seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def make_mlp():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU())


class Wrapped(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net


class Tied(nn.Module):
    """A language model whose output layer is its embedding."""

    def __init__(self, tied=True):
        super().__init__()
        torch.manual_seed(1)
        self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        if tied:
            self.head.weight = self.embed.weight
        self.register_buffer("positions", torch.arange(4), persistent=False)


class SettingsDict(dict):
    """A dict of a user's own, as configurations often are."""


STATE = make_net().state_dict()
OTHER = make_net(2).state_dict()


def named(prefix, state=STATE):
    return {prefix + name: value for name, value in state.items()}


def replaced(old, new, state=STATE):
    return {name.replace(old, new): value for name, value in state.items()}


def is_loaded(model, state=STATE):
    loaded = model.state_dict()
    return len(loaded) == len(state) and all(
        torch.equal(a, b) for a, b in zip(loaded.values(), state.values(), strict=True)
    )


FILES = {
    "module": (named("module."), "'module.0.weight' is loaded as '0.weight', and the others likewise"),
    "compiled": (named("module._orig_mod."), "'module._orig_mod.0.weight' is loaded as '0.weight'"),
    "net": (named("net."), "'net.0.weight' is loaded as '0.weight'"),
    "backbone": (named("backbone.encoder."), "'backbone.encoder.0.weight' is loaded as '0.weight'"),
    "inside": (replaced("0.", "0.module._orig_mod."), "'0.module._orig_mod.weight' is loaded as '0.weight'"),
    "lightning": (
        {
            "state_dict": {**named("model."), "criterion.weight": torch.zeros(2)},
            "hyper_parameters": {"data": pathlib.PosixPath("/data"), "args": argparse.Namespace(lr=1)},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4, 3, 3, 3)}}}],
        },
        "the state dict under 'state_dict' is used; 'model.0.weight' is loaded as '0.weight', and the others likewise; "
        "1 other tensor not used ('state_dict.criterion.weight')",
    ),
    "swa": ({"n_averaged": torch.tensor(5), **named("module.")}, "'module.0.weight' is loaded as '0.weight'"),
    "ema": (
        {"state_dict_ema": OTHER, "state_dict": named("module."), "optimizer": {"state": {"0.weight": torch.zeros(1)}}},
        r"other weights of this model are not used ('state_dict_ema'): to use them, save them alone",
    ),
    "teacher": ({"teacher": OTHER, "student": named("module.")}, "are not used ('teacher')"),
    "momentum": ({**named("encoder_q."), **named("encoder_k.", OTHER)}, "are not used ('encoder_k')"),
    "only averaged": ({"ema": STATE, "epoch": 3}, "the state dict under 'ema' is used"),
    "best": (
        {"model": STATE, "best": OTHER},
        "under 'model' is used; other weights of this model are not used ('best')",
    ),
    "kinds of dicts": (
        collections.defaultdict(list, state_dict=SettingsDict(STATE), config=SettingsDict(lr=1), best=np.float64(0.9)),
        "the state dict under 'state_dict' is used",
    ),
    "any key": ({"params": STATE, "acc": 90.0}, "the state dict under 'params' is used"),
    "parts": (
        {
            "0": {"weight": STATE["0.weight"], "bias": STATE["0.bias"]},
            **{name: value for name, value in STATE.items() if not name.startswith("0.")},
        },
        None,
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_prefix_or_wrapper_is_found_and_said(tmp_path, kind):
    state, said = FILES[kind]
    torch.save(state, tmp_path / "w.pt")
    net = make_net(3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_weights(net, tmp_path / "w.pt")
    assert is_loaded(net)
    if said is None:
        assert not caught
    else:
        assert len(caught) == 1
        assert said in str(caught[0].message)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch, when it first compiles
def test_a_prefix_of_the_model_is_found_too(tmp_path):
    torch.save({"state_dict": named("backbone.")}, tmp_path / "w.pt")
    net = Wrapped(Wrapped(make_net(3)))
    with pytest.warns(UserWarning, match=r"'backbone\.0\.weight' is loaded as 'net\.net\.0\.weight'"):
        load_weights(net, tmp_path / "w.pt")
    assert is_loaded(net)
    torch.save(STATE, tmp_path / "w.pt")
    compiled = Wrapped(torch.compile(make_net(3)))
    with pytest.warns(UserWarning, match=r"'0\.weight' is loaded as 'net\._orig_mod\.0\.weight'"):
        load_weights(compiled, tmp_path / "w.pt")
    assert is_loaded(compiled)


def test_a_prefix_is_found_in_safetensors(tmp_path):
    from safetensors.torch import save_file

    save_file(named("model."), tmp_path / "w.safetensors")
    net = make_net(3)
    with pytest.warns(UserWarning, match=r"'model\.0\.weight' is loaded as '0\.weight'"):
        load_weights(net, tmp_path / "w.safetensors")
    assert is_loaded(net)


@pytest.mark.parametrize("zipped", [True, False])
def test_counters_of_batch_normalisation_may_be_missing(tmp_path, zipped):
    old = {name: value for name, value in STATE.items() if "num_batches" not in name}
    torch.save(old, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    net = make_net(3)
    load_weights(net, tmp_path / "w.pt")
    assert is_loaded(net)
    torch.save({"epoch": 3, "state_dict": replaced("1.", "1.module.", old)}, tmp_path / "w.pt")
    net = make_net(3)
    with pytest.warns(UserWarning, match=r"'1\.module\.weight' is loaded as '1\.weight'"):
        load_weights(net, tmp_path / "w.pt")
    assert is_loaded(net)


def test_a_shared_parameter_may_be_saved_under_one_name(tmp_path):
    state = Tied().state_dict()
    for name in state:
        torch.save({name: torch.ones(5, 3), "positions": torch.arange(4)}, tmp_path / "w.pt")
        model = Tied()
        load_weights(model, tmp_path / "w.pt")
        assert (model.head.weight == 1).all()
        assert model.head.weight is model.embed.weight
    torch.save(Tied(tied=False).state_dict(), tmp_path / "w.pt")
    with pytest.raises(
        FileError, match=r"shared by names of the model, but not in the file \('embed.weight' and 'head"
    ):
        load_weights(Tied(), tmp_path / "w.pt")
    torch.save({"embed.weight": torch.ones(5, 3)}, tmp_path / "w.pt")
    with pytest.raises(FileError, match=r"1 parameter missing \('head.weight'\)"):
        load_weights(Tied(tied=False), tmp_path / "w.pt")


MISFITS = {
    "several": (
        {"generator": named("a."), "critic": named("b.", OTHER)},
        r"contains 2 sets of weights for this model \('generator.a', 'critic.b'\): save those you want alone",
    ),
    "shapes": (
        {"model": {**STATE, "3.weight": torch.zeros(7, 4)}},
        r"1 parameter of another shape \('3.weight' \(7, 4\) instead of \(2, 4\)\) \(its names under 'model.'",
    ),
    "unknown": (named("model.", {**STATE, "4.weight": torch.zeros(1)}), r"1 parameter unknown \('4.weight'\)"),
    "missing": (
        named("model.", {name: STATE[name] for name in list(STATE)[2:]}),
        r"2 parameters missing \('0.weight', '0.bias'\)",
    ),
    "none": (
        {"state_dict": {"x": torch.zeros(1)}},
        r"network: 8 parameters missing \('0.weight', '0.bias', '1.weight' and 5 more\); 1 parameter unknown \('state",
    ),
    "optimizer": ({"optimizer": STATE}, "contains no state dict: save"),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_weights_of_another_network_are_refused(tmp_path, kind):
    state, message = MISFITS[kind]
    torch.save(state, tmp_path / "w.pt")
    net = make_net(3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(FileError, match=message):
        load_weights(net, tmp_path / "w.pt")
    assert is_loaded(net, before)


class Harm:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = make_mlp()
    pathlib.Path("source").touch()
    torch.save({"state_dict": model.state_dict(), "x": Harm((shutil.copy, ("source", "run")))}, "harm.pt")
    with pytest.warns(UserWarning, match="under 'state_dict' is used"):
        load_weights(model, "harm.pt")
    torch.save({"state_dict": model.state_dict(), "x": Harm((os.system, ("touch run",)))}, "harm.pt")
    with pytest.raises(FileError, match="Python objects, which are never unpickled"):
        load_weights(model, "harm.pt")
    assert not pathlib.Path("run").exists()
    torch.save(model, "whole.pt")
    with pytest.raises(FileError, match=r"only Python objects, which are never unpickled: save model\.state_dict\(\)"):
        load_weights(model, "whole.pt")
    torch.save([1, 2], "list.pt")
    with pytest.raises(FileError, match="contains no state dict: save"):
        load_weights(model, "list.pt")


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = make_mlp()
    pathlib.Path("junk.pt").write_text("junk")
    with pytest.raises(FileError, match=r"cannot read weights from 'junk\.pt': the file is corrupt, or"):
        load_weights(model, "junk.pt")
    pathlib.Path("broken.safetensors").write_text("no tensors at all")
    with pytest.raises(FileError, match="cannot read weights from"):
        load_weights(model, "broken.safetensors")
    with pytest.raises(FileError, match="there is no file"):
        load_weights(model, "nowhere.pt")
    torch.save({"0.weight": torch.zeros(4, 2), "x": torch.zeros(1)}, "other.pt")
    expected = r"missing \('0.bias'\); 1 parameter unknown \('x'\); 1 parameter of another shape \('0.weight' \(4, 2\)"
    with pytest.raises(FileError, match=expected):
        load_weights(model, "other.pt")


def test_weights_are_loaded_into_a_model_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    pathlib.Path("weighed_models.py").write_text("from torch import nn\n\ndef mlp():\n    return nn.Linear(3, 4)\n")
    torch.save({"weight": torch.full((4, 3), 2.0), "bias": torch.zeros(4)}, "w.pt")
    assert (load_model("weighed_models:mlp", weights="w.pt").model.weight == 2).all()
