import copy

import numpy as np
import pytest
import torch

from neuronym import OptionError, UnknownNameError
from neuronym.analysis.circuits.graph import ObservedModel, ablate, contributions
from small_net import DATA, LAYERS, SHOWN, N, Net, Texts, values_of


@pytest.fixture
def observed():
    return ObservedModel.of(Net(), DATA, LAYERS, concepts=SHOWN)


def test_ablation_sets_channels_to_their_mean_and_runs_the_model(observed):
    found = ablate(
        observed, target=("fc", 2), neurons={"act": [1, 4], "relu": [0]}, where=[2, 3, 9], n_random=4, seed=1
    )
    model = copy.deepcopy(observed.model)
    with torch.no_grad():
        act = model.act(model.low(DATA))
        means = act.mean((0, 2, 3))
        changed = act.clone()
        changed[:, [1, 4]] = means[[1, 4]].view(1, 2, 1, 1)
        relu = model.relu(model.high(changed))
        relu[:, 0] = model.relu(model.high(act))[:, 0].mean()
        logits = model.fc(model.pool(relu).flatten(1))[[2, 3, 9]]
        before = model.fc(model.pool(model.relu(model.high(act))).flatten(1))[[2, 3, 9]]
    assert found.before == pytest.approx(before[:, 2].numpy(), rel=1e-5)
    assert found.after == pytest.approx(logits[:, 2].numpy(), rel=1e-4)
    assert found.change == pytest.approx(float((logits - before)[:, 2].mean()), rel=1e-3)
    assert found.accuracy_before == float((before.argmax(1) == 2).float().mean())
    assert found.random.shape == (4, 3)
    assert found.p == (1 + (np.abs(found.changes_random) >= abs(found.change)).sum()) / 5
    again = ablate(
        observed, target=("fc", 2), neurons={"act": [1, 4], "relu": [0]}, where=[2, 3, 9], n_random=4, seed=1
    )
    assert again.random.tolist() == found.random.tolist()
    assert len({tuple(row) for row in found.random.tolist()}) > 1
    assert not any(module._forward_hooks for module in observed.model.modules())
    assert found.to_dict()["neurons"] == {"act": [1, 4], "relu": [0]}
    assert "random neurons (4 sets)" in str(found)


def test_a_neuron_that_nothing_hangs_on_is_shown_not_to_be_causal():
    model = Net()
    with torch.no_grad():
        model.fc.weight[:, 3] = 0
    observed = ObservedModel.of(model, DATA, LAYERS)
    found = ablate(observed, target=("fc", 0), neurons={"relu": [3]}, where=range(N), n_random=19)
    assert found.change == 0
    assert found.p == 1


def test_accuracy_is_told_by_the_classes_of_the_samples(observed):
    logits = values_of(observed, "fc")
    truth = logits.argmax(axis=1).tolist()
    found = ablate(observed, target=("fc", 0), neurons={"relu": [0]}, where=range(N), classes=truth, n_random=0)
    assert found.accuracy_before == 1
    assert np.isnan(found.p)
    with pytest.raises(OptionError, match="classes has 1 entries for 40 samples"):
        ablate(observed, target=("fc", 0), neurons={"relu": [0]}, classes=[1])
    with pytest.raises(UnknownNameError, match="no class '9'"):
        ablate(observed, target=("fc", 0), neurons={"relu": [0]}, classes=[9] * N)


@pytest.mark.parametrize(
    ("neurons", "error", "match"),
    [
        ({}, OptionError, "neurons is empty"),
        ({"relu": []}, OptionError, "neurons is empty"),
        ({"rely": [0]}, UnknownNameError, "no layer 'rely'"),
        ({"relu": [99]}, UnknownNameError, "no neuron '99'"),
        ({"relu": range(9)}, OptionError, "too few to draw 9 others"),
        ({"fc": [0]}, OptionError, "is the target's own layer"),
    ],
)
def test_what_cannot_be_ablated_is_refused(observed, neurons, error, match):
    with pytest.raises(error, match=match):
        ablate(observed, target=("fc", 0), neurons=neurons)


def test_sequences_of_a_transformer_have_contributions_and_can_be_ablated():
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(vocab_size=60, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    model = BertModel(config).eval()
    observed = ObservedModel.of(model, Texts(20), ["encoder.layer.0", "encoder.layer.1", "pooler.dense"])
    found = contributions(observed, target=("pooler.dense", 3), layer="encoder.layer.0", where=range(4))
    assert found.values.shape == (4, 12)
    assert np.abs(found.values).max() > 0
    gone = ablate(observed, target=("pooler.dense", 3), neurons={"encoder.layer.0": [1, 2]}, where=range(4), n_random=3)
    assert gone.change != 0
    with pytest.raises(OptionError, match="needs inputs that can be scaled"):
        contributions(observed, target=("pooler.dense", 3), layer="encoder.layer.0", where=[0], method="integrated")


def test_random_neurons_are_random_columns_and_drawn_by_seed(observed):
    from neuronym.analysis.circuits.ablation import _random_columns

    own = {"act": np.array([0, 3, 5, 6, 7, 11])}
    for seed in range(30):
        drawn = _random_columns(observed, own, np.random.default_rng(seed))["act"]
        assert len(set(drawn.tolist())) == 6
        assert not set(drawn.tolist()) & set(own["act"].tolist())
    runs = [
        ablate(observed, target=("fc", 2), neurons={"act": [0]}, where=[0], n_random=5, seed=seed).random.tolist()
        for seed in (0, 0, 1)
    ]
    assert runs[0] == runs[1] != runs[2]
    for wrong in ({"n_random": -1}, {"seed": -1}):
        with pytest.raises(OptionError, match="must be whole numbers of at least 0"):
            ablate(observed, target=("fc", 2), neurons={"act": [0]}, **wrong)
    with pytest.raises(OptionError, match="must be a mapping of layers"):
        ablate(observed, target=("fc", 2), neurons=[1, 2])
