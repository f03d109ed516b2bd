"""The search: for each neuron the formula of concepts that it detects best.

The whole idea. A score of a formula φ depends on φ only through its count n and one weighted sum S (``scores``).
Both are additive over samples, so the four extensions of φ by a concept c follow from n∧ = n(φ ∧ c) and
S∧ = S(φ ∧ c), and one sparse pass over the samples of φ gives those for all concepts at once. Samples with equal
concept rows are interchangeable, so the pass goes over groups of them (``data.groups``). What is left per neuron is to
sort its activations once.

The beam search (section 3 of the paper): the first beam holds the best literals, concepts and their negations. Each
round extends every member by AND and OR with every literal, keeps the old members as candidates, and keeps the best.
Beside the feasible formulas the beam keeps infeasible ones as *stepping stones*, unless ``prefixes="constrained"``,
which is the published search.

The exact search (``optimal``) starts from the scores that the beam reaches, and goes on until it has proven that
nothing is better, or has spent its budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuronym._util.limits import BEAM, LENGTH, check_most
from neuronym.data.formula import Formula
from neuronym.data.groups import SampleGroups
from neuronym.errors import OptionError
from neuronym.search.ratio import ratio
from neuronym.search.readonce import BRACKET
from neuronym.types import SearchMethod

__all__ = ["FormulaDecoder", "Rules", "SearchResult", "extension", "search"]

_OPERATORS: tuple[Literal["and"], Literal["or"]] = ("and", "or")


@dataclass(frozen=True)
class Rules:
    """Which formulas are searched, and which may be reported.

    Parameters
    ----------
    length : int
        L, the most concepts in a formula.
    beam : int
        B, how many feasible formulas are extended in each round, and how many stepping stones.
    min_fraction, max_fraction : float
        A reported formula is true for this share of the samples: α and β of the paper, both included.
    min_count : int
        A reported formula is true for at least so many samples. The beam also asks it of every formula that it builds
        on; exact search does not.
    prefixes : {"free", "constrained"}
        Whether the fractions are asked of the reported formula alone, or of every prefix that it is built from. Only
        the beam has prefixes, so ``"constrained"`` means ``search="beam"``, and ``min_change=0`` unless that is given.
        Where ``min_fraction`` is above the fractions of most concepts, it loses nearly every formula of several.
    negation : bool
        Whether concepts may be negated.
    operators : tuple of {"and", "or"}
        Which of AND and OR a formula may hold.
    search : {"auto", "optimal", "beam"}
        ``"optimal"``: the formula with the highest score of all read-once formulas of at most ``length`` ≤ 4 concepts.
        ``"auto"``: that, where the proof fits in ``budget``; else the best one found, never worse than the beam's.
    budget : int
        The most operations that ``"auto"`` spends on a neuron in one direction: numbers added, formulas and pairs of
        items looked at. Not time, so that what is found does not depend on the machine.
    min_change : int or None
        Every literal of a reported formula of two or more matters: dropping it changes at least so many samples. None
        for ``min_count``; 0 asks nothing, as the published search does.
    """

    length: int = 3
    beam: int = 3
    min_fraction: float = 0.0
    max_fraction: float = 0.5
    min_count: int = 20
    prefixes: Literal["free", "constrained"] = "free"
    negation: bool = True
    operators: tuple[str, ...] = ("and", "or")
    search: SearchMethod = "auto"
    budget: int = 10**8
    min_change: int | None = None

    def __post_init__(self) -> None:
        published = self.prefixes == "constrained"
        if self.min_change is None:
            object.__setattr__(self, "min_change", 0 if published else self.min_count)
        if published and self.search == "auto":
            object.__setattr__(self, "search", "beam")
        checked = (("length", 1), ("beam", 1), ("min_count", 1), ("budget", 1), ("min_change", 0))
        for name, lowest in checked:
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < lowest:
                raise OptionError(f"{name} must be a whole number of at least {lowest}, not {value!r}")
        check_most([("length", self.length, LENGTH)])
        for name in ("min_fraction", "max_fraction"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
                raise OptionError(f"{name} must lie between 0 and 1, not {value!r}")
        if self.min_fraction > self.max_fraction:
            raise OptionError(
                f"min_fraction={self.min_fraction} is above max_fraction={self.max_fraction}: no formula can be both"
            )
        if self.prefixes not in ("free", "constrained"):
            raise OptionError(f"prefixes must be 'free' or 'constrained', not {self.prefixes!r}")
        if not isinstance(self.operators, tuple | list) or any(o not in ("and", "or") for o in self.operators):
            raise OptionError(f'operators must be a tuple of "and" and "or", such as ("and",), not {self.operators!r}')
        if self.search not in ("auto", "optimal", "beam"):
            raise OptionError(f"search must be 'auto', 'optimal' or 'beam', not {self.search!r}")
        if self.search == "optimal" and published:
            raise OptionError("prefixes='constrained' is the published beam search: search='optimal' has no prefixes")
        if self.search == "optimal" and self.length > 4:
            raise OptionError(f"search='optimal' goes up to length=4, not {self.length}: choose search='auto'")

    @property
    def least_change(self) -> int:
        """The fewest samples that dropping any literal changes."""
        return int(self.min_change or 0)

    def bounds(self, total: int) -> tuple[int, int]:
        """Compute the lowest and the highest count that a reported formula may have.

        Parameters
        ----------
        total : int
            N, the number of samples.

        Returns
        -------
        tuple of int
            The ends of the n with min_fraction ≤ n/total ≤ max_fraction and n ≥ min_count.
        """
        lowest = max(0, int(self.min_fraction * total) - 1)
        while lowest / total < self.min_fraction:
            lowest += 1
        highest = min(total, int(self.max_fraction * total) + 1)
        while highest / total > self.max_fraction:
            highest -= 1
        return max(lowest, self.min_count), highest

    def infeasible(self, total: int) -> str:
        """Say why there is no formula, where none was found.

        Parameters
        ----------
        total : int
            N, the number of samples.

        Returns
        -------
        str
            The ``reason`` of the label.
        """
        lowest, highest = self.bounds(total)
        if lowest > highest:
            return f"no formula can be true for at least {lowest} and at most {highest} of {total} samples"
        return f"no formula found that is true for {lowest} to {highest} of {total} samples"

    def capacity(self, n_concepts: int) -> int:
        """Cut the beam to the number of formulas that there can be at all.

        Parameters
        ----------
        n_concepts : int
            How many concepts are searched.

        Returns
        -------
        int
            At least 1.

        Raises
        ------
        OptionError
            If it is still too wide to be searched.
        """
        most = 2 * n_concepts
        for _ in range(self.length - 1):
            if most >= self.beam:
                break
            most += most * 4 * n_concepts
        if min(self.beam, most) > BEAM:
            raise OptionError(f"beam must be at most {BEAM:,} for {n_concepts:,} concepts, not {self.beam:,}")
        return max(1, min(int(self.beam), most))


@dataclass(frozen=True)
class SearchResult:
    """The formulas found for a block of neurons, as plain arrays.

    A formula takes a *slot*. Slot 0 is the best formula; slots 1 … B are runners-up, best first: the best of the others
    that the beam has met, each of another extension. Slots B + 1 … B + L are the path, the best formula of length at
    most 1, 2, …, L. An empty slot has length 0.

    Parameters
    ----------
    lengths : int64 array of shape (n_neurons, B + 1 + L)
        The number of literals.
    literals : int64 array of shape (n_neurons, B + 1 + L, min(L, n_concepts))
        2c for concept c, 2c + 1 for its negation.
    operators : int64 array, of the shape of literals
        0 for AND, 1 for OR; number i joins literal i to all before it, and number 0 repeats number 1. Two more where
        literal i opens a bracket that goes to the end: (a ∨ b) ∧ (c ∨ d) has the operators 1, 1, 2, 1.
    counts, sums : int64 arrays of shape (n_neurons, B + 1 + L)
        How many samples a formula is true for, n, and the sum S of the score's weights on them.
    scores : float64 array of shape (n_neurons, B + 1 + L)
        NaN in empty slots.
    optimal : bool array of shape (n_neurons,)
        Whether it is proven that no formula that the rules allow is better than the best one, or that there is none.
    bound : float64 array of shape (n_neurons,)
        No formula that the rules allow has a higher score; −inf where there is none, NaN from the beam alone.
    ceiling : float64 array of shape (n_neurons,)
        No formula of any length over these concepts has a higher score at an allowed count; NaN from the beam alone,
        and where more than half of the samples have a row of their own, since there it says nothing.
    operations : int64 array of shape (n_neurons,)
        The operations that the exact search has spent; 0 from the beam alone.
    """

    lengths: NDArray[np.int64]
    literals: NDArray[np.int64]
    operators: NDArray[np.int64]
    counts: NDArray[np.int64]
    sums: NDArray[np.int64]
    scores: NDArray[np.float64]
    optimal: NDArray[np.bool_]
    bound: NDArray[np.float64]
    ceiling: NDArray[np.float64]
    operations: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[SearchResult]) -> SearchResult:
        """Join the results of several blocks of neurons.

        Parameters
        ----------
        parts : sequence of SearchResult
            Of searches with the same rules.

        Returns
        -------
        SearchResult
            One block after the other.
        """
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def take(self, places: NDArray[np.intp]) -> SearchResult:
        """Keep some of the neurons.

        Parameters
        ----------
        places : intp array of shape (n_kept,)
            Their places in the block.

        Returns
        -------
        SearchResult
            In this order.
        """
        return SearchResult(**{f.name: getattr(self, f.name)[places] for f in fields(self)})

    @property
    def best(self) -> NDArray[np.float64]:
        """The score of the best formula, −inf where there is none: shape (n_neurons,)."""
        return np.where(self.lengths[:, 0] > 0, self.scores[:, 0], -np.inf)

    @property
    def gap(self) -> NDArray[np.float64]:
        """How much better another formula may be: 0 where none is, NaN from the beam alone and without a formula."""
        with np.errstate(invalid="ignore"):
            return np.where(self.optimal, 0.0, self.bound - self.scores[:, 0])

    def code(self, j: int, slot: int = 0) -> Code:
        """Read the formula in a slot of a neuron.

        Parameters
        ----------
        j : int
            The place of the neuron in the block.
        slot : int, default 0
            The best formula's by default.

        Returns
        -------
        tuple of (tuple of int, tuple of int)
            Its literals and operators; empty where the slot is.
        """
        length = int(self.lengths[j, slot])
        return tuple(self.literals[j, slot, :length].tolist()), tuple(self.operators[j, slot, :length].tolist())


Code = tuple[tuple[int, ...], tuple[int, ...]]


def extension(code: Code, groups: SampleGroups) -> NDArray[np.bool_]:
    """Evaluate a formula on groups of samples.

    Parameters
    ----------
    code : tuple of (tuple of int, tuple of int)
        Its literals and operators, coded as in ``SearchResult``.
    groups : SampleGroups
        The groups of the concepts that were searched.

    Returns
    -------
    bool array of shape (n_groups,)
        Where the formula is true.
    """
    inside = np.zeros(groups.n_groups, np.bool_)
    for place, (literal, operator) in enumerate(zip(*code, strict=True)):
        own = np.full(groups.n_groups, bool(literal & 1))
        if operator & BRACKET:
            rest = extension((code[0][place:], (0, *code[1][place + 1 :])), groups)
            return inside | rest if operator & 1 else inside & rest
        c = literal >> 1
        own[groups.concept_groups[groups.concept_ptr[c] : groups.concept_ptr[c + 1]]] ^= True
        inside = own if not place else inside | own if operator else inside & own
    return inside


def search(sums: NDArray[np.int64], groups: SampleGroups, rules: Rules, terms: NDArray[np.int64]) -> SearchResult:
    """Search the best formulas of a block of neurons by beam.

    Parameters
    ----------
    sums : int64 array of shape (n_neurons, n_groups)
        The score's weights, summed by group: ``score.weigh(block, groups).sums``.
    groups : SampleGroups
        The samples, grouped by equal concepts.
    rules : Rules
        Which formulas are searched.
    terms : int64 array of shape (n_neurons, 6)
        What makes scores of counts and sums (``ratio``): ``score.weigh(block, groups).terms``.

    Returns
    -------
    SearchResult
        Not proven: ``optimal`` is False, and ``bound`` and ``ceiling`` are NaN.
    """
    from neuronym.search.beam_kernels import COUNT, HEAD, LENGTH, SUM, beam_search

    # A formula holds every concept once at most.
    beam, length = rules.capacity(groups.n_concepts), max(1, min(rules.length, groups.n_concepts))
    coded = (
        *rules.bounds(groups.total),
        rules.min_count,
        1 + rules.negation,
        "and" in rules.operators,
        "or" in rules.operators,
        rules.prefixes == "free",
        rules.least_change,
    )
    best, path = beam_search(
        sums,
        groups.counts,
        groups.keys,
        groups.group_ptr,
        groups.group_concepts,
        groups.concept_ptr,
        groups.concept_groups,
        terms,
        np.array(coded, np.int64),
        length,
        beam,
    )
    slots = np.concatenate([best, path, *[path[:, -1:]] * (rules.length - length)], axis=1)
    counts, totals, lengths = slots[:, :, COUNT], slots[:, :, SUM], slots[:, :, LENGTH]
    scores = np.where(lengths > 0, ratio(terms, counts, totals), np.nan)
    return SearchResult(
        lengths=lengths,
        literals=slots[:, :, HEAD : HEAD + length],
        operators=slots[:, :, HEAD + length :],
        counts=counts,
        sums=totals,
        scores=scores,
        optimal=np.zeros(len(sums), np.bool_),
        bound=np.full(len(sums), np.nan),
        ceiling=np.full(len(sums), np.nan),
        operations=np.zeros(len(sums), np.int64),
    )


class FormulaDecoder:
    """Spells out the formulas that slots hold, each literal and each formula once.

    Parameters
    ----------
    names : tuple of str
        The names of the concepts that were searched.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._literals: dict[int, Formula] = {}
        self._formulas: dict[Code, Formula] = {}

    def formula(self, literals: tuple[int, ...], operators: tuple[int, ...]) -> Formula:
        """Spell out a formula of at least one literal.

        Parameters
        ----------
        literals, operators : tuple of int
            Coded as in ``SearchResult``.

        Returns
        -------
        Formula
            The same object for the same code.
        """
        known = self._formulas.get((literals, operators))
        if known is not None:
            return known
        parts, joined_by = [self._literal(literals[0])], 0
        for place, (literal, operator) in enumerate(zip(literals[1:], operators[1:], strict=True), 1):
            if operator & 1 != joined_by and len(parts) > 1:
                parts = [Formula.joined(_OPERATORS[joined_by], parts)]
            joined_by = operator & 1
            if operator & BRACKET:
                parts.append(self.formula(literals[place:], (0, *operators[place + 1 :])))
                break
            parts.append(self._literal(literal))
        made = Formula.joined(_OPERATORS[joined_by], parts)
        return self._formulas.setdefault((literals, operators), made)

    def _literal(self, code: int) -> Formula:
        known = self._literals.get(code)
        if known is None:
            concept = Formula.concept(self._names[code >> 1])
            known = self._literals[code] = ~concept if code & 1 else concept
        return known
