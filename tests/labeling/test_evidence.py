"""What labels say of whether to believe them: their table, their verbs, their files, the command."""

import json
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from neuronym import Activations, Concepts, Explanation, Formula, Label, Labels, OptionError, label, save_activations
from neuronym.labeling import evidence

N = 500


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    concepts = rng.random((N, 6)) < 0.3
    values = rng.permuted(np.tile(np.arange(float(N)), (15, 1)), axis=1).T
    for j in range(4):
        values[:, j] += 300 * concepts[:, j] + np.arange(N) * 1e-6
    values[:, 14] = 2.0
    return values, concepts


@pytest.fixture(scope="module")
def labels(data):
    return label(*data, permutations=399, holdout=0.5, stability=10)


def test_columns_stand_in_the_order_of_the_contract(data, labels):
    contract = ["neuron", "direction", "formula", "auc", "fraction", "count", "length", "p", "log10_p", "p_search", "q"]
    contract += ["auc_heldout", "auc_low", "auc_high", "auc_low_selected", "auc_high_selected", "p_gain"]
    contract += ["optimal", "gap", "ceiling"]
    contract += ["f1", "f1_threshold", "average_precision", "stability"]
    columns = list(labels.to_frame().columns)
    assert columns[: len(contract)] == contract
    assert columns[len(contract) : -4] == [
        *["stability_concepts", "stability_overlap", "permutations"],
        *["difference", "precision", "recall"],
    ]
    assert columns[-4:] == ["reason", "path", "runners_up", "alternatives"]
    assert set(label(*data).to_frame().columns) == {
        *contract[:9],
        "optimal",
        "gap",
        "ceiling",
        "reason",
        "path",
        "runners_up",
    }


def test_q_is_that_of_benjamini_and_hochberg_over_all_rows(data):
    values, concepts = data
    found = label({"a": values, "b": values[:, ::-1]}, concepts, permutations=399, direction="both")
    tested = [x for x in found if x.best is not None]
    assert len(tested) == 56
    assert [x.q for x in tested] == pytest.approx(false_discovery_control([x.p_search for x in tested]))
    assert all(math.isnan(x.q) for x in found if x.best is None)
    kept = found.significant(0.05)
    assert {x.neuron for x in kept} <= {0, 1, 2, 3, 14, 13, 12, 11, 10, 4}
    assert [x for x in tested if x.q <= 0.05] == list(kept)
    by_p = false_discovery_control([x.p for x in tested])
    assert len(found.significant(0.05, by="p")) == (by_p <= 0.05).sum()
    assert len(kept) < len(found.significant(0.05, by="p"))


def test_what_labels_do_not_know_is_not_answered(data, labels):
    plain = label(*data)
    with pytest.raises(
        OptionError, match=r"the labels have no p_search: find them with label\(…, permutations='auto'\)"
    ):
        plain.significant()
    with pytest.raises(OptionError, match=r"the labels have no p_gain: find them with label\(…, holdout=0.5\)"):
        plain.simplest()
    with pytest.raises(OptionError, match=r"q=0.001 is out of reach of 399 permutations, whose smallest p is 0.0025"):
        labels.significant(0.001)
    with pytest.raises(OptionError, match="q must lie between 0 and 1, not 5"):
        labels.significant(5)
    with pytest.raises(OptionError, match="by must be 'p_search' or 'p', not 'auc'"):
        labels.significant(by="auc")
    with pytest.raises(OptionError, match="alpha must lie between 0 and 1, not 0"):
        labels.simplest(0)
    assert len(Labels([]).significant()) == len(Labels([]).simplest()) == 0


def step(text, p_gain, **more):
    return Explanation(Formula.parse(text), 0.8, 0.25, 10, auc_heldout=0.7, gain=0.1, p_gain=p_gain, **more)


