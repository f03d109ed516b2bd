"""Sparse activations give what the same dense activations give, in every function that takes activations."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from neuronym import Activations, ActivationsError, Concepts, OptionError, label
from neuronym.search.scores import SCORES

N_SAMPLES, N_NEURONS, N_CONCEPTS = 240, 6, 5


def example(seed=0, dtype="f4"):
    """Activations with negative values, and concepts, of which some explain some neurons."""
    rng = np.random.default_rng(seed)
    concepts = rng.random((N_SAMPLES, N_CONCEPTS)) < 0.4
    values = np.where(rng.random((N_SAMPLES, N_NEURONS)) < 0.3, rng.normal(size=(N_SAMPLES, N_NEURONS)), 0)
    values[:, 1] += 2.0 * (concepts[:, 0] & concepts[:, 1])
    values[:, 2] -= 1.5 * concepts[:, 2]
    values[:, 3] = np.abs(values[:, 3])
    values[:, 4] = 0  # constant
    return (values * 8).round().astype(dtype) / 8, concepts


def with_zeros(values):
    """The values as a csc_array with some explicit zeros, of both signs."""
    found = sparse.csc_array(values)
    extra = sparse.csc_array((np.array([-0.0, 0.0], values.dtype), ([0, 3], [0, 4])), shape=values.shape)
    rows_of = [[a.indices[a.indptr[j] : a.indptr[j + 1]] for a in (found, extra)] for j in range(values.shape[1])]
    shown = [np.concatenate(both) for both in rows_of]
    rows = [np.unique(one) for one in shown]
    ptr = np.cumsum([0, *map(len, rows)])
    data = np.concatenate([values[one, j] for j, one in enumerate(rows)])
    return sparse.csc_array((data, np.concatenate(rows), ptr), shape=values.shape)


def same(dense, found, exact=True):
    """Whether two sets of labels are equal: every column bit for bit, or values up to rounding."""
    a, b = dense.to_frame(), found.to_frame()
    nested = [name for name in ("path", "runners_up", "alternatives", "aliases") if name in a]
    if exact:
        pd.testing.assert_frame_equal(a, b, check_exact=True)
        return
    pd.testing.assert_frame_equal(a.drop(columns=nested), b.drop(columns=nested), rtol=1e-9)


OPTIONS = [
    {},
    {"length": 1, "negation": False},
    {"direction": "both"},
    {"search": "beam", "prefixes": "constrained"},
    {"holdout": 0.5},
    {"folds": 3},
    {"stability": 5},
    {"effects": True},
    {"permutations": 60},
    {"permutations": "auto", "length": 1},
    {"permutations": 120, "tail": True, "direction": "both"},
    {"weights": np.arange(N_SAMPLES) % 3 + 1},
    {"penalty": 0.95},
    {"clusters": np.arange(N_SAMPLES) // 4, "holdout": 0.5, "permutations": 30},
    {"strata": np.arange(N_SAMPLES) % 7, "holdout": 0.5, "permutations": 30, "stability": 3},
    *({"score": name, "effects": True} for name in SCORES if name != "auc"),
    {"score": "correlation", "permutations": 30, "stability": 3},
    {"score": "f1", "threshold": "best"},
    {"score": "iou", "threshold": -0.5},
    {"score": "cosine", "weights": np.arange(N_SAMPLES) % 3 + 1, "direction": "both"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda one: " ".join(map(str, one)) or "default")
@pytest.mark.filterwarnings("ignore")
def test_labels_of_sparse_activations_are_those_of_dense_ones(options):
    values, concepts = example()
    options = {"min_count": 5, "min_change": 0, **options}
    exact = options.get("score") not in ("correlation", "cosine", "mean_difference")  # which add up doubles
    dense = label(values, concepts, **options)
    same(dense, label(with_zeros(values), concepts, **options), exact)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["i4", "f4", "f8", "?"]), st.floats(0, 0.6), st.booleans())
@pytest.mark.filterwarnings("ignore")
def test_any_sparse_activations_give_the_labels_of_dense_ones(seed, dtype, density, aligned):
    rng = np.random.default_rng(seed)
    n_samples, n_neurons = int(rng.integers(5, 60)), int(rng.integers(1, 5))
    values = np.round(rng.normal(size=(n_samples, n_neurons)), 1) * (rng.random((n_samples, n_neurons)) < density)
    values[:, rng.integers(n_neurons)] *= rng.random() < 0.5  # now and then a column of zeros
    values = np.where(rng.random(values.shape) < 0.5, -0.0, 1) * values if dtype == "f8" else values
    values, concepts = values.astype(dtype), rng.random((n_samples, 3)) < 0.5
    found = sparse.csc_array(values) if seed % 2 else sparse.csr_array(values)
    if aligned:
        ids = [str(i) for i in range(n_samples)]
        order = rng.permutation(n_samples)
        given = Concepts.from_array(concepts[order], sample_ids=[ids[i] for i in order])
        both = [Activations(one, sample_ids=ids) for one in (values, found)]
    else:
        given, both = concepts, [values, found]
    found = []
    for one in both:
        try:
            found.append(label(one, given, min_count=1, holdout=0.4, effects=True, permutations=19))
        except OptionError as error:  # too few samples
            found.append(str(error))
    if isinstance(found[0], str):
        assert found[0] == found[1]
    else:
        same(*found)


@pytest.mark.filterwarnings("ignore:Sparse CS")
def test_types_of_sparse_matrices_are_read():
    values, concepts = example()
    dense = label(values, concepts, min_count=5)
    tensor, scipy_types = torch.tensor(values), ("csc", "csr", "coo", "lil", "dok", "bsr")
    whole = sparse.csc_array(values)
    every = [
        *(getattr(sparse, f"{kind}_{what}")(whole) for kind in scipy_types for what in ("array", "matrix")),
        *(tensor.to_sparse(), tensor.to_sparse_csr(), tensor.to_sparse_csc(), tensor.half().to_sparse()),
    ]
    for one in every:
        assert Activations(one).sparse
        same(dense, label(one, concepts, min_count=5))
    assert Activations(tensor.bfloat16().to_sparse()).matrix.dtype == np.float32
    assert Activations(sparse.coo_array(values[:, 0])).matrix.shape == (N_SAMPLES, 1)
    twice = sparse.coo_array((np.array([1.0, 2.0]), ([0, 0], [0, 0])), shape=(3, 1))
    assert Activations(twice).column(0).tolist() == [3, 0, 0]


def test_sparse_activations_keep_names_ids_and_clusters():
    values, concepts = example()
    names, clusters = [f"n{j}" for j in range(N_NEURONS)], np.arange(N_SAMPLES) // 2
    one = Activations(sparse.csr_array(values), names, sample_ids=range(N_SAMPLES), clusters=clusters)
    share = np.count_nonzero(values) / values.size
    assert repr(one) == f"Activations(240 samples × 6 neurons, float32, sparse: {share:.2%} not zero)"
    part = one.take([5, 3])
    assert (part.sample_ids, part.clusters, part.names) == (("5", "3"), (2, 1), tuple(names))
    np.testing.assert_array_equal(part.matrix.toarray(), values[[5, 3]])
    np.testing.assert_array_equal(one.block(one.indices(["n4", "n1"])).toarray(), values[:, [4, 1]])
    np.testing.assert_array_equal(one.column(2), values[:, 2])
    sent = pickle.loads(pickle.dumps(one))
    same(*(label(each, concepts, min_count=5, align="position") for each in (one, sent)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(wrong):
    values, concepts = example()
    values[7, 2] = wrong
    with pytest.raises(ActivationsError, match=r"NaN or infinity in 1 neuron \(2: 1\)"):
        label(sparse.csc_array(values), concepts, min_count=5)
    with pytest.raises(ActivationsError, match="NaN or infinity"):
        label(sparse.csc_array(values), concepts, min_count=5, holdout=0.5)


@pytest.mark.filterwarnings("ignore")
def test_a_sparse_matrix_is_never_made_dense(monkeypatch):
    values, concepts = example()

    def refuse(*_, **__):
        raise AssertionError("made dense")

    given = sparse.csc_array(values)
    for kind in (sparse.csc_array, sparse.csr_array, sparse.coo_array):
        monkeypatch.setattr(kind, "toarray", refuse)
        monkeypatch.setattr(kind, "todense", refuse)
    label(given, concepts, min_count=5, holdout=0.5, permutations=19, stability=2)
    label(given, concepts, min_count=5, score="correlation", strata=None)
