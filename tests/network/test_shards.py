import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import zarr

from neuronym import FileError, OptionError, collect
from neuronym._util.locks import BusyError, locked
from neuronym.io import LayerWriter, store_parts
from neuronym.network import sharding

SAMPLES = 107  # 14 batches of 8, the last one of 3


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


class Photos(torch.utils.data.Dataset):
    """Samples of which some cannot be read, with ids and clusters."""

    def __init__(self, n=SAMPLES, missing=(5, 90, 106)):
        self.values = torch.from_numpy(np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32))
        self.missing = missing
        self.sample_ids = [f"photo{i}" for i in range(n)]
        self.clusters = [f"film{i // 4}" for i in range(n)]

    def __len__(self):
        return len(self.values)

    def __getitem__(self, i):
        return None if i in self.missing else self.values[i]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 70), torch.nn.ReLU(), torch.nn.Linear(70, 5))


@pytest.fixture
def one(model, tmp_path):
    """The files of the store that one process writes."""

    def written(data, model=model, **options):
        collect(model, data, out=tmp_path / "one.zarr", **options)
        return files_of(tmp_path / "one.zarr")

    return written


LAYERS = {"layers": ["1", "2"], "batch_size": 8}


@pytest.mark.parametrize("of", [1, 2, 8, 20])
def test_the_parts_make_the_store_of_one_process(model, one, of, tmp_path):
    expected = one(Photos(), **LAYERS, sparse=0.6)
    order = np.random.default_rng(of).permutation(of) + 1
    for k in order:
        found = collect(model, Photos(), out=tmp_path / "acts.zarr", **LAYERS, sparse=0.6, shard=(int(k), of))
    assert files_of(tmp_path / "acts.zarr") == expected
    assert not (tmp_path / "acts.parts").exists()
    assert found["2"].n_samples == SAMPLES - 3
    assert found["2"].skipped == ("photo5", "photo90", "photo106")
    again = collect(model, Photos(), out=tmp_path / "acts.zarr", **LAYERS, sparse=0.6, shard=(1, of))
    assert np.array_equal(again["2"].matrix[:], found["2"].matrix[:])
    assert not (tmp_path / "acts.parts").exists()


def test_arrays_tokens_and_batches_of_known_size(model, one, tmp_path):
    rng = np.random.default_rng(0)
    loader = torch.utils.data.DataLoader(Photos(missing=()).values, batch_size=7)
    for number, (data, options) in enumerate(
        [
            (rng.normal(size=(50, 6)).astype(np.float32), {}),
            (torch.randn(50, 6), {"sample_ids": [f"s{i}" for i in range(50)]}),
            (rng.normal(size=(20, 9, 6)).astype(np.float32), {"tokens": True}),
            (loader, {}),
        ]
    ):
        expected = one(data, layers=["1"], batch_size=8, overwrite=True, **options)
        for k in (2, 3, 1):
            collect(model, data, layers=["1"], batch_size=8, out=tmp_path / f"{number}.zarr", shard=f"{k}/3", **options)
        assert files_of(tmp_path / f"{number}.zarr") == expected


def test_until_all_are_there_a_shard_returns_its_part(model, tmp_path):
    out = tmp_path / "acts.zarr"
    found = collect(model, Photos(), out=out, **LAYERS, shard=(2, 3))
    assert found["1"].sample_ids[0] == "photo32"
    assert not out.exists()
    assert names_in(tmp_path / "acts.parts") == ["2-of-3.zarr"]
    again = collect(model, Photos(), out=out, **LAYERS, shard=(2, 3))
    assert np.array_equal(again["1"].matrix[:], found["1"].matrix[:])


def test_which_layers_are_sparse_follows_from_the_first_batch_of_all(one, tmp_path):
    model = torch.nn.Sequential(torch.nn.Identity())
    data = np.ones((64, 6), np.float32)
    data[:8] = np.eye(8, 6)
    expected = one(data, layers=["0"], batch_size=8, sparse=0.5, model=model)
    for k in (3, 2, 1, 4):
        collect(model, data, out=tmp_path / "a.zarr", layers=["0"], batch_size=8, sparse=0.5, shard=(k, 4))
    assert files_of(tmp_path / "a.zarr") == expected
    assert any("sparse" in name for name in expected)


def test_many_rows_are_merged_a_few_at_a_time_and_a_killed_merge_goes_on(model, one, tmp_path, monkeypatch):
    data = np.random.default_rng(0).normal(size=(20_000, 6)).astype(np.float32)
    options = {"layers": ["2"], "batch_size": 512, "out": tmp_path / "acts.zarr"}
    expected = one(data, layers=["2"], batch_size=512)
    calls, added = [], LayerWriter.add

    def stopped(self, *arguments, **more):
        calls.extend([1] if "batches" in more else [])
        if len(calls) == 4:
            raise KeyboardInterrupt
        added(self, *arguments, **more)

    for k in (1, 2):
        collect(model, data, **options, shard=(k, 3))
    monkeypatch.setattr(LayerWriter, "add", stopped)
    with pytest.raises(KeyboardInterrupt):
        collect(model, data, **options, shard=(3, 3))
    monkeypatch.undo()
    assert (tmp_path / "acts.zarr").exists()
    assert files_of(tmp_path / "acts.zarr") != expected
    collect(model, data, **options, shard=(2, 3))  # any of them
    assert files_of(tmp_path / "acts.zarr") == expected
    assert not (tmp_path / "acts.parts").exists()