def test_simplest_keeps_the_longest_formula_whose_every_step_holds():
    a, ab, abc = step("a", 0.001, p=0.1), step("a | b", 0.04, p=0.2), step("a | b | c", 0.3, p=0.3)
    made = Label(0, best=abc, path=(a, ab, abc), p_search=0.01, q=0.02, stability=0.5, alternatives=((None, 1.0),))
    short = Labels([made]).simplest()[0]
    assert (short.formula, short.p, short.auc_heldout, short.p_search, short.q) == (ab.formula, 0.2, 0.7, 0.01, 0.02)
    assert short.path == (a, ab)
    assert math.isnan(short.stability)
    assert short.alternatives == ()
    assert (made.p_gain, short.p_gain) == (0.3, 0.04)
    assert Labels([made]).simplest(0.5)[0] is made
    assert Labels([made]).simplest(0.01)[0].formula == a.formula
    none = Labels([made]).simplest(0.0001)[0]
    assert none.best is None
    assert none.reason == "no literal holds on held-out samples (p ≤ 0.0001)"
    # A step that does not hold ends the formula, whatever comes after it.
    late = Label(0, best=abc, path=(a, step("a | b", 0.2), step("a | b | c", 0.001)))
    assert Labels([late]).simplest()[0].formula == a.formula
    assert Label(0, best=a, path=(a, a, a)).steps == (a,)


def test_the_summary_counts_what_is_to_be_believed(data, labels):
    summary = labels.summary()
    assert (summary.labels, summary.constant, summary.without) == (15, 1, 0)
    assert summary.believable == len(labels.significant()) == 4
    found = [x for x in labels if x.best is not None]
    short = labels.simplest()
    assert summary.literals == sum(x.length for x in found)
    assert summary.kept == sum(x.length or 0 for x in short)
    assert summary.emptied == sum(x.best is None for x in short) - 1
    assert summary.optimism == pytest.approx(np.mean([x.optimism for x in found]))
    low, middle, high = np.quantile([x.auc_heldout for x in labels.significant()], [0.25, 0.5, 0.75])
    assert summary.auc == pytest.approx((low, middle, high))
    text = str(summary)
    assert text.startswith(
        "15 labels: 14 with a formula, 1 constant\nproven that no formula is better: 14 of 14\n"
        "believable at q ≤ 0.05, accounting for the search: 4; median held-out AUC"
    )
    assert f"{summary.kept} of {summary.literals}" in text
    plain = label(*data).summary()
    assert (plain.believable, plain.vanished, plain.shortened, plain.optimism) == (None, None, None, None)
    assert "unknown without permutations or a sufficient hold-out" in str(plain)
    assert summary.vanished is None  # p is that of held-out samples
    searched = label(*data, permutations=399).summary()
    assert searched.vanished == searched.by_p - 4 > 0
    held = label(*data, holdout=0.5).summary()
    assert held.accounted == "on held-out samples"
    assert "0 labels" in str(Labels([]).summary())


