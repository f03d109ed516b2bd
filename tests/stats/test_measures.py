import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm, rankdata
from scipy.stats import t as student
from sklearn.metrics import average_precision_score, precision_recall_curve

from neuronym.labeling.evidence import _numbers
from neuronym.stats import confidence_intervals, gain_test, measure, p_gains, p_values
from reference import (
    added_by_clusters,
    added_by_clusters_within_strata,
    auc_by_pairs,
    delong,
    effective_clusters,
    idle_gain,
    stratified_auc,
    stratified_delong,
    van_elteren,
)

VALUES = st.integers(-3, 3) | st.floats(-100, 100, width=32)
SAMPLES = st.lists(st.tuples(VALUES, st.booleans(), st.booleans(), st.integers(0, 4)), min_size=6, max_size=40)


def unpacked(samples):
    values, one, other, clusters = (np.array(column) for column in zip(*samples, strict=True))
    inside = np.array([one, other], bool)
    assume((inside.sum(axis=1) > 1).all() and ((~inside).sum(axis=1) > 1).all())
    return values.astype(float), inside, clusters


def ones(values):
    return np.ones(len(values), np.int64)


@settings(deadline=None)
@given(SAMPLES)
def test_auc_and_variances_are_those_of_the_slow_reference(samples):
    values, inside, clusters = unpacked(samples)
    plain = measure(values, inside, ones(values))
    for row, members in zip(plain, inside, strict=True):
        assert row["auc"] == float(auc_by_pairs(values, members))
        assert row["variance"] == pytest.approx(delong(values, members), abs=1e-15)
        assert (row["positives"], row["negatives"]) == (members.sum(), (~members).sum())
        doubled = np.rint(2 * rankdata(values)).astype(int)
        m, n = members.sum(), (~members).sum()
        assert row["excess"] == doubled[members].sum() / 2 - m * (m + 1) / 2 - m * n / 2
    assert plain["gain"][0] == plain["auc"][0] - 0.5
    assert plain["gain"][1] == plain["auc"][1] - plain["auc"][0]
    assert plain["gain_variance"][1] == pytest.approx(delong(values, inside[1], inside[0]), abs=1e-15)
    clustered = measure(values, inside, ones(values), clusters)
    for row, members in zip(clustered, inside, strict=True):
        if min(row["units_in"], row["units_out"]) > 1:
            assert row["variance"] == pytest.approx(delong(values, members, None, clusters), abs=1e-15)
        else:
            assert np.isnan(row["variance"])
    if clustered["gain_units"][1] > 1:
        expected = delong(values, inside[1], inside[0], clusters)
        assert clustered["gain_variance"][1] == pytest.approx(expected, abs=1e-15)


def test_clusters_add_to_the_variance_what_makes_samples_repeat():
    rng = np.random.default_rng(0)
    values, inside = rng.normal(size=400), rng.random((1, 400)) < 0.3
    alone, five = np.arange(400), np.arange(400) // 5
    assert measure(values, inside, ones(values), alone)["added"] == pytest.approx((400 / 399) ** 4)
    assert measure(values, inside, ones(values), alone)["variance"] == measure(values, inside, ones(values))["variance"]
    assert measure(values, inside, ones(values), five)["added"] == pytest.approx(1, abs=0.4)
    same = np.repeat(np.arange(80), 5)
    assert measure(values[same], inside[:, same], ones(values), same)["added"] == pytest.approx(5 * (80 / 79) ** 4)
    assert measure(values, inside, ones(values))["added"] == 1


@settings(deadline=None)
@given(SAMPLES)
def test_two_formulas_of_the_same_classes_are_the_classical_paired_test(samples):
    # Turned around: two scores, f and g, on one set of classes. Here f = g, so the difference has no variance.
    values, inside, _ = unpacked(samples)
    same = measure(values, inside[[0, 0]], ones(values))
    assert same["gain"][1] == 0
    assert same["gain_variance"][1] == 0


