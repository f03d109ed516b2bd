import numpy as np
import pytest

MODEL = """
import torch
def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU())
"""


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    np.save(tmp_path / "table.npy", np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32))
    model = f"{tmp_path / 'model.py'}:make"
    return "collect", "--model", model, "--layers", "1", "--table", tmp_path / "table.npy"


def bytes_of(store):
    return [path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("of_torchrun", [False, True])
def test_shards_make_one_store(arguments, of_torchrun, tmp_path, command, monkeypatch):
    assert command(*arguments, "--out", tmp_path / "one.zarr", "--quiet")[0] == 0
    for k in (2, 1):
        asked = [] if of_torchrun else ["--shard", f"{k}/2"]
        for name, value in {"RANK": k - 1, "WORLD_SIZE": 2}.items() if of_torchrun else ():
            monkeypatch.setenv(name, str(value))
        code, printed, _ = command(*arguments, "--out", tmp_path / "acts.zarr", *asked)
        assert code == 0
        done = "acts.zarr/1: 50 samples × 6 neurons" if k == 1 else "acts.zarr/1: 26 samples × 6 neurons"
        assert done in printed
        assert ("part 2/2 of" in printed) == (k == 2)
    assert bytes_of(tmp_path / "acts.zarr") == bytes_of(tmp_path / "one.zarr")


def test_a_shard_without_samples_has_nothing_to_do(arguments, tmp_path, command):
    out = "--out", tmp_path / "acts.zarr", "--batch-size", "50"
    assert command(*arguments, *out, "--shard", "1/2") == (0, "", "")
    code, printed, _ = command(*arguments, *out, "--shard", "2/2")
    assert code == 0
    assert "acts.zarr/1: 50 samples" in printed


def test_what_is_no_shard_is_one_line(arguments, tmp_path, command):
    code, _, error = command(*arguments, "--out", tmp_path / "acts.zarr", "--shard", "0/2")
    assert code == 2
    assert "from 1/8 to 8/8 for eight, not '0/2'" in error
