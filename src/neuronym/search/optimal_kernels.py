"""The compiled exact search, on plain arrays; ``optimal`` says what is searched and why nothing is missed.

A formula is a row of int64, its columns SHAPE … S: the shape by its number, its concepts a < b < c, n and S. Where it
has fewer than three concepts the last ones are K, the concept of no samples; shape −1 says that there is no formula.

``x`` (of counts, or of one neuron's sums) holds K concepts, then 0 for no concept, then the pairs of concepts that
meet, then the triples. By inclusion and exclusion they give the eight *cells* of three concepts; cell v is inside a, b,
c by the bits 4, 2, 1 of v. Each shape is one of eight *bases* (nothing, everything, a, ¬a, b, ¬b, c, ¬c) with a cell
added, or taken off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from neuronym.search.beam_kernels import score_of
from neuronym.search.rank_kernels import array_type, kernel

SHAPE, A, B, C, N, S = range(6)
#: Columns of the table of shapes.
LENGTH, NEGATIONS, BASE, SIGN, CELL, CHANGES = range(6)
#: Places of the rules.
LOWEST, HIGHEST, CHANGE, TOTAL, BUDGET, INTERVALS = range(6)

_i8, _f8, _i4, _u1 = types.int64, types.float64, types.int32, types.uint8

Ints = NDArray[np.int64]

_inner: Any = njit(  # type: ignore[call-overload]
    nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy"
)


@_inner
def _compare(a, b, c, d):
    """The sign of a/b − c/d for b, d > 0, exactly: by continued fractions, which never overflow."""
    sign = 1
    while True:
        x, y = a // b, c // d
        if x != y:
            return sign if x > y else -sign
        a, c = a - x * b, c - y * d
        if a == 0 or c == 0:
            return sign * (np.int64(a > 0) - np.int64(c > 0))
        a, b, c, d = b, a, d, c
        sign = -sign


@_inner
def _closer(term, n, s, m, r):
    """The sign of the difference of two scores whose quotients are equal; 0 where roots are not compared exactly."""
    if term[5]:
        return 0
    first, second = s - (term[0] + term[1] * n) * n, r - (term[0] + term[1] * m) * m
    return _compare(first, term[2] + (term[3] + term[4] * n) * n, second, term[2] + (term[3] + term[4] * m) * m)


@_inner
def _offer(shape, a, b, c, n, s, shapes, term, best, score):
    """Put a formula in place of the best one if its score is higher, or as high and it goes first by the tie rule.

    Division keeps order, so only equal quotients are compared exactly. Shapes are numbered in the order of the rule.
    """
    own = score_of(term, n, s)
    if own < score[0]:
        return
    old = best[SHAPE]
    if own == score[0] and old >= 0:
        m = best[N]
        order = _closer(term, n, s, m, best[S])
        if order == 0:
            order = shapes[old, LENGTH] - shapes[shape, LENGTH]
        if order == 0:
            order = shapes[old, NEGATIONS] - shapes[shape, NEGATIONS]
        if order == 0:
            order = best[A] - a
        if order == 0:
            order = best[B] - b
        if order == 0:
            order = best[C] - c
        if order == 0:
            order = old - shape
        if order <= 0:
            return
    best[SHAPE], best[A], best[B], best[C], best[N], best[S] = shape, a, b, c, n, s
    score[0] = own


@_inner
def _cells(x, whole, place, out):
    """The eight bases and then the eight cells of three concepts, from the seven places of their sums in ``x``."""
    a, b, c, ab, ac, bc, abc = (
        x[place[0]],
        x[place[1]],
        x[place[2]],
        x[place[3]],
        x[place[4]],
        x[place[5]],
        x[place[6]],
    )
    out[0], out[1], out[2], out[3] = 0, whole, a, whole - a
    out[4], out[5], out[6], out[7] = b, whole - b, c, whole - c
    out[15], out[14], out[13], out[11] = abc, ab - abc, ac - abc, bc - abc
    out[12], out[10], out[9] = a - ab - ac + abc, b - ab - bc + abc, c - ac - bc + abc
    out[8] = whole - a - b - c + ab + ac + bc - abc


@_inner
def _listed(x, whole, cliques, start, stop, static, state):
    """Offer the listed formulas of cliques start … stop."""
    places, ptr, codes, counts = cliques
    shapes, term = static[0], static[1]
    best, score, out = state[0], state[1], state[2]
    for t in range(start, stop):
        place = places[t]
        _cells(x, whole, place, out)
        for k in range(ptr[t], ptr[t + 1]):
            shape, n = np.int64(codes[k]), np.int64(counts[k])
            s = out[shapes[shape, BASE]] + shapes[shape, SIGN] * out[8 + shapes[shape, CELL]]
            if score_of(term, n, s) >= score[0]:
                a, b, c = np.int64(place[0]), np.int64(place[1]), np.int64(place[2])
                _offer(shape, a, b, c, n, s, shapes, term, best, score)


@_inner
def _pair(a, b, nothing, pair_ptr, pair_b):
    """The place in ``x`` of two concepts a < b."""
    if b == nothing:
        return nothing
    low, high = pair_ptr[a], pair_ptr[a + 1]
    stop = high
    while low < high:
        middle = (low + high) >> 1
        if pair_b[middle] < b:
            low = middle + 1
        else:
            high = middle
    return nothing + 1 + low if low < stop and pair_b[low] == b else nothing


@_inner
def _offer_all(a, b, c, x, whole, at, static, state):
    """Offer every shape of three concepts, two of which do not meet at least; c may be no concept."""
    shapes, term, rules, nx, pair_ptr, pair_b, _ = static
    best, score, out, counts, place = state
    nothing = pair_ptr.shape[0] - 1
    if a > b:
        a, b = b, a
    if b > c:
        b, c = c, b
    if a > b:
        a, b = b, a
    place[0], place[1], place[2], place[6] = a, b, c, nothing
    place[3] = _pair(a, b, nothing, pair_ptr, pair_b)
    place[4] = _pair(a, c, nothing, pair_ptr, pair_b)
    place[5] = _pair(b, c, nothing, pair_ptr, pair_b)
    _cells(x, whole, place, out)
    _cells(nx, rules[TOTAL], place, counts)
    for shape in range(at[FIRST], at[LAST]):
        n = counts[shapes[shape, BASE]] + shapes[shape, SIGN] * counts[8 + shapes[shape, CELL]]
        if n < rules[LOWEST] or n > rules[HIGHEST]:
            continue
        s = out[shapes[shape, BASE]] + shapes[shape, SIGN] * out[8 + shapes[shape, CELL]]
        if score_of(term, n, s) < score[0]:
            continue
        matter = True
        for i in range(shapes[shape, LENGTH]):
            changed = 0
            for v in range(8):
                if (shapes[shape, CHANGES + i] >> v) & 1:
                    changed += counts[8 + v]
            matter &= changed >= rules[CHANGE]
        if matter:
            _offer(shape, a, b, c, n, s, shapes, term, best, score)


@_inner
def _meet(a, b, bits):
    return (bits[a, b >> 3] >> (b & 7)) & 1


@_inner
def _top(sign, slope, low, high, start, stop, of_n, of_s):
    """The highest value ±(S − σn) of items start … stop with a count from low to high."""
    top = -np.inf
    for i in range(start, stop):
        if low <= of_n[i] <= high:
            top = max(top, sign * (of_s[i] - slope * of_n[i]))
    return top


@_inner
def _list(sign, slope, least, low, high, start, stop, place, lists, of_id, of_n, of_s):
    """List the items start … stop with a value of at least ``least``, highest first, from ``place`` on; its end."""
    values, items, ids, ns, ss = lists
    end = place
    for i in range(start, stop):
        value = sign * (of_s[i] - slope * of_n[i])
        if value >= least and low <= of_n[i] <= high:
            values[end], items[end] = value, i
            end += 1
    gap = 1
    while gap < (end - place) // 3:
        gap = 3 * gap + 1
    while gap:  # Shell's sort
        for i in range(place + gap, end):
            value, item = values[i], items[i]
            k = i - gap
            while k >= place and values[k] < value:
                values[k + gap], items[k + gap] = values[k], items[k]
                k -= gap
            values[k + gap], items[k + gap] = value, item
        gap //= 3
    for i in range(place, end):
        ids[i], ns[i], ss[i] = of_id[items[i]], of_n[items[i]], of_s[items[i]]
    return end


#: Where a search stands: shapes to offer, whether the complement is meant, the counts before that, operations left,
#: which concepts must not meet beside those of the two items, the concept of the base, its n and S, and two lists.
FIRST, LAST, FLIP, LOW, HIGH, LEFT, MODE, OWN, BASE_N, BASE_S, ONE, ONE_END, TWO, TWO_END = range(14)
#: No others; the first item's other concept; the base's concept.
ITEMS, REGIONS, ALL = range(3)


@_inner
def _combine(cut, at, lists, owners, x, whole, static, state):
    """Offer what the base, an item of list one and one of list two make, if their values reach the cut.

    The lists are sorted. If both end at one place they are one list, and every two items are taken once. The number of
    pairs looked at.
    """
    values, items, ids, ns, ss = lists
    term, total, bits = static[1], static[2][TOTAL], static[6]
    score = state[1]
    flip, low, high, mode, a = at[FLIP], at[LOW], at[HIGH], at[MODE], at[OWN]
    end, done = at[TWO_END], 0
    for i in range(at[ONE], at[ONE_END]):
        wanted = cut - values[i]
        begin = i + 1 if at[ONE_END] == end else at[TWO]
        if begin >= end or values[begin] < wanted:
            break
        b = ids[i]
        if mode == REGIONS:
            a = owners[items[i]]
        if mode == ALL and _meet(a, b, bits):
            continue
        n1, s1 = at[BASE_N] + ns[i], at[BASE_S] + ss[i]
        k = begin
        while k < end and values[k] >= wanted:
            n = n1 + ns[k]
            if low <= n <= high:
                s = s1 + ss[k]
                if flip:
                    n, s = total - n, whole - s
                if score_of(term, n, s) >= score[0]:
                    c = ids[k]
                    if not _meet(b, c, bits) and (mode == ITEMS or not _meet(a, c, bits)):
                        _offer_all(a, b, c, x, whole, at, static, state)
                        done += 100
            k += 1
        done += k - begin + 1
        if done > at[LEFT]:
            break
    return done


@_inner
def _threshold(term, score, n):
    """The sum that a formula of count n needs to reach a score."""
    scale = np.float64(term[2] + (term[3] + term[4] * n) * n)
    return np.float64((term[0] + term[1] * n) * n) + score * (np.sqrt(scale) if term[5] else scale)


@_inner
def _line(score, first, last, term, size):
    """Slope and cut of a line below the threshold: S ≥ offset + score · scale and first ≤ n ≤ last give S − σn ≥ κ.

    The threshold is concave in n, and lies above its chord, or else is looked at one by one.
    """
    slope, middle = 0.0, (first + last) >> 1
    if score == -np.inf:
        return slope, score
    low, high = _threshold(term, score, first), _threshold(term, score, last)
    margin = 1e-12 * (size + abs(low) + abs(high))
    if last > first:
        slope = (high - low) / (last - first)
    cut = low - slope * first
    if not _threshold(term, score, middle) - slope * middle >= cut - margin:
        for n in range(first, last + 1):
            cut = min(cut, _threshold(term, score, n) - slope * n)
    return slope, cut - margin


@_inner
def _fill(x, weights, sums_of, start, stop):
    """Sums over the groups listed for places start … stop of ``x``."""
    ptr, groups = sums_of
    for i in range(start, stop):
        s = 0
        for k in range(ptr[i], ptr[i + 1]):
            s += weights[groups[k]]
        x[i] = s


@_inner
def _fill_blocks(x, weights, blocks):
    """The same from blocks of five concepts: sums over the 2¹⁵ rows of three blocks, and then over their supersets."""
    codes, combined, ptr, source, target, cells = blocks
    for t in range(combined.shape[0]):
        u, v, w = codes[combined[t, 0]], codes[combined[t, 1]], codes[combined[t, 2]]
        for i in range(cells.shape[0]):
            cells[i] = 0
        for g in range(weights.shape[0]):
            cells[(np.int64(u[g]) << 10) | (np.int64(v[g]) << 5) | np.int64(w[g])] += weights[g]
        bit = 1
        while bit < cells.shape[0]:
            for high in range(0, cells.shape[0], 2 * bit):
                for i in range(high, high + bit):
                    cells[i] += cells[i + bit]
            bit *= 2
        for k in range(ptr[t], ptr[t + 1]):
            x[target[k]] = cells[source[k]]


@_inner
def _narrowed(hull_n, hull_score, floor, lowest, highest):
    """The counts at which a set of groups can score as high as ``floor``."""
    first, last = highest + 1, lowest - 1
    for i in range(hull_n.shape[0]):
        if hull_score[i] >= floor:
            first = min(first, hull_n[max(i - 1, 0)])
            last = max(last, hull_n[min(i + 1, hull_n.shape[0] - 1)])
    return max(first, lowest), min(last, highest)


@_inner
def _apart(length, bounds, span, at, lists, ids, x, whole, regions, region_s, parts, part_s, tops, static, state):
    """Offer what two or three concepts make of which two do not meet, of counts in the bounds; the operations."""
    rules, nx = static[2], static[3]
    part_ptr, part_b, _, part_n, wedges = parts
    total, least, n_concepts = rules[TOTAL], rules[CHANGE], np.int64(ids.shape[0])
    first, last, slope, cut = bounds
    done, none = np.int64(n_concepts), np.int64(0)
    if length == 3:
        done += part_n.shape[0]
        for i in range(part_ptr.shape[0] - 1):
            tops[0, i] = _top(1.0, slope, -total, total, part_ptr[i], part_ptr[i + 1], part_n, part_s)
            tops[1, i] = _top(-1.0, slope, -total, total, part_ptr[i], part_ptr[i + 1], part_n, part_s)
    for flip in range(2):
        sign, own = 1.0, cut
        at[FLIP], at[LOW], at[HIGH] = flip, first, last
        if flip:
            sign, own = -1.0, cut - (whole - slope * total)
            at[LOW], at[HIGH] = total - last, total - first
        union = span[4 + flip]
        begin, end = regions[4][flip], regions[4][flip + 1]
        if length == 2:
            begin = end
        beside = _top(sign, slope, none, total, begin, end, regions[3], region_s)
        top = _top(sign, slope, least, at[HIGH], none, n_concepts, nx, x)
        if union:
            beside = max(beside, (length - 1) * top)
        stop = _list(sign, slope, own - beside, least, at[HIGH], none, n_concepts, none, lists, ids, nx, x)
        done += 2 * n_concepts + end - begin
        at[OWN], at[BASE_N], at[BASE_S], at[TWO_END] = n_concepts, 0, 0, stop
        if length == 2:
            at[MODE], at[ONE], at[ONE_END], at[TWO] = ITEMS, 0, stop, 0
            done += _combine(own, at, lists, ids, x, whole, static, state)
            continue
        at[MODE], at[ONE], at[TWO] = REGIONS, n_concepts, 0
        at[ONE_END] = n_concepts
        if stop:
            at[ONE_END] = _list(
                sign, slope, own - lists[0][0], none, total, begin, end, n_concepts, lists, regions[1], regions[3],
                region_s,
            )  # fmt: skip
            done += _combine(own, at, lists, regions[0], x, whole, static, state)
        at[MODE], at[ONE_END] = ALL, stop
        for p in range(stop if union else 0):
            value = lists[0][p]
            if 3 * value < own or done > at[LEFT]:
                break
            at[OWN], at[BASE_N], at[BASE_S], at[ONE], at[TWO] = lists[2][p], lists[3][p], lists[4][p], p + 1, p + 1
            done += _combine(own - value, at, lists, regions[0], x, whole, static, state)
        at[MODE], at[ONE] = ITEMS, n_concepts
        for w in range(wedges.shape[0]):
            if wedges[w, 0] == flip:
                a, base, one, two = wedges[w, 1], wedges[w, 2], wedges[w, 3], wedges[w, 4]
                at[OWN], at[BASE_N], at[BASE_S] = a, base * nx[a], base * x[a]
                rest = own - sign * (at[BASE_S] - slope * at[BASE_N])
                if not tops[flip, one] + tops[flip, two] >= rest or done > at[LEFT]:
                    continue
                at[ONE_END] = at[TWO_END] = _list(
                    sign, slope, rest - tops[flip, two], -total, total, part_ptr[one], part_ptr[one + 1], n_concepts,
                    lists, part_b, part_n, part_s,
                )  # fmt: skip
                at[TWO] = at[ONE_END]
                if one != two:
                    at[TWO_END] = _list(
                        sign, slope, rest - tops[flip, one], -total, total, part_ptr[two], part_ptr[two + 1], at[TWO],
                        lists, part_b, part_n, part_s,
                    )  # fmt: skip
                done += at[TWO_END] - n_concepts + _combine(rest, at, lists, regions[0], x, whole, static, state)
    return done


def _in(dtype, ndim):
    return array_type(dtype, ndim)


def _out(dtype, ndim):
    return array_type(dtype, ndim, "C", False)


@kernel(
    _in(_i8, 2),
    types.Tuple((_in(_i8, 2), _in(_i8, 2), _in(_i8, 1), _in(_i8, 1), _in(_i8, 1), _in(_i4, 1), _in(_u1, 2))),
    types.Tuple((_in(_i8, 1), _in(_i4, 1))),
    types.Tuple((_in(_u1, 2), _in(_i8, 2), _in(_i8, 1), _in(_i4, 1), _in(_i4, 1), _out(_i8, 1))),
    types.Tuple((_in(_i4, 2), _in(_i8, 1), _in(_u1, 1), _in(_i4, 1))),
    types.Tuple((_in(_i4, 1), _in(_i4, 1), _in(_i4, 2), _in(_i8, 1), _in(_i8, 1))),
    types.Tuple((_in(_i8, 1), _in(_i4, 1), _in(_i4, 2), _in(_i8, 1), _in(_i8, 2))),
    _in(_i8, 2),
    types.Tuple((_in(_i8, 2), _in(_f8, 2), _in(_i8, 2), _in(_f8, 2))),
    types.Tuple((_out(_f8, 1), _out(_i8, 1), _out(_i8, 1), _out(_i8, 1), _out(_i8, 1))),
    types.Tuple((_out(_i8, 1), _out(_i8, 1), _out(_i8, 1), _out(_f8, 2), _in(_i4, 1))),
    types.Tuple((_out(_i8, 1), _out(_f8, 1), _out(_i8, 1), _out(_i8, 1), _out(_i4, 1))),
    _out(_i8, 1),
    _out(_i8, 3),
    _out(_u1, 2),
    _out(_i8, 1),
)
def search(
    sums, static, sums_of, blocks, cliques, regions, parts, spans, given, lists, scratch, state, at, path, proven, spent
):
    """Search the formulas of each neuron from its sums by group (M, G), length by length; see ``optimal.Tables``.

    ``given`` is (n of the corners of the hull and their scores (M, H), (n, S) of the ceiling (M, 2), the score that
    each length needs (M, L)). What is found goes to ``path`` (M, L, 6), whether nothing is better to ``proven`` (M, L),
    and the operations to ``spent`` (M,).
    """
    rules, terms = static[2], static[1]
    x, region_s, part_s, tops, ids = scratch
    best, score = state[0], state[1]
    for j in range(sums.shape[0]):
        best[SHAPE], score[0] = -1, -np.inf
        done, whole, size = np.int64(0), np.int64(0), 0.0
        for g in range(sums.shape[1]):
            whole += sums[j, g]
            size += abs(np.float64(sums[j, g]))
        m, r = given[2][j, 0], given[2][j, 1]
        most = score_of(terms[j], m, r)
        own = (static[0], terms[j], static[2], static[3], static[4], static[5], static[6])
        for length in range(1, path.shape[1] + 1):
            span, wanted = spans[length - 1], given[3][j, length - 1]
            if wanted > score[0]:
                best[SHAPE], score[0] = -1, wanted
            over = given[0].shape[1] > 0 and most < score[0]
            if given[0].shape[1] > 0 and best[SHAPE] >= 0 and most == score[0]:
                over = _closer(terms[j], best[N], best[S], m, r) >= 0
            if not over:
                done += span[6]
            if not over and done <= rules[BUDGET]:
                if span[7] < 0:
                    _fill_blocks(x, sums[j], blocks)
                else:
                    _fill(x, sums[j], sums_of, span[7], span[8])
                _listed(x, whole, cliques, span[0], span[1], own, state)
                if length == 3:
                    for i in range(region_s.shape[0]):
                        a, b, both = regions[0][i], regions[1][i], x[regions[2][i, 0]]
                        code = regions[2][i, 1]
                        region_s[i] = (code & 1) * both + (code >> 1 & 1) * (x[b] - both) + (code >> 2) * (x[a] - both)
                    for i in range(part_s.shape[0]):
                        both = x[parts[2][i, 0]]
                        part_s[i] = parts[2][i, 1] * both + parts[2][i, 2] * (x[parts[1][i]] - both)
                low, high = rules[LOWEST], rules[HIGHEST]
                if given[0].shape[1]:
                    low, high = _narrowed(given[0][j], given[1][j], score[0], low, high)
                root, step = np.sqrt(max(low, 0)), np.sqrt(max(high, 0)) - np.sqrt(max(low, 0))
                last = low - 1
                at[FIRST], at[LAST] = span[2], span[3]
                for i in range(rules[INTERVALS] if length > 1 and low <= high else 0):
                    first, end = last + 1, root + step * (i + 1) / rules[INTERVALS]
                    last = high if i == rules[INTERVALS] - 1 else min(high, max(first, np.int64(end * end)))
                    at[LEFT] = rules[BUDGET] - done
                    if first > last or at[LEFT] < 0:
                        break
                    slope, cut = _line(score[0], first, last, terms[j], size)
                    done += _apart(
                        length, (first, last, slope, cut), span, at, lists, ids, x, whole, regions, region_s, parts,
                        part_s, tops, own, state,
                    )  # fmt: skip
            proven[j, length - 1] = done <= rules[BUDGET]
            for i in range(6):
                path[j, length - 1, i] = best[i]
        spent[j] = done
