import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_recall_curve, precision_score, recall_score, roc_auc_score

from neuronym import ActivationsError, Concepts, Formula, OptionError, UnknownNameError, label, pairs
from neuronym._util import extras
from neuronym.analysis.detect import _shortened, detect
from neuronym.inputs import align
from neuronym.stats.split import hold_out
from reference import best_threshold

N = 1200
NAMES = ["planted", "low", "either", "noise", "rare", "same"]


@pytest.fixture(scope="module")
def data():
    """Neurons 1, 2 and 3 follow hidden bits, of which the concepts are formulas."""
    rng = np.random.default_rng(3)
    bits = rng.random((N, 3)) < [0.4, 0.2, 0.2]
    values = rng.normal(size=(N, 7))
    values[:, 1:4] = 3 * bits + 0.4 * rng.normal(size=(N, 3))
    values[:, 6] = 2.0
    a, b, c = bits.T
    concepts = np.stack([a & ~b, ~a, b | c, rng.random(N) < 0.3, np.arange(N) < 9, a & ~b], axis=1)
    held = hold_out(align(values, Concepts.from_array(concepts, NAMES))[0].groups.row_groups, None, 0.5, 0)
    return values.astype(np.float32), concepts, held


def found(values, concepts, **options):
    table = detect(values, concepts, names=NAMES, **{"probe": False, "length": 2, **options})
    return table.set_index("concept")


def truth_of(formula, values):
    """Which samples a formula of thresholded neurons is true for, read off its text."""
    parsed = Formula.parse(formula)
    columns = {}
    for name in parsed.concepts:
        neuron, sign, threshold = name.split()
        column = values[:, int(neuron.removeprefix("n"))].astype(np.float64)
        columns[name] = column >= float(threshold) if sign == "≥" else column > float(threshold)
    return parsed.evaluate(Concepts.from_array(pd.DataFrame(columns)))


def literals(formula):
    """The neurons of a formula, and whether each is high."""
    text = str(formula).replace('"', "")
    return sorted((int(part.split()[0].strip("~n")), not part.startswith("~")) for part in text.split(" & "))


def test_a_planted_formula_is_found(data):
    values, concepts, _ = data
    table = found(values, concepts)
    assert list(table.index) == ["planted", "low", "either", "noise"]
    assert literals(table["formula"]["planted"]) == [(1, True), (2, False)]
    assert literals(table["formula"]["low"])[0] == (1, False)
    assert sorted(part.split()[0].strip('~"n') for part in table["formula"]["either"].split(" | ")) == ["2", "3"]
    assert (table.loc[["planted", "low", "either"], "f1_heldout"] > 0.95).all()
    assert table["f1_heldout"]["noise"] < 0.6
    assert table["optimal"].all()
    assert (table["gap"] == 0).all()
    assert found(values, concepts, targets=["same", "planted"]).index.tolist() == ["planted"]  # an alias
    assert found(values, concepts, targets="either").equals(table.loc[["either"]])


def test_numbers_are_those_of_the_formula_as_it_is_written(data):
    values, concepts, held = data
    table = found(values, concepts, length=3)
    for name, row in table.iterrows():
        inside, truth = concepts[:, NAMES.index(name)], truth_of(row["formula"], values)
        assert row["count"] == inside[~held].sum()
        assert row["length"] == len(Formula.parse(row["formula"]).concepts)
        assert row["f1"] == pytest.approx(f1_score(inside[~held], truth[~held]), rel=1e-12)
        assert row["f1_heldout"] == pytest.approx(f1_score(inside[held], truth[held]), rel=1e-12)
        assert row["precision_heldout"] == pytest.approx(precision_score(inside[held], truth[held]), rel=1e-12)
        assert row["recall_heldout"] == pytest.approx(recall_score(inside[held], truth[held]), rel=1e-12)
        assert row["auc_heldout"] == pytest.approx(roc_auc_score(inside[held], truth[held]), rel=1e-12)
        neuron = truth_of(row["neuron"], values)
        assert row["neuron_f1"] == pytest.approx(f1_score(inside[~held], neuron[~held]), rel=1e-12)
        assert row["neuron_f1_heldout"] == pytest.approx(f1_score(inside[held], neuron[held]), rel=1e-12)
        ((place, high),) = literals(row["neuron"])
        auc = roc_auc_score(inside[held], values[held, place] * (1 if high else -1))
        assert row["neuron_auc_heldout"] == pytest.approx(auc, rel=1e-12)
        every = [best_threshold(values[~held, j], inside[~held], low)[0] for j in range(7) for low in (False, True)]
        assert row["neuron_f1"] == max(every)
        assert row["f1"] >= row["neuron_f1"]


def test_the_search_is_that_of_labels(data):
    """The same formula as ``label`` finds by F1, given the yes-or-no of the candidates as its concepts."""
    values, concepts, held = data
    table = found(values, concepts, targets=["noise"], length=2)
    inside, cuts = concepts[:, 3], {}
    for j in range(6):
        for low in (False, True):
            f1, threshold = best_threshold(values[~held, j].astype(np.float64), inside[~held], low)
            text = _shortened(values[~held, j].astype(np.float64), threshold, low)[1]
            name = f"n{j} {'>' if low else '≥'} {text}"
            column = values[~held, j].astype(np.float64)
            cuts[name] = (-f1, column > float(text) if low else column >= float(text))
    ordered = dict(sorted(cuts.items(), key=lambda one: one[1][0]))  # stable, as the candidates are
    literals = Concepts.from_array(pd.DataFrame({name: truth for name, (_, truth) in ordered.items()}))
    (known,) = label(inside[~held].astype(float), literals, length=2, score="f1", threshold=0.5, max_fraction=1.0)
    assert str(known.formula) == table["formula"]["noise"]
    assert known.value == pytest.approx(table["f1"]["noise"], rel=1e-12)


