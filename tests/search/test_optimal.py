from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronym import Concepts, Formula, OptionError, label
from neuronym.data.groups import group
from neuronym.search import optimal
from neuronym.search.beam import FormulaDecoder, Rules, extension
from neuronym.search.optimal import Forms, Meetings, Tables
from neuronym.search.readonce import shapes
from neuronym.search.searcher import Searcher
from reference import auc_by_pairs, exhaustive

KINDS = ("random", "rare", "product", "tree", "disjoint", "mixed", "complement", "equal")


def concepts_of(kind, rng, n, k):
    """Concepts that overlap, are nested, apart, equal or complementary, or attributes that multiply: (n, k)."""
    shown = np.zeros((n, k), np.bool_)
    if kind == "random":
        return rng.random((n, k)) < rng.uniform(0.1, 0.6, k)
    if kind == "rare":
        return rng.random((n, k)) < 0.15
    if kind == "product":
        first = k // 2
        shown[np.arange(n), rng.integers(0, first, n)] = True
        shown[np.arange(n), rng.integers(first, k, n)] = True
    elif kind == "tree":
        above = [-1, *(rng.integers(-1, c) for c in range(1, k))]
        for row, c in enumerate(rng.integers(0, k, n)):
            while c >= 0:
                shown[row, c] = True
                c = above[c]
    elif kind == "disjoint":
        shown[np.arange(n), rng.integers(0, k, n)] = True
    elif kind == "mixed":
        shown = np.concatenate([concepts_of("tree", rng, n, k - 2), rng.random((n, 2)) < 0.4], axis=1)
    else:
        shown = rng.random((n, k)) < 0.4
        shown[:, 0] = ~shown[:, 1] if kind == "complement" else shown[:, 1]
    return shown


def formula_of(found, slot=0, j=0):
    """AUC, as a fraction, and code of a slot; None where it is empty."""
    literals, operators = found.code(j, slot)
    return (found.scores[j, slot], tuple(zip(literals, operators, strict=True))) if literals else None


def check(activations, concepts, weights, rules, direction="high", blocked=None):
    """Compare the path with exhaustive search, formulas and AUCs; and that all of it is proven."""
    sets = Concepts.from_array(concepts).merge_equal()
    groups = group(sets, weights)
    meetings = Meetings(groups, min(rules.length, 3))
    if blocked is not None:
        meetings.__dict__["blocked"] = blocked
    searcher = Searcher(groups, rules, (direction,), meetings=meetings)
    rows = np.asarray(activations)[:, np.newaxis]
    (found,) = searcher(searcher.score.weigh(rows, groups).sums)
    kept = np.stack([sets[name] for name in sets.names], axis=1)
    turned = -np.asarray(activations) if direction == "low" else activations
    for length in range(1, rules.length + 1):
        best = exhaustive(turned, kept, weights, replace(rules, length=length))
        own = formula_of(found, found.lengths.shape[1] - rules.length + length - 1)
        assert (own is None) == (best is None)
        if own is not None:
            assert own[0] == best[0].numerator / best[0].denominator
            n, s, total = found.counts[0, -1], found.sums[0, -1], groups.total
            if length == rules.length:
                assert Fraction(int(s - n * (n + 1)), int(2 * n * (total - n))) == best[0]
            assert own[1] == best[1]
    assert found.optimal.all()
    assert (found.gap == 0).all()
    assert not (found.ceiling < found.best).any()
    assert (found.bound == found.best).all()


@st.composite
def cases(draw, n_concepts=(1, 5), lengths=(1, 2, 3)):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, k = draw(st.integers(4, 16)), draw(st.integers(*n_concepts))
    kind = draw(st.sampled_from(KINDS if k > 3 else KINDS[:2]))
    concepts = concepts_of(kind, rng, n, k)
    activations = rng.integers(-3, 4, n) if draw(st.booleans()) else rng.normal(size=n)
    weights = rng.integers(1, 4, n) if draw(st.booleans()) else None
    low, high = draw(st.sampled_from([(0, 0.5), (0, 1), (0.25, 0.5), (0.375, 0.75), (0.5, 0.5), (0.625, 0.875)]))
    rules = Rules(
        draw(st.sampled_from(lengths)),
        draw(st.integers(1, 3)),
        low,
        high,
        draw(st.integers(1, 4)),
        negation=draw(st.sampled_from([True, True, False])),
        operators=draw(st.sampled_from([("and", "or"), ("and", "or"), ("and",), ("or",), ()])),
        search=draw(st.sampled_from(["auto", "optimal"])),
        min_change=draw(st.sampled_from([0, 0, 1, 2, 4])),
    )
    return activations, concepts, weights, rules