@settings(deadline=None)
@given(SAMPLES, st.data())
def test_a_sample_of_weight_w_counts_as_w(samples, data):
    values, inside, _ = unpacked(samples)
    weights = np.array(data.draw(st.lists(st.integers(1, 3), min_size=len(values), max_size=len(values))), np.int64)
    weighted = measure(values, inside, weights)
    repeated = measure(np.repeat(values, weights), np.repeat(inside, weights, axis=1), np.ones(weights.sum(), np.int64))
    for name in weighted.dtype.names:
        assert weighted[name] == pytest.approx(repeated[name], rel=1e-9, abs=1e-12, nan_ok=True), name


@settings(deadline=None)
@given(SAMPLES)
def test_low_is_high_of_the_neuron_turned_around(samples):
    values, inside, _ = unpacked(samples)
    low, high = measure(values, inside, ones(values), low=True), measure(-values, inside, ones(values))
    for name in low.dtype.names:
        expected = -high[name] if name == "f1_threshold" else high[name]  # an activation as it was given
        assert low[name] == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), name
    up, down = measure(values, inside, ones(values)), measure(values, ~inside, ones(values))
    assert up["auc"] + down["auc"] == pytest.approx(1)
    assert up["variance"] == pytest.approx(down["variance"])


def test_low_works_for_whole_numbers_that_have_no_opposite():
    values = np.array([0, 3, 255, 7, 7, 1], np.uint8)
    inside = np.array([[True, False, False, True, False, True]])
    assert (
        measure(values, inside, ones(values), low=True)["auc"]
        == measure(-values.astype(int), inside, ones(values))["auc"]
    )


@settings(deadline=None)
@given(SAMPLES)
def test_effects_are_those_of_scikit_learn(samples):
    values, inside, _ = unpacked(samples)
    assume(len(set(values)) > 1)
    row = measure(values, inside[:1], ones(values))[0]
    truth = inside[0]
    assert row["average_precision"] == pytest.approx(average_precision_score(truth, values))
    precision, recall, _ = precision_recall_curve(truth, values)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    own = 2 * row["precision"] * row["recall"] / (row["precision"] + row["recall"])
    assert own == pytest.approx(f1.max())
    expected = (values[truth].mean() - values[~truth].mean()) / values.std()
    assert row["difference"] == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("n_clusters", "inside"), [(6, 3), (20, 4), (60, 10)])
def test_the_p_by_clusters_holds_for_few(n_clusters, inside):
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(n_clusters), 10)
    members = (clusters < inside)[np.newaxis]
    p = []
    for _ in range(600):
        values = rng.normal(size=n_clusters)[clusters] + 0.5 * rng.normal(size=len(clusters))
        row = measure(values, members, ones(values), clusters)
        p.append(float(_numbers(row, clustered=True, held_out=True)["p"][0]))
    assert np.mean(np.array(p) <= 0.05) < 0.075
    assert 0.4 < np.mean(p) < 0.65  # cautious with few clusters


def test_nothing_is_said_of_a_formula_that_no_or_every_sample_shows():
    inside = np.array([[True] * 4, [False] * 4, [True, True, False, False], [False, True, False, True]])
    rows = measure(np.arange(4.0), inside, np.ones(4, np.int64))
    assert np.isnan(rows["auc"]).tolist() == [True, True, False, False]
    assert np.isnan(rows["gain"]).tolist() == [True, True, True, False]
    assert rows["positives"].tolist() == [4, 0, 2, 2]


def test_one_sample_inside_has_an_auc_and_no_variance():
    row = measure(np.arange(5.0), np.array([[False, False, False, False, True]]), np.ones(5, np.int64))[0]
    assert row["auc"] == 1
    assert np.isnan(row["variance"])


def noise_by_cluster(sizes, by_cluster, rng):
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    concepts = rng.random((2, len(sizes))) < 0.4
    inside = concepts[:, clusters] if by_cluster else rng.random((2, len(clusters))) < 0.4
    values = rng.normal(size=len(sizes))[clusters] + 0.6 * rng.normal(size=len(clusters))
    return values, np.array([inside[0], inside[0] & ~inside[1]]), clusters


