import json

import anndata
import joblib
import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from scipy import sparse
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from neuronym import (
    ActivationsError,
    Concepts,
    FileError,
    OptionError,
    UnknownNameError,
    label,
    save_activations,
)
from neuronym.analysis import pairs as module
from neuronym.analysis.pairs import Pairs, pairs
from neuronym.data.activations import Activations
from neuronym.stats.significance import FalseDiscovery, benjamini_hochberg
from reference import best_threshold, f1_at, step_up

N = 400
NAMES = ["dog", "cat", "pug", "car", "rare", "all", "hound"]


@pytest.fixture
def data():
    """Neurons with and without ties, and concepts of which one is rare, one empty of meaning, and two are the same."""
    rng = np.random.default_rng(0)
    concepts = rng.random((N, len(NAMES))) < [0.3, 0.5, 0.15, 0.2, 0.01, 2, 0]
    concepts[:, 6] = concepts[:, 0]
    values = rng.normal(size=(N, 9)).astype(np.float32)
    values[:, :3] += 1.5 * concepts[:, [0, 1, 2]]
    values[:, 1] = np.round(values[:, 1])
    values[:, 2] = np.maximum(values[:, 2], 0)
    values[:, 3] = concepts[:, 3]
    values[:, 4] = -values[:, 0]
    values[:, 5] = 3.0
    values[:, 6] = rng.integers(-2, 2, N)
    return values, concepts


def frame(values, concepts, **options):
    return pairs(values, concepts, names=NAMES, min_count=10, **options).to_frame()


def test_every_pair_is_that_of_scipy(data):
    values, concepts = data
    table = frame(values, concepts)
    assert list(table.columns) == ["neuron", "concept", "count", "auc", "log10_p", "q", "effect", "f1", "threshold"]
    assert [*zip(table["neuron"], table["concept"], strict=True)] == [
        (j, name) for j in range(9) if j != 5 for name in ("dog", "cat", "pug", "car")
    ]
    for row in table.itertuples():
        inside, column = concepts[:, NAMES.index(row.concept)], values[:, row.neuron].astype(np.float64)
        test = mannwhitneyu(column[inside], column[~inside], alternative="two-sided", method="asymptotic")
        assert row.count == inside.sum()
        assert row.auc == pytest.approx(test.statistic / (inside.sum() * (~inside).sum()), rel=1e-9)
        assert 10**row.log10_p == pytest.approx(test.pvalue, rel=1e-9)
        assert row.effect == pytest.approx((column[inside].mean() - column[~inside].mean()) / column.std(), rel=1e-9)
        assert (row.f1, row.threshold) == best_threshold(column, inside)


def test_a_p_that_underflows_keeps_its_logarithm():
    concepts = np.arange(20000)[:, np.newaxis] < 9000
    table = pairs(np.where(concepts, 1.0, 0.0) + np.arange(20000)[:, np.newaxis] * 1e-9, concepts).to_frame()
    assert table["log10_p"][0] < -3000
    assert table["q"][0] == 0


def test_activations_of_any_size_have_the_same_effect(data):
    values, concepts = data
    whole = frame(values.astype(np.float64), concepts)
    for size in (1e-200, 1e200, 2.0**-1000):
        found = frame(values.astype(np.float64) * size, concepts)
        assert found["effect"].to_numpy() == pytest.approx(whole["effect"].to_numpy(), rel=1e-12)
    thin = frame(sparse.csc_array(values.astype(np.float64) * 1e-200), concepts)
    assert thin["effect"].to_numpy() == pytest.approx(whole["effect"].to_numpy(), rel=1e-12)


