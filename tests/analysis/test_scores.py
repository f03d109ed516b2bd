"""Scores side by side, known truth, and agreement between sets of labels."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from neuronym import (
    Activations,
    Concepts,
    Explanation,
    FileError,
    Formula,
    Hierarchy,
    InputError,
    Label,
    Labels,
    OptionError,
    UnknownNameError,
    agreement,
    compare_scores,
    evaluate_known,
    label,
    save_concepts,
)
from neuronym.analysis.scores import open_truth, wu_palmer
from neuronym.plots.scores import plot_scores
from neuronym.search import SCORES
from reference import auc_by_pairs, quantile_of, score_of

TREE = Hierarchy([("pug", "dog"), ("husky", "dog"), ("dog", "animal"), ("cat", "animal"), ("animal", "thing"),
                  ("car", "thing")])  # fmt: skip


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    shown = rng.random((400, 4)) < [0.3, 0.2, 0.4, 0.1]
    values = rng.normal(size=(400, 3))
    values[:, 0] += 3 * (shown[:, 0] & ~shown[:, 1])
    values[:, 1] = np.maximum(values[:, 1] + 2 * shown[:, 2], 0)
    values[:, 2] -= 2 * shown[:, 3]
    return values, Concepts.from_array(shown, ["pug", "cat", "car", "husky"])


def of(text, **options):
    return Explanation(Formula.parse(text), 0.9, 0.1, 10, **options)


def test_labels_are_rescored_by_every_score(data):
    values, concepts = data
    labels = label(values, concepts, length=2, direction="both", min_count=5)
    table = labels.rescore(values, concepts, scores=[*SCORES, "average_precision"], quantile=0.9)
    ones = np.ones(400, int)
    for one, row in zip(labels, table.to_dict("records"), strict=True):
        assert (row["neuron"], row["direction"], row["formula"]) == (one.neuron, one.direction, str(one.formula))
        own = values[:, one.neuron] * (-1 if one.direction == "low" else 1)
        inside = one.formula.evaluate(concepts)
        threshold = quantile_of(own, ones, 0.9)
        for name in SCORES:
            if name == "recall" and not (own > threshold).any():
                assert np.isnan(row[name])  # 0 / 0
            else:
                assert row[name] == pytest.approx(score_of(name, own, inside, ones, threshold), rel=1e-9), name
        assert row["auc"] == one.auc
        assert row["average_precision"] == pytest.approx(average_precision_score(inside, own))


def test_what_cannot_be_rescored_is_said(data):
    values, concepts = data
    labels = Labels([Label(0, best=of("pug & cat & ~pug")), Label(1, reason="constant")])
    table = labels.rescore(values, concepts, scores="f1")
    assert table["f1"].isna().all()
    with pytest.raises(UnknownNameError, match="no score 'f2'"):
        labels.rescore(values, concepts, scores=["f2"])
    with pytest.raises(OptionError, match="scores is empty"):
        labels.rescore(values, concepts, scores=[])
    with pytest.raises(UnknownNameError, match="no layer"):
        Labels([Label(0, layer="x"), Label(0, layer="y")]).rescore({"x": values}, concepts)


def test_known_neurons_are_evaluated(data):
    values, concepts = data
    labels = label(values, concepts, length=2, min_count=5)
    table = evaluate_known(
        labels, {0: "pug & ~cat", 1: "car", 2: "cat"}, activations=values, concepts=concepts, hierarchy=TREE
    )
    first = table.iloc[0]
    assert (first["formula"], first["exact"], first["contains"]) == ("pug & ~cat", True, True)
    assert np.isnan(first["rank"])  # a formula has no rank among single concepts
    assert first["similarity"] == 1
    for i, truth in ((1, "car"), (2, "cat")):
        aucs = {name: auc_by_pairs(values[:, i], concepts[name]) for name in concepts.names}
        assert table.iloc[i]["rank"] == 1 + sum(auc > aucs[truth] for auc in aucs.values())
    ranks = table["rank"].dropna()
    assert table.attrs["top1"] == (ranks == 1).mean()
    assert table.attrs["mrr"] == pytest.approx((1 / ranks).mean())
    assert table.attrs["exact"] == table["exact"].mean()
    parents = evaluate_known(Labels([Label(0, best=of("animal")), Label(1, best=of("car"))]), {0: "pug", 1: "pug"},
                             hierarchy=TREE)  # fmt: skip
    assert parents["parent"].tolist() == [True, False]
    assert parents["contains"].tolist() == [False, False]
    assert parents["similarity"].tolist() == [wu_palmer("animal", "pug", TREE), wu_palmer("car", "pug", TREE)]


def test_the_similarity_of_wu_and_palmer_by_hand():
    # Depths from the top: thing 1, animal 2, car 2, dog 3, cat 3, pug 4, husky 4.
    assert wu_palmer("pug", "husky", TREE) == 2 * 3 / (4 + 4)
    assert wu_palmer("pug", "dog", TREE) == 2 * 3 / (4 + 3)
    assert wu_palmer("pug", "cat", TREE) == 2 * 2 / (4 + 3)
    assert wu_palmer("pug", "car", TREE) == 2 * 1 / (4 + 2)
    assert wu_palmer("pug", "pug", TREE) == 1
    assert wu_palmer("pug", "elsewhere", TREE) == 0


def test_truth_comes_from_a_table_and_layers_are_kept_apart(tmp_path):
    labels = Labels([Label(0, layer="a", best=of("pug")), Label(0, layer="b", best=of("cat"))])
    pd.DataFrame({"layer": ["a", "b"], "neuron": [0, 0], "truth": ["pug", "pug"]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    assert evaluate_known(labels, tmp_path / "t.csv")["exact"].tolist() == [True, False]
    assert evaluate_known(labels, {("b", 0): "cat"})["layer"].tolist() == ["b"]
    assert evaluate_known(labels, {0: "a name, with signs"})["truth"].tolist() == ['"a name, with signs"'] * 2
    with pytest.raises(OptionError, match="none of the 2 labels has a truth"):
        evaluate_known(labels, {7: "pug"})
    pd.DataFrame({"neuron": [0], "label": ["x"]}).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(OptionError, match="must have the columns neuron and truth, but lacks 'truth'"):
        open_truth(tmp_path / "bad.csv")
    pd.DataFrame({"neuron": [0, 0], "truth": ["x", "y"]}).to_csv(tmp_path / "two.csv", index=False)
    with pytest.raises(OptionError, match="two truths for the neuron"):
        open_truth(tmp_path / "two.csv")
    with pytest.raises(FileError, match="there is no file"):
        open_truth(tmp_path / "none.csv")


def test_agreement_of_two_sets_of_labels(data):
    _, concepts = data
    first = Labels([Label(0, best=of("pug")), Label(1, best=of("pug & ~cat")), Label(2, reason="constant"), Label(3)])
    second = Labels([Label(1, best=of("~cat & husky")), Label(0, best=of("pug")), Label(2, best=of("cat"))])
    table = agreement(first, second, concepts, hierarchy=TREE)
    assert table["neuron"].tolist() == [0, 1, 2]
    assert table["same"].tolist() == [True, False, False]
    assert table["same_concepts"].tolist() == [True, False, False]
    a, b = (Formula.parse(text).evaluate(concepts) for text in ("pug & ~cat", "~cat & husky"))
    assert table["overlap"].tolist()[:2] == [1, (a & b).sum() / (a | b).sum()]
    assert np.isnan(table["overlap"].iloc[2])
    # pug–husky 6/8, cat–cat 1, and the same from the other side.
    assert table["similarity"].iloc[1] == pytest.approx((0.75 + 1 + 1 + 0.75) / 4)
    with pytest.raises(OptionError, match="no neuron in common"):
        agreement(first, Labels([Label(9)]))


def test_scores_side_by_side(data, tmp_path):
    values, concepts = data
    table = compare_scores(values, concepts, scores=["auc", "iou", "correlation"], truth={0: "pug & ~cat", 1: "car"},
                           quantile=0.9, holdout=0.5, min_count=5)  # fmt: skip
    assert table["searched"].tolist() == ["auc", "iou", "correlation"]
    for name in ("auc", "correlation"):
        assert table[name].idxmax() == table["searched"].tolist().index(name)
    found = table.attrs["labels"]["iou"]
    assert {one.score for one in found} == {"iou"}
    assert table["same"].iloc[0] == 1
    assert (
        table["exact"].iloc[0]
        == evaluate_known(table.attrs["labels"]["auc"], {0: "pug & ~cat", 1: "car"})["exact"].mean()
    )
    assert table["auc_heldout"].notna().all()
    plot_scores(table, tmp_path / "scores.png")
    assert (tmp_path / "scores.png").stat().st_size > 5000
    with pytest.raises(OptionError, match="give the return value of compare_scores"):
        plot_scores(pd.DataFrame({"a": [1]}), tmp_path / "other.png")
    with pytest.raises(OptionError, match="average_precision is no sum over samples"):
        compare_scores(values, concepts, scores=["average_precision"])


def test_the_command_compares(data, tmp_path, command):
    values, concepts = data
    np.save(tmp_path / "a.npy", values)
    save_concepts(concepts, tmp_path / "c.parquet")
    pd.DataFrame({"neuron": [0, 1], "truth": ["pug & ~cat", "car"]}).to_csv(tmp_path / "t.csv", index=False)
    code, out, err = command(
        "compare", tmp_path / "a.npy", tmp_path / "c.parquet", "--scores", "auc,f1", "--truth", tmp_path / "t.csv",
        "--quantile", "0.9", "--out", tmp_path / "o.csv", "--plot", tmp_path / "o.png",
    )  # fmt: skip
    assert code == 0, err
    table = pd.read_csv(tmp_path / "o.csv")
    assert table["searched"].tolist() == ["auc", "f1"]
    assert "exact" in table
    assert "f1" in out
    assert (tmp_path / "o.png").exists()
    code, _, err = command("compare", tmp_path / "a.npy", tmp_path / "c.parquet", "--scores", "auc,nonsense")
    assert (code, "no score" in err) == (2, True)


def test_layers_are_rescored_each_with_its_own(data):
    values, concepts = data
    layers = {"x": Activations(values), "y": Activations(values[:, ::-1].copy())}
    labels = label(layers, concepts, score="f1", quantile=0.9, min_count=5)
    table = labels.rescore(layers, concepts, scores=["f1", "auc"], quantile=0.9)
    assert table["f1"].tolist() == pytest.approx([one.value for one in labels])
    assert table["auc"].tolist() == [one.auc for one in labels]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_activations_that_are_not_finite_are_refused_when_labels_are_measured(wrong):
    rng = np.random.default_rng(0)
    shown = rng.random((200, 3)) < 0.4
    concepts, values = Concepts.from_array(shown, ["a", "b", "c"]), rng.normal(size=(200, 2)) + shown[:, :2]
    found = label(values, concepts, length=1)
    values[3, 1] = wrong
    with pytest.raises(InputError, match=r"NaN|infin"):
        found.rescore(values, concepts)
    with pytest.raises(InputError, match=r"NaN|infin"):
        evaluate_known(found, {0: "a", 1: "b"}, activations=values, concepts=concepts)