@settings(max_examples=120, deadline=None)
@given(cases(), st.sampled_from(["high", "low"]), st.booleans())
def test_exact_search_finds_what_exhaustive_search_finds(case, direction, blocked):
    check(*case, direction, blocked)


@settings(max_examples=12, deadline=None)
@given(cases((4, 5), (4,)), st.sampled_from(["high", "low"]))
def test_four_concepts_are_searched_exactly(case, direction):
    check(*case, direction)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("least", [0, 3])
def test_every_kind_of_concepts_is_searched_exactly(kind, least):
    rng = np.random.default_rng(KINDS.index(kind))
    for blocked in (False, True):
        concepts = concepts_of(kind, rng, 40, 6)
        rules = Rules(3, 3, 0.0, 0.5, 3, min_change=least)
        check(rng.integers(0, 8, 40) + 2 * concepts[:, 0], concepts, None, rules, blocked=blocked)


def test_two_brackets_are_found_and_written():
    rng = np.random.default_rng(0)
    concepts = rng.random((400, 5)) < 0.5
    text = "(a | ~b) & (c | d)"
    inside = Formula.parse(text).evaluate(dict(zip("abcde", concepts.T, strict=True)))
    labels = label(inside + 0.1 * rng.normal(size=400), concepts, names=list("abcde"), length=4, max_fraction=0.9)
    assert labels[0].formula == Formula.parse(text)
    assert labels[0].optimal
    assert labels[0].auc == 1
    assert labels[0].count == inside.sum()
    groups = group(Concepts.from_array(concepts))
    code = ((0, 3, 4, 6), (1, 1, 2, 1))
    assert FormulaDecoder(tuple("abcde")).formula(*code) == labels[0].formula
    assert np.array_equal(extension(code, groups)[groups.row_groups], inside)


def test_what_items_leave_out_is_worth_a_literal_alone():
    # In each class of three concepts, by which of the eight cells can hold samples.
    for cells in (0b01110111, 0b01010111, 0b00010111):
        literals = {
            sum(1 << v for v in range(8) if bool(v & bit) != flip) & cells for bit in (4, 2, 1) for flip in (0, 1)
        }
        for shape in shapes(3):
            reduced = {
                sum(1 << v for v in range(8) if shape.mask >> (v & ~bit | side) & 1) & cells
                for bit in (4, 2, 1)
                for side in (0, bit)
            }
            # Where the formula does not hang on a concept, and still each literal matters, a literal is as good.
            if shape.mask & cells in reduced and all(change & cells for change in shape.changes):
                assert shape.mask & cells in literals | {0, cells}


def test_forms_hold_what_the_operators_allow():
    every = Forms.of(shapes(3))
    assert len(every.wedges) == 16
    assert len({wedge[:4] for wedge in every.wedges}) == 14
    assert every.unions == (True, True)
    conjunctions = Forms.of(shapes(3, True, ("and",)))
    assert conjunctions.unions == (False, True)  # ¬a ∧ ¬b ∧ ¬c
    assert Forms.of(shapes(3, False, ("or",))).unions == (True, False)
    assert Forms.of(()) == Forms((), (), (False, False))


def test_the_ceiling_is_the_best_set_of_groups():
    rng, exact = np.random.default_rng(3), 0
    for _ in range(30):
        concepts = np.array([[i >> b & 1 for b in range(3)] for i in rng.integers(0, 8, 24)], np.bool_)
        activations = rng.integers(0, 6, 24)
        groups = group(Concepts.from_array(concepts))
        rules = Rules(1, 1, 0.0, rng.choice([0.4, 0.6, 1.0]), 1)
        searcher = Searcher(groups, rules)
        (found,) = searcher(searcher.score.weigh(activations[:, np.newaxis], groups).sums)
        best = Fraction(0)
        for size in range(1, groups.n_groups):
            for chosen in combinations(range(groups.n_groups), size):
                inside = np.isin(groups.row_groups, chosen)
                if inside.mean() <= rules.max_fraction:
                    best = max(best, auc_by_pairs(activations, inside))
        # Where the constraint cuts through a group, the bound may be higher.
        assert found.ceiling[0] >= float(best) - 1e-15
        exact += found.ceiling[0] == float(best)
    assert exact > 15


