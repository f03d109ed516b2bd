import csv
import resource

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuronym import (
    Activations,
    Concepts,
    Explanation,
    FileError,
    Formula,
    Label,
    Labels,
    label,
    open_activations,
    open_concepts,
    save_activations,
    save_concepts,
)
from neuronym.labels.schema import FORMULA_NUMBERS, LABEL_NUMBERS

keep_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

hostile = st.sampled_from(
    [
        " a",
        "a;b",
        "a\tb",
        "0.5",
        'a "b"',
        "a,b",
        "a\nb",
        "a\r\nb",
        "~a",
        "a & b",
        "ä\u200b",
        "5",
        "05",
        "true",
        "",
        " ",
        "=1+1",
    ]
)
texts = hostile | st.text(max_size=8)
names = texts.filter(bool)


@st.composite
def concepts(draw):
    n_samples, n_concepts = draw(st.integers(0, 6)), draw(st.integers(0, 5))
    listed = draw(st.lists(names, min_size=n_concepts + 2, max_size=n_concepts + 2, unique=True))
    ids = draw(st.none() | st.lists(names, min_size=n_samples, max_size=n_samples, unique=True))
    made = Concepts.from_array(
        draw(hnp.arrays(np.bool_, (n_samples, n_concepts))),
        listed[:-2],
        sample_ids=ids,
        descriptions={name: draw(texts) for name in listed[:1]},
    )
    aliases = {made.names[0]: listed[-2:]} if n_concepts else {}
    return made._with(aliases=aliases, origin={"rule": "threshold", "threshold": [0.5]})


def same_concepts(one, other):
    fields = ("names", "n_samples", "sample_ids", "descriptions", "aliases", "origin")
    return all(getattr(one, f) == getattr(other, f) for f in fields) and (one.to_dense() == other.to_dense()).all()


@keep_folder
@given(concepts())
def test_saved_concepts_come_back_whole(tmp_path, made):
    path = tmp_path / "c.parquet"
    save_concepts(made, path, overwrite=True)
    assert same_concepts(open_concepts(path), made)


@keep_folder
@given(concepts(), st.sampled_from([".csv", ".parquet"]))
def test_multi_hot_tables_come_back_whole(tmp_path, made, kind):
    frame = pd.DataFrame(made.to_dense().astype(int), columns=list(made.names))
    assume(made.n_concepts and "sample" not in made.names)
    if made.sample_ids is not None:
        frame.insert(0, "sample", list(made.sample_ids))
    path = tmp_path / f"c{kind}"
    frame.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC) if kind == ".csv" else frame.to_parquet(
        path, index=False
    )
    opened = open_concepts(path)
    assert opened.names == made.names
    assert opened.sample_ids == made.sample_ids
    assert (opened.to_dense() == made.to_dense()).all()


@keep_folder
@given(
    st.lists(st.tuples(names, names), min_size=1, max_size=12),
    st.sampled_from([".csv", ".parquet"]),
)
def test_long_tables_come_back_whole(tmp_path, pairs, kind):
    frame = pd.DataFrame(pairs, columns=["sample", "concept"])
    path = tmp_path / f"c{kind}"
    frame.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC) if kind == ".csv" else frame.to_parquet(
        path, index=False
    )
    opened = open_concepts(path)
    shown = opened.to_dense()
    found = {(opened.sample_ids[i], opened.names[c]) for i, c in zip(*np.nonzero(shown), strict=True)}
    assert found == set(pairs)


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def activations(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64, np.int64, np.int8, np.bool_]))
    n_samples, n_neurons = draw(st.integers(0, 5)), draw(st.integers(1, 4))
    matrix = draw(hnp.arrays(dtype, (n_samples, n_neurons), elements=numbers if dtype == np.float32 else None))
    if dtype == np.float64:
        matrix = np.nan_to_num(matrix, nan=0.1, posinf=1e300, neginf=-1e-300)
    listed = draw(st.none() | st.lists(names, min_size=n_neurons, max_size=n_neurons, unique=True))
    ids = draw(st.none() | st.lists(names, min_size=n_samples, max_size=n_samples, unique=True))
    return Activations(matrix, listed, sample_ids=ids)


