"""Every reader: what is wrong in a file is a FileError, and a bug of ours is none."""

import json
import re
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

import old_stores
from file_kinds import USES, circuit, classes, coco, labels, second_version, store, use_findings, use_labels, write
from neuronym import Concepts, FileError, FormulaError, Hierarchy, InputError, Labels, open_activations, open_concepts
from neuronym._util import files
from neuronym.analysis.circuits import files as circuit_files
from neuronym.analysis.circuits.graph import open_circuit
from neuronym.analysis.spurious import findings
from neuronym.analysis.spurious.findings import open_findings
from neuronym.errors import NeuronymError
from neuronym.inputs import samples
from neuronym.io import conll as io_conll
from neuronym.io import files as io_files
from neuronym.io import images, sources, tables, zarr_store
from neuronym.io import texts as io_texts
from neuronym.io.sources import coco as coco_source
from neuronym.io.sources import tabular
from neuronym.io.texts import open_tokens
from neuronym.labels import files as label_files
from neuronym.labels import plain
from neuronym.network import weights

OURS = {  # a part of ours that has to do with what is read
    "labels.csv": (plain, "as_name"),
    "labels.parquet": (plain, "_check_steps"),
    "labels.json": (label_files, "_table_of_texts"),
    "a.npy": (io_files, "Activations"),
    "a.npz": (io_files, "Activations"),
    "a.csv": (io_files, "side_by_side"),
    "a.txt": (io_files, "side_by_side"),
    "a.parquet": (io_files, "is_number"),
    "a.zarr": (zarr_store, "Activations"),
    "b.zarr": (zarr_store, "Activations"),
    "v2.zarr": (zarr_store, "Activations"),
    "c.parquet": (io_files, "columns_of_pairs"),
    "long.csv": (Concepts, "from_long"),
    "long.tsv": (Concepts, "from_long"),
    "hot.csv": (io_files, "as_bool"),
    "attributes.csv": (tabular, "is_missing"),
    "attributes.parquet": (tabular, "is_missing"),
    "texts.csv": (tables, "split_ids"),
    "texts.parquet": (tables, "split_ids"),
    "tokens.csv": (io_texts, "complete_tokens"),
    "tokens.parquet": (io_texts, "complete_tokens"),
    "tags.conll": (io_conll, "_place"),
    "tags.conllu": (io_conll, "_place"),
    "rows.csv": (samples, "_of_frame"),
    "coco.json": (coco_source, "_coco_entries"),
    "annotations.txt": (Concepts, "from_long"),
    "classes.txt": (Hierarchy, "readable"),
    "data.noun": (Hierarchy, "__init__"),
    "hierarchy.csv": (Hierarchy, "__init__"),
    "circuit.json": (circuit_files, "as_name"),
    "neurons.csv": (findings, "as_name"),
    "classes.csv": (findings, "as_name"),
    "photo.png": (images, "check_names"),
    "weights.pt": (weights, "_tensors"),
    "old.pt": (weights, "_tensors"),
    "weights.safetensors": (weights, "_tensors"),
}
# Images are read when they are used.
READ_AT_ONCE = [name for name in OURS if not name.endswith((".zarr", ".png"))]


def read(path):
    return USES[path.name][1](path)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("kind", [KeyError, ValueError, TypeError])
def test_a_bug_of_ours_is_no_broken_file(tmp_path, monkeypatch, name, kind):
    path = write(name, tmp_path)
    read(path)

    def broken(*_, **__):
        raise kind("a bug")

    monkeypatch.setattr(*OURS[name], broken)
    with pytest.raises(kind, match="a bug") as caught:
        read(path)
    assert not isinstance(caught.value, InputError)


# Text that is cut off may well be a shorter file that is whole.
WHOLE_WHEN_CUT = {name for name in OURS if name.endswith((".csv", ".tsv", ".txt", ".noun", ".conll", ".conllu"))}


