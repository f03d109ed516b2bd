"""Every kind of bad input: one clear line, an exit code that is not 0, and no file written or changed."""

import json
import pickle
import resource
import struct
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

N = 60


def good_activations():
    return np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)


def good_concepts():
    inside = np.arange(N) < 25
    return pd.DataFrame({"dog": inside.astype(int), "cat": (~inside).astype(int), "red": np.arange(N) % 2})


def write(name):
    """Decorate what writes one file with the name it is written to."""

    def decorate(writer):
        writer.file = name
        return writer

    return decorate


def text(name, content, encoding="utf-8"):
    return write(name)(lambda path: path.write_bytes(content.encode(encoding)))


def octets(name, content):
    return write(name)(lambda path: path.write_bytes(content))


def array(name, value, **options):
    return write(name)(lambda path: np.save(path, value, **options))


def cut(name, writer, keep):
    """What a writer writes, cut off after a share of it."""

    def write_part(path):
        writer(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * keep)])

    return write(name)(write_part)


def frame(name, value, **options):
    def write_frame(path):
        value.to_csv(path, index=False) if path.suffix == ".csv" else value.to_parquet(path, index=False, **options)

    return write(name)(write_frame)


def table(name, columns, metadata=None):
    made = pa.table(columns)
    return write(name)(lambda path: pq.write_table(made.replace_schema_metadata(metadata), path))


def parquet(path):
    pd.DataFrame(good_activations(), columns=list("abcd")).to_parquet(path)


def archive(path):
    np.savez(path, activations=good_activations())


@write("a.npz")
def npy_called_npz(path):
    with path.open("wb") as file:
        np.save(file, np.eye(3))


def nan_at(*places, value=np.nan):
    matrix = good_activations()
    for place in places:
        matrix[place] = value
    return matrix


def ids(column):
    return pd.DataFrame({"sample": column})


def with_ids(column):
    return pd.concat([ids(column), pd.DataFrame(good_activations(), columns=list("abcd"))], axis=1)


def concepts_with_ids(column):
    return pd.concat([ids(column), good_concepts()], axis=1)


def replaced(column, value):
    changed = good_concepts().astype(object)
    changed.loc[3, column] = value
    return changed


names = [f"photo{i}" for i in range(N)]
objects = np.array([{"a": 1}, None], dtype=object)

ACTIVATIONS = {
    "missing file": (write("gone.npy")(lambda path: None), "cannot read activations: there is no file"),
    "a folder": (write("folder.npy")(lambda path: path.mkdir()), "Is a directory"),
    "another ending": (text("a.xls", "1 2"), "must end in .npy or .npz or .csv or .tsv or .txt or .parquet"),
    "no ending": (text("activations", "1 2"), "unknown kind of file"),
    "empty npy": (octets("a.npy", b""), "the file is empty"),
    "empty npz": (octets("a.npz", b""), "the file is empty"),
    "empty csv": (octets("a.csv", b""), "the file is empty"),
    "empty parquet": (octets("a.parquet", b""), "the file is empty"),
    "truncated npy": (cut("a.npy", lambda path: np.save(path, good_activations()), 0.7), "cannot read activations"),
    "npy cut in its header": (cut("a.npy", lambda path: np.save(path, good_activations()), 0.05), "cannot read"),
    "csv called npy": (text("a.npy", "a,b\n1,2\n"), "magic string is not correct"),
    "pickle called npy": (octets("a.npy", pickle.dumps([1, 2])), "magic string is not correct"),
    "npy of objects": (array("a.npy", objects, allow_pickle=True), "Python objects, which are never unpickled"),
    "npz of objects": (
        write("a.npz")(lambda path: np.savez(path, activations=objects)),
        "Python objects, which are never unpickled",
    ),
    "garbage npz": (octets("a.npz", b"PK\x03\x04 garbage"), "cannot read activations"),
    "truncated npz": (cut("a.npz", archive, 0.6), "cannot read activations"),
    "npy called npz": (npy_called_npz, "it is not an .npz archive"),
    "npz of other arrays": (
        write("a.npz")(lambda path: np.savez(path, x=np.eye(2), y=np.eye(2))),
        "it must contain an array named activations, but contains 'x', 'y'",
    ),
    "csv in another encoding": (text("a.csv", "é,1\nä,2\n", "cp437"), "it is not UTF-8 text"),
    "csv of ragged rows": (text("a.csv", "a,b\n1,2\n3\n"), "line 3 has 1 cell for 2 columns"),
    "csv with text": (text("a.csv", "a,b\n1,2\n3,high\n"), "invalid value 'high'"),
    "csv without names": (
        text("a.csv", "0.5,1.25\n0.1,0.2\n"),
        "the first line must name the columns, but contains numbers ('0.5', '1.25')",
    ),
    "csv with an empty cell": (
        text("a.csv", "a,b\n" + "1,2\n" * (N - 1) + "1,\n"),
        "NaN or infinity in 1 neuron (b: 1)",
    ),
    "garbage parquet": (octets("a.parquet", b"PAR1 garbage"), "cannot read activations"),
    "truncated parquet": (cut("a.parquet", parquet, 0.5), "cannot read activations"),
    "parquet with text": (
        frame("a.parquet", pd.DataFrame({"a": ["x"], "b": [1.0]})),
        "no numbers in 1 column of 'a.parquet' ('a')",
    ),
    "maps that are not pooled": (array("a.npy", np.ones((N, 3, 7, 7))), "have shape (60, 3, 7, 7): pool maps"),
    "complex numbers": (array("a.npy", np.ones((N, 3), complex)), "must be real numbers, not complex128"),
    "texts": (array("a.npy", np.full((N, 3), "x")), "must be real numbers, not <U1"),
    "records": (array("a.npy", np.zeros((N, 2), [("a", float)])), "must be real numbers"),
    "NaN": (array("a.npy", nan_at((3, 1), (4, 1), (5, 2))), "NaN or infinity in 2 neurons (1: 2, 2: 1)"),
    "infinity": (array("a.npy", nan_at((3, 1), value=np.inf)), "NaN or infinity in 1 neuron (1: 1)"),
    "a neuron twice": (text("a.csv", "a,b,a\n1,2,3\n"), "activations has 1 neuron name more than once ('a')"),
    "a neuron without a name": (text("a.csv", "a,,c\n1,2,3\n"), "a neuron has an empty name"),
    "a sample twice": (frame("a.csv", with_ids(["x", "x", *names[2:]])), "1 sample id more than once ('x')"),
    "a sample without id": (
        table("a.parquet", {"sample": ["x", None], "a": [1.0, 2.0]}),
        "1 row without a sample id",
    ),
    "no samples": (text("a.csv", "a,b\n"), "activations are empty: they have no samples"),
    "no neurons": (frame("a.csv", ids(range(N))), "there is no neuron to label"),
    "fewer rows": (array("a.npy", good_activations()[:50]), "concepts has 60 rows but activations has 50"),
}

