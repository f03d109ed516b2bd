"""What would take all memory or hours is refused or cut, as docs/limits.md says."""

import io
import re
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from PIL import Image

from neuronym import (
    Concepts,
    ConceptsError,
    Explanation,
    FileError,
    Formula,
    FormulaError,
    Hierarchy,
    Label,
    Labels,
    OptionError,
    label,
    open_activations,
    open_concepts,
)
from neuronym._util import limits
from neuronym.analysis.spurious import find_spurious, open_findings
from neuronym.data import hierarchy
from neuronym.io import Images, Preprocess
from neuronym.io.sources import from_annotations
from neuronym.io.texts import open_texts
from neuronym.report import report
from neuronym.report.detail import Layer
from neuronym.search.beam import Rules

PREPARE = Preprocess(224, (0, 0, 0), (1, 1, 1), margin=256)


@pytest.fixture
def matrices():
    rng = np.random.default_rng(0)
    concepts = rng.random((200, 60)) < 0.3
    return concepts[:, :1] + rng.normal(size=(200, 1)), concepts


def test_the_docs_list_the_limits():
    text = (Path(__file__).parents[1] / "docs" / "limits.md").read_text()
    for name in limits.__all__:
        value = getattr(limits, name)
        assert callable(value) or re.search(rf"\b{value:,}\b", text), name


def test_a_long_image_is_cut_before_it_is_enlarged(tmp_path):
    Image.new("1", (30_000, 1)).save(tmp_path / "a.png")
    PREPARE(Image.new("RGB", (9, 9)))  # imports what it needs
    start = time.monotonic()
    assert Images(tmp_path, PREPARE)[0].shape == (3, 224, 224)
    assert time.monotonic() - start < 5  # 40 s, and 8 GB, without the cut


@pytest.mark.parametrize("size", [(900, 100), (100, 900), (1001, 100), (64, 999)])
def test_the_middle_of_a_long_image_is_what_it_was(size):
    from neuronym.io.images import _middle

    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    found = PREPARE(smooth)
    assert _middle(smooth).size == tuple(min(side, 8 * min(size)) for side in size)
    scale = 256 / min(size)
    width, height = (round(side * scale) for side in size)
    left, top = (width - 224) // 2, (height - 224) // 2
    whole = smooth.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + 224, top + 224))
    assert np.abs(found.numpy().transpose(1, 2, 0) - np.asarray(whole, np.float32)).mean() < 1


def test_an_image_of_usual_shape_is_not_cut():
    from neuronym.io.images import _middle

    for size in [(800, 100), (100, 800), (1, 1), (640, 480)]:
        image = Image.new("RGB", size)
        assert _middle(image) is image


