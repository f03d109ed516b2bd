"""Labels within strata: what they are, and that a confounder of concepts and activations does not make them."""

import warnings

import numpy as np
import pytest

from neuronym import Concepts, OptionError, label
from neuronym.data.groups import group
from neuronym.stats import auc_interval, hold_out
from reference import percentiles, stratified_auc, stratified_delong

N = 400


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    site = rng.permutation(np.r_[0, 1, 2, np.arange(N - 3) % 3])
    concepts = rng.random((N, 5)) < np.array([0.15, 0.3, 0.5])[site][:, None]
    values = rng.normal(size=(N, 12)) + 2.0 * site[:, None]
    values[:, 3] += 1.5 * (concepts[:, 0] & ~concepts[:, 1])
    values[:, 4] = np.maximum(values[:, 4] - 2, 0)
    values[:, 5] = site  # differs between strata alone
    return values, concepts, site


@pytest.mark.parametrize("options", [{}, {"search": "beam"}, {"direction": "both"}, {"weights": True}])
def test_labels_within_strata_are_those_of_percentiles(data, options):
    values, concepts, site = data
    rows = np.arange(N)
    if "weights" in options:
        weights = np.random.default_rng(1).integers(1, 4, N)
        rows, options = np.repeat(rows, weights), {"weights": weights}
    exact = np.empty(values.shape)
    for j in range(values.shape[1]):
        exact[rows, j] = [float(x) for x in percentiles(values[rows, j], site[rows])]
    within = label(values, concepts, strata=[f"site {s}" for s in site], **options)
    assert within == label(exact, concepts, **options)
    plain = label(values, concepts, **options)
    assert within != plain
    assert label(values, concepts, strata=["one"] * N, **options) == plain
    assert {x.reason for x in within if x.neuron == 5} == {"constant"}


@pytest.mark.parametrize("clusters", [None, np.arange(N) // 2])
def test_held_out_numbers_are_those_within_strata_of_the_other_part(data, clusters):
    values, concepts, site = data
    site = site if clusters is None else np.repeat(site[::2], 2)
    asked = {"strata": site, "clusters": clusters, "direction": "both", "min_count": 10}
    labels = label(values, concepts, holdout=0.5, **asked)
    sets = Concepts.from_array(concepts)
    coded = np.argsort(np.argsort(np.unique(site, return_index=True)[1]))[site]  # by first appearance
    held = hold_out(group(sets).row_groups, clusters, 0.5, 0, coded)
    for one in labels:
        if one.formula is None:
            continue
        column = values[held, one.neuron] * (1 if one.direction == "high" else -1)
        inside = one.formula.evaluate(sets)[held]
        assert one.auc_heldout == pytest.approx(float(stratified_auc(column, inside, site[held])), rel=1e-12)
        assert one.auc_low < one.auc_heldout < one.auc_high
        if clusters is None:
            variance, numbers = stratified_delong(column, inside, site[held]), []
            for side in (
                inside,
                ~inside,
            ):  # a sample counts as many as are on the other side, per sample of its stratum
                counts = np.array([(~side & (site[held] == s)).sum() / ((site[held] == s).sum() + 1) for s in range(3)])
                each = counts[site[held][side]]
                numbers.append(each.sum() ** 2 / (each**2).sum())
            interval = auc_interval(one.auc_heldout, variance, *numbers)
            assert (one.auc_low, one.auc_high) == pytest.approx(tuple(map(float, interval)))
    (real,) = labels.filter(lambda x: x.neuron == 3 and x.direction == "high")
    assert real.p < 1e-4
    assert all(abs(held[site == s].mean() - 0.5) < 0.1 for s in range(3))
    folds = label(values, concepts, folds=4, **asked)
    (real,) = folds.filter(lambda x: x.neuron == 3 and x.direction == "high")
    assert real.auc_heldout > 0.7


def test_noise_that_follows_a_site_is_no_finding_within_sites():
    rng = np.random.default_rng(0)
    site = np.repeat([0, 1], [700, 300])
    concepts = rng.random((1000, 6)) < np.where(site, 0.4, 0.1)[:, None]
    values = rng.normal(size=(1000, 300)) + 2 * site[:, None]
    options = {"permutations": 99, "holdout": 0.5, "search": "beam", "length": 2}
    for strata, spurious in ((None, True), (site, False)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 99 permutations are few for 300 labels
            labels = label(values, concepts, strata=strata, **options)
        for of_label in (lambda x: x.p_search <= 0.05, lambda x: x.p <= 0.05):
            share = np.mean([of_label(x) for x in labels])
            assert share > 0.7 if spurious else 0.01 < share < 0.09
        aucs = [x.auc_heldout for x in labels]
        assert (np.mean(aucs) > 0.65) if spurious else np.mean(aucs) == pytest.approx(0.5, abs=0.01)
    gains = [step.p_gain for x in labels for step in x.path if step is not None and len(step.formula.concepts) == 2]
    assert np.mean(np.array(gains) <= 0.05) < 0.08


def test_evidence_within_strata_does_not_depend_on_the_order_of_samples_or_their_names(data):
    values, concepts, site = data
    options = {"effects": True, "stability": 5, "permutations": 259, "seed": 2, "length": 2}
    numbers = label(values, concepts, strata=site, **options)
    named = label(values, concepts, strata=np.array(["a", "b", "c"])[site], n_jobs=2, **options)
    assert numbers == named
    assert all(x.auc_low < x.auc_high for x in numbers if x.formula)


def test_a_concept_that_is_a_stratum_is_named(data):
    values, concepts, site = data
    more = Concepts.from_array(np.c_[concepts, site == 2], ["a", "b", "c", "d", "e", "site 2"])
    with pytest.warns(UserWarning, match=r"^1 concept \('site 2'\) never differs between samples of one stratum:"):
        labels = label(values, more, strata=site, length=1, negation=False)
    without = label(values, concepts, names=list("abcde"), strata=site, length=1, negation=False)
    assert [(x.formula, x.auc) for x in labels] == [(x.formula, x.auc) for x in without]
    only = Concepts.from_array((site == 2)[:, None], ["site 2"])
    for strata in (site, np.arange(N)):
        with pytest.raises(OptionError, match="no concept differs between samples of one stratum"):
            label(values, only if strata is site else concepts, strata=strata)


def test_few_samples_of_a_stratum_are_held_out_and_measured(data):
    values, concepts, _ = data
    small = np.r_[np.arange(60), np.arange(N - 60) // 4 + 60]  # 60 of one sample, 85 of four
    labels = label(values[:, :4], concepts, strata=small, holdout=0.5, min_count=10)
    assert all(0 <= x.auc_heldout <= 1 and 0 <= x.auc_low < x.auc_high <= 1 and 0 < x.p <= 1 for x in labels)
    with pytest.raises(OptionError, match="strata lack a label for 1 sample"):
        label(values, concepts, strata=[None, *["a"] * (N - 1)])
