"""Exact search: the best of all read-once formulas of up to four concepts, with a proof that nothing is better.

Counts and sums are additive, so what a formula of concepts a, b, c scores follows from n and S of their intersections.
Hardly any concepts *meet*, that is have a sample in common: of the 46,056 pairs of 304 classes and hypernyms 1,797 do,
of the 310,124 triples of 124 attributes 4,356.

**Cliques.** Concepts that meet pairwise are looked at one by one: S of their intersections takes one sparse pass, and
which of their 2, 8 or 64 formulas the rules allow depends on counts alone, so it is worked out once for all neurons.

**Others.** Where b and c of three concepts do not meet, no sample is in both, and a formula with φ(0, 0, 0) = 0 is

    S(φ) = S(where φ(a, 0, 0)) + S(what b adds or takes) + S(what c adds or takes),

the same for n; where φ(0, 0, 0) = 1 this holds for the complement. What b adds or takes depends on a and b alone. So
all formulas are sums of two *items*, and there are three kinds, by how many pairs meet (b and c do not):

- a meets b and c. The items are *parts* of b and of c: inside of a, outside of it, or both, added or taken.
- a and b meet, and not c: φ is a region of a and b, or c. The items are regions, and concepts.
- None meet: φ is a ∨ b ∨ c. The items are concepts, beside a third.

For two concepts there is a ∨ b alone. What else can be written has a literal that changes nothing, and is worth what a
shorter formula is (``readonce`` knows all shapes; ``forms`` reads the kinds of items off them).

**Pruning.** A formula is at least as good as the best one known, of score t, if and only if S ≥ T(n) = offset[n] +
t · scale[n]. The counts are cut into intervals; in each a line σn + κ lies below T, so that V(φ) = S − σn ≥ κ is
necessary. V is additive, so of two lists of items in the order of their V, pairs are left as soon as their sum is below
κ. κ is lowered by 10⁻¹² times all that is added up, a thousand times what rounding can do. Only what is strictly below
is passed over: formulas of equal score are all met, compared as exact fractions, and the tie rule chooses.

**Ceiling.** The best set of any n samples that is a union of groups takes groups in the order of their mean weight; its
S lies on or below the concave hull H through these unions. On a piece H = A + Bn with A ≥ 0,

    (A + Bn − n(n + 1)) / (2n(N − n)) = ½ + α/n + β/(N − n),  α = A/2N ≥ 0,  β = (A + BN − N(N + 1))/2N ≥ 0,

since a concave hull that ends at S(N) = N(N + 1) goes on above it. This is convex: the highest AUC is at a corner of H,
or at an end of the constraint. No formula of any length beats it; a formula that reaches it is proven, and counts on
pieces whose both ends score below t need no look.

Four concepts are enumerated, in NumPy, where there are few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym.errors import OptionError
from neuronym.search.ratio import exact_ratio, ratio
from neuronym.search.readonce import Shape, shapes

if TYPE_CHECKING:
    from neuronym.data.groups import SampleGroups
    from neuronym.search.beam import Rules, SearchResult

__all__ = ["LONGEST", "Exact", "Hull", "Meetings", "Tables", "best_scores", "exact_search", "improved"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: The most literals that exact search goes to.
LONGEST = 4
UNLIMITED = 2**61

_INTERVALS = 2  # of counts, with a line below the threshold in each
_LISTED, _FORMULAS = 2**25, 2**25  # groups of pairs or triples, and formulas of cliques: 4 and 5 bytes each
_PAIRS, _CONCEPTS = 2**22, 2**14  # pairs that meet, and concepts of which pairs are searched
_CHUNK = 2**21  # listed at a time
_BLOCK, _BLOCKED, _CELLS = 5, 128, 2**15  # concepts in a block, concepts up to which blocks are used, rows of three
_FOUR, _MOST_OF_FOUR = 2**18, 10**11  # numbers of sets of four concepts looked at at a time, and at all


@dataclass(frozen=True)
class Meetings:
    """Which concepts meet, and how the sums of their intersections are reached: nothing that depends on weights.

    The intersections have *places*: concept c at c, none at n_concepts, then pairs a < b in order, then triples.

    Parameters
    ----------
    groups : the groups; their weights are not used
    length : 1 to 3, the most concepts that are joined
    """

    groups: SampleGroups
    length: int

    @cached_property
    def listed(self) -> list[int]:
        """How many groups pairs and triples have, all together, by the number of concepts."""
        k = np.diff(self.groups.group_ptr).astype(object)
        return [0, 0, int((k * (k - 1) // 2).sum()), int((k * (k - 1) * (k - 2) // 6).sum())]

    @cached_property
    def reach(self) -> int:
        """The most concepts whose cliques can be listed."""
        if not self._fit(2):
            return 1
        return 3 if self._fit(3) and len(self.pairs) <= _PAIRS else 2

    def _fit(self, size: int) -> bool:
        """Whether sets of so many concepts can be listed, or summed by blocks."""
        if size > min(self.length, self.n_concepts) or self.n_concepts > _CONCEPTS:
            return False
        return self.blocked or self.listed[size] <= _LISTED

    @property
    def n_concepts(self) -> int:
        return self.groups.n_concepts

    @cached_property
    def blocked(self) -> bool:
        """Whether pairs and triples are summed by blocks of concepts, which is cheaper where rows are full."""
        listed = sum(self.listed[: self.length + 1])
        n_blocks = max(3, -(-self.n_concepts // _BLOCK))
        combined = comb(n_blocks, 3) if self.length > 2 else n_blocks * (n_blocks - 1) // 2
        too_many = max(self.listed[: self.length + 1]) > _LISTED
        cheaper = combined * (self.groups.n_groups + 2 * _CELLS) < listed
        return self.n_concepts <= _BLOCKED and (too_many or cheaper)

    @cached_property
    def pairs(self) -> NDArray[np.int32]:
        """Pairs of concepts that meet, a < b, in order: int32, shape (n_pairs, 2)."""
        if not self._fit(2):
            return np.zeros((0, 2), np.int32)
        if self.blocked:
            every = np.array(list(combinations(range(self.n_concepts), 2)), np.int32).reshape(-1, 2)
            return every[self._by_blocks(every, np.ones(self.groups.n_groups, np.int64)) > 0]
        return np.stack(np.divmod(self._listed[2][0], self.n_concepts), axis=1).astype(np.int32)

    @cached_property
    def second(self) -> NDArray[np.int32]:
        """The second concept of each pair."""
        return np.ascontiguousarray(self.pairs[:, 1])

    @cached_property
    def pair_ptr(self) -> Ints:
        """Where the pairs of each concept with a higher one start: int64, shape (n_concepts + 1,)."""
        return np.searchsorted(self.pairs[:, 0], np.arange(self.n_concepts + 1)).astype(np.int64)

    @cached_property
    def _pair_keys(self) -> Ints:
        return self.pairs[:, 0].astype(np.int64) * self.n_concepts + self.pairs[:, 1]

    def pair_places(self, a: NDArray[Any], b: NDArray[Any]) -> Ints:
        """The places of pairs a < b, that of no concept where they do not meet."""
        return self._places(self._pair_keys, a.astype(np.int64) * self.n_concepts + b, self.n_concepts + 1)

    def _places(self, keys: Ints, wanted: Ints, first: int) -> Ints:
        at = np.searchsorted(keys, wanted)
        found = at < len(keys)
        found[found] = keys[at[found]] == wanted[found]
        return np.where(found, first + at, self.n_concepts)

    @cached_property
    def triangles(self) -> NDArray[np.int32]:
        """Triples that meet pairwise, a < b < c, in order: int32, shape (n_triangles, 3)."""
        if self.reach < 3:
            return np.zeros((0, 3), np.int32)
        parts, (a, b) = [np.zeros((0, 3), np.int32)], self.pairs.T
        more = np.diff(self.pair_ptr)[b]  # pairs (b, c) of each pair (a, b)
        for chosen in _chunks(more):
            first = np.repeat(np.arange(chosen.start, chosen.stop), more[chosen])
            second = _ranges(self.pair_ptr[b[chosen]], more[chosen])
            c = self.pairs[second, 1]
            whole = self.pair_places(a[first], c) != self.n_concepts
            parts.append(np.stack([a[first], b[first], c], axis=1)[whole])
        return np.concatenate(parts)

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """A bit for each two concepts, and no concept: whether they meet, or are one."""
        n = self.n_concepts + 1
        if self.reach < 2:
            return np.zeros((0, 0), np.uint8)
        bits = np.zeros((n, -(-n // 8)), np.uint8)
        for a, b in ((self.pairs[:, 0], self.pairs[:, 1]), (self.pairs[:, 1], self.pairs[:, 0])):
            np.bitwise_or.at(bits, (a, b >> 3), (1 << (b & 7)).astype(np.uint8))
        own = np.arange(n - 1)
        np.bitwise_or.at(bits, (own, own >> 3), (1 << (own & 7)).astype(np.uint8))
        return bits

    @cached_property
    def _listed(self) -> dict[int, tuple[Ints, Ints, NDArray[np.int32]]]:
        """Keys of pairs and triples that have a sample in common, and their groups as compressed rows."""
        g, n = self.groups, self.n_concepts
        ends = np.repeat(g.group_ptr[1:], np.diff(g.group_ptr))
        of_group = np.repeat(np.arange(g.n_groups, dtype=np.int32), np.diff(g.group_ptr))
        order = np.argsort(g.group_concepts, kind="stable")  # by lowest concept, so that chunks do not overlap
        found: dict[int, tuple[Ints, Ints, NDArray[np.int32]]] = {}
        for size in [size for size in (2, 3) if self._fit(size)]:
            keys, counts, groups = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
            behind = ends[order] - order - 1
            weight = behind if size == 2 else behind * (behind - 1) // 2
            bounds = np.searchsorted(g.group_concepts[order], np.arange(n + 1))
            by_concept = np.add.reduceat(np.append(weight, 0), bounds[:-1]) * (np.diff(bounds) > 0) if n else weight
            for chosen in _chunks(by_concept):
                first = order[bounds[chosen.start] : bounds[chosen.stop]]
                key, last = g.group_concepts[first].astype(np.int64), first
                for _ in range(size - 1):
                    more = ends[last] - last - 1
                    last = _ranges(last + 1, more)
                    key = np.repeat(key, more) * n + g.group_concepts[last]
                by_key = np.argsort(key, kind="stable")
                unique, times = np.unique(key, return_counts=True)
                keys.append(unique)
                counts.append(times)
                groups.append(of_group[last[by_key]])
            found[size] = np.concatenate(keys), np.concatenate(counts), np.concatenate(groups)
        return found

    @cached_property
    def sums_of(self) -> tuple[Ints, NDArray[np.int32]]:
        """The groups of every place, as compressed rows; of concepts alone where there are blocks."""
        g = self.groups
        lengths, groups = [np.diff(g.concept_ptr), np.zeros(1, np.int64)], [g.concept_groups]
        if not self.blocked:
            for size in range(2, self.reach + 1):
                lengths.append(self._listed[size][1])
                groups.append(self._listed[size][2])
        return _ptr(np.concatenate(lengths)), np.concatenate(groups).astype(np.int32)

    @cached_property
    def ones(self) -> Ints:
        """In how many groups every intersection is."""
        return self.sums(np.ones(self.groups.n_groups, np.int64))

    @cached_property
    def n_places(self) -> int:
        if self.blocked:
            return self.n_concepts + 1 + len(self.pairs) + len(self.triangles)
        return len(self.sums_of[0]) - 1

    @cached_property
    def cliques(self) -> NDArray[np.int32]:
        """The seven places of each clique, singles, pairs, triangles: int32, shape (n_cliques, 7)."""
        n, (a, b), triangles = self.n_concepts, self.pairs.T, self.triangles
        places = np.full((n + len(self.pairs) + len(triangles), 7), n, np.int32)
        places[:n, 0] = np.arange(n)
        pairs = places[n : n + len(self.pairs)]
        pairs[:, 0], pairs[:, 1], pairs[:, 3] = a, b, self.pair_places(a, b)
        rest = places[n + len(self.pairs) :]
        rest[:, :3] = triangles
        for column, (i, k) in enumerate(((0, 1), (0, 2), (1, 2)), 3):
            rest[:, column] = self.pair_places(triangles[:, i], triangles[:, k])
        if self.blocked:
            rest[:, 6] = n + 1 + len(self.pairs) + np.arange(len(triangles))
        elif self.reach > 2:
            x, y, z = triangles.T.astype(np.int64)
            rest[:, 6] = self._places(self._listed[3][0], (x * n + y) * n + z, n + 1 + len(self.pairs))
        return places

    @cached_property
    def blocks(self) -> tuple[NDArray[np.uint8], Ints, Ints, NDArray[np.int32], NDArray[np.int32]]:
        """Rows of blocks, which three are combined, and for each three the cells to read and their places."""
        if not self.blocked:
            none = np.zeros(0, np.int32)
            return np.zeros((0, 0), np.uint8), np.zeros((0, 3), np.int64), np.zeros(1, np.int64), none, none
        sets = [self.pairs, self.triangles] if self.reach > 2 else [self.pairs]
        combined = [self._combined(wanted) for wanted in sets]
        which = np.concatenate([of for of, _ in combined])
        order = np.argsort(which, kind="stable")
        used, times = np.unique(which, return_counts=True)
        threes = self._threes[used]
        cells = np.concatenate([cell for _, cell in combined])[order].astype(np.int32)
        places = (self.n_concepts + 1 + order).astype(np.int32)
        return self._codes, threes, _ptr(times), cells, places

    @cached_property
    def _codes(self) -> NDArray[np.uint8]:
        """The concepts of each group by blocks of five, a bit each: uint8, shape (n_blocks, n_groups)."""
        g = self.groups
        codes = np.zeros((max(3, -(-self.n_concepts // _BLOCK)), g.n_groups), np.uint8)
        for c in range(self.n_concepts):
            codes[c // _BLOCK, g.concept_groups[g.concept_ptr[c] : g.concept_ptr[c + 1]]] |= np.uint8(1 << c % _BLOCK)
        return codes

    @cached_property
    def _threes(self) -> Ints:
        return np.array(list(combinations(range(len(self._codes)), 3)), np.int64)

    def _combined(self, sets: NDArray[np.int32]) -> tuple[Ints, Ints]:
        """For each set of concepts the three blocks it is read from, by number, and its cell."""
        of = {tuple(three): i for i, three in enumerate(self._threes.tolist())}
        n_blocks = len(self._codes)
        which, cells = np.empty(len(sets), np.int64), np.zeros(len(sets), np.int64)
        for i, members in enumerate(sets.tolist()):
            own = {c // _BLOCK for c in members}
            own |= set([b for b in (*range(max(own) + 1, n_blocks), *range(n_blocks)) if b not in own][: 3 - len(own)])
            three = tuple(sorted(own))
            which[i] = of[three]
            cells[i] = sum(1 << (_BLOCK * (2 - three.index(c // _BLOCK)) + c % _BLOCK) for c in members)
        return which, cells

    def _by_blocks(self, sets: NDArray[np.int32], weights: Ints) -> Ints:
        """Sums over the intersections of sets of concepts, from blocks."""
        which, cells = self._combined(sets)
        sums = np.zeros(len(sets), np.int64)
        for i in np.unique(which).tolist():
            u, v, w = self._codes[self._threes[i]].astype(np.int64)
            table: Any = np.zeros(_CELLS, np.int64)
            np.add.at(table, u << 10 | v << 5 | w, weights)
            table = table.reshape((2,) * 15)
            for axis in range(15):
                low, high = (np.take(table, side, axis) for side in (0, 1))
                table = np.stack([low + high, high], axis)
            sums[which == i] = table.reshape(-1)[cells[which == i]]
        return sums

    def sums(self, weights: Ints) -> Ints:
        """The sum of weights by group over every intersection: int64, shape (n_places,)."""
        ptr, groups = self.sums_of
        running = np.concatenate([np.zeros(1, np.int64), np.cumsum(weights[groups])])
        sums: Ints = running[ptr[1:]] - running[ptr[:-1]]
        if not self.blocked:
            return sums
        sets = [self._by_blocks(sets, weights) for sets in (self.pairs, self.triangles)]
        return np.asarray(np.concatenate([sums, *sets]))


def _ptr(lengths: NDArray[Any]) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _ranges(starts: NDArray[Any], lengths: NDArray[Any]) -> Ints:
    """The whole numbers start … start + length − 1 of every range, one after the other."""
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts.astype(np.int64) - (ends - lengths), lengths))


def _chunks(weights: NDArray[Any]) -> Iterator[slice]:
    """Slices that together cover an array, each of a total weight of about ``_CHUNK`` or one element."""
    ends, start = np.cumsum(weights, dtype=np.int64), 0
    while start < len(weights):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK, "right")))
        yield slice(start, stop)
        start = stop


@dataclass(frozen=True)
class Forms:
    """How formulas of three concepts are made of items, read off the shapes that may be used.

    A shape is passed over where a literal changes nothing, and where b or c adds nothing: then it is worth what a
    literal alone is, such as ``b | a & c`` where c meets neither a nor b. So is one of which an item is empty.

    Parameters
    ----------
    wedges : tuple of (flip, base, part, part, changes)
        Whether the complement is meant, whether a's own is in it, what it adds of b, and of c, each (inside, outside)
        of a; and the cells that each literal changes.
    regions : tuple of (flip, cells, needs)
        Which cells of a and b, 4 a alone, 2 b alone and 1 both, and the sets of cells of which there must be enough.
    unions : tuple of bool
        Whether a ∨ b ∨ c may be used, and its complement.
    """

    wedges: tuple[tuple[int, int, tuple[int, int], tuple[int, int], tuple[int, ...]], ...]
    regions: tuple[tuple[int, int, frozenset[int]], ...]
    unions: tuple[bool, bool]

    @classmethod
    def of(cls, given: tuple[Shape, ...]) -> Forms:
        """Read the forms off shapes of three concepts."""
        wedges, regions, unions = set(), set(), [False, False]
        for shape in given:
            true = [shape.mask >> v & 1 for v in range(8)]
            flip, sign = true[0], -1 if true[0] else 1
            # b and c share no sample: cells 7 and 3 are empty.
            changes = tuple(change & 0b01110111 for change in shape.changes)
            b, c = ((sign * (true[4 + v] - true[4]), sign * (true[v] - true[0])) for v in (2, 1))
            if all(changes) and any(b) and any(c) and b <= c:  # the other order is another shape's
                wedges.add((flip, true[4] ^ flip, b, c, changes))
            # Nor do a and c.
            changes = tuple(change & 0b01010111 for change in shape.changes)
            if all(changes) and true[1] != true[0]:
                cells = sum(bit * (true[v] ^ flip) for bit, v in _CELLS_OF_TWO)
                needs = frozenset(
                    sum(bit for bit, v in _CELLS_OF_TWO if change >> v & 1) for change in changes if not change & 0b11
                )
                regions.add((flip, cells, needs))
            unions[flip] |= all(change & 0b00010111 for change in shape.changes)
        # Of regions that differ in their needs alone the one that needs least holds the others.
        weakest = {r for r in regions if not any(r[:2] == o[:2] and o[2] < r[2] for o in regions)}
        return cls(tuple(sorted(wedges)), tuple(sorted(weakest, key=str)), (unions[0], unions[1]))


_CELLS_OF_TWO = ((4, 4), (2, 2), (1, 6))  # cells of a and b as bits, and which cells of three they are outside of c


@dataclass(frozen=True)
class Tables:
    """All of an exact search that does not depend on the neuron.

    What neurons share takes up to 0.5 GB where tables are as large as they get; a worker has 8 bytes for each place of
    ``meetings`` and some hundred for each concept, pair and group beside it.
    """

    meetings: Meetings
    groups: SampleGroups
    rules: Rules

    @property
    def length(self) -> int:
        """The longest formulas whose cliques are listed."""
        return min(self.meetings.reach, max(1, min(self.rules.length, self.groups.n_concepts)), self._fits)

    def prepare(self) -> None:
        """Compute all tables.

        Raises
        ------
        OptionError
            If the rules ask for a proof whatever it takes, and there is more to list than is held in memory.
        """
        from neuronym.search import optimal_kernels  # noqa: F401  compiled

        _ = self.cliques, self.regions, self.parts, self.spans, self.meetings.blocks, self.meetings.bits
        wanted = min(self.rules.length, self.groups.n_concepts)
        four = comb(self.groups.n_concepts, 4) * (self.groups.n_groups + 832) if wanted > 3 else 0
        if self.rules.search == "optimal" and (self.length < min(wanted, 3) or four > _MOST_OF_FOUR):
            raise OptionError(
                f"search='optimal' with length={self.rules.length} would have to go through too many sets of the "
                f"{self.groups.n_concepts:,} concepts: choose search='auto', a shorter length or fewer concepts"
            )

    @cached_property
    def telling(self) -> bool:
        """Whether the ceiling says anything: at most half of the samples have a row of their own."""
        return 2 * int(np.count_nonzero(self.groups.counts)) <= self.groups.total

    @cached_property
    def coded(self) -> Ints:
        """The rules as the kernel takes them."""
        lowest, highest = self.rules.bounds(self.groups.total)
        # A formula with a literal that changes nothing never goes before the one without.
        least = max(1, self.rules.least_change)
        budget = UNLIMITED if self.rules.search == "optimal" else self.rules.budget
        return np.array(
            [lowest, min(highest, self.groups.total - 1), least, self.groups.total, budget, _INTERVALS], np.int64
        )

    @cached_property
    def counts(self) -> Ints:
        """The count of every intersection."""
        return self.meetings.sums(self.groups.counts)

    def allowed(self, size: int) -> tuple[Shape, ...]:
        """The shapes of a size that the rules allow."""
        return shapes(size, bool(self.rules.negation), tuple(self.rules.operators))

    @cached_property
    def forms(self) -> Forms:
        return Forms.of(self.allowed(3))

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes that the kernel knows, by number."""
        return tuple(shape for size in (1, 2, 3) for shape in self.allowed(size))

    @cached_property
    def shape_table(self) -> Ints:
        """The shapes as the kernel takes them: int64, shape (n_shapes, 8)."""
        everything, table = 255, np.zeros((len(self.shapes), 8), np.int64)
        inside = [sum(1 << v for v in range(8) if v & bit) for bit in (4, 2, 1)]
        bases = [0, everything, *(side for own in inside for side in (own, everything ^ own))]
        for row, shape in zip(table, self.shapes, strict=True):
            mask, *changes = (_of_three(cells, shape.size) for cells in (shape.mask, *shape.changes))
            seen = sum(1 << (v << 3 - shape.size) for v in range(1 << shape.size))  # other cells are empty
            row[:2] = shape.size, shape.negations
            row[2:5] = next(
                (base, sign, v)
                for base, own in enumerate(bases)
                for sign in (0, 1, -1)
                for v in range(8)
                if not (own ^ (1 << v if sign else 0) ^ mask) & seen and sign == (sign and 1 - 2 * (own >> v & 1))
            )
            row[5 : 5 + len(changes)] = changes
        return table

    @cached_property
    def _clique_formulas(self) -> list[tuple[Ints, NDArray[np.uint8], NDArray[np.int32]]]:
        """By size, for its cliques: the number of formulas of each that the rules allow, their shapes, and counts."""
        made: list[tuple[Ints, NDArray[np.uint8], NDArray[np.int32]]] = []
        first = listed = 0
        n_pairs, n_triangles = len(self.meetings.pairs), len(self.meetings.triangles)
        stops = np.cumsum([0, self.meetings.n_concepts, n_pairs, n_triangles]).tolist()
        for size in range(1, min(self.meetings.reach, self.rules.length) + 1):
            allowed = self.allowed(size)
            if size == 3 and n_triangles * 8 > _FORMULAS:
                break
            times, codes, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.uint8)], [np.zeros(0, np.int32)]
            cliques = self.meetings.cliques[stops[size - 1] : stops[size]]
            for start in range(0, len(cliques), 2**14):
                of, shape, n = self._feasible(cliques[start : start + 2**14], allowed)
                times.append(np.bincount(of, minlength=len(cliques[start : start + 2**14])))
                codes.append((shape + first).astype(np.uint8))
                counts.append(n.astype(np.int32))
                listed += len(n)
                if listed > _FORMULAS:
                    return made
            made.append((np.concatenate(times), np.concatenate(codes), np.concatenate(counts)))
            first += len(allowed)
        return made

    @property
    def _fits(self) -> int:
        return len(self._clique_formulas)

    def _feasible(self, cliques: NDArray[np.int32], allowed: tuple[Shape, ...]) -> tuple[Ints, Ints, Ints]:
        """Of cliques of one size, by clique, shape and count, the formulas that the rules allow."""
        cells = _cells(self.counts[cliques].astype(np.float64), float(self.groups.total))
        lowest, highest, least = self.coded[:3]
        size = allowed[0].size if allowed else 1
        n = cells @ _columns([_of_three(shape.mask, size) for shape in allowed])
        right = (n >= lowest) & (n <= highest)
        for literal in range(size if size > 1 else 0):
            right &= cells @ _columns([_of_three(shape.changes[literal], size) for shape in allowed]) >= least
        of, shape = np.nonzero(right)
        return of, shape, n[of, shape].astype(np.int64)

    @cached_property
    def cliques(self) -> tuple[NDArray[np.int32], Ints, NDArray[np.uint8], NDArray[np.int32]]:
        """The places of all cliques, and their formulas as compressed rows: shapes and counts."""
        times, codes, counts = (np.concatenate(parts) for parts in zip(*self._clique_formulas, strict=True))
        return self.meetings.cliques[: len(times)], _ptr(times), codes, counts

    @cached_property
    def regions(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], Ints, Ints]:
        """Regions of two concepts: their concepts, place and cells, counts, and where those of complements start."""
        a, b = (self.meetings.pairs if self.length > 2 else self.meetings.pairs[:0]).T
        place = self.meetings.pair_places(a, b)
        both, least = self.counts[place], self.coded[2]
        alone_a, alone_b = self.counts[a] - both, self.counts[b] - both

        def count(cells: int) -> Ints:
            return np.asarray((cells & 1) * both + (cells >> 1 & 1) * alone_b + (cells >> 2) * alone_a)

        found, starts = [np.zeros((0, 5), np.int64)], [0]
        for flip in (0, 1):
            for turned, cells, needs in self.forms.regions:
                if turned == flip:
                    n = count(cells)
                    right = np.flatnonzero(np.all([n > 0, *(count(own) >= least for own in needs)], axis=0))
                    flat = np.full(len(right), cells)
                    found.append(np.stack([a[right], b[right], place[right], flat, n[right]], axis=1))
            starts.append(sum(map(len, found)))
        rows = np.concatenate(found)
        small = rows.astype(np.int32)
        columns = small[:, 0].copy(), small[:, 1].copy(), small[:, 2:4].copy(), rows[:, 4].copy()
        return (*columns, np.array(starts, np.int64))

    @cached_property
    def parts(self) -> tuple[Ints, NDArray[np.int32], NDArray[np.int32], Ints, Ints]:
        """Lists of parts and the wedges that combine two of them.

        Where each list starts; of each part b, the place of a and b and what is added, and its count; and of each wedge
        whether the complement is meant, a, whether a's own is in it, and two lists.
        """
        pairs, n = self.meetings.pairs.astype(np.int64), self.groups.n_concepts
        if self.length < 3:
            pairs = pairs[:0]
        a, b = np.concatenate([pairs, pairs[:, ::-1]]).T
        order = np.argsort(a, kind="stable")
        a, b = a[order], b[order]
        place = self.meetings.pair_places(np.minimum(a, b), np.maximum(a, b))
        inside, least = self.counts[place], self.coded[2]
        outside = self.counts[b] - inside
        # Where b holds all of a, what meets a meets b.
        useful = self.meetings.ones[place] < self.meetings.ones[a]
        lists: dict[tuple[tuple[int, int], bytes], tuple[int, NDArray[np.bool_]]] = {}  # and which a use it
        wedges = [np.zeros((0, 5), np.int64)]
        for flip, base, *added, changes in self.forms.wedges:
            side = [useful & (within * inside + beyond * outside != 0) for within, beyond in added]
            enough = np.ones(n, np.bool_)
            for change in changes:
                changed = []
                for i, cell in enumerate((2, 1)):
                    own = (change >> 4 + cell & 1) * inside + (change >> cell & 1) * outside
                    if not change & ~(1 << 4 + cell | 1 << cell):
                        side[i] = side[i] & (own >= least)
                    changed.append(own)
                # At most as many as all that lies outside of b and c, and the most of each.
                most = (change >> 4 & 1) * self.counts[:n] + (change & 1) * self.groups.total
                enough &= most + sum(_most(own, right, a, n) for own, right in zip(changed, side, strict=True)) >= least
            enough &= np.bincount(a[side[0] | side[1]], minlength=n) > 1
            for own in side:
                enough &= np.bincount(a[own], minlength=n) > 0
            at = []
            for form, right in zip(added, side, strict=True):
                number, users = lists.setdefault((form, right.tobytes()), (len(lists), np.zeros(n, np.bool_)))
                users |= enough
                at.append(number)
            there = np.flatnonzero(enough)
            flat = [np.full(len(there), value) for value in (flip, base)]
            wedges.append(np.stack([flat[0], there, flat[1], *(i * n + there for i in at)], axis=1))
        times, rows = [np.zeros(0, np.int64)], [np.zeros((0, 5), np.int64)]
        for ((within, beyond), right), (_, users) in lists.items():
            own = np.flatnonzero(np.frombuffer(right, np.bool_) & users[a])
            flat = [np.full(len(own), value) for value in (within, beyond)]
            counts = within * inside[own] + beyond * outside[own]
            rows.append(np.stack([b[own], place[own], *flat, counts], axis=1))
            times.append(np.bincount(a[own], minlength=n))
        every = np.concatenate(rows)
        small, found = every.astype(np.int32), np.unique(np.concatenate(wedges), axis=0)
        return _ptr(np.concatenate(times)), small[:, 0].copy(), small[:, 1:4].copy(), every[:, 4].copy(), found

    @cached_property
    def spans(self) -> Ints:
        """By length: cliques, shapes, whether unions are allowed, what the rest costs, and places to fill."""
        spans, clique, shape = np.zeros((self.length, 9), np.int64), 0, 0
        ptr, n = self.meetings.sums_of[0], self.groups.n_concepts
        stops = [0, n + 1, n + 1 + len(self.meetings.pairs), self.meetings.n_places]
        for size, (times, codes, _) in enumerate(self._clique_formulas[: self.length], 1):
            row, n_shapes = spans[size - 1], len(self.allowed(size))
            row[0], row[1] = clique, clique + len(times)
            row[2], row[3] = shape, shape + n_shapes
            row[6] = len(times) + len(codes)
            if size == 2:
                row[4:6] = [any(s.mask & 7 == mask for s in self.allowed(2)) for mask in (0b110, 0b001)]
            elif size == 3:
                row[4:6] = self.forms.unions
            if self.meetings.blocked and size == 2:
                row[7] = -1
                row[6] += len(self.meetings.blocks[1]) * (self.groups.n_groups + 2 * _CELLS)
            elif not self.meetings.blocked or size == 1:
                row[7], row[8] = stops[size - 1], stops[size]
                row[6] += ptr[row[8]] - ptr[row[7]]
            clique, shape = row[1], row[3]
        return spans


