import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from neuronym import Concepts, Formula, OptionError, label
from neuronym.search.beam import Rules
from reference import auc_by_pairs, exhaustive, text, truth

UNLIMITED = 10**9
NAMES = ["a", "b", "c", "d"]


@st.composite
def small_data(draw):
    n_samples = draw(st.integers(2, 12))
    n_concepts = draw(st.integers(1, 3))
    concepts = draw(hnp.arrays(np.bool_, (n_samples, n_concepts)))
    activations = draw(hnp.arrays(np.float32, (n_samples,), elements=st.integers(-3, 3).map(float)))
    weights = draw(st.none() | hnp.arrays(np.int64, (n_samples,), elements=st.integers(0, 3)))
    if weights is not None and not weights.any():
        weights[0] = 1
    return activations, concepts, weights


@settings(max_examples=250)
@given(
    small_data(),
    st.sampled_from(["free", "constrained"]),
    st.integers(1, 3),
    st.sampled_from([(0.0, 0.5), (0.0, 1.0), (0.25, 0.75), (0.5, 0.5)]),
    st.booleans(),
    st.sampled_from([("and", "or"), ("and",), ("or",), ()]),
)
def test_an_unlimited_beam_finds_what_exhaustive_search_finds(data, prefixes, length, fractions, negation, operators):
    activations, concepts, weights = data
    rules = Rules(length, UNLIMITED, *fractions, 1, prefixes, negation, operators, min_change=0)
    found = label(
        activations,
        concepts,
        names=NAMES[: concepts.shape[1]],
        length=length,
        beam=UNLIMITED,
        min_fraction=fractions[0],
        max_fraction=fractions[1],
        min_count=1,
        prefixes=prefixes,
        negation=negation,
        operators=operators,
        weights=weights,
        search="beam",
        min_change=0,
    )[0]
    seen = np.ones(len(activations), bool) if weights is None else weights > 0
    if len(set(activations[seen].tolist())) == 1:
        assert found.reason == "constant"
        return
    # Equal concepts are one concept; its first name is shown.
    kept = [c for c in range(concepts.shape[1]) if not any((concepts[:, c] == concepts[:, b]).all() for b in range(c))]
    best = exhaustive(activations, concepts[:, kept], weights, rules)
    if best is None:
        assert found.formula is None
        assert found.reason.startswith("no formula ")
    else:
        auc, chain = best
        assert found.auc == auc.numerator / auc.denominator
        assert found.formula == Formula.parse(text(chain, [NAMES[c] for c in kept]))


PLANTED = ["a & b", "a & ~b", "a | b", "a | ~b", "~a & ~b", "~a | ~b", "a & b | c", "(a | b) & c", "a | b | c"]


@pytest.mark.parametrize("text", PLANTED)
@pytest.mark.parametrize("weighed", [False, True])
def test_a_planted_formula_of_overlapping_concepts_is_found(text, weighed):
    rng = np.random.default_rng(9)
    concepts = rng.random((200, 4)) < 0.4
    inside = Formula.parse(text).evaluate(dict(zip(NAMES, concepts.T, strict=True)))
    weights = rng.integers(1, 4, 200) if weighed else None
    found = label(inside * 1.0, concepts, names=NAMES, beam=40, max_fraction=1, min_count=1, weights=weights)[0]
    assert found.formula == Formula.parse(text)
    assert found.auc == 1
    assert found.count == (inside.sum() if weights is None else weights[inside].sum())


@given(small_data())
def test_the_path_holds_the_best_formula_of_each_length(data):
    activations, concepts, weights = data
    found = label(activations, concepts, length=3, beam=UNLIMITED, min_count=1, weights=weights)[0]
    for length, step in enumerate(found.path, 1):
        best = exhaustive(activations, concepts, weights, Rules(length, 1, 0.0, 0.5, 1))
        assert (step is None) == (best is None)
        if step is not None:
            assert step.length <= length
            assert step.auc == best[0].numerator / best[0].denominator


@given(small_data())
def test_what_is_reported_is_exact(data):
    activations, concepts, weights = data
    names = NAMES[: concepts.shape[1]]
    found = label(activations, concepts, names=names, min_count=1, weights=weights)[0]
    columns = dict(zip(names, concepts.T, strict=True))
    total = len(activations) if weights is None else int(weights.sum())
    for one in [e for e in (found.best, *found.path, *found.runners_up) if e is not None]:
        inside = one.formula.evaluate(columns)
        exact = auc_by_pairs(activations, inside, weights)
        assert one.auc == exact.numerator / exact.denominator
        assert one.count == (inside.sum() if weights is None else weights[inside].sum())
        assert one.fraction == one.count / total
    if found.best is not None:
        extensions = [e.formula.evaluate(columns).tobytes() for e in (found.best, *found.runners_up)]
        if weights is None:
            assert len(set(extensions)) == len(extensions)
        scores = [found.auc, *(e.auc for e in found.runners_up)]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int16, np.int64])
