"""Objects that carry ids and names, in every way in: the right label, or a refusal, or a warning; never silence."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import torch
import xarray as xr

from neuronym import Activations, AlignmentError, Concepts, ConceptsError, OptionError, label
from neuronym.errors import InputError
from neuronym.inputs.samples import Samples
from neuronym.io import from_attributes, from_regex, from_scores

N = 120
RNG = np.random.default_rng(7)
Y = RNG.integers(0, 3, N)  # the class of each sample
CLASSES = ["dog", "cat", "bird"]
IDS = [f"img{i}.jpg" for i in range(N)]
A = RNG.normal(size=(N, 2))
A[:, 0] += 4 * (Y == 1)  # the first neuron detects cats
HOT = np.stack([c == Y for c in range(3)], axis=1)
ORDER = np.random.default_rng(1).permutation(N)  # in which the other side lists the samples
NAMED = ["edge", "curve"]


def sample_column(values, names, ids):
    return pd.DataFrame(values, columns=names).assign(sample=ids)[["sample", *names]]


#: Ways to hold a table with ids and names.
TABLES = {
    "pandas with an index": lambda values, names, ids: pd.DataFrame(values, ids, names),
    "pandas with a column": sample_column,
    "pandas with a column of another name": lambda *of: sample_column(*of).rename(columns={"sample": "image_id"}),
    "pandas of nullable types": lambda values, names, ids: pd.DataFrame(values, ids, names).convert_dtypes(),
    "pandas of sparse columns": lambda values, names, ids: pd.DataFrame(values, ids, names).astype(pd.SparseDtype()),
    "rows of pandas": lambda values, names, ids: [row for _, row in pd.DataFrame(values, ids, names).iterrows()],
    "polars": lambda *of: pl.from_pandas(sample_column(*of)),
    "polars, lazy": lambda *of: pl.from_pandas(sample_column(*of)).lazy(),
    "polars with the ids last": lambda *of: pl.from_pandas(sample_column(*of)).select(
        pl.exclude("sample"), image="sample"
    ),
    "Arrow": lambda *of: pa.Table.from_pandas(sample_column(*of), preserve_index=False),
    "Arrow with an index of pandas": lambda values, names, ids: pa.Table.from_pandas(pd.DataFrame(values, ids, names)),
    "an Arrow batch": lambda *of: pa.RecordBatch.from_pandas(sample_column(*of), preserve_index=False),
    "xarray": lambda values, names, ids: xr.DataArray(values, {"sample": ids, "name": names}, ("sample", "name")),
    "xarray, of any dimension": lambda values, names, ids: xr.DataArray(values, {"x": ids, "y": names}, ("x", "y")),
    "a data set of xarray": lambda values, names, ids: xr.Dataset(
        {name: ("sample", values[:, c]) for c, name in enumerate(names)}, {"sample": ids}
    ),
    "a structured array": lambda *of: sample_column(*of).to_records(index=False),
}

#: Ways to hold a matrix without ids or names.
BARE = {
    "numpy": np.array,
    "numpy in Fortran's order": np.asfortranarray,
    "lists": lambda values: values.tolist(),
    "torch": torch.tensor,
    "torch with gradients": lambda values: torch.tensor(values, dtype=torch.float32).requires_grad_(),
    "torch, sparse": lambda values: torch.tensor(values).to_sparse(),
    "torch, sparse by row": lambda values: torch.tensor(values, dtype=torch.float32).to_sparse_csr(),
    "torch in bfloat16": lambda values: torch.tensor(values, dtype=torch.bfloat16),
    "scipy by row": sp.csr_array,
    "scipy by column": sp.csc_matrix,
    "scipy by coordinates": sp.coo_array,
    "pandas without an index": pd.DataFrame,
    "polars without ids": lambda values: pl.DataFrame(values, orient="row"),
    "xarray without coordinates": lambda values: xr.DataArray(values, dims=("a", "b")),
    "Arrow without ids": lambda values: pa.table({f"n{c}": np.ascontiguousarray(v) for c, v in enumerate(values.T)}),
}


def first(activations, concepts, **options):
    """The formula of the first neuron, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        labels = label(activations, concepts, length=1, negation=False, min_count=5, **options)
    return str(labels[0].formula if 0 in [one.neuron for one in labels] else next(iter(labels)).formula), [
        str(one.message) for one in caught
    ]


