import math
import re
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from neuronym import Activations, ActivationsError, Concepts, Formula, Labels, OptionError, label
from neuronym.data.groups import group
from neuronym.search.beam import Rules, extension
from neuronym.search.scores import AUC
from neuronym.search.searcher import Searcher
from neuronym.stats import auc_interval, gain_test, measure
from neuronym.stats.resampling import cross_fit, measure_formulas, stability
from neuronym.stats.split import bootstrap, hold_out, into_folds
from reference import auc_by_pairs, delong

N = 600


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    concepts = rng.random((N, 6)) < 0.3
    values = rng.normal(size=(N, 20)).astype(np.float32)
    values[:, 3] += 3 * (concepts[:, 1] | concepts[:, 4])
    values[:, 4] = np.maximum(values[:, 4] + concepts[:, 2], 0)
    values[:, 5] = np.round(values[:, 5] + 2 * concepts[:, 0])
    return values, concepts


def parts(concepts, clusters=None, seed=0):
    return hold_out(group(Concepts.from_array(concepts)).row_groups, clusters, 0.5, seed)


def test_reweighing_sums_what_repeating_the_samples_gives(data):
    values, concepts = data
    groups = group(Concepts.from_array(concepts))
    drawn = list(bootstrap(groups.row_weights, None, 3, 0))
    for matrix in (values, values.astype(np.float64) / 3):
        for weights, weighed in zip(drawn, AUC().reweigh(matrix, groups, drawn), strict=True):
            rows = np.repeat(np.arange(N), weights)
            expected = AUC().weigh(matrix[rows], group(Concepts.from_array(concepts[rows])))
            assert weighed.ties == pytest.approx(expected.ties)
            shown = groups.weighted(weights)
            for c in range(6):
                inside = extension(((2 * c,), (0,)), groups)
                other = group(Concepts.from_array(concepts[rows]))
                assert np.array_equal(
                    weighed.sums[:, inside].sum(axis=1),
                    expected.sums[:, extension(((2 * c,), (0,)), other)].sum(axis=1),
                )
                assert shown.counts[inside].sum() == concepts[rows, c].sum()


def test_a_part_is_searched_as_if_it_were_all(data):
    values, concepts = data
    held = parts(concepts)
    for options in ({}, {"direction": "both", "length": 2}):
        found = label(values, concepts, holdout=0.5, **options)
        alone = label(values[~held], concepts[~held], **options)
        assert [(x.formula, x.auc, x.count) for x in found] == [(x.formula, x.auc, x.count) for x in alone]


def test_concepts_that_differ_only_where_nothing_is_searched_fill_the_beam_once(data):
    values, concepts = data
    held = np.flatnonzero(parts(concepts))
    # Copies of each concept that differ in single samples; the split may come out another way, so it is made again.
    copies = np.concatenate([concepts] * 3, axis=1)
    for c in range(6, 18):
        copies[held[c], c] ^= True
    held_now = parts(copies)
    same = [c for c in range(6, 18) if np.array_equal(copies[~held_now, c], copies[~held_now, c % 6])]
    assert same
    found = label(values, copies, holdout=0.5, beam=4)
    alone = label(values[~held_now], copies[~held_now], beam=4)
    for x, y in zip(found, alone, strict=True):
        assert [r.auc for r in x.runners_up] == [r.auc for r in y.runners_up]
        assert [r.count for r in x.runners_up] == [r.count for r in y.runners_up]


