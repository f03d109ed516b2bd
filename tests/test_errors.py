import inspect
import pickle

import pytest

import neuronym
from neuronym import errors
from neuronym._util.messages import no_such, some
from neuronym.errors import InputError, NeuronymError, UnknownNameError

TREE = {
    name: error
    for name, error in vars(errors).items()
    if inspect.isclass(error) and error.__module__ == "neuronym.errors"
}


def test_the_tree_holds_what_the_module_lists_and_draws():
    assert set(TREE) == set(errors.__all__) == {name for name in neuronym.__all__ if name.endswith("Error")}
    assert all(name in errors.__doc__ for name in TREE)


@pytest.mark.parametrize("name", sorted(set(TREE) - {"NeuronymError", "WorkerError"}))
def test_every_error_is_ours_and_a_value_error(name):
    error = TREE[name]
    assert issubclass(error, InputError)
    assert issubclass(error, NeuronymError)
    assert issubclass(error, ValueError)
    assert issubclass(error, KeyError) == (name == "UnknownNameError")


@pytest.mark.parametrize("name", sorted(TREE))
def test_every_error_prints_its_message_alone_and_survives_pickling(name):
    error = TREE[name]("no concept 'dog'")
    assert str(error) == "no concept 'dog'"
    assert str(pickle.loads(pickle.dumps(error))) == "no concept 'dog'"
    assert type(pickle.loads(pickle.dumps(error))) is TREE[name]


def test_an_unknown_name_is_caught_as_a_key_error():
    with pytest.raises(KeyError, match=r"^no concept 'x'$"):
        raise no_such("concept", "x", [])
    assert isinstance(no_such("concept", "x", []), UnknownNameError)


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        ("gras", ["dog", "grass", "sky"], "no concept 'gras'; near it: 'grass'"),
        ("dogs", ["dog", "dogma", "dos", "doge", "sky"], "no concept 'dogs'; near it: 'dos', 'dog', 'doge'"),
        ("zebra", ["dog", "sky"], "no concept 'zebra'; there are 2, such as 'dog', 'sky'"),
        ("zebra", ["a", "b", "c", "d"], "no concept 'zebra'; there are 4, such as 'a', 'b', 'c' and 1 more"),
        (7, range(3), "no concept '7'; there are 3, such as 0, 1, 2"),
        (12, [1, 112], "no concept '12'; near it: '112', '1'"),
        ("x", [], "no concept 'x'"),
    ],
)
def test_no_such_hints_at_the_nearest_or_the_first(name, known, message):
    assert str(no_such("concept", name, known)) == message


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], ""),
        (["a"], "'a'"),
        (["a", 2, None], "'a', 2, None"),
        (["it's", "b", "c", "d"], "\"it's\", 'b', 'c' and 1 more"),
        (range(10), "0, 1, 2 and 7 more"),
        (iter("ab"), "'a', 'b'"),
    ],
)
def test_some_quotes_the_first_few(items, text):
    assert some(items) == text


def test_some_takes_a_limit():
    assert some("abc", 1) == "'a' and 2 more"
    assert some("abc", 3) == "'a', 'b', 'c'"
