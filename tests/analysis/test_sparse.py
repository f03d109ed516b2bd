"""Every use of labels takes sparse activations and gives what it gives for the same activations as an array."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import sparse

from neuronym import (
    Activations,
    Concepts,
    compare_scores,
    evaluate_known,
    label,
    sources,
    sweep,
)
from neuronym.analysis import compose
from neuronym.analysis.instances import domain_f1
from neuronym.analysis.spurious import find_spurious
from neuronym.plots import concept_bars, distribution, roc
from neuronym.report import report
from neuronym.search.scores import SCORES

N = 160


@pytest.fixture(scope="module")
def data():
    """The same activations as an array and as a sparse matrix, and concepts."""
    rng = np.random.default_rng(0)
    shown = rng.random((N, 4)) < [0.3, 0.4, 0.5, 0.2]
    values = np.round(rng.normal(size=(N, 4)), 2) * (rng.random((N, 4)) < 0.4)
    values[:, 0] += 2 * (shown[:, 0] & ~shown[:, 1])
    values[:, 1] -= 2 * shown[:, 2]
    values[:, 3] = 0
    values += 0.0  # no −0.0, which a sparse matrix does not keep
    ids, names = [f"{i:03}.png" for i in range(N)], ["dog", "grass", "sky", "mark"]
    clusters = [*range(N // 2), *range(N // 2)]
    taken = [Activations(given, sample_ids=ids, clusters=clusters) for given in (values, sparse.csr_array(values))]
    assert not taken[0].sparse
    assert taken[1].sparse
    return taken, Concepts.from_array(shown, names, sample_ids=ids)


def labels_of(taken, concepts, **options):
    return label(taken, concepts, min_count=5, **options)


def of_sweep(taken, concepts):
    return sweep(taken, concepts, min_count=5, length=2, min_fractions=(0.0, 0.1))


def of_rescore(taken, concepts):
    return labels_of(taken, concepts, direction="both", length=2).rescore(
        taken, concepts, scores=[*SCORES, "average_precision"], quantile=0.9
    )


def of_truth(taken, concepts):
    labels = labels_of(taken, concepts, length=2)
    return evaluate_known(labels, {0: "dog & ~grass", 1: "sky"}, activations=taken, concepts=concepts)


def of_scores(taken, concepts):
    return compare_scores(taken, concepts, scores=["auc", "f1", "correlation"], min_count=5, length=2)


def of_detector(taken, concepts):
    found = compose.compose("dog & ~grass", taken, concepts, direction="both")
    return pd.DataFrame({"score": found.scores(taken), "auc": found.auc(taken, concepts)})


def of_suspects(taken, concepts):
    return find_spurious(taken, concepts, suspects="mark", permutations=99).neurons


def of_classes(taken, concepts):
    return find_spurious({"out": taken}, concepts, suspects="mark", outputs="out").classes


def of_instances(taken, concepts):
    ids = np.where(concepts["sky"], np.arange(N) // 3, -1)
    table = pd.DataFrame({"sample": concepts.sample_ids, "sky": ids})
    return domain_f1(taken, {"sky": [None if k < 0 else int(k) for k in table["sky"]]}, align="position")


def of_concepts(taken, concepts):
    found = sources.from_scores(taken, threshold=0.5)
    return pd.DataFrame(found.to_dense())


USES = [of_sweep, of_rescore, of_truth, of_scores, of_detector, of_suspects, of_classes, of_instances,
        of_concepts]  # fmt: skip


@pytest.mark.parametrize("use", USES, ids=lambda one: one.__name__)
@pytest.mark.filterwarnings("ignore")
def test_sparse_activations_give_what_an_array_gives(use, data):
    (dense, found), concepts = data
    pd.testing.assert_frame_equal(use(found, concepts), use(dense, concepts), rtol=1e-10)


@pytest.mark.filterwarnings("ignore")
def test_the_page_is_that_of_an_array(data, tmp_path):
    taken, concepts = data
    for name, one in zip(("dense", "sparse"), taken, strict=True):
        labels = label(one, concepts, min_count=5, holdout=0.5, direction="both")
        report(labels, tmp_path / name, activations=one, concepts=concepts, title="Test", n_samples=4)
    files = sorted(path.relative_to(tmp_path / "dense") for path in (tmp_path / "dense").rglob("*") if path.is_file())
    assert len(files) > 5
    for path in files:
        one, other = ((tmp_path / name / path).read_bytes() for name in ("dense", "sparse"))
        assert path.name == ".neuronym.json" or one == other, path


@pytest.mark.parametrize("draw", [distribution, roc, concept_bars], ids=lambda one: one.__name__)
def test_pictures_are_those_of_an_array(draw, data):
    (dense, found), concepts = data
    of = labels_of(dense, concepts)[0]
    drawn = []
    for taken in (dense, found):
        axes = draw(of, taken, concepts, ax=Figure().subplots())
        drawn.append(
            [line.get_xydata().tolist() for line in axes.lines] + [p.get_path().vertices.tolist() for p in axes.patches]
        )
    assert drawn[0] == drawn[1]
    assert drawn[0]
