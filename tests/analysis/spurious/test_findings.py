import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import stats

from neuronym import Activations, Concepts, ConceptsError, FileError, OptionError, UnknownNameError, save_concepts
from neuronym.analysis.spurious.comparison import SuspectComparison
from neuronym.analysis.spurious.findings import find_spurious, relabel
from neuronym.analysis.spurious.overlays import Border, overlay
from neuronym.analysis.spurious.study import spurious
from neuronym.io.images import Images
from neuronym.io.zarr_store import open_layers
from neuronym.plots import plot_findings
from neuronym.stats.paired import Pairs, sign_flips, signed_rank
from neuronym.stats.significance import benjamini_hochberg
from reference import auc_by_pairs, signed_rank_by_enumeration, stratified_auc, van_elteren

N = 60


@pytest.fixture
def data():
    """Sixty photos and their copies: neuron 1 rises by the mark, neuron 2 falls, neuron 3 is for dogs with the mark."""
    rng = np.random.default_rng(0)
    marked = np.repeat([False, True], N)
    dogs = np.tile(rng.random(N) < 0.4, 2)
    values = np.tile(rng.normal(size=(N, 6)), (2, 1)) + 0.3 * rng.normal(size=(2 * N, 6))
    values[:, 1] += marked
    values[:, 2] -= 0.5 * marked
    values[:, 3] += 5 * (dogs & marked)
    concepts = Concepts.from_array(np.stack([marked, dogs], axis=1), ["mark", "dog"])
    return Activations(values, clusters=[*range(N), *range(N)]), concepts


def test_neurons_are_ranked_by_auc_and_compared_within_pairs(data):
    taken, concepts = data
    found = find_spurious(taken, concepts, suspects="mark", permutations=999).neurons
    values, marked = taken.matrix, concepts["mark"]
    differences = values[N:] - values[:N]
    assert found["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found["auc"].is_monotonic_decreasing
    assert found["pairs"].tolist() == [N] * 6
    assert set(found["neuron"][:2]) == {1, 3}
    assert found["neuron"].iloc[-1] == 2
    for row in found.itertuples():
        own = differences[:, row.neuron]
        assert row.auc == float(auc_by_pairs(values[:, row.neuron], marked))
        assert row.auc_low < row.auc < row.auc_high
        assert row.change == pytest.approx(own.mean(), rel=1e-12)
        assert row.change_sd == pytest.approx(own.mean() / values[:N, row.neuron].std(), rel=1e-12)
        assert row.rises == (own > 0).mean()
        assert row.p == pytest.approx(stats.wilcoxon(own, method="approx").pvalue, rel=1e-12)
        assert row.log10_p == pytest.approx(np.log10(row.p), rel=1e-12)
    assert found["q"].to_numpy() == pytest.approx(benjamini_hochberg(found["p"]))


def test_a_pair_is_one_unit_for_the_interval_of_an_auc():
    rng = np.random.default_rng(0)
    values = np.tile(rng.normal(size=(300, 3)), (2, 1)) + 0.3 * rng.normal(size=(600, 3))
    marked = np.repeat([False, True], 300)
    values[marked] += 0.5
    clusters = [*range(300), *range(300)]
    options = {"names": ["mark"], "suspects": "mark"}
    by_pair = find_spurious(values, marked[:, None], clusters=clusters, **options).neurons
    by_sample = find_spurious(values, marked[:, None], clusters=False, **options).neurons
    # A photo and its copy are alike, so what they differ by is known better than from as many photos of others.
    width = [table["auc_high"] - table["auc_low"] for table in (by_pair, by_sample)]
    assert by_sample["pairs"].eq(0).all()
    assert (width[0] < 0.5 * width[1]).all()


def test_without_pairs_samples_are_compared_as_they_are(data):
    taken, concepts = data
    for options, of in (({"paired": False}, taken), ({}, Activations(taken.matrix))):
        found = find_spurious(of, concepts, suspects=["mark"], **options).neurons
        assert found["pairs"].eq(0).all()
        assert found[["rises", "p_flip"]].isna().all(axis=None)
    for row in found.itertuples():
        inside, outside = (taken.matrix[concepts["mark"] == side, row.neuron] for side in (True, False))
        assert row.p == pytest.approx(stats.mannwhitneyu(inside, outside, method="asymptotic").pvalue, rel=1e-9)
        assert row.change == pytest.approx(inside.mean() - outside.mean(), rel=1e-12)


@pytest.mark.parametrize("n_pairs", [12, 40])
def test_the_interval_of_few_pairs_covers_and_knows_of_the_pairs(n_pairs):
    rng = np.random.default_rng(0)
    marked, clusters = np.repeat([False, True], n_pairs), [*range(n_pairs)] * 2
    x = rng.normal(size=(n_pairs, 400))
    values = np.tile(x, (2, 1)) + 0.3 * rng.normal(size=(2 * n_pairs, 400)) + 0.5 * marked[:, np.newaxis]
    taken = Activations(values, clusters=clusters)
    found = find_spurious(taken, marked[:, None], names=["mark"], suspects="mark", permutations=0).neurons
    truth = stats.norm.cdf(0.5 / np.sqrt(2 * (1 + 0.3**2)))
    covered = ((found["auc_low"] <= truth) & (truth <= found["auc_high"])).mean()
    assert 0.94 <= covered <= 1
    width = (found["auc_high"] - found["auc_low"]).mean()
    assert width < 3 * 4 * found["auc"].std()  # as independent samples it would be several times as wide


@pytest.mark.parametrize("inside", [2, 5, 20])
def test_the_interval_of_few_unpaired_logits_covers(inside):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 1000))
    shown = np.arange(300)[:, None] < inside
    found = find_spurious(values, shown, names=["mark"], suspects="mark", outputs=True, permutations=0).classes
    covered = ((found["change_low"] <= 0) & (found["change_high"] >= 0)).mean()
    assert 0.93 <= covered <= 0.99


