import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from neuronym import FileError, Labels, OptionError, demo, label


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo.demo(folder / "out")


def test_every_output_neuron_gets_its_own_digit(ran):
    _, labels = ran
    simplest = labels.simplest()
    for digit, word in enumerate(demo.WORDS):
        found = labels["output", digit]
        assert str(found.path[0].formula) == word
        assert str(simplest["output", digit].formula) == word
        assert min(found.auc, found.auc_heldout) > 0.95


def test_every_label_has_its_evidence(ran):
    folder, _ = ran
    saved = pd.read_csv(folder / "out" / "labels.csv")
    named = saved[saved["formula"].notna()]
    assert len(named) == 41
    assert named[["p_search", "q", "auc_heldout", "auc_low", "auc_high", "p_gain"]].notna().all(axis=None)
    assert (named["q"] <= 0.05).all()
    assert (named["count"] / named["fraction"]).round().eq(450).all()  # of 899 samples, those that were searched


def test_labels_and_picture_are_saved(ran):
    folder, labels = ran
    assert Labels.open(folder / "out" / "labels.csv") == labels
    picture = (folder / "out" / "neurons.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_the_saved_inputs_give_the_saved_labels(ran):
    folder, labels = ran
    saved = folder / "out" / "hidden.npy", folder / "out" / "concepts.parquet"
    again = label(*saved, permutations=999, holdout=0.5)
    of_hidden = labels.filter(layer="hidden")
    assert [one.best for one in again] == [one.best for one in of_hidden]
    assert [one.steps for one in again] == [one.steps for one in of_hidden]


def test_it_says_what_it_found_and_overwrites_nothing(ran, capsys):
    folder, labels = ran
    before = (folder / "out" / "labels.csv").read_bytes()
    assert demo.demo(folder / "out") == labels
    out = capsys.readouterr().out
    assert "For 10 of the 10 output neurons, the best single concept is exactly their own digit" in out
    assert "Believable at q ≤ 0.05, accounting for the search: 41 of 42 labels; literals that hold on" in out
    assert re.search("auc +fraction +count +log10_p +p_search +q +auc_heldout +p_gain", out)
    assert "accuracy on the other half" in out
    assert "output  0       zero" in out
    assert f"Saved in {folder / 'out-2'}: concepts.parquet, hidden.npy, labels.csv, neurons.png" in out
    assert (folder / "out" / "labels.csv").read_bytes() == before


def test_the_verdict_counts(ran):
    _, labels = ran
    summary = labels.summary()
    assert demo._verdict(labels) == (
        "For 10 of the 10 output neurons, the best single concept is exactly their own digit; 10 of 10 are named by it "
        "alone once literals that do not hold on held-out samples are dropped.\nBelievable at q ≤ 0.05, accounting for "
        f"the search: 41 of 42 labels; literals that hold on held-out samples: {summary.kept} of {summary.literals}."
    )
    wrong = [replace(found, neuron=9 - found.neuron) for found in labels.filter(layer="output")]
    assert demo._verdict(Labels(wrong)).startswith(
        "For 0 of the 10 output neurons, the best single concept is exactly their own digit; 0 of 10 are named by it "
    )
    doubtful = [replace(found, q=0.5) for found in labels]
    assert "accounting for the search: 0 of 42 labels" in demo._verdict(Labels(doubtful))


def test_concepts_are_true_of_the_digits():
    images = np.zeros((4, 8, 8))
    images[0, :2] = 16
    images[1, :, 6:] = 16
    concepts = demo.digit_concepts(images, np.array([0, 4, 7, 9]))
    shown = {name: concepts[name].tolist() for name in concepts.names}
    assert shown["zero"] == [True, False, False, False]
    assert shown["prime"] == [False, False, True, False]
    assert shown["square_number"] == [True, True, False, True]
    assert shown["has_loop"] == [True, False, False, True]
    assert shown["top_heavy"] == [True, False, False, False]
    assert shown["leans_right"] == [False, True, False, False]


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(OptionError, match=r"pip install 'neuronym\[demo\]'"):
        demo.train()


def test_a_place_where_no_folder_can_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot create the folder"):
        demo.demo(tmp_path / "file" / "out")