def test_a_large_photo_is_refused_by_name(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.png")
    with pytest.raises(FileError, match=r"cannot read the image .*a\.png.*178956970 pixels"):
        Images(tmp_path, PREPARE)[0]
    assert Images(tmp_path, PREPARE, skip_unreadable=True)[0] is None


@pytest.mark.parametrize(("read", "sign"), [(open_activations, ","), (open_concepts, "\t")])
def test_a_table_of_too_many_columns_is_refused_before_it_is_parsed(tmp_path, read, sign):
    names = sign.join(f"c{i}" for i in range(10**6))
    (tmp_path / "wide.csv").write_text(f"{names}\n{sign.join('1' * 10**6)}\n")
    start = time.monotonic()
    with pytest.raises(FileError, match=r"wide\.csv': its first line has 1,000,000 cells, .* at most 100,000 columns"):
        read(tmp_path / "wide.csv")
    assert time.monotonic() - start < 5


def test_a_table_whose_names_are_long_is_read(tmp_path):
    names = [f"{'n' * 500}{i}" for i in range(2000)]  # a first line of a megabyte
    (tmp_path / "a.csv").write_text(",".join(names) + "\n" + ",".join(["1.5"] * 2000) + "\n")
    assert list(open_activations(tmp_path / "a.csv").names) == names


def test_texts_in_a_wide_table_take_no_time(tmp_path):
    (tmp_path / "w.csv").write_text("sample,text," + ",".join(f"c{i}" for i in range(40_000)) + "\na" + ",1" * 40_001)
    start = time.monotonic()
    assert open_texts(tmp_path / "w.csv") == (["a"], ["1"])
    assert time.monotonic() - start < 8


def test_names_in_messages_are_cut(tmp_path):
    (tmp_path / "w.csv").write_text("n" * 100_000 + ",b\n1,2\n")
    for read in (open_texts, Hierarchy.from_csv):
        with pytest.raises(FileError) as raised:
            read(tmp_path / "w.csv")
        assert "n'…" in str(raised.value)
        assert len(str(raised.value)) < 2000


def test_a_formula_that_is_too_long_is_refused(tmp_path):
    assert Formula.parse("a & " * 1000 + "b").length == 2
    for text in ("a" + " & a" * 10**6, "~" * 10**6 + "a"):
        with pytest.raises(FormulaError, match=r"at most 1,000,000 characters, not [\d,]+: '.{80}'…$"):
            Formula.parse(text)
    best = Explanation(Formula.concept("a" * (limits.FORMULA + 1)), 0.9, 0.1, 10)
    Labels([Label(0, best=best)]).save(tmp_path / "l.json")
    with pytest.raises(FileError, match=r"label 1 of .*l\.json' is broken: a formula must have at most"):
        Labels.open(tmp_path / "l.json")


def packed(path, shape, dtype, content):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": dtype, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("activations.npy", head.getvalue() + content)


def test_an_archive_that_does_not_fit_in_memory_is_refused(tmp_path, monkeypatch):
    packed(tmp_path / "a.npz", (2**20, 1), "|u1", bytes(2**20))
    assert open_activations(tmp_path / "a.npz").n_samples == 2**20
    monkeypatch.setattr(limits, "UNPACKED", 2**19)
    with pytest.raises(FileError, match=r"a\.npz': unpacked, it takes .* but the file has 1,\d{3} bytes, and more"):
        open_activations(tmp_path / "a.npz")
    monkeypatch.setattr(limits, "_memory", lambda: 2**19)
    with pytest.raises(FileError, match=r"a\.npz': unpacked, it takes 0\.0 GiB, but this machine has"):
        open_activations(tmp_path / "a.npz")


@pytest.mark.parametrize("shape", [(10**12, 2), (10**6, 2), (2**62, 4)])
def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path, shape):
    packed(tmp_path / "a.npz", shape, "<f8", bytes(100))
    with pytest.raises(FileError, match=r"cannot read activations from .*a\.npz"):
        open_activations(tmp_path / "a.npz")
    (tmp_path / "a.npy").write_bytes(zipfile.ZipFile(tmp_path / "a.npz").read("activations.npy"))
    with pytest.raises(FileError, match=r"cannot read activations from .*a\.npy"):
        open_activations(tmp_path / "a.npy")


def test_a_parquet_file_that_does_not_fit_in_memory_is_refused(tmp_path, monkeypatch):
    columns = {"neuron": [1.0], "formula": ["a"], "auc": [0.9], "fraction": [0.1], "count": [10]}
    pq.write_table(pa.table({name: values * 10**5 for name, values in columns.items()}), tmp_path / "a.parquet")
    monkeypatch.setattr(limits, "_memory", lambda: 10**6)
    for read in (open_activations, open_concepts, Labels.open):
        with pytest.raises(FileError, match=r"a\.parquet': unpacked, it takes"):
            read(tmp_path / "a.parquet")


