"""Sparse layers of a store: written batch by batch, resumed, read by columns, checked, and labelled."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from neuronym import Activations, ActivationsError, FileError, OptionError, check, collect, label, open_activations
from neuronym.data.sparse_store import chunk_bytes, chunk_entries
from neuronym.data.store_files import StoreFiles
from neuronym.io import zarr_store
from neuronym.io.store_progress import CHUNK
from neuronym.io.zarr_store import LayerWriter

N, WIDTH = 9_000, 150  # three rows of chunks, three columns of them


def values_of(seed=0, n=N, width=WIDTH):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((n, width)) < 0.02, rng.normal(size=(n, width)), 0).astype(np.float32)
    values[:, 70] = 0
    return values


def write(path, values, layers=("a",), batch=1000, stop=None, sparse=True, **options):
    """Write a store; with ``stop``, only so many rows, as a run that is cut short."""
    with LayerWriter(path, layers, {}, n_samples=len(values), sparse=sparse, **options) as sink:
        for start in range(sink.samples, len(values) if stop is None else stop, batch):
            part = values[start : start + batch]
            ids = [f"s{i}" for i in range(start, start + len(part))]
            sink.add(dict.fromkeys(layers, part), len(part), ids)
            if stop is not None:
                sink._write()
        return None if stop is not None else sink.finish()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    write(path, values_of())
    return path


def test_a_sparse_layer_is_read_as_it_was_written(store):
    values, opened = values_of(), open_activations(store)
    assert repr(opened) == (
        f"Activations(9000 samples × 150 neurons, float32, on disk, sparse: {np.mean(values != 0):.2%} not zero)"
    )
    assert opened.sparse
    assert opened.on_disk
    assert opened.sample_ids[:2] == ("s0", "s1")
    for columns in (np.arange(WIDTH), np.arange(64, 128), np.array([149, 3, 70, 64]), np.array([], np.intp)):
        block = opened.block(columns)
        assert block.has_canonical_format
        np.testing.assert_array_equal(block.toarray(), values[:, columns])
    np.testing.assert_array_equal(opened.column(149), values[:, 149])
    part = opened.take([8500, 2, 4096])
    np.testing.assert_array_equal(part.matrix.toarray(), values[[8500, 2, 4096]])
    np.testing.assert_array_equal(opened.matrix[4000:4200].toarray(), values[4000:4200])
    np.testing.assert_array_equal(opened.matrix[10:20, [5, 140]].toarray(), values[10:20, [5, 140]])
    sent = pickle.loads(pickle.dumps(opened))
    np.testing.assert_array_equal(sent.block(np.array([7])).toarray(), values[:, [7]])
    size = sum(file.stat().st_size for file in store.rglob("c/*/*"))
    assert size < values.nbytes / 4
    assert "all as they were written" in str(check(store))


def test_labels_from_a_sparse_layer_are_those_of_the_array(store):
    values = values_of()
    concepts = np.random.default_rng(1).random((N, 4)) < 0.3
    concepts[:, 0] |= values[:, 3] > 0
    ids = [f"s{i}" for i in range(N)]
    of_array = label(Activations(values, sample_ids=ids), concepts, align="position", length=2, holdout=0.5)
    for n_jobs in (1, 2):
        found = label(store, concepts, align="position", length=2, holdout=0.5, n_jobs=n_jobs)
        pd.testing.assert_frame_equal(found.to_frame().drop(columns="layer"), of_array.to_frame(), check_exact=True)


@pytest.mark.parametrize("stop", [1000, 4096, 5000, 8192])
def test_a_run_that_was_cut_short_goes_on(stop, tmp_path):
    values, path = values_of(), tmp_path / "s.zarr"
    write(path, values, stop=stop, batch=1000 if stop % 1000 == 0 else 4096)
    with pytest.raises(FileError, match="incomplete"):
        open_activations(path)
    with LayerWriter(path, ["a"], {}, n_samples=N, sparse=True) as sink:
        np.testing.assert_array_equal(sink.stored(max(0, stop - 700), stop)["a"], values[max(0, stop - 700) : stop])
    write(path, values)
    np.testing.assert_array_equal(open_activations(path).matrix[:].toarray(), values)
    other = tmp_path / "whole.zarr"
    write(other, values)
    files = {file.relative_to(path): file.read_bytes() for file in path.rglob("c/*/*")}
    assert files == {file.relative_to(other): file.read_bytes() for file in other.rglob("c/*/*")}


def test_rows_beyond_those_that_are_listed_are_left_out(tmp_path):
    """A run that was killed after its chunks were in place, and before they were listed."""
    values, path = values_of(), tmp_path / "s.zarr"
    write(path, values, stop=1000)
    listed = (path / "part-0.jsonl").read_bytes()
    write(path, values, stop=2000)
    (path / "part-0.jsonl").write_bytes(listed)
    write(path, values)
    np.testing.assert_array_equal(open_activations(path).matrix[:].toarray(), values)


@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "empty"])
def test_a_damaged_chunk_is_named(damage, tmp_path):
    path = tmp_path / "s.zarr"
    write(path, values_of(n=500), stop=None)
    chunk = path / "a/sparse/c/0/1"
    data = bytearray(chunk.read_bytes())
    if damage == "missing":
        chunk.unlink()
    else:
        data[300] ^= 1
        chunk.write_bytes({"cut": data[:-1], "changed": data, "empty": b""}[damage])
    with pytest.raises(FileError, match=r"a/sparse/c/0/1' is damaged"):
        open_activations(path).column(100)
    assert "1 fault" in str(check(path))


NO_CHUNKS = [
    b"",
    bytes(7),  # too short
    bytes(261),  # no whole number of entries
    b"\1" + bytes(259),  # columns do not start at 0
    bytes(266),  # an entry that no column has
    bytes(256) + b"\1\0\0\0" + b"\xff" * 6,  # a row beyond the chunk
    bytes(4) + b"\2\0\0\0" + b"\1\0\0\0" * 63 + bytes(6),  # columns that end before they start
]


@pytest.mark.parametrize("data", NO_CHUNKS, ids=range(len(NO_CHUNKS)))
def test_contents_that_are_no_chunk_are_refused(data, tmp_path):
    with pytest.raises(FileError, match="it is no chunk of a sparse layer"):
        chunk_entries(data, tmp_path, CHUNK, CHUNK[0])


def test_a_chunk_is_what_is_not_zero_column_by_column(tmp_path):
    part = sparse.csc_array(np.array([[0, 1.5], [2, 0], [3, -1]], np.float32))
    data = chunk_bytes(part, 4)
    assert data == (
        np.array([0, 2, 4, 4, 4], "<i4").tobytes() + np.array([1, 2, 0, 2], "<u2").tobytes()
        + np.array([2, 3, 1.5, -1], "<f4").tobytes()
    )  # fmt: skip
    starts, rows, values = chunk_entries(data, tmp_path, (8, 4), 2)  # of which two rows count
    assert (starts.tolist(), rows.tolist(), values.tolist()) == ([0, 1, 2, 2, 2], [1, 0], [2, 1.5])


ODD = [
    {},
    7,
    {"shape": [9], "chunks": [4096, 64]},
    {"shape": [9, 0], "chunks": [4096, 64]},
    {"shape": [500, 150], "chunks": [4096, 16]},
    {"shape": [500, True], "chunks": [1, 1]},
]


@pytest.mark.parametrize("about", ODD, ids=str)
def test_a_layer_that_does_not_say_how_it_is_stored_is_refused(about, tmp_path):
    path = tmp_path / "s.zarr"
    write(path, values_of(n=500))
    files = StoreFiles.open(path)
    node = {"a": SimpleNamespace(attrs={"neuronym": {"neurons": None, "sparse": about}})}
    with pytest.raises(FileError, match="layer 'a' does not"):
        zarr_store._sparse(node, "a", path, files)


def model_of():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 80), torch.nn.Threshold(1.5, 0), torch.nn.Linear(80, 5))


@pytest.mark.parametrize("in_store", [False, True])
def test_layers_are_collected_sparse(in_store, tmp_path):
    model, data = model_of(), torch.randn(300, 8)
    out = {"out": tmp_path / "s.zarr"} if in_store else {}
    whole = collect(model, data, layers=["1", "2"])
    for bound, expected in ((True, [True, True]), (0.2, [True, False]), (0.0, [False, False])):
        found = collect(model, data, layers=["1", "2"], sparse=bound, overwrite=in_store, **out)
        assert [found[layer].sparse for layer in ("1", "2")] == expected
        for layer, one in found.items():
            block = one.block(one.indices())
            block = block.toarray() if one.sparse else block
            np.testing.assert_array_equal(block, whole[layer].matrix)
        again = collect(model, data, layers=["1", "2"], sparse=bound, **out)  # which opens the finished store
        assert [again[layer].sparse for layer in ("1", "2")] == expected


def test_a_sparse_store_is_not_resumed_as_a_dense_one(tmp_path):
    model, data = model_of(), torch.randn(50, 8)
    collect(model, data, layers=["1"], sparse=True, out=tmp_path / "s.zarr")
    with pytest.raises(FileError, match="sparse"):
        collect(model, data, layers=["1"], out=tmp_path / "s.zarr")
    with pytest.raises(OptionError, match="sparse must be a share from 0 to 1, or True for all layers, not 2"):
        collect(model, data, layers=["1"], sparse=2)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_sparse_batches_are_taken_and_must_be_finite(wrong, tmp_path):
    values = values_of(n=300)
    for keep, name in ((True, "s.zarr"), (0.0, "d.zarr")):
        with LayerWriter(tmp_path / name, ["a"], {}, sparse=keep) as sink:
            sink.add({"a": sparse.csc_array(values)}, 300)
            opened = sink.finish()["a"]
        assert opened.sparse == bool(keep)
        np.testing.assert_array_equal(opened.column(3), values[:, 3])
    values[7, 3] = wrong
    said = r"gives (NaN|infinity) in 1 value on 1 sample of 300: 's7'"
    with LayerWriter(tmp_path / "w.zarr", ["a"], {}, sparse=True) as sink, pytest.raises(ActivationsError, match=said):
        sink.add({"a": sparse.csc_array(values)}, 300, [f"s{i}" for i in range(300)])