def right_or_said(found, expected):
    formula, said = found
    assert formula == expected or any("matched by position" in one for one in said), (formula, said)
    return formula == expected


WITH_IDS = Activations(A, NAMED, sample_ids=IDS)
SHOWN = Concepts.from_array(HOT[ORDER], CLASSES, sample_ids=[IDS[i] for i in ORDER])


@pytest.mark.parametrize("hold", TABLES.values(), ids=TABLES)
def test_a_table_of_activations_keeps_ids_and_names(hold):
    shuffled = hold(A[ORDER], NAMED, [IDS[i] for i in ORDER])
    assert first(shuffled, Concepts.from_array(HOT, CLASSES, sample_ids=IDS))[0] == "cat"
    assert first({"conv": shuffled, "fc": WITH_IDS}, SHOWN)[0] == "cat"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Activations(shuffled)
    assert (made.sample_ids, list(made.names)) == (tuple(IDS[i] for i in ORDER), NAMED)
    assert made.matrix.tolist() == A[ORDER].tolist()


@pytest.mark.parametrize("hold", TABLES.values(), ids=TABLES)
def test_a_table_of_concepts_keeps_ids_and_names(hold):
    shuffled = hold(HOT[ORDER], CLASSES, [IDS[i] for i in ORDER])
    assert first(WITH_IDS, shuffled)[0] == "cat"
    for made in (Concepts.from_array, Concepts.from_frame):
        if isinstance(shuffled, list) and made is Concepts.from_frame:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = made(shuffled)
        assert (found.names, found.sample_ids) == (tuple(CLASSES), tuple(IDS[i] for i in ORDER))
        assert found.to_dense().tolist() == HOT[ORDER].tolist()


@pytest.mark.parametrize("hold", TABLES.values(), ids=TABLES)
def test_a_table_of_scores_keeps_ids_and_names(hold):
    scores = 0.2 + 0.6 * HOT[ORDER]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = hold(scores, CLASSES, [IDS[i] for i in ORDER])
        for found in (Concepts.from_scores(given, threshold=0.5), from_scores(given, threshold=0.5)):
            assert (found.names, found.sample_ids) == (tuple(CLASSES), tuple(IDS[i] for i in ORDER))
            assert found.to_dense().tolist() == HOT[ORDER].tolist()


@pytest.mark.filterwarnings("ignore:Sparse C")
@pytest.mark.parametrize("hold", BARE.values(), ids=BARE)
def test_a_matrix_without_ids_is_matched_by_position_with_a_warning(hold):
    whole = (A * 8).round()
    formula, said = first(hold(whole), Concepts.from_array(HOT, CLASSES, sample_ids=IDS))
    assert formula == "cat"
    assert len([one for one in said if "matched by position" in one]) == 1
    formula, said = first(WITH_IDS, hold(HOT.astype(float)))
    assert formula in ("c1", "n1", "column_1")
    assert len([one for one in said if "matched by position" in one]) == 1
    for quiet in (first(hold(whole), HOT), first(whole, hold(HOT.astype(float)))):
        assert quiet[1] == []
    assert first(hold(whole), Concepts.from_array(HOT, CLASSES, sample_ids=IDS), align="position") == ("cat", [])


#: Ways to hold a column of values with the ids of their samples.
COLUMNS = {
    "a Series": lambda values, ids: pd.Series(values, ids),
    "a mapping": lambda values, ids: dict(zip(ids, values, strict=True)),
    "xarray": lambda values, ids: xr.DataArray(values, {"sample": ids}, ("sample",)),
    "a table of one column": lambda values, ids: pd.DataFrame({"value": values}, ids),
    "a Series of categories": lambda values, ids: pd.Series(values, ids).astype("category"),
}
CHOSEN = [IDS[i] for i in ORDER]


