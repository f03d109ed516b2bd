import numpy as np
import pytest
from scipy.special import ndtri

from neuronym.stats import auc_interval, beta_interval, cluster_interval, confidence_intervals, measure, score_interval
from reference import beta_ends, logit_ends, newcombe

Z95 = ndtri(0.975)
AUCS = [0, 0.001, 0.3, 0.5, 0.7, 0.95, 0.999, 1]


@pytest.mark.parametrize("auc", AUCS)
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 20), (25, 5000), (400, 400)])
def test_the_score_interval_is_newcombes(auc, m, n):
    low, high = score_interval(auc, m, n)
    assert (low, high) == pytest.approx(newcombe(auc, m, n, Z95), abs=1e-9)
    assert 0 <= low <= auc <= high <= 1
    assert low < high
    turned = score_interval(1 - auc, m, n)
    assert (turned[1], turned[0]) == pytest.approx((1 - low, 1 - high), abs=1e-9)


@pytest.mark.parametrize("auc", AUCS)
@pytest.mark.parametrize("variance", [0.0, 1e-5, 1e-3, 0.05])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_the_beta_interval_has_the_moments_of_half_a_positive_more(auc, variance, level):
    for units in (2, 10, 25.5, 4000):
        low, high = beta_interval(auc, variance, units, level)
        assert (low, high) == pytest.approx(beta_ends(auc, variance, units, level), abs=1e-9)
        assert 0 <= low <= auc <= high <= 1
        turned = beta_interval(1 - auc, variance, units, level)
        assert (turned[1], turned[0]) == pytest.approx((1 - low, 1 - high), abs=1e-9)
    assert np.isnan(beta_interval(auc, np.nan, 5)).all()


@pytest.mark.parametrize("auc", AUCS)
def test_the_interval_of_samples_is_the_wider_of_newcombes_and_the_betas(auc):
    for variance, m, n in ((1e-4, 200, 500), (0.003, 40, 30), (0.0, 500, 12)):
        score, beta = newcombe(auc, m, n, Z95), beta_ends(auc, variance, min(m, n), 0.95)
        expected = min(score[0], beta[0]), max(score[1], beta[1])
        assert auc_interval(auc, variance, m, n) == pytest.approx(expected, abs=1e-9)
    assert auc_interval(auc, np.nan, 1, 500) == pytest.approx(newcombe(auc, 1, 500, Z95), abs=1e-9)
    assert np.isnan(auc_interval(np.nan, np.nan, 5, 5)).all()


@pytest.mark.parametrize("auc", [0.02, 0.3, 0.5, 0.8, 0.97])
def test_the_interval_of_clusters_is_the_wider_of_the_logit_and_the_beta(auc):
    cases = (0.004, 0.001, 60, 12), (0.001, 0.004, 60, 12), (0.02, 0.001, 400, 30)
    for variance, single, smaller, effective in cases:
        units = min(smaller, max(effective, smaller * single / variance))
        ends = logit_ends(auc, variance, effective, 0.95), beta_ends(auc, variance, units, 0.95)
        expected = min(end[0] for end in ends), max(end[1] for end in ends)
        assert cluster_interval(auc, variance, single, smaller, effective) == pytest.approx(expected, abs=1e-9)
    low, high = cluster_interval(1.0, 0.0, 0.0, 60, 12)
    assert (low, high) == pytest.approx(beta_ends(1.0, 0.0, 12, 0.95))
    assert np.isnan(cluster_interval(auc, np.nan, 0.001, 60, 12)).all()


def covered(drawn, truth, clusters=None):
    ones = np.ones(len(drawn[0][0]), np.int64)
    rows = np.array([measure(values, inside[np.newaxis], ones, clusters)[0] for values, inside in drawn])
    low, high = confidence_intervals(rows, clusters is not None)
    truth = rows["auc"].mean() if truth is None else truth
    return np.mean((low <= truth) & (truth <= high)), np.mean(high - low)


def test_intervals_cover_whatever_the_shape():
    rng = np.random.default_rng(0)
    inside = np.arange(530) < 30

    def fires(share, shift):
        values = rng.normal(size=530)
        return values + shift * (inside & (rng.random(530) < share)), inside

    def won(shift):
        from scipy.special import ndtr

        return ndtr(shift / np.sqrt(2))

    # Newcombe's interval alone covers 0.86 of these.
    drawn = [fires(0.8, 3) for _ in range(600)]
    assert covered(drawn, 0.8 * won(3) + 0.1)[0] > 0.93
    wide = [(rng.normal(size=530) * np.where(inside, 3, 1) + 1.66 * inside, inside) for _ in range(600)]
    assert covered(wide, won(1.66 / np.sqrt(5)))[0] > 0.93
    turned = [(-values, ~members) for values, members in drawn]
    assert covered(turned, 0.8 * won(3) + 0.1) == covered(drawn, 0.8 * won(3) + 0.1)


@pytest.mark.parametrize("sizes", [np.full(40, 5), np.r_[np.full(20, 20), np.ones(60, int)]])
def test_intervals_by_cluster_cover_and_are_not_much_too_wide(sizes):
    rng = np.random.default_rng(0)
    clusters, drawn = np.repeat(np.arange(len(sizes)), sizes), []
    for _ in range(400):
        inside = (rng.random(len(sizes)) < 0.4)[clusters]
        shared = 0.9 * rng.normal(size=len(sizes))[clusters] + 0.45 * rng.normal(size=len(clusters))
        drawn.append((shared + 1.2 * inside, inside))
    share, width = covered(drawn, None, clusters)
    aucs = [measure(v, i[np.newaxis], np.ones(len(v), np.int64))[0]["auc"] for v, i in drawn]
    assert share > 0.92
    assert width < 1.5 * np.subtract(*np.quantile(aucs, [0.975, 0.025]))
