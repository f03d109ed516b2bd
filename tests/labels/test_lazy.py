import csv
import json
import math
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronym import FileError, Formula, FormulaError, Labels, UnknownNameError, label
from neuronym.labels import files, lazy, plain

KINDS = (".csv", ".parquet", ".json")
N, FEW = 3000, 400


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    concepts = rng.random((200, 8)) < 0.3
    concepts[:, 7] = concepts[:, 6]  # an alias
    names = ["dog", "big dog", 'a "b"', "é", "猫", "x", "y", "=z"]
    values = rng.normal(size=(200, N))
    values[:, [50, 2500]] = 0
    return label({"one": values[:, :100], "two": values}, concepts, names=names, search="beam", min_count=5)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    for kind in KINDS:
        made.save(folder / f"l{kind}")
        made.head(FEW).save(folder / f"few{kind}")
    return folder


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(files, "_PIECE", 150)
    monkeypatch.setattr(files, "_PACKED", 64)


@pytest.fixture(params=KINDS)
def opened(folder, request):
    return Labels.open(folder / f"l{request.param}")


def test_a_file_of_thousands_comes_back_whole_and_is_not_read_row_by_row(made, opened):
    assert {type(block) for block in opened._labels._blocks} == {files.RowBlock}
    assert len(opened) == len(made) == N + 100
    assert opened == made
    assert list(opened) == list(opened)
    assert [one.neuron for one in opened] == [one.neuron for one in made]
    assert [one.aliases for one in opened] == [one.aliases for one in made]
    assert opened._summary() == made._summary() == f"Labels: {N + 100} labels, 3 without a formula"


def test_one_neuron_of_a_file_is_made_alone(opened, made, monkeypatch):
    read = []
    real = files.as_label
    monkeypatch.setattr(files, "as_label", lambda row, **more: read.append(row) or real(row, **more))
    assert opened["two", 2321].formula == made["two", 2321].formula
    assert opened[2322].path == made[2322].path
    assert len(read) == 2
    with pytest.raises(UnknownNameError, match=r"2 labels are for 7 \(one, two\)"):
        opened[7]
    with pytest.raises(UnknownNameError, match="no label for neuron '7000'"):
        opened[7000]
    with pytest.raises(UnknownNameError, match="no layer 'ten'"):
        opened["ten", 7]
    assert len(read) == 4


def better(one):
    return one.auc > 0.6


@pytest.mark.parametrize("kept", [0, 2**16])
@pytest.mark.parametrize("kind", KINDS)
def test_selections_are_those_of_labels_made_at_once(folder, monkeypatch, kind, kept):
    monkeypatch.setattr(lazy, "_KEPT", kept)
    opened = Labels.open(folder / f"few{kind}")
    slow = Labels(list(opened))
    assert isinstance(slow._labels, tuple)
    for select in (
        lambda x: x,
        lambda x: x.head(300),
        lambda x: x.head(-300),
        lambda x: x.of(7),
        lambda x: x.sort().head(40),
        lambda x: x.sort("formula").filter(layer="one"),
        lambda x: x.sort("neuron", descending=True).head(40).sort("auc", descending=False),
        lambda x: x.filter(better).significant(0.01, by="p"),
        lambda x: Labels(x.filter(reason="constant")),
    ):
        fast = select(opened)
        assert fast == select(slow)
        assert [one.neuron for one in fast] == [one.neuron for one in select(slow)]
        assert fast.summary() == select(slow).summary()
        again = pickle.loads(pickle.dumps(fast))
        assert again == fast
    first, second = opened._labels[3], opened._labels[3]
    assert first == second
    assert (first is second) == bool(kept)


