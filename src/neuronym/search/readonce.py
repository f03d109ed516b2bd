"""Read-once formulas by their shape: how literals of up to four concepts can be joined, each concept once.

A *shape* leaves open which concepts it joins: they are a < b < c < d, by their places 0, 1, 2, 3. They cut the samples
into 2, 4, 8 or 16 *cells*, and a shape is true in some of them: a mask over the cells. Cell v is inside the concept at
place i where bit (size − 1 − i) of v is set, so that of three concepts a stands for bit 4, b for 2 and c for 1.

Every set of cells belongs to one shape at most. There are 2, 8, 64 and 832 of one to four concepts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, reduce
from itertools import permutations, product

__all__ = ["BRACKET", "Shape", "shapes"]

AND, OR = 0, 1
#: Added to an operator where the literal after it opens a bracket that reaches to the end.
BRACKET = 2


@dataclass(frozen=True, order=True)
class Shape:
    """A read-once formula of the concepts at places 0 … size − 1.

    Shapes compare as the tie rule for formulas of the same concepts has it.

    Parameters
    ----------
    size, negations : int
        Number of literals, and of negated ones.
    operators : tuple of int
        0 for AND, 1 for OR; number i joins literal i to what is before it, number 0 repeats number 1. With ``BRACKET``
        literal i opens a bracket that holds all that follows.
    literals : tuple of int
        2i for the concept at place i, 2i + 1 for its negation; inside of a run of one operator they ascend.
    mask : int
        Bit v: whether it is true in cell v.
    changes : tuple of int
        For each literal the mask of the cells that change where it is dropped; empty for a single literal.
    """

    size: int
    negations: int
    operators: tuple[int, ...]
    literals: tuple[int, ...]
    mask: int
    changes: tuple[int, ...]


@cache
def shapes(size: int, negation: bool = True, operators: tuple[str, ...] = ("and", "or")) -> tuple[Shape, ...]:
    """All shapes of a number of concepts, 1 to 4, in the order of the tie rule.

    >>> [len(shapes(size)) for size in (1, 2, 3, 4)]
    [2, 8, 64, 832]
    """
    codes = [code for code, name in ((AND, "and"), (OR, "or")) if name in operators]
    found = {}
    for literals, joined in _spelled(size, negation, codes):
        mask = _mask(literals, joined)
        changes = tuple(mask ^ _mask(literals, joined, drop) for drop in range(size)) if size > 1 else ()
        found[mask] = Shape(size, sum(literal & 1 for literal in literals), joined, literals, mask, changes)
    return tuple(sorted(found.values()))


def _spelled(size: int, negation: bool, codes: list[int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Literals and operators of each shape, in canonical order, some more than once."""
    for order in permutations(range(size)):
        for negated in product((0, 1) if negation else (0,), repeat=size):
            literals = tuple(2 * place + flip for place, flip in zip(order, negated, strict=True))
            for rest in product(codes, repeat=size - 1):
                joined = (rest[0], *rest) if rest else (AND,)
                yield _sorted_runs(literals, joined), joined
            if size == 4 and len(codes) == 2 and literals[0] < literals[1] and literals[2] < literals[3]:
                for outer in codes if literals[0] < literals[2] else ():
                    yield literals, (1 - outer, 1 - outer, outer + BRACKET, 1 - outer)


def _sorted_runs(literals: tuple[int, ...], joined: tuple[int, ...]) -> tuple[int, ...]:
    result, start = list(literals), 0
    for stop in range(1, len(result) + 1):
        if stop == len(result) or joined[stop] != joined[start]:
            result[start:stop] = sorted(result[start:stop])
            start = stop
    return tuple(result)


def _mask(literals: tuple[int, ...], joined: tuple[int, ...], drop: int | None = None) -> int:
    """The cells in which a shape is true; without one of its literals, if that is given."""
    size, everything = len(literals), (1 << (1 << len(literals))) - 1
    values = []
    for place, literal in enumerate(literals):
        bit = size - 1 - (literal >> 1)
        inside = sum(1 << v for v in range(1 << size) if (v >> bit) & 1)
        value = everything ^ inside if literal & 1 else inside
        if place == drop:  # what the operator that it belongs to leaves as it is
            own = joined[place + 1] if joined[place] & BRACKET or (place == 0 and size > 1) else joined[place]
            value = 0 if own & 1 else everything
        values.append(value)
    return _join(values, joined)


def _join(values: list[int], joined: tuple[int, ...]) -> int:
    for place, operator in enumerate(joined):
        if operator & BRACKET:
            values = [*values[:place], _join(values[place:], (AND, *joined[place + 1 :]))]
            joined = (*joined[:place], operator & 1)
            break
    pairs = zip(values[1:], joined[1:], strict=True)
    return reduce(lambda left, right: left | right[0] if right[1] else left & right[0], pairs, values[0])
