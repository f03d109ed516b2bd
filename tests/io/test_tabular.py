"""Concepts of tables and lists as data sets have them: labels in a cell, −1 and blanks, columns of ids, odd forms."""

import warnings

import numpy as np
import pandas as pd
import pytest

from neuronym import (
    Activations,
    Concepts,
    ConceptsError,
    FileError,
    OptionError,
    UnknownNameError,
    open_activations,
    open_concepts,
)
from neuronym.errors import InputError
from neuronym.io import from_annotations, from_attributes, from_scores, from_table

LABELS = [{"Mass"}, {"Effusion", "Mass"}, {"Effusion"}, {"No Finding"}, {"Effusion", "Mass", "Hernia"}, {"Hernia"}]
IDS = [f"{i:08d}_000.png" for i in range(6)]


def quietly(read, *of, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = read(*of, **options)
    return found, [str(one.message) for one in caught]


def sets_of(concepts, prefix=""):
    matrix = concepts.to_dense()
    return [{concepts.names[c].removeprefix(prefix) for c in np.flatnonzero(row)} for row in matrix]


@pytest.mark.parametrize("separator", ["|", ",", ";", " / ", ", "])
def test_several_labels_in_a_cell_are_split(tmp_path, separator):
    cells = [separator.join(sorted(one)) for one in LABELS]
    table = pd.DataFrame({"sample": IDS, "Finding Labels": cells, "age": range(6)})
    table.to_csv(tmp_path / "all.csv", index=False)
    table.iloc[:, :2].to_csv(tmp_path / "two.csv", index=False)
    table.iloc[:, :2].set_axis(["sample", "concept"], axis=1).to_csv(tmp_path / "long.csv", index=False)
    for found in (
        from_table(tmp_path / "two.csv", separator=separator),
        from_table(tmp_path / "all.csv", separator=separator, columns=["Finding Labels"]),
        from_table(tmp_path / "long.csv", separator=separator),
    ):
        assert (sets_of(found), found.sample_ids) == (LABELS, tuple(IDS))
    for found in (
        from_table(tmp_path / "two.csv", separator=separator, attributes=True),
        from_attributes(table.iloc[:, :2], separator=separator),
    ):
        assert sets_of(found, "Finding Labels=") == LABELS
    with pytest.raises(ConceptsError, match=r"in one column, but there are 2 .*\(--columns\)"):
        from_table(tmp_path / "all.csv", separator=separator)
    with pytest.raises(UnknownNameError, match="no column 'Finding'"):
        from_table(tmp_path / "all.csv", separator=separator, columns=["Finding"])


@pytest.mark.parametrize("separator", ["|", ";", ",", " "])
def test_labels_that_seem_to_share_a_cell_are_warned_of(separator):
    cells = [separator.join(sorted(one)) for one in LABELS if one != {"No Finding"}]
    frame = pd.DataFrame({"sample": range(5), "labels": cells})
    found, said = quietly(from_attributes, frame)
    assert found.n_concepts == 5
    assert f"split them with separator={separator!r} (--separator)" in said[0]
    for plain in (["a, b", "c", "d"], ["big dog", "small cat", "dog"], ["1|2", "3|4", "5|6"], ["x;y"] * 3):
        assert quietly(from_attributes, pd.DataFrame({"sample": range(3), "kind": plain}))[1] == []


def test_a_separator_that_occurs_nowhere_is_warned_of(tmp_path):
    (tmp_path / "c.csv").write_text("sample,label\na,dog|cat\nb,dog\n")
    assert (
        "no cell of the column 'label' contains the separator '/'"
        in quietly(from_table, tmp_path / "c.csv", separator="/")[1][0]
    )
    with pytest.raises(ConceptsError, match=r"several in a cell, use from_table\(…, separator='\|'\)"):
        open_concepts(tmp_path / "c.csv")


CHEXPERT = "sample,Cardiomegaly,Edema\n" + "".join(
    f"p{i}.jpg,{a},{b}\n" for i, (a, b) in enumerate([("1.0", ""), ("-1.0", "0.0"), ("0.0", "1.0"), ("", "-1.0")])
)
READINGS = [  # the options, and what is read of each sample that is kept
    ({"blank": "no", "negative": "no"}, {0: [1, 0], 1: [0, 0], 2: [0, 1], 3: [0, 0]}),
    ({"blank": "no", "negative": "yes"}, {0: [1, 0], 1: [1, 0], 2: [0, 1], 3: [0, 1]}),
    ({"unknown": "no"}, {0: [1, 0], 1: [0, 0], 2: [0, 1], 3: [0, 0]}),
    ({"unknown": "no", "negative": "yes"}, {0: [1, 0], 1: [1, 0], 2: [0, 1], 3: [0, 1]}),
    ({"blank": "no", "negative": "drop"}, {0: [1, 0], 2: [0, 1]}),
    ({"blank": "drop", "negative": "yes"}, {1: [1, 0], 2: [0, 1]}),
    ({"unknown": "drop"}, {2: [0, 1]}),
]


@pytest.mark.parametrize(("options", "kept"), READINGS)
def test_minus_one_and_blanks_are_read_by_choice(tmp_path, command, options, kept):
    (tmp_path / "c.csv").write_text(CHEXPERT)
    frame = pd.read_csv(tmp_path / "c.csv")
    for found in (
        from_table(tmp_path / "c.csv", **options),
        open_concepts(tmp_path / "c.csv", **options),
        Concepts.from_frame(frame, **options),
        Concepts.from_array(frame.iloc[:, 1:].to_numpy(), sample_ids=frame["sample"], **options),
    ):
        assert found.sample_ids == tuple(f"p{i}.jpg" for i in kept)
        assert found.to_dense().astype(int).tolist() == list(kept.values())
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    code, out, _ = command("concepts", "table", str(tmp_path / "c.csv"), *flags, "--out", str(tmp_path / "c.parquet"))
    assert (code, out.startswith(f"{len(kept)} sample")) == (0, True)


def test_minus_one_without_a_choice_is_an_error_unless_all_others_are_one(tmp_path):
    (tmp_path / "c.csv").write_text(CHEXPERT)
    with pytest.raises(ConceptsError, match="say what −1 means with negative='no', 'yes' or 'drop', read missing"):
        open_concepts(tmp_path / "c.csv")
    for values in ([[1, -1], [-1, 1]], [[1.0, -1.0], [-1.0, -1.0]]):
        found, said = quietly(Concepts.from_array, np.array(values))
        assert found.to_dense().tolist() == (np.array(values) == 1).tolist()
        assert "values of −1 read as no, since all others are 1" in said[0]
        assert quietly(Concepts.from_array, np.array(values), negative="no")[1] == []
    for values in ([[1, -1], [0, 1]], [[1, -1], [np.nan, 1]], [[1, -1], [2, 1]]):
        with pytest.raises(ConceptsError, match="say what −1 means with negative="):
            Concepts.from_array(np.array(values))
    with pytest.raises(OptionError, match="negative must be 'error', 'no', 'yes' or 'drop', not 'maybe'"):
        Concepts.from_array([[1]], negative="maybe")
    with pytest.raises(OptionError, match="blank must be 'error', 'no' or 'drop', not 'yes'"):
        Concepts.from_array([[1]], blank="yes")


def test_continuous_columns_are_first_told_of_scores(tmp_path):
    (tmp_path / "c.csv").write_text("sample,dog,cat\na,0.25,1\nb,0.75,0\n")
    with pytest.raises(ConceptsError, match=r"such as 0\.25\): binarize scores with Concepts\.from_scores"):
        open_concepts(tmp_path / "c.csv")
    with pytest.raises(ConceptsError, match=r"\): binarize scores with Concepts\.from_scores"):
        Concepts.from_array(np.array([[0.2], [0.7]]))
    with pytest.raises(ConceptsError, match=r"\): count them as no with unknown='no', leave"):
        Concepts.from_array(np.array([[2], [3]]))


def test_ids_in_a_column_are_never_advised_to_count_as_no():
    table = pd.DataFrame({"x": [1, 0, 1], "name": ["anna", "bert", "carl"], "y": [0, 0, 1]})
    with pytest.raises(ConceptsError, match="if 'name' holds sample ids, say so with id_column='name'") as refused:
        Concepts.from_frame(table)
    assert "unknown=" not in str(refused.value)
    assert Concepts.from_frame(table, id_column="name").sample_ids == ("anna", "bert", "carl")


@pytest.mark.parametrize(
    "read", [open_concepts, open_activations, from_table, lambda p, **o: from_scores(p, threshold=1, **o)]
)
def test_the_column_of_ids_can_be_named(tmp_path, read):
    (tmp_path / "c.csv").write_text("dog,who,cat\n1,7,0\n0,9,1\n")
    assert read(tmp_path / "c.csv", id_column="who").sample_ids == ("7", "9")
    with pytest.raises(InputError, match="id_column='whom' must be a column"):
        read(tmp_path / "c.csv", id_column="whom")


LISTS = {
    "tabs": "a.jpg\tcat\nb.jpg\tdog\n",
    "commas": "a.jpg,cat\nb.jpg,dog\n",
    "semicolons": "a.jpg;cat\nb.jpg;dog\n",
    "spaces": "a.jpg cat\nb.jpg  dog \n",
    "a mark": "\ufeffa.jpg\tcat\nb.jpg\tdog\n",
    "blank lines": "\n\na.jpg\tcat\n\nb.jpg\tdog\n\n",
    "returns": "a.jpg\tcat\r\nb.jpg\tdog\r\n",
    "comments": "# list of photos, sorted\na.jpg cat\nb.jpg dog\n",
    "boxes": "a.jpg\tcat\t0\t0\t62\t57\nb.jpg\tdog\t1\t2\t3\t4\n",
    "boxes after spaces": "a.jpg cat 0 0 62 57\nb.jpg dog 1 2 3 4\n",
    "boxes in the cell": "a.jpg,cat 0 0 62 57 \nb.jpg,dog 1 2 3 4 dog 5 6 7 8\n",
    "quotes": '"a.jpg","cat"\n"b.jpg","dog"\n',
    "spaces after commas": "a.jpg, cat\nb.jpg, dog\n",
}


@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("ending", ["txt", "csv", "list"])
def test_lists_of_sample_and_class_are_read_in_any_form(tmp_path, content, ending):
    (tmp_path / f"a.{ending}").write_text(content, encoding="utf-8", newline="")
    found, said = quietly(from_annotations, tmp_path / f"a.{ending}")
    assert said == []
    assert found.sample_ids == ("a.jpg", "b.jpg")
    assert sets_of(found) == [{"cat"}, {"dog"}]


@pytest.mark.parametrize(
    "head", ["image\tlabel", "ImageId\tPredictionString", "filename\tx", "x\tclass_id", "photo no\tkind"]
)
def test_a_first_line_of_names_is_recognized_with_a_warning(tmp_path, command, head):
    (tmp_path / "a.txt").write_text(f"{head}\na.jpg\tcat\nb.jpg\tdog\n")
    found, said = quietly(from_annotations, tmp_path / "a.txt")
    assert found.sample_ids == ("a.jpg", "b.jpg")
    assert "is read as the names of columns" in said[0]
    assert quietly(from_annotations, tmp_path / "a.txt", header=True)[1] == []
    assert from_annotations(tmp_path / "a.txt", header=False).n_samples == 3
    code, out, err = command(
        "concepts", "annotations", str(tmp_path / "a.txt"), "--header", "--out", str(tmp_path / "c.parquet")
    )
    assert (code, err, out[:9]) == (0, "", "2 samples")


def test_lists_that_are_something_else_are_refused_or_warned_of(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("2007_000027 -1\n2007_000032  1\n2007_000033  0\n")
    with pytest.raises(ConceptsError, match=r"'-1', '0', '1', which say yes or no to one concept: add a first line"):
        from_annotations(path)
    path.write_text("3\nSmiling Hat \n1.jpg -1  1\n2.jpg 1 -1\n3.jpg 1 1\n")
    with pytest.warns(UserWarning, match="names of columns"), pytest.raises(ConceptsError, match="from_table"):
        from_annotations(path)
    path.write_text("a.jpg golden retriever\nb.jpg cat\n")
    with pytest.raises(FileError, match="line 1 have more than a sample and a class: keep the two, separated by a tab"):
        from_annotations(path)
    path.write_text("".join(f"{i}.jpg\tcat,{i}\n" for i in range(12)))
    with pytest.warns(UserWarning, match=r"12 classes for 12 samples in .*\(separator, --separator\)"):
        from_annotations(path)
    assert from_annotations(path, separator=",")["cat"].all()


def test_a_comment_with_the_names_and_spaces_after_commas(tmp_path):
    (tmp_path / "segments.csv").write_text(
        "# Segments created in March, 10:54\n# n=3, labels=2, all=5, x=1\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
        '--4g, 0.000, 10.000, "/m/068hy,/m/07q6"\n-x, 30.000, 40.000, "/m/068hy"\nz9, 30.000, 40.000, "/m/07q6"\n'
    )
    found, _ = quietly(from_table, tmp_path / "segments.csv", columns=["positive_labels"], separator=",")
    assert found.sample_ids == ("--4g", "-x", "z9")
    assert sets_of(found) == [{"/m/068hy", "/m/07q6"}, {"/m/068hy"}, {"/m/07q6"}]


def test_row_names_that_only_count_are_none(tmp_path):
    frame = pd.DataFrame({"dog": [1, 0, 1], "cat": [0, 1, 1]})
    frame.to_csv(tmp_path / "c.csv")
    assert open_concepts(tmp_path / "c.csv").sample_ids is None
    assert open_activations(tmp_path / "c.csv").sample_ids is None
    pd.read_csv(tmp_path / "c.csv").to_parquet(tmp_path / "c.parquet")  # with the column Unnamed: 0
    assert open_concepts(tmp_path / "c.parquet").names == ("dog", "cat")
    frame.iloc[[2, 0]].to_csv(tmp_path / "d.csv")
    assert open_concepts(tmp_path / "d.csv").sample_ids == ("2", "0")


OF_COLUMNS = {
    "filename,width,height,class,xmin\na.jpg,640,480,cat,3\nb.jpg,640,480,dog,4\n": [{"cat"}, {"dog"}],
    "image_id,fold,label\na.jpg,1,cat\nb.jpg,2,dog\n": [{"cat"}, {"dog"}],
    "label\tkind of photo\timage\ncat\tx\ta.jpg\ndog\ty\tb.jpg\n": [{"cat"}, {"dog"}],
    "a.jpg,cat,12,13\nb.jpg,dog,1,2\n": [{"cat"}, {"dog"}],
}


@pytest.mark.parametrize("content", OF_COLUMNS)
def test_of_several_columns_the_one_called_like_a_class_is_read(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    found, _ = quietly(from_annotations, tmp_path / "a.csv")
    assert (found.sample_ids, sets_of(found)) == (("a.jpg", "b.jpg"), OF_COLUMNS[content])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,width,height\na.jpg,640,480\n", "none or several are called like a class"),
        ("a.jpg 1 0 1\nb.jpg 0 1 1\n", "say yes or no to a concept each: add a first line with their names"),
        (
            "x, 30.000, 40.000, 5\ny, 20.000, 30.000, 6\n",
            "its second column holds numbers such as '30.000', no classes",
        ),
        ("a.jpg,train,cat\nb.jpg,test,dog\n", "have more than a sample and a class"),
        ("a.jpg dog\na.jpg cat\n", "have several lines, such as 'a.jpg': .* sample,concept"),
    ],
)
def test_columns_that_may_not_be_classes_are_refused(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((FileError, ConceptsError), match=message):
            from_annotations(tmp_path / "a.csv")


def test_combined_labels_are_warned_of_wherever_they_come_from(tmp_path):
    cells = ["clear primary", "agriculture clear primary", "haze primary", "agriculture haze primary", "clear primary"]
    (tmp_path / "a.txt").write_text("".join(f"{i}.jpg\t{cell}\n" for i, cell in enumerate(cells)))
    assert "several labels separated by ' '" in quietly(from_annotations, tmp_path / "a.txt")[1][0]
    assert "several labels separated by '|'" in quietly(Concepts.from_classes, ["a|b", "a", "b", "b|c", "c"])[1][0]
    for plain in (["great white shark", "white wolf", "tiger shark"], ["red car", "blue car", "red bus", "blue bus"]):
        assert quietly(Concepts.from_classes, plain)[1] == []


def test_text_says_yes_and_no_in_frames_as_in_files(tmp_path):
    words = ["1", "0", "yes", "No", "T", "f", "1.0", "0e0", "TRUE", "wahr"]
    right = [True, False, True, False, True, False, True, False, True, True]
    frame = pd.DataFrame({"dog": words, "cat": words}, dtype=str)
    frame.to_csv(tmp_path / "c.csv", index=False)
    for found in (Concepts.from_frame(frame), open_concepts(tmp_path / "c.csv"), Concepts.from_array(frame.to_numpy())):
        assert found.to_dense()[:, 1].tolist() == right
    (tmp_path / "c.csv").write_text("sample,dog\na,1\nb,NA\nc,n/a\n")
    assert open_concepts(tmp_path / "c.csv", blank="no")["dog"].tolist() == [True, False, False]
    with pytest.raises(ConceptsError, match=r"2 values in 1 concept are neither .* blank='no'"):
        open_concepts(tmp_path / "c.csv")


def test_long_lines_quotes_and_lists_of_r_are_read(tmp_path):
    names = [f"n{c}" for c in range(30_000)]
    (tmp_path / "a.csv").write_text("\n".join([",".join(names), ",".join("1" * 30_000), ",".join("0" * 30_000)]) + "\n")
    assert open_activations(tmp_path / "a.csv").matrix.shape == (2, 30_000)
    (tmp_path / "r.txt").write_text('"a dog" "cat"\n"x 1" 1 0\n"y 2" 0 1\n')
    found = open_concepts(tmp_path / "r.txt")
    assert (found.names, found.sample_ids) == (("a dog", "cat"), ("x 1", "y 2"))
    (tmp_path / "t.tsv").write_text('sample\ta\n"off himself, x\t1\nb\t0\n"c\t1\n')
    found = open_concepts(tmp_path / "t.tsv")
    assert (found.sample_ids, found["a"].tolist()) == (('"off himself, x', "b", '"c'), [True, False, True])


@pytest.mark.parametrize("content", ["0.0,1.5,2.25\n1.0,2.0,3.0\n", "img1,1,0\nimg2,0,1\n", "1e-3,2\n3,4\n"])
def test_a_first_line_of_data_is_refused(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    for read in (open_concepts, open_activations):
        with pytest.raises(FileError, match="the first line must name the columns, but contains"):
            read(tmp_path / "a.csv")


def test_an_empty_separator_is_refused(tmp_path):
    (tmp_path / "c.csv").write_text("sample,label\na,dog\n")
    for read in (from_table, from_annotations):
        with pytest.raises(OptionError, match="separator must be a text of at least one character"):
            read(tmp_path / "c.csv", separator="")


def test_an_attribute_with_a_category_for_each_sample_is_warned_of():
    frame = pd.DataFrame({"sample": range(40), "age": np.linspace(1, 90, 40)})
    assert "'age' has 40 categories for 40 samples" in quietly(from_attributes, frame)[1][0]


def test_ids_beside_an_index(tmp_path):
    frame = pd.DataFrame({"image_id": range(1000, 1080), "n0": np.random.default_rng(0).normal(size=80)})
    for left_over in (frame[frame["n0"] > 0], frame.rename_axis("row")):
        found, said = quietly(Activations, left_over)
        assert list(found.names) == ["n0"]
        assert found.sample_ids == tuple(map(str, left_over["image_id"]))
        assert "'image_id' of activations is read as sample ids" in said[0]
    frame.to_csv(tmp_path / "a.csv")
    found, _ = quietly(open_activations, tmp_path / "a.csv")
    assert (list(found.names), found.sample_ids) == (["n0"], tuple(map(str, frame["image_id"])))
    with (
        pytest.warns(UserWarning, match="read as sample ids"),
        pytest.raises(InputError, match="could hold ids of samples"),
    ):
        Activations(frame.set_axis([f"r{i}" for i in range(80)]))