def test_the_ceiling_is_left_out_where_hardly_any_rows_are_equal():
    rng = np.random.default_rng(1)
    labels = label(rng.normal(size=(100, 2)), rng.random((100, 12)) < 0.5, min_count=5)
    assert all(np.isnan(one.ceiling) for one in labels)
    assert "ceiling" not in labels.to_frame().columns


def crowded(seed=0, n=3000, k=14):
    rng = np.random.default_rng(seed)
    concepts = rng.random((n, k)) < 0.3
    return rng.normal(size=(n, 6)) + (concepts[:, :6] & concepts[:, 1:7]), concepts


def test_a_spent_budget_gives_the_best_found_with_a_bound():
    activations, concepts = crowded()
    exact = label(activations, concepts, search="optimal")
    for budget in (1, 50_000, 200_000):
        labels = label(activations, concepts, budget=budget)
        beam = label(activations, concepts, search="beam")
        for one, known, best in zip(labels, beam, exact, strict=True):
            assert known.auc <= one.auc <= best.auc
            assert one.gap >= best.auc - one.auc
            assert one.optimal == (one.gap == 0)
            if one.optimal:
                assert one.formula == best.formula
        if budget < 100_000:
            assert not any(one.optimal for one in labels)
    assert all(one.optimal for one in label(activations, concepts))


def test_labels_do_not_depend_on_the_workers_and_the_neurons_beside():
    activations, concepts = crowded(1)
    alone = label(activations, concepts, budget=600_000)
    assert label(activations, concepts, budget=600_000, n_jobs=2) == alone
    assert label(activations[:, [4]], concepts, budget=600_000)[0].best == alone[4].best


def test_every_literal_changes_enough_samples():
    rng = np.random.default_rng(2)
    concepts = rng.random((600, 8)) < 0.1
    columns = dict(zip([f"c{i}" for i in range(8)], concepts.T, strict=True))
    for search in ("auto", "beam"):
        for least in (20, 40):
            labels = label(rng.normal(size=(600, 20)), concepts, search=search, min_change=least)
            for one in labels:
                inside = one.formula.evaluate(columns)
                for name in one.formula.concepts if one.length > 1 else ():
                    rest = _dropped(one.formula, name).evaluate(columns)
                    assert (inside != rest).sum() >= least
        assert any(one.length > 1 for one in labels)


def _dropped(formula, name):
    """A formula without one of its concepts, which it holds with others."""
    if formula.operator in ("concept", "not"):
        return None if name in formula.concepts else formula
    return Formula.joined(formula.operator, [f for f in (_dropped(o, name) for o in formula.operands) if f is not None])


def test_the_published_search_is_a_beam_that_asks_nothing_of_literals():
    assert Rules(prefixes="constrained") == Rules(prefixes="constrained", search="beam", min_change=0)
    assert Rules(min_count=7).min_change == 7
    assert Rules(min_count=7, min_change=2).min_change == 2
    assert Rules(prefixes="constrained", min_change=5).min_change == 5
    activations, concepts = crowded()
    found = label(activations, concepts, prefixes="constrained")
    assert found == label(activations, concepts, prefixes="constrained", search="beam", min_change=0)
    assert all(one.optimal is None for one in found)
    assert "optimal" not in found.to_frame().columns


def test_equal_fractions_beyond_64_bits_are_told_apart():
    # Cross-products of AUCs overflow from some 92,000 samples on: weights make many of a few.
    rng = np.random.default_rng(0)
    for _ in range(20):
        concepts = rng.random((12, 4)) < 0.4
        weights = rng.integers(1, 2**16, 12)
        activations = rng.integers(0, 3, 12)
        check(activations, concepts, weights, Rules(2, 2, 0.0, 0.7, 1, min_change=0))


