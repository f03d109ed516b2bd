import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm, rankdata

from neuronym.significance import mann_whitney

VALUES = st.integers(-3, 3) | st.floats(-1e6, 1e6, width=32)
SAMPLES = st.lists(st.tuples(VALUES, st.booleans()), min_size=2, max_size=60)


def of(values, inside):
    """The test as the search calls it: from twice the midranks, the count and the ties."""
    doubled = np.rint(2 * rankdata(values)).astype(int)
    _, runs = np.unique(values, return_counts=True)
    return mann_whitney(doubled[inside].sum(), inside.sum(), len(values), (runs**3 - runs).sum())


@given(SAMPLES)
def test_p_is_that_of_scipy(samples):
    values, inside = np.array([v for v, _ in samples], float), np.array([i for _, i in samples])
    assume(0 < inside.sum() < len(inside) and len(set(values)) > 1)
    p, log10_p = of(values, inside)
    expected = mannwhitneyu(values[inside], values[~inside], alternative="two-sided", method="asymptotic").pvalue
    assert p == pytest.approx(expected, rel=1e-12, abs=0)
    assert log10_p == pytest.approx(math.log10(expected), rel=1e-12, abs=1e-12)
    assert 0 < p <= 1
    assert log10_p <= 0


@given(SAMPLES)
def test_the_samples_outside_have_the_same_p(samples):
    values, inside = np.array([v for v, _ in samples], float), np.array([i for _, i in samples])
    assume(0 < inside.sum() < len(inside) and len(set(values)) > 1)
    assert of(values, inside) == pytest.approx(of(values, ~inside), rel=1e-12)
    assert of(values, inside) == pytest.approx(of(-values, inside), rel=1e-12)


@pytest.mark.parametrize("total", [100, 1000, 5000, 100_000, 2**31 - 1])
def test_log10_p_stays_right_where_p_underflows(total):
    n = total // 2
    p, log10_p = mann_whitney(n * (2 * total - n + 1), n, total, 0)
    outside = total - n
    z = (n * outside / 2 - 0.5) / math.sqrt(n * outside * (total + 1) / 12)
    assert log10_p == pytest.approx((math.log(2) + norm.logsf(z)) / math.log(10), rel=1e-12)
    assert (p == 0) == (total >= 5000)
    assert math.isfinite(log10_p)
    if p > 0:
        assert log10_p == pytest.approx(math.log10(p), rel=1e-12)


def test_more_separation_is_less_likely_far_beyond_the_smallest_double():
    n, total = 1000, 100_000
    sums = np.linspace(n * (total + 1), n * (2 * total - n + 1), 50).astype(np.int64)
    p, log10_p = mann_whitney(sums, n, total, 0)
    assert p[0] == 1
    assert log10_p[0] == 0
    assert (np.diff(log10_p) < 0).all()
    assert log10_p[-1] < -600


def test_p_never_exceeds_one():
    p, log10_p = mann_whitney(2 * 2, 1, 3, 0)
    assert (p, log10_p) == (1.0, 0.0)


def test_constant_activations_give_nan():
    p, log10_p = of(np.full(10, 0.5), np.arange(10) < 4)
    assert math.isnan(p)
    assert math.isnan(log10_p)


def test_many_neurons_at_once():
    p, log10_p = mann_whitney([[12, 30], [30, 21]], [[3, 3], [3, 3]], 6, np.array([[0], [210]]))
    assert p.shape == log10_p.shape == (2, 2)
    assert p[0, 0] == p[0, 1] == mann_whitney(30, 3, 6, 0)[0]
    assert np.isnan(p[1]).all()