@pytest.mark.filterwarnings("ignore")  # of illico, anndata and what they import
def test_disjoint_classes_are_those_of_illico():
    from illico import asymptotic_wilcoxon

    rng = np.random.default_rng(1)
    classes = rng.choice(["a", "b", "c", "d"], 300, p=[0.1, 0.2, 0.3, 0.4])
    counts = rng.poisson(np.where(classes == "b", 2.0, 1.0)[:, np.newaxis], (300, 8)).astype(np.float32)
    counts[:, 0] = rng.normal(size=300)
    adata = anndata.AnnData(counts, obs=pd.DataFrame({"class": classes}, index=[f"s{i}" for i in range(300)]))
    found = asymptotic_wilcoxon(adata, is_log1p=False, group_keys="class", reference=None).reset_index()
    table = pairs(counts, Concepts.from_classes(classes)).to_frame().set_index(["concept", "neuron"])
    assert len(found) == len(table) == 32
    for row in found.to_dict("records"):
        own = table.loc[(row["pert"], int(row["feature"]))]
        assert 10 ** own["log10_p"] == pytest.approx(row["p_value"], rel=1e-5)
        n = own["count"]
        assert own["auc"] == pytest.approx(row["statistic"] / (n * (300 - n)), rel=1e-5)


def test_q_is_that_of_the_family(data):
    values, concepts = data
    layers = {"a": values[:, :4], "b": values[:, 4:]}
    table = frame(layers, concepts)
    p = 10 ** table["log10_p"].to_numpy()
    assert table["q"].to_numpy() == pytest.approx(step_up(p.tolist()), rel=1e-9)
    assert table["q"].to_numpy() == pytest.approx(multipletests(p, method="fdr_bh")[1], rel=1e-9)
    kept = frame(layers, concepts, top=1)
    assert 0 < len(kept) < len(table)
    assert kept.merge(table, how="left").equals(kept)  # with the q of the whole family
    strict = frame(layers, concepts, correction="bonferroni")
    assert strict["q"].to_numpy() == pytest.approx(np.minimum(1, p * len(p)), rel=1e-9)


def test_the_large_family_is_adjusted_as_the_small_one():
    p = np.random.default_rng(0).random(500) ** 3
    p[:100] = p[100:200]
    found = FalseDiscovery.of(np.log10(p)).q(np.log10(p))
    assert found == pytest.approx(benjamini_hochberg(p), rel=1e-12)


def test_sparse_stored_and_parallel_tables_are_the_same(data, tmp_path):
    values, concepts = data
    whole = frame(values, concepts, holdout=0.5)
    values[values < 0.3] = 0
    rectified = frame(values, concepts, holdout=0.5)
    assert not rectified.equals(whole)
    thin = frame(sparse.csr_array(values), concepts, holdout=0.5)
    assert thin["effect"].to_numpy() == pytest.approx(rectified["effect"].to_numpy(), rel=1e-12)
    assert thin.assign(effect=rectified["effect"]).equals(rectified)
    assert frame(values, concepts, holdout=0.5, n_jobs=2).equals(rectified)
    with joblib.parallel_config("threading", n_jobs=3):
        assert frame(values, concepts, holdout=0.5).equals(rectified)
    save_activations(Activations(values), tmp_path / "a.npy")
    assert frame(tmp_path / "a.npy", concepts, holdout=0.5).equals(rectified)
    assert frame(values, concepts, holdout=0.5, neurons=[8, 2]).equals(
        pd.concat([rectified[rectified["neuron"] == j] for j in (8, 2)], ignore_index=True).assign(
            q=frame(values, concepts, holdout=0.5, neurons=[8, 2])["q"]
        )
    )


def held_out(values, concepts, seed=0):
    """The split, from a run of ``label`` that is told apart by its counts."""
    from neuronym.inputs import align
    from neuronym.stats.split import hold_out

    (one,) = align(values, Concepts.from_array(concepts, NAMES))
    return hold_out(one.groups.row_groups, None, 0.5, seed)


