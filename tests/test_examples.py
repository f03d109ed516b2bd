import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from neuronym import Formula, Labels, label, open_activations, save_concepts
from neuronym.cli import root as cli

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the shared data is not at {DATA}")


def imported(name):
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def example():
    return imported("tiny_imagenet")


@pytest.fixture(scope="module")
def concepts(example):
    return example.read_concepts(DATA)


def test_348_concepts(concepts):
    assert (concepts.n_samples, concepts.n_concepts) == (10_000, 348)
    assert sorted(set(concepts.counts[:200].tolist())) == [50]
    assert concepts.counts[200:].min() >= 100


def test_output_neurons_get_their_own_class(example, concepts):
    labels, own = example.label_outputs(DATA, concepts)
    assert own == 192
    assert np.mean([found.auc for found in labels]) == pytest.approx(0.9767, abs=5e-5)


def test_no_auc_is_below_that_of_the_published_implementation(example, concepts):
    cases = example.compare(DATA, concepts)
    assert len(cases) == 18
    for case in cases:
        # The file rounds to five decimals what float32 gave to about 1e-6.
        assert case.exact == pytest.approx(case.published, abs=6e-6)
        assert case.ours >= case.exact
        if case.length == 1:
            assert case.ours == case.exact


def test_auc_on_real_neurons_is_that_of_scikit_learn(example, concepts):
    pooled = open_activations(DATA / "efficientnet_lite0/pooled.npy")
    for found in label(pooled, concepts, neurons=slice(0, 512, 32)):
        inside = found.formula.evaluate(concepts)
        assert found.auc == pytest.approx(roc_auc_score(inside, pooled.matrix[:, found.neuron]), abs=1e-12)
    text = "n03637318 | n02058221"
    assert example.auc(pooled.matrix[:, 2], Formula.parse(text).evaluate(concepts)) == pytest.approx(
        0.8517586, abs=1e-7
    )


def test_the_command_gives_the_labels_of_python(concepts, tmp_path, monkeypatch):
    save_concepts(concepts, tmp_path / "concepts.parquet")
    pooled = DATA / "efficientnet_lite0" / "pooled.npy"
    out = tmp_path / "labels.csv"
    arguments = ["label", pooled, tmp_path / "concepts.parquet", "--out", out, "--quiet", "--n-jobs", "2"]
    monkeypatch.setattr(sys, "argv", ["neuronym", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0
    assert Labels.open(out) == label(np.load(pooled), concepts)


def test_stepping_stones_lose_less(example, concepts):
    rows = example.stones(DATA, concepts, neurons=slice(0, 512, 8), lengths=(2,))
    losses = {(min_fraction, prefixes): loss for min_fraction, _, prefixes, _, loss in rows}
    assert len(losses) == 4
    for min_fraction in (0.006, 0.01):
        assert 0 <= losses[min_fraction, "free"] < 0.1 * losses[min_fraction, "constrained"]


def test_the_data_are_made_from_data_sets_as_they_are_published(tmp_path, monkeypatch):
    lines = (DATA / "tiny-imagenet-200/val/val_annotations.txt").read_text().splitlines(keepends=True)[:8]
    made, validation = tmp_path / "made", tmp_path / "validation"
    images = made / "tiny-imagenet-200/val/images"
    images.mkdir(parents=True)
    (images.parent / "val_annotations.txt").write_text("".join(lines))
    for line in lines:
        name = line.split("\t")[0]
        shutil.copyfile(DATA / "tiny-imagenet-200/val/images" / name, images / name)
    for number, wnid in enumerate(["n01484850", "n01440764", "n01484850"]):
        (validation / wnid).mkdir(parents=True, exist_ok=True)
        (validation / wnid / f"ILSVRC2012_val_{number:08}.JPEG").write_text(str(number))
    monkeypatch.setattr(sys, "argv", ["prepare_data.py", str(made), "--validation", str(validation)])
    imported("prepare_data").main()
    for name in ("imagenet/classes.txt", "imagenet/hypernyms.csv", "imagenet/synsets.csv"):
        assert (made / name).read_text() == (DATA / name).read_text()
    assert np.load(made / "imagenet/val_labels.npy").tolist() == [2, 0, 2]
    assert sorted(path.read_text() for path in (made / "imagenet-photos").glob("n01*.JPEG")) == ["0", "1"]
    pooled, logits = (np.load(made / f"efficientnet_lite0/{name}.npy") for name in ("pooled", "logits_known"))
    assert np.abs(pooled - np.load(DATA / "efficientnet_lite0/pooled.npy")[:8]).max() < 1e-3
    known = (DATA / "efficientnet_lite0/logits_known.csv").read_text().splitlines()[1:]
    own = (made / "efficientnet_lite0/logits_known.csv").read_text().splitlines()[1:]
    columns = [int(row.split(",")[0]) for row in known if row.split(",", 1)[1] in {one.split(",", 1)[1] for one in own}]
    assert 1 < len(columns) == len(own)
    assert np.abs(logits - np.load(DATA / "efficientnet_lite0/logits_known.npy")[:8, columns]).max() < 1e-3