def test_a_store_that_is_there_is_replaced_only_if_asked_and_when_all_is_done(model, one, tmp_path):
    out, changed = tmp_path / "acts.zarr", Photos()
    changed.values = changed.values + 1
    collect(model, Photos(), out=out, **LAYERS)
    before = files_of(out)
    with pytest.raises(FileError, match="was made with other settings"):
        collect(model, changed, out=out, **LAYERS, shard=(1, 2))
    collect(model, changed, out=out, **LAYERS, shard=(1, 2), overwrite=True)
    assert files_of(out) == before
    collect(model, changed, out=out, **LAYERS, shard=(2, 2), overwrite=True)
    assert files_of(out) == one(changed, **LAYERS)
    assert names_in(tmp_path) == ["acts.zarr", "one.zarr"]


def test_a_part_of_other_data_is_refused(model, tmp_path):
    out, changed = tmp_path / "acts.zarr", Photos()
    changed.values = changed.values + 1
    collect(model, Photos(), out=out, **LAYERS, shard=(1, 2))
    with pytest.raises(FileError, match=r"1-of-2.zarr' (was made with|holds) other"):
        collect(model, changed, out=out, **LAYERS, shard=(1, 2))
    collect(model, changed, out=out, **LAYERS, shard=(1, 2), overwrite=True)
    collect(model, Photos(), out=out, **LAYERS, shard=(2, 2))
    assert not out.exists()  # since the first part is of the changed samples
    collect(model, changed, out=out, **LAYERS, shard=(2, 2), overwrite=True)
    assert out.exists()