def test_held_out_samples_are_measured_and_not_searched(data):
    values, concepts = data
    held = held_out(values, concepts)
    table = pairs(values, concepts, names=NAMES, min_count=10, holdout=0.5)
    assert list(table.to_frame().columns)[-2:] == ["auc_heldout", "f1_heldout"]
    alone = pairs(values[~held], concepts[~held], names=NAMES, min_count=10).to_frame()
    assert table.to_frame().drop(columns=["auc_heldout", "f1_heldout"]).equals(alone)
    for row in table.to_frame().itertuples():
        inside, column = concepts[held, NAMES.index(row.concept)], values[held, row.neuron]
        assert row.auc_heldout == pytest.approx(roc_auc_score(inside, column), rel=1e-12)
        assert row.f1_heldout == pytest.approx(f1_at(column, inside, row.threshold), rel=1e-12)
    labels = label(values[:, :5], Concepts.from_array(concepts, NAMES), length=1, negation=False, holdout=0.5,
                   min_count=10, max_fraction=0.8)  # fmt: skip
    for one in labels:
        best = table.of_neuron(one.neuron, 1).iloc[0]
        assert (best["concept"], best["auc_heldout"]) == (str(one.formula), pytest.approx(one.auc_heldout))
        assert best["auc"] == one.auc


def test_what_no_held_out_sample_shows_is_missing():
    concepts = np.zeros((30, 2), np.bool_)
    concepts[:15, 0] = True
    concepts[0, 1] = True
    rng = np.random.default_rng(0)
    for seed in range(6):
        table = pairs(rng.normal(size=(30, 1)), concepts, min_count=1, holdout=0.5, seed=seed)
        found = table.to_frame().set_index("concept")
        assert np.isfinite(found.loc["c0", "f1_heldout"])
        if "c1" in found.index:
            assert np.isnan(found.loc["c1", "f1_heldout"])
            assert np.isnan(found.loc["c1", "auc_heldout"])
            assert table.coverage(0, 0)["concepts"].tolist() == [2]
            break
    else:
        pytest.fail("the rare concept was held out every time")


def expected(table, top=None, min_auc=None, direction="high"):
    """What is kept of the whole table, pair by pair."""
    strength = {"high": table["auc"], "low": 1 - table["auc"], "both": np.maximum(table["auc"], 1 - table["auc"])}
    table = table.assign(strength=strength[direction])
    keys = ["layer"] if "layer" in table else []
    enough = table if min_auc is None else table[table["strength"] >= min_auc]
    kept = set(enough.index)
    if top is not None:
        ordered = enough.sort_values("strength", ascending=False, kind="stable")
        kept = {i for key in ("neuron", "concept") for i in ordered.groupby([*keys, key]).head(top).index}
    kept |= set(table.groupby([*keys, "concept"])["f1"].idxmax())
    return table.loc[sorted(kept)].drop(columns="strength").reset_index(drop=True)


@pytest.mark.parametrize("direction", ["high", "low", "both"])
@pytest.mark.parametrize("options", [{"top": 1}, {"top": 2}, {"min_auc": 0.6}, {"top": 1, "min_auc": 0.6}, {"top": 99}])
def test_top_and_min_auc_keep_what_they_say(data, monkeypatch, options, direction, tmp_path):
    values, concepts = data
    values[:, 7] = values[:, 0]  # ties between neurons
    monkeypatch.setattr(module, "_PART", 2)  # blocks that a concept's best are spread over
    layers = {"a": values, "b": values[:, ::-1]}
    whole = frame(layers, concepts, holdout=0.5)
    kept = frame(layers, concepts, holdout=0.5, direction=direction, **options)
    assert kept.equals(expected(whole, direction=direction, **options))
    table = pairs(layers, concepts, names=NAMES, min_count=10, holdout=0.5, direction=direction, **options)
    assert table.coverage().equals(pairs(layers, concepts, names=NAMES, min_count=10, holdout=0.5).coverage())
    out = tmp_path / "pairs.parquet"
    frame(layers, concepts, holdout=0.5, direction=direction, out=out, **options)
    assert Pairs.open(out).to_frame().equals(kept)


