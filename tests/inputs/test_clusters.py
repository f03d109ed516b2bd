import numpy as np
import pandas as pd
import pytest
import torch

from neuronym import Activations, FileError, OptionError
from neuronym.inputs.clusters import codes, repeated_rows

BY_ID = r"clusters are given by sample id \('x'.*\), but neither activations nor concepts have ids"


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
    with pytest.raises(OptionError, match=r"the index of clusters counts its rows .* reset_index.* with sample_ids"):
        codes(pd.Series([5, 6, 6], [2, 1, 0]), None, 3, "clusters")
    with pytest.raises(OptionError, match=r"clusters lack a label for 1 sample \('2'\)"):
        codes({0: "b", 1: "a"}, None, 3, "clusters")


@pytest.mark.parametrize(
    ("given", "ids", "message"),
    [
        ([1, 2], None, r"clusters must be one label per sample of the activations \(3\), but there are 2"),
        ([1, None, 2], None, "clusters lack a label for 1 sample"),
        ({"x": 1, "y": 2}, ("x", "y", "z"), r"clusters lack a label for 1 sample \('z'\)"),
        (np.zeros((3, 1)), None, r"clusters must have one axis, not shape \(3, 1\)"),
        (5, None, "clusters must be a list, not 5"),
        (True, None, "clusters must be a list, not True"),
        (b"abc", None, "clusters must be a list, not b'abc'"),
        (pd.DataFrame({"v": [1, 2, 3], "w": 1}), None, "clusters must be one column, not a table of 2"),
        (np.array([1, np.nan, 2], np.float32), None, "clusters lack a label for 1 sample"),
        (pd.Series([1, 2]), None, "there are 2"),
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
    with pytest.raises(FileError, match="must have one column besides a first column sample, but has 'text', 'parent'"):
        codes(tmp_path / "t.parquet", ids, 3, "clusters")
    with pytest.raises(FileError, match="must have a column video"):
        codes(f"{tmp_path}/t.parquet:video", ids, 3, "clusters")
    with pytest.raises(FileError, match="there is no file"):
        codes(f"{tmp_path}/none.csv", ids, 3, "clusters")


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
    for few in (2, 5):
        assert "in all" in repeated_rows(named, every[:few], None)
    assert repeated_rows(named, every[:1], None) is None  # a single neuron cannot tell


def test_few_neurons_that_agree_by_chance_do_not_repeat():
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 10, (1000, 7))
    zeros = np.maximum(rng.normal(size=(1000, 3)), 1)
    same = np.repeat(rng.integers(0, 10, (1000, 1)), 4, axis=1)
    for values in (digits, digits[:, :2], zeros, same, rng.normal(size=(3000, 2)).astype(np.float16)):
        assert repeated_rows(Activations(values), np.arange(values.shape[1]), None) is None
    copied = np.tile(rng.normal(size=(100, 2)), (3, 1))
    assert "200 samples of 300 repeat" in repeated_rows(Activations(copied), np.arange(2), None)
