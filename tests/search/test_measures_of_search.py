"""Every score that formulas are searched by, against its definition and exhaustive search."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronym import Concepts, Formula, OptionError, UnknownNameError, label
from neuronym.data.groups import group
from neuronym.search.beam import FormulaDecoder, Rules, extension
from neuronym.search.ratio import exact_ratio, ratio
from neuronym.search.scores import GRID, SCORES, Centred, as_score, same_terms
from neuronym.search.searcher import Searcher
from reference import chains, quantile_of, score_of, truth

NAMES = sorted(SCORES)
AT_THRESHOLD = ("f1", "iou", "precision", "recall")


def samples(draw_seed, kind, n, k):
    """Activations with ties, zeros and negative values, concepts, and weights."""
    rng = np.random.default_rng(draw_seed)
    shown = rng.random((n, k)) < rng.uniform(0.15, 0.6, k)
    values = rng.normal(size=n) + 2 * shown[:, 0] * ~shown[:, 1]
    if kind == "sparse":
        values = np.maximum(values - 0.5, 0)
    elif kind == "whole":
        values = np.round(values)
    elif kind == "large":
        values = values * 1e12 + 1e15
    return values, shown, np.ones(n, int) if rng.random() < 0.5 else rng.integers(1, 4, n)


def best_of_all(name, values, shown, weights, rules, threshold):
    """The highest score of any formula that the rules allow."""
    lowest, highest = rules.bounds(int(weights.sum()))
    found = -np.inf
    for chain in chains(shown.shape[1], rules.length):
        inside = truth(chain, shown)
        n = int(weights[inside].sum())
        changes = [
            int(weights[inside != truth(tuple(one for k, one in enumerate(chain) if k != skip), shown)].sum())
            for skip in range(len(chain) if len(chain) > 1 else 0)
        ]
        if lowest <= n <= min(highest, weights.sum() - 1) and all(c >= max(1, rules.least_change) for c in changes):
            found = max(found, score_of(name, values, inside, weights, threshold))
    return found


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 2**32), st.sampled_from(["plain", "sparse", "whole", "large"]), st.integers(12, 40),
    st.integers(2, 4), st.integers(1, 3), st.sampled_from([0.5, 0.7, 0.9]),
)  # fmt: skip
def test_the_search_finds_the_best_formula_of_every_score(name, seed, kind, n, k, length, share):
    values, shown, weights = samples(seed, kind, n, k)
    if values.min() == values.max():
        return
    (score,) = as_score(name, share if name in AT_THRESHOLD else None)
    groups = group(Concepts.from_array(shown).prune(1, n - 1).merge_equal(), weights)
    if not groups.n_concepts:
        return
    rules = Rules(length, min_count=1, min_change=0, max_fraction=0.8)
    (found,), weighed = Searcher(groups, rules, score=score).of_block(values[:, np.newaxis])
    threshold = quantile_of(values, weights, share) if name in AT_THRESHOLD else None
    if threshold is not None:
        assert weighed.thresholds[0] == threshold
    kept = Concepts.from_array(shown).prune(1, n - 1).merge_equal()
    shown = np.stack([kept[one] for one in kept.names], axis=1)
    if name == "recall" and not (values > threshold).any():
        return  # 0 / 0
    expected = best_of_all(name, values, shown, weights, rules, threshold)
    if not found.lengths[0, 0]:
        assert expected == -np.inf or not np.isfinite(expected)
        return
    if name in AT_THRESHOLD and not (values > threshold).any():
        return  # nothing is counted
    reached = score.value(found.scores[:, :1], weighed.units)[0, 0]
    inside = extension(found.code(0), groups)[groups.row_groups]
    assert reached == pytest.approx(score_of(name, values, inside, weights, threshold), rel=1e-9, abs=1e-9, nan_ok=True)
    if np.isfinite(expected):
        assert reached == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert found.optimal[0]
        assert not found.ceiling[0] < found.scores[0, 0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("direction", ["high", "low"])
def test_a_low_neuron_is_its_negative(name, direction):
    values, shown, _ = samples(3, "plain", 200, 4)
    options = {"score": name, "min_count": 5, "quantile": 0.9 if name in AT_THRESHOLD else None}
    turned = label(-values[:, np.newaxis], shown, **options)[0]
    low = label(values[:, np.newaxis], shown, direction="low", **options)[0]
    assert (low.formula, low.auc) == (turned.formula, turned.auc)
    assert low.value == pytest.approx(turned.value, nan_ok=True)


def test_a_ratio_is_exact_in_whole_numbers():
    terms = same_terms(2, 1, 1, 0, 200, -2, 0)
    n, s = np.array([[10, 20], [30, 40]]), np.array([[900, 1500], [2000, 3999]])
    assert (ratio(terms, n, s) == (s - n * (n + 1)) / (2 * n * (100 - n))).all()
    assert exact_ratio(terms[0], 10, 900) == Fraction(900 - 110, 2 * 10 * 90)
    root = same_terms(1, 0, 0, 0, 100, -1, 1)
    assert ratio(root, np.array([10]), np.array([-30])) == -30 / np.sqrt(900)
    assert exact_ratio(root[0], 10, -30) == -1


def test_the_best_threshold_is_the_best_of_the_grid():
    values, shown, _ = samples(5, "sparse", 400, 4)
    names = list("abcd")
    best = label(values[:, np.newaxis], shown, names=names, score="f1", threshold="best", min_count=5)[0]
    each = [
        label(values[:, np.newaxis], shown, names=names, score="f1", threshold=share * values.max(), min_count=5)[0]
        for share in GRID
    ]
    assert best.value == max(one.value for one in each)
    assert best.threshold == pytest.approx(next(s for s, o in zip(GRID, each, strict=True) if o.value == best.value)
                                           * values.max())  # fmt: skip
    assert best.score == "f1"


def test_a_penalty_asks_more_of_longer_formulas():
    values, shown, _ = samples(1, "plain", 500, 5)
    values = values + 0.3 * shown[:, 2]
    free = label(values[:, np.newaxis], shown, score="correlation", min_count=5)[0]
    for penalty in (0.99, 0.9, 0.6):
        fined = label(values[:, np.newaxis], shown, score="correlation", min_count=5, penalty=penalty)[0]
        best = max(free.steps, key=lambda step: step.value * penalty ** (step.length - 1))
        assert (fined.formula, fined.value, fined.auc) == (best.formula, best.value, best.auc)
        expected = [step.formula for step in free.path[: best.length]] + [best.formula] * (3 - best.length)
        assert [step.formula for step in fined.path] == expected
    assert fined.length == 1 < free.length


class Above(Centred):
    """The mean activation inside: a score of ten lines that a user might write."""

    name = "mean_inside"

    def _shown(self, values, centred):
        return values

    def _terms(self, total, n_neurons):
        return same_terms(n_neurons, 0, 0, 0, 1, 0, 0)

    def _units(self, values, weights, spread, total):
        return np.ones(values.shape[1])


def test_a_score_of_the_users_own_is_searched():
    values, shown, _ = samples(7, "plain", 300, 4)
    one = label(values[:, np.newaxis], shown, names=list("abcd"), score=Above(), min_count=20)[0]
    assert one.score == "mean_inside"
    means = {}
    for chain in chains(4, 3):
        inside = truth(chain, shown)
        if 20 <= inside.sum() <= 150:
            means[chain] = values[inside].mean()
    assert one.value == pytest.approx(max(means.values()))
    assert one.optimal


def test_auc_and_its_evidence_stand_beside_another_score():
    values, shown, _ = samples(2, "plain", 400, 4)
    one = label(values[:, np.newaxis], shown, score="iou", quantile=0.9, holdout=0.5, min_count=5)[0]
    searched = label(values[:, np.newaxis], shown, score="iou", quantile=0.9, min_count=5)[0]
    inside = searched.formula.evaluate(Concepts.from_array(shown))
    assert searched.auc == pytest.approx(score_of("auc", values, inside, np.ones(400, int)))
    assert not np.isnan(one.auc_heldout)
    assert one.auc_heldout != one.auc


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"score": "accuracy"}, UnknownNameError, "no score 'accuracy'; near it: 'auc'"),
        ({"score": "average_precision"}, OptionError, "is no sum over samples, so formulas cannot be searched by it"),
        ({"score": 5}, OptionError, "score must be a name or an object with weigh and value, and 5 has no name"),
        ({"quantile": 0.9}, OptionError, "the score 'auc' has no threshold"),
        ({"score": "iou", "quantile": 1.0}, OptionError, "quantile must lie between 0 and 1"),
        ({"score": "iou", "threshold": float("nan")}, OptionError, "threshold must be a finite number or 'best'"),
        ({"score": "iou", "threshold": 1.0, "quantile": 0.5}, OptionError, "two ways to say the threshold"),
        ({"penalty": 0}, OptionError, "penalty must be above 0 and at most 1"),
        ({"score": "iou", "permutations": 99}, OptionError, "permutations of the score 'iou' are not supported"),
        ({"score": "f1", "stability": 5}, OptionError, "folds and stability repeat the search"),
        ({"score": "cosine", "strata": [0] * 50 + [1] * 50}, OptionError, "strata compare ranks within them"),
    ],
)
def test_what_a_score_cannot_do_is_said(options, error, match):
    values, shown, _ = samples(0, "plain", 100, 3)
    with pytest.raises(error, match=match):
        label(values[:, np.newaxis], shown, **options)


def test_p_search_and_stability_are_those_of_the_score():
    values, shown, _ = samples(4, "plain", 200, 4)
    rng = np.random.default_rng(0)
    block = np.stack([values, rng.normal(size=200)], axis=1)
    planted, noise = label(block, shown, score="correlation", permutations=199, stability=20, min_count=10)
    assert planted.p_search == 1 / 200
    assert planted.stability > 0.5
    assert noise.p_search > 0.02
    decoder = FormulaDecoder(("a", "b"))
    assert decoder.formula((0,), (0,)) == Formula.concept("a")


def test_a_threshold_that_nothing_exceeds_is_a_reason():
    values, shown, _ = samples(0, "plain", 100, 3)
    for score in AT_THRESHOLD:
        one = label(values[:, np.newaxis], shown, score=score, threshold=99.0)[0]
        assert one.formula is None
        assert one.reason == "no formula is true for a sample whose activation exceeds the threshold 99"
