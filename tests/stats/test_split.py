from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronym import OptionError
from neuronym.stats.split import bootstrap, hold_out, into_folds


def ones(n):
    return np.ones(n, np.int64)


@given(st.lists(st.integers(0, 4), min_size=8, max_size=60), st.floats(0.2, 0.8), st.integers(0, 5))
def test_what_is_held_out_is_stratified(groups, share, seed):
    row_groups = np.array(groups)
    held = hold_out(row_groups, None, share, seed)
    assert abs(held.sum() - share * len(groups)) < 1
    for group, n in Counter(groups).items():
        assert abs(held[row_groups == group].sum() - share * n) < 2
    assert np.array_equal(held, hold_out(row_groups, None, share, seed))


@pytest.mark.parametrize("clusters", [None, np.arange(1000) // 4])
def test_what_is_held_out_is_random_where_no_two_rows_are_equal(clusters):
    groups = np.arange(1000)  # numbered as they come
    splits = [hold_out(groups, clusters, 0.5, seed) for seed in range(40)]
    folds = [into_folds(groups, clusters, 5, seed) for seed in range(40)]
    assert len({split.tobytes() for split in splits}) == len({fold.tobytes() for fold in folds}) == 40
    # Neither the place of a sample nor its neighbour says in which part it is.
    units = np.array(splits)[:, :: 1 if clusters is None else 4]
    assert np.abs(units[:, ::2].mean(axis=1) - 0.5).max() < 0.25
    assert np.abs((units[:, 1:] == units[:, :-1]).mean(axis=1) - 0.5).max() < 0.25
    assert units.mean(axis=0).std() < 1.5 * 0.5 / np.sqrt(40)


def test_whole_clusters_are_held_out_and_dealt_into_folds():
    clusters = np.repeat(np.arange(30), 3)
    groups = clusters // 15
    held = hold_out(groups, clusters, 0.5, 0).reshape(30, 3)
    assert (held == held[:, :1]).all()
    assert held[:15, 0].sum() in (7, 8)
    fold = into_folds(groups, clusters, 4, 0).reshape(30, 3)
    assert (fold == fold[:, :1]).all()
    assert set(Counter(fold[:, 0].tolist()).values()) <= {7, 8}
    assert len({tuple(hold_out(groups, clusters, 0.5, seed)) for seed in range(5)}) == 5


def test_a_part_without_samples_is_refused():
    with pytest.raises(OptionError, match=r"holdout=0.01 of 10 samples leaves one part empty"):
        hold_out(np.zeros(10, int), None, 0.01, 0)
    with pytest.raises(OptionError, match="folds=4 must not exceed the number of clusters, 3"):
        into_folds(np.zeros(6, int), np.array([0, 0, 1, 1, 2, 2]), 4, 0)


def test_resamples_are_weights_that_draw_whole_clusters():
    weights = np.array([1, 1, 2, 2, 1, 1])
    drawn = list(bootstrap(weights, np.array([5, 5, 9, 9, 7, 7]), 200, 3))
    assert all((times[0] == times[1]) and (times[2] == times[3] == 2 * (times[2] // 2)) for times in drawn)
    assert all((times // weights).reshape(3, 2)[:, 0].sum() == 3 for times in drawn)
    assert np.mean(drawn, axis=0) == pytest.approx(weights, abs=0.35)
    assert np.array_equal(drawn, list(bootstrap(weights, np.array([5, 5, 9, 9, 7, 7]), 200, 3)))
    assert not np.array_equal(drawn, list(bootstrap(weights, np.array([5, 5, 9, 9, 7, 7]), 200, 4)))
