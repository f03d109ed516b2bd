import copy
import pickle
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronym import Formula, FormulaError, UnknownNameError
from neuronym.data.concepts import Concepts

HOSTILE = [
    *["a", "b", "Ünï→", "日本", "a b", " ", "\n", "\u00a0", "\x1f", '"', '""', 'a"b', '"a"', "&", "|", "~", "(", ")"],
    *["~a", "a & b", "(a|b)", "and", "not", "0", "-1", "a,b", "'", "\\", "\\n", "\ud800", "🐕", "a\u2028b", "\x00"],
]
names = st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=4) | st.text('a"&|~() \n', min_size=1, max_size=5)


def formulas(of):
    return st.recursive(
        of.map(Formula.concept),
        lambda inner: st.one_of(
            inner.map(lambda f: ~f),
            st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
            st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
        ),
        max_leaves=12,
    )


LETTERS = "abcd"
TABLE = dict(zip(LETTERS, np.array(list(product([False, True], repeat=4))).T, strict=True))


def by_hand(formula, row):
    if formula.operator == "concept":
        return row[formula.name]
    values = [by_hand(o, row) for o in formula.operands]
    return {"not": lambda: not values[0], "and": lambda: all(values), "or": lambda: any(values)}[formula.operator]()


def rows():
    return [dict(zip(LETTERS, values, strict=True)) for values in product([False, True], repeat=4)]


@given(formulas(names))
def test_a_printed_formula_reads_back_as_itself(formula):
    again = Formula.parse(str(formula))
    assert again == formula
    assert str(again) == str(formula)
    assert hash(again) == hash(formula)


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_can_be_written(name):
    assert Formula.parse(str(Formula.concept(name))).concepts == (name,)


def test_a_name_is_quoted_only_where_it_must_be():
    assert str(Formula.concept("über-dog's[1],x")) == "über-dog's[1],x"
    assert str(Formula.concept("pencil box")) == '"pencil box"'
    assert str(Formula.concept('5" nail')) == '"5"" nail"'


@given(formulas(names), formulas(names), formulas(names))
def test_order_nesting_and_repetition_of_operands_do_not_matter(a, b, c):
    for join in (Formula.__and__, Formula.__or__):
        assert join(a, b) == join(b, a)
        assert hash(join(a, b)) == hash(join(b, a))
        assert str(join(a, b)) == str(join(b, a))
        assert join(join(a, b), c) == join(a, join(b, c))
        assert join(a, a) == a
        assert join(join(a, b), a) == join(a, b)


@given(formulas(names))
def test_two_negations_cancel(formula):
    assert ~~formula == formula
    assert ~formula != formula


def test_the_canonical_order_puts_concepts_before_negations_before_parentheses():
    assert str(Formula.parse("(c | d) & ~a & z & b")) == "b & z & ~a & (c | d)"
    assert str(Formula.parse("c & d | ~a | z")) == "z | ~a | c & d"
    assert len(Formula.parse("a & (b & (c & d))").operands) == 4


@given(formulas(st.sampled_from(LETTERS)))
def test_evaluation_agrees_with_a_truth_table(formula):
    found = formula.evaluate(TABLE)
    assert found.dtype == np.bool_
    assert found.tolist() == [by_hand(formula, row) for row in rows()]


@given(formulas(st.sampled_from(LETTERS)))
def test_python_reads_the_printed_formula_alike(formula):
    words = str(formula).replace("~", " not ").replace("&", " and ").replace("|", " or ")
    assert formula.evaluate(TABLE).tolist() == [eval(words, {}, row) for row in rows()]


def test_the_laws_of_de_morgan_hold_of_values_but_not_of_spelling():
    left, right = Formula.parse("~(a & b)"), Formula.parse("~a | ~b")
    assert left != right
    assert left.evaluate(TABLE).tolist() == right.evaluate(TABLE).tolist()
    assert left.evaluate(TABLE).tolist() == [not (r["a"] and r["b"]) for r in rows()]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a | b & c", "a | (b & c)"),
        ("~a & b", "(~a) & b"),
        ("~a | b", "(~a) | b"),
        ("~~a", "a"),
        ("~~~a", "~a"),
        ("~(a)", "~a"),
        ("((a))|b&~c", "a | (b & (~c))"),
        ("\t a\n&b ", "a & b"),
        ('"a"', "a"),
    ],
)
def test_not_binds_before_and_and_before_or(text, same):
    assert Formula.parse(text) == Formula.parse(same)


def test_parentheses_that_change_the_meaning_are_kept():
    for text in ["(a | b) & c", "~(a & b)", "~(a | b)", "~(a & ~(b | c))"]:
        assert Formula.parse(text).evaluate(TABLE).tolist() == [by_hand(Formula.parse(text), row) for row in rows()]
        assert "(" in str(Formula.parse(text))
    assert Formula.parse("(a | b) & c") != Formula.parse("a | b & c")