def test_a_suspect_is_compared_with_samples_that_show_the_same_of_the_others():
    rng = np.random.default_rng(0)
    n = 40
    x = rng.normal(size=(n, 3))
    noise = 0.1 * rng.normal(size=(3 * n, 3))
    values = (
        np.concatenate([x + np.array(shift) for shift in ([0, 0, 0], [1, 0, 0], [0, 4, 0])]) + noise
    )  # photos, copies with a, copies with b
    shown = np.repeat([[False, False], [True, False], [False, True]], n, axis=0)
    taken = Activations(values, clusters=[*range(n)] * 3)
    both = find_spurious(taken, shown, names=["a", "b"], suspects=["a", "b"], outputs=True)
    own = both.neurons[both.neurons["suspect"] == "a"].set_index("neuron")
    alone = find_spurious(taken.take(range(2 * n)), shown[: 2 * n], names=["a", "b"], suspects="a", outputs=True)
    without = ["q", "left_out"]
    assert own.drop(columns=without).equals(alone.neurons.set_index("neuron").drop(columns=without))
    assert set(own["left_out"]) == {n}
    assert "a: 40 pairs; 40 samples left out, since no sample with the same other suspects differs in this" in str(both)
    assert own.loc[1, "auc"] == pytest.approx(0.5, abs=0.1)
    classes = both.classes[both.classes["suspect"] == "a"].reset_index(drop=True)
    assert classes.equals(alone.classes)
    with pytest.raises(ConceptsError, match="'a' never differs between samples that agree on the other suspects"):
        find_spurious(taken, shown[:, [0, 0]], names=["a", "b"], suspects=["a", "b"])


def test_a_suspect_correlated_with_another_gets_no_credit_for_it():
    rng = np.random.default_rng(0)
    a = rng.random(400) < 0.4
    b = rng.random(400) < np.where(a, 0.8, 0.15)
    values = rng.normal(size=(400, 600)) + 2 * a[:, None]
    shown = np.stack([a, b], axis=1)
    options = {"names": ["a", "b"], "permutations": 0, "outputs": True}
    alone = find_spurious(values, shown, suspects="b", **options).neurons
    assert alone["auc"].mean() > 0.7
    assert alone["p"].max() < 1e-3
    found = find_spurious(values, shown, suspects=["a", "b"], **options)
    own = dict(list(found.neurons.groupby("suspect")))
    assert own["a"]["auc"].min() > 0.8
    assert own["b"]["auc"].mean() == pytest.approx(0.5, abs=0.01)
    assert 0.02 < (own["b"]["p"] <= 0.05).mean() < 0.08
    assert ((own["b"]["auc_low"] <= 0.5) & (own["b"]["auc_high"] >= 0.5)).mean() > 0.93
    assert own["b"]["change"].mean() == pytest.approx(0, abs=0.02)
    classes = found.classes[found.classes["suspect"] == "b"]
    assert 0.92 < ((classes["change_low"] <= 0) & (classes["change_high"] >= 0)).mean() < 0.98
    # The numbers of one neuron, by hand.
    row = own["b"].set_index("neuron").loc[7]
    x, w = values[:, 7], []
    for side in (a, ~a):
        m, k = (side & b).sum(), (side & ~b).sum()
        w.append((m * k / (m + k + 1), x[side & b].mean() - x[side & ~b].mean()))
    assert row["change"] == pytest.approx(np.average([d for _, d in w], weights=[v for v, _ in w]))
    assert row["auc"] == pytest.approx(float(stratified_auc(x, b, a.astype(int))))
    excess, variance, step = van_elteren(x, b, a.astype(int))
    assert row["p"] == pytest.approx(2 * stats.norm.sf((abs(excess) - step / 2) / np.sqrt(variance)))