@pytest.mark.parametrize("hold", COLUMNS.values(), ids=COLUMNS)
def test_a_column_of_classes_keeps_ids(hold):
    for classes, names in (([CLASSES[c] for c in Y[ORDER]], None), (Y[ORDER].tolist(), CLASSES)):
        found = Concepts.from_classes(hold(classes, CHOSEN), names)
        assert first(WITH_IDS, found)[0] == "cat"
        assert found.sample_ids == tuple(CHOSEN)


@pytest.mark.parametrize("hold", [COLUMNS["a Series"], COLUMNS["a mapping"]], ids=["a Series", "a mapping"])
def test_sets_and_texts_keep_ids(hold):
    sets = hold([{CLASSES[c]} for c in Y[ORDER]], CHOSEN)
    assert first(WITH_IDS, sets)[0] == "cat"
    assert first(WITH_IDS, Concepts.from_sets(sets))[0] == "cat"
    texts = hold([f"the {CLASSES[c]} sleeps" for c in Y[ORDER]], CHOSEN)
    assert first(WITH_IDS, from_regex(texts, {"cat": r"\bcat\b", "dog": "dog"}))[0] == "cat"


def test_texts_of_a_table_and_attributes_keep_ids():
    table = pd.DataFrame({"text": [f"the {CLASSES[c]} sleeps" for c in Y[ORDER]]}, CHOSEN)
    for texts in (table, pl.DataFrame({"sample": CHOSEN, "text": table["text"].tolist()})):
        assert first(WITH_IDS, from_regex(texts, {"cat": "cat", "dog": "dog"}))[0] == "cat"
    kinds = pd.DataFrame({"kind": [CLASSES[c] for c in Y[ORDER]]}, CHOSEN)
    for attributes in (kinds, pl.from_pandas(kinds.reset_index(names="sample")), pa.Table.from_pandas(kinds)):
        assert first(WITH_IDS, from_attributes(attributes))[0] == "kind=cat"


@pytest.mark.parametrize("hold", COLUMNS.values(), ids=COLUMNS)
def test_clusters_strata_and_weights_follow_ids(hold):
    groups, weights = np.arange(N) // 4, (np.arange(N) % 3).astype(int)
    options = {"length": 1, "permutations": 99, "min_count": 5}
    concepts = Concepts.from_array(HOT, CLASSES, sample_ids=IDS)
    for name, values in {"clusters": groups, "strata": groups % 2, "weights": weights}.items():
        expected = label(WITH_IDS, concepts, **{name: values}, **options)
        given = hold(values[ORDER].tolist(), CHOSEN)
        assert label(WITH_IDS, concepts, **{name: given}, **options) == expected, name
    stored = Activations(A, NAMED, sample_ids=IDS, clusters=hold(groups[ORDER].tolist(), CHOSEN))
    assert stored.clusters == tuple(groups.tolist())


#: Ways to list ids or names.
LISTS = {
    "a tuple": tuple,
    "numpy": np.array,
    "objects of numpy": lambda values: np.array(values, object),
    "bytes": lambda values: [value.encode() for value in values],
    "an index": pd.Index,
    "a Series": pd.Series,
    "a Series with another index": lambda values: pd.Series(values, np.arange(len(values))[::-1] + 5),
    "polars": pl.Series,
    "Arrow": pa.array,
    "chunks of Arrow": lambda values: pa.chunked_array([values[:1], values[1:]]),
    "xarray": lambda values: xr.DataArray(values, dims="x"),
    "a generator": lambda values: (value for value in values),
    "keys": lambda values: dict.fromkeys(values).keys(),
    "by number": lambda values: dict(enumerate(values)),
    "by number, shuffled": lambda values: dict(reversed(list(enumerate(values)))),
    "by number, as JSON has it": lambda values: {
        str(i): value for i, value in sorted(enumerate(values), key=lambda x: str(x[0]))
    },
}


