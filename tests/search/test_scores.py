"""Scores: what the search ranks formulas by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronym import Concepts
from neuronym.data.groups import group
from neuronym.search import AUC, WithinStrata
from neuronym.stats import bootstrap
from reference import auc_by_pairs, percentiles


def auc_of(sums, ties, groups, c):
    """The AUC of one concept, from sums by group."""
    inside = groups.concept_groups[groups.concept_ptr[c] : groups.concept_ptr[c + 1]]
    n = groups.counts[inside].sum()
    return (sums[:, inside].sum(axis=1) - n * (n + 1)) / (2 * n * (groups.total - n))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 3)), min_size=4, max_size=40))
def test_within_strata_a_neuron_is_its_percentile(samples):
    values, inside, strata = (np.array(column) for column in zip(*samples, strict=True))
    if inside.all() or not inside.any():
        return
    groups = group(Concepts.from_array(inside[:, np.newaxis]))
    exact = percentiles(values, strata)
    expected = float(auc_by_pairs(exact, inside))  # fractions: those that are equal across strata are ties
    times = np.unique([str(one) for one in exact], return_counts=True)[1].astype(float)
    for dtype in (np.int8, np.int64, np.float16, np.float32, np.float64):
        block = values.astype(dtype)[:, np.newaxis]
        weighed = WithinStrata(strata=strata).weigh(block, groups)
        assert auc_of(*(weighed.sums, weighed.ties, groups), 0)[0] == expected
        assert weighed.ties[0] == (times**3 - times).sum()
        turned = WithinStrata(strata=strata).turned(weighed.sums, groups)
        assert np.array_equal(turned, WithinStrata(strata=strata).weigh(-block.astype(float), groups).sums)
    one = WithinStrata(strata=np.zeros(len(values), int)).weigh(values[:, np.newaxis], groups)
    assert np.array_equal(one.sums, AUC().weigh(values[:, np.newaxis], groups).sums)


def test_percentiles_of_weighted_samples_are_those_of_repeated_ones():
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(size=(120, 5)), 1)
    concepts, strata = rng.random((120, 4)) < 0.4, rng.integers(0, 5, 120)
    groups = group(Concepts.from_array(concepts))
    drawn = list(bootstrap(groups.row_weights, None, 3, 0))
    for weights, weighed in zip(drawn, WithinStrata(strata=strata).reweigh(values, groups, drawn), strict=True):
        rows = np.repeat(np.arange(120), weights)
        other = group(Concepts.from_array(concepts[rows]))
        expected = WithinStrata(strata=strata[rows]).weigh(values[rows], other)
        assert weighed.ties == pytest.approx(expected.ties)
        own = groups.weighted(weights)
        for c in range(4):
            sums = (auc_of(w.sums, w.ties, g, c) for w, g in ((weighed, own), (expected, other)))
            assert np.array_equal(*sums)
        direct = WithinStrata(strata=strata).weigh(values, group(Concepts.from_array(concepts), weights + 1))
        (again,) = WithinStrata(strata=strata).reweigh(values, groups, [weights + 1])
        assert np.array_equal(direct.sums, again.sums)


def test_what_differs_between_strata_alone_is_constant_and_what_is_not_finite_is_counted():
    strata = np.repeat([0, 1, 2], [5, 3, 1])
    groups = group(Concepts.from_array(np.arange(9)[:, np.newaxis] % 2 == 0))
    values = np.stack([strata * 10.0, np.arange(9.0), np.where(np.arange(9) < 2, np.nan, 1)], axis=1)
    values[5, 2] = np.inf
    weighed = WithinStrata(strata=strata).weigh(values, groups)
    assert weighed.constant(groups).tolist() == [True, False, False]
    assert weighed.bad.tolist() == [0, 0, 3]
    huge = np.array([2**62, 2**62 + 1] * 4 + [0])[:, np.newaxis]  # a double holds no difference
    assert not WithinStrata(strata=strata).weigh(huge, groups).constant(groups)[0]
