"""Input that is odd but met: tables in another order, masks, mixed types, files of other programs."""

import io
import re
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neuronym import (
    Activations,
    ActivationsError,
    AlignmentError,
    Concepts,
    ConceptsError,
    Explanation,
    FileError,
    Formula,
    Label,
    Labels,
    OptionError,
    UnknownNameError,
    label,
    open_activations,
    open_concepts,
)
from neuronym.cli import printing
from neuronym.cli import root as cli

N = 100


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    concepts = pd.DataFrame((rng.random((N, 4)) < 0.3).astype(int), columns=list("abcd"))
    return pd.DataFrame({"n": concepts["a"] + rng.normal(size=N) / 20}), concepts


def best(activations, concepts, **options):
    (found,) = label(activations, concepts, length=1, **options)
    return str(found.formula), found.auc


def test_tables_in_another_order_are_matched_by_their_index(tables, tmp_path):
    activations, concepts = tables
    assert best(activations, concepts) == ("a", 1.0)
    for table in (activations.sample(frac=1, random_state=0), activations.sort_values("n"), activations[::-1]):
        assert best(table, concepts) == ("a", 1.0)
        assert best(activations, concepts.loc[table.index]) == ("a", 1.0)
        table.to_parquet(tmp_path / "a.parquet")
        concepts.to_parquet(tmp_path / "c.parquet")
        assert best(tmp_path / "a.parquet", tmp_path / "c.parquet") == ("a", 1.0)
        with pytest.raises(AlignmentError, match=r"counts its rows in another order .* reset_index.* with sample_ids"):
            best(table, concepts.to_numpy(), names="abcd")


def test_parts_of_tables_are_not_the_same_samples(tables):
    activations, concepts = tables
    with pytest.raises(AlignmentError, match="10 of 90 ids of activations are not in concepts"):
        label(activations.iloc[10:], concepts.iloc[:-10])
    assert best(activations.iloc[10:], concepts.iloc[10:]) == ("a", 1.0)


def test_a_sliced_table_keeps_its_ids_in_parquet(tables, tmp_path):
    tables[0].iloc[10:].to_parquet(tmp_path / "a.parquet")
    assert open_activations(tmp_path / "a.parquet").sample_ids == tuple(map(str, range(10, N)))


def test_a_column_sample_goes_before_the_index(tmp_path):
    long = pd.DataFrame({"sample": ["x", "y", "y", "z"], "concept": ["dog", "cat", "dog", "dog"]})
    long[long.concept == "dog"].to_parquet(tmp_path / "c.parquet")
    assert open_concepts(tmp_path / "c.parquet").sample_ids == ("x", "y", "z")


def test_an_index_of_several_levels_is_refused(tables, tmp_path):
    index = pd.MultiIndex.from_product([range(10), range(10)], names=["video", "frame"])
    tables[0].set_index(index).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FileError, match="has 2 levels: save it with one or none"):
        open_activations(tmp_path / "a.parquet")


def test_what_is_masked_is_not_there(tables):
    activations, concepts = (table.to_numpy() for table in tables)
    with pytest.raises(ActivationsError, match="1 activations are masked"):
        label(np.ma.array(activations, mask=np.arange(N)[:, None] == 3), concepts)
    with pytest.raises(ConceptsError, match=r"4 values in 4 concepts are neither \('c0': 1, such as None"):
        label(activations, np.ma.array(concepts, mask=np.repeat(np.arange(N)[:, None] == 3, 4, axis=1)))
    assert best(activations, np.ma.array(concepts)) == ("c0", 1.0)


def test_large_whole_numbers_beside_fractions_are_refused(tables, tmp_path):
    frame = pd.DataFrame({"a": 2**60 + np.arange(N), "b": np.arange(N) / 2})
    with pytest.raises(
        ActivationsError, match="neuron 0 holds integers that float64, the type of other neurons, cannot represent"
    ):
        Activations.from_frame(frame)
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ActivationsError, match="neuron 0 holds integers"):
        open_activations(tmp_path / "a.parquet")
    assert Activations.from_frame(frame[["a"]]).matrix[1, 0] == 2**60 + 1