def test_labels_say_what_their_numbers_account_for(data, labels):
    text = str(labels[0])
    assert "does not account for the search" not in text
    assert "search: p 0.0025 from 399 permutations, q 0.0" in text
    assert (
        f"held out: AUC {labels[0].auc_heldout:.4f} (95% {labels[0].auc_low:.4f} to {labels[0].auc_high:.4f})" in text
    )
    assert "held-out gain +" in text
    assert "resamples: the same formula in " in text
    assert "highest F1" in text
    assert "does not account for the search" in str(label(*data, permutations=399)[0])
    assert "in 100% of folds" in str(label(*data, folds=2)[0])
    assert "AUC, 95% interval: 0." in str(label(*data, effects=True)[0])
    titles = labels.cells()[0]
    assert titles == [
        "neuron",
        "formula",
        "auc",
        "fraction",
        "count",
        "log10_p",
        "p_search",
        "q",
        "auc_heldout",
        "p_gain",
        "optimal",
        "stability",
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
@pytest.mark.parametrize(
    "asked", [{"holdout": 0.5, "stability": 5}, {"folds": 2}, {"effects": True, "permutations": 399, "tail": True}]
)
def test_all_of_it_comes_back_from_files(tmp_path, data, kind, asked):
    made = label(*data, **asked)
    made.save(tmp_path / f"x.{kind}")
    opened = Labels.open(tmp_path / f"x.{kind}")
    assert opened == made
    for one, other in zip(opened, made, strict=True):
        assert str(one) == str(other)
        assert one.steps == other.steps
        assert one.alternatives == other.alternatives
        assert (one.tail, one.permutations) == (other.tail, other.permutations)
    if "holdout" in asked:
        assert opened.simplest() == made.simplest()


def test_labels_by_sample_id_follow_ids_wherever_they_are(tmp_path):
    rng = np.random.default_rng(0)
    video = np.repeat(np.arange(50), 10)
    ids = [f"s{i}" for i in range(500)]
    concepts = (rng.random((50, 5)) < 0.3)[video]
    values = rng.normal(size=(50, 6))[video] + 0.1 * rng.normal(size=(500, 6))
    sets = Concepts.from_array(concepts, sample_ids=ids)
    by_id = pd.Series(video, ids)
    options = {"permutations": 399, "min_count": 40}
    expected = [x.p_search for x in label(values, concepts, clusters=video, **options)]
    for given in (by_id, by_id.sample(frac=1, random_state=0), by_id.to_dict()):
        bare = label(values, sets, clusters=given, align="position", **options)
        assert [x.p_search for x in bare] == expected
        named = Activations(values, sample_ids=ids)
        assert [x.p_search for x in label(named, sets, clusters=given, **options)] == expected
    order = rng.permutation(500)
    turned = named.take(order)
    found = label({"a": named, "b": turned}, sets, clusters=by_id, **options)
    assert all(x.p_search > 0.005 for x in found)
    for asked in ({"clusters": video}, {"strata": video % 2}, {"weights": np.ones(500, int)}):
        with pytest.raises(OptionError, match="the layers list their samples in different orders"):
            label({"a": named, "b": turned}, sets, permutations=99, **asked)


def test_a_label_that_is_read_equals_the_one_that_was_saved(tmp_path, labels):
    labels.save(tmp_path / "x.csv")
    opened = Labels.open(tmp_path / "x.csv")
    assert opened[14] == labels[14]
    assert opened[14].reason == "constant"


def test_levels_are_checked(labels):
    for wrong in ("x", 3, True, None):
        with pytest.raises(OptionError, match="q must lie between 0 and 1"):
            labels.significant(wrong)
        with pytest.raises(OptionError, match="alpha must lie between 0 and 1"):
            labels.summary(alpha=wrong)


def test_a_stopped_command_says_so_and_saves_what_is_done(tmp_path, command, data, monkeypatch):
    values, concepts = data
    np.save(tmp_path / "a.npy", values)
    pd.DataFrame(concepts, columns=list("abcdef")).to_csv(tmp_path / "c.csv", index=False)

    def stopping(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("neuronym.stats.permutation.null_scores", stopping)
    code, out, err = command(
        *["label", str(tmp_path / "a.npy"), str(tmp_path / "c.csv"), "--permutations", "399"],
        *["--out", str(tmp_path / "l.csv"), "--holdout", "0.5"],
    )
    assert code == 130
    assert "interrupted: the labels have the evidence computed so far" in err
    assert "believable at q ≤ 0.05, on held-out samples: 4" in out  # nothing was permuted
    assert len(Labels.open(tmp_path / "l.csv")) == 15


def test_what_simplest_empties_is_not_significant(labels):
    short = labels.simplest()
    assert all(x.best is not None for x in short.significant(0.9))


def test_what_sorts_and_filters_labels_are_and_filters_by_the_new_numbers(labels):
    assert [x.neuron for x in labels.sort("q")][:4] == sorted(x.neuron for x in labels.significant())
    assert len(labels.filter(lambda x: x.p_gain <= 0.05)) >= 3
    losses = [x.optimism for x in labels.sort("optimism") if x.best is not None]
    assert losses == sorted(losses)


def test_the_command_takes_all_of_it(tmp_path, command, data):
    values, concepts = data
    ids = [f"s{i}" for i in range(N)]
    save_activations(Activations(values, sample_ids=ids), tmp_path / "a.npz")
    pd.DataFrame(concepts, columns=list("abcdef")).assign(sample=ids)[["sample", *"abcdef"]].to_csv(
        tmp_path / "c.csv", index=False
    )
    pd.DataFrame({"sample": ids, "video": [i // 2 for i in range(N)], "x": 0}).to_csv(tmp_path / "v.csv", index=False)
    given = ["label", str(tmp_path / "a.npz"), str(tmp_path / "c.csv")]
    options = ["--permutations", "399", "--holdout", "0.5", "--stability", "3", "--seed", "4", "--tail"]
    options += ["--clusters", f"{tmp_path / 'v.csv'}:video", "--out", str(tmp_path / "l.json")]
    code, out, _ = command(*given, *options)
    assert code == 0
    assert "believable at q ≤ 0.05, accounting for the search:" in out
    expected = label(
        Activations(values, sample_ids=ids),
        tmp_path / "c.csv",
        permutations=399,
        holdout=0.5,
        stability=3,
        seed=4,
        tail=True,
        clusters=np.arange(N) // 2,
    )
    assert Labels.open(tmp_path / "l.json") == expected
    code, out, _ = command("show", str(tmp_path / "l.json"), "--summary")
    assert (code, out.strip()) == (0, str(expected.summary()))
    code, out, _ = command(
        "show",
        str(tmp_path / "l.json"),
        "--significant",
        "0.05",
        "--simplest",
        "0.05",
        "--out",
        str(tmp_path / "k.csv"),
    )
    assert Labels.open(tmp_path / "k.csv") == expected.significant(0.05).simplest(0.05)
    code, _, err = command("show", str(tmp_path / "l.json"), "--out", str(tmp_path / "k.csv"))
    assert code == 2
    assert "exists" in err
    code, out, _ = command("show", str(tmp_path / "l.json"), "--summary", "--json")
    assert json.loads(out)["labels"] == 15
    code, out, _ = command(*given, "--clusters", "none", "--holdout", "0.5", "--quiet", "--json")
    assert len(json.loads(out)["labels"]) == 15
    code, out, _ = command(*given, "--folds", "2", "--json", "--quiet", "--neurons", "0")
    assert json.loads(out)["labels"][0]["agreement"] == 1
    for wrong, message in (
        (["--permutations", "few"], "'--permutations': must be a whole number or auto, not 'few'"),
        (["--permutations", "5"], "use at least 19"),
        (["--holdout", "2"], "holdout must lie between 0 and 1"),
        (["--clusters", str(tmp_path / "v.csv"), "--holdout", "0.5"], "must have one column besides a first"),
        (["--strata", str(tmp_path / "none.csv"), "--permutations", "99"], "there is no file"),
        (["--strata", f"{tmp_path / 'none.csv'}:a", "--permutations", "99"], "there is no file"),
    ):
        code, _, err = command(*given, *wrong)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1


def test_tokens_are_clustered_by_their_text_unless_told_otherwise():
    rng = np.random.default_rng(0)
    text = np.repeat(np.arange(60), 5)
    concepts = (rng.random((60, 5)) < 0.3)[text]
    values = rng.normal(size=(60, 10))[text] + 0.1 * rng.normal(size=(300, 10))
    tokens = Activations(values, clusters=[f"t{i}" for i in text])
    options = {"permutations": 399, "min_count": 30}
    own, given = label(tokens, concepts, **options), label(values, concepts, clusters=text, **options)
    assert own == given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert label(tokens, concepts, clusters=False, **options) == label(values, concepts, clusters=False, **options)
    assert own != label(tokens, concepts, clusters=False, **options)
    assert tokens.take(np.arange(10)).clusters == ("t0",) * 5 + ("t1",) * 5


def test_auto_permutations_are_fewer_where_they_would_take_too_long(data, monkeypatch):
    monkeypatch.setattr(evidence, "_AUTO_OPERATIONS", 1000)
    with pytest.warns(UserWarning, match="searches 999 permutations instead of 9,999, since the null"):
        labels = label(*data, permutations="auto", neurons=slice(2))
    assert [one.permutations for one in labels] == [999, 999]
    assert label(*data, permutations="auto", search="beam", neurons=slice(1))[0].permutations == 9999


def test_nulls_are_the_same_where_they_matter_with_and_without_a_floor(data):
    values, concepts = data
    found = label(values, concepts, permutations=1199)
    rng = np.random.default_rng(1)
    # Beside a neuron whose best AUC is low, no score of the null is cut short.
    beside = label(np.concatenate([values, rng.normal(size=(N, 40))], axis=1), concepts, permutations=1199)
    assert [one.p_search for one in found if one.best] == [one.p_search for one in beside if one.best][:14]