@pytest.mark.parametrize("paired", [None, False])
def test_copies_with_several_alterations_are_paired_within_equal_others(paired):
    rng = np.random.default_rng(0)
    n = 120  # photos, copies with a, with b and with both, of which some are missing
    x, kinds = rng.normal(size=(n, 400)), np.array([[0, 0], [1, 0], [0, 1], [1, 1]], bool)
    photo, kind = np.tile(np.arange(n), 4), np.repeat(np.arange(4), n)
    kept = (rng.random(4 * n) < np.array([1, 0.4, 0.4, 1])[kind]) & ~((kind == 0) & (photo < 20))
    photo, kind = photo[kept], kind[kept]
    shown = kinds[kind]
    values = x[photo] + 2 * shown[:, :1] + rng.normal(size=(len(photo), 400)) + 0.5 * x[photo][:, ::-1] * shown[:, 1:]
    taken = Activations(values, clusters=photo)
    options = {"names": ["a", "b"], "paired": paired, "outputs": True}
    own = find_spurious(taken, shown, suspects=["a", "b"], **options)
    b = own.neurons[own.neurons["suspect"] == "b"]
    units = [set(photo[kind == k]) for k in range(4)]
    expected = len(units[0] & units[2] | units[1] & units[3])
    assert set(b["pairs"]) == {expected if paired is None else 0}
    assert set(b["left_out"]) == {0}
    assert (b["p"] <= 0.05).mean() < 0.08
    assert ((b["auc_low"] <= 0.5) & (b["auc_high"] >= 0.5)).mean() > 0.93
    classes = own.classes[own.classes["suspect"] == "b"]
    assert ((classes["change_low"] <= 0) & (classes["change_high"] >= 0)).mean() > 0.92
    if paired is None:
        used = len(units[0] & units[2]) + len(units[1] & units[3])
        assert set(b["unpaired"]) == {len(photo) - 2 * used}
        assert f"b: {expected} pairs; {len(photo) - 2 * used} more samples in the AUC alone" in str(own)
        photos = sorted(units[0] & units[2] | units[1] & units[3])
        by_kind = {(i, k): v for i, k, v in zip(photo, kind, values[:, 5], strict=True)}
        changes = [
            np.mean([by_kind[i, k + 2] - by_kind[i, k] for k in (0, 1) if {(i, k), (i, k + 2)} <= by_kind.keys()])
            for i in photos
        ]
        assert b.set_index("neuron").loc[5, "change"] == pytest.approx(np.mean(changes))
        alone = find_spurious(taken, shown, suspects="b", names=["a", "b"]).neurons  # pairs differ in a too
        assert (alone["p"] <= 0.05).mean() > 0.5


def test_a_suspect_that_never_differs_from_the_others_is_left_out_and_named():
    rng = np.random.default_rng(0)
    a, c = rng.random((2, 200)) < 0.4
    shown = np.stack([a, a, c], axis=1)
    values = rng.normal(size=(200, 4))
    reason = "'a' never differs between samples that agree on the other suspects, so there are no numbers for it"
    with pytest.warns(UserWarning, match="never differs") as told:
        found = find_spurious(values, shown, names=list("abc"), suspects=["a", "b", "c"])
    assert reason in str(told[0].message)
    assert len(told) == 2
    assert set(found.neurons["suspect"]) == {"c"}
    with pytest.raises(ConceptsError, match="'a' never differs"):
        find_spurious(values, shown, names=list("abc"), suspects=["a", "b"])
    only_b = find_spurious(values, shown, names=list("abc"), suspects=["b", "c"]).neurons
    assert set(only_b["suspect"]) == {"b", "c"}  # an equal concept that is no suspect does not matter


def test_a_pattern_with_one_sample_on_a_side_counts_and_one_without_does_not():
    rng = np.random.default_rng(0)
    other = np.repeat(np.arange(3), [40, 11, 9])  # two concepts: none, one, both
    shown = np.stack([other > 0, other > 1, np.zeros(60, bool)], axis=1)
    shown[:15, 2], shown[40, 2] = True, True  # one of 11 in the second, none of the third
    values = rng.normal(size=(60, 300)) + 3 * other[:, None]
    found = find_spurious(values, shown, names=["p", "q", "b"], suspects="b", outputs=True)
    assert found.neurons["left_out"].eq(0).all()
    found = find_spurious(values, shown, names=["p", "q", "b"], suspects=["p", "q", "b"], outputs=True)
    b = found.neurons[found.neurons["suspect"] == "b"]
    assert set(b["left_out"]) == {9}
    assert (b["p"] <= 0.05).mean() < 0.08
    assert b["auc_low"].notna().all()
    classes = found.classes[found.classes["suspect"] == "b"]
    assert 0.92 < ((classes["change_low"] <= 0) & (classes["change_high"] >= 0)).mean() < 0.985