def test_auc_equals_scikit_learn(dtype):
    rng = np.random.default_rng(3)
    concepts = rng.random((500, 12)) < 0.2
    activations = (rng.normal(size=(500, 4)) * 50).astype(dtype)
    weights = rng.integers(0, 4, 500)
    for weight in (None, weights):
        labels = label(activations, concepts, weights=weight)
        sets = Concepts.from_array(concepts)
        for j, found in enumerate(labels):
            inside = found.formula.evaluate(sets)
            expected = roc_auc_score(inside, activations[:, j], sample_weight=weight)
            assert found.auc == pytest.approx(expected, abs=1e-12)


def test_wide_numbers_are_told_apart_and_zeros_are_equal():
    close = np.array([1.0, 1.0 + 2**-50, 1.0, 1.0 + 2**-50])
    concepts = np.array([[0], [1], [0], [1]])
    assert label(close, concepts, min_count=1, length=1)[0].auc == 1
    large = np.array([2**62, 2**62 + 1, 2**62, 2**62 + 1])
    assert label(large, concepts, min_count=1, length=1)[0].auc == 1
    zeros = np.array([-0.0, 0.0, -1.0, 1.0])
    for dtype in (np.float32, np.float64):
        exact = auc_by_pairs(zeros, concepts[:, 0] == 1)
        assert label(zeros.astype(dtype), concepts, min_count=1, length=1)[0].auc == float(exact) == 0.875


def test_monotone_transforms_change_nothing():
    rng = np.random.default_rng(0)
    activations = rng.normal(size=(300, 5))
    concepts = rng.random((300, 8)) < 0.3
    assert label(np.exp(activations), concepts) == label(activations, concepts)


def test_a_negated_formula_has_one_minus_the_auc():
    rng = np.random.default_rng(1)
    activations = rng.normal(size=400)
    inside = rng.random(400) < 0.4
    plain = label(activations, np.stack([inside], 1), length=1, max_fraction=1, negation=True)[0]
    both = [plain.best, *plain.runners_up]
    assert {str(e.formula) for e in both} == {"c0", "~c0"}
    assert both[0].auc + both[1].auc == pytest.approx(1, abs=1e-15)


def test_duplicating_a_sample_equals_weight_two():
    rng = np.random.default_rng(2)
    activations = rng.integers(0, 20, (200, 6)).astype(np.float32)
    concepts = rng.random((200, 10)) < 0.3
    weights = rng.integers(1, 3, 200)
    twice = np.repeat(np.arange(200), weights)
    weighed = label(activations, concepts, weights=weights)
    assert weighed == label(activations[twice], concepts[twice])
    assert weighed[0].count is not None


def test_ties_go_to_the_shorter_then_fewer_negations_then_the_first_concept():
    activations = np.array([1.0, 1.0, 0.0, 0.0])
    yes = np.array([1, 1, 0, 0])
    swapped = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    assert str(label(activations, swapped, names=["b", "a"], min_count=1)[0].formula) == "b"
    concepts = np.stack([1 - yes, yes, np.array([1, 0, 0, 0])], 1)
    assert str(label(activations, concepts, names=["x", "y", "z"], min_count=1)[0].formula) == "y"
    halves = np.array([[1, 0], [0, 1], [0, 0], [0, 0]])
    assert str(label(activations, halves, names=["p", "q"], min_count=1)[0].formula) == "p | q"


def test_concepts_of_equal_extension_are_one_with_aliases():
    rng = np.random.default_rng(0)
    dog = rng.random(200) < 0.3
    found = label(dog + rng.normal(size=200) / 9, np.stack([dog, dog], 1), names=["dog", "pug"], length=1)[0]
    assert str(found.formula) == "dog"
    assert found.aliases == {"dog": ("pug",)}
    assert "same samples as pug" in str(found)


def test_no_label_on_noise_is_true_for_fewer_than_min_count_samples():
    rng = np.random.default_rng(5)
    concepts = rng.random((2000, 60)) < rng.random(60) * 0.2
    activations = rng.normal(size=(2000, 30)).astype(np.float32)
    for min_count in (1, 20, 150):
        labels = label(activations, concepts, min_count=min_count)
        listed = [e for one in labels for e in (one.best, *one.path, *one.runners_up) if e is not None]
        assert min(e.count for e in listed) >= min_count
        assert {e.formula.evaluate(Concepts.from_array(concepts)).sum() >= min_count for e in listed} == {True}
    tiny = label(activations, concepts, min_count=1)
    assert min(one.count for one in tiny) < 20