CONCEPTS = {
    "missing file": (write("gone.csv")(lambda path: None), "cannot read concepts: there is no file"),
    "another ending": (
        octets("c.xlsx", b"x"),
        "the name of a file of concepts must end in .csv or .tsv or .txt or .parquet",
    ),
    "empty file": (octets("c.csv", b""), "the file is empty"),
    "garbage": (octets("c.parquet", b"garbage"), "cannot read concepts"),
    "shares": (
        frame("c.csv", replaced("cat", 0.3)),
        "1 value in 1 concept is neither ('cat': 1, such as 0.3)",
    ),
    "an empty cell": (frame("c.csv", replaced("cat", "")), "count them as no with unknown='no'"),
    "a word": (frame("c.csv", replaced("red", "maybe")), "('red': 1, such as the text 'maybe')"),
    "counts": (frame("c.parquet", good_concepts() * 3), "values in 3 concepts are neither"),
    "missing values": (frame("c.parquet", good_concepts().astype("Float64").replace(1, pd.NA)), "are neither"),
    "a class per sample": (
        frame("c.csv", pd.DataFrame({"sample": names, "class": ["dog"] * N})),
        "for one concept per row, name the columns sample and concept",
    ),
    "a concept twice": (text("c.csv", "a,b,a\n1,0,1\n"), "concepts has 1 name more than once ('a')"),
    "a concept without a name": (text("c.csv", "a,\n1,0\n"), "concept 1 has an empty name"),
    "a sample twice": (frame("c.csv", concepts_with_ids(["x", "x", *names[2:]])), "1 sample id more than once ('x')"),
    "no samples": (text("c.csv", "a,b\n"), "concepts are empty: 0 × 2 (samples × concepts)"),
    "no concepts": (frame("c.csv", ids(names)), "concepts are empty: 60 × 0 (samples × concepts)"),
    "a long table without samples": (
        table("c.parquet", {"sample": ["x", None], "concept": ["a", "b"]}),
        "1 row of the long table without a sample",
    ),
    "a missing list": (table("c.parquet", {"concepts": [["a"], None]}), "1 row without a list of concepts"),
    "a missing name": (table("c.parquet", {"concepts": [["a"], [None]]}), "1 concept in the lists without a name"),
    "a broken concept table": (table("c.parquet", {"concepts": [["a"]]}, {"neuronym": "{"}), "cannot read concepts"),
    "a concept table of other concepts": (
        table("c.parquet", {"concepts": [["a"]]}, {"neuronym": json.dumps({"concepts": [{"name": "b"}]})}),
        "the table of concepts in the file's metadata lacks 1 concept of the lists ('a')",
    ),
    "fewer rows": (frame("c.csv", good_concepts()[:50]), "concepts has 50 rows but activations has 60"),
}

