"""The compiled beam search, on plain arrays.

Every kernel has one signature, releases the GIL and is cached on disk. Callers convert before they call.

A *literal* is coded 2c for concept c and 2c + 1 for its negation. A formula is a row of int64, an *entry*:

====================  =====================================================================================
column                meaning
====================  =====================================================================================
COUNT, SUM, KEY       the three additive numbers n, S and the extension key (uint64 seen as int64)
LENGTH, NEGATIONS     number of literals, number of negated ones
EXPANDED              1 once the search has built on it
HEAD ...              L literals, then L operators (0 is AND, 1 is OR); operator i joins literal i to what
                      stands before it, and operator 0 repeats operator 1
====================  =====================================================================================

The score of an entry is a float and stands in an array of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from neuronym.search.rank_kernels import array_type, kernel

COUNT, SUM, KEY, LENGTH, NEGATIONS, EXPANDED, HEAD = range(7)

_i8, _f8, _i4, _u1 = types.int64, types.float64, types.int32, types.uint8

# Called by compiled code alone. Whatever these do without takes seconds off the first call on a machine.
Ints = NDArray[np.int64]

_inner: Any = njit(  # type: ignore[call-overload]
    nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy"
)


@_inner
def score_of(term, n, s):
    """The score of a formula of count n and sum s; see ``ratio``."""
    scale = np.float64(term[2] + (term[3] + term[4] * n) * n)
    return np.float64(s - (term[0] + term[1] * n) * n) / (np.sqrt(scale) if term[5] else scale)


@_inner
def _copy(source, target):
    # A loop, since the checks behind a slice assignment take seconds to compile.
    for i in range(source.shape[0]):
        target[i] = source[i]


@_inner
def _sort_runs(entry, length, size):
    """Put an entry into its canonical order: inside a run of one operator the literals ascend."""
    ops = HEAD + size
    start = 0
    while start < length:
        stop = start + 1
        while stop < length and entry[ops + stop] == entry[ops + start]:
            stop += 1
        for i in range(start + 1, stop):
            literal = entry[HEAD + i]
            k = i - 1
            while k >= start and entry[HEAD + k] > literal:
                entry[HEAD + k + 1] = entry[HEAD + k]
                k -= 1
            entry[HEAD + k + 1] = literal
        start = stop


@_inner
def _nth_concept(entry, length, rank):
    """The concept that stands at place ``rank`` of an entry's concepts in ascending order (read-once: all differ)."""
    for i in range(length):
        concept = entry[HEAD + i] >> 1
        below = 0
        for k in range(length):
            below += (entry[HEAD + k] >> 1) < concept
        if below == rank:
            return concept
    return -1


@_inner
def _simpler(a, b, size):
    """Whether entry a goes before entry b of the same score.

    The shorter, then the one with fewer negations, then concept order, then AND before OR, then literal order.
    """
    if a[LENGTH] != b[LENGTH]:
        return a[LENGTH] < b[LENGTH]
    if a[NEGATIONS] != b[NEGATIONS]:
        return a[NEGATIONS] < b[NEGATIONS]
    length = a[LENGTH]
    for rank in range(length):
        left, right = _nth_concept(a, length, rank), _nth_concept(b, length, rank)
        if left != right:
            return left < right
    for i in range(length):
        if a[HEAD + size + i] != b[HEAD + size + i]:
            return a[HEAD + size + i] < b[HEAD + size + i]
    for i in range(length):
        if a[HEAD + i] != b[HEAD + i]:
            return a[HEAD + i] < b[HEAD + i]
    return False


