import warnings

import numpy as np
import pandas as pd
import pytest

from neuronym import Activations, ActivationsError, Concepts, FileError, Hierarchy, OptionError, label, save_concepts
from neuronym.analysis.sweep import sweep
from neuronym.plots import plot_sweep

N = 900
NAMES = ["pug", "poodle", "dog", "cat", "animal", "car"]
EDGES = [("pug", "dog"), ("poodle", "dog"), ("dog", "animal"), ("cat", "animal"), ("car", "thing")]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 9, N)
    columns = [kind == 0, kind == 1, (kind == 0) | (kind == 1), kind == 2, kind < 3, kind > 5]
    concepts = Concepts.from_array(np.array(columns).T, NAMES)
    values = rng.normal(size=(N, 12)).astype(np.float32)
    for j in range(6):
        values[:, j] += 1.5 * columns[j]
    values[:, 6] += 1.5 * (columns[0] | columns[3])
    values[:, 11] = 1.0
    return values, concepts


def test_every_row_is_the_mean_of_a_run_of_its_own(data):
    values, concepts = data
    table = sweep(values, concepts, length=3, min_fractions=[0.0, 0.15, 0.3])
    assert list(table.columns) == ["min_fraction", "length", "neurons", "concepts", "auc", "auc_heldout", "fraction"]
    assert len(table) == 9
    for row in table.itertuples():
        run = label(values, concepts, length=row.length, min_fraction=row.min_fraction, holdout=0.5)
        found = [x for x in run if x.best is not None]
        assert row.neurons == len(found) < 12
        for name in ("auc", "auc_heldout", "fraction"):
            assert getattr(row, name) == pytest.approx(np.mean([getattr(x, name) for x in found]))
        assert row.concepts == pytest.approx(np.mean([x.length for x in found]))
    searched = table[table["min_fraction"] == 0]["auc"].tolist()
    assert searched == sorted(searched)


def test_the_hierarchy_says_how_general_labels_are(data):
    values, concepts = data
    table = sweep(values[:, :6], concepts, length=1, min_fractions=[0.0], hierarchy=Hierarchy(EDGES))
    labels = label(values[:, :6], concepts, length=1, holdout=0.5)
    depth = {"pug": 2, "poodle": 2, "dog": 1, "cat": 1, "animal": 0, "car": 1}
    names = [x.formula.concepts[0] for x in labels]
    assert table["depth"][0] == pytest.approx(np.mean([depth[name] for name in names]))
    assert table["hypernyms"][0] == pytest.approx(np.mean([name in ("dog", "animal") for name in names]))
    renamed = concepts.rename({"pug": "Mops"})  # known by its description
    again = sweep(values[:, :6], renamed, length=1, min_fractions=[0.0], hierarchy=Hierarchy(EDGES))
    assert again["depth"].tolist() == table["depth"].tolist()
    with pytest.raises(OptionError, match="the hierarchy contains none of the concepts, such as 'pug'"):
        sweep(values, concepts, hierarchy=Hierarchy([("a", "b")]))
    fewer = Hierarchy([edge for edge in EDGES if "car" not in edge])
    ids = [f"s{i}" for i in range(len(values))]
    known = concepts.with_ids(ids)
    layers = {"a": Activations(values[:, :6], sample_ids=ids), "b": Activations(values[:-1, :6], sample_ids=ids[:-1])}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        sweep(layers, known, length=1, min_fractions=[0.0], hierarchy=fewer, align=True)
    (lacking,) = [str(one.message) for one in warned if "lacks" in str(one.message)]
    assert lacking.startswith("the hierarchy lacks 1 of 6 concepts ('car'): they have no depth")


def test_layers_clusters_and_workers(data):
    values, concepts = data
    layers = {"a": values[:, :6], "b": values[:, 6:]}
    clusters = np.arange(N) // 3
    one, two = (
        sweep(layers, concepts, length=2, min_fractions=[0.0], clusters=clusters, n_jobs=n, seed=3) for n in (1, 2)
    )
    pd.testing.assert_frame_equal(one, two)
    assert one["layer"].tolist() == ["a", "a", "b", "b"]
    tokens = {name: Activations(own, clusters=clusters) for name, own in layers.items()}
    pd.testing.assert_frame_equal(sweep(tokens, concepts, length=2, min_fractions=[0.0], seed=3), one)
    alone = label(layers["b"], concepts, length=2, holdout=0.5, clusters=clusters, seed=3)
    known = [x.auc_heldout for x in alone if x.best is not None]
    assert one["auc_heldout"][3] == pytest.approx(np.mean(known))