OPTIONS = {
    "length 0": (["--length", "0"], "length must be a whole number of at least 1, not 0"),
    "length in words": (["--length", "three"], "Invalid value for '--length'"),
    "beam 0": (["--beam", "0"], "beam must be a whole number of at least 1, not 0"),
    "a fraction above 1": (["--min-fraction", "2"], "min_fraction must lie between 0 and 1, not 2.0"),
    "fractions crossed": (["--min-fraction", "0.6"], "min_fraction=0.6 is above max_fraction=0.5"),
    "min_count 0": (["--min-count", "0"], "min_count must be a whole number of at least 1, not 0"),
    "unknown prefixes": (["--prefixes", "all"], "'all' is not one of"),
    "unknown direction": (["--direction", "up"], "'up' is not one of"),
    "unknown operator": (
        ["--operators", "xor"],
        'operators must be a tuple of "and" and "or", such as ("and",), not (\'xor\',)',
    ),
    "a neuron that is not there": (["--neurons", "0,9"], "no neuron '9'; there are 4, such as 0, 1, 2"),
    "a range that runs backwards": (["--neurons", "3-1"], "'--neurons': the range 3-1 runs backwards: write 1-3"),
    "no neurons": (["--neurons", " "], "'--neurons': no neuron is named"),
    "a neuron twice": (["--neurons", "1,0-2"], "neurons has 1 neuron more than once"),
    "no workers": (["--n-jobs", "0"], "n_jobs must be a whole number other than 0"),
    "an unknown option": (["--size", "3"], "No such option: --size"),
    "an argument too many": (["more"], "unexpected extra argument"),
    "labels of another ending": (["--out", "labels.txt"], "must end in .csv or .parquet or .json"),
    "a folder that is not there": (["--out", "gone/labels.csv"], "so make it first"),
    "a folder in the way": (["--out", "folder.csv"], "it is a folder, so name a file"),
    "a file in the way": (["--out", "precious.csv"], "'precious.csv' exists: choose another name, or overwrite it"),
}

LABELS = {
    "missing file": (write("gone.csv")(lambda path: None), [], "cannot read labels: there is no file"),
    "another ending": (text("labels.txt", "x"), [], "the name of a file of labels must end in"),
    "empty file": (octets("labels.csv", b""), [], "the file is empty"),
    "another table": (
        text("labels.csv", "a,b\n1,2\n"),
        [],
        "is not a file of labels: it lacks the columns neuron, formula",
    ),
    "garbage": (octets("labels.parquet", b"garbage"), [], "cannot read labels"),
    "a row cut off": (
        text("labels.csv", "neuron,formula,auc,fraction,count\n1,dog,0.9,0.1,10\n2,cat\n"),
        [],
        "row 2 of '{path}' has 2 cells for 5 columns: the file is broken or truncated",
    ),
    "an open quote": (text("labels.csv", 'neuron,formula\n1,"dog'), [], "unexpected end of data"),
    "a number in words": (
        text("labels.csv", "neuron,formula,auc,fraction,count\n1,dog,high,0.1,10\n"),
        [],
        "label 1 of '{path}' is broken: auc must be a number, not 'high'",
    ),
    "no formula": (
        text("labels.csv", "neuron,formula,auc,fraction,count\n1,dog &,0.9,0.1,10\n"),
        [],
        "label 1 of '{path}' is broken: invalid formula: expected a concept at character 6",
    ),
    "a formula without AUC": (
        text("labels.csv", "neuron,formula,auc,fraction,count\n1,dog,,0.1,10\n"),
        [],
        "label 1 of '{path}' is broken: auc is missing",
    ),
    "a path that is none": (
        text("labels.csv", 'neuron,formula,auc,fraction,count,path\n1,dog,0.9,0.1,10,"[{""a"":1}]"\n'),
        [],
        "label 1 of '{path}' is broken: formula is missing",
    ),
    "no JSON": (text("labels.json", "{"), [], "cannot read labels"),
    "JSON of something else": (text("labels.json", "[1]"), [], "it must be a JSON object with a list called labels"),
    "JSON of labels without numbers": (text("labels.json", '{"labels": [{}]}'), [], "label 1 in '{path}' lacks neuron"),
    "a neuron that is not there": (
        text("labels.csv", "neuron,formula,auc,fraction,count\n12,dog,0.9,0.1,10\n"),
        ["13"],
        "no label for neuron '13'; near it: '12'",
    ),
    "a layer that is not there": (
        text("labels.csv", "layer,neuron,formula,auc,fraction,count\nconv1,12,dog,0.9,0.1,10\n"),
        ["12", "--layer", "conv2"],
        "no layer 'conv2'; near it: 'conv1'",
    ),
}


