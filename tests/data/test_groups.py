import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuronym import Concepts, OptionError
from neuronym.data.groups import check_weights, group

CASES = st.integers(1, 14).flatmap(
    lambda n: st.tuples(
        st.integers(0, 4).flatmap(lambda k: arrays(bool, (n, k))),
        st.none() | st.lists(st.integers(1, 3), min_size=n, max_size=n),
        st.none() | st.permutations(range(n)),
    )
)


def by_dictionary(matrix, weights, rows):
    """What ``group`` promises, with groups and units numbered by their first sample."""
    n = len(matrix)
    weights = [1] * n if weights is None else weights
    shown = [tuple(np.flatnonzero(row).tolist()) for row in matrix]
    groups, units = {}, {}
    of_sample = [groups.setdefault(s, len(groups)) for s in shown]
    unit = [units.setdefault((g, w), len(units)) for g, w in zip(of_sample, weights, strict=True)]
    return {
        "total": sum(weights),
        "rows": None if rows is None else list(rows),
        "units": unit,
        "unit_weights": [w for _, w in units],
        "unit_groups": [g for g, _ in units],
        "counts": [sum(w for w, h in zip(weights, of_sample, strict=True) if h == g) for g in range(len(groups))],
        "concepts of groups": [list(s) for s in groups],
        "groups of concepts": [[g for s, g in groups.items() if c in s] for c in range(matrix.shape[1])],
    }


def as_found(groups):
    def parts(ptr, values):
        assert ptr[0] == 0
        assert ptr[-1] == len(values)
        return [values[a:b].tolist() for a, b in pairwise(ptr)]

    listed = {name: getattr(groups, name) for name in ["rows", "units", "unit_weights", "unit_groups", "counts"]}
    return {
        "total": groups.total,
        **{name: None if values is None else values.tolist() for name, values in listed.items()},
        "concepts of groups": parts(groups.group_ptr, groups.group_concepts),
        "groups of concepts": parts(groups.concept_ptr, groups.concept_groups),
    }


def grouped(matrix, weights=None, rows=None):
    rows = None if rows is None else np.array(rows, np.int64)
    return group(Concepts.from_array(matrix), weights, rows)


@given(CASES)
def test_groups_are_those_of_a_dictionary(case):
    found = grouped(*case)
    assert as_found(found) == by_dictionary(*case)
    assert len(set(found.keys.tolist())) == found.n_groups
    assert found.n_concepts == case[0].shape[1]


@given(CASES)
def test_groups_are_exact_when_all_hash_marks_collide(case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuronym.data.groups._random_keys", lambda n: np.zeros(n, np.int64))
        assert as_found(grouped(*case)) == by_dictionary(*case)


@given(CASES)
def test_groups_are_exact_when_some_hash_marks_collide(case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuronym.data.groups._random_keys", lambda n: np.arange(n, dtype=np.int64))
        assert as_found(grouped(*case)) == by_dictionary(*case)


def test_groups_of_a_small_table():
    found = grouped(np.array([[1, 0], [0, 0], [1, 0], [1, 1]], bool), [1, 2, 5, 3], [9, 8, 7, 6])
    assert as_found(found) == {
        "total": 11,
        "rows": [9, 8, 7, 6],
        "units": [0, 1, 2, 3],
        "unit_weights": [1, 2, 5, 3],
        "unit_groups": [0, 1, 0, 2],
        "counts": [6, 2, 3],
        "concepts of groups": [[0], [], [0, 1]],
        "groups of concepts": [[0, 2], [2]],
    }
    assert (found.units.dtype, found.group_concepts.dtype, found.counts.dtype) == (np.uint32, np.int32, np.int64)


def test_more_than_65536_groups():
    n = 70_000
    found = group(Concepts(np.arange(n + 1), np.arange(n)[::-1], n, range(n)))
    assert found.n_groups == found.n_concepts == n
    assert found.units.tolist() == list(range(n))
    assert found.group_concepts.tolist() == list(range(n))[::-1]
    assert found.concept_groups.tolist() == list(range(n))[::-1]


@pytest.mark.parametrize("weights", [[1, 0, 2], [1.0, 0.0, 2.0], np.array([1, 0, 2], np.uint8)])
def test_weights_are_whole_numbers_of_any_type(weights):
    assert check_weights(weights, 3).tolist() == [1, 0, 2]
    assert check_weights(weights, 3).dtype == np.int64


def test_weights_may_be_true_or_false_or_missing():
    assert check_weights([True, False], 2).tolist() == [1, 0]
    assert check_weights(None, 3).tolist() == [1, 1, 1]
    assert check_weights([2**26 - 1, 1], 2).sum() == 2**26


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"weights must be one per sample (3), but have shape (2,)"),
        (1, "weights must be one per sample (3), but have shape ()"),
        ([[1, 2, 3]], "weights must be one per sample (3), but have shape (1, 3)"),
        ([1, 0.5, 1], "weights must be whole numbers of at least 0: a sample of weight 2 counts as two samples"),
        ([1, -1, 1], "weights must be whole numbers of at least 0"),
        ([1, np.nan, 1], "weights must be whole numbers of at least 0"),
        ([1, np.inf, 1], "weights must be whole numbers of at least 0"),
        (["1", "1", "1"], "weights must be whole numbers of at least 0"),
        ([1, None, 1], "weights must be whole numbers of at least 0"),
        ([0, 0, 0], "weights must add up to between 1 and 67108864, not 0"),
        ([2**26, 1, 0], "weights must add up to between 1 and 67108864, not 6.71089e+07"),
        ([2**62, 2**62, 2**62], "weights must add up to between 1 and 67108864, not 1.38"),
    ],
)
def test_weights_that_cannot_be_used(weights, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        check_weights(weights, 3)
    with pytest.raises(OptionError, match=re.escape(message)):
        grouped(np.eye(3, dtype=bool), weights)
