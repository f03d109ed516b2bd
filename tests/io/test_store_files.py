"""A store that lost a part, or in which a part changed, is never believed."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

import neuronym
from neuronym import FileError, label, open_activations
from neuronym.io.zarr_store import LayerWriter, open_layers
from old_stores import as_before
from old_stores import write as write_old

VALUES = np.random.default_rng(0).normal(size=(4200, 70)).astype(np.float32)
IDS = [f"s{i}" for i in range(4200)]
DAMAGES = {"removed", "truncated", "emptied", "flipped", "longer"}


def write(path, values=VALUES, *, stop=None, clusters=True, **options):
    with LayerWriter(path, ["a", "b"], {"pool": "mean"}, n_samples=len(values), **options) as writer:
        for first in range(writer.samples, len(values), 100):
            if stop is not None and first >= stop:
                return writer.samples
            part = values[first : first + 100]
            writer.add({"a": part, "b": part[:, :3]}, len(part), IDS[first : first + 100])
        writer.finish({i: i[-1] for i in IDS} if clusters else None)
    return len(values)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "acts.zarr"
    write(path)
    return path


def contents(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def damage(path, how, place=-1):
    data = path.read_bytes()
    if how == "removed":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "longer":
        path.write_bytes(data + b"\0")
    else:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place:][1:])


def read_all(path):
    for opened in open_layers(path).values():
        np.asarray(opened.matrix)


@pytest.mark.parametrize("how", sorted(DAMAGES))
def test_every_file_that_is_damaged_is_named(whole, tmp_path, how):
    names = sorted(contents(whole))
    assert len(names) == 2 * 2 + 2 + 2 + 2 + 2 * 2 + 2 + 1  # chunks of a, b and texts, and metadata
    store = tmp_path / "acts.zarr"
    for name in names:
        shutil.copytree(whole, store)
        damage(store / name, how, len((store / name).read_bytes()) // 2)
        with pytest.raises(FileError, match=f"{name}'") as caught:
            read_all(store)
        assert "again" in str(caught.value) or name == "zarr.json", name
        found = neuronym.check(store)
        assert len(found.faults) == 1
        assert f"{name}'" in found.faults[0]
        shutil.rmtree(store)


@pytest.mark.slow
def test_every_byte_of_the_metadata_counts(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    for name in (name for name in contents(whole) if name.endswith(".json")):
        data = (store / name).read_bytes()
        for place in range(len(data)):
            (store / name).write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
            with pytest.raises(FileError):
                open_layers(store)
        (store / name).write_bytes(data)
    read_all(store)


def test_a_whole_store_is_said_to_be_whole(whole):
    found = neuronym.check(whole)
    assert found.faults == []
    assert found.n_files == len(contents(whole))
    assert found.n_bytes == sum(map(len, contents(whole).values()))
    assert "all as they were written" in str(found)


def test_the_files_of_other_layers_do_not_matter(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    (store / "b/activations/c/0/0").unlink()
    assert np.array_equal(open_activations(store / "a").matrix, VALUES)
    with pytest.raises(FileError, match="b/activations/c/0/0' is damaged: it is missing"):
        open_activations(store / "b")


def test_a_chunk_that_changes_after_the_store_was_opened_is_noticed_when_it_is_read(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    opened = open_activations(store / "a")
    damage(store / "a/activations/c/1/0", "flipped", 5)
    assert np.array_equal(opened.matrix[:4096], VALUES[:4096])
    with pytest.raises(FileError, match="a/activations/c/1/0' is damaged: its contents are not those that were"):
        opened.block(np.arange(3))
    (store / "a/activations/c/1/1").unlink()
    with pytest.raises(FileError, match="c/1/1' is damaged: it is missing; copy the store again, or collect it"):
        opened.block(np.arange(64, 70))


def test_other_processes_check_what_they_read(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    opened = open_activations(store / "a")
    sent = pickle.dumps(opened.matrix)
    (store / "a/activations/c/0/1").unlink()
    with pytest.raises(FileError, match="c/0/1' is damaged: it is missing"):
        np.asarray(pickle.loads(sent))
    shown = np.random.default_rng(1).random((4200, 3)) < 0.3
    with pytest.raises(FileError, match="c/0/1' is damaged: it is missing"):
        label(opened, shown, n_jobs=2, align="position")
    shutil.rmtree(store)
    write(store, VALUES + 1)
    with pytest.raises(FileError, match="is not the store that was opened"):
        np.asarray(pickle.loads(sent))


def test_a_finished_store_that_is_damaged_is_not_taken_for_finished(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    for how in ("removed", "flipped"):
        shutil.copytree(whole, store)
        damage(store / "b/activations/c/0/0", how, 7)
        with pytest.raises(FileError, match=r"b/activations/c/0/0' is damaged: .* again with overwrite=True"):
            write(store)
        assert write(store, overwrite=True) == 4200
        assert contents(store) == contents(whole)
        shutil.rmtree(store)


def test_what_is_written_of_an_unfinished_store_is_checked_when_it_is_resumed(tmp_path):
    store = tmp_path / "acts.zarr"
    for name in ("a/activations/c/0/0", "b/activations/c/0/0"):
        for how in ("removed", "flipped"):
            write(store, stop=4100)
            damage(store / name, how, 9)
            with pytest.raises(FileError, match=f"{name}' is damaged"):
                write(store)
            shutil.rmtree(store)
    write(store, stop=4100)
    damage(store / "part-0.jsonl", "flipped", 100)
    with pytest.raises(FileError, match=r"part-0.jsonl' is damaged"):
        write(store)


def test_a_line_that_a_killed_run_did_not_finish_is_not_counted(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    write(store, stop=4100)
    with open(store / "part-0.jsonl", "ab") as file:
        file.write(b'12345678 {"samples": 41')
    (store / "a/activations/c/0/0.partial").write_bytes(b"torn")
    write(store)
    assert contents(store) == contents(whole)


def test_chunks_that_a_killed_run_did_not_list_are_taken_as_they_were(whole, tmp_path, monkeypatch):
    store = tmp_path / "acts.zarr"
    monkeypatch.setattr("neuronym.io.zarr_store._PATIENCE", 0.0)
    monkeypatch.setattr("neuronym.io.zarr_store._SHARE", 0)
    write(store, stop=200)
    part = (store / "part-0.jsonl").read_bytes()
    write(store, stop=300)
    (store / "part-0.jsonl").write_bytes(part)  # the chunks hold 100 more rows than are listed
    assert write(store, stop=200) == 200
    write(store)
    assert contents(store) == contents(whole)


def test_everything_is_on_the_disk_before_it_is_listed(tmp_path, monkeypatch):
    """Each file is synced under the name that it is written by, and renamed only then; the store's own list is last."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor):
        calls.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink()).rpartition("acts.zarr/")[2]))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(
        os, "replace", lambda old, new: (calls.append(("move", str(new).rpartition("zarr/")[2])), replace(old, new))
    )
    write(tmp_path / "acts.zarr", VALUES[:100])
    for name in ("a/activations/c/0/0", "a/activations/c/0/1", "b/activations/c/0/0"):
        listed = calls.index(("sync", "part-0.jsonl"))
        assert calls.index(("sync", f"{name}.partial")) < calls.index(("move", name)) < listed
        assert any(calls[place] == ("sync", name.rpartition("/")[0]) for place in range(listed))
    last = max(place for place, call in enumerate(calls) if call == ("move", "zarr.json"))
    synced_names = {name for kind, name in calls[:last] if kind == "sync"}
    assert {f"{name}/zarr.json" for name in ("a", "b", "a/activations", "sample_ids", "clusters")} <= synced_names
    assert {"sample_ids/c/0", "clusters/c/0", "zarr.partial"} <= synced_names


