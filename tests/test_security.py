"""What SECURITY.md promises of files that strangers made, where no other test of a package holds it."""

import ast
import contextlib
import io
import json
import os
import pickle
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import zarr
from PIL import EpsImagePlugin, Image

from neuronym import (
    Activations,
    Concepts,
    FileError,
    Labels,
    OptionError,
    label,
    open_activations,
    open_concepts,
    sources,
)
from neuronym.analysis.circuits.graph import open_circuit
from neuronym.analysis.spurious.findings import open_findings
from neuronym.data.store_files import root_text
from neuronym.errors import InputError
from neuronym.inputs.samples import Samples
from neuronym.io import LayerWriter, open_image, open_layers, open_texts, open_tokens
from neuronym.network import load_model
from neuronym.network.weights import load_weights
from neuronym.report.page import report

ROOT = Path(__file__).parent.parent


class Harm:
    """Makes the file ``run`` when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("run"),)


PICKLE = pickle.dumps(Harm())


def objects(save):
    """The bytes of an array of objects, as numpy saves it."""
    out = io.BytesIO()
    save(out, np.array([[Harm()]], dtype=object))
    return out.getvalue()


def weights(path):
    import torch

    load_weights(torch.nn.Linear(1, 1), path)


READERS = {
    **{f"a{kind}": open_activations for kind in (".npy", ".npz", ".csv", ".txt", ".parquet")},
    **{f"c{kind}": open_concepts for kind in (".csv", ".txt", ".parquet")},
    **{f"l{kind}": Labels.open for kind in (".csv", ".parquet", ".json")},
    **{f"w{kind}": weights for kind in (".pt", ".pth", ".pkl", ".bin", ".npz", ".safetensors")},
    "coco.json": sources.from_coco,
    "circuit.json": open_circuit,
    "neurons.csv": lambda path: open_findings(path.parent),
    "annotations.txt": sources.from_annotations,
    "texts.csv": open_texts,
    "tokens.parquet": open_tokens,
    "rows.csv": Samples.of,
    "image.png": open_image,
}
CONTENTS = {
    "pickle": PICKLE,
    "pickle of text": pickle.dumps(Harm(), protocol=0),
    "objects in .npy": objects(lambda out, array: np.save(out, array, allow_pickle=True)),
    "objects in .npz": objects(lambda out, array: np.savez(out, activations=array, sample_ids=array[0])),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.filterwarnings("ignore:.*is not UTF-8 text and is read as")
def test_no_reader_unpickles(tmp_path, monkeypatch, name, content):
    monkeypatch.chdir(tmp_path)
    pickle.loads(PICKLE)
    assert Path("run").exists()  # what would happen
    Path("run").unlink()
    Path(name).write_bytes(CONTENTS[content])
    try:
        READERS[name](tmp_path / name)
    except InputError:
        pass
    else:
        assert content == "pickle of text"  # lines of text may be a table
        assert name.endswith((".txt", ".csv"))
    assert not Path("run").exists()


def chunks_of_pickles(store, version, codecs, data_type):
    """An array whose only chunk is a pickle, and which names a codec that would unpickle it."""
    described = {"zarr_format": version, "shape": [1, 1], "fill_value": 0}
    if version == 2:
        described |= {"chunks": [1, 1], "dtype": data_type, "order": "C", **codecs}
        chunk, file = store / "0.0", store / ".zarray"
    else:
        grid = {"name": "regular", "configuration": {"chunk_shape": [1, 1]}}
        keys = {"name": "default", "configuration": {"separator": "/"}}
        described |= {"node_type": "array", "data_type": data_type, "chunk_grid": grid, "chunk_key_encoding": keys}
        described |= codecs
        chunk, file = store / "c/0/0", store / "zarr.json"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(PICKLE)
    file.write_text(json.dumps(described))


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


@pytest.mark.parametrize("data_type", ["<f4", "|O"])
@pytest.mark.parametrize(
    "codecs",
    [
        {"filters": [{"id": "pickle"}], "compressor": None},
        {"filters": None, "compressor": {"id": "pickle"}},
        {"filters": [{"id": "delta", "dtype": "<f4"}, {"id": "pickle"}], "compressor": None},
        *({"codecs": [BYTES, {"name": name, "configuration": {}}]} for name in ("pickle", "numcodecs.pickle")),
        {"codecs": [{"name": "numcodecs.pickle", "configuration": {}}, BYTES]},
    ],
    ids=json.dumps,
)
def test_no_codec_of_a_store_unpickles(tmp_path, monkeypatch, data_type, codecs):
    monkeypatch.chdir(tmp_path)
    version = 3 if "codecs" in codecs else 2
    chunks_of_pickles(tmp_path / "a.zarr", version, codecs, data_type if version == 2 else "float32")
    with pytest.raises(InputError):
        open_activations(tmp_path / "a.zarr").block(np.arange(1))
    assert not Path("run").exists()


@pytest.mark.parametrize("name", ["arrow.py_extension_type", "pandas.period", "harm"])
def test_no_extension_type_of_parquet_runs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    extended = {b"ARROW:extension:name": name.encode(), b"ARROW:extension:metadata": PICKLE}
    field = pa.field("dog", pa.int64(), metadata=extended)
    parquet.write_table(pa.table([pa.array([1, 0])], schema=pa.schema([field])), "t.parquet")
    for read in (open_activations, open_concepts, open_texts, Labels.open, Samples.of):
        with contextlib.suppress(InputError):
            read(tmp_path / "t.parquet")
    assert not Path("run").exists()


def test_a_layer_of_a_store_lies_in_the_store(tmp_path):
    for name in ("in", "out"):
        with LayerWriter(tmp_path / f"{name}.zarr", ["layer"], {}) as writer:
            writer.add({"layer": np.ones((2, 2))}, 2)
            writer.finish()
    said = tmp_path / "in.zarr/zarr.json"
    for layer in ("../out.zarr/layer", "..", str(tmp_path / "out.zarr/layer"), "nul\0"):
        described = json.loads(said.read_text())["attributes"]["neuronym"]
        described["settings"]["layers"] = [layer]
        said.write_bytes(root_text(described))  # with a checksum that holds
        with pytest.raises(FileError, match="is broken: its attributes must say"):
            open_layers(tmp_path / "in.zarr")


def test_members_that_a_store_claims_outside_of_it_are_not_read(tmp_path):
    zarr.save_array(str(tmp_path), np.ones((2, 2)))
    group = zarr.create_group(str(tmp_path / "a.zarr"))
    group.create_array("mine", shape=(2, 2), dtype="float32", compressors=None)[:] = 0
    array = json.loads((tmp_path / "a.zarr/mine/zarr.json").read_text())
    described = json.loads((tmp_path / "a.zarr/zarr.json").read_text())
    described["consolidated_metadata"] = {
        "kind": "inline",
        "must_understand": False,
        "metadata": {"mine": array, "..": array},
    }
    (tmp_path / "a.zarr/zarr.json").write_text(json.dumps(described))
    with pytest.raises(FileError, match=r"The path '\.\.' is invalid"):
        open_layers(tmp_path / "a.zarr")


def test_names_of_files_in_files_are_only_names(tmp_path, monkeypatch):
    secret = tmp_path / "secret.jpg"
    secret.write_text("secret")
    (tmp_path / "set").mkdir()
    monkeypatch.chdir(tmp_path / "set")
    outside = ["../secret.jpg", str(secret)]
    Path("link.jpg").symlink_to(secret)
    images = [{"id": i, "file_name": name} for i, name in enumerate([*outside, "link.jpg"])]
    annotations = [{"image_id": i, "category_id": 1} for i in range(3)]
    coco = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "../../cat"}]}
    Path("coco.json").write_text(json.dumps(coco))
    Path("list.txt").write_text("".join(f"{name}\tcat\n" for name in outside))
    Path("table.csv").write_text("sample,cat\n" + "".join(f"{name},1\n" for name in outside))
    opened = []
    real = os.open, io.open

    def noted(path, *rest, **options):
        opened.append(str(path))
        return real[1](path, *rest, **options)

    monkeypatch.setattr("builtins.open", noted)
    monkeypatch.setattr(Path, "open", noted)
    found = sources.from_coco("coco.json"), sources.from_annotations("list.txt"), open_concepts("table.csv")
    assert found[0].names == ("../../cat",)
    assert found[1].sample_ids == found[2].sample_ids == tuple(outside)
    assert not any("secret" in path or "link" in path for path in opened)
    assert any("coco.json" in path for path in opened)


def test_postscript_is_not_run(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    shutil.move(tmp_path / "a.eps", tmp_path / "a.png")
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", None)  # to call it would be an error of another kind
    with pytest.raises(FileError, match="it is PostScript, a program, which is never run"):
        open_image(tmp_path / "a.png")


def test_an_image_of_too_many_pixels_is_refused(tmp_path):
    import struct
    import zlib

    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    whole = (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0" * 100)) + part(b"IEND", b"")
    )
    (tmp_path / "a.png").write_bytes(whole)
    with pytest.raises(FileError, match=r"exceeds limit of .* pixels"):
        open_image(tmp_path / "a.png")


def test_code_that_comes_with_a_model_is_not_run_and_nobody_is_asked(tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run it"))
    (tmp_path / "model").mkdir()
    auto_map = {"AutoConfig": "own.Config", "AutoModel": "own.Model", "AutoTokenizer": ["own.Tokenizer", None]}
    (tmp_path / "model/config.json").write_text(json.dumps({"model_type": "own", "auto_map": auto_map}))
    (tmp_path / "model/own.py").write_text("open('run', 'w').close()\nclass Config: pass\nclass Model: pass\n")
    with pytest.raises(OptionError, match=r"cannot load hf:model: .*custom code"):
        load_model("hf:model")
    assert not Path("run").exists()


def test_labels_are_found_and_shown_without_a_network(tmp_path, monkeypatch):
    def refused(*_):
        raise AssertionError("a connection")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refused)
    rng = np.random.default_rng(0)
    shown = rng.random((100, 2)) < 0.4
    activations = Activations(rng.normal(size=(100, 2)) + shown)
    concepts = Concepts.from_array(shown, ["a", "b"])
    labels = label(activations, concepts, length=1)
    page = report(labels, tmp_path / "out", activations=activations, concepts=concepts, n_jobs=1)
    assert page.is_file()


def test_every_promise_names_a_test_that_is_there():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", page)
    assert len(named) == page.count("`test_") >= 15
    for test, file in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (test, file)
    own = re.findall(r"^def (test_\w+)", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE)
    assert set(own) - {test for test, _ in named} == {"test_every_promise_names_a_test_that_is_there"}
