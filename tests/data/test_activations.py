import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuronym import Activations, ActivationsError, OptionError, UnknownNameError
from neuronym.data.activations import as_name

VALUES = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]])


@pytest.fixture
def saved(tmp_path):
    """Write an array and map it: saved(array, order="C", mode="r")."""

    def save(array, order="C", mode="r"):
        np.save(tmp_path / "a.npy", np.asarray(array, order=order))
        return np.load(tmp_path / "a.npy", mmap_mode=mode)

    return save


def again(activations):
    return pickle.loads(pickle.dumps(activations))


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "i8", "u8", "f2", "f4", "f8", ">f4", "g"])
def test_every_type_of_real_number_is_kept_as_it_is(dtype):
    matrix = VALUES.astype(dtype)
    activations = Activations(matrix)
    assert activations.matrix is matrix
    assert (activations.n_samples, activations.n_neurons) == (4, 3)
    assert list(activations.names) == [0, 1, 2]


def test_lists_frames_and_one_neuron():
    assert Activations(VALUES.tolist()).matrix.tolist() == VALUES.tolist()
    assert Activations(pd.DataFrame(VALUES)).matrix.tolist() == VALUES.tolist()
    assert Activations([0.5, 1.5]).matrix.tolist() == [[0.5], [1.5]]
    assert Activations(np.zeros((0, 3))).n_samples == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int64", "bool"])
def test_tensors_of_every_type(dtype):
    tensor = torch.tensor(VALUES).to(getattr(torch, dtype))
    activations = Activations(tensor)
    assert str(activations.matrix.dtype) == ("float32" if dtype == "bfloat16" else dtype)
    assert activations.matrix.tolist() == VALUES.tolist()


def test_tensors_with_a_gradient_or_another_layout():
    tensor = torch.tensor(VALUES * 0.1)
    for given_, expected in [
        (tensor.clone().requires_grad_(), VALUES * 0.1),
        (torch.nn.Parameter(tensor), VALUES * 0.1),
        (tensor.T, VALUES.T * 0.1),
        (tensor[::2, 1:], VALUES[::2, 1:] * 0.1),
        (tensor[:, 0], VALUES[:, :1] * 0.1),
        (torch.tensor([[1.0, 2**-7]], dtype=torch.bfloat16), np.array([[1.0, 2**-7]])),
    ]:
        assert Activations(given_).matrix.tolist() == expected.tolist()


def test_numpy_alone_does_not_import_torch():
    code = "import sys, numpy, neuronym; neuronym.Activations(numpy.ones((2, 2))); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_a_memory_map_stays_on_disk(saved):
    activations = Activations(saved(VALUES))
    assert repr(activations) == "Activations(4 samples × 3 neurons, int64, on disk)"
    assert repr(Activations(VALUES)) == "Activations(4 samples × 3 neurons, int64)"
    block = activations.block(np.array([1, 2]))
    assert not isinstance(block, np.memmap)
    assert block.tolist() == VALUES[:, 1:].tolist()
    assert not activations.take([0]).on_disk


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_pickled_memory_map_is_the_name_of_its_file(saved, order):
    matrix = np.arange(200_000.0).reshape(1000, 200)
    activations = Activations(saved(matrix, order), [f"n{j}" for j in range(200)])
    assert len(pickle.dumps(activations)) < 10_000 < matrix.nbytes
    found = again(activations)
    assert found.on_disk
    assert found.names == activations.names
    assert np.array_equal(found.matrix, matrix)
    assert np.array_equal(again(found).matrix, matrix)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("part", [np.s_[1:], np.s_[:, 1:], np.s_[::2, ::-1], np.s_[:, :1], np.s_[:, 0], np.s_[:]])
def test_a_part_of_a_memory_map_pickles_its_own_values(saved, order, part):
    matrix = saved(VALUES, order)[part]
    assert again(Activations(matrix)).matrix.tolist() == Activations(VALUES[part]).matrix.tolist()
    assert again(Activations(saved(VALUES, order).T)).matrix.tolist() == VALUES.T.tolist()