SIZES = {
    "equal": np.full(30, 5),
    "one long": np.r_[500, np.full(99, 5)],
    "a quarter of 20": np.r_[np.full(25, 20), np.ones(75, int)],
    "geometric": np.random.default_rng(3).geometric(0.1, 60),
}


@pytest.mark.parametrize("name", SIZES)
def test_noise_in_clusters_of_any_sizes_is_seldom_significant(name):
    rng, rows = np.random.default_rng(0), []
    for by_cluster in (True, False) * 150:
        values, inside, clusters = noise_by_cluster(SIZES[name], by_cluster, rng)
        rows.append(measure(values, inside, ones(values), clusters))
    rows = np.array(rows)
    for p in (p_values(rows[:, 0], True)[0], p_gains(rows[:, 1], True)):
        assert np.mean(p[::2] <= 0.05) < 0.1
        assert np.mean(p[1::2] <= 0.05) < 0.1


def test_a_literal_that_removes_a_few_of_many_zeros_gains_nothing():
    rng, rows = np.random.default_rng(0), []
    inside = np.arange(1000) < np.array([[100], [90]])
    for _ in range(400):
        values = np.maximum(rng.normal(size=1000), 1.28)
        rows.append(measure(values, inside, np.ones(1000, np.int64)))
    rows = np.array(rows)
    alone = gain_test(rows["gain"], rows["gain_variance"])[:, 1]
    assert np.mean(alone <= 0.05) > 0.2  # DeLong's variance alone: all ten are zeros in a third of cases
    assert np.mean(p_gains(rows, False)[:, 1] <= 0.05) < 0.07
    assert np.mean(p_values(rows, False)[0][:, 0] <= 0.05) < 0.08


def test_a_gain_needs_ten_samples_on_both_sides_of_both_formulas():
    values = np.random.default_rng(0).normal(size=100)
    for counts in ((20, 9), (9, 20), (95, 80), (80, 91)):
        rows = measure(values, np.arange(100) < np.array(counts)[:, np.newaxis], ones(values))
        assert np.isnan(p_gains(rows, False)[1])
        assert np.isfinite(p_gains(rows, False)[0])
    rows = measure(values, np.arange(100) < np.array([[20], [10]]), ones(values))
    variance = max(rows["gain_variance"][1], rows["gain_idle_variance"][1])
    gain = rows["gain"][1] - max(rows["gain_idle"][1], 0) - 1 / (2 * 10 * 90)
    assert p_gains(rows, False)[1] == pytest.approx(student.sf(gain / np.sqrt(variance), 9))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(VALUES, st.booleans(), st.booleans()), min_size=4, max_size=7))
def test_what_an_idle_literal_gains_is_that_of_all_shuffles(samples):
    values, one, other = (np.array(column) for column in zip(*samples, strict=True))
    inside = np.array([one, other], bool)
    assume(inside.any(axis=1).all() and (~inside).any(axis=1).all())
    rows = measure(values.astype(float), inside, ones(values))
    mean, variance = idle_gain(values.astype(float), *inside)
    assert rows["gain_idle"][1] == pytest.approx(mean, abs=1e-12)
    assert rows["gain_idle_variance"][1] == pytest.approx(variance, abs=1e-12)


@settings(deadline=None)
@given(SAMPLES)
def test_what_clusters_add_is_that_of_the_slow_reference(samples):
    values, inside, clusters = unpacked(samples)
    assume(len(set(clusters)) > 1 and len(set(values)) > 1)
    row = measure(values, inside[:1], ones(values), clusters)[0]
    assert row["effective"] == pytest.approx(effective_clusters(inside[0], clusters))
    assert row["added"] == pytest.approx(added_by_clusters(values, inside[0], clusters), rel=1e-9, abs=1e-12)
    assert row["sample_variance"] == pytest.approx(delong(values, inside[0]), abs=1e-15)
    gaps = np.diff(np.unique(rankdata(values)))
    assert row["jump"] == gaps.max()


