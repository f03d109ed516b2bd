import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import zarr

from neuronym import ActivationsError, Concepts, FileError, OptionError, UnknownNameError, label, open_activations
from neuronym.io.zarr_store import LayerWriter, open_layers, split_path

VALUES = np.random.default_rng(0).normal(size=(9000, 70)).astype(np.float32)
VALUES[:5000, 5] = -0.0  # a chunk that is all zeros, in part, when it is written first
VALUES[:, 64:] = np.where(np.arange(9000) < 4500, -0.0, 1.0)[:, None]
IDS = [f"s{i}" for i in range(9000)]


def write(path, batch=50, stop=9000, settings=None, **options):
    with LayerWriter(path, ["a.0", "b"], settings or {"pool": "mean"}, n_samples=9000, **options) as writer:
        start = writer.samples
        for first in range(start, 9000, batch):
            if first >= stop:
                return start
            part = VALUES[first : first + batch]
            writer.add({"a.0": part, "b": part[:, :3]}, len(part), IDS[first : first + batch])
        writer.finish()
    return start


def contents(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_store_holds_what_was_written(tmp_path):
    write(tmp_path / "acts.zarr")
    layers = open_layers(tmp_path / "acts.zarr")
    assert list(layers) == ["a.0", "b"]
    opened = layers["a.0"]
    assert opened.on_disk
    assert np.asarray(opened.matrix).tobytes() == VALUES.tobytes()
    assert opened.sample_ids == tuple(IDS)
    assert np.array_equal(opened.block(np.array([2, 69])), VALUES[:, [2, 69]])
    assert np.array_equal(opened.matrix[[5, 3]], VALUES[[5, 3]])
    assert np.array_equal(open_activations(tmp_path / "acts.zarr/b").matrix, VALUES[:, :3])
    assert open_activations(tmp_path / "acts.zarr/b", sample_ids=range(9000)).sample_ids[-1] == "8999"


@pytest.mark.parametrize("stops", [(100,), (4096, 8192), (5000, 8999)])
def test_a_store_that_was_taken_up_again_is_the_same_byte_for_byte(tmp_path, stops):
    write(tmp_path / "whole.zarr")
    starts = []
    for stop in (*stops, 9000):
        starts.append(write(tmp_path / "parts.zarr", stop=stop))
        for folder in (tmp_path / "parts.zarr").glob(
            "*/activations/c/0"
        ):  # as a run that is killed while it writes leaves it
            (folder / "0.5e3a.partial").write_bytes(b"torn")
    write(tmp_path / "parts.zarr")
    assert contents(tmp_path / "parts.zarr") == contents(tmp_path / "whole.zarr")
    assert starts[0] == 0
    assert all(stop - start <= 4096 for stop, start in zip(stops, starts[1:], strict=True))
    assert starts[-1] > 0 or stops == (100,)
    assert write(tmp_path / "parts.zarr") == 9000  # nothing is left to do


def test_slow_samples_are_written_by_time(tmp_path, monkeypatch):
    monkeypatch.setattr("neuronym.io.zarr_store._PATIENCE", 0.0)
    monkeypatch.setattr("neuronym.io.zarr_store._SHARE", 0)
    assert [write(tmp_path / "slow.zarr", stop=stop) for stop in (100, 300, 9000)] == [0, 100, 300]
    monkeypatch.undo()
    write(tmp_path / "fast.zarr")
    assert contents(tmp_path / "slow.zarr") == contents(tmp_path / "fast.zarr")


def test_an_unfinished_store_says_how_much_is_there(tmp_path):
    write(tmp_path / "acts.zarr", stop=5000)
    for way in (open_layers, open_activations, lambda path: label(path, np.ones((9000, 1)))):
        with pytest.raises(
            FileError, match=r"is incomplete: 4050 of 9000 \(45%\) samples are written; rerun the command that made it"
        ):
            way(tmp_path / "acts.zarr/b")


def test_a_store_made_in_another_way_is_refused(tmp_path):
    write(tmp_path / "acts.zarr", stop=5000)
    before = contents(tmp_path / "acts.zarr")
    with pytest.raises(FileError, match=r"other settings \(pool: 'mean' then, 'max' now\): choose another name, or"):
        write(tmp_path / "acts.zarr", settings={"pool": "max"})
    assert contents(tmp_path / "acts.zarr") == before
    assert write(tmp_path / "acts.zarr", settings={"pool": "max"}, overwrite=True) == 0


def test_nothing_of_the_users_is_touched(tmp_path):
    foreign = tmp_path / "mine.zarr"
    zarr.save_array(str(foreign), np.arange(3))
    (foreign / "own.partial").write_text("mine")
    (tmp_path / "file.zarr").write_text("mine")
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "folder.zarr/notes.txt").write_text("mine")
    before = contents(tmp_path)
    for name in ("mine", "file", "folder"):
        for overwrite in (False, True):
            with pytest.raises(FileError, match="it exists and is not a store of activations"):
                write(tmp_path / f"{name}.zarr", overwrite=overwrite)
    assert contents(tmp_path) == before


