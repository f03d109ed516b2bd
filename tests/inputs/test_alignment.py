"""Samples are matched by one rule, in every function that takes activations and concepts."""

import hashlib
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from neuronym import Activations, AlignmentError, Concepts, OptionError, label, open_activations
from neuronym import plots as pictures
from neuronym.analysis.circuits import ObservedModel, find_circuit
from neuronym.analysis.compose import compare, compose
from neuronym.analysis.spurious import find_spurious, relabel
from neuronym.analysis.sweep import sweep
from neuronym.inputs import align
from neuronym.io.zarr_store import LayerWriter
from neuronym.network import collect
from neuronym.report import report

N = 300
NAMES = ["dog", "cat", "grass"]


@pytest.fixture(scope="module")
def tables():
    """Activations and concepts whose rows are named in one order."""
    rng = np.random.default_rng(0)
    concepts = rng.random((N, 3)) < 0.3
    activations = rng.normal(size=(N, 2)) + 2 * concepts[:, :2]
    index = [f"photo{i}" for i in range(N)]
    return pd.DataFrame(activations, index, ["a", "b"]), pd.DataFrame(concepts.astype(int), index, NAMES)


def same_labels(_labels, activations, concepts, _folder):
    return label(activations, concepts, holdout=0.5).to_json()


def same_sweep(_labels, activations, concepts, _folder):
    return sweep(activations, concepts, length=2, min_fractions=[0.0]).to_csv()


def same_detector(_labels, activations, concepts, _folder):
    found = compose("dog | cat", activations, concepts)
    return str(found), found.auc(activations, concepts)


def same_comparison(_labels, activations, concepts, _folder):
    return compare("dog & ~cat", activations, concepts).to_csv()


def same_findings(_labels, activations, concepts, _folder):
    return find_spurious(activations, concepts, suspects="dog", permutations=0).neurons.to_csv()


def same_suspects(_labels, activations, concepts, _folder):
    return relabel(activations, concepts, "dog").to_json()


def same_picture(labels, activations, concepts, _folder):
    axes = pictures.roc(labels["a"], activations, concepts)
    bars = pictures.concept_bars(labels["a"], activations, concepts)
    return axes.lines[0].get_xydata().tolist(), [bar.get_width() for bar in bars.patches]


