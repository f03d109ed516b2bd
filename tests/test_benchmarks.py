import sys
from pathlib import Path

import numpy as np
import pytest

from neuronym import Concepts
from neuronym.scores import AUC
from neuronym.search import Rules, search

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def run():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import run
    finally:
        sys.path.pop(0)
    return run


@pytest.fixture(scope="module")
def concepts():
    classes = np.random.default_rng(0).integers(0, 12, 3000)
    parts = [Concepts.from_classes(classes), Concepts.from_array((classes[:, None] // [2, 4]) % 2 == 0, ["x", "y"])]
    return Concepts.concatenate(parts)


def test_the_dense_search_is_the_same_search(run, concepts):
    values = run.planted(concepts, 12, "tie-free")
    groups = run.searched(concepts)
    rules = Rules(3, 3, 0.02, 0.5, 1, "constrained")
    found = search(AUC().weigh(values, groups).sums, groups, rules, AUC().table(groups.total)).scores[:, 0]
    matrix = concepts.to_dense().astype(np.float32)
    dense = run.dense.search(run.dense.ranks(values), matrix, 3, 3, *rules.bounds(groups.total))
    assert dense == pytest.approx(found, abs=1e-6)


def test_the_kinds_of_neurons_are_what_they_are_called(run, concepts):
    kinds = {kind: run.planted(concepts, 3, kind) for kind in run.KINDS}
    assert len(np.unique(kinds["tie-free"][:, 0])) > 2990
    assert 0.4 < (kinds["half zeros"] == 0).mean() < 0.6
    assert (kinds["small integers"] % 1 == 0).all()


def test_every_part_is_timed_and_the_table_is_written(run, concepts):
    taken = run.parts(run.planted(concepts, 2, "tie-free"), run.searched(concepts), run.RULES, 1)
    assert list(taken) == ["sort", "rank", "constrained", "free"]
    assert all(ms > 0 for ms in taken.values())
    text = run.as_text([("Title", "A note.", ["a", "bb"], [["1", "2"]])])
    assert "| a | bb |\n| - | -: |\n| 1 | 2  |\n" in text
    assert "A note." in text