def test_classes_that_gain_or_lose_are_only_those(data):
    taken, concepts = data
    rising = Activations(np.abs(taken.matrix) * 0.01 + 5.0 * concepts["mark"][:, None])
    told = str(find_spurious(rising, concepts, suspects="mark", outputs=True))
    assert "classes that gain most\n" in told
    assert told.endswith("no class loses")
    falling = Activations(-rising.matrix)
    told = str(find_spurious(falling, concepts, suspects="mark", outputs=True))
    assert "no class gains\n\nclasses that lose most\n" in told
    assert told.count("\n", told.index("classes that lose most")) == 6


def test_probabilities_weigh_pairs_and_not_samples():
    logits = np.array([[0.0, 1], [1, 0], [0, 1], [0, 1], [0, 1], [0, 1]] * 3)
    marked = np.array([False, True, False, True, True, True] * 3)
    clusters = np.array([0, 0, 1, 1, 1, 1] * 3) + np.repeat([0, 2, 4], 6)
    found = find_spurious(Activations(logits, clusters=clusters), marked[:, None], names=["mark"], suspects="mark",
                          outputs=True).classes.set_index("class")  # fmt: skip
    assert found.loc[0, "predicted_after"] == 0.5  # one of two pairs, though one of four copies
    assert found.loc[0, "predicted_before"] == 0


def test_pairs_are_clusters_with_samples_on_both_sides_and_many_count_by_their_mean():
    inside = np.array([True, False, True, True, False, False, True])
    clusters = np.array([0, 0, 1, 1, 1, 2, 3])
    pairs = Pairs.of(inside, clusters)
    values = np.array([[5.0], [1], [4], [8], [2], [100], [200]])
    assert len(pairs) == 2
    assert pairs.differences(values)[:, 0].tolist() == [4, (4 + 8) / 2 - 2]
    assert len(Pairs.of(inside, None)) == 0


def test_signed_ranks_agree_with_scipy_column_by_column_and_do_not_underflow():
    rng = np.random.default_rng(1)
    for n in (8, 50, 51, 300):
        d = rng.normal(size=(n, 4)) + 0.2
        d[:, 1] = np.round(d[:, 1])  # ties and zeros
        d[:, 2] = 0
        p, log10_p = signed_rank(d)
        assert p[2] == 1
        assert log10_p[2] == 0
        for j in (0, 3):
            expected = stats.wilcoxon(d[:, j], method="exact" if n <= 50 else "approx").pvalue
            assert p[j] == pytest.approx(expected, rel=1e-12)
        if np.count_nonzero(d[:, 1]) <= 12:
            assert p[1] == pytest.approx(signed_rank_by_enumeration(d[:, 1]), rel=1e-12)
        else:
            exact = np.count_nonzero(d[:, 1]) <= 50
            expected = stats.wilcoxon(d[:, 1], method="approx").pvalue
            assert p[1] == pytest.approx(expected, rel=0.25 if exact else 1e-9)
    p, log10_p = signed_rank(np.abs(rng.normal(size=(3000, 1))))
    assert p[0] == 0
    assert log10_p[0] == pytest.approx(-490, abs=5)  # z = √(3n / 4) nearly


@pytest.mark.parametrize("moved", [1, 2, 5, 6, 10])
def test_signed_ranks_of_the_few_pairs_that_move_are_exact(moved):
    rng = np.random.default_rng(moved)
    d = np.zeros((40, 4))
    d[:moved, 0] = np.abs(rng.normal(size=moved))  # all rise: 2 / 2⁵ for five, where the approximation says 0.04
    d[:moved, 1] = rng.normal(size=moved)
    d[:moved, 2] = rng.integers(1, 3, moved) * rng.choice([-1, 1], moved)
    d[:moved, 3] = 1
    p, log10_p = signed_rank(d)
    assert p == pytest.approx([signed_rank_by_enumeration(column) for column in d.T], rel=1e-12)
    assert p[0] == p[3] == min(1, 2 / 2**moved)
    assert log10_p == pytest.approx(np.log10(p))


def test_flips_of_signs_are_exact_where_all_fit_and_else_random():
    rng = np.random.default_rng(2)
    d = rng.normal(size=(8, 3)) + 0.5
    signs = np.array([[(-1) ** ((k >> i) & 1) for i in range(8)] for k in range(256)])
    expected = (np.abs(signs @ d) >= np.abs(d.sum(axis=0)) * (1 - 1e-12)).mean(axis=0)
    assert sign_flips(d, 256, 0).tolist() == expected.tolist()
    assert expected.min() >= 2 / 256
    drawn = sign_flips(d, 255, 0)
    assert drawn == pytest.approx(expected, abs=0.1)
    assert ((drawn * 256) % 1 == 0).all()
    assert sign_flips(d, 255, 0).tolist() == drawn.tolist() != sign_flips(d, 255, 1).tolist()
    assert sign_flips(np.zeros((30, 1)), 99, 0).tolist() == [1.0]
    assert sign_flips(np.ones((30, 1)), 99, 0).tolist() == [0.01]


