import inspect
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import mannwhitneyu, norm

from neuronym import (
    Activations,
    ActivationsError,
    AlignmentError,
    Concepts,
    ConceptsError,
    OptionError,
    UnknownNameError,
    label,
)
from neuronym.labeling import labeling

N = 400


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    concepts = rng.random((N, 9)) < 0.25
    activations = rng.normal(size=(N, 130)).astype(np.float32)
    activations[:, 7] += 3 * (concepts[:, 2] | concepts[:, 5])
    return activations, concepts


def test_arguments_are_those_of_the_contract():
    expected = ["activations", "concepts", "names", "neurons", "length", "beam", "search", "budget"]
    expected += [
        "min_fraction",
        "max_fraction",
        "min_count",
        "min_change",
        "prefixes",
        "direction",
        "negation",
        "operators",
        "n_jobs",
        "align",
        "progress",
    ]
    parameters = inspect.signature(label).parameters
    assert list(parameters)[: len(expected)] == expected
    assert {p.kind for p in list(parameters.values())[2:]} == {inspect.Parameter.KEYWORD_ONLY}


def test_a_planted_formula_is_found(data):
    found = label(*data, names=[f"n{c}" for c in range(9)])[7]
    assert str(found.formula).startswith("n2 | n5")
    assert found.auc > 0.97
    assert found.layer is None
    assert found.length == found.formula.length


def test_p_is_that_of_scipy(data):
    activations, concepts = data
    sets = Concepts.from_array(concepts)
    for source in (activations, np.round(activations)):
        for neuron, found in enumerate(label(source, sets, neurons=slice(20))):
            inside = found.formula.evaluate(sets)
            column = source[:, neuron].astype(np.float64)
            expected = mannwhitneyu(column[inside], column[~inside], method="asymptotic").pvalue
            assert found.p == pytest.approx(expected, rel=1e-11)
            assert found.log10_p == pytest.approx(np.log10(expected), rel=1e-11)