@pytest.mark.parametrize("direction", ["high", "low"])
def test_held_out_numbers_are_those_of_the_other_part(data, direction):
    values, concepts = data
    sets = Concepts.from_array(concepts)
    held = parts(concepts)
    for x in label(values, concepts, holdout=0.5, direction=direction):
        column = values[held, x.neuron].astype(float) * (1 if direction == "high" else -1)
        inside = x.formula.evaluate(sets)[held]
        assert x.auc_heldout == float(auc_by_pairs(column, inside))
        expected = mannwhitneyu(column[inside], column[~inside], method="asymptotic").pvalue
        if len(set(column)) == len(column):
            assert x.p == pytest.approx(expected)
        else:  # more is taken off where ties make steps larger
            assert x.p > expected
        assert x.log10_p == pytest.approx(math.log10(x.p))
        interval = auc_interval(x.auc_heldout, delong(column, inside), inside.sum(), (~inside).sum())
        assert (x.auc_low, x.auc_high) == pytest.approx(tuple(map(float, interval)))
        assert x.auc_low < x.auc_heldout < x.auc_high
        assert x.optimism == x.auc - x.auc_heldout
        assert x.held_out


def test_each_step_of_a_path_is_compared_with_the_one_before(data):
    values, concepts = data
    sets = Concepts.from_array(concepts)
    held = parts(concepts)
    labels = label(values, concepts, holdout=0.5)
    for x in labels:
        column = values[held, x.neuron].astype(float)
        before = None
        for step in x.steps:
            inside = step.formula.evaluate(sets)[held]
            if before is None:
                one_sided = mannwhitneyu(column[inside], column[~inside], alternative="greater", method="asymptotic")
                assert step.gain == float(auc_by_pairs(column, inside)) - 0.5
                assert step.p_gain == pytest.approx(one_sided.pvalue, abs=1e-3 if len(set(column)) == N // 2 else 0.05)
            else:
                gain = float(auc_by_pairs(column, inside)) - float(auc_by_pairs(column, before))
                assert step.gain == pytest.approx(gain)
                ones = np.ones(len(column), np.int64)
                row = measure(column, np.array([before, inside]), ones)[1]
                fewest = min(row["gain_count"], *(members.sum() for members in (before, inside, ~before, ~inside)))
                variance = max(delong(column, inside, before), row["gain_idle_variance"])
                taken = max(row["gain_idle"], 0) + row["jump"] / (2 * inside.sum() * (~inside).sum())
                expected = float(gain_test(gain - taken, variance, fewest)) if fewest >= 10 else math.nan
                assert step.p_gain == pytest.approx(expected, nan_ok=True)
            before = inside
        gains = [step.p_gain for step in x.steps]
        assert math.isnan(x.p_gain) if any(map(math.isnan, gains)) else x.p_gain == max(gains)
        assert x.best == x.steps[-1]
        assert x.path[-1] is x.best


def test_a_planted_formula_keeps_its_literals_and_loses_others(data):
    labels = label(*data, holdout=0.5, names=[f"n{c}" for c in range(6)])
    short = labels.simplest()
    assert short[3].formula == Formula.parse("n1 | n4")
    assert short[3].length == 2
    noise = [x for x in short if x.neuron > 5]
    assert np.mean([x.best is None for x in noise]) > 0.7
    assert noise[0].reason is None or "no literal holds on held-out samples (p ≤ 0.05)" in noise[0].reason
    assert labels.simplest(1e-12)[3].length <= short[3].length
    kept = short[3]
    assert kept.auc_heldout == next(s for s in labels[3].steps if s.formula == kept.formula).auc_heldout
    assert kept.p == next(s for s in labels[3].steps if s.formula == kept.formula).p


@pytest.mark.filterwarnings("ignore:the numbers of")
def test_with_clusters_their_samples_stay_together():
    rng = np.random.default_rng(0)
    video = np.repeat(np.arange(80), 10)
    concepts = (rng.random((80, 6)) < 0.3)[video]
    values = rng.normal(size=(80, 30))[video] + 0.1 * rng.normal(size=(800, 30))
    options = {"holdout": 0.5, "min_count": 60}
    by_sample = label(values, concepts, clusters=False, **options)
    by_video = label(values, concepts, clusters=video, **options)
    assert np.mean([x.auc_heldout for x in by_sample]) > 0.6
    assert np.mean([x.auc_heldout for x in by_video]) < 0.58
    assert np.mean([x.p <= 0.05 for x in by_sample]) > 0.7
    assert np.mean([x.p <= 0.05 for x in by_video]) < 0.2
    width = [np.mean([x.auc_high - x.auc_low for x in labels]) for labels in (by_sample, by_video)]
    assert width[1] > 1.5 * width[0]


def test_cross_fitting_is_a_search_without_each_fold(data):
    values, concepts = data
    sets = Concepts.from_array(concepts)
    fold = into_folds(group(sets).row_groups, None, 4, 7)
    labels = label(values, concepts, folds=4, seed=7)
    plain = label(values, concepts)
    for x, whole in zip(labels, plain, strict=True):
        aucs, same = [], []
        for k in range(4):
            trained = label(values[fold != k], concepts[fold != k], neurons=[x.neuron])[x.neuron]
            inside = trained.formula.evaluate(sets)[fold == k]
            column = values[fold == k, x.neuron].astype(float)
            aucs.append(float(auc_by_pairs(column, inside)))
            same.append(trained.formula == whole.formula)
        assert x.formula == whole.formula
        assert x.auc == whole.auc
        assert x.p == whole.p
        assert x.auc_heldout == pytest.approx(np.mean(aucs))
        assert x.agreement == np.mean(same)
        assert not x.held_out
        assert math.isnan(x.auc_low)  # folds share samples: no variance of their mean is unbiased
        assert math.isnan(x.auc_high)
    assert labels[3].agreement == 1


def test_effects_without_a_hold_out_are_those_of_all_samples(data):
    values, concepts = data
    sets = Concepts.from_array(concepts)
    for x in label(values, concepts, effects=True):
        column, inside = values[:, x.neuron].astype(float), x.formula.evaluate(sets)
        expected = auc_interval(x.auc, delong(column, inside), inside.sum(), (~inside).sum())
        assert (x.auc_low, x.auc_high) == pytest.approx(tuple(map(float, expected)))
        assert x.difference == pytest.approx((column[inside].mean() - column[~inside].mean()) / column.std(), rel=1e-6)
        assert 0 < x.average_precision <= 1
        assert math.isnan(x.auc_heldout)
        assert math.isnan(x.p_gain)


def test_an_auc_of_one_has_an_interval():
    shown = np.zeros((100, 1), bool)
    shown[:25] = True
    x = label(np.where(shown, 5.0, 0) + np.arange(100)[:, None] / 100, shown, length=1, effects=True)[0]
    assert x.auc == x.auc_high == 1
    assert 0.8 < x.auc_low < 1


def test_stability_is_that_of_searches_of_repeated_samples(data):
    values, concepts = data
    names = [f"n{c}" for c in range(6)]
    sets = Concepts.from_array(concepts, names)
    neurons = [3, 4, 9]
    labels = label(values, sets, neurons=neurons, stability=12, seed=2)
    drawn = list(bootstrap(np.ones(N, np.int64), None, 12, 2))
    for x in labels:
        found = []
        for weights in drawn:
            rows = np.repeat(np.arange(N), weights)
            found.append(label(values[rows], concepts[rows], names=names, neurons=[x.neuron])[x.neuron].formula)
        assert x.stability == pytest.approx(np.mean([f == x.formula for f in found]))
        assert x.stability_concepts == pytest.approx(
            np.mean([set(f.concepts) == set(x.formula.concepts) for f in found])
        )
        own = x.formula.evaluate(sets)
        overlap = [(own & f.evaluate(sets)).sum() / (own | f.evaluate(sets)).sum() for f in found]
        assert x.stability_overlap == pytest.approx(np.mean(overlap))
        shares = [share for _, share in x.alternatives]
        assert sum(shares) >= 0.9 > sum(shares[:-1])
        assert shares == sorted(shares, reverse=True)
        for formula, share in x.alternatives:
            assert share == pytest.approx(np.mean([f == formula for f in found]))


def test_a_resample_in_which_nothing_is_found_counts(data):
    values, concepts = data
    concepts = concepts.copy()
    concepts[:, 0] = np.arange(N) < 20
    labels = label(values, concepts[:, :1], length=1, negation=False, stability=30)
    assert 0 < labels[0].stability < 1
    assert None in [formula for formula, _ in labels[0].alternatives]


def test_functions_take_plain_parts(data):
    values, concepts = data
    searcher = Searcher(group(Concepts.from_array(concepts)), Rules(), ("high", "low"))
    taken, columns = Activations(values), np.array([3, 8])
    whole = searcher(AUC().weigh(values[:, columns], searcher.groups).sums)
    rows = cross_fit(taken, columns, whole, searcher, np.arange(N) % 3, None)
    assert rows.shape == (2, 2)
    assert rows["positives"][0, 0] == pytest.approx(whole[0].counts[0, 0], rel=0.5)
    codes = [[[found.code(j)] for found in whole] for j in range(2)]
    on_all = measure_formulas(taken, columns, codes, searcher, None)
    assert on_all[0][0]["auc"][0] == whole[0].scores[0, 0]
    assert on_all[1][1]["auc"][0] == whole[1].scores[1, 0]
    answers = stability(taken, columns, whole, searcher, None, 5, 0)
    assert answers[0][0].same == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"holdout": 0}, r"holdout must lie between 0 and 1, not 0: 0.5 holds out half of the samples"),
        ({"holdout": 1.0}, "holdout must lie between 0 and 1"),
        ({"holdout": "half"}, "holdout must lie between 0 and 1, not 'half'"),
        ({"holdout": 0.5, "folds": 3}, "holdout and folds are two ways to hold out samples: choose one"),
        ({"folds": 1}, "folds must be a whole number of at least 2, not 1"),
        ({"stability": -1}, "stability must be a whole number of at least 0"),
        ({"holdout": 0.0001}, r"holdout=0.0001 of 600 samples leaves one part empty"),
        ({"folds": 601}, "folds=601 must not exceed the number of samples, 600"),
    ],
)
def test_what_cannot_be_given_is_refused(data, options, message):
    with pytest.raises(OptionError, match=message):
        label(*data, **options)


