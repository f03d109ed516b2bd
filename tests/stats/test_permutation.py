import itertools
import math
import warnings

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

import neuronym.stats.permutation as permutation
from neuronym import Activations, Concepts, OptionError, label
from neuronym._util.parallel import StoppedWarning
from neuronym.data.groups import group
from neuronym.search.beam import Rules
from neuronym.search.scores import AUC
from neuronym.search.searcher import Searcher
from neuronym.stats.exchange import exchange_blocks
from neuronym.stats.ladder import Ladder
from neuronym.stats.permutation import Nulls, PermutationTest, null_scores
from neuronym.stats.resample_kernels import permuted_places, permuted_sums
from neuronym.stats.significance import benjamini_hochberg

N = 400


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    concepts = rng.random((N, 6)) < 0.25
    values = rng.permuted(np.tile(np.arange(float(N)), (12, 1)), axis=1).T
    values[:, 3] += 120 * concepts[:, 1]
    values[:, 3] += np.arange(N) * 1e-6
    return values, concepts


def permuted(values, row_groups, cluster_ptr, class_ptr, n, seed=0):
    n_clusters = len(cluster_ptr) - 1
    sums = np.empty((n, row_groups.max() + 1), np.int64)
    uniform = np.random.default_rng(seed).random((n, n_clusters))
    places = np.empty(uniform.shape, np.int32)
    permuted_places(np.asarray(class_ptr, np.int64), uniform, places)
    permuted_sums(*(np.asarray(x, np.int64) for x in (values, row_groups, cluster_ptr)), places, sums)
    return sums


def with_middle_ties(values, sizes):
    """Make so many values of each column equal, in the middle, where no rung of the ladder has ties."""
    return np.where(np.abs(values - N / 2) <= np.asarray(sizes) / 2, N / 2, values)


def test_every_arrangement_is_as_likely():
    # Each row is a group, so the sums are the arrangement itself.
    sums = permuted([1, 10, 100, 1000], np.arange(4), range(5), [0, 4], 24_000)
    found, times = np.unique(sums, axis=0, return_counts=True)
    assert len(found) == 24
    assert chisquare(times).pvalue > 0.001


def test_clusters_move_as_a_whole_and_within_their_class():
    values = [1, 2, 10, 20, 100, 200, 7, 8, 9]
    sums = permuted(values, np.arange(9), [0, 2, 4, 6, 7, 8, 9], [0, 3, 6], 3000)
    pairs = {tuple(row) for row in sums[:, :6].reshape(-1, 2)}
    assert pairs == {(1, 2), (10, 20), (100, 200)}
    assert len(np.unique(sums[:, :6], axis=0)) == math.factorial(3)
    assert len(np.unique(sums, axis=0)) == math.factorial(3) ** 2
    assert set(sums[:, 6:].ravel()) == {7, 8, 9}


def test_p_search_is_the_share_of_all_arrangements():
    # Seven samples: every one of 5,040 arrangements is searched, the slow and certain way.
    values = np.array([3.0, 1, 4, 1, 5, 9, 2])
    concepts = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 0, 0]], bool)
    options = {"length": 2, "beam": 2, "min_count": 2, "max_fraction": 0.6}
    own = label(values, concepts, **options)[0].auc
    columns = np.array(list(itertools.permutations(values))).T
    exact = np.mean([x.auc >= own for x in label(columns, concepts, **options)])
    found = label(values, concepts, permutations=20_000, seed=1, **options)[0]
    spread = math.sqrt(exact * (1 - exact) / 20_000)
    if exact > 20 / 20_000:  # stopped at the twentieth that is as good
        spread = exact / math.sqrt(20)
    assert abs(found.p_search - exact) < 4 * spread + 1e-4


def test_permutations_that_are_just_as_good_count():
    # Two neurons of yes and no share a null of few values, and most permutations equal what is found.
    values = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0], [0, 0]], float)
    concepts = np.array([[1], [0], [1], [0], [0], [0], [0]], bool)
    options = {"length": 1, "min_count": 2, "negation": False}
    arrangements = np.array(list(itertools.permutations(values[:, 0]))).T
    exact = np.mean([x.auc >= 0.5 for x in label(arrangements, concepts, **options)])
    for x in label(values, concepts, permutations=2000, **options):
        assert x.p_search == pytest.approx(
            np.mean([y.auc >= x.auc for y in label(arrangements, concepts, **options)]), abs=0.05
        )
        assert x.p_search > 0.4
    assert 0.4 < exact < 0.7


