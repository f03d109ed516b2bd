"""Whole maps that are collected: of convolutions and of the patches of transformers, resumed and of one size."""

import numpy as np
import pytest
import torch

import neuronym
from neuronym.data import Maps
from neuronym.errors import ActivationsError, OptionError


def conv():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())


DATA = torch.randn(150, 3, 8, 6, generator=torch.Generator().manual_seed(0))


def blocks(found):
    own = Maps.of(found)
    return own.block(np.arange(own.n_neurons)).reshape(own.n_samples, own.n_neurons, own.height, own.width)


def test_maps_are_those_of_the_network(tmp_path):
    want = conv()(DATA).detach().numpy()
    for options in ({}, {"out": tmp_path / "maps.zarr"}, {"out": tmp_path / "thin.zarr", "sparse": True}):
        found = neuronym.collect(conv(), DATA, layers=["1"], maps=True, **options)["1"]
        assert np.abs(blocks(found) - want).max() < 1e-5
        assert repr(found).startswith("Activations(150 samples × 4 neurons of 6 × 4, float32")
    pooled = neuronym.collect(conv(), DATA, layers=["1"])["1"].matrix
    assert np.abs(Maps.of(found).pooled().matrix - pooled).max() < 1e-6
    assert Maps.of(found).pooled(neurons=[3, 1]).names == (3, 1)


def test_other_layouts_of_axes(tmp_path):
    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.moved = conv(), torch.nn.Identity()

        def forward(self, x):
            return self.moved(self.inner(x).permute(0, 2, 3, 1))

    found = neuronym.collect(Last(), DATA, layers=["moved"], maps=True, axes="BHWC")["moved"]
    assert found.axes == "BHWC=6x4"
    assert np.abs(blocks(found) - conv()(DATA).detach().numpy()).max() < 1e-5


def test_a_run_is_resumed_and_a_store_takes_what_its_photos_take(tmp_path):
    first = neuronym.collect(conv(), DATA, layers=["1"], maps=True, out=tmp_path / "maps.zarr")["1"]
    again = neuronym.collect(conv(), DATA, layers=["1"], maps=True, out=tmp_path / "maps.zarr")["1"]
    assert again.mark == first.mark
    size = sum(path.stat().st_size for path in (tmp_path / "maps.zarr/1").rglob("*") if path.is_file())
    assert size < 3.5 * 2**20  # three rows of chunks of a MiB for 150 photos
    with pytest.raises(neuronym.errors.FileError, match="other settings"):
        neuronym.collect(conv(), DATA, layers=["1"], out=tmp_path / "maps.zarr")


class Patches(torch.nn.Module):
    """Tokens as of a vision transformer: a class token, and 2 × 3 patches row by row."""

    def __init__(self, beside=1):
        super().__init__()
        self.beside, self.tokens = beside, torch.nn.Linear(3, 5)
        torch.manual_seed(1)

    def forward(self, x):
        patches = torch.nn.functional.adaptive_avg_pool2d(x, (2, 3)).flatten(2).transpose(1, 2)
        return self.tokens(torch.cat([torch.full((len(x), self.beside, 3), 9.0), patches], dim=1))


@pytest.mark.parametrize("beside", [0, 1, 5])
def test_patches_of_a_transformer_are_maps(beside):
    model = Patches(beside)
    found = neuronym.collect(model, DATA, layers=["tokens"], maps=(2, 3))["tokens"]
    want = model(DATA)[:, beside:].detach().numpy().reshape(150, 2, 3, 5).transpose(0, 3, 1, 2)
    assert np.abs(blocks(found) - want).max() < 1e-5


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (True, "a sequence of 7 tokens: say which rows and columns"),
        ((3, 3), "which are no 3 × 3 positions"),
    ],
)
def test_other_sizes_of_patches_are_refused(maps, message):
    with pytest.raises(ActivationsError, match=message):
        neuronym.collect(Patches(), DATA, layers=["tokens"], maps=maps)
    with pytest.raises(ActivationsError, match="which are no 2 × 3 positions after at most 8"):
        neuronym.collect(Patches(9), DATA, layers=["tokens"], maps=(2, 3))


def test_maps_of_two_sizes_are_refused(tmp_path):
    batches = [DATA[:8], DATA[8:16].transpose(2, 3)]
    for options in ({}, {"out": tmp_path / "maps.zarr"}):
        with pytest.raises(ActivationsError, match="maps of 6 × 4 in one batch and of 4 × 6 in another"):
            neuronym.collect(conv(), batches, layers=["1"], maps=True, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": 3}, "maps must be True, or the numbers of rows and columns"),
        ({"maps": (0, 3)}, "maps must be True"),
        ({"maps": (2, 2, 2)}, "maps must be True"),
        ({"maps": True, "tokens": True}, "maps and tokens are two ways"),
        ({"maps": True, "pool": "max"}, "pool does nothing"),
        ({"maps": True, "pool": lambda x: x.mean((2, 3))}, "pool does nothing"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        neuronym.collect(conv(), DATA, layers=["1"], **options)


def test_a_layer_without_rows_and_columns_has_no_maps():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 6, 4))
    with pytest.raises(ActivationsError, match="in which there are no maps"):
        neuronym.collect(model, DATA, layers=["1"], maps=True)
