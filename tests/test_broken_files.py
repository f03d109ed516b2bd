"""Every reader: what is wrong in a file is a FileError, and a bug of ours is none."""

import json
import re

import networkx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
    open_activations,
    open_concepts,
    save_activations,
    save_concepts,
)
from neuronym._util import files
from neuronym.analysis.circuits import files as circuit_files
from neuronym.analysis.circuits.graph import Circuit, open_circuit, save_circuit
from neuronym.analysis.spurious import findings
from neuronym.analysis.spurious.findings import open_findings
from neuronym.inputs.samples import Samples
from neuronym.io import conll as io_conll
from neuronym.io import files as io_files
from neuronym.io import sources, tables, zarr_store
from neuronym.io import texts as io_texts
from neuronym.io.conll import open_tags
from neuronym.io.sources import coco as coco_source
from neuronym.io.sources import tabular
from neuronym.io.texts import open_class_names, open_texts, open_tokens, save_tokens
from neuronym.labels import files as label_files

IDS = ["a", "b", "c"]
MATRIX = np.array([[1.0, 2], [3, 4], [5, 6]])


def labels(path):
    best = Explanation(Formula.parse("dog & ~cat"), 0.9, 0.2, 20, gain=0.1, p_gain=0.01)
    one = Label(3, "a", "low", best, (None, best), (best,), aliases={"dog": ("pug",)}, alternatives=((None, 0.5),))
    Labels([one, Label(4, "a", reason="constant")]).save(path)


def activations(path):
    save_activations(Activations(MATRIX, ["x", "y"], sample_ids=IDS), path)


def bare(path):
    np.save(path, MATRIX)


def store(path):
    with zarr_store.LayerWriter(path, ["one"], {}, n_samples=3) as writer:
        writer.add({"one": MATRIX}, 3, IDS)
        writer.finish()


def concepts(path):
    save_concepts(Concepts.from_array(np.eye(3, dtype=bool), ["dog", "cat", "sky"], sample_ids=IDS), path)


def long(path):
    pd.DataFrame({"sample": IDS, "concept": ["dog", "cat", "dog"]}).to_csv(path, index=False)


def hot(path):
    pd.DataFrame({"sample": IDS, "dog": [1, 0, 1], "cat": [0, 0, 1]}).to_csv(path, index=False)


def attributes(path):
    frame = pd.DataFrame({"sample": IDS, "colour": ["red", "blue", "red"]})
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)


def texts(path):
    frame = pd.DataFrame({"sample": IDS, "text": ["one", "two", "three"]})
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)


def tokens(path):
    table = pd.DataFrame({"sample": ["a#0", "a#1"], "parent": "a", "text": ["one", "two"]})
    save_tokens(table.assign(word=None, start=[0, 4], end=[3, 7]), path)


def tags(path):
    path.write_text("one NUM B-X\ntwo NUM O\n\nthree NUM O\n")


def coco(path):
    whole = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 7, "name": "dog", "supercategory": "animal"}],
        "annotations": [{"image_id": 1, "category_id": 7}],
    }
    path.write_text(json.dumps(whole))


def annotations(path):
    path.write_text("a.jpg\tn01\t0\nb.jpg\tn02\t1\n")


def class_names(path):
    path.write_text("dog\ncat\n")


def wordnet(path):
    path.write_text(
        "  licence\n00001740 03 n 01 entity 0 000 | all\n00001930 03 n 01 thing 0 001 @ 00001740 n 0000 | x\n"
    )


def circuit(path):
    graph = networkx.DiGraph()
    graph.add_node(("high", 0), layer="high", neuron=0, level=0)
    graph.add_node(("low", 1), layer="low", neuron=1, level=1, formula="dog", auc=0.9)
    graph.add_edge(("low", 1), ("high", 0), contribution=1.5, share=0.5, method="linear")
    save_circuit(Circuit(graph, ("high", 0), ["high", "low"], 7, {("high", 0): 1.0}), path)


def found(path):
    path.write_text("suspect,layer,neuron,rank,auc,q\nmark,a,1,1,0.9,0.01\n")