def test_the_null_is_that_of_permuted_activations(data):
    values, concepts = data
    searcher = Searcher(group(Concepts.from_array(concepts)), Rules())
    ranks = AUC().weigh(values[:, :1], searcher.groups.apart()).sums[0]
    trade = exchange_blocks(searcher.groups.row_weights)
    null = null_scores(ranks[np.newaxis], trade, searcher, (0, 0), 0, 500, [-np.inf])[0]
    rng = np.random.default_rng(9)
    slow = [x.auc for x in label(rng.permuted(np.tile(values[:, 0], (500, 1)), axis=1).T, concepts)]
    assert np.mean(null) == pytest.approx(np.mean(slow), abs=4 * np.std(slow) * math.sqrt(2 / 500))
    assert np.std(null) == pytest.approx(np.std(slow), rel=0.25)


def test_noise_is_not_believed_and_signal_is(data):
    labels = label(*data, permutations=999)
    p = [x.p_search for x in labels]
    assert p[3] == 1 / 1000
    assert sorted(p)[1] > 0.01
    assert np.mean([x.p < 0.05 for x in labels]) > 0.5
    assert [x.neuron for x in labels.significant(0.05)] == [3]
    assert all(x.permutations == 999 for x in labels)


def test_neurons_without_ties_share_a_null_and_p_does_not_depend_on_the_others(data):
    values, concepts = data
    every = label(values, concepts, permutations=499, seed=5)
    assert [x.p_search for x in label(values, concepts, permutations=499, seed=5, neurons=[4, 7])] == [
        every[4].p_search,
        every[7].p_search,
    ]
    order = np.random.default_rng(1).permutation(N)
    assert every[4].p_search != label(values, concepts, permutations=499, seed=6)[4].p_search
    again = label(values[order], concepts[order], permutations=499, seed=5)
    assert abs(again[4].p_search - every[4].p_search) < 0.1