def test_probes_are_those_of_scikit_learn(data):
    values, concepts, held = data
    table = found(values, concepts, probe=True, targets=["planted", "noise"])
    train = values[~held].astype(np.float64)
    spread = np.where(train.std(axis=0) > 0, train.std(axis=0), 1)
    scaled = (values.astype(np.float64) - train.mean(axis=0)) / spread
    for name, row in table.iterrows():
        inside = concepts[:, NAMES.index(name)]
        x, y = scaled[~held], inside[~held]
        by_name = {
            "probe": LogisticRegression(max_iter=10_000).fit(x, y).decision_function(scaled),
            "difference": scaled @ (x[y].mean(axis=0) - x[~y].mean(axis=0)),
        }
        for kind, scores in by_name.items():
            precision, recall, thresholds = precision_recall_curve(y, scores[~held])
            f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
            called = scores[held] >= thresholds[np.argmax(f1[:-1])]
            assert row[f"{kind}_auc_heldout"] == pytest.approx(roc_auc_score(inside[held], scores[held]), rel=1e-9)
            assert row[f"{kind}_f1_heldout"] == pytest.approx(f1_score(inside[held], called), abs=0.01)
    assert table["probe_f1_heldout"]["planted"] > table["difference_f1_heldout"]["planted"] > 0.7


def test_thresholds_are_as_short_as_they_can_be():
    values = np.array([0.1, 0.25, 0.31, 7.0])
    assert _shortened(values, 0.31, False) == (0.3, "0.3")
    assert _shortened(values, 0.25, True) == (0.25, "0.25")  # 0.2 is below the value itself, and 0.3 would do by luck
    assert _shortened(values, 0.1, False) == (0.1, "0.1")
    assert _shortened(np.array([0.3, 0.31]), 0.31, False) == (0.31, "0.31")  # the neighbour is on the other side
    assert _shortened(np.array([0.29, 0.3]), 0.29, True) == (0.29, "0.29")
    assert _shortened(np.array([1 / 3, np.nextafter(1 / 3, 1)]), 1 / 3, True)[0] == 1 / 3


def test_the_table_does_not_depend_on_how_it_is_made(data, tmp_path):
    values, concepts, _ = data
    table = found(values, concepts, probe=True)
    assert found(values, concepts, probe=True, n_jobs=2).equals(table)
    np.save(tmp_path / "a.npy", values)
    assert found(tmp_path / "a.npy", concepts, probe=True).equals(table)
    thin = np.where(values > 0.5, values, 0)
    assert found(sparse.csc_array(thin), concepts, probe=True).equals(found(thin, concepts, probe=True))
    layers = found({"a": values, "b": values[:, :2]}, concepts, probe=True)
    assert layers["layer"].tolist() == ["a"] * 4 + ["b"] * 4
    assert layers[layers["layer"] == "a"].drop(columns="layer").equals(table)


def test_the_best_neuron_is_that_of_the_pairs(data):
    values, concepts, _ = data
    table = pairs(values, concepts, names=NAMES, holdout=0.5)
    best = table.detectors("either", 1, by="f1").iloc[0]
    row = found(values, concepts).loc["either"]
    assert row["neuron"].startswith(f'"n{best["neuron"]} ≥')
    assert row["neuron_f1"] == best["f1"]


def test_a_formula_is_true_for_enough_samples(data):
    values, concepts, _ = data
    table = found(values, concepts, targets=["planted"], min_count=10, min_change=10**6)
    assert table["length"].tolist() == [1]
    few = found(values, concepts, targets=["rare"], min_count=3, candidates=1)
    assert few["count"]["rare"] >= 3
    nothing = found(values[:, [6]], concepts, targets=["planted"])
    assert nothing["formula"].isna().all()
    assert np.isnan(nothing["f1"]["planted"])


def test_names_of_neurons_are_told_apart(data):
    values, concepts, _ = data
    named = pd.DataFrame(values[:, 1:3], columns=["n1", "edge"])
    table = found(named, concepts, targets=["planted"])
    assert table["formula"]["planted"].startswith('"n1 ≥ ')
    assert '~"edge ' in table["formula"]["planted"]


def test_bad_input_gets_one_clear_line(data, monkeypatch):
    values, concepts, _ = data
    for options, message in (
        ({"candidates": 0}, "candidates must be a whole number of at least 1, not 0"),
        ({"holdout": None}, "holdout must lie between 0 and 1, not None"),
        ({"targets": "rare"}, "concept 'rare' is true, or false, for fewer than 20 of the 600 samples searched"),
        ({"min_count": 599}, "there is no concept to find a formula for"),
        ({"targets": []}, "targets is empty"),
        ({"length": 0}, "length must be a whole number of at least 1"),
    ):
        with pytest.raises(OptionError, match=message):
            found(values, concepts, **options)
    with pytest.raises(UnknownNameError, match="no concept 'plant'; near it: 'planted'"):
        found(values, concepts, targets=["plant"])
    with pytest.raises(ActivationsError, match="there is no neuron to make formulas of"):
        found(values, concepts, neurons=[])
    with pytest.raises(ActivationsError, match="activations contain NaN or infinity"):
        found(np.where(values > 3, np.inf, values), concepts)
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "sklearn" else sys)
    with pytest.raises(
        OptionError, match=r"--no-probe, leaves it out\) needs sklearn: pip install 'neuronym\[probe\]'"
    ):
        found(values, concepts, probe=True)
    assert len(found(values, concepts)) == 4
