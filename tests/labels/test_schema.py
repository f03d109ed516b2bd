import json
import math
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from neuronym import Explanation, Formula, Label, Labels, OptionError
from neuronym.labels.schema import COLUMNS, FormulaNumbers, FromBestFormula, LabelNumbers, column
from neuronym.report.page import report

NAMES = [one.name for one in COLUMNS]
STORED = [one.name for one in COLUMNS if one.stored]
PACKAGE = Path(__file__).parents[2] / "src/neuronym"


def full():
    """A label with every column filled, each number another one."""

    def numbers(cls, start):
        floats = [one.name for one in fields(cls) if one.type == "float"]
        return {name: (start + k) / 97 for k, name in enumerate(floats)}

    step = Explanation(Formula.parse("cat"), 0.8, 0.3, 30, **numbers(FormulaNumbers, 1))
    best = Explanation(Formula.parse('dog & ~"new grass"'), 0.9, 0.2, 20, **numbers(FormulaNumbers, 20))
    own = numbers(LabelNumbers, 40) | {"permutations": 99, "tail": True, "optimal": True}
    return Label(3, "a", "low", best, (step, None, best), (step,), "why not", {"dog": ("pug",)},
                 alternatives=((best.formula, 0.75), (None, 0.25)), score="iou", **own)  # fmt: skip


def test_numbers_that_are_declared_have_a_column_and_columns_are_there():
    of_best = {name for name, value in vars(LabelNumbers).items() if isinstance(value, FromBestFormula)}
    declared = {one.name for one in fields(FormulaNumbers)}
    assert {one.name for one in fields(LabelNumbers)} | of_best | declared - {"gain"} <= set(NAMES)
    assert declared - of_best == {"gain", "p_gain"}
    assert len(set(NAMES)) == len(NAMES)
    for name in NAMES:
        assert getattr(full(), name) is not None, name
    for one in COLUMNS:
        assert bool(one.form) == one.numeric, one.name


def test_every_number_is_described_in_the_docstrings():
    for cls in (Explanation, Label):
        for one in fields(cls):
            assert re.search(rf"^ *(\w+, )*{one.name}(, \w+)* :|^ *{one.name}\b", cls.__doc__, re.MULTILINE), one.name
    assert column("stability").about in Label.__doc__


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
def test_files_and_frames_hold_every_stored_column_in_order(tmp_path, kind):
    labels = Labels([full(), Label(4, "b", reason="constant")])
    frame = labels.to_frame()
    assert list(frame.columns) == STORED
    assert frame.notna().iloc[0].all()
    path = tmp_path / f"labels.{kind}"
    labels.save(path)
    if kind == "csv":
        assert path.read_text(encoding="utf-8").splitlines()[0].split(",") == STORED
    elif kind == "json":
        assert list(json.loads(path.read_text(encoding="utf-8"))["labels"][0]) == STORED
    again = Labels.open(path)
    assert again[3] == full()
    assert again == labels


def test_a_label_that_fills_nothing_has_the_columns_that_are_always_there():
    assert list(Labels([Label(0)]).to_frame().columns) == [one.name for one in COLUMNS if one.stored and one.always]


def test_titles_are_names_in_order():
    titles, rows = Labels([full()]).cells()
    assert titles == [one.name for one in COLUMNS if one.printed]
    assert rows[0] == [one.text(full()) for one in COLUMNS if one.printed]
    assert "<th>p_search</th>" in Labels([full()])._repr_html_()


def test_labels_are_sorted_and_filtered_by_every_column():
    labels = Labels([Label(4), full()])
    for one in COLUMNS:
        value = getattr(full(), one.name)
        assert [x.neuron for x in labels.filter(**{one.name: value})][-1] == 3, one.name
        if one.kind == "nested":
            with pytest.raises(OptionError, match=f"cannot be sorted by '{one.name}'"):
                labels.sort(one.name)
        else:
            assert len(labels.sort(one.name)) == 2
    for name in ("colour", "shortened", "best", "_lines"):
        with pytest.raises(
            OptionError, match=f"labels have no column '{name}': choose from layer, neuron, direction, formula, auc"
        ):
            labels.sort(name)
        with pytest.raises(OptionError, match=f"labels have no column '{name}'"):
            labels.filter(**{name: 1})