@pytest.mark.filterwarnings("ignore:the numbers of")
def test_a_hold_out_part_without_positives_is_refused_or_named():
    rng = np.random.default_rng(0)
    video = np.repeat(np.arange(10), 30)
    values = rng.normal(size=(300, 3))
    shown = np.zeros((300, 2), bool)
    shown[:30, 0] = True  # in one video alone
    shown[:, 1] = rng.random(300) < 0.3
    values[:, 1] += 3 * shown[:, 0]
    values[:, 2] += 3 * shown[:, 1]
    # Whichever part the video falls into, it is not in the other.
    seed = next(s for s in range(20) if not hold_out(group(Concepts.from_array(shown)).row_groups, video, 0.5, s)[0])
    options = {"holdout": 0.5, "clusters": video, "seed": seed, "length": 1, "negation": False}
    with pytest.warns(
        UserWarning, match=r"the formula of 1 label \(neuron 0\) is true for none or for all of the held-out"
    ):
        labels = label(values[:, 1:], shown, **options)
    assert np.isnan([x.auc_heldout for x in labels]).tolist() == [True, False]
    assert math.isnan(labels[0].p)
    assert math.isnan(labels[0].p_gain)
    assert labels.simplest()[0].best is None
    rows = group(Concepts.from_array(shown[:, :1])).row_groups
    options["seed"] = next(s for s in range(20) if not hold_out(rows, video, 0.5, s)[0])
    with pytest.raises(OptionError, match="each formula found is true for none or for all of the held-out samples"):
        label(values[:, [1]], shown[:, :1], **options)


