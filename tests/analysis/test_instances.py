"""Regions: precision by sample, recall by instance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronym import Activations, ConceptsError, OptionError, UnknownNameError, label
from neuronym.analysis.instances import Instances, domain_f1
from neuronym.search.scores import GRID
from reference import domain_f1_by_hand


def test_a_case_worked_by_hand():
    """Two domains, a (residues 1 to 4) and b (residues 7, 8), and a neuron.

    residue     0    1    2    3    4    5    6    7    8    9
    domain           a    a    a    a              b    b
    activation  0  0.9  0.1    0    0  0.7    0  0.2    0  1.0

    above 0: 1, 2, 5, 7, 9 → precision 3/5, both domains found: recall 1, F1 = 0.75.
    above 0.15: 1, 5, 7, 9 → precision 2/4, recall 1, F1 = 2/3.
    above 0.5: 1, 5, 9 → precision 1/3, recall 1/2, F1 = 0.4. Above 0.8: 1, 9 → 1/2 and 1/2, F1 = 0.5.
    """
    instances = Instances.of({"kinase": [None, "a", "a", "a", "a", None, None, "b", "b", None]})
    values = np.array([0, 0.9, 0.1, 0, 0, 0.7, 0, 0.2, 0, 1.0])
    row = domain_f1(values[:, np.newaxis], instances).iloc[0]
    assert row["concept"] == "kinase"
    assert (row["precision"], row["recall"], row["f1"]) == (3 / 5, 1, pytest.approx(0.75))
    assert (row["threshold"], row["samples"], row["instances"]) == (0, 5, 2)
    high = domain_f1(values[:, np.newaxis], instances, thresholds=[0.5]).iloc[0]
    assert (high["precision"], high["recall"], high["f1"]) == (1 / 3, 1 / 2, pytest.approx(0.4))
    # Sample by sample, half of the concept is missed; label calls that precision, since there the formula predicts.
    options = {"threshold": 0.0, "min_count": 1, "max_fraction": 0.6, "negation": False}
    by_sample = label(values[:, np.newaxis], instances.concepts(), score="precision", **options)
    assert by_sample[0].value == 3 / 6


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(4, 40), st.integers(1, 3))
def test_domain_f1_is_that_of_the_definition(seed, n, k):
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.normal(size=(n, 2)), 0)
    ids = {f"c{c}": np.repeat(rng.integers(0, 4, -(-n // 3)), 3)[:n] for c in range(k)}
    if any(not one.any() for one in ids.values()) or (values.max(axis=0) == 0).any():
        return
    table = domain_f1(values, Instances.of(ids), top=None).set_index(["neuron", "concept"])
    for j in range(2):
        for name, own in ids.items():
            expected = domain_f1_by_hand(values[:, j].tolist(), own.tolist(), GRID)
            assert tuple(table.loc[(j, name)][["f1", "precision", "recall"]]) == pytest.approx(expected)


def test_samples_are_matched_by_id():
    ids = [f"r{i}" for i in range(30)]
    rng = np.random.default_rng(0)
    values = rng.random((30, 2))
    own = np.repeat(np.arange(10) % 3, 3)
    whole = domain_f1(Activations(values, sample_ids=ids), Instances.of({"a": own}, ids))
    order = rng.permutation(30)
    turned = Instances.of({"a": own[order]}, [ids[i] for i in order])
    assert domain_f1(Activations(values, sample_ids=ids), turned).equals(whole)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Instances.of({}), ConceptsError, "instances must be a mapping"),
        (lambda: Instances.of({"a": [0, 0]}), ConceptsError, "the concept 'a' has no instance"),
        (lambda: Instances.of({"a": [1, 0], "b": [1]}), ConceptsError, "differ in their number of samples"),
        (lambda: domain_f1(np.eye(2), Instances.of({"a": [1, 0]}), concepts=["b"]), UnknownNameError, "no concept 'b'"),
        (lambda: domain_f1(np.eye(2), Instances.of({"a": [1, 0]}), thresholds=[2]), OptionError, "thresholds must be"),
        (lambda: domain_f1(np.eye(2), Instances.of({"a": [1, 0]}), top=0), OptionError, "top must be"),
    ],
)
def test_what_cannot_be_measured_is_said(make, error, match):
    with pytest.raises(error, match=match):
        make()
