import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import (
    chi2_contingency,
    expon,
    false_discovery_control,
    genpareto,
    mannwhitneyu,
    norm,
    rankdata,
    uniform,
)
from scipy.stats import (
    t as student,
)

from neuronym.stats.significance import (
    benjamini_hochberg,
    cluster_test,
    gain_test,
    mann_whitney,
    normal_test,
    pareto_tail,
)

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


def test_ties_correct_for_continuity_by_half_their_largest_step():
    # For two values this is Yates's correction of a table of two by two.
    table = np.array([[12, 8], [30, 70]])
    inside = np.repeat([True, True, False, False], table.ravel())
    values = np.repeat([1, 0, 1, 0], table.ravel())
    p, _ = mann_whitney(np.rint(2 * rankdata(values))[inside].sum(), 20, 120, 42**3 + 78**3 - 120, jump=60)
    assert p == pytest.approx(chi2_contingency(table, correction=True).pvalue, rel=0.03)
    assert mann_whitney(30, 3, 6, 0, jump=1) == mann_whitney(30, 3, 6, 0)


def test_constant_activations_give_nan():
    p, log10_p = of(np.full(10, 0.5), np.arange(10) < 4)
    assert math.isnan(p)
    assert math.isnan(log10_p)


def test_many_neurons_at_once():
    p, log10_p = mann_whitney([[12, 30], [30, 21]], [[3, 3], [3, 3]], 6, np.array([[0], [210]]))
    assert p.shape == log10_p.shape == (2, 2)
    assert p[0, 0] == p[0, 1] == mann_whitney(30, 3, 6, 0)[0]
    assert np.isnan(p[1]).all()


@pytest.mark.parametrize("z", [0.0, 0.001, 0.009, 0.01, 0.1, 1, 3, 8, 20, 37, 38, 39, 100, 500, 1000])
def test_log10_p_agrees_with_mpmath(z):
    import mpmath

    with mpmath.workdps(50):
        expected = float(mpmath.log10(mpmath.erfc(mpmath.mpf(z) / mpmath.sqrt(2))))
    _, log10_p = normal_test(z)
    assert log10_p == pytest.approx(expected, rel=1e-6, abs=1e-6 if z < 0.01 else 0)


def test_the_test_of_clusters_is_students():
    t, units = np.array([0.0, 1.0, -2.5, 4.0]), np.array([2, 5, 9, 200])
    p, log10_p = cluster_test(t, units)
    assert p == pytest.approx(2 * student.sf(abs(t), units - 1))
    assert log10_p == pytest.approx(np.log10(p))
    far, log10_far = cluster_test(60.0, 10_000)
    assert far == 0
    assert log10_far == pytest.approx(normal_test(60.0)[1])
    assert np.isnan(cluster_test(3.0, 1)[0])


def test_the_test_of_a_gain_is_one_sided():
    assert gain_test(1.645, 1.0) == pytest.approx(0.05, abs=1e-4)
    assert gain_test([0.02, -0.02, 0, 0.1, -0.1], [1e-4, 1e-4, 0, 0, 0]) == pytest.approx(
        [norm.sf(2), norm.sf(-2), 0.5, np.nan, np.nan], nan_ok=True
    )
    assert gain_test(2.0, 1.0, 4) == pytest.approx(student.sf(2, 3))
    assert np.isnan(gain_test(0.1, np.nan))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusted_is_scipys_and_leaves_nan_out(p):
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p))
    assert benjamini_hochberg([*p, np.nan])[:-1] == pytest.approx(benjamini_hochberg(p))
    assert np.isnan(benjamini_hochberg([np.nan])).all()


@pytest.mark.parametrize("law", [norm, expon, uniform, genpareto(-0.2)])
def test_a_fitted_tail_is_near_the_true_one_or_above(law):
    ends = law.support()[1] < math.inf
    for seed in range(5):
        null = law.rvs(size=5000, random_state=seed)
        too_small = np.array([-4, -5]) - np.log10(pareto_tail(null, law.isf([1e-4, 1e-5])))
        assert too_small.max() < 0.7
        assert too_small.min() > (-math.inf if ends else -1.5)
        far = pareto_tail(null, law.isf(1e-5) + np.array([1.0, 2.0, 10.0]))
        assert (np.diff(far) < 0).all()
        assert far.min() > 0


def test_a_tail_that_fits_nothing_gives_nothing():
    rng = np.random.default_rng(0)
    lumps = np.concatenate([rng.normal(size=3000), np.repeat([5.0, 6.0, 7.0], 60)])
    assert np.isnan(pareto_tail(lumps, 8.0))
    assert np.isnan(pareto_tail(rng.normal(size=50), 3.0))  # too few
    assert np.isnan(pareto_tail(np.full(1000, -np.inf), 0.5))
