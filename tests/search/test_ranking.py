"""Ranking: sums of midranks by group, from arrays and sparse matrices of every type, against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array
from scipy.stats import rankdata

from neuronym import Concepts
from neuronym.data.groups import group
from neuronym.search import rank_kernels
from neuronym.search.ranking import rank, rank_weighted

TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g", ">f4", ">i2", ">f8"]


def groups_of(n_samples, seed=0, weights=None, rows=None, n_groups=5):
    of = np.random.default_rng(seed).integers(0, n_groups, n_samples)
    return group(Concepts.from_classes([f"c{k}" for k in of]), weights, rows)


def expected(values, groups, weights):
    """Twice the midranks summed by group, and the sum of t³ − t, by scipy: each sample as often as its weight says."""
    sums, ties = [], []
    for column in np.repeat(values, weights, axis=0).T:
        twice = np.rint(2 * rankdata(column)).astype(np.int64)
        sums.append([twice[np.repeat(groups.row_groups, weights) == g].sum() for g in range(groups.n_groups)])
        times = np.unique(column, return_counts=True)[1].astype(float)
        ties.append((times**3 - times).sum())
    return np.array(sums), np.array(ties)


def values_of(dtype, n_samples, n_neurons, kind, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_samples, n_neurons)) * 50
    if kind == "zeros":
        values *= rng.random(values.shape) < 0.3
    if kind == "close":  # equal in their upper 32 bits
        values = 1 + np.round(values) * 2.0**-50
    if np.dtype(dtype).kind == "b":
        return values > 20
    if np.dtype(dtype).kind == "u":
        values = np.abs(values)
    return values.astype(dtype)


@pytest.mark.parametrize("kind", ["normal", "zeros", "close"])
@pytest.mark.parametrize("dtype", TYPES)
def test_ranks_of_every_type_are_those_of_scipy(dtype, kind):
    values = values_of(dtype, 300, 5, kind)
    weights = np.random.default_rng(1).integers(1, 4, 300)
    for given_weights in (None, weights):
        groups = groups_of(300, weights=given_weights)
        sums, ties, bad = rank(values, groups)
        want, want_ties = expected(values.astype(np.float64), groups, groups.row_weights)
        np.testing.assert_array_equal(sums, want)
        np.testing.assert_array_equal(ties, want_ties)
        assert not bad.any()


@pytest.mark.parametrize("n_samples", [2**11 - 1, 2**11, 2**14, 2**17])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8"])
def test_each_way_of_sorting_gives_the_ranks_of_scipy(n_samples, dtype):
    values = values_of(dtype, n_samples, 2, "zeros")
    if dtype == "i8":
        values += 2**40
    groups = groups_of(n_samples)
    np.testing.assert_array_equal(
        rank(values, groups)[0], expected(values.astype(np.float64), groups, groups.row_weights)[0]
    )


def test_long_runs_of_equal_upper_halves_are_sorted_by_the_lower():
    values = 2**40 + np.random.default_rng(0).permutation(500)[:, np.newaxis]
    groups = group(Concepts.from_classes([f"c{k}" for k in range(500)]))
    np.testing.assert_array_equal(rank(values, groups)[0][0], 2 * rankdata(values[:, 0]))


finite = st.floats(-4, 4, width=32).map(lambda x: round(x, 1)) | st.just(0.0) | st.just(-0.0)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["i4", "f4", "f8", "g"]))
def test_a_sparse_matrix_has_the_ranks_of_the_dense_one(data, dtype):
    n_samples, n_neurons = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 4))
    n_values = n_samples * n_neurons
    drawn = [data.draw(st.lists(one, min_size=n_values, max_size=n_values)) for one in (finite, st.booleans())]
    values, explicit = (np.array(one).reshape(n_samples, n_neurons) for one in drawn)
    values = values.astype(dtype)
    shown = (values != 0) | explicit
    columns, rows = np.nonzero(shown.T)
    ptr = np.concatenate([[0], np.cumsum(shown.sum(axis=0))])
    sparse = csc_array((values[rows, columns], rows, ptr), shape=values.shape)  # with explicit zeros of both signs
    taken = np.array(data.draw(st.permutations(range(n_samples))))[: max(1, n_samples - 3)]
    weights = np.random.default_rng(0).integers(1, 3, len(taken))
    for chosen, own in ((None, None), (taken, None), (taken, weights)):
        groups = groups_of(n_samples if chosen is None else len(chosen), weights=own, rows=chosen)
        for dense, found in zip(rank(values, groups), rank(sparse, groups), strict=True):
            np.testing.assert_array_equal(found, dense)
        drawn = [groups.row_weights, np.arange(groups.n_rows) % 3]
        drawn = [one for one in drawn if one.sum()]
        pairs = zip(rank_weighted(values, groups, drawn), rank_weighted(sparse, groups, drawn), drawn, strict=True)
        for dense, found, used in pairs:
            want = expected(groups.select_rows(values).astype(np.float64), groups, used)
            np.testing.assert_array_equal(dense[0], want[0])
            np.testing.assert_array_equal(dense[1], want[1])
            for a, b in zip(dense, found, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g"])
def test_nan_and_infinity_are_counted_by_neuron(dtype):
    values = np.ones((50, 3), dtype)
    values[3, 0], values[[4, 5], 2] = np.nan, [np.inf, -np.inf]
    groups = groups_of(50)
    assert rank(values, groups)[2].tolist() == [1, 0, 2]
    if dtype in ("f4", "f8"):
        assert rank(csc_array(values), groups)[2].tolist() == [1, 0, 2]


def test_no_zero_is_sorted():
    """The work grows with what is not zero: a column of zeros has no keys."""
    sizes = np.empty((2, 2), np.int64)
    images = np.array([2**31, 2**31 + 5, 2**31, 2**31 - 7, 2**31 + 1], np.uint32)
    out = np.empty(5, np.uint64)
    scratch = np.empty((3, 5), np.uint64), np.empty((2, 5), np.uint32), np.empty(rank_kernels.N_COUNTERS, np.uint32)
    starts, stops = np.array([0, 0]), np.array([5, 1])
    columns = (images, np.empty(0, np.uint64), starts, stops, np.arange(5, dtype=np.uint32))
    rank_kernels.sort_columns(*columns, True, np.uint64(2**31), out, sizes, *scratch)
    assert sizes.tolist() == [[3, 1], [0, 0]]
    assert (out[:3] & np.uint64(2**32 - 1)).tolist() == [3, 4, 1]