@pytest.mark.parametrize("shape", [(10**15, 2), (3, 10**12)])
def test_a_store_that_claims_too_much_is_refused(tmp_path, shape):
    zarr.create_array(str(tmp_path / "a.zarr"), shape=shape, chunks=(3, 10**6), dtype="float32")
    with pytest.raises(
        FileError, match=r"cannot read activations from .*a\.zarr': the shape .* is above 1,000,000,000"
    ):
        open_activations(tmp_path / "a.zarr")


def test_a_hierarchy_of_too_many_levels_is_refused(monkeypatch):
    monkeypatch.setattr(hierarchy, "LEVELS", 1000)
    edges = [(str(i), str(i + 1)) for i in range(1000)]
    for given in (edges, edges[::-1]):
        with pytest.raises(ConceptsError, match="the hierarchy has more than 1,000 levels above '0'"):
            Hierarchy(given)
    Hierarchy(edges[1:])


def test_options_beyond_their_limits_are_refused(matrices, tmp_path):
    for name, most in (("length", 1000), ("permutations", 10**7), ("stability", 10**5)):
        with pytest.raises(OptionError, match=f"{name} must be at most {most:,}, not 1,000,000,000,000"):
            label(*matrices, **{name: 10**12})
    with pytest.raises(OptionError, match="permutations must be at most 10,000,000"):
        find_spurious(*matrices, suspects="c0", permutations=10**12)
    labels = label(*matrices, length=1)
    with pytest.raises(OptionError, match="n_samples must be at most 1,000, not 1,000,000,000"):
        report(labels, tmp_path / "page", n_samples=10**9)
    with pytest.raises(OptionError, match="title must have at most 1,000 characters, not 10,000,000"):
        report(labels, tmp_path / "page", title="a" * 10**7)
    assert not (tmp_path / "page").exists()


def test_a_beam_is_bounded_by_what_there_is_to_search(matrices):
    activations, concepts = matrices
    with pytest.raises(OptionError, match="beam must be at most 10,000 for 60 concepts, not 30,000"):
        label(activations, concepts, beam=30_000)
    assert Rules(length=2, beam=10**9).capacity(10) == 820
    assert label(activations, concepts[:, :3], beam=10**9, length=2, min_count=1)


def test_a_report_keeps_no_formula_in_memory(matrices):
    from neuronym import inputs

    (aligned,) = inputs.align(matrices[0], matrices[1])
    layer = Layer.of(aligned)
    before = set(vars(layer))
    for name in layer.concepts.names:
        formula = Formula.concept(name)
        assert np.array_equal(layer.inside(formula), layer.concepts[name])
    assert layer.inside(Formula.concept("unknown")) is None
    assert set(vars(layer)) == before
    assert not any(isinstance(value, dict) and len(value) > 1 for value in vars(layer).values())


@pytest.mark.parametrize("cell", ["a" * 20_000 + " 1", "1" * 20_000 + " 1", "n01 " + "1 " * 10_000 + "x"])
def test_long_cells_of_annotations_take_no_time(tmp_path, cell):
    (tmp_path / "a.csv").write_text(f"a.jpg,{cell}\nb.jpg,n01 1 2 3 4\n")
    start = time.monotonic()
    found = from_annotations(tmp_path / "a.csv")
    assert isinstance(found, Concepts)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("cell", ["1" * 100_000 + "x", "x" + " " * 100_000 + "x"])
def test_long_cells_of_numbers_take_no_time(tmp_path, cell):
    (tmp_path / "a.csv").write_text(f"sample,x\na,{cell}\n")
    start = time.monotonic()
    with pytest.raises(FileError, match="cannot read activations"):
        open_activations(tmp_path / "a.csv")
    assert time.monotonic() - start < 5


def test_findings_of_too_many_columns_are_refused(tmp_path):
    (tmp_path / "neurons.csv").write_text("suspect,neuron,rank,q,pairs" + ",x" * 40_000 + "\n")
    with pytest.raises(FileError, match=r"neurons\.csv' is not a table of findings: it has 40,005 columns"):
        open_findings(tmp_path)