def test_flips_hold_their_level_on_noise():
    rng = np.random.default_rng(3)
    p = sign_flips(rng.standard_t(3, size=(20, 4000)), 499, 0)
    assert 0.04 < (p <= 0.05).mean() < 0.06


def test_classes_gain_and_lose_logits_probability_and_predictions(data):
    taken, concepts = data
    names = [f"class {i}" for i in range(6)]
    found = find_spurious({"fc": taken, "low": taken.matrix[:, :2]}, concepts, suspects="mark", outputs="fc",
                          clusters=taken.clusters, class_names=names)  # fmt: skip
    table = found.classes.set_index("class")
    assert found.classes["change"].is_monotonic_decreasing
    before, after = taken.matrix[:N], taken.matrix[N:]
    d = after - before
    softmax = [np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (before, after)]
    for j, row in table.iterrows():
        assert row["name"] == names[j]
        assert row["change"] == pytest.approx(d[:, j].mean(), rel=1e-12)
        half = stats.t.ppf(0.975, N - 1) * d[:, j].std(ddof=1) / np.sqrt(N)
        assert row["change_high"] - row["change"] == pytest.approx(half, rel=1e-6)
        assert row["change"] - row["change_low"] == pytest.approx(half, rel=1e-6)
        for side, x in (("before", softmax[0]), ("after", softmax[1])):
            assert row[f"probability_{side}"] == pytest.approx(x[:, j].mean(), rel=1e-12)
            assert row[f"predicted_{side}"] == pytest.approx((x.argmax(axis=1) == j).mean())
    assert found.neurons["layer"].unique().tolist() == ["fc", "low"]
    told = str(found)
    assert "mark: 60 pairs" in told
    assert "fc: " in told
    assert "classes that lose most" in told


def test_the_change_of_unpaired_logits_has_an_interval_by_cluster(data):
    taken, concepts = data
    found = find_spurious(taken, concepts, suspects="dog", outputs=True).classes.set_index("class")
    assert find_spurious(taken, concepts, suspects="dog").neurons["pairs"].eq(0).all()
    dogs, x = concepts["dog"], taken.matrix[:, 0]
    sides = [x[dogs], x[~dogs]]
    alone = find_spurious(taken.matrix, concepts, suspects="dog", outputs=True).classes.set_index("class")
    error = np.sqrt(sum(side.var(ddof=1) / len(side) for side in sides))
    row = alone.loc[0]
    half = stats.t.ppf(0.975, min(map(len, sides)) - 1) * error
    assert row["change_high"] - row["change"] == pytest.approx(half, rel=1e-6)
    wide = found.loc[0, "change_high"] - found.loc[0, "change_low"]
    assert wide > 1.2 * (row["change_high"] - row["change_low"])  # copies are no new dogs


def test_several_suspects_and_some_neurons(data):
    taken, concepts = data
    found = find_spurious(taken, concepts, suspects=["mark", "dog"], neurons=[3, 1]).neurons
    assert found.groupby("suspect")["neuron"].apply(set).to_dict() == {"mark": {1, 3}, "dog": {1, 3}}
    assert found[found["suspect"] == "dog"]["neuron"].iloc[0] == 3


def test_relabelling_finds_the_neurons_whose_formula_has_the_suspect(data):
    taken, concepts = data
    found = relabel(taken, concepts, "mark", min_count=5)
    formulas = {label.neuron: str(label.formula) for label in found}
    assert formulas[3] == "dog & mark"
    assert formulas[1] == "mark"
    assert all("mark" in formula for formula in formulas.values())
    assert [label.auc for label in found] == sorted((label.auc for label in found), reverse=True)
    equal = concepts.rename({"mark": "other"}).add(
        "mark", concepts["mark"]
    )  # the same samples under another name first
    assert {label.neuron for label in relabel(taken, equal, "mark", min_count=5)} == set(formulas)
    longer = relabel(taken, concepts, "mark", holdout=None, min_count=5)
    assert len(longer) >= len(found)


