"""Slow and obvious: what the fast code must agree with, straight from the definitions."""

from fractions import Fraction
from itertools import combinations, product

import numpy as np

AND, OR = 0, 1


def auc_by_pairs(activations, inside, weights=None):
    """P(f(x) < f(y)) over all pairs of x outside and y inside, ties one half, as an exact fraction."""
    weights = [1] * len(activations) if weights is None else [int(w) for w in weights]
    won = pairs = 0
    for x, out, weight_x in zip(activations, inside, weights, strict=True):
        for y, into, weight_y in zip(activations, inside, weights, strict=True):
            if not out and into:
                pairs += 2 * weight_x * weight_y
                won += weight_x * weight_y * (2 * bool(x < y) + bool(x == y))
    return Fraction(won, pairs)


def chains(n_concepts, length, negation=True, operators=("and", "or")):
    """Every read-once formula of up to ``length`` concepts as a chain ((literal, operator), …), left to right."""
    literals = range(2 * n_concepts) if negation else range(0, 2 * n_concepts, 2)
    codes = [AND] * ("and" in operators) + [OR] * ("or" in operators)
    for size in range(1, length + 1):
        for chosen in product(literals, repeat=size):
            if len({literal // 2 for literal in chosen}) == size:
                for joined in product(codes, repeat=size - 1):
                    yield tuple(zip(chosen, (AND, *joined), strict=True))


def truth(chain, concepts):
    """Where a chain is true: shape (n_samples,)."""
    result = None
    for literal, operator in chain:
        column = concepts[:, literal // 2] != bool(literal % 2)
        result = column if result is None else result | column if operator == OR else result & column
    return result


def simplicity(chain):
    """Orders formulas of equal score: shorter, fewer negations, concept order, AND before OR."""
    literals = [literal for literal, _ in chain]
    operators = [operator for _, operator in chain]
    if len(operators) > 1:
        operators[0] = operators[1]
    start = 0
    for stop in range(1, len(chain) + 1):
        if stop == len(chain) or operators[stop] != operators[start]:
            if max(operators) < 2:  # with two brackets they are in order
                literals[start:stop] = sorted(literals[start:stop])
            start = stop
    negations = sum(literal % 2 for literal in literals)
    return len(chain), negations, sorted(literal // 2 for literal in literals), operators, literals


def readonce(concepts, negation=True, operators=("and", "or")):
    """Every read-once formula that holds each of these concepts, as a tree: a literal, or (operator, set of trees).

    Operands of an operator are no formulas of that operator, so that no formula comes twice.
    """
    if len(concepts) == 1:
        return {2 * concepts[0], 2 * concepts[0] + 1} if negation else {2 * concepts[0]}
    found = set()
    for inside in range(1, 2 ** (len(concepts) - 1)):
        left = [c for i, c in enumerate(concepts) if inside >> i & 1]
        right = [c for c in concepts if c not in left]
        for operator in [AND] * ("and" in operators) + [OR] * ("or" in operators):
            for one, other in product(*(readonce(side, negation, operators) for side in (left, right))):
                parts = [
                    side[1] if isinstance(side, tuple) and side[0] == operator else {side} for side in (one, other)
                ]
                found.add((operator, frozenset().union(*parts)))
    return found


def tree_truth(tree, concepts):
    """Where a tree is true: shape (n_samples,)."""
    if not isinstance(tree, tuple):
        return concepts[:, tree // 2] != bool(tree % 2)
    values = [tree_truth(operand, concepts) for operand in tree[1]]
    return np.logical_or.reduce(values) if tree[0] == OR else np.logical_and.reduce(values)


def without(tree):
    """Every tree that comes of dropping one literal; None where nothing is left."""
    if not isinstance(tree, tuple):
        yield None
        return
    for operand in tree[1]:
        rest = tree[1] - {operand}
        for less in without(operand):
            kept = rest if less is None else rest | {less}
            yield (tree[0], frozenset(kept)) if len(kept) > 1 else next(iter(kept))


def spelled(tree):
    """Literals and operators of a tree, as ``SearchResult`` codes them: brackets first, then literals, ascending."""
    if not isinstance(tree, tuple):
        return (tree,), (AND,)
    leaves = sorted(operand for operand in tree[1] if not isinstance(operand, tuple))
    brackets = sorted(spelled(operand) for operand in tree[1] if isinstance(operand, tuple))
    if not brackets:
        return tuple(leaves), (tree[0],) * len(leaves)
    literals, operators = brackets[0]
    for more, joined in brackets[1:]:
        literals, operators = literals + more, (*operators, tree[0] + 2, *joined[1:])
    return literals + tuple(leaves), operators + (tree[0],) * len(leaves)


def exhaustive(activations, concepts, weights, rules):
    """The best (AUC, chain) over all read-once formulas that the rules allow; None if there is none.

    ``rules`` has the fields of ``neuronym.search.Rules``. With prefixes="constrained" formulas are chains, and every
    prefix must satisfy the fractions; otherwise the formula alone, and each of its literals must change enough.
    """
    weights = np.ones(len(activations), np.int64) if weights is None else np.asarray(weights)
    total, known = int(weights.sum()), {}

    def feasible(inside):
        count = int(weights[inside].sum())
        share = Fraction(count, total)
        lowest, highest = Fraction(rules.min_fraction), Fraction(rules.max_fraction)
        return rules.min_count <= count < total and lowest <= share <= highest

    def auc(inside):
        key = inside.tobytes()
        if key not in known:
            known[key] = auc_by_pairs(activations, inside, weights)
        return known[key]

    def published():
        for chain in chains(concepts.shape[1], rules.length, rules.negation, rules.operators):
            if all(feasible(truth(chain[: n + 1], concepts)) for n in range(len(chain))):
                yield truth(chain, concepts), chain

    def every():
        for size in range(1, rules.length + 1):
            for chosen in combinations(range(concepts.shape[1]), size):
                for tree in readonce(chosen, rules.negation, rules.operators):
                    inside = tree_truth(tree, concepts)
                    rests = [tree_truth(less, concepts) for less in without(tree) if less is not None]
                    changed = [int(weights[inside != rest].sum()) for rest in rests]
                    if feasible(inside) and all(n >= rules.min_change for n in changed):
                        yield inside, tuple(zip(*spelled(tree), strict=True))

    best = None
    for inside, chain in published() if rules.prefixes == "constrained" else every():
        key = -auc(inside), *simplicity(chain)
        if best is None or key < best[0]:
            best = key, chain
    return None if best is None else (-best[0][0], best[1])


def text(chain, names):
    """A chain as the text of a formula, with parentheses wherever the operator changes."""
    result = ""
    for place, (literal, operator) in enumerate(chain):
        name = "~" * (literal % 2) + names[literal // 2]
        result = name if not place else f"({result}) {'|' if operator else '&'} {name}"
    return result


def placements(activations, inside):
    """AUC, and for each sample the share of the other class that it stands above (below, if it is outside)."""
    into, out = activations[inside], activations[~inside]
    share = np.empty(len(activations))
    for i, value in enumerate(activations):
        others = out if inside[i] else into
        won = others < value if inside[i] else others > value
        share[i] = np.mean(won + 0.5 * (others == value))
    return share[inside].mean(), share


def delong(activations, inside, other=None, clusters=None):
    """The variance of an AUC after DeLong et al. (1988), or of its difference to that of another formula.

    For two scores on the same classes this is their covariance matrix; here the score stays and the classes differ,
    so what a sample adds to each AUC is kept as one number per sample. With clusters, those of a cluster are summed,
    and each is compared with the mean of the other clusters of its class.
    """
    names = range(len(activations)) if clusters is None else sorted(set(clusters))
    adds = dict.fromkeys(names, 0.0)
    for formula, sign in ((inside, 1), (other, -1)):
        if formula is None:
            continue
        share = placements(activations, formula)[1]
        for members in (formula, ~formula):
            n = members.sum()
            for name in names:
                own = members & (np.arange(len(activations)) == name if clusters is None else clusters == name)
                if own.any():
                    k = n if clusters is None else len(set(clusters[members]))
                    if k == 1:
                        return np.nan
                    away = own.sum() / n * (share[own].mean() - share[members & ~own].mean())
                    adds[name] += sign * away * np.sqrt((k - 1) / k)
    return sum(value**2 for value in adds.values())


def beta_ends(auc, variance, units, level):
    """The interval with half a worst-case positive more, from the moments of a Beta distribution."""
    from scipy.stats import beta

    def lower(a):
        if a == 0:
            return 0.0
        mean = units * a / (units + 0.5)
        spread = units * (units - 1) * variance / (units + 0.5) + 0.5 * units * a**2 / (units + 0.5) ** 2
        spread /= units + 1.5
        size = mean * (1 - mean) / spread - 1
        return beta.ppf((1 - level) / 2, mean * size, (1 - mean) * size) if size > 0 else 0.0

    return min(lower(auc), auc), max(1 - lower(1 - auc), auc)


def logit_ends(auc, variance, effective, level):
    """The interval on the logit scale, with Student's t."""
    from scipy.special import expit, logit
    from scipy.stats import t

    half = t.ppf((1 + level) / 2, effective - 1) * np.sqrt(variance * effective / (effective - 1)) / (auc * (1 - auc))
    return expit(logit(auc) - half), expit(logit(auc) + half)


def effective_clusters(inside, clusters):
    """The smaller of (Σ n)² / Σ n² inside and outside."""
    found = []
    for members in (inside, ~inside):
        sizes = [(clusters[members] == c).sum() for c in set(clusters)]
        found.append(sum(sizes) ** 2 / sum(size**2 for size in sizes))
    return min(found)


def added_by_clusters(activations, inside, clusters):
    """The ratio of Σ (Σ (φ − mean of other clusters)(rank − mean of other clusters))² to the sum by samples."""
    from scipy.stats import rankdata

    ranks, by_cluster = rankdata(activations), 0.0
    for c in set(clusters):
        own = clusters == c
        rest = ~own
        by_cluster += ((inside[own] - inside[rest].mean()) * (ranks[own] - ranks[rest].mean())).sum() ** 2
    return by_cluster / (((inside - inside.mean()) * (ranks - ranks.mean())) ** 2).sum()


def idle_gain(activations, before, after, strata=None):
    """Mean and variance of the gain if activations are shuffled inside ``before``, and outside, over all shuffles."""
    from itertools import permutations

    strata = np.zeros(len(activations), int) if strata is None else strata
    cells = [np.flatnonzero((strata == s) & side) for s in sorted(set(strata)) for side in (before, ~before)]
    old, aucs = stratified_auc(activations, before, strata), []
    for orders in product(*(permutations(cell) for cell in cells)):
        shuffled = activations.copy()
        for cell, order in zip(cells, orders, strict=True):
            shuffled[cell] = activations[list(order)]
        aucs.append(float(stratified_auc(shuffled, after, strata) - old))
    return np.mean(aucs), np.var(aucs)


def signed_rank_by_enumeration(differences):
    """Wilcoxon's two-sided p over all signs of the pairs that differ."""
    from scipy.stats import rankdata

    moved = differences[differences != 0]
    ranks = rankdata(np.abs(moved))
    sums = np.array([ranks[np.array(signs, bool)].sum() for signs in product((0, 1), repeat=len(moved))])
    observed = ranks[moved > 0].sum()
    return min(1.0, 2 * min((sums <= observed + 1e-9).mean(), (sums >= observed - 1e-9).mean()))


def newcombe(auc, m, n, z):
    """Both ends of Newcombe's method 5, from the variance of Hanley and McNeil with both numbers their mean."""
    from scipy.optimize import brentq

    mean = (m + n) / 2

    def distance(theta):
        q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)
        spread = theta * (1 - theta) + (mean - 1) * (q1 - theta**2) + (mean - 1) * (q2 - theta**2)
        return (theta - auc) ** 2 - z**2 * spread / (m * n)

    low = 0.0 if auc == 0 else brentq(distance, 0, auc - 1e-12, xtol=1e-14)
    return low, 1.0 if auc == 1 else brentq(distance, auc + 1e-12, 1, xtol=1e-14)


def percentiles(activations, strata):
    """The midrank / (N + 1) of each sample in its stratum, as exact fractions."""
    found = []
    for value, own in zip(activations, strata, strict=True):
        others = [x for x, stratum in zip(activations, strata, strict=True) if stratum == own]
        below, equal = sum(x < value for x in others), sum(x == value for x in others)
        found.append((below + Fraction(equal + 1, 2)) / (len(others) + 1))
    return found


def of_strata(activations, inside, strata):
    """Samples, AUC and van Elteren's weight of each stratum with both sides."""
    for stratum in sorted(set(strata)):
        own = np.flatnonzero(strata == stratum)
        m, n = int(inside[own].sum()), int((~inside[own]).sum())
        if m and n:
            yield own, auc_by_pairs(activations[own], inside[own]), Fraction(m * n, m + n + 1)


def stratified_auc(activations, inside, strata):
    """Σ w A / Σ w over strata, as an exact fraction."""
    found = list(of_strata(activations, inside, strata))
    return sum(weight * auc for _, auc, weight in found) / sum(weight for *_, weight in found)


def stratified_delong(activations, inside, strata, other=None, clusters=None):
    """The variance of a stratified AUC, or of its difference to that of another formula, as ``delong``.

    In a stratum with a single unit on a side, that one is compared with the AUC of the other strata.
    """
    units = np.arange(len(activations)) if clusters is None else clusters
    adds = dict.fromkeys(set(units), 0.0)
    for formula, sign in ((inside, 1), (other, -1)):
        found = [] if formula is None else list(of_strata(activations, formula, strata))
        total = sum(weight for *_, weight in found)
        for own, auc, weight in found:
            members, factor = formula[own], sign * float(weight / total)
            sides = [set(units[own][side]) for side in (members, ~members)]
            lone = [side for side in sides if len(side) == 1]
            if lone:
                if weight == total:
                    return np.nan
                rest = sum(w * a for o, a, w in found if o[0] != own[0]) / (total - weight)
                adds[lone[0].pop()] += factor * float(auc - rest)
                continue
            share = placements(activations[own], members)[1]
            for side, names in zip((members, ~members), sides, strict=True):
                for name in names:
                    of_unit = side & (units[own] == name)
                    away = of_unit.sum() / side.sum() * (share[of_unit].mean() - share[side & ~of_unit].mean())
                    adds[name] += factor * away * np.sqrt((len(names) - 1) / len(names))
    return sum(value**2 for value in adds.values())


def van_elteren(activations, inside, strata):
    """Σ W / (N + 1) less its mean, its variance and the largest step, from the rank sums W of strata."""
    from scipy.stats import rankdata

    excess, variances, steps = 0.0, [], []
    for own, *_ in of_strata(activations, inside, strata):
        ranks, m, size = rankdata(activations[own]), inside[own].sum(), len(own)
        excess += ranks[inside[own]].sum() / (size + 1) - m / 2
        variances.append(m * (size - m) / size * ranks.var(ddof=1) / (size + 1) ** 2)
        steps.append(np.diff(np.unique(ranks)).max(initial=0) / (size + 1))
    total = sum(variances)
    return excess, total, np.average(steps, weights=variances) if total else 0.0


def added_by_clusters_within_strata(activations, inside, strata, clusters):
    """As ``added_by_clusters``, of ranks / (N + 1): means of parts of k clusters are shrunk as if all were there."""
    from scipy.stats import rankdata

    every = (len(set(clusters)) - 1) / len(set(clusters))
    sums, single = dict.fromkeys(clusters, 0.0), 0.0
    for own, *_ in of_strata(activations, inside, strata):
        phi, ranks, unit = inside[own].astype(float), rankdata(activations[own]) / (len(own) + 1), clusters[own]
        single += (((phi - phi.mean()) * (ranks - ranks.mean())) ** 2).sum()
        k = len(set(unit))
        for name in set(unit):
            mine = unit == name
            sums[name] += ((phi[mine] - phi[mine].mean()) * (ranks[mine] - ranks[mine].mean())).sum()
            if k > 1:
                between = (phi[mine].mean() - phi[~mine].mean()) * (ranks[mine].mean() - ranks[~mine].mean())
                sums[name] += mine.sum() * between * (((k - 1) / k) / every) ** 1.5
    return sum(value**2 for value in sums.values()) / single


def score_of(name, activations, inside, weights, threshold=None):
    """A score by its definition, of samples repeated as often as they weigh."""
    values = np.repeat(np.asarray(activations, float), weights)
    inside = np.repeat(np.asarray(inside, bool), weights)
    if name == "auc":
        return float(auc_by_pairs(values, inside))
    if name == "mean_difference":
        return (values[inside].mean() - values[~inside].mean()) / values.std()
    if name == "correlation":
        return np.corrcoef(values, inside)[0, 1]
    if name == "cosine":
        return values @ inside / np.sqrt((values @ values) * inside.sum())
    above = values > threshold
    both = (above & inside).sum()
    return {
        "iou": lambda: both / (above | inside).sum(),
        "f1": lambda: 2 * both / (above.sum() + inside.sum()),
        "precision": lambda: both / inside.sum(),
        "recall": lambda: both / above.sum(),
    }[name]()


def quantile_of(activations, weights, share):
    """The least value that this share of the samples does not exceed."""
    values = np.sort(np.repeat(np.asarray(activations, float), weights))
    return next(v for v in values if (values <= v).sum() >= share * len(values) - 1e-9)


def domain_f1_by_hand(values, instances, shares):
    """The first best F1 of precision by sample and recall by instance: f1, precision, recall, threshold, samples."""
    found = []
    for share in shares:
        above = [value > share * max(values) for value in values]
        hits = sum(a and bool(i) for a, i in zip(above, instances, strict=True))
        reached = {i for a, i in zip(above, instances, strict=True) if a and i}
        precision = hits / sum(above) if any(above) else 0
        recall = len(reached) / len({i for i in instances if i})
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0
        found.append((f1, precision, recall, share * max(values), sum(above)))
    return max(found, key=lambda one: one[0])


def enlarged(grid, height, width, top=0.0, left=0.0, seen_height=None, seen_width=None):
    """A map enlarged bilinearly to a photo, pixel by pixel; NaN at pixels that the network did not see."""
    seen_height = height if seen_height is None else seen_height
    seen_width = width if seen_width is None else seen_width
    rows, columns = grid.shape
    out = np.full((height, width), np.nan)
    for y in range(height):
        for x in range(width):
            if not top < y + 0.5 < top + seen_height or not left < x + 0.5 < left + seen_width:
                continue
            v = min(max((y + 0.5 - top) * rows / seen_height - 0.5, 0), rows - 1)
            u = min(max((x + 0.5 - left) * columns / seen_width - 0.5, 0), columns - 1)
            i, j = int(v), int(u)
            below, beside = min(i + 1, rows - 1), min(j + 1, columns - 1)
            first = grid[i, j] + (v - i) * (grid[below, j] - grid[i, j])
            second = grid[i, beside] + (v - i) * (grid[below, beside] - grid[i, beside])
            out[y, x] = first + (u - j) * (second - first)
    return out


def quantile_of_maps(maps, share):
    """The least activation of each neuron of maps (n, C, h, w) that this share of the positions does not exceed."""
    found = []
    for j in range(maps.shape[1]):
        values = np.sort(maps[:, j].ravel())
        found.append(next(v for i, v in enumerate(values, 1) if i / len(values) >= share - 1e-12))
    return np.array(found, np.float64)


def iou_by_pixels(on, inside):
    """Intersection over union of two bool arrays of pixels."""
    return (on & inside).sum() / (on | inside).sum()


def best_threshold(activations, inside, low=False):
    """The highest F1 of all thresholds, each tried by itself, and the strictest that has it."""
    best = Fraction(-1), None
    distinct = sorted(set(activations.tolist()), reverse=not low)
    for threshold in distinct:
        called = activations <= threshold if low else activations >= threshold
        f1 = Fraction(2 * int((called & inside).sum()), int(called.sum() + inside.sum()))
        best = max(best, (f1, threshold), key=lambda one: one[0])  # of equal ones the first
    return float(best[0]), best[1]


def f1_at(activations, inside, threshold):
    """F1 of the samples at and above a threshold."""
    called = activations >= threshold
    return 2 * (called & inside).sum() / (called.sum() + inside.sum())


def step_up(p):
    """The adjusted p-values of Benjamini and Hochberg: the least m·p/rank among the p-values that are as large."""
    m = len(p)
    return [min(min(1, m * other / sum(x <= other for x in p)) for other in p if other >= one) for one in p]