class Plain(torch.utils.data.Dataset):
    """Samples without ids, of which nothing but their number is known."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return torch.full((6,), i + 1.0)

    def digest(self):
        return "unknown"


def test_a_part_of_fewer_samples_is_not_merged_with_new_ones(model, one, tmp_path):
    options = {"layers": ["2"], "batch_size": 2, "out": tmp_path / "acts.zarr"}
    collect(model, Plain(10), **options, shard=(1, 2))
    collect(model, Plain(20), **options, shard=(2, 2), overwrite=True)
    assert not (tmp_path / "acts.zarr").exists()
    collect(model, Plain(20), **options, shard=(1, 2), overwrite=True)
    assert files_of(tmp_path / "acts.zarr") == one(Plain(20), layers=["2"], batch_size=2)


def test_only_parts_of_the_run_are_deleted(model, tmp_path):
    out, parts = tmp_path / "acts.zarr", tmp_path / "acts.parts"
    collect(model, Photos(), out=out, **LAYERS)
    foreign, other = parts / "1-of-2.zarr", parts / "2-of-2.zarr"
    zarr.save_array(str(foreign), np.ones((3, 2)))
    collect(model, Photos(n=60), out=tmp_path / "b.zarr", **LAYERS, shard=(2, 2))
    (tmp_path / "b.parts/2-of-2.zarr").rename(other)
    before = files_of(parts)
    collect(model, Photos(), out=out, **LAYERS, shard=(1, 2))
    assert files_of(parts) == before


def test_a_killed_merge_is_begun_again_without_a_shard(model, one, tmp_path, monkeypatch):
    data = np.zeros((20_000, 6), np.float32)
    options = {"layers": ["2"], "batch_size": 500, "out": tmp_path / "acts.zarr"}
    expected = one(data, layers=["2"], batch_size=500)
    calls, added = [], LayerWriter.add

    def stopped(self, *arguments, **more):
        calls.extend([1] if "batches" in more else [])
        if len(calls) == 6:
            raise KeyboardInterrupt
        added(self, *arguments, **more)

    collect(model, data, **options, shard=(1, 2))
    monkeypatch.setattr(LayerWriter, "add", stopped)
    with pytest.raises(KeyboardInterrupt):
        collect(model, data, **options, shard=(2, 2))
    monkeypatch.undo()
    assert (tmp_path / "acts.zarr/part-0.jsonl").exists()
    assert collect(model, data, **options)["2"].n_samples == 20_000
    assert files_of(tmp_path / "acts.zarr") == expected


def test_a_part_whose_samples_are_all_left_out(model, one, tmp_path):
    for number, missing in enumerate(([0, 1], [8, 9], [4, 5, 6, 7])):
        data, out = Photos(n=10, missing=missing), tmp_path / f"{number}.zarr"
        expected = one(data, layers=["1"], batch_size=2, overwrite=True)
        for k in (5, 4, 3, 2, 1):
            collect(model, data, layers=["1"], batch_size=2, out=out, shard=(k, 5))
        assert files_of(out) == expected
        assert collect(model, data, layers=["1"], batch_size=2, out=out, shard=(5, 5))["1"].n_samples == 10 - len(
            missing
        )


def test_what_stands_in_the_way_is_said_before_the_work(model, tmp_path, monkeypatch):
    (tmp_path / "acts.zarr").mkdir()
    (tmp_path / "acts.zarr" / "mine.txt").write_text("mine")
    monkeypatch.setattr(Photos, "__getitem__", lambda self, i: pytest.fail("it was read"))
    with pytest.raises(FileError, match="it exists and is not a store of activations"):
        collect(model, Photos(), out=tmp_path / "acts.zarr", **LAYERS, shard=(1, 2))
    assert names_in(tmp_path) == ["acts.zarr"]


def test_a_finished_store_that_another_process_checks_is_returned(model, tmp_path):
    out = tmp_path / "acts.zarr"
    expected = collect(model, Photos(), out=out, **LAYERS)
    with locked(out, out):
        found = collect(model, Photos(), out=out, **LAYERS, shard=(1, 2))
        assert np.array_equal(found["2"].matrix[:], expected["2"].matrix[:])
        with pytest.raises(BusyError):
            collect(model, Photos(), out=out, **LAYERS)


def test_two_processes_find_all_parts_finished(model, one, tmp_path, monkeypatch):
    out = tmp_path / "acts.zarr"
    collect(model, Photos(), out=out, **LAYERS, shard=(1, 2))
    before = store_parts.merge_parts

    def twice(*arguments):
        assert before(*arguments) is not None
        return before(*arguments)  # the second one had looked before the first one deleted the parts

    monkeypatch.setattr("neuronym.network.collecting.merge_parts", twice)
    collect(model, Photos(), out=out, **LAYERS, shard=(2, 2))
    assert files_of(out) == one(Photos(), **LAYERS)


def test_what_cannot_be_cut_into_shards_is_refused(model, tmp_path):
    batches = (torch.randn(8, 6) for _ in range(4))
    with pytest.raises(OptionError, match="shards of data of the type generator are not known"):
        collect(model, batches, out=tmp_path / "acts.zarr", layers=["1"], shard=(1, 2))
    with pytest.raises(OptionError, match="shards are parts of a store: give out"):
        collect(model, Photos(), layers=["1"], shard=(1, 2))
    with pytest.raises(FileError, match=r"must end in \.zarr"):
        collect(model, Photos(), layers=["1"], out=tmp_path / "acts.npy", shard=(1, 2))
    with pytest.raises(FileError, match="there is no folder"):
        collect(model, Photos(), layers=["1"], out=tmp_path / "none" / "acts.zarr", shard=(1, 2))
    assert not names_in(tmp_path)


def test_the_environment_of_torchrun(model, monkeypatch, tmp_path):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = collect(model, Photos(), out=tmp_path / "acts.zarr", **LAYERS, shard="env")
    assert found["1"].sample_ids[0] == "photo56"
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(OptionError, match="RANK=2 and WORLD_SIZE=2 are set and name no process of several"):
        collect(model, Photos(), out=tmp_path / "acts.zarr", **LAYERS, shard="env")
    monkeypatch.delenv("RANK")
    assert collect(model, Photos(), out=tmp_path / "other.zarr", **LAYERS, shard="env")["1"].n_samples == SAMPLES - 3
    monkeypatch.setenv("LOCAL_RANK", "5")
    assert sharding.device_of_environment() is None  # no choice without CUDA
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert sharding.device_of_environment() == "cuda:1"


RUN = """
import os, signal, sys, time
from pathlib import Path
import numpy as np, torch
from neuronym import collect
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(6, 70), torch.nn.ReLU(), torch.nn.Linear(70, 5))

class Data(torch.utils.data.Dataset):
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(6400, 6)).astype(np.float32))
    def digest(self):
        return "the same"
    def __len__(self):
        return len(self.values)
    def __getitem__(self, i):
        if i == FATAL:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.values[i]

FATAL = int(sys.argv[2])
collect(model, Data(), layers=["1", "2"], out=sys.argv[1], batch_size=16, shard="env")
"""


def ranks(path, numbers, fatal):
    """Run ranks of eight at the same time; their exit codes."""
    running = []
    for rank in numbers:
        environment = {**os.environ, **({} if rank is None else {"RANK": str(rank), "WORLD_SIZE": "8"})}
        arguments = [sys.executable, "-c", RUN, str(path), str(fatal.get(rank, -1))]
        running.append(subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True))
    found = [(process.communicate()[1], process.returncode) for process in running]
    assert all(code in (0, -signal.SIGKILL) for _, code in found), found
    return [code for _, code in found]


@pytest.mark.slow
def test_eight_processes_two_of_which_are_killed_and_run_again(tmp_path):
    codes = ranks(tmp_path / "acts.zarr", range(8), {2: 2390, 6: 5000})
    assert codes == [0, 0, -9, 0, 0, 0, -9, 0]
    assert not (tmp_path / "acts.zarr").exists()
    assert ranks(tmp_path / "acts.zarr", [2, 6], {}) == [0, 0]
    assert ranks(tmp_path / "one.zarr", [None], {}) == [0]
    assert files_of(tmp_path / "acts.zarr") == files_of(tmp_path / "one.zarr")
    assert names_in(tmp_path) == ["acts.zarr", "one.zarr"]