def test_a_folder_gets_the_tables_and_the_figure(data, tmp_path):
    taken, concepts = data
    found = find_spurious(taken, concepts, suspects="mark", outputs=True)
    found.save(tmp_path)
    saved = pd.read_csv(tmp_path / "neurons.csv")
    assert saved["auc"].tolist() == found.neurons["auc"].tolist()
    assert pd.read_csv(tmp_path / "classes.csv")["class"].tolist() == found.classes["class"].tolist()
    with pytest.raises(FileError, match=r"neurons\.csv' exists"):
        found.save(tmp_path)
    with pytest.raises(FileError, match=r"has a table classes\.csv and these findings have none"):
        find_spurious(taken, concepts, suspects="mark").save(tmp_path, overwrite=True)
    assert pd.read_csv(tmp_path / "neurons.csv")["auc"].tolist() == saved["auc"].tolist()
    plot_findings(found, tmp_path / "f.png")
    with Image.open(tmp_path / "f.png") as figure:
        assert figure.width > figure.height > 300
    with pytest.raises(FileError, match=r"f\.png' exists"):
        plot_findings(found, tmp_path / "f.png")
    with pytest.raises(UnknownNameError, match="no suspect 'marc'; near it: 'mark'"):
        plot_findings(found, tmp_path / "g.png", suspect="marc")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"suspects": "marc"}, UnknownNameError, "no concept 'marc'; near it: 'mark'"),
        ({"suspects": []}, OptionError, "suspects is empty"),
        ({"suspects": "mark", "permutations": -1}, OptionError, "permutations must be"),
        ({"suspects": "mark", "seed": -1}, OptionError, "seed must be"),
        ({"suspects": "mark", "outputs": "fd"}, UnknownNameError, "no layer 'fd'"),
        ({"suspects": "mark", "outputs": True, "class_names": ["a"]}, OptionError, "1 names for 6 classes"),
        ({"suspects": "mark", "neurons": []}, ValueError, "no neuron to compare"),
        ({"suspects": "dog", "paired": True}, OptionError, "'dog' has 0 pairs and at least 6 are needed"),
        ({"suspects": "mark", "paired": True, "clusters": False}, OptionError, "'mark' has 0 pairs"),
    ],
)
def test_wrong_input_is_answered(data, options, error, match):
    with pytest.raises(error, match=match):
        find_spurious(*data, **options)


def test_a_suspect_must_divide_the_samples(data):
    taken, concepts = data
    with pytest.raises(ConceptsError, match="no sample or every sample with activations has the suspect 'all'"):
        find_spurious(taken, concepts.add("all", range(2 * N)), suspects="all")
    ids = [f"s{i}" for i in range(2 * N)]
    some = Activations(taken.matrix[:N], sample_ids=ids[:N], skipped=ids[N:])
    with pytest.raises(ConceptsError, match="no sample or every sample with activations"):
        find_spurious(some, concepts.with_ids(ids), suspects="mark")


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(60, 160, (20, 20, 3), np.uint8)).save(root / f"{i:02}.png")
    return root


MODEL = """
import torch
def prepare(image):
    import numpy as np
    return torch.tensor(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)
def make():
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 5)]
    return torch.nn.Sequential(*layers), prepare
def negative(image, rng):
    from PIL import ImageOps
    return ImageOps.invert(image)
"""  # noqa: E501