def test_a_floor_leaves_only_lower_scores_open():
    activations, concepts = crowded(4)
    groups = group(Concepts.from_array(concepts))
    for budget in (10**8, 300_000, 10):
        searcher = Searcher(groups, Rules(budget=budget), ("high", "low"))
        sums = searcher.score.weigh(
            np.concatenate([activations, np.random.default_rng(0).normal(size=(3000, 30))], 1), groups
        ).sums
        best = searcher.best(sums)
        assert np.array_equal(best, np.max([found.best for found in searcher(sums)], axis=0))
        floor = float(np.median(best))
        above = searcher.best(sums, floor)
        assert np.array_equal(above[best >= floor], best[best >= floor])
        assert (above[best < floor] < floor).all()


def test_too_many_concepts_for_a_proof_are_refused_or_left_unproven():
    n = 20_000
    concepts = Concepts.from_sets([{f"c{i}", "all" if i % 2 else "none"} for i in range(n)])
    activations = np.random.default_rng(0).normal(size=(n, 1))
    groups = group(concepts)
    assert Meetings(groups, 3).reach == 1
    assert not Tables(Meetings(groups, 3), groups, Rules()).regions[0].size
    assert not label(activations, concepts)[0].optimal
    with pytest.raises(OptionError, match="too many sets of the 20,002 concepts: choose search='auto'"):
        label(activations, concepts, search="optimal")
    with pytest.raises(OptionError, match="length=4 would have to go through too many"):
        label(activations[:200], np.random.default_rng(0).random((200, 400)) < 0.02, search="optimal", length=4)


def test_where_lists_are_too_long_blocks_or_the_beam_take_over(monkeypatch):
    activations, concepts = crowded(5)
    exact = label(activations, concepts)
    assert all(one.optimal for one in exact)
    monkeypatch.setattr(optimal, "_LISTED", 1000)
    assert label(activations, concepts) == exact
    monkeypatch.setattr(optimal, "_BLOCKED", 5)
    assert not any(one.optimal for one in label(activations, concepts))
    monkeypatch.undo()
    monkeypatch.setattr(optimal, "_FORMULAS", 2000)  # those of pairs fit, and not those of triples
    two = label(activations, concepts, length=2)
    assert all(one.optimal for one in two)
    three = label(activations, concepts)
    assert not any(one.optimal for one in three)
    assert all(one.auc >= short.auc for one, short in zip(three, two, strict=True))


def planted_product(seed):
    """2,304 samples of 12 × 4 values of A and B, and of 96 of C; two neurons for each pair of A and B."""
    rng = np.random.default_rng(seed)
    cell = rng.permutation(np.repeat(np.arange(48), 48))
    c = rng.permutation(np.repeat(np.arange(96), 24))
    concepts = np.zeros((2304, 112), np.bool_)
    for start, values in ((0, cell // 4), (12, cell % 4), (16, c)):
        concepts[np.arange(2304), start + values] = True
    activations = np.empty((2304, 96))
    for j in range(96):
        activations[:, j] = (cell == j % 48) + 0.3 * rng.normal(size=2304)
        for value in rng.choice(96, rng.integers(0, 3), replace=False):
            activations[:, j] += rng.uniform(0.2, 0.5) * (c == value)
    return activations, concepts, [(j % 48 // 4, 12 + j % 48 % 4) for j in range(96)]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_product_of_attributes_is_found_where_it_is_best(seed):
    activations, concepts, pairs = planted_product(seed)
    exact = label(activations, concepts, length=2)
    beam = label(activations, concepts, length=2, search="beam")
    true = [Formula.parse(f"c{a} & c{b}") for a, b in pairs]
    # The formulas of two that are best, by trying every one.
    groups = group(Concepts.from_array(concepts))
    columns = {f"c{i}": concepts[:, i] for i in range(112)}
    score = Searcher(groups, Rules()).score
    sums = score.weigh(activations, groups).sums[:, groups.row_groups] / groups.counts[groups.row_groups]
    best = [one.auc for one in exact]
    own = np.array([_auc(sums[j], formula.evaluate(columns)) for j, formula in enumerate(true)])
    there = np.isclose(own, best, rtol=0, atol=1e-12)
    assert there.mean() >= 0.95
    assert all(one.optimal for one in exact)
    assert all(one.formula == formula for one, formula, is_best in zip(exact, true, there, strict=True) if is_best)
    by_beam = np.mean([one.formula == formula for one, formula in zip(beam, true, strict=True)])
    assert by_beam < 0.75


def _auc(midranks, inside):
    n, total = inside.sum(), len(inside)
    return (midranks[inside].sum() - n * (n + 1)) / (2 * n * (total - n))
