import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuronym import AlignmentError, Concepts, ConceptsError, Hierarchy, OptionError, UnknownNameError

NAMES = ["dog", "grass", "sky"]
IDS = ["p0", "p1", "p2", "p3"]
YES = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]], dtype=bool)
SPARSE = sp.csr_array(YES * 1)
ZEROS = sp.coo_array((YES.ravel() * 1, tuple(np.indices(YES.shape).reshape(2, -1))), shape=YES.shape)
TWICE = sp.csc_array((np.ones(8, bool), [1, 0, 0, 1, 3, 1, 1, 3], [0, 4, 8, 8]), shape=YES.shape)
MIXED = {"dog": YES[:, 0], "grass": YES[:, 1] * 1.0, "sky": pd.array(YES[:, 2], "boolean")}


def small(**options):
    return Concepts.from_array(YES, NAMES, **options)


WAYS = {
    **{t: lambda t=t: Concepts.from_array(YES.astype(t), NAMES) for t in ["?", "u1", "i8", "f2", "f8", ">f4", "O"]},
    **{f: lambda f=f: Concepts.from_array(SPARSE.asformat(f), NAMES) for f in ["bsr", "coo", "csc", "dok", "lil"]},
    "Fortran order": lambda: Concepts.from_array(np.asfortranarray(YES), NAMES),
    "a sparse matrix of the old kind": lambda: Concepts.from_array(sp.csc_matrix(YES), NAMES),
    "explicit zeros": lambda: Concepts.from_array(ZEROS, NAMES),
    "duplicates": lambda: Concepts.from_array(TWICE, NAMES),
    "frame": lambda: Concepts.from_frame(pd.DataFrame(YES, columns=NAMES)),
    "frame of mixed types": lambda: Concepts.from_frame(pd.DataFrame(MIXED)),
    "scores": lambda: Concepts.from_scores(YES * 0.4 + 0.2, NAMES, threshold=0.5),
}
WAYS_WITH_IDS = {
    "array": lambda: small(sample_ids=IDS),
    "index": lambda: Concepts.from_frame(pd.DataFrame(YES, columns=NAMES, index=IDS)),
    "sample column": lambda: Concepts.from_frame(pd.DataFrame({"sample": IDS, **dict(zip(NAMES, YES.T, strict=True))})),
    "scores": lambda: Concepts.from_scores(YES * 1.0, NAMES, threshold=1, sample_ids=IDS),
    "take": lambda: small(sample_ids=IDS).take([3, 2, 1, 0]).take([3, 2, 1, 0]),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_gives_the_same_matrix(way):
    concepts = WAYS[way]()
    assert concepts.names == tuple(NAMES)
    for matrix in [concepts.to_dense(), concepts.to_sparse().toarray(), concepts.to_frame().to_numpy()]:
        assert matrix.tolist() == YES.tolist()
    assert concepts.counts.tolist() == [2, 2, 0]
    assert [concepts.column(c).tolist() for c in range(3)] == [[0, 1], [1, 3], []]
    assert concepts["grass"].tolist() == [False, True, False, True]
    assert concepts.sample_ids is None


@pytest.mark.parametrize("way", WAYS_WITH_IDS)
def test_every_way_in_keeps_the_ids(way):
    concepts = WAYS_WITH_IDS[way]()
    assert concepts.sample_ids == tuple(IDS)
    assert concepts.to_dense().tolist() == YES.tolist()
    assert concepts.to_frame().index.tolist() == IDS


def test_long_tables_and_sets_list_what_is_shown():
    pairs = [("p1", "grass"), ("p0", "dog"), ("p1", "dog"), ("p2", None), ("p3", "grass"), ("p1", "dog"), ("p2", "")]
    samples, names = zip(*pairs, strict=True)
    for concepts in [
        Concepts.from_long(samples, names, sample_ids=IDS),
        Concepts.from_frame(pd.DataFrame({"sample": samples, "concept": names})).take([1, 0, 2, 3]),
        Concepts.from_sets([{"dog"}, ["grass", "dog", "dog"], (), {"grass"}], sample_ids=IDS),
    ]:
        assert concepts.sample_ids == tuple(IDS)
        assert concepts.select(["dog", "grass"]).to_dense().tolist() == YES[:, :2].tolist()
        assert concepts.counts.tolist() == [2, 2]
    assert Concepts.from_long(samples, names).sample_ids == ("p1", "p0", "p2", "p3")
    assert Concepts.from_long(samples, names).names == ("grass", "dog")
    assert Concepts.from_sets([{"b", "a"}]).names == ("a", "b")
    assert Concepts.from_long(["x"], [None]).to_dense().shape == (1, 0)


def test_classes_are_indices_or_texts():
    hot = np.eye(3, dtype=bool)[[2, 0, 2]]
    assert Concepts.from_classes([2, 0, 2], NAMES).to_dense().tolist() == hot.tolist()
    assert Concepts.from_classes(["sky", "dog", "sky"], NAMES).to_dense().tolist() == hot.tolist()
    assert Concepts.from_classes(["sky", "dog", "sky"]).names == ("dog", "sky")
    assert Concepts.from_classes(np.array([10, 9], np.uint8)).names == ("9", "10")
    assert Concepts.from_classes([2, 0, 2], NAMES, sample_ids="xyz").sample_ids == ("x", "y", "z")


def test_scores_become_yes_by_one_rule_that_is_kept():
    scores = np.array([[0.1, 5], [0.2, 5], [0.2, 1], [0.9, 0]])
    cases = [
        ({"threshold": 0.2}, [[0, 1], [1, 1], [1, 1], [1, 0]], [0.2, 0.2]),
        ({"threshold": [0.9, 5]}, [[0, 1], [0, 1], [0, 0], [1, 0]], [0.9, 5.0]),
        ({"quantile": 0.5}, [[0, 1], [0, 1], [0, 0], [1, 0]], [0.2, 3.0]),
        ({"prevalence": 0.5}, [[0, 1], [0, 1], [0, 0], [1, 0]], [0.2, 1.0]),
        ({"prevalence": 0.25}, [[0, 0], [0, 0], [0, 0], [1, 0]], [0.2, 5.0]),
        ({"prevalence": 0}, [[0, 0], [0, 0], [0, 0], [0, 0]], [0.9, 5.0]),
        ({"prevalence": 1}, [[1, 1], [1, 1], [1, 1], [1, 1]], [-np.inf, -np.inf]),
    ]
    for rule, expected, lines in cases:
        concepts = Concepts.from_scores(scores, **rule)
        assert concepts.to_dense().astype(int).tolist() == expected
        ((name, value),) = rule.items()
        assert concepts.origin == {"rule": name, name: np.broadcast_to(value, 2).tolist(), "lines": lines}


@given(arrays(np.int8, (9, 2), elements=st.integers(-3, 3)), st.floats(0, 1))
def test_a_prevalence_is_never_exceeded_and_is_met_without_ties(scores, share):
    wanted = round(share * 9)
    for c, count in enumerate(Concepts.from_scores(scores, prevalence=share).counts):
        above = np.sort(scores[:, c])[::-1]
        tied = 0 < wanted < 9 and above[wanted - 1] == above[wanted]
        assert count == ((scores[:, c] > above[wanted]).sum() if tied else wanted)


def test_true_and_false_are_scores_for_every_rule():
    for rule in ["threshold", "quantile", "prevalence"]:
        assert Concepts.from_scores(YES, **{rule: 0.5}).to_dense()[:, 0].tolist() == YES[:, 0].tolist()


def test_a_threshold_above_what_the_type_holds_is_met_by_none():
    assert Concepts.from_scores(np.array([[1.0]], np.float16), threshold=1e6).counts.tolist() == [0]


STRANGE = [np.nan, 0.3, 2, -1, None, "maybe", pd.NA, 1j]
CASES = [("dense", v) for v in STRANGE] + [("frame", v) for v in STRANGE] + [("sparse", v) for v in STRANGE[:4]]


@pytest.mark.parametrize(("kind", "value"), CASES)
def test_a_value_that_is_neither_yes_nor_no_is_an_error_with_remedies(kind, value):
    matrix = np.array([[1, 0], [0, value], [value, value], [1, 1]], dtype=object)
    read = {
        "dense": lambda **o: Concepts.from_array(matrix, "ab", sample_ids=IDS, **o),
        "frame": lambda **o: Concepts.from_frame(pd.DataFrame(matrix, IDS, ["a", "b"]), **o),
        "sparse": lambda **o: Concepts.from_array(sp.csr_array(matrix.astype(float)), "ab", sample_ids=IDS, **o),
    }[kind]
    with pytest.raises(ConceptsError, match=r"3 values in 2 concepts are neither \('a': 1, .*'b': 2, such as") as e:
        read()
    assert all(remedy in str(e.value) for remedy in ["unknown='no'", "unknown='drop'", "Concepts.from_scores"])
    assert read(unknown="no").to_dense().tolist() == [[True, False], [False, False], [False, False], [True, True]]
    assert read(unknown="drop").sample_ids == ("p0", "p3")
    assert read(unknown="drop").to_dense().tolist() == [[True, False], [True, True]]


def test_dropping_samples_needs_ids():
    with pytest.raises(ConceptsError, match="unknown='drop' leaves 1 of 2 samples, and without sample_ids"):
        Concepts.from_array([[1.0], [np.nan]], unknown="drop")
    assert Concepts.from_array([[np.nan]], unknown="drop", sample_ids="a").n_samples == 0
    assert Concepts.from_array([[np.nan]], unknown="no").counts.tolist() == [0]


def test_a_sparse_matrix_is_only_read():
    parts = np.array([1, 0, 1]), np.array([1, 1, 0], np.int32), np.array([0, 3], np.int32)
    copies = [part.copy() for part in parts]
    assert Concepts.from_array(sp.csc_array(parts, shape=(2, 1))).counts.tolist() == [2]
    assert [part.tolist() for part in parts] == [part.tolist() for part in copies]


BAD = {
    "1 name more than once ('a')": lambda: Concepts.from_array(YES, ["a", "b", "a"]),
    "2 names more than once ('a', 'b')": lambda: Concepts.from_classes([0], ["a", "a", "b", "b"]),
    "1 name more than once ('b')": lambda: Concepts([0, 0, 0], [], 1, "ab", aliases={"a": ["b"]}),
    "1 sample id more than once ('x')": lambda: small(sample_ids=["x", "x", "y", "z"]),
    "concepts has 4 samples but 1 sample ids": lambda: small(sample_ids=["x"]),
    "1 name for 3 concepts: give one name per concept": lambda: Concepts.from_array(YES, ["a"]),
    "concept 1 has an empty name: give it a name": lambda: Concepts.from_array(YES, ["a", "", "c"]),
    "have shape (2,): for one class per sample use Concepts.from_classes": lambda: Concepts.from_array([1, 0]),
    "must have two axes, samples × concepts": lambda: Concepts.from_array(np.ones((2, 2, 2))),
    "samples × columns, with rows of equal length": lambda: Concepts.from_array([[1], [1, 0]]),
    "found 2 single texts ('dog' and 1 more)": lambda: Concepts.from_sets(["dog", {"a"}, "cat"]),
    "1 sample for 2 concepts": lambda: Concepts.from_long(["a"], ["x", "y"]),
    "1 row of the long table without a sample": lambda: Concepts.from_long(["a", None], ["x", "y"]),
    "sample_ids lacks 1 sample of the long table ('b')": lambda: Concepts.from_long(
        ["a", "b"], ["x", "y"], sample_ids=["a"]
    ),
    "integers below 2⁶³": lambda: Concepts.from_classes([2**70]),
    "integers or texts, one per sample, not float64 of shape (1,)": lambda: Concepts.from_classes([0.5]),
    "all integers or all texts": lambda: Concepts.from_classes(np.array([1.5, 2], object)),
    "1 are text, 0 are integers and 1 are neither (None)": lambda: Concepts.from_classes(["a", None]),
    "0 are text, 0 are integers and 1 are neither (None)": lambda: Concepts.from_classes([None]),
    "1 are integers and 1 are neither (nan)": lambda: Concepts.from_classes(np.array([1, np.nan], object)),
    "not int64 of shape (1, 1)": lambda: Concepts.from_classes([[0]]),
    "run from 0 to 3, but the 3 names allow only 0 to 2": lambda: Concepts.from_classes([0, 3], NAMES),
    "the names lack 1 class ('cat')": lambda: Concepts.from_classes(["cat"], NAMES),
    "2 scores are NaN or infinite": lambda: Concepts.from_scores([[np.nan, np.inf]], threshold=1),
    "samples × concepts, not float64 of shape (1,)": lambda: Concepts.from_scores([0.1], threshold=1),
    "a set of names; found 1 other value (None)": lambda: Concepts.from_sets([{"a"}, None]),
    "there is nothing to concatenate": lambda: Concepts.concatenate([]),
    "only some parts have sample ids": lambda: Concepts.concatenate([small(), small(sample_ids=IDS)]),
    "the parts have 4 and 1 samples": lambda: Concepts.concatenate([small(), small().take([0])]),
    "different concepts ('dog' and 'dog',": lambda: Concepts.concatenate([small(), small().select(["dog"])], "samples"),
    "3 names more than once": lambda: Concepts.concatenate([small()] * 2),
    "4 sample ids more than once ('p0',": lambda: Concepts.concatenate([small(sample_ids=IDS)] * 2, "samples"),
    "1 name more than once ('dog')": lambda: small().select(["dog", "dog"]),
}
BAD_OPTIONS = {
    "unknown must be 'error', 'no' or 'drop', not 'yes'": lambda: small(unknown="yes"),
    "give exactly one of threshold, quantile and prevalence, not none": lambda: Concepts.from_scores(YES),
    "not 'threshold', 'quantile'": lambda: Concepts.from_scores(YES, threshold=1, quantile=0),
    "threshold must be one number, or one per concept (3)": lambda: Concepts.from_scores(YES, threshold=[1, 2]),
    "must be finite and lie between 0 and 1": lambda: Concepts.from_scores(YES, prevalence=1.5),
    "threshold must be finite": lambda: Concepts.from_scores(YES, threshold=np.nan),
    "axis must be 'concepts' or 'samples', not 0": lambda: Concepts.concatenate([small()], axis=0),
    "min_count=3 must not exceed max_count=2": lambda: small().prune(3, 2),
}


@pytest.mark.parametrize("message", [*BAD, *BAD_OPTIONS])
def test_what_cannot_be_used_is_said(message):
    with pytest.raises(ConceptsError if message in BAD else OptionError, match=re.escape(message)):
        (BAD | BAD_OPTIONS)[message]()


def test_select_take_and_prune():
    concepts = small(sample_ids=IDS)
    assert concepts.select(["sky", "dog"]).to_dense().tolist() == YES[:, [2, 0]].tolist()
    for rows in [[3, 0], np.array([-1, 0])]:
        assert concepts.take(rows).to_dense().tolist() == YES[[3, 0]].tolist()
        assert concepts.take(rows).sample_ids == ("p3", "p0")
    assert concepts.take([True, False, False, True]).sample_ids == ("p0", "p3")
    assert concepts.take([3, 1, 0]).column(1).tolist() == [0, 1]
    assert small().take([0, 0]).to_dense().tolist() == YES[[0, 0]].tolist()
    assert concepts.prune().names == ("dog", "grass")
    assert (concepts.prune(0, 1).names, concepts.prune(2, 2).names) == (("sky",), ("dog", "grass"))
    assert concepts.prune(3).to_dense().shape == concepts.select([]).to_dense().shape == (4, 0)


def test_no_sample_can_be_taken():
    assert small().take(np.zeros(4, bool)).to_dense().shape == (0, 3)
    assert small().take([]).to_dense().shape == (0, 3)


def test_samples_that_are_not_there_cannot_be_taken():
    for rows in ([5], [True]):
        with pytest.raises(OptionError, match="rows must be indices of the 4 samples or a mask of them"):
            small().take(rows)


def test_parts_side_by_side_are_matched_by_id():
    left = small(sample_ids=IDS)
    right = Concepts.from_array(YES[::-1, :1], ["pug"], sample_ids=IDS[::-1])
    both = Concepts.concatenate([left, right])
    assert both.names == ("dog", "grass", "sky", "pug")
    assert both.sample_ids == tuple(IDS)
    assert both["pug"].tolist() == both["dog"].tolist() == YES[:, 0].tolist()
    with pytest.raises(AlignmentError, match=r"1 of 4 ids of the first part are not in another part \('p3'\)"):
        Concepts.concatenate([left, Concepts.from_array(YES, "abc", sample_ids=["p0", "p1", "p2", "p4"])])


def test_parts_below_each_other_are_matched_by_concept():
    whole = Concepts.concatenate([small().take([0, 1]), small().take([2, 3]).select(NAMES[::-1])], axis="samples")
    assert whole.to_dense().tolist() == YES.tolist()
    ids = Concepts.concatenate([small(sample_ids="abcd"), small(sample_ids="efgh")], axis="samples").sample_ids
    assert ids == tuple("abcdefgh")


def test_descriptions_follow_their_concepts():
    left = small(descriptions={"dog": "a pet", "fox": "is not there"})
    both = Concepts.concatenate([left, Concepts.from_array(YES[:, :1], ["pug"], descriptions={"pug": "small"})])
    assert both.select(["pug", "dog"]).take([0]).descriptions == {"dog": "a pet", "pug": "small"}


def test_equal_concepts_become_one_with_aliases():
    sets = [{"cat", "feline", "pet"}, {"pet"}, {"cat", "feline"}]
    concepts = Concepts.from_sets(sets).merge_equal()
    assert concepts.names == ("cat", "pet")
    assert concepts.aliases == {"cat": ("feline",)}
    assert concepts["feline"].tolist() == [True, False, True]
    assert "feline" in concepts
    assert concepts.select(["feline"]).names == ("cat",)
    assert concepts.take([0]).merge_equal().aliases == {"cat": ("feline", "pet")}


def test_expand_adds_what_lies_above():
    above = Hierarchy([("pug", "dog"), ("dog", "animal"), ("cat", "animal"), ("animal", "thing"), ("sky", "air")])
    concepts = Concepts.from_sets([{"pug"}, {"cat"}, {"sky"}, {"dog"}])
    found = concepts.expand(above)
    assert found.names == ("cat", "dog", "pug", "sky", "air", "animal", "thing")
    assert found["dog"].tolist() == [True, False, False, True]
    assert found["animal"].tolist() == found["thing"].tolist() == [True, True, False, True]
    assert concepts.expand(above, min_concepts=2).names == ("cat", "dog", "pug", "sky", "animal", "thing")


def test_expand_knows_aliases():
    concepts = Concepts.from_sets([{"cat", "feline"}, {"pug"}]).merge_equal()
    assert concepts.expand(Hierarchy([("pug", "feline")]))["cat"].tolist() == [True, True]
    assert concepts.expand(Hierarchy([("feline", "animal"), ("pug", "animal")])).names == ("cat", "pug", "animal")


def test_expand_names_concepts_that_the_hierarchy_lacks():
    above = Hierarchy([("pug", "dog"), ("cat", "feline")])
    concepts = Concepts.from_sets([{"pug", "wet"}, {"cat"}, {"dog"}])  # a root is known
    with pytest.warns(UserWarning, match=r"lacks 1 of 4 concepts \('wet'\): nothing is added above them") as warned:
        assert concepts.expand(above)["dog"].tolist() == [True, False, True]
    assert len(warned) == 1
    with pytest.warns(UserWarning, match=r"\('Pug ', which it calls 'pug'; 'wet'\).* its own names are like 'pug'"):
        concepts.rename({"pug": "Pug "}).expand(above)
    with pytest.raises(
        OptionError, match=r"contains none of the concepts, such as 'cat'.*; its own names are like 'a'"
    ):
        concepts.expand(Hierarchy([("a", "b")]))
    with pytest.raises(OptionError, match="; the hierarchy has no edges"):
        concepts.expand(Hierarchy([]))
    assert Concepts.from_sets([set()]).expand(above).n_concepts == 0


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="no concept 'gras'; near it: 'grass'"):
        small()["gras"]
    with pytest.raises(UnknownNameError, match="no concept 'zzz'; there are 3, such as 'dog', 'grass', 'sky'"):
        small().select(["zzz"])
    assert "gras" not in small()