@pytest.mark.parametrize("name", READ_AT_ONCE)
def test_a_file_that_is_cut_off_is_refused(tmp_path, name):
    path = write(name, tmp_path)
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


@pytest.mark.parametrize("name", READ_AT_ONCE)
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
        read(path)


@pytest.mark.parametrize("name", [name for name in READ_AT_ONCE if name != "classes.csv"])
def test_a_file_that_is_missing_or_no_file_is_refused(tmp_path, name):
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


def test_reading_turns_errors_of_any_kind_into_one_that_names_the_file(tmp_path):
    for error, said in (
        (KeyError("a"), r"it is broken \(KeyError: 'a'\)"), (OSError(5, "x"), "Input/output"),
        (ValueError("b\nc"), "b"),
        (RecursionError(), "RecursionError"), (ValueError("d" * 1000), "d{300}…$"),
    ):  # fmt: skip
        with pytest.raises(FileError, match=f"cannot read things from .*: {said}"), files.reading(tmp_path, "things"):
            raise error
    for passed in (MemoryError(), KeyboardInterrupt(), NeuronymError("ours"), FormulaError("ours")):
        with pytest.raises(type(passed)) as caught, files.reading(tmp_path, "things"):
            raise passed
        assert caught.value is passed


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


def test_a_chunk_that_is_cut_off_is_refused_when_it_is_read(tmp_path):
    path = write("v2.zarr", tmp_path)  # of another program; of ours, sizes are checked when it is opened
    chunk = next(path.rglob("0.0"))
    chunk.write_bytes(chunk.read_bytes()[:-3])
    opened = open_activations(path)
    for read_part in (lambda: opened.block(np.arange(2)), lambda: opened.take([0]), lambda: np.asarray(opened.matrix)):
        with pytest.raises(FileError, match=r"cannot read activations from .*v2\.zarr"):
            read_part()


def test_chunks_of_no_size_are_refused(tmp_path):
    second_version(tmp_path / "a.zarr")
    path = tmp_path / "a.zarr/.zarray"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chunks": [0, 2]}))
    with pytest.raises(FileError, match=r"cannot read activations from .*chunk"):
        open_activations(tmp_path / "a.zarr")


def test_ids_of_a_store_that_are_no_texts_are_refused(tmp_path):
    old_stores.write(tmp_path / "a.zarr", {"one": np.zeros((3, 2))}, {})  # a store that lists its files sees it earlier
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="r+")
    group.create_array("sample_ids", data=np.arange(3), overwrite=True)
    with pytest.raises(FileError, match="its sample_ids are not texts"):
        open_activations(tmp_path / "a.zarr")


@pytest.mark.parametrize("header", ["import os", "1 +", "(" * 300, "{'a': " * 90, "{'descr': 3}"])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_header_that_is_no_python_is_refused(tmp_path, name, header):
    array = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header.encode() + b"\n" + bytes(48)
    (tmp_path / "a.npy").write_bytes(array)
    if name == "a.npz":
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("activations.npy", array)
    with pytest.raises(FileError, match=f"cannot read activations from .*{name}"):
        open_activations(tmp_path / name)


@pytest.mark.parametrize("described", [{"pandas": "[]"}, {"pandas": '{"index_columns": true}'}, {"pandas": '{"a": 1}'}])
def test_tokens_with_odd_metadata_are_refused(tmp_path, described):
    made = pa.table({"sample": ["a#0"], "parent": ["a"]}).replace_schema_metadata(described)
    pq.write_table(made, tmp_path / "t.parquet")
    with pytest.raises(FileError, match="cannot read tokens from"):
        open_tokens(tmp_path / "t.parquet")


def test_times_that_python_cannot_represent_are_refused(tmp_path):
    pq.write_table(pa.table({"when": pa.array([2**62], pa.timestamp("ms"))}), tmp_path / "t.parquet")
    with pytest.raises(FileError, match="cannot read attributes from"):
        sources.open_attributes(tmp_path / "t.parquet")