def _most(values: Ints, chosen: NDArray[np.bool_], of: Ints, n: int) -> Ints:
    """The highest of chosen values of each of n."""
    most = np.zeros(n, np.int64)
    np.maximum.at(most, of[chosen], values[chosen])
    return most


def _of_three(cells: int, size: int) -> int:
    """A mask over the cells of a size as one over those of three concepts."""
    return sum(1 << (v << 3 - size) for v in range(1 << size) if cells >> v & 1)


def _columns(masks: list[int]) -> Floats:
    """Masks over eight cells as columns: float64, shape (8, n_masks)."""
    return np.array([[mask >> v & 1 for mask in masks] for v in range(8)], np.float64).reshape(8, len(masks))


def _cells(places: Floats, whole: float) -> Floats:
    """The eight cells of cliques, from n or S at their seven places (n_cliques, 7)."""
    a, b, c, ab, ac, bc, abc = places.T
    inside = a - ab - ac + abc, b - ab - bc + abc, c - ac - bc + abc
    outside = whole - a - b - c + ab + ac + bc - abc
    return np.stack([outside, inside[2], inside[1], bc - abc, inside[0], ac - abc, ab - abc, abc], axis=1)


@dataclass(frozen=True)
class Hull:
    """The highest sums that sets of groups can have, for a block of neurons.

    Parameters
    ----------
    counts : int64, shape (n_neurons, n_corners)
        n at the corners, clamped to the constraint.
    scores : float64, shape (n_neurons, n_corners)
    ends : int64, shape (n_neurons, 2)
        n and S of the highest one; 0 and 0 where no count is allowed.
    """

    counts: Ints
    scores: Floats
    ends: Ints

    @classmethod
    def none(cls, n_neurons: int) -> Hull:
        """A hull of no corners, which rules nothing out."""
        return cls(np.zeros((n_neurons, 0), np.int64), np.zeros((n_neurons, 0)), np.zeros((n_neurons, 2), np.int64))

    def ceiling(self, terms: Ints) -> Floats:
        """The highest score, −inf where no count is allowed: float64, shape (n_neurons,)."""
        n, s = self.ends.T
        return np.where(n > 0, ratio(terms, n, s), -np.inf)

    @classmethod
    def of(cls, sums: Ints, tables: Tables, terms: Ints) -> Hull:
        """Take groups in the order of their mean weight."""
        lowest, highest = tables.coded[:2].tolist()
        shown = np.flatnonzero(tables.groups.counts)
        counts, sums = tables.groups.counts[shown], sums[:, shown]
        if lowest > highest or not len(shown):
            return cls.none(len(sums))
        means = sums / counts
        order = np.argsort(-means, axis=1)
        zero = np.zeros((len(sums), 1), np.int64)
        n = np.concatenate([zero, np.cumsum(counts[order], axis=1)], axis=1)
        s = np.concatenate([zero, np.cumsum(np.take_along_axis(sums, order, axis=1), axis=1)], axis=1)
        steps, rises = np.diff(n, axis=1), np.diff(s, axis=1)
        clamped = np.clip(n, lowest, highest)
        corners = s
        for bound, outside in ((lowest, n < lowest), (highest, n > highest)):
            # The piece in which the bound lies.
            piece = np.argmax(n[:, 1:] >= bound, axis=1)[:, np.newaxis]
            start_n, start_s = np.take_along_axis(n, piece, axis=1), np.take_along_axis(corners, piece, axis=1)
            step, rise = np.take_along_axis(steps, piece, axis=1), np.take_along_axis(rises, piece, axis=1)
            whole, rest = np.divmod(rise, step)
            s = np.where(outside, start_s + whole * (bound - start_n) - (-rest * (bound - start_n)) // step, s)
        scores = ratio(terms, clamped, s)
        best = np.argmax(scores, axis=1)
        top = scores == scores.max(axis=1, keepdims=True)
        for j in np.flatnonzero(np.count_nonzero(top, axis=1) > 1).tolist() if tables.telling else ():
            own, tied = terms[j], {(clamped[j, i], s[j, i]): i for i in np.flatnonzero(top[j]).tolist()}
            if len(tied) > 1:
                best[j] = tied[max(tied, key=lambda corner: exact_ratio(own, *corner))]
        rows = np.arange(len(sums))
        return cls(clamped, scores, np.stack([clamped[rows, best], s[rows, best]], axis=1))


@dataclass(frozen=True)
class Exact:
    """What exact search found for a block of neurons, by length: the best formula of at most 1, 2, … literals.

    Parameters
    ----------
    lengths, counts, sums : int64, shape (n_neurons, n_lengths)
        A length of 0 where there is none.
    literals, operators : int64, shape (n_neurons, n_lengths, 4)
        As in ``SearchResult``.
    proven : bool, shape (n_neurons, n_lengths)
        Whether no formula of at most that length is better, and none reaches the floor where none was found.
    operations : int64, shape (n_neurons,)
    hull : Hull
    """

    lengths: Ints
    counts: Ints
    sums: Ints
    literals: Ints
    operators: Ints
    proven: NDArray[np.bool_]
    operations: Ints
    hull: Hull

    def scores(self, terms: Ints) -> Floats:
        """The scores, −inf where there is no formula: float64, shape (n_neurons, n_lengths)."""
        return np.where(self.lengths > 0, ratio(terms, self.counts, self.sums), -np.inf)


def exact_search(sums: Ints, tables: Tables, terms: Ints, floors: Floats) -> Exact:
    """Search a block of neurons exactly, as far as the rules' budget goes.

    Parameters
    ----------
    sums : int64, shape (n_neurons, n_groups)
    terms : int64, shape (n_neurons, 6)
        What makes scores of counts and sums.
    floors : float64, shape (n_neurons, n_lengths)
        What formulas of at most 1, 2, … literals have to reach.
    """
    sums, n_lengths = np.ascontiguousarray(sums), floors.shape[1]
    hull = Hull.of(sums, tables, terms) if tables.telling else Hull.none(len(sums))
    path, proven, spent = _by_kernel(sums, tables, terms, floors, hull)
    names = np.array([(*shape.literals, *(0,) * (3 - shape.size)) for shape in tables.shapes] + [(0, 0, 0)])
    joined = np.array([(*shape.operators, *(0,) * (3 - shape.size)) for shape in tables.shapes] + [(0, 0, 0)])
    sizes = np.array([*(shape.size for shape in tables.shapes), 0])
    at = np.minimum(np.arange(n_lengths), path.shape[1] - 1)  # longer ones stay as they are
    rows = path[:, at]
    shape = rows[:, :, 0]
    held = np.arange(3) < sizes[shape][:, :, np.newaxis]
    concepts = np.take_along_axis(rows[:, :, 1:4], names[shape] >> 1, axis=2)
    literals, operators = np.zeros((2, *shape.shape, 4), np.int64)
    literals[:, :, :3] = np.where(held, 2 * concepts + (names[shape] & 1), 0)
    operators[:, :, :3] = np.where(held, joined[shape], 0)
    found = shape >= 0
    exact = Exact(
        sizes[shape],
        np.where(found, rows[:, :, 4], 0),
        np.where(found, rows[:, :, 5], 0),
        literals,
        operators,
        proven[:, at] & (at == np.arange(n_lengths)),
        spent,
        hull,
    )
    for length in range(path.shape[1], n_lengths):
        none = tables.groups.n_concepts <= length  # no formula is that long
        over = exact.proven[:, length - 1] & (none | _over(exact, length - 1, floors[:, length], terms))
        exact.proven[:, length] = over
        if length == 3 and not none:
            _four(sums, tables, terms, floors[:, 3], exact, exact.proven[:, 2] & ~over)
    return exact


def _by_kernel(
    sums: Ints, tables: Tables, terms: Ints, floors: Floats, hull: Hull
) -> tuple[Ints, NDArray[np.bool_], Ints]:
    """Rows of the kernel by neuron and length, which are proven, and the operations."""
    from neuronym.search.optimal_kernels import search

    m, n = tables.meetings, tables.groups.n_concepts
    regions, parts, length = tables.regions, tables.parts, tables.length
    size = n + max(len(regions[0]), int(2 * np.diff(parts[0]).max(initial=0)))
    path = np.zeros((len(sums), length, 6), np.int64)
    proven, spent = np.zeros((len(sums), length), np.uint8), np.zeros(len(sums), np.int64)
    search(
        sums,
        (tables.shape_table, terms, tables.coded, tables.counts, m.pair_ptr, m.second, m.bits),
        m.sums_of,
        (*m.blocks, np.zeros(_CELLS if m.blocked else 0, np.int64)),
        tables.cliques,
        regions,
        parts,
        tables.spans,
        (hull.counts, hull.scores, hull.ends, np.ascontiguousarray(floors[:, :length])),
        (np.zeros(size), *(np.zeros(size, np.int64) for _ in range(4))),
        (
            np.zeros(m.n_places, np.int64),
            np.zeros(len(regions[0]), np.int64),
            np.zeros(len(parts[1]), np.int64),
            np.zeros((2, len(parts[0]) - 1)),
            np.arange(n, dtype=np.int32),
        ),
        (np.zeros(6, np.int64), np.zeros(1), np.zeros(16, np.int64), np.zeros(16, np.int64), np.zeros(7, np.int32)),
        np.zeros(14, np.int64),
        path,
        proven,
        spent,
    )
    return path, proven.astype(np.bool_), spent


def _over(exact: Exact, length: int, floor: Floats, terms: Ints) -> NDArray[np.bool_]:
    """Where no longer formula is better, since the best one of this place reaches the ceiling, or none the floor."""
    hull, score = exact.hull, exact.scores(terms)[:, length]
    ceiling = hull.ceiling(terms)
    over = (ceiling < np.maximum(score, floor)) & (hull.counts.shape[1] > 0)
    for j in np.flatnonzero((score == ceiling) & (exact.lengths[:, length] > 0)).tolist():
        own = exact_ratio(terms[j], exact.counts[j, length], exact.sums[j, length])
        over[j] = own >= exact_ratio(terms[j], *hull.ends[j])
    return np.asarray(over)


def _four(sums: Ints, tables: Tables, terms: Ints, floor: Floats, exact: Exact, wanted: NDArray[np.bool_]) -> None:
    """Search the formulas of four concepts of wanted neurons, where the budget allows, into ``exact``."""
    groups, allowed = tables.groups, tables.allowed(4)
    lowest, highest, least, _, budget = tables.coded[:5].tolist()
    cost = comb(groups.n_concepts, 4) * (groups.n_groups + len(allowed))
    neurons = np.flatnonzero(wanted & (exact.operations + cost <= budget))
    exact.operations[neurons] += cost
    exact.proven[neurons, 3] = True
    if not len(neurons) or not allowed:
        return
    inside = np.zeros((groups.n_concepts, groups.n_groups), np.uint8)
    for i in range(groups.n_concepts):
        inside[i, groups.concept_groups[groups.concept_ptr[i] : groups.concept_ptr[i + 1]]] = 1
    masks, *changes = (
        np.array([[mask >> v & 1 for mask in column] for v in range(16)], np.float64)
        for column in zip(*((shape.mask, *shape.changes) for shape in allowed), strict=True)
    )
    known: list[Any] = [None] * len(neurons)
    best = np.maximum(exact.scores(terms)[neurons, 2], floor[neurons])
    width = max(1, _FOUR // (groups.n_groups + len(allowed)))
    every = combinations(range(groups.n_concepts), 4)
    while chosen := list(islice(every, width)):
        a, b, c, d = (inside[list(column)] for column in zip(*chosen, strict=True))
        cells = (a << 3 | b << 2 | c << 1 | d) + 16 * np.arange(len(chosen))[:, np.newaxis]

        def add(weights: Ints, cells: Ints = cells, n: int = len(chosen)) -> Floats:
            spread = np.broadcast_to(weights, cells.shape)
            return np.asarray(np.bincount(cells.ravel(), spread.ravel(), 16 * n).reshape(n, 16), np.float64)

        counted = add(groups.counts)
        n = counted @ masks
        right = (n >= lowest) & (n <= highest)
        for change in changes:
            right &= counted @ change >= least
        of, shape = np.nonzero(right)
        n_right = n[of, shape].astype(np.int64)
        for place, j in enumerate(neurons.tolist() if len(of) else ()):
            s = (add(sums[j]) @ masks)[of, shape]
            scores = ratio(terms[j], n_right, s)
            if scores.max() < best[place]:
                continue
            best[place] = scores.max()
            for i in np.flatnonzero(scores == best[place]).tolist():
                one, key = allowed[shape[i]], chosen[of[i]]
                score = exact_ratio(terms[j], n_right[i], s[i])
                entry = (-score, one.negations, key, one), int(n_right[i]), int(s[i])
                known[place] = entry if known[place] is None else min(known[place], entry)
    for place, j in enumerate(neurons.tolist()):
        _take(exact, j, known[place], terms[j])


def _take(exact: Exact, j: int, entry: Any, term: Ints) -> None:
    """Put a formula of four concepts in its place, if it is better than the best shorter one."""
    if entry is None:
        return
    (score, _, concepts, shape), n, s = entry
    if exact.lengths[j, 3] and -score <= exact_ratio(term, exact.counts[j, 3], exact.sums[j, 3]):
        return
    exact.lengths[j, 3:], exact.counts[j, 3:], exact.sums[j, 3:] = 4, n, s
    exact.literals[j, 3:] = [2 * concepts[literal >> 1] + (literal & 1) for literal in shape.literals]
    exact.operators[j, 3:] = shape.operators


def best_scores(sums: Ints, tables: Tables, terms: Ints, floor: float) -> tuple[Floats, NDArray[np.bool_]]:
    """The best score of each neuron, −inf where none reaches the floor, and whether that is proven."""
    n_lengths = tables.rules.length
    exact = exact_search(sums, tables, terms, np.full((len(sums), n_lengths), floor))
    return exact.scores(terms)[:, -1], exact.proven[:, -1]


def improved(found: SearchResult, sums: Ints, tables: Tables, terms: Ints) -> SearchResult:
    """What the beam has found for a block of neurons, and beyond it what exact search finds."""
    n_lengths = tables.rules.length
    n_best, width = found.lengths.shape[1] - n_lengths, found.literals.shape[2]
    names = ("lengths", "literals", "operators", "counts", "sums", "scores")
    slots = {name: getattr(found, name).copy() for name in names}
    floors = np.where(found.lengths[:, n_best:] > 0, found.scores[:, n_best:], -np.inf)
    exact = exact_search(sums, tables, terms, floors)
    scores = exact.scores(terms)
    shown = min(width, LONGEST)
    for length in range(n_lengths):
        slot = n_best + length
        # What exact search found reaches what the beam found, and is the first of its score where it is proven.
        taken = (exact.lengths[:, length] > 0) & (exact.proven[:, length] | (scores[:, length] > floors[:, length]))
        for name, own in (("lengths", exact.lengths), ("counts", exact.counts), ("sums", exact.sums)):
            slots[name][taken, slot] = own[taken, length]
        slots["scores"][taken, slot] = scores[taken, length]
        for name, codes in (("literals", exact.literals), ("operators", exact.operators)):
            slots[name][taken, slot] = 0
            slots[name][taken, slot, :shown] = codes[taken, length, :shown]
    order = _others(found, slots, n_best, tables)
    for values in slots.values():
        at = order[:, :, np.newaxis] if values.ndim == 3 else order
        values[:, 1:n_best] = np.take_along_axis(values[:, :n_best], at, axis=1)
        values[:, 0] = values[:, -1]
    best = np.where(slots["lengths"][:, 0] > 0, slots["scores"][:, 0], -np.inf)
    proven = exact.proven[:, -1]
    bound, ceiling = best.copy(), np.full(len(sums), np.nan)
    if exact.hull.counts.shape[1]:
        ceiling = exact.hull.ceiling(terms)
    if not proven.all():
        bound[~proven] = np.maximum(
            best[~proven], Hull.of(sums[~proven], tables, terms[~proven]).ceiling(terms[~proven])
        )
    return type(found)(**slots, optimal=proven, bound=bound, ceiling=ceiling, operations=exact.operations)


def _others(found: SearchResult, slots: dict[str, NDArray[Any]], n_best: int, tables: Tables) -> Ints:
    """Which of the beam's best formulas differ from the best one in their extension: int64, (n_neurons, B)."""
    from neuronym.search.beam import extension

    order = np.tile(np.arange(n_best - 1), (len(found.lengths), 1))
    same = (found.counts[:, :n_best] == slots["counts"][:, -1:]) & (found.sums[:, :n_best] == slots["sums"][:, -1:])
    present = tables.groups.counts > 0
    for j in np.flatnonzero((same & (found.lengths[:, :n_best] > 0)).any(axis=1)).tolist():
        length = slots["lengths"][j, -1]
        own = tuple(slots["literals"][j, -1, :length].tolist()), tuple(slots["operators"][j, -1, :length].tolist())
        for slot in np.flatnonzero(same[j]).tolist():
            code = found.code(j, slot)
            if code == own or np.array_equal(
                extension(code, tables.groups)[present], extension(own, tables.groups)[present]
            ):
                order[j] = np.delete(np.arange(n_best), slot)
                break
    return order