def test_evaluate_reads_concepts_and_names_the_one_that_is_missing():
    concepts = Concepts.from_sets([{"dog"}, {"dog", "grass"}, set()])
    assert Formula.parse("dog & ~grass").evaluate(concepts).tolist() == [True, False, False]
    assert Formula.parse("grass").evaluate({"grass": [1, 0]}).dtype == np.bool_
    with pytest.raises(UnknownNameError, match="no concept 'gras'; near it: 'grass'"):
        Formula.parse("dog & gras").evaluate(concepts)


def test_length_counts_places_and_concepts_counts_names():
    formula = Formula.parse("z & ~b & (z | a & b)")
    assert str(formula) == "z & ~b & (z | a & b)"
    assert formula.length == 5
    assert formula.concepts == ("z", "b", "a")
    assert Formula.parse("~a").length == 1


def test_a_long_formula_is_parsed_in_one_go():
    names = [f"c{i:05}" for i in range(20_000)]
    assert Formula.parse(" | ".join(reversed(names))).concepts == tuple(names)


def test_a_formula_is_frozen():
    formula = Formula.parse("a & b")
    for name in ["name", "operands", "operator", "colour"]:
        with pytest.raises(AttributeError, match="a Formula is frozen"):
            setattr(formula, name, "x")
    with pytest.raises(AttributeError, match="a Formula is frozen"):
        del formula.operands
    assert str(formula) == "a & b"


@given(formulas(names))
def test_a_formula_survives_pickling_and_copying(formula):
    for again in [pickle.loads(pickle.dumps(formula)), copy.copy(formula), copy.deepcopy(formula)]:
        assert again == formula
        assert hash(again) == hash(formula)
        assert str(again) == str(formula)


def test_a_formula_equals_nothing_but_a_formula():
    assert Formula.parse("a") != "a"
    assert Formula.parse("a & b") != Formula.parse("a | b")
    assert Formula.parse("a") != Formula.parse("~a")
    assert {Formula.parse("a & b"), Formula.parse("b & a")} == {Formula.parse("a & b")}
    assert repr(Formula.parse("b&a")) == "Formula('a & b')"


@pytest.mark.parametrize("other", ["b", None, True])
def test_a_formula_joins_only_formulas(other):
    with pytest.raises(TypeError, match="unsupported operand"):
        Formula.parse("a") & other
    with pytest.raises(TypeError, match="unsupported operand"):
        Formula.parse("a") | other


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a concept at character 1 of ''"),
        (" \n ", "expected a concept at character 4 of"),
        ('a & "b', "unclosed double quote at character"),
        ('"', "unclosed double quote at character 1"),
        ('"a"" & b', "unclosed double quote at character"),
        ("()", "expected a concept at character 2 of '()'"),
        ("a b", "expected &, | or the end, or quotes around a name with spaces at character 3 of 'a b'"),
        ('a"b"', "expected &, | or the end, or quotes around a name with spaces at character 2"),
        ("a &", "expected a concept at character 4 of 'a &'"),
        ("| a", "expected a concept at character 1"),
        ("a & & b", "expected a concept at character 5"),
        ("~", "expected a concept at character 2"),
        ("a)", "expected &, | or the end at character 2 of 'a)'"),
        ("a ~b", "expected &, | or the end at character 3"),
        ("(a | b", "expected ) at character 7"),
        ("(a b)", "expected ) at character 4"),
        ('a | ""', "the name is empty at character 5"),
    ],
)
def test_text_that_is_no_formula_says_where(text, message):
    with pytest.raises(FormulaError, match="^invalid formula: .*" + re.escape(message)):
        Formula.parse(text)


def test_deep_nesting_is_an_error_of_ours():
    deep = "(" * 10_000 + "a" + ")" * 10_000
    with pytest.raises(FormulaError, match=r"more than 100 nested parentheses at character 101 of .*…") as caught:
        Formula.parse(deep)
    assert len(str(caught.value)) < 300
    assert Formula.parse("(" * 100 + "a" + ")" * 100) == Formula.parse("a")
    assert Formula.parse("(a) & " * 200 + "(a)") == Formula.parse("a")
    assert Formula.parse("~" * 10_001 + "a") == Formula.parse("~a")


def test_a_long_text_parses_without_recursion():
    formula = Formula.parse(" | ".join(f"c{i}" for i in range(1500)))
    assert formula.length == len(formula.operands) == 1500


@pytest.mark.parametrize("text", [None, 3, b"a", ["a"], Formula.concept("a")])
def test_a_formula_is_read_from_a_text(text):
    with pytest.raises(FormulaError, match=f"a formula must be text, not {type(text).__name__}"):
        Formula.parse(text)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_concept_is_named_by_a_text(name):
    with pytest.raises(FormulaError, match=f"must be a non-empty text, not {name!r}"):
        Formula.concept(name)
