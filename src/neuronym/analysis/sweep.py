"""The trade-off between simplicity and precision: how labels change with the length L and the minimum fraction α.

Activations are ranked once for all settings, and the search of the greatest length also gives the formulas of all
smaller lengths, so a sweep costs little more than one run of ``label``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuronym import inputs
from neuronym._util.messages import warn
from neuronym._util.parallel import check_n_jobs, n_workers, parallel_map, progress_bar, share
from neuronym.data.activations import Activations
from neuronym.data.depths import as_hierarchy, concept_depths
from neuronym.errors import ActivationsError, OptionError
from neuronym.inputs.alignment import check_finite
from neuronym.labeling.options import EvidenceOptions, SampleSplit
from neuronym.search.beam import Code, Rules, SearchResult
from neuronym.search.searcher import Searcher
from neuronym.stats.resampling import measure_formulas
from neuronym.types import ActivationsLike, Align, ClustersLike, ConceptsLike, HierarchyLike, Name, SearchMethod

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sweep"]

_BLOCK = 32  # neurons per task


def sweep(
    activations: ActivationsLike,
    concepts: ConceptsLike,
    *,
    length: int = 5,
    min_fractions: Sequence[float] = (0.0, 0.005, 0.01, 0.02, 0.05),
    names: Iterable[str] | None = None,
    neurons: Iterable[Name] | slice | None = None,
    hierarchy: HierarchyLike | None = None,
    beam: int = Rules.beam,
    search: SearchMethod = Rules.search,
    budget: int = Rules.budget,
    max_fraction: float = Rules.max_fraction,
    min_count: int = Rules.min_count,
    min_change: int | None = Rules.min_change,
    holdout: float | None = 0.5,
    clusters: ClustersLike = None,
    seed: int = 0,
    n_jobs: int | None = None,
    align: Align = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Label neurons with formulas of every length up to ``length``, for each of several minimum fractions.

    Parameters
    ----------
    activations : ActivationsLike
        The activations, of shape (n_samples, n_neurons), of one or several layers; as for ``label``.
    concepts : ConceptsLike
        The concepts of the same samples, as for ``label``.
    length : int, default 5
        The greatest length; L in the paper.
    min_fractions : sequence of float, default (0.0, 0.005, 0.01, 0.02, 0.05)
        The minimum fractions; values of α in the paper.
    names : iterable of str, optional
        The names of the concepts, for ``concepts`` given as an array.
    neurons : iterable of int or str, or slice, optional
        The neurons to label, by name, or a slice of them; all by default.
    hierarchy : HierarchyLike, optional
        A hierarchy of the concepts, in which they are found by name, description or alias; it adds the columns
        ``hypernyms`` and ``depth``.
    beam : int, default 3
        The number of formulas extended in each round of the beam search; B in the paper.
    search : {"auto", "optimal", "beam"}, default "auto"
        How formulas are searched. ``"optimal"``: the best of all formulas of at most ``length`` ≤ 4 concepts, with
        proof. ``"auto"``: that, if the proof fits in the budget; otherwise the best one found, never worse than the
        beam's. ``"beam"``: beam search alone.
    budget : int, default 100000000
        The maximum number of operations that ``"auto"`` spends on a proof, per neuron and direction. Operations are
        counted, not timed: the labels do not depend on the machine.
    max_fraction : float, default 0.5
        The maximum fraction of samples for which a formula is true; β in the paper.
    min_count : int, default 20
        A reported formula is true for at least this many samples. The beam also asks it of every formula that it builds
        on; exact search does not.
    min_change : int, optional
        Dropping any literal of a reported formula changes it for at least this many samples; ``min_count`` by default.
        Without it the last literal of the best formula is often noise. 0 asks nothing, as the published search does.
    holdout : float, default 0.5
        The fraction of samples (or clusters) held out to measure the formulas.
    clusters : ClustersLike, optional
        The cluster that each sample belongs to, as for ``label``; clusters are held out as a whole.
    seed : int, default 0
        The seed of the split.
    n_jobs : int, optional
        The number of parallel jobs, as in scikit-learn.
    align : bool or "position", default False
        If sample ids differ, keep the samples that both sides have; ``"position"`` ignores ids.
    progress : bool, default False
        Whether to show a progress bar on standard error.

    Returns
    -------
    DataFrame
        One row per layer, minimum fraction and length, with means over neurons in the columns

        - ``layer`` (if there are layers), ``min_fraction``, ``length``: the setting;
        - ``neurons``: the number of neurons with a formula;
        - ``concepts``: the number of concepts in the formula;
        - ``auc``, ``auc_heldout``: the AUC on the samples searched and on the held-out samples;
        - ``fraction``: the fraction of the samples searched for which the formula is true;
        - ``hypernyms``: the share of its concepts that have concepts below them in the hierarchy;
        - ``depth``: the number of steps from the top of the hierarchy to its concepts.

    Raises
    ------
    InputError
        If activations, concepts or options cannot be used, as one of the subclasses in ``neuronym.errors``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> concepts = rng.random((1000, 6)) < 0.2
    >>> activations = rng.normal(size=(1000, 4)) + (concepts[:, :4] | concepts[:, 1:5])
    >>> table = sweep(activations, concepts, length=2, min_fractions=[0.0, 0.25])
    >>> table[["min_fraction", "length", "neurons"]].values.tolist()
    [[0.0, 1.0, 4.0], [0.0, 2.0, 4.0], [0.25, 1.0, 0.0], [0.25, 2.0, 4.0]]
    """
    import pandas as pd

    listed = [min_fractions] if isinstance(min_fractions, int | float | str) else list(min_fractions)
    if not listed:
        raise OptionError("min_fractions is empty: give at least one, such as 0")
    settings = [
        Rules(length, beam, min_fraction, max_fraction, min_count, search=search, budget=budget, min_change=min_change)
        for min_fraction in listed
    ]
    if holdout is None:
        raise OptionError("holdout must lie between 0 and 1, not None: held-out samples measure the formulas")
    options = EvidenceOptions(holdout=holdout, seed=seed)
    check_n_jobs(n_jobs)
    tree = None if hierarchy is None else as_hierarchy(hierarchy)
    rows = []
    layers = inputs.align(activations, concepts, names=names, clusters=clusters, keep_common=align)
    depths = [None] * len(layers) if tree is None else concept_depths(tree, [one.searched for one in layers])
    for one, positions in zip(layers, depths, strict=True):
        split = SampleSplit.of(one.groups, one.clusters, None, options)
        columns = one.activations.indices(neurons)
        if not len(columns):
            raise ActivationsError("there is no neuron to label")
        bare = Activations(one.activations.matrix)  # tasks do not need the ids
        blocks = one.activations.blocks(columns, max(len(columns) // _BLOCK, 4 * n_workers(n_jobs)))
        first = Searcher(split.searched, settings[0])
        searchers = [replace(first, rules=rules) for rules in settings]
        for searcher in searchers:
            searcher.prepare()
        matrix, common, halves = share(bare), share(searchers), share(split)
        done = parallel_map(_sweep, ((matrix, block, common, halves) for block in blocks), n_jobs)
        if progress:
            done = progress_bar(done, lambda part: part.shape[1], "neurons", len(columns))
        numbers = np.concatenate(list(done), axis=1)
        untested = np.isfinite(numbers["auc"]) & ~np.isfinite(numbers["auc_heldout"])
        if untested.any():
            part = untested.sum() / np.isfinite(numbers["auc"]).sum()
            warn(
                f"{part:.0%} of the formulas{_of(one.layer)} are true for none or for all of the held-out samples: "
                "auc_heldout is the mean of the others, so raise holdout or min_count"
            )
        for rules, of_setting in zip(settings, numbers, strict=True):
            for step in range(1, length + 1):
                rows.append(_row(one.layer, rules.min_fraction, step, of_setting[:, step - 1], positions))
    table = pd.DataFrame(rows)
    empty = [name for name in ("layer", "hypernyms", "depth") if table[name].isna().all()]
    return table.drop(columns=empty)


def _of(layer: str | None) -> str:
    return "" if layer is None else f" of layer {layer!r}"


_NUMBERS = np.dtype([("auc", "f8"), ("auc_heldout", "f8"), ("fraction", "f8"), ("code", "O")])


def _sweep(
    activations: Activations, columns: NDArray[np.intp], searchers: Sequence[Searcher], split: SampleSplit
) -> NDArray[np.void]:
    """Search and measure a block of neurons: array of ``_NUMBERS`` of shape (n_settings, n_neurons, length)."""
    searcher = searchers[0]
    block = activations.block(columns)
    check_finite(split.whole.select_rows(block))
    weighed = searcher.score.weigh(block, split.searched)
    constant = weighed.constant(split.searched)
    length = searcher.rules.length
    out = np.zeros((len(searchers), len(columns), length), _NUMBERS)
    out["auc"] = out["auc_heldout"] = out["fraction"] = np.nan
    out["code"] = None
    paths = []
    for of_setting in searchers:
        found: SearchResult = of_setting(weighed.sums)[0]
        first = found.lengths.shape[1] - length
        paths.append([[found.code(j, first + step) for step in range(length)] for j in range(len(columns))])
        for step in range(length):
            known = (found.lengths[:, first + step] > 0) & ~constant
            row = out[len(paths) - 1, :, step]
            row["auc"][known] = found.scores[known, first + step]
            row["fraction"][known] = found.counts[known, first + step] / split.searched.total
    # Settings often find the same formulas: each is measured once per neuron.
    codes_of: list[list[Code]] = [
        list(dict.fromkeys(code for path in paths for code in path[j] if code[0])) for j in range(len(columns))
    ]
    held = split.held if split.held is not None else np.ones(split.whole.n_rows, np.bool_)
    on_held = replace(searcher, groups=split.whole.part(held))
    clusters = None if split.clusters is None else split.clusters[held]
    rows = measure_formulas(activations, columns, [[codes] for codes in codes_of], on_held, clusters)
    for j, ((measures,), codes) in enumerate(zip(rows, codes_of, strict=True)):
        auc = dict(zip(codes, measures["auc"].tolist(), strict=True))
        for setting, path in enumerate(paths):
            for step, code in enumerate(path[j]):
                if code[0] and not constant[j]:
                    out[setting, j, step]["auc_heldout"] = auc[code]
                    out[setting, j, step]["code"] = code
    return out


def _row(
    layer: str | None,
    min_fraction: float,
    step: int,
    numbers: NDArray[np.void],
    positions: list[tuple[float, float]] | None,
) -> dict[str, Any]:
    """Make a row of the table: means over neurons, for one layer, minimum fraction and length."""
    known = [code for code in numbers["code"] if code is not None]
    concepts = [literal >> 1 for code in known for literal in code[0]]
    in_hierarchy = [positions[c] for c in concepts] if positions is not None else []

    def mean(values: Sequence[float] | NDArray[np.float64]) -> float:
        finite = np.asarray(values, np.float64)
        finite = finite[np.isfinite(finite)]
        return float(finite.mean()) if len(finite) else np.nan

    return {
        "layer": layer,
        "min_fraction": min_fraction,
        "length": step,
        "neurons": len(known),
        "concepts": len(concepts) / len(known) if known else np.nan,
        "auc": mean(numbers["auc"]),
        "auc_heldout": mean(numbers["auc_heldout"]),
        "fraction": mean(numbers["fraction"]),
        "hypernyms": mean([has_hyponyms for has_hyponyms, _ in in_hierarchy]),
        "depth": mean([depth for _, depth in in_hierarchy]),
    }
