"""What is searched on some samples and measured on others: hold-out, cross-fitting, and the bootstrap.

The AUC of the best of many formulas is too high on the samples that it was chosen on, the winner's curse; on samples
that the search has not seen it is not. How much the formula itself hangs on the samples, resamples say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.data.activations import Activations
from neuronym.search.beam import Code, Searcher, SearchResult, extension
from neuronym.stats.measures import MEASURES, measure
from neuronym.stats.split import bootstrap

__all__ = ["MEASURED", "Stability", "cross_fit", "measure_formulas", "stability"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: What is measured of a formula, a field each: numbers of samples, AUC and gain with variances, effects.
MEASURED = np.dtype(
    [*((name, MEASURES[name]) for name in MEASURES.names or ()), ("agreement", np.float64), ("missing", np.float64)]
)
_SUMMED = ("positives", "negatives", "units", "units_in", "units_out", "gain_units")
_COVERED = 0.9  # share of the resamples that the set of labels covers


def measure_formulas(
    taken: Activations,
    columns: NDArray[np.intp],
    codes: Sequence[Sequence[Sequence[Code]]],
    searcher: Searcher,
    clusters: Ints | None,
) -> list[list[NDArray[np.void]]]:
    """Measure formulas on the samples of ``searcher.groups``: for each neuron and direction, one per formula.

    Parameters
    ----------
    codes : for each neuron and direction its formulas; each is compared with the one before it
    clusters : int64, shape (n_rows,), or None
    """
    groups = searcher.groups
    block = groups.used(taken.block(columns))
    row_groups, weights = groups.row_groups, groups.row_weights
    extensions: dict[Code, NDArray[np.bool_]] = {}
    for code in (code for by_direction in codes for chosen in by_direction for code in chosen):
        if code not in extensions:
            extensions[code] = extension(code, groups)

    def inside(chosen: Sequence[Code]) -> NDArray[np.bool_]:
        every = np.zeros((len(chosen), groups.n_groups), np.bool_)
        for place, code in enumerate(chosen):
            every[place] = extensions[code]
        return every[:, row_groups]

    return [
        [
            measure(block[:, j], inside(chosen), weights, clusters, direction == "low")
            for direction, chosen in zip(searcher.directions, codes[j], strict=True)
        ]
        for j in range(len(columns))
    ]


def cross_fit(
    taken: Activations,
    columns: NDArray[np.intp],
    whole: Sequence[SearchResult],
    searcher: Searcher,
    fold: Ints,
    clusters: Ints | None,
) -> NDArray[np.void]:
    """Search without each fold in turn and measure on it: array of ``MEASURED``, (n_neurons, n_directions).

    AUC and effects are means over the folds that hold samples inside and outside of their formula, the variance is
    that of such a mean, and positives and negatives are sums. ``agreement`` is the share of folds that chose the
    formula found on all samples, and ``missing`` of those that could not be measured.

    Parameters
    ----------
    whole : what is found on all samples, by direction
    fold : int64, shape (n_rows,)
    """
    raw, groups, weights = taken.block(columns), searcher.groups, searcher.groups.row_weights
    block, n_folds = groups.used(raw), int(fold.max()) + 1
    trained = [np.where(fold != k, weights, 0) for k in range(n_folds)]
    each = np.full((n_folds, len(columns), len(searcher.directions)), np.nan, MEASURED)
    for k, weighed in enumerate(searcher.score.reweigh(raw, groups, trained)):
        out = np.flatnonzero(fold == k)
        own = None if clusters is None else clusters[out]
        for d, found in enumerate(_again(searcher, trained[k])(weighed.sums)):
            for j in range(len(columns)):
                code, row = found.code(j), each[k, j, d]
                row["agreement"] = code == whole[d].code(j)
                if code[0]:
                    inside = extension(code, groups)[groups.row_groups[out]]
                    low = searcher.directions[d] == "low"
                    one = measure(block[out, j], inside[np.newaxis], weights[out], own, low)[0]
                    for name in MEASURES.names or ():
                        row[name] = one[name]
    mean = np.full(each.shape[1:], np.nan, MEASURED)
    known = np.isfinite(each["auc"])
    mean["missing"] = 1 - known.mean(axis=0)
    for name in (*(MEASURES.names or ()), "agreement"):
        total: Any = np.nansum(np.where(known | (name == "agreement"), each[name], np.nan), axis=0)
        times: Any = n_folds if name == "agreement" else known.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean[name] = total if name in _SUMMED else total / (times**2 if name == "variance" else times)
    return mean


@dataclass(frozen=True)
class Stability:
    """How much the formula of one neuron hangs on the samples.

    Parameters
    ----------
    same, concepts : float
        The share of resamples in which the search found the same formula, and one of the same concepts.
    overlap : float
        The mean Jaccard overlap ``|φ ∧ φ'| / |φ ∨ φ'|`` of the formula's extension with those found.
    formulas : tuple of (formula's code, share)
        The fewest formulas that cover 90% of the resamples, the most frequent first. The empty code is no formula.
    """

    same: float
    concepts: float
    overlap: float
    formulas: tuple[tuple[Code, float], ...]


def stability(
    taken: Activations,
    columns: NDArray[np.intp],
    whole: Sequence[SearchResult],
    searcher: Searcher,
    clusters: Ints | None,
    n_resamples: int,
    seed: int,
) -> list[list[Stability]]:
    """Search bootstrap resamples: for each neuron and direction, how the answers compare with the whole's.

    Samples, or whole clusters, are drawn with replacement: a resample is a set of sample weights, and midranks are
    those of the weighted sample.

    Parameters
    ----------
    whole : what is found on all samples, by direction
    """
    groups, n_directions = searcher.groups, len(searcher.directions)
    answers: list[list[list[Code]]] = [[[] for _ in range(n_directions)] for _ in columns]
    drawn = bootstrap(groups.row_weights, clusters, n_resamples, seed)
    # Each resample is drawn again for the search, which is cheaper than to keep it.
    weighings = searcher.score.reweigh(
        taken.block(columns), groups, bootstrap(groups.row_weights, clusters, n_resamples, seed)
    )
    for weights, weighed in zip(drawn, weighings, strict=True):
        for d, found in enumerate(_again(searcher, weights)(weighed.sums)):
            for j in range(len(columns)):
                answers[j][d].append(found.code(j))
    extensions: dict[Code, NDArray[np.bool_]] = {}
    return [
        [_compared(whole[d].code(j), answers[j][d], groups.counts, extensions, searcher) for d in range(n_directions)]
        for j in range(len(columns))
    ]


def _compared(
    own: Code, others: list[Code], counts: Ints, extensions: dict[Code, NDArray[np.bool_]], searcher: Searcher
) -> Stability:
    times = Counter(others)
    for code in (own, *times):
        if code not in extensions:
            extensions[code] = extension(code, searcher.groups)
    concepts, overlap, covered = 0, 0.0, 0
    formulas: list[tuple[Code, float]] = []
    for code, n in sorted(times.items(), key=lambda item: (-item[1], item[0])):
        concepts += n * ({literal >> 1 for literal in code[0]} == {literal >> 1 for literal in own[0]})
        both, either = extensions[own] & extensions[code], extensions[own] | extensions[code]
        overlap += n * int(counts @ both) / max(1, int(counts @ either))
        if covered < _COVERED * len(others):
            formulas.append((code, n / len(others)))
            covered += n
    n_resamples = len(others)
    return Stability(times[own] / n_resamples, concepts / n_resamples, overlap / n_resamples, tuple(formulas))


def _again(searcher: Searcher, weights: Ints) -> Searcher:
    """The same search of samples with other weights."""
    return Searcher(searcher.groups.weighted(weights), searcher.rules, searcher.directions, searcher.score)