def test_yes_and_no_with_something_missing_are_numbers(tmp_path):
    pq.write_table(pa.table({"a": [True, False, None], "b": [0.5, 1.0, 2.0]}), tmp_path / "a.parquet")
    assert np.array_equal(
        open_activations(tmp_path / "a.parquet").matrix, [[1, 0.5], [0, 1.0], [np.nan, 2.0]], equal_nan=True
    )


def test_a_numpy_matrix_is_an_array(tables):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        matrices = [np.matrix(table.to_numpy()) for table in tables]
    assert best(*matrices) == ("c0", 1.0)


def test_unknown_values_can_be_answered_in_the_call(tables):
    activations, concepts = tables
    concepts = concepts.astype(object)
    concepts.loc[3, "b"] = "maybe"
    with pytest.raises(ConceptsError, match=r"'b': 1, such as the text 'maybe'"):
        label(activations, concepts)
    assert best(activations, concepts, unknown="no") == ("a", 1.0)


def test_broken_samples_that_are_not_used_are_not_named(tables):
    activations, concepts = np.repeat(tables[0].to_numpy(), 2, axis=1), tables[1].to_numpy()
    activations[0, 0] = activations[5, 1] = np.nan
    weights = np.ones(N, int)
    weights[0] = 0
    with pytest.raises(ActivationsError, match=r"in 1 neuron \(1: 1\)"):
        label(activations, concepts, weights=weights)
    assert best(activations[:, :1], concepts, weights=weights) == ("c0", 1.0)


def test_concepts_that_differ_in_samples_of_no_weight_are_equal(tables):
    concepts = np.repeat(tables[1][["a"]].to_numpy(), 2, axis=1)
    concepts[0, 1] = 1 - concepts[0, 0]
    weights = np.ones(N, int)
    weights[0] = 0
    assert label(tables[0], concepts, weights=weights, length=1)["n"].aliases == {"c0": ("c1",)}


def test_a_length_beyond_the_number_of_concepts_repeats_the_last_step(tables):
    (found,) = label(tables[0], tables[1], length=200)
    assert len(found.path) == 200
    assert set(found.path[4:]) == {found.path[3]}


def test_neurons_by_mask_and_none(tables):
    activations = np.repeat(tables[0].to_numpy(), 3, axis=1)
    assert [one.neuron for one in label(activations, tables[1], neurons=np.array([True, False, True]))] == [0, 2]
    with pytest.raises(OptionError, match=r"a mask of neurons must have shape \(3,\), not \(2,\)"):
        label(activations, tables[1], neurons=np.array([True, False]))
    with pytest.raises(ActivationsError, match="there is no neuron to label: neurons selects none"):
        label(activations, tables[1], neurons=[])


def test_few_samples_are_told_why_there_is_no_formula(tables):
    (found,) = label(tables[0][:10], tables[1][:10])
    assert found.reason == "no formula can be true for at least 20 and at most 5 of 10 samples"


def test_layers_need_different_names(tables):
    with pytest.raises(ActivationsError, match="two layers share a name"):
        label({1: tables[0], "1": tables[0]}, tables[1])
    assert label({1: tables[0]}, tables[1])[1, "n"].layer == "1"


@pytest.mark.parametrize("ids", [["a", None], ["a", np.nan], ["a", pd.NA], ["a", ""]])
def test_a_missing_id_is_no_id(ids):
    with pytest.raises(ConceptsError, match="1 sample of concepts without an id"):
        Concepts.from_array(np.eye(2), sample_ids=ids)
    with pytest.raises(ActivationsError, match="1 sample of activations without an id"):
        Activations.from_frame(pd.DataFrame({"sample": ids, "n": [1, 2]}))


@pytest.mark.parametrize("names", [["a", None], ["a", np.nan]])
def test_a_missing_name_is_no_name(names):
    with pytest.raises(ConceptsError, match="concept 1 has an empty name"):
        Concepts.from_array(np.eye(2), names)


HOT = {"dog": [True, False, True], "cat": [False, True, True]}
ROWS = [("a", 1, 0), ("b", 0, 1), ("c", 1, 1)]


def text_of(separator=",", head="sample,dog,cat", form="{}", end="\n"):
    lines = [head.replace(",", separator), *(separator.join(map(form.format, row)) for row in ROWS)]
    return "".join(line + end for line in lines)


