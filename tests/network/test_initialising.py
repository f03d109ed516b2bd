import copy

import numpy as np
import pytest
import torch
from torch import nn

from neuronym import FileError, OptionError, collect
from neuronym.network.initialising import reinitialised

transformers = pytest.importorskip("transformers")


def fresh(model, seed=0, data=None, batch=8):
    batches = [] if data is None else [(part, len(part)) for part in data.split(batch)]
    return reinitialised(model, seed, batches, lambda module, part: module(part))


def trained(model):
    """Move all weights away from where initialisers put them."""
    with torch.no_grad():
        for k, value in enumerate(model.parameters()):
            value.copy_(7 + k + torch.linspace(0, 1, value.numel()).view_as(value))
    return model


def test_weights_are_drawn_by_the_modules_own_initialisers_and_the_model_is_left_as_it_was():
    model = trained(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5), nn.LayerNorm(5)))
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    one, same, other = fresh(model), fresh(model), fresh(model, seed=1)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one[0].weight, other[0].weight)
    bound = 1 / (8 * 36) ** 0.5  # of nn.Linear.reset_parameters
    assert one[3].weight.abs().max() <= bound
    assert float(one[3].weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)
    assert torch.equal(one[4].weight, torch.ones(5))
    assert not one.training


def test_what_has_no_initialiser_is_permuted_and_named():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.cls = nn.Parameter(torch.arange(12.0).view(1, 3, 4))
            self.scale = nn.Parameter(torch.full((4,), 0.1))
            self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

    model = Tokens()
    with pytest.warns(UserWarning, match=r"of 5 parameters have no initialiser, .*permuted: .*'cls'"):
        new = fresh(model)
    assert not torch.equal(new.cls, model.cls)
    assert torch.equal(new.cls.flatten().sort().values, model.cls.flatten())
    assert torch.equal(new.scale, model.scale)
    old, drawn = (one.linear.parametrizations.weight.original1 for one in (model, new))
    assert not torch.equal(old, drawn)
    assert torch.equal(old.flatten().sort().values, drawn.flatten().sort().values)


def test_statistics_of_batch_normalisation_are_those_of_the_data():
    model = nn.Sequential(nn.Conv1d(2, 4, 1), nn.BatchNorm1d(4, momentum=0.3), nn.Flatten(), nn.Linear(20, 3))
    data = 5 + 2 * torch.randn(64, 2, 5, generator=torch.Generator().manual_seed(0))
    new = fresh(model, data=data, batch=64)
    with torch.no_grad():
        inner = new[0](data)
    assert torch.allclose(new[1].running_mean, inner.mean((0, 2)), atol=1e-4)
    assert torch.allclose(new[1].running_var, inner.var((0, 2)), rtol=1e-3)
    assert new[1].momentum == 0.3
    assert not any(module.training for module in new.modules())
    assert torch.equal(model[1].running_mean, torch.zeros(4))
    with pytest.raises(OptionError, match="at least 2 samples"):
        fresh(model, data=data, batch=1)


@pytest.mark.parametrize("kind", ["Bert", "ViT", "GPT2"])
def test_models_of_transformers_use_their_own_initialisers_though_they_were_loaded(kind, tmp_path):
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 36}
    if kind == "GPT2":
        sizes = {"n_embd": 24, "n_layer": 1, "n_head": 2, "bos_token_id": 1, "eos_token_id": 1}
    more = {"image_size": 32, "patch_size": 8} if kind == "ViT" else {"vocab_size": 50}
    made = trained(getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**sizes, **more)))
    made.save_pretrained(tmp_path)
    model = type(made).from_pretrained(tmp_path)
    new = fresh(model)
    for (name, old), drawn in zip(model.named_parameters(), new.parameters(), strict=True):
        assert not torch.equal(old, drawn), name
        assert drawn.abs().max() <= 1, name  # normal with SD 0.02, ones and zeros


def test_a_model_of_transformers_inside_of_another_one_uses_its_own():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 36}
            self.body = transformers.BertModel(transformers.BertConfig(**sizes, vocab_size=50))
            self.head = nn.Linear(24, 3)

    new = fresh(trained(Whole()))
    assert float(new.body.encoder.layer[0].attention.self.query.weight.detach().std()) == pytest.approx(0.02, rel=0.2)
    assert new.head.weight.abs().max() <= 24**-0.5


def test_attention_recurrence_and_tied_weights_are_drawn():
    class Many(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2)
            self.lstm = nn.LSTM(8, 4)
            self.embedding = nn.Embedding(20, 8)
            self.out = nn.Linear(8, 20, bias=False)
            self.out.weight = self.embedding.weight

    new = fresh(trained(Many()))
    assert all(value.abs().max() < 5 for value in new.parameters())
    assert new.out.weight is new.embedding.weight


def test_an_initialiser_that_fails_is_named():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def reset_parameters(self):
            raise ValueError("no seed")

    with pytest.raises(OptionError, match=r"the weights of '0' cannot be drawn anew \(ValueError: no seed\)"):
        fresh(nn.Sequential(Broken()))


def test_an_untrained_network_is_collected_and_recorded(tmp_path):
    model = trained(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))
    data = torch.randn(40, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    state = copy.deepcopy(model.state_dict())
    options = {"layers": ["2"], "out": tmp_path / "a.zarr", "reinitialise": 3}
    own = collect(model, data, layers=["2"])["2"].matrix
    one = np.asarray(collect(model, data, **options)["2"].matrix)
    assert not np.allclose(one, own)
    assert 0.1 < one.std() < 10  # normalised by statistics of its own
    assert np.array_equal(np.asarray(collect(model, data, **options)["2"].matrix), one)  # opened again
    assert np.array_equal(collect(model, data, layers=["2"], reinitialise=3)["2"].matrix, one)
    assert not np.array_equal(collect(model, data, layers=["2"], reinitialise=4)["2"].matrix, one)
    with pytest.raises(FileError, match=r"made with other settings .*reinitialised: '3' then, '4' now"):
        collect(model, data, **{**options, "reinitialise": 4})
    with pytest.raises(FileError, match="made with other settings"):
        collect(model, data, layers=["2"], out=tmp_path / "a.zarr")
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_what_cannot_be_reinitialised_is_refused():
    model = nn.Sequential(nn.Linear(3, 2))
    for seed in (-1, 1.5, True, "0"):
        with pytest.raises(OptionError, match="reinitialise must be a seed"):
            collect(model, torch.zeros(4, 3), layers=["0"], reinitialise=seed)
    with pytest.raises(OptionError, match="data can be read once only"):
        collect(model, (torch.zeros(2, 3) for _ in range(2)), layers=["0"], reinitialise=0)
