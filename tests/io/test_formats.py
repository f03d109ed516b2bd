"""Files of activations that other libraries write, each made by its own library, and labelled by the command."""

import json

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors
from scipy import sparse

from neuronym import Activations, FileError, OptionError, UnknownNameError, open_activations, save_activations
from neuronym.cli import root as cli
from neuronym.io import formats

N, M = 60, 5
RNG = np.random.default_rng(0)
VALUES = np.where(RNG.random((N, M)) < 0.3, np.round(RNG.normal(size=(N, M)), 2), 0).astype(np.float32)
SHOWN = RNG.random((N, 2)) < 0.4
IDS, NAMES = [f"cell{i}" for i in range(N)], [f"gene{j}" for j in range(M)]


def tensors(path):
    save_file({"activations": VALUES, "other": VALUES[:, :2].copy(), "bias": np.zeros(3)}, path)


def halves(path):
    save_tensors({"x": torch.tensor(VALUES).bfloat16()}, path)


def shards(folder):
    """As delphi's cache writes them: 12 sequences of 5 tokens, latents 0 to 2 and 3 to 4."""
    folder.mkdir()
    tokens = np.arange(N).reshape(12, 5)
    for first, last in ((0, 2), (3, 4)):
        rows, latents = np.nonzero(VALUES[:, first : last + 1])
        save_file(
            {
                "activations": VALUES[rows, first + latents].astype(np.float16),
                "locations": np.stack([rows // 5, rows % 5, latents], axis=1).astype(np.uint16),
                "tokens": tokens,
            },
            folder / f"{first}_{last}.safetensors",
        )
    (folder / "config.json").write_text("{}")


def cells(matrix):
    def write(path):
        obs, var = (pd.DataFrame(index=pd.Index(names, dtype=object)) for names in (IDS, NAMES))
        data = anndata.AnnData(matrix(VALUES), obs=obs, var=var)
        data.layers["counts"] = matrix(2 * VALUES)
        data.write_h5ad(path, compression="gzip")

    return write


def data_sets(path):
    with h5py.File(path, "w") as file:
        file["layer/deep"] = VALUES
        file["names"] = np.array([b"a"])


def tensor(path):
    torch.save(torch.tensor(VALUES), path)


def sparse_tensor(path):
    torch.save({"activations": torch.tensor(VALUES).to_sparse(), "step": torch.tensor(3)}, path)


def scipy_of(kind):
    return lambda path: sparse.save_npz(path, getattr(sparse, kind)(VALUES))


FILES = {  # what writes each file, whether it opens sparse, and the type of its numbers
    "csc.npz": (scipy_of("csc_array"), True, "f4"),
    "csr.npz": (scipy_of("csr_matrix"), True, "f4"),
    "coo.npz": (scipy_of("coo_array"), True, "f4"),
    "t.safetensors": (tensors, False, "f4"),
    "half.safetensors": (halves, False, "f4"),
    "delphi": (shards, True, "f4"),
    "dense.h5ad": (cells(np.asarray), False, "f4"),
    "csr.h5ad": (cells(sparse.csr_matrix), True, "f4"),
    "csc.h5ad": (cells(sparse.csc_array), True, "f4"),
    "a.h5": (data_sets, False, "f4"),
    "a.hdf5": (data_sets, False, "f4"),
    "t.pt": (tensor, False, "f4"),
    "sparse.pth": (sparse_tensor, True, "f4"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("formats")
    for name, (write, _, _) in FILES.items():
        write(path / name)
    concepts = pd.DataFrame(SHOWN.astype(int), columns=["loud", "red"])
    concepts.to_csv(path / "shown.csv", index=False)
    return path


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_library_is_read(name, folder):
    opened = open_activations(folder / name)
    _, is_sparse, dtype = FILES[name]
    assert opened.sparse == is_sparse
    assert opened.matrix.dtype == dtype
    values = opened.matrix.toarray() if is_sparse else np.asarray(opened.matrix)
    expected = VALUES.astype(np.float16) if name == "delphi" else VALUES
    expected = torch.tensor(VALUES).bfloat16().float().numpy() if name.startswith("half") else expected
    np.testing.assert_array_equal(values, expected)
    if name.endswith("h5ad"):
        assert (list(opened.sample_ids), list(opened.names)) == (IDS, NAMES)
    if name == "delphi":
        assert opened.sample_ids[:7] == ("0#0", "0#1", "0#2", "0#3", "0#4", "1#0", "1#1")
        assert opened.clusters[3:7] == (0, 0, 1, 1)
        assert list(opened.names) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_library_is_labelled_from_the_command(name, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [str(folder / name), str(folder / "shown.csv")]
    arguments = ["label", *given, "--by-position", "--length=1", "--min-count=5", "--out=labels.json"]
    monkeypatch.setattr("sys.argv", ["neuronym", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0, capsys.readouterr().err
    assert len(json.loads((tmp_path / "labels.json").read_text())["labels"]) == M


def test_one_of_several_matrices_is_named(folder):
    assert open_activations(folder / "t.safetensors/other").n_neurons == 2
    counts = open_activations(folder / "csr.h5ad/layers/counts")
    np.testing.assert_array_equal(counts.matrix.toarray(), 2 * VALUES)
    assert counts.names[0] == "gene0"
    np.testing.assert_array_equal(open_activations(folder / "a.h5/layer/deep").matrix, VALUES)
    shard = open_activations(folder / "delphi/3_4.safetensors")
    assert list(shard.names) == [3, 4]
    with pytest.raises(UnknownNameError, match=r"no matrix in .* 'layers/count'"):
        open_activations(folder / "csr.h5ad/layers/count")
    with pytest.raises(FileError, match=r"holds a tensor without a name: leave out 'x'"):
        open_activations(folder / "t.pt/x")


def test_a_matrix_that_could_be_any_of_several_is_asked_for(tmp_path):
    save_file({"a": VALUES, "b": VALUES}, tmp_path / "t.safetensors")
    with pytest.raises(FileError, match=r"holds 2 matrices \('a', 'b'\): name one, as in .*t.safetensors/a"):
        open_activations(tmp_path / "t.safetensors")
    torch.save({"a": torch.zeros(3)}, tmp_path / "t.pt")
    with pytest.raises(FileError, match="none of them a tensor of two axes"):
        open_activations(tmp_path / "t.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(FileError, match="holds a list: save a tensor"):
        open_activations(tmp_path / "list.pt")


def test_sparse_activations_are_saved_as_scipy_reads_them(tmp_path):
    given = Activations(sparse.csr_array(VALUES), NAMES, sample_ids=IDS)
    save_activations(given, tmp_path / "a.npz")
    np.testing.assert_array_equal(sparse.load_npz(tmp_path / "a.npz").toarray(), VALUES)
    opened = open_activations(tmp_path / "a.npz")
    assert (opened.sparse, list(opened.names), list(opened.sample_ids)) == (True, NAMES, IDS)
    np.testing.assert_array_equal(opened.matrix.toarray(), VALUES)
    for name in ("a.npy", "a.csv", "a.parquet"):
        with pytest.raises(FileError, match=r"cannot store sparse activations: save as \.npz"):
            save_activations(given, tmp_path / name)


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_python_objects_are_never_unpickled(tmp_path, capsys):
    torch.save({"activations": torch.zeros(3, 2), "evil": Evil()}, tmp_path / "t.pt")
    with pytest.raises(FileError, match="contains Python objects, which are never unpickled: save a tensor"):
        open_activations(tmp_path / "t.pt")
    assert not capsys.readouterr().out


@pytest.mark.parametrize("name", ["a.pkl", "a.mat", "a.feather", "a.loom"])
def test_what_cannot_be_read_says_how_to_convert(name, tmp_path):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        FileError, match=r"convert it with numpy.save\(…\) to .npy, or a sparse matrix with scipy"
    ) as error:
        open_activations(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_missing_library_is_named(folder, monkeypatch):
    monkeypatch.setattr("neuronym._util.extras.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"reading .h5ad needs h5py: pip install 'neuronym\[hdf5\]'"):
        open_activations(folder / "csr.h5ad")
    with pytest.raises(OptionError, match=r"reading \.safetensors needs safetensors"):
        open_activations(folder / "t.safetensors")


def test_a_damaged_heap_is_refused_before_it_is_read_without_end(folder, tmp_path):
    data = bytearray((folder / "csr.h5ad").read_bytes())
    place = data.index(b"GCOL") + 16
    data[place : place + 16] = bytes(16)
    (tmp_path / "a.h5ad").write_bytes(data)
    with pytest.raises(FileError, match=f"it is broken at byte {place}"):
        open_activations(tmp_path / "a.h5ad")


def test_a_data_set_in_other_files_is_refused(tmp_path):
    np.asarray(VALUES).tofile(tmp_path / "raw.bin")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", VALUES.shape, "f4", external=[(tmp_path / "raw.bin", 0, VALUES.nbytes)])
    with pytest.raises(FileError, match="'/x' is in other files"):
        open_activations(tmp_path / "a.h5")


ARRAYS = {"data": np.ones(2, np.float32), "indices": np.array([0, 2]), "indptr": np.array([0, 1, 2]),
          "shape": np.array([3, 2]), "format": np.array(b"csc")}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"indices": np.array([0, 9])}, "it is no sparse matrix"),
        ({"indices": np.array([0, -1])}, "it is no sparse matrix"),
        ({"indptr": np.array([0, 5, 2])}, "it is no sparse matrix"),
        ({"indptr": np.array([0, 1])}, "it is no sparse matrix"),
        ({"indices": np.array([0.5, 1])}, "it is no sparse matrix of numbers"),
        ({"data": np.array(["a", "b"])}, "it is no sparse matrix of numbers"),
        ({"shape": np.array([3, 2, 1])}, "its shape is broken"),
        ({"shape": np.array([3, 10**12])}, "its shape is broken"),
        ({"shape": np.array([-3, 2])}, "its shape is broken"),
        ({"format": np.array(b"bsr")}, "must be csc, csr or coo, not 'bsr': save matrix.tocsc()"),
        ({"format": np.array(b"coo"), "row": np.array([0, 7]), "col": np.array([0, 1])}, "it is no sparse matrix"),
        ({"format": np.array(b"coo"), "row": np.array([0, -1]), "col": np.array([0, 1])}, "it is no sparse matrix"),
    ],
)  # fmt: skip
def test_a_broken_sparse_matrix_is_refused(change, said, tmp_path):
    np.savez(tmp_path / "a.npz", **{**ARRAYS, **change})
    with pytest.raises(FileError, match=said.replace("(", r"\(").replace(")", r"\)")):
        open_activations(tmp_path / "a.npz")


SHARD = {"activations": np.ones(2, np.float16), "locations": np.array([[0, 1, 0], [1, 2, 1]], np.uint16),
         "tokens": np.zeros((2, 3), np.int64)}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"locations": np.array([[0, 1, 0], [2, 2, 1]], np.uint16)}, "a sequence of its locations is beyond the 2"),
        ({"locations": np.array([[0, 3, 0], [1, 2, 1]], np.uint16)}, "a position of its locations is beyond the 3"),
        ({"locations": np.array([[0, 1, 0], [1, 2, 5]], np.uint16)}, "a latent of its locations is beyond the 5"),
        ({"locations": np.zeros((2, 2), np.uint16)}, "locations must have three columns"),
        ({"activations": np.ones(3, np.float16)}, "one row per activation"),
        ({"tokens": None}, "has no 'tokens': .* save them with save_tokens=True"),
        ({"tokens": np.zeros(6, np.int64)}, "have the shape"),
    ],
)
def test_a_broken_shard_is_refused(change, said, tmp_path):
    shard = {name: value for name, value in {**SHARD, **change}.items() if value is not None}
    save_file(shard, tmp_path / "0_4.safetensors")
    with pytest.raises(FileError, match=said):
        open_activations(tmp_path)


def test_shards_that_do_not_fit_together_are_refused(tmp_path):
    save_file(SHARD, tmp_path / "0_4.safetensors")
    save_file(SHARD, tmp_path / "3_7.safetensors")
    with pytest.raises(FileError, match="has the latents 3 to 7, which do not follow those before"):
        open_activations(tmp_path)
    (tmp_path / "3_7.safetensors").rename(tmp_path / "5_9.safetensors")
    save_file({**SHARD, "tokens": np.zeros((3, 3), np.int64)}, tmp_path / "5_9.safetensors")
    with pytest.raises(FileError, match="have the shape"):
        open_activations(tmp_path)
    save_file(SHARD, tmp_path / "more.safetensors")
    with pytest.raises(FileError, match="is no shard of delphi's: its name must be FIRST_LAST"):
        open_activations(tmp_path)
    assert formats.split_inner(tmp_path / "a.npy") is None
