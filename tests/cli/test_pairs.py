import numpy as np
import pandas as pd
import pytest

from neuronym import Concepts, Pairs, detect, pairs, save_concepts


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A store of two neurons of four that follow the concepts dog and cat."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    concepts = rng.random((400, 2)) < 0.3
    values = rng.normal(size=(400, 4))
    values[:, :2] += 4 * concepts
    np.save("acts.npy", values)
    save_concepts(Concepts.from_array(concepts, ["dog", "cat"]), "concepts.parquet")
    return values, Concepts.from_array(concepts, ["dog", "cat"])


def test_pairs_are_written_and_coverage_is_printed(files, command):
    options = ("--holdout", "0.5", "--out", "pairs.parquet", "--concept", "cat", "--quiet")
    code, out, err = command("pairs", "acts.npy", "concepts.parquet", *options)
    assert (code, err) == (0, "")
    assert out.split("\n")[1].split()[:2] == ["1", "cat"]
    known = pairs(*files, holdout=0.5)
    assert Pairs.open("pairs.parquet").to_frame().equals(known.to_frame())
    code, out, err = command("pairs", "acts.npy", "concepts.parquet", "--holdout", "0.5", "--top", "1")
    assert out.startswith("Pairs(4 of 8 pairs: 4 neurons × 2 concepts)\n concepts  covered  share")
    assert out.split("\n")[2].split() == ["2", "2", "1", "4", "2", "0.9674"]
    code, out, err = command("pairs", "acts.npy", "concepts.parquet", "--out", "pairs.parquet")
    assert code == 2
    assert "exists: choose another name" in err


def test_formulas_of_neurons_are_printed_and_saved(files, command):
    options = ("--targets", "cat", "--length", "2", "--out", "found.csv")
    code, out, _ = command("detect", "acts.npy", "concepts.parquet", *options)
    assert code == 0
    known = detect(*files, targets=["cat"], length=2)
    assert known["formula"][0] in out
    pd.testing.assert_frame_equal(pd.read_csv("found.csv"), known)
    code, _, err = command("detect", "acts.npy", "concepts.parquet", "--targets", "cow")
    assert (code, err.count("\n")) == (2, 1)
    assert "no concept 'cow'" in err
