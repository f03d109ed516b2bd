"""What the axes of layers' outputs mean: in a batch, activations are those of one sample at a time."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import old_stores
import wide_models
from neuronym import ActivationsError, FileError, OptionError, UnknownNameError, open_activations
from neuronym.io.zarr_store import LayerWriter
from neuronym.network.axes import Axes
from neuronym.network.collecting import collect
from neuronym.network.listing import layers
from old_stores import as_before
from wide_models import MODELS, Heads, PermutedBlock, Signal, Twisted, padded, whole


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_gives_what_one_sample_at_a_time_gives(name):
    model, data, wanted = MODELS[name]()
    together = collect(model, data, layers=list(wanted), batch_size=5)
    for layer, (axes, n_neurons) in wanted.items():
        assert together[layer].axes == axes, layer
        assert together[layer].n_neurons == n_neurons, layer
        output = whole(model, data, layer)
        letters = "C" if "C" in axes else "HD"
        order = [axes.index("B"), *(place for place, one in enumerate(axes) if one in letters)]
        rest = [place for place in range(len(axes)) if place not in order]
        by_hand = output.permute(*order, *rest).flatten(1, len(order) - 1)
        by_hand = (by_hand.flatten(2).mean(2) if rest else by_hand).numpy()
        assert np.abs(together[layer].matrix - by_hand).max() < 1e-5 * by_hand.std(), layer
    alone = collect(model, data, layers=list(wanted), batch_size=1)
    for layer in wanted:
        scale = together[layer].matrix.std()
        assert alone[layer].axes == together[layer].axes
        assert np.abs(alone[layer].matrix - together[layer].matrix).max() < 1e-5 * scale, layer


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pool", ["mean", "max", "first", "last"])
@pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
def test_padding_on_either_side_changes_nothing(name, pool, side):
    model, _, wanted = MODELS[name]()
    ids = wide_models.texts()
    alone = collect(model, [padded([one], side) for one in ids], layers=list(wanted), pool=pool)
    batches = [padded(ids[:4], side), padded(ids[4:], side)]
    together = collect(model, batches, layers=list(wanted), pool=pool)
    for layer in wanted:
        scale = alone[layer].matrix.std()
        assert np.abs(alone[layer].matrix - together[layer].matrix).max() < 1e-5 * scale, layer
    if pool == "mean":
        by_token = [
            collect(model, data, layers=list(wanted), tokens=True)
            for data in (batches, [padded([one], side) for one in ids])
        ]
        for layer in wanted:
            assert np.abs(by_token[0][layer].matrix - by_token[1][layer].matrix).max() < 1e-4, layer


def frames(batch):
    """Batches of signals, padded to one length, for a model that returns a frame for every 4 of their values."""
    waves = [torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (20, 28, 40, 28)]
    for start in range(0, 4, batch):
        part = waves[start : start + batch]
        longest = max(map(len, part))
        values = torch.stack([nn.functional.pad(one, (0, longest - len(one))) for one in part])
        mask = torch.stack([(torch.arange(longest) < len(one)).long() for one in part])
        yield {"input_values": values, "attention_mask": mask}


def test_padding_is_never_pooled_where_the_mask_has_another_length():
    model = wide_models.Frames()
    alone = collect(model, list(frames(1)), layers=["enc", "fe"])
    assert alone["enc"].axes == "BTC"
    assert alone["fe"].axes == "BCT"
    same = [one for one in frames(1) if one["input_values"].shape[1] == 28]
    both = {key: torch.cat([one[key] for one in same]) for key in same[0]}
    assert np.allclose(collect(model, [both], layers=["enc"])["enc"].matrix, alone["enc"].matrix[[1, 3]], atol=1e-6)
    for layer in ("enc", "fe"):
        with pytest.raises(
            ActivationsError,
            match=rf"layer '{layer}' has 7 positions but attention_mask marks padding among 28 tokens.*batch_size=1",
        ):
            collect(model, list(frames(2)), layers=[layer])
    own = collect(model, list(frames(2)), layers=["enc"], pool=lambda output: output[:, 0])
    assert own["enc"].n_samples == 4


def test_what_the_user_says_counts_first():
    model, data = PermutedBlock(), torch.randn(7, 4, 4, 4)
    assert collect(model, data, layers=["back"])["back"].axes == "BCHW"
    turned = collect(model, data, layers=["back", "fc"], axes={"back": "nhwc"})
    assert turned["back"].axes == "BHWC"
    assert turned["fc"].axes == "BHWC"
    assert np.allclose(turned["back"].matrix, whole(model, data, "back").mean((1, 2)), atol=1e-6)
    heads = collect(Heads(), torch.randn(6, 7, 12), layers=["hook_z"], axes="BTHD")["hook_z"]
    assert heads.n_neurons == 12
    only = collect(Heads(), torch.randn(6, 7, 12), layers=["hook_z"], axes="BTCD")["hook_z"]
    assert only.n_neurons == 3


@pytest.mark.parametrize(
    ("axes", "error", "match"),
    [
        ("BCT", ActivationsError, r"the axes of layer 'back' are BCT, but it returns \(7, 4, 4, 4\)"),
        ({"bak": "BCHW"}, UnknownNameError, "no layer 'bak'; near it: 'back'"),
        ("BHWX", OptionError, "axes must be letters such as BCT, .* not 'BHWX'"),
        ("BCCH", OptionError, "axes must be letters"),
        ("CHWX", OptionError, "axes must be letters"),
        ({"back": 4}, OptionError, "or a mapping of layers to them"),
        ("TBCH", ActivationsError, r"returns \(7, 4, 4, 4\) for 7 samples: axis 2 \(TBCH\) must be the samples"),
    ],
)
def test_axes_that_cannot_be_are_refused(axes, error, match):
    with pytest.raises(error, match=match):
        collect(PermutedBlock(), torch.randn(7, 4, 4, 4), layers=["back"], axes=axes)


def test_what_nothing_shows_is_said():
    model = nn.Sequential(nn.Identity(), nn.Conv1d(4, 3, 2))
    with pytest.warns(
        UserWarning, match=r"the axes of 1 layer are assumed.*'0' \(\(6, 4, 5\)\) for BTC.*axes=\{'0': 'BTC'\}"
    ):
        found = collect(model, torch.randn(6, 4, 5), layers=["0"])["0"]
    assert found.n_neurons == 5
    assert collect(model, torch.randn(6, 4, 5), layers=["0"], axes="BCT")["0"].n_neurons == 4
    with pytest.warns(UserWarning, match="'twist'"):  # one source says that the last axis is neurons, another the first
        collect(Twisted(), torch.randn(6, 5, 5), layers=["twist"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        collect(model, torch.randn(6, 4, 5), layers=["0"], pool=lambda output: output.mean(2))


class Mixed(nn.Module):
    """A gate over channels, whose outputs depend on all of them, and a part that works without gradients."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate, self.act = nn.Conv1d(1, 3, 2), nn.Softmax(1), nn.ReLU()

    def forward(self, x):
        x = self.gate(self.conv(x))
        with torch.no_grad():
            return self.act(x)