def test_plain_zarr_reads_it_without_a_warning(whole):
    group = zarr.open_group(str(whole), mode="r")
    assert sorted(name for name, _ in group.members()) == ["a", "b", "clusters", "sample_ids"]
    assert np.array_equal(group["a/activations"][:], VALUES)
    assert group["sample_ids"][:].tolist() == IDS


def test_a_store_of_format_1_opens_and_must_have_all_its_chunks(tmp_path):
    for number, name in enumerate(["a/activations/c/0/0", "a/activations/c/1/1", "sample_ids/c/0"]):
        store = tmp_path / f"{number}.zarr"
        write_old(store, {"a": VALUES}, {"pool": "mean"}, ids=IDS, total=4200)
        opened = open_activations(store)
        assert np.array_equal(opened.matrix, VALUES)
        assert opened.sample_ids == tuple(IDS)
        found = neuronym.check(store)
        assert found.faults == []
        assert "no checksums" in str(found)
        sent = pickle.dumps(opened.matrix)
        (store / name).unlink()
        with pytest.raises(FileError, match=f"{name}' is damaged: it is missing"):
            open_activations(store)
        if name.startswith("a"):
            with pytest.raises(FileError, match=f"{name}' is damaged: it is missing"):
                np.asarray(pickle.loads(sent))
        assert len(neuronym.check(store).faults) == 1


