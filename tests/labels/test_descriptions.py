"""Labels of other tools, as their files have them."""

import csv
import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from neuronym import (
    Activations,
    ActivationsError,
    Concepts,
    ConceptsError,
    FileError,
    Labels,
    OptionError,
    UnknownNameError,
    agreement,
    label,
)
from neuronym.labels import open_descriptions, save_for_cosy

# Columns as the tools write them; the rows are made up.
TALLY = """unit,category,label,score,object-label,object-truth,object-activation,object-intersect,object-iou
2,object,dog,0.08,dog,100,50,10,0.08
1,scene,night_sky-s,0.11,night_sky-s,100,50,10,0.11
3,object,((dog OR night sky) AND (NOT cat)),0.2,dog,100,50,10,0.08
"""
CLIP = 'layer,unit,description,similarity\nlayer4,0,Night-sky,0.25\nlayer4,1,"hound, dog",0.5\nfc,0,velvet,0.125\n'
MILAN = "layer,unit,description\nlayer4,0,Spots of the color white\nlayer4,1,dog\n"
INVERT = "neuron,concept,concept_id,metric\n0,night sky,n1,0.75\n1,cat,n2,0.5\n"
SHOWN = np.random.default_rng(0).random((200, 3)) < 0.3


@pytest.fixture
def concepts():
    return Concepts.from_array(SHOWN, ["dog", "night_sky", "cat"])


def written(tmp_path, text):
    path = tmp_path / "of_a_tool.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_tally_counts_units_from_one_and_has_formulas(tmp_path, concepts):
    found = open_descriptions(written(tmp_path, TALLY), concepts)
    assert [(one.neuron, str(one.formula), one.score, one.value) for one in found] == [
        (0, "night_sky", "score", 0.11),
        (1, "dog", "score", 0.08),
        (2, "~cat & (dog | night_sky)", "score", 0.2),
    ]
    assert open_descriptions(written(tmp_path, TALLY), first=0)[3].formula.concepts == ("cat", "dog", "night sky")


def test_descriptions_are_concepts_of_the_same_name(tmp_path, concepts):
    found = open_descriptions(written(tmp_path, CLIP), concepts)
    assert [(one.layer, one.neuron, one.formula and str(one.formula), one.value) for one in found] == [
        ("layer4", 0, "night_sky", 0.25),
        ("layer4", 1, "dog", 0.5),
        ("fc", 0, None, pytest.approx(math.nan, nan_ok=True)),
    ]
    assert found["fc", 0].reason == "the description 'velvet' names no concept"
    assert len(open_descriptions(written(tmp_path, CLIP), layer="fc")) == 1
    milan = open_descriptions(written(tmp_path, MILAN))
    assert (str(milan[1].formula), milan[1].score, milan[0].formula.name) == ("dog", None, "Spots of the color white")
    assert str(open_descriptions(written(tmp_path, INVERT), concepts, layer="fc")["fc", 0].formula) == "night_sky"


def test_labels_of_another_tool_are_scored_compared_and_saved(tmp_path, concepts):
    values = np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32)
    values[:, 0] += 3 * SHOWN[:, 1]
    other = open_descriptions(written(tmp_path, INVERT), concepts)
    ours = label(values, concepts, length=1)
    scored = other.rescore(values, concepts, scores=["auc"])
    assert scored["auc"][0] == ours[0].auc
    assert scored["auc"][1] <= ours[1].auc
    assert agreement(ours, other)["same"].tolist()[0]
    other.save(tmp_path / "other.csv")
    again = Labels.open(tmp_path / "other.csv")
    assert [(a.formula, a.value, a.score) for a in again] == [(a.formula, a.value, a.score) for a in other]
    assert "night_sky" in str(other)
    assert "night_sky" in str(other[0])
    assert "night_sky" in other._repr_html_()


def test_labels_of_another_tool_are_measured(tmp_path, concepts):
    values = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    values[:, 0] += 3 * SHOWN[:, 1]
    path = written(tmp_path, INVERT + "2,velvet,n3,0.5\n")
    found = open_descriptions(path, concepts, activations=values)
    for one, c in zip(list(found)[:2], (1, 2), strict=True):
        shows, column = SHOWN[:, c], values[:, one.neuron]
        expected = mannwhitneyu(column[shows], column[~shows], method="asymptotic")
        assert one.auc == pytest.approx(expected.statistic / (shows.sum() * (~shows).sum()), abs=1e-12)
        assert one.best.p == pytest.approx(expected.pvalue)
        assert (one.count, one.best.fraction) == (shows.sum(), shows.mean())
    assert [one.value for one in found][:2] == [0.75, 0.5]  # what the tool says stays
    assert found[2].reason == "the description 'velvet' names no concept"
    found.save(tmp_path / "measured.csv")
    assert Labels.open(tmp_path / "measured.csv") == found
    never = Concepts.from_array(SHOWN & [True, False, True], ["dog", "night_sky", "cat"])
    assert open_descriptions(path, never, activations=values)[0].reason == "night_sky is true of no sample"
    with pytest.raises(OptionError, match="give concepts beside activations"):
        open_descriptions(path, activations=values)
    with pytest.raises(UnknownNameError, match="no neuron '1'"):
        open_descriptions(path, concepts, activations=values[:, :1])
    with pytest.raises(ActivationsError, match="NaN"):
        open_descriptions(path, concepts, activations=np.where(values > 2, np.nan, values))