def test_a_file_is_the_table_in_memory(data, tmp_path, monkeypatch):
    values, concepts = data
    monkeypatch.setattr(module, "_GROUP", 7)
    monkeypatch.setattr(module, "_PART", 2)
    path = tmp_path / "pairs.parquet"
    table = pairs(values, concepts, names=NAMES, min_count=10, holdout=0.5)
    written = pairs(values, concepts, names=NAMES, min_count=10, holdout=0.5, out=path)
    opened = Pairs.open(path)
    assert parquet.read_metadata(path).num_row_groups > 3
    table.save(tmp_path / "saved.parquet")
    opened.save(tmp_path / "again.parquet")
    for one in (written, opened, Pairs.open(tmp_path / "saved.parquet"), Pairs.open(tmp_path / "again.parquet")):
        assert one.to_frame().equals(table.to_frame())
        assert repr(one) == repr(table)
        assert len(one) == len(table) == one.tests
        assert one.detectors("hound", 3).equals(table.detectors("hound", 3))
        assert one.of_neuron(3, by="f1").equals(table.of_neuron(3, by="f1"))
        assert one.coverage().equals(table.coverage())
        assert (one.constant, one.untested) == ({"": [5]}, {"": ["rare", "all"]})
    assert repr(table) == "Pairs(32 of 32 pairs: 9 neurons × 4 concepts, 2 not tested, 1 neuron constant)"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["again.parquet", "pairs.parquet", "saved.parquet"]


def test_names_of_neurons_keep_their_type(data, tmp_path):
    values, concepts = data
    frames = [pd.DataFrame(values[:, :3], columns=names) for names in ([10, 20, 30], ["a", "b", "7"])]
    for given, names in zip(frames, ([10, 20, 30], ["a", "b", 7]), strict=True):
        path = tmp_path / f"{names[0]}.parquet"
        table = pairs(given, concepts, names=NAMES, min_count=10, out=path)
        assert table.to_frame()["neuron"].unique().tolist() == names
        assert table.of_neuron(names[2])["neuron"].tolist() == [names[2]] * 4
        assert Pairs.open(path).of_neuron(str(names[2]))["neuron"].tolist() == [names[2]] * 4


def test_detectors_are_the_best_neurons_of_a_concept(data):
    values, concepts = data
    table = pairs({"a": values, "b": values[:, :3]}, concepts, names=NAMES, min_count=10)
    found = table.detectors("dog", n=None)
    assert found["concept"].unique().tolist() == ["dog"]
    assert found["auc"].tolist() == sorted(found["auc"], reverse=True)
    assert len(found) == 11
    assert found[["layer", "neuron"]].values.tolist()[:2] == [["a", 0], ["b", 0]]
    assert table.detectors("hound").equals(found.head(10))  # an alias
    assert table.detectors("dog", layer="b")["layer"].unique().tolist() == ["b"]
    by_f1 = table.detectors("car", by="f1")
    assert (by_f1["neuron"][0], by_f1["f1"][0], by_f1["threshold"][0]) == (3, 1.0, 1.0)
    assert table.of_neuron(3, 1)["concept"].tolist() == ["car"]
    assert table.of_neuron(0, layer="b")["layer"].unique().tolist() == ["b"]
    low = pairs(values, concepts, names=NAMES, min_count=10, direction="low")
    assert low.detectors("dog", 1)["neuron"].tolist() == [4]