def test_neurons_with_the_same_ties_share_a_null(data, monkeypatch):
    values, concepts = data
    calls = []
    original = permutation.null_scores
    monkeypatch.setattr(permutation, "null_scores", lambda *given: calls.append(1) or original(*given))
    halves = with_middle_ties(values, 300)[:, [0, 1, 2, 4, 5]]
    together = [(x.p_search, x.permutations) for x in label(halves, concepts, permutations=640)]
    n_calls = len(calls)
    alone = [label(halves, concepts, permutations=640, neurons=[j])[j] for j in range(5)]
    assert [(x.p_search, x.permutations) for x in alone] == together
    assert len(calls) - n_calls > n_calls == max(-(-x.permutations // 64) for x in alone)


def test_a_few_ties_are_broken_and_the_null_is_shared(monkeypatch):
    rng = np.random.default_rng(0)
    concepts = rng.random((4000, 6)) < 0.25
    values = rng.normal(size=(4000, 8))
    values[0, :4] = values[1, :4]
    values[2, :2] = values[3, :2]
    tied = label(values, concepts, permutations=999)
    values[0] += 1e-9
    values[2] += 1e-9
    free = label(values, concepts, permutations=999)
    for one, other in zip(tied, free, strict=True):
        assert one.permutations == 999
        assert abs(one.p_search - other.p_search) <= 0.01


@pytest.mark.parametrize("max_fraction", [0.5, 1.0])
def test_float32_neurons_share_a_null_whatever_the_fractions(max_fraction):
    rng = np.random.default_rng(0)
    concepts, values = rng.random((6000, 4)) < 0.25, rng.normal(size=(6000, 6)).astype(np.float32)
    values[:5] = values[1:6]
    labels = label(values, concepts, permutations=199, length=1, max_fraction=max_fraction, clusters=False)
    assert [x.permutations for x in labels] == [199] * 6


def test_layers_of_one_data_set_share_their_null(data, monkeypatch):
    values, concepts = data
    calls = []
    original = permutation.null_scores
    monkeypatch.setattr(permutation, "null_scores", lambda *given: calls.append(1) or original(*given))
    labels = label({"a": values[:, :6], "b": values[:, 6:], "c": values}, concepts, permutations=640)
    assert len(calls) == 10
    alone = label(values, concepts, permutations=640)
    assert [x.p_search for x in labels.filter(layer="c")] == [x.p_search for x in alone]


def test_a_hopeless_neuron_is_given_up_early(data):
    values, concepts = data
    lone = with_middle_ties(values[:, 0], 250)  # no other has its ties
    found = label(lone, concepts, permutations=9_999)[0]
    assert found.permutations < 9_999
    searcher = Searcher(group(Concepts.from_array(concepts)), Rules())
    ranks = np.sort(AUC().weigh(lone[:, None], searcher.groups.apart()).sums[0])
    trade = exchange_blocks(searcher.groups.row_weights)
    key = (0, permutation._digest(ranks))
    parts = (null_scores(ranks[np.newaxis], trade, searcher, key, chunk, 64, [-np.inf]) for chunk in range(100))
    scores = np.concatenate(list(parts), axis=1)[0]
    twentieth = np.flatnonzero(scores >= found.auc)[19] + 1
    assert found.p_search == 20 / twentieth
    assert found.permutations == twentieth  # of those searched, those that p comes from


@pytest.mark.parametrize(
    "options", [{}, {"direction": "both"}, {"clusters": np.arange(N) // 2}, {"strata": np.arange(N) % 3}]
)
def test_the_numbers_do_not_depend_on_the_workers(data, options):
    values, concepts = data
    zeros = [np.maximum(values - np.arange(100, 112), 0), np.maximum(values - 200, 0)]
    values = np.concatenate([values, *zeros, with_middle_ties(values, np.arange(300, 324, 2))], axis=1)
    asked = {"permutations": 150, "seed": 3, "stability": 4, "holdout": 0.5, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, two = (label(values, concepts, n_jobs=n, **asked) for n in (1, 3))
    assert one == two
    assert all(x.p_search > 0 for x in one)


def test_both_directions_are_tested_together(data):
    values, concepts = data
    values = np.concatenate([values, -values[:, [3]]], axis=1)
    both = label(values, concepts, permutations=499, direction="both")
    high = label(values, concepts, permutations=499)
    assert both.filter(direction="high")[3].p_search == 1 / 500
    assert both.filter(direction="low")[12].p_search == 1 / 500
    # What is best in either direction is at least what is best in one.
    assert all(x.p_search >= high[x.neuron].p_search for x in both.filter(direction="high"))
    q = [x.q for x in both]
    assert len(q) == 26


def test_clusters_of_dependent_samples_are_permuted_as_a_whole():
    rng = np.random.default_rng(0)
    video = np.repeat(np.arange(60), 10)
    concepts = (rng.random((60, 8)) < 0.3)[video]
    values = rng.normal(size=(60, 30))[video] + 0.1 * rng.normal(size=(600, 30))
    by_sample = label(values, concepts, permutations=199, min_count=60, clusters=False)
    by_video = label(values, concepts, permutations=199, min_count=60, clusters=video)
    assert all(x.p_search <= 2 / 200 for x in by_sample)  # among permutations, too, the best formula is found
    assert np.mean([x.p_search <= 0.05 for x in by_video]) < 0.25
    assert np.mean([x.p_search for x in by_video]) > 0.3


def test_strata_take_out_what_concepts_and_activations_both_follow():
    rng = np.random.default_rng(0)
    site = np.repeat([0, 1], 500)
    concepts = rng.random((1000, 6)) < np.where(site, 0.4, 0.1)[:, None]
    values = rng.normal(size=(1000, 10)) + 2 * site[:, None]
    assert all(x.p_search < 0.01 for x in label(values, concepts, permutations=199))
    within = [x.p_search for x in label(values, concepts, permutations=199, strata=site)]
    assert np.mean(within) > 0.25


def test_weights_are_permuted_among_their_equals(data):
    values, concepts = data
    weights = np.repeat([1, 2], N // 2)
    labels = label(values, concepts, weights=weights, permutations=299)
    assert labels[3].p_search == 1 / 300
    assert np.mean([x.p_search for x in labels]) > 0.2
    with pytest.raises(OptionError, match="almost nothing is left to permute: only samples of equal weights"):
        label(values, concepts, weights=np.arange(1, N + 1), permutations=99)


def test_constant_and_infeasible_neurons_have_no_p(data):
    values, concepts = data
    values[:, 0] = 1.0
    labels = label(values, concepts, permutations=299)
    assert labels[0].reason == "constant"
    assert math.isnan(labels[0].p_search)
    assert math.isnan(labels[0].q)
    assert labels[0].permutations is None
    none = label(values, concepts, permutations=99, min_count=200, length=1, negation=False)
    assert all(math.isnan(x.p_search) for x in none)


def test_the_tail_goes_below_what_permutations_reach_and_is_marked(data):
    values, concepts = data
    plain, fitted = (label(values, concepts, permutations=999, tail=tail) for tail in (False, True))
    assert fitted[3].tail
    assert 0 < fitted[3].p_search < plain[3].p_search
    assert plain[3].tail is None
    assert [x.tail for x in fitted if x.p_search > 0.02] == [False] * 11
    assert "from a fitted tail" in str(fitted[3])
    assert fitted[3].p_search_text.startswith(("≈ ", "≤ "))
    assert plain[3].p_search_text == "0.001"
    assert fitted[3].p_search >= 1e-4 / 1000
    assert "≈" in repr(fitted) or "≤" in repr(fitted)


def test_automatic_permutations_can_pass_the_correction(data):
    values, concepts = data
    labels = label(values, concepts, permutations="auto")
    assert all(x.permutations == 9_999 for x in labels)
    assert labels[3].q <= 0.05
    lone = label(with_middle_ties(values[:, [3]], 300), concepts, permutations="auto")[0]
    assert lone.permutations <= 999


def test_a_p_that_cannot_get_small_enough_warns(data):
    values, concepts = data
    message = (
        r"the p_search of 1 label \(neuron 3\) is the smallest that 19 permutations allow, 0.05, .* among 12 labels"
    )
    with pytest.warns(UserWarning, match=message + r".* use permutations=240, or tail=True"):
        label(values, concepts, permutations=19)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"permutations": 18}, "permutations=18 cannot give a p below 0.053: use at least 19 to reach p ≤ 0.05"),
        ({"permutations": "many"}, "permutations must be a whole number of at least 0 or 'auto', not 'many'"),
        ({"permutations": -1}, "permutations must be a whole number of at least 0"),
        ({"permutations": 1.5}, "permutations must be a whole number"),
        ({"permutations": 99, "seed": -1}, "seed must be a whole number of at least 0"),
        ({"tail": True}, "tail=True fits the tail of the permutation null: use at least 120 permutations, not 0"),
        ({"permutations": 99, "strata": np.arange(N)}, "only samples within their stratum trade places"),
        ({"permutations": 99, "tail": True}, "use at least 120 permutations, not 99"),
        ({"permutations": 99, "clusters": np.zeros(N)}, "all samples are in one cluster: evidence needs"),
        (
            {"permutations": 99, "clusters": [0] * 100 + [1] * (N - 100)},
            r"almost nothing is left to permute: only clusters of equal size trade places, and 2 clusters in 2 classes "
            r"can be arranged in 1 way .* or clusters=False \(--clusters none\) or no permutations",
        ),
        ({"clusters": np.arange(N) % 2}, "clusters only affect permutations, holdout, folds, stability and effects"),
        ({"permutations": np.array([99, 199])}, "permutations must be a whole number of at least 0 or 'auto'"),
        ({"permutations": 99, "clusters": [1, 2]}, "clusters must be one label per sample"),
    ],
)
def test_what_cannot_be_given_is_refused(data, options, message):
    with pytest.raises(OptionError, match=message):
        label(*data, **options)


def test_samples_that_mostly_stay_in_place_raise_a_warning(data):
    values, concepts = data
    clusters = np.concatenate([np.repeat(np.arange(24), np.arange(1, 25)), np.arange(100, 200)])
    assert len(clusters) == N
    with pytest.warns(UserWarning, match=r"75% of the samples cannot be permuted, because no other cluster"):
        label(values[:, :2], concepts, permutations=99, clusters=clusters)


def test_ctrl_c_gives_back_what_is_done(data, monkeypatch):
    values, concepts = data
    values = np.concatenate([values, with_middle_ties(values, np.arange(300, 324, 2))], axis=1)
    original = permutation.null_scores
    calls = []

    def stopping(*given):
        calls.append(given)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return original(*given)

    monkeypatch.setattr(permutation, "null_scores", stopping)
    with pytest.warns(UserWarning, match="interrupted: the labels have the evidence computed so far"):
        labels = label(values, concepts, permutations=640, n_jobs=1)
    done = [x for x in labels if not math.isnan(x.p_search)]
    assert 12 <= len(done) < 24
    assert all(x.best is not None for x in labels)
    assert all(x.permutations == 640 for x in list(labels)[:12])
    calls[:] = [()] * 15
    with pytest.warns(UserWarning, match="interrupted"):
        labels = label(values[:, :12], concepts, permutations=640, n_jobs=1)
    assert {x.permutations for x in labels} == {4 * 64}
    assert all(x.p_search >= 1 / (4 * 64 + 1) for x in labels)


def test_what_was_not_tested_is_not_said_to_vanish(data, monkeypatch):
    values, concepts = data
    lone = with_middle_ties(values, np.arange(184, 208, 2))
    original = permutation._test_alone
    calls = []
    monkeypatch.setattr(permutation, "_NEURONS", 1)

    def stopping(*given):
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return original(*given)

    monkeypatch.setattr(permutation, "_test_alone", stopping)
    with pytest.warns(StoppedWarning, match="interrupted"):
        labels = label(lone, concepts, permutations=199, n_jobs=1)
    tested = [x for x in labels if not math.isnan(x.p_search)]
    assert 0 < len(tested) < 12
    summary = labels.summary()
    assert summary.untested == 12 - len(tested)
    assert f"untested, because the permutations were stopped: {summary.untested}" in str(summary)
    assert summary.vanished <= len(tested)
    # q counts them, as if they were noise.
    p = [1.0 if math.isnan(x.p_search) else x.p_search for x in labels]
    assert [x.q for x in tested] == pytest.approx(
        [q for q, x in zip(benjamini_hochberg(p), labels, strict=True) if x in tested]
    )
    assert all(math.isnan(x.q) for x in labels if x not in tested)


def test_a_progress_bar_shows_permutations(data, capsys):
    values, concepts = data
    values = np.concatenate([values, with_middle_ties(values[:, :1], 300)], axis=1)
    label(values, concepts, permutations=320, progress=True)
    shown = capsys.readouterr().err
    assert "320/320" in shown
    assert "permutations" in shown
    assert "1/1" in shown


def test_the_test_stands_alone(data):
    values, concepts = data
    searcher = Searcher(group(Concepts.from_array(concepts)), Rules())
    weighed = AUC().weigh(values, searcher.groups)
    best = searcher.best(weighed.sums)[:, None]
    best[5] = -np.inf
    nulls = Nulls.none(best.shape)
    test = PermutationTest(
        Activations(values), np.arange(12), searcher, exchange_blocks(searcher.groups.row_weights), 99, 99
    )
    test.run(best, weighed.ties, nulls)
    assert np.isnan(nulls.p[:, 0]).tolist() == [j == 5 for j in range(12)]
    assert nulls.permutations[:, 0].tolist() == [99 * (j != 5) for j in range(12)]


# The ladder of ties


def relu(values, shares):
    """Make the lowest share of each column zero."""
    return np.maximum(values - np.quantile(values, shares, axis=0)[np.arange(len(shares)), np.arange(len(shares))], 0)


@pytest.mark.parametrize("n", [2, 3, 20, 1000, 10_000])
def test_rungs_are_close_and_few(n):
    ladder = Ladder(n)
    sizes = np.arange(1, n)
    ties = sizes.astype(float) ** 3 - sizes
    rungs = ladder.find(ties, sizes, np.ones_like(sizes))
    # Every neuron with zeros alone has a rung, the variance grows by at most 5% in SD, and the rung is below it.
    assert (rungs >= 1).all()
    assert (rungs <= sizes).all()
    below = (rungs.astype(float) ** 3 - rungs) / (n**3 - n)
    assert ((1 - below) / (1 - ties / (n**3 - n)) <= 1.05**2 * (1 + 1e-12)).all()
    assert np.array_equal(ladder.find(ties, np.ones_like(sizes), sizes), np.where(rungs > 1, -rungs, 1))
    if n == 10_000:
        assert len(np.unique(rungs[:9000])) == 14
        assert len(np.unique(rungs[:9990])) <= 60


def test_a_rung_keeps_the_order_of_what_differs_and_breaks_ties_at_random():
    column = np.repeat([0.0, 1, 2, 3], [60, 10, 10, 20])
    ladder = Ladder(100)
    codes, firsts = ladder.codes(40), []
    assert codes[:41].tolist() == [39] * 40 + [40]
    for seed in range(300):
        order = ladder.order(column, (seed,))
        assert (np.diff(column[order]) >= 0).all()
        assert np.array_equal(np.sort(order), np.arange(100))
        assert np.array_equal(order, ladder.order(np.exp(column), (seed,)))  # it depends on ranks alone
        firsts.append(order[:40])
    in_block = np.bincount(np.concatenate(firsts), minlength=60)
    assert chisquare(in_block).pvalue > 1e-4
    assert ladder.codes(-40)[59:].tolist() == [59, *[60] * 40]
    assert ladder.codes(1).tolist() == list(range(100))


def test_ties_that_no_rung_is_close_to_keep_a_null_of_their_own():
    middle = np.sort(with_middle_ties(np.arange(float(N)), 300))
    _, times = np.unique(middle, return_counts=True)
    own = float((times**3 - times).sum())
    assert Ladder(N).find(np.array([own]), np.array([1]), np.array([1])).tolist() == [0]
    assert Ladder(N).find(np.array([2.0 * 200**3]), np.array([200]), np.array([200])).tolist() == [0]


@pytest.mark.parametrize("turned", [False, True])
def test_neurons_with_zeros_share_a_few_nulls(data, monkeypatch, turned):
    values, concepts = data
    seen = []
    original = permutation.null_scores
    monkeypatch.setattr(permutation, "null_scores", lambda *given: seen.append(len(given[0])) or original(*given))
    zeros = relu(values, np.linspace(0.5, 0.9, 12))
    labels = label(-zeros if turned else zeros, concepts, permutations=640, direction="both")
    assert 8 <= max(seen) <= 12  # rungs from 50% to 90%
    assert len(seen) == 10  # chunks, whatever the number of rungs
    assert {x.permutations for x in labels} == {640}
    planted = [x.p_search for x in labels if x.neuron == 3]
    assert min(planted) <= 3 / 641


def test_p_on_a_rung_is_near_that_of_its_own_null(data, monkeypatch):
    # A signal that is neither hopeless nor certain: the null of the rung and its own agree but for the ties broken.
    values, concepts = data
    rng = np.random.default_rng(3)
    values = relu(rng.normal(size=(N, 12)) + 0.35 * concepts[:, [1]], np.linspace(0.5, 0.9, 12))
    shared = label(values, concepts, permutations=4999)
    monkeypatch.setattr(Ladder, "find", lambda self, ties, *_: np.zeros(len(ties), np.int64))
    own = label(values, concepts, permutations=4999)
    ratio = np.log10([x.p_search for x in shared]) - np.log10([x.p_search for x in own])
    assert abs(np.median(ratio)) < 0.35
    assert np.corrcoef([x.p_search for x in shared], [x.p_search for x in own])[0, 1] > 0.8


@pytest.mark.filterwarnings("ignore:the p_search of")
@pytest.mark.parametrize(("share", "dtype"), [(0.5, np.float64), (0.98, np.float64), (0.7, np.float16)])
def test_noise_with_zeros_is_significant_as_often_as_it_should_be(share, dtype):
    rng = np.random.default_rng(5)
    concepts = rng.random((N, 6)) < 0.3
    values = relu(rng.normal(size=(N, 1500)), np.full(1500, share)).astype(dtype)
    p = np.array([x.p_search for x in label(values, concepts, permutations=1999, length=2, clusters=False)])
    assert 0.03 <= np.mean(p <= 0.05) <= 0.07
    assert kstest(p, "uniform").statistic < 0.06


@pytest.mark.parametrize("search", ["beam", "auto"])
def test_scores_below_the_floor_are_alone_left_out(data, search):
    values, concepts = data
    searcher = Searcher(group(Concepts.from_array(concepts)), Rules(search=search))
    sums = AUC().weigh(values, searcher.groups).sums
    every = searcher.best(sums)
    floor = float(np.median(every))
    found = searcher.bounded().best(sums, floor)
    assert np.array_equal(found[every >= floor], every[every >= floor])
    assert ((found == every) | (found == -np.inf)).all()
    assert (found == -np.inf).any()