def test_log10_p_stays_where_p_underflows():
    n = 6000
    inside = np.arange(n) < n // 2
    found = label(-np.arange(float(n)), inside[:, None], length=1)[0]
    u = (n // 2) ** 2
    z = (u / 2 - 0.5) / np.sqrt(u * (n + 1) / 12)
    assert found.p == 0
    assert found.log10_p == pytest.approx((np.log(2) + norm.logsf(z)) / np.log(10), rel=1e-12)
    assert found.log10_p < -900


@pytest.mark.parametrize("n_jobs", [1, 2, 3, -1])
def test_labels_do_not_depend_on_the_number_of_workers(data, n_jobs):
    assert label(*data, n_jobs=n_jobs) == label(*data)


def test_labels_do_not_depend_on_the_kind_of_workers(data, tmp_path):
    expected = label(*data, neurons=slice(12))
    np.save(tmp_path / "a.npy", data[0])
    with joblib.parallel_config(backend="loky", n_jobs=2):
        assert label(tmp_path / "a.npy", data[1], neurons=slice(12)) == expected


def test_every_kind_of_activations_gives_the_same_labels(data, tmp_path):
    activations, concepts = data
    expected = label(activations, concepts)
    np.save(tmp_path / "a.npy", activations)
    kinds = [
        torch.from_numpy(activations),
        np.asfortranarray(activations),
        np.load(tmp_path / "a.npy", mmap_mode="r"),
        pd.DataFrame(activations),
        tmp_path / "a.npy",
        str(tmp_path / "a.npy"),
        activations.astype(np.float64),
        activations.astype(">f4"),
        Activations(activations),
    ]
    for kind in kinds:
        assert label(kind, concepts) == expected


def test_layers_are_labelled_one_after_the_other(data):
    activations, concepts = data
    labels = label({"first": activations[:, :3], "second": activations[:, 3:8]}, concepts)
    assert [(one.layer, one.neuron) for one in labels] == [("first", n) for n in range(3)] + [
        ("second", n) for n in range(5)
    ]
    assert labels["second", 4].formula == label(activations, concepts)[7].formula
    assert labels[4].layer == "second"
    with pytest.raises(UnknownNameError, match=r"2 labels are for 0 \(first, second\): ask for \(layer, neuron\)"):
        labels[0]


def test_some_neurons_can_be_asked_for(data):
    every = label(*data)
    some = label(*data, neurons=[7, 3])
    assert [one.neuron for one in some] == [7, 3]
    assert some[7] == every[7]
    assert [one.neuron for one in label(*data, neurons=slice(5, 8))] == [5, 6, 7]
    with pytest.raises(UnknownNameError, match="no neuron '999'"):
        label(*data, neurons=[999])
    with pytest.raises(ActivationsError, match="there is no neuron to label"):
        label(*data, neurons=[])


def test_low_is_high_of_the_neuron_turned_around(data):
    activations, concepts = data
    low = label(activations, concepts, direction="low")
    turned = label(-activations, concepts)
    assert [(x.formula, x.auc) for x in low] == [(y.formula, y.auc) for y in turned]
    assert {x.direction for x in low} == {"low"}
    both = label(activations, concepts, direction="both")
    assert [(x.neuron, x.direction) for x in both][:4] == [(0, "high"), (0, "low"), (1, "high"), (1, "low")]
    assert both.filter(direction="low") == low
    assert both.filter(direction="high") == label(activations, concepts)


def test_a_constant_neuron_and_an_infeasible_one_have_a_reason_and_the_others_go_on(data):
    activations, concepts = data
    activations[:, 1] = 4.0
    labels = label(activations, concepts)
    assert labels[1].formula is None
    assert labels[1].reason == "constant"
    assert np.isnan(labels[1].auc)
    assert labels[0].formula is not None
    none = label(activations, concepts, min_count=399)
    assert none[0].reason == "no formula can be true for at least 399 and at most 200 of 400 samples"
    assert none[1].reason == "constant"
    assert "no formula (constant)" in str(none[1])


def test_nan_and_infinity_are_an_error_that_names_neurons_and_counts(data):
    activations, concepts = data
    activations[3:5, 2] = np.nan
    activations[0, 100] = -np.inf
    for matrix in (activations, activations.astype(np.float64)):
        with pytest.raises(ActivationsError, match=r"NaN or infinity in 2 neurons \(2: 2, 100: 1\)"):
            label(matrix, concepts, n_jobs=2)
    assert label(activations, concepts, neurons=[0, 1])[0].formula is not None


def test_row_counts_that_disagree_are_refused(data):
    activations, concepts = data
    with pytest.raises(
        AlignmentError, match="concepts has 300 rows but activations has 400: both need one row per sample"
    ):
        label(activations, concepts[:300])


def test_samples_are_matched_by_id(data):
    activations, concepts = data
    ids = [f"photo {i}" for i in range(N)]
    order = np.random.default_rng(1).permutation(N)
    ours = Activations(activations, sample_ids=ids)
    theirs = Concepts.from_array(concepts[order], sample_ids=[ids[i] for i in order])
    expected = label(activations, concepts)
    assert label(ours, theirs) == expected
    weights = np.random.default_rng(2).integers(0, 3, N)
    assert label(ours, theirs, weights=weights) == label(activations, concepts, weights=weights)


def test_ids_that_disagree_are_refused_or_aligned(data):
    activations, concepts = data
    ids = [f"photo {i}" for i in range(N)]
    ours = Activations(activations[10:], sample_ids=ids[10:])
    theirs = Concepts.from_array(concepts[:390][::-1], sample_ids=ids[:390][::-1])
    with pytest.raises(AlignmentError, match=r"10 of 390 ids of activations are not in concepts \('photo 390'"):
        label(ours, theirs)
    with pytest.warns(UserWarning, match="align=True keeps 380 samples and drops 10 of activations and 10 of concepts"):
        aligned = label(ours, theirs, align=True)
    assert aligned == label(activations[10:390], concepts[10:390])
    with pytest.raises(AlignmentError, match="no sample id is common"):
        label(ours, Concepts.from_array(concepts[:3], sample_ids=["x", "y", "z"]), align=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        label(ours, Concepts.from_array(concepts[10:], sample_ids=ids[10:]), align=True)


@pytest.mark.parametrize(
    ("activations", "concepts", "error", "message"),
    [
        (np.ones((0, 3)), np.ones((0, 2)), ActivationsError, "activations are empty: they have no samples"),
        (np.ones((3, 0)), np.eye(3), ActivationsError, "there is no neuron to label"),
        (np.ones((3, 1)), np.ones((3, 0)), ConceptsError, "concepts are empty: 3 × 0"),
        (np.ones((3, 1)), np.full((3, 1), 0.3), ConceptsError, "concepts must be yes or no"),
        (np.ones((3, 1)), [0, 1, 0], ConceptsError, "Concepts.from_classes"),
        ({}, np.eye(3), ActivationsError, "the dict of layers is empty"),
        ({"": np.ones((3, 1))}, np.eye(3), ActivationsError, "a layer has an empty name"),
    ],
)
def test_what_cannot_be_labelled_is_one_clear_error(activations, concepts, error, message):
    with pytest.raises(error, match=message.replace("(", r"\(")):
        label(activations, concepts)


def test_names_go_with_arrays_alone(data):
    with pytest.raises(OptionError, match="these concepts have names already"):
        label(data[0], Concepts.from_array(data[1]), names=["a"] * 9)
    with pytest.raises(ConceptsError, match="1 name more than once"):
        label(*data, names=["a"] * 9)


def test_lists_of_sets_and_frames_work():
    rng = np.random.default_rng(0)
    dog = rng.random(100) < 0.4
    sets = [{"dog"} if d else set() for d in dog]
    frame = pd.DataFrame({"dog": dog})
    activations = dog + rng.normal(size=100) / 5
    assert label(activations, sets, length=1) == label(activations, frame, length=1)
    assert label(list(activations), sets, length=1)[0].auc > 0.99


def test_progress_shows_neurons_and_changes_nothing(data, capsys):
    assert label(*data, progress=True) == label(*data)
    shown = capsys.readouterr()
    assert "130/130 neurons" in shown.err
    assert shown.out == ""


def test_a_weight_of_zero_leaves_a_sample_out(data):
    activations, concepts = data
    weights = np.ones(N, int)
    weights[::3] = 0
    assert label(activations, concepts, weights=weights) == label(activations[weights > 0], concepts[weights > 0])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"weights must be one per sample \(400\), but have shape"),
        (np.full(N, 0.5), "weights must be whole numbers of at least 0"),
        (np.full(N, -1), "weights must be whole numbers of at least 0"),
        (np.zeros(N), "weights must add up to between 1 and 67108864, not 0"),
        (np.full(N, 2**30), "weights must add up to between 1 and 67108864, not"),
    ],
)
def test_weights_that_are_none_are_refused(data, weights, message):
    with pytest.raises(OptionError, match=message):
        label(*data, weights=weights)


