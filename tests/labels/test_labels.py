import math

import numpy as np
import pytest

from neuronym import Explanation, Formula, Label, Labels, OptionError, UnknownNameError, label


def explanation(text, auc=0.9, count=10, total=40, **more):
    return Explanation(Formula.parse(text), auc, count / total, count, **more)


@pytest.fixture
def labels():
    dog = explanation("dog & ~grass", 0.95, p=0.01, log10_p=-2.0)
    cat = explanation("cat", 0.7, p=0.5, log10_p=math.log10(0.5))
    return Labels(
        [
            Label(0, best=dog, path=(cat, dog), runners_up=(cat,), aliases={"dog": ("pug",)}),
            Label(1, reason="constant"),
            Label(2, best=cat, path=(cat, cat)),
        ]
    )


def test_a_label_gives_the_numbers_of_its_best_formula(labels):
    found = labels[0]
    assert (found.formula, found.auc, found.fraction, found.count, found.length) == (
        Formula.parse("dog & ~grass"),
        0.95,
        0.25,
        10,
        2,
    )
    empty = labels[1]
    assert (empty.formula, empty.count, empty.length) == (None, None, None)
    assert math.isnan(empty.auc)
    assert math.isnan(empty.fraction)


def test_labels_are_found_by_neuron_and_iterated_in_order(labels):
    assert [one.neuron for one in labels] == [0, 1, 2]
    assert labels["2"] == labels[2]
    assert len(labels) == 3
    with pytest.raises(UnknownNameError, match="no label for neuron '7'; there are 3, such as 0, 1, 2"):
        labels[7]
    with pytest.raises(UnknownNameError, match="no label for neuron '7'"):
        labels.of(7)
    assert list(labels.of("0")) == [labels[0]]


def test_filter(labels):
    assert [x.neuron for x in labels.filter(lambda x: x.auc > 0.8)] == [0]
    assert [x.neuron for x in labels.filter(reason="constant")] == [1]
    assert [x.neuron for x in labels.filter(lambda x: x.auc > 0.8, neuron=2)] == []
    with pytest.raises(OptionError, match="labels have no column 'colour'"):
        labels.filter(colour="red")


def test_sort_puts_what_is_missing_last(labels):
    assert [x.neuron for x in labels.sort()] == [0, 2, 1]
    assert [x.neuron for x in labels.sort("auc", descending=False)] == [2, 0, 1]
    assert [x.neuron for x in labels.sort("log10_p")] == [0, 2, 1]
    assert [x.neuron for x in labels.sort("formula")] == [2, 0, 1]
    assert [x.neuron for x in labels.sort(lambda x: -x.neuron)] == [2, 1, 0]
    with pytest.raises(OptionError, match="labels have no column 'colour'"):
        labels.sort("colour")


def test_the_frame_has_the_columns_of_the_contract(labels):
    frame = labels.to_frame()
    assert list(frame.columns) == [
        *["neuron", "direction", "formula", "auc", "fraction", "count", "length", "p", "log10_p", "reason"],
        *["path", "runners_up", "aliases"],
    ]
    assert frame["formula"][0] == "dog & ~grass"
    assert frame["count"].tolist()[0] == 10
    assert frame["auc"].isna().tolist() == [False, True, False]
    step = {"formula": "cat", "auc": 0.7, "fraction": 0.25, "count": 10, "length": 1}
    assert frame["path"][0][0] == {**step, "p": 0.5, "log10_p": math.log10(0.5)}
    assert frame["path"][2][0] == step
    layered = Labels([Label(0, layer="a")]).to_frame()
    assert next(iter(layered.columns)) == "layer"
    assert "aliases" not in layered


def test_the_printed_table(labels):
    assert repr(labels).splitlines() == [
        "Labels: 3 labels, 1 without a formula",
        "neuron  formula          auc  fraction  count  log10_p",
        "0       dog & ~grass  0.9500    0.2500     10     -2.0",
        "1       (constant)",
        "2       cat           0.7000    0.2500     10     -0.3",
    ]
    many = Labels([Label(n, reason="constant") for n in range(25)])
    assert repr(many).splitlines()[-1] == "… 5 more"
    assert repr(Labels([])) == "Labels: 0 labels"


def test_the_notebook_table_escapes_names():
    html = Labels([Label(0, best=explanation('"<script>"'))])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_printed_label_says_what_p_does_not_account_for(labels):
    shown = str(labels[0])
    assert shown.splitlines()[0] == "neuron 0: dog & ~grass"
    assert "does not account for the search" in shown
    assert "dog: same samples as pug" in shown
    assert "length ≤ 1: cat" in shown
    assert "runner-up: cat" in shown
    assert str(Label(3, "layer4", "low", explanation("a"))).startswith("neuron layer4 3, low inside: a")


def test_equality_is_of_every_column(labels):
    assert labels == Labels(list(labels))
    assert labels != labels.head(2)
    assert labels != Labels([labels[0], labels[1], Label(2, best=explanation("cat", 0.7000001))])
    assert labels != "labels"


def test_a_real_label_prints_its_path_by_length():
    rng = np.random.default_rng(0)
    found = label(rng.normal(size=200), rng.random((200, 5)) < 0.3)[0]
    assert [line.split(":")[0].strip() for line in str(found).splitlines()[2:]] == [
        "proven",
        "length ≤ 1",
        "length ≤ 2",
        "length ≤ 3",
        "runner-up",
        "runner-up",
        "runner-up",
    ]


def test_a_label_shows_itself_in_a_notebook():
    formula = Formula.parse('"<b>x</b>" & ~y')
    html = Label(3, "a<b", best=Explanation(formula, 0.9, 0.2, 20))._repr_html_()
    assert "<strong>neuron a&lt;b 3: &lt;b&gt;x&lt;/b&gt; &amp; ~y</strong>" in html
    assert "<li>AUC 0.9000, 20 samples (20.00%)" in html
    assert "<b>" not in html.replace("<strong>", "")