@pytest.mark.parametrize("hold", LISTS.values(), ids=LISTS)
def test_ids_and_names_may_be_listed_in_any_way(hold):
    found = Activations(A, sample_ids=hold(IDS))
    assert found.sample_ids == tuple(IDS)
    assert Concepts.from_array(HOT, CLASSES, sample_ids=hold(IDS)).sample_ids == tuple(IDS)
    if hold is LISTS["bytes"]:
        return
    many = [f"name{c}" for c in range(12)]
    assert list(Activations(np.zeros((2, 12)), hold(many)).names) == many
    assert Concepts.from_array(np.eye(12), hold(many)).names == tuple(many)
    assert Concepts.from_scores(np.eye(12), hold(many), threshold=0.5).names == tuple(many)
    classes = Concepts.from_classes([2, 11, 0], hold(many))
    assert [classes.names[c] for c in np.nonzero(classes.to_dense())[1]] == ["name2", "name11", "name0"]


def test_whole_numbers_of_any_library_are_ids():
    for ids in (np.array([7, 3]), torch.tensor([7, 3]), pl.Series([7, 3]), pa.array([7, 3]), pd.Series([7, 3])):
        assert Activations([[1.0], [2.0]], sample_ids=ids).sample_ids == ("7", "3")
    assert Activations([[1.0], [2.0]], sample_ids=[torch.tensor(7), pa.scalar(3)]).sample_ids == ("7", "3")


def test_names_by_number_in_either_direction():
    id2label = {0: "zero", 10: "ten", 2: "two"}
    by_text = {"0": "zero", "10": "ten", "2": "two"}
    label2id = {"ten": 10, "zero": 0, "two": 2}
    for names in (id2label, by_text, label2id, pd.Series(id2label)):
        found = Concepts.from_classes([10, 2, 2], names)
        assert found.names == ("zero", "two", "ten")
        assert found["ten"].tolist() == [True, False, False]
        assert found["two"].tolist() == [False, True, True]
    found = Concepts.from_classes(["n1", "n2"], {"n2": "dog", "n1": "cat"})
    assert found["cat"].tolist() == [True, False]
    assert Concepts.from_classes(["b", "a"], {"a": 0, "b": 1})["b"].tolist() == [True, False]
    with pytest.raises(ConceptsError, match=r"the names lack 1 class \('3'\)"):
        Concepts.from_classes([3], id2label)
    assert list(Activations(np.eye(2), {"cat": 1, "dog": 0}).names) == ["dog", "cat"]


