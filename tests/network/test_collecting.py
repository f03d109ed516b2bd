import sys

import numpy as np
import pytest
import torch
from torch import nn

from neuronym import ActivationsError, FileError, OptionError, UnknownNameError, label
from neuronym.network.collecting import collect
from neuronym.network.hooks import capture_outputs
from neuronym.network.pooling import pool_output


class Text(nn.Module):
    """A small transformer over words, called as models of Hugging Face are."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.block = nn.TransformerEncoderLayer(6, 2, 12, dropout=0.5, batch_first=True)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, input_ids, attention_mask):
        hidden = self.block(self.embed(input_ids), src_key_padding_mask=attention_mask == 0)
        return {"last_hidden_state": self.attention(hidden, hidden, hidden)[0], "other": hidden}


@pytest.fixture
def cnn():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(5 * 36, 4)]
    return nn.Sequential(*layers)


@pytest.fixture
def images():
    return torch.randn(11, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def words():
    torch.manual_seed(0)
    ids = torch.randint(0, 20, (7, 5), generator=torch.Generator().manual_seed(2))
    mask = torch.tensor([[1] * n + [0] * (5 - n) for n in (5, 3, 1, 4, 2, 5, 3)])
    return Text(), [{"input_ids": ids[i : i + 3], "attention_mask": mask[i : i + 3]} for i in (0, 3, 6)], mask


def test_several_layers_of_a_cnn_in_one_pass(cnn, images):
    cnn.train()
    found = collect(cnn, images, layers=["0", "4"], sample_ids=range(11))
    cnn.eval()
    with torch.no_grad():
        assert np.allclose(found["0"].matrix, cnn[0](images).mean((2, 3)), atol=1e-6)
        assert np.allclose(found["4"].matrix, cnn(images), atol=1e-6)
    assert found["4"].sample_ids == tuple(map(str, range(11)))
    assert found["4"].matrix.dtype == np.float32


def test_the_model_is_left_as_it_was(cnn, images):
    cnn.train()
    cnn[2].eval()
    collect(cnn, images, layers=["1"])
    with pytest.raises(ActivationsError):
        collect(cnn, images, layers=["1"], pool=lambda output: output)
    assert [module.training for module in cnn] == [True, True, False, True, True]
    assert not any(module._forward_hooks for module in cnn.modules())
    assert all(p.requires_grad for p in cnn.parameters())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_every_way_to_give_data_is_the_same(cnn, images, batch_size):
    expected = collect(cnn, images, layers=["1"])["1"].matrix
    pairs = torch.utils.data.TensorDataset(images, torch.arange(11))
    ways = [images.numpy(), pairs, torch.utils.data.DataLoader(pairs, batch_size), [images[:5], images[5:]]]
    for data in ways:
        found = collect(cnn, data, layers=["1"], batch_size=batch_size)["1"].matrix
        assert np.allclose(found, expected, atol=1e-6)


def test_maps_are_pooled_as_asked(cnn, images):
    with torch.no_grad():
        maps = cnn[0](images)
    assert np.allclose(collect(cnn, images, layers=["0"], pool="max")["0"].matrix, maps.amax((2, 3)), atol=1e-6)
    median = collect(cnn, images, layers=["0"], pool=lambda output: output.flatten(2).median(2).values)["0"]
    assert np.allclose(median.matrix, maps.flatten(2).median(2).values, atol=1e-6)
    with pytest.raises(ActivationsError, match=r"outputs \(8, 5, 6, 6\), to which pool='first' does not apply"):
        collect(cnn, images, layers=["0"], pool="first")


def test_volumes_and_single_numbers_are_pooled():
    video = torch.randn(3, 2, 4, 5, 6)
    model = nn.Sequential(nn.Conv3d(2, 3, 2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 1), nn.Flatten(0))
    found = collect(model, video, layers=["0", "4"])
    with torch.no_grad():
        assert np.allclose(found["0"].matrix, model[0](video).mean((2, 3, 4)), atol=1e-6)
        assert np.allclose(found["4"].matrix[:, 0], model(video), atol=1e-6)


def test_tables_through_an_mlp_in_half_precision():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).bfloat16()
    rows = torch.randn(9, 4).bfloat16()
    with torch.no_grad():
        assert np.allclose(collect(model, rows, layers=["1"])["1"].matrix, model(rows).float())


def test_sequences_are_pooled_over_the_tokens_that_count(words):
    model, batches, mask = words
    model.eval()
    with torch.no_grad():
        hidden = torch.cat([model(**batch)["other"] for batch in batches])
    lengths = mask.sum(1)
    expected = {
        "mean": [h[:n].mean(0) for h, n in zip(hidden, lengths, strict=True)],
        "max": [h[:n].amax(0) for h, n in zip(hidden, lengths, strict=True)],
        "first": list(hidden[:, 0]),
        "last": [h[n - 1] for h, n in zip(hidden, lengths, strict=True)],
    }
    for pool, rows in expected.items():
        found = collect(model, batches, layers=["block"], pool=pool)["block"].matrix
        assert np.allclose(found, torch.stack(rows), atol=1e-5), pool


def test_dicts_and_tuples_of_a_module_are_read(words):
    model, batches, _ = words
    found = collect(model, batches, layers=["", "attention"], pool="first")
    assert np.array_equal(found[""].matrix, found["attention"].matrix)


def test_tokens_are_samples(words):
    model, batches, mask = words
    found = collect(model, batches, layers=["block"], tokens=True, sample_ids=[f"text{i}" for i in range(7)])["block"]
    assert found.n_samples == int(mask.sum()) == 23
    assert found.sample_ids[:7] == ("text0#0", "text0#1", "text0#2", "text0#3", "text0#4", "text1#0", "text1#1")
    assert found.sample_ids[-1] == "text6#2"
    assert collect(model, batches, layers=["block"], tokens=True)["block"].sample_ids[-1] == "6#2"


def test_a_function_may_call_the_model(cnn, images):
    batches = [{"pixels": images[:6]}, {"pixels": images[6:]}]
    found = collect(cnn, batches, layers=["1"], forward=lambda model, batch: model(batch["pixels"]))["1"]
    assert np.allclose(found.matrix, collect(cnn, images, layers=["1"])["1"].matrix, atol=1e-6)


def test_what_is_collected_can_be_labelled(cnn, images):
    bright = (images.mean((1, 2, 3)) > 0).numpy()
    labels = label(collect(cnn, images, layers=["0", "4"]), bright[:, None], names=["bright"], min_count=1)
    assert [one.layer for one in labels] == ["0"] * 5 + ["4"] * 4


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.act, self.never, self.inner = nn.ReLU(), nn.ReLU(), nn.LSTM(3, 2, batch_first=True)

    def forward(self, x):
        self.inner(x)
        return {"a": self.act(x), "b": self.act(x)}


BAD = {
    "no layer 'inne'; near it: 'inner'": {"layers": ["inne"]},
    "layer 'act' is called 2 times in a forward pass": {"layers": ["act"]},
    "layer 'never' is not called in a forward pass": {"layers": ["never"]},
    "layer '' outputs a dict of 'a', 'b'": {"layers": [""]},
    "layers must be a list of module names, not 'inner'": {"layers": "inner"},
    "pool must be 'mean', 'max', 'first', 'last' or a function": {"layers": ["inner"], "pool": "median"},
    "batch_size must be a whole number of at least 1, not 0": {"layers": ["inner"], "batch_size": 0},
    "data has 4 samples but 1 sample ids: give one id per sample": {"layers": ["inner"], "sample_ids": ["a"]},
    "pool turned (4, 5, 2) into (4, 5, 2) for layer 'inner'": {"layers": ["inner"], "pool": lambda x: x},
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_collected_is_said(message):
    with pytest.raises((ActivationsError, OptionError, UnknownNameError)) as caught:
        collect(Twice(), torch.randn(4, 5, 3), **BAD[message])
    assert message in str(caught.value)


def test_tokens_need_a_sequence_that_has_some(cnn, images, words):
    with pytest.raises(ActivationsError, match=r"tokens=True needs a sequence \(B, T, C\)"):
        collect(cnn, images, layers=["0"], tokens=True)
    model, batches, _ = words
    batches[1]["attention_mask"][1] = 0
    with pytest.raises(ActivationsError, match="a sequence has no tokens: its attention_mask is all 0"):
        collect(model, batches, layers=["embed"], forward=lambda m, batch: m.embed(batch["input_ids"]))


def test_samples_must_keep_their_order_and_come_first(cnn, images):
    shuffled = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), 4, shuffle=True)
    with pytest.raises(OptionError, match="the DataLoader shuffles"):
        collect(cnn, shuffled, layers=["1"])
    with pytest.raises(
        ActivationsError, match=r"returns \(8, 3, 2\) for 4 samples: the first axis must be the samples"
    ):
        collect(Windows(), torch.randn(4, 6, 3), layers=["inner"])
    with pytest.raises(ActivationsError, match="there are no samples"):
        collect(cnn, images[:0], layers=["1"])


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, x):
        return self.inner(x.reshape(-1, 3, 3)).reshape(len(x), -1)


def test_hooks_are_removed_when_a_name_is_wrong(cnn):
    with pytest.raises(UnknownNameError), capture_outputs(cnn, ["0", "nothing"]):
        pass
    assert not cnn[0]._forward_hooks


def test_without_torch_it_says_what_to_install(cnn, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(OptionError, match=r"pip install 'neuronym\[torch\]'"):
        collect(cnn, images, layers=["0"])


class Some(torch.utils.data.Dataset):
    """Images, some of which are not there."""

    def __init__(self, images, missing):
        self.images, self.missing = images, missing

    def __len__(self):
        return len(self.images)

    def __getitem__(self, place):
        return None if place in self.missing else self.images[place]


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_that_are_none_are_left_out(cnn, images, tmp_path, workers):
    missing = {0, 4, 5, 6, 7, 10}
    options = {"layers": ["1"], "sample_ids": [f"i{i}" for i in range(11)], "batch_size": 4, "workers": workers}
    whole = collect(cnn, images, **options)["1"].matrix
    for place in (None, tmp_path / "a.zarr"):
        found = collect(cnn, Some(images, missing), out=place, **options)["1"]
        assert found.sample_ids == ("i1", "i2", "i3", "i8", "i9")
        assert found.skipped == found.take([0, 2]).skipped == ("i0", "i4", "i5", "i6", "i7", "i10")
        assert np.allclose(found.matrix, whole[[1, 2, 3, 8, 9]], atol=1e-6)
    with pytest.raises(ActivationsError, match="a sample is None, and only sample_ids can say"):
        collect(cnn, Some(images, missing), layers=["1"])


def test_a_store_holds_the_same_as_memory(cnn, images, tmp_path):
    pairs = torch.utils.data.TensorDataset(images, torch.arange(11))
    for number, data in enumerate([images, pairs, torch.utils.data.DataLoader(pairs, 4), [images[:4], images[4:]]]):
        options = {"layers": ["0", "4"], "batch_size": 4, "names": {"4": ["a", "b", "c", "d"]}}
        stored = collect(cnn, data, out=tmp_path / f"{number}.zarr", **options)
        for layer, expected in collect(cnn, data, **options).items():
            assert np.array_equal(stored[layer].matrix, expected.matrix)
            assert list(stored[layer].names) == list(expected.names)
            assert stored[layer].sample_ids is None


def test_an_iterable_goes_on_where_it_stopped(cnn, images, tmp_path, monkeypatch):
    monkeypatch.setattr("neuronym.io.zarr_store._PATIENCE", 0.0)
    monkeypatch.setattr("neuronym.io.zarr_store._SHARE", 0)
    seen = []

    def forward(model, batch):
        seen.append(len(batch))
        if len(seen) == 3:
            raise RuntimeError("the power went out")
        model(batch)

    batches = [images[i : i + 2] for i in range(0, 11, 2)]
    options = {"layers": ["1"], "forward": forward, "out": tmp_path / "a.zarr"}
    with pytest.raises(OptionError, match=r"forward failed on .* \(RuntimeError: the power went out\)"):
        collect(cnn, batches, **options)
    found = collect(cnn, batches, **options)["1"]
    assert seen == [2, 2, 2, 2, 2, 2, 2, 1]  # the last batch that was stored is computed again
    assert np.array_equal(found.matrix, collect(cnn, batches, layers=["1"])["1"].matrix)
    collect(cnn, batches, **options)
    assert seen[8:] == [2]  # and the first one of a finished store, since those between would have to be read


def test_other_weights_or_samples_are_not_mixed_in(cnn, images, tmp_path):
    options = {"layers": ["1"], "out": tmp_path / "a.zarr", "sample_ids": range(11)}
    collect(cnn, images, about={"preprocessing": "none"}, **options)
    for change, message in {"samples": "sample_ids: ", "about": "preprocessing: 'none' then, 'some' now"}.items():
        other = {**options, "sample_ids": range(1, 12)} if change == "samples" else options
        with pytest.raises(FileError, match=message):
            collect(cnn, images, about={"preprocessing": "some" if change == "about" else "none"}, **other)
    with torch.no_grad():
        cnn[4].bias[0] += 1
    with pytest.raises(FileError, match="weights: "):
        collect(cnn, images, about={"preprocessing": "none"}, **options)


def test_mixed_precision_keeps_float32(cnn, images):
    exact = collect(cnn, images, layers=["4"])["4"].matrix
    mixed = collect(cnn, images, layers=["4"], precision="bfloat16")["4"].matrix
    assert mixed.dtype == np.float32
    assert not np.array_equal(mixed, exact)
    assert np.allclose(mixed, exact, atol=0.05)
    with pytest.raises(OptionError, match="precision must be"):
        collect(cnn, images, layers=["4"], precision="int8")
    with pytest.raises(OptionError, match="a layer is named twice"):
        collect(cnn, images, layers=["4", "4"])


def test_what_is_caught_is_from_before_operations_in_place(images):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 4))
    with torch.no_grad():
        expected = model[0](images).mean((2, 3))
    assert expected.min() < 0
    assert np.allclose(collect(model, images, layers=["0"])["0"].matrix, expected, atol=1e-6)


def test_sums_of_half_precision_do_not_overflow_and_padding_may_be_nan():
    output = torch.full((2, 512, 3), 200.0)
    mask = torch.ones(2, 512)
    mask[1, 100:] = 0
    output[1, 100:] = torch.nan
    found, _ = pool_output(output.half(), "mean", "x", mask=mask)
    assert np.array_equal(found, np.full((2, 3), 200.0))
    with pytest.raises(ActivationsError, match=r"outputs \(2, 512, 3\) but attention_mask is \(2, 7\)"):
        pool_output(output, "mean", "x", tokens=True, mask=mask[:, :7])


def test_an_iterable_of_other_batches_does_not_go_on(cnn, images, tmp_path, monkeypatch):
    monkeypatch.setattr("neuronym.io.zarr_store._PATIENCE", 0.0)
    monkeypatch.setattr("neuronym.io.zarr_store._SHARE", 0)

    def forward(model, batch):
        if stopping and batch[0, 0, 0, 0] == images[4, 0, 0, 0]:
            raise RuntimeError("the power went out")
        model(batch)

    options = {"layers": ["1"], "forward": forward, "out": tmp_path / "a.zarr"}
    stopping = True
    with pytest.raises(OptionError, match=r"forward failed on .* \(RuntimeError: the power went out\)"):
        collect(cnn, [images[i : i + 2] for i in range(0, 11, 2)], **options)
    stopping = False
    with pytest.raises(
        OptionError, match=r"no batch ends at sample 4, where the earlier run stopped \(the next ends at 6\)"
    ):
        collect(cnn, [images[i : i + 3] for i in range(0, 11, 3)], **options)
    loaders = [torch.utils.data.DataLoader(images, size) for size in (2, 4)]
    collect(cnn, loaders[0], layers=["1"], out=tmp_path / "b.zarr")
    with pytest.raises(FileError, match="batch_size: 2 then, 4 now"):
        collect(cnn, loaders[1], layers=["1"], out=tmp_path / "b.zarr")


def test_other_data_or_names_are_not_taken_for_the_same(cnn, images, tmp_path):
    collect(cnn, images, layers=["4"], out=tmp_path / "a.zarr", names={"4": "abcd"})
    with pytest.raises(FileError, match="data: "):
        collect(cnn, images + 1, layers=["4"], out=tmp_path / "a.zarr", names={"4": "abcd"})
    with pytest.raises(FileError, match="names: "):
        collect(cnn, images, layers=["4"], out=tmp_path / "a.zarr", names={"4": "wxyz"})


def test_batches_of_varying_width_are_refused(tmp_path):
    batches = [torch.zeros(2, 5), torch.zeros(2, 7)]
    for out in (None, tmp_path / "a.zarr"):
        with pytest.raises(ActivationsError, match="layer '0' has 5 neurons in one batch and 7 in another"):
            collect(nn.Sequential(nn.ReLU()), batches, layers=["0"], out=out)


@pytest.mark.parametrize("change", ["sampler", "drop_last", "batch_sampler"])
def test_loaders_that_may_change_the_order_are_refused(cnn, images, change):
    from torch.utils.data import BatchSampler, DataLoader, SubsetRandomSampler

    sampler = SubsetRandomSampler(range(11))
    ways = {"sampler": {"sampler": sampler}, "drop_last": {"batch_size": 4, "drop_last": True}}
    ways["batch_sampler"] = {"batch_sampler": BatchSampler(sampler, 4, False)}
    with pytest.raises(OptionError, match="the DataLoader shuffles or may drop samples"):
        collect(cnn, DataLoader(images, **ways[change]), layers=["1"])


class Unreadable(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, place):
        raise FileError(f"cannot read sample {place}")


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_of_a_dataset_come_as_they_are(cnn, workers):
    with pytest.raises(FileError) as caught:
        collect(cnn, Unreadable(), layers=["1"], workers=workers)
    assert str(caught.value) == "cannot read sample 0"


def test_the_mask_of_a_pair_counts(words):
    model, batches, mask = words
    pairs = [(batch, torch.zeros(len(batch["input_ids"]))) for batch in batches]
    found = collect(model, pairs, layers=["block"], tokens=True, forward=lambda m, pair: m(**pair[0]))["block"]
    assert found.n_samples == int(mask.sum())


def test_devices_that_are_not_there(cnn, images):
    for device in ("cuda:99", "nowhere"):
        with pytest.raises(OptionError, match=f"there is no device '{device}' here"):
            collect(cnn, images, layers=["1"], device=device)
    with pytest.raises(OptionError, match="workers must be"):
        collect(cnn, images, layers=["1"], workers=-1)