def test_the_command_alters_photos_runs_the_model_and_compares(photos, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_spurious.py").write_text(MODEL)
    (tmp_path / "classes.txt").write_text("\n".join(["n02883344", "b", "c", "d", "e"]))
    shown = Concepts.from_sets([{"even"} if i % 2 == 0 else {"odd"} for i in range(12)],
                               sample_ids=[f"{i:02}.png" for i in range(12)])  # fmt: skip
    save_concepts(shown, tmp_path / "c.parquet")
    run = ("spurious", "--model", "mine_spurious:make", "--images", "photos", "--layers", "1", "--outputs", "4",
           "--border", "white", "--name", "frame", "--classes", "classes.txt", "--out", "found")  # fmt: skip
    code, out, err = command(*run, "--relabel", "--photo-concepts", "c.parquet")
    assert (code, "frame: 12 pairs" in out) == (0, True), err
    assert "in their formula" in out
    assert {p.name for p in (tmp_path / "found").iterdir()} == {
        ".neuronym.json", "acts.zarr", "neurons.csv", "classes.csv", "labels.csv", "findings.png"
    }  # fmt: skip
    assert set(pd.read_csv(tmp_path / "found" / "classes.csv")["name"]) == {"box", "b", "c", "d", "e"}
    code, out, err = command(*run)
    assert (code, "'found' exists" in err) == (2, True)
    # The same, by hand, gives the same.
    save_concepts(overlay("photos", Border(colour="white"), name="frame").concepts(shown), tmp_path / "all.parquet")
    code, out, err = command("spurious", "found/acts.zarr", "all.parquet", "--suspects", "frame", "--json", "-q")
    assert code == 0
    code, out, err = command("spurious", "found/acts.zarr", "all.parquet", "--suspects", "frame", "--json")
    by_hand = [row for row in json.loads(out)["neurons"] if row["suspect"] == "frame"]
    saved = pd.read_csv(tmp_path / "found" / "neurons.csv")
    assert [row["auc"] for row in by_hand] == saved["auc"].tolist()
    assert [row["p_flip"] for row in by_hand] == saved["p_flip"].tolist()
    assert open_layers("found/acts.zarr")["1"].clusters[12:] == open_layers("found/acts.zarr")["1"].clusters[:12]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((), "give activations, concepts and suspects (--suspects), or a model"),
        (("--model", "mine_spurious:make"), "give images instead of activations"),
        (("--model", "mine_spurious:make", "--images", "photos", "--text", "x"), "name layers (--layers)"),
        (("--model", "mine_spurious:make", "--images", "photos", "--layers", "1"), "say how to alter the photos"),
        (
            (
                "--model",
                "mine_spurious:make",
                "--images",
                "photos",
                "--layers",
                "1",
                "--jpeg",
                "5",
                "--artefacts",
                "photos",
            ),
            "say how",
        ),
        (
            (
                "--model",
                "mine_spurious:make",
                "--images",
                "photos",
                "--layers",
                "1",
                "--function",
                "mine_spurious:nothing",
            ),
            "has no nothing",
        ),
        (
            (
                "--model",
                "mine_spurious:make",
                "--images",
                "photos",
                "--layers",
                "1",
                "--text",
                "捷",
                "--font",
                "photos/00.png",
            ),
            "the font",
        ),
        (("a.npy", "c.csv", "--suspects", "a", "--outputs", "x", "--classes", "photos/00.png"), "class names"),
        (("a.npy", "c.csv", "--suspects", "a", "--classes", "photos/00.png"), "give both"),
        (("a.npy", "c.csv", "--suspects", "a", "--text", "x"), "alterations needs a model"),
        (
            ("--model", "m:x", "--images", "photos", "--layers", "1", "--blur", "0.1", "--size", "1"),
            "give --text or --logo",
        ),
        (("--model", "m:x", "--images", "photos", "--layers", "1", "--blur", "0.1", "--colour", "red"), "give --text"),
        (
            ("--model", "m:x", "--images", "photos", "--layers", "1", "--artefacts", "photos", "--fraction", "1"),
            "fraction is the share of photos to alter",
        ),
    ],
)
def test_the_command_answers_wrong_input_in_one_line(photos, tmp_path, command, monkeypatch, arguments, match):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_spurious.py").write_text(MODEL)
    code, _, err = command("spurious", *arguments)
    assert code == 2
    assert match in err
    assert len(err.strip().splitlines()) == 1


def test_a_function_alters_too(photos, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_spurious.py").write_text(MODEL)
    code, out, err = command("spurious", "--model", "mine_spurious:make", "--images", "photos", "--layers", "1",
                             "--function", "mine_spurious:negative", "--json")  # fmt: skip
    assert code == 0, err
    assert {row["pairs"] for row in json.loads(out)["neurons"]} == {12}
    made = Images(photos, lambda image: torch.zeros(1))
    assert len(made.sample_ids) == 12


def test_the_options_of_the_command_do_what_they_say(data, tmp_path, command):
    taken, concepts = data
    np.save(tmp_path / "a.npy", taken.matrix)
    save_concepts(concepts, tmp_path / "c.parquet")
    pd.DataFrame({"part": taken.clusters}).to_csv(tmp_path / "of.csv", index=False)
    run = ("spurious", tmp_path / "a.npy", tmp_path / "c.parquet", "--suspects", "mark", "--json")

    def found(*more):
        code, out, err = command(*run, "--clusters", tmp_path / "of.csv", *more)
        assert code == 0, err
        return json.loads(out)

    paired = found()
    assert {row["pairs"] for row in paired["neurons"]} == {N}
    assert {row["pairs"] for row in found("--unpaired")["neurons"]} == {0}
    assert {row["pairs"] for row in json.loads(command(*run, "--clusters", "none")[1])["neurons"]} == {0}
    assert found("--seed", "1") != paired == found("-q")
    classes = found("--outputs", "logits")["classes"]
    assert [row["class"] for row in classes] == find_spurious(taken, concepts, suspects="mark", outputs=True).classes[
        "class"
    ].tolist()
    labels = found("--relabel", "--min-fraction", "0.3", "--length", "1")["labels"]
    assert labels
    assert all(row["length"] == 1 and row["fraction"] >= 0.3 for row in labels)


def test_a_run_that_is_repeated_takes_its_activations_and_leaves_no_stale_table(photos, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_spurious.py").write_text(MODEL)
    run = ("spurious", "--model", "mine_spurious:make", "--images", "photos", "--layers", "1", "--out", "found")
    code, _, err = command(*run, "--outputs", "4", "--border", "white")
    assert code == 0, err
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "found" / "acts.zarr").rglob("c/*/*")}
    assert made
    code, _, err = command(*run, "--outputs", "4", "--border", "white", "--overwrite")
    assert code == 0, err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "found" / "acts.zarr").rglob("c/*/*")} == made
    code, _, err = command(*run, "--cast", "red", "--overwrite")
    assert code == 0, err
    assert not (tmp_path / "found" / "classes.csv").exists()
    (photos / "03.png").write_bytes(b"broken")
    code, _, err = command(*run, "--cast", "red", "--overwrite")
    assert (code, "--skip-unreadable" in err) == (2, True)
    code, out, err = command(*run, "--cast", "red", "--overwrite", "--skip-unreadable")
    assert (code, "altered: 11 pairs" in out) == (0, True), err
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "found" / "notes.txt").write_text("mine")
    code, out, err = command(*run, "--cast", "red", "--overwrite", "--skip-unreadable")
    assert (code, "'found' exists and holds 'notes.txt', which neuronym did not write" in err) == (2, True)
    (tmp_path / "found" / "notes.txt").unlink()
    save_concepts(overlay("photos", Border()).concepts(), tmp_path / "f.parquet")
    own = ("spurious", "found/acts.zarr", "f.parquet", "--suspects", "altered", "--out", "found", "--overwrite")
    code, _, err = command(*own)
    assert (code, (tmp_path / "found" / "acts.zarr").exists()) == (0, True), err
    np.save(tmp_path / "a.npy", np.arange(8.0).reshape(4, 2))
    save_concepts(Concepts.from_array(np.arange(4)[:, None] > 1, ["a"]), tmp_path / "c.parquet")
    code, _, err = command("spurious", "a.npy", "c.parquet", "--suspects", "a", "--out", "found", "--overwrite")
    assert code == 0, err
    names = {".neuronym.json", "neurons.csv", "findings.png"}
    assert {path.name for path in (tmp_path / "found").iterdir()} == names