def test_labels_are_saved_as_cosy_reads_them(tmp_path, concepts):
    values = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    values[:, 0] += 9 * (SHOWN[:, 1] & ~SHOWN[:, 0])
    values[:, 2] = 0
    found = label(values, concepts, length=2, min_count=5)
    save_for_cosy(found, tmp_path / "cosy.csv")
    with open(tmp_path / "cosy.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["neuron", "concept", "concept_id", "metric"]
    assert [row["neuron"] for row in rows] == ["0", "1"]  # the third is constant
    assert rows[0]["concept"] == "night sky and not dog"
    assert float(rows[0]["metric"]) == pytest.approx(found[0].auc)
    with pytest.raises(FileError, match="exists"):
        save_for_cosy(found, tmp_path / "cosy.csv")


@pytest.mark.parametrize(
    ("text", "options", "error", "match"),
    [
        ("a,b\n1,2\n", {}, FileError, "must have the columns of a tally"),
        ("unit,label,score\n1,dog,high\n", {}, FileError, "must have a number beside each description, not 'high'"),
        (CLIP, {"layer": "layer9"}, OptionError, "has no layer 'layer9': it has 'fc', 'layer4'"),
        (CLIP, {"first": -1}, OptionError, "first must be the number of the first neuron"),
        ("unit,label,score\n", {}, FileError, "has no rows"),
        ("unit,unit,label\n1,1,dog\n", {}, FileError, r"has 1 column more than once \('unit'\)"),
        ("unit,label\n0,dog\n", {}, FileError, "whole numbers from 1, not '0': with first=0 they count from 0"),
        ("unit,description\n-1,dog\n", {}, FileError, "unit in .* must be whole numbers from 0, not '-1'"),
        ("unit,description\n0.5,dog\n", {}, FileError, "must be whole numbers from 0, not '0.5'"),
        ("unit,description\n,dog\n", {}, FileError, "must be whole numbers from 0, not ''"),
        ("unit,description\n3,dog\n3,cat\n", {}, FileError, r"describes 1 neuron more than once \(3\).* of one layer"),
        (
            CLIP + "fc,0,dog,1\n",
            {},
            FileError,
            r"describes 1 neuron more than once \(0 of layer fc\): keep one row for each$",
        ),
    ],
)
def test_a_table_of_another_kind_is_refused(tmp_path, text, options, error, match):
    with pytest.raises(error, match=match):
        open_descriptions(written(tmp_path, text), **options)


def test_a_description_is_never_guessed(tmp_path):
    """Commas list things in MILAN and are part of names in CoSy's files; two concepts of one form are told apart."""
    names = ["church", "night_sky", "night-sky", "indoor place"]
    concepts = Concepts.from_array(SHOWN[:, [0, 1, 2, 0]], names).merge_equal()
    milan = 'layer,unit,description\n3,0,"church, trees"\n3,1,night sky\n3,2,night-sky\n3,3,\n3,4,Indoor_place\n'
    found = open_descriptions(written(tmp_path, milan), concepts, layer="3")
    assert [None if one.formula is None else one.formula.name for one in found] == [
        None,
        None,
        "night-sky",
        None,
        "church",
    ]
    assert [one.reason for one in found][:4] == [
        "the description 'church, trees' names no concept",
        "the description 'night sky' names several concepts: 'night_sky', 'night-sky'",
        None,
        "no description",
    ]
    cosy = 'neuron,concept,concept_id,metric\n0,"church, outdoor",91,0.9\n1,church,90,0.9\n'
    assert [one.formula is None for one in open_descriptions(written(tmp_path, cosy), concepts)] == [True, False]
    clip = 'unit,description,similarity\n0,"minster, church",0.9\n1,"church, night-sky",0.9\n'
    found = open_descriptions(written(tmp_path, clip), concepts)
    assert found[0].formula.name == "church"
    assert found[1].reason.endswith("names several concepts: 'church', 'night_sky', 'night-sky'")
    compexp = "unit,label\n1,(night sky OR church)\n2,(church AND (NOT tree-s))\n3,(church AND OR)\n4,church-s\n"
    assert [one.reason for one in open_descriptions(written(tmp_path, compexp), concepts)] == [
        "the description '(night sky OR church)' names several concepts in 'night sky': 'night_sky', 'night-sky'",
        "the description '(church AND (NOT tree-s))' names no concept in 'tree-s'",
        "the description '(church AND OR)' is no formula",
        None,
    ]


def test_descriptions_of_other_concepts_are_an_error(tmp_path, concepts):
    with pytest.raises(
        ConceptsError, match=r"no description in .* names one concept: the description 'Hinges' names no"
    ):
        open_descriptions(written(tmp_path, "layer,unit,description\nfc,0,Hinges\nfc,1,Poles\n"), concepts)


def test_what_cosy_cannot_read_is_not_saved(tmp_path, concepts):
    values = np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32)
    named = label(Activations(values, names=["a", "b"]), concepts, length=1)
    with pytest.raises(OptionError, match="CoSy numbers neurons from 0"):
        save_for_cosy(named, tmp_path / "cosy.csv")
    layers = label({"one": values, "two": values}, concepts, length=1)
    with pytest.raises(OptionError, match="CoSy reads a file for each layer"):
        save_for_cosy(layers, tmp_path / "cosy.csv")
    save_for_cosy(layers, tmp_path / "cosy.csv", layer="two")
    with pytest.raises(OptionError, match="CoSy reads one label per neuron"):
        save_for_cosy(label(values, concepts, length=1, direction="both"), tmp_path / "other.csv")
    with pytest.raises(OptionError, match="none of them has a formula"):
        save_for_cosy(label(0 * values, concepts, length=1), tmp_path / "other.csv")