STRATIFIED = st.lists(
    st.tuples(VALUES, st.booleans(), st.booleans(), st.integers(0, 4), st.integers(0, 2)), min_size=6, max_size=40
)


def with_strata(samples):
    values, one, other, clusters, strata = (np.array(column) for column in zip(*samples, strict=True))
    inside = np.array([one, other], bool)
    for members in inside:
        assume(any(0 < members[strata == s].sum() < (strata == s).sum() for s in set(strata)))
    return values.astype(float), inside, clusters, strata


@settings(deadline=None)
@given(STRATIFIED)
def test_within_strata_all_is_that_of_the_slow_reference(samples):
    values, inside, clusters, strata = with_strata(samples)
    rows = measure(values, inside, ones(values), strata=strata)
    for row, members in zip(rows, inside, strict=True):
        assert row["auc"] == pytest.approx(float(stratified_auc(values, members, strata)), rel=1e-12)
        assert row["variance"] == pytest.approx(stratified_delong(values, members, strata), abs=1e-14, nan_ok=True)
        scale = row["pairs"] * (row["auc"] - 0.5)
        assert row["excess"] == pytest.approx(scale, abs=1e-9)
        excess, variance, step = van_elteren(values, members, strata)
        if variance:
            z = max(abs(excess) - step / 2, 0) / np.sqrt(variance)
            p = p_values(row, False)[0]
            assert p == pytest.approx(min(1, 2 * norm.sf(z)), rel=1e-9)
    assert rows["gain"][1] == rows["auc"][1] - rows["auc"][0]
    expected = stratified_delong(values, inside[1], strata, inside[0])
    assert rows["gain_variance"][1] == pytest.approx(expected, abs=1e-14, nan_ok=True)
    clustered = measure(values, inside, ones(values), clusters, strata=strata)
    for row, members in zip(clustered, inside, strict=True):
        expected = stratified_delong(values, members, strata, None, clusters)
        assert row["variance"] == pytest.approx(expected, abs=1e-14, nan_ok=True)
        if row["spread"] > 0 and len(set(clusters)) > 1:
            expected = added_by_clusters_within_strata(values, members, strata, clusters)
            assert row["added"] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(SAMPLES)
def test_one_stratum_is_as_none_to_the_last_bit(samples):
    values, inside, clusters = unpacked(samples)
    for groups in (None, clusters):
        none = measure(values, inside, ones(values), groups)
        one = measure(values, inside, ones(values), groups, strata=np.full(len(values), 7))
        assert none.tobytes() == one.tobytes()
    plain = p_values(measure(values, inside, ones(values)), False)[0]
    for p, members in zip(plain, inside, strict=True):
        if len(set(values)) == len(values):
            assert p == pytest.approx(mannwhitneyu(values[members], values[~members], method="asymptotic").pvalue)


