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

import numpy as np
from numba import njit, types

from neuronym._rank_kernels import array_type

COUNT, SUM, KEY, LENGTH, NEGATIONS, EXPANDED, HEAD = range(7)

_i8, _f8, _i4 = types.int64, types.float64, types.int32


@njit(cache=True, nogil=True)
def _fill(target, value):
    for i in range(target.shape[0]):
        target[i] = value


@njit(cache=True, nogil=True)
def _copy(source, target):
    # A loop, since the checks behind a slice assignment take seconds to compile.
    for i in range(source.shape[0]):
        target[i] = source[i]


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _true_in(entry, size, concept_ptr, concept_groups, members, other):
    """Mark in ``members`` (G,) with 0 and 1 the groups where an entry is true; ``other`` is scratch."""
    for i in range(entry[LENGTH]):
        flip = entry[HEAD + i] & 1
        concept = entry[HEAD + i] >> 1
        _fill(other, flip)
        for k in range(concept_ptr[concept], concept_ptr[concept + 1]):
            other[concept_groups[k]] = 1 - flip
        if i == 0:
            _copy(other, members)
        elif entry[HEAD + size + i] == 0:
            for g in range(members.shape[0]):
                members[g] &= other[g]
        else:
            for g in range(members.shape[0]):
                members[g] |= other[g]


@njit(cache=True, nogil=True)
def _intersect(members, group_ptr, group_concepts, counts, sums, keys, totals, both):
    """n, S and key of φ ∧ c for every concept c, into ``both`` (K, 3): one sparse pass over the groups of φ.

    The pass goes over the side of φ that holds fewer entries; from the other side the totals of c are reached.
    """
    n_groups = members.shape[0]
    inside = 0
    for g in range(n_groups):
        if members[g]:
            inside += group_ptr[g + 1] - group_ptr[g]
    side = 1 if 2 * inside <= group_ptr[n_groups] else 0
    _fill(both.ravel(), 0)
    for g in range(n_groups):
        if members[g] == side:
            n, s, key = counts[g], sums[g], keys[g]
            for k in range(group_ptr[g], group_ptr[g + 1]):
                c = group_concepts[k]
                both[c, 0] += n
                both[c, 1] += s
                both[c, 2] += key
    if side == 0:
        for c in range(both.shape[0]):
            for i in range(3):
                both[c, i] = totals[c, i] - both[c, i]


@njit(cache=True, nogil=True)
def _extend(parent, both, totals, everything, table, rules, size, entries, scores, child):
    """Offer φ ∧ c, φ ∧ ¬c, φ ∨ c and φ ∨ ¬c for every concept c that φ does not hold.

    With n∧ and S∧ of a literal λ: φ ∧ λ has (n∧, S∧) and φ ∨ λ has (n + n_λ − n∧, S + S_λ − S∧); the numbers of ¬c
    are those of everything less those of c. Extensions that equal φ, λ, nothing or everything are passed over.
    """
    lowest, highest, min_count, flips, use_and, use_or = rules[0], rules[1], rules[2], rules[3], rules[4], rules[5]
    n_all, s_all, key_all = everything[0], everything[1], everything[2]
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
            if n_both == n_phi or n_both == n_lit:
                continue
            for op in range(2):
                if op:
                    n = n_phi + n_lit - n_both
                else:
                    n = n_both
                if n < min_count or n >= n_all or not (use_or if op else use_and):
                    continue
                s_lit = s_all - totals[c, 1] if flip else totals[c, 1]
                s_both = s_phi - both[c, 1] if flip else both[c, 1]
                s = s_phi + s_lit - s_both if op else s_both
                kind = 0 if lowest <= n <= highest else 1
                score = (np.float64(s) - table[n, 0]) / table[n, 1]
                if score < scores[kind, -1]:
                    continue
                key_lit = key_all - totals[c, 2] if flip else totals[c, 2]
                key_both = key_phi - both[c, 2] if flip else both[c, 2]
                _join(parent, 2 * c + flip, op, size, child)
                child[COUNT] = n
                child[SUM] = s
                child[KEY] = key_phi + key_lit - key_both if op else key_both
                _insert(entries[kind], scores[kind], child, score, size)