BAD = {
    "a set of ids": (lambda: Activations(np.eye(2), sample_ids={"x", "y"}), "must be in order, but a set has none"),
    "a set of names": (lambda: Concepts.from_array(np.eye(2), {"x", "y"}), "must be in order, but a set has none"),
    "ids by name": (lambda: Activations(np.eye(2), sample_ids={"x": 1, "y": 2}), "each of the rows 0 to 1 to an id"),
    "names by other keys": (
        lambda: Concepts.from_array(np.eye(2), {"x": "dog", "y": "cat"}),
        "must map each of the column numbers 0 to 1 to a name",
    ),
    "too few names": (lambda: Concepts.from_array(np.eye(3), {0: "dog", 1: "cat"}), "with 2 keys"),
    "a table of ids": (
        lambda: Activations(np.eye(2), sample_ids=pd.DataFrame({"a": [1, 2], "b": [3, 4]})),
        "must be one column, not a table of 2",
    ),
    "ids of two axes": (lambda: Activations(np.eye(2), sample_ids=np.array([["x"], ["y"]])), r"not shape \(2, 1\)"),
    "names in another order": (
        lambda: Concepts.from_array(pd.DataFrame(HOT, columns=CLASSES), ["cat", "dog", "bird"]),
        "are those of the table .* in another order",
    ),
    "names of neurons in another order": (
        lambda: Activations(pd.DataFrame(A, columns=NAMED), NAMED[::-1]),
        "are those of the table .* in another order",
    ),
    "ids in another order": (
        lambda: Activations(pd.DataFrame(A, IDS), sample_ids=IDS[::-1]),
        "have the same ids in different orders",
    ),
    "ids with the index in another order": (
        lambda: Concepts.from_array(pd.DataFrame(HOT, ORDER), sample_ids=pd.Series(CHOSEN, ORDER[::-1])),
        "have the same ids in different orders",
    ),
    "samples second": (
        lambda: Activations(xr.DataArray(A.T, dims=("neuron", "sample"))),
        "samples as the first dimension, .* transpose the array",
    ),
    "three dimensions": (lambda: Activations(xr.DataArray(np.zeros((2, 3, 4)))), "must have two axes, not 3"),
    "an index with repeats": (
        lambda: Concepts.from_array(pd.DataFrame(HOT, np.arange(N) % 60)),
        r"row numbers more than once.* reset_index\(drop=True\)",
    ),
    "two columns of ids": (
        lambda: Concepts.from_frame(pd.DataFrame({"id": [3, 4], "file": ["a.jpg", "b.jpg"], "dog": [0, 1]})),
        "could all hold sample ids: say which with id_column='id'",
    ),
    "a column that is not there": (
        lambda: Concepts.from_frame(pd.DataFrame({"dog": [0, 1]}), id_column="id"),
        "id_column='id' must be a column of concepts",
    ),
    "classes in two columns": (
        lambda: Concepts.from_classes(pd.DataFrame({"a": [1, 2], "b": [3, 4]})),
        "classes must be one column, not 2",
    ),
    "a mapping of classes": (lambda: label(A, dict(zip(IDS, CLASSES * 40, strict=True))), "Concepts.from_classes"),
    "samples and concepts of two tables": (
        lambda: Concepts.from_long(pd.Series(["x", "y"], [0, 1]), pd.Series(["a", "b"], [1, 0])),
        "different indexes",
    ),
    "counts in a mapping": (lambda: Concepts.from_sets([{"dog": 1, "cat": 0}]), "mapping with values of no"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_contradicts_itself_is_refused(case):
    build, message = BAD[case]
    with pytest.raises(InputError, match=message):
        build()


SHUFFLED = pd.DataFrame(HOT[ORDER], columns=CLASSES, index=ORDER)


def test_a_shuffled_table_beside_an_array_is_refused_with_both_remedies(tmp_path):
    message = r"index of concepts counts its rows in another order .* reset_index\(drop=True\).* sample_ids.* position"
    SHUFFLED.to_parquet(tmp_path / "c.parquet")
    SHUFFLED.reset_index(names="sample").to_csv(tmp_path / "c.csv", index=False)
    SHUFFLED.to_csv(tmp_path / "index.csv")
    for concepts in (
        SHUFFLED,
        Concepts.from_frame(SHUFFLED),
        tmp_path / "c.parquet",
        tmp_path / "c.csv",
        tmp_path / "index.csv",
        pa.Table.from_pandas(SHUFFLED),
        SHUFFLED["cat"],
        xr.DataArray(HOT[ORDER], {"s": ORDER}, ("s", "c")),
    ):
        with pytest.raises(AlignmentError, match=message):
            label(A[ORDER], concepts, length=1)
        assert first(A[ORDER], concepts, align="position")[0] in ("cat", "c1")
        numbered = Activations(A, sample_ids=range(N))
        assert first(numbered, concepts)[0] in ("cat", "c1")
    with pytest.raises(AlignmentError, match="index of activations counts its rows"):
        label(pd.DataFrame(A[ORDER], ORDER), HOT[ORDER])
    with pytest.raises(OptionError, match="index of weights counts its rows"):
        label(A, HOT, weights=pd.Series(1, ORDER))
    assert first(A[ORDER], SHUFFLED.reset_index(drop=True))[0] == "cat"
    assert first(pd.DataFrame(A), SHUFFLED)[0] == "cat"  # both are tables, so the numbers are rows of the other


def test_a_part_of_a_table_is_matched_by_position_with_a_warning():
    part = SHUFFLED.iloc[:80]
    formula, said = first(A[ORDER[:80]], part)
    assert (formula, len(said)) == ("cat", 1)
    assert "sample ids are in concepts" in said[0]


def test_a_long_table_of_row_numbers_is_of_these_rows():
    found = Concepts.from_long([2, 0, 1], ["a", "b", "a"])
    assert found.sample_ids == ("0", "1", "2")
    assert found["a"].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda i: "cafe\u0301_" + i, r"Unicode normalization .*normalize\('NFC', i\)"),
        (lambda i: "./caf\u00e9_" + i, "separators of folders"),
        (lambda i: "caf\u00e9_" + i[:-4], "the ending"),
        (lambda i: "photos/caf\u00e9_" + i, "the folder"),
        (lambda i: "photos\\caf\u00e9_" + i, "the folder"),
        (lambda i: "CAF\u00c9_" + i.upper(), "upper and lower case"),
        (lambda i: " caf\u00e9_" + i, "spaces around them"),
        (lambda i: "train\\CAFE\u0301_" + i[:-4].upper(), "differ by .* and "),
    ],
)
def test_ids_that_differ_in_form_get_a_hint_with_an_example_of_each_side(change, said):
    ours = Activations(A, sample_ids=[change(i) for i in IDS])
    theirs = Concepts.from_array(HOT, CLASSES, sample_ids=["caf\u00e9_" + i for i in IDS])
    with pytest.raises(AlignmentError, match=said) as refused:
        label(ours, theirs)
    example = re.search(r"they differ by .*? \((['\"].*?['\"]) and (['\"].*?['\"])\)", str(refused.value))
    assert example is not None
    assert example[1] != example[2]
    assert "sample_ids" in str(refused.value)