@keep_folder
@given(activations(), st.sampled_from([".npy", ".npz", ".csv", ".parquet"]))
def test_saved_activations_come_back_whole_or_are_refused(tmp_path, made, kind):
    path = tmp_path / f"a{kind}"
    try:
        save_activations(made, path, overwrite=True)
    except FileError as refused:
        lossy = kind == ".npy" and (made.sample_ids is not None or list(made.names) != list(range(made.n_neurons)))
        ends_in_nul = kind == ".npz" and any(str(n).endswith("\0") for n in (*made.names, *(made.sample_ids or ())))
        as_ids = kind in (".csv", ".parquet") and made.names[0] == "sample" and made.sample_ids is None
        assert lossy or ends_in_nul or as_ids, refused  # noqa: PT017
        return
    opened = open_activations(path)
    assert list(opened.names) == list(made.names)
    assert opened.sample_ids == made.sample_ids
    assert np.array_equal(opened.matrix, made.matrix)
    if kind != ".csv":
        assert opened.matrix.dtype == made.matrix.dtype


formulas = st.recursive(
    names.map(Formula.concept),
    lambda inner: inner.map(lambda f: ~f) | st.tuples(inner, inner).map(lambda p: p[0] & p[1]) | inner,
    max_leaves=4,
)
shares = st.floats(0, 1)
maybe = shares | st.just(float("nan"))
explanations = st.builds(Explanation, formulas, shares, shares, st.integers(0, 2**40))
more = dict.fromkeys(FORMULA_NUMBERS, maybe)
measured = st.builds(Explanation, formulas, shares, shares, st.integers(0, 2**40), **more)


@st.composite
def some_labels(draw):
    layered = draw(st.booleans())
    rows = []
    for neuron in draw(st.lists(names | st.integers(-5, 10**12), max_size=4, unique_by=str)):
        best = draw(st.none() | explanations | measured)
        steps = draw(st.lists(st.none() | explanations | measured, max_size=3))
        known = [] if best is None else [best]
        rows.append(
            Label(
                Activations([[0]], [neuron]).names[0],
                draw(names) if layered else None,
                draw(st.sampled_from(["high", "low"])),
                best,
                (*(step for step in steps if best is None or step is None or step.formula != best.formula), *known),
                tuple(draw(st.lists(explanations, max_size=2))),
                draw(names) if best is None else None,
                draw(st.dictionaries(names, st.lists(names, min_size=1, max_size=2).map(tuple), max_size=2)),
                tuple(draw(st.lists(st.tuples(st.none() | formulas, shares), max_size=2))),
                permutations=draw(st.none() | st.integers(0, 10**6)),
                tail=draw(st.none() | st.booleans()),
                optimal=draw(st.none() | st.booleans()),
                **{name: draw(maybe) for name in LABEL_NUMBERS if name not in ("permutations", "tail", "optimal")},
            )
        )
    return Labels(rows)


@keep_folder
@given(some_labels(), st.sampled_from([".csv", ".parquet", ".json"]))
def test_saved_labels_come_back_whole(tmp_path, made, kind):
    path = tmp_path / f"labels{kind}"
    made.save(path, overwrite=True)
    opened = Labels.open(path)
    assert opened == made
    assert [type(x.neuron) for x in opened] == [type(x.neuron) for x in made]
    assert [x.formula for x in opened] == [x.formula for x in made]


def test_real_labels_come_back_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    made = label({"a": rng.normal(size=(300, 40))}, rng.random((300, 12)) < 0.2, direction="both")
    for kind in ("csv", "parquet", "json"):
        made.save(tmp_path / f"x.{kind}")
        assert Labels.open(tmp_path / f"x.{kind}") == made


def test_npy_is_mapped_and_of_any_version_and_order(tmp_path):
    matrix = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    for version in ((1, 0), (2, 0), (3, 0)):
        with open(tmp_path / "a.npy", "wb") as file:
            np.lib.format.write_array(file, matrix, version=version)
        opened = open_activations(tmp_path / "a.npy")
        assert opened.on_disk
        assert np.array_equal(opened.matrix, matrix)


