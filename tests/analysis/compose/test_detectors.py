import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from neuronym import (
    Activations,
    ActivationsError,
    AlignmentError,
    Concepts,
    FormulaError,
    OptionError,
    UnknownNameError,
    label,
    save_concepts,
)
from neuronym.analysis.compose.detectors import compare, compose
from neuronym.analysis.compose.fuzzy import NORMS
from neuronym.data.groups import group
from neuronym.network.collecting import collect
from neuronym.stats.split import hold_out
from reference import auc_by_pairs

NAMES = ["boat", "house", "sea", "dog"]
N = 1200


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    concepts = rng.random((N, 4)) < 0.3
    values = rng.normal(size=(N, 8)).astype(np.float32)
    for j in range(4):
        values[:, j] += 1.5 * concepts[:, j]
    values[:, 5] -= 4 * concepts[:, 0]
    return values, concepts


def test_the_best_neuron_of_each_concept_is_chosen_on_the_part_that_is_searched(data):
    values, concepts = data
    found = compose("boat & ~house", values, concepts, names=NAMES)
    held = hold_out(group(Concepts.from_array(concepts)).row_groups, None, 0.5, 0)
    for concept, c in (("boat", 0), ("house", 1)):
        aucs = [float(auc_by_pairs(values[~held, j], concepts[~held, c])) for j in range(8)]
        part = found.parts[concept]
        assert part.neuron == int(np.argmax(aucs)) == c
        assert part.auc == max(aucs)
        assert part.auc_heldout == float(auc_by_pairs(values[held, c], concepts[held, c]))
        assert not part.low
    both = compose("boat & ~house", values, concepts, names=NAMES, direction="both")
    assert (both.parts["boat"].neuron, both.parts["boat"].low) == (5, True)
    assert both.parts["boat"].auc > 0.99


def test_scores_are_degrees_joined_as_the_formula_says(data):
    values, concepts = data
    found = compose("boat & ~(house | sea)", values, concepts, names=NAMES, norm="godel")
    held = hold_out(group(Concepts.from_array(concepts)).row_groups, None, 0.5, 0)
    degree = [
        np.array([((values[~held, j] < x).sum() + (values[~held, j] <= x).sum()) for x in values[:, j]])
        / (2 * (~held).sum())
        for j in range(3)
    ]
    expected = np.minimum(degree[0], 1 - np.maximum(degree[1], degree[2]))
    assert found.scores(values) == pytest.approx(expected)
    inside = concepts[:, 0] & ~(concepts[:, 1] | concepts[:, 2])
    assert found.auc(values, concepts, names=NAMES) == pytest.approx(float(auc_by_pairs(expected, inside)))
    assert found.auc_heldout == pytest.approx(float(auc_by_pairs(expected[held], inside[held])))
    assert found.auc_searched == pytest.approx(float(auc_by_pairs(expected[~held], inside[~held])))
    assert found.auc_low < found.auc_heldout < found.auc_high
    text = str(found)
    assert "by godel: AUC" in text
    assert "  house: neuron 1 (AUC" in text
    assert "best single neuron: neuron" in text


def test_what_no_neuron_was_made_for_is_detected_better_by_two(data):
    table = compare("boat | house", *data, names=NAMES)
    assert list(table.columns) == ["detector", "mapping", "auc", "auc_heldout", "auc_low", "auc_high"]
    assert list(table["detector"]) == [
        "best single neuron",
        *["godel", "product", "lukasiewicz", "yager(2)", "hamacher"] * 2,
    ]
    single, product = table["auc_heldout"][0], table["auc_heldout"][2]
    assert product > single + 0.05
    found = compose("boat | house", *data, names=NAMES)
    assert (found.auc_searched, found.auc_heldout) == (table["auc"][2], product)
    assert found.single.auc_heldout == single