def test_numbers_that_differ_in_form_get_a_hint_too():
    for ours in ([f"{i}.0" for i in range(1, N + 1)], [f"{i:05d}" for i in range(1, N + 1)]):
        with pytest.raises(AlignmentError, match="differ by the form of numbers"):
            label(Activations(A, sample_ids=ours), Concepts.from_array(HOT, sample_ids=range(1, N + 1)))
    with pytest.raises(AlignmentError, match="both must use the same ids"):
        label(WITH_IDS, Concepts.from_array(HOT, sample_ids=[f"other{i}" for i in range(N)]))


ID_COLUMNS = ["id", "image_id", "ImageId", "imageID", "filename", "file_name", "path", "key", "image", "uuid"]


@pytest.mark.parametrize("name", ID_COLUMNS)
@pytest.mark.parametrize("kind", ["csv", "parquet", "frame"])
def test_a_column_of_ids_is_recognized_with_a_warning(tmp_path, name, kind):
    table = pd.DataFrame({name: CHOSEN, **{c: HOT[ORDER, j].astype(int) for j, c in enumerate(CLASSES)}})
    concepts = save(table, tmp_path, kind)
    formula, said = first(WITH_IDS, concepts)
    assert formula == "cat"
    assert any(f"the column {name!r} of concepts is read as sample ids" in one for one in said)
    activations = save(pd.DataFrame({"n0": A[ORDER, 0], name: CHOSEN}), tmp_path, kind)
    formula, said = first(activations, Concepts.from_array(HOT, CLASSES, sample_ids=IDS))
    assert formula == "cat"
    assert any(f"the column {name!r} of activations is read as sample ids" in one for one in said)
    if kind == "frame":
        made, acts = Concepts.from_frame(concepts, id_column=name), Activations.from_frame(activations, id_column=name)
        assert first(WITH_IDS, made)[1] == []
        assert acts.sample_ids == tuple(CHOSEN)


def save(table, folder: Path, kind):
    if kind == "frame":
        return table
    path = folder / f"t{len(list(folder.iterdir()))}.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else pq.write_table(pa.Table.from_pandas(table), path)
    return path


