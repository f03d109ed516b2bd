import json

import numpy as np
import pandas as pd
import pytest

from neuronym import Concepts, FileError, OptionError, label, save_concepts
from neuronym.report.naming import open_names, readable_names
from neuronym.report.page import report

CONCEPTS = ["n01", "n02", "n03"]


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.csv", "concept,name\nn01,dog\nn02,wolf dog\n"),
        ("names.csv", 'concept,name\r\n"n01","dog"\r\n"n02","wolf dog"\r\n'),
        ("names.tsv", "concept\tname\nn01\tdog\nn02\twolf dog\n"),
        ("names.txt", "n01\tdog\nn02\twolf dog\n"),
        ("names.csv", "n01,dog\nn02,wolf dog\n"),
        ("names.json", '{"n01": "dog", "n02": "wolf dog"}'),
    ],
)
def test_names_are_read_from_tables_and_json(tmp_path, name, text):
    assert open_names(written(tmp_path / name, text)) == {"n01": "dog", "n02": "wolf dog"}


def test_names_are_read_from_parquet(tmp_path):
    pd.DataFrame({"concept": ["n01"], "name": ["dog"]}).to_parquet(tmp_path / "names.parquet")
    assert open_names(tmp_path / "names.parquet") == {"n01": "dog"}


def test_any_other_header_names_no_concept(tmp_path):
    names = open_names(written(tmp_path / "synsets.csv", "wnid,name\nn01,dog\nn09,cat\n"))
    assert readable_names(names, CONCEPTS) == {"n01": "dog", "n02": "n02", "n03": "n03"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "names.csv",
            "concept,name,gloss\nn01,dog,barks\n",
            "two columns, concept and name, but has 'concept', 'name'",
        ),
        ("names.csv", "n01\nn02\n", "two columns"),
        ("names.csv", "concept,name\nn01,\n", "a name for each concept, but for 'n01' has ''"),
        ("names.csv", "concept,name\nn01,dog\nn01,cat\n", r"two names for 'n01' \('dog', 'cat'\): keep one"),
        ("names.csv", "concept,name\nn01,dog\nn02\n", "line 3 has 1 cell for 2 columns"),
        ("names.json", '["dog"]', "must be an object of a name for each concept"),
        ("names.json", '{"n01": ["dog"]}', r"a name for each concept, but for 'n01' has \['dog'\]"),
        ("names.xlsx", "n01", "must end in .csv or .tsv"),
    ],
)
def test_broken_files_are_refused(tmp_path, name, text, message):
    with pytest.raises(FileError, match=message):
        open_names(written(tmp_path / name, text))


def test_a_name_that_is_given_twice_alike_is_one(tmp_path):
    assert open_names(written(tmp_path / "names.csv", "concept,name\nn01,dog\nn01,dog\n")) == {"n01": "dog"}


def test_without_names_there_are_none():
    assert readable_names(None, CONCEPTS) == readable_names({}, CONCEPTS) == readable_names({"n01": "dog"}, []) == {}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"n1": "dog"}, r"none for the concepts of the report \('n01', 'n02', 'n03'\), but for 'n1'; nearest is 'n1'$"),
        ({"x": "dog", " N02": "cat"}, "but for 'x', ' N02'; nearest is ' N02'$"),
        ({"dog": "n01"}, "among the readable names: swap the two$"),
        ({"xyz": "dog"}, "but for 'xyz'$"),
        ({"n01": 5}, "must be text with a visible character, not 5"),
        ({"n01": " "}, "must be text with a visible character, not ' '"),
        ({"n01": "a\ud800"}, "half of a character"),
    ],
)
def test_names_that_fit_no_concept_are_refused(names, message):
    with pytest.raises(OptionError, match=message):
        readable_names(names, CONCEPTS)


def test_concepts_that_share_a_name_are_told_apart():
    with pytest.warns(UserWarning, match=r"2 concepts share 1 readable name \('crane'\) and are shown as 'crane \(n01"):
        named = readable_names({"n01": "crane", "n02": "crane", "n09": "crane"}, CONCEPTS)
    assert named == {"n01": "crane (n01)", "n02": "crane (n02)", "n03": "n03"}


def test_a_readable_name_that_is_another_concept_is_told_apart():
    with pytest.warns(UserWarning, match="share 1 readable name"):
        assert readable_names({"n01": "n02"}, CONCEPTS)["n01"] == "n02 (n01)"


@pytest.fixture(scope="module")
def found():
    shown = np.random.default_rng(0).random((200, 3)) < 0.4
    concepts = Concepts.from_array(shown, CONCEPTS)
    values = np.random.default_rng(1).normal(size=(200, 2)) + 2 * shown[:, :2]
    return values, concepts, label(values, concepts, length=1)


def named_in(page):
    text = (page.parent / "data" / "index.js").read_text(encoding="ascii")
    index = json.loads(text.removeprefix('neuronym.piece("index",').removesuffix(");\n"))
    return dict(zip(index["concepts"], index["readable"], strict=True))


def test_the_page_shows_the_names(found, tmp_path):
    values, concepts, labels = found
    file = written(tmp_path / "names.csv", "concept,name\nn01,dog\nn03,sky\nn77,cat\n")
    page = report(labels, tmp_path / "out", activations=values, concepts=concepts, names=file)
    assert named_in(page) == {"n01": "dog", "n02": "n02", "n03": "sky"}
    page = report(labels, tmp_path / "short", names={"n02": "grass"})  # the concepts are those of the formulas alone
    assert named_in(page) == {"n01": "n01", "n02": "grass"}


def test_the_command_takes_the_file(found, tmp_path, command):
    values, concepts, labels = found
    labels.save(tmp_path / "labels.csv")
    save_concepts(concepts, tmp_path / "concepts.parquet")
    np.save(tmp_path / "values.npy", values)
    given = ["--activations", tmp_path / "values.npy", "--concepts", tmp_path / "concepts.parquet"]
    call = ["report", tmp_path / "labels.csv", *given, "--out", tmp_path / "out", "--names"]
    code, _, error = command(*call, written(tmp_path / "names.json", '{"n9": "dog"}'))
    assert (code, error.count("\n")) == (2, 1)
    assert "names has none for the concepts of the report" in error
    assert not (tmp_path / "out").exists()
    code, _, _ = command(*call, written(tmp_path / "names.json", '{"n01": "dog"}'))
    assert code == 0
    assert named_in(tmp_path / "out" / "index.html")["n01"] == "dog"
