import pickle
import shutil
from pathlib import Path

import fsspec
import joblib
import numpy as np
import pytest
import zarr

from neuronym import Concepts, FileError, OptionError, UnknownNameError, label
from neuronym._util.urls import is_local, located
from neuronym.io import LayerWriter, check, open_activations, open_layers, save_concepts

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of a dense and a sparse layer, of two rows of chunks and two columns of them."""
    path = tmp_path_factory.mktemp("made") / "acts.zarr"
    rng = np.random.default_rng(0)
    with LayerWriter(path, ["dense", "sparse"], {}, sparse=0.1) as writer:
        values = rng.normal(size=(5000, 70)).astype(np.float32)
        shown = np.where(rng.random((5000, 70)) < 0.02, values, 0)
        writer.add({"dense": values, "sparse": shown}, 5000, [f"s{i}" for i in range(5000)])
        writer.finish()
    return path


@pytest.fixture(scope="module")
def endpoint():
    """The address of a server of S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def url(request, store, monkeypatch):
    """The URL of a copy of the store."""
    if request.param == "memory":
        files = fsspec.filesystem("memory")
        files.put(str(store), "/bucket/acts.zarr", recursive=True)
        yield "memory://bucket/acts.zarr"
        files.rm("/bucket", recursive=True)
        return
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": request.getfixturevalue("endpoint")}.items():
        monkeypatch.setenv(name, value)
    files = fsspec.filesystem("s3")  # one for all tests, since its session is not closed before the process ends
    files.mkdir("bucket")
    files.put(str(store), "bucket/acts.zarr", recursive=True)
    yield "s3://bucket/acts.zarr"
    files.rm("bucket", recursive=True)


@pytest.fixture
def remove(url):
    """Delete or change a file of the store at the URL."""
    files, root = fsspec.url_to_fs(url)
    return lambda name, data=None: files.rm(f"{root}/{name}") if data is None else files.pipe(f"{root}/{name}", data)


@pytest.fixture
def concepts():
    return Concepts.from_array(np.random.default_rng(1).random((5000, 8)) < 0.3)


def test_layers_are_those_of_the_local_store(url, store):
    here, there = open_layers(store), open_layers(url)
    assert list(there) == list(here)
    columns = np.array([0, 3, 69])
    assert np.array_equal(there["dense"].block(columns), here["dense"].block(columns))
    assert (there["sparse"].block(columns) != here["sparse"].block(columns)).nnz == 0
    assert there["dense"].sample_ids == here["dense"].sample_ids
    assert open_activations(f"{url}/dense").n_neurons == 70
    assert check(url).n_bytes == check(store).n_bytes
    assert not check(url).faults


def test_labels_are_those_of_the_local_store(url, store, concepts):
    options = {"align": "position", "permutations": 39, "holdout": 0.5, "neurons": [1, 2, 69]}
    expected = label(store, concepts, **options)
    assert label(url, concepts, **options) == expected
    if url.startswith("s3"):  # each process has a memory of its own
        with joblib.parallel_config("loky", n_jobs=2):
            assert label(url, concepts, **options) == expected


def test_the_command_takes_a_url(url, store, concepts, tmp_path, command):
    save_concepts(concepts, tmp_path / "concepts.parquet")
    arguments = (tmp_path / "concepts.parquet", "--json", "--quiet", "--by-position", "--neurons", "0-4")
    code, printed, _ = command("label", f"{url}/dense", *arguments)
    assert code == 0
    assert printed == command("label", f"{store}/dense", *arguments)[1]
    assert command("check", url)[0] == 0


@pytest.mark.parametrize("name", ["dense/activations/c/1/0", "sparse/sparse/c/0/1"])
def test_a_store_copied_in_part_is_refused(url, remove, name):
    remove(name)
    with pytest.raises(FileError, match=f"{name}' is damaged: it is missing; copy the store again"):
        open_layers(url)
    assert len(check(url).faults) == 1


def test_a_changed_chunk_is_seen_when_it_is_read(url, remove, concepts):
    remove("dense/activations/c/0/1", bytes(4096 * 64 * 4))
    opened = open_layers(url)
    with pytest.raises(FileError, match=r"c/0/1' is damaged: its contents are not those that were written"):
        label(opened["dense"], concepts, align="position")


def test_a_worker_whose_copy_is_incomplete_is_named(store, tmp_path, concepts):
    shutil.copytree(store, tmp_path / "acts.zarr")
    opened = open_activations(tmp_path / "acts.zarr" / "dense")
    (tmp_path / "acts.zarr/dense/activations/c/1/1").unlink()
    with (
        joblib.parallel_config("loky", n_jobs=2),
        pytest.raises(FileError, match=r"worker .+ \(process \d+\): '.+c/1/1' is damaged: it is missing"),
    ):
        label(opened, concepts, align="position")


def test_a_worker_with_another_store_is_named(store, tmp_path, concepts):
    shutil.copytree(store, tmp_path / "acts.zarr")
    opened = open_activations(tmp_path / "acts.zarr" / "dense")
    shutil.rmtree(tmp_path / "acts.zarr")
    with (
        joblib.parallel_config("loky", n_jobs=2),
        pytest.raises(FileError, match=r"worker .+ \(process \d+\).+every worker reads the whole store"),
    ):
        label(opened, concepts, align="position")


def test_what_is_not_there_is_one_line(url):
    with pytest.raises(FileError, match=r"there is no folder '.+none.zarr'"):
        open_layers(url.replace("acts", "none"))
    with pytest.raises(UnknownNameError, match="no layer 'other'"):
        open_layers(f"{url}/other")


def test_arrays_of_other_programs_open_by_url():
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    zarr.save_array("memory://other/a.zarr", values)
    try:
        assert np.array_equal(open_activations("memory://other/a.zarr").matrix[:], values)
    finally:
        fsspec.filesystem("memory").rm("/other", recursive=True)


def test_stores_are_not_written_to_urls():
    with pytest.raises(FileError, match="stores are written to this machine"):
        LayerWriter("memory://bucket/new.zarr", ["a"], {})


def test_what_is_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(located("memory://a/b.zarr")) == str(located(Path("memory:/a/b.zarr"))) == "memory://a/b.zarr"
    assert located(f"file://{tmp_path}/a.zarr") == tmp_path / "a.zarr"
    assert is_local(located("memory:/a"))  # a text with one slash is a path
    (tmp_path / "memory:").mkdir()
    assert is_local(located(tmp_path / "memory:" / "a"))
    assert located("file://localhost/a/b.zarr") == Path("/a/b.zarr")
    assert str(located("MEMORY://a/b.zarr")) == "memory://a/b.zarr"
    with pytest.raises(FileError, match=r"cannot read 'odd://a': .*[Uu]nsupported"):
        located("odd://a")
    with pytest.raises(FileError, match="sftp:// with a host is not supported"):
        located("sftp://user@host:22/a/b.zarr")


def test_a_relative_path_is_sent_as_an_absolute_one(store, monkeypatch, tmp_path):
    monkeypatch.chdir(store.parent)
    sent = [pickle.dumps(open_layers("acts.zarr")[name].matrix) for name in ("dense", "sparse")]
    monkeypatch.chdir(tmp_path)
    assert [pickle.loads(one)[:1].shape for one in sent] == [(1, 70)] * 2


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("neuronym._util.extras.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"s3:// needs fsspec and upath: pip install 'neuronym\[remote\]'"):
        located("s3://a/b.zarr")
