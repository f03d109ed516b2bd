import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from neuronym import ActivationsError, InputError, OptionError
from neuronym.network.collecting import collect
from neuronym.network.listing import layers

DATA = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
IDS = [f"s{i}" for i in range(10)]


class Raises(nn.Module):
    """Raises an error on a batch with large values."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        if x.abs().max() > 50:
            raise self.error
        return x


class Boom(Exception):
    """An error of the user's own."""


def net(error):
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Identity(), Raises(error)))


def large(place):
    data = DATA.clone()
    data[place] = 1e3
    return data


ERRORS = {
    "RuntimeError: two": RuntimeError("two\nlines"),
    "KeyError: 'mask'": KeyError("mask"),
    "AttributeError: no x": AttributeError("no x"),
    "NotImplementedError": NotImplementedError(),
    "StopIteration": StopIteration(),
    "OSError: gone": OSError("gone"),
    "Boom: what": Boom("what"),
}


@pytest.mark.parametrize("message", ERRORS)
def test_any_error_of_a_model_names_the_layer_and_the_samples(message):
    model = net(ERRORS[message])
    with pytest.raises(OptionError) as caught:
        collect(model, large(4), layers=["0"], sample_ids=IDS, batch_size=3)
    assert str(caught.value) == f"the model failed on samples 's3', 's4', 's5' in layer '1.1' ({message})"
    assert caught.value.__cause__ is ERRORS[message]
    with pytest.raises(OptionError) as caught:
        collect(model, large(9), layers=["0"], batch_size=3, forward=lambda m, batch: m(batch))
    assert str(caught.value) == f"forward failed on sample '9' in layer '1.1' ({message})"
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, SystemExit])
def test_interruptions_pass_through(error):
    with pytest.raises(error):
        collect(net(error()), large(0), layers=["0"])
    with pytest.raises(error):
        collect(nn.Identity(), DATA, layers=[""], pool=lambda x: raised(error()))
    with pytest.raises(error):
        collect(nn.Identity(), Given(lambda place: raised(error())), layers=[""])


def raised(error):
    raise error


class Given(Dataset):
    """A data set whose samples a function gives."""

    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 10

    def __getitem__(self, place):
        return self.item(place)


def broken(place):
    if place == 5:
        raise ValueError("no such slide")
    return DATA[place]


def uneven(place):
    return torch.zeros(4 + (place == 5))


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_of_data_name_the_samples(workers):
    options = {"layers": ["0"], "sample_ids": IDS}
    model = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(ActivationsError) as caught:
        collect(model, Given(broken), workers=workers, **options)
    assert str(caught.value) == "data failed on sample 's5' (ValueError: no such slide)"
    assert workers or isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ActivationsError, match=r"making a batch failed on samples 's3', 's4', 's5' \(RuntimeE"):
        collect(model, Given(uneven), workers=workers, batch_size=3, **options)
    with pytest.raises(ActivationsError) as caught:
        collect(model, DataLoader(Given(broken), 3, num_workers=workers), **options)
    assert str(caught.value) == "batch 1 of data failed on samples 's3', 's4', 's5' (ValueError: no such slide)"


def no_batch(items):
    raise KeyError("pixel_values")


def test_errors_of_collation_and_of_iterables_name_the_batch():
    model = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(ActivationsError, match=r"batch 0 of data failed on samples '0', '1', '2' \(KeyError: 'pix"):
        collect(model, DataLoader(Given(broken), 3, collate_fn=no_batch), layers=["0"])

    def stream():
        yield DATA[:3]
        raise OSError("disk gone")

    with pytest.raises(ActivationsError, match=r"batch 1 of data failed on sample '3' \(OSError: disk gone\)"):
        collect(model, stream(), layers=["0"])
    with pytest.raises(OptionError, match="data is int: give a tensor, an array"):
        collect(model, 5, layers=["0"])
    with pytest.raises(ActivationsError, match=r"data failed on samples '0', '1' \(TypeError: can't convert"):
        collect(model, np.full((2, 4), "x", object), layers=["0"])


def test_floats_are_cast_to_the_type_of_the_weights():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 3, 1), nn.ReLU())
    data = DATA[:, :, None, None]
    for dtype, close in {"float16": 1e-2, "bfloat16": 5e-2, "float32": 1e-6, "float64": 1e-6}.items():
        cast = model.to(getattr(torch, dtype))
        with torch.no_grad():
            expected = cast(data.to(getattr(torch, dtype))).float()[..., 0, 0]
        for given in (data, data.double().numpy(), data.numpy().astype(">f4")):
            assert np.allclose(collect(cast, given, layers=["1"])["1"].matrix, expected, atol=close)
        assert {p.dtype for p in model.parameters()} == {getattr(torch, dtype)}
        assert [one.shape for one in layers(cast, shape=(4, 1, 1))] == [(1, 3, 1, 1)] * 2


def test_other_types_are_said():
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(OptionError, match="are uint8 and the weights float32, so convert the samples to float32"):
        collect(model, np.zeros((5, 4), np.uint8), layers=["0"])
    mixed = nn.Sequential(nn.Linear(4, 3).half(), nn.LayerNorm(3))
    with pytest.raises(OptionError, match=r"weights float16 and float32, so convert the model to one type, such as"):
        collect(mixed, DATA, layers=["0"])
    with pytest.raises(ActivationsError, match=r"samples 'a', 'b' hold values beyond torch.float16"):
        collect(model.half(), np.full((2, 4), 1e5), layers=["0"], sample_ids=["a", "b"])
    with pytest.raises(OptionError, match="the model is on the meta device, which holds no values"):
        collect(nn.Linear(4, 3, device="meta"), DATA, layers=[""])
    assert [one.shape for one in layers(nn.Sequential(nn.Linear(4, 3, device="meta")), shape=(4,))] == [(1, 3)]


def test_layers_of_a_model_that_fails_says_where():
    with pytest.raises(InputError, match=r"does not take \(1, 4\): the model failed on these samples in layer '0' \("):
        layers(nn.Sequential(Always()), shape=(4,))


class Always(nn.Module):
    def forward(self, x):
        raise Boom("what")