def test_a_wider_beam_is_never_worse_by_its_path():
    rng = np.random.default_rng(6)
    concepts = rng.random((600, 15)) < 0.25
    activations = rng.normal(size=(600, 20))
    narrow, wide = (label(activations, concepts, length=2, beam=b, search="beam") for b in (1, UNLIMITED))
    assert all(w.auc >= n.auc for w, n in zip(wide, narrow, strict=True))
    assert all(w.path[0] == n.path[0] for w, n in zip(wide, narrow, strict=True))


def test_a_runner_up_may_be_of_any_length_and_there_are_as_many_as_the_beam():
    rng = np.random.default_rng(7)
    labels = label(rng.normal(size=(500, 3)), rng.random((500, 20)) < 0.3, beam=5)
    assert {len(one.runners_up) for one in labels} == {5}
    assert {len(one.path) for one in labels} == {3}


def test_more_than_65536_samples_and_concepts():
    n = 70_000
    rng = np.random.default_rng(8)
    rows = np.arange(n)
    concepts = Concepts.from_long(rows, np.char.add("c", rows.astype(str)), sample_ids=rows)
    shared = Concepts.from_array(rng.random((n, 2)) < 0.3, ["x", "y"], sample_ids=rows)
    both = Concepts.concatenate([concepts, shared])
    assert (both.n_samples, both.n_concepts) == (n, n + 2)
    target = both["x"] & ~both["y"]
    activations = rng.normal(size=(n, 2)).astype(np.float32)
    activations[:, 1] += 4 * target
    activations[-1, 0] = 99.0
    assert str(label(activations, both, min_count=1, length=1)[0].formula) == f"c{n - 1}"
    found = label(activations, both, length=2)[1]
    assert str(found.formula) == "x & ~y"
    assert found.auc == pytest.approx(roc_auc_score(target, activations[:, 1]), abs=1e-12)


def test_the_reference_agrees_with_itself():
    concepts = np.array([[0, 1], [1, 1], [1, 0]], bool)
    chain = ((0, 0), (3, 0))
    assert text(chain, ["a", "b"]) == "(a) & ~b"
    assert truth(chain, concepts).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "length must be a whole number of at least 1, not 0"),
        ({"length": 2.5}, "length must be a whole number"),
        ({"beam": 0}, "beam must be a whole number of at least 1, not 0"),
        ({"min_count": 0}, "min_count must be a whole number of at least 1, not 0"),
        ({"min_fraction": -0.1}, "min_fraction must lie between 0 and 1, not -0.1"),
        ({"max_fraction": 1.5}, "max_fraction must lie between 0 and 1, not 1.5"),
        ({"max_fraction": float("nan")}, "max_fraction must lie between 0 and 1, not nan"),
        ({"min_fraction": 0.6}, "min_fraction=0.6 is above max_fraction=0.5"),
        ({"prefixes": "all"}, "prefixes must be 'free' or 'constrained', not 'all'"),
        ({"operators": ("xor",)}, "operators must be a tuple of"),
        ({"operators": "and"}, "operators must be a tuple of"),
        ({"search": "all"}, "search must be 'auto', 'optimal' or 'beam', not 'all'"),
        ({"search": "optimal", "prefixes": "constrained"}, "prefixes='constrained' is the published beam search"),
        ({"search": "optimal", "length": 5}, "search='optimal' goes up to length=4, not 5"),
        ({"budget": 0}, "budget must be a whole number of at least 1, not 0"),
        ({"min_change": -1}, "min_change must be a whole number of at least 0, not -1"),
        ({"direction": "up"}, "direction must be 'high', 'low' or 'both', not 'up'"),
    ],
)
def test_options_outside_of_their_range_are_refused(options, message):
    with pytest.raises(OptionError, match=message.replace("(", r"\(").replace(")", r"\)")):
        label(np.arange(4.0), np.eye(4), **options)


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 1), st.integers(1, 50))
def test_the_bounds_hold_the_fractions_exactly(total, low, high, min_count):
    low, high = sorted((low, high))
    lowest, highest = Rules(1, 1, low, high, min_count).bounds(total)
    for count in {lowest - 1, lowest, highest, highest + 1, 0, total}:
        if 0 <= count <= total:
            assert (lowest <= count <= highest) == (low <= count / total <= high and count >= min_count)