@njit(cache=True, nogil=True)
def _literals(totals, everything, table, rules, size, entries, scores, empty, child):
    """Offer every concept and, where allowed, its negation."""
    for c in range(totals.shape[0]):
        for flip in range(rules[3]):
            n = everything[0] - totals[c, 0] if flip else totals[c, 0]
            if n < rules[2] or n >= everything[0]:
                continue
            s = everything[1] - totals[c, 1] if flip else totals[c, 1]
            kind = 0 if rules[0] <= n <= rules[1] else 1
            score = (np.float64(s) - table[n, 0]) / table[n, 1]
            if score < scores[kind, -1]:
                continue
            _join(empty, 2 * c + flip, 0, size, child)
            child[COUNT] = n
            child[SUM] = s
            child[KEY] = everything[2] - totals[c, 2] if flip else totals[c, 2]
            _insert(entries[kind], scores[kind], child, score, size)


@njit(
    types.void(
        array_type(_i8, 2),
        array_type(_i8, 1),
        array_type(_i8, 1),
        array_type(_i8, 1),
        array_type(_i4, 1),
        array_type(_i8, 1),
        array_type(_i4, 1),
        array_type(_f8, 2),
        array_type(_i8, 1),
        _i8,
        _i8,
        array_type(_i8, 3, "C", False),
        array_type(_i8, 3, "C", False),
    ),
    cache=True,
    nogil=True,
)
def beam_search(
    sums, counts, keys, group_ptr, group_concepts, concept_ptr, concept_groups, table, rules, length, beam, best, path
):
    """Search the formulas of each neuron from its sums by group (M, G).

    ``counts`` and ``keys`` (G,) are the groups' weights and extension keys; ``group_ptr, group_concepts`` list the
    concepts of each group and ``concept_ptr, concept_groups`` the groups of each concept. ``table`` (N + 1, 2) gives
    score(n, S) = (S − table[n, 0]) / table[n, 1]. ``rules`` is (lowest count, highest count, min_count, 2 with
    negation or 1, AND allowed, OR allowed, stepping stones kept). Written: ``best`` (M, beam + 1, HEAD + 2·length),
    the best feasible formulas, and ``path`` (M, length, …), the best one up to each length. LENGTH 0: none.
    """
    n_neurons, n_groups = sums.shape
    n_concepts = concept_ptr.shape[0] - 1
    width = HEAD + 2 * length
    entries = np.zeros((2, beam + 1, width), np.int64)
    scores = np.empty((2, beam + 1), np.float64)
    parents = np.zeros((2 * beam, width), np.int64)
    child, empty = np.zeros(width, np.int64), np.zeros(width, np.int64)
    totals, both = np.zeros((n_concepts, 3), np.int64), np.zeros((n_concepts, 3), np.int64)
    members, other = np.ones(n_groups, np.uint8), np.zeros(n_groups, np.uint8)
    everything = np.zeros(3, np.int64)
    for j in range(n_neurons):
        _fill(everything, 0)
        for g in range(n_groups):
            everything[0] += counts[g]
            everything[1] += sums[j, g]
            everything[2] += keys[g]
        _fill(totals.ravel(), 0)
        for g in range(n_groups):
            for k in range(group_ptr[g], group_ptr[g + 1]):
                c = group_concepts[k]
                totals[c, 0] += counts[g]
                totals[c, 1] += sums[j, g]
                totals[c, 2] += keys[g]
        _fill(entries.ravel(), 0)
        _fill(scores[0], -np.inf)
        _fill(scores[1], -np.inf if rules[6] else np.inf)
        _literals(totals, everything, table, rules, length, entries, scores, empty, child)
        _copy(entries[0, 0], path[j, 0])
        for step in range(1, length):
            n_parents = 0
            for kind in range(2):
                for b in range(beam):
                    if entries[kind, b, LENGTH] and not entries[kind, b, EXPANDED]:
                        entries[kind, b, EXPANDED] = 1
                        _copy(entries[kind, b], parents[n_parents])
                        n_parents += 1
            for b in range(n_parents):
                _true_in(parents[b], length, concept_ptr, concept_groups, members, other)
                _intersect(members, group_ptr, group_concepts, counts, sums[j], keys, totals, both)
                _extend(parents[b], both, totals, everything, table, rules, length, entries, scores, child)
            _copy(entries[0, 0], path[j, step])
        _copy(entries[0].ravel(), best[j].ravel())