def test_more_than_65536_samples_and_concepts():
    n = 70_000
    concepts = Concepts.from_array(sp.eye_array(n, format="coo")[::-1])
    assert (concepts.to_sparse() != sp.eye_array(n, format="csr")[::-1]).nnz == 0
    assert np.flatnonzero(concepts[f"c{n - 1}"]).tolist() == [0]
    again = Concepts.from_array(concepts.to_sparse())
    assert np.array_equal(again.samples, np.arange(n)[::-1])
    assert np.array_equal(again.ptr, np.arange(n + 1))


def test_rename_keeps_the_old_name_as_description():
    concepts = small(sample_ids=IDS, descriptions={"sky": "above"}).rename({"dog": "pug", "sky": "air"})
    assert concepts.names == ("pug", "grass", "air")
    assert concepts.descriptions == {"pug": "dog", "air": "above"}
    assert concepts["pug"].tolist() == YES[:, 0].tolist()
    with pytest.raises(UnknownNameError, match="no concept 'cat'"):
        small().rename({"cat": "dog"})
    with pytest.raises(ConceptsError, match="1 name more than once"):
        small().rename({"dog": "sky"})


def test_a_concept_of_ones_own_is_added():
    for samples in (["p2", "p0"], np.array([True, False, True, False])):
        added = small(sample_ids=IDS).add("watermark", samples)
        assert added.names == ("dog", "grass", "sky", "watermark")
        assert added["watermark"].tolist() == [True, False, True, False]
    assert small().add("watermark", [2, 0, 2])["watermark"].tolist() == [True, False, True, False]
    with pytest.raises(UnknownNameError, match="no sample 'p9'"):
        small(sample_ids=IDS).add("watermark", ["p9"])
    with pytest.raises(ConceptsError, match="1 name more than once"):
        small().add("dog", [0])


def test_tokens_show_what_their_text_shows():
    tokens = small(sample_ids=IDS).to_tokens(["a", "b", "c"], ["p3", "p0", "p3"])
    assert tokens.sample_ids == ("a", "b", "c")
    assert tokens.to_dense().tolist() == YES[[3, 0, 3]].tolist()
    assert small().to_tokens(["a", "b"], [1, 1]).to_dense().tolist() == YES[[1, 1]].tolist()
    with pytest.raises(UnknownNameError, match="no sample 'p9'"):
        small(sample_ids=IDS).to_tokens(["a"], ["p9"])
    with pytest.raises(ConceptsError, match="concepts has 2 samples but 1 sample ids"):
        small().to_tokens(["a"], [0, 1])