READERS = {  # the file, what writes it, what reads it, and a part of ours that has to do with what is read
    "labels.csv": (labels, Labels.open, (label_files, "as_name")),
    "labels.parquet": (labels, Labels.open, (label_files, "_parsed")),
    "labels.json": (labels, Labels.open, (label_files, "replace")),
    "a.npy": (bare, open_activations, (io_files, "Activations")),
    "a.npz": (activations, open_activations, (io_files, "Activations")),
    "a.csv": (activations, open_activations, (io_files, "side_by_side")),
    "a.parquet": (activations, open_activations, (io_files, "is_number")),
    "a.zarr": (store, open_activations, (zarr_store, "Activations")),
    "c.parquet": (concepts, open_concepts, (io_files, "columns_of_pairs")),
    "long.csv": (long, open_concepts, (Concepts, "from_long")),
    "hot.csv": (hot, open_concepts, (io_files, "as_bool")),
    "attributes.csv": (attributes, sources.open_attributes, (tabular, "is_missing")),
    "attributes.parquet": (attributes, sources.open_attributes, (tabular, "is_missing")),
    "texts.csv": (texts, open_texts, (tables, "split_ids")),
    "texts.parquet": (texts, open_texts, (tables, "split_ids")),
    "tokens.csv": (tokens, open_tokens, (io_texts, "complete_tokens")),
    "tokens.parquet": (tokens, open_tokens, (io_texts, "complete_tokens")),
    "tags.conll": (tags, open_tags, (io_conll, "_place")),
    "rows.csv": (hot, Samples.of, None),
    "coco.json": (coco, sources.from_coco, (coco_source, "_coco_entries")),
    "annotations.txt": (annotations, sources.from_annotations, (Concepts, "from_long")),
    "classes.txt": (class_names, open_class_names, (Hierarchy, "readable")),
    "data.noun": (wordnet, lambda path: Hierarchy.from_wordnet(path.parent), (Hierarchy, "__init__")),
    "circuit.json": (circuit, open_circuit, (circuit_files, "as_name")),
    "neurons.csv": (found, lambda path: open_findings(path.parent), (findings, "as_name")),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", [KeyError, ValueError, TypeError])
def test_a_bug_of_ours_is_no_broken_file(tmp_path, monkeypatch, name, kind):
    write, read, ours = READERS[name]
    write(tmp_path / name)
    read(tmp_path / name)
    if ours is None:
        return

    def broken(*_, **__):
        raise kind("a bug")

    monkeypatch.setattr(*ours, broken)
    with pytest.raises(kind, match="a bug") as caught:
        read(tmp_path / name)
    assert not isinstance(caught.value, InputError)


# Text that is cut off may well be a shorter file that is whole.
WHOLE_WHEN_CUT = {name for name in READERS if name.endswith((".csv", ".txt", ".noun", ".conll"))}


@pytest.mark.parametrize("name", [name for name in READERS if name != "a.zarr"])
def test_a_file_that_is_cut_off_is_refused(tmp_path, name):
    write, read, _ = READERS[name]
    path = tmp_path / name
    write(path)
    whole = path.read_bytes()
    refused = 0
    for cut in sorted({*range(0, len(whole) - 1, max(1, len(whole) // 40)), len(whole) - 2}):
        path.write_bytes(whole[:cut])
        try:
            read(path)
        except InputError:
            refused += 1
        else:
            assert name in WHOLE_WHEN_CUT, cut
    assert refused


@pytest.mark.parametrize("name", [name for name in READERS if name != "a.zarr"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00\x01garbage\x00", b"\x00" * 300, b'"', b"PK\x03\x04", b"\x93NUMPY"]
)
def test_garbage_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    if name in WHOLE_WHEN_CUT and content[:1] in (b"\x00", b"P"):
        return  # the name of a column without rows, or of a class
    if name == "classes.txt" and content == b'"':
        return
    with pytest.raises(InputError):
        READERS[name][1](path)


@pytest.mark.parametrize("name", [name for name in READERS if name != "a.zarr"])
def test_a_file_that_is_missing_or_no_file_is_refused(tmp_path, name):
    read = READERS[name][1]
    with pytest.raises(FileError, match="there is no file"):
        read(tmp_path / name)
    if name.endswith(".parquet"):
        return  # a folder may hold the parts of a table
    (tmp_path / name).mkdir()
    with pytest.raises(FileError):
        read(tmp_path / name)


def test_a_path_with_nul_is_refused():
    with pytest.raises(FileError, match="contains a NUL character"):
        Labels.open("a\0.csv")


def test_reading_passes_on_what_is_not_the_readers(tmp_path):
    with pytest.raises(KeyError, match="a"), files.reading(tmp_path, "things", OSError):
        raise KeyError("a")
    with (
        pytest.raises(FileError, match=r"cannot read things from .*: 'a'"),
        files.reading(tmp_path, "things", KeyError),
    ):
        raise KeyError("a")
    with pytest.raises(MemoryError), files.reading(tmp_path, "things", Exception):
        raise MemoryError


GOOD = {"neuron": 1, "formula": "dog", "auc": 0.9, "fraction": 0.1, "count": 10}

ODD = {
    "neuron": [([1], "neuron must be text, not '[1]'"), (None, "neuron is missing")],
    "formula": [({}, "formula must be text, not '{}'"),
                ("dog &", "invalid formula: expected a concept"), (True, "must be text")],
    "auc": [("high", "auc must be a number, not 'high'"), ([], "auc must be a number, not '[]'"),
            (None, "auc is missing"),
            (10**400, "must be a number"), (True, "auc must be a number, not 'True'")],
    "count": [(1.5, "count must be a whole number, not '1.5'"), ("x", "count must be a whole number, not 'x'"),
              ({}, "must be a whole number")],
    "direction": [("up", "direction must be high or low, not 'up'"), ([], "must be text")],
    "q": [("x", "q must be a number, not 'x'")],
    "tail": [("maybe", "tail must be True or False, not 'maybe'")],
    "path": [("dog", "path must be JSON"), ({}, None), ({"a": 1}, "must be a list"),
             ([3], "path must be an object, not '3'"),
             ([{"a": 1}], "formula is missing"), ([{"formula": "a", "auc": 1}], "fraction is missing")],
    "runners_up": [([None], "runners_up must be an object, not 'None'")],
    "aliases": [([1], "aliases must be an object, not '[1]'"), ({"a": "b"}, "aliases must be a list of names, not 'b'"),
                ({"a": [1]}, "must be a list of names")],
    "alternatives": [([1], "alternatives must be a formula and its share, not '1'"),
                     ([["a"]], "must be a formula and its share"),
                     ([["a", None]], "share is missing"), ([["a &", 1]], "invalid formula")],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value", "message"), [(name, *case) for name, cases in ODD.items() for case in cases])
def test_labels_with_odd_contents_are_refused(tmp_path, name, value, message):
    path = tmp_path / "l.json"
    path.write_text(json.dumps({"labels": [GOOD, GOOD | {name: value}]}))
    if message is None:
        assert len(Labels.open(path)) == 2
        return
    with pytest.raises(FileError, match=re.escape("label 2 of ") + ".* is broken: .*" + re.escape(message)):
        Labels.open(path)


def test_labels_in_columns_of_other_types_are_refused(tmp_path):
    columns = {name: [value] for name, value in GOOD.items()}
    pq.write_table(pa.table(columns | {"auc": [[0.9]]}), tmp_path / "l.parquet")
    with pytest.raises(FileError, match=r"label 1 of .* is broken: auc must be a number, not '\[0.9\]'"):
        Labels.open(tmp_path / "l.parquet")
    (tmp_path / "l.csv").write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(FileError, match="is not a file of labels: it lacks the columns neuron"):
        Labels.open(tmp_path / "l.csv")


@pytest.mark.parametrize(
    "state",
    [None, {}, [], {"complete": True}, {"complete": True, "settings": {}, "samples": 1, "rows": 1, "batches": 1},
     {"complete": True, "settings": {"layers": [3]}, "samples": 1, "rows": 1, "batches": 1, "skipped": []}],
)  # fmt: skip
def test_a_store_that_says_odd_things_is_refused(tmp_path, state):
    store(tmp_path / "a.zarr")
    path = tmp_path / "a.zarr/zarr.json"
    whole = json.loads(path.read_text())
    whole["attributes"]["neuronym"] = state
    path.write_text(json.dumps(whole))
    with pytest.raises(FileError):
        open_activations(tmp_path / "a.zarr")


@pytest.mark.parametrize("name", ["zarr.json", "one/zarr.json", "one/activations/zarr.json", "sample_ids/zarr.json"])
def test_a_store_that_is_cut_off_is_refused(tmp_path, name):
    store(tmp_path / "a.zarr")
    path = tmp_path / "a.zarr" / name
    whole = path.read_bytes()
    for cut in (0, 1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(FileError):
            open_activations(tmp_path / "a.zarr")
    path.unlink()
    if name != "sample_ids/zarr.json":  # without it, samples have no ids
        with pytest.raises(FileError):
            open_activations(tmp_path / "a.zarr")


@pytest.mark.parametrize("table", ["[]", "3", '{"concepts": 3}', '{"concepts": [{}]}', '{"concepts": [{"name": 3}]}'])
def test_an_odd_concept_table_is_refused(tmp_path, table):
    made = pa.table({"concepts": [["dog"]]}).replace_schema_metadata({"neuronym": table})
    pq.write_table(made, tmp_path / "c.parquet")
    with pytest.raises(FileError, match="cannot read concepts from"):
        open_concepts(tmp_path / "c.parquet")


@pytest.mark.parametrize(
    "described", ["[]", "{", '{"index_columns": [{"kind": "range"}]}',
                  '{"index_columns": [{"kind": "range", "start": 0, "stop": 3, "step": 0}]}']
)  # fmt: skip
def test_odd_metadata_of_a_dataframe_are_refused(tmp_path, described):
    made = pa.table({"x": [1.0, 2.0]}).replace_schema_metadata({"pandas": described})
    pq.write_table(made, tmp_path / "a.parquet")
    with pytest.raises(FileError, match="cannot read"):
        open_activations(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": 3}, "it has no list called nodes"),
        ({"edges": [3]}, "it has no list called edges"),
        ({"nodes": [{"id": "a"}]}, "a node lacks layer"),
        ({"edges": [{"source": "x", "target": "y"}]}, "an edge refers to a node that is not in the file"),
        ({"target": "nowhere"}, "its target is not among the nodes"),
        ({"n_samples": "many"}, "it lacks n_samples"),
        ({"directed": False}, "it is not a directed graph"),
    ],
)
def test_an_odd_circuit_is_refused(tmp_path, change, message):
    path = tmp_path / "c.json"
    circuit(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FileError, match=f"is not a circuit saved by save_circuit: {message}"):
        open_circuit(path)


@pytest.mark.parametrize(
    "change", [{"images": [{}]}, {"images": [{"id": [1], "file_name": "a"}]}, {"categories": None},
               {"annotations": [{"image_id": 2, "category_id": 7}]}, {"annotations": [3]}]
)  # fmt: skip
def test_odd_coco_is_refused(tmp_path, change):
    path = tmp_path / "x.json"
    coco(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FileError, match=r"is not a COCO instances file: it needs .*, but "):
        sources.from_coco(path)


@pytest.mark.parametrize(
    "line", ["0001", "0001 03 n zz entity 0 000", "0001 03 n 01 entity 0 x", "1 03 n 01 a 0 002 @ 2 n 0000"]
)
def test_odd_lines_of_wordnet_are_refused(tmp_path, line):
    (tmp_path / "data.noun").write_text("  licence\n" + line + " | gloss\n")
    with pytest.raises(FileError, match="line 2 does not follow its format"):
        Hierarchy.from_wordnet(tmp_path)