def test_one_unnamed_array_in_an_archive_is_the_activations(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", np.eye(3))
    assert np.array_equal(open_activations(tmp_path / "a.npz").matrix, np.eye(3))


def test_a_saved_data_frame_keeps_its_index_as_ids(tmp_path):
    for name in ("sample", None, "photo"):
        frame = pd.DataFrame({"3": [0.5, 1.5], "4": [1.0, 2.0]}, index=pd.Index(["x", "y"], name=name))
        frame.to_parquet(tmp_path / "a.parquet")
        opened = open_activations(tmp_path / "a.parquet")
        assert opened.sample_ids == ("x", "y")
        assert list(opened.names) == [3, 4]


def test_ids_stay_text(tmp_path):
    (tmp_path / "a.csv").write_text("sample,0\n001,1.5\n1,2.5\nnan,3.5\n")
    assert open_activations(tmp_path / "a.csv").sample_ids == ("001", "1", "nan")
    (tmp_path / "c.csv").write_text("sample,concept\n001,NA\n1,null\n2,\n")
    opened = open_concepts(tmp_path / "c.csv")
    assert opened.names == ("NA", "null")
    assert opened.sample_ids == ("001", "1", "2")


def test_yes_and_no_are_read_in_words(tmp_path):
    (tmp_path / "c.csv").write_text("\ufeffsample,a,b,c\nx,1,true,No\ny,0.0, FALSE ,yes\n", encoding="utf-8")
    opened = open_concepts(tmp_path / "c.csv")
    assert opened.to_dense().tolist() == [[True, True, False], [False, False, True]]


def test_unknown_cells_are_answered_as_asked(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("sample,a,b\nx,1,\ny,0,1\nz,maybe,1\n")
    assert open_concepts(path, unknown="no").to_dense().tolist() == [[True, False], [False, True], [False, True]]
    assert open_concepts(path, unknown="drop").sample_ids == ("y",)


def test_lists_of_names_without_our_table_are_read_too(tmp_path):
    table = pa.table({"sample": ["x", "y", "z"], "concepts": [["b", "a"], [], ["a", "a"]]})
    pq.write_table(table, tmp_path / "c.parquet")
    opened = open_concepts(tmp_path / "c.parquet")
    assert opened.names == ("a", "b")
    assert opened.to_dense().tolist() == [[True, True], [False, False], [True, False]]


def test_whole_numbers_that_floats_cannot_hold_survive_csv(tmp_path):
    made = Activations(np.array([[2**62 + 1], [2**62]]))
    save_activations(made, tmp_path / "a.csv")
    assert open_activations(tmp_path / "a.csv").matrix.tolist() == [[2**62 + 1], [2**62]]
    with pytest.raises(FileError, match="cannot store integers of 2⁶³ or more"):
        save_activations(Activations(np.array([[2**63]], np.uint64)), tmp_path / "b.csv")


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def save_all(path, overwrite):
    made = label(np.arange(60.0), (np.arange(60) < 30)[:, None], length=1)
    if path.suffix == ".npy":
        save_activations(Activations(np.eye(3)), path, overwrite=overwrite)
    elif path.stem == "concepts":
        save_concepts(Concepts.from_array(np.eye(3)), path, overwrite=overwrite)
    else:
        made.save(path, overwrite=overwrite)


targets = pytest.mark.parametrize("name", ["a.npy", "concepts.parquet", "labels.csv", "labels.json", "labels.parquet"])


@targets
def test_nothing_is_overwritten_unasked(tmp_path, name):
    path = tmp_path / name
    path.write_text("precious")
    with pytest.raises(FileError, match="exists: choose another name, or overwrite it"):
        save_all(path, False)
    assert path.read_text() == "precious"
    save_all(path, True)
    assert b"precious" not in path.read_bytes()
    assert left(tmp_path) == [name]


@targets
def test_a_failure_while_writing_leaves_the_old_file_and_no_other(tmp_path, name, monkeypatch):
    path = tmp_path / name
    path.write_text("precious")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neuronym._util.files.os.fsync", full)
    with pytest.raises(FileError, match="No space left on device; nothing was written"):
        save_all(path, True)
    assert path.read_text() == "precious"
    assert left(tmp_path) == [name]


def test_a_disk_that_takes_no_more_bytes_leaves_nothing(tmp_path):
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, allowed[1]))
    try:
        with pytest.raises(FileError, match=r"the disk is full or a size limit is reached .*; nothing was written"):
            save_activations(Activations(np.zeros((100, 100))), tmp_path / "a.npy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert left(tmp_path) == []


def test_a_file_that_appears_while_we_write_is_not_overwritten(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    monkeypatch.setattr("neuronym._util.files.os.fsync", lambda _: path.write_text("precious"))
    with pytest.raises(FileError, match="exists"):
        save_activations(Activations(np.eye(3)), path)
    assert path.read_text() == "precious"
    assert left(tmp_path) == ["a.npy"]


def test_a_file_system_without_links_works_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("neuronym._util.files.os.link", refuse)
    save_activations(Activations(np.eye(3)), tmp_path / "a.npy")
    assert open_activations(tmp_path / "a.npy").n_neurons == 3


def test_an_interruption_leaves_no_file(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("neuronym._util.files.os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_activations(Activations(np.eye(3)), tmp_path / "a.npy")
    assert left(tmp_path) == []


def test_a_link_is_followed_not_replaced(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "labels.csv").symlink_to(tmp_path / "real.csv")
    Labels([]).save(tmp_path / "labels.csv", overwrite=True)
    assert (tmp_path / "labels.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("neuron,")
