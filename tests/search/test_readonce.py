from itertools import product

import numpy as np
import pytest

from neuronym.search.readonce import shapes
from reference import readonce, spelled, tree_truth, without

OPERATORS = [("and", "or"), ("and",), ("or",), ()]


def mask_of(tree, size):
    """The cells in which a tree is true, as a mask, by evaluating it on each."""
    cells = np.array(list(product([False, True], repeat=size)))
    return sum(1 << v for v in np.flatnonzero(tree_truth(tree, cells)).tolist())


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("negation", [True, False])
@pytest.mark.parametrize("operators", OPERATORS)
def test_shapes_are_all_read_once_formulas(size, negation, operators):
    expected = {}
    for tree in readonce(range(size), negation, operators):
        dropped = sorted(mask_of(tree, size) ^ mask_of(less, size) for less in without(tree) if less is not None)
        expected[mask_of(tree, size)] = *spelled(tree), dropped
    found = {one.mask: (one.literals, one.operators, sorted(one.changes)) for one in shapes(size, negation, operators)}
    assert found == expected
    assert len(found) == len(readonce(range(size), negation, operators))


def test_there_are_as_many_as_there_should_be():
    assert [len(shapes(size)) for size in (1, 2, 3, 4)] == [2, 8, 64, 832]


@pytest.mark.parametrize("size", [2, 3, 4])
def test_shapes_are_in_the_order_of_the_tie_rule(size):
    keys = [(one.negations, one.operators, one.literals) for one in shapes(size)]
    assert keys == sorted(keys)
    assert all(one.negations == sum(x % 2 for x in one.literals) for one in shapes(size))
