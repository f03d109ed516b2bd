"""Searching on some samples and measuring on others: hold-out, cross-fitting and the bootstrap.

The AUC of the best of many formulas is too high on the samples that it was chosen on (the winner's curse), but not on
samples that the search has not seen. Resamples show how much the formula itself depends on the samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronym.data.activations import Activations
from neuronym.data.sparse import column
from neuronym.search.beam import Code, SearchResult, extension
from neuronym.search.searcher import Searcher
from neuronym.stats.measures import MEASURES, measure
from neuronym.stats.split import bootstrap

__all__ = ["MEASURED", "Stability", "cross_fit", "measure_formulas", "stability"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: The measures of a formula, one per field: numbers of samples, AUC and gain with variances, effects.
MEASURED = np.dtype(
    [*((name, MEASURES[name]) for name in MEASURES.names or ()), ("agreement", np.float64), ("missing", np.float64)]
)
_SUMMED = ("positives", "negatives")
_COVERED = 0.9  # the share of resamples that the listed formulas cover


def measure_formulas(
    activations: Activations,
    columns: NDArray[np.intp],
    codes: Sequence[Sequence[Sequence[Code]]],
    searcher: Searcher,
    clusters: Ints | None,
    strata: Ints | None = None,
) -> list[list[NDArray[np.void]]]:
    """Measure formulas on the samples of ``searcher.groups``.

    Parameters
    ----------
    activations : Activations
        The activations of the layer.
    columns : int array of shape (n_neurons,)
        The columns of the neurons.
    codes : sequence of sequence of sequence of Code
        For each neuron and direction its formulas; each is compared with the one before it.
    searcher : Searcher
        The search that found the formulas, with the groups to measure on.
    clusters : int64 array of shape (n_rows,) or None
        The cluster of each row; None means independent samples.
    strata : int64 array of shape (n_rows,) or None, default None
        The stratum of each row, within which samples are compared; None means a single stratum.

    Returns
    -------
    list of list of structured array
        For each neuron and direction, the ``measure`` of its formulas.
    """
    groups = searcher.groups
    block = groups.select_rows(activations.block(columns))
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
            measure(column(block, j), inside(chosen), weights, clusters, direction == "low", strata)
            for direction, chosen in zip(searcher.directions, codes[j], strict=True)
        ]
        for j in range(len(columns))
    ]


def cross_fit(
    activations: Activations,
    columns: NDArray[np.intp],
    whole: Sequence[SearchResult],
    searcher: Searcher,
    fold: Ints,
    clusters: Ints | None,
    strata: Ints | None = None,
) -> NDArray[np.void]:
    """Search without each fold in turn and measure the formula found on that fold.

    Parameters
    ----------
    activations : Activations
        The activations of the layer.
    columns : int array of shape (n_neurons,)
        The columns of the neurons.
    whole : sequence of SearchResult
        The results of the search on all samples, one per direction.
    searcher : Searcher
        The search on all samples.
    fold : int64 array of shape (n_rows,)
        The fold of each row.
    clusters : int64 array of shape (n_rows,) or None
        The cluster of each row; None means independent samples.
    strata : int64 array of shape (n_rows,) or None, default None
        The stratum of each row, within which samples are compared; None means a single stratum.

    Returns
    -------
    structured array of shape (n_neurons, n_directions)
        AUC and effects are means over the folds that have samples both inside and outside their formula, the variance
        is that of this mean, and positives and negatives are sums. ``agreement`` is the share of folds that chose the
        formula found on all samples, and ``missing`` the share of folds that could not be measured.
    """
    raw, groups, weights = activations.block(columns), searcher.groups, searcher.groups.row_weights
    block, n_folds = groups.select_rows(raw), int(fold.max()) + 1
    trained = [np.where(fold != k, weights, 0) for k in range(n_folds)]
    each = np.full((n_folds, len(columns), len(searcher.directions)), np.nan, MEASURED)
    for k, weighed in enumerate(searcher.score.reweigh(raw, groups, trained)):
        out = np.flatnonzero(fold == k)
        parts = [None if each is None else each[out] for each in (clusters, strata)]
        for d, found in enumerate(_reweighted(searcher, trained[k])(weighed.sums, weighed.terms)):
            for j in range(len(columns)):
                code, row = found.code(j), each[k, j, d]
                row["agreement"] = code == whole[d].code(j)
                if code[0]:
                    inside = extension(code, groups)[groups.row_groups[out]]
                    low = searcher.directions[d] == "low"
                    one = measure(column(block, j)[out], inside[np.newaxis], weights[out], parts[0], low, parts[1])[0]
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
    """How much the formula of one neuron depends on the samples.

    Parameters
    ----------
    same, concepts : float
        The share of resamples in which the search found the same formula, and one with the same concepts.
    overlap : float
        The mean Jaccard index ``|φ ∧ φ'| / |φ ∨ φ'|`` of the formula's extension and those found in the resamples.
    formulas : tuple of (Code, float)
        The fewest formulas that cover 90% of the resamples, most frequent first, each with its share of them. The
        empty code means no formula.
    """

    same: float
    concepts: float
    overlap: float
    formulas: tuple[tuple[Code, float], ...]


def stability(
    activations: Activations,
    columns: NDArray[np.intp],
    whole: Sequence[SearchResult],
    searcher: Searcher,
    clusters: Ints | None,
    n_resamples: int,
    seed: int,
) -> list[list[Stability]]:
    """Search bootstrap resamples and compare the formulas found with those on all samples.

    Samples, or whole clusters, are drawn with replacement: a resample is a set of sample weights, and midranks are
    those of the weighted sample.

    Parameters
    ----------
    activations : Activations
        The activations of the layer.
    columns : int array of shape (n_neurons,)
        The columns of the neurons.
    whole : sequence of SearchResult
        The results of the search on all samples, one per direction.
    searcher : Searcher
        The search on all samples.
    clusters : int64 array of shape (n_rows,) or None
        The cluster of each row; None means independent samples.
    n_resamples : int
        The number of resamples.
    seed : int
        The seed of the random numbers.

    Returns
    -------
    list of list of Stability
        One per neuron and direction.
    """
    groups, n_directions = searcher.groups, len(searcher.directions)
    resampled: list[list[list[Code]]] = [[[] for _ in range(n_directions)] for _ in columns]
    drawn = bootstrap(groups.row_weights, clusters, n_resamples, seed)
    # Each resample is drawn again for the search, which is cheaper than keeping it.
    weighings = searcher.score.reweigh(
        activations.block(columns), groups, bootstrap(groups.row_weights, clusters, n_resamples, seed)
    )
    for weights, weighed in zip(drawn, weighings, strict=True):
        for d, found in enumerate(_reweighted(searcher, weights)(weighed.sums, weighed.terms)):
            for j in range(len(columns)):
                resampled[j][d].append(found.code(j))
    extensions: dict[Code, NDArray[np.bool_]] = {}
    return [
        [_compared(whole[d].code(j), resampled[j][d], groups.counts, extensions, searcher) for d in range(n_directions)]
        for j in range(len(columns))
    ]


def _compared(
    original: Code, others: list[Code], counts: Ints, extensions: dict[Code, NDArray[np.bool_]], searcher: Searcher
) -> Stability:
    """The stability of a formula, given those found in the resamples; ``extensions`` is a cache."""
    times = Counter(others)
    for code in (original, *times):
        if code not in extensions:
            extensions[code] = extension(code, searcher.groups)
    concepts, overlap, covered = 0, 0.0, 0
    formulas: list[tuple[Code, float]] = []
    for code, n in sorted(times.items(), key=lambda item: (-item[1], item[0])):
        concepts += n * ({literal >> 1 for literal in code[0]} == {literal >> 1 for literal in original[0]})
        both, either = extensions[original] & extensions[code], extensions[original] | extensions[code]
        overlap += n * int(counts @ both) / max(1, int(counts @ either))
        if covered < _COVERED * len(others):
            formulas.append((code, n / len(others)))
            covered += n
    n_resamples = len(others)
    return Stability(times[original] / n_resamples, concepts / n_resamples, overlap / n_resamples, tuple(formulas))


def _reweighted(searcher: Searcher, weights: Ints) -> Searcher:
    """The same search with other sample weights."""
    return replace(searcher, groups=searcher.groups.weighted(weights))