def change(path, kind, row, name, value):
    """Change a cell of a file of labels."""
    if kind == ".csv":
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        rows[row + 1][rows[0].index(name)] = str(value)
        with open(path, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    elif kind == ".json":
        whole = json.loads(path.read_text(encoding="utf-8"))
        whole["labels"][row][name] = value
        lines = ",\n".join(json.dumps(one) for one in whole["labels"])
        path.write_text('{"labels": [\n' + lines + "\n]}\n", encoding="utf-8")
    else:
        table = pq.read_table(path)
        cells = table.column(name).to_pylist()
        cells[row] = value
        place = table.column_names.index(name)
        pq.write_table(table.set_column(place, name, pa.array(cells)), path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("auc", 1.5, "auc must be a number, not '1.5'"),
        ("formula", "dog & ", "expected a concept"),
        ("direction", "up", "direction must be high or low, not 'up'"),
        ("path", '[{"formula": "dog", "auc": 0.6}]', "fraction is missing"),
        ("path", '[{"formula": "dog |", "auc": 0.6, "fraction": 0.1, "count": 20}]', "expected a concept"),
        ("path", '[{"formula": "dog", "auc": 0.6, "fraction": 0.1, "count": 2.5}]', "count must be a whole number"),
        ("runners_up", "[null]", "runners_up must be an object, not 'None'"),
        ("runners_up", "[1", "runners_up must be JSON"),
        ("aliases", '{"a": 1}', "aliases must be a list of names"),
    ],
)
def test_a_broken_row_among_thousands_is_refused_at_opening(folder, tmp_path, kind, name, value, message):
    path = tmp_path / f"l{kind}"
    path.write_bytes((folder / f"few{kind}").read_bytes())
    change(path, kind, 333, name, value)
    with pytest.raises(FileError, match=rf"label 334 of .*l\{kind}' is broken: .*{message}"):
        Labels.open(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_is_odd_but_in_order_is_read(made, folder, tmp_path, kind):
    path = tmp_path / f"l{kind}"
    path.write_bytes((folder / f"few{kind}").read_bytes())
    change(path, kind, 333, "formula", "~~(é) | ((dog))|x")
    opened = Labels.open(path)
    assert opened._labels[333].formula == Formula.parse("dog | x | é")
    assert opened.head(333) == made.head(333)
    assert {type(block) for block in opened._labels._blocks} == {files.RowBlock, files.MadeBlock}


def test_json_in_another_form_is_read_too(made, folder, tmp_path):
    whole = json.loads((folder / "few.json").read_text(encoding="utf-8"))
    for place, text in enumerate(
        (
            json.dumps(whole),
            json.dumps(whole, indent=1),
            json.dumps({"made": 1} | whole),
            (folder / "few.json").read_text(encoding="utf-8") + "\n",
            (folder / "few.json").read_text(encoding="utf-8").replace("\n", "\r\n"),
        )
    ):
        (tmp_path / f"{place}.json").write_bytes(text.encode())
        assert Labels.open(tmp_path / f"{place}.json") == made.head(FEW)
    lines = (folder / "few.json").read_text(encoding="utf-8").splitlines(keepends=True)
    for broken in (lines[:-1], [*lines, "{}\n"], [*lines[:50], "\n", *lines[-1:]], [*lines[:9], "3,\n", *lines[9:]]):
        (tmp_path / "broken.json").write_text("".join(broken), encoding="utf-8")
        with pytest.raises(FileError):
            Labels.open(tmp_path / "broken.json")


TEXTS = st.text(st.sampled_from('ab1~&|() "\t\n\x00\x1c\x85\xa0\u1680\u200b\u2028\u3000\ufeffé猫'), max_size=12)


@given(TEXTS | st.lists(st.sampled_from(["a", "~b", '"c d"', " & ", " | ", "(", ")", "~", '""', " "])).map("".join))
def test_what_the_check_by_column_takes_for_a_formula_is_one(text):
    wanted, found = (parsed(by, text) for by in (Formula.parse, files._parsed))
    assert found == wanted
    assert isinstance(wanted, Formula) or not surely(text)


def parsed(by, text):
    """What a parser makes of a text, or what it says."""
    try:
        return by(text)
    except FormulaError as error:
        return str(error)


def surely(text):
    return bool(pa.compute.match_substring_regex(pa.array([text]), plain.FORMULA_TEXT)[0].as_py())


def test_formulas_as_they_are_written_are_surely_formulas():
    for text in ("a", "~a", "a & b | ~c", '~(a | "b c") & d', '"a ""b""" | (c & ~d)', "猫 | é"):
        assert surely(text)
        assert surely(str(Formula.parse(text)))


CELLS = st.sampled_from(
    [None, "", "x", "high", "low", "True", True, 0, 1, -1, 1.5, 0.25, "0.5", "1_0", "0x1F", "nan", "inf", math.nan,
     math.inf, 1e308, 2**62, 2**63, 10**30, "1" * 5000, " 1", [], {}, [None], [1], {"a": 1}, {"a": ["b"]}, "{}", "[]",
     '[{"formula": "a", "auc": 1, "fraction": 0.5, "count": 3}]', '[{"formula": "a", "auc": NaN, "count": 3}]',
     [{"formula": "a", "auc": 0.5, "fraction": 0.5, "count": 3}], [{"formula": "", "auc": 0.5}], [["a", 1]],
     [{"formula": "a", "auc": 0.5, "fraction": 0.5, "count": 3, "odd": [[]]}], "a &", "a & b", "\ud800", '[["a", 0.5]]',
     [{"formula": "a", "auc": 0.5, "fraction": 0.5, "count": 3, "p": 2}], [None, {"formula": "a &", "auc": 1}], "[1",
     {"a": ["\ud800"]}, "[] []", "[]\n[]"]
)  # fmt: skip
ROWS = st.dictionaries(st.sampled_from([*plain.READ, "length", "odd"]), CELLS, max_size=3)
GOOD = {"neuron": 1, "formula": "dog", "auc": 0.9, "fraction": 0.1, "count": 10}


@given(st.lists(ROWS, min_size=1, max_size=3))
def test_the_check_by_column_is_never_too_lax(rows):
    rows = [GOOD | row for row in rows]
    lines = [json.dumps(row) for row in rows]
    table = plain.table_of_lines(lines, files._check_nested)
    if table is not None and plain.keys_of(table, files._check_nested) is not None:
        read = [[files.as_label(json.loads(line), checked) for line in lines] for checked in (False, True)]
        assert Labels(read[0]) == Labels(read[1])
    columns = {name: [row.get(name) for row in rows] for name in plain.READ if any(name in row for row in rows)}
    texts = {name: [None if v is None else str(v) for v in cells] for name, cells in columns.items()}
    for cells_of in (columns, texts):
        try:
            table = pa.table(cells_of)
        except (pa.ArrowException, UnicodeEncodeError, OverflowError):
            continue
        if plain.keys_of(table, files._check_nested) is not None:
            read = [[files.as_label(row, checked) for row in table.to_pylist()] for checked in (False, True)]
            assert Labels(read[0]) == Labels(read[1])


def test_files_are_written_in_pieces(made, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_GROUP", 1000)
    rows = iter([])
    files.write_rows(tmp_path / "none.parquet", ["neuron", "formula", "auc", "fraction", "count"], rows, False)
    assert len(Labels.open(tmp_path / "none.parquet")) == 0
    made.save(tmp_path / "l.parquet")
    assert pq.ParquetFile(tmp_path / "l.parquet").num_row_groups == 4
    assert Labels.open(tmp_path / "l.parquet") == made