def test_an_origin_that_is_no_object_is_refused(tmp_path):
    made = pa.table({"concepts": [["dog"]]}).replace_schema_metadata({"neuronym": '{"origin": "abc"}'})
    pq.write_table(made, tmp_path / "c.parquet")
    with pytest.raises(FileError, match="the origin in its metadata must be a JSON object"):
        open_concepts(tmp_path / "c.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"share": float("nan")}, "an edge lacks its contribution or share"), ({"contribution": 10**400}, "an edge lacks"),
     ({"multigraph": "yes"}, "it is not a directed graph"), ({"level": 10**400}, "has an odd AUC or level"),
     ({"auc": "high"}, "has an odd AUC or level"), ({"layer": "high", "neuron": "0"}, "two nodes are of one neuron"),
     ({"n_samples": 10**30}, "it lacks n_samples"), ({"node_for_adding": 1}, "cannot read a circuit from")],
)  # fmt: skip
def test_odd_values_of_a_circuit_are_refused(tmp_path, change, message):
    path = tmp_path / "c.json"
    circuit(path)
    whole = json.loads(path.read_text())
    node = next(one for one in whole["nodes"] if "formula" in one)
    for place in (whole, node, whole["edges"][0]):
        inside = {name for name in change if name in place or (place is node and name not in ("multigraph", "share"))}
        place.update({name: change[name] for name in inside if name != "n_samples" or place is whole})
    path.write_text(json.dumps(whole))
    with pytest.raises(FileError, match=message):
        open_circuit(path)


def test_a_circuit_that_does_not_say_whether_it_is_a_multigraph_is_none(tmp_path):
    circuit(tmp_path / "c.json")
    whole = json.loads((tmp_path / "c.json").read_text())
    del whole["multigraph"]
    (tmp_path / "d.json").write_text(json.dumps(whole))
    assert open_circuit(tmp_path / "d.json").graph.edges == open_circuit(tmp_path / "c.json").graph.edges


@pytest.mark.parametrize(
    ("table", "message"),
    [("suspect,neuron,rank,q\nm,1,1,0.1\n", "it lacks 'pairs'"), ("suspect,neuron,rank,q,pairs\n", "it has no rows"),
     ("suspect,neuron,rank,q,pairs\nm,1,1,x,8\n", "the column q must hold numbers"),
     ("suspect,neuron,rank,q,pairs\nm,1,1,0.1,é\n", "the column pairs must hold numbers"),
     ("suspect,neuron,rank,q,pairs\nm,1,1,0.1,\n", "cells of the column pairs are empty"),
     ("suspect,neuron,rank,q,pairs\nm,,1,0.1,8\n", "cells of the column neuron are empty")],
)  # fmt: skip
def test_odd_findings_are_refused(tmp_path, table, message):
    (tmp_path / "neurons.csv").write_text(table)
    with pytest.raises(FileError, match=f"is not a table of findings: {message}"):
        open_findings(tmp_path)


def test_findings_keep_names_that_look_like_numbers(tmp_path):
    classes(tmp_path / "classes.csv")
    for name in ("neurons.csv", "classes.csv"):
        path = tmp_path / name
        path.write_text(path.read_text().replace("mark,", "12,"))
    opened = open_findings(tmp_path)
    assert opened.neurons["suspect"].tolist() == ["12", "12"]
    assert opened.neurons["neuron"].tolist() == [1, 2]
    use_findings(opened)


def test_numbers_of_labels_outside_of_their_range_are_refused(tmp_path):
    path = tmp_path / "l.json"
    for name, value in (("auc", 1.5), ("fraction", -1), ("q", 2), ("count", 2**63), ("p_search", 1e308)):
        path.write_text(json.dumps({"labels": [GOOD | {name: value}]}))
        with pytest.raises(FileError, match=f"label 1 of .* is broken: {name} must be a"):
            Labels.open(path)
    labels(tmp_path / "whole.json")
    use_labels(Labels.open(tmp_path / "whole.json"))