def test_samples_held_out_must_be_finite_too(data):
    values, concepts = data
    held = np.flatnonzero(parts(concepts))
    for broken in (np.nan, np.inf):
        values = values.copy()
        values[held[:3], 7] = broken
        for dtype in (np.float32, np.float64):
            message = r"activations hold NaN or infinity in 1 neuron \(7: 3\)"
            with pytest.raises(ActivationsError, match=message):
                label(values.astype(dtype), concepts, holdout=0.5)


@pytest.mark.parametrize("asked", [{"holdout": 0.3}, {"effects": True}, {"folds": 2}, {"stability": 3}])
def test_where_nothing_is_found_nothing_is_measured(data, asked):
    labels = label(*data, min_count=590, length=1, negation=False, **asked)
    assert all("no formula" in x.reason for x in labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(label(*data, min_fraction=0.5, max_fraction=0.5, **asked)) == 20


@pytest.mark.filterwarnings("ignore:the numbers of")
def test_a_neuron_that_tells_all_clusters_apart_has_a_p_above_0(tmp_path):
    video = np.repeat(np.arange(24), 10)
    shown = np.zeros((240, 2), bool)
    shown[:100, 0] = True
    shown[::3, 1] = True
    values = np.where(shown[:, :1], 5.0, 0) + np.random.default_rng(0).random((240, 1))
    labels = label(values, shown, length=1, holdout=0.5, clusters=video, min_count=10)
    assert labels[0].auc_heldout == 1
    assert 0 < labels[0].p < 0.05
    assert math.isfinite(labels[0].log10_p)
    assert labels[0].p_gain == labels[0].p / 2
    for kind in ("json", "csv", "parquet"):
        labels.save(tmp_path / f"x.{kind}")
        assert Labels.open(tmp_path / f"x.{kind}") == labels


@pytest.mark.parametrize("scale", [1e-310, 1e300])
def test_effects_do_not_depend_on_the_scale(scale):
    rng = np.random.default_rng(0)
    shown = rng.random((200, 1)) < 0.3
    values = rng.random((200, 1)) + shown
    plain, scaled = (label(v, shown, length=1, effects=True)[0] for v in (values, values * scale))
    assert scaled.difference == pytest.approx(plain.difference, rel=1e-4)


def test_a_label_that_held_out_samples_turn_around_is_not_believed(data):
    _, concepts = data
    held = parts(concepts)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(N, 12)) + np.where(held, -2, 2)[:, None] * concepts[:, [1]]
    labels = label(values, concepts, holdout=0.5)
    assert all(x.auc > 0.8 and x.auc_heldout < 0.2 and x.p < 1e-6 for x in labels)
    assert len(labels.significant(by="p")) == 0
    assert labels.summary().believable == 0
    assert all(x.best is None for x in labels.simplest())