def test_coverage_chooses_on_the_samples_searched(data):
    values, concepts = data
    values[:, 0] += 9 * concepts[:, 2]  # detects two of the concepts
    layers = {"a": values, "b": values[:, 6:]}
    table = pairs(layers, concepts, names=NAMES, min_count=10, holdout=0.5)
    whole, rows = table.to_frame(), []
    for layer, own in whole.groupby("layer"):
        best = own.loc[own.groupby("concept")["f1"].idxmax()]
        good = best[(best["f1_heldout"] > 0.5) & (best["auc_heldout"] > 0.7)]
        n_neurons, labelled = layers[layer].shape[1], good["neuron"].nunique()
        rows.append([layer, 4, len(good), len(good) / 4, n_neurons, labelled, best["f1_heldout"].mean()])
    columns = ["layer", "concepts", "covered", "share", "neurons", "labelled", "f1_heldout"]
    pd.testing.assert_frame_equal(table.coverage(min_auc=0.7), pd.DataFrame(rows, columns=columns))
    assert rows[0][2] > rows[1][2]
    assert table.coverage(min_f1=1.0)["covered"].tolist() == [0, 0]
    with pytest.raises(OptionError, match="coverage needs samples that were held out: make the table with hold"):
        pairs(values, concepts, min_count=10).coverage()


def test_clusters_are_held_out_as_a_whole(data):
    values, concepts = data
    clusters = np.arange(N) // 4
    table = pairs(values, concepts, names=NAMES, min_count=10, holdout=0.5, clusters=clusters)
    assert not table.to_frame().equals(frame(values, concepts, holdout=0.5))
    with pytest.raises(OptionError, match="clusters only affect the split of holdout"):
        pairs(values, concepts, clusters=clusters)


def test_a_file_is_complete_or_absent(data, tmp_path, monkeypatch):
    values, concepts = data
    path = tmp_path / "pairs.parquet"

    def stop(*_):
        raise KeyboardInterrupt

    for name in ("_test_part", "_table"):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, stop)
            with pytest.raises(KeyboardInterrupt):
                pairs(values, concepts, names=NAMES, out=path)
        assert list(tmp_path.iterdir()) == []
    pairs(values, concepts, names=NAMES, out=path)
    before = path.read_bytes()
    with pytest.raises(FileError, match="exists: choose another name, or overwrite it"):
        pairs(values, concepts, names=NAMES, out=path)
    pairs(values[:, :2], concepts, names=NAMES, out=path, overwrite=True)
    assert path.read_bytes() != before
    with pytest.raises(FileError, match=r"the name of a file of pairs must end in \.parquet"):
        pairs(values, concepts, out=tmp_path / "pairs.csv")
    with pytest.raises(FileError, match="there is no folder"):
        pairs(values, concepts, out=tmp_path / "none" / "pairs.parquet")


