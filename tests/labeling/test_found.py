import dataclasses
import math
import pickle

import joblib
import numpy as np
import pytest

from neuronym import Explanation, Formula, Label, label
from neuronym.labeling import found, labeling
from neuronym.labels.files import columns_of
from neuronym.labels.lazy import LazyLabels
from neuronym.search.beam import FormulaDecoder
from neuronym.stats.significance import mann_whitney

RNG = np.random.default_rng(0)
CONCEPTS = RNG.random((400, 9)) < 0.3
CONCEPTS[:, 8] = CONCEPTS[:, 7]
VALUES = RNG.normal(size=(400, 150)) + 2 * CONCEPTS[:, RNG.integers(0, 9, 150)]
VALUES[:, 70] = 3  # constant
NAMES = [f"n{j}" if j % 2 else j for j in range(150)]

CASES = {
    "AUC": {},
    "both directions": {"direction": "both"},
    "beam": {"search": "beam", "beam": 2, "length": 2},
    "of length 1": {"length": 1},
    "another score": {"score": "iou", "direction": "both"},
    "the best of several thresholds": {"score": "f1", "threshold": "best"},
    "nothing above": {"score": "iou", "threshold": 100.0},
    "a penalty": {"penalty": 0.9},
    "infeasible": {"min_count": 150, "length": 1},
    "all infeasible": {"min_count": 390},
}


def explanation(decoder, one, beside, j, slot, total, **more):
    length = int(one.lengths[j, slot])
    if not length:
        return None
    literals, operators = (getattr(one, name)[j, slot, :length].tolist() for name in ("literals", "operators"))
    formula, count = decoder.formula(tuple(literals), tuple(operators)), int(one.counts[j, slot])
    if beside is not None:
        more["value"] = float(beside.values[j, slot])
    auc = float((one.scores if beside is None else beside.aucs)[j, slot])
    return Explanation(formula, auc, count / total, count, **more)


def expected(parts, names, shared):
    """The labels of a layer by the definition, one number at a time."""
    decoder, start = FormulaDecoder(shared.names), 0
    for part in parts:
        for j in range(len(part.ties)):
            for d, direction in enumerate(shared.directions):
                one, beside = part.found[d], None if part.beside is None else part.beside[d]
                neuron, why = names[start + j], None
                if part.constant[j]:
                    why = "constant"
                elif not one.lengths[j, 0]:
                    why = shared.rules.infeasible(shared.total)
                elif beside is not None and not (np.isnan(beside.thresholds[j]) or beside.values[j, 0] > 0):
                    above = f"exceeds the threshold {beside.thresholds[j]:.4g}"
                    why = f"no formula is true for a sample whose activation {above}"
                if why:
                    yield Label(neuron, shared.layer, direction, reason=why)
                    continue
                sums = int((one if beside is None else beside).sums[j, 0])
                p, log10_p = map(float, mann_whitney(sums, int(one.counts[j, 0]), shared.total, float(part.ties[j])))
                best = explanation(decoder, one, beside, j, 0, shared.total, p=p, log10_p=log10_p)
                others = [
                    explanation(decoder, one, beside, j, slot, shared.total) for slot in range(1, one.lengths.shape[1])
                ]
                others = [best if other is not None and other.formula == best.formula else other for other in others]
                path = others[-shared.rules.length :]
                used = sorted({name for step in [best, *others] if step for name in step.formula.concepts})
                yield Label(
                    neuron,
                    shared.layer,
                    direction,
                    best,
                    tuple(path),
                    tuple(other for other in others[: -shared.rules.length] if other is not None),
                    aliases={name: shared.aliases[name] for name in used if name in shared.aliases},
                    optimal=None if shared.rules.search == "beam" else bool(one.optimal[j]),
                    gap=float(one.gap[j] if beside is None else beside.gaps[j]),
                    ceiling=float(one.ceiling[j] if beside is None else beside.ceilings[j]),
                    score=None if beside is None else shared.score,
                    threshold=math.nan if beside is None else float(beside.thresholds[j]),
                )
        start += len(part.ties)


def whole(value):
    """All fields of a label, with what makes equal ones equal: NaN differs from itself."""
    if dataclasses.is_dataclass(value):
        return type(value), [whole(getattr(value, one.name)) for one in dataclasses.fields(value)]
    if isinstance(value, tuple):
        return [whole(one) for one in value]
    return "nan" if isinstance(value, float) and math.isnan(value) else (type(value), value)


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_labels_made_when_asked_for_are_those_of_the_search(monkeypatch, options):
    searched = []

    def noting(parts, names, shared):
        listed = list(parts)
        searched.append((listed, names, shared))
        return found.blocks_of(iter(listed), names, shared)

    monkeypatch.setattr(labeling, "blocks_of", noting)
    monkeypatch.setattr(found, "_JOINED", 100)
    layers = {"a": labeling.Activations(VALUES[:, :80], NAMES[:80]), "b": VALUES}
    made = label(layers, CONCEPTS, **options)
    wanted = [one for of_layer in searched for one in expected(*of_layer)]
    assert isinstance(made._labels, LazyLabels)
    assert len(made) == len(wanted) == (80 + 150) * len(searched[0][2].directions)
    assert [whole(one) for one in made] == [whole(one) for one in wanted]
    assert [whole(made._labels[i]) for i in (0, -1, 70)] == [whole(wanted[i]) for i in (0, -1, 70)]
    assert made._labels.neurons() == [one.neuron for one in wanted]
    assert made._labels.layers() == [one.layer for one in wanted]
    assert made._labels.found().tolist() == [one.best is not None for one in wanted]
    assert columns_of(made._labels) == columns_of(wanted)


@pytest.fixture
def labels():
    return label(VALUES, CONCEPTS, n_jobs=1)


def test_labels_are_not_made_before_they_are_asked_for(labels, monkeypatch):
    asked = []
    make = found.FoundBlock.labels
    monkeypatch.setattr(found.FoundBlock, "labels", lambda self, places: asked.extend(places) or make(self, places))
    assert len(labels) == 150
    assert labels._summary() == "Labels: 150 labels, 1 without a formula"
    assert asked == []
    assert labels[7].neuron == 7
    assert labels.of(9)[9].neuron == 9
    assert asked == [7, 9]
    assert [one.neuron for one in labels.head(3)] == [0, 1, 2]
    assert asked == [7, 9, 0, 1, 2]


def test_labels_pickle_and_dump_small(labels, tmp_path):
    size = len(pickle.dumps(label(np.tile(VALUES, 20), CONCEPTS, search="beam")))
    assert size < 260 * 3000
    for copy in (pickle.loads(pickle.dumps(labels)), pickle.loads(pickle.dumps(labels.head(20)))):
        assert copy == labels.head(len(copy))
        assert copy[7].formula == labels[7].formula
    list(labels)
    joblib.dump(labels, tmp_path / "l")
    assert joblib.load(tmp_path / "l") == labels
    assert len(pickle.dumps(labels)) == len(pickle.dumps(pickle.loads(pickle.dumps(labels))))


def test_labels_with_evidence_start_from_the_same_labels(labels):
    tested = label(VALUES, CONCEPTS, n_jobs=1, permutations=20)
    assert [one.best for one in tested] == [one.best for one in labels]
    assert isinstance(tested[7].formula, Formula)
    assert not math.isnan(tested[7].p_search)
