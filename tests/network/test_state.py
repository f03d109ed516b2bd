import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from neuronym import InputError, OptionError
from neuronym.analysis.circuits.graph import ObservedModel, ablate, contributions
from neuronym.network.collecting import collect
from neuronym.network.hooks import eval_mode
from neuronym.network.listing import layers
from small_net import DATA, Net


def globals_now():
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": [str(part) for part in np.random.get_state()],  # noqa: NPY002
        "python": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.get_deterministic_debug_mode(),
        "cudnn": [getattr(torch.backends.cudnn, flag) for flag in ("enabled", "benchmark", "deterministic")],
    }


def state_of(model):
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()],
        "parameters": [(id(p), p.device, p.dtype, p.requires_grad, id(p.grad)) for p in model.parameters()],
        "buffers": [(id(b), b.device, b.dtype) for b in model.buffers()],
        "values": [value.tolist() for value in model.state_dict().values()],
        "gradients": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
    }


class Draws(Dataset):
    """Images that are augmented at random, by each of the libraries."""

    def __len__(self):
        return 12

    def __getitem__(self, place):
        return DATA[place] + torch.rand(()) + float(np.random.rand()) + random.random()  # noqa: NPY002


class Meddles(nn.Module):
    """Changes all that it can, and counts in buffers."""

    def __init__(self, fails=False):
        super().__init__()
        self.fails, self.norm = fails, nn.BatchNorm2d(3)
        self.net = Net(inplace=True)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("steps", torch.zeros(2))

    def forward(self, x):
        self.norm.train()
        x = self.norm(x)
        self.calls += 1
        self.steps = self.steps + 1
        self.net.requires_grad_(False)
        torch.rand(3)
        random.random()
        np.random.rand()  # noqa: NPY002
        torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
        if self.fails:
            raise KeyError("fails")
        return self.net(x)


def run_collect(model, data):
    collect(model, data, layers=["net.fc"], forward=lambda m, x: m(x))
    collect(model, data, layers=["net.fc"])


def run_layers(model, data):
    layers(model, shape=(3, 9, 9))


def run_contributions(model, data):
    observed = ObservedModel.of(model, data, ["net.high", "net.fc"])
    contributions(observed, target=("net.fc", 1), layer="net.high", where=[1, 2])


def run_ablate(model, data):
    observed = ObservedModel.of(model, data, ["net.high", "net.fc"])
    ablate(observed, target=("net.fc", 1), neurons={"net.high": [1]}, n_random=2)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("run", [run_collect, run_layers, run_contributions, run_ablate])
@pytest.mark.parametrize("kind", ["tensor", "dataset"])
def test_a_model_and_what_is_global_are_left_as_they_were(run, kind, fails):
    torch.manual_seed(3)
    model = Meddles()
    model.train()
    model.net.act.eval()
    model.net.low.weight.requires_grad_(False)
    model.norm(DATA[:4]).sum().backward()
    model.fails = fails
    data = DATA[:12].clone() if kind == "tensor" else Draws()
    before, of_model = globals_now(), copy.deepcopy(state_of(model))
    if fails:
        with pytest.raises(InputError, match="'fails'"):
            run(model, data)
    else:
        run(model, data)
    assert globals_now() == before
    assert state_of(model) == of_model
    assert kind == "dataset" or torch.equal(data, DATA[:12])


def test_random_states_are_left_by_every_kind_of_data():
    model = nn.Sequential(nn.Flatten(), nn.Linear(243, 2))
    ways = [DATA, DATA.numpy(), TensorDataset(DATA), DataLoader(TensorDataset(DATA), 4), [DATA[:4], DATA[4:]], Draws()]
    for data in ways:
        before = globals_now()
        collect(model, data, layers=["1"])
        assert globals_now() == before
    loader = DataLoader(Draws(), 4, num_workers=1)
    before = globals_now()
    collect(model, loader, layers=["1"])
    collect(model, Draws(), layers=["1"], workers=1)
    assert globals_now() == before


def test_settings_that_data_change_are_put_back():
    class Sets(Draws):
        def __getitem__(self, place):
            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(False)
            torch.use_deterministic_algorithms(True)
            np.random.seed(0)  # noqa: NPY002
            torch.manual_seed(0)
            return DATA[place]

    before = globals_now()
    collect(nn.Sequential(nn.ReLU()), Sets(), layers=["0"], axes="BCHW")
    assert globals_now() == before


def test_what_is_given_is_not_changed_by_a_model_that_works_in_place():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(243, 2))
    pairs = [(DATA[:5].clone(), torch.zeros(5)), (DATA[5:].clone(), torch.zeros(35))]
    given = {"array": DATA.numpy().copy(), "tensor": DATA.clone()}
    for data in [*given.values(), pairs]:
        collect(model, data, layers=["1"])
        collect(model, data, layers=["1"], forward=lambda m, x: m(x[0] if isinstance(x, list) else x))
    assert np.array_equal(given["array"], DATA)
    assert torch.equal(given["tensor"], DATA)
    assert torch.equal(torch.cat([pair[0] for pair in pairs]), DATA)


class Merges(nn.Linear):
    """Merges weights in eval mode, as adapters of low rank do."""

    def train(self, mode=True):
        with torch.no_grad():
            self.weight.mul_(2 if not mode else 0.5)
        return super().train(mode)


def test_an_own_eval_leaves_no_traces():
    model = nn.Sequential(nn.Flatten(), Merges(243, 2))
    before = copy.deepcopy(state_of(model))
    collect(model, DATA, layers=["1"])
    assert state_of(model) == before


def test_a_pending_backward_pass_still_works_and_caches_are_kept():
    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("cache", torch.zeros(1), persistent=False)
            self.size = 1

        def forward(self, x):
            if len(x) > self.size:
                self.cache, self.size = torch.zeros(len(x)), len(x)
            return x + self.cache[: len(x), None]

    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(243), Cached()).eval()
    loss = model[1](DATA.flatten(1)).sum()
    collect(model, DATA, layers=["1"], batch_size=20)
    loss.backward()
    assert model[1].weight.grad is not None
    assert model[2].size == len(model[2].cache) == 20


def test_parts_of_a_model_return_to_their_own_devices():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, device="meta"))
    model[0].register_buffer("cache", torch.ones(2), persistent=False)
    with eval_mode(model, (torch.device("cpu"), torch.device("meta"))):
        model[0].cache = torch.zeros(3)
    assert [p.device.type for p in model.parameters()] == ["cpu", "cpu", "meta", "meta"]
    assert torch.isfinite(model[0].weight).all()
    assert model[0].cache.device.type == "cpu"
    with pytest.raises(OptionError, match="there is no device 'meta' here: it holds no values"):
        collect(nn.Linear(4, 3), torch.zeros(2, 4), layers=[""], device="meta")
