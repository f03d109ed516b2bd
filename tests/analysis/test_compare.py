import math

import numpy as np
import pytest

from neuronym import Labels, OptionError, compare_layers, label
from neuronym.analysis.compare import by_layer
from neuronym.plots import plot_baselines

N = 600


@pytest.fixture(scope="module")
def concepts():
    return np.random.default_rng(0).random((N, 8)) < 0.3


def labelled(concepts, shift, seed, **options):
    """Labels of two layers: neurons of noise, and neurons that are higher by ``shift`` in a concept each."""
    rng = np.random.default_rng(seed)
    noise, signal = rng.normal(size=(N, 8)), rng.normal(size=(N, 8)) + shift * concepts
    signal[:, 7] = 1  # constant
    asked = {"length": 1, "holdout": 0.5, "permutations": 199, **options}
    return label({"early": noise, "late": signal}, concepts, **asked)


@pytest.fixture(scope="module")
def sets(concepts):
    return labelled(concepts, 3, 1), [labelled(concepts, 1, 2), labelled(concepts, 0, 3)]


def test_the_network_stands_beside_its_baselines(sets):
    table = compare_layers(*sets)
    assert table[["layer", "network"]].to_numpy().tolist() == [
        [layer, name] for layer in ("early", "late") for name in ("network", "baseline 1", "baseline 2")
    ]
    late = table[table["layer"] == "late"].set_index("network")
    assert late["neurons"].tolist() == [7, 7, 7]
    assert late["auc_heldout"].is_monotonic_decreasing
    assert late.loc["network", "believable"] == 1
    assert late.loc["baseline 2", "believable"] <= 0.3
    assert late.loc["network", "concepts"] == 7
    kept = sets[0].significant(0.05).filter(layer="late")
    assert len(kept) == 7
    aucs = [x.auc_heldout for x in sets[0] if x.layer == "late" and x.best is not None]
    assert late.loc["network", "auc_heldout"] == np.median(aucs)


def test_the_range_of_baselines_by_layer(sets):
    table = compare_layers(sets[0], {"seed 0": sets[1][0], "seed 1": sets[1][1]})
    late = by_layer(table)[1]
    low, high = sorted(table[(table["layer"] == "late") & (table["network"] != "network")]["auc"])
    own, *of_baselines = late["auc"]
    assert (late["layer"], late["baselines"]) == ("late", 2)
    assert of_baselines == [pytest.approx((low + high) / 2), low, high]
    assert own == table[(table["layer"] == "late") & (table["network"] == "network")]["auc"].item()


def test_files_and_labels_without_evidence_or_layers(concepts, tmp_path):
    plain = [label(np.random.default_rng(s).normal(size=(N, 4)), concepts, length=1) for s in range(2)]
    for k, one in enumerate(plain):
        one.save(tmp_path / f"{k}.csv")
    table = compare_layers(tmp_path / "0.csv", tmp_path / "1.csv")
    assert table["network"].tolist() == ["network", "baseline"]
    assert table["layer"].tolist() == [None, None]
    assert table["believable"].isna().all()
    assert (table["concepts"] > 0).all()
    assert math.isnan(by_layer(table)[0]["auc_heldout"][1])


def test_what_cannot_be_compared_is_refused(sets, concepts):
    with pytest.raises(OptionError, match="baselines must be the labels of one or more"):
        compare_layers(sets[0], [])
    with pytest.raises(OptionError, match=r"baseline has no labels of layer 'late', only of 'early': label the same"):
        compare_layers(sets[0], sets[1][0].filter(layer="early"))
    with pytest.raises(OptionError, match=r"auc_heldout is known of 'network' and not of 'baseline'"):
        compare_layers(sets[0], labelled(concepts, 0, 4, holdout=None))
    with pytest.raises(OptionError, match="believable is known of 'network' and not of"):
        compare_layers(labelled(concepts, 0, 4, holdout=None), labelled(concepts, 0, 4, holdout=None, permutations=0))
    assert isinstance(sets[0], Labels)


def test_the_figure_is_drawn(sets, tmp_path):
    plot_baselines(compare_layers(*sets), tmp_path / "beside.png")
    assert (tmp_path / "beside.png").stat().st_size > 5000
    with pytest.raises(OptionError, match="the table lacks network"):
        plot_baselines(compare_layers(*sets).drop(columns="network"), tmp_path / "other.png")