@_inner
def _insert(entries, scores, entry, score, size):
    """Insert an entry into a list ordered by score, best first, whose empty places score −inf.

    Of two formulas with one extension the simpler stays. A full list drops its last.
    """
    place = scores.shape[0] - 1
    for i in range(scores.shape[0]):
        if scores[i] == -np.inf:
            place = i
            break
        if entries[i, KEY] == entry[KEY] and entries[i, COUNT] == entry[COUNT] and entries[i, SUM] == entry[SUM]:
            if not _simpler(entry, entries[i], size):
                return
            place = i
            break
    else:
        if score < scores[place] or (score == scores[place] and not _simpler(entry, entries[place], size)):
            return
    while place > 0 and (
        scores[place - 1] < score or (scores[place - 1] == score and _simpler(entry, entries[place - 1], size))
    ):
        _copy(entries[place - 1], entries[place])
        scores[place] = scores[place - 1]
        place -= 1
    _copy(entry, entries[place])
    scores[place] = score


@_inner
def _join(parent, literal, op, size, child):
    """Write ``parent op literal`` (the literal alone where the parent is empty) into ``child``, in canonical order."""
    length = parent[LENGTH]
    _copy(parent, child)
    child[LENGTH] = length + 1
    child[NEGATIONS] += literal & 1
    child[EXPANDED] = 0
    child[HEAD + length] = literal
    child[HEAD + size + length] = op
    if length == 1:
        child[HEAD + size] = op
    _sort_runs(child, length + 1, size)


@_inner
def _true_in(entry, size, concept_ptr, concept_groups, members, other):
    """Mark in ``members`` (G,) with 0 and 1 the groups where an entry is true; ``other`` is scratch."""
    for i in range(entry[LENGTH]):
        flip = entry[HEAD + i] & 1
        concept = entry[HEAD + i] >> 1
        for g in range(other.shape[0]):
            other[g] = flip
        for k in range(concept_ptr[concept], concept_ptr[concept + 1]):
            other[concept_groups[k]] = 1 - flip
        for g in range(members.shape[0]):
            if i == 0:
                members[g] = other[g]
            elif entry[HEAD + size + i] == 0:
                members[g] &= other[g]
            else:
                members[g] |= other[g]


@_inner
def _gather(members, side, group_ptr, group_concepts, counts, sums, keys, out):
    """n, S and key of every concept over the groups that ``members`` marks with ``side``, into ``out`` (K, 3)."""
    for c in range(out.shape[0]):
        for i in range(3):
            out[c, i] = 0
    for g in range(members.shape[0]):
        if members[g] == side:
            n, s, key = counts[g], sums[g], keys[g]
            for k in range(group_ptr[g], group_ptr[g + 1]):
                c = group_concepts[k]
                out[c, 0] += n
                out[c, 1] += s
                out[c, 2] += key


@_inner
def _intersect(members, group_ptr, group_concepts, counts, sums, keys, totals, both):
    """n, S and key of φ ∧ c for every concept c, into ``both`` (K, 3): one sparse pass over the groups of φ.

    The pass goes over the side of φ that holds fewer entries; from the other side the totals of c are reached.
    """
    inside = 0
    for g in range(members.shape[0]):
        if members[g]:
            inside += group_ptr[g + 1] - group_ptr[g]
    side = np.uint8(2 * inside <= group_ptr[members.shape[0]])
    _gather(members, side, group_ptr, group_concepts, counts, sums, keys, both)
    if side == 0:
        for c in range(both.shape[0]):
            for i in range(3):
                both[c, i] = totals[c, i] - both[c, i]


@_inner
def _all_matter(entry, size, check):
    """Whether dropping any literal of an entry changes enough samples."""
    least, counts, concept_ptr, concept_groups, by_group, dropped = check
    _true_in(entry, size, concept_ptr, concept_groups, by_group[0], by_group[1])
    for skip in range(entry[LENGTH]):
        _copy(entry, dropped)
        dropped[LENGTH] -= 1
        for i in range(skip, dropped[LENGTH]):
            dropped[HEAD + i] = dropped[HEAD + i + 1]
            dropped[HEAD + size + i] = dropped[HEAD + size + i + 1]
        _true_in(dropped, size, concept_ptr, concept_groups, by_group[2], by_group[1])
        changed = 0
        for g in range(counts.shape[0]):
            if by_group[0, g] != by_group[2, g]:
                changed += counts[g]
        if changed < least:
            return False
    return True