def test_concepts_and_neurons_are_not_taken_for_ids():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.random((50, 3)) < 0.5, columns=["image", "key", "path"])
    for kind in (bool, int, float):
        assert Concepts.from_frame(table.astype(kind)).names == ("image", "key", "path")
    assert list(Activations(pd.DataFrame(rng.normal(size=(50, 2)), columns=["id", "key"])).names) == ["id", "key"]
    with pytest.warns(UserWarning, match="'id' of activations is called like sample ids, but has repeats"):
        found = Activations(pd.DataFrame(np.arange(100).reshape(50, 2) // 7, columns=["id", "x"]))
    assert list(found.names) == ["id", "x"]


def test_masks_with_an_index_choose_samples_by_id():
    mask = pd.Series(Y == 1, IDS)
    for given in (mask, mask.iloc[ORDER], mask.iloc[ORDER].to_dict()):
        assert SHOWN.take(given).to_dense()[:, 1].all()
        assert SHOWN.add("late", given)["late"].tolist() == SHOWN["cat"].tolist()
        assert WITH_IDS.take(given).sample_ids == tuple(i for i, cat in zip(IDS, Y == 1, strict=True) if cat)
    with pytest.raises(OptionError, match="the mask of rows lack a label for 119 samples"):
        SHOWN.take(mask[:1])


def test_neurons_may_be_listed_in_any_way():
    taken = Activations(A, NAMED)
    for neurons in (["curve"], np.array(["curve"]), pd.Series(["curve"]), pl.Series(["curve"]), pa.array(["curve"])):
        assert taken.indices(neurons).tolist() == [1]
    bare = Activations(A)
    for mask in ([False, True], np.array([False, True]), torch.tensor([False, True]), pd.Series([False, True])):
        assert bare.indices(mask).tolist() == [1]
    for numbers in (torch.tensor([1]), pl.Series([1]), np.array([1]), range(1, 2)):
        assert bare.indices(numbers).tolist() == [1]


def test_concepts_by_name_are_columns():
    columns = {name: HOT[:, c] for c, name in enumerate(CLASSES)}
    assert first(A, columns)[0] == "cat"
    assert first(A, {name: torch.tensor(values) for name, values in columns.items()})[0] == "cat"
    by_id = {name: pd.Series(values, IDS).iloc[ORDER] for name, values in columns.items()}
    assert first(WITH_IDS, by_id)[0] == "cat"
    with pytest.raises(ConceptsError, match="different numbers of samples"):
        label(A, {"dog": [1, 0], "cat": [1]})


def test_samples_of_a_shuffled_table_are_refused_beside_an_array():
    texts = pd.DataFrame({"sample": ORDER, "text": [f"text {i}" for i in ORDER]})
    with pytest.raises(AlignmentError, match="index of the samples to show counts its rows"):
        Samples.of(texts).places(None, N)
    assert Samples.of(texts).places([str(i) for i in range(N)], N)(5) == list(ORDER).index(5)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor", "ignore:Sparse C", "ignore:The PyTorch API of nested")
def test_tensors_of_any_type_are_taken():
    whole = torch.tensor((A * 4).round(), dtype=torch.float32)
    kinds = {
        "float8": whole.clamp(-15, 15).to(torch.float8_e4m3fn),
        "quantized": torch.quantize_per_tensor(whole, 1.0, 0, torch.qint8),
        "a negative view": torch._neg_view(-whole),
        "a parameter": torch.nn.Parameter(whole),
        "a list of rows with gradients": list(whole.clone().requires_grad_()),
        "sparse by column": whole.to_sparse_csc(),
        "half": whole.half(),
        "transposed": whole.T.contiguous().T,
        "unsigned": (whole - whole.min()).to(torch.uint16),
    }
    for name, given in kinds.items():
        assert first(given, HOT)[0] == "c1", name
        assert Activations(given).matrix.shape == (N, 2), name
    scores = torch.tensor(HOT, dtype=torch.bfloat16).requires_grad_()
    assert Concepts.from_scores(scores, threshold=0.5).to_dense().tolist() == HOT.tolist()
    assert Concepts.from_scores(scores.detach().to_sparse(), threshold=0.5).to_dense().tolist() == HOT.tolist()
    assert Concepts.from_classes(torch.tensor(Y), CLASSES)["cat"].tolist() == (Y == 1).tolist()
    with pytest.raises(InputError, match="activations must be real numbers, not complex64"):
        Activations(whole.to(torch.complex64))
    for given in (whole.to("meta"), torch.nested.nested_tensor([whole[0], whole[1, :1]])):
        for build in (Activations, Concepts.from_array, lambda g: Concepts.from_scores(g, threshold=0)):
            with pytest.raises(InputError, match="must be an array, samples × columns"):
                build(given)


def test_texts_to_show_are_found_by_a_column_called_like_ids(tmp_path):
    frame = pd.DataFrame({"id": CHOSEN, "text": [f"text {i}" for i in CHOSEN]})
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";")
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    for given in (frame, tmp_path / "t.csv", tmp_path / "t.tsv", pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        with pytest.warns(UserWarning, match="the column 'id' of samples is read as sample ids"):
            samples = Samples.of(given)
        assert samples.read(samples.places(IDS, N)(3)) == "text img3.jpg"


def test_lists_of_names_are_sets(tmp_path):
    lists = [[CLASSES[c], "photo"] if c else [CLASSES[c]] for c in Y]
    assert first(A, lists)[0] == "cat"
    assert first(A, [[CLASSES[c]] for c in Y])[0] == "cat"
    frame = pd.DataFrame({"image_id": IDS, "labels": lists}).iloc[ORDER]
    assert first(WITH_IDS, frame)[0] == "cat"


def test_long_tables_of_other_names_are_read_with_a_warning(tmp_path):
    rows = [(i, CLASSES[c]) for i, c in zip(IDS, Y, strict=True)] + [(i, "photo") for i in IDS[:60]]
    table = pd.DataFrame(rows, columns=["ImageID", "LabelName"]).sample(frac=1, random_state=0)
    table.to_csv(tmp_path / "l.csv", index=False)
    for given in (table, tmp_path / "l.csv", table[["LabelName", "ImageID"]]):
        formula, said = first(WITH_IDS, given)
        assert formula == "cat"
        assert "read as a long table of samples and concepts" in said[0]


def test_unnamed_columns_of_polars_are_values():
    assert Activations(pl.Series([1.0, 2.0, 3.0])).matrix.tolist() == [[1.0], [2.0], [3.0]]
    assert Concepts.from_scores(pl.Series([0.1, 0.9, 0.3]), threshold=0.5).counts.tolist() == [1]
    assert Concepts.from_classes(pl.Series(["a", "b", "a"])).counts.tolist() == [2, 1]


def test_coordinates_of_xarray_that_are_no_index_are_ids():
    given = xr.DataArray(A[ORDER], dims=("image", "neuron"), coords={"image_id": ("image", CHOSEN)})
    assert Activations(given).sample_ids == tuple(CHOSEN)
    with pytest.raises(InputError, match="have several coordinates along 'image'"):
        Activations(given.assign_coords(patient=("image", CHOSEN)))


def test_names_by_the_tables_own_names_come_first():
    table = pd.DataFrame(np.eye(2, dtype=int), columns=["x", "y"])
    assert Concepts.from_array(table, {"y": "cat", "x": "dog"}).names == ("dog", "cat")
    with pytest.raises(ConceptsError, match="may be the names of the table's columns or their numbers"):
        Concepts.from_array(pd.DataFrame(np.eye(2, dtype=int), columns=[1, 0]), {0: "zero", 1: "one"})


@pytest.mark.parametrize("member", [None, np.nan, ("a",), 0.5])
def test_members_of_sets_that_are_no_names_are_refused(member):
    with pytest.raises(ConceptsError, match="names of concepts in sets must be texts or numbers"):
        Concepts.from_sets([{member, "a"}, {"b"}])
    assert Concepts.from_sets([[b"a", torch.tensor(3)], [np.str_("b")]]).names == ("3", "a", "b")


def test_hints_for_ids_that_differ_in_several_ways():
    for ours, theirs in (
        ([f"{i:012d}.jpg" for i in range(9, 50)], [str(i) for i in range(9, 50)]),
        ([f"val2017/{i:012d}.jpg" for i in range(9, 50)], [str(i) for i in range(9, 50)]),
    ):
        with pytest.raises(AlignmentError, match=r"they differ by .* and the form of numbers"):
            label(Activations(np.zeros(41), sample_ids=ours), Concepts.from_array(np.eye(41), sample_ids=theirs))