@pytest.mark.parametrize(
    ("log10", "shown"),
    [(-411.6, "2.5e-412"), (-412.0, "1e-412"), (-400.001, "1e-400"), (math.nan, "< 1e-323"), (-2.0, "0.01")],
)
def test_a_p_too_small_for_a_float_is_shown_by_its_exponent(log10, shown):
    p = 10**log10 if log10 > -300 else 0.0
    label = Label(0, best=Explanation(Formula.parse("a"), 0.9, 0.1, 10, p=p, log10_p=log10))
    assert column("p").text(label) == shown


def test_no_p_is_shown_as_zero():
    best = Explanation(Formula.parse("a"), 0.9, 0.1, 10, p_gain=0.0)
    label = Label(0, best=best, path=(best,), p_search=0.0, q=0.0, tail=True, permutations=9)
    titles, (row,) = Labels([label]).cells()
    shown = dict(zip(titles, row, strict=True))
    assert (shown["p_search"], shown["q"], shown["p_gain"]) == ("≤ < 1e-323", "< 1e-323", "< 1e-323")
    assert "held-out gain" not in str(label)
    assert Label(0, p_search=1e-20, q=3e-20).p_search_text == "1e-20"


def test_the_page_has_the_columns_of_the_schema(tmp_path):
    page = report(Labels([full()]), tmp_path / "out")
    index = json.loads((page.parent / "data/index.js").read_text()[len('neuronym.piece("index",') : -3])
    assert [one["name"] for one in index["schema"] if one["page"]] == [one.name for one in COLUMNS if one.page]
    assert {one["name"]: one["form"] for one in index["schema"]}["p_search"] == column("p_search").form
    assert {one.name for one in COLUMNS if one.page} - {"length"} <= set(index["columns"])
    told = json.loads((page.parent / "data/neurons/0.js").read_text()[len('neuronym.piece("neurons/0",') : -3])
    assert {one.name for one in COLUMNS if one.numeric and one.stored} <= set(told["neurons"][0])


ADDED = """
import json
from neuronym import Explanation, Formula, Label, Labels
from neuronym.report.page import report
best = Explanation(Formula.parse("a"), 0.9, 0.1, 10, novel=0.125)
labels = Labels([Label(0, best=best, path=(best,), runners_up=(best,))])
assert list(labels)[0].novel == labels.to_frame()["novel"][0] == 0.125
for kind in ("csv", "parquet", "json"):
    labels.save(f"l.{kind}")
    assert list(Labels.open(f"l.{kind}"))[0] == list(labels)[0], kind
assert "novel" in repr(labels) and "0.125" in repr(labels)
text = report(labels, "out").parent.joinpath("data/index.js").read_text()
index = json.loads(text.partition(",")[2][:-3])
assert index["columns"]["novel"] == {"scaled": [1250]}
shown = {"page": True, "shown": True}
assert index["schema"][-1] == {"name": "novel", "kind": "number", "about": "New.", "form": ".3f", **shown}
"""


def test_a_number_is_added_in_the_schema_alone(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "neuronym", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "neuronym/labels/schema.py"
    text = path.read_text(encoding="utf-8")
    row = '    Column("novel", "number", "New.", ".3f", printed=True, page=True),\n)  # fmt: skip\n'
    for old, new in (
        (")  # fmt: skip\n", row),
        ("    gain: float = math.nan\n", "    gain: float = math.nan\n    novel: float = math.nan\n"),
        ("    auc, value, fraction, p, ", "    novel = FromBestFormula()\n    auc, value, fraction, p, "),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", ADDED], cwd=tmp_path, capture_output=True, text=True,
                          env={"PYTHONPATH": str(tmp_path)})  # fmt: skip
    assert done.returncode == 0, done.stderr