@_inner
def _place(entries, scores, kind, child, score, size, changed, check):
    """Insert an entry into the list of its kind; one whose literals change too little is built on and not reported.

    ``changed`` is how many samples change if the literal that came last is dropped, or the other of two.
    """
    if check[0] and kind == 0 and child[LENGTH] > 1:
        if changed < check[0] or (child[LENGTH] > 2 and not _all_matter(child, size, check)):
            kind = 1
    _insert(entries[kind], scores[kind], child, score, size)


@_inner
def _extend(parent, both, totals, everything, term, rules, size, entries, scores, child, check):
    """Offer φ ∧ c, φ ∧ ¬c, φ ∨ c and φ ∨ ¬c for every concept c that φ does not hold.

    With n∧ and S∧ of a literal λ: φ ∧ λ has (n∧, S∧) and φ ∨ λ has (n + n_λ − n∧, S + S_λ − S∧); the numbers of ¬c
    are those of everything less those of c. Extensions that equal φ, λ, nothing or everything are passed over. From
    everything, the formula of no literal, the literals themselves follow by ∧. Where a literal changes too little, the
    extension may be built on and not be reported.
    """
    lowest, highest, min_count, flips = rules[0], rules[1], rules[2], rules[3]
    first = parent[LENGTH] == 0
    n_all, s_all, key_all = everything[COUNT], everything[SUM], everything[KEY]
    n_phi, s_phi, key_phi = parent[COUNT], parent[SUM], parent[KEY]
    for c in range(both.shape[0]):
        held = False
        for i in range(parent[LENGTH]):
            held |= (parent[HEAD + i] >> 1) == c
        if held:
            continue
        for flip in range(flips):
            if flip:
                n_lit, n_both = n_all - totals[c, 0], n_phi - both[c, 0]
            else:
                n_lit, n_both = totals[c, 0], both[c, 0]
            if not first and (n_both == n_phi or n_both == n_lit):
                continue
            for op in range(2):
                if op:
                    n = n_phi + n_lit - n_both
                else:
                    n = n_both
                if n < min_count or n >= n_all or not (first or rules[4 + op]):
                    continue
                s_lit = s_all - totals[c, 1] if flip else totals[c, 1]
                s_both = s_phi - both[c, 1] if flip else both[c, 1]
                s = s_phi + s_lit - s_both if op else s_both
                kind = 0 if lowest <= n <= highest else 1
                score = score_of(term, n, s)
                if score < scores[kind, -1]:
                    continue
                key_lit = key_all - totals[c, 2] if flip else totals[c, 2]
                key_both = key_phi - both[c, 2] if flip else both[c, 2]
                _join(parent, 2 * c + flip, op, size, child)
                child[COUNT] = n
                child[SUM] = s
                child[KEY] = key_phi + key_lit - key_both if op else key_both
                changed = n_lit - n_both if op else n_phi - n_both
                if parent[LENGTH] == 1:
                    changed = min(n_lit, n_phi) - n_both
                _place(entries, scores, kind, child, score, size, changed, check)