def test_changes_to_a_copy_on_write_map_are_pickled(saved):
    matrix = saved(VALUES, mode="c")
    matrix[0, 0] = 7
    assert again(Activations(matrix)).matrix.tolist() == [[7, 1, 1], *VALUES[1:].tolist()]


def test_activations_in_memory_pickle_whole():
    found = again(Activations(VALUES, ["a", "b", 7], sample_ids="wxyz"))
    assert found.matrix.tolist() == VALUES.tolist()
    assert (found.names, found.sample_ids) == (("a", "b", 7), ("w", "x", "y", "z"))


@given(st.lists(st.integers(0, 300), unique=True), st.integers(1, 40))
def test_blocks_cover_all_columns_once_and_in_order(columns, n_blocks):
    blocks = Activations(np.zeros((2, 301))).blocks(np.array(columns, np.intp), n_blocks)
    assert [c for block in blocks for c in block.tolist()] == columns
    assert len(blocks) >= min(n_blocks, len(columns))
    assert all(1 <= len(block) <= 64 for block in blocks)


def test_blocks_on_disk_are_as_wide_as_memory_allows(saved, monkeypatch):
    activations = Activations(saved(np.zeros((10, 300), np.float32)))
    assert [len(b) for b in activations.blocks(np.arange(300))] == [300]
    assert [len(b) for b in activations.blocks(np.arange(300), 2)] == [150, 150]
    monkeypatch.setattr("neuronym.data.activations._ON_DISK_BYTES", 100 * 40)
    assert [len(b) for b in activations.blocks(np.arange(300))] == [100, 100, 100]


@pytest.mark.parametrize("columns", [[0, 1, 2], [1, 2], [2], [2, 0], [2, 1], [0, 2], [1, 1], []])
def test_a_block_of_any_columns(saved, columns):
    chosen = np.array(columns, np.intp)
    assert Activations(VALUES).block(chosen).tolist() == VALUES[:, chosen].tolist()
    assert Activations(saved(VALUES)).block(chosen).tolist() == VALUES[:, chosen].tolist()


def test_a_block_of_neighbours_in_memory_is_no_copy():
    assert np.shares_memory(Activations(VALUES).block(np.array([1, 2])), VALUES)


def test_a_frame_carries_names_and_ids():
    frame = pd.DataFrame({"edge": [0.5, 1.5], "7": [1.0, 2.0]})
    plain = Activations.from_frame(frame)
    assert plain.names == ("edge", 7)
    assert plain.sample_ids is None
    assert plain.matrix.tolist() == [[0.5, 1.0], [1.5, 2.0]]
    for given_ in [frame.set_index(pd.Index(["x", "y"])), pd.DataFrame({"sample": ["x", "y"], **frame})]:
        found = Activations.from_frame(given_)
        assert (found.names, found.sample_ids) == (("edge", 7), ("x", "y"))
        assert found.matrix.tolist() == plain.matrix.tolist()
    assert Activations.from_frame(frame[::-1]).sample_ids == ("1", "0")
    with pytest.raises(
        ActivationsError, match="no numbers in 1 column of activations, such as 'photo': if it holds sample ids"
    ):
        Activations.from_frame(frame.assign(photo=["x", "y"]))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [True, False], "b": [0.5, 1.0]}),
        pd.DataFrame({"a": pd.array([1, 0], "Int64"), "b": pd.array([0.5, 1.0], "Float64")}),
        pd.DataFrame({"a": pd.array([1, 0], "Int64"), "b": [0.5, 1.0]}),
    ],
    ids=["bool and float", "nullable", "nullable and float"],
)
def test_a_frame_of_several_types_of_number(frame):
    assert Activations.from_frame(frame).matrix.tolist() == [[1.0, 0.5], [0.0, 1.0]]