OTHERS = {
    "semicolons": text_of(";"),
    "tabs": text_of("\t"),
    "bars": text_of("|"),
    "spaces after commas": text_of(", "),
    "quotes after spaces": text_of(", ", form='"{}"'),
    "a line that names the separator": "sep=;\n" + text_of(";"),
    "a separator named though it is clear": '"sep=,"\n' + text_of(),
    "a byte-order mark": "\ufeff" + text_of(),
    "a mark before semicolons": "\ufeffsep=;\r\n" + text_of(";", end="\r\n"),
    "carriage returns alone": text_of(end="\r"),
    "both at the ends": text_of(end="\r\n"),
    "blank lines": "\n" + text_of(end="\n\n") + "\n\n",
    "comments": "# written by hand\n# in 2020, in May\n" + text_of(),
    "names in a comment": "# notes\n#" + text_of(),
    "separators at the ends": text_of(end=",\n"),
    "quoted names and cells": text_of(head='"sample","dog","cat"', form='"{}"'),
    "rows with names": text_of(head="dog,cat"),
    "rows with names as pandas writes them": text_of(head=",dog,cat"),
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt"])
def test_tables_of_other_programs_are_read(tmp_path, content, ending):
    (tmp_path / f"c{ending}").write_text(content, encoding="utf-8", newline="")
    found = open_concepts(tmp_path / f"c{ending}")
    assert found.sample_ids == ("a", "b", "c")
    assert {name: found[name].tolist() for name in found.names} == HOT
    numbers = open_activations(tmp_path / f"c{ending}")
    assert (numbers.sample_ids, numbers.names) == (("a", "b", "c"), ("dog", "cat"))
    assert numbers.matrix.tolist() == [[1, 0], [0, 1], [1, 1]]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp1252"])
def test_tables_in_other_encodings_are_read(tmp_path, encoding):
    content = (
        "\ufeff" if encoding.endswith("e") and "16" in encoding else ""
    ) + "sample;Bär;naïve\ncafé.jpg;1;0\nü.jpg;0;1\n"
    (tmp_path / "c.csv").write_bytes(content.encode(encoding))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = open_concepts(tmp_path / "c.csv")
    assert [str(one.message)[-80:] for one in caught] == (
        ["read as Windows-1252: save it as UTF-8 if names look wrong"] if encoding == "cp1252" else []
    ) or "is read as Windows-1252" in str(caught[0].message)
    assert bool(caught) == (encoding == "cp1252")
    assert (found.names, found.sample_ids) == (("Bär", "naïve"), ("café.jpg", "ü.jpg"))


ONES = ["1", "1.0", "1.00", "1.000000000000000000e+00", "1e0", "+1", "1,00", " 1 ", "true", "TRUE", "Yes", "1E+00"]
ZEROS = ["0", "0.0", "-0", "0.000e+00", "0E+00", "0,0", "false", "No", "-0.00"]


def test_a_number_that_equals_one_is_yes_however_it_is_written(tmp_path):
    cells = [(one, True) for one in ONES] + [(zero, False) for zero in ZEROS]
    (tmp_path / "c.csv").write_text("dog;cat\n" + "".join(f"{cell};{cell}\n" for cell, _ in cells))
    assert open_concepts(tmp_path / "c.csv")["cat"].tolist() == [yes for _, yes in cells]
    (tmp_path / "c.parquet").write_bytes(b"")
    pq.write_table(pa.table({"dog": [cell for cell, _ in cells]}), tmp_path / "c.parquet")
    assert open_concepts(tmp_path / "c.parquet")["dog"].tolist() == [yes for _, yes in cells]


def test_decimal_commas_are_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("sample;edge;curve\nx;0,5;-1,25\ny;2;3,5e2\n")
    found = open_activations(tmp_path / "a.csv")
    assert found.matrix.tolist() == [[0.5, -1.25], [2.0, 350.0]]
    (tmp_path / "b.csv").write_text('sample,edge\nx,"0,5"\n')
    with pytest.raises(FileError, match="invalid value '0,5'"):
        open_activations(tmp_path / "b.csv")


def test_lists_separated_by_spaces_are_read_with_a_count_and_without(tmp_path):
    rows = "000001.jpg -1  1 \n000002.jpg  1 -1 \n000003.jpg  1  1\n"
    for head in ["3\nSmiling Wearing_Hat \n", "Smiling Wearing_Hat\n", "image_id Smiling Wearing_Hat\n"]:
        (tmp_path / "c.txt").write_text(head + rows)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = open_concepts(tmp_path / "c.txt")
        assert "2 values of −1 read as no" in str(caught[-1].message)
        assert found.sample_ids == ("000001.jpg", "000002.jpg", "000003.jpg")
        assert found.to_dense().tolist() == [[False, True], [True, False], [True, True]]
    (tmp_path / "c.txt").write_text(rows)
    with pytest.raises(FileError, match="the first line must name the columns, but contains the name of a file"):
        open_concepts(tmp_path / "c.txt")


FILES = {
    'sample,"dog\na,1\n': "unexpected end of data",
    "a,b\n1,0\n1\n1,0,1\n": "line 3 has 1 cell for 2 columns, and 1 line more differ",
    "# note\n\nsample;a;b\nx;1;0\ny;1\n": "line 5 has 2 cells for 3 columns: every line needs one cell for each name",
    "sample\ta\nx\t1\t1\n": "line 2 has 3 cells for 2 columns",
    "a.jpg,1\nb.jpg,0\n": "but contains the name of a file ('a.jpg')",
}


@pytest.mark.parametrize("content", FILES, ids=lambda text: repr(text[:12]))
def test_broken_tables_are_refused_clearly(tmp_path, content):
    (tmp_path / "c.csv").write_text(content, newline="")
    with pytest.raises(FileError, match=re.escape(FILES[content])):
        open_concepts(tmp_path / "c.csv")


def test_lists_under_another_name_are_told_how_to_be_called(tmp_path):
    pq.write_table(pa.table({"sample": ["x"], "tags": [["a"]]}), tmp_path / "c.parquet")
    with pytest.raises(FileError, match=r"the column 'tags' contains lists or records: .* must be called concepts"):
        open_concepts(tmp_path / "c.parquet")


def test_an_empty_line_is_a_missing_cell_where_there_is_one_column(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n\n2\n")
    assert np.array_equal(open_activations(tmp_path / "a.csv").matrix.ravel(), [1, np.nan, 2], equal_nan=True)


def test_json_of_endless_brackets_is_refused(tmp_path):
    (tmp_path / "l.json").write_text("[" * 100_000)
    with pytest.raises(FileError, match="cannot read labels"):
        Labels.open(tmp_path / "l.json")


@pytest.fixture
def labels():
    one = Explanation(Formula.parse("dog"), 0.9, 0.1, 10)
    return Labels([Label(n, "a", d, best=one) for n in (10, 2, "bias") for d in ("high", "low")])


def test_labels_answer_odd_questions(labels):
    assert [x.neuron for x in labels.sort("neuron")][::2] == [2, 10, "bias"]
    assert len(labels.filter(formula="dog", neuron=2)) == 2
    assert len({hash(one) for one in labels}) == 6
    with pytest.raises(OptionError, match="labels cannot be sorted by 'path'"):
        labels.sort("path")
    with pytest.raises(OptionError, match=r"head\(n\)"):
        labels[0:2]
    with pytest.raises(UnknownNameError, match=r"2 labels are for \('a', 2\) \(high, low\): choose with filter\(dir"):
        labels["a", 2]
    with pytest.raises(UnknownNameError, match="no layer 'aa'; near it: 'a'"):
        labels["aa", 2]


def test_a_narrow_terminal_keeps_the_formula(labels, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(printing.sys.stdout, "isatty", lambda: True, raising=False)
    printing.print_table(labels.filter(direction="high"), "")
    plain = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    assert plain.splitlines()[0].split() == ["layer", "neuron", "formula", "auc"]


def test_a_terminal_without_unicode_shows_the_rest(tmp_path, monkeypatch):
    Labels([Label(0, best=Explanation(Formula.concept("日本"), 0.9, 0.1, 10))]).save(tmp_path / "l.csv")
    shown = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, encoding="ascii"))
    monkeypatch.setattr("sys.argv", ["neuronym", "show", str(tmp_path / "l.csv"), "0"])
    with pytest.raises(SystemExit):
        cli.main()
    cli.sys.stdout.flush()
    assert shown.getvalue().startswith(b"neuron 0: \\u65e5\\u672c")