@settings(deadline=None)
@given(STRATIFIED, st.data())
def test_strata_may_be_moved_and_turned_and_samples_weighed(samples, data):
    values, inside, clusters, strata = with_strata(samples)
    row = measure(values, inside, ones(values), clusters, strata=strata)
    drawn = data.draw(st.lists(st.integers(1, 3), min_size=len(values), max_size=len(values)))
    weights = np.array(drawn, np.int64)
    effects = {"difference", "precision", "recall", "f1", "f1_threshold", "average_precision"}
    ranked = [name for name in row.dtype.names if name not in effects]
    moved = measure(2 * values + 512 * strata, inside, ones(values), clusters, strata=9 - strata)
    turned = measure(-values, inside, ones(values), clusters, strata=strata)
    low = measure(values, inside, ones(values), clusters, low=True, strata=strata)
    for name in ranked:
        assert low[name] == pytest.approx(turned[name], rel=1e-9, abs=1e-12, nan_ok=True), name
        if len(set(2 * values + 512 * strata)) == len(set(zip(values, strata, strict=True))):  # none is rounded away
            assert moved[name] == pytest.approx(row[name], rel=1e-9, abs=1e-12, nan_ok=True), name
    weighted = measure(values, inside, weights, strata=strata)
    repeated = (np.repeat(array, weights) for array in (values, strata))
    again, of_row = repeated
    rows = measure(again, np.repeat(inside, weights, axis=1), ones(again), strata=of_row)
    for name in row.dtype.names:
        assert weighted[name] == pytest.approx(rows[name], rel=1e-9, abs=1e-12, nan_ok=True), name


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(VALUES, st.booleans(), st.booleans(), st.integers(0, 1)), min_size=4, max_size=7))
def test_what_an_idle_literal_gains_within_strata_is_that_of_all_shuffles(samples):
    values, one, other, strata = (np.array(column) for column in zip(*samples, strict=True))
    inside = np.array([one, other], bool)
    for members in inside:
        assume(any(0 < members[strata == s].sum() < (strata == s).sum() for s in set(strata)))
    row = measure(values.astype(float), inside, ones(values), strata=strata)[1]
    mean, variance = idle_gain(values.astype(float), *inside, strata)
    assert row["gain_idle"] == pytest.approx(mean, abs=1e-12)
    assert row["gain_idle_variance"] == pytest.approx(variance, abs=1e-12)


def test_strata_without_both_sides_have_no_part_in_the_auc_and_count_for_nothing():
    rng = np.random.default_rng(0)
    values, strata = rng.normal(size=90), np.repeat([0, 1, 2], 30)
    inside = (rng.random(90) < 0.4) & (strata != 1) | (strata == 2)
    row, alone = (measure(values[:n], inside[np.newaxis, :n], ones(values[:n]), strata=strata[:n])[0] for n in (90, 30))
    for name in ("auc", "variance", "positives", "negatives", "excess", "spread", "units"):
        assert row[name] == pytest.approx(alone[name], rel=1e-12), name
    assert np.isnan(measure(values[30:], inside[np.newaxis, 30:], ones(values[30:]), strata=strata[30:])["auc"])


def noise_in_strata(name, rng):
    """Strata that shift both concepts and activations, with clusters or None."""
    sizes = {"two": [300, 300], "unequal": [500, *[5] * 60], "pairs": [2] * 120, "zeros": [300, 100]}.get(
        name, [40] * 8
    )
    strata = np.repeat(np.arange(len(sizes)), sizes)
    clusters = np.arange(len(strata)) // 4 if "clusters" in name else None
    share = rng.uniform(0.2, 0.7, len(sizes))[strata]
    shown = rng.random((2, len(strata)))
    if name == "clusters by concept":
        shown = shown[:, clusters]
    values = rng.normal(size=len(strata)) + (0 if clusters is None else rng.normal(size=len(strata))[clusters])
    inside = shown[0] < share
    values = np.maximum(values, 1) * (1 + strata) if name == "zeros" else values + 3 * share
    return values, np.array([inside, inside & (shown[1] < 0.6)]), clusters, strata


@pytest.mark.parametrize("name", ["two", "unequal", "pairs", "zeros", "clusters by concept", "clusters by sample"])
def test_noise_that_follows_strata_is_seldom_significant(name):
    rng, rows = np.random.default_rng(1), []
    for _ in range(400):
        values, inside, clusters, strata = noise_in_strata(name, rng)
        rows.append(measure(values, inside, ones(values), clusters, strata=strata))
    rows, clustered = np.array(rows), clusters is not None
    assert rows["auc"][:, 0].mean() == pytest.approx(0.5, abs=0.01)
    assert 0.01 < np.mean(p_values(rows[:, 0], clustered)[0] <= 0.05) < 0.08
    assert np.mean(p_gains(rows[:, 1], clustered) <= 0.05) < 0.08
    low, high = confidence_intervals(rows[:, 0], clustered)
    assert np.mean((low <= 0.5) & (high >= 0.5)) > 0.93