def test_a_text_that_is_a_whole_number_is_that_number():
    assert [as_name(n) for n in ["5", 5, np.int64(5), np.uint8(5), "0", "-3"]] == [5, 5, 5, 5, 0, -3]
    for text in ["05", "5.0", "-0", "+5", " 5", "5\n", "٥", "1_0", "9" * 19]:
        assert as_name(text) == text
    assert as_name(True) == "True"
    assert type(as_name(np.int64(5))) is int


def test_neurons_are_found_by_name_or_slice():
    activations = Activations(VALUES, ["edge", 7, "05"])
    assert activations.indices().tolist() == [0, 1, 2]
    assert activations.indices(["05", "edge"]).tolist() == [2, 0]
    assert activations.indices(["7"]).tolist() == activations.indices([np.int64(7)]).tolist() == [1]
    assert activations.indices("edge").tolist() == [0]
    assert activations.indices(7).tolist() == [1]
    assert activations.indices([]).tolist() == []
    assert activations.indices(slice(1, None)).tolist() == [1, 2]
    assert activations.indices(slice(None, None, -1)).tolist() == [2, 1, 0]
    with pytest.raises(UnknownNameError, match="no neuron 'edgy'; near it: 'edge'"):
        activations.indices(["edgy"])
    with pytest.raises(UnknownNameError, match="no neuron '3'; there are 3, such as 0, 1, 2"):
        Activations(VALUES).indices([3])
    with pytest.raises(OptionError, match=r"neurons has 1 neuron more than once \(1\)"):
        activations.indices([7, "7"])


def test_take_keeps_samples_with_their_ids_and_names():
    activations = Activations(VALUES, ["a", "b", "c"], sample_ids="wxyz")
    for rows in [[3, 0], np.array([-1, 0])]:
        found = activations.take(rows)
        assert found.matrix.tolist() == VALUES[[3, 0]].tolist()
        assert (found.names, found.sample_ids) == (("a", "b", "c"), ("z", "w"))
    assert activations.take([True, False, False, True]).sample_ids == ("w", "z")
    assert Activations(VALUES).take([1, 1]).matrix.tolist() == VALUES[[1, 1]].tolist()
    with pytest.raises(ActivationsError, match="1 sample id more than once"):
        activations.take([1, 1])


def test_no_sample_can_be_taken():
    assert Activations(VALUES).take(np.zeros(4, bool)).matrix.shape == (0, 3)
    assert Activations(VALUES).take([]).matrix.shape == (0, 3)


BAD = {
    "have shape (2, 3, 4): pool maps and sequences": lambda: Activations(np.ones((2, 3, 4))),
    "have shape ()": lambda: Activations(3.0),
    "must be real numbers, not complex128": lambda: Activations(np.ones((2, 2), complex)),
    "must be real numbers, not <U1": lambda: Activations(["a", "b"]),
    "must be real numbers, not object": lambda: Activations([[1.0, None]]),
    "must be real numbers, not datetime64[D]": lambda: Activations(np.zeros((1, 1), "M8[D]")),
    "must be an array, samples × columns, with rows of equal length": lambda: Activations([[1.0], [1.0, 2.0]]),
    "2 names for 3 neurons: give one name per neuron": lambda: Activations(VALUES, ["a", "b"]),
    "activations has 1 neuron name more than once ('a')": lambda: Activations(VALUES, ["a", "b", "a"]),
    "activations has 1 neuron name more than once (5)": lambda: Activations(VALUES, ["5", "b", 5]),
    "a neuron has an empty name": lambda: Activations(VALUES, ["a", "", "c"]),
    "activations has 4 samples but 1 sample ids": lambda: Activations(VALUES, sample_ids=["x"]),
    "activations has 1 sample id more than once ('1')": lambda: Activations(VALUES, sample_ids=[1, "1", 2, 3]),
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_used_is_said(message):
    with pytest.raises(ActivationsError, match=re.escape(message)):
        BAD[message]()