@kernel(
    array_type(_i8, 2),
    array_type(_i8, 1),
    array_type(_i8, 1),
    array_type(_i8, 1),
    array_type(_i4, 1),
    array_type(_i8, 1),
    array_type(_i4, 1),
    array_type(_i8, 2),
    array_type(_i8, 1),
    array_type(_i8, 3, "C", False),
    array_type(_f8, 2, "C", False),
    array_type(_i8, 2, "C", False),
    array_type(_i8, 3, "C", False),
    array_type(_u1, 2, "C", False),
    array_type(_i8, 3, "C", False),
    array_type(_i8, 3, "C", False),
)
def _search(
    sums,
    counts,
    keys,
    group_ptr,
    group_concepts,
    concept_ptr,
    concept_groups,
    terms,
    rules,
    entries,
    scores,
    rows,
    by_concept,
    by_group,
    best,
    path,
):
    """The compiled part of ``beam_search``; what it works in is allocated outside, since that takes long to compile."""
    n_neurons, n_groups = sums.shape
    length, beam = path.shape[1], best.shape[1] - 1
    totals, both = by_concept[0], by_concept[1]
    members, other = by_group[0], by_group[1]
    everything, child = rows[0], rows[1]
    check = (rules[7], counts, concept_ptr, concept_groups, by_group, rows[2])
    for j in range(n_neurons):
        everything[COUNT] = everything[SUM] = everything[KEY] = 0
        for g in range(n_groups):
            members[g] = 1
            everything[COUNT] += counts[g]
            everything[SUM] += sums[j, g]
            everything[KEY] += keys[g]
        _gather(members, np.uint8(1), group_ptr, group_concepts, counts, sums[j], keys, totals)
        for b in range(beam + 1):
            entries[0, b, LENGTH] = entries[1, b, LENGTH] = 0
            scores[0, b] = -np.inf
            scores[1, b] = -np.inf if rules[6] else np.inf
        _extend(everything, totals, totals, everything, terms[j], rules, length, entries, scores, child, check)
        _copy(entries[0, 0], path[j, 0])
        for step in range(1, length):
            stop = 3
            for kind in range(2):
                for b in range(beam):
                    if entries[kind, b, LENGTH] and not entries[kind, b, EXPANDED]:
                        entries[kind, b, EXPANDED] = 1
                        _copy(entries[kind, b], rows[stop])
                        stop += 1
            for b in range(3, stop):
                _true_in(rows[b], length, concept_ptr, concept_groups, members, other)
                _intersect(members, group_ptr, group_concepts, counts, sums[j], keys, totals, both)
                _extend(rows[b], both, totals, everything, terms[j], rules, length, entries, scores, child, check)
            _copy(entries[0, 0], path[j, step])
        for b in range(beam + 1):
            _copy(entries[0, b], best[j, b])


def beam_search(
    sums: Ints,
    counts: Ints,
    keys: Ints,
    group_ptr: Ints,
    group_concepts: NDArray[np.int32],
    concept_ptr: Ints,
    concept_groups: NDArray[np.int32],
    terms: Ints,
    rules: Ints,
    length: int,
    beam: int,
) -> tuple[Ints, Ints]:
    """Search the formulas of each neuron from its sums by group (M, G).

    ``counts`` and ``keys`` (G,) are the groups' weights and extension keys; ``group_ptr, group_concepts`` list the
    concepts of each group and ``concept_ptr, concept_groups`` the groups of each concept. ``terms`` (M, 6) give the
    score by n and S (see ``ratio``). ``rules`` is (lowest count, highest count, min_count, 2 with
    negation or 1, AND allowed, OR allowed, stepping stones kept, min_change).

    Returns ``best`` (M, beam + 1, HEAD + 2·length), the best feasible formulas, and ``path`` (M, length, …), the best
    one up to each length. LENGTH 0: none.
    """
    n_neurons, n_groups = sums.shape
    n_concepts, width = len(concept_ptr) - 1, HEAD + 2 * length
    best = np.zeros((n_neurons, beam + 1, width), np.int64)
    path = np.zeros((n_neurons, length, width), np.int64)
    entries, scores = np.zeros((2, beam + 1, width), np.int64), np.zeros((2, beam + 1))
    rows = np.zeros((3 + 2 * beam, width), np.int64)
    by_concept, by_group = np.zeros((2, n_concepts, 3), np.int64), np.zeros((3, n_groups), np.uint8)
    _search(
        sums,
        counts,
        keys,
        group_ptr,
        group_concepts,
        concept_ptr,
        concept_groups,
        terms,
        rules,
        entries,
        scores,
        rows,
        by_concept,
        by_group,
        best,
        path,
    )
    return best, path