def test_labels_say_which_neurons_to_choose_among(data):
    values, concepts = data
    labels = label({"a": values}, concepts, names=NAMES, length=1, neurons=[1, 2, 6], holdout=0.5)
    found = compose("boat | house", {"a": values}, concepts, names=NAMES, labels=labels)
    assert found.parts["house"].neuron == 1
    assert found.parts["boat"].neuron in (1, 2, 6)  # none is labelled so: the best of those labelled
    assert found.parts["boat"].layer == "a"


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.BatchNorm2d(6), torch.nn.ReLU())
        self.head = torch.nn.Linear(6, 4)

    def forward(self, images):
        return self.head(self.body(images).mean((2, 3)))


@pytest.mark.parametrize("mapping", ["empirical", "logistic"])
@pytest.mark.parametrize("norm", ["godel", "product", "lukasiewicz", "yager(3)", "hamacher"])
def test_the_module_gives_what_the_arrays_give(norm, mapping):
    model = Net()
    images = torch.randn(200, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    layers = collect(model, images, layers=["body", "head"])
    rng = np.random.default_rng(0)
    shown = rng.random((200, 3)) < 0.4
    detector = compose("a & ~b | c", layers, shown, names=list("abc"), norm=norm, mapping=mapping, direction="both")
    module = detector.to_torch(model)
    model.train()
    assert module(images).numpy() == pytest.approx(detector.scores(layers), abs=1e-5)
    assert model.body[1].training
    assert not model.body[1]._forward_hooks
    fresh = torch.randn(20, 3, 8, 8)
    assert module(fresh).numpy() == pytest.approx(
        detector.scores(collect(model, fresh, layers=["body", "head"])), abs=1e-5
    )


def test_clusters_are_held_out_as_a_whole(data):
    values, concepts = data
    clusters = np.arange(N) // 4
    found = compose("boat", values, concepts, names=NAMES, clusters=clusters)
    plain = compose("boat", values, concepts, names=NAMES)
    assert found.auc_heldout != plain.auc_heldout
    tokens = Activations(values, clusters=clusters)
    assert compose("boat", tokens, concepts, names=NAMES).auc_heldout == found.auc_heldout
    assert compose("boat", tokens, concepts, names=NAMES, clusters=False).auc_heldout == plain.auc_heldout


@pytest.mark.parametrize(
    ("formula", "options", "error", "message"),
    [
        ("boat & ~hose", {}, UnknownNameError, "no concept 'hose'; near it: 'house'"),
        ("boat &", {}, FormulaError, "boat &"),
        ("boat", {"norm": "prod"}, UnknownNameError, "no t-norm 'prod'; near it: 'product'"),
        ("boat", {"mapping": "rank"}, OptionError, "mapping must be 'empirical' or 'logistic', not 'rank'"),
        ("boat", {"direction": "up"}, OptionError, "direction must be 'high', 'low' or 'both', not 'up'"),
        ("boat", {"holdout": 1.5}, OptionError, r"holdout must lie between 0 and 1, not 1\.5"),
        ("boat", {"seed": -1}, OptionError, "seed must be a whole number of at least 0"),
        ("boat", {"holdout": None}, OptionError, "holdout must lie between 0 and 1, not None"),
        ("boat", {"norm": "yager(.)"}, OptionError, "a t-norm is one of"),
        ("boat", {"norm": None}, UnknownNameError, "no t-norm 'None'"),
        ("boat", {"neurons": [99]}, UnknownNameError, "no neuron '99'"),
        ("boat & ~boat", {}, OptionError, "boat & ~boat is true for none or for all of the searched samples"),
    ],
)
def test_what_cannot_be_composed_is_refused(data, formula, options, error, message):
    with pytest.raises(error, match=message):
        compose(formula, *data, names=NAMES, **options)


def test_layers_and_samples_must_fit(data):
    values, concepts = data
    found = compose("boat", {"a": values}, concepts, names=NAMES)
    with pytest.raises(UnknownNameError, match="no layer 'a'"):
        found.scores({"b": values})
    with pytest.raises(AlignmentError, match="concepts has 1200 rows but layer 'a' of activations has 10"):
        found.auc({"a": values[:10]}, concepts, names=NAMES)
    with pytest.raises(OptionError, match="the detector does not know the layers of its neurons"):
        compose("boat", values, concepts, names=NAMES).to_torch(Net())
    with pytest.raises(AlignmentError, match="concepts has 1200 rows but layer 'b' of activations has 10"):
        compose("boat", {"a": values, "b": values[:10]}, concepts, names=NAMES)
    ids = [f"s{i}" for i in range(N)]
    turned = {"a": Activations(values, sample_ids=ids), "b": Activations(values, sample_ids=ids[::-1])}
    with pytest.raises(ActivationsError, match="layer 'b' has other samples than the first"):
        compose("boat", turned, Concepts.from_array(concepts, NAMES, sample_ids=ids))
    with pytest.raises(UnknownNameError, match="no option 'norm'"):
        compare("boat", values, concepts, names=NAMES, norm="godel")
    values[3, 2] = np.nan
    with pytest.raises(ActivationsError, match="activations contain NaN or infinity"):
        compose("boat", values, concepts, names=NAMES)


def test_samples_are_matched_by_id_wherever_the_detector_goes(data):
    values, concepts = data
    ids = [f"s{i}" for i in range(N)]
    sets = Concepts.from_array(concepts, NAMES, sample_ids=ids)
    named = Activations(values, sample_ids=ids)
    found = compose("boat | house", named, sets)
    order = np.random.default_rng(1).permutation(N)
    assert found.auc(named.take(order), sets) == pytest.approx(found.auc(named, sets))
    fewer = Activations(values[5:], sample_ids=ids[5:], skipped=ids[:5])
    assert 0.7 < found.auc(fewer, sets) < 1
    two = compose("boat | house", {"a": named, "b": named}, sets)
    assert {part.layer for part in two.parts.values()} == {"a"}
    with pytest.raises(ActivationsError, match="layer 'a' has other samples than the first"):
        two.scores({"b": named, "a": named.take(order)})
    with pytest.raises(OptionError, match="composed from activations without layers"):
        found.scores({"a": named})
    broken = values.copy()
    broken[7, 0] = np.nan
    with pytest.raises(ActivationsError, match="neuron 0 holds NaN or infinity"):
        found.scores(broken)


def test_concepts_that_say_nothing_are_named(data):
    values, concepts = data
    cluster = np.arange(N) // 120
    shown = np.concatenate([concepts, np.zeros((N, 1), bool), np.ones((N, 1), bool), (cluster == 0)[:, None]], axis=1)
    names = [*NAMES, "none", "all", "rare"]
    for concept in ("none", "all"):
        with pytest.raises(OptionError, match=f"concept '{concept}' is true for no or for every sample: no neuron"):
            compose(f"boat | {concept}", values, shown, names=names)
    refused, named = 0, set()
    for seed in range(9):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                compose("boat | rare", values, shown, names=names, clusters=cluster, seed=seed)
            except OptionError as error:
                named.add(str(error))
                refused += 1
            named |= {str(one.message) for one in caught if "effective clusters" not in str(one.message)}
            assert any("come in" in str(one.message) for one in caught) or refused
    assert 0 < refused < 9
    assert named == {
        "concept 'rare' is true for no or for every sample that is not held out: change seed or holdout",
        "concept 'rare' is true for no or for every held-out sample, so its neuron has no held-out AUC",
    }


def test_labels_found_on_the_samples_held_out_raise_a_warning(data):
    values, concepts = data
    options = {"names": NAMES, "length": 1}
    leaks = r"the labels of 1 chosen neuron \(\d\) were not found on the samples that are not held out here"
    for elsewhere in ({}, {"holdout": 0.3}, {"holdout": 0.5, "seed": 1}):
        with pytest.warns(UserWarning, match=leaks):
            compose("house", values, concepts, names=NAMES, labels=label(values, concepts, **options, **elsewhere))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels = label(values, concepts, **options, holdout=0.5, seed=3)
        compose("house", values, concepts, names=NAMES, labels=labels, seed=3)


def test_labels_give_the_direction_too(data):
    values, concepts = data
    labels = label(values, concepts, names=NAMES, length=1, direction="low", neurons=[5, 6], holdout=0.5)
    found = compose("boat", values, concepts, names=NAMES, labels=labels)
    assert (found.parts["boat"].neuron, found.parts["boat"].low) == (5, True)
    assert found.auc_heldout > 0.95
    with pytest.raises(OptionError, match=r"the labels belong to other neurons \(layers None\) than the activations"):
        compose("boat", {"a": values}, concepts, names=NAMES, labels=labels)


def test_the_module_finds_its_channels():
    model = Net()
    images = torch.randn(200, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    matrix = collect(model, images, layers=["body"])["body"].matrix
    shown = np.random.default_rng(0).random((200, 2)) < 0.4
    part = {"body": Activations(matrix[:, 3:], names=[3, 4, 5])}
    detector = compose("a | b", part, shown, names=["a", "b"], direction="both")
    assert detector.to_torch(model)(images).numpy() == pytest.approx(detector.scores(part), abs=1e-5)
    named = compose("a", {"body": Activations(matrix, names=list("uvwxyz"))}, shown, names=["a", "b"])
    assert named.to_torch(model)(images).shape == (200,)
    few = compose("a", {"body": Activations(matrix[:, 3:], names=list("xyz"))}, shown, names=["a", "b"])
    with pytest.raises(ActivationsError, match=r"layer 'body' outputs 6 neurons but neuron '.' was one of 3"):
        few.to_torch(model)(images)
    with pytest.raises(OptionError, match="pool must be one of mean, max"):
        detector.to_torch(model, "sum")
    with pytest.raises(UnknownNameError, match="no layer 'body'"):
        detector.to_torch(torch.nn.Linear(2, 2))


def test_the_command_compares_and_composes(tmp_path, command, data):
    values, concepts = data
    np.save(tmp_path / "a.npy", values)
    save_concepts(Concepts.from_array(concepts, NAMES), tmp_path / "c.parquet")
    given = ["compose", "boat | house", str(tmp_path / "a.npy"), str(tmp_path / "c.parquet")]
    code, out, _ = command(*given)
    assert code == 0
    assert str(compose("boat | house", values, concepts, names=NAMES)) in out
    assert "lukasiewicz" in out
    code, out, _ = command(*given, "--norm", "yager(3)", "--mapping", "logistic", "--json")
    expected = compare("boat | house", values, concepts, names=NAMES, norms=["yager(3)", *NORMS])
    pd.testing.assert_frame_equal(pd.DataFrame(json.loads(out)["detectors"]), expected)
    chosen = compose("boat | house", values, concepts, names=NAMES, norm="yager(3)", mapping="logistic")
    assert str(chosen) in command(*given, "--norm", "yager(3)", "--mapping", "logistic")[1]
    code, _, err = command("compose", "bot", *given[2:])
    assert (code, err.count("\n")) == (2, 1)
    assert "no concept 'bot'" in err


def test_a_detector_may_be_compiled_and_be_of_a_compiled_model():
    model = Net()
    images = torch.randn(60, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    layers = collect(model, images, layers=["body"])
    shown = np.random.default_rng(0).random((60, 2)) < 0.4
    detector = compose("a | b", layers, shown, names=["a", "b"], direction="both")
    expected = detector.to_torch(model)(images)
    for module in (
        torch.compile(detector.to_torch(model), backend="eager"),
        detector.to_torch(torch.compile(model, backend="eager")),
    ):
        assert torch.allclose(module(images), expected)
        assert torch.allclose(module(images), expected)