def test_what_cannot_be_swept_is_refused(data):
    values, concepts = data
    with pytest.raises(OptionError, match="min_fractions is empty"):
        sweep(values, concepts, min_fractions=[])
    with pytest.raises(OptionError, match=r"min_fraction=0\.7 is above max_fraction"):
        sweep(values, concepts, min_fractions=[0.7])
    with pytest.raises(OptionError, match="length must be a whole number of at least 1"):
        sweep(values, concepts, length=0)
    with pytest.raises(OptionError, match="holdout must lie between 0 and 1"):
        sweep(values, concepts, holdout=0)
    with pytest.raises(OptionError, match="holdout must lie between 0 and 1, not None"):
        sweep(values, concepts, holdout=None)
    with pytest.raises(OptionError, match="n_jobs must be a whole number other than 0"):
        sweep(values, concepts, n_jobs=0)
    with pytest.raises(OptionError, match="min_fraction must lie between 0 and 1, not 'a'"):
        sweep(values, concepts, min_fractions=["a"])
    with pytest.raises(FileError, match="cannot read a hierarchy"):
        sweep(values, concepts, hierarchy="none.csv")
    assert len(sweep(values, concepts, length=1, min_fractions=0.1)) == 1
    with pytest.raises(ActivationsError, match="there is no neuron to label"):
        sweep(values, concepts, neurons=[])
    values[5, 3] = np.inf
    with pytest.raises(ActivationsError, match="activations contain NaN or infinity"):
        sweep(values, concepts)


def test_formulas_that_no_sample_held_out_shows_are_named(data):
    values, concepts = data
    clusters = np.where(concepts["pug"], 0, 1 + np.arange(N) // 9)
    pugs = values[:, :1] + 5 * concepts["pug"][:, None]
    values = np.concatenate([pugs, values[:, 3:4]], axis=1)
    seed = next(
        s
        for s in range(20)
        if label(values[:, 1:], concepts, holdout=0.5, clusters=clusters, seed=s, length=1)[0].best.length == 1
        and str(_first(values, concepts, clusters, s)) == "nan"
    )
    with pytest.warns(UserWarning, match="50% of the formulas are true for none or for all of the held-out samples"):
        sweep(values, concepts, length=1, min_fractions=[0.0], clusters=clusters, seed=seed)


def _first(values, concepts, clusters, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return label(values, concepts, holdout=0.5, clusters=clusters, seed=seed, length=1)[0].auc_heldout


def test_it_is_drawn(tmp_path, data):
    values, concepts = data
    # A text that begins with an underscore is left out of legends; a legend of none raises a warning.
    alone = sweep({"_a": values}, concepts, length=2, min_fractions=[0.0])
    plot_sweep(alone, tmp_path / "alone.png")
    table = sweep({"_a": values, "b": values}, concepts, length=2, hierarchy=Hierarchy(EDGES))
    plot_sweep(table, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(FileError, match="exists"):
        plot_sweep(table, tmp_path / "x.png")
    plot_sweep(table, tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_text().count("<path") > 40


def test_the_command_sweeps(tmp_path, command, data):
    values, concepts = data
    np.save(tmp_path / "a.npy", values)
    save_concepts(concepts, tmp_path / "c.parquet")
    (tmp_path / "h.csv").write_text(
        "child,parent\n" + "".join(f"{a},{b}\n" for a, b in [*EDGES, ("animal", ""), ("thing", "")])
    )
    given = ["sweep", str(tmp_path / "a.npy"), str(tmp_path / "c.parquet"), "--length", "2"]
    options = ["--hierarchy", str(tmp_path / "h.csv"), "--min-fractions", "0,0.2", "--out", str(tmp_path / "s.csv")]
    code, out, _ = command(*given, *options, "--plot", str(tmp_path / "s.png"))
    assert code == 0
    expected = sweep(values, concepts, length=2, min_fractions=[0, 0.2], hierarchy=Hierarchy(EDGES))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "s.csv"), expected)
    assert "auc_heldout" in out
    assert (tmp_path / "s.png").exists()
    for wrong, message in (
        (["--min-fractions", "0,x"], "'--min-fractions': must be numbers separated by commas"),
        (["--wordnet", "--hierarchy", str(tmp_path / "h.csv")], "give only one of --wordnet and --hierarchy"),
        (["--out", str(tmp_path / "s.csv")], "exists"),
        (["--plot", str(tmp_path / "s.gif")], "s.gif"),
    ):
        code, _, err = command(*given, *wrong)
        assert (code, err.count("\n")) == (2, 1)
        assert message in err
