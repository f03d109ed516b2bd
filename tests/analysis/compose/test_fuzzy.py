import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from neuronym import OptionError, UnknownNameError
from neuronym.analysis.compose.fuzzy import NORMS, Membership, TNorm

DEGREES = st.floats(0, 1)
ALL = st.builds(TNorm, st.sampled_from(NORMS), st.floats(1, 8) | st.sampled_from([50.0, 1e3]))


def near(value):
    return pytest.approx(value, abs=1e-7)


def both(norm, a, b):
    return float(norm.both(np.array(a), np.array(b)))


def either(norm, a, b):
    return float(norm.either(np.array(a), np.array(b)))


@given(ALL, DEGREES, DEGREES, DEGREES)
def test_the_laws_of_t_norms_hold(norm, a, b, c):
    for combine in (both, either):
        assert combine(norm, a, b) == near(combine(norm, b, a))
        assert combine(norm, combine(norm, a, b), c) == near(combine(norm, a, combine(norm, b, c)))
        assert combine(norm, a, min(b, c)) <= combine(norm, a, max(b, c)) + 1e-9
        assert -1e-12 <= combine(norm, a, b) <= 1 + 1e-12
    assert (both(norm, a, 1), both(norm, a, 0)) == near((a, 0))
    assert (either(norm, a, 0), either(norm, a, 1)) == near((a, 1))
    assert either(norm, a, b) == near(1 - both(norm, 1 - a, 1 - b))
    assert both(norm, a, b) <= min(a, b) + 1e-7
    assert either(norm, a, b) >= max(a, b) - 1e-7


@given(ALL, st.lists(st.tuples(DEGREES, DEGREES), min_size=1, max_size=20))
def test_tensors_give_what_arrays_give(norm, pairs):
    a, b = np.array(pairs).T
    for name in ("both", "either"):
        tensors = getattr(norm, name)(torch.tensor(a), torch.tensor(b), torch)
        assert tensors.numpy() == near(getattr(norm, name)(a, b))


def test_known_values():
    values = {norm: (both(TNorm(norm), 0.6, 0.7), either(TNorm(norm), 0.6, 0.7)) for norm in NORMS}
    assert values["godel"] == (0.6, 0.7)
    assert values["product"] == near((0.42, 0.88))
    assert values["lukasiewicz"] == near((0.3, 1))
    assert values["yager"] == near((0.5, 0.85**0.5))
    assert values["hamacher"] == near((0.42 / 0.88, 0.46 / 0.58))


def test_a_large_p_is_godels():
    for a, b in ((0.1, 0.1), (0.95, 0.5), (1e-8, 0), (0, 0), (1, 1)):
        assert either(TNorm("yager", 2000), a, b) == pytest.approx(max(a, b), abs=1e-3)
        assert both(TNorm("yager", 2000), a, b) == pytest.approx(min(a, b), abs=1e-3)


def test_norms_are_read_from_text():
    assert TNorm.parse(" godel ") == TNorm("godel")
    assert TNorm.parse("yager(3.5)") == TNorm("yager", 3.5)
    assert [str(TNorm.parse(text)) for text in ("yager", "product")] == ["yager(2)", "product"]
    with pytest.raises(UnknownNameError, match="no t-norm 'gödel'; near it: 'godel'"):
        TNorm.parse("gödel")
    for wrong in ("product(2)", "yager(x)", "yager(1.2.3)", "yager(.)", "", "a b"):
        with pytest.raises(OptionError, match="a t-norm is one of godel, product"):
            TNorm.parse(wrong)
    with pytest.raises(OptionError, match=r"p of Yager's t-norm must be a number of at least 1, not 0\.5"):
        TNorm("yager", 0.5)


@given(
    st.lists(st.integers(-5, 5) | st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40),
    st.floats(-1e4, 1e4, width=32),
)
def test_membership_is_the_share_below_ties_one_half(sample, x):
    column = np.array(sample, np.float32)
    degree = Membership.fitted("empirical", column)
    assert degree([x])[0] == pytest.approx(percentileofscore(column, np.float32(x), "mean") / 100)
    assert Membership.fitted("empirical", column, low=True)([x])[0] == pytest.approx(1 - degree([x])[0])


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=40))
def test_tensors_have_the_membership_of_arrays(sample):
    column = np.array(sample, np.float32)
    for kind in ("empirical", "logistic"):
        degree = Membership.fitted(kind, column)
        assert degree(torch.tensor(column), torch).numpy() == pytest.approx(degree(column), abs=1e-12)
        assert ((degree(column) >= 0) & (degree(column) <= 1)).all()
        order = np.argsort(column)
        assert (np.diff(degree(column)[order]) >= 0).all()


def test_the_logistic_map_is_that_of_the_standardised_value():
    degree = Membership.fitted("logistic", np.array([1.0, 3.0]))
    assert degree([2.0, 3.0, 1e9, -1e9]) == pytest.approx([0.5, 1 / (1 + np.exp(-1)), 1, 0])
    assert Membership.fitted("logistic", np.full(4, 2.0))([2.0]) == 0.5
    with pytest.raises(OptionError, match="mapping must be 'empirical' or 'logistic', not 'sigmoid'"):
        Membership.fitted("sigmoid", np.arange(3.0))
