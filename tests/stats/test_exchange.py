import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuronym import Activations, FileError, OptionError
from neuronym.stats.exchange import bootstrap, codes, exchange, hold_out, into_folds, repeated_rows

BY_ID = r"clusters are given by sample id \('x'.*\), but neither activations nor concepts have any"


def ones(n):
    return np.ones(n, np.int64)


def test_labels_of_samples_are_numbered_as_they_come():
    assert codes(["b", "a", "b"], None, 3, "clusters").tolist() == [0, 1, 0]
    assert codes(np.array([7, 7, 2]), None, 3, "clusters").tolist() == [0, 0, 1]
    ids = ("x", "y", "z")
    assert codes({"z": 1, "x": 2, "y": 1, "other": 5}, ids, 3, "clusters").tolist() == [0, 1, 1]
    assert codes(pd.Series([5, 6, 6], ["y", "x", "z"]), ids, 3, "clusters").tolist() == [0, 1, 0]
    assert codes(pd.Series([5, 6, 6]), None, 3, "clusters").tolist() == [0, 1, 1]
    assert codes(torch.tensor([5, 6, 6]), None, 3, "clusters").tolist() == [0, 1, 1]
    assert codes(range(3), None, 3, "clusters").tolist() == [0, 1, 2]
    # The numbers of rows are ids where there are no others.
    assert codes({"2": "a", 0: "b", "1": "a"}, None, 3, "clusters").tolist() == [0, 1, 1]
    assert codes(pd.Series([5, 6, 6], [2, 1, 0]), None, 3, "clusters").tolist() == [0, 0, 1]
    with pytest.raises(OptionError, match=r"clusters say nothing of 1 sample \('2'\)"):
        codes({0: "b", 1: "a"}, None, 3, "clusters")


@pytest.mark.parametrize(
    ("given", "ids", "message"),
    [
        ([1, 2], None, r"clusters must be one label per sample of the activations, 3, but have shape \(2,\)"),
        ([1, None, 2], None, "clusters have no label for 1 sample"),
        ({"x": 1, "y": 2}, ("x", "y", "z"), r"clusters say nothing of 1 sample \('z'\)"),
        (np.zeros((3, 1)), None, r"clusters must be one label per sample .* shape \(3, 1\)"),
        (5, None, "clusters must be one label per sample of the activations, not 5"),
        (True, None, "clusters must be one label per sample of the activations, not True"),
        (b"abc", None, "clusters must be one label per sample of the activations, not b'abc'"),
        (pd.DataFrame({"v": [1, 2, 3]}), None, "clusters must be one column, not a DataFrame"),
        (np.array([1, np.nan, 2], np.float32), None, "clusters have no label for 1 sample"),
        (pd.Series([1, 2]), None, r"shape \(2,\)"),
        (
            pd.Series([1, 2, 3], ["x", "y", "z"]),
            None,
            BY_ID,
        ),
        ({"x": 1}, None, BY_ID),
    ],
)
def test_labels_of_samples_that_do_not_fit_are_refused(given, ids, message):
    with pytest.raises(OptionError, match=message):
        codes(given, ids, 3, "clusters")


def test_labels_of_samples_come_from_tables(tmp_path):
    (tmp_path / "c.csv").write_text("sample,video\nx,1\ny,2\nz,1\n")
    pd.DataFrame({"sample": ["z", "y", "x"], "text": ["a", "b", "c"], "parent": [3, 3, 4]}).to_parquet(
        tmp_path / "t.parquet"
    )
    ids = ("x", "y", "z")
    assert codes(str(tmp_path / "c.csv"), ids, 3, "clusters").tolist() == [0, 1, 0]
    assert codes(tmp_path / "c.csv", ids, 3, "clusters").tolist() == [0, 1, 0]
    assert codes(f"{tmp_path}/t.parquet:parent", ids, 3, "clusters").tolist() == [0, 1, 1]
    with pytest.raises(FileError, match="needs one column, beside a first column sample; it has 'text', 'parent'"):
        codes(tmp_path / "t.parquet", ids, 3, "clusters")
    with pytest.raises(FileError, match="needs a column video"):
        codes(f"{tmp_path}/t.parquet:video", ids, 3, "clusters")
    with pytest.raises(FileError, match="there is no file"):
        codes(f"{tmp_path}/none.csv", ids, 3, "clusters")