def test_bad_places_and_names_are_said(tmp_path):
    with pytest.raises(FileError, match=r"must end in \.zarr"):
        write(tmp_path / "acts")
    with pytest.raises(FileError, match="there is no folder"):
        write(tmp_path / "no/acts.zarr")
    for name in ("", "sample_ids", "a/b"):
        with pytest.raises(OptionError, match="a store cannot contain a layer named"):
            LayerWriter(tmp_path / "acts.zarr", [name], {})
    with LayerWriter(tmp_path / "acts.zarr", ["a"], {}) as writer, pytest.raises(ActivationsError, match="no samples"):
        writer.finish()
    with LayerWriter(tmp_path / "n.zarr", ["a"], {}, neurons={"a": ["x"]}) as writer:
        writer.add({"a": VALUES[:5]}, 5)
        with pytest.raises(ActivationsError, match="1 name for 70 neurons of layer 'a'"):
            writer.finish()


def test_two_runs_do_not_write_to_one_place(tmp_path):
    with (
        LayerWriter(tmp_path / "acts.zarr", ["a"], {}),
        pytest.raises(FileError, match="another run is writing"),
    ):
        LayerWriter(tmp_path / "acts.zarr", ["a"], {})
    LayerWriter(tmp_path / "acts.zarr", ["a"], {}).__exit__()


def test_layers_are_named_by_paths(tmp_path):
    assert split_path("a/x.zarr/layer.4") == (split_path("a/x.zarr")[0], "layer.4")
    assert split_path("a/x.npy") is None
    write(tmp_path / "acts.zarr")
    with pytest.raises(FileError, match=r"contains 2 layers \('a.0', 'b'\): choose one, as .*acts.zarr/LAYER"):
        open_activations(tmp_path / "acts.zarr")
    with pytest.raises(UnknownNameError, match=r"no layer 'a.1'; near it: 'a.0'"):
        open_activations(tmp_path / "acts.zarr/a.1")
    with pytest.raises(FileError, match="there is no folder"):
        open_activations(tmp_path / "no.zarr/a")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(FileError, match="is not a Zarr store"):
        open_activations(tmp_path / "empty.zarr")


def test_names_of_neurons_are_kept(tmp_path):
    with LayerWriter(tmp_path / "acts.zarr", ["a"], {}, neurons={"a": ["edge", 7]}) as writer:
        writer.add({"a": VALUES[:9, :2]}, 9)
        (opened,) = writer.finish().values()
    assert opened.names == ("edge", 7)
    assert opened.sample_ids is None


def test_arrays_that_something_else_wrote_are_read(tmp_path):
    group = zarr.open_group(str(tmp_path / "own.zarr"), mode="w")
    group.create_array("acts", data=VALUES[:20].astype(np.float64), chunks=(10, 10))
    group.create_array("flat", data=np.arange(5))
    assert np.array_equal(open_activations(tmp_path / "own.zarr").matrix, VALUES[:20])
    assert np.array_equal(open_activations(tmp_path / "own.zarr/acts").matrix, VALUES[:20])
    with pytest.raises(ActivationsError, match="must have two axes"):
        open_activations(tmp_path / "own.zarr/flat")
    with pytest.raises(UnknownNameError, match="no array 'act'"):
        open_activations(tmp_path / "own.zarr/act")
    zarr.save_array(str(tmp_path / "one.zarr"), VALUES[:20])
    assert np.array_equal(open_activations(tmp_path / "one.zarr").matrix, VALUES[:20])