def test_bad_input_gets_one_clear_line(data, tmp_path, monkeypatch):
    values, concepts = data
    table = pairs(values, concepts, names=NAMES, min_count=10)
    for options, message in (
        ({"top": 0}, "top must be a whole number of at least 1, not 0"),
        ({"min_auc": 2}, "min_auc must lie between 0 and 1, not 2"),
        ({"direction": "up"}, "direction must be 'high', 'low' or 'both', not 'up'"),
        ({"correction": "fdr"}, "correction must be 'bh' or 'bonferroni', not 'fdr'"),
        ({"min_count": 0}, "min_count must be a whole number of at least 1, not 0"),
        ({"min_count": 200}, "there is no concept to test: none of 7 is true for 200 to 200 of 400 samples"),
        ({"holdout": 2}, "holdout must lie between 0 and 1, not 2"),
        ({"n_jobs": 0}, "n_jobs must be a whole number other than 0"),
    ):
        with pytest.raises(OptionError, match=message):
            pairs(values, concepts, names=NAMES, **options)
    with pytest.raises(ActivationsError, match="there is no neuron to test"):
        pairs(values, concepts, neurons=[])
    values[7, 2] = np.nan
    for options in ({}, {"holdout": 0.5}, {"holdout": 0.5, "seed": 1}):
        with pytest.raises(ActivationsError, match=r"activations hold NaN or infinity in 1 neuron \(2\)"):
            pairs(values, concepts, min_count=10, **options)
    with pytest.raises(UnknownNameError, match="no concept 'dogg'; near it: 'dog'"):
        table.detectors("dogg")
    with pytest.raises(OptionError, match="concept 'rare' was not tested, since too few samples are inside or outside"):
        table.detectors("rare")
    with pytest.raises(UnknownNameError, match="no neuron '99'"):
        table.of_neuron(99)
    with pytest.raises(OptionError, match="neuron 5 is constant, so it was not tested"):
        table.of_neuron(5)
    with pytest.raises(UnknownNameError, match="no layer 'conv'"):
        table.detectors("dog", layer="conv")
    with pytest.raises(OptionError, match="by must be 'auc' or 'f1', not 'p'"):
        table.detectors("dog", by="p")
    with pytest.raises(OptionError, match="n must be a whole number of at least 1, or None, not 0"):
        table.detectors("dog", n=0)
    monkeypatch.setattr(module, "IN_MEMORY", 30)
    with pytest.raises(OptionError, match=r"36 pairs are more than the 30 that are kept in memory: write them to a"):
        pairs(data[0][:, [0, 1, 3, 4, 5, 6, 7, 8, 8]] * 1.0, concepts, names=NAMES, min_count=10)
    monkeypatch.setattr(module, "FAMILY", 30)
    with pytest.raises(OptionError, match=r"36 pairs are more than the 30 whose p-values are kept in memory for q"):
        pairs(np.nan_to_num(values), concepts, names=NAMES, min_count=10, top=1)
    kept = pairs(np.nan_to_num(values), concepts, names=NAMES, min_count=10, top=1, correction="bonferroni")
    assert 0 < len(kept) < 32


def test_other_files_are_refused(data, tmp_path):
    values, concepts = data
    path = tmp_path / "pairs.parquet"
    pd.DataFrame({"neuron": [1]}).to_parquet(path)
    with pytest.raises(FileError, match="is not a file of pairs: make one by neuronym pairs --out"):
        Pairs.open(path)
    pairs(values, concepts, min_count=10, out=path, overwrite=True)
    table = parquet.read_table(path)
    said = json.loads(table.schema.metadata[b"neuronym.pairs"])
    for changed in ({"tests": "many"}, {"concepts": []}, {"aliases": {"": {"dog": 3}}}, {"constant": {"x": []}}, {}):
        about = {**said, **changed} if changed else [said]
        parquet.write_table(table.replace_schema_metadata({"neuronym.pairs": json.dumps(about)}), path)
        with pytest.raises(FileError, match="cannot read pairs from"):
            Pairs.open(path)
    parquet.write_table(table.drop_columns(["auc"]).replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(FileError, match="it lacks the columns auc"):
        Pairs.open(path)
    with pytest.raises(FileError, match="there is no file"):
        Pairs.open(tmp_path / "none.parquet")


def test_an_alias_in_one_layer_may_be_a_concept_of_its_own_in_another():
    """Layers with other samples differ in which concepts are equal."""
    rng = np.random.default_rng(0)
    ids = [f"s{i}" for i in range(120)]
    x = rng.random(120) < 0.5
    y = x.copy()
    y[60:80] ^= True  # only the first layer lacks these samples
    concepts = Concepts.from_array(np.stack([x, y], axis=1), ["x", "y"], sample_ids=ids)
    first = [i for i in range(120) if not 60 <= i < 80]
    layers = {
        "a": Activations(rng.normal(size=(100, 2)), sample_ids=[ids[i] for i in first]),
        "b": Activations(rng.normal(size=(120, 2)), sample_ids=ids),
    }
    with pytest.warns(UserWarning, match="keeps 100 samples"):
        table = pairs(layers, concepts, align=True, min_count=5)
    found = table.detectors("y")
    assert sorted(zip(found["layer"], found["concept"], strict=True)) == [("a", "x")] * 2 + [("b", "y")] * 2
    assert set(table.detectors("x")["concept"]) == {"x"}