def classes(found):
    """The clusters of each class, as sets of rows."""
    clusters = [found.order[a:b].tolist() for a, b in zip(found.cluster_ptr, found.cluster_ptr[1:], strict=False)]
    return [clusters[a:b] for a, b in zip(found.class_ptr, found.class_ptr[1:], strict=False)]


def test_independent_samples_all_trade_places():
    found = exchange(ones(5))
    assert found.free
    assert classes(found) == [[[0], [1], [2], [3], [4]]]
    assert found.log10_arrangements == pytest.approx(math.log10(120))


def test_clusters_trade_places_with_others_of_their_size():
    clusters = np.array([4, 0, 4, 1, 1, 2, 3, 3, 5, 5, 6, 6])
    found = exchange(ones(12), clusters)
    assert not found.free
    assert sorted(sorted(one) for one in classes(found)) == [[[0, 2], [3, 4], [6, 7], [8, 9], [10, 11]], [[1], [5]]]
    message = r"only clusters of equal size trade places, and 3 clusters in 3 classes .* 1 way"
    with pytest.raises(OptionError, match=message):
        exchange(ones(6), np.array([0, 1, 1, 2, 2, 2]))


def test_strata_are_not_crossed():
    strata = np.array([0, 0, 0, 1, 1, 1, 2])
    assert classes(exchange(ones(7), strata=strata)) == [[[0], [1], [2]], [[3], [4], [5]], [[6]]]
    with pytest.raises(OptionError, match="only samples within their stratum trade places, and 4 samples in 4 classes"):
        exchange(ones(4), strata=np.arange(4))
    with pytest.raises(OptionError, match="1 cluster lie in more than one stratum"):
        exchange(ones(7), np.array([0, 0, 1, 1, 2, 2, 3]), strata)


def test_samples_trade_places_with_those_of_equal_weight():
    found = exchange(np.array([2, 1, 2, 1, 2, 1, 2]))
    assert sorted(classes(found)) == [[[0], [2], [4], [6]], [[1], [3], [5]]]
    clusters = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    found = exchange(np.array([1, 2, 2, 1, 3, 3, 1, 2, 1, 2]), clusters)
    assert sorted(classes(found)) == [[[0, 1], [3, 2], [6, 7], [8, 9]], [[4, 5]]]
    with pytest.raises(OptionError, match="of equal weights"):
        exchange(np.arange(1, 9))


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
    with pytest.raises(OptionError, match=r"holdout=0.01 of 10 samples leaves one part without any"):
        hold_out(np.zeros(10, int), None, 0.01, 0)
    with pytest.raises(OptionError, match="folds=4 is more than the 3 samples or clusters"):
        into_folds(np.zeros(6, int), np.array([0, 0, 1, 1, 2, 2]), 4, 0)


def test_resamples_are_weights_that_draw_whole_clusters():
    weights = np.array([1, 1, 2, 2, 1, 1])
    drawn = list(bootstrap(weights, np.array([5, 5, 9, 9, 7, 7]), 200, 3))
    assert all((times[0] == times[1]) and (times[2] == times[3] == 2 * (times[2] // 2)) for times in drawn)
    assert all((times // weights).reshape(3, 2)[:, 0].sum() == 3 for times in drawn)
    assert np.mean(drawn, axis=0) == pytest.approx(weights, abs=0.35)
    assert np.array_equal(drawn, list(bootstrap(weights, np.array([5, 5, 9, 9, 7, 7]), 200, 3)))
    assert not np.array_equal(drawn, list(bootstrap(weights, np.array([5, 5, 9, 9, 7, 7]), 200, 4)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_repeated_rows_are_named(dtype):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 20)).astype(dtype)
    values[:50] = 0  # a dead input says nothing
    every = np.arange(20)
    assert repeated_rows(Activations(values), every, None) is None
    values[200] = values[100]
    message = repeated_rows(Activations(values), every, None)
    assert "1 sample of 300 repeat the activations of another in all 20 neurons (such as 100, 200)" in message
    named = Activations(values, sample_ids=[f"s{i}" for i in range(300)])
    assert "'s100', 's200'" in repeated_rows(named, every, np.arange(90, 300))
    assert repeated_rows(named, every, np.arange(0, 200)) is None
    assert repeated_rows(named, every[:5], None) is None  # too few neurons to tell
