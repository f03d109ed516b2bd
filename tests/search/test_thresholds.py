from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

from neuronym import Concepts
from neuronym.data.groups import group
from neuronym.search.ranking import rank, sort_block
from neuronym.search.thresholds import ConceptSums, best_f1


def by_hand(column, inside, weights, held, low):
    """The strictest threshold with the highest F1, by trying each distinct activation."""
    found = None
    for threshold in sorted(set(column[weights > 0].tolist()), reverse=not low):
        called = column <= threshold if low else column >= threshold
        hits, n_called = int((weights * called * inside).sum()), int((weights * called).sum())
        f1 = Fraction(2 * hits, n_called + int((weights * inside).sum()))
        if hits and (found is None or f1 > found[0]):
            found = f1, threshold, hits, n_called, (held * called * inside).sum(), (held * called).sum()
    return (None,) * 5 if found is None else found[1:]


@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int8, np.float16])
def test_thresholds_are_those_found_by_hand(kind, low):
    rng = np.random.default_rng(0)
    for trial in range(8):
        n_samples = int(rng.integers(20, 60))
        truth = rng.random((n_samples, 5)) < 0.3
        truth[0], truth[1] = True, False
        values = (rng.integers(-3, 4, (n_samples, 3)) * (rng.random((n_samples, 3)) < 0.7)).astype(kind)
        rows = rng.permutation(n_samples)[:-4] if trial % 2 else np.arange(n_samples)
        weights = rng.integers(1, 3, len(rows))
        groups = group(Concepts.from_array(truth).take(rows), weights, rows if trial % 2 else None)
        held = rng.random(len(rows)) < 0.4
        parts = np.where(held, 0, weights), np.where(held, weights, 0)
        order = np.arange(5)[::-1]
        for block in (values, sparse.csc_array(values.astype(np.float32))):
            found = best_f1(block, sort_block(block, groups), ConceptSums.of(groups, order), *parts, low)
            for j in range(3):
                for k, c in enumerate(order):
                    column, inside = values[rows, j].astype(float), truth[rows, c]
                    threshold, *counts = by_hand(column, inside, *parts, low)
                    assert found.thresholds[j, k] == threshold or (
                        threshold is None and np.isnan(found.thresholds[j, k])
                    )
                    if threshold is not None:
                        own = (found.hits, found.called, found.held_hits, found.held_called)
                        assert [each[j, k] for each in own] == counts


def test_midranks_of_a_sorted_block_are_those_of_a_ranked_one():
    rng = np.random.default_rng(0)
    values = rng.integers(-3, 4, (200, 5)).astype(np.float32)
    groups = group(Concepts.from_array(rng.random((200, 4)) < 0.4))
    sums, ties = sort_block(values, groups).midranks(groups.row_weights)
    known = rank(values, groups)
    assert np.array_equal(sums, known[0])
    assert np.array_equal(ties, known[1])
