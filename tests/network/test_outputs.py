import warnings

import numpy as np
import pytest
import torch
from torch import nn

from neuronym import ActivationsError
from neuronym.io.zarr_store import LayerWriter
from neuronym.network.collecting import collect

DATA = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
IDS = list("abcdef")


class Changed(nn.Module):
    """Applies a function."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return self.change(x)


def collected(change, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls sparse and quantised tensors experimental
        return collect(nn.Sequential(Changed(change)), DATA, layers=["0"], sample_ids=IDS, **options)["0"].matrix


KINDS = {
    "sparse": (torch.Tensor.to_sparse, lambda x: x),
    "csr": (torch.Tensor.to_sparse_csr, lambda x: x),
    "mkldnn": (torch.Tensor.to_mkldnn, lambda x: x),
    "quantised": (lambda x: torch.quantize_per_tensor(x, 0.5, 0, torch.qint8), lambda x: (x * 2).round() / 2),
    "float8": (lambda x: x.round().to(torch.float8_e4m3fn), torch.round),
    "int": (lambda x: x.round().long(), torch.round),
    "bool sequence": (lambda x: (x > 0)[:, None], lambda x: (x > 0).float()),
    "int sequence": (lambda x: x.round().int()[:, None], torch.round),
    "negative view": (torch._neg_view, torch.neg),
}


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_of_any_kind_of_tensor_become_numbers(kind):
    change, expected = KINDS[kind]
    assert np.array_equal(collected(change), expected(DATA))


REFUSED = {
    "layer '0' outputs a tensor on the meta device, which holds no values": lambda x: x.to("meta"),
    "layer '0' outputs complex numbers (torch.complex64)": torch.fft.fft,
    "layer '0' outputs a nested tensor": lambda x: torch.nested.nested_tensor(list(x[:, None])),
    "layer '0' gives NaN in 2 values on 1 sample of 6: 'c';": lambda x: put(x, [2, 2], [0, 1]),
    "layer '0' gives infinity in 2 values on 2 samples of 6: 'b', 'f';": lambda x: put(x, [1, 5], [0, 1], -torch.inf),
    "layer '0' gives numbers beyond float32 in 1 value on 1 sample of 6: 'a';": lambda x: put(x, 0, 0, 1e300),
    "layer '0' gives NaN and infinity in 3 values on 2 samples of 6: 'a', 'e';": lambda x: put(
        put(x, [4, 4], [0, 1]), 0, 0, torch.inf
    ),
}


def put(x, rows, columns, value=torch.nan):
    x = x.double()
    x[rows, columns] = value
    return x


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.parametrize("stored", [False, True])
def test_what_is_no_finite_number_is_named_and_not_stored(message, stored, tmp_path):
    with pytest.raises(ActivationsError) as caught:
        collected(REFUSED[message], out=tmp_path / "a.zarr" if stored else None)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "a.zarr/0").exists()


def test_samples_without_ids_are_named_by_number_and_tokens_by_theirs(tmp_path):
    model, data = nn.Sequential(nn.Identity()), torch.zeros(20, 3, 2)
    data[17, 1, 0] = torch.nan
    with pytest.raises(ActivationsError, match="gives NaN in 1 value on 1 sample of 4: '17'"):
        collect(model, data, layers=["0"], batch_size=8, axes="BTC")
    with pytest.raises(ActivationsError, match="gives NaN in 1 value on 1 sample of 12: '17#1'"):
        collect(model, data, layers=["0"], batch_size=8, axes="BTC", tokens=True)
    with (
        LayerWriter(tmp_path / "a.zarr", ["x"], {}) as writer,
        pytest.raises(ActivationsError, match="activations of layer 'x' must be real numbers, not complex64"),
    ):
        writer.add({"x": np.zeros((2, 3), np.complex64)}, 2)


POOLED = {
    "numpy": lambda y: y.numpy().mean(1),
    "float64": lambda y: y.double().numpy().mean(1),
    "gradients": lambda y: y.mean(1) * nn.Parameter(torch.ones(2)),
    "sparse": lambda y: y.mean(1).to_sparse(),
}


@pytest.mark.parametrize("kind", POOLED)
def test_a_pool_may_return_an_array_or_any_tensor(kind):
    model = nn.Sequential(nn.Unflatten(1, (2, 2)))
    found = collect(model, DATA, layers=["0"], pool=POOLED[kind])["0"].matrix
    assert np.allclose(found, DATA.reshape(6, 2, 2).mean(1), atol=1e-6)


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (lambda y: y.mean(1).tolist(), "pool returned list for layer '0': it must return a tensor or array (B, C)"),
        (lambda y: None, "pool returned NoneType for layer '0'"),
        (lambda y: y.numpy(), "pool turned (6, 2, 2) into (6, 2, 2) for layer '0': it must return (B, C)"),
        (lambda y: y.mean((1, 2)), "pool turned (6, 2, 2) into (6,) for layer '0'"),
        (lambda y: torch.fft.fft(y.mean(1)), "pool returned complex numbers for layer '0'"),
        (lambda y: np.full((6, 2), "x"), "pool of layer '0' failed on samples 'a', 'b', 'c', 'd', 'e', 'f' (TypeError"),
        (lambda y: 1 / 0, "pool of layer '0' failed on samples 'a', 'b', 'c', 'd', 'e', 'f' (ZeroDivisionError: div"),
    ],
)
def test_what_a_pool_must_not_return(pool, message):
    model = nn.Sequential(nn.Unflatten(1, (2, 2)))
    with pytest.raises(ActivationsError) as caught:
        collect(model, DATA, layers=["0"], pool=pool, sample_ids=IDS)
    assert str(caught.value).startswith(message)