def test_a_p_by_clusters_is_never_smaller_for_a_lower_auc():
    rng = np.random.default_rng(0)
    shown = np.zeros((400, 1), bool)
    shown[rng.permutation(400)[:60]] = True
    shifts = np.array([0.5, 1, 2, 3, 4, 6, 9, 20])
    values = rng.normal(size=(400, 1)) + shifts * shown
    for clusters in (np.arange(400), np.arange(400) // 5):
        options = {"length": 1, "negation": False, "holdout": 0.5, "min_count": 5}
        labels = label(values, shown, clusters=clusters, **options)
        plain = label(values, shown, clusters=False, **options)
        assert labels[7].auc_heldout == 1
        for weaker, stronger in pairwise(labels):
            assert stronger.log10_p < weaker.log10_p + 1
        assert min(x.log10_p for x in labels) > min(x.log10_p for x in plain) - 1


def test_folds_that_hold_too_little_are_named(data):
    with pytest.warns(
        UserWarning, match=r"some folds have no samples inside their formula, or none outside, for 20 labels"
    ):
        label(*data, folds=200)


@pytest.mark.filterwarnings("ignore:the numbers of")
def test_too_few_clusters_are_named():
    rng = np.random.default_rng(0)
    video = np.repeat([0, 1], 100)
    shown = rng.random((200, 2)) < 0.3
    with pytest.warns(UserWarning, match=r"the formula of 2 labels .* has too few held-out clusters, so it has no p$"):
        labels = label(rng.normal(size=(200, 2)), shown, holdout=0.5, clusters=video)
    with pytest.raises(OptionError, match="no p_gain: the held-out part has too few clusters"):
        labels.simplest()
    shown = np.repeat([[True], [False]], 100, axis=0)
    with pytest.raises(OptionError, match="each formula found is true for none or for all of the held-out samples"):
        label(rng.normal(size=(200, 2)), shown, folds=2, clusters=video, length=1)
    for asked in ({"stability": 3}, {"effects": True}, {"holdout": 0.5}, {"folds": 2}):
        with pytest.raises(OptionError, match="all samples are in one cluster"):
            label(rng.normal(size=(200, 2)), shown, clusters=np.zeros(200), **asked)


def test_repeated_samples_raise_a_warning_that_names_them(data):
    values, concepts = data
    values = np.concatenate([values, values[:3]])
    concepts = np.concatenate([concepts, concepts[:3]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        label(values, concepts)
        label(values, concepts, holdout=0.5, clusters=[*range(N), 0, 1, 2])
        label(values, concepts, holdout=0.5, clusters=False)
    for asked in ({"holdout": 0.5}, {"permutations": 399}, {"folds": 2}, {"stability": 2}, {"effects": True}):
        with pytest.warns(UserWarning, match=r"3 samples of 603 repeat the activations of another in all 20 neurons"):
            label(values, concepts, **asked)


@pytest.mark.parametrize("sizes", [np.full(16, 20), np.r_[400, np.full(60, 5)]])
def test_few_effective_clusters_are_counted_once(sizes):
    rng = np.random.default_rng(0)
    video = np.repeat(np.arange(len(sizes)), sizes)
    shown = rng.random((len(video), 2)) < 0.4
    values = rng.normal(size=(len(video), 5))
    seed = next(s for s in range(20) if hold_out(group(Concepts.from_array(shown)).row_groups, video, 0.5, s)[0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        label(values, shown, holdout=0.5, clusters=video, seed=seed, length=1)
    told = [str(one.message) for one in caught if "effective clusters" in str(one.message)]
    assert len(told) == 1
    assert re.match(r"the numbers of 5 labels \(neuron 0, 1, 2.*\) rest on fewer than 10 effective clusters", told[0])
    held = sizes[np.unique(video[hold_out(group(Concepts.from_array(shown)).row_groups, video, 0.5, seed)])]
    assert f"the largest cluster holds {held.max() / held.sum():.0%} of the samples measured" in told[0]


def test_intervals_of_labels_selected_by_p_are_at_the_level_of_benjamini_and_yekutieli(data):
    values, concepts = data
    sets = Concepts.from_array(concepts)
    held = parts(concepts)
    labels = label(values, concepts, holdout=0.5)
    chosen = {x.neuron for x in labels.significant(0.05, by="p")}
    assert 0 < len(chosen) < 20
    for x in labels:
        if x.neuron not in chosen:
            assert math.isnan(x.auc_low_selected)
            continue
        column, inside = values[held, x.neuron].astype(float), x.formula.evaluate(sets)[held]
        level = 1 - 0.05 * len(chosen) / 20
        expected = auc_interval(x.auc_heldout, delong(column, inside), inside.sum(), (~inside).sum(), level)
        assert (x.auc_low_selected, x.auc_high_selected) == pytest.approx(tuple(map(float, expected)))
        assert x.auc_low_selected < x.auc_low < x.auc_high < x.auc_high_selected


def test_a_label_below_one_half_is_never_significant_nor_believable(data):
    labels = label(*data, holdout=0.5, permutations=199)
    sure = next(x for x in labels if x.neuron == 3)
    assert not sure.refuted
    for low in ({"auc": 0.43}, {"auc_heldout": 0.43}):
        worse = replace(sure, best=replace(sure.best, **low))
        one = Labels([worse])
        assert worse.refuted
        assert worse.p_confirming == 1
        assert len(one.significant(0.05)) == len(one.significant(0.05, by="p")) == 0
        assert one.summary().believable == 0
    below = tuple(replace(step, auc=0.43) for step in sure.steps)
    assert replace(sure, path=below, best=below[-1]).shortened(0.05).best is None