@pytest.fixture
def shown():
    return np.random.default_rng(1).random((9000, 6)) < 0.3


def test_labels_do_not_depend_on_where_activations_lie(tmp_path, shown):
    from joblib import parallel_config

    write(tmp_path / "acts.zarr")
    expected = label({"a.0": VALUES, "b": VALUES[:, :3]}, shown)
    shown = Concepts.from_array(shown, sample_ids=IDS)
    assert label(tmp_path / "acts.zarr", shown) == expected
    assert label(str(tmp_path / "acts.zarr/b"), shown) == expected.filter(layer="b")
    assert label(tmp_path / "acts.zarr", shown, n_jobs=2) == expected
    with parallel_config("loky", n_jobs=2):
        assert label(tmp_path / "acts.zarr", shown) == expected


def test_no_activations_are_pickled(tmp_path, monkeypatch, shown):
    write(tmp_path / "acts.zarr")
    sent = []
    import joblib

    original = joblib.delayed

    def spied(function):
        def call(*arguments):
            matrix = arguments[1].value
            sent.append(len(pickle.dumps(matrix)))
            assert not any(isinstance(value, np.ndarray) for value in matrix.__getstate__().values())
            return original(function)(*arguments)

        return call

    monkeypatch.setattr(joblib, "delayed", spied)
    label(tmp_path / "acts.zarr/a.0", shown, n_jobs=2, align="position")
    assert len(sent) > 1
    assert max(sent) < 1000  # a path


def test_what_was_skipped_is_left_out_of_the_concepts(tmp_path):
    with LayerWriter(tmp_path / "acts.zarr", ["a"], {}) as writer:
        writer.add({"a": VALUES[:40, :1]}, 42, IDS[:40], ["broken", "torn"])
        writer.finish()
    sets = [{"x"} if i % 2 else {"y"} for i in range(42)]
    concepts = Concepts.from_sets(sets, sample_ids=["torn", *IDS[:40], "broken"])
    (found,) = label(tmp_path / "acts.zarr", concepts, min_count=1)
    assert found.count == 20
    (expected,) = label(VALUES[:40, :1], Concepts.from_sets(sets[1:41]), min_count=1)
    assert (found.formula, found.auc) == (expected.formula, expected.auc)


KILLED = """
import sys, time
import numpy as np
import torch
from neuronym.network.collecting import collect

class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return 9500
    def __getitem__(self, place):
        with open(sys.argv[2], "a") as log:
            log.write(f"{place}\\n")
        time.sleep(0.0002)
        return torch.full((4,), float(place)).sin()

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 70), torch.nn.ReLU())
collect(model, Slow(), layers=["0", "1"], out=sys.argv[1], batch_size=100, sample_ids=range(9500))
"""


def test_killed_twice_and_started_again_it_is_the_same_byte_for_byte(tmp_path):
    def run(name, kill_at=None):
        log = tmp_path / "log"
        log.write_text("")
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / name), str(log)])
        while kill_at is not None and log.read_bytes().count(b"\n") < kill_at:
            time.sleep(0.005)
            assert process.poll() is None
        if kill_at is not None:
            os.kill(process.pid, signal.SIGKILL)
        assert process.wait(120) == (0 if kill_at is None else -signal.SIGKILL)
        return {int(place) for place in log.read_text().splitlines()[:-1]}

    run("whole.zarr")
    first, second, third = run("acts.zarr", 4500), run("acts.zarr", 4300), run("acts.zarr")
    assert not list((tmp_path / "acts.zarr").rglob("*.partial"))
    assert contents(tmp_path / "acts.zarr") == contents(tmp_path / "whole.zarr")
    assert 0 < len(first & second) <= 4096
    assert 0 < len(second & third) <= 4096
    assert min(second) > 0
    assert min(third) > min(second)


def test_a_link_of_another_name_is_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "acts.zarr").symlink_to(tmp_path / "real")
    write(tmp_path / "acts.zarr")
    assert list(open_layers(tmp_path / "acts.zarr")) == ["a.0", "b"]