def test_an_unfinished_store_of_format_1_is_resumed(whole, tmp_path):
    store, written = tmp_path / "acts.zarr", VALUES[:4100].copy()
    written[4000:] = 7  # rows that were written, but not counted yet
    layers = {"a": written, "b": written[:, :3]}
    write_old(store, layers, {"pool": "mean"}, ids=IDS[:4100], samples=4000, batches=40, complete=False, total=4200)
    with pytest.raises(FileError, match=r"is incomplete: 4000 of 4200 \(95%\) samples are written"):
        open_layers(store)
    assert write(store, stop=4000) == 4000
    write(store)
    assert contents(store) == contents(whole)


def test_a_finished_store_of_format_1_is_opened_by_the_same_call(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    as_before(store)
    before = contents(store)
    assert write(store) == 4200
    assert contents(store) == before


def test_missing_chunks_of_other_programs_stand_for_the_fill_value(tmp_path):
    group = zarr.open_group(str(tmp_path / "own.zarr"), mode="w")
    group.create_array("acts", data=np.eye(20), chunks=(10, 10))
    shutil.rmtree(tmp_path / "own.zarr/acts/c/1/1", ignore_errors=True)
    (tmp_path / "own.zarr/acts/c/1/1").unlink(missing_ok=True)
    expected = np.eye(20)
    expected[10:, 10:] = 0
    assert np.array_equal(open_activations(tmp_path / "own.zarr").matrix, expected)
    with pytest.raises(FileError, match="was not written by neuronym, so there is nothing to check it by"):
        neuronym.check(tmp_path / "own.zarr")


def test_the_command_checks_a_store(whole, tmp_path, capsys):
    from neuronym.cli.root import app

    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    assert not app(["check", str(store), "--quiet"], standalone_mode=False)
    assert capsys.readouterr().out == ""
    assert not app(["check", str(store)], standalone_mode=False)
    assert "all as they were written" in capsys.readouterr().out
    (store / "a/activations/c/0/0").unlink()
    damage(store / "b/zarr.json", "flipped", 50)
    assert app(["check", str(store)], standalone_mode=False) == 1
    assert [line.split("'")[1] for line in capsys.readouterr().out.splitlines()] == [
        str(store / "a/activations/c/0/0"),
        str(store / "b/zarr.json"),
    ]


def test_links_and_folders_in_place_of_files_are_faults(whole, tmp_path, capsys):
    from neuronym.cli.root import app

    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    places = [store / "a/activations/c/0/0", store / "a/activations/c/0/1", store / "b/zarr.json"]
    for path in places:
        path.unlink()
    places[0].symlink_to(places[0].name)  # itself
    places[1].symlink_to("nowhere")
    places[2].mkdir()
    assert app(["check", str(store), "--quiet"], standalone_mode=False) == 1
    assert [line.split("'")[1] for line in capsys.readouterr().out.splitlines()] == list(map(str, places))
    with pytest.raises(FileError, match=r"acts\.zarr/a/activations/c/0/0' is damaged: it is missing"):
        open_activations(store / "a")
    (store / "zarr.json").unlink()
    (store / "zarr.json").mkdir()
    assert app(["check", str(store), "--quiet"], standalone_mode=False) == 1
    assert "zarr.json' is damaged: it is missing" in capsys.readouterr().out


def test_an_unfinished_store_is_no_whole_one(tmp_path):
    write(tmp_path / "acts.zarr", stop=4100)
    (fault,) = neuronym.check(tmp_path / "acts.zarr").faults
    assert "is incomplete" in fault


def overwritten(path, *, stop=None):
    return write(path, VALUES + 1, stop=stop, overwrite=True)


def test_a_store_is_replaced_only_when_the_new_one_is_finished(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    overwritten(store, stop=4100)
    assert contents(store) == contents(whole)
    (beside,) = (path for path in tmp_path.iterdir() if path != store)
    with pytest.raises(FileError, match="is incomplete"):
        open_layers(beside.rename(tmp_path / "x.zarr"))
    (tmp_path / "x.zarr").rename(beside)
    assert overwritten(store, stop=4000) > 0  # the same command goes on
    overwritten(store)
    assert np.array_equal(open_activations(store / "a").matrix, VALUES + 1)
    assert list(tmp_path.iterdir()) == [store]
    write(tmp_path / "fresh.zarr", VALUES + 1)
    assert contents(store) == contents(tmp_path / "fresh.zarr")


def test_what_killed_runs_left_beside_a_store_is_deleted(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    for number, clusters in enumerate([True, False]):  # an old store that was not deleted, and one with other settings
        left = tmp_path / f".acts.zarr.neuronym-{number:016x}.new"
        shutil.copytree(whole, left)
        (left / "mine.txt").write_text("mine") if not clusters else None
    write(store)
    assert {path.name for path in tmp_path.iterdir()} == {"acts.zarr", f".acts.zarr.neuronym-{1:016x}.new"}
    assert contents(tmp_path / f".acts.zarr.neuronym-{1:016x}.new") == {"mine.txt": b"mine"}
    other = tmp_path / f".acts.zarr.neuronym-{2:016x}.old"
    store.rename(other)  # an exchange that was cut short where the system cannot exchange at once
    assert write(store) == 4200
    assert contents(store) == contents(whole)
    assert not other.exists()


@pytest.mark.parametrize("name", ["notes.txt", "a/activations/c/9/9", "mine/x", "a/mine.partial"])
def test_what_is_not_ours_is_not_deleted_with_a_store(whole, tmp_path, name):
    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    (store / name).parent.mkdir(parents=True, exist_ok=True)
    (store / name).write_text("mine")
    before = contents(store)
    with pytest.raises(FileError, match=r"holds '.*', which neuronym did not write: move what is yours"):
        overwritten(store)
    assert contents(store) == before
    assert list(tmp_path.iterdir()) == [store]


def test_permissions_of_a_store_that_is_replaced_are_kept(whole, tmp_path):
    store = tmp_path / "acts.zarr"
    shutil.copytree(whole, store)
    store.chmod(0o750)
    (store / "a/activations/c/0/0").chmod(0o640)
    overwritten(store)
    assert store.stat().st_mode & 0o777 == 0o750
    assert (store / "a/activations/c/0/0").stat().st_mode & 0o777 == 0o640


def test_nothing_is_made_before_there_is_something_to_store(tmp_path):
    with LayerWriter(tmp_path / "acts.zarr", ["a"], {}) as writer:
        writer.add({"a": VALUES[:5]}, 5)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "acts.zarr").mkdir()
    (tmp_path / "acts.zarr/own.partial").write_text("mine")
    with LayerWriter(tmp_path / "acts.zarr", ["a"], {}) as writer:
        writer.add({"a": VALUES[:5]}, 5)
        writer.finish()
    assert (tmp_path / "acts.zarr/own.partial").read_text() == "mine"


def test_a_store_of_wide_layers_lists_every_chunk_once(tmp_path):
    write(tmp_path / "acts.zarr")
    state = json.loads((tmp_path / "acts.zarr/zarr.json").read_text())["attributes"]["neuronym"]
    names = sorted({*contents(tmp_path / "acts.zarr")} - {"zarr.json"})
    assert list(state["files"]) == names
    assert all(
        int(entry.split()[0]) == (tmp_path / "acts.zarr" / name).stat().st_size
        for name, entry in state["files"].items()
    )
    text = (tmp_path / "acts.zarr/zarr.json").read_text()
    assert str(tmp_path) not in text