def same_report(labels, activations, concepts, folder):
    page = report(labels, folder, activations=activations, concepts=concepts, overwrite=True)
    files = sorted(path for path in (page.parent / "data").rglob("*") if path.is_file())
    return [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


def same_circuit(_labels, activations, concepts, _folder):
    """The circuit of a model whose stored activations come as tables too."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    data = torch.tensor(activations.to_numpy(), dtype=torch.float32)
    stored = collect(model, data, layers=["1", "2"])
    tables = {layer: pd.DataFrame(own.matrix, activations.index) for layer, own in stored.items()}
    observed = ObservedModel.of(model, data, ["1", "2"], activations=tables, concepts=concepts)
    return str(find_circuit(observed, target=("2", 1), layers=["1"], where="dog", length=2))


DOORS = [
    same_labels,
    same_sweep,
    same_detector,
    same_comparison,
    same_findings,
    same_suspects,
    same_picture,
    same_report,
    same_circuit,
]


@pytest.fixture(params=DOORS, ids=lambda door: door.__name__)
def through(request, tables, tmp_path):
    """A function of activations and concepts that gives all that a front door gives of them, as comparable values."""
    labels = label(*tables, holdout=0.5)

    def door(activations, concepts):
        return request.param(labels, activations, concepts, tmp_path / "report")

    door.door = request.param
    return door


def test_two_tables_in_different_orders_give_the_same_result(tables, through):
    activations, concepts = tables
    turned = concepts.iloc[np.random.default_rng(1).permutation(N)]
    as_it_is = through(activations, concepts)
    assert through(activations, turned) == as_it_is
    assert turned.index.tolist() != concepts.index.tolist()
    by_place = pd.DataFrame(turned.to_numpy(), concepts.index, NAMES)  # the order matters to what is found
    assert through(activations, by_place) != as_it_is


def test_row_numbers_of_a_table_are_ids_beside_another(tables, through):
    """A table that merely counts its rows is matched by its numbers with one that was put in another order."""
    activations, concepts = (one.reset_index(drop=True) for one in tables)
    turned = concepts.sample(frac=1, random_state=2)
    assert through(activations, turned) == through(activations, concepts)


@pytest.mark.parametrize("change", ["activations count", "concepts count", "others"])
def test_tables_that_disagree_are_refused_alike(tables, through, change):
    activations, concepts = tables
    if change == "activations count":
        activations = activations.reset_index(drop=True)
    elif change == "concepts count":
        concepts = concepts.reset_index(drop=True)
    else:
        concepts = concepts.set_axis([f"other{i}" for i in range(N)])
    with pytest.raises(AlignmentError, match=r"no sample id is common to .*activations .*: both must"):
        through(activations, concepts)


def test_a_shuffled_table_beside_an_array_is_refused(tables, through):
    """An index 0, 1, 2, … in another order may be ids or left over from shuffling."""
    activations, concepts = (one.reset_index(drop=True) for one in tables)
    turned = Concepts.from_frame(concepts.sample(frac=1, random_state=2))
    with pytest.raises(AlignmentError, match=r"counts its rows in another order.*reset_index\(drop=True\).*sample_ids"):
        through(activations.to_numpy() if through.door is not same_circuit else activations, turned)


def test_ids_on_one_side_alone_are_warned_of(tables, through):
    activations, concepts = tables
    bare = Activations(activations.to_numpy(), ["a", "b"])
    bare = bare if through.door is not same_circuit else activations.reset_index(drop=True)
    with pytest.warns(
        UserWarning, match="sample ids are in concepts .* but not in .*activations.* matched by position"
    ):
        through(bare, Concepts.from_frame(concepts))


def test_samples_of_one_side_alone_are_refused_with_a_remedy(tables, through):
    activations, concepts = tables
    with pytest.raises(AlignmentError, match=r"5 of 300 ids of .*activations are not in concepts \('photo295'"):
        through(activations, concepts.iloc[:-5])


def test_what_is_common_is_kept_where_it_is_asked_for(tables):
    activations, concepts = tables
    part = concepts.iloc[:-100]
    kept = activations.iloc[:-100]
    with pytest.warns(UserWarning, match="align=True keeps 200 samples and drops 100 of activations") as warned:
        table = sweep(activations, part, length=2, min_fractions=[0.0], align=True)
    assert warned[0].filename == __file__
    pd.testing.assert_frame_equal(table, sweep(kept, part, length=2, min_fractions=[0.0]))
    with pytest.warns(UserWarning, match="keeps 200 samples"):
        found = compose("dog | cat", activations, part, align=True)
    assert str(found) == str(compose("dog | cat", kept, part))
    with pytest.warns(UserWarning, match="keeps 200 samples"):
        neurons = find_spurious(activations, part, suspects="dog", permutations=0, align=True).neurons
    pd.testing.assert_frame_equal(neurons, find_spurious(kept, part, suspects="dog", permutations=0).neurons)


@pytest.fixture
def store(tmp_path):
    """A store of tokens, three of each of 60 texts, of which two were left out."""
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(60, 4)), 3, axis=0) + 0.01 * rng.normal(size=(180, 4))
    ids = [f"text{i}#{j}" for i in range(60) for j in range(3)]
    path = tmp_path / "t.zarr"
    with LayerWriter(path, ["h"], {"tokens": True}) as writer:
        writer.add({"h": values}, 62, ids, ["text60", "text61"])
        writer.finish()
    return path


def test_a_store_of_tokens_opened_with_other_ids_keeps_its_clusters(store):
    opened = open_activations(store / "h")
    assert opened.clusters == tuple(f"text{i // 3}" for i in range(180))
    assert opened.skipped == ("text60", "text61")
    renamed = open_activations(store / "h", sample_ids=range(180))
    assert renamed.sample_ids == tuple(map(str, range(180)))
    assert (renamed.clusters, renamed.skipped) == (opened.clusters, opened.skipped)
    # Tokens of one text are no independent samples: noise must not become significant by other ids.
    texts = np.repeat(np.random.default_rng(1).random((60, 3)) < 0.4, 3, axis=0)
    shown = Concepts.from_array(texts, NAMES, sample_ids=renamed.sample_ids)
    own = shown.with_ids(opened.sample_ids)
    assert label(renamed, shown, permutations=99) == label(opened, own, permutations=99)
    assert label(renamed, shown, permutations=99, clusters=False) != label(opened, own, permutations=99)


def test_a_model_observed_keeps_clusters_and_what_was_skipped():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    data = torch.zeros(4, 2)
    with torch.no_grad():
        values = model(data).numpy()
    given = Activations(values, clusters=["x", "x", "y", "y"], skipped=["gone"])
    observed = ObservedModel.of(model, data, ["0"], activations={"0": given}, names={"0": ["left", "right"]})
    taken = observed.layers["0"]
    assert (taken.clusters, taken.skipped, tuple(taken.names)) == (given.clusters, ("gone",), ("left", "right"))


def test_a_picture_of_another_layer_is_told(tables):
    activations, concepts = (one.to_numpy() for one in tables)
    layers = {"conv": activations[:, :1], "fc": activations[:, 1:]}
    labels = label(layers, concepts.astype(bool), names=NAMES)
    with pytest.warns(UserWarning, match=r"the label of fc 0 has AUC .* they may belong to another layer") as warned:
        pictures.roc(labels["fc", 0], layers["conv"], concepts.astype(bool), names=NAMES)
    assert warned[0].filename == __file__
    held = label(layers, concepts.astype(bool), names=NAMES, holdout=0.5)
    with pytest.warns(UserWarning, match="they may belong to another layer"):
        pictures.distribution(held["fc", 0], layers["conv"], concepts.astype(bool), names=NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures.roc(labels["fc", 0], layers["fc"], concepts.astype(bool), names=NAMES)
        pictures.roc(held["fc", 0], layers["fc"], concepts.astype(bool), names=NAMES)
        pictures.roc(labels["fc", 0], layers, concepts.astype(bool), names=NAMES)


def test_layers_of_the_same_samples_share_their_rows(tables):
    activations, concepts = tables
    one, other, turned = align({"a": activations, "b": activations, "c": activations[::-1]}, concepts)
    assert one.samples is other.samples
    assert one.groups is other.groups
    assert turned.samples is not one.samples
    assert turned.shown.sample_ids == tuple(activations.index[::-1])


def test_an_alignment_cannot_be_changed(tables):
    (one,) = align(*tables, clusters=[i // 2 for i in range(N)], strata=["s"] * N)
    assert one.clusters.tolist() == [i // 2 for i in range(N)]
    assert set(one.strata.tolist()) == {0}
    with pytest.raises(AttributeError):
        one.layer = "other"


def test_what_is_given_of_samples_is_read_before_any_work(tables):
    with pytest.raises(OptionError, match="clusters must be one label per sample"):
        align(*tables, clusters=[1, 2])
    with pytest.raises(OptionError, match="strata must be one label per sample"):
        align(*tables, strata=[1, 2])
    with pytest.raises(OptionError, match="the layers list their samples in different orders"):
        align({"a": tables[0], "b": tables[0][::-1]}, tables[1], weights=[1] * N)