def test_large_weights_stay_exact():
    found = label(np.array([0.0, 1.0, 1.0, 2.0]), np.array([[0], [0], [1], [1]]), weights=[10**6] * 4, min_count=1)[0]
    assert found.auc == 0.875
    constant = label(np.zeros(4), np.array([[0], [0], [1], [1]]), weights=[123456, 7, 1, 99999], min_count=1)[0]
    assert constant.reason == "constant"


def test_memory_maps_are_read_in_blocks(data, tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", data[0])
    read = []
    block = Activations.block
    monkeypatch.setattr(Activations, "block", lambda self, columns: read.append(len(columns)) or block(self, columns))
    monkeypatch.setattr("neuronym.data.activations._ON_DISK_BYTES", 70 * N * 4)
    assert label(tmp_path / "a.npy", data[1]) == label(*data)
    on_disk, in_memory = [70, 60], [64, 64, 2]
    assert read == [*on_disk, *in_memory]


def test_the_front_door_is_one_function():
    assert labeling.__all__ == ["label"]


def test_layers_are_chosen_by_name(data, tmp_path):
    activations, concepts = data
    both = {"a": activations[:, :3], "b": activations[:, 3:6]}
    every = label(both, concepts)
    assert label(both, concepts, layers=["b"]) == every.filter(layer="b")
    assert [one.layer for one in label(both, concepts, layers=["b", "a"], neurons=[0])] == ["b", "a"]
    with pytest.raises(UnknownNameError, match="no layer 'bb'; near it: 'b'"):
        label(both, concepts, layers=["bb"])
    with pytest.raises(OptionError, match="of one layer without a name"):
        label(activations, concepts, layers=["b"])
    with pytest.raises(OptionError, match="layers must be a list"):
        label(both, concepts, layers="b")