def test_the_figure_shows_photos_above_their_copies_and_names_as_they_are(photos, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr("neuronym.plots.findings.save_figure", lambda figure, path, overwrite: kept.append(figure))
    both = overlay(photos, Border(colour="white"), name="$\\foo$")
    values = np.random.default_rng(0).normal(size=(24, 8))
    found = find_spurious(Activations(values, sample_ids=both.sample_ids, clusters=both.clusters), both.concepts(),
                          suspects="$\\foo$", outputs=True, class_names=["$\\bar$"] * 8)  # fmt: skip
    plot_findings(found, tmp_path / "f.png", photos=both, n_photos=1)
    kept[0].savefig(tmp_path / "f.png")
    above, below = (axis.images[0].get_array() for axis in kept[0].axes[:2])
    assert np.array_equal(np.asarray(above), np.asarray(both.image(6)))
    assert np.array_equal(np.asarray(below), np.asarray(both.image(18)))


def test_a_figure_finds_glyphs_or_says_that_there_are_none(tmp_path, monkeypatch):
    from neuronym._util import fonts as _fonts
    from neuronym.plots.figures import new_figure, save_figure

    figure = new_figure(2, 2)
    figure.subplots().set_title("捷径")
    monkeypatch.setattr(_fonts, "_installed", lambda: iter([]))
    with pytest.warns(UserWarning, match="the figure shows boxes|Glyph"):
        save_figure(figure, tmp_path / "a.png", False)


def test_suspects_are_compared_once_however_many_there_are(monkeypatch):
    rng = np.random.default_rng(0)
    shown = rng.random((300, 3)) < 0.4
    made, neuron_tables = [], SuspectComparison.neuron_tables
    monkeypatch.setattr(SuspectComparison, "neuron_tables", lambda *given: made.append(1) or neuron_tables(*given))
    names = ["a", "b", "c"]
    found = find_spurious(rng.normal(size=(300, 4)), shown, names=names, suspects=names, outputs=True, permutations=0)
    assert len(made) == 2  # neurons, and classes
    assert found.classes["suspect"].unique().tolist() == names


def test_a_study_in_python_is_that_of_the_command(photos, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_spurious.py").write_text(MODEL)
    study = spurious(
        model="mine_spurious:make", images="photos", layers=["1"], outputs="4", alterations=Border(colour="white"),
        name="frame", classes=["a", "b", "c", "d", "e"], out="made",
    )  # fmt: skip
    code, out, err = command("spurious", "--model", "mine_spurious:make", "--images", "photos", "--layers", "1",
                             "--outputs", "4", "--border", "white", "--name", "frame", "--json",
                             "--out", "found")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["neurons"] == json.loads(json.dumps(study.to_dict()["neurons"]))
    assert study.suspects == ("frame",)
    assert study.photos.n_copies == 12
    assert set(study.findings.classes["name"]) == set("abcde")
    names = {"acts.zarr", "neurons.csv", "classes.csv", ".neuronym.json"}
    assert {path.name for path in (tmp_path / "made").iterdir()} == names
    own = open_layers("made/acts.zarr")
    again = spurious(own, study.photos.concepts(), suspects="frame", outputs="4")
    pd.testing.assert_frame_equal(again.findings.neurons, study.findings.neurons)