def test_axes_are_found_without_gradients_and_in_other_precisions():
    for kind in (torch.float32, torch.bfloat16, torch.float64):
        found = collect(Mixed().to(kind), torch.randn(6, 1, 9).to(kind), layers=["gate", "act"])
        assert [found[layer].axes for layer in ("gate", "act")] == ["BCT", "BCT"]
    model = Mixed()
    nn.init.constant_(model.conv.bias, -100.0)  # no activation is above 0
    assert collect(model, torch.randn(1, 1, 9), layers=["gate", "act"])["act"].axes == "BCT"


def test_a_model_is_left_as_it_was_by_the_look_at_its_axes():
    model, data, wanted = MODELS["vit"]()
    model.requires_grad_(False)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    collect(model, data, layers=list(wanted))
    assert torch.equal(torch.rand(2), expected)
    assert not any(p.requires_grad for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_axes_are_listed_with_the_layers():
    found = {one.name: one.axes for one in layers(PermutedBlock(), shape=(4, 4, 4))}
    assert found == {"conv": "BCHW", "norm": "BHWC", "fc": "BHWC", "act": "BHWC", "back": "BCHW"}
    found = {one.name: one.axes for one in layers(nn.Sequential(nn.Identity(), nn.Conv1d(4, 3, 2)), shape=(4, 5))}
    assert found == {"0": "BTC?", "1": "BCT"}


def test_axes_are_kept_with_activations_and_other_ones_not_mixed_in(tmp_path, monkeypatch):
    monkeypatch.setattr("neuronym.io.zarr_store._PATIENCE", 0.0)
    monkeypatch.setattr("neuronym.io.zarr_store._SHARE", 0)
    model, data = Signal(), torch.randn(12, 1, 9)
    out = tmp_path / "a.zarr"
    options = {"layers": ["act"], "out": out, "batch_size": 4}
    assert collect(model, data, **options)["act"].axes == "BCT"
    assert open_activations(out / "act").axes == "BCT"
    assert open_activations(out / "act").take([0]).axes == "BCT"
    assert collect(model, data, axes="BCT", **options)["act"].n_neurons == 2
    with pytest.raises(FileError, match=r"axes of 'act': 'BCT' then, 'BTC' now"):
        collect(model, data, axes="BTC", **options)
    as_before(out)
    assert collect(model, data, **options)["act"].n_neurons == 2
    assert open_activations(out / "act").axes is None


def test_a_run_goes_on_with_the_axes_that_it_began_with(tmp_path, monkeypatch):
    monkeypatch.setattr("neuronym.io.zarr_store._PATIENCE", 0.0)
    monkeypatch.setattr("neuronym.io.zarr_store._SHARE", 0)
    batches = [torch.randn(2, 1, 9) for _ in range(3)]
    seen = []

    def forward(model, batch):
        seen.append(len(batch))
        if stop and batch is not batches[0] and torch.equal(batch, batches[2]):
            raise RuntimeError("the power went out")
        model(batch)

    options = {"layers": ["conv"], "forward": forward, "out": tmp_path / "a.zarr"}
    stop, model = True, Signal()
    with pytest.raises(OptionError, match="the power went out"):
        collect(model, batches, axes="BTC", **options)
    stop = False
    with pytest.raises(FileError, match="axes of 'conv': 'BTC' then, 'BCT' now"):
        collect(model, batches, **options)
    assert collect(model, batches, axes="BTC", **options)["conv"].n_samples == 6


def test_a_run_of_before_took_sequences_for_btc(tmp_path):
    data, model = torch.randn(6, 1, 9), Signal()
    options = {"layers": ["conv"], "out": tmp_path / "a.zarr", "batch_size": 2}
    collect(model, data, axes="BTC", **options)
    as_before(tmp_path / "a.zarr")
    with pytest.raises(FileError, match="holds other activations of layer 'conv'"):
        collect(model, data, **options)
    assert collect(model, data, axes="BTC", **options)["conv"].n_samples == 6
    old_stores.write(tmp_path / "b.zarr", {"conv": np.zeros((9, 2), np.float32)}, {}, samples=4, complete=False)
    with pytest.raises(FileError, match="axes of 'conv': 'BTC' then, 'BCT' now"):
        LayerWriter(tmp_path / "b.zarr", ["conv"], {}, axes={"conv": "BCT"})


def test_letters_name_axes_and_outputs_are_arranged_by_them():
    output = torch.arange(120).reshape(2, 3, 4, 5)
    for text in ("BCHW", "BHWC", "BTHD", "BHTD", "HWBC"):
        axes = Axes(text)
        arranged = axes.arrange(output)
        assert arranged.shape[0] == output.shape[text.index("B")]
        assert torch.equal(axes.restore(arranged, output.shape), output)
    assert torch.equal(Axes("BHTD").arrange(output)[1, 2], output[1, :, 2].flatten())
