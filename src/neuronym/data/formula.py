"""Formulas of concepts: AND, OR and NOT over names, in one canonical order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import TYPE_CHECKING, Literal, NoReturn, Protocol

from neuronym._util.limits import FORMULA
from neuronym.errors import FormulaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Formula"]

Operator = Literal["concept", "not", "and", "or"]

_PLAIN = re.compile(r'[^\s&|~()"]+')
_TOKEN = re.compile(r'\s*(?:([&|~()])|("(?:[^"]|"")*")|([^\s&|~()"]+))')
_DEEPEST = 100  # levels of nested parentheses
_BINDING = {"or": 0, "and": 1, "not": 2, "concept": 3}
_SIGN = {"and": " & ", "or": " | "}


class Columns(Protocol):
    """Anything indexed by the name of a concept: a ``Concepts``, a dict of arrays, a DataFrame."""

    def __getitem__(self, name: str, /) -> NDArray[np.bool_]: ...


class Formula:
    """An immutable logical formula over concept names.

    Make formulas with ``Formula.parse(text)``, or from ``Formula.concept(name)`` with ``&``, ``|`` and ``~``. The
    operands of an operator are flattened, deduplicated and sorted (concepts by name, then negations, then formulas in
    parentheses), so ``a & b`` and ``b & a`` are equal; equality is of spelling, not of logic.

    Parameters
    ----------
    operator : {"concept", "not", "and", "or"}
        The outermost operator, or ``concept`` for a single name.
    name : str, default ""
        The name, if the formula is a single concept.
    operands : tuple of Formula, default ()
        The operands: one for ``not``, at least two, in canonical order, for ``and`` and ``or``.

    Examples
    --------
    >>> formula = Formula.parse('box & ~(mailbox | "pencil box")')
    >>> str(formula), formula.length
    ('box & ~(mailbox | "pencil box")', 3)
    >>> formula == ~(Formula.concept("mailbox") | Formula.concept("pencil box")) & Formula.concept("box")
    True
    """

    __slots__ = ("_hash", "_key", "name", "operands", "operator")

    operator: Operator
    name: str
    operands: tuple[Formula, ...]
    _key: tuple[object, ...]
    _hash: int

    def __init__(self, operator: Operator, name: str = "", operands: tuple[Formula, ...] = ()) -> None:
        set_once = object.__setattr__
        set_once(self, "operator", operator)
        set_once(self, "name", name)
        set_once(self, "operands", operands)
        if operator == "concept":
            key: tuple[object, ...] = (0, name)
        elif operator == "not" and operands[0].operator == "concept":
            key = (1, operands[0].name)
        else:
            key = (2, operator, tuple(o._key for o in operands))
        set_once(self, "_key", key)
        set_once(self, "_hash", hash(key))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Formula is frozen")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Formula is frozen")

    def __reduce__(self) -> tuple[type[Formula], tuple[Operator, str, tuple[Formula, ...]]]:
        return Formula, (self.operator, self.name, self.operands)

    @classmethod
    def concept(cls, name: str) -> Formula:
        """Make the formula of a single concept.

        Parameters
        ----------
        name : str
            The name of the concept.

        Returns
        -------
        Formula
            The formula that is true where the concept is.

        Raises
        ------
        FormulaError
            If the name is empty or not text.
        """
        if not isinstance(name, str) or not name:
            raise FormulaError(f"the name of a concept must be a non-empty text, not {name!r}")
        return cls("concept", name)

    @classmethod
    def parse(cls, text: str) -> Formula:
        """Parse a formula from text.

        ``~`` binds tighter than ``&``, and ``&`` tighter than ``|``. A name is any run of characters other than white
        space and ``& | ~ ( ) "``; other names go in double quotes, with a quote inside doubled.

        Parameters
        ----------
        text : str
            The formula as text.

        Returns
        -------
        Formula
            The formula in canonical order.

        Raises
        ------
        FormulaError
            If the text is not a formula; the message shows where it goes wrong.

        Examples
        --------
        >>> Formula.parse('b|a & ~~"a ""quoted"" name"')
        Formula('b | a & "a ""quoted"" name"')
        """
        return _Parser(text).formula()

    @classmethod
    def joined(cls, operator: Literal["and", "or"], operands: Iterable[Formula]) -> Formula:
        """Join formulas by one operator.

        Parameters
        ----------
        operator : {"and", "or"}
            The operator.
        operands : iterable of Formula
            At least one formula.

        Returns
        -------
        Formula
            The joined formula in canonical order.

        Examples
        --------
        >>> Formula.joined("or", [Formula.concept(name) for name in "cab"])
        Formula('a | b | c')
        """
        parts: list[Formula] = []
        for side in operands:
            parts.extend(side.operands if side.operator == operator else (side,))
        unique = {part._key: part for part in parts}
        ordered = tuple(unique[key] for key in sorted(unique))
        return ordered[0] if len(ordered) == 1 else cls(operator, operands=ordered)

    @property
    def length(self) -> int:
        """The number of concepts in the formula."""
        return 1 if self.operator == "concept" else sum(o.length for o in self.operands)

    @property
    def concepts(self) -> tuple[str, ...]:
        """The distinct names in the formula, in order of first appearance."""
        return tuple(dict.fromkeys(self._names()))

    def _names(self) -> Iterator[str]:
        if self.operator == "concept":
            yield self.name
        for operand in self.operands:
            yield from operand._names()

    def evaluate(self, concepts: Columns) -> NDArray[np.bool_]:
        """Evaluate the formula on samples.

        Parameters
        ----------
        concepts : Concepts or mapping from str to bool array of shape (n_samples,)
            The values of at least the formula's concepts.

        Returns
        -------
        bool array of shape (n_samples,)
            Whether the formula is true of each sample.

        Raises
        ------
        UnknownNameError
            If ``concepts`` is a ``Concepts`` without a concept of the formula.

        Examples
        --------
        >>> import numpy as np
        >>> Formula.parse("a & ~b").evaluate({"a": np.array([True, True]), "b": np.array([True, False])})
        array([False,  True])
        """
        import numpy as np

        if self.operator == "concept":
            return np.asarray(concepts[self.name], dtype=np.bool_)
        values = [o.evaluate(concepts) for o in self.operands]
        if self.operator == "not":
            return ~values[0]
        join: Callable[..., NDArray[np.bool_]] = np.logical_and if self.operator == "and" else np.logical_or
        return reduce(join, values)

    def __invert__(self) -> Formula:
        return self.operands[0] if self.operator == "not" else Formula("not", operands=(self,))

    def __and__(self, other: Formula) -> Formula:
        return Formula.joined("and", [self, other]) if isinstance(other, Formula) else NotImplemented

    def __or__(self, other: Formula) -> Formula:
        return Formula.joined("or", [self, other]) if isinstance(other, Formula) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and self._hash == other._hash and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        if self.operator == "concept":
            return self.name if _PLAIN.fullmatch(self.name) else '"' + self.name.replace('"', '""') + '"'
        parts = [f"({o})" if _BINDING[o.operator] < _BINDING[self.operator] else str(o) for o in self.operands]
        return "~" + parts[0] if self.operator == "not" else _SIGN[self.operator].join(parts)

    def __repr__(self) -> str:
        return f"Formula({str(self)!r})"


class _Parser:
    """A recursive-descent parser: or ← and ← not ← name or parentheses."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise FormulaError(f"a formula must be text, not {type(text).__name__}")
        if len(text) > FORMULA:
            raise FormulaError(f"a formula must have at most {FORMULA:,} characters, not {len(text):,}: {text[:80]!r}…")
        self.text = text
        self.place = 0
        self.depth = 0
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                if not text[position:].strip():
                    break
                self.fail("unclosed double quote", position)
            sign, quoted, plain = match.groups()
            start = match.end() - len(match.group().lstrip())
            if sign:
                self.tokens.append((sign, "", start))
            else:
                self.tokens.append(("name", plain or quoted[1:-1].replace('""', '"'), start))
            position = match.end()
        self.tokens.append(("end", "", len(text)))

    def fail(self, why: str, position: int) -> NoReturn:
        shown = self.text if len(self.text) <= 200 else self.text[:200] + "…"
        raise FormulaError(f"invalid formula: {why} at character {position + 1} of {shown!r}")

    def accept(self, kind: str) -> bool:
        if self.tokens[self.place][0] != kind:
            return False
        self.place += 1
        return True

    def formula(self) -> Formula:
        result = self.disjunction()
        kind, _, position = self.tokens[self.place]
        if kind != "end":
            self.fail(
                "expected &, | or the end" + (", or quotes around a name with spaces" * (kind == "name")), position
            )
        return result

    def disjunction(self) -> Formula:
        parts = [self.conjunction()]
        while self.accept("|"):
            parts.append(self.conjunction())
        return Formula.joined("or", parts)

    def conjunction(self) -> Formula:
        parts = [self.literal()]
        while self.accept("&"):
            parts.append(self.literal())
        return Formula.joined("and", parts)

    def literal(self) -> Formula:
        flips = 0
        while self.accept("~"):
            flips += 1
        _, name, position = self.tokens[self.place]
        if self.accept("("):
            self.depth += 1
            if self.depth > _DEEPEST:
                self.fail(f"more than {_DEEPEST} nested parentheses", position)
            result = self.disjunction()
            if not self.accept(")"):
                self.fail("expected )", self.tokens[self.place][2])
            self.depth -= 1
        elif self.accept("name"):
            if not name:
                self.fail("the name is empty", position)
            result = Formula.concept(name)
        else:
            self.fail("expected a concept", position)
        return ~result if flips % 2 else result