@pytest.fixture
def run(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious.csv").write_text("precious")
    (tmp_path / "folder.csv").mkdir()
    np.save("good.npy", good_activations())
    good_concepts().to_csv("good.csv", index=False)

    return command


def snapshot(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@contextmanager
def refused(run, folder, message):
    """Nothing is printed but one line with the message, and no file differs afterwards."""
    before = snapshot(folder)
    answers = []
    yield answers
    ((code, out, err),) = answers
    assert code not in (0, None)
    assert out == ""
    assert err.startswith("neuronym: ")
    assert err.count("\n") == 1, err
    assert message in err
    assert snapshot(folder) == before


def cases(table):
    return pytest.mark.parametrize("case", list(table.values()), ids=list(table))


@cases(ACTIVATIONS)
def test_bad_activations(run, tmp_path, case):
    writer, message = case
    writer(tmp_path / writer.file)
    with refused(run, tmp_path, message) as answers:
        answers.append(run("label", writer.file, "good.csv", "--out", "labels.csv", "--quiet"))


@cases(CONCEPTS)
def test_bad_concepts(run, tmp_path, case):
    writer, message = case
    writer(tmp_path / writer.file)
    with refused(run, tmp_path, message) as answers:
        answers.append(run("label", "good.npy", writer.file, "--out", "labels.csv", "--quiet"))


@cases(OPTIONS)
def test_bad_options(run, tmp_path, case):
    options, message = case
    with refused(run, tmp_path, message) as answers:
        answers.append(run("label", "good.npy", "good.csv", "--quiet", *options))


@cases(LABELS)
def test_bad_labels(run, tmp_path, case):
    writer, options, message = case
    writer(tmp_path / writer.file)
    with refused(run, tmp_path, message.replace("{path}", writer.file)) as answers:
        answers.append(run("show", writer.file, *options))


def test_ids_that_disagree(run, tmp_path):
    with_ids([f"photo{i + 5}" for i in range(N)]).to_csv("a.csv", index=False)
    concepts_with_ids(names).to_csv("c.csv", index=False)
    with refused(run, tmp_path, "5 of 60 ids of activations are not in concepts ('photo60'") as answers:
        answers.append(run("label", "a.csv", "c.csv", "--quiet", "--out", "labels.csv"))


def test_no_id_in_common(run, tmp_path):
    with_ids([f"x{i}" for i in range(N)]).to_csv("a.csv", index=False)
    concepts_with_ids(names).to_csv("c.csv", index=False)
    with refused(run, tmp_path, "no sample id is common to activations ('x0'") as answers:
        answers.append(run("label", "a.csv", "c.csv", "--quiet", "--out", "labels.csv", "--align"))


def test_missing_argument(run, tmp_path):
    with refused(run, tmp_path, "Missing argument 'CONCEPTS'") as answers:
        answers.append(run("label", "good.npy"))


def test_unknown_command(run, tmp_path):
    with refused(run, tmp_path, "No such command 'lable'") as answers:
        answers.append(run("lable", "good.npy", "good.csv"))


@pytest.mark.parametrize("name", ["labels.csv", "precious.csv"])
def test_a_full_disk(run, tmp_path, name):
    run("label", "good.npy", "good.csv", "--quiet")  # writes the compiled search to its cache
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, allowed[1]))
    try:
        with refused(run, tmp_path, "nothing was written") as answers:
            answers.append(run("label", "good.npy", "good.csv", "--quiet", "--out", name, "--overwrite"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)


def test_too_little_memory(run, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("neuronym.cli.label.label", fail)
    with refused(run, tmp_path, "not enough memory") as answers:
        answers.append(run("label", "good.npy", "good.csv", "--quiet", "--out", "labels.csv"))


def test_a_header_that_promises_more_than_there_is(run, tmp_path):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**9}, {10**6}), }}".encode()
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with refused(run, tmp_path, "cannot read activations from 'a.npy'") as answers:
        answers.append(run("label", "a.npy", "good.csv", "--quiet"))


def test_there_are_at_least_60_kinds():
    assert len(ACTIVATIONS) + len(CONCEPTS) + len(OPTIONS) + len(LABELS) >= 60
